/* BLAKE2s, for Noise vectors only; libsodium has none. [RFC 7693] */
#ifndef TESTS_SUPPORT_BLAKE2S_H
#define TESTS_SUPPORT_BLAKE2S_H

#include "proto/base/bytes.h"

enum { BLAKE2S_SIZE = 32, BLAKE2S_BLOCK = 64 };

/* Unkeyed, 32 bytes. */
void blake2s(const struct span *parts, size_t n, uint8_t ret[BLAKE2S_SIZE]);

#endif /* TESTS_SUPPORT_BLAKE2S_H */
