/*
 * A file sealed by a passphrase, written and read from end to end:
 *
 *   "btchat vault 1\n" ‖ 0 ‖ opslimit[8] ‖ memlimit[8] (LE) ‖ salt[16] ‖
 *   header[24] ‖ chunks of libsodium's secretstream, of 65,536 bytes each but
 *   the last, which is marked as such
 *
 * The key is Argon2id of the passphrase. A file that was cut, joined or
 * changed anywhere does not open to its end. [btchatctl(1): backup]
 */
#ifndef DAEMON_VAULT_H
#define DAEMON_VAULT_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"

#include <stdint.h>

enum { VAULT_PASS_MAX = 1024 }; /* bytes of a passphrase */

struct vault;

/* fd is borrowed: a regular file, at its beginning. About a second and 256
 * MiB. ERR_NOMEM, ERR_IO, ERR_LIMIT (disk full). */
MUST_USE enum err vault_create(int fd, struct span pass, struct vault **ret);
MUST_USE enum err vault_write(struct vault *v, struct span bytes);
/* Writes the rest and syncs. *ret_bytes: size of the file. */
MUST_USE enum err vault_finish(struct vault *v, uint64_t *ret_bytes);

/* ERR_MALFORMED: not such a file; ERR_UNSUPPORTED: of a newer version, or it
 * asks for more work than this one does; ERR_NOMEM; ERR_IO. */
MUST_USE enum err vault_open(int fd, struct span pass, struct vault **ret);
/* Exactly n bytes. ERR_AUTH: wrong passphrase, or damaged before anything
 * was read; ERR_MALFORMED: damaged or cut further on. */
MUST_USE enum err vault_read(struct vault *v, void *buf, size_t n);
/* Nothing follows. */
MUST_USE enum err vault_end(struct vault *v);

void vault_free(struct vault *v); /* wipes; NULL is fine */

#endif /* DAEMON_VAULT_H */
