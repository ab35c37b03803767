/*
 * The extra sockets of the node: opened, read and closed as its effects say.
 * [node.h: node_receive_socket]
 */
#ifndef DAEMON_SOCKETS_H
#define DAEMON_SOCKETS_H

#include "daemon/daemon.h"

/* Needs d->base and d->udp. ERR_NOMEM. */
MUST_USE enum err sockets_new(struct daemon *d);
void sockets_free(struct daemon *d);
/* How many a new node may ask for: 0 where a sandbox allows none. */
size_t sockets_max(const struct daemon *d);
/* It did not open: the node is told that it is lost. */
void sockets_open(struct daemon *d, unsigned k, enum family f);
void sockets_close(struct daemon *d, unsigned k);
/* The node is gone. No-op before sockets_new. */
void sockets_close_all(struct daemon *d);

#endif /* DAEMON_SOCKETS_H */
