/*
 * The UDP sockets, one a family, opened or inherited. Receiving is by
 * recvmmsg in bounded batches; sending is queued (bytes copied) and leaves
 * with udp_flush, after the commit. Where the kernel can, a run of datagrams
 * of one size to one address passes through it as one (UDP_SEGMENT, UDP_GRO).
 */
#ifndef DAEMON_UDP_H
#define DAEMON_UDP_H

#include "proto/base/endpoint.h"
#include "proto/base/err.h"

#include <stddef.h>

enum {
	UDP_PAYLOAD_MAX = 1500, /* bytes taken; longer ones are dropped */
	UDP_RECEIVE_BATCH = 64, /* reads of one socket at a time */
	UDP_RUN_MAX = 64,       /* datagrams in one, with UDP_GRO */
	UDP_SEND_BATCH = 64,    /* datagrams a sendmmsg */
	UDP_QUEUE_MAX = 8192,   /* datagrams of one turn; more are dropped */
	UDP_WHY_SIZE = 160,
};

struct udp;

MUST_USE enum err udp_new(struct udp **ret); /* ERR_NOMEM */
void udp_free(struct udp *u);                /* closes; NULL is fine */

/* Opens a socket on at (port not 0). ERR_EXISTS: the family has one already
 * or the port is taken; ERR_UNSUPPORTED: no such family here; ERR_IO. */
MUST_USE enum err
udp_listen(struct udp *u, const struct endpoint *at, char why[UDP_WHY_SIZE]);
/* Takes an inherited socket. ERR_UNSUPPORTED: not a bound UDP socket. */
MUST_USE enum err udp_adopt(struct udp *u, int fd, char why[UDP_WHY_SIZE]);

int udp_fd(const struct udp *u, enum family f); /* -1: none */
/* Where it is bound; false: none of that family. */
bool udp_bound(const struct udp *u, enum family f, struct endpoint *ret);
/* True if every socket is bound to a loopback address. */
bool udp_is_loopback(const struct udp *u);
/* Own addresses: what is bound, or those of the interfaces. At most max. */
size_t udp_local(const struct udp *u, struct endpoint *ret, size_t max);

/* Reads up to UDP_RECEIVE_BATCH times, up to UDP_RUN_MAX datagrams each, and
 * hands each over; returns how many. data is borrowed during the call. */
size_t udp_receive(struct udp *u, enum family f,
    void (*take)(void *ctx, const struct endpoint *from, struct span data),
    void *ctx);

/* Copies a datagram to the queue; drops it if there is no socket of the
 * family, or the queue is full. */
void udp_queue(struct udp *u, const struct endpoint *to, struct span data);
/* Sends what is queued. False: the kernel's buffer is full, some are left;
 * call again when the socket of *ret_busy is writable. */
bool udp_flush(struct udp *u, enum family *ret_busy);
bool udp_is_queued(const struct udp *u);
void udp_drop_queue(struct udp *u);

struct udp_stats {
	uint64_t in, out, bytes_in, bytes_out;
	uint64_t too_long, send_failed, queue_dropped;
	uint64_t runs_out, runs_in; /* of several datagrams as one */
};
void udp_get_stats(const struct udp *u, struct udp_stats *ret);

#endif /* DAEMON_UDP_H */
