/* The frames of a packet: whatever parses stays within its bounds, an ACK
 * means the same after it was written again, and HELLO too. */
#include "proto/link/candidates.h"
#include "proto/link/frame.h"
#include "proto/link/hello.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

static void
check_ack(const struct frame *f)
{
	uint8_t buf[1024];
	struct writer w = wr_init(buf, sizeof(buf));
	struct reader r;
	struct frame again;

	assert(f->ack.n > 0 && f->ack.n <= RANGES_MAX);
	for (uint32_t i = 0; i < f->ack.n; i++) {
		assert(f->ack.r[i].lo < f->ack.r[i].hi);
		assert(i == 0 || f->ack.r[i - 1].hi < f->ack.r[i].lo);
	}
	frame_write_ack(&w, &f->ack, f->delay);
	assert(!w.bad && w.n == frame_ack_size(&f->ack, f->delay));
	r = rd_init(wr_span_of(&w));
	assert(frame_decode(&r, &again) == ERR_OK && rd_done(&r));
	assert(again.ack.n == f->ack.n && again.delay == f->delay);
	assert(
	    memcmp(again.ack.r, f->ack.r, f->ack.n * sizeof(f->ack.r[0])) == 0);
}

static void
check_hello(const struct frame *f)
{
	uint8_t instance[HELLO_INSTANCE_SIZE], body[FRAME_HELLO_SIZE];
	struct link_hello h;
	size_t n = f->data.n;

	assert(n >= FRAME_HELLO_MIN);
	assert(hello_decode(f->data, &h, instance) == ERR_OK);
	hello_encode(&h, instance, body);
	n = n < FRAME_HELLO_SIZE ? FRAME_HELLO_MIN : FRAME_HELLO_SIZE;
	assert(memcmp(body, f->data.p, n) == 0);
}

static void
check_candidates(const struct frame *f)
{
	uint8_t body[FRAME_CANDIDATES_SIZE], b[FRAME_CANDIDATES_SIZE];
	struct link_candidates c, again;
	size_t n;

	assert(f->data.n >= FRAME_CANDIDATES_MIN);
	if (candidates_decode(f->data, &c))
		return;
	assert(c.n <= LINK_CANDIDATES_MAX && c.class < NAT_CLASSES);
	n = candidates_encode(&c, body);
	assert(candidates_decode(span_of(body, n), &again) == ERR_OK);
	assert(again.n == c.n);
	assert(candidates_encode(&again, b) == n && memcmp(body, b, n) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = rd_init(span_of(data, size));
	struct frame f;

	while (r.n > 0) {
		size_t before = r.n;

		if (frame_decode(&r, &f))
			return 0;
		assert(r.n < before);
		assert(
		    f.data.n == 0 ||
		    (f.data.p >= data && f.data.p + f.data.n <= data + size));
		assert(f.stream < FRAME_VALUE_END);
		assert(f.offset + f.data.n < FRAME_VALUE_END);
		if (f.type == FRAME_ACK)
			check_ack(&f);
		if (f.type == FRAME_HELLO)
			check_hello(&f);
		if (f.type == FRAME_CANDIDATES)
			check_candidates(&f);
	}
	return 0;
}
