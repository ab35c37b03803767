/*
 * The Noise Protocol Framework, revision 34, 25519 and ChaChaPoly: a symmetric
 * state and an interpreter of pattern tables. Patterns and hashes are data; a
 * new pattern is a new table, never a new case. [SPEC §6] [Noise rev34]
 */
#ifndef PROTO_CRYPTO_NOISE_H
#define PROTO_CRYPTO_NOISE_H

#include "proto/base/bytes.h"
#include "proto/base/env.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stdint.h>

enum { NOISE_HASH_MAX = 64, NOISE_MESSAGES_MAX = 8, NOISE_TOKENS_MAX = 8 };

struct noise_hash {
	const char *name;  /* as in a protocol name, e.g. "SHA256" */
	size_t len, block; /* bytes of output and of HMAC block */
	void (*hash)(const struct span *parts, size_t n, uint8_t *ret);
};
extern const struct noise_hash noise_sha256;

enum noise_token {
	NOISE_END = 0,
	NOISE_E,
	NOISE_S,
	NOISE_EE,
	NOISE_ES,
	NOISE_SE,
	NOISE_SS,
	NOISE_PSK,
};

/* One handshake pattern. pre[0] is the initiator's pre-message (E, S or
 * both), pre[1] the responder's; messages alternate from the initiator on. */
struct noise_pattern {
	const char *name;  /* e.g. "IKpsk2" */
	uint8_t pre[2][3]; /* tokens, NOISE_END-terminated */
	uint8_t messages[NOISE_MESSAGES_MAX][NOISE_TOKENS_MAX];
	uint8_t n_messages;
};
extern const struct noise_pattern noise_ikpsk2; /* sessions */
extern const struct noise_pattern noise_nk;     /* overlay queries */

struct noise_keypair {
	uint8_t sk[32], pk[32];
	bool set;
};

/* One side of one handshake. Plain data: copy it to try several keys. Holds
 * secrets: noise_wipe. */
struct noise {
	const struct noise_pattern *pattern; /* borrowed, static */
	const struct noise_hash *hash;       /* borrowed, static */
	bool initiator;
	uint8_t at; /* messages done */
	uint8_t h[NOISE_HASH_MAX], ck[NOISE_HASH_MAX];
	uint8_t k[32];
	uint64_t nonce;
	bool has_key;
	struct noise_keypair s, e;
	uint8_t rs[32], re[32];
	bool has_rs, has_re;
	uint8_t psk[4][32]; /* in the order of their tokens */
	uint8_t n_psk, psk_at;
};

struct noise_config {
	const struct noise_pattern *pattern;
	const struct noise_hash *hash;
	bool initiator;
	struct span prologue;
	struct noise_keypair s; /* own static, if the pattern has one */
	const uint8_t *rs;      /* the peer's, if known beforehand, or NULL */
	struct noise_keypair e; /* own, if it is a pre-message (fallback) */
	const uint8_t *re;      /* the peer's, likewise, or NULL */
};

/* ERR_STATE: the pattern needs a key that was not given. */
MUST_USE enum err noise_init(struct noise *n, const struct noise_config *cfg);
void noise_set_psk(struct noise *n, const uint8_t psk[32]); /* next psk */
/* The ephemeral is fixed before the message that sends it is written; its
 * secret comes from the caller, since this layer draws nothing. */
MUST_USE enum err noise_set_ephemeral(struct noise *n, const uint8_t sk[32]);
/* Writes the next message. ERR_TOO_LONG, ERR_BAD_KEY (zero DH), ERR_STATE. */
MUST_USE enum err
noise_write(struct noise *n, struct span payload, struct writer *ret);
/* Reads the next message; payload is written to ret. ERR_MALFORMED,
 * ERR_AUTH, ERR_BAD_KEY: n is undefined then, so try on a copy. */
MUST_USE enum err
noise_read(struct noise *n, struct span message, struct writer *ret);
bool noise_done(const struct noise *n);
/* After the last message: k[0] initiator's sending key, k[1] responder's. */
void noise_split(const struct noise *n, uint8_t k[2][32]);
void noise_wipe(struct noise *n);

/* The AEAD of Noise: nonce = 0^4 || LE64. Out has 16 bytes more (less). */
void noise_seal(const uint8_t k[32], uint64_t nonce, struct span ad,
    struct span plain, uint8_t *out);
MUST_USE enum err noise_open(const uint8_t k[32], uint64_t nonce,
    struct span ad, struct span sealed, uint8_t *out);

#endif /* PROTO_CRYPTO_NOISE_H */
