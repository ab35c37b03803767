/* Allocations that may fail, and a seal that may lie; the linker puts them in
 * the place of malloc, calloc, realloc and noise_seal. */
#include "tests/sim/keys.h"
#include "tests/sim/liar.h"
#include "tests/sim/memory.h"

#include "proto/crypto/noise.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

void *real_malloc(size_t n) __asm__("__real_malloc");
void *real_calloc(size_t n, size_t size) __asm__("__real_calloc");
void *real_realloc(void *p, size_t n) __asm__("__real_realloc");
void *wrap_malloc(size_t n) __asm__("__wrap_malloc");
void *wrap_calloc(size_t n, size_t size) __asm__("__wrap_calloc");
void *wrap_realloc(void *p, size_t n) __asm__("__wrap_realloc");

void *
wrap_malloc(size_t n)
{
	return memory_fails() ? NULL : real_malloc(n);
}

void *
wrap_calloc(size_t n, size_t size)
{
	return memory_fails() ? NULL : real_calloc(n, size);
}

void *
wrap_realloc(void *p, size_t n)
{
	return memory_fails() ? NULL : real_realloc(p, n);
}

void real_seal(const uint8_t k[32], uint64_t nonce, struct span ad,
    struct span plain, uint8_t *out) __asm__("__real_noise_seal");
void wrap_seal(const uint8_t k[32], uint64_t nonce, struct span ad,
    struct span plain, uint8_t *out) __asm__("__wrap_noise_seal");

void
wrap_seal(const uint8_t k[32], uint64_t nonce, struct span ad,
    struct span plain, uint8_t *out)
{
	uint8_t said[LIAR_PLAIN_MAX];

	assert(plain.n <= sizeof(said));
	if (plain.n > 0)
		memcpy(said, plain.p, plain.n);
	liar_speak(said, plain.n);
	keys_saw(k);
	real_seal(k, nonce, ad, span_of(said, plain.n), out);
}
