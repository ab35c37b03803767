/*
 * The keys of what is stored, in a file of their own, so that to destroy a key
 * is to destroy all that was sealed under it, wherever old blocks of the
 * database may still lie. [btchatd(8): FILES]
 *
 * store.keys: pages of 100 x (number[8] (LE, 0: none) ‖ key[32]) and zeros,
 * each in two sealed slots, see keyslot.h. Of two good slots the one with the
 * higher generation counts.
 *
 * A page is written to one slot, synced, then to the other. So one good slot
 * is left by a crash between any two writes. After keys were destroyed, the
 * second write is synced, too: the old bytes are overwritten in place, never
 * replaced by a rename, which would leave their blocks behind. On flash and on
 * file systems that copy on write the old block may survive all the same.
 *
 * Adding and destroying follow the transaction of the database: what it names
 * is durable here before it commits, and destroyed after it has. Some keys are
 * there before anybody wants one, so that not each costs a sync of its own.
 */
#ifndef DAEMON_KEYFILE_H
#define DAEMON_KEYFILE_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stdint.h>

#define KEYFILE_NAME "store.keys"

enum {
	KEYFILE_KEY_SIZE = 32,
	KEYFILE_KEYS_MAX = 65500, /* 655 pages: 2.6 MB of locked memory */
	KEYFILE_SPARES = 32,
};

struct keyfile;

/*
 * Opens dir/store.keys under a key of the store. ERR_NOT_FOUND: there is none,
 * and `create` is false. ERR_MALFORMED: not such a file, or another
 * version's. ERR_NOMEM (also: no locked memory), ERR_IO. Pages that do not
 * open are left alone, see keyfile_is_damaged.
 */
MUST_USE enum err keyfile_open(const char *dir,
    const uint8_t seal[KEYFILE_KEY_SIZE], bool create, struct keyfile **ret);
void keyfile_close(struct keyfile *f); /* wipes; NULL is fine */
/* Some pages did not open: their keys are missing. */
bool keyfile_is_damaged(const struct keyfile *f);
/* No key is missing: they were never whole, and are used again. */
void keyfile_forgive(struct keyfile *f);

/* Borrowed until the next call that adds, or the end of the transaction.
 * NULL: there is none of that number. */
const uint8_t *keyfile_find(const struct keyfile *f, uint64_t number);
/* Draws a key, under a number that no other has had since keyfile_reserve.
 * ERR_LIMIT, ERR_NOMEM. */
MUST_USE enum err keyfile_add(struct keyfile *f, uint64_t *ret_number);
/* One of a backup, under its number. ERR_EXISTS, and as above. */
MUST_USE enum err keyfile_put(
    struct keyfile *f, uint64_t number, const uint8_t key[KEYFILE_KEY_SIZE]);
/* Numbers up to this one are not given. */
void keyfile_reserve(struct keyfile *f, uint64_t number);
/* It is destroyed when the transaction has committed. */
void keyfile_drop(struct keyfile *f, uint64_t number);
/* Calls row for each number, in no order, until it returns false. */
void keyfile_each(const struct keyfile *f,
    bool (*row)(void *ctx, uint64_t number), void *ctx);

/* Before the commit: makes added keys durable. ERR_LIMIT: the disk is full;
 * ERR_IO. */
MUST_USE enum err keyfile_sync(struct keyfile *f);
/* The database has committed: destroys what was dropped. On error it is tried
 * again by the next call, or at the next start. */
MUST_USE enum err keyfile_commit(struct keyfile *f);
/* The transaction is lost: nothing was added, nothing dropped. */
void keyfile_rollback(struct keyfile *f);
/* A sync failed: what is durable is not known. */
bool keyfile_is_broken(const struct keyfile *f);

#endif /* DAEMON_KEYFILE_H */
