/* Untrusted text before it is shown. */
#include "ctl/escape.h"

#include <locale.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
same(char *got, const char *want)
{
	assert_string_equal(got, want);
	free(got);
}

static void
ordinary_text_of_any_script_stays(void **state)
{
	static const char *const texts[] = { "", "hello", "na\xc3\xafve",
		"\xe4\xbd\xa0\xe5\xa5\xbd", "\xf0\x9f\x98\x80" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		same(escape_terminal(texts[i], true), texts[i]);
		same(escape_tsv(texts[i], false), texts[i]);
		same(escape_json(texts[i]), texts[i]);
	}
}

static void
what_steers_a_terminal_is_written_out_26(void **state)
{
	(void)state;
	same(escape_terminal("\033[31mred\007\177", false),
	    "\\u{1b}[31mred\\u{07}\\u{7f}");
	same(escape_terminal("a\xc2\x9b"
	                     "b\xe2\x80\xae"
	                     "c\xe2\x81\xa6",
	         false),
	    "a\\u{9b}b\\u{202e}c\\u{2066}");
	same(escape_tsv("\033\xe2\x80\xaa\r", false), "\\u{1b}\\u{202a}\\r");
	same(escape_json("\033\xe2\x80\xae\xf3\xa0\x81\x81"),
	    "\\u001b\\u202e\\udb40\\udc41");
}

static void
line_breaks_stay_or_become_a_sign(void **state)
{
	(void)state;
	same(escape_terminal("a\nb", false), "a\nb");
	same(escape_terminal("a\nb", true), "a\xe2\x8f\x8e"
	                                    "b");
	same(escape_tsv("a\nb\tc\\d", false), "a\\nb\\tc\\\\d");
	same(escape_tsv("a\nb\tc\\d\033", true), "a\\nb\\tc\\\\d\033");
	same(escape_json("a\nb\t\"c\"\\"), "a\\nb\\t\\\"c\\\"\\\\");
}

static void
bytes_that_are_not_utf8_are_written_out(void **state)
{
	(void)state;
	same(escape_terminal("a\xff", true), "a\\x{ff}");
	same(escape_terminal("\xc3", true), "\\x{c3}");
	same(escape_terminal("\xc0\xaf", true), "\\x{c0}\\x{af}");
	same(escape_terminal("\xed\xa0\x80", true), "\\x{ed}\\x{a0}\\x{80}");
	same(escape_json("\xf5"), "\\ufffd");
}

/* Of every string of up to three bytes: nothing raw is left. */
static void
no_short_string_leaves_anything_dangerous(void **state)
{
	char in[4] = "";

	(void)state;
	for (unsigned i = 1; i < 1 << 24; i += 1 + i % 97) {
		in[0] = (char)(i & 0xff);
		in[1] = (char)(i >> 8 & 0xff);
		in[2] = (char)(i >> 16);
		char *out = escape_terminal(in, true);

		for (const char *p = out; *p != '\0'; p++)
			assert_true((unsigned char)*p >= ' ' && *p != 0x7f);
		assert_null(strstr(out, "\xc2\x9b"));
		free(out);
	}
}

static void
width_counts_columns(void **state)
{
	(void)state;
	(void)setlocale(LC_CTYPE, "C.UTF-8");
	assert_int_equal(escape_width(""), 0);
	assert_int_equal(escape_width("abc"), 3);
	assert_int_equal(escape_width("na\xc3\xafve"), 5);
	assert_int_equal(escape_width("\xe4\xbd\xa0\xe5\xa5\xbd"), 4);
	assert_int_equal(escape_width("e\xcc\x81"), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_text_of_any_script_stays),
		cmocka_unit_test(what_steers_a_terminal_is_written_out_26),
		cmocka_unit_test(line_breaks_stay_or_become_a_sign),
		cmocka_unit_test(bytes_that_are_not_utf8_are_written_out),
		cmocka_unit_test(no_short_string_leaves_anything_dangerous),
		cmocka_unit_test(width_counts_columns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
