/*
 * Many DHT nodes in one process on virtual time: each a struct dht as in the
 * daemon, at a public address, some behind a NAT, with loss and distances.
 * Hostile hosts have no struct dht but a function. Everything follows from one
 * seed. Knows no cells and no churn: world.h does.
 *
 * Laws of every datagram of a node: to a public address with a port, not to
 * itself once it knows its address for SWARM_SELF_MS, proper KRPC of an allowed
 * size (one in SWARM_LOOK is decoded).
 */
#ifndef TESTS_SIM_DHT_SWARM_H
#define TESTS_SIM_DHT_SWARM_H

#include "proto/dht/dht.h"
#include "tests/sim/dht/wheel.h"
#include "tests/sim/dice.h"

enum {
	SWARM_NAT_FLOWS = 256, /* a NAT remembers; the oldest of a set goes */
	SWARM_NAT_WAYS = 4,
	SWARM_NAT_MS = 120 * 1000, /* an idle mapping */
	SWARM_DELAY_MIN_MS = 5,    /* host to backbone; a round trip crosses */
	SWARM_DELAY_MAX_MS = 50,   /* four: 20..200 ms */
	SWARM_LOOK = 64,
	SWARM_SELF_MS = 10 * 1000, /* a lookup that began before may go on */
	SWARM_SPIN_MAX = 1000,     /* ticks of a host in one millisecond */
	SWARM_NEIGHBOURS = 100,    /* of 1000 hosts: in somebody's /24 */
	SWARM_NO_HOST = 0x7fffffff,
};

struct swarm_config {
	uint64_t seed;
	uint32_t max_hosts; /* that ever are */
	uint32_t n_nets;    /* /16s that hosts live in */
	uint32_t loss;      /* of 1000 datagrams */
	bool answers;       /* remember who answered whom */
};

struct swarm_flow {
	uint32_t host; /* +1; 0: none */
	uint32_t until_s;
};

struct swarm_host {
	struct wheel_item tick; /* first: an item is its host */
	uint32_t index;
	bool alive, nat, pinned; /* pinned: does not churn */
	bool ready;              /* DHT_READY was seen */
	uint8_t delay_ms;
	uint8_t role; /* of a hostile one, else 0 */
	struct endpoint at;
	struct target id;        /* of a hostile one */
	struct dht *dht;         /* owned; NULL: dead or hostile */
	struct swarm_flow *flow; /* owned, of a NAT */
	uint64_t joined_ms, ticked_ms;
	uint64_t placed_ms; /* since when it knows its address; 0: no */
	uint32_t n_spins;
	uint64_t n_in, n_out, bytes_in, bytes_out;
	void *user; /* of who runs the world: what it is doing; borrowed */
};

struct swarm_packet {
	struct wheel_item item; /* first */
	uint32_t to;            /* host */
	uint32_t source;        /* host at `from`, or SWARM_NO_HOST */
	struct endpoint from;   /* as the packet says */
	struct endpoint dest;
	size_t n;
	uint8_t data[];
};

/* A growing set of pairs, for the law of tables. */
struct swarm_pairs {
	uint64_t *key; /* owned; 0: free */
	size_t n, cap;
};

struct swarm {
	struct swarm_config cfg;
	struct dice dice; /* of the nodes and the wire */
	struct wheel wheel;
	struct swarm_host *host; /* owned, max_hosts */
	uint32_t n_hosts;
	uint32_t *map; /* owned: host + 1 by address, open addressing */
	uint32_t map_mask;
	uint8_t (*net)[2]; /* owned: the /16s */
	struct swarm_pairs answered;
	uint8_t digest[16]; /* of all datagrams sent: a chain */
	uint64_t n_packets, n_bytes, n_lost, n_nowhere, n_filtered;
	/* Called for each event of a node, for each datagram at a hostile
	 * host, each datagram of a node when it is sent, each that arrives at
	 * one. The last two may be NULL. */
	void (*on_event)(
	    struct swarm *s, struct swarm_host *h, const struct dht_event *e);
	void (*on_hostile)(struct swarm *s, struct swarm_host *h,
	    const struct swarm_packet *p);
	void (*on_sent)(struct swarm *s, struct swarm_host *h,
	    const struct endpoint *to, struct span data);
	void (*on_arrived)(struct swarm *s, struct swarm_host *h,
	    const struct swarm_packet *p);
	void *user; /* borrowed */
};

struct swarm *swarm_new(const struct swarm_config *cfg);
void swarm_free(struct swarm *s);
struct now swarm_now(const struct swarm *s);
/* A host at a new address, without a node so far. */
struct swarm_host *swarm_host_new(struct swarm *s, bool nat);
/* The same at an address of the caller's choice, not in use; or NULL. */
struct swarm_host *
swarm_host_at(struct swarm *s, const struct endpoint *at, bool nat);
void swarm_start(struct swarm *s, struct swarm_host *h); /* gets a node */
void swarm_kill(struct swarm *s, struct swarm_host *h);
uint32_t swarm_find(const struct swarm *s, const struct endpoint *at);
/* After a call on h->dht: carries out what it wants. */
void swarm_settle(struct swarm *s, struct swarm_host *h);
/* A datagram of `h` that says it is `from`. */
void swarm_send(struct swarm *s, struct swarm_host *h,
    const struct endpoint *from, const struct endpoint *to, struct span data);
/* Everything of this millisecond, then the next begins. */
void swarm_step(struct swarm *s);

bool swarm_is_answer(struct span krpc); /* y=r, by its end */
bool swarm_is_query(struct span krpc);
bool swarm_answered(const struct swarm *s, uint32_t asker, uint32_t by);

#endif /* TESTS_SIM_DHT_SWARM_H */
