/*
 * The virtual network: hosts with addresses, and datagrams that are late,
 * lost, doubled, damaged, out of order or cut off, as the weather wants. It
 * knows nothing of what the datagrams mean.
 */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include "proto/base/endpoint.h"
#include "tests/sim/queue.h"
#include "tests/sim/router.h"

enum {
	NET_HOSTS_MAX = 64,      /* bits of a cut */
	NET_DATAGRAM_MAX = 1500, /* more is never carried */
	NET_ALIAS_MAX = 512,     /* slots of the table of addresses */
	NET_TTL = 64,            /* of who does not say */
	NET_HOPS_MIN = 6,        /* between the routers of two hosts */
	NET_HOPS_MAX = 18,
	NET_SOCKETS_MAX = 208, /* of a host, besides its usual one */
};
#define NET_NOBODY UINT32_MAX

/* Chances are per mille of datagrams; all zero is a fine day. */
struct net_weather {
	uint32_t loss;
	uint32_t burst; /* begins 50..1000 ms of silence of one sender */
	uint32_t duplicate;
	uint32_t reorder;      /* held back up to reorder_ms */
	uint32_t reorder_ms;   /* 0: 100 */
	uint32_t slow;         /* held back 100 ms to 10 s */
	uint32_t corrupt;      /* one to three bits flipped */
	uint32_t jitter_ms;    /* added to every one */
	uint32_t datagram_max; /* larger ones vanish; 0: none do */
};

/* Datagrams that met with it. */
struct net_tally {
	uint64_t lost, silenced, doubled, overtaken, late, damaged;
	uint64_t cut, dead, held, too_large;
};

/* The access of a host: each way that takes so long, keeps the order, and loses
 * that share, besides what the weather and the path do. */
struct net_line {
	uint32_t latency_ms;
	uint32_t loss;      /* per mille */
	uint32_t jitter_ms; /* even */
	/* When the last one came to it and got through it, out and in. */
	uint64_t from_ms[2], to_ms[2];
};

struct net_host {
	bool has[FAMILY_COUNT];
	/* As others see it; behind a router: address and port that it would
	 * like to have. */
	struct endpoint at[FAMILY_COUNT];
	struct endpoint inside[FAMILY_COUNT]; /* what the host itself knows */
	uint64_t cut; /* bit h: what this host sends to host h is lost */
	uint64_t silent_until_ms; /* end of a burst of loss */
	bool is_dead;             /* its line, both ways */
	struct net_line line;
	uint64_t held_until_ms; /* its line holds all back until then */
	struct router *router;  /* owned; NULL: the host is in the open */
	uint16_t socket[NET_SOCKETS_MAX + 1]; /* port inside; 0: closed */
};

/* How a datagram leaves. */
struct net_way {
	struct endpoint to;
	uint8_t ttl;     /* 0: NET_TTL */
	unsigned socket; /* 0: the usual one */
};

struct net_packet {
	uint32_t from;   /* host, or NET_NOBODY if forged */
	uint32_t to;     /* host, set on arrival, or NET_NOBODY */
	unsigned socket; /* of it, likewise; 0: the usual one */
	struct endpoint source, dest;
	bool intact; /* first copy, not damaged */
	uint16_t n;
	struct net_packet *next; /* of the free list */
	uint8_t b[NET_DATAGRAM_MAX];
};

struct net {
	uint64_t seed;
	uint32_t latency_min_ms, latency_max_ms; /* one way, of a pair */
	struct net_weather weather;
	struct dice dice;
	/* Lost beyond the sender's router, if that says so. */
	bool (*is_left_out)(uint32_t from, uint32_t to, struct span datagram);
	struct queue queue;
	struct net_host hosts[NET_HOSTS_MAX];
	uint32_t n_hosts;
	uint16_t alias[NET_ALIAS_MAX]; /* host * FAMILY_COUNT + family + 1 */
	struct net_packet *free;       /* owned */
	uint64_t n_sent, n_lost, n_arrived, bytes_sent;
	struct net_tally tally;
};

void net_init(
    struct net *net, uint64_t seed, uint32_t latency_min_ms, uint32_t max_ms);
void net_clear(struct net *net);
/* Returns the host. v6 may be NULL. */
uint32_t net_host_add(
    struct net *net, const struct endpoint *v4, const struct endpoint *v6);
/* Puts the host behind a router; NULL: in the open again. */
void
net_router(struct net *net, uint32_t host, const struct router_config *cfg);
/* The router forgets, and gives other ports from now on. */
void net_rebind(struct net *net, uint32_t host);
/* The host, or its router, has another address of to's family from now on.
 * No two hosts have one address. */
void net_move(struct net *net, uint32_t host, const struct endpoint *to);
/* The host that has this address or whose router has given it, or NET_NOBODY.
 */
uint32_t net_find(const struct net *net, const struct endpoint *at);
/* Where others saw the host last. */
struct endpoint
net_outside(const struct net *net, uint32_t host, enum family f);
/* Both ways, or one way only. */
void net_cut(struct net *net, uint32_t a, uint32_t b);
void net_cut_one_way(struct net *net, uint32_t from, uint32_t to);
void net_heal(struct net *net); /* fine weather, no cuts */

/* Sockets 1..NET_SOCKETS_MAX, of any family; the system chooses the port. */
void net_socket_open(struct net *net, uint32_t host, unsigned socket);
void net_socket_close(struct net *net, uint32_t host, unsigned socket);

/* False: it was taken at once: by the weather, or where its TTL ended, which
 * may be after it has opened the host's router. */
bool net_send_way(struct net *net, uint32_t host, const struct net_way *way,
    struct span datagram, uint64_t now_ms);
bool net_send(struct net *net, uint32_t host, const struct endpoint *to,
    struct span datagram, uint64_t now_ms);
/* What an attacker on the wire puts there; it arrives in any weather. */
void net_inject(struct net *net, const struct endpoint *source,
    const struct endpoint *dest, struct span datagram, uint64_t at_ms);
uint64_t net_next_ms(const struct net *net);
/* The next datagram, due now; NULL: none. Owned until net_release. */
struct net_packet *net_next(struct net *net, uint64_t now_ms);
void net_release(struct net *net, struct net_packet *p);

#endif /* TESTS_SIM_NET_H */
