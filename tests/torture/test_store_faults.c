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
#include <unistd.h>

#include <cmocka.h>

enum { SAMPLES = 16 };

static struct test_rng dice;

/* Tries the fault at each of n places, or at some. */
static void
everywhere(const struct story *t, struct play_fault f)
{
	static const int errors[] = { EIO, ENOSPC, EROFS, EDQUOT };
	struct play *p = play_new(t);
	unsigned n = f.memory ? play_memory_calls(p) : play_disk_calls(p);
	bool all = getenv("BTCHAT_LONG") || n < SAMPLES;
	unsigned tries = all ? n : (unsigned)SAMPLES;

	for (unsigned i = 0; i < tries; i++) {
		f.at = all ? i + 1 : 1 + rng_below(&dice.rng, n);
		f.error = errors[rng_below(&dice.rng, 4)];
		f.reopens = rng_below(&dice.rng, 2);
		play_fault(p, &f, &dice.rng);
	}
	print_message("%u of %u places\n", tries, n);
	play_free(p);
}

static void
in_all_stories(struct play_fault f)
{
	everywhere(&story_life, f);
	everywhere(&story_upgrade[0], f);
	everywhere(&story_upgrade[1], f);
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

static void
what_is_read_while_calls_fail_is_right_or_an_error(void **state)
{
	struct play *p = play_new(&story_life);
	unsigned step = getenv("BTCHAT_LONG") ? 1 : 0;

	(void)state;
	for (int how = 0; how < 4; how++) {
		unsigned n = 1;

		while (play_look(p, how & 1, how & 2, n))
			n += step ? step : 1 + rng_below(&dice.rng, 60);
		print_message("to place %u\n", n);
	}
	play_free(p);
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
