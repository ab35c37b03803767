/* JSON values, times and the distance of words. */
#include "ctl/command.h"
#include "ctl/value.h"
#include "ctl/when.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Writes what was parsed from text and compares. */
static void
written(const char *text, const char *want)
{
	cJSON *v = cJSON_Parse(text);
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);

	assert_non_null(v);
	assert_non_null(f);
	value_write(f, v);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(out, want);
	free(out);
	cJSON_Delete(v);
}

static void
values_come_out_as_they_went_in(void **state)
{
	static const char *const texts[] = { "{}", "[]", "null", "true",
		"{\"a\":1,\"b\":[],\"c\":{\"d\":[1,2,{\"e\":null}]}}",
		"{\"f\":\"\"}", "[[[[]]],[{}],false]", "\"\\u001b\"", "-5",
		"1.5" };

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		written(texts[i], texts[i]);
}

static void
whole_numbers_are_written_in_full(void **state)
{
	(void)state;
	written("9007199254740991", "9007199254740991");
	written("-9007199254740991", "-9007199254740991");
	written("1795179476622", "1795179476622");
	written("1e300", "1.0000000000000001e+300");
}

static void
an_element_is_written_without_its_neighbours(void **state)
{
	cJSON *v = cJSON_Parse("[{\"a\":1},{\"a\":2}]");
	char *out = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&out, &n);

	(void)state;
	value_write(f, v->child);
	assert_int_equal(fclose(f), 0);
	assert_string_equal(out, "{\"a\":1}");
	free(out);
	cJSON_Delete(v);
}

static void
members_are_found_by_exact_name_and_path(void **state)
{
	cJSON *v = cJSON_Parse("{\"A\":\"x\",\"a\":{\"b\":{\"c\":\"y\"}},"
	                       "\"n\":-3,\"big\":1e300,\"t\":true}");

	(void)state;
	assert_string_equal(value_str(v, "A"), "x");
	assert_string_equal(value_str(v, "a.b.c"), "y");
	assert_string_equal(value_str(v, "a.b"), "");
	assert_string_equal(value_str(v, "a.b.c.d"), "");
	assert_string_equal(value_str(NULL, "a"), "");
	assert_int_equal(value_u64(v, "n"), 0);
	assert_true(value_u64(v, "big") == UINT64_C(9007199254740992));
	assert_true(value_true(v, "t"));
	assert_false(value_true(v, "A"));
	assert_int_equal(value_count(v, "a"), 0);
	cJSON_Delete(v);
}

static void
times_are_rfc3339_or_spans(void **state)
{
	char text[WHEN_SIZE];

	(void)state;
	when_utc(UINT64_C(1795179476622), text);
	assert_string_equal(text, "2026-11-20T12:57:56.622Z");
	when_utc(0, text);
	assert_string_equal(text, "1970-01-01T00:00:00.000Z");
	when_utc(UINT64_MAX, text);
	assert_int_equal(strlen(text), 24);
	when_span(0, text);
	assert_string_equal(text, "0 s");
	when_span(UINT64_C(273600000), text);
	assert_string_equal(text, "3 d 4 h");
	when_span(UINT64_C(3600000), text);
	assert_string_equal(text, "1 h");
	when_span(UINT64_C(61000), text);
	assert_string_equal(text, "1 min 1 s");
	when_ago(0, 1000, text);
	assert_string_equal(text, "never");
	when_ago(1000, 2000, text);
	assert_string_equal(text, "now");
	when_ago(1, 300001, text);
	assert_string_equal(text, "5 min ago");
	when_ago(5000, 1000, text); /* a clock that went back */
	assert_string_equal(text, "now");
}

static void
distance_counts_edits_and_swaps(void **state)
{
	(void)state;
	assert_int_equal(command_distance("send", "send"), 0);
	assert_int_equal(command_distance("sned", "send"), 1);
	assert_int_equal(command_distance("snd", "send"), 1);
	assert_int_equal(command_distance("sennd", "send"), 1);
	assert_int_equal(command_distance("", "log"), 3);
	assert_int_equal(command_distance("tail", "log"), 4);
	assert_true(command_distance("an-extremely-long-word-that-is-none",
	                "log") == SIZE_MAX);
}

static void
every_command_is_complete_and_there_once(void **state)
{
	(void)state;
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *c = &command_table[i];

		assert_non_null(c->run);
		assert_true(c->min_words <= c->max_words);
		assert_true(strlen(c->summary) > 0);
		for (size_t j = 0; j < i; j++) {
			const struct command *d = &command_table[j];

			if (strcmp(c->noun, d->noun) != 0)
				continue;
			assert_non_null(c->verb);
			assert_non_null(d->verb);
			assert_string_not_equal(c->verb, d->verb);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_come_out_as_they_went_in),
		cmocka_unit_test(whole_numbers_are_written_in_full),
		cmocka_unit_test(an_element_is_written_without_its_neighbours),
		cmocka_unit_test(members_are_found_by_exact_name_and_path),
		cmocka_unit_test(times_are_rfc3339_or_spans),
		cmocka_unit_test(distance_counts_edits_and_swaps),
		cmocka_unit_test(every_command_is_complete_and_there_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
