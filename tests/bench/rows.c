/*
 * The yardstick of a flood of messages: what the sender's store writes for
 * each, by SQLite alone. The same tables, settings, rows of the same sizes and
 * syncs; nothing is sealed, no keys are kept, nobody asks and nobody is told.
 *
 *   rows DIR N GROUP    N messages, GROUP of them in a transaction; prints one
 *                       JSON object
 */
#include "daemon/log.h"
#include "daemon/store.h"

#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum {
	BODY = 24 + 256 + 16,    /* of a text of 100 bytes, sealed */
	EVENTS = 24 + 1024 + 16, /* of a full row of events, sealed, */
	EVENTS_MANY = 53,        /* which are so many */
	EVENTS_EACH = 3,         /* new, sent, delivered */
	RECORD = 24 + 1024 + 16, /* of a contact */
};

static sqlite3 *db;

static void
must(int rc, const char *what)
{
	if (rc == SQLITE_OK || rc == SQLITE_DONE)
		return;
	(void)fprintf(stderr, "rows: %s: %s\n", what, sqlite3_errmsg(db));
	exit(1);
}

static void
run(const char *sql)
{
	must(sqlite3_exec(db, sql, NULL, NULL, NULL), sql);
}

static sqlite3_stmt *
prepare(const char *sql)
{
	sqlite3_stmt *st = NULL;

	must(sqlite3_prepare_v2(db, sql, -1, &st, NULL), sql);
	return st;
}

static void
step(sqlite3_stmt *st)
{
	must(sqlite3_step(st), sqlite3_sql(st));
	(void)sqlite3_reset(st);
}

static void
begin(const char *dir)
{
	char why[STORE_WHY_SIZE], path[4096];
	struct store *s;

	if (store_open(dir, &s, why)) {
		(void)fprintf(stderr, "rows: %s\n", why);
		exit(1);
	}
	store_close(s); /* it was for its tables */
	(void)snprintf(path, sizeof(path), "%s/%s", dir, STORE_FILE);
	must(sqlite3_open(path, &db), path);
	run("PRAGMA locking_mode = EXCLUSIVE; PRAGMA secure_delete = ON;"
	    "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;"
	    "PRAGMA wal_autocheckpoint = 2000;");
	run("INSERT INTO contact(id, id_pk, record, state, created_ms,"
	    " ready_ms) VALUES(zeroblob(16), zeroblob(72), x'', 2, 0, 0);"
	    "INSERT INTO conv(contact) VALUES(zeroblob(16));");
}

static void
add_messages(sqlite3_stmt *add, size_t n)
{
	static uint8_t body[BODY];
	uint8_t id[16];

	for (size_t i = 0; i < n; i++) {
		randombytes_buf(id, sizeof(id));
		must(
		    sqlite3_bind_blob(add, 1, id, sizeof(id), SQLITE_TRANSIENT),
		    "id");
		must(sqlite3_bind_blob(add, 2, body, BODY, SQLITE_STATIC),
		    "body");
		step(add);
	}
}

/* The texts of one group come in, those of the one before are delivered. */
static void
add_groups(size_t n, size_t group)
{
	sqlite3_stmt *add = prepare(
	    "INSERT OR IGNORE INTO message(id, contact, kind, state, seq,"
	    " sent_ms, received_ms, state_ms, flags, k, body)"
	    " VALUES(?1, zeroblob(16), 1, 2, 1, 1795000000000, 0,"
	    " 1795000000000, 0, 1, ?2)");
	sqlite3_stmt *last =
	    prepare("UPDATE conv SET last = ?1 WHERE contact = zeroblob(16)");
	sqlite3_stmt *move =
	    prepare("UPDATE message SET state = 3 WHERE row BETWEEN ?1 AND ?2");
	sqlite3_stmt *record = prepare("UPDATE contact SET record = ?1");
	sqlite3_stmt *event =
	    prepare("INSERT INTO event(ts_ms, type, conv, body, k, n)"
	            " VALUES(1795000000000, 64, zeroblob(16), ?1, 1, 53)");
	static uint8_t bytes[RECORD > EVENTS ? RECORD : EVENTS];
	size_t events = 0, before = 0;

	must(sqlite3_bind_blob(record, 1, bytes, RECORD, SQLITE_STATIC), "");
	must(sqlite3_bind_blob(event, 1, bytes, EVENTS, SQLITE_STATIC), "");
	for (size_t done = 0; done < n; before = done, done += group) {
		run("BEGIN IMMEDIATE");
		add_messages(add, group);
		must(sqlite3_bind_int64(last, 1, (int64_t)(done + group)), "");
		step(last);
		must(sqlite3_bind_int64(move, 1, (int64_t)before + 1), "");
		must(sqlite3_bind_int64(move, 2, (int64_t)done), "");
		step(move);
		step(record);
		for (; events < (done + group) * EVENTS_EACH;
		     events += EVENTS_MANY)
			step(event);
		run("COMMIT");
	}
	(void)sqlite3_finalize(add);
	(void)sqlite3_finalize(last);
	(void)sqlite3_finalize(move);
	(void)sqlite3_finalize(record);
	(void)sqlite3_finalize(event);
}

static double
seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double
cpu_s(void)
{
	struct rusage r;

	(void)getrusage(RUSAGE_SELF, &r);
	return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
	       (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) / 1e6;
}

int
main(int argc, char **argv)
{
	size_t n, group;
	double start, cpu;

	if (argc != 4 || sodium_init() < 0)
		return 2;
	log_init(LOG_ERR, false);
	n = strtoul(argv[2], NULL, 10);
	group = strtoul(argv[3], NULL, 10);
	if (n == 0 || group == 0)
		return 2;
	begin(argv[1]);
	start = seconds();
	cpu = cpu_s();
	add_groups(n, group);
	printf("{\"rows_s\": %.0f, \"cpu_us\": %.2f}\n",
	    (double)n / (seconds() - start), 1e6 * (cpu_s() - cpu) / (double)n);
	must(sqlite3_close(db), "close");
	return 0;
}
