/*
 * What an introducer knows: who registered which handle, and who passes to
 * whom. Only tables and budgets; whose address and key are proven, the caller
 * of introduce_register knows. [SPEC §8.3]
 *
 * A circuit joins one caller to one handle. It has two ids: the called passes
 * to the one to reach the caller, and the caller to the other, which he learns
 * from the first answer that reaches him, so that using it proves his address.
 * Until then he gets at most three times his own bytes. Nothing keeps a circuit
 * alive but the caller, nor a registration but its owner. Each of them chose a
 * cookie that comes with all that he is handed: who does not know it cannot
 * pose as the introducer.
 */
#ifndef PROTO_DHT_INTRODUCE_H
#define PROTO_DHT_INTRODUCE_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/base/err.h"
#include "proto/crypto/types.h"

enum {
	INTRODUCE_ID_SIZE = 8, /* of handles, circuits and cookies */
	/* Bytes of a datagram that is passed: those of a handshake and of a
	 * session that does not know its path. */
	INTRODUCE_DATAGRAM_MIN = 56,
	INTRODUCE_DATAGRAM_MAX = 1052,
	INTRODUCE_HANDLES = 256, /* more are refused */
	INTRODUCE_SPARE = 32,    /* of these only for whom we trust */
	/* One network (/24, /48) may have so many once half are taken, and one
	 * node ever. More are refused; none is displaced. */
	INTRODUCE_PER_NET = 4,
	INTRODUCE_PER_NODE = 4,
	INTRODUCE_LIFE_S = 240, /* of a registration that is not renewed */
	/* Of all, and of one handle. The circuit that is idle for longest goes,
	 * of the handle that has most; of its own if it has its share. */
	INTRODUCE_CIRCUITS = 1024,
	INTRODUCE_PER_HANDLE = 64,
	INTRODUCE_CIRCUIT_MS = 120 * 1000, /* since the caller used it */
	/* Bytes that leave, a second and at once: for one handle, both ways,
	 * and for all. More is lost. */
	INTRODUCE_RATE = 4096,
	INTRODUCE_BURST_S = 16, /* of its rate */
	INTRODUCE_ALL_RATE = 64 * 1024,
	INTRODUCE_ALL_BURST = 4 * INTRODUCE_ALL_RATE,
	/* The same for all whom we trust, apart, so that neither costs the
	 * others anything; the handles of one node share its rate. */
	INTRODUCE_TRUSTED_ALL_RATE = 128 * 1024,
	INTRODUCE_TRUSTED_ALL_BURST = 4 * INTRODUCE_TRUSTED_ALL_RATE,
	INTRODUCE_TRUSTED_BURST_S = 4, /* of one, of its rate */
	/* Of the last half of those each handle gets an equal part alone, so
	 * that many who take much leave something to who takes little. */
	INTRODUCE_PART_BURST = 4096,
};

struct introduce; /* secret: handles, and who talks to whom */

struct introduce *
introduce_new(const struct rng *rng, uint64_t now_ms); /* or NULL */
void introduce_free(struct introduce *t);

/* Who wants what comes for a handle, or something to go there. */
struct introduce_wish {
	const struct endpoint *at;
	const struct node_key *n;
	const uint8_t *handle, *cookie;
	uint32_t rate; /* bytes a second; 0: INTRODUCE_RATE, of a stranger */
};
/* Would it be taken? ERR_EXISTS: somebody else has the handle. ERR_LIMIT. */
MUST_USE enum err introduce_may(
    struct introduce *t, const struct introduce_wish *w, uint64_t now_ms);
/* The same, and takes or renews it. at and n are proven. The owner of a handle
 * may come from elsewhere. */
MUST_USE enum err introduce_register(
    struct introduce *t, const struct introduce_wish *w, uint64_t now_ms);

/* From now on the handles of that node have this rate together; 0: that of a
 * stranger each. */
void introduce_trust(struct introduce *t, const struct node_key *n,
    uint32_t rate, uint64_t now_ms);
/* Ends those of all whom nothing was given. */
void introduce_end_strangers(struct introduce *t);

/* Whom something goes to. */
struct introduce_to {
	struct endpoint at;
	struct node_key n;
	uint8_t cookie[INTRODUCE_ID_SIZE];  /* his own */
	uint8_t circuit[INTRODUCE_ID_SIZE]; /* what he is to answer to */
	struct endpoint other;              /* who sends it */
	uint16_t place; /* of the circuit, for introduce_pay at once */
	bool to_caller;
};
/* A caller, whose address and key are not proven, passes n_bytes to a handle.
 * ERR_NOT_FOUND: nobody is there. */
MUST_USE enum err
introduce_call(struct introduce *t, const struct introduce_wish *caller,
    size_t n_bytes, uint64_t now_ms, struct introduce_to *ret);
/* The same over a circuit, in either direction. ERR_NOT_FOUND: there is none
 * that `from` may use. */
MUST_USE enum err introduce_follow(struct introduce *t,
    const struct endpoint *from, const uint8_t circuit[INTRODUCE_ID_SIZE],
    size_t n_bytes, uint64_t now_ms, struct introduce_to *ret);
/* May n_bytes go there now? Charges them. */
bool introduce_pay(struct introduce *t, const struct introduce_to *to,
    size_t n_bytes, uint64_t now_ms);

struct introduce_stats {
	size_t handles, circuits, trusted; /* handles of these */
	uint64_t n_passed, bytes_passed, bytes_trusted, n_refused;
};
void introduce_get_stats(
    struct introduce *t, uint64_t now_ms, struct introduce_stats *ret);

#endif /* PROTO_DHT_INTRODUCE_H */
