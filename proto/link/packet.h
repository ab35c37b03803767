/*
 * What a datagram is, before any cryptography, and the transport packet: its
 * masked header and its seal. Pure functions of bytes and keys; who owns
 * which index or tag is the caller's knowledge. [SPEC §5] [SPEC §6.4]
 */
#ifndef PROTO_LINK_PACKET_H
#define PROTO_LINK_PACKET_H

#include "proto/base/bytes.h"
#include "proto/base/env.h"
#include "proto/base/err.h"

enum {
	PACKET_MESSAGE_1_SIZE = 168,
	PACKET_MESSAGE_2_SIZE = 104,
	PACKET_COOKIE_REPLY_SIZE = 56,
	PACKET_HEAD = 12,      /* index and counter of a transport packet */
	PACKET_OVERHEAD = 28,  /* head and AEAD tag */
	PACKET_PLAIN_MIN = 64, /* the smallest bucket */
	PACKET_PLAIN_MAX =
	    1472, /* UDP in an Ethernet frame, v4, and to spare */
	PACKET_NONCE_SIZE = 24,
	PACKET_TAG_SIZE = 8, /* of an overlay query and its answer */
	PACKET_INDICES = 8,  /* receiver indices of one direction */
};

enum packet_class {
	PACKET_DROP = 0,
	PACKET_KRPC,
	PACKET_TRANSPORT,
	PACKET_MESSAGE_1,
	PACKET_MESSAGE_2,
	PACKET_COOKIE_REPLY,
	PACKET_QUERY,  /* of the overlay */
	PACKET_ANSWER, /* to an own overlay query */
};
#define PACKET_CLASSES 8

/* What the caller found for the first bytes of this datagram. */
struct packet_known {
	bool index_is_session; /* packet_index is one of a live session */
	bool index_is_attempt; /* it is that of an own attempt */
	bool attempt_pending;  /* some own attempt waits for an answer */
	bool tag_is_own;       /* packet_tag is that of an own overlay query */
};

/* The class by the rules 1 to 6; what then fails is dropped in silence. */
enum packet_class
packet_classify(struct span datagram, const struct packet_known *known);
/* The first 4 or 8 bytes; 0, zeros and false if the datagram is shorter. */
bool packet_index(struct span datagram, uint32_t *ret);
bool packet_tag(struct span datagram, uint8_t ret[PACKET_TAG_SIZE]);

/* Nothing of ours begins with 'd', which is KRPC's. */
bool packet_begins_like_krpc(uint8_t first);
/* An index that may stand first in a datagram: not 0, not with 'd' first. */
bool packet_index_usable(uint32_t index);
uint32_t packet_draw_index(const struct rng *rng);
void packet_draw_nonce(const struct rng *rng, uint8_t ret[PACKET_NONCE_SIZE]);

/* One direction of a session. Secret. */
struct packet_key {
	uint8_t k[32];  /* AEAD */
	uint8_t hp[32]; /* header mask */
};

/*
 * Seals one packet of PACKET_OVERHEAD + plain.n bytes into out.
 *
 *   counter  of this key, each used once, below REPLAY_COUNTER_END
 *   plain    frames and zeros, already padded to a bucket; may stand in place,
 *            at out + PACKET_HEAD
 */
void packet_seal(const struct packet_key *key, uint32_t index, uint64_t counter,
    struct span plain, uint8_t *out);
/* Unmasks the counter, for the replay window to judge before packet_open.
 * ERR_MALFORMED: too short or too long for a transport packet. */
MUST_USE enum err packet_counter(
    const struct packet_key *key, struct span datagram, uint64_t *ret);
/* Opens what packet_counter took: datagram.n - PACKET_OVERHEAD bytes into out,
 * which may be datagram.p + PACKET_HEAD. ERR_AUTH. */
MUST_USE enum err packet_open(const struct packet_key *key,
    struct span datagram, uint64_t counter, uint8_t *out);

#endif /* PROTO_LINK_PACKET_H */
