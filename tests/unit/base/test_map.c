/* The map against an array that is simply looked through. */
#include "proto/base/map.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { KEYS = 700, STEPS = 60000 };

static void
it_holds_what_was_put_and_nothing_else(void **state)
{
	struct test_rng t;
	struct map m;
	int *want[KEYS] = { NULL };
	int values[8];
	size_t n = 0;

	(void)state;
	test_rng_init(&t, test_seed(21));
	map_init(&m, sizeof(uint32_t), &t.rng);
	for (int i = 0; i < STEPS; i++) {
		uint32_t k = rng_below(&t.rng, KEYS);

		if (rng_below(&t.rng, 5) < 3) {
			n += want[k] == NULL;
			want[k] = &values[rng_below(&t.rng, 8)];
			assert_int_equal(map_put(&m, &k, want[k]), ERR_OK);
		} else {
			n -= want[k] != NULL;
			assert_ptr_equal(map_del(&m, &k), want[k]);
			want[k] = NULL;
		}
		assert_int_equal(m.n, n);
		k = rng_below(&t.rng, KEYS);
		assert_ptr_equal(map_get(&m, &k), want[k]);
	}
	for (uint32_t k = 0; k < KEYS; k++)
		assert_ptr_equal(map_get(&m, &k), want[k]);
	map_clear(&m);
}

static void
replacing_takes_no_room(void **state)
{
	struct test_rng t;
	struct map m;
	int old, new;

	(void)state;
	test_rng_init(&t, test_seed(23));
	map_init(&m, sizeof(uint32_t), &t.rng);
	for (uint32_t k = 0; k < KEYS; k++) {
		size_t cap;

		assert_int_equal(map_put(&m, &k, &old), ERR_OK);
		cap = m.cap;
		assert_int_equal(map_put(&m, &k, &new), ERR_OK);
		assert_int_equal(m.cap, cap);
		assert_int_equal(m.n, k + 1);
		assert_ptr_equal(map_get(&m, &k), &new);
	}
	map_clear(&m);
}

static void
a_walk_meets_every_entry_once(void **state)
{
	struct test_rng t;
	struct map m;
	unsigned seen[100] = { 0 };
	unsigned *v;
	size_t at = 0;

	(void)state;
	test_rng_init(&t, 22);
	map_init(&m, 1, &t.rng);
	for (uint8_t k = 0; k < 100; k++)
		assert_int_equal(map_put(&m, &k, &seen[k]), ERR_OK);
	while ((v = map_each(&m, &at)))
		(*v)++;
	for (int i = 0; i < 100; i++)
		assert_int_equal(seen[i], 1);
	map_clear(&m);
}

static void
an_empty_map_answers_and_can_be_cleared(void **state)
{
	struct test_rng t;
	struct map m;
	uint8_t key[MAP_KEY_MAX] = { 0 };
	size_t at = 0;

	(void)state;
	test_rng_init(&t, 23);
	map_init(&m, MAP_KEY_MAX, &t.rng);
	assert_null(map_get(&m, key));
	assert_null(map_del(&m, key));
	assert_null(map_each(&m, &at));
	map_clear(&m);
	assert_int_equal(map_put(&m, key, key), ERR_OK); /* usable again */
	assert_ptr_equal(map_get(&m, key), key);
	map_clear(&m);
}

static void
keys_are_compared_to_their_last_byte(void **state)
{
	struct test_rng t;
	struct map m;
	uint8_t a[20] = { 0 };
	uint8_t b[20] = { 0 };

	(void)state;
	test_rng_init(&t, 24);
	map_init(&m, sizeof(a), &t.rng);
	b[19] = 1;
	assert_int_equal(map_put(&m, a, a), ERR_OK);
	assert_null(map_get(&m, b));
	assert_int_equal(map_put(&m, b, b), ERR_OK);
	assert_int_equal(m.n, 2);
	assert_ptr_equal(map_del(&m, a), a);
	assert_ptr_equal(map_get(&m, b), b);
	map_clear(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_holds_what_was_put_and_nothing_else),
		cmocka_unit_test(replacing_takes_no_room),
		cmocka_unit_test(a_walk_meets_every_entry_once),
		cmocka_unit_test(an_empty_map_answers_and_can_be_cleared),
		cmocka_unit_test(keys_are_compared_to_their_last_byte),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
