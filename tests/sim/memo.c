/*
 * What a world of many nodes computes again and again, computed once: each
 * node that stores a cell verifies it, and each that reads it. The linker puts
 * these in the place of libsodium's (Makefile: WRAP). They are pure, so that
 * nothing but the time changes.
 */
#include <sodium.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

int real_verify(const uint8_t *sig, const uint8_t *m, unsigned long long n,
    const uint8_t *pk) __asm__("__real_crypto_sign_verify_detached");
int memo_verify(const uint8_t *sig, const uint8_t *m, unsigned long long n,
    const uint8_t *pk) __asm__("__wrap_crypto_sign_verify_detached");
int real_keypair(uint8_t *pk, uint8_t *sk, const uint8_t *seed) __asm__(
    "__real_crypto_sign_seed_keypair");
int memo_keypair(uint8_t *pk, uint8_t *sk, const uint8_t *seed) __asm__(
    "__wrap_crypto_sign_seed_keypair");

enum {
	VERIFIED = 4096, /* answers that are kept */
	KEYPAIRS = 1024,
	NAME = crypto_shorthash_siphashx24_BYTES,
	TEXT_MAX = 2048, /* longer ones are verified each time */
};

static struct {
	uint8_t name[NAME]; /* of all that goes in */
	bool used;
	int result;
} verified[VERIFIED];

static struct {
	bool used;
	uint8_t seed[crypto_sign_SEEDBYTES];
	uint8_t pk[crypto_sign_PUBLICKEYBYTES], sk[crypto_sign_SECRETKEYBYTES];
} keypairs[KEYPAIRS];

int
memo_verify(const uint8_t *sig, const uint8_t *m, unsigned long long n,
    const uint8_t *pk)
{
	static const uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];
	uint8_t all[crypto_sign_BYTES + crypto_sign_PUBLICKEYBYTES + TEXT_MAX];
	uint8_t name[NAME];
	uint32_t at;

	if (n > TEXT_MAX)
		return real_verify(sig, m, n, pk);
	memcpy(all, sig, crypto_sign_BYTES);
	memcpy(all + crypto_sign_BYTES, pk, crypto_sign_PUBLICKEYBYTES);
	memcpy(all + crypto_sign_BYTES + crypto_sign_PUBLICKEYBYTES, m, n);
	(void)crypto_shorthash_siphashx24(
	    name, all, crypto_sign_BYTES + crypto_sign_PUBLICKEYBYTES + n, key);
	memcpy(&at, name, sizeof(at));
	at %= VERIFIED;
	if (!verified[at].used || memcmp(verified[at].name, name, NAME) != 0) {
		verified[at].used = true;
		memcpy(verified[at].name, name, NAME);
		verified[at].result = real_verify(sig, m, n, pk);
	}
	return verified[at].result;
}

int
memo_keypair(uint8_t *pk, uint8_t *sk, const uint8_t *seed)
{
	uint32_t at;

	memcpy(&at, seed, sizeof(at));
	at %= KEYPAIRS;
	if (!keypairs[at].used ||
	    memcmp(keypairs[at].seed, seed, crypto_sign_SEEDBYTES) != 0) {
		keypairs[at].used = true;
		memcpy(keypairs[at].seed, seed, crypto_sign_SEEDBYTES);
		(void)real_keypair(keypairs[at].pk, keypairs[at].sk, seed);
	}
	memcpy(pk, keypairs[at].pk, sizeof(keypairs[at].pk));
	memcpy(sk, keypairs[at].sk, sizeof(keypairs[at].sk));
	return 0;
}
