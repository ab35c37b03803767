/* The file of keys: nothing is lost, and what is destroyed is gone. */
#include "daemon/keyfile.h"
#include "tests/support/faults.h"
#include "tests/support/rng.h"
#include "tests/support/tempdir.h"

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { SLOT = 4096, KEYS_MAX = 512 };

static const uint8_t seal[KEYFILE_KEY_SIZE] = { 7 };

/* What must be there, and what must not. */
struct world {
	struct tempdir dir;
	struct keyfile *f;
	struct {
		uint64_t number;
		uint8_t key[KEYFILE_KEY_SIZE];
		bool gone;
	} keys[KEYS_MAX];
	size_t n;
};

static int
begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->dir = tempdir_new();
	assert_int_equal(keyfile_open(w->dir.path, seal, true, &w->f), ERR_OK);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	faults_watch(NULL);
	keyfile_close(w->f);
	tempdir_free(&w->dir);
	free(w);
	return 0;
}

static const char *
path_of(const struct world *w)
{
	return tempdir_file(&w->dir, KEYFILE_NAME);
}

static uint64_t
add(struct world *w)
{
	uint64_t number = 0;

	assert_int_equal(keyfile_add(w->f, &number), ERR_OK);
	assert_true(w->n < KEYS_MAX);
	w->keys[w->n].number = number;
	memcpy(w->keys[w->n].key, keyfile_find(w->f, number), KEYFILE_KEY_SIZE);
	w->keys[w->n].gone = false;
	w->n++;
	return number;
}

static void
commit(struct world *w)
{
	assert_int_equal(keyfile_sync(w->f), ERR_OK);
	assert_int_equal(keyfile_commit(w->f), ERR_OK);
}

static void
reopen(struct world *w)
{
	keyfile_close(w->f);
	w->f = NULL;
	assert_int_equal(keyfile_open(w->dir.path, seal, false, &w->f), ERR_OK);
}

/* Drops what a database would not name, as a start does. */
static bool
drop_unnamed(void *ctx, uint64_t number)
{
	struct world *w = ctx;

	for (size_t i = 0; i < w->n; i++)
		if (w->keys[i].number == number && !w->keys[i].gone)
			return true;
	keyfile_drop(w->f, number);
	return true;
}

static void
clean(struct world *w)
{
	keyfile_each(w->f, drop_unnamed, w);
	assert_int_equal(keyfile_commit(w->f), ERR_OK);
}

/* Of the first n: those that live are as they were, others are not there. */
static void
look(const struct world *w, const struct keyfile *f, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const uint8_t *k = keyfile_find(f, w->keys[i].number);

		if (w->keys[i].gone) {
			assert_null(k);
			continue;
		}
		assert_non_null(k);
		assert_memory_equal(k, w->keys[i].key, KEYFILE_KEY_SIZE);
	}
}

/* A copy of the file that has but one of the two slots of each page. */
static void
look_in_one_slot(const struct world *w, unsigned slot)
{
	struct tempdir other = tempdir_new();
	struct keyfile *f = NULL;
	size_t n = 0;
	uint8_t *p = file_get(path_of(w), &n);

	for (size_t at = SLOT * (2 - slot); at < n; at += 2 * SLOT)
		memset(p + at, 0, n - at < SLOT ? n - at : SLOT);
	file_put(tempdir_file(&other, KEYFILE_NAME), p, n);
	free(p);
	assert_int_equal(keyfile_open(other.path, seal, false, &f), ERR_OK);
	for (size_t i = 0; i < w->n; i++)
		if (w->keys[i].gone)
			assert_null(keyfile_find(f, w->keys[i].number));
	keyfile_close(f);
	tempdir_free(&other);
}

/* Nothing of what is gone is in the file, whichever slot is read. */
static void
look_for_traces(const struct world *w)
{
	look_in_one_slot(w, 0);
	look_in_one_slot(w, 1);
}

static void
keys_come_back_after_a_restart(void **state)
{
	struct world *w = *state;
	struct stat st;

	for (int i = 0; i < 250; i++)
		(void)add(w);
	commit(w);
	look(w, w->f, w->n);
	reopen(w);
	look(w, w->f, w->n);
	assert_false(keyfile_is_damaged(w->f));
	assert_int_equal(stat(path_of(w), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
a_dropped_key_is_in_neither_slot(void **state)
{
	struct world *w = *state;

	for (int i = 0; i < 150; i++)
		(void)add(w);
	commit(w);
	for (size_t i = 0; i < 150; i += 7) {
		keyfile_drop(w->f, w->keys[i].number);
		assert_non_null(keyfile_find(w->f, w->keys[i].number));
		w->keys[i].gone = true;
	}
	commit(w);
	look(w, w->f, w->n);
	look_for_traces(w);
	reopen(w);
	look(w, w->f, w->n);
}

static void
what_is_rolled_back_has_not_been(void **state)
{
	struct world *w = *state;
	size_t n;

	for (int i = 0; i < 10; i++)
		(void)add(w);
	commit(w);
	n = w->n;
	keyfile_drop(w->f, w->keys[3].number);
	(void)add(w);
	w->keys[n].gone = true;
	keyfile_rollback(w->f);
	look(w, w->f, n + 1);
	/* After the sync, before the commit of the database, too. */
	(void)add(w);
	assert_int_equal(keyfile_sync(w->f), ERR_OK);
	keyfile_rollback(w->f);
	w->keys[n + 1].gone = true;
	(void)add(w); /* gets a number of its own */
	commit(w);
	look(w, w->f, w->n);
	look_for_traces(w);
	reopen(w);
	look(w, w->f, n);
}

/* Numbers that a database knows are not given again. */
static void
a_number_is_given_once(void **state)
{
	struct world *w = *state;
	uint64_t a, b;

	keyfile_reserve(w->f, 1000);
	a = add(w);
	assert_true(a > 1000);
	commit(w);
	keyfile_drop(w->f, a);
	w->keys[0].gone = true;
	commit(w);
	b = add(w);
	assert_true(b > a);
}

/* Hostile input 46. */
static void
what_is_no_key_file_is_refused(void **state)
{
	struct world *w = *state;
	static const uint8_t other[KEYFILE_KEY_SIZE] = { 8 };
	struct keyfile *f = NULL;
	struct tempdir empty = tempdir_new();
	uint8_t junk[3 * SLOT];

	(void)add(w);
	commit(w);
	/* Of another store: nothing of it is used or overwritten. */
	assert_int_equal(keyfile_open(w->dir.path, other, false, &f), ERR_OK);
	assert_true(keyfile_is_damaged(f));
	assert_null(keyfile_find(f, w->keys[0].number));
	keyfile_close(f);
	f = NULL;
	assert_int_equal(
	    keyfile_open(empty.path, seal, false, &f), ERR_NOT_FOUND);
	randombytes_buf(junk, sizeof(junk));
	file_put(tempdir_file(&empty, KEYFILE_NAME), junk, sizeof(junk));
	assert_int_equal(
	    keyfile_open(empty.path, seal, true, &f), ERR_MALFORMED);
	file_put(tempdir_file(&empty, KEYFILE_NAME), "", 0);
	assert_int_equal(
	    keyfile_open(empty.path, seal, true, &f), ERR_MALFORMED);
	assert_null(f);
	tempdir_free(&empty);
}

/* Hostile input 49: damage to one slot costs nothing. */
static void
one_damaged_slot_costs_nothing(void **state)
{
	struct world *w = *state;
	struct test_rng dice;
	uint64_t seed = test_seed((uint64_t)getpid());
	size_t n = 0;
	uint8_t *p;

	print_message("seed %llu\n", (unsigned long long)seed);
	test_rng_init(&dice, seed);
	for (int i = 0; i < 300; i++)
		(void)add(w);
	commit(w);
	for (int i = 0; i < 300; i++) {
		p = file_get(path_of(w), &n);
		p[SLOT + rng_below(&dice.rng, (uint32_t)(n - SLOT))] ^=
		    (uint8_t)(1 + rng_below(&dice.rng, 255));
		keyfile_close(w->f);
		w->f = NULL;
		file_put(path_of(w), p, n);
		free(p);
		assert_int_equal(
		    keyfile_open(w->dir.path, seal, false, &w->f), ERR_OK);
		look(w, w->f, w->n);
		/* The next commit makes two of it again. */
		commit(w);
	}
}

/* ---- crashes ---- */

/* A transaction that adds 3 and drops 2 of the first. Where it failed: 0
 * nowhere, 1 before the database commits, 2 after it. */
static int
transact(struct world *w, size_t drop)
{
	for (int i = 0; i < 3; i++)
		(void)add(w);
	keyfile_drop(w->f, w->keys[drop].number);
	keyfile_drop(w->f, w->keys[drop + 1].number);
	if (keyfile_sync(w->f))
		return 1;
	w->keys[drop].gone = w->keys[drop + 1].gone = true;
	return keyfile_commit(w->f) ? 2 : 0;
}

/* Fails at call n; false: it has fewer. */
static bool
crash_at(unsigned n, struct test_rng *dice, bool cut)
{
	struct world *w;
	void *state;
	size_t named;
	int failed;

	(void)begin(&state);
	w = state;
	for (int i = 0; i < 130; i++)
		(void)add(w);
	commit(w);
	while (w->f && w->n % 32 != 0) { /* no spares are left */
		(void)add(w);
		commit(w);
	}
	named = w->n;
	faults_watch(path_of(w));
	faults_fail_at(n, EIO, true);
	failed = transact(w, 10);
	if (failed == 1) {
		keyfile_rollback(w->f);
		w->n = named; /* nothing was sealed under the others */
	}
	keyfile_close(w->f);
	w->f = NULL;
	faults_fail_at(0, 0, false);
	if (failed || cut)
		faults_power_cut(cut ? &dice->rng : NULL);
	assert_int_equal(keyfile_open(w->dir.path, seal, false, &w->f), ERR_OK);
	clean(w);
	look(w, w->f, w->n);
	look_for_traces(w);
	/* And it goes on. */
	(void)add(w);
	commit(w);
	reopen(w);
	look(w, w->f, w->n);
	(void)end(&state);
	return failed != 0;
}

/* Hostile inputs 52, 53. */
static void
a_crash_anywhere_loses_nothing_and_leaves_nothing(void **state)
{
	struct test_rng dice;
	uint64_t seed = test_seed((uint64_t)getpid());
	unsigned rounds = test_rounds(20);
	unsigned n = 1;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	test_rng_init(&dice, seed);
	for (; crash_at(n, &dice, false); n++)
		for (unsigned i = 0; i < rounds; i++)
			(void)crash_at(n, &dice, true);
	print_message("%u places\n", n - 1);
	assert_true(n > 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(keys_come_back_after_a_restart),
		T(a_dropped_key_is_in_neither_slot),
		T(what_is_rolled_back_has_not_been),
		T(a_number_is_given_once),
		T(what_is_no_key_file_is_refused),
		T(one_damaged_slot_costs_nothing),
		cmocka_unit_test(
		    a_crash_anywhere_loses_nothing_and_leaves_nothing),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
