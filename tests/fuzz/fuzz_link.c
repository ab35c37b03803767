/*
 * Datagrams from nobody at a node that has a running link, an attempt under
 * way and invitations: not one byte leaves for them. The input is cut into
 * datagrams by lengths; some get a live index put in front.
 */
#include "tests/fuzz/fuzz.h"
#include "tests/support/link_wire.h"

#include <assert.h>
#include <string.h>

struct seen {
	uint8_t index[4]; /* what node 0 is addressed by */
	bool has;
};

static bool
tap(struct wire *w, struct wire_datagram *d)
{
	struct seen *s = w->tap_ctx;

	if (endpoint_eq(&d->to, &w->node[0].at) && d->n != 168) {
		memcpy(s->index, d->b, sizeof(s->index));
		s->has = true;
	}
	return true;
}

static void
throw_in(struct wire *w, const struct seen *s, struct reader *in)
{
	uint8_t buf[1500];
	uint8_t how = rd_u8(in);
	size_t n = rd_u16le(in) % (sizeof(buf) + 1);
	uint64_t sent = w->node[0].sent;

	if (how & 1) /* the sizes that mean something */
		n = (size_t[]){ 56, 104, 168, 92, 128, 256, 512, 1024 }[n % 8];
	memset(buf, how, sizeof(buf));
	if (n > 0)
		rd_bytes(in, buf, n < in->n ? n : in->n);
	if ((how & 2) && s->has && n >= sizeof(s->index))
		memcpy(buf, s->index, sizeof(s->index));
	wire_inject(w, 0, &w->node[how % 3].at, span_of(buf, n));
	assert(w->node[0].sent == sent);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader in = rd_init(span_of(data, size));
	static struct wire w;
	struct seen seen = { .has = false };

	wire_init(&w, 1, 3);
	wire_befriend(&w, 0, 1);
	wire_befriend(&w, 0, 2);
	w.tap = tap;
	w.tap_ctx = &seen;
	wire_connect(&w, 0, 1);
	assert(wire_until(&w, wire_both_up, 1000));
	wire_run(&w, 1000);
	w.cut = true;
	wire_connect(&w, 0, 2);
	while (in.n > 0 && !in.bad)
		throw_in(&w, &seen, &in);
	w.cut = false;
	wire_write(&w, 0, 1, 100);
	wire_write(&w, 1, 0, 100);
	assert(wire_until(&w, wire_all_read, 5000));
	wire_clear(&w);
	return 0;
}
