/* The file of the store: sealed, synced, refused if it is not ours. */
#include "daemon/log.h"
#include "tests/support/rng.h"
#include "tests/support/store_world.h"

#include <setjmp.h>
#include <signal.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

static const uint64_t t0 = STORE_WORLD_MS;

static bool
count_event(void *ctx, const struct event_row *e)
{
	(void)e;
	(*(unsigned *)ctx)++;
	return true;
}

/* ---- the watchdog's question ---- */

static void
it_answers_from_the_disk_alone(void **state)
{
	struct store_world *w = *state;

	assert_int_equal(store_meta_set(w->s, "port", span_str("42")), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_true(store_answers(w->s));
	assert_int_equal(truncate(tempdir_file(&w->dir, "btchat.db"), 0), 0);
	assert_int_equal(
	    truncate(tempdir_file(&w->dir, "btchat.db-wal"), 0), 0);
	assert_false(store_answers(w->s));
}

/* ---- sealing ---- */

static bool
file_holds(const struct tempdir *dir, const char *name, const char *text)
{
	size_t n = 0;
	uint8_t *p;
	bool found;

	if (access(tempdir_file(dir, name), F_OK))
		return false;
	p = file_get(tempdir_file(dir, name), &n);
	found = memmem(p, n, text, strlen(text)) != NULL;
	free(p);
	return found;
}

static void
nothing_personal_is_on_the_disk_in_the_clear(void **state)
{
	static const char *const secrets[] = { "MY-SECRET-TEXT", "NAME-OF-BOB",
		"IDENTITY-OF-SOMEBODY", "RECORD-OF-CONTACT", "SELF-RECORD",
		"CLIENT-ID-1", "EVENT-BODY", "LABEL-OF-IT", "INVITE-RECORD" };
	struct store_world *w = *state;
	struct store_message m = store_world_message(1, 1, "MY-SECRET-TEXT");
	struct event_row e = { .ts_ms = t0, .type = EVENT_MESSAGE_NEW };
	struct change i = { .kind = CHANGE_INVITE };
	uint8_t digest[32] = { 0 };
	bool is_new;

	store_world_add(w->s, 1, "RECORD-OF-CONTACT");
	memcpy(m.client_id, "CLIENT-ID-1", 12);
	e.body = span_str("{\"text\":\"EVENT-BODY\"}");
	i.record = span_str("INVITE-RECORD");
	assert_int_equal(
	    store_contact_rename(w->s, &m.m.contact, span_str("NAME-OF-BOB")),
	    ERR_OK);
	assert_int_equal(store_self_set(w->s, span_str("SELF-RECORD")), ERR_OK);
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(events_add(w->s, &e), ERR_OK);
	assert_int_equal(store_invite_put(w->s, &i, t0, &is_new), ERR_OK);
	assert_int_equal(
	    store_invite_label(w->s, &i.invite, span_str("LABEL-OF-IT")),
	    ERR_OK);
	assert_int_equal(store_client_put(w->s, span_str("CLIENT-ID-1"), digest,
	                     m.m.id.b, t0),
	    ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	for (size_t n = 0; n < sizeof(secrets) / sizeof(secrets[0]); n++) {
		assert_false(file_holds(&w->dir, "btchat.db", secrets[n]));
		assert_false(file_holds(&w->dir, "btchat.db-wal", secrets[n]));
	}
	store_close(w->s); /* all of it moves to the main file */
	for (size_t n = 0; n < sizeof(secrets) / sizeof(secrets[0]); n++)
		assert_false(file_holds(&w->dir, "btchat.db", secrets[n]));
	w->s = store_world_open(w->dir.path);
}

/* Runs SQL on the file behind the store's back. */
static void
tamper(struct store_world *w, const char *sql)
{
	sqlite3 *db = NULL;
	char *why = NULL;

	store_close(w->s);
	assert_int_equal(
	    sqlite3_open(tempdir_file(&w->dir, STORE_FILE), &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &why))
		fail_msg("%s", why);
	(void)sqlite3_close(db);
	w->s = store_world_open(w->dir.path);
}

/* Hostile input 55. */
static void
a_tampered_row_is_left_out_and_the_others_are_readable(void **state)
{
	static const char *const edits[] = {
		("UPDATE message SET body ="
		 " (SELECT body FROM message WHERE seq = 2) WHERE seq = 3"),
		"UPDATE message SET sent_ms = sent_ms + 1 WHERE seq = 3",
		"UPDATE message SET body = zeroblob(104) WHERE seq = 3",
		"UPDATE message SET body = x'' WHERE seq = 3",
		"UPDATE message SET id = zeroblob(16) WHERE seq = 3",
	};
	struct store_world *w = *state;
	struct store_history h = { .contact = store_world_contact(1),
		.limit = 50 };

	for (unsigned n = 1; n <= 5; n++) {
		struct store_message m = store_world_message(1, n, "text");

		assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	}
	assert_int_equal(store_commit(w->s), ERR_OK);
	for (size_t i = 0; i < sizeof(edits) / sizeof(edits[0]); i++) {
		struct store_rows r = { .count = 0 };

		tamper(w, edits[i]);
		assert_int_equal(
		    store_history(w->s, &h, store_rows_take, &r), ERR_OK);
		assert_int_equal(r.count, 4);
		assert_int_equal(store_tampered(w->s), 1);
	}
}

static void
another_key_is_refused(void **state)
{
	static const struct store_key other = { { 9 } };
	struct store_world *w = *state;
	char why[STORE_WHY_SIZE];

	store_close(w->s);
	assert_int_equal(store_open(w->dir.path, &w->s, why), ERR_OK);
	assert_true(store_is_sealed(w->s));
	assert_int_equal(store_set_key(w->s, &other), ERR_AUTH);
	assert_false(store_has_key(w->s));
	assert_int_equal(store_set_key(w->s, &store_world_key), ERR_OK);
}

/* ---- the file ---- */

static enum err
try_open(struct store_world *w, char why[STORE_WHY_SIZE])
{
	struct store *s = NULL;
	enum err err = store_open(w->dir.path, &s, why);

	store_close(s);
	return err;
}

/* Hostile input 50. */
static void
a_schema_from_the_future_is_refused(void **state)
{
	struct store_world *w = *state;
	char why[STORE_WHY_SIZE];
	sqlite3 *db = NULL;

	store_close(w->s);
	w->s = NULL;
	assert_int_equal(
	    sqlite3_open(tempdir_file(&w->dir, STORE_FILE), &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL),
	    SQLITE_OK);
	(void)sqlite3_close(db);
	assert_int_equal(try_open(w, why), ERR_UNSUPPORTED);
	assert_non_null(strstr(why, "newer"));
}

static void
a_file_of_somebody_else_is_refused(void **state)
{
	struct store_world *w = *state;
	char why[STORE_WHY_SIZE];
	sqlite3 *db = NULL;
	uint8_t junk[8192];

	store_close(w->s);
	w->s = NULL;
	(void)unlink(tempdir_file(&w->dir, STORE_FILE));
	assert_int_equal(
	    sqlite3_open(tempdir_file(&w->dir, STORE_FILE), &db), SQLITE_OK);
	assert_int_equal(
	    sqlite3_exec(db, "CREATE TABLE t(a)", NULL, NULL, NULL), SQLITE_OK);
	(void)sqlite3_close(db);
	assert_int_equal(try_open(w, why), ERR_MALFORMED);
	memset(junk, 'j', sizeof(junk));
	file_put(tempdir_file(&w->dir, STORE_FILE), junk, sizeof(junk));
	assert_int_equal(try_open(w, why), ERR_MALFORMED);
}

static void
what_is_not_committed_is_not_there(void **state)
{
	struct store_world *w = *state;
	struct store_message a = store_world_message(1, 1, "a");
	struct store_message b = store_world_message(1, 2, "b");
	struct store_message got;
	struct event_row e = { .ts_ms = t0, .type = EVENT_MESSAGE_NEW };
	struct events_log log;

	e.body = span_str("{}");
	assert_int_equal(store_message_add(w->s, &a), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(store_message_add(w->s, &b), ERR_OK);
	assert_int_equal(events_add(w->s, &e), ERR_OK);
	assert_true(store_dirty(w->s));
	store_rollback(w->s);
	assert_false(store_dirty(w->s));
	assert_int_equal(store_message_get(w->s, NULL, &a.m.id, &got), ERR_OK);
	assert_int_equal(
	    store_message_get(w->s, NULL, &b.m.id, &got), ERR_NOT_FOUND);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_int_equal(log.head, 0);
}

/* ---- kill -9 ---- */

enum { KILLS = 25 };

/* Adds messages for ever, each with its event; tells the number of each
 * through fd once it is durable. */
static void
write_until_killed(const char *dir, unsigned from, int fd)
{
	struct store *s = store_world_open(dir);

	for (unsigned n = from;; n++) {
		struct store_message m = store_world_message(1, n, "torture");
		struct event_row e = { .ts_ms = t0, .type = EVENT_MESSAGE_NEW };

		e.body = span_str("{}");
		if (store_message_add(s, &m) || events_add(s, &e) ||
		    store_commit(s))
			_exit(1);
		if (write(fd, &n, sizeof(n)) != (ssize_t)sizeof(n))
			_exit(1);
	}
}

/* Hostile input 53. */
static void
kill_nine_loses_nothing_that_was_acknowledged(void **state)
{
	struct store_world *w = *state;
	unsigned acked = 0;
	struct test_rng dice;
	uint64_t seed = test_seed((uint64_t)getpid());

	store_close(w->s);
	w->s = NULL;
	print_message("seed %llu\n", (unsigned long long)seed);
	test_rng_init(&dice, seed);
	for (int i = 0; i < KILLS; i++) {
		unsigned wait_for = rng_below(&dice.rng, 60);
		struct store_message got;
		unsigned n = acked;
		unsigned events = 0;
		int64_t last;
		int fds[2];
		pid_t pid;

		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			(void)close(fds[0]);
			write_until_killed(w->dir.path, acked + 1, fds[1]);
		}
		(void)close(fds[1]);
		/* It is somewhere in its next turn when it dies. */
		for (unsigned k = 0; k < wait_for; k++) {
			assert_int_equal(
			    read(fds[0], &n, sizeof(n)), (ssize_t)sizeof(n));
			acked = n;
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		while (read(fds[0], &n, sizeof(n)) == (ssize_t)sizeof(n))
			acked = n;
		(void)close(fds[0]);
		w->s = store_world_open(w->dir.path);
		for (unsigned k = 1; k <= acked; k++) {
			struct message_id id;

			store_world_id(id.b, k);
			assert_int_equal(
			    store_message_get(w->s, NULL, &id, &got), ERR_OK);
		}
		for (unsigned k = acked + 1;; k++) { /* durable, not told */
			struct message_id id;

			store_world_id(id.b, k);
			if (store_message_get(w->s, NULL, &id, &got))
				break;
			acked = k;
		}
		assert_int_equal(
		    events_read(w->s, 0, 100000, count_event, &events, &last),
		    ERR_OK);
		assert_int_equal(events, acked); /* together, or not at all */
		store_close(w->s);
		w->s = NULL;
	}
	print_message("%u messages over %d kills\n", acked, KILLS);
}

/* A directory may be behind a link, the file may not. */
static void
links_lead_to_the_directory_but_not_to_the_file(void **state)
{
	struct tempdir real = tempdir_new();
	struct tempdir other = tempdir_new();
	char why[STORE_WHY_SIZE] = "";
	struct store *s = NULL;
	char way[256];
	char file[256];

	(void)state;
	(void)snprintf(way, sizeof(way), "%s", tempdir_file(&other, "way"));
	(void)snprintf(
	    file, sizeof(file), "%s", tempdir_file(&other, STORE_FILE));
	assert_int_equal(symlink(real.path, way), 0);
	s = store_world_open(way);
	assert_non_null(s);
	store_close(s);
	assert_int_equal(access(tempdir_file(&real, STORE_FILE), F_OK), 0);
	assert_int_equal(symlink(tempdir_file(&real, STORE_FILE), file), 0);
	s = NULL;
	assert_int_not_equal(store_open(other.path, &s, why), ERR_OK);
	assert_null(s);
	tempdir_free(&other);
	tempdir_free(&real);
}

/* ---- a full disk ---- */

static bool
mount_small(const char *path)
{
	return geteuid() == 0 &&
	       mount("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV,
	           "size=384k,mode=0700") == 0;
}

/* Hostile input 51. */
static void
a_full_disk_undoes_the_turn_and_recovers(void **state)
{
	struct store_world *w = *state;
	struct tempdir small = tempdir_new();
	struct store *s;
	unsigned n = 1;
	unsigned committed = 0;
	struct store_message got;
	struct message_id id;
	char *filler = calloc(1, 1024 * 1024);
	FILE *f;

	(void)w;
	if (!mount_small(small.path)) {
		print_message("no tmpfs of our own: skipped\n");
		tempdir_free(&small);
		free(filler);
		skip();
		return;
	}
	s = store_world_open(small.path);
	f = fopen(tempdir_file(&small, "filler"), "w");
	assert_non_null(f);
	while (fwrite(filler, 1, 4096, f) == 4096 && fflush(f) == 0) {
	}
	(void)fclose(f);
	for (;; n++) {
		struct store_message m =
		    store_world_message(1, n, "until it is full");

		assert_true(n < 100000);
		if (store_message_add(s, &m) || store_commit(s))
			break;
		committed = n;
	}
	assert_int_equal(store_error(s), API_STORAGE_FULL);
	store_rollback(s);
	assert_int_not_equal(store_probe(s), ERR_OK);
	store_world_id(id.b, n);
	assert_int_equal(store_message_get(s, NULL, &id, &got), ERR_NOT_FOUND);
	assert_int_equal(unlink(tempdir_file(&small, "filler")), 0);
	assert_int_equal(store_probe(s), ERR_OK);
	for (unsigned k = 1; k <= committed; k++) {
		store_world_id(id.b, k);
		assert_int_equal(store_message_get(s, NULL, &id, &got), ERR_OK);
	}
	{
		struct store_message m =
		    store_world_message(1, n, "room again");

		assert_int_equal(store_message_add(s, &m), ERR_OK);
		assert_int_equal(store_commit(s), ERR_OK);
	}
	store_close(s);
	assert_int_equal(umount(small.path), 0);
	tempdir_free(&small);
	free(filler);
}

static unsigned
write_until_full(struct store *s, unsigned from)
{
	for (unsigned n = from;; n++) {
		struct store_message m =
		    store_world_message(1, n, "until it is full");

		assert_true(n < 100000);
		if (store_message_add(s, &m) || store_commit(s)) {
			store_rollback(s);
			return n;
		}
	}
}

/* The log itself took the room; the little that somebody makes is enough to
 * get all of it back. */
static void
a_log_that_fills_the_disk_is_emptied(void **state)
{
	struct tempdir small = tempdir_new();
	static uint8_t filler[256 * 1024];
	struct store *s;
	unsigned n;
	unsigned more;
	FILE *f;

	(void)state;
	if (geteuid() != 0 ||
	    mount("tmpfs", small.path, "tmpfs", MS_NOSUID | MS_NODEV,
	        "size=1200k,mode=0700")) {
		print_message("no tmpfs of our own: skipped\n");
		tempdir_free(&small);
		skip();
		return;
	}
	s = store_world_open(small.path);
	f = fopen(tempdir_file(&small, "filler"), "w");
	assert_non_null(f);
	assert_int_equal(fwrite(filler, 1, sizeof(filler), f), sizeof(filler));
	assert_int_equal(fclose(f), 0);
	n = write_until_full(s, 1);
	assert_true(n > 10);
	assert_int_equal(unlink(tempdir_file(&small, "filler")), 0);
	assert_int_equal(store_probe(s), ERR_OK);
	more = write_until_full(s, n) - n;
	print_message("%u messages, then %u\n", n - 1, more);
	assert_true(more > n / 2);
	store_close(s);
	assert_int_equal(umount(small.path), 0);
	tempdir_free(&small);
}

/* ---- plans and speed ---- */

static int
look_at_plan(void *ctx, int n, char **values, char **names)
{
	(void)names;
	if (n >= 4 && values[3] && strncmp(values[3], "SCAN", 4) == 0 &&
	    !strstr(values[3], "USING") && !strstr(values[3], "CONSTANT") &&
	    !strstr(values[3], "SUBQUERY") && !strstr(values[3], "consumer"))
		(void)snprintf(ctx, 256, "%s", values[3]);
	return 0;
}

static void
large_queries_use_indexes(void **state)
{
	static const char *const queries[] = {
		"SELECT body FROM message INDEXED BY message_conv"
		" WHERE contact = ?1 AND row < ?2 ORDER BY row DESC",
		"SELECT body FROM message WHERE id = ?1 ORDER BY row LIMIT 1",
		"SELECT count(*) FROM message INDEXED BY message_in"
		" WHERE contact = ?1 AND state = 5 AND row > ?2",
		"SELECT body FROM message INDEXED BY message_outbox"
		" WHERE state IN (1, 2) ORDER BY contact, seq",
		"SELECT body FROM event WHERE seq > ?1 ORDER BY seq LIMIT ?2",
		"SELECT c.id FROM conv v INDEXED BY conv_last"
		" JOIN contact c ON c.id = v.contact"
		" WHERE (v.last, v.contact) < (?1, ?2)"
		" ORDER BY v.last DESC, v.contact DESC",
		"SELECT hash FROM client WHERE ts_ms < ?1 ORDER BY ts_ms"
		" LIMIT 10000",
	};
	struct store_world *w = *state;
	sqlite3 *db = NULL;

	store_close(w->s);
	w->s = NULL;
	assert_int_equal(
	    sqlite3_open(tempdir_file(&w->dir, STORE_FILE), &db), SQLITE_OK);
	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		char sql[512];
		char bad[256] = "";
		char *why = NULL;

		(void)snprintf(
		    sql, sizeof(sql), "EXPLAIN QUERY PLAN %s", queries[i]);
		if (sqlite3_exec(db, sql, look_at_plan, bad, &why))
			fail_msg("%s: %s", queries[i], why);
		if (bad[0])
			fail_msg("%s: %s", queries[i], bad);
	}
	(void)sqlite3_close(db);
}

static void
inserting_is_fast(void **state)
{
	struct store_world *w = *state;
	struct timespec a;
	struct timespec b;
	double seconds;
	enum { N = 20000 };

	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned n = 1; n <= N; n++) {
		struct store_message m =
		    store_world_message(1 + n % 50, n, "how are you?");

		randombytes_buf(m.m.id.b, 16);
		assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	}
	assert_int_equal(store_commit(w->s), ERR_OK);
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	seconds = (double)(b.tv_sec - a.tv_sec) +
	          (double)(b.tv_nsec - a.tv_nsec) / 1e9;
	/* A figure, not a law: machines differ. Aim: 20,000. */
	print_message("%.0f messages/s in one transaction\n", N / seconds);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, store_world_begin, store_world_end)
		T(it_answers_from_the_disk_alone),
		T(nothing_personal_is_on_the_disk_in_the_clear),
		T(a_tampered_row_is_left_out_and_the_others_are_readable),
		T(another_key_is_refused),
		T(a_schema_from_the_future_is_refused),
		T(a_file_of_somebody_else_is_refused),
		T(what_is_not_committed_is_not_there),
		T(kill_nine_loses_nothing_that_was_acknowledged),
		T(links_lead_to_the_directory_but_not_to_the_file),
		T(a_full_disk_undoes_the_turn_and_recovers),
		T(a_log_that_fills_the_disk_is_emptied),
		T(large_queries_use_indexes),
		T(inserting_is_fast),
	};

	log_init(LOG_ERR, false);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
