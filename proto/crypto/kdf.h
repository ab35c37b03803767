/* HM and B2: the two keyed hashes that derive everything. [SPEC §2] */
#ifndef PROTO_CRYPTO_KDF_H
#define PROTO_CRYPTO_KDF_H

#include "proto/base/bytes.h"

/* HMAC-SHA256 of the concatenated parts. ret may overlap nothing. */
void kdf_hm(
    const uint8_t key[32], const struct span *parts, size_t n, uint8_t ret[32]);
/* BLAKE2b of n_ret bytes, 1..64 (fewer than 16: the first of 32, as the
 * formulas slice it); key of 0, 16 or 32 bytes. */
void kdf_b2(struct span key, const struct span *parts, size_t n, uint8_t *ret,
    size_t n_ret);
/* HM(key, label || x); the label without its terminator. */
void kdf_label(
    const uint8_t key[32], const char *label, struct span x, uint8_t ret[32]);

#endif /* PROTO_CRYPTO_KDF_H */
