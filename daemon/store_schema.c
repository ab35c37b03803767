/* Tables and how they change from version to version. A migration is a step
 * from version i to i + 1, in one transaction with its version number. */
#include "daemon/store_db.h"

#include <stdio.h>

/* These stand in statements as numbers, and in the partial indexes below. */
_Static_assert(MESSAGE_TEXT == 1, "as in SQL");
_Static_assert(MESSAGE_QUEUED == 1 && MESSAGE_SENT == 2, "as in SQL");
_Static_assert(MESSAGE_DELIVERED == 3, "as in SQL");
_Static_assert(MESSAGE_RECEIVED == 5 && MESSAGE_READ == 6, "as in SQL");
_Static_assert(MESSAGE_FLAG_CLEARED == 4, "as in SQL");
_Static_assert(STORE_INVITE_LIVE == 1, "as in SQL");

/* "btch": PRAGMA application_id of our files. */
#define APPLICATION_ID 1651794792

/* clang-format off */
static const char *const migrations[] = {
	/* 0 -> 1 */
	"CREATE TABLE meta("
	"  key TEXT NOT NULL PRIMARY KEY,"
	"  value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
	/* n is the age; the sealed columns are id_pk, name, record. */
	"CREATE TABLE contact("
	"  n INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  id BLOB NOT NULL UNIQUE,"
	"  id_pk BLOB NOT NULL,"
	"  name BLOB,"
	"  record BLOB NOT NULL,"
	"  state INTEGER NOT NULL,"
	"  created_ms INTEGER NOT NULL,"
	"  ready_ms INTEGER NOT NULL) STRICT;"
	/* Small and often written, so apart from the contact's record. */
	"CREATE TABLE conv("
	"  contact BLOB NOT NULL PRIMARY KEY,"
	"  last INTEGER NOT NULL DEFAULT 0,"
	"  read INTEGER NOT NULL DEFAULT 0,"
	"  seen_ms INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
	"CREATE INDEX conv_last ON conv(last, contact);"
	"CREATE TABLE invite("
	"  id BLOB NOT NULL PRIMARY KEY,"
	"  record BLOB,"
	"  label BLOB,"
	"  state INTEGER NOT NULL,"
	"  created_ms INTEGER NOT NULL,"
	"  expires_ms INTEGER NOT NULL,"
	"  gone_ms INTEGER NOT NULL,"
	"  used_by BLOB) STRICT, WITHOUT ROWID;"
	"CREATE INDEX invite_created ON invite(created_ms);"
	"CREATE TABLE message("
	"  row INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  id BLOB NOT NULL,"
	"  contact BLOB NOT NULL,"
	"  kind INTEGER NOT NULL,"
	"  state INTEGER NOT NULL,"
	"  seq INTEGER NOT NULL,"
	"  sent_ms INTEGER NOT NULL,"
	"  received_ms INTEGER NOT NULL,"
	"  state_ms INTEGER NOT NULL,"
	"  flags INTEGER NOT NULL,"
	"  body BLOB NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX message_id ON message(id, contact);"
	"CREATE INDEX message_conv ON message(contact);"
	"CREATE INDEX message_in ON message(contact) WHERE state = 5;"
	"CREATE INDEX message_outbox ON message(contact, seq)"
	"  WHERE state IN (1, 2);"
	"CREATE TABLE client("
	"  hash BLOB NOT NULL PRIMARY KEY,"
	"  digest BLOB NOT NULL,"
	"  result BLOB NOT NULL,"
	"  ts_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX client_ts ON client(ts_ms);"
	"CREATE TABLE event("
	"  seq INTEGER PRIMARY KEY AUTOINCREMENT,"
	"  ts_ms INTEGER NOT NULL,"
	"  type INTEGER NOT NULL,"
	"  conv BLOB,"
	"  body BLOB NOT NULL) STRICT;"
	"CREATE TABLE consumer("
	"  name TEXT NOT NULL PRIMARY KEY,"
	"  seq INTEGER NOT NULL,"
	"  ts_ms INTEGER NOT NULL,"
	"  lapsed INTEGER NOT NULL DEFAULT 0) STRICT, WITHOUT ROWID;"
	/* The event log's name for itself; a cursor of another one is void. */
	"INSERT INTO meta VALUES('epoch',"
	"  CAST(lower(hex(randomblob(8))) AS BLOB));",
	/* 1 -> 2: other kinds of messages than texts, which are 1. Of those
	 * only our own have rows, for the outbox; reactions have a table. */
	"CREATE TABLE reaction("
	"  contact BLOB NOT NULL,"
	"  id BLOB NOT NULL,"
	"  ours INTEGER NOT NULL,"
	"  body BLOB NOT NULL,"
	"  PRIMARY KEY(contact, id, ours)) STRICT, WITHOUT ROWID;",
	/* 2 -> 3: see store_upgrade.c, once there is a key. */
	("INSERT INTO meta SELECT 'sealed', x'02' FROM meta"
	 "  WHERE key = 'key_check';"),
	/* 3 -> 4: the row that they have read; see store_conv.c; sealed. */
	("ALTER TABLE conv ADD COLUMN their_read INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE conv ADD COLUMN flags INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE conv ADD COLUMN draft BLOB;"),
	/* 4 -> 5: which key a row is sealed under, 0: that of the store; and
	 * whose keys they are, see store_keys.h. */
	("CREATE TABLE seal_key("
	 "  k INTEGER PRIMARY KEY,"
	 "  contact BLOB NOT NULL,"
	 "  kind INTEGER NOT NULL) STRICT;"
	 "CREATE INDEX seal_key_contact ON seal_key(contact, kind);"
	 "ALTER TABLE conv ADD COLUMN k INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE contact ADD COLUMN k INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE event ADD COLUMN k INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE message ADD COLUMN k INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE reaction ADD COLUMN k INTEGER NOT NULL DEFAULT 0;"
	 "CREATE INDEX message_k ON message(k);"
	 "INSERT OR IGNORE INTO meta SELECT 'sealed', x'03' FROM meta"
	 "  WHERE key = 'key_check';"),
	/* 5 -> 6: texts that disappear (store_timer.c); what people want to be
	 * called, sealed. */
	("CREATE TABLE timer("
	 "  row INTEGER PRIMARY KEY,"
	 "  contact BLOB NOT NULL,"
	 "  ours INTEGER NOT NULL,"
	 "  ttl INTEGER NOT NULL,"
	 "  gone_ms INTEGER NOT NULL) STRICT;"
	 "CREATE INDEX timer_gone ON timer(gone_ms) WHERE gone_ms > 0;"
	 "CREATE INDEX timer_unread ON timer(contact)"
	 "  WHERE ours = 0 AND gone_ms = 0;"
	 "ALTER TABLE conv ADD COLUMN ttl INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE conv ADD COLUMN ttl_ms INTEGER NOT NULL DEFAULT 0;"
	 "ALTER TABLE contact ADD COLUMN profile BLOB;"),
	/* 6 -> 7: what was received in conversations since cleared. */
	("CREATE TABLE mark("
	 "  contact BLOB NOT NULL,"
	 "  id BLOB NOT NULL,"
	 "  seq INTEGER NOT NULL,"
	 "  PRIMARY KEY(contact, id)) STRICT, WITHOUT ROWID;"
	 /* enum message_reason */
	 "ALTER TABLE message ADD COLUMN reason INTEGER NOT NULL DEFAULT 0;"),
	/* 7 -> 8: a row may be of n events, up to seq; see events_many.h. */
	"ALTER TABLE event ADD COLUMN n INTEGER NOT NULL DEFAULT 1;",
};
/* clang-format on */
#define SCHEMA_VERSION ((int)(sizeof(migrations) / sizeof(migrations[0])))

/* What SQLite may do for somebody who wrote into our file. Of the pragmas,
 * those that must stand before the first read come first. */
static enum err
harden(struct store *s)
{
	static const char pragmas[] =
	    "PRAGMA locking_mode = EXCLUSIVE;" /* also: no -shm file */
	    "PRAGMA temp_store = MEMORY;"
	    "PRAGMA mmap_size = 0;"
	    "PRAGMA trusted_schema = OFF;"
	    "PRAGMA cell_size_check = ON;"
	    "PRAGMA secure_delete = ON;"
	    "PRAGMA foreign_keys = OFF;" /* rules live in the core */
	    "PRAGMA journal_mode = WAL;"
	    "PRAGMA synchronous = FULL;"
	    "PRAGMA wal_autocheckpoint = 2000;" /* 8 MiB, as the limit */
	    "PRAGMA journal_size_limit = 8388608;";
	int on = 0;

	(void)sqlite3_limit(s->db, SQLITE_LIMIT_ATTACHED, 0);
	(void)sqlite3_limit(s->db, SQLITE_LIMIT_LENGTH, 4 * 1024 * 1024);
	(void)sqlite3_limit(s->db, SQLITE_LIMIT_SQL_LENGTH, 100000);
	(void)sqlite3_limit(s->db, SQLITE_LIMIT_TRIGGER_DEPTH, 1);
	(void)sqlite3_limit(s->db, SQLITE_LIMIT_VDBE_OP, 25000);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, &on);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, &on);
	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_ENABLE_VIEW, 0, &on);
	(void)sqlite3_db_config(
	    s->db, SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0, &on);
	(void)sqlite3_busy_timeout(s->db, 2000);
	return db_exec(s, pragmas);
}

static enum err
read_int(struct store *s, const char *sql, int64_t *ret)
{
	sqlite3_stmt *st = NULL;
	int rc = sqlite3_prepare_v2(s->db, sql, -1, &st, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_step(st);
	if (rc == SQLITE_ROW)
		*ret = sqlite3_column_int64(st, 0);
	(void)sqlite3_finalize(st);
	return rc == SQLITE_ROW ? ERR_OK : db_fail(s, rc);
}

static enum err
migrate(struct store *s, int from)
{
	char sql[96];
	enum err err;

	(void)snprintf(sql, sizeof(sql),
	    "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT;",
	    APPLICATION_ID, from + 1);
	err = db_exec(s, "BEGIN IMMEDIATE;");
	if (err)
		return err;
	err = db_exec(s, migrations[from]);
	if (!err)
		err = db_exec(s, sql);
	if (err && !sqlite3_get_autocommit(s->db))
		(void)sqlite3_exec(s->db, "ROLLBACK;", NULL, NULL, NULL);
	return err;
}

static enum err
refuse(char why[STORE_WHY_SIZE], enum err err, const char *text)
{
	(void)snprintf(why, STORE_WHY_SIZE, "%s: %s", STORE_FILE, text);
	return err;
}

static enum err
refuse_sqlite(struct store *s, char why[STORE_WHY_SIZE], enum err err)
{
	return refuse(why, err, sqlite3_errmsg(s->db));
}

enum err
store_schema_apply(struct store *s, char why[STORE_WHY_SIZE])
{
	int64_t version = 0;
	int64_t tables = 0;
	int64_t app = 0;
	enum err err = harden(s);

	if (!err)
		err = read_int(s, "PRAGMA user_version;", &version);
	if (!err)
		err = read_int(s, "PRAGMA application_id;", &app);
	if (!err)
		err =
		    read_int(s, "SELECT count(*) FROM sqlite_schema;", &tables);
	if (err)
		return refuse_sqlite(s, why, err);
	if (tables > 0 && app != APPLICATION_ID)
		return refuse(why, ERR_MALFORMED, "is not a btchat database");
	if (version > SCHEMA_VERSION)
		return refuse(why, ERR_UNSUPPORTED,
		    "was written by a newer btchatd; use that one");
	if (version < 0 || (tables > 0 && version == 0))
		return refuse(why, ERR_MALFORMED, "has no valid version");
	for (int64_t v = version; v < SCHEMA_VERSION && !err; v++)
		err = migrate(s, (int)v);
	if (err)
		return refuse_sqlite(s, why, err);
	return ERR_OK;
}
