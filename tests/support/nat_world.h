/*
 * Two hosts behind NATs, on virtual time: they learn their class from others,
 * exchange an offer and its answer by a detour, and run their plans. Routers
 * count hops, so openers die where they would die in life. Everything follows
 * from the seed.
 */
#ifndef TESTS_SUPPORT_NAT_WORLD_H
#define TESTS_SUPPORT_NAT_WORLD_H

#include "proto/base/heap.h"
#include "proto/nat/plan.h"
#include "tests/support/rng.h"

enum {
	NAT_WORLD_CHAIN_MAX = 2, /* NATs in front of a host: home, carrier */
	NAT_WORLD_FLOWS_MAX = 4096,
	NAT_WORLD_FLIGHT_MAX = 4096,
	NAT_WORLD_PORT = 41641, /* inside; extra socket k: + k */
};

enum nat_map { MAP_ANY, MAP_ADDRESS, MAP_PORT }; /* EIM, ADM, APDM */
enum nat_filter { FILTER_NONE, FILTER_ADDRESS, FILTER_PORT };
enum nat_alloc { ALLOC_KEEP, ALLOC_NEXT, ALLOC_BLOCK, ALLOC_RANDOM };

struct nat_box {
	bool there;
	enum nat_map map;
	enum nat_filter filter;
	enum nat_alloc alloc;
	int step;       /* ALLOC_NEXT */
	uint16_t width; /* ALLOC_BLOCK */
	/* As Linux does it: a flow each, that keeps the port if no other has
	 * it; a stranger's packet is a flow, too, if it is not dropped. */
	bool linux_like, accepts;
	unsigned hops; /* from the host; 1: the first router */
	/* Private. */
	struct endpoint outside; /* port unused */
	uint16_t next, block;
	size_t n;
	struct nat_entry {
		struct endpoint inside, remote;
		uint16_t port;
		bool strange; /* began outside, goes nowhere */
		uint64_t used_ms;
	} * flow; /* owned */
};

struct nat_side {
	struct nat_box box[NAT_WORLD_CHAIN_MAX]; /* [0] is the inner one */
	bool knows_open;                         /* had a stranger's datagram */
	/* Private. */
	struct endpoint host; /* inside */
	struct nat nat;
	struct plan plan;
	bool runs; /* the plan */
	uint64_t valid_ms;
	bool valid;
	struct endpoint path;
	unsigned path_socket;
	/* A session that has moved goes on there, so the other challenges it
	 * again if that was lost. */
	uint64_t again_ms;
	unsigned shots, light_shots, openers, heavy_shots;
};

enum nat_flight_kind {
	FLIGHT_PROBE,
	FLIGHT_ANSWER,
	FLIGHT_OFFER, /* by the detour */
	FLIGHT_REPLY,
};

struct nat_flight {
	struct heap_node timer;
	enum nat_flight_kind kind;
	unsigned to; /* side */
	struct endpoint from, dest;
	unsigned hops_left;
	struct plan_side says; /* OFFER, REPLY */
	bool used;
};

struct nat_world {
	/* To be set after nat_world_init. */
	struct nat_side side[2];
	unsigned hops_between;          /* the outermost NATs; both excluded */
	uint64_t one_way_ms, detour_ms; /* each one way */
	uint32_t jitter_ms;
	uint32_t loss;    /* of 1000 */
	uint32_t noise;   /* flows a second of others behind each NAT */
	bool far_openers; /* as if openers went all the way */
	bool early;       /* a probe goes to the addresses of the cell first */
	bool no_cell;     /* the offerer knows no address of the other */
	/* Private. */
	struct test_rng rng;
	uint64_t now_ms, noise_ms;
	struct heap timers;
	struct nat_flight flight[NAT_WORLD_FLIGHT_MAX];
	size_t flight_at;
};

void nat_world_init(struct nat_world *w, uint64_t seed);
/* Once all is set. */
void nat_world_start(struct nat_world *w);
void nat_world_clear(struct nat_world *w);
/* Both ask six others how they are seen. */
void nat_world_sample(struct nat_world *w);
/* A host talks to so many others. */
void nat_world_talk(struct nat_world *w, unsigned who, unsigned n);
/* One try, offered by that side; true: both have a path that was answered.
 * *ret_ms is the time since the offer left. */
bool nat_world_try(
    struct nat_world *w, unsigned offerer, uint32_t attempt, uint64_t *ret_ms);
/* Time passes without tries. */
void nat_world_pass(struct nat_world *w, uint64_t ms);

/* The rows and columns of the table of nat.md. */
enum nat_sort {
	SORT_PUBLIC,
	SORT_CONE, /* full */
	SORT_ADF,
	SORT_APDF,
	SORT_LINUX,
	SORT_LINUX_ACCEPTS,
	SORT_CGN, /* home and carrier, both easy */
	SORT_SEQUENTIAL,
	SORT_BLOCK,
	SORT_RANDOM,
	SORT_CGN_RANDOM,
};
#define NAT_SORTS 11
const char *nat_sort_name(enum nat_sort s);
void nat_side_set(struct nat_side *side, enum nat_sort sort);

#endif /* TESTS_SUPPORT_NAT_WORLD_H */
