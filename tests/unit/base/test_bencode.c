/* The strict decoder and the encoder. [BEP 3] */
#include "proto/base/bencode.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct bencode doc; /* large */
static struct bencode doc2;

static enum err
parse(const char *text)
{
	return bencode_parse(span_str(text), &doc);
}

static void
values_are_found_by_key(void **state)
{
	struct span s = { NULL, 0 };
	int64_t v = 0;
	uint8_t four[4];
	uint32_t a;

	(void)state;
	assert_int_equal(
	    parse("d1:ad2:id4:abcd4:porti-42ee1:q4:ping1:t0:e"), ERR_OK);
	a = bencode_get(&doc, 0, "a");
	assert_int_equal(bencode_type(&doc, a), BENCODE_DICT);
	assert_true(bencode_int(&doc, bencode_get(&doc, a, "port"), &v));
	assert_int_equal(v, -42);
	assert_true(bencode_str(&doc, bencode_get(&doc, 0, "q"), &s));
	assert_true(span_eq(s, span_str("ping")));
	assert_true(bencode_bytes(&doc, bencode_get(&doc, a, "id"), four, 4));
	assert_memory_equal(four, "abcd", 4);
	assert_true(bencode_str(&doc, bencode_get(&doc, 0, "t"), &s));
	assert_int_equal(s.n, 0);
}

static void
what_is_not_there_is_absent_everywhere(void **state)
{
	struct span s = span_str("kept");
	int64_t v = 7;
	uint8_t b[1] = { 9 };
	const uint32_t wrong[] = { BENCODE_ABSENT, 1000, 0 };

	(void)state;
	assert_int_equal(parse("d1:ali1eee"), ERR_OK);
	assert_int_equal(bencode_get(&doc, 0, "b"), BENCODE_ABSENT);
	for (int i = 0; i < 3; i++) {
		assert_false(bencode_str(&doc, wrong[i], &s));
		assert_false(bencode_int(&doc, wrong[i], &v));
		assert_false(bencode_bytes(&doc, wrong[i], b, 1));
		assert_int_equal(bencode_first(&doc, wrong[i]), BENCODE_ABSENT);
		assert_int_equal(
		    bencode_next(&doc, wrong[i], 1), BENCODE_ABSENT);
	}
	assert_int_equal(
	    bencode_get(&doc, BENCODE_ABSENT, "a"), BENCODE_ABSENT);
	assert_int_equal(bencode_raw(&doc, BENCODE_ABSENT).n, 0);
	assert_int_equal(bencode_type(&doc, BENCODE_ABSENT), BENCODE_NONE);
	assert_true(span_eq(s, span_str("kept")));
	assert_int_equal(v, 7);
	assert_int_equal(b[0], 9);
}

static void
a_key_is_not_taken_for_a_value(void **state)
{
	(void)state;
	assert_int_equal(parse("d1:a1:b1:c1:de"), ERR_OK);
	assert_int_equal(bencode_get(&doc, 0, "b"), BENCODE_ABSENT);
	assert_int_equal(bencode_get(&doc, 0, "d"), BENCODE_ABSENT);
	assert_int_not_equal(bencode_get(&doc, 0, "c"), BENCODE_ABSENT);
}

static void
lists_are_walked_over_nested_values(void **state)
{
	static const char *const want[] = { "i1e", "l1:ad1:bi2eee",
		"0:", "le" };
	uint32_t at;
	int n = 0;

	(void)state;
	assert_int_equal(parse("li1el1:ad1:bi2eee0:lee"), ERR_OK);
	for (at = bencode_first(&doc, 0); at != BENCODE_ABSENT;
	     at = bencode_next(&doc, 0, at))
		assert_true(
		    span_eq(bencode_raw(&doc, at), span_str(want[n++])));
	assert_int_equal(n, 4);
	assert_int_equal(parse("le"), ERR_OK);
	assert_int_equal(bencode_first(&doc, 0), BENCODE_ABSENT);
}

/* The raw value is what a signature covers, byte for byte. */
static void
raw_gives_the_bytes_of_a_value(void **state)
{
	const char *text = "d1:rd3:seqi5e1:v12:Hello World!e1:y1:re";

	(void)state;
	assert_int_equal(parse(text), ERR_OK);
	assert_true(span_eq(bencode_raw(&doc, 0), span_str(text)));
	assert_true(
	    span_eq(bencode_raw(&doc,
	                bencode_get(&doc, bencode_get(&doc, 0, "r"), "v")),
	        span_str("12:Hello World!")));
}

static void
refused(const char *const *texts, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (parse(texts[i]) != ERR_MALFORMED)
			fail_msg("taken: %s", texts[i]);
		assert_int_equal(doc.n, 0);
	}
}

/* Hostile input 31. */
static void
hostile_31_what_is_not_canonical_is_refused(void **state)
{
	static const char *const numbers[] = { "i-0e", "i00e", "i01e", "i-01e",
		"i+1e", "ie", "i-e", "i1", "i1 e", "i1x", "i--1e",
		"i9223372036854775808e", "i-9223372036854775809e",
		"i99999999999999999999999e", "-0" };
	static const char *const strings[] = { "1:", "01:a", "00:", "2:a", ":",
		"1a", "-1:a", "9223372036854775808:a", "18446744073709551616:a",
		"4294967296:a", "4294967297:a" };
	static const char *const containers[] = { "", "d", "l", "e",
		"le0:", "i1ei2e", "dee", "d1:ae", "di1e1:ae", "d1:a0:1:a0:e",
		"d1:b0:1:a0:e", "d2:aa0:1:b0:1:a0:e", "d1:a0:0:0:e", "dle0:e",
		"d1:a0:", "x", "d1:ai1ee " };

	(void)state;
	refused(numbers, sizeof(numbers) / sizeof(numbers[0]));
	refused(strings, sizeof(strings) / sizeof(strings[0]));
	refused(containers, sizeof(containers) / sizeof(containers[0]));
}

static void
numbers_reach_both_ends_of_their_range(void **state)
{
	int64_t v = 0;

	(void)state;
	assert_int_equal(parse("i9223372036854775807e"), ERR_OK);
	assert_true(bencode_int(&doc, 0, &v) && v == INT64_MAX);
	assert_int_equal(parse("i-9223372036854775808e"), ERR_OK);
	assert_true(bencode_int(&doc, 0, &v) && v == INT64_MIN);
	assert_int_equal(parse("i0e"), ERR_OK);
	assert_true(bencode_int(&doc, 0, &v) && v == 0);
}

static void
keys_are_sorted_as_bytes(void **state)
{
	const char text[] = "d0:0:1:A0:1:a0:2:aa0:2:a\xff"
	                    "0:1:\x80"
	                    "0:e";

	(void)state;
	assert_int_equal(parse(text), ERR_OK);
	assert_int_not_equal(bencode_get(&doc, 0, ""), BENCODE_ABSENT);
	assert_int_not_equal(bencode_get(&doc, 0, "\x80"), BENCODE_ABSENT);
}

/* Hostile input 31. */
static void
hostile_31_nesting_ends_at_the_limit(void **state)
{
	static char text[20001];

	(void)state;
	assert_int_equal(parse("lllllllleeeeeeee"), ERR_OK); /* 8 */
	assert_int_equal(parse("lllllllllleeeeeeeeee"), ERR_LIMIT);
	assert_int_equal(parse("lllllllleeeeeeeee"), ERR_MALFORMED);
	assert_int_equal(
	    parse("d1:ad1:ad1:ad1:ad1:ad1:ad1:ad1:a0:eeeeeeee"), ERR_OK);
	assert_int_equal(
	    parse("d1:ad1:ad1:ad1:ad1:ad1:ad1:ad1:adeeeeeeeee"), ERR_LIMIT);
	memset(text, 'l', 10000);
	memset(text + 10000, 'e', 10000);
	assert_int_equal(parse(text), ERR_LIMIT);
	assert_int_equal(doc.n, 0);
}

static void
tokens_end_at_the_limit(void **state)
{
	static char text[2 * BENCODE_TOKENS_MAX + 4];
	size_t n = 0;

	(void)state;
	text[n++] = 'l';
	for (int i = 1; i < BENCODE_TOKENS_MAX; i++) {
		text[n++] = '0';
		text[n++] = ':';
	}
	text[n] = 'e';
	assert_int_equal(bencode_parse(span_of(text, n + 1), &doc), ERR_OK);
	assert_int_equal(doc.n, BENCODE_TOKENS_MAX);
	memcpy(text + n, "0:e", 3);
	assert_int_equal(bencode_parse(span_of(text, n + 3), &doc), ERR_LIMIT);
}

/* As large an answer as KRPC has: nodes of both families, a 1000-byte item,
 * 50 peers; it stays far below the token limit. */
static void
the_largest_krpc_answer_fits(void **state)
{
	static uint8_t buf[1500];
	struct writer w = wr_init(buf, sizeof(buf));

	(void)state;
	be_dict(&w);
	be_key(&w, "r");
	be_dict(&w);
	be_key(&w, "id");
	be_str(&w, "aaaaaaaaaaaaaaaaaaaa", 20);
	be_key(&w, "values");
	be_list(&w);
	for (int i = 0; i < 150; i++)
		be_str(&w, "abcdef", 6);
	be_end(&w);
	be_end(&w);
	be_key(&w, "y");
	be_str(&w, "r", 1);
	be_end(&w);
	assert_false(w.bad);
	assert_int_equal(bencode_parse(wr_span_of(&w), &doc), ERR_OK);
	assert_true(doc.n < BENCODE_TOKENS_MAX / 2);
}

static void
numbers_are_written_as_they_are_read(void **state)
{
	static const int64_t v[] = { 0, 1, -1, 10, INT64_MAX, INT64_MIN, -9 };
	uint8_t buf[32];

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct writer w = wr_init(buf, sizeof(buf));
		int64_t got = 1;

		be_int(&w, v[i]);
		assert_false(w.bad);
		assert_int_equal(bencode_parse(wr_span_of(&w), &doc), ERR_OK);
		assert_true(bencode_int(&doc, 0, &got));
		assert_true(got == v[i]);
	}
}

static void
write_again(const struct bencode *b, uint32_t *at, struct writer *w)
{
	const struct bencode_token *t = &b->tok[*at];
	struct span s;

	switch (t->type) {
	case BENCODE_INT:
		be_int(w, t->num);
		break;
	case BENCODE_STR:
		assert_true(bencode_str(b, *at, &s));
		be_str(w, s.p, s.n);
		break;
	case BENCODE_LIST:
		be_list(w);
		break;
	case BENCODE_DICT:
		be_dict(w);
		break;
	case BENCODE_NONE:
		fail();
	}
	(*at)++;
}

/* Writes all tokens in order, closing what ends before the next one. */
static void
encode(const struct bencode *b, struct writer *w)
{
	uint32_t open[BENCODE_DEPTH_MAX];
	int depth = 0;
	uint32_t at = 0;

	while (at < b->n || depth > 0) {
		if (depth > 0 && b->tok[open[depth - 1]].next == at) {
			be_end(w);
			depth--;
			continue;
		}
		if (b->tok[at].type == BENCODE_LIST ||
		    b->tok[at].type == BENCODE_DICT)
			open[depth++] = at;
		write_again(b, &at, w);
	}
}

/* There is one encoding of a value: what parses, encodes to itself. Random
 * edits of a good document reach both outcomes. */
static void
what_parses_encodes_to_the_same_bytes(void **state)
{
	const char *good =
	    "d1:ad2:id4:abcd4:listli1ei-22e3:xyze4:zzzzdee1:q4:ping1:t2:aae";
	struct test_rng t;
	unsigned parsed = 0;

	(void)state;
	test_rng_init(&t, test_seed(41));
	for (int i = 0; i < 40000; i++) {
		uint8_t in[80];
		uint8_t out[80];
		size_t n = strlen(good);
		struct writer w = wr_init(out, sizeof(out));

		memcpy(in, good, n);
		for (uint32_t j = rng_below(&t.rng, 3); j > 0; j--)
			in[rng_below(&t.rng, (uint32_t)n)] =
			    (uint8_t) "0123456789:-deil"[rng_below(&t.rng, 16)];
		if (bencode_parse(span_of(in, n), &doc2))
			continue;
		parsed++;
		encode(&doc2, &w);
		assert_false(w.bad);
		assert_true(span_eq(wr_span_of(&w), span_of(in, n)));
	}
	assert_true(parsed > 1000 && parsed < 39000);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_found_by_key),
		cmocka_unit_test(what_is_not_there_is_absent_everywhere),
		cmocka_unit_test(a_key_is_not_taken_for_a_value),
		cmocka_unit_test(lists_are_walked_over_nested_values),
		cmocka_unit_test(raw_gives_the_bytes_of_a_value),
		cmocka_unit_test(hostile_31_what_is_not_canonical_is_refused),
		cmocka_unit_test(numbers_reach_both_ends_of_their_range),
		cmocka_unit_test(keys_are_sorted_as_bytes),
		cmocka_unit_test(hostile_31_nesting_ends_at_the_limit),
		cmocka_unit_test(tokens_end_at_the_limit),
		cmocka_unit_test(the_largest_krpc_answer_fits),
		cmocka_unit_test(numbers_are_written_as_they_are_read),
		cmocka_unit_test(what_parses_encodes_to_the_same_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
