/* What waits for the commit of a turn; and what follows a lost one. */
#ifndef DAEMON_TURN_H
#define DAEMON_TURN_H

#include "daemon/daemon.h"

#include <sys/statvfs.h>

MUST_USE enum err turn_new(struct daemon *d); /* ERR_NOMEM */
void turn_free(struct daemon *d);

/* Makes the node: sockets and keys as they are now, loaded from the store.
 * ERR_NOMEM, or what the store says. */
MUST_USE enum err turn_start_node(struct daemon *d);
/* The same at a start, or later if the store is not kept: without a node
 * nothing is acknowledged. */
MUST_USE enum err turn_begin(struct daemon *d);
/* Ends the turn, and all that the keys opened: the node with its sessions, what
 * was read from the store, the keys themselves. Another node begins, as in a
 * daemon that starts locked. The keys are sealed by a passphrase. */
void turn_lock(struct daemon *d);
/* The same for good: the keys are none, the store is closed, d->store is NULL,
 * and no node runs. */
void turn_forget(struct daemon *d);
/* The database is empty, and there is a key: it was cut. */
bool turn_store_is_cut(const struct daemon *d);
/* Opens what stands in the place of a store that was closed, or ends the
 * process, to be started again. */
void turn_open_store(struct daemon *d);
/* After turn_forget: an empty store and a node, as in a daemon that starts
 * without an identity. */
void turn_anew(struct daemon *d);
/* After a lost turn: tries to write and to start the node again. */
void turn_recover(struct daemon *d);
/* Is less free than that, or than a little more if it was low? A file system of
 * units of 512 bytes says so as well as one of 1 MiB; one that says nothing has
 * room. */
bool turn_is_low(const struct statvfs *fs, uint64_t reserve_mib, bool was_low);

#endif /* DAEMON_TURN_H */
