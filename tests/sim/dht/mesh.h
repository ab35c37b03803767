/*
 * Many DHT nodes in one process on virtual time: each a struct dht as in the
 * daemon, at a public address, some behind a NAT, with loss and distances.
 * Hostile hosts have no struct dht but a function. Everything follows from one
 * seed. Knows no cells and no churn: world.h does.
 *
 * Laws of every datagram of a node: to a public address with a port, not to
 * itself once it knows its address for MESH_SELF_MS, proper KRPC of an allowed
 * size (one in MESH_LOOK is decoded).
 */
#ifndef TESTS_SIM_DHT_MESH_H
#define TESTS_SIM_DHT_MESH_H

#include "proto/dht/dht.h"
#include "tests/sim/dht/wheel.h"
#include "tests/sim/dice.h"

enum {
	MESH_NAT_FLOWS = 256, /* a NAT remembers; the oldest of a set goes */
	MESH_NAT_WAYS = 4,
	MESH_NAT_MS = 120 * 1000, /* an idle mapping */
	MESH_DELAY_MIN_MS = 5,    /* host to backbone; a round trip crosses */
	MESH_DELAY_MAX_MS = 50,   /* four: 20..200 ms */
	MESH_LOOK = 64,
	MESH_SELF_MS = 10 * 1000, /* a lookup that began before may go on */
	MESH_SPIN_MAX = 1000,     /* ticks of a host in one millisecond */
	MESH_NEIGHBOURS = 100,    /* of 1000 hosts: in somebody's /24 */
	MESH_NO_HOST = 0x7fffffff,
};

struct mesh_config {
	uint64_t seed;
	uint32_t max_hosts; /* that ever are */
	uint32_t n_nets;    /* /16s that hosts live in */
	uint32_t loss;      /* of 1000 datagrams */
	bool answers;       /* remember who answered whom */
};

struct mesh_flow {
	uint32_t host; /* +1; 0: none */
	uint32_t until_s;
};

struct mesh_host {
	struct wheel_item tick; /* first: an item is its host */
	uint32_t index;
	bool alive, nat, pinned; /* pinned: does not churn */
	bool ready;              /* DHT_READY was seen */
	uint8_t delay_ms;
	uint8_t role; /* of a hostile one, else 0 */
	struct endpoint at;
	struct target id;       /* of a hostile one */
	struct dht *dht;        /* owned; NULL: dead or hostile */
	struct mesh_flow *flow; /* owned, of a NAT */
	uint64_t joined_ms, ticked_ms;
	uint64_t placed_ms; /* since when it knows its address; 0: no */
	uint32_t n_spins;
	uint64_t n_in, n_out, bytes_in, bytes_out;
	void *user; /* of who runs the world: what it is doing; borrowed */
};

struct mesh_packet {
	struct wheel_item item; /* first */
	uint32_t to;            /* host */
	uint32_t source;        /* host at `from`, or MESH_NO_HOST */
	struct endpoint from;   /* as the packet says */
	struct endpoint dest;
	size_t n;
	uint8_t data[];
};

/* A growing set of pairs, for the law of tables. */
struct mesh_pairs {
	uint64_t *key; /* owned; 0: free */
	size_t n, cap;
};

struct mesh {
	struct mesh_config cfg;
	struct dice dice; /* of the nodes and the wire */
	struct wheel wheel;
	struct mesh_host *host; /* owned, max_hosts */
	uint32_t n_hosts;
	uint32_t *map; /* owned: host + 1 by address, open addressing */
	uint32_t map_mask;
	uint8_t (*net)[2]; /* owned: the /16s */
	struct mesh_pairs answered;
	uint8_t digest[16]; /* of all datagrams sent: a chain */
	uint64_t n_packets, n_bytes, n_lost, n_nowhere, n_filtered;
	/* Called for each event of a node, for each datagram at a hostile
	 * host, each datagram of a node when it is sent, each that arrives at
	 * one. The last two may be NULL. */
	void (*on_event)(
	    struct mesh *s, struct mesh_host *h, const struct dht_event *e);
	void (*on_hostile)(
	    struct mesh *s, struct mesh_host *h, const struct mesh_packet *p);
	void (*on_sent)(struct mesh *s, struct mesh_host *h,
	    const struct endpoint *to, struct span data);
	void (*on_arrived)(
	    struct mesh *s, struct mesh_host *h, const struct mesh_packet *p);
	void *user; /* borrowed */
};

struct mesh *mesh_new(const struct mesh_config *cfg);
void mesh_free(struct mesh *s);
struct now mesh_now(const struct mesh *s);
/* A host at a new address, without a node so far. */
struct mesh_host *mesh_host_new(struct mesh *s, bool nat);
/* The same at an address of the caller's choice, not in use; or NULL. */
struct mesh_host *
mesh_host_at(struct mesh *s, const struct endpoint *at, bool nat);
void mesh_start(struct mesh *s, struct mesh_host *h); /* gets a node */
void mesh_kill(struct mesh *s, struct mesh_host *h);
uint32_t mesh_find(const struct mesh *s, const struct endpoint *at);
/* After a call on h->dht: carries out what it wants. */
void mesh_settle(struct mesh *s, struct mesh_host *h);
/* A datagram of `h` that says it is `from`. */
void mesh_send(struct mesh *s, struct mesh_host *h, const struct endpoint *from,
    const struct endpoint *to, struct span data);
/* Everything of this millisecond, then the next begins. */
void mesh_step(struct mesh *s);

bool mesh_is_answer(struct span krpc); /* y=r, by its end */
bool mesh_is_query(struct span krpc);
bool mesh_answered(const struct mesh *s, uint32_t asker, uint32_t by);

#endif /* TESTS_SIM_DHT_MESH_H */
