/*
 * The key file: identity seed and store key, plain (0600) or sealed by a
 * passphrase. Secrets live in one locked, guarded allocation. [SPEC §2]
 *
 * identity.key, plain:   "btchat key 1 plain\n"  ‖ seed[32] ‖ store key[32]
 * identity.key, sealed:  "btchat key 1 sealed\n" ‖ opslimit[8] ‖ memlimit[8]
 *                        (LE) ‖ salt[16] ‖ nonce[24] ‖ box[64 + 16]
 * Either is followed by 32 bytes of BLAKE2b over all that stands before, so
 * that damage is told apart from a wrong passphrase.
 */
#ifndef DAEMON_KEYRING_H
#define DAEMON_KEYRING_H

#include "proto/crypto/types.h"

#define KEYRING_FILE "identity.key"

enum {
	KEYRING_PASS_MAX = 1024, /* bytes of a passphrase */
	KEYRING_WHY_SIZE = 256,
};

enum keyring_state {
	KEYRING_NONE = 0, /* no key file: no identity yet */
	KEYRING_LOCKED,   /* sealed, passphrase not given yet */
	KEYRING_OPEN,
};

struct store_key {
	uint8_t b[32];
}; /* secret: root of all sealed columns */

struct keyring;

/*
 * Reads dir/identity.key (borrowed: dir_fd, for life). ERR_NOMEM: no locked
 * memory. ERR_MALFORMED, ERR_UNSUPPORTED, ERR_STATE (mode or owner), ERR_IO:
 * refused, and why[] names the file and the repair. No file is no error.
 */
MUST_USE enum err
keyring_open(int dir_fd, struct keyring **ret, char why[KEYRING_WHY_SIZE]);
void keyring_close(struct keyring *k); /* wipes; NULL is fine */

enum keyring_state keyring_state(const struct keyring *k);
bool keyring_sealed(const struct keyring *k); /* by a passphrase */

/* Makes keys and the file; an empty passphrase makes a plain file.
 * ERR_EXISTS, ERR_TOO_LONG, ERR_NOMEM, ERR_LIMIT, ERR_IO: nothing changed. */
MUST_USE enum err keyring_create(struct keyring *k, struct span passphrase);
/* The same with keys that were there before; key NULL: a new one. */
MUST_USE enum err keyring_import(struct keyring *k, const struct id_seed *seed,
    const struct store_key *key, struct span passphrase);
/* ~1 s of one core. ERR_AUTH (wrong), ERR_STATE (not locked), ERR_NOMEM. */
MUST_USE enum err keyring_unlock(struct keyring *k, struct span passphrase);
/* ERR_AUTH: the file is sealed by another; an empty one says that it is not
 * sealed. ERR_NOMEM. */
MUST_USE enum err
keyring_check_passphrase(const struct keyring *k, struct span passphrase);
/* Seals the file of open keys by this one from now on, or (empty) by none.
 * ERR_STATE (not open), ERR_TOO_LONG, ERR_NOMEM, ERR_NOT_FOUND, ERR_LIMIT,
 * ERR_IO: nothing changed. After a crash it is sealed by the one or the other.
 */
MUST_USE enum err
keyring_set_passphrase(struct keyring *k, struct span passphrase);

/* Forgets the secrets of a sealed file again. */
void keyring_lock(struct keyring *k);
/* The file is no more: as if there had never been one. */
void keyring_forget(struct keyring *k);

/* Borrowed until keyring_close; state must be KEYRING_OPEN. */
const struct id_seed *keyring_seed(const struct keyring *k);
const struct store_key *keyring_store_key(const struct keyring *k);

#endif /* DAEMON_KEYRING_H */
