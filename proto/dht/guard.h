/*
 * How much we do for whom: queries per source, bytes sent in total, and
 * bytes sent to addresses that may be forged. [SPEC §8.5]
 *
 * An address is proven when something from there shows that our packets
 * arrive: an answer to a query of ours (32 random bits of t), or a token.
 * To any other address a query draws at most three times its own bytes, a
 * ping of ours included, so nobody gains by writing another's address into
 * his packets. Readers of libtorrent never return a token, and a get of 95
 * bytes asks for a value that takes 970: were it simply left out, the rest of
 * the network could not read what we store. So whoever asks for more than
 * his packet pays for is pinged first, and gets all of it as soon as he
 * answers: one round trip later, once in two hours. A read-only asker answers
 * no ping by definition [BEP 43]; he gets what fits, nodes without the value,
 * and has seven other holders to turn to. A budget of free bytes per source,
 * the other way, is what a reflector spends at every node of the network.
 */
#ifndef PROTO_DHT_GUARD_H
#define PROTO_DHT_GUARD_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"

enum {
	GUARD_SOURCES = 512,       /* remembered; the longest silent one goes */
	GUARD_WAYS = 4,            /* places that a source may take */
	GUARD_RATE = 5,            /* queries/s of one /24 or /48 */
	GUARD_BURST = 20,          /* queries */
	GUARD_LOCAL = 100,         /* times as much on loopback, in tests */
	GUARD_OVER_MS = 10 * 1000, /* above the rate that long: */
	GUARD_BLOCK_MS = 5 * 60 * 1000, /* not heard that long */
	/* Bytes/s of answers, to all: 27 of Mainline's, of 300 bytes; as many
	 * of those of the overlay, which are as large as their packets. */
	GUARD_UPLOAD = 8000,
	GUARD_UPLOAD_OVERLAY = 32000,
	GUARD_UPLOAD_BURST = 3, /* seconds of it, and of these */
	GUARD_UPLOAD_RARE = 1,  /* left for what is rare */
	GUARD_FACTOR = 3,   /* bytes for a byte of one not proven, as in QUIC */
	GUARD_PROVEN = 512, /* addresses remembered; the oldest one goes */
	GUARD_PROVEN_MS = 2 * 60 * 60 * 1000, /* since it last was */
	GUARD_ASKS = 2, /* queries/s of ours to one network; libtorrent is */
	GUARD_ASKS_BURST = 25, /* deaf for 5 min to 50 in 10 s */
	GUARD_PINGS = 4,       /* pings/s at addresses we only heard of */
	GUARD_PINGS_BURST = 16,
};

/* COMMON: what any node could answer as well, such as a list of nodes; RARE:
 * what few have, as a value that is stored here. */
enum guard_worth { GUARD_COMMON = 1, GUARD_RARE };

/* Fills by rate_per_s up to burst. */
struct guard_bucket {
	uint64_t at_ms;
	uint64_t milli; /* content, in thousandths */
};

struct guard_source {
	uint8_t key[18]; /* prefix, or address and port if local */
	bool used, local;
	uint64_t seen_ms;
	uint64_t over_ms; /* since when it exceeds the rate; 0: it does not */
	uint64_t blocked_ms; /* until then */
	struct guard_bucket queries, asks;
};

struct guard_address {
	uint64_t hash;     /* of the address, or of the /64 */
	uint64_t until_ms; /* it is proven; 0: nobody is here */
};

struct guard {
	uint8_t secret[16];   /* of the hash that places sources */
	bool loopback;        /* loopback addresses are peers */
	uint32_t upload_rate; /* bytes/s */
	struct guard_bucket upload, pings;
	struct guard_source source[GUARD_SOURCES];
	struct guard_address proven[GUARD_PROVEN];
};

/* Takes one out of a bucket that is filled by rate_per_s up to burst. */
bool guard_take(struct guard_bucket *b, uint64_t rate_per_s, uint64_t burst,
    uint64_t now_ms);
/* What is in it now; and takes n of that. */
uint64_t guard_level(struct guard_bucket *b, uint64_t rate_per_s,
    uint64_t burst, uint64_t now_ms);
void guard_spend(struct guard_bucket *b, uint64_t n);
/* upload_rate: GUARD_UPLOAD of its carrier. */
void guard_init(struct guard *g, bool loopback, uint32_t upload_rate,
    const struct rng *rng, uint64_t now_ms);
/* May this query be looked at? Counts it. */
bool guard_query(struct guard *g, const struct endpoint *from, uint64_t now_ms);
/* The address has shown that it gets our packets. */
void
guard_proven(struct guard *g, const struct endpoint *from, uint64_t now_ms);
bool guard_is_proven(
    const struct guard *g, const struct endpoint *at, uint64_t now_ms);
/* How many bytes a query of n_query may draw; SIZE_MAX for a proven address. */
size_t guard_room(const struct guard *g, const struct endpoint *to,
    size_t n_query, uint64_t now_ms);
/* May n bytes of an answer go out at all? Charges them. */
bool guard_upload(struct guard *g, const struct endpoint *to, size_t n,
    enum guard_worth worth, uint64_t now_ms);
/* May we ask this node now, or does it hear too much of us? Charges it. */
bool guard_ask(struct guard *g, const struct endpoint *to, uint64_t now_ms);
/* May we ping somebody whom nobody has vouched for? */
bool guard_ping(struct guard *g, const struct endpoint *to, uint64_t now_ms);

#endif /* PROTO_DHT_GUARD_H */
