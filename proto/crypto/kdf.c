/* The two keyed hashes over libsodium. */
#include "proto/crypto/kdf.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { B2_SLICED = 32 }; /* what a shorter result is the beginning of */

_Static_assert(crypto_auth_hmacsha256_BYTES == 32, "HM");
_Static_assert(crypto_generichash_BYTES_MIN == 16, "B2");
_Static_assert(crypto_generichash_BYTES_MAX == 64, "B2");

void
kdf_hm(
    const uint8_t key[32], const struct span *parts, size_t n, uint8_t ret[32])
{
	crypto_auth_hmacsha256_state st;

	assert(key && ret);
	assert(parts || n == 0);
	crypto_auth_hmacsha256_init(&st, key, 32);
	for (size_t i = 0; i < n; i++)
		crypto_auth_hmacsha256_update(&st, parts[i].p, parts[i].n);
	crypto_auth_hmacsha256_final(&st, ret);
	sodium_memzero(&st, sizeof(st));
}

void
kdf_b2(struct span key, const struct span *parts, size_t n, uint8_t *ret,
    size_t n_ret)
{
	crypto_generichash_state st;
	uint8_t out[crypto_generichash_BYTES_MAX];
	size_t len = n_ret < crypto_generichash_BYTES_MIN ? B2_SLICED : n_ret;

	assert(key.n == 0 || key.n == 16 || key.n == 32);
	assert(n_ret > 0 && n_ret <= sizeof(out));
	assert(parts || n == 0);
	crypto_generichash_init(&st, key.p, key.n, len);
	for (size_t i = 0; i < n; i++)
		crypto_generichash_update(&st, parts[i].p, parts[i].n);
	crypto_generichash_final(&st, out, len);
	memcpy(ret, out, n_ret);
	sodium_memzero(&st, sizeof(st));
	sodium_memzero(out, sizeof(out));
}

void
kdf_label(
    const uint8_t key[32], const char *label, struct span x, uint8_t ret[32])
{
	const struct span parts[] = { span_str(label), x };

	assert(parts[0].n > 0);
	kdf_hm(key, parts, 2, ret);
}
