/*
 * The UDP sockets, one a family, opened or inherited, and extra ones that come
 * and go [node.h: node_receive_socket]. Receiving is by
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
	UDP_RECEIVE_BATCH = 64, /* datagrams of one socket at a time */
	UDP_RUN_MAX = 64,       /* datagrams in one, with UDP_GRO */
	UDP_SEND_BATCH = 64,    /* datagrams a sendmmsg */
	UDP_QUEUE_MAX = 8192,   /* datagrams of one turn; more are dropped */
	UDP_EXTRA_MAX = 208,    /* extra sockets have the numbers 1.. */
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

/*
 * Extra socket k, 1..UDP_EXTRA_MAX: at the address of the family's socket, on
 * a port that the system chooses. ERR_EXISTS: it is open; ERR_UNSUPPORTED: the
 * family has no socket, or a sandbox allows no more; ERR_LIMIT: too many files
 * are open; ERR_IO.
 */
MUST_USE enum err udp_extra_open(
    struct udp *u, unsigned k, enum family f, char why[UDP_WHY_SIZE]);
/* What waits to leave by it is dropped. Not open is fine. */
void udp_extra_close(struct udp *u, unsigned k);
int udp_extra_fd(const struct udp *u, unsigned k); /* -1: not open */
bool udp_extra_bound(const struct udp *u, unsigned k, struct endpoint *ret);
/* True if one could be opened now, for one family at least. */
bool udp_extra_works(const struct udp *u, char why[UDP_WHY_SIZE]);

/* Reads until nothing is left or UDP_RECEIVE_BATCH datagrams have come, and
 * hands each over; returns how many: the last read may bring some runs of
 * UDP_RUN_MAX more. data is borrowed during the call. */
size_t udp_receive(struct udp *u, enum family f,
    void (*take)(void *ctx, const struct endpoint *from, struct span data),
    void *ctx);
/* True if the last udp_receive left more than an eighth of the socket's buffer
 * filled: datagrams come faster than they are taken. */
bool udp_is_behind(const struct udp *u, enum family f);
size_t udp_extra_receive(struct udp *u, unsigned k,
    void (*take)(void *ctx, const struct endpoint *from, struct span data),
    void *ctx);

/* Copies a datagram to the queue; drops it if there is no such socket, or the
 * queue is full. */
void udp_queue(struct udp *u, const struct endpoint *to, struct span data);
struct udp_way {
	struct endpoint to;
	uint8_t hops;    /* routers that it passes at most; 0: as usual */
	unsigned socket; /* an extra one; 0: the family's */
};
void udp_queue_way(struct udp *u, const struct udp_way *way, struct span data);
/* Sends what is queued. False: the kernel's buffer is full, some are left;
 * call again when the socket of *ret_busy is writable. */
bool udp_flush(struct udp *u, enum family *ret_busy);
bool udp_is_queued(const struct udp *u);
/* Sends a few bytes from the family's socket to itself, and looks whether
 * something is there to be read; it is left there. ERR_IO: why[] says what. */
MUST_USE enum err
udp_self(const struct udp *u, enum family f, char why[UDP_WHY_SIZE]);
void udp_drop_queue(struct udp *u);

struct udp_stats {
	uint64_t in, out, bytes_in, bytes_out;
	uint64_t too_long, send_failed, queue_dropped;
	uint64_t runs_out, runs_in; /* of several datagrams as one */
	size_t extra;               /* sockets open now */
};
void udp_get_stats(const struct udp *u, struct udp_stats *ret);

#endif /* DAEMON_UDP_H */
