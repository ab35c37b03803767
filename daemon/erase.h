/*
 * All that is kept of an identity, gone for good. [btchat-rpc(7):
 * identity.delete]
 *
 * The key file gets another name: from then on, and not before, there is no
 * identity. Then its bytes are overwritten, and with them what was sealed under
 * it opens no more, wherever old blocks of the database may still lie; then the
 * files of the store. The other name goes last: a start finds by it what a
 * crash left undone.
 */
#ifndef DAEMON_ERASE_H
#define DAEMON_ERASE_H

#include "proto/base/err.h"

#include <stdbool.h>

/* The key file while the rest is erased. To give it back its name undoes what
 * was begun, if nothing of it was done yet. */
#define ERASE_FILE "identity.key.gone"

/* The decision, durable. ERR_NOT_FOUND: there is no key; ERR_LIMIT, ERR_IO:
 * nothing changed. */
MUST_USE enum err erase_begin(int dir_fd);
/* *ret_done: there was something to do. The store is closed. ERR_IO: a file
 * stays; it is tried again by the next call. */
MUST_USE enum err erase_finish(int dir_fd, bool *ret_done);

#endif /* DAEMON_ERASE_H */
