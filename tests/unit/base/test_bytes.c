/* The bounded reader and writer, at their exact edges. */
#include "proto/base/bytes.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
numbers_are_read_in_both_orders(void **state)
{
	const uint8_t in[] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14,
		15, 16, 17, 18, 19, 20, 21 };
	struct reader r = rd_init(span_of(in, sizeof(in)));

	(void)state;
	assert_int_equal(rd_u8(&r), 1);
	assert_int_equal(rd_u16le(&r), 0x0302);
	assert_int_equal(rd_u32le(&r), 0x07060504);
	assert_true(rd_u64le(&r) == UINT64_C(0x0f0e0d0c0b0a0908));
	assert_int_equal(rd_u16be(&r), 0x1011);
	assert_int_equal(rd_u32be(&r), 0x12131415);
	assert_true(rd_done(&r));
}

static void
what_is_written_reads_back(void **state)
{
	uint8_t buf[64];
	struct writer w = wr_init(buf, sizeof(buf));
	struct reader r;

	(void)state;
	wr_u8(&w, 0xfe);
	wr_u16le(&w, 0xfedc);
	wr_u32le(&w, 0xfedcba98);
	wr_u64le(&w, UINT64_C(0xfedcba9876543210));
	wr_u16be(&w, 0x1234);
	wr_u32be(&w, 0x12345678);
	wr_zeros(&w, 3);
	wr_span(&w, span_str("end"));
	assert_false(w.bad);
	r = rd_init(wr_span_of(&w));
	assert_int_equal(rd_u8(&r), 0xfe);
	assert_int_equal(rd_u16le(&r), 0xfedc);
	assert_int_equal(rd_u32le(&r), 0xfedcba98);
	assert_true(rd_u64le(&r) == UINT64_C(0xfedcba9876543210));
	assert_int_equal(rd_u16be(&r), 0x1234);
	assert_int_equal(rd_u32be(&r), 0x12345678);
	assert_true(span_eq(rd_span(&r, 6), span_of("\0\0\0end", 6)));
	assert_true(rd_done(&r));
}

static void
a_reader_that_failed_stays_failed_and_yields_zeros(void **state)
{
	const uint8_t in[] = { 0xaa, 0xbb, 0xcc };
	struct reader r = rd_init(span_of(in, sizeof(in)));
	uint8_t buf[4] = { 1, 1, 1, 1 };

	(void)state;
	assert_int_equal(rd_u32le(&r), 0);
	assert_int_equal(rd_u8(&r), 0); /* it would have been there */
	rd_bytes(&r, buf, sizeof(buf));
	assert_memory_equal(buf, "\0\0\0\0", 4);
	assert_int_equal(rd_span(&r, 1).n, 0);
	assert_false(rd_done(&r));
	assert_int_equal(r.n, 3);
}

static void
the_last_byte_is_there_and_none_after_it(void **state)
{
	const uint8_t in[] = { 7, 8 };
	struct reader r = rd_init(span_of(in, 2));

	(void)state;
	assert_int_equal(rd_u16be(&r), 0x0708);
	assert_true(rd_done(&r));
	assert_int_equal(rd_span(&r, 0).n, 0);
	assert_true(rd_done(&r));
	rd_u8(&r);
	assert_false(rd_done(&r));
	r = rd_init(span_of(in, 2));
	rd_span(&r, SIZE_MAX);
	assert_true(r.bad);
}

static void
bytes_left_over_are_not_done(void **state)
{
	const uint8_t in[] = { 7, 8 };
	struct reader r = rd_init(span_of(in, 2));

	(void)state;
	rd_u8(&r);
	assert_false(rd_done(&r));
	assert_false(r.bad);
}

static void
a_writer_that_is_full_changes_nothing_more(void **state)
{
	uint8_t buf[5] = { 0 };
	struct writer w = wr_init(buf, 4);

	(void)state;
	wr_u16be(&w, 0x0102);
	wr_u32be(&w, 0xffffffff);
	assert_true(w.bad);
	wr_u8(&w, 0xff); /* would fit */
	assert_int_equal(w.n, 2);
	assert_memory_equal(buf, "\1\2\0\0\0", 5);
	w = wr_init(buf, 4);
	wr_u32be(&w, 0x03040506);
	assert_false(w.bad);
	assert_null(wr_reserve(&w, 1));
	assert_true(w.bad);
	assert_int_equal(buf[4], 0);
}

static void
room_of_size_max_is_refused(void **state)
{
	uint8_t buf[2];
	struct writer w = wr_init(buf, 2);

	(void)state;
	wr_u8(&w, 1);
	assert_null(wr_reserve(&w, SIZE_MAX));
	assert_true(w.bad);
	assert_int_equal(w.n, 1);
}

static void
varints_have_their_shortest_form_at_every_edge(void **state)
{
	static const struct {
		uint64_t v;
		size_t n;
	} edges[] = { { 0, 1 }, { 63, 1 }, { 64, 2 }, { 16383, 2 },
		{ 16384, 4 }, { (1U << 30) - 1, 4 }, { 1U << 30, 8 },
		{ (UINT64_C(1) << 62) - 1, 8 } };
	uint8_t buf[8];

	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		struct writer w = wr_init(buf, sizeof(buf));
		struct reader r;

		wr_varint(&w, edges[i].v);
		assert_int_equal(w.n, edges[i].n);
		assert_int_equal(varint_size(edges[i].v), edges[i].n);
		r = rd_init(wr_span_of(&w));
		assert_true(rd_varint(&r) == edges[i].v);
		assert_true(rd_done(&r));
	}
}

/* The examples of [RFC 9000 §A.1], the last one not the shortest form. */
static void
varints_of_any_length_are_taken(void **state)
{
	static const struct {
		const char *bytes;
		size_t n;
		uint64_t v;
	} examples[] = {
		{ "\xc2\x19\x7c\x5e\xff\x14\xe8\x8c", 8,
		    UINT64_C(151288809941952652) },
		{ "\x9d\x7f\x3e\x7d", 4, 494878333 },
		{ "\x7b\xbd", 2, 15293 },
		{ "\x25", 1, 37 },
		{ "\x40\x25", 2, 37 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		struct reader r =
		    rd_init(span_of(examples[i].bytes, examples[i].n));

		assert_true(rd_varint(&r) == examples[i].v);
		assert_true(rd_done(&r));
		r = rd_init(span_of(examples[i].bytes, examples[i].n - 1));
		assert_true(rd_varint(&r) == 0);
		assert_true(r.bad);
	}
}

static void
any_number_survives_as_varint(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(11));
	for (int i = 0; i < 20000; i++) {
		uint64_t v = rng_u64(&t.rng) >> (2 + rng_below(&t.rng, 62));
		uint8_t buf[8];
		struct writer w = wr_init(buf, sizeof(buf));
		struct reader r;

		wr_varint(&w, v);
		r = rd_init(wr_span_of(&w));
		assert_true(rd_varint(&r) == v);
		assert_true(rd_done(&r));
	}
}

static void
spans_compare_by_bytes(void **state)
{
	(void)state;
	assert_true(span_eq(span_of(NULL, 0), span_str("")));
	assert_true(span_eq(span_str("ab"), span_of("abc", 2)));
	assert_false(span_eq(span_str("ab"), span_str("abc")));
	assert_false(span_eq(span_str("ab"), span_str("ac")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(numbers_are_read_in_both_orders),
		cmocka_unit_test(what_is_written_reads_back),
		cmocka_unit_test(
		    a_reader_that_failed_stays_failed_and_yields_zeros),
		cmocka_unit_test(the_last_byte_is_there_and_none_after_it),
		cmocka_unit_test(bytes_left_over_are_not_done),
		cmocka_unit_test(a_writer_that_is_full_changes_nothing_more),
		cmocka_unit_test(room_of_size_max_is_refused),
		cmocka_unit_test(
		    varints_have_their_shortest_form_at_every_edge),
		cmocka_unit_test(varints_of_any_length_are_taken),
		cmocka_unit_test(any_number_survives_as_varint),
		cmocka_unit_test(spans_compare_by_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
