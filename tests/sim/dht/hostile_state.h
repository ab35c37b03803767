/* The inside of struct hostile, shared by the files hostile*.c only. */
#ifndef TESTS_SIM_DHT_HOSTILE_STATE_H
#define TESTS_SIM_DHT_HOSTILE_STATE_H

#include "proto/dht/krpc.h"
#include "tests/sim/dht/hostile.h"

enum {
	HOSTILE_TAKE = 3, /* Sybils for 7 honest nodes: 30 % of all */
	HOSTILE_OF = 7,
	HOSTILE_SHARE = 5,      /* of others: one for so many honest nodes */
	HOSTILE_ECLIPSE = 64,   /* nodes round one cell */
	HOSTILE_NEAR_BITS = 18, /* that they share with it at least */
	HOSTILE_CROWD = 32,     /* honest nodes that eclipsers flatter */
	HOSTILE_CALL_MS = 30 * 1000, /* each says hello to somebody */
	HOSTILE_LOOK_MS = 60 * 1000, /* between two looks at who is near */
	HOSTILE_REPLAYERS = 16,
	HOSTILE_REPLAY_MS = 500, /* each of them, mean */
	HOSTILE_TAPE = 512,      /* puts overheard; a ring */
	HOSTILE_QUERIES = 5,     /* of a reflector in WORLD_STEP_MS */
};

struct bad {
	uint32_t host;
	struct target id;
};

/* A put that somebody sent. */
struct tape {
	uint32_t from, to; /* hosts */
	size_t n;
	uint8_t data[KRPC_SIZE_MAX];
};

/* What all of them together know of a cell. */
struct secret {
	bool known;
	struct dht_item first, last;
};

struct hostile {
	struct dice dice;
	struct bad *bad; /* owned, by id */
	uint32_t n_bad, cap_bad;
	struct secret *secret; /* owned, one a cell; NULL before there are */
	uint32_t crowd[HOSTILE_CROWD]; /* honest hosts nearest to the aim */
	uint32_t n_crowd;
	uint64_t look_ms;
	struct tape *tape; /* owned, HOSTILE_TAPE */
	uint64_t n_tape;
	uint32_t victim;                /* host, or MESH_NO_HOST */
	uint64_t victim_in, victim_out; /* bytes in its name; to it */
	/* Owned: the same of each host. */
	uint32_t (*reflected)[2];
	uint64_t replays, replays_taken;
};

/* A query of h; t tells its answer. */
void hostile_ask(struct world *w, struct mesh_host *h,
    const struct endpoint *to, struct krpc *m, const char t[4]);
/* The same in the name of somebody else. */
void hostile_ask_as(struct world *w, struct mesh_host *h,
    const struct endpoint *from, const struct endpoint *to, struct krpc *m,
    const char t[4]);
/* A public address where nobody is. */
void hostile_ghost(struct world *w, struct endpoint *ret);
/* An answer to a query, in the manner of h's role. */
void hostile_answer(struct world *w, struct mesh_host *h,
    const struct mesh_packet *p, const struct krpc *q);
struct secret *
hostile_secret(struct world *w, const struct target *target); /* or NULL */

void replay_step(struct world *w);
/* An answer that h, a replayer, has got. */
void replay_answered(struct world *w, struct mesh_host *h,
    const struct mesh_packet *p, const struct krpc *m);
void reflect_step(struct world *w);

#endif /* TESTS_SIM_DHT_HOSTILE_STATE_H */
