/*
 * A little internet: a tree of nodes, each with a link to its parent, a NAT
 * if it wants one, and a TUN device if it is a leaf.
 *
 *     core --+-- a public host
 *            +-- a home router with NAT --- the home
 *            +-- a carrier's NAT --+-- a home router --- the home
 *                                  +-- ...
 */
#ifndef TESTS_NET_WAN_WAN_H
#define TESTS_NET_WAN_WAN_H

#include "tests/net/wan/link.h"
#include "tests/net/wan/nat.h"
#include "tests/net/wan/packet.h"

#include <stdio.h>

enum {
	WAN_NODES = 4096,
	WAN_NAME_SIZE = 64,
	WAN_PREFIXES = 16, /* lengths of prefixes that a node routes by */
};

enum portmap { PORTMAP_NATPMP = 1, PORTMAP_PCP = 2 }; /* bits */

struct node {
	char name[WAN_NAME_SIZE];
	unsigned index;
	struct node *parent; /* borrowed; NULL: the core */
	int tun, gate;       /* descriptors, -1: none; gate: port mapping */
	unsigned portmap;    /* which protocols the gate speaks, bits */
	bool is_cut;
	bool is_intranet; /* those behind it reach each other */
	bool is_stranger; /* to all others of which this is said */
	unsigned group;   /* of a partition */
	struct link up, down;
	struct nat nat, firewall;     /* IPv4, IPv6 */
	struct map routes;            /* prefixes behind it to nodes */
	uint8_t prefix[WAN_PREFIXES]; /* their lengths, longest first */
	size_t n_prefixes;
};

/* An address that sent or got something; several may have one label. */
struct host {
	struct host *next;
	unsigned index;
	char label[WAN_NAME_SIZE];
	const struct node *node;
	uint64_t sent, sent_bytes, sent_payload; /* payload of UDP */
	uint64_t got, got_bytes, got_payload;
};

/* What really came from one host to another. */
struct flow {
	struct flow *next;
	const struct host *from, *to;
	uint64_t packets, bytes;
};

struct wan {
	struct rng rng;            /* for tables; not for the dice */
	uint64_t seed, now, begin; /* ns */
	struct node *node[WAN_NODES];
	unsigned n_nodes;
	struct map by_name, by_address, by_hosts;
	struct host *hosts; /* owned, newest first */
	struct flow *flows;
	unsigned n_hosts;
	struct heap due;                  /* packets on links */
	struct packet *spare;             /* owned */
	uint64_t n_pushed, in, out, late; /* late: the worst, ns */
	FILE *capture;                    /* owned; NULL: none */
	const struct node *captured;
};

void wan_init(struct wan *w);
uint64_t wan_clock(void); /* ns, of CLOCK_MONOTONIC */

struct node *wan_find(const struct wan *w, const char *name);
/* NULL: the name is taken, or there are too many. */
struct node *wan_add(struct wan *w, const char *name, struct node *parent);
void wan_seed(struct wan *w, uint64_t seed);
/* A prefix "addr/length", or an address, that is behind n. */
bool wan_route(struct node *n, const char *prefix);
bool wan_unroute(struct node *n, const char *prefix);
/* Names the host of an address behind n; both may be known already. */
void wan_label(struct wan *w, struct node *n, const struct endpoint *addr,
    const char *label);

void wan_read(struct wan *w, struct node *n); /* what its TUN has */
/* Moves what is due; ns until more is, UINT64_MAX: nothing is on its way. */
uint64_t wan_run(struct wan *w);
void wan_sweep(struct wan *w);

/* gate.c: a datagram to the port of NAT-PMP and PCP. */
void gate_read(struct wan *w, struct node *n);
/* capture.c: pcap files. */
bool capture_begin(struct wan *w, const char *path, const struct node *n);
void capture_end(struct wan *w);
void capture(struct wan *w, const struct node *n, const struct packet *p);
/* report.c: one line of JSON each. */
void report_stats(const struct wan *w, FILE *out);
void report_flows(const struct wan *w, FILE *out);
void report_mappings(const struct wan *w, const struct node *n, FILE *out);
void report_reset(struct wan *w);
/* settings.c: "key=value" of a node; NULL or what is wrong. */
const char *settings_set(struct node *n, char *word);
bool parse_number(const char *text, uint64_t max, uint64_t *ret);
bool parse_address(const char *text, struct endpoint *ret);
/* command.c: a line; the answer goes to out, one line. */
void command_run(struct wan *w, char *line, FILE *out);

#endif /* TESTS_NET_WAN_WAN_H */
