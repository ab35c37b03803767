/* The guard before cJSON: every trap that cJSON 1.7.15 falls into.
 * [hostile 41] */
#include "daemon/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct json_guard guard;
static struct json_scan scan;

static enum err
scan_str(const char *text)
{
	return json_scan(&guard, span_str(text), &scan);
}

#define accepts(text)      assert_int_equal(scan_str(text), ERR_OK)
#define refuses(text, err) assert_int_equal(scan_str(text), err)

static int
setup(void **state)
{
	(void)state;
	json_guard_init(&guard, 0x1234567890abcdefULL);
	return 0;
}

static void
takes_what_is_json(void **state)
{
	static const char *const good[] = { "{}", "[]", "null", "true", "false",
		"0", "-0", "-1.5e-7", "1E+2", "\"\"", " {} ",
		"[1,\"a\",{\"b\":[]},null]", "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
		"\"\\u00e9\\ud83d\\ude00\"", "\"\xc3\xa9\xf0\x9f\x98\x80\"",
		"\r\n\t[ 1 , 2 ]\t", "{\"a\":{\"a\":{\"a\":1}}}",
		"[{\"a\":1},{\"a\":1}]", "\"\x7f\"", "1e307" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		accepts(good[i]);
		cJSON *v = json_parse(scan.text);

		assert_non_null(v);
		cJSON_Delete(v);
	}
}

static void
refuses_what_is_not_json(void **state)
{
	static const char *const bad[] = { "", " ", "{", "}", "[", "]", "{]",
		"[}", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}",
		"{a:1}", "{'a':1}", "[1 2]", "1 2", "{} {}", "nul", "truee",
		"TRUE", "NaN", "Infinity", "-Infinity", "-", "+1", "01", "-01",
		"1.", ".5", "1e", "1e+", "0x10", "1_000", "\"", "\"\\\"",
		"\"\\x\"", "\"\\u12\"", "\"\\u12g4\"", "\"\\", "// c\n1",
		"[1]/**/", "\"a\nb\"", "\"a\tb\"", "{\"a\":1 \"b\":2}",
		"{\"a\" 1}", "{1:2}", ",", ":", "[1:2]" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		refuses(bad[i], ERR_MALFORMED);
		assert_non_null(scan.why);
		assert_true(scan.at <= strlen(bad[i]));
	}
}

/* cJSON: `{"id":9007199254740993}` prints back as 9.00719925474099e+15. */
static void
flags_integers_beyond_2_53(void **state)
{
	(void)state;
	accepts("9007199254740991");
	assert_false(scan.big);
	assert_int_equal(scan.type, JSON_INT);
	accepts("-9007199254740991");
	assert_false(scan.big);
	accepts("9007199254740992");
	assert_true(scan.big);
	assert_int_equal(scan.type, JSON_NUMBER);
	accepts("{\"id\":9007199254740993}");
	assert_true(scan.big);
	assert_int_equal(scan.id_type, JSON_NUMBER);
	accepts("[18446744073709551616]");
	assert_true(scan.big);
}

/* cJSON: "x\u0000y" becomes "x". */
static void
refuses_u_0000_in_strings_41(void **state)
{
	static const char raw[] = "{\"a\":\"x\0y\"}";

	(void)state;
	refuses("\"x\\u0000y\"", ERR_MALFORMED);
	refuses("{\"x\\u0000y\":1}", ERR_MALFORMED);
	assert_int_equal(
	    json_scan(&guard, span_of(raw, sizeof(raw) - 1), &scan),
	    ERR_MALFORMED);
	assert_int_equal(
	    json_scan(&guard, span_of("{}\0", 3), &scan), ERR_MALFORMED);
}

/* cJSON: invalid UTF-8 passes in and out. */
static void
refuses_bad_utf8_41(void **state)
{
	static const char *const bad[] = { "\"\x80\"", "\"\xff\"", "\"\xc3\"",
		"\"\xc0\xaf\"", "\"\xe0\x80\x80\"", "\"\xed\xa0\x80\"",
		"\"\xf4\x90\x80\x80\"", "\"\xf8\x88\x80\x80\x80\"",
		"\"\xe2\x82\"", "{\"\xff\":1}", "\xef\xbb\xbf{}",
		"\xc2\xa0[]" };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		refuses(bad[i], ERR_MALFORMED);
}

static void
refuses_lone_surrogates_41(void **state)
{
	(void)state;
	refuses("\"\\ud800\"", ERR_MALFORMED);
	refuses("\"\\udc00\"", ERR_MALFORMED);
	refuses("\"\\ud800x\"", ERR_MALFORMED);
	refuses("\"\\ud800\\n\"", ERR_MALFORMED);
	refuses("\"\\ud800\\ud800\"", ERR_MALFORMED);
	refuses("\"\\udc00\\ud800\"", ERR_MALFORMED);
	refuses("\"\\ud83d\\u00e9\"", ERR_MALFORMED);
	accepts("\"\\uD83D\\uDE00\"");
}

/* cJSON: raw control bytes and a leading zero pass. */
static void
refuses_raw_controls(void **state)
{
	char text[] = "\"a?b\"";

	(void)state;
	for (int c = 0; c < 0x20; c++) {
		text[2] = (char)c;
		assert_int_equal(
		    json_scan(&guard, span_of(text, 5), &scan), ERR_MALFORMED);
	}
}

/* cJSON: 1e999 prints null; numbers are cut at 63 characters. */
static void
refuses_numbers_out_of_range_41(void **state)
{
	(void)state;
	refuses("1e999", ERR_MALFORMED);
	refuses("-1e999", ERR_MALFORMED);
	refuses("1e308", ERR_MALFORMED);
	refuses("1e99999999999999999999", ERR_MALFORMED);
	accepts("1e-999");
	refuses("1000000000e300", ERR_MALFORMED);
	refuses("11111111111111111111111111111111111111111", ERR_MALFORMED);
	accepts("1111111111111111111111111111111111111111");
}

/* cJSON: the first of two equal keys wins, in silence. */
static void
refuses_the_same_key_twice_41(void **state)
{
	(void)state;
	refuses("{\"a\":1,\"a\":2}", ERR_CONFLICT);
	refuses("{\"a\":1,\"\\u0061\":2}", ERR_CONFLICT);
	refuses("{\"\xc3\xa9\":1,\"\\u00e9\":2}", ERR_CONFLICT);
	refuses("{\"\xf0\x9f\x98\x80\":1,\"\\ud83d\\ude00\":2}", ERR_CONFLICT);
	refuses("{\"\":1,\"\":2}", ERR_CONFLICT);
	refuses("{\"p\":{\"a\":1,\"b\":2,\"a\":3}}", ERR_CONFLICT);
	refuses("[{\"x\":[{\"q\":1,\"q\":1}]}]", ERR_CONFLICT);
	refuses("{\"a\":{},\"b\":[{\"a\":1}],\"a\":0}", ERR_CONFLICT);
	accepts("{\"a\":1,\"A\":2}"); /* case counts */
	accepts("{\"a\":{\"a\":1},\"b\":{\"a\":1}}");
}

static void
many_different_keys_are_no_duplicates(void **state)
{
	static char text[API_LINE_MAX];
	size_t n = 0;

	(void)state;
	text[n++] = '{';
	for (int i = 0; i < 8000; i++)
		n += (size_t)snprintf(
		    text + n, sizeof(text) - n, "%s\"k%d\":0", i ? "," : "", i);
	text[n++] = '}';
	for (int round = 0; round < 20; round++)
		assert_int_equal(
		    json_scan(&guard, span_of(text, n), &scan), ERR_OK);
	assert_int_equal(scan.tokens, 16001);
	n += (size_t)snprintf(
	         text + n - 1, sizeof(text) - n + 1, ",\"k4000\":0}") -
	     1;
	assert_int_equal(
	    json_scan(&guard, span_of(text, n), &scan), ERR_CONFLICT);
}

/* The wipe after 65,535 documents loses nothing and keeps nothing. */
static void
generations_of_documents_do_not_mix(void **state)
{
	(void)state;
	for (int i = 0; i < 140000; i++)
		if (scan_str("{\"a\":1,\"b\":2}"))
			fail_msg("document %d was refused", i);
	refuses("{\"a\":1,\"b\":2,\"b\":3}", ERR_CONFLICT);
}

static void
nest(char *text, size_t depth)
{
	memset(text, '[', depth);
	memset(text + depth, ']', depth);
	text[2 * depth] = '\0';
}

/* cJSON: depth 1000 is taken. */
static void
bounds_depth_41(void **state)
{
	static char text[2 * 100000 + 1];

	(void)state;
	nest(text, API_DEPTH_MAX);
	accepts(text);
	nest(text, API_DEPTH_MAX + 1);
	refuses(text, ERR_LIMIT);
	nest(text, 100000);
	refuses(text, ERR_LIMIT);
	memset(text, '{', 10000);
	text[10000] = '\0';
	refuses(text, ERR_MALFORMED); /* a key was expected */
}

/* cJSON: 1 MiB of [1,1,...] takes 130 ms and 42 MB. */
static void
bounds_tokens_41(void **state)
{
	static char text[2 * API_TOKENS_MAX + 16];
	size_t n = 0;

	(void)state;
	text[n++] = '[';
	for (int i = 0; i < API_TOKENS_MAX - 1; i++) {
		text[n++] = '1';
		text[n++] = ',';
	}
	text[n - 1] = ']';
	assert_int_equal(json_scan(&guard, span_of(text, n), &scan), ERR_OK);
	assert_int_equal(scan.tokens, API_TOKENS_MAX);
	text[n - 1] = ',';
	text[n++] = '1';
	text[n++] = ']';
	assert_int_equal(json_scan(&guard, span_of(text, n), &scan), ERR_LIMIT);
}

static void
check_id(const char *text, enum json_type type, const char *want)
{
	accepts(text);
	assert_int_equal(scan.id_type, type);
	assert_int_equal(scan.id.n, strlen(want));
	assert_memory_equal(scan.id.p, want, scan.id.n);
}

static void
finds_the_bytes_of_id(void **state)
{
	(void)state;
	check_id("{\"id\":7}", JSON_INT, "7");
	check_id(
	    "{\"id\" : \"a\\u0041\" , \"x\":1}", JSON_STRING, "\"a\\u0041\"");
	check_id("{\"\\u0069d\":1}", JSON_INT, "1");
	check_id("{\"x\":{\"id\":9},\"id\":null}", JSON_NULL, "null");
	check_id("{\"id\":{\"id\":1}}", JSON_OBJECT, "{\"id\":1}");
	check_id("{\"id\":[1,{\"id\":2}]}", JSON_ARRAY, "[1,{\"id\":2}]");
	check_id("{\"id\":{\"a\":1}}", JSON_OBJECT, "{\"a\":1}");
	check_id("{\"id\":1.0}", JSON_NUMBER, "1.0");
	check_id("{\"id\":-0}", JSON_INT, "-0");
	check_id("{\"id\":true}", JSON_BOOL, "true");
	accepts("{\"ID\":1,\"idd\":2,\"i\":3,\"params\":{\"id\":4}}");
	assert_int_equal(scan.id_type, JSON_NONE);
	assert_int_equal(scan.id.n, 0);
	accepts("[{\"id\":1}]");
	assert_int_equal(scan.id_type, JSON_NONE);
}

static void
finds_the_items_of_a_batch(void **state)
{
	(void)state;
	accepts(" [ {\"a\":[1,2]} , 3,\"x\" ,[] ] ");
	assert_int_equal(scan.type, JSON_ARRAY);
	assert_int_equal(scan.n_items, 4);
	assert_true(span_eq(scan.items[0], span_str("{\"a\":[1,2]}")));
	assert_true(span_eq(scan.items[1], span_str("3")));
	assert_true(span_eq(scan.items[2], span_str("\"x\"")));
	assert_true(span_eq(scan.items[3], span_str("[]")));
	accepts("[]");
	assert_int_equal(scan.n_items, 0);
	accepts("[0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,"
	        "0,0,0,0]");
	assert_int_equal(scan.n_items, 34); /* counted, not kept */
}

/* cJSON_GetObjectItem finds `method` in Method. */
static void
members_are_case_sensitive_and_null_is_absent(void **state)
{
	cJSON *v;

	(void)state;
	accepts("{\"Method\":1,\"n\":null,\"m\":2}");
	v = json_parse(scan.text);
	assert_null(json_member(v, "method"));
	assert_non_null(json_member(v, "Method"));
	assert_null(json_member(v, "n"));
	assert_null(json_member(v, "x"));
	cJSON_Delete(v);
}

/* cJSON: trailing garbage passes. */
static void
parses_to_the_very_end(void **state)
{
	(void)state;
	assert_null(json_parse(span_str("{} x")));
	assert_null(json_parse(span_str("{}}")));
	assert_null(json_parse(span_of("{", 1)));
}

static void
integers_are_exact_or_refused(void **state)
{
	static const struct {
		const char *text;
		bool good;
		int64_t v;
	} cases[] = { { "0", true, 0 }, { "-1", true, -1 },
		{ "9007199254740991", true, 9007199254740991 },
		{ "9007199254740992", false, 0 },
		{ "-9007199254740992", false, 0 }, { "1.5", false, 0 },
		{ "1e2", true, 100 }, { "1e300", false, 0 },
		{ "\"1\"", false, 0 }, { "true", false, 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		cJSON *v = json_parse(span_str(cases[i].text));
		int64_t n = 0;

		assert_int_equal(json_to_int(v, &n), cases[i].good);
		assert_int_equal(n, cases[i].v);
		cJSON_Delete(v);
	}
}

/* Whatever the bytes, the spans stay within the text. */
static void
every_prefix_of_a_request_is_safe(void **state)
{
	static const char text[] =
	    "{\"jsonrpc\":\"2.0\",\"id\":\"a\\u00e9\xc3\xa9\",\"method\":"
	    "\"m\",\"params\":{\"n\":[1,-2.5e3,true,null,{\"k\":\"\\ud83d"
	    "\\ude00\"}]}}";
	size_t n = sizeof(text) - 1;

	(void)state;
	for (size_t i = 0; i < n; i++) {
		char *copy = malloc(i + 1);

		assert_non_null(copy);
		memcpy(copy, text, i);
		assert_int_not_equal(
		    json_scan(&guard, span_of(copy, i), &scan), ERR_OK);
		free(copy);
	}
	assert_int_equal(json_scan(&guard, span_of(text, n), &scan), ERR_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_what_is_json),
		cmocka_unit_test(refuses_what_is_not_json),
		cmocka_unit_test(flags_integers_beyond_2_53),
		cmocka_unit_test(refuses_u_0000_in_strings_41),
		cmocka_unit_test(refuses_bad_utf8_41),
		cmocka_unit_test(refuses_lone_surrogates_41),
		cmocka_unit_test(refuses_raw_controls),
		cmocka_unit_test(refuses_numbers_out_of_range_41),
		cmocka_unit_test(refuses_the_same_key_twice_41),
		cmocka_unit_test(many_different_keys_are_no_duplicates),
		cmocka_unit_test(generations_of_documents_do_not_mix),
		cmocka_unit_test(bounds_depth_41),
		cmocka_unit_test(bounds_tokens_41),
		cmocka_unit_test(finds_the_bytes_of_id),
		cmocka_unit_test(finds_the_items_of_a_batch),
		cmocka_unit_test(members_are_case_sensitive_and_null_is_absent),
		cmocka_unit_test(parses_to_the_very_end),
		cmocka_unit_test(integers_are_exact_or_refused),
		cmocka_unit_test(every_prefix_of_a_request_is_safe),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
