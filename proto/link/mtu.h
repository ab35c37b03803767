/*
 * The largest datagram that a path takes, found by probes. [RFC 8899]
 * [SPEC §7.4]
 *
 * Only a few sizes are tried, the same for everybody, and only once a
 * transfer fills datagrams: a conversation shows no size above the base.
 */
#ifndef PROTO_LINK_MTU_H
#define PROTO_LINK_MTU_H

#include "proto/base/endpoint.h"

#include <stdbool.h>
#include <stdint.h>

enum {
	MTU_LEAST =
	    1052, /* bytes of UDP payload: of a path not proven, a route */
	MTU_BASE = 1232,       /* IPv6's least MTU */
	MTU_MAX = 1472,        /* Ethernet with IPv4 */
	MTU_FULL = 32,         /* full datagrams that came, before a probe */
	MTU_TRIES = 3,         /* MAX_PROBES [RFC 8899 §5.1.2] */
	MTU_AGAIN_MS = 600000, /* PMTU_RAISE_TIMER [RFC 8899 §5.1.1] */
	MTU_LOST = 8, /* large ones in a row: a black hole [RFC 8899 §4.3] */
};

struct mtu {
	uint16_t size;     /* what leaves unprobed */
	uint16_t max;      /* what both ends and the family take */
	uint16_t probing;  /* under way, or 0 */
	bool base;         /* it is MTU_BASE that is to be proven */
	uint8_t at, tries; /* in the table of sizes; of this one */
	uint8_t n_full, n_lost;
	uint64_t again_ms; /* no probe before */
};

/* A new path to `to`, whose end takes udp_max. `proven`: so does the path, as
 * far as MTU_BASE. A route takes MTU_LEAST and is not searched. */
void mtu_init(
    struct mtu *m, const struct endpoint *to, uint16_t udp_max, bool proven);
/* The size of a probe that is due, or 0. */
uint16_t mtu_due(const struct mtu *m, uint64_t now_ms);
/* A probe of mtu_due's size leaves. */
void mtu_probed(struct mtu *m);
/* What became of a datagram. True: size has changed. */
bool mtu_acked(struct mtu *m, uint16_t bytes, bool probe);
bool mtu_lost(struct mtu *m, uint16_t bytes, bool probe, uint64_t now_ms);

#endif /* PROTO_LINK_MTU_H */
