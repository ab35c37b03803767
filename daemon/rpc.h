/*
 * The control socket: JSON-RPC 2.0, one JSON text a line, over Unix stream
 * sockets. It hangs itself into struct daemon: responses to the calls of a
 * turn are held back until hooks.after_commit, events are pulled after it.
 * [btchat-rpc(7)]
 */
#ifndef DAEMON_RPC_H
#define DAEMON_RPC_H

#include "daemon/daemon.h"

enum { RPC_WHY_SIZE = 320 };

/*
 * Takes the inherited sockets named readonly, control and admin, or else
 * listens at d->config.socket; sets d->rpc and d->hooks. Needs d->base,
 * d->store and d->keyring. On error why[] is a sentence for the operator:
 * ERR_EXISTS, ERR_STATE, ERR_TOO_LONG, ERR_IO (as sockpath_listen), ERR_NOMEM.
 */
MUST_USE enum err rpc_start(struct daemon *d, char why[RPC_WHY_SIZE]);
/* Closes everything, removes the socket it made. NULL d->rpc is fine. */
void rpc_stop(struct daemon *d);

#endif /* DAEMON_RPC_H */
