/*
 * Somebody's state is put back to an older copy: of a virtual machine, of a
 * disk, of a directory. His program does not know it, begins with the numbers
 * of then, and his contacts have seen them used. Nothing that is written from
 * then on may be lost, and nothing may be shown twice. [SPEC §7.6]
 * The same with a backup, which has no ratchets and no own keys. [SPEC §6.6]
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

static bool
the_other_is_gone(struct sim *s)
{
	return !s->nodes[0].online[1];
}

/* What followed it was numbered anew and has come; on the older disk it has
 * its first number, and what was taken back waits. All of it comes, once. */
static void
play_taken_back(uint64_t seed, uint32_t n_cancelled)
{
	struct sim *s = new_world(seed);
	struct disk image;

	expect(s, n_cancelled, seed, sim_pair_ready, "ready at first");
	write_both(s, 1);
	expect(s, n_cancelled, seed, sim_all_delivered, "delivered before");
	sim_crash(s, 1);
	expect(s, n_cancelled, seed, the_other_is_gone, "alone");
	for (uint32_t k = 0; k < 4; k++)
		assert_true(sim_write(s, 0, 1, 40));
	disk_copy(&s->nodes[0].disk, &image);
	for (uint32_t k = 0; k < n_cancelled; k++)
		assert_true(sim_cancel(s, 0, 1));
	assert_true(s->check.n_cancelled >= n_cancelled);
	sim_start(s, 1);
	expect(s, n_cancelled, seed, sim_all_delivered, "delivered after");
	sim_restore(s, 0, &image);
	disk_clear(&image);
	expect(s, n_cancelled, seed, sim_all_delivered, "delivered again");
	write_both(s, 1);
	expect(s, n_cancelled, seed, sim_all_delivered, "delivered at last");
	check_history(&s->check);
	assert_false(s->check.failed);
	sim_free(s);
}

static void
an_older_disk_sends_what_was_taken_back_since(void **state)
{
	(void)state;
	for (uint32_t n = 1; n <= 4; n++)
		for (uint64_t seed = 1; seed <= 2 * SEEDS; seed++)
			play_taken_back(seed, n);
}

/* ---- backups ---- */

/* What a backup has of a disk: no keys of ratchets, no own record. */
static void
make_backup(struct disk *image)
{
	image->self.n = 0;
	for (size_t i = 0; i < image->n_contacts; i++) {
		struct disk_record *r = &image->contacts[i].record;
		uint8_t buf[NODE_RECORD_MAX];
		struct writer w = wr_init(buf, sizeof(buf));

		assert_int_equal(
		    node_backup_contact(span_of(r->b, r->n), &w), ERR_OK);
		assert_false(w.bad);
		memcpy(r->b, buf, w.n);
		r->n = w.n;
	}
}

/* Hours in which they talk: ratchets go on, the backup grows old. */
static void
let_hours_pass(struct sim *s, uint64_t seed, unsigned hours)
{
	for (unsigned i = 0; i < hours; i++) {
		(void)sim_run(s, s->now_ms + 62 * 60 * 1000, NULL);
		write_both(s, 1);
		expect(s, hours, seed, sim_all_delivered, "delivered hourly");
	}
}

static void
play_backup(unsigned hours, uint64_t seed)
{
	struct sim *s = new_world(seed);
	struct disk image;

	expect(s, hours, seed, sim_pair_ready, "ready at first");
	write_both(s, 3);
	expect(s, hours, seed, sim_all_delivered, "delivered before");
	disk_copy(&s->nodes[0].disk, &image);
	make_backup(&image);
	let_hours_pass(s, seed, hours);
	assert_int_equal(s->nodes[0].n_fallbacks, 0);
	sim_restore(s, 0, &image);
	disk_clear(&image);
	write_both(s, 2);
	expect(s, hours, seed, sim_all_delivered, "delivered after it");
	for (unsigned i = 0; i < 2; i++)
		if (s->nodes[i].n_fallbacks != (hours > 0))
			fail_msg("%u hours, seed %llu: p%u has %u events",
			    hours, (unsigned long long)seed, i,
			    (unsigned)s->nodes[i].n_fallbacks);
	write_both(s, 1);
	expect(s, hours, seed, sim_all_delivered, "delivered at last");
	check_history(&s->check);
	assert_false(s->check.failed);
	sim_free(s);
}

/* Hostile input 16. */
static void
both_sides_talk_after_a_backup_with_one_event_each(void **state)
{
	(void)state;
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		play_backup(0, seed);
		play_backup(4, seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    an_older_disk_loses_and_doubles_nothing_that_follows),
		cmocka_unit_test(an_older_disk_sends_what_was_taken_back_since),
		cmocka_unit_test(
		    both_sides_talk_after_a_backup_with_one_event_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
