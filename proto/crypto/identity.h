/*
 * Who one is: the Ed25519 identity, its written address, the certificate of a
 * static key, the safety number. [SPEC §3] [SPEC §4.2]
 */
#ifndef PROTO_CRYPTO_IDENTITY_H
#define PROTO_CRYPTO_IDENTITY_H

#include "proto/crypto/types.h"

enum {
	ADDRESS_SIZE = 67,     /* "btchat1..." and NUL */
	ADDRESS_NAME_MAX = 64, /* bytes of a decoded ?name= suggestion */
	CERT_SIZE = 144,
	DEVICE_ID_SIZE = 16,
	SAFETY_DIGITS = 60,
	CERT_LIFE_S = 60 * 86400, /* [SPEC §2] S is renewed every 60 d */
};

void identity_from_seed(
    const struct id_seed *seed, struct id_pk *pk, struct id_sk *sk);
/* ERR_BAD_KEY: not canonical, not on the curve, small or mixed order. */
MUST_USE enum err identity_check(const struct id_pk *pk);

void address_encode(const struct id_pk *id, char ret[ADDRESS_SIZE]);
/* A bare address or a btchat: URI with an optional name; name gets a NUL and
 * is empty if there was none. ERR_MALFORMED, ERR_UNSUPPORTED (version),
 * ERR_BAD_KEY. */
MUST_USE enum err address_decode(
    struct span text, struct id_pk *ret, char name[ADDRESS_NAME_MAX + 1]);

/* What a certificate says. */
struct cert {
	struct static_pk s;
	uint32_t gen;
	uint64_t not_before_s, not_after_s;
	uint8_t device[DEVICE_ID_SIZE];
};
struct cert_bytes {
	uint8_t b[CERT_SIZE];
};

void
cert_sign(const struct id_sk *sk, const struct cert *c, struct cert_bytes *ret);
/* Verifies under `id` at wall time now_s. ERR_AUTH, ERR_EXPIRED,
 * ERR_MALFORMED (nonzero spare bytes), ERR_BAD_KEY (S of low order). */
MUST_USE enum err cert_open(const struct cert_bytes *in, const struct id_pk *id,
    uint64_t now_s, struct cert *ret);

/* 60 digits and NUL, the same for both sides. ~10,000 hashes. */
void safety_number(
    const struct id_pk *a, const struct id_pk *b, char ret[SAFETY_DIGITS + 1]);

#endif /* PROTO_CRYPTO_IDENTITY_H */
