/* The writer: bounded, comma-correct, and safe to show on a terminal. */
#include "daemon/json.h"
#include "daemon/json_out.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct json_guard guard;

static void
check(const struct json_out *o, const char *want)
{
	assert_false(o->bad);
	assert_int_equal(o->n, strlen(want));
	assert_memory_equal(o->p, want, o->n);
}

static void
puts_commas_where_they_belong(void **state)
{
	struct json_out o = { .max = 1000 };

	(void)state;
	json_open(&o, '{');
	json_put_int(&o, "a", -1);
	json_put_open(&o, "b", '[');
	json_close(&o, ']');
	json_put_open(&o, "c", '[');
	json_int(&o, 1);
	json_str(&o, "x");
	json_null(&o);
	json_bool(&o, true);
	json_word(&o, "y");
	json_open(&o, '{');
	json_close(&o, '}');
	json_close(&o, ']');
	json_put_word(&o, "w", "");
	json_put_bool(&o, "d", false);
	json_put_raw(&o, "e", span_str("[7]"));
	json_close(&o, '}');
	json_line(&o);
	check(&o, "{\"a\":-1,\"b\":[],\"c\":[1,\"x\",null,true,\"y\",{}],"
	          "\"w\":\"\",\"d\":false,"
	          "\"e\":[7]}\n");
	json_out_clear(&o);
}

static void
writes_integers_within_2_53(void **state)
{
	struct json_out o = { .max = 1000 };

	(void)state;
	json_open(&o, '[');
	json_int(&o, INT64_MAX);
	json_int(&o, INT64_MIN);
	json_uint(&o, UINT64_MAX);
	json_uint(&o, 9007199254740991);
	json_close(&o, ']');
	check(&o, "[9007199254740991,-9007199254740991,9007199254740991,"
	          "9007199254740991]");
	json_out_clear(&o);
}

/* Two digits at once: around each power of ten, with and without a sign. */
static void
integers_of_any_length_are_written_whole(void **state)
{
	struct json_out o = { .max = 1000 };
	char want[32];

	(void)state;
	for (int64_t ten = 1; ten <= 1000000000000000; ten *= 10) {
		for (int64_t v = ten - 2; v <= ten + 2; v++) {
			json_out_cut(&o, 0);
			json_int(&o, v);
			(void)snprintf(want, sizeof(want), "%" PRId64, v);
			check(&o, want);
			json_out_cut(&o, 0);
			json_int(&o, -v);
			(void)snprintf(want, sizeof(want), "%" PRId64, -v);
			check(&o, want);
		}
	}
	json_out_clear(&o);
}

static void
text_is(const char *in, size_t n, const char *want)
{
	struct json_out o = { .max = 1000 };

	json_text(&o, span_of(in, n));
	check(&o, want);
	json_out_clear(&o);
}

/* Nothing that a peer wrote reaches a terminal raw. [hostile 26] */
static void
escapes_what_a_terminal_must_not_see_26(void **state)
{
	(void)state;
	text_is("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
	text_is("\0\x01\b\f\n\r\t\x1b\x7f", 9,
	    "\"\\u0000\\u0001\\b\\f\\n\\r\\t\\u001b\\u007f\"");
	text_is("\xc2\x9b", 2, "\"\\u009b\"");
	text_is("\xe2\x80\xae\xe2\x81\xa6", 6, "\"\\u202e\\u2066\"");
	text_is("\xe2\x80\xa8", 3, "\"\\u2028\"");
	text_is("\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 9,
	    "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"");
}

static void
replaces_what_is_not_utf8(void **state)
{
	(void)state;
	text_is("a\xff"
	        "b",
	    3,
	    "\"a\xef\xbf\xbd"
	    "b\"");
	text_is("\xc3", 1, "\"\xef\xbf\xbd\"");
	text_is("\xed\xa0\x80", 3, "\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\"");
}

/* Runs of plain bytes are found by eights. */
static void
a_byte_is_written_alike_wherever_it_stands(void **state)
{
	enum { N = 19 };
	struct json_out alone = { .max = 100 }, among = { .max = 100 };
	char in[N];

	(void)state;
	for (int c = 0; c < 0x100; c++) {
		char byte = (char)c;

		json_out_cut(&alone, 0);
		json_text(&alone, span_of(&byte, 1));
		for (size_t at = 0; at < N; at++) {
			memset(in, '~', N);
			in[at] = byte;
			json_out_cut(&among, 0);
			json_text(&among, span_of(in, N));
			assert_int_equal(among.n, alone.n + N - 1);
			assert_memory_equal(
			    among.p + 1 + at, alone.p + 1, alone.n - 2);
			for (size_t i = 0; i < N; i++)
				if (i != at)
					assert_int_equal('~',
					    among.p[1 + (i < at ? i
					                        : i + alone.n -
					                              3)]);
		}
	}
	json_out_clear(&alone);
	json_out_clear(&among);
}

/* Whatever the bytes: what comes out is JSON that the guard takes, except
 * for U+0000, which it refuses from clients. */
static void
any_text_becomes_good_json(void **state)
{
	struct json_scan scan;
	unsigned seed = 1;
	char in[64];

	(void)state;
	json_guard_init(&guard, 1);
	for (int round = 0; round < 20000; round++) {
		struct json_out o = { .max = 1000 };
		size_t n = (size_t)round % sizeof(in);

		for (size_t i = 0; i < n; i++) {
			seed = seed * 1103515245 + 12345;
			in[i] = (char)(seed >> 16 | 1);
		}
		json_text(&o, span_of(in, n));
		assert_false(o.bad);
		assert_int_equal(
		    json_scan(&guard, span_of(o.p, o.n), &scan), ERR_OK);
		for (size_t i = 0; i < o.n; i++)
			assert_true((uint8_t)o.p[i] >= 0x20);
		json_out_clear(&o);
	}
}

static void
is_bounded_and_stays_failed(void **state)
{
	struct json_out o = { .max = 10 };

	(void)state;
	json_str(&o, "12345678");
	assert_false(o.bad);
	json_str(&o, "x");
	assert_true(o.bad);
	assert_true(o.n <= 10);
	json_null(&o);
	assert_true(o.bad);
	json_out_cut(&o, 0);
	json_null(&o);
	check(&o, "null");
	json_out_clear(&o);
	assert_int_equal(o.max, 10);
}

static void
ids_and_bytes_have_their_written_forms(void **state)
{
	static const uint8_t id[16] = { 0 };
	struct json_out o = { .max = 1000 };

	(void)state;
	json_open(&o, '[');
	json_id(&o, id);
	json_base64(&o, span_of("\xff\xfe", 2));
	json_hex(&o, span_of("\xff\x01", 2));
	json_base64(&o, span_of("", 0));
	json_close(&o, ']');
	check(&o, "[\"aaaaaaaaaaaaaaaaaaaaaaaaaa\",\"__4\",\"ff01\",\"\"]");
	json_out_clear(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_commas_where_they_belong),
		cmocka_unit_test(writes_integers_within_2_53),
		cmocka_unit_test(integers_of_any_length_are_written_whole),
		cmocka_unit_test(escapes_what_a_terminal_must_not_see_26),
		cmocka_unit_test(replaces_what_is_not_utf8),
		cmocka_unit_test(a_byte_is_written_alike_wherever_it_stands),
		cmocka_unit_test(any_text_becomes_good_json),
		cmocka_unit_test(is_bounded_and_stays_failed),
		cmocka_unit_test(ids_and_bytes_have_their_written_forms),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
