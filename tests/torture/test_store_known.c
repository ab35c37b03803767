/* What once went wrong when something failed. */
#include "daemon/file.h"
#include "daemon/keyring.h"
#include "daemon/log.h"
#include "daemon/store_db.h"
#include "tests/support/store_world.h"
#include "tests/torture/disk.h"
#include "tests/torture/memory.h"
#include "tests/torture/play.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int
begin(void **state)
{
	int rc = store_world_begin(state);
	struct store_world *w = *state;

	for (unsigned n = 1; n <= 8; n++)
		store_world_add(w->s, n, "record");
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_close(w->s);
	w->s = NULL;
	disk_watch(w->dir.path);
	assert_int_equal(play_open(w->dir.path, &w->s), ERR_OK);
	return rc;
}

static int
end(void **state)
{
	memory_fail_at(0, false);
	disk_watch(NULL);
	return store_world_end(state);
}

static bool
has_message(struct store_world *w, unsigned n)
{
	struct store_message m;
	struct message_id id;

	store_world_id(id.b, n);
	return store_message_get(w->s, NULL, &id, &m) == ERR_OK;
}

static enum err
add(struct store_world *w, unsigned n)
{
	struct store_message m = store_world_message(1, n, "text");

	return store_message_add(w->s, &m);
}

/* The power is cut, or the process is killed. */
static void
begin_again(struct store_world *w, enum disk_keeps keeps)
{
	disk_fail_at(DISK_FOR_EVER, 1, EIO);
	store_close(w->s);
	w->s = NULL;
	disk_cut(keeps, NULL);
	assert_int_equal(play_open(w->dir.path, &w->s), ERR_OK);
}

static bool
take_any(void *ctx, const struct store_invite *i)
{
	(void)ctx;
	(void)i;
	return true;
}

/* That these tests can fail: syncs that do nothing lose what they promised. */
static void
a_disk_that_lies_loses_what_it_promised(void **state)
{
	struct store_world *w = *state;

	disk_fail_at(DISK_LIES, 1, 0);
	assert_int_equal(add(w, 1), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_true(disk_hit() && has_message(w, 1));
	begin_again(w, DISK_KEEPS_NOTHING);
	assert_false(has_message(w, 1));
}

/* SQLite gives up the transaction when a read fails, too: what was written
 * after it was committed row by row. */
static void
a_read_that_fails_loses_the_turn(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(add(w, 1), ERR_OK);
	(void)sqlite3_db_release_memory(w->s->db);
	/* EIO it would take for damage; this is of a network's file system. */
	disk_fail_at(DISK_ONCE, 1, ESTALE);
	assert_int_equal(store_invites(w->s, take_any, NULL), ERR_IO);
	assert_true(disk_hit());
	assert_int_equal(add(w, 2), ERR_IO);
	assert_int_equal(store_commit(w->s), ERR_IO);
	assert_false(has_message(w, 1) || has_message(w, 2));
	begin_again(w, DISK_KEEPS_ALL);
	assert_false(has_message(w, 1) || has_message(w, 2));
}

/* What was not rolled back would be shown. */
static void
without_memory_to_roll_back_the_store_is_broken(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(add(w, 1), ERR_OK);
	memory_fail_at(1, true);
	store_rollback(w->s);
	memory_fail_at(0, false);
	assert_true(store_is_broken(w->s));
	begin_again(w, DISK_KEEPS_ALL);
	assert_false(has_message(w, 1));
}

/* A kill comes between writing and syncing; what is seen after it may be
 * acknowledged, for that needs no other write. */
static void
what_a_killed_process_wrote_is_made_durable_when_it_is_seen(void **state)
{
	struct store_world *w = *state;
	bool seen = false;

	for (unsigned at = 1; !seen; at++) {
		assert_true(at < 100);
		disk_fail_at(DISK_FOR_EVER, at, EIO);
		if (add(w, at) || store_commit(w->s))
			store_rollback(w->s);
		begin_again(w, DISK_KEEPS_ALL);
		seen = has_message(w, at);
		begin_again(w, DISK_KEEPS_NOTHING);
		assert_int_equal(has_message(w, at), seen);
	}
}

/* Where nothing can be written reading goes on, and it is known. */
static void
what_cannot_be_made_durable_is_said_to_be_so(void **state)
{
	struct store_world *w = *state;
	char why[STORE_WHY_SIZE];
	unsigned at = 1;

	assert_true(store_is_kept(w->s));
	assert_int_equal(add(w, 1), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	do { /* the first of these writes is to the log, to write it again */
		disk_fail_at(DISK_FOR_EVER, 1, EIO);
		store_close(w->s);
		w->s = NULL;
		disk_cut(DISK_KEEPS_ALL, NULL);
		disk_fail_at(DISK_ONCE, at++, EFBIG);
		if (store_open(w->dir.path, &w->s, why))
			w->s = NULL;
		assert_true(disk_hit());
	} while (!w->s || store_is_kept(w->s));
	assert_int_equal(store_set_key(w->s, &store_world_key), ERR_OK);
	assert_true(has_message(w, 1));
	assert_int_equal(store_probe(w->s), ERR_OK);
	assert_true(store_is_kept(w->s));
	begin_again(w, DISK_KEEPS_NOTHING);
	assert_true(has_message(w, 1));
}

/* After a sync that failed, a sync that does not is worth nothing. */
static void
what_a_failed_sync_left_is_written_again(void **state)
{
	struct store_world *w = *state;
	unsigned n_broken = 0;
	bool hit = true;

	for (unsigned at = 1; hit; at++) {
		disk_fail_at(DISK_ONCE, at, EIO);
		if (add(w, at) || store_commit(w->s))
			store_rollback(w->s);
		hit = disk_hit();
		disk_fail_at(DISK_WELL, 0, 0);
		if (!store_is_broken(w->s))
			continue;
		n_broken++;
		begin_again(w, DISK_KEEPS_ALL);
		/* What follows it in the log needs it. */
		assert_int_equal(add(w, 1000 + at), ERR_OK);
		assert_int_equal(store_commit(w->s), ERR_OK);
		begin_again(w, DISK_KEEPS_NOTHING);
		assert_true(has_message(w, 1000 + at));
	}
	assert_true(n_broken > 0);
}

/* One that was not made in the end was in the way of the next try. */
static void
a_file_whose_name_is_not_durable_is_not_there(void **state)
{
	struct store_world *w = *state;
	int dir = open(w->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool hit = true;

	assert_true(dir >= 0);
	for (unsigned at = 1; hit; at++) {
		enum err err;

		(void)unlinkat(dir, "file", 0);
		disk_fail_at(DISK_ONCE, at, EIO);
		err = file_create(dir, "file", span_str("all of it"));
		hit = disk_hit();
		disk_fail_at(DISK_WELL, 0, 0);
		assert_true(!err || hit);
		assert_int_equal(faccessat(dir, "file", F_OK, 0) == 0, !err);
	}
	(void)close(dir);
	begin_again(w, DISK_KEEPS_NOTHING);
	assert_int_equal(access(tempdir_file(&w->dir, "file"), F_OK), 0);
}

/* "There is none" was remembered: no text disappeared until a restart. */
static void
a_timer_that_could_not_be_read_is_asked_for_again(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_message m = store_world_message(1, 1, "text");
	uint32_t ttl_s = 7;

	m.m.ttl_s = 60;
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(
	    store_timer_read(w->s, &c, m.row, STORE_WORLD_MS), ERR_OK);
	assert_int_equal(
	    store_conv_timer(w->s, &c, 60, STORE_WORLD_MS), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	begin_again(w, DISK_KEEPS_ALL);
	(void)sqlite3_db_release_memory(w->s->db);
	disk_fail_at(DISK_FOR_EVER, 1, EIO);
	assert_true(store_timer_next(w->s) == NEVER);
	assert_true(disk_hit());
	/* Nor was it said that texts stay. */
	assert_int_not_equal(store_conv_ttl(w->s, &c, &ttl_s), ERR_OK);
	disk_fail_at(DISK_WELL, 0, 0);
	assert_true(store_timer_next(w->s) == STORE_WORLD_MS + 60000);
	assert_int_equal(store_conv_ttl(w->s, &c, &ttl_s), ERR_OK);
	assert_int_equal(ttl_s, 60);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(a_disk_that_lies_loses_what_it_promised),
		T(a_read_that_fails_loses_the_turn),
		T(without_memory_to_roll_back_the_store_is_broken),
		T(what_a_killed_process_wrote_is_made_durable_when_it_is_seen),
		T(what_cannot_be_made_durable_is_said_to_be_so),
		T(what_a_failed_sync_left_is_written_again),
		T(a_file_whose_name_is_not_durable_is_not_there),
		T(a_timer_that_could_not_be_read_is_asked_for_again),
	};

	log_init(LOG_CRIT, false);
	memory_begin();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
