/*
 * A router that translates addresses, or that only filters (IPv6), before one
 * host, whose sockets it knows by their ports. Kinds and
 * words are those of [RFC 4787 §4, §5]; what it does beyond them was seen on
 * Linux.
 */
#ifndef TESTS_SIM_NAT_H
#define TESTS_SIM_NAT_H

#include "proto/base/endpoint.h"
#include "tests/sim/dice.h"

enum {
	NAT_FLOWS_MAX = 4096, /* that a router keeps; the oldest makes room */
	NAT_UNANSWERED_MS = 30000,
	NAT_ANSWERED_MS = 120000,
	NAT_STREAM_MS = 2000, /* an answered flow younger than this is not yet
	                         kept longer: so does Linux */
	NAT_PORT_MIN = 1024,
	NAT_PORT_MAX = 65535,
};

/* What a mapping or a filter depends on, besides the host itself. */
enum nat_depends {
	DEPENDS_NOT = 0, /* EIM, EIF */
	DEPENDS_ADDRESS, /* ADM, ADF: and on whose address */
	DEPENDS_PORT,    /* APDM, APDF: and on whose port */
};

/* Which port a new mapping gets outside. */
enum nat_ports {
	PORTS_PRESERVE = 0, /* that of the host, or the next that is free */
	PORTS_SEQUENTIAL,   /* the last one + step */
	PORTS_RANDOM,       /* any of lo..hi: all, or a subscriber's block */
};

struct nat_config {
	enum nat_depends mapping, filtering;
	enum nat_ports ports;
	uint16_t step;   /* SEQUENTIAL; 0: 1 */
	uint16_t lo, hi; /* 0, 0: NAT_PORT_MIN..NAT_PORT_MAX */
	/* Routers from the host up to this one: a datagram must have a TTL
	 * above it to get out, and to open anything. 0: 1. */
	uint8_t hops;
	/* What nobody asked for is taken by the router itself, and the flow
	 * that it makes is in the way of ours to the same peer, which then gets
	 * another port: a bare gateway of Linux without an input filter. */
	bool takes_unasked;
	uint32_t unanswered_ms, answered_ms; /* 0: those above */
};

struct nat_flow {
	struct endpoint peer;
	uint16_t inside, outside; /* ports */
	bool is_foreign;          /* begun from outside, at the router itself */
	bool is_evader;   /* has another port than its mapping for that */
	bool is_answered; /* something came back */
	bool is_stream;   /* and went on: kept for answered_ms */
	uint64_t began_ms, last_ms;
};

struct nat {
	struct nat_config cfg;
	struct dice dice;
	uint16_t shift;         /* PRESERVE: of the port that is tried first */
	uint16_t last;          /* SEQUENTIAL: given out */
	struct nat_flow *flows; /* owned */
	size_t n_flows, cap_flows;
};

/* seed and who name its dice. */
void nat_init(
    struct nat *n, const struct nat_config *cfg, uint64_t seed, uint32_t who);
void nat_clear(struct nat *n);
/* All mappings are lost. */
void nat_forget(struct nat *n);
/* And the ports that were preserved are another's now. */
void nat_rebind(struct nat *n);
/* A datagram of the host's port `inside` goes out; *ret: the port that it
 * comes from. False: no port is left. */
bool nat_out(struct nat *n, uint16_t inside, const struct endpoint *to,
    uint64_t now_ms, uint16_t *ret);
/* Whether a datagram from outside reaches the host; *ret: at which port. */
bool nat_in(struct nat *n, const struct endpoint *from, uint16_t outside,
    uint64_t now_ms, uint16_t *ret);
/* Whether that port is or was the host's, of those the router remembers. */
bool nat_has(const struct nat *n, uint16_t outside);
/* The port outside that `inside` used last; `inside`: none yet. */
uint16_t nat_port(const struct nat *n, uint16_t inside);

#endif /* TESTS_SIM_NAT_H */
