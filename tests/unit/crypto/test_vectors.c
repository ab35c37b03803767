/* Every file of known answers, each folder a test. */
#include "tests/support/vectors.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
run(const char *path, unsigned at_least)
{
	struct vectors v = { 0 };

	vectors_run(&v, path);
	vectors_report(&v);
	assert_int_equal(v.failed, 0);
	assert_int_equal(v.skipped, 0);
	assert_true(v.passed >= at_least);
}

static void
noise_gives_the_bytes_of_other_implementations(void **state)
{
	(void)state;
	run("tests/vectors/noise", 39);
}

static void
bech32m_gives_the_verdicts_of_bip_350(void **state)
{
	(void)state;
	run("tests/vectors/bech32m", 8);
}

static void
the_dht_gives_the_answers_of_bep_42_and_44(void **state)
{
	(void)state;
	run("tests/vectors/bep", 8);
}

static void
our_own_formulas_give_our_own_answers(void **state)
{
	(void)state;
	run("tests/vectors/btchat", 454);
}

/* The runner itself: a wrong byte must show. */
static void
a_wrong_answer_is_noticed(void **state)
{
	cJSON *json = json_load("tests/vectors/noise/SHA256.json");
	cJSON *first = cJSON_GetArrayItem(
	    cJSON_GetObjectItemCaseSensitive(json, "vectors"), 0);
	cJSON *message = cJSON_GetArrayItem(
	    cJSON_GetObjectItemCaseSensitive(first, "messages"), 2);
	struct vectors v = { .file = "a copy with a wrong byte" };

	(void)state;
	assert_non_null(message);
	cJSON_ReplaceItemInObjectCaseSensitive(
	    message, "ciphertext", cJSON_CreateString("00"));
	assert_true(vectors_noise(&v, json));
	assert_int_equal(v.failed, 1);
	assert_int_equal(v.passed, 12);
	cJSON_Delete(json);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    noise_gives_the_bytes_of_other_implementations),
		cmocka_unit_test(bech32m_gives_the_verdicts_of_bip_350),
		cmocka_unit_test(the_dht_gives_the_answers_of_bep_42_and_44),
		cmocka_unit_test(our_own_formulas_give_our_own_answers),
		cmocka_unit_test(a_wrong_answer_is_noticed),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
