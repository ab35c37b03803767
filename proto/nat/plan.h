/*
 * Whom to send a probe, when and how, so that two behind NATs meet: one try.
 * Both sides run a plan at the same time, which an offer and its answer,
 * carried by others, begin. Pure: the owner sends the shots, and throws the
 * plan away as soon as one was answered.
 *
 * A router that lets strangers' packets in gives our own packet another port if
 * the other's came first. So openers go first: shots that pass our own NATs and
 * die on the way. The offerer's leave with the offer; its probes, when the
 * answer says that the other has opened, too.
 *
 *   OPENING (answer) PROBING -> HEAVY -> OVER      any -> OVER (in vain)
 */
#ifndef PROTO_NAT_PLAN_H
#define PROTO_NAT_PLAN_H

#include "proto/nat/class.h"

enum {
	PLAN_CANDIDATES_MAX = 8,
	PLAN_SHOTS_MAX = 40, /* before HEAVY */
	PLAN_WINDOW = 8,     /* ports guessed of a sequential NAT */
	PLAN_HOPS = 3,       /* of an opener, at the first try */
	PLAN_TARGETS_MAX = PLAN_CANDIDATES_MAX + 1 + PLAN_WINDOW,
	PLAN_ROUNDS_MAX = 7,
	PLAN_ANSWER_MS = 10000,    /* an offer is answered, or in vain */
	PLAN_RTT_MS = 300,         /* where none is known */
	PLAN_RTT_MAX_MS = 2000,    /* of a route: more is not waited for */
	PLAN_LATER_MS = 20,        /* beyond what the answer takes */
	PLAN_HEAVY_MS = 1000,      /* after the first probe */
	PLAN_SWEEP_LATER_MS = 300, /* than the many sockets of the other */
	PLAN_SWEEP_GAP_MS = 10,    /* between two shots */
	PLAN_SPREAD_GAP_MS = 2,
	PLAN_SWEEP_BLOCK = 500,    /* shots, where the ports lie close */
	PLAN_SWEEP_RANDOM = 1400,  /* else */
	PLAN_SPREAD_SEQUENCE = 16, /* sockets */
	/* Enough that one of them is found before their usual one: its probe
	 * came to us unasked, and a router that lets strangers in answers it,
	 * and all that follows, from another port than the openers went to. */
	PLAN_SPREAD_BLOCK = 64,
	PLAN_SPREAD_RANDOM = 192,
	PLAN_SEQUENCE_REACH = 512, /* ports that a busy NAT may be ahead */
	PLAN_GRACE_MS = 1000,      /* and a round trip, for the last answer */
	/* Between two tries in vain: routers have forgotten by then what came
	 * too early. */
	PLAN_AGAIN_MS = 35000,
};

/* One party as the offer or answer shows it. Candidates in the order they are
 * to be tried; of nat kind, lo, hi, step count. */
struct plan_side {
	struct nat_view nat;
	uint8_t n;
	struct endpoint candidate[PLAN_CANDIDATES_MAX];
};

struct plan_config {
	const struct rng *rng; /* borrowed for life */
	bool answers;          /* to an offer of theirs; else it is ours */
	struct nat_view own;
	struct plan_side theirs; /* the offerer's guess until the answer */
	uint64_t rtt_ms;  /* of the route, there and back; 0: not known */
	uint32_t attempt; /* tries before, in vain: other openers */
};

struct plan_shot {
	struct endpoint to;
	uint8_t hops;   /* an opener: it dies after so many; 0: a probe */
	uint8_t socket; /* 0: the usual one; 1..plan_sockets: extra ones */
};

enum plan_state { PLAN_OPENING = 0, PLAN_PROBING, PLAN_HEAVY, PLAN_OVER };
#define PLAN_STATES 4

struct plan {
	struct plan_config c;
	enum plan_state state;
	uint64_t next_ms;  /* the next thing happens */
	uint64_t probe_ms; /* PROBING begins, or began */
	uint8_t n_targets;
	struct endpoint target[PLAN_TARGETS_MAX];
	uint8_t round, n_rounds; /* of PROBING */
	uint8_t at;              /* target of the round under way */
	bool opening;            /* that round is of openers */
	uint8_t shots;           /* left, of PLAN_SHOTS_MAX */
	bool may_be_heavy;       /* the owner agreed */
	struct endpoint outside; /* theirs, that HEAVY is about; port 0: none */
	struct {                 /* HEAVY, our part: one of the two, or none */
		uint8_t n_sockets, wave; /* the sockets send in waves */
		uint16_t sent;           /* of the wave, or of the sweep */
		/* Shot i of the sweep: base + step * place, where place is
		 * (start + i * stride) mod width. */
		uint16_t n_sweep, width, start, stride;
		int32_t base, step;
	} heavy;
};

/* Begins it now: the offer leaves, or came in. */
void plan_init(struct plan *p, const struct plan_config *cfg, uint64_t now_ms);
/* The answer to our offer is there. Later ones change nothing. */
void
plan_answered(struct plan *p, const struct plan_side *theirs, uint64_t now_ms);
/*
 * True if, probes having failed, hundreds of packets or many sockets come next:
 * sockets of ours to open by the number of the shot, or a sweep over ports of
 * theirs. They come only if the owner agreed before; he sees to it that a route
 * carries the session meanwhile, that there is one such plan at a time, and
 * that the address is really theirs (plan_outside): somebody else saw them
 * there. It is not so before all probes are sent: until then an answer may tell
 * of another address, or an offer begin another plan.
 */
bool plan_is_heavy(const struct plan *p);
void plan_agree(struct plan *p);
bool plan_outside(const struct plan *p, struct endpoint *ret);
/* How many extra sockets its shots name; 0: none. */
unsigned plan_sockets(const struct plan *p);

/* Pops the next shot that is due; false: none now. */
bool plan_next(struct plan *p, uint64_t now_ms, struct plan_shot *ret);
/* When plan_next is to be called; NEVER: it is over. */
uint64_t plan_deadline_ms(const struct plan *p);
bool plan_is_over(const struct plan *p);

#endif /* PROTO_NAT_PLAN_H */
