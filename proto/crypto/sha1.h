/* SHA-1, for the ids of BEP 5 and BEP 44 only: never for security. [RFC 3174]
 */
#ifndef PROTO_CRYPTO_SHA1_H
#define PROTO_CRYPTO_SHA1_H

#include "proto/base/bytes.h"

void sha1(const struct span *parts, size_t n, uint8_t ret[20]);

#endif /* PROTO_CRYPTO_SHA1_H */
