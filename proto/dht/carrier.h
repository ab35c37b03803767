/*
 * Carries the KRPC of one overlay node in sealed datagrams: its key N, the
 * exchanges that wait for an answer, which queries came before. Decides what
 * is opened at all, since each trial costs a Diffie-Hellman; knows nothing of
 * tables and lookups. [SPEC §8.2]
 */
#ifndef PROTO_DHT_CARRIER_H
#define PROTO_DHT_CARRIER_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/dht/overlay.h"

enum {
	CARRIER_ASKED_MAX = 256, /* queries in flight */
	/* Queries that were taken, so that a copy draws nothing: an hour's at
	 * one a second. Whoever can make more of them knows N and needs no
	 * copies. */
	CARRIER_SEEN_MAX = 4096, /* and as many of those that draw nothing */
	CARRIER_SKEW_MIN = 30,   /* minutes that a query's clock may be off */
	/* Trials of datagrams, apart for addresses that are proven and those
	 * that are not: either may be forged, and neither is to use up what
	 * the other needs. One costs at most three Diffie-Hellmans, 150 us. */
	CARRIER_TRIALS = 200, /* a second */
	CARRIER_TRIALS_BURST = 400,
	/* So long before and after midnight, UTC, the neighbour's key of the
	 * day is accepted as well. */
	CARRIER_EDGE_MIN = 60,
	CARRIER_DAY_KEYS = 2,
};

struct carrier;

/* A query being answered. Secret; carrier_call_wipe. */
struct carrier_call {
	struct overlay_exchange x;
	bool introduction; /* asked under the key of the day, not under N */
	size_t size;       /* of the query's datagram */
};

struct carrier_query {
	const struct endpoint *to;
	const struct node_key *n; /* NULL: the key of the day */
	struct span krpc;
	/* Largest answer, whole datagram, that this query must pay for. 0 if
	 * it carries a valid token or the answer is small. */
	size_t answer_max;
};

/* introduces: open what comes under the key of the day. NULL: no memory. */
struct carrier *carrier_new(const struct rng *rng, bool introduces);
void carrier_free(struct carrier *c);
void carrier_key(const struct carrier *c, struct node_key *ret); /* N */
/* Another N from now on: nothing is opened any more that was sealed for the one
 * before. Answers to queries of ours still are. */
void carrier_renew(struct carrier *c);
/* The node's id at an address, NULL: none known. */
void carrier_id(
    const struct carrier *c, const struct endpoint *at, struct target *ret);

/* Writes the datagram to out and keeps the exchange at *ret until
 * carrier_forget. ERR_LIMIT (in flight), ERR_BAD_KEY, ERR_TOO_LONG. */
MUST_USE enum err carrier_ask(struct carrier *c, const struct carrier_query *q,
    struct now now, struct writer *out, uint16_t *ret);
/* The same for what draws no answer: nothing is kept. */
MUST_USE enum err carrier_tell(struct carrier *c, const struct carrier_query *q,
    struct now now, struct writer *out);
void carrier_forget(struct carrier *c, uint16_t asked);
/* Has this the tag of a query of ours, and comes from where that went? Its
 * exchange is *ret. Costs nothing. */
bool carrier_is_answer(const struct carrier *c, const struct endpoint *from,
    struct span datagram, uint16_t *ret);
/* Writes the message; *ret is the key that the answer proves. The exchange
 * goes on: forget it once the message is what it should be. ERR_AUTH,
 * ERR_MALFORMED. */
MUST_USE enum err carrier_read_answer(struct carrier *c, uint16_t asked,
    struct span datagram, struct writer *krpc, struct node_key *ret);

/* Opens somebody's query. Charges no source: what cannot be opened may come
 * from anybody. ERR_LIMIT: too many trials (is_proven: of such addresses),
 * ERR_REPLAY, ERR_AUTH, ERR_BAD_KEY, ERR_MALFORMED. */
MUST_USE enum err
carrier_open(struct carrier *c, struct span datagram, bool is_proven,
    struct now now, struct writer *krpc, struct carrier_call *ret);
/* Is its minute near ours? If so a copy of it is refused from now on. mute: it
 * draws no answer, not even a copy would; such ones may be many and are to push
 * no others out of memory. */
bool carrier_take(struct carrier *c, const struct carrier_call *call, bool mute,
    int64_t minute, struct now now);
/* Bytes of KRPC that an answer may have: three times the query, 1232. */
size_t carrier_answer_max(const struct carrier_call *call);
/* Once a call. ERR_STATE, ERR_TOO_LONG. */
MUST_USE enum err carrier_answer(struct carrier *c, struct carrier_call *call,
    struct span krpc, struct writer *out);
void carrier_call_wipe(struct carrier_call *call);

#endif /* PROTO_DHT_CARRIER_H */
