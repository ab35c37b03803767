/*
 * Somebody's state is put back to an older copy: of a virtual machine, of a
 * disk, of a directory. His program does not know it, begins with the numbers
 * of then, and his contacts have seen them used. Nothing that is written from
 * then on may be lost, and nothing may be shown twice. [SPEC §7.6]
 */
#include "tests/sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	CROWD = 10,
	SETTLED_MS = 20000,
	SOON_MS = 3 * 60 * 1000,
	SEEDS = 4,
};

/* How many texts in each part of the story. */
struct story {
	uint32_t n_before; /* each way, before the copy is made */
	uint32_t n_open;   /* of his, on the way when it is made */
	uint32_t n_lost;   /* each way, after it */
	uint32_t n_again;  /* each way, after the return */
	bool is_late;      /* he writes when they are online again */
};

static const struct story stories[] = {
	{ 0, 0, 1, 1, false },
	{ 3, 0, 2, 1, false },
	{ 3, 0, 2, 2, false },
	{ 3, 0, 2, 5, false },
	{ 3, 0, 0, 3, false },
	{ 3, 0, 5, 0, false },
	{ 3, 2, 3, 2, false },
	{ 2, 2, 0, 3, true },
	{ 3, 0, 4, 2, true },
	{ 3, 0, 4, 4, true },
	{ 0, 3, 0, 1, true },
};

static struct sim *
new_world(uint64_t seed)
{
	struct sim *s = sim_pair(seed, CROWD, SETTLED_MS);

	assert_true(sim_add(s, 0, 1));
	assert_true(sim_add(s, 1, 0));
	return s;
}

static void
expect(struct sim *s, size_t story, uint64_t seed, bool (*done)(struct sim *s),
    const char *what)
{
	bool is_done = sim_run(s, s->now_ms + SOON_MS, done);

	if (s->check.failed)
		fail_msg("story %zu, seed %llu, %s: %s", story,
		    (unsigned long long)seed, what, s->check.why);
	if (!is_done)
		fail_msg("story %zu, seed %llu: not %s", story,
		    (unsigned long long)seed, what);
}

static void
write_both(struct sim *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		assert_true(sim_write(s, 0, 1, 40));
		assert_true(sim_write(s, 1, 0, 40));
	}
}

static void
play(size_t i, uint64_t seed)
{
	const struct story *t = &stories[i];
	struct sim *s = new_world(seed);
	struct disk image;

	expect(s, i, seed, sim_pair_ready, "ready at first");
	write_both(s, t->n_before);
	expect(s, i, seed, sim_all_delivered, "delivered before");
	for (uint32_t k = 0; k < t->n_open; k++)
		assert_true(sim_write(s, 0, 1, 40));
	disk_copy(&s->nodes[0].disk, &image);
	write_both(s, t->n_lost);
	expect(s, i, seed, sim_all_delivered, "delivered after the copy");
	sim_restore(s, 0, &image);
	disk_clear(&image);
	if (t->is_late)
		expect(s, i, seed, sim_pair_online, "online again");
	write_both(s, t->n_again);
	expect(s, i, seed, sim_all_delivered, "delivered after the return");
	write_both(s, 1);
	expect(s, i, seed, sim_all_delivered, "delivered at last");
	check_history(&s->check);
	assert_false(s->check.failed);
	sim_free(s);
}

static void
an_older_disk_loses_and_doubles_nothing_that_follows(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(stories) / sizeof(stories[0]); i++)
		for (uint64_t seed = 1; seed <= SEEDS; seed++)
			play(i, seed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    an_older_disk_loses_and_doubles_nothing_that_follows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
