/*
 * The durable state: one SQLite file, one connection, one transaction a turn
 * (begun by the first write). Secret and personal columns are sealed under
 * the store key; rows that do not open are skipped and reported, the others
 * stay readable.
 *
 * After a write failed the transaction is lost: every later write fails too,
 * until store_rollback. What the caller then keeps in memory is a lie, so it
 * starts again from what is stored (see daemon.h).
 */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include "daemon/keyring.h"
#include "proto/api.h"
#include "proto/node.h"

#include <stdbool.h>
#include <stdint.h>

#define STORE_FILE "btchat.db"

enum {
	STORE_NAME_MAX = 256,           /* bytes of a contact's name */
	STORE_LABEL_MAX = 256,          /* bytes of an invitation's label */
	STORE_META_MAX = 256,           /* bytes of a meta value */
	STORE_CLIENT_IDS_MAX_DAYS = 30, /* how long a client_id is remembered */
	STORE_WHY_SIZE = 256,
};

struct store;

/* What was looked for is not there, or does not open any more. Other errors are
 * of the disk or the memory, and say nothing of it. */
static inline bool
store_is_gone(enum err err)
{
	return err == ERR_NOT_FOUND || err == ERR_AUTH;
}

/*
 * Opens or makes dir/btchat.db and brings its schema up to date.
 * ERR_UNSUPPORTED: made by a newer btchatd; ERR_MALFORMED: not ours;
 * ERR_LIMIT: disk full; ERR_IO, or damaged. why[] is for the operator.
 */
MUST_USE enum err
store_open(const char *dir, struct store **ret, char why[STORE_WHY_SIZE]);
void store_close(struct store *s); /* rolls back; NULL is fine */
/* Gives the key that opens sealed columns; the first key ever becomes that of
 * this store. ERR_AUTH: the store was sealed by another one. A write. */
MUST_USE enum err store_set_key(struct store *s, const struct store_key *key);
bool store_has_key(const struct store *s);
/* With all that it opened. Nothing is uncommitted. */
void store_forget_key(struct store *s);
/* True if some key became that of this store, whether it is here or not. */
bool store_is_sealed(struct store *s);

/* ---- the transaction ---- */

/* True if something was written since the last commit, or a write failed. */
bool store_dirty(const struct store *s);
/* Between these, what each new message and each new state writes again is
 * written once. Flush before anything else is asked of the store. */
void store_batch_begin(struct store *s);
MUST_USE enum err store_batch_flush(struct store *s);
MUST_USE enum err store_batch_end(struct store *s);
/* Makes it durable (synced). On error all of it is undone. */
MUST_USE enum err store_commit(struct store *s);
void store_rollback(struct store *s);
/* What the last failure means to a client: STORAGE_FULL or STORAGE_ERROR. */
enum api_error store_error(const struct store *s);
/* True after a failed fsync or the like: restart rather than trust caches. */
bool store_is_broken(const struct store *s);
/* True if something can be read, from the disk and not from a cache. */
bool store_answers(struct store *s);
/* Looks through it for pages that are not what was written, if it is small
 * enough for that to be done between two datagrams (*ret_looked). ERR_MALFORMED
 * if there is one; ERR_IO. */
MUST_USE enum err store_look(struct store *s, bool *ret_looked);
/* False: what can be read may be on no disk, for it could not be made durable
 * when the store was opened. Reading goes on, but nothing may be acknowledged
 * because it is there. Each commit and store_probe try again. */
bool store_is_kept(const struct store *s);
/* Writes and commits something small, to see whether it works again. */
MUST_USE enum err store_probe(struct store *s);

/* ---- small things ---- */

MUST_USE enum err
store_meta_set(struct store *s, const char *key, struct span value);
/* ERR_NOT_FOUND, ERR_TOO_LONG. */
MUST_USE enum err store_meta_get(
    struct store *s, const char *key, void *buf, size_t cap, size_t *ret_n);
uint64_t store_bytes(struct store *s);          /* size of the database */
uint64_t store_tampered(const struct store *s); /* rows that did not open */

MUST_USE enum err store_self_set(struct store *s, struct span record);
/* What this identity is called by its owner, sealed; set once with
 * created_ms. ERR_NOT_FOUND: it was never set. */
MUST_USE enum err
store_profile_set(struct store *s, struct span name, uint64_t created_ms);
MUST_USE enum err store_profile_get(struct store *s,
    char ret_name[STORE_NAME_MAX + 1], uint64_t *ret_created_ms);
/* What contacts are told to call us; empty: nothing. ERR_NOT_FOUND: never. */
MUST_USE enum err store_told_set(struct store *s, struct span name);
MUST_USE enum err store_told_get(struct store *s, char ret[STORE_NAME_MAX + 1]);
/* Replaces the saved DHT table. */
MUST_USE enum err
store_dht_set(struct store *s, const struct node_saved *nodes, size_t n);
MUST_USE enum err store_dht_get(
    struct store *s, struct node_saved *ret, size_t max, size_t *ret_n);

/* ---- contacts, each with its conversation ---- */

/* Do they hear what was read? */
enum store_receipts {
	STORE_RECEIPTS_DEFAULT = 0, /* as the configuration says */
	STORE_RECEIPTS_ON,
	STORE_RECEIPTS_OFF,
};
/* How it is kept; nothing of it leaves this side. */
struct store_conv {
	bool muted, pinned;
	enum store_receipts receipts;
	/* Not set by store_conv_set. */
	bool has_draft;
	uint32_t ttl_s; /* of texts from now on; 0: they stay */
};

struct store_contact {
	struct contact_id id;
	struct id_pk id_pk;
	enum contact_state state;
	char name[STORE_NAME_MAX + 1];    /* UTF-8, hostile or empty */
	char profile[STORE_NAME_MAX + 1]; /* what it calls itself; the same */
	uint64_t created_ms;
	uint64_t ready_ms;     /* 0: never */
	uint64_t last_seen_ms; /* 0: never */
	int64_t last_row;      /* newest message, 0: none */
	int64_t read_row;      /* newest one read, 0: none */
	uint64_t unread;
	struct store_conv conv;
};

/* Insert or replace what the node knows (change of kind CHANGE_CONTACT). */
MUST_USE enum err store_contact_put(
    struct store *s, const struct change *c, uint64_t now_ms, bool *ret_new);
/* Without history: undelivered messages become failed, the others stay. */
MUST_USE enum err store_contact_remove(struct store *s,
    const struct contact_id *id, bool history, uint64_t now_ms);
MUST_USE enum err store_contact_rename(
    struct store *s, const struct contact_id *id, struct span name);
/* What it calls itself; empty: nothing. ERR_NOT_FOUND. */
MUST_USE enum err store_contact_profile(
    struct store *s, const struct contact_id *id, struct span profile);
MUST_USE enum err store_contact_seen(
    struct store *s, const struct contact_id *id, uint64_t now_ms);
MUST_USE enum err store_contact_get(
    struct store *s, const struct contact_id *id, struct store_contact *ret);

/* Where a page of contacts or conversations goes on. */
struct store_place {
	bool set; /* false: from the start; in an answer: the end */
	int64_t at;
	struct contact_id id;
};
/*
 * Calls row for each, until it returns false or limit (0: none) is reached.
 * *ret_next is where to go on; ret_next->set is false at the end. By age of the
 * contact, or (conversations) newest message first, optionally only those
 * with unread messages.
 */
MUST_USE enum err store_contacts(struct store *s, struct store_place from,
    size_t limit, bool (*row)(void *ctx, const struct store_contact *c),
    void *ctx, struct store_place *ret_next);
struct store_conv_query {
	struct store_place from;
	size_t limit;
	bool unread_only;
};
MUST_USE enum err store_convs(struct store *s, const struct store_conv_query *q,
    bool (*row)(void *ctx, const struct store_contact *c), void *ctx,
    struct store_place *ret_next);

/* ---- invitations of ours ---- */

enum store_invite_state {
	STORE_INVITE_LIVE = 1,
	STORE_INVITE_USED = 2,
	STORE_INVITE_GONE = 3, /* revoked or expired */
};
struct store_invite {
	struct message_id id;
	enum store_invite_state state;
	char label[STORE_LABEL_MAX + 1];
	uint64_t created_ms, expires_ms;
	struct contact_id used_by; /* if used */
};
MUST_USE enum err store_invite_put(
    struct store *s, const struct change *c, uint64_t now_ms, bool *ret_new);
/* The secret record is erased; the row stays for invite.list. */
MUST_USE enum err
store_invite_gone(struct store *s, const struct change *c, uint64_t now_ms);
MUST_USE enum err store_invite_label(
    struct store *s, const struct message_id *id, struct span label);
MUST_USE enum err store_invite_get(
    struct store *s, const struct message_id *id, struct store_invite *ret);
/* Newest first. */
MUST_USE enum err store_invites(struct store *s,
    bool (*row)(void *ctx, const struct store_invite *i), void *ctx);

/* ---- messages ---- */

struct store_message {
	int64_t row;   /* order of history, rises; 0: not stored yet */
	int64_t block; /* for the store alone: what it is sealed under */
	struct node_message m;
	uint64_t state_ms;  /* when it got its state */
	uint64_t edited_ms; /* by our clock; 0: never */
	uint64_t gone_ms;   /* it disappears then; 0: not yet known, or never */
	bool deleted;       /* a text that is no more; m.text is empty */
	/* What is still to be sent before the text was edited or deleted;
	 * empty: m.text. Borrowed as that is. */
	struct span unsent;
	char client_id[API_CLIENT_ID_MAX + 1]; /* of our own sends, or empty */
};
static inline bool
store_message_is_ours(const struct store_message *m)
{
	return m->m.state != MESSAGE_RECEIVED;
}

/*
 * Inserts a text, or what we do to one; sets m->row. ERR_EXISTS: (contact, id)
 * is stored, with the same text; ERR_CONFLICT: with another. Nothing changes
 * then, and the transaction stays good.
 */
MUST_USE enum err store_message_add(struct store *s, struct store_message *m);
/* One of ours that was never sent has another number and predecessor.
 * ERR_NOT_FOUND. */
MUST_USE enum err
store_message_number(struct store *s, const struct contact_id *contact,
    const struct message_id *id, uint64_t seq, const uint8_t prev[32]);
/* One of ours that has failed is inserted anew, behind all others, with what
 * was thought of it. ERR_NOT_FOUND; ERR_EXISTS: it has not failed. */
MUST_USE enum err store_message_again(struct store *s, struct store_message *m);
/* Does what an edit, a deletion or a reaction says, of ours or theirs.
 * ERR_NOT_FOUND: there is no such text, it is deleted, or (edit, delete) not
 * by who said it. */
MUST_USE enum err store_message_change(
    struct store *s, const struct store_message *what, uint64_t now_ms);
/* The text is gone, at this side alone. ERR_NOT_FOUND: or it was before. */
MUST_USE enum err store_message_delete(struct store *s,
    const struct contact_id *contact, const struct message_id *id);
/* Texts that disappear. All of theirs up to row are read now: their time runs.
 * That of ours runs from their delivery. */
MUST_USE enum err store_timer_read(struct store *s,
    const struct contact_id *contact, int64_t row, uint64_t now_ms);
/* When the next one does (wall clock); NEVER, also if it cannot be read. */
uint64_t store_timer_next(struct store *s);
/* Deletes one whose time is over; *ret is what it was, its text borrowed.
 * ERR_NOT_FOUND: there is none. */
MUST_USE enum err
store_timer_due(struct store *s, uint64_t now_ms, struct store_message *ret);
struct store_reaction {
	bool ours;
	char text[NODE_REACTION_MAX + 1];
};
/* To one message, ours first; at most 2. */
MUST_USE enum err
store_reactions(struct store *s, const struct contact_id *contact,
    const struct message_id *id, struct store_reaction ret[2], size_t *ret_n);
/* ERR_NOT_FOUND; ERR_EXISTS: has that state, or a later one. *ret has its
 * row, kind, state, ttl and client_id, and perhaps the rest. */
MUST_USE enum err store_message_move(struct store *s,
    const struct contact_id *contact, const struct message_id *id,
    enum message_state state, uint64_t now_ms, struct store_message *ret);
/* Why it has the state that it moved to. */
MUST_USE enum err
store_message_reason(struct store *s, int64_t row, enum message_reason reason);
/* ERR_NOT_FOUND. contact NULL: the oldest of that id. text is borrowed until
 * the next call on the store. */
MUST_USE enum err
store_message_get(struct store *s, const struct contact_id *contact,
    const struct message_id *id, struct store_message *ret);

/* The row of the newest message there ever was, 0: none yet. */
MUST_USE enum err store_last_row(struct store *s, int64_t *ret);
/* Tells of each row whose text may be another one; one watcher, borrowed. */
void store_watch_texts(
    struct store *s, void (*changed)(void *ctx, int64_t row), void *ctx);

struct store_history {
	struct contact_id contact;
	int64_t before; /* rows below it, newest first; 0: from the newest */
	int64_t after;  /* not 0: rows above it instead, oldest first */
	size_t limit;
};
/* m->m.text is borrowed during the call. */
MUST_USE enum err store_history(struct store *s, const struct store_history *q,
    bool (*row)(void *ctx, const struct store_message *m), void *ctx);
/* All own messages that are not delivered yet, by contact and seq. */
MUST_USE enum err store_outbox(struct store *s,
    bool (*row)(void *ctx, const struct store_message *m), void *ctx);
/* What waits there for a contact fails, and is kept as history only. */
MUST_USE enum err store_outbox_fail(
    struct store *s, const struct contact_id *contact, uint64_t now_ms);
/* Marks all up to row as read (never back). ERR_NOT_FOUND. */
MUST_USE enum err
store_conv_read(struct store *s, const struct contact_id *contact, int64_t row);
MUST_USE enum err store_conv_unread(
    struct store *s, const struct contact_id *contact, uint64_t *ret);

/* The number of their newest message up to row. ERR_NOT_FOUND: none. */
MUST_USE enum err store_conv_number(struct store *s,
    const struct contact_id *contact, int64_t row, uint64_t *ret);
/* They have read ours up to the number seq: those become MESSAGE_READ. *ret is
 * the newest. ERR_NOT_FOUND: nothing that was not read before. */
MUST_USE enum err
store_conv_they_read(struct store *s, const struct contact_id *contact,
    uint64_t seq, uint64_t now_ms, struct message_id *ret);
/* ERR_NOT_FOUND. */
MUST_USE enum err store_conv_set(struct store *s,
    const struct contact_id *contact, const struct store_conv *c);
/* How long texts last there; 0: they stay, or there is no conversation. */
MUST_USE enum err store_conv_ttl(
    struct store *s, const struct contact_id *contact, uint32_t *ret);
/* Their texts and ours disappear from now on, or not, as somebody said at
 * sent_ms. ERR_EXISTS: it is so, or somebody said otherwise later. */
MUST_USE enum err store_conv_timer(struct store *s,
    const struct contact_id *contact, uint32_t ttl_s, uint64_t sent_ms);
/* A text begun, at most NODE_TEXT_MAX; empty: none. ERR_NOT_FOUND: no such
 * conversation. *ret is borrowed until the next call on the store. */
MUST_USE enum err store_draft_set(
    struct store *s, const struct contact_id *contact, struct span text);
MUST_USE enum err store_draft_get(
    struct store *s, const struct contact_id *contact, struct span *ret);

/* All its texts go, with what was thought of them, the draft and the events
 * about them; what is still to be sent is shown no more. */
struct store_cleared {
	uint64_t messages; /* as in history */
	uint64_t unsent;   /* of them, on their way */
};
MUST_USE enum err store_conv_clear(struct store *s,
    const struct contact_id *contact, struct store_cleared *ret);

struct store_counts {
	uint64_t contacts, unread, unread_convs;
	uint64_t messages; /* ever stored */
	uint64_t waiting;  /* own messages not delivered yet */
};
MUST_USE enum err store_count(struct store *s, struct store_counts *ret);

/* ---- idempotent requests ---- */

/* Looks up what `client_id` was used for. ERR_NOT_FOUND: nothing yet;
 * ERR_CONFLICT: for something else; ERR_OK: the same, *ret is its result. */
MUST_USE enum err store_client_get(struct store *s, struct span client_id,
    const uint8_t digest[32], uint8_t ret[16]);
MUST_USE enum err store_client_put(struct store *s, struct span client_id,
    const uint8_t digest[32], const uint8_t result[16], uint64_t now_ms);

/* ---- loading the node ---- */

/* Gives everything to a node that has no identity yet, in the right order.
 * Rows that do not open or that it refuses are skipped and logged. */
MUST_USE enum err store_load_node(struct store *s, struct node *n,
    const struct id_seed *seed, struct now now);

/* Drops what is past its time (client ids, dead invitations). */
MUST_USE enum err store_expire(struct store *s, uint64_t now_ms);

/* ---- backup: what another life of this store is made of ---- */

/*
 * Writes the database to path, as it was committed last, without what is of
 * this life alone: records of contacts, own record, events, nodes. ERR_EXISTS:
 * there is such a file; ERR_LIMIT: disk full; ERR_IO.
 */
MUST_USE enum err store_copy(struct store *s, const char *path);
/* Calls row for each, until it returns false. */
MUST_USE enum err store_records(struct store *s,
    bool (*row)(void *ctx, const struct contact_id *id, struct span record),
    void *ctx);
void store_each_key(struct store *s,
    bool (*row)(void *ctx, uint64_t number, const uint8_t key[32]), void *ctx);
/* Makes the file of keys in a directory. */
struct store_named_key {
	uint64_t number;
	uint8_t key[32];
};
MUST_USE enum err store_put_keys(const char *dir, const struct store_key *key,
    const struct store_named_key *keys, size_t n);
/* In a copy that is open and has its key: a record comes back; and it is
 * another log of events than that of the copied one. ERR_NOT_FOUND. */
MUST_USE enum err store_record_set(
    struct store *s, const struct contact_id *id, struct span record);
MUST_USE enum err store_epoch_renew(struct store *s);

#endif /* DAEMON_STORE_H */
