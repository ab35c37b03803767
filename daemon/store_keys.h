/*
 * Which key seals what. A conversation has several, in the key file, and
 * table seal_key says whose they are:
 *
 *   KEY_CONTACT  the contact: ID, name, record, events that tell its name
 *   KEY_CONV     the conversation: its other events
 *   KEY_BLOCK    up to 128 of its messages, with what was thought of them
 *   KEY_DRAFT    what is being written: each time another one
 *
 * What belongs to no conversation is sealed under the key of the store, k = 0.
 *
 * To remove a contact destroys the first, to remove its history the others. To
 * take one text away, its block is sealed anew under another key, without it,
 * and the old key is destroyed: what is left of the text in old pages of the
 * database, in its log and in blocks of the file system opens no more.
 * (A key for each message was considered: the file of keys would be a third
 * of the database, and each message would wait for its sync.)
 *
 * Before the database commits, new keys are durable; after it has, keys that
 * it no longer names are destroyed. A crash between leaves keys that nobody
 * names, which are destroyed at the next start. So the commit decides: before
 * it nothing is lost, after it all is gone. (To destroy the key first, as one
 * would for a whole conversation, loses what a failed commit keeps.)
 */
#ifndef DAEMON_STORE_KEYS_H
#define DAEMON_STORE_KEYS_H

#include "daemon/keyfile.h"
#include "daemon/store_db.h"

/* Stored: never renumber. */
enum store_key_kind {
	KEY_NONE = 0,
	KEY_CONTACT = 1,
	KEY_CONV = 2,
	KEY_BLOCK = 3,
	KEY_DRAFT = 4,
};

enum {
	/* Of a block: what is sealed anew when one of its texts goes. */
	STORE_BLOCK_ROWS = 128,
	STORE_BLOCK_BYTES = 256 * 1024,
};

/* After store_set_key. ERR_NOT_FOUND, ERR_MALFORMED: the file that is needed
 * is not there, or is none; ERR_NOMEM, ERR_IO. */
MUST_USE enum err store_keys_open(struct store *s);
void store_keys_close(struct store *s);

/* Of a contact, made if there is none. */
MUST_USE enum err store_keys_of(struct store *s, const struct contact_id *c,
    enum store_key_kind kind, int64_t *ret_k);
/* The block that the next message of this size belongs to. */
MUST_USE enum err store_keys_block(
    struct store *s, const struct contact_id *c, size_t bytes, int64_t *ret_k);
/* A text of that block goes, or is another one: what is in it at the commit is
 * sealed anew. */
MUST_USE enum err store_keys_renew(struct store *s, int64_t k);
/* All of that kind. The rows are the caller's. */
MUST_USE enum err store_keys_remove(
    struct store *s, const struct contact_id *c, enum store_key_kind kind);
/* Blocks of a conversation that seal no message any more. */
MUST_USE enum err
store_keys_remove_empty(struct store *s, const struct contact_id *c);
/* NULL: it is not there. */
const uint8_t *store_keys_find(const struct store *s, int64_t k);

/* For store_backup.c. */
const struct keyfile *store_keys_file(const struct store *s);

/* For store_commit and store_rollback. */
MUST_USE enum err store_keys_before_commit(struct store *s);
MUST_USE enum err store_keys_after_commit(struct store *s);
void store_keys_rollback(struct store *s);

#endif /* DAEMON_STORE_KEYS_H */
