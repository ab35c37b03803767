/*
 * A router that translates addresses, or that only filters (IPv6), before one
 * host, whose sockets it knows by their ports. Kinds and
 * words are those of [RFC 4787 §4, §5]; what it does beyond them was seen on
 * Linux.
 */
#ifndef TESTS_SIM_ROUTER_H
#define TESTS_SIM_ROUTER_H

#include "proto/base/endpoint.h"
#include "tests/sim/dice.h"

enum {
	ROUTER_FLOWS_MAX =
	    4096, /* that a router keeps; the oldest makes room */
	ROUTER_UNANSWERED_MS = 30000,
	ROUTER_ANSWERED_MS = 120000,
	ROUTER_STREAM_MS = 2000, /* an answered flow younger than this is not
	                         yet kept longer: so does Linux */
	ROUTER_PORT_MIN = 1024,
	ROUTER_PORT_MAX = 65535,
};

/* What a mapping or a filter depends on, besides the host itself. */
enum router_depends {
	DEPENDS_NOT = 0, /* EIM, EIF */
	DEPENDS_ADDRESS, /* ADM, ADF: and on whose address */
	DEPENDS_PORT,    /* APDM, APDF: and on whose port */
};

/* Which port a new mapping gets outside. */
enum router_ports {
	PORTS_PRESERVE = 0, /* that of the host, or the next that is free */
	PORTS_SEQUENTIAL,   /* the last one + step */
	PORTS_RANDOM,       /* any of lo..hi: all, or a subscriber's block */
};

struct router_config {
	enum router_depends mapping, filtering;
	enum router_ports ports;
	uint16_t step;   /* SEQUENTIAL; 0: 1 */
	uint16_t lo, hi; /* 0, 0: ROUTER_PORT_MIN..ROUTER_PORT_MAX */
	/* Routers from the host up to this one: a datagram must have a TTL
	 * above it to get out, and to open anything. 0: 1. */
	uint8_t hops;
	/* What nobody asked for is taken by the router itself, and the flow
	 * that it makes is in the way of ours to the same peer, which then gets
	 * another port: a bare gateway of Linux without an input filter. */
	bool takes_unasked;
	uint32_t unanswered_ms, answered_ms; /* 0: those above */
};

struct router_flow {
	struct endpoint peer;
	uint16_t inside, outside; /* ports */
	bool is_foreign;          /* begun from outside, at the router itself */
	bool is_evader;   /* has another port than its mapping for that */
	bool is_answered; /* something came back */
	bool is_stream;   /* and went on: kept for answered_ms */
	uint64_t began_ms, last_ms;
};

struct router {
	struct router_config cfg;
	struct dice dice;
	uint16_t shift; /* PRESERVE: of the port that is tried first */
	uint16_t last;  /* SEQUENTIAL: given out */
	struct router_flow *flows; /* owned */
	size_t n_flows, cap_flows;
};

/* seed and who name its dice. */
void router_init(struct router *n, const struct router_config *cfg,
    uint64_t seed, uint32_t who);
void router_clear(struct router *n);
/* All mappings are lost. */
void router_forget(struct router *n);
/* And the ports that were preserved are another's now. */
void router_rebind(struct router *n);
/* A datagram of the host's port `inside` goes out; *ret: the port that it
 * comes from. False: no port is left. */
bool router_out(struct router *n, uint16_t inside, const struct endpoint *to,
    uint64_t now_ms, uint16_t *ret);
/* Whether a datagram from outside reaches the host; *ret: at which port. */
bool router_in(struct router *n, const struct endpoint *from, uint16_t outside,
    uint64_t now_ms, uint16_t *ret);
/* Whether that port is or was the host's, of those the router remembers. */
bool router_has(const struct router *n, uint16_t outside);
/* The port outside that `inside` used last; `inside`: none yet. */
uint16_t router_port(const struct router *n, uint16_t inside);

#endif /* TESTS_SIM_ROUTER_H */
