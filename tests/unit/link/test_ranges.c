/* Sets of ranges against a plain array of booleans. */
#include "proto/link/ranges.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { SPACE = 200 };

static void
check(const struct ranges *s, const bool *model)
{
	assert_true(s->n <= RANGES_MAX);
	for (uint32_t i = 0; i < s->n; i++) {
		assert_true(s->r[i].lo < s->r[i].hi);
		assert_true(i == 0 || s->r[i - 1].hi < s->r[i].lo);
	}
	for (uint64_t x = 0; x < SPACE; x++)
		assert_int_equal(ranges_has(s, x), model[x]);
}

/* How many ranges the model needs. */
static uint32_t
runs(const bool *model)
{
	uint32_t n = 0;

	for (unsigned x = 0; x < SPACE; x++)
		n += model[x] && (x == 0 || !model[x - 1]);
	return n;
}

static void
change(struct ranges *s, bool *model, struct rng *rng)
{
	bool next[SPACE], add = rng_below(rng, 2);
	uint64_t lo = rng_below(rng, SPACE), hi = lo + rng_below(rng, 9);
	enum err err;

	if (hi > SPACE)
		hi = SPACE;
	memcpy(next, model, sizeof(next));
	for (uint64_t x = lo; x < hi; x++)
		next[x] = add;
	err = add ? ranges_add(s, lo, hi) : ranges_remove(s, lo, hi);
	if (runs(next) > RANGES_MAX) {
		assert_int_equal(err, ERR_LIMIT);
		return; /* unchanged, which check() sees */
	}
	assert_int_equal(err, ERR_OK);
	memcpy(model, next, sizeof(next));
}

static void
random_changes_agree_with_a_model(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(1));
	for (unsigned i = 0; i < test_rounds(200); i++) {
		struct ranges s = { 0 };
		bool model[SPACE] = { false };

		for (unsigned k = 0; k < 300; k++) {
			change(&s, model, &t.rng);
			check(&s, model);
		}
		ranges_cut_below(&s, 50);
		memset(model, 0, 50 * sizeof(model[0]));
		check(&s, model);
	}
}

static void
the_33rd_range_is_refused(void **state)
{
	struct ranges s = { 0 };

	(void)state;
	for (uint64_t i = 0; i < RANGES_MAX; i++)
		assert_int_equal(ranges_add(&s, 2 * i, 2 * i + 1), ERR_OK);
	assert_int_equal(ranges_add(&s, 100, 101), ERR_LIMIT);
	assert_int_equal(ranges_add(&s, 1, 2), ERR_OK); /* joins two */
	assert_int_equal(s.n, RANGES_MAX - 1);
	assert_int_equal(ranges_add(&s, 100, 101), ERR_OK);
	assert_int_equal(ranges_remove(&s, 1, 2), ERR_LIMIT); /* splits */
	ranges_drop_lowest(&s);
	assert_int_equal(s.r[0].lo, 4);
	assert_true(ranges_meets(&s, 0, 5));
	assert_false(ranges_meets(&s, 0, 4));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(random_changes_agree_with_a_model),
		cmocka_unit_test(the_33rd_range_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
