/* Write tokens: for one address and one target, for five to ten minutes. */
#include "proto/dht/token.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct world {
	struct test_rng rng;
	struct token_keys keys;
	struct endpoint at;
	struct target target;
	uint8_t token[TOKEN_SIZE];
};

static void
begin(struct world *w, uint64_t now_ms)
{
	static const uint8_t addr[4] = { 1, 2, 3, 4 };

	test_rng_init(&w->rng, test_seed(1));
	token_init(&w->keys, &w->rng.rng, now_ms);
	w->at = endpoint_v4(addr, 5);
	memset(&w->target, 7, sizeof(w->target));
	token_make(&w->keys, &w->at, &w->target, now_ms, w->token);
}

static bool
check(struct world *w, uint64_t now_ms)
{
	return token_check(&w->keys, &w->at, &w->target, now_ms,
	    span_of(w->token, sizeof(w->token)));
}

static void
a_token_lives_through_one_change_of_secret(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 1000);
	assert_true(check(&w, 1000));
	assert_true(check(&w, 1000 + TOKEN_SECRET_MS - 1));
	assert_true(check(&w, 1000 + TOKEN_SECRET_MS));
	assert_true(check(&w, 1000 + 2 * TOKEN_SECRET_MS - 1));
	assert_false(check(&w, 1000 + 2 * TOKEN_SECRET_MS));
}

static void
a_token_is_dead_after_a_long_silence(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0);
	assert_false(check(&w, 2 * TOKEN_SECRET_MS));
	begin(&w, 0);
	assert_false(check(&w, UINT64_C(1000) * TOKEN_SECRET_MS));
}

static void
a_token_belongs_to_one_address_and_one_target(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0);
	w.at.port++; /* the port may change behind a NAT */
	assert_true(check(&w, 0));
	w.at.addr[15]++;
	assert_false(check(&w, 0));
	w.at.addr[15]--;
	w.target.b[19]++;
	assert_false(check(&w, 0));
}

static void
a_token_of_another_length_or_with_a_bit_changed_is_refused(void **state)
{
	struct world w;

	(void)state;
	begin(&w, 0);
	assert_false(token_check(
	    &w.keys, &w.at, &w.target, 0, span_of(w.token, TOKEN_SIZE - 1)));
	assert_false(
	    token_check(&w.keys, &w.at, &w.target, 0, span_of(NULL, 0)));
	for (unsigned bit = 0; bit < 8 * TOKEN_SIZE; bit++) {
		w.token[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_false(check(&w, 0));
		w.token[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_true(check(&w, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_lives_through_one_change_of_secret),
		cmocka_unit_test(a_token_is_dead_after_a_long_silence),
		cmocka_unit_test(a_token_belongs_to_one_address_and_one_target),
		cmocka_unit_test(
		    a_token_of_another_length_or_with_a_bit_changed_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
