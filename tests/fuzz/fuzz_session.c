/*
 * A hostile contact after AEAD, with a memory: each input is a row of
 * packets, pauses and handshakes. Whatever it says, the node neither crashes
 * nor sends more than it should, and tells its owner UP and DOWN in turns
 * (the wire asserts that). Input: a byte for what to do, a byte of length,
 * the bytes.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/support/link_raw.h"

#include <assert.h>
#include <string.h>

enum { VICTIM = 0, ENEMY = 1, STEPS_MAX = 64 };
enum { DO_SEND, DO_HELLO, DO_SHAKE, DO_WAIT, DO_WRITE, DO_MOVED, DO_NUMBER };

static void
send_hello(struct raw *r, struct span extra)
{
	uint8_t buf[600];
	struct writer w = wr_init(buf, sizeof(buf));

	raw_hello(r, &w);
	wr_span(&w, extra);
	raw_send(r, wr_span_of(&w));
}

static void
act(struct raw *r, uint8_t what, struct span arg)
{
	struct wire *w = r->w;
	struct endpoint elsewhere = w->node[ENEMY].at;

	elsewhere.port++;
	switch (what & 7) {
	case DO_SEND:
		raw_send(r, arg);
		break;
	case DO_HELLO:
		send_hello(r, arg);
		break;
	case DO_SHAKE:
		if (arg.n > 0)
			r->instance[0] = arg.p[0];
		(void)raw_shake(r);
		break;
	case DO_WAIT:
		wire_run(w, arg.n > 0 ? (uint64_t)arg.p[0] * arg.p[0] : 1);
		break;
	case DO_WRITE:
		wire_write(w, VICTIM, ENEMY, 10 * arg.n);
		break;
	case DO_MOVED:
		raw_send_as(r, arg, r->next++, &elsewhere);
		break;
	case DO_NUMBER:
		r->next += 1 + arg.n * 100;
		raw_send(r, arg);
		break;
	default:
		wire_connect(w, VICTIM, ENEMY);
		break;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = rd_init(span_of(data, size));
	static struct wire w;
	static struct raw r;

	wire_init(&w, 1, 2);
	wire_befriend(&w, VICTIM, ENEMY);
	w.any_data = true;
	raw_init(&r, &w, ENEMY, VICTIM);
	assert(raw_up(&r));
	for (unsigned i = 0; i < STEPS_MAX && in.n > 0; i++) {
		uint8_t what = rd_u8(&in);
		size_t n = rd_u8(&in);

		act(&r, what, rd_span(&in, n < in.n ? n : in.n));
	}
	/* However it was left, a new handshake of the contact works; that is
	 * half the time of a run, so not always tried. */
	if (size % 8 == 0) {
		wire_run(&w, 100000);
		r.ts_ms += 100000;
		assert(raw_up(&r));
	}
	raw_clear(&r);
	wire_clear(&w);
	return 0;
}
