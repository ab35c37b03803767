/*
 * A NAT for IPv4, or a stateful firewall, which is a NAT that translates
 * nothing. Behaviour in the words of [RFC 4787]: how it maps, how it filters,
 * which ports it gives, how long it remembers.
 */
#ifndef TESTS_NET_WAN_NAT_H
#define TESTS_NET_WAN_NAT_H

#include "proto/base/map.h"
#include "tests/net/wan/link.h"
#include "tests/net/wan/packet.h"

enum {
	NAT_ADDRESSES = 16, /* outside */
	NAT_FRAGMENTS = 64, /* packets in fragments that are remembered */
};
#define NAT_FOREVER UINT64_MAX

/* Which part of a remote makes another mapping, or may send in. */
enum nat_rule { NAT_ANY, NAT_ADDRESS, NAT_PORT };
enum nat_ports { PORTS_KEEP, PORTS_SEQUENCE, PORTS_RANDOM };

/* A remote that was sent to, or came in. */
struct nat_remote {
	struct nat_remote *next;
	struct endpoint at;
	uint64_t last; /* ns */
	bool is_answered;
};

struct mapping {
	struct mapping *next, *prev;
	uint8_t protocol;
	struct endpoint inside, outside;
	struct endpoint first; /* the remote that it was made for */
	uint64_t last;         /* ns */
	uint64_t until; /* ns, of one that was asked for; 0: made by traffic */
	bool is_answered;
	struct nat_remote *remotes; /* owned */
};

struct nat_fragment {
	enum end end; /* which one is translated */
	uint8_t protocol;
	uint32_t id;
	struct endpoint src, dst, to;
	uint64_t at; /* ns; 0: none */
};

struct nat {
	bool is_on, is_firewall;
	bool is_blocked; /* no UDP passes */
	enum nat_rule mapping, filter;
	enum nat_ports ports;
	unsigned step, port_min, port_max;
	bool hairpin;
	bool refresh_in;   /* what comes in keeps a mapping alive */
	bool reject;       /* answers with ICMP what it does not let in */
	bool is_arbitrary; /* any outside address for any mapping */
	unsigned quota;    /* mappings of one inside address; 0: no limit */
	uint64_t t_new, t_answered; /* ns without a packet */
	struct endpoint address[NAT_ADDRESSES];
	size_t n_addresses;
	unsigned next_port;
	uint64_t random, made, expired;
	size_t n;
	struct mapping *all; /* owned */
	struct map by_flow, by_inside, by_outside;
	struct nat_fragment fragment[NAT_FRAGMENTS];
	size_t next_fragment;
};

void nat_init(struct nat *n, const struct rng *rng);
bool nat_set_kind(struct nat *n, const char *kind); /* false: no such kind */
bool nat_is_own(const struct nat *n, const struct endpoint *e);

/* Translates; DROP_NONE: it passes. */
enum drop nat_out(struct nat *n, struct view *v, uint64_t now);
enum drop nat_in(struct nat *n, struct view *v, uint64_t now);

/* Mappings that are asked for: want is the port outside, 0 any; NULL: there
 * is no room. nat_unmap takes one away. */
struct mapping *nat_map(struct nat *n, uint8_t protocol,
    const struct endpoint *inside, uint16_t want, uint64_t now);
void nat_unmap(struct nat *n, uint8_t protocol, const struct endpoint *inside);
void nat_flush(struct nat *n);
void nat_sweep(struct nat *n, uint64_t now); /* what is past */
bool nat_is_alive(const struct nat *n, const struct mapping *m, uint64_t now);

/* Between nat.c and nat_pass.c. */
struct mapping *nat_of_flow(struct nat *n, uint8_t protocol,
    const struct endpoint *inside, const struct endpoint *remote, uint64_t now);
struct mapping *nat_of_outside(struct nat *n, uint8_t protocol,
    const struct endpoint *outside, uint64_t now);
struct mapping *nat_make(struct nat *n, uint8_t protocol,
    const struct endpoint *inside, const struct endpoint *remote, uint64_t now);
/* Its entry for a remote, or NULL; forgotten ones are made anew if make. */
struct nat_remote *nat_remote_of(struct nat *n, struct mapping *m,
    const struct endpoint *remote, bool make, uint64_t now);
bool nat_lets_in(struct nat *n, struct mapping *m,
    const struct endpoint *remote, uint64_t now);

#endif /* TESTS_NET_WAN_NAT_H */
