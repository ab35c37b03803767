/*
 * A DHT and what people do with it: nodes join and leave, writers keep signed
 * cells of 512 bytes alive, readers look for them at random times. Beside it
 * stands the truth: what was really written, and stored when.
 *
 * Nodes join as the real ones do, each through a few that are there already,
 * and the net doubles every five seconds: so no bootstrap node has to carry
 * all, and ten thousand are there within a minute.
 */
#ifndef TESTS_SIM_DHT_WORLD_H
#define TESTS_SIM_DHT_WORLD_H

#include "tests/sim/dht/mesh.h"

enum {
	WORLD_STEP_MS = 100, /* between two looks at what is due */
	WORLD_FIRST = 8,     /* nodes at the start */
	WORLD_DOUBLE_MS = 5000,
	WORLD_SEEDS = 2, /* bootstrap nodes of a new node */
	WORLD_SAVED = 6, /* addresses that it has heard of, dead or not */
	WORLD_REPUBLISH_MS = 45 * 60 * 1000,
	WORLD_CHANGE_MS = 10 * 60 * 1000, /* mean, until a value changes */
	WORLD_AIMED_MS = 2 * 60 * 1000,   /* the same of a cell under attack */
	WORLD_RETRY_MS = 30 * 1000,       /* after a put that failed */
	WORLD_VALUE = 512,                /* bytes; 4 more in bencoding */
	WORLD_KNOWN_MAX = 256,
	WORLD_WHY_MAX = 200,
};

enum world_attack {
	ATTACK_NONE = 0,
	ATTACK_SYBIL,   /* 30 % of ids; return each other, drop or lie */
	ATTACK_ECLIPSE, /* 64 nodes round one cell */
	ATTACK_REPLAY,  /* puts and tokens are sent again */
	ATTACK_REFLECT, /* queries in the name of a victim */
	ATTACK_LIE,     /* answers with martians, ghosts, the asker itself */
	ATTACK_CHANGE,  /* another id in every answer */
};
#define WORLD_ATTACKS 7

struct world_config {
	uint64_t seed;
	uint32_t n_nodes, n_cells, n_reads;
	uint32_t loss;         /* of 1000 datagrams */
	uint32_t nat;          /* of 1000 nodes */
	uint32_t dead;         /* of 1000 nodes, die when measuring begins */
	uint64_t half_life_ms; /* 0: nobody leaves */
	uint64_t settle_ms, measure_ms;
	enum world_attack attack;
	bool check_tables; /* law: who is in a table has answered */
	bool trace;        /* print each read that did not find */
};

/* Everything by default as the goal says: churn, loss, NATs, dead nodes. */
void world_defaults(struct world_config *cfg, uint64_t seed, uint32_t n_nodes);
const char *world_attack_name(enum world_attack attack);

struct world_cell {
	uint8_t key[32], pk[32], sk[64];
	struct target target;
	struct mesh_host *writer; /* borrowed; pinned */
	int64_t seq_written, seq_stored;
	uint64_t stored_ms; /* when seq_stored was */
	uint64_t put_ms;    /* when to put next */
	uint64_t change_ms; /* when the value changes */
	bool putting;
	bool attacked;
};

struct world_op {
	bool used, is_put;
	uint32_t cell;
	struct mesh_host *host; /* borrowed; pinned meanwhile */
	uint64_t began_ms, value_ms;
	int64_t wanted, best; /* seq */
	uint32_t asked, packets, bytes;
	uint32_t hops, hops_value; /* answers that led to the last, the first */
	uint32_t depth;            /* of the answer that arrived last */
	uint32_t n_known;
	struct {
		uint32_t host, depth;
		bool asked, answered;
	} known[WORLD_KNOWN_MAX];
};

/* Sums over operations of one kind. */
struct world_sum {
	uint64_t n, good;       /* newest seq read, or stored at least once */
	uint64_t stale, missed; /* reads: an older one, or none */
	uint64_t asked, packets, bytes, hops, hops_value, copies;
	uint32_t *ms, *value_ms; /* owned: of each, n and good of them */
	uint32_t cap;
};

struct world_figures {
	struct world_sum get, put;
	struct world_sum aimed; /* gets of cells under attack */
	uint64_t entries, entries_dead, entries_hostile; /* of tables */
	uint64_t entries_silent; /* law: 0, never answered */
	uint64_t n_packets, n_bytes, n_lost, n_filtered, n_nowhere, n_joins;
	uint64_t virtual_ms;
	uint64_t attack_in, attack_out;  /* REFLECT: bytes in its name, to it */
	uint64_t replays, replays_taken; /* with somebody else's token */
	uint8_t digest[8];
	char why[WORLD_WHY_MAX]; /* a broken law, or empty */
};

struct hostile;
struct world {
	struct world_config cfg;
	struct mesh *mesh; /* owned */
	struct dice dice;  /* of what people do */
	uint32_t *alive;   /* owned: hosts; where each stands: */
	uint32_t *place;   /* owned */
	uint32_t n_alive;
	uint32_t n_started;       /* nodes so far */
	struct world_cell *cells; /* owned, n_cells */
	struct world_op *ops;     /* owned */
	uint32_t n_ops;
	bool measuring;
	uint64_t measure_ms;     /* when it began */
	uint64_t read_ms;        /* when the next read is due */
	uint64_t churn;          /* deaths due, in units of its denominator */
	struct hostile *hostile; /* owned, or NULL */
	struct world_figures fig;
};

void world_run(const struct world_config *cfg, struct world_figures *ret);
void world_figures_clear(struct world_figures *f);
void world_figures_print(
    const struct world_config *cfg, const struct world_figures *f);
/* The p-th of 1000 parts of n times, sorted here. */
uint32_t world_quantile(uint32_t *ms, uint64_t n, uint32_t p);
/* Prints who holds the cell of an operation, and whom it asked. */
void world_trace(const struct world *w, const struct world_op *op);
/* Keeps the first reason. */
void world_broken(struct world *w, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* For the files of the world only. */
struct mesh_host *world_any(struct world *w, bool is_public);
void world_enter(struct world *w, struct mesh_host *h);
void cells_begin(struct world *w);
void cells_step(struct world *w);
void
cells_event(struct world *w, struct mesh_host *h, const struct dht_event *e);
void cells_sent(struct world *w, struct mesh_host *h, const struct endpoint *to,
    struct span data);
void cells_arrived(
    struct world *w, struct mesh_host *h, const struct mesh_packet *p);
/* The item of a cell under a seq, signed. */
void cells_item(const struct world_cell *c, int64_t seq, struct dht_item *ret);

#endif /* TESTS_SIM_DHT_WORLD_H */
