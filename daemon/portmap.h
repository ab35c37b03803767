/*
 * Port mappings: one socket a family to the default gateway, driven by
 * proto/nat. What is mapped becomes an address of ours that the node tells
 * its contacts. [SPEC §4.3]
 */
#ifndef DAEMON_PORTMAP_H
#define DAEMON_PORTMAP_H

#include "daemon/daemon.h"
#include "proto/nat/mapping.h"

/* Needs d->base and d->udp. Does nothing if the configuration says no or all
 * sockets are on loopback. ERR_NOMEM. */
MUST_USE enum err portmap_new(struct daemon *d);
void portmap_free(struct daemon *d);
/* Is there a gateway, and still the same? Called now and then. */
void portmap_look(struct daemon *d);
/* There is a new node: it is told again. No-op before portmap_new. */
void portmap_tell(struct daemon *d);
/* A clean end: gives back what is mapped. */
void portmap_release(struct daemon *d);
const char *portmap_protocol(const struct mapping *m); /* its name */
/* For net.status; NULL: this family has no gateway. */
const struct mapping *portmap_state(const struct daemon *d, enum family f);

#endif /* DAEMON_PORTMAP_H */
