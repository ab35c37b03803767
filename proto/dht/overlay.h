/*
 * The encrypted carrier of KRPC between nodes that know each other's node key
 * N: padded, masked, one Noise NK exchange for each query and its answer, and
 * the node ids that bind address and key. Only the codec. [SPEC §8]
 */
#ifndef PROTO_DHT_OVERLAY_H
#define PROTO_DHT_OVERLAY_H

#include "proto/base/endpoint.h"
#include "proto/crypto/noise.h"
#include "proto/crypto/types.h"

enum {
	OVERLAY_TAG_SIZE = 8,
	OVERLAY_KEY_SIZE = 32,
	OVERLAY_OVERHEAD = 58, /* tag, e, AEAD tag, length */
	OVERLAY_SIZE_MAX = 1232,
	OVERLAY_FEW = 512, /* holds six nodes and a token */
	OVERLAY_KRPC_MAX = OVERLAY_SIZE_MAX - OVERLAY_OVERHEAD,
};

/* N, new at every start, and when somebody is not to find us. Secret. */
struct overlay_static {
	uint8_t sk[OVERLAY_KEY_SIZE], pk[OVERLAY_KEY_SIZE];
};

/* The smallest datagram that holds n_krpc bytes and is not below at_least
 * (a query makes room for a third of its answer); 0 if there is none. */
size_t overlay_size(size_t n_krpc, size_t at_least);

/* All borrowed for the call. */
struct overlay_query {
	const uint8_t *n;    /* the responder's N */
	const uint8_t *tag;  /* 8 bytes, drawn, never with 'd' first */
	const uint8_t *e_sk; /* 32 bytes, drawn, used once */
	struct span krpc;
	size_t size; /* of the datagram, from overlay_size */
};

/* One exchange, as the asker and as the responder keep it. Secret; wipe. */
struct overlay_exchange {
	struct noise noise;
	uint8_t tag[OVERLAY_TAG_SIZE];
	uint8_t n[OVERLAY_KEY_SIZE]; /* the responder's N */
};

/* What of an exchange the asker needs to read the answer: a fifth of it, as
 * many queries wait at once. Secret; wipe. */
struct overlay_asked {
	uint8_t tag[OVERLAY_TAG_SIZE];
	uint8_t h[32], ck[32], e_sk[32];
	uint8_t n[OVERLAY_KEY_SIZE]; /* the responder's N */
};

bool overlay_is_size(size_t n); /* 128, 256, 512, 1024 or 1232 */

/* ERR_BAD_KEY: N of low order. */
MUST_USE enum err overlay_query_seal(
    const struct overlay_query *in, uint8_t *out, struct overlay_exchange *ret);
/* Writes the KRPC message to ret. ERR_MALFORMED (size, length, padding, tag),
 * ERR_AUTH, ERR_BAD_KEY. */
MUST_USE enum err overlay_query_open(const struct overlay_static *own,
    struct span datagram, struct overlay_exchange *ret, struct writer *krpc);
/* out: `size` bytes, from overlay_size. ERR_BAD_KEY, ERR_STATE (answered). */
MUST_USE enum err overlay_answer_seal(struct overlay_exchange *x,
    const uint8_t e_sk[32], struct span krpc, size_t size, uint8_t *out);
/* The exchange stands as it was if this fails: a true answer may follow. */
MUST_USE enum err overlay_answer_open(const struct overlay_exchange *x,
    struct span datagram, struct writer *krpc);
void overlay_exchange_wipe(struct overlay_exchange *x);
/* Between the asker's query and its answer; `to` is wiped with the caller's
 * memory. */
void overlay_keep(const struct overlay_exchange *x, struct overlay_asked *to);
void overlay_resume(const struct overlay_asked *a, struct overlay_exchange *to);

/* The id of N at an address; r is any byte, chosen by the node. at is NULL
 * while the node does not know its address, or has none that is global. */
void overlay_node_id(const uint8_t n[OVERLAY_KEY_SIZE],
    const struct endpoint *at, uint8_t r, struct target *ret);
/* Is this the id of N at an address? Of addresses that BEP 42 leaves out only
 * the key counts. [SPEC §8.2] */
bool overlay_id_valid(const uint8_t n[OVERLAY_KEY_SIZE],
    const struct endpoint *at, const struct target *id);
/* The key pair that everybody knows on a day: under it a node whose address
 * is public is asked for its N. */
void overlay_day_key(uint32_t day, struct overlay_static *ret);
/* Where overlay nodes announce themselves on Mainline on a day (Unix s /
 * 86400). */
void overlay_meeting_point(uint32_t day, struct target *ret);

#endif /* PROTO_DHT_OVERLAY_H */
