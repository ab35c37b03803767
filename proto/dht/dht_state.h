/*
 * The inside of struct dht, shared by the files dht*.c only: transactions,
 * operations, output. Each file has one job: dht.c the outside, dht_rpc.c
 * transactions and sending, dht_overlay.c what the encrypted carrier adds,
 * dht_serve.c other people's queries, dht_op.c gets and lookups, dht_answer.c
 * what they hear, dht_put.c storing, dht_care.c bootstrap and upkeep of the
 * table, dht_introduce.c passing on for others, dht_ways.c having others pass
 * on.
 */
#ifndef PROTO_DHT_DHT_STATE_H
#define PROTO_DHT_DHT_STATE_H

#include "proto/dht/address.h"
#include "proto/dht/carrier.h"
#include "proto/dht/density.h"
#include "proto/dht/dht.h"
#include "proto/dht/guard.h"
#include "proto/dht/introduce.h"
#include "proto/dht/items.h"
#include "proto/dht/krpc.h"
#include "proto/dht/lookup.h"
#include "proto/dht/peers.h"
#include "proto/dht/recall.h"
#include "proto/dht/sent.h"
#include "proto/dht/sweep.h"
#include "proto/dht/table.h"
#include "proto/dht/token.h"

enum {
	RPC_MAX = 1024, /* queries in flight; a power of two */
	RPC_MIN = 64,   /* places at the start; doubled when they get tight */
	RPC_FULL = 768, /* above that a free place takes long to draw */
	OUT_MAX = 128,  /* datagrams not fetched yet; more are as if lost */
	OUT_SPARE = 32, /* of these left for answers */
	SEEDS_MAX = 16, /* bootstrap nodes */
	OPS_INNER = 2,  /* our own lookups: one for our id, one for buckets */
	OPS_ALL = DHT_OPS_MAX + OPS_INNER,
	ASK_PAUSE_MS = 500, /* for a node that we ask too often */
	ASK_FULL_MS = 100,  /* pause when RPC_FULL are in flight */
	CARE_STEP_MS = 500, /* between two checks of nodes */
	CARE_IDLE_MS = 60 * 1000,
	OWN_FIRST_MS = 100, /* first pause between lookups of our own id */
	OWN_LAST_MS = 10 * 60 * 1000,
	OWN_ROUNDS = 6,    /* that also fill buckets, in a small network */
	TABLE_SMALL = 64,  /* nodes; below that the network may be small */
	WIDE_NODES = 32,   /* nodes; below that a get asks more than eight */
	LATER_MAX = 32,    /* queries kept until their asker is proven */
	LATER_BYTES = 192, /* of one; more is answered at once, as it fits */
	LATER_MS = 1000,   /* for the asker's answer to our ping */
	SEEN_MAX = 8,      /* of DHT_SEEN, not fetched yet; the oldest goes */
	UNSOLICITED_MS = 10 * 1000, /* between two of DHT_UNSOLICITED */
};

_Static_assert((RPC_MAX & (RPC_MAX - 1)) == 0 && RPC_MAX % RPC_MIN == 0,
    "a mask finds the slot");

enum rpc_use {
	RPC_NONE = 0,
	RPC_CHECK,     /* is this node alive? */
	RPC_INTRODUCE, /* what is your N? */
	RPC_LOOKUP,    /* of op */
	RPC_PUT,       /* of op */
	RPC_SWEEP,     /* of op: for a place near its goal */
	RPC_REGISTER,  /* at an introducer, of a handle of ours */
	RPC_PASS,      /* answered only if nobody is there */
};

/* One query that waits for its answer from exactly there. */
struct rpc {
	enum rpc_use use;
	enum krpc_method method;
	uint8_t t[4];
	struct endpoint to;
	uint64_t sent_ms, due_ms;
	uint16_t op;     /* REGISTER, PASS: OPS_ALL and the place of that */
	uint16_t asked;  /* OVERLAY: its exchange */
	uint32_t serial; /* of the op, so that a later one is not meant */
};

enum op_kind {
	OP_NONE = 0,
	OP_GET,
	OP_PUT,
	OP_PEERS,
	OP_ANNOUNCE,
	OP_OWN,
	OP_FILL,
	OP_PROBE,
};
/* PUT: looking, putting, reading back, over; ANNOUNCE: looking, putting, over;
 * the others have no middle. */
enum op_state { OP_LOOKING = 1, OP_PUTTING, OP_READING, OP_OVER };

struct op {
	enum op_kind kind;
	enum op_state state;
	uint16_t place; /* in struct dht */
	uint64_t name;  /* the caller's */
	uint32_t serial;
	uint64_t began_ms, deadline_ms;
	struct lookup look;
	struct dht_item item; /* GET: only pk and salt */
	struct dht_item seen; /* the highest seq */
	uint16_t port;        /* ANNOUNCE */
	bool implied;
	bool calm;   /* few queries at a time */
	bool repeat; /* of the nearest, from where earlier ones ended */
	bool roomy;  /* OVERLAY: answers may have a value in them */
	bool has_seen, tell_seen, tell_over;
	bool lied_to;  /* somebody sent what the key did not sign */
	bool has_back; /* READING: ours, or a higher one, was seen */
	struct dht_report report;
};

/* The peers that the last answer named, until they are told. */
struct found {
	uint32_t serial; /* of the op that looked for them */
	size_t n;
	struct endpoint peer[KRPC_PEERS_MAX];
};

/* A query whose answer is too large for an address that may be forged. It
 * waits for the ping that proves it. [SPEC §8.5] */
struct later {
	struct endpoint from;
	uint16_t n;     /* bytes; 0: a free place */
	uint16_t spent; /* bytes that it has drawn already */
	uint64_t due_ms;
	uint8_t data[LATER_BYTES];
};

/* How one who answered sees us. */
struct seen {
	struct endpoint by, us;
};

/* A handle of ours at an introducer. */
struct registration {
	bool used, asking, has_token;
	bool tell, took; /* an end to tell, and which */
	uint8_t n_tries, n_proofs;
	uint32_t serial, life_s;
	uint64_t name;
	uint64_t until_ms; /* what comes is taken */
	struct dht_node at;
	uint8_t handle[DHT_HANDLE_SIZE];
	uint8_t cookie[KRPC_END_SIZE]; /* comes with what is for us */
	uint8_t token[TOKEN_SIZE];     /* the introducer's, for the next time */
};

/* A handle of somebody else that we pass to. */
struct outcall {
	uint64_t used_ms;  /* 0: a free place */
	uint64_t heard_ms; /* something came back; 0: nothing yet */
	uint32_t serial;
	bool asked; /* an exchange waits for the error, if there is one */
	bool failed;
	struct dht_node at;
	uint8_t handle[DHT_HANDLE_SIZE];
	uint8_t cookie[KRPC_END_SIZE];
	uint8_t circuit[KRPC_END_SIZE]; /* heard: what leads there */
};

struct introducer; /* dht_introduce.c's own */

/* What a node of the overlay keeps of its introducers. Secret. */
struct ways {
	struct registration own[DHT_HANDLES_MAX];
	struct outcall call[DHT_CALLS_MAX];
	unsigned n_told; /* ends that wait to be told */
	struct handed {
		size_t n; /* 0: nothing */
		uint64_t name;
		struct dht_way way;
		struct endpoint other;
		uint8_t data[DHT_PASS_MAX];
	} handed;
};

struct out {
	struct endpoint to;
	uint16_t n;
	uint8_t data[KRPC_SIZE_MAX];
};

/* A bootstrap node. OVERLAY: with the key that it has now, as far as it is
 * known, and the one that its operator named. */
struct seed {
	struct endpoint at;
	struct node_key n, named;
};

struct dht {
	struct dht_config cfg;
	struct target id;
	struct carrier *carrier;       /* owned; NULL on Mainline */
	struct carrier_call *call;     /* the query at hand, or NULL */
	struct ways *ways;             /* owned; NULL on Mainline */
	struct introducer *introducer; /* owned; NULL on Mainline */
	struct dht *sibling; /* of the other family, borrowed, or NULL */
	bool bound;          /* OVERLAY: id fits an address */
	struct table table;
	struct recall recall;
	struct items items;
	struct peers peers;
	struct token_keys tokens;
	struct guard guard;
	struct address address;
	struct sent sent;
	struct seen seen[SEEN_MAX]; /* a ring */
	unsigned seen_first, n_seen;
	struct endpoint stranger; /* UNSOLICITED, to be told; port 0: none */
	uint64_t stranger_ms;     /* not before */

	struct rpc *rpc; /* owned, cap_rpc: at t modulo that */
	size_t n_rpc, cap_rpc;
	uint64_t rpc_due_ms; /* not later than the first due_ms */

	/* Owned; the inner ones last. NULL or of kind NONE: a free place. */
	struct op *op[OPS_ALL];
	uint32_t serial;
	unsigned n_ops;  /* of kind other than NONE */
	unsigned n_over; /* of kind NONE, whose memory waits for a tick */
	struct found found;
	struct later later[LATER_MAX];
	uint64_t later_due_ms; /* not later than the first due_ms */

	struct seed seed[SEEDS_MAX];
	unsigned n_seeds;
	uint64_t own_ms; /* when to look our id up again */
	unsigned own_round;
	unsigned fill;     /* bucket that OP_FILL looks at */
	uint64_t check_ms; /* when to look for nodes to check */

	struct out *out; /* owned, OUT_MAX: a ring */
	unsigned out_first, n_out;

	bool was_ready, tell_ready, tell_address;
	struct dht_stats stats;
	uint64_t rtt_var_ms; /* smoothed distance from stats.rtt_ms */
	struct density density;
	unsigned n_wary;          /* lookups that spread out after an alarm */
	uint64_t probe_ms;        /* when to learn about it on purpose */
	uint64_t now_ms, wall_ms; /* of the last call */
	struct bencode scratch;
};

/* ---- dht_rpc.c ---- */

MUST_USE enum err rpc_init(struct dht *d); /* ERR_NOMEM */
/* Begins a datagram; NULL: no room, as if it got lost. */
bool out_begin(struct dht *d, struct writer *ret);
void
out_commit(struct dht *d, const struct writer *w, const struct endpoint *to);
/* Room for another query beside the answers? */
bool out_room(const struct dht *d);

struct rpc_request {
	enum rpc_use use;
	const struct op *op; /* LOOKUP, PUT */
	const struct endpoint *to;
	const struct node_key *n; /* of the node at `to`; NULL: none known */
	uint64_t wait_ms;
};
/* Fills in t, id and ro, and sends. False: too many in flight. */
bool rpc_send(struct dht *d, const struct rpc_request *r, struct krpc *m,
    uint64_t now_ms);
/* What was just sent with that t is of REGISTER or PASS, and of a place there.
 */
void rpc_bind(struct dht *d, struct span t, unsigned place, uint32_t serial);
/* The query that a message answers, taken out (places move when a query is
 * sent: no pointers to them are kept); false: nobody asked. */
bool rpc_take(
    struct dht *d, const struct endpoint *from, struct span t, struct rpc *ret);
/* The same, left in its place; or NULL. */
const struct rpc *
rpc_find(const struct dht *d, const struct endpoint *from, struct span t);
bool rpc_pending(const struct dht *d, const struct endpoint *to);
/* It needs no answer any more. */
void
rpc_cancel(struct dht *d, enum rpc_use use, unsigned place, uint32_t serial);
void rpc_expire(struct dht *d, uint64_t now_ms);

static inline struct krpc_form
form_of(const struct dht *d)
{
	return (
	    struct krpc_form){ d->cfg.family, d->cfg.carrier == DHT_OVERLAY };
}

/* ---- dht.c ---- */

/* May this address ask us anything now? Counts it. */
bool dht_may_ask(struct dht *d, const struct endpoint *from);
/* Somebody has asked: was he asked to? */
void dht_asked_by(struct dht *d, const struct endpoint *from);
/* A query that may be answered, in that datagram. */
void dht_on_query(struct dht *d, const struct endpoint *from,
    const struct krpc *m, struct span datagram);
void dht_on_answer(struct dht *d, const struct rpc *rpc, const struct krpc *m);

/* ---- dht_overlay.c ---- */

/* Does the id belong to key and address? True on Mainline. */
bool overlay_honest(const struct dht *d, const struct krpc_node *node);
/* Our id at that address; NULL: not known. */
void overlay_own_id(struct dht *d, const struct endpoint *at);
/* Seals a query; false: it cannot be. */
bool overlay_ask(struct dht *d, const struct rpc_request *r, struct krpc *m,
    struct writer *out, uint16_t *ret);
/* A query that draws no answer; returns the bytes of the datagram that it
 * makes, 0: none. */
size_t overlay_encode(const struct dht *d, struct krpc *m, struct writer *ret);
/* Sends that under the key of who is at `to`; false: it did not go. */
bool overlay_tell(struct dht *d, const struct endpoint *to,
    const struct node_key *n, struct span plain);
/* Seals, in place, the answer to d->call. */
bool overlay_answer(struct dht *d, struct writer *w);
/* A datagram; false: it drew nothing. */
bool
overlay_take(struct dht *d, const struct endpoint *from, struct span datagram);

/* ---- dht_introduce.c: for others ---- */

MUST_USE enum err introducer_init(struct dht *d); /* ERR_NOMEM */
void introducer_free(struct introducer *i);
/* No token of before is valid. */
void introducer_renew(struct dht *d);
/* Queries that were opened; false: it drew nothing. */
bool introducer_register(
    struct dht *d, const struct endpoint *from, const struct krpc *m);
bool introducer_pass(struct dht *d, const struct endpoint *from,
    const struct krpc *m, size_t n_bytes);
void introducer_stats(const struct dht *d, struct dht_stats *ret);
/* Is that something to pass on? Never what a DHT node would open. */
bool is_passable(struct span datagram);

/* ---- dht_ways.c: through others ---- */

MUST_USE enum err ways_init(struct dht *d); /* ERR_NOMEM */
void ways_free(struct ways *w);
/* Our N is another: calls begin again. */
void ways_renew(struct dht *d);
/* A query HAND; false: it is not for us. */
bool
ways_hand(struct dht *d, const struct endpoint *from, const struct krpc *m);
/* Of RPC_REGISTER and RPC_PASS. */
void ways_answered(struct dht *d, const struct rpc *rpc, const struct krpc *m);
void ways_timeout(struct dht *d, const struct rpc *rpc);
bool ways_event(struct dht *d, struct dht_event *ret);

/* ---- dht_serve.c ---- */

/* m is what datagram says, once it is open. */
void serve_query(struct dht *d, const struct endpoint *from,
    const struct krpc *m, struct span datagram, uint64_t now_ms);
/* `at` is proven: it gets what it waits for. */
void serve_proven(struct dht *d, const struct endpoint *at, uint64_t now_ms);
/* Who has not answered in time gets what fits. */
void serve_tick(struct dht *d, uint64_t now_ms);

/* ---- dht_op.c ---- */

/* NULL: too many, or no memory. */
struct op *op_new(struct dht *d, enum op_kind kind);
/* Its bytes stay where they are until op_sweep. */
void op_free(struct dht *d, struct op *op);
void op_sweep(struct dht *d);
/* The one at a place, or NULL. */
static inline struct op *
op_at(const struct dht *d, unsigned i)
{
	return d->op[i] && d->op[i]->kind != OP_NONE ? d->op[i] : NULL;
}
void op_start(
    struct dht *d, struct op *op, const struct target *goal, uint64_t now_ms);
void op_step(struct dht *d, struct op *op, uint64_t now_ms);
/* Adds what the present lookup did to the report. */
void op_count(struct op *op);
/* Room for another query; else the op waits for it. */
bool op_has_room(struct dht *d, struct op *op, uint64_t now_ms);
/* It is over: tells the owner. */
void op_finish(struct dht *d, struct op *op, uint64_t now_ms);
struct op *op_of(struct dht *d, const struct rpc *rpc); /* or NULL */
/* A value of its item. */
void op_see(struct op *op, const struct dht_item *item);
/* There is a value: it is worth a closer look than a glance. */
void op_look_closer(struct op *op);

static inline bool
op_is_inner(enum op_kind kind)
{
	return kind == OP_OWN || kind == OP_FILL || kind == OP_PROBE;
}

/* Is it about peers, not items? */
static inline bool
op_seeks_peers(enum op_kind kind)
{
	return kind == OP_PEERS || kind == OP_ANNOUNCE;
}

/* ---- dht_answer.c ---- */

void op_answered(struct dht *d, const struct rpc *rpc, const struct krpc *m,
    uint64_t now_ms);
void op_timeout(struct dht *d, const struct rpc *rpc, uint64_t now_ms);
/* A node is there that was not (LOOKUP_TABLE), or a bootstrap node answers
 * (LOOKUP_SEED): lookups that know too few take it, or ask it again. */
void op_feed(struct dht *d, const struct krpc_node *node,
    enum lookup_origin origin, uint64_t sent_ms, uint64_t now_ms);

/* ---- dht_put.c ---- */

/* The lookup is over: stores at all whom it found. */
void put_begin(struct dht *d, struct op *op, uint64_t now_ms);
/* Sends what is due; goes on to reading back when all is said. */
void put_step(struct dht *d, struct op *op, uint64_t now_ms);
void put_reply(struct op *op, const struct rpc *rpc, const struct krpc *m);
void put_timeout(struct op *op, const struct rpc *rpc);
/* The second lookup is over, with so many answers. */
void put_read_back(struct op *op, size_t n_answered, uint64_t now_ms);

/* ---- dht_care.c ---- */

/* May we send to a node that somebody at `from` told us of? */
bool care_usable(const struct dht *d, const struct krpc_node *node,
    const struct endpoint *from);
/* There is a new node to ask for others: soon. */
void care_bootstrap(struct dht *d, uint64_t now_ms);
void care_tick(struct dht *d, uint64_t now_ms);
uint64_t care_deadline_ms(const struct dht *d);
/* Should a query ask for nodes of the other family too? */
bool care_lacks_other(const struct dht *d);
void care_ping(struct dht *d, const struct endpoint *to,
    const struct node_key *n, uint64_t now_ms);
/* Asks for the N of who is there, under the key of the day. */
void care_introduce(struct dht *d, const struct endpoint *to, uint64_t now_ms);
/* Is a node that we hear of worth a ping? */
bool
care_wants(const struct dht *d, const struct krpc_node *node, uint64_t now_ms);
/* Pings it if so. */
void
care_newcomer(struct dht *d, const struct krpc_node *node, uint64_t now_ms);
/* Any answer at all to a query of ours. */
void care_answered(struct dht *d, const struct rpc *rpc, const struct krpc *m,
    uint64_t now_ms);
/* A node has told its N. */
void
care_introduced(struct dht *d, const struct rpc *rpc, const struct krpc *m);
/* A query to that address was not answered. */
void care_seed_lost(struct dht *d, const struct endpoint *at);
void care_timeout(struct dht *d, const struct rpc *rpc, uint64_t now_ms);
/* An inner lookup has ended. */
void care_op_over(struct dht *d, struct op *op, uint64_t now_ms);
void care_hurry(struct dht *d, uint64_t now_ms);
/* Another id, for an address of ours, NULL: not known. Whom we know stays. */
void care_rename(struct dht *d, const struct endpoint *at, uint64_t now_ms);
bool care_is_seed(const struct dht *d, const struct endpoint *at);
/* A node of ours for lookups and answers. */
bool care_allowed(const struct dht *d, const struct endpoint *at);

#endif /* PROTO_DHT_DHT_STATE_H */
