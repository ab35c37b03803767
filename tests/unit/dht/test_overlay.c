/* The encrypted carrier beyond the known answers. */
#include "proto/dht/overlay.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct overlay_static node;
static const uint8_t tag[OVERLAY_TAG_SIZE] = { 1, 2, 3, 4, 5, 6, 7, 8 };

static int
setup(void **state)
{
	(void)state;
	memset(node.sk, 7, sizeof(node.sk));
	return crypto_scalarmult_base(node.pk, node.sk);
}

static void
ask(struct span krpc, size_t size, uint8_t *out, struct overlay_exchange *x)
{
	static const uint8_t e[32] = { 5 };
	const struct overlay_query in = { node.pk, tag, e, krpc, size };

	assert_int_equal(overlay_query_seal(&in, out, x), ERR_OK);
}

static void
sizes_are_the_smallest_that_fit(void **state)
{
	static const size_t sizes[] = { 128, 256, 512, 1024, 1232 };

	(void)state;
	for (int i = 0; i < 5; i++) {
		size_t fits = sizes[i] - OVERLAY_OVERHEAD;

		assert_int_equal(overlay_size(fits, 0), sizes[i]);
		assert_int_equal(
		    overlay_size(fits + 1, 0), i < 4 ? sizes[i + 1] : 0);
		assert_int_equal(overlay_size(1, sizes[i]), sizes[i]);
	}
	assert_int_equal(overlay_size(1, 1233), 0);
	assert_int_equal(overlay_size(SIZE_MAX, 0), 0);
	assert_int_equal(overlay_size(OVERLAY_KRPC_MAX, 0), OVERLAY_SIZE_MAX);
}

static void
queries_and_answers_come_back(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(131));
	for (int i = 0; i < 60; i++) {
		uint8_t krpc[OVERLAY_KRPC_MAX];
		uint8_t out[OVERLAY_SIZE_MAX];
		uint8_t got[OVERLAY_KRPC_MAX];
		uint8_t e[32];
		size_t n = 1 + rng_below(&t.rng, OVERLAY_KRPC_MAX);
		size_t size = overlay_size(n, 0);
		struct writer w = wr_init(got, sizeof(got));
		struct overlay_exchange asked;
		struct overlay_exchange heard;

		rng_fill(&t.rng, krpc, n);
		rng_fill(&t.rng, e, sizeof(e));
		ask(span_of(krpc, n), size, out, &asked);
		assert_int_equal(
		    overlay_query_open(&node, span_of(out, size), &heard, &w),
		    ERR_OK);
		assert_true(span_eq(wr_span_of(&w), span_of(krpc, n)));
		assert_int_equal(
		    overlay_answer_seal(&heard, e, span_of(krpc, n), size, out),
		    ERR_OK);
		assert_int_equal(
		    overlay_answer_seal(&heard, e, span_of(krpc, n), size, out),
		    ERR_STATE); /* one answer */
		w = wr_init(got, sizeof(got));
		assert_int_equal(
		    overlay_answer_open(&asked, span_of(out, size), &w),
		    ERR_OK);
		assert_true(span_eq(wr_span_of(&w), span_of(krpc, n)));
	}
}

static void
any_bit_flipped_is_refused(void **state)
{
	uint8_t out[128];
	uint8_t got[OVERLAY_KRPC_MAX];
	struct overlay_exchange x;

	(void)state;
	ask(span_str("d1:y1:qe"), sizeof(out), out, &x);
	for (size_t i = 0; i < 8 * sizeof(out); i++) {
		struct writer w = wr_init(got, sizeof(got));

		out[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_int_not_equal(overlay_query_open(&node,
		                         span_of(out, sizeof(out)), &x, &w),
		    ERR_OK);
		assert_int_equal(w.n, 0);
		out[i / 8] ^= (uint8_t)(1U << i % 8);
	}
}

static void
a_tag_that_begins_like_krpc_is_refused(void **state)
{
	uint8_t d[128] = { 'd' };
	uint8_t got[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(got, sizeof(got));
	struct overlay_exchange x;

	(void)state;
	assert_int_equal(
	    overlay_query_open(&node, span_of(d, sizeof(d)), &x, &w),
	    ERR_MALFORMED);
}

static void
a_false_answer_does_not_end_the_exchange(void **state)
{
	static const uint8_t e[32] = { 9 };
	uint8_t out[128];
	uint8_t got[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(got, sizeof(got));
	struct overlay_exchange asked;
	struct overlay_exchange heard;
	struct span d = span_of(out, sizeof(out));

	(void)state;
	ask(span_str("query"), sizeof(out), out, &asked);
	assert_int_equal(overlay_query_open(&node, d, &heard, &w), ERR_OK);
	assert_int_equal(overlay_answer_seal(
	                     &heard, e, span_str("answer"), sizeof(out), out),
	    ERR_OK);
	w = wr_init(got, sizeof(got));
	out[100] ^= 1;
	assert_int_equal(overlay_answer_open(&asked, d, &w), ERR_AUTH);
	out[100] ^= 1;
	assert_int_equal(overlay_answer_open(&asked, d, &w), ERR_OK);
	assert_true(span_eq(wr_span_of(&w), span_str("answer")));
}

static void
a_low_order_node_key_is_refused(void **state)
{
	static const uint8_t low[32] = { 0 };
	static const uint8_t e[32] = { 5 };
	const struct overlay_query in = { low, tag, e, span_str("x"), 128 };
	uint8_t out[128];
	struct overlay_exchange x;

	(void)state;
	assert_int_equal(overlay_query_seal(&in, out, &x), ERR_BAD_KEY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sizes_are_the_smallest_that_fit),
		cmocka_unit_test(queries_and_answers_come_back),
		cmocka_unit_test(any_bit_flipped_is_refused),
		cmocka_unit_test(a_tag_that_begins_like_krpc_is_refused),
		cmocka_unit_test(a_false_answer_does_not_end_the_exchange),
		cmocka_unit_test(a_low_order_node_key_is_refused),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, NULL);
}
