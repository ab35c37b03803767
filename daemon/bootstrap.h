/*
 * The first nodes of the DHT: those of the configuration, those a front end
 * names, and the public ones where nothing else is known. Names are resolved
 * by a thread, one at a time, and again while the table is dry.
 */
#ifndef DAEMON_BOOTSTRAP_H
#define DAEMON_BOOTSTRAP_H

#include "daemon/daemon.h"

#include <netdb.h>

/* Who turns names into addresses: like getaddrinfo(3), in a thread. */
struct resolver {
	int (*ask)(const char *host, const char *port,
	    const struct addrinfo *hints, struct addrinfo **ret);
};

/* Needs d->base and d->udp. ERR_NOMEM, ERR_IO. */
MUST_USE enum err bootstrap_new(struct daemon *d);
void bootstrap_free(struct daemon *d);
/* For those who must not leave the machine; before it getaddrinfo(3) asks. */
void bootstrap_set_resolver(struct daemon *d, struct resolver resolver);
/* There is a new node: it is told again. No-op before bootstrap_new. */
void bootstrap_again(struct daemon *d);
/* "[key@]host:port" of a front end. ERR_MALFORMED, ERR_LIMIT. */
MUST_USE enum err bootstrap_add(struct daemon *d, const char *host_port);

#endif /* DAEMON_BOOTSTRAP_H */
