/*
 * What a world of many nodes computes again and again, computed once: each
 * node that stores a cell verifies it, and each that reads it; both ends of a
 * handshake compute the same secrets. The linker puts these in the place of
 * libsodium's (Makefile: WRAP). They are pure, so that nothing but the time
 * changes.
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
int real_base(uint8_t *pk, const uint8_t *sk) __asm__(
    "__real_crypto_scalarmult_base");
int memo_base(uint8_t *pk, const uint8_t *sk) __asm__(
    "__wrap_crypto_scalarmult_base");
int real_mult(uint8_t *ret, const uint8_t *sk, const uint8_t *pk) __asm__(
    "__real_crypto_scalarmult");
int memo_mult(uint8_t *ret, const uint8_t *sk, const uint8_t *pk) __asm__(
    "__wrap_crypto_scalarmult");

enum {
	VERIFIED = 4096, /* answers that are kept */
	KEYPAIRS = 1024,
	POINTS = 4096,
	POINT = crypto_scalarmult_BYTES,
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

static struct {
	uint8_t name[NAME]; /* of a private key, which is kept nowhere */
	bool used;
	uint8_t pk[POINT];
} bases[POINTS];

/* One secret of two keys, the lower one first. */
static struct {
	bool used;
	uint8_t of[2][POINT], secret[POINT];
	int result;
} shared[POINTS];

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

static uint32_t
place_of(const uint8_t *p)
{
	uint32_t at;

	memcpy(&at, p, sizeof(at));
	return at % POINTS;
}

/* The place of a private key. */
static uint32_t
find_base(const uint8_t sk[POINT], uint8_t name[NAME], bool *ret_there)
{
	static const uint8_t key[crypto_shorthash_siphashx24_KEYBYTES];
	uint32_t at;

	(void)crypto_shorthash_siphashx24(name, sk, POINT, key);
	at = place_of(name);
	*ret_there = bases[at].used && memcmp(bases[at].name, name, NAME) == 0;
	return at;
}

int
memo_base(uint8_t *pk, const uint8_t *sk)
{
	uint8_t name[NAME];
	bool there;
	uint32_t at = find_base(sk, name, &there);

	if (!there) {
		bases[at].used = true;
		memcpy(bases[at].name, name, NAME);
		(void)real_base(bases[at].pk, sk);
	}
	memcpy(pk, bases[at].pk, POINT);
	return 0;
}

/* The other end has the other private key, and gets the same. */
int
memo_mult(uint8_t *ret, const uint8_t *sk, const uint8_t *pk)
{
	uint8_t name[NAME];
	bool there;
	const uint8_t *of[2] = { bases[find_base(sk, name, &there)].pk, pk };
	uint32_t at;

	if (!there)
		return real_mult(ret, sk, pk);
	at = (place_of(of[0]) + place_of(of[1])) % POINTS;
	if (memcmp(of[0], of[1], POINT) > 0) {
		of[1] = of[0];
		of[0] = pk;
	}
	if (!shared[at].used || memcmp(shared[at].of[0], of[0], POINT) != 0 ||
	    memcmp(shared[at].of[1], of[1], POINT) != 0) {
		shared[at].used = true;
		memcpy(shared[at].of[0], of[0], POINT);
		memcpy(shared[at].of[1], of[1], POINT);
		shared[at].result = real_mult(shared[at].secret, sk, pk);
	}
	memcpy(ret, shared[at].secret, POINT);
	return shared[at].result;
}
