/* Any bytes as the value of a cell, and any plain text that the peer himself
 * sealed. What opens, seals to the same value again unless candidates of
 * other kinds, introducers that nobody can send to, or a NAT class of later
 * were skipped. */
#include "proto/crypto/cell.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { NOW_S = 1796000000 };

static struct cell_key key;
static struct id_pk id;
static struct cert_bytes cert;

static void
prepare(void)
{
	static const struct disc_key disc = { { 1 } };
	static const struct id_seed seed = { { 2 } };
	struct cert says = { .s = { { 9 } },
		.not_before_s = NOW_S - 1,
		.not_after_s = NOW_S + 1 };
	struct id_sk sk;

	if (key.epoch)
		return;
	cell_key_derive(&disc, CELL_LOWER, 20788, &key);
	identity_from_seed(&seed, &id, &sk);
	cert_sign(&sk, &says, &cert);
}

/* Did the reader leave anything out? */
static bool
is_whole(const struct cell *c, const uint8_t *plain)
{
	size_t at = c->has_id ? 214 : 182;

	return (unsigned)c->nat == plain[at] &&
	       c->n_candidates == plain[at + 1] &&
	       c->n_introducers == plain[at + 2 + 19U * c->n_candidates];
}

static void
check(const uint8_t value[CELL_VALUE_SIZE], const uint8_t *plain)
{
	struct cell c;
	uint8_t again[CELL_VALUE_SIZE];

	if (cell_open(&key, 1, span_of(value, CELL_VALUE_SIZE), &id, NOW_S, &c))
		return;
	assert(plain); /* nobody else can make one */
	assert(c.n_candidates <= CELL_CANDIDATES_MAX);
	assert(memcmp(c.cert.b, cert.b, sizeof(cert.b)) == 0);
	assert((unsigned)c.nat < NAT_CLASSES);
	assert(c.n_introducers <= CELL_INTRODUCERS_MAX);
	if (!is_whole(&c, plain))
		return;
	cell_seal(&key, 1, &c, value, again);
	assert(memcmp(again, value, sizeof(again)) == 0);
}

/* The input stands behind the certificate, so that it comes so far. */
static void
sealed_by_the_peer(const uint8_t *data, size_t size)
{
	uint8_t plain[CELL_PLAIN_SIZE] = { 1 };
	uint8_t value[CELL_VALUE_SIZE] = { 0 };
	uint8_t aad[40];
	struct writer w = wr_init(aad, sizeof(aad));

	if (size > 0)
		plain[1] = data[0];
	memcpy(plain + 6, cert.b, sizeof(cert.b));
	for (size_t i = 1; i < size && 149 + i < sizeof(plain); i++)
		plain[149 + i] = data[i];
	wr_bytes(&w, key.pk, sizeof(key.pk));
	wr_u64le(&w, 1);
	crypto_aead_xchacha20poly1305_ietf_encrypt(value + CELL_NONCE_SIZE,
	    NULL, plain, sizeof(plain), aad, sizeof(aad), NULL, value,
	    key.vkey);
	check(value, plain);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct cell c = { .unix_min = 7 };

	prepare();
	if (size == CELL_VALUE_SIZE)
		check(data, NULL);
	else
		assert(cell_open(&key, 1, span_of(data, size), &id, NOW_S,
		           &c) == ERR_MALFORMED &&
		       c.unix_min == 7);
	sealed_by_the_peer(data, size);
	return 0;
}
