/*
 * Backups, and the identity alone. Both are vaults (vault.h) that hold, in
 * this order (integers LE):
 *
 *   version[1] = 1 ‖ whole[1] ‖ made_ms[8] ‖ contacts[8] ‖ messages[8] ‖
 *   name_n[2] ‖ name ‖ seed[32]
 *   and if whole is 1:
 *   store key[32] ‖ n[8] ‖ n x (number[8] ‖ key[32]) ‖
 *   n[8] ‖ n x (contact[16] ‖ size[2] ‖ record) ‖ size[8] ‖ database
 *
 * A backup is of one moment, the last commit. It has no static key and no key
 * of a ratchet: who opens it later can be the user and read the history, but
 * nothing that was recorded on the network. What is restored is another life
 * of the identity: its static keys, reach key, db epoch and the epoch of its
 * event log are new, ratchets begin again from the roots of the pairs.
 *
 * While one is made the daemon does nothing else.
 */
#ifndef DAEMON_BACKUP_H
#define DAEMON_BACKUP_H

#include "daemon/store.h"

struct backup_about {
	bool whole; /* false: the identity alone */
	uint64_t made_ms, contacts, messages;
	uint64_t bytes; /* of the file */
	char name[STORE_NAME_MAX + 1];
	struct id_pk id;
};

/* What a backup is made of, or a restored daemon. */
struct backup_source {
	const char *dir;             /* the state directory */
	struct store *store;         /* NULL: the identity alone */
	const struct id_seed *seed;  /* secret */
	const struct store_key *key; /* secret */
	const char *name;
	uint64_t now_ms;
};

/* Nothing is uncommitted. ERR_LIMIT (disk full), ERR_NOMEM, ERR_IO. */
MUST_USE enum err backup_write(int fd, struct span pass,
    const struct backup_source *from, struct backup_about *ret);

/* Reads all of it. ERR_AUTH: passphrase; ERR_MALFORMED: not a backup, or
 * damaged; ERR_UNSUPPORTED: of a newer version; ERR_NOMEM; ERR_IO. */
MUST_USE enum err
backup_verify(int fd, struct span pass, struct backup_about *ret);

struct backup_keys {
	struct id_seed seed;
	struct store_key key;
}; /* secret */

/*
 * Reads all of it, and makes dir/restore/: a store, ready to be put into its
 * place by backup_install. Whole backups only (ERR_MALFORMED). Errors as above;
 * ERR_LIMIT: disk full.
 */
MUST_USE enum err backup_stage(int fd, struct span pass, const char *dir,
    struct backup_keys *ret_keys, struct backup_about *ret);
/* The store of dir is closed, and is lost. */
MUST_USE enum err backup_install(const char *dir);
/* What a crash or an error left. */
void backup_discard(const char *dir);
/* The identity alone, of either kind of file. */
MUST_USE enum err backup_identity(int fd, struct span pass,
    struct id_seed *ret_seed, struct backup_about *ret);

#endif /* DAEMON_BACKUP_H */
