/* Each call to the disk and each allocation of the real store fails, once or
 * for ever, and the power is cut at each of them. All of them with
 * BTCHAT_LONG=1, else some by chance. */
#include "daemon/log.h"
#include "tests/support/rng.h"
#include "tests/torture/memory.h"
#include "tests/torture/play.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SAMPLES = 16, CPUS_MAX = 64 };

static struct test_rng dice;

/* The work is done by so many processes, if all places are tried. */
struct share {
	unsigned me, n;
};

/* Each process does its share; one that fails ends by a signal. */
static void
in_shares(
    void (*work)(struct share mine, struct play_fault f), struct play_fault f)
{
	unsigned n = (unsigned)sysconf(_SC_NPROCESSORS_ONLN);
	pid_t pids[CPUS_MAX];

	if (!getenv("BTCHAT_LONG")) {
		work((struct share){ 0, 1 }, f);
		return;
	}
	n = n < CPUS_MAX ? n : CPUS_MAX;
	for (unsigned i = 0; i < n; i++) {
		(void)fflush(NULL);
		pids[i] = fork();
		assert_true(pids[i] >= 0);
		if (pids[i] == 0) {
			(void)setenv("CMOCKA_TEST_ABORT", "1", 1);
			work((struct share){ i, n }, f);
			(void)fflush(NULL);
			_exit(0);
		}
	}
	for (unsigned i = 0; i < n; i++) {
		int status = 1;

		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
}

/* Tries the fault at each of n places, or at some. */
static void
everywhere(const struct story *t, struct share mine, struct play_fault f)
{
	static const int errors[] = { EIO, ENOSPC, EROFS, EDQUOT };
	struct play *p = play_new(t);
	unsigned n = f.memory ? play_memory_calls(p) : play_disk_calls(p);
	bool all = getenv("BTCHAT_LONG") || n < SAMPLES;
	unsigned tries = all ? n : (unsigned)SAMPLES;

	for (unsigned i = mine.me; i < tries; i += mine.n) {
		f.at = all ? i + 1 : 1 + rng_below(&dice.rng, n);
		f.error = errors[rng_below(&dice.rng, 4)];
		f.reopens = rng_below(&dice.rng, 2);
		play_fault(p, &f, &dice.rng);
	}
	if (mine.me == 0)
		print_message("%u of %u places\n", tries, n);
	play_free(p);
}

static void
each_story(struct share mine, struct play_fault f)
{
	everywhere(&story_life, mine, f);
	everywhere(&story_upgrade[0], mine, f);
	everywhere(&story_upgrade[1], mine, f);
}

static void
in_all_stories(struct play_fault f)
{
	in_shares(each_story, f);
}

/* Hostile input 52. */
static void
a_call_that_fails_once_loses_nothing(void **state)
{
	(void)state;
	in_all_stories((struct play_fault){ .disk = DISK_ONCE });
}

/* Hostile input 51, hostile input 54. */
static void
a_disk_that_is_full_loses_nothing(void **state)
{
	(void)state;
	in_all_stories((struct play_fault){ .disk = DISK_FULL });
}

/* Hostile input 52, hostile input 53. */
static void
a_kill_at_any_call_loses_nothing(void **state)
{
	(void)state;
	in_all_stories((struct play_fault){
	    .disk = DISK_FOR_EVER, .dies = true, .keeps = DISK_KEEPS_ALL });
}

static void
a_cut_that_keeps_what_was_synced_loses_nothing(void **state)
{
	(void)state;
	in_all_stories((struct play_fault){
	    .disk = DISK_FOR_EVER, .dies = true, .keeps = DISK_KEEPS_NOTHING });
}

/* Hostile input 53. */
static void
a_cut_that_tears_sectors_loses_nothing(void **state)
{
	(void)state;
	in_all_stories((struct play_fault){
	    .disk = DISK_FOR_EVER, .dies = true, .keeps = DISK_KEEPS_SOME });
}

/* Hostile input 59. */
static void
an_allocation_that_fails_once_loses_nothing(void **state)
{
	(void)state;
	in_all_stories((struct play_fault){ .memory = true });
}

/* Hostile input 59. */
static void
no_memory_any_more_loses_nothing(void **state)
{
	(void)state;
	in_all_stories((struct play_fault){ .memory = true,
	    .for_ever = true,
	    .dies = true,
	    .keeps = DISK_KEEPS_SOME });
}

/* Disk and memory, once and for ever. Of the disk, always all. */
static void
look_everywhere(struct share mine, struct play_fault f)
{
	struct play *p = play_new(&story_life);
	bool all = getenv("BTCHAT_LONG") || !f.memory;
	unsigned n = 1 + mine.me;

	while (play_look(p, f.memory, f.for_ever, n))
		n += all ? mine.n : 1 + rng_below(&dice.rng, 60);
	print_message("to place %u\n", n);
	play_free(p);
}

static void
what_is_read_while_calls_fail_is_right_or_an_error(void **state)
{
	(void)state;
	for (int how = 0; how < 4; how++)
		in_shares(
		    look_everywhere, (struct play_fault){ .memory = how & 1,
		                         .for_ever = how & 2 });
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test(f)
		T(a_call_that_fails_once_loses_nothing),
		T(a_disk_that_is_full_loses_nothing),
		T(a_kill_at_any_call_loses_nothing),
		T(a_cut_that_keeps_what_was_synced_loses_nothing),
		T(a_cut_that_tears_sectors_loses_nothing),
		T(an_allocation_that_fails_once_loses_nothing),
		T(no_memory_any_more_loses_nothing),
		T(what_is_read_while_calls_fail_is_right_or_an_error),
	};

	log_init(LOG_ERR, false);
	memory_begin();
	test_rng_init(&dice, test_seed((uint64_t)getpid()));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
