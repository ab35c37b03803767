/*
 * Inside of the store: statements, the transaction, sealed columns. Only
 * store*.c and event.c include this.
 */
#ifndef DAEMON_STORE_DB_H
#define DAEMON_STORE_DB_H

#include "daemon/store.h"

#include <sqlite3.h>

enum {
	/* Prepared and kept; more is our bug. There are some 130. */
	STORE_STATEMENTS_MAX = 256,
	STORE_NONCE_SIZE = 24,
	STORE_NONCES = 64, /* drawn at once */
	STORE_TAG_SIZE = 16,
	STORE_PAD_MIN = 64, /* sealed plaintexts are 64 * 2^k bytes */
	/* A text of NODE_TEXT_MAX in an event, all escaped, padded. */
	STORE_PLAIN_MAX = 1024 * 1024,
	STORE_ROW_KEY_MAX = 160,
};

struct store_keys {
	uint8_t seal[32];
	uint8_t look[32]; /* keyed hashes for equality */
	uint8_t ring[32]; /* seals the file of keys */
};
struct store_ring; /* store_keys.c */
struct store_many; /* events_many.c */

struct store {
	sqlite3 *db;
	char *dir;               /* owned */
	struct store_keys *keys; /* owned, locked memory; NULL: locked */
	struct store_ring *ring; /* owned; NULL: locked */
	bool in_txn;
	bool failed; /* a write of this transaction failed */
	bool broken; /* see store_is_broken */
	bool kept;   /* see store_is_kept */
	int last_rc; /* of the last failure */
	/* A text was taken away: what the log holds of it goes with the next
	 * commit, or the first one after it that can. */
	bool erased;
	bool damaged; /* it was told */
	uint64_t tampered;
	struct store_fresh *fresh;                    /* owned, or NULL */
	struct store_recent *recent;                  /* the same */
	void (*text_changed)(void *ctx, int64_t row); /* or NULL */
	void *text_ctx;
	uint64_t timer_ms;       /* the next text disappears then; 0: ask */
	int64_t event_head;      /* of this transaction; -1: not read yet */
	int64_t event_durable;   /* of the last commit; valid if head is */
	struct store_many *many; /* owned, or NULL: events not written yet */
	struct store_batch {     /* store_batch.c */
		bool on;
		struct contact_id conv; /* whose newest message is */
		int64_t last;           /* this row; 0: nothing to write */
		int64_t from, to;       /* rows, 0: none, that got */
		enum message_state state;
		uint64_t state_ms;
	} batch;
	struct store_buf {
		uint8_t *p; /* owned */
		size_t cap;
	} get_buf, seal_buf; /* opened text of store_message_get; scratch */
	struct store_statement {
		const char *sql; /* compared by address: a literal */
		sqlite3_stmt *st;
		bool busy;
	} statements[STORE_STATEMENTS_MAX];
	size_t n_statements;
	uint8_t nonces[STORE_NONCES][STORE_NONCE_SIZE];
	size_t n_nonces; /* that are left */
	/* How long texts last there, asked last; see store_conv_ttl. */
	struct contact_id ttl_conv;
	uint32_t ttl_s;
	bool ttl_known;
};

/* A statement being used: bind in order, then db_write or db_row, db_end. */
struct query {
	struct store *s;
	struct store_statement *slot;
	int bound;
	int rc; /* SQLITE_OK, or the first thing that went wrong */
};

/* What a sealed column belongs to: it opens nowhere else. */
struct row_key {
	int64_t k; /* the key that it is sealed under, see store_keys.h */
	const char *table, *column;
	uint8_t b[STORE_ROW_KEY_MAX]; /* with both */
	size_t n;
};

struct query db_query(struct store *s, const char *sql);
void db_bind_int(struct query *q, int64_t v);
void db_bind_blob(struct query *q, const void *p, size_t n);
void db_bind_text(struct query *q, const char *s);
void db_bind_null(struct query *q);
/* Binds plain sealed for that place. */
void
db_bind_sealed(struct query *q, const struct row_key *key, struct span plain);
/* Runs a write inside the transaction and ends the query. */
MUST_USE enum err db_write(struct query *q);
/* A whole one, whose ?1 is a contact. */
MUST_USE enum err
db_write_for(struct store *s, const char *sql, const struct contact_id *id);
/* Rows the last write changed. */
int64_t db_changed(const struct store *s);
/* The next row: ERR_OK; ERR_NOT_FOUND after the last one; ERR_IO. */
MUST_USE enum err db_row(struct query *q);
void db_end(struct query *q);
/* One row of one integer: runs the query, and ends it. As db_row; *ret is
 * untouched if there is none. */
MUST_USE enum err db_one_int(struct query *q, int64_t *ret);
/* Columns of the present row, from 0. Spans are borrowed until the next. */
int64_t db_int(const struct query *q, int column);
struct span db_blob(const struct query *q, int column);
/* Exactly n bytes; zeros if it is anything else. */
void db_bytes(const struct query *q, int column, void *ret, size_t n);
/* Opens a sealed column into buf. ERR_AUTH: counted and logged;
 * ERR_STATE: locked; ERR_NOMEM. */
MUST_USE enum err db_open_sealed(const struct query *q, int column,
    const struct row_key *key, struct store_buf *buf, struct span *ret);

/* Runs SQL without parameters or rows. Notes failures. */
MUST_USE enum err db_exec(struct store *s, const char *sql);
/* Notes a failure of SQLite and gives its err: never ERR_MALFORMED for a file
 * that is damaged, which callers have for what they were given. */
enum err db_fail(struct store *s, int rc);
/* Tells of it, once. */
void db_damaged(struct store *s, const char *what);

struct row_key row_key(const char *table, const char *column);
void row_key_add(struct row_key *k, const void *p, size_t n);
void row_key_add_u64(struct row_key *k, uint64_t v);

/* 16 or 32 bytes of keyed hash of a ‖ b, for equality look-ups. */
void store_look_hash(const struct store *s, const char *label, struct span a,
    struct span b, uint8_t ret[32]);

/* store_body.c: binds it sealed, under m->block. ERR_NOMEM. */
MUST_USE enum err body_bind(struct query *q, const struct store_message *m);
/* The rest of *m, whose other columns were read. ERR_AUTH: does not open. */
MUST_USE enum err body_open(const struct query *q, int column,
    struct store_buf *buf, struct store_message *m);
size_t body_size(const struct store_message *m); /* before it is sealed */

/* store_message.c, for store_block.c: by row, with what it is sealed under.
 * ERR_AUTH: does not open. Its text is borrowed from buf. */
struct store_buf;
MUST_USE enum err store_message_at(struct store *s, int64_t row,
    struct store_buf *buf, struct store_message *ret);
/* The same for events.c, by contact and id, for messages that are asked for
 * about in the order they were added: the row behind the last one is looked at
 * first. Nothing is written before its end. Begins with { .s = s }. */
struct message_walk {
	struct store *s;
	int64_t last;   /* row; 0: none */
	struct query q; /* the rows behind it, if ahead */
	bool ahead;
	struct store_message m; /* given last */
};
/* *ret is borrowed until the next. */
MUST_USE enum err
message_walk_get(struct message_walk *w, const struct contact_id *contact,
    const struct message_id *id, const struct store_message **ret);
void message_walk_end(struct message_walk *w);
/* Writes its body anew, under m->block. */
MUST_USE enum err
store_message_rewrite(struct store *s, const struct store_message *m);
/* Whoever watches texts forgets those of a conversation. */
MUST_USE enum err
store_messages_forget_words(struct store *s, const struct contact_id *contact);
/* store_clear.c: a message of a conversation since cleared is there, or never
 * will be: it goes. */
MUST_USE enum err
store_cleared_sent(struct store *s, const struct store_message *m);
/* ERR_EXISTS: one of theirs that was there before. */
MUST_USE enum err
store_mark_find(struct store *s, const struct node_message *m);
/* store_reaction.c: all to a message; one to it (empty: none any more); all of
 * them, under its m->block. */
MUST_USE enum err
store_reactions_remove(struct store *s, const struct store_message *m);
MUST_USE enum err store_react(struct store *s, const struct store_message *m,
    bool ours, struct span text);
MUST_USE enum err
store_reactions_reseal(struct store *s, const struct store_message *m);
/* store_contact.c: contacts under the key of the store get their own. */
MUST_USE enum err store_contacts_reseal(struct store *s);
/* store_conv.c: so do drafts. */
MUST_USE enum err store_drafts_reseal(struct store *s);
/* store_block.c: what is sealed under `old` is sealed under `fresh`. */
MUST_USE enum err
store_block_reseal(struct store *s, int64_t old, int64_t fresh);
/* What is sealed under the key of the store goes into blocks. */
MUST_USE enum err store_messages_into_blocks(struct store *s);

/* events_many.c: are there events that were added and not written; writes
 * them: before the commit, and before rows of events are dropped. */
bool events_pending(const struct store *s);
MUST_USE enum err events_flush(struct store *s);

/* events.c: does it go with the contact, not with the conversation? Those of a
 * conversation that do; those about its messages. */
struct event_row;
bool events_is_of_person(const struct event_row *e);
MUST_USE enum err
events_remove_person(struct store *s, const struct contact_id *conv);
MUST_USE enum err
events_remove_messages(struct store *s, const struct contact_id *conv);
/* For store_upgrade.c: a row of seq, ts_ms, type, conv, body.
 * ERR_AUTH: does not open. */
MUST_USE enum err
events_row(const struct query *q, struct store_buf *buf, struct event_row *ret);
/* What it is about stands in place of its body. */
MUST_USE enum err
events_rewrite(struct store *s, int64_t seq, const struct event_row *e);

void store_buf_clear(struct store_buf *b); /* wipes and frees */
MUST_USE enum err store_buf_reserve(struct store_buf *b, size_t n);

/* store_fresh.c: states of our newest texts, without their rows. */
void fresh_put(struct store *s, const struct store_message *m);
/* *ret has no text, nor what is sealed with it but client_id. */
bool fresh_find(const struct store *s, const struct contact_id *contact,
    const struct message_id *id, struct store_message *ret);
void fresh_moved(struct store *s, const struct store_message *m);
void fresh_drop(struct store *s, const struct store_message *m);
void fresh_clear(struct store *s);

/* store_recent.c: the newest texts, opened. NULL: not there; else borrowed
 * until a text is added or changed. */
void recent_put(struct store *s, const struct store_message *m);
const struct store_message *recent_find(struct store *s,
    const struct contact_id *contact, const struct message_id *id);
void recent_drop(struct store *s, const struct store_message *m);
void recent_clear(struct store *s);

/* store_batch.c: at once, or at the end of a batch. */
MUST_USE enum err
batch_last(struct store *s, const struct contact_id *conv, int64_t row);
MUST_USE enum err batch_state(
    struct store *s, int64_t row, enum message_state state, uint64_t now_ms);
void batch_drop(struct store *s);

/* store_timer.c: a message with a ttl was added, or came there. */
MUST_USE enum err timer_add(struct store *s, const struct store_message *m);
MUST_USE enum err timer_drop(struct store *s, int64_t row);
MUST_USE enum err timer_delivered(
    struct store *s, const struct store_message *m, uint64_t now_ms);

/* store_conv.c: the column flags. */
int64_t store_conv_flags(const struct store_conv *c);
void store_conv_from_flags(int64_t flags, struct store_conv *ret);

/* ERR_NOT_FOUND, ERR_AUTH. *ret borrows from buf. */
MUST_USE enum err
store_self_get(struct store *s, struct store_buf *buf, struct span *ret);

/* store_seal.c: what seals the file of keys. */
void store_ring_key(const struct store_key *key, uint8_t ret[32]);
/* store_upgrade.c. ERR_MALFORMED: of no version. A write. */
MUST_USE enum err store_upgrade(struct store *s);

/* store_check.c, when it was opened. What a killed process left in the log is
 * seen, and will be believed, but may be on no disk yet, as may the names of
 * the files: after store_keep they are. It does nothing the second time.
 * store_check tells of damage, if the database is not too large for that.
 * ERR_NOMEM, ERR_IO, ERR_LIMIT. */
MUST_USE enum err store_keep(struct store *s);
MUST_USE enum err store_check(struct store *s);

/* store_schema.c: pragmas, limits, tables, migrations. */
MUST_USE enum err store_schema_apply(struct store *s, char why[STORE_WHY_SIZE]);

#endif /* DAEMON_STORE_DB_H */
