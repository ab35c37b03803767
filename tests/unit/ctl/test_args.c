/* Option parsing. */
#include "ctl/args.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { WORDS_MAX = 64, TEXT_MAX = 512 };

/* Where the words of the last command line are; args borrows them. */
static char line[TEXT_MAX];

/* Parses the words of text, which '|' divides. */
static enum err
parse(struct args *a, const char *text, char *why)
{
	char program[] = "btchatctl";
	char *argv[WORDS_MAX] = { program };
	char *rest = line, *word = NULL;
	int argc = 1;

	assert_true(strlen(text) < sizeof(line));
	memcpy(line, text, strlen(text) + 1);
	while ((word = strsep(&rest, "|")) != NULL) {
		assert_true(argc < WORDS_MAX);
		argv[argc++] = word;
	}
	return args_parse(a, argc, argv, why);
}

static void
options_stand_anywhere_and_words_keep_their_order(void **state)
{
	char why[ARGS_WHY_SIZE] = "";
	struct args a;

	(void)state;
	assert_int_equal(
	    parse(&a,
	        "-q|send|--wait|bob|-n5|--name=x y|-|-S|sock|--|--name|-q",
	        why),
	    ERR_OK);
	assert_int_equal(args_count(&a), 5);
	assert_string_equal(args_word(&a, 0), "send");
	assert_string_equal(args_word(&a, 1), "bob");
	assert_string_equal(args_word(&a, 2), "-");
	assert_string_equal(args_word(&a, 3), "--name");
	assert_string_equal(args_word(&a, 4), "-q");
	assert_null(args_word(&a, 5));
	assert_true(args_has(&a, "wait"));
	assert_null(args_value(&a, "wait"));
	assert_string_equal(args_value(&a, "lines"), "5");
	assert_string_equal(args_value(&a, "name"), "x y");
	assert_string_equal(args_value(&a, "socket"), "sock");
	assert_false(args_has(&a, "yes"));
	args_clear(&a);
}

static void
the_last_value_of_an_option_counts(void **state)
{
	char why[ARGS_WHY_SIZE] = "";
	struct args a;

	(void)state;
	assert_int_equal(parse(&a, "--name|a|--name=b|-qy", why), ERR_OK);
	assert_string_equal(args_value(&a, "name"), "b");
	assert_true(args_has(&a, "quiet"));
	assert_true(args_has(&a, "yes"));
	args_clear(&a);
}

static void
mistakes_are_refused_with_a_reason(void **state)
{
	static const char *const bad[] = { "--nonsense", "-x", "--quiet=1",
		"--name", "-S", "--nam", "-qx", "--=1" };
	struct args a;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		char why[ARGS_WHY_SIZE] = "";

		assert_int_equal(parse(&a, bad[i], why), ERR_MALFORMED);
		assert_string_not_equal(why, "");
		args_clear(&a);
	}
}

static void
more_options_than_there_is_room_for_are_refused(void **state)
{
	char why[ARGS_WHY_SIZE] = "", text[TEXT_MAX] = "-q";
	struct args a;

	(void)state;
	for (size_t i = 1; i < ARGS_OPTIONS_MAX; i++)
		memcpy(text + 3 * i - 1, "|-q", 4);
	assert_int_equal(parse(&a, text, why), ERR_OK);
	args_clear(&a);
	memcpy(text + strlen(text), "|-q", 4);
	assert_int_equal(parse(&a, text, why), ERR_LIMIT);
	args_clear(&a);
}

static void
an_option_of_another_command_is_found(void **state)
{
	char why[ARGS_WHY_SIZE] = "";
	struct args a;

	(void)state;
	assert_int_equal(parse(&a, "--wait|-q|--since|x", why), ERR_OK);
	assert_null(args_foreign(&a, "since wait"));
	assert_string_equal(args_foreign(&a, "wait"), "since");
	assert_string_equal(args_foreign(&a, "waiting since"), "wait");
	assert_string_equal(args_foreign(&a, ""), "wait");
	args_clear(&a);
}

static void
numbers_are_whole_and_bounded(void **state)
{
	uint64_t v = 7;

	(void)state;
	assert_int_equal(args_number("0", 10, &v), ERR_OK);
	assert_int_equal(v, 0);
	assert_int_equal(args_number("10", 10, &v), ERR_OK);
	assert_int_equal(v, 10);
	assert_int_equal(args_number("11", 10, &v), ERR_LIMIT);
	assert_int_equal(
	    args_number("18446744073709551615", UINT64_MAX, &v), ERR_OK);
	assert_true(v == UINT64_MAX);
	assert_int_equal(
	    args_number("18446744073709551616", UINT64_MAX, &v), ERR_LIMIT);
	assert_int_equal(args_number("7", 5, &v), ERR_LIMIT);
	assert_int_equal(args_number("", 10, &v), ERR_MALFORMED);
	assert_int_equal(args_number("-1", 10, &v), ERR_MALFORMED);
	assert_int_equal(args_number("1 ", 10, &v), ERR_MALFORMED);
	assert_true(v == UINT64_MAX); /* untouched by failures */
}

static void
seconds_have_up_to_three_decimals(void **state)
{
	uint64_t ms = 0;

	(void)state;
	assert_int_equal(args_seconds("2", &ms), ERR_OK);
	assert_int_equal(ms, 2000);
	assert_int_equal(args_seconds("0.5", &ms), ERR_OK);
	assert_int_equal(ms, 500);
	assert_int_equal(args_seconds("1.025", &ms), ERR_OK);
	assert_int_equal(ms, 1025);
	assert_int_equal(args_seconds("1.0255", &ms), ERR_MALFORMED);
	assert_int_equal(args_seconds("1.", &ms), ERR_MALFORMED);
	assert_int_equal(args_seconds(".5", &ms), ERR_MALFORMED);
	assert_int_equal(args_seconds("99999999", &ms), ERR_LIMIT);
	assert_int_equal(args_seconds("99999999999999999", &ms), ERR_LIMIT);
}

static void
spans_have_a_unit(void **state)
{
	uint64_t s = 0;

	(void)state;
	assert_int_equal(args_span_s("90", &s), ERR_OK);
	assert_int_equal(s, 90);
	assert_int_equal(args_span_s("15m", &s), ERR_OK);
	assert_int_equal(s, 900);
	assert_int_equal(args_span_s("12h", &s), ERR_OK);
	assert_int_equal(s, 43200);
	assert_int_equal(args_span_s("7d", &s), ERR_OK);
	assert_int_equal(s, 604800);
	assert_int_equal(args_span_s("5s", &s), ERR_OK);
	assert_int_equal(s, 5);
	assert_int_equal(args_span_s("", &s), ERR_MALFORMED);
	assert_int_equal(args_span_s("d", &s), ERR_MALFORMED);
	assert_int_equal(args_span_s("7w", &s), ERR_MALFORMED);
	assert_int_equal(args_span_s("7dd", &s), ERR_MALFORMED);
	assert_int_equal(s, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    options_stand_anywhere_and_words_keep_their_order),
		cmocka_unit_test(the_last_value_of_an_option_counts),
		cmocka_unit_test(mistakes_are_refused_with_a_reason),
		cmocka_unit_test(
		    more_options_than_there_is_room_for_are_refused),
		cmocka_unit_test(an_option_of_another_command_is_found),
		cmocka_unit_test(numbers_are_whole_and_bounded),
		cmocka_unit_test(seconds_have_up_to_three_decimals),
		cmocka_unit_test(spans_have_a_unit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
