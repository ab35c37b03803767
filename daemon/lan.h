/*
 * The local network: one socket a family that hears the group of beacons, on
 * every interface that has multicast. What is sent leaves from the socket of
 * all else, so that the sender's address is where he is reached. [SPEC §4.5]
 */
#ifndef DAEMON_LAN_H
#define DAEMON_LAN_H

#include "daemon/daemon.h"

/* Needs d->base and d->udp. Does nothing if the configuration says no or all
 * sockets are on loopback. ERR_NOMEM. */
MUST_USE enum err lan_new(struct daemon *d);
void lan_free(struct daemon *d);
/* Are there new interfaces? Called now and then. */
void lan_look(struct daemon *d);
/* To the group, on every interface; what cannot be sent is lost. */
void lan_send(struct daemon *d, struct span data);

#endif /* DAEMON_LAN_H */
