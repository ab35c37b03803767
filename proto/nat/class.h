/*
 * What kind of NAT is in front of one socket, from what others say they see of
 * it: does it keep one port for all (easy), or choose one for each peer (hard),
 * and how. Pure; nothing here is believed from one mouth. [RFC 4787 §4.1]
 */
#ifndef PROTO_NAT_CLASS_H
#define PROTO_NAT_CLASS_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/base/nat_class.h"

enum {
	NAT_SAMPLES_MAX = 16, /* the oldest makes room */
	NAT_SAMPLE_MS = 10 * 60 * 1000,
	/* Fewer say nothing; of this many, one may lie. */
	NAT_SAMPLES_MIN = 4,
	/* Of the newest so many: what others take meanwhile spoils more. */
	NAT_SEQUENCE_SAMPLES = 6,
	NAT_SEQUENCE_GAP_MAX = 256, /* ports between two samples in turn */
	NAT_SEQUENCE_STEP_MAX = 16,
	/* So near to each other they are a sequence in any order: answers come
	 * later than the mappings are made. */
	NAT_SEQUENCE_NEAR = 16,
	/* Of our own flows the latest are known, to count what we take of the
	 * sequence ourselves; one that rested so long is a new one. */
	NAT_FLOWS_MAX = 256,
	NAT_FLOW_S = 60,
	NAT_GUESSES = 3,              /* samples that the count begins at */
	NAT_BLOCK_MAX = 2048,         /* ports between all samples */
	NAT_OPEN_MS = 60 * 60 * 1000, /* what came in unasked counts so long */
};

struct nat_view {
	enum nat_class kind;
	/* SEQUENTIAL: hi is the last one, with what we took since somebody saw
	 * it; lo as hi, or the one before the port of a flow that the other has
	 * with us. BLOCK: of those that were seen. */
	uint16_t lo, hi;
	int16_t step; /* SEQUENTIAL */
	/* Seen outside: OPEN, EASY: as most see it; two of them where a NAT has
	 * two addresses and keeps to a port on each. Else the newest. */
	uint8_t n_seen;
	struct endpoint seen[2];
};

struct nat_sample {
	struct endpoint answerer, seen;
	uint64_t since_ms; /* it says so */
	uint64_t at_ms;    /* it said so last */
	uint32_t flow;     /* our number of it; 0: unknown */
};

struct nat_flow {
	uint64_t name; /* of its other end, and our socket */
	uint32_t number, at_s;
};

/* Of one family, one socket. */
struct nat {
	size_t n;
	struct nat_sample sample[NAT_SAMPLES_MAX]; /* by since_ms */
	bool has_unasked;
	uint64_t unasked_ms;
	struct endpoint unasked_at; /* ours at that time; port 0: unknown */
	bool is_easy;               /* as looked at last: flows do not matter */
	uint32_t n_flows;           /* the number of the newest */
	size_t flows;               /* known */
	struct nat_flow flow[NAT_FLOWS_MAX];
};

void nat_init(struct nat *t);
/* Another network: all of it is of no more use. */
void nat_moved(struct nat *t);
/* Somebody sees us there. One of each address counts, and of each /16 (/32 of
 * IPv6); who is not in the world, or sees us in no world, does not. */
void nat_sample_add(struct nat *t, const struct endpoint *answerer,
    const struct endpoint *seen, uint64_t now_ms);
/* A datagram leaves, by the usual socket (0) or an extra one. */
void nat_sent(
    struct nat *t, const struct endpoint *to, unsigned socket, uint64_t now_ms);
/* A datagram came in from an address that nothing was sent to for longer than
 * any NAT remembers. */
void nat_unasked(struct nat *t, uint64_t now_ms);
/* Somebody came in unasked of late, and we are still where he found us. */
bool nat_lets_in(const struct nat *t, uint64_t now_ms);
/* How many samples count. */
size_t nat_n_samples(const struct nat *t, uint64_t now_ms);
void nat_look(const struct nat *t, uint64_t now_ms, struct nat_view *ret);
/* Where the samples that count saw us, and how many did there; the most first.
 * Returns how many places. */
struct nat_votes {
	struct endpoint seen;
	size_t n;
};
size_t nat_count(const struct nat *t, uint64_t now_ms,
    struct nat_votes ret[NAT_SAMPLES_MAX]);
/* For who is at `to`: of a sequential NAT he gets the port of a flow that we
 * have with him already. */
void nat_view_for(const struct nat *t, const struct endpoint *to,
    uint64_t now_ms, struct nat_view *view);

static inline bool
nat_is_easy(enum nat_class k)
{
	return k == NAT_OPEN || k == NAT_EASY;
}

#endif /* PROTO_NAT_CLASS_H */
