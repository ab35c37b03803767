/*
 * Are we under load, and what then: cookies instead of Diffie-Hellman.
 * Handshakes are the only thing a stranger can make us compute. [SPEC §6.5]
 */
#ifndef PROTO_LINK_LOAD_H
#define PROTO_LINK_LOAD_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"
#include "proto/link/handshake.h"

enum {
	LOAD_HALF_MAX = 4096, /* half-open states of all contacts */
	LOAD_HALF_HIGH = LOAD_HALF_MAX / 8,
	/* DH of one second that are load: 20 % of it at 50 us each. */
	LOAD_DH_HIGH = 4000,
	/* mac1 computed in one second before only LOAD_GUARDS are tried: 15 %
	 * of it at 0.3 us each. */
	LOAD_MACS_HIGH = 500000,
	LOAD_GUARDS = 12, /* R with every S, three days each */
	LOAD_BEHIND_MS = 1000,
	LOAD_SECRET_MS = 120000, /* a cookie secret; the one before counts */
	LOAD_SOURCES = 1024,     /* buckets of sources; some share one */
	LOAD_REPLIES_S = 20,     /* cookie replies to one source */
	LOAD_REPLIES_BURST = 5,
};

struct load {
	const struct rng *rng; /* borrowed */
	uint8_t secret[2][32]; /* in use, the one before */
	bool has_secret, has_before;
	uint64_t secret_ms;
	uint64_t second;          /* which one dh_now counts */
	uint32_t dh_now, dh_last; /* of this second and the one before */
	uint64_t mac_second;
	uint32_t macs_now;
	uint64_t behind_until_ms;
	uint8_t hash[16];
	struct {
		uint64_t at_ms;
		uint32_t spent_ms; /* 1000 / LOAD_REPLIES_S for each */
	} source[LOAD_SOURCES];
};

void load_init(struct load *d, const struct rng *rng);
void load_wipe(struct load *d);
void load_count_dh(struct load *d, uint32_t n, uint64_t now_ms);
/* Datagrams come faster than they are taken: load, for a second. */
void load_behind(struct load *d, uint64_t now_ms);
bool load_is_high(const struct load *d, size_t n_half, uint64_t now_ms);
/* How many of n guards a message 1 is tried with now; they are counted. */
size_t load_guards(struct load *d, size_t n, uint64_t now_ms);
/* The cookie that we give to this address now. */
void load_cookie(struct load *d, const struct endpoint *from, uint64_t now_ms,
    uint8_t ret[HANDSHAKE_COOKIE_SIZE]);
/* mac2 is of a cookie of this secret or the one before. */
bool load_mac2_ok(struct load *d, const struct endpoint *from,
    struct span message_1, uint64_t now_ms);
/* True, and counted, if this source may get another cookie reply. */
bool
load_may_reply(struct load *d, const struct endpoint *from, uint64_t now_ms);

#endif /* PROTO_LINK_LOAD_H */
