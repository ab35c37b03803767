/* Frames against the examples and rules of RFC 9000 §16, §19. */
#include "proto/link/frame.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static enum err
decode(const void *p, size_t n, struct frame *f)
{
	struct reader r = rd_init(span_of(p, n));
	enum err err = frame_decode(&r, f);

	if (err == ERR_OK && !rd_done(&r))
		return ERR_TOO_LONG;
	return err;
}

static void
each_type_reads_back(void **state)
{
	static const uint8_t stream[] = { 0x0f, 3, 0x44, 0x00, 2, 'h', 'i' };
	static const uint8_t bare[] = { 0x08, 3, 'a', 'b' };
	static const uint8_t reset[] = { 0x04, 3, 7, 9 };
	static const uint8_t close[] = { 0x1c, 0x41, 0x00, 0, 2, 'n', 'o' };
	static const uint8_t streams[] = { 0x13, 9 };
	struct frame f;

	(void)state;
	assert_int_equal(decode(stream, sizeof(stream), &f), ERR_OK);
	assert_int_equal(f.type, FRAME_STREAM);
	assert_int_equal(f.stream, 3);
	assert_int_equal(f.offset, 0x400);
	assert_true(f.fin);
	assert_true(span_eq(f.data, span_str("hi")));
	assert_int_equal(decode(bare, sizeof(bare), &f), ERR_OK);
	assert_true(span_eq(f.data, span_str("ab"))); /* to the end */
	assert_false(f.fin);
	assert_int_equal(decode(reset, sizeof(reset), &f), ERR_OK);
	assert_int_equal(f.value, 7);
	assert_int_equal(f.offset, 9);
	assert_int_equal(decode(close, sizeof(close), &f), ERR_OK);
	assert_int_equal(f.value, CLOSE_OPTIMISTIC_ACK);
	assert_int_equal(decode(streams, sizeof(streams), &f), ERR_OK);
	assert_int_equal(f.type, FRAME_MAX_STREAMS);
}

static void
writers_and_reader_agree(void **state)
{
	uint8_t buf[512], path[8] = "12345678", body[FRAME_HELLO_SIZE] = { 7 };
	struct writer w = wr_init(buf, sizeof(buf));
	struct endpoint e = { .addr = { 1, 2, 3 }, .port = 0x1234 };
	struct reader r;
	struct frame f;

	(void)state;
	frame_write_max_data(&w, 1 << 20);
	frame_write_max_stream_data(&w, 2, 1 << 18);
	frame_write_path(&w, FRAME_PATH_CHALLENGE, path);
	frame_write_hello(&w, body);
	frame_write_observed(&w, &e);
	frame_write_close(&w, CLOSE_PROTOCOL);
	frame_write_stream(&w, 3, 77, 2);
	wr_bytes(&w, "ok", 2);
	wr_zeros(&w, 9);
	assert_false(w.bad);
	r = rd_init(wr_span_of(&w));
	assert_int_equal(frame_decode(&r, &f), ERR_OK);
	assert_int_equal(f.value, 1 << 20);
	assert_int_equal(frame_decode(&r, &f), ERR_OK);
	assert_int_equal(f.value, 1 << 18);
	assert_int_equal(frame_decode(&r, &f), ERR_OK);
	assert_memory_equal(f.path, path, 8);
	assert_int_equal(frame_decode(&r, &f), ERR_OK);
	assert_true(span_eq(f.data, span_of(body, sizeof(body))));
	assert_int_equal(frame_decode(&r, &f), ERR_OK);
	assert_true(endpoint_eq(&f.observed, &e));
	assert_int_equal(frame_decode(&r, &f), ERR_OK);
	assert_int_equal(f.value, CLOSE_PROTOCOL);
	assert_int_equal(frame_decode(&r, &f), ERR_OK);
	assert_int_equal(f.offset, 77);
	assert_int_equal(frame_decode(&r, &f), ERR_OK);
	assert_int_equal(f.type, FRAME_PADDING); /* all nine */
	assert_true(rd_done(&r));
}

static void
acks_read_back(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(1));
	for (unsigned i = 0; i < test_rounds(2000); i++) {
		uint8_t buf[1024];
		struct writer w = wr_init(buf, sizeof(buf));
		struct ranges s = { 0 };
		struct frame f;

		for (unsigned k = 0; k <= i % 40; k++) {
			uint64_t lo = rng_below(&t.rng, 1U << (i % 30));
			uint64_t n = 1 + rng_below(&t.rng, 5);

			if (ranges_add(&s, lo, lo + n))
				break;
		}
		frame_write_ack(&w, &s, i);
		assert_int_equal(w.n, frame_ack_size(&s, i));
		assert_int_equal(decode(buf, w.n, &f), ERR_OK);
		assert_int_equal(f.ack.n, s.n);
		assert_int_equal(f.delay, i);
		assert_memory_equal(f.ack.r, s.r, s.n * sizeof(s.r[0]));
		/* Every cut is noticed. */
		assert_int_equal(decode(buf, w.n - 1, &f), ERR_MALFORMED);
	}
}

static void
ack_ranges_below_zero_are_malformed(void **state)
{
	static const uint8_t first[] = { 2, 5, 0, 0, 6 };
	static const uint8_t gap[] = { 2, 5, 0, 1, 2, 2, 0 };
	static const uint8_t fits[] = { 2, 5, 0, 1, 2, 1, 0 };
	static const uint8_t len[] = { 2, 5, 0, 1, 2, 0, 2 };
	struct frame f;

	(void)state;
	assert_int_equal(decode(first, sizeof(first), &f), ERR_MALFORMED);
	assert_int_equal(decode(gap, sizeof(gap), &f), ERR_MALFORMED);
	assert_int_equal(decode(fits, sizeof(fits), &f), ERR_OK);
	assert_int_equal(decode(len, sizeof(len), &f), ERR_MALFORMED);
}

static void
long_forms_and_far_ends_are_malformed(void **state)
{
	static const uint8_t longer[] = { 0x10, 0x40, 0x3f };
	static const uint8_t far[] = { 0x0e, 3, 0xff, 0xff, 0xff, 0xff, 0xff,
		0xff, 0xff, 0xff, 1, 'x' };
	static const uint8_t many[] = { 0x12, 0xd0, 0, 0, 0, 0, 0, 0, 1 };
	static const uint8_t type[] = { 0x40, 0x01 };
	struct frame f;

	(void)state;
	assert_int_equal(decode(longer, sizeof(longer), &f), ERR_MALFORMED);
	assert_int_equal(decode(far, sizeof(far), &f), ERR_MALFORMED);
	assert_int_equal(decode(many, sizeof(many), &f), ERR_MALFORMED);
	assert_int_equal(decode(type, sizeof(type), &f), ERR_UNSUPPORTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_reads_back),
		cmocka_unit_test(writers_and_reader_agree),
		cmocka_unit_test(acks_read_back),
		cmocka_unit_test(ack_ranges_below_zero_are_malformed),
		cmocka_unit_test(long_forms_and_far_ends_are_malformed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
