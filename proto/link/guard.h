/*
 * Are we under load, and what then: cookies instead of Diffie-Hellman.
 * Handshakes are the only thing a stranger can make us compute. [SPEC §6.5]
 */
#ifndef PROTO_LINK_GUARD_H
#define PROTO_LINK_GUARD_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/link/handshake.h"

enum {
	GUARD_HALF_MAX = 4096, /* half-open states of all contacts */
	GUARD_HALF_LOAD = GUARD_HALF_MAX / 8,
	/* DH of one second that are load: 20 % of it at 50 us each. */
	GUARD_DH_LOAD = 4000,
	GUARD_SECRET_MS = 120000, /* a cookie secret; the one before counts */
	GUARD_SOURCES = 1024,     /* buckets of sources; some share one */
	GUARD_REPLIES_S = 20,     /* cookie replies to one source */
	GUARD_REPLIES_BURST = 5,
};

struct guard {
	const struct rng *rng; /* borrowed */
	uint8_t secret[2][32]; /* in use, the one before */
	bool has_secret, has_before;
	uint64_t secret_ms;
	uint64_t second;          /* which one dh_now counts */
	uint32_t dh_now, dh_last; /* of this second and the one before */
	uint8_t hash[16];
	struct {
		uint64_t at_ms;
		uint32_t spent_ms; /* 1000 / GUARD_REPLIES_S for each */
	} source[GUARD_SOURCES];
};

void guard_begin(struct guard *g, const struct rng *rng);
void guard_wipe(struct guard *g);
void guard_count_dh(struct guard *g, uint32_t n, uint64_t now_ms);
bool guard_loaded(const struct guard *g, size_t n_half, uint64_t now_ms);
/* The cookie that we give to this address now. */
void guard_cookie(struct guard *g, const struct endpoint *from, uint64_t now_ms,
    uint8_t ret[HANDSHAKE_COOKIE_SIZE]);
/* mac2 is of a cookie of this secret or the one before. */
bool guard_mac2_ok(struct guard *g, const struct endpoint *from,
    struct span message_1, uint64_t now_ms);
/* True, and counted, if this source may get another cookie reply. */
bool
guard_may_reply(struct guard *g, const struct endpoint *from, uint64_t now_ms);

#endif /* PROTO_LINK_GUARD_H */
