/* BEP 44 items and BEP 42 ids. The key of BEP 44's examples is an expanded
 * one, so the signature is made by hand here. */
#include "proto/crypto/sha1.h"
#include "proto/dht/overlay.h"
#include "tests/support/vectors.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

/* ---- BEP 44 ---- */

/* Ed25519 from the clamped scalar and the prefix. [RFC 8032 §5.1.6] */
static void
sign_expanded(const uint8_t key[64], const uint8_t pk[32], struct span text,
    uint8_t sig[64])
{
	crypto_hash_sha512_state st;
	uint8_t hash[64];
	uint8_t r[32];
	uint8_t k[32];
	uint8_t ka[32];

	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(&st, key + 32, 32);
	crypto_hash_sha512_update(&st, text.p, text.n);
	crypto_hash_sha512_final(&st, hash);
	crypto_core_ed25519_scalar_reduce(r, hash);
	if (crypto_scalarmult_ed25519_base_noclamp(sig, r))
		memset(sig, 0, 32);
	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(&st, sig, 32);
	crypto_hash_sha512_update(&st, pk, 32);
	crypto_hash_sha512_update(&st, text.p, text.n);
	crypto_hash_sha512_final(&st, hash);
	crypto_core_ed25519_scalar_reduce(k, hash);
	crypto_core_ed25519_scalar_mul(ka, k, key);
	crypto_core_ed25519_scalar_add(sig + 32, r, ka);
}

struct item44 {
	struct span v, salt;
	uint64_t seq;
	uint8_t pk[32];
};

/* The text that is signed, as this file says it must be. */
static size_t
signed_text(const struct item44 *it, char *ret, size_t cap)
{
	int n = 0;

	if (it->salt.n > 0)
		n = snprintf(ret, cap, "4:salt%zu:%.*s", it->salt.n,
		    (int)it->salt.n, (const char *)it->salt.p);
	n += snprintf(ret + n, cap - (size_t)n, "3:seqi%jue1:v%.*s",
	    (uintmax_t)it->seq, (int)it->v.n, (const char *)it->v.p);
	return (size_t)n;
}

static bool
mutable_ok(const cJSON *o, const struct item44 *it)
{
	struct blob key = json_blob(o, "private_key_expanded");
	struct blob sig = json_blob(o, "signature");
	const char *want = json_string(o, "buffer_signed");
	const struct span parts[] = { span_of(it->pk, 32), it->salt };
	struct blob target = json_blob(o, "target");
	char text[2048];
	size_t n = signed_text(it, text, sizeof(text));
	uint8_t made[64];
	uint8_t id[20];

	if (want && (strlen(want) != n || memcmp(want, text, n) != 0))
		return false;
	sha1(parts, 2, id);
	if (!blob_is(&target, id, sizeof(id)))
		return false;
	if (key.n == 64) {
		sign_expanded(key.b, it->pk, span_of(text, n), made);
		if (!blob_is(&sig, made, sizeof(made)))
			return false;
	}
	return sig.n == 64 && crypto_sign_verify_detached(
	                          sig.b, (const uint8_t *)text, n, it->pk) == 0;
}

static bool
bep44_ok(const cJSON *o)
{
	const char *v = json_string(o, "v_bencoded");
	const char *salt = json_string(o, "salt");
	struct blob target = json_blob(o, "target");
	struct item44 it = { .seq = json_number(o, "seq") };
	uint8_t id[20];

	if (!v)
		return false;
	it.v = span_str(v);
	it.salt = span_str(salt ? salt : "");
	if (json_bytes(o, "public_key", it.pk, sizeof(it.pk)))
		return mutable_ok(o, &it);
	sha1(&it.v, 1, id);
	return blob_is(&target, id, sizeof(id));
}

/* ---- BEP 42 ---- */

/* The first 21 bits and the last byte are what BEP 42 fixes; the overlay's
 * ids obey it too, whatever the key. */
static bool
bep42_ok(const cJSON *o)
{
	static const uint8_t n[OVERLAY_KEY_SIZE] = { 9 };
	const char *ip = json_string(o, "ip");
	uint8_t want[20];
	uint8_t v4[4];
	unsigned a[4];
	struct endpoint at;
	struct target got;

	if (!ip || !json_bytes(o, "node_id", want, sizeof(want)) ||
	    sscanf(ip, "%u.%u.%u.%u", &a[0], &a[1], &a[2], &a[3]) != 4)
		return false;
	for (int i = 0; i < 4; i++)
		v4[i] = (uint8_t)a[i];
	at = endpoint_v4(v4, 0);
	overlay_node_id(n, &at, (uint8_t)json_number(o, "rand"), &got);
	return memcmp(got.b, want, 2) == 0 &&
	       ((got.b[2] ^ want[2]) & 0xf8) == 0 && got.b[19] == want[19];
}

bool
vectors_bep(struct vectors *v, const cJSON *json)
{
	const cJSON *first = cJSON_GetArrayItem(json, 0);
	const cJSON *o;
	bool is44 = json_item(first, "v_bencoded") != NULL;
	bool is42 = json_item(first, "node_id") != NULL;

	if (!cJSON_IsArray(json) || (!is44 && !is42))
		return false;
	cJSON_ArrayForEach(o, json)
	{
		if (is44)
			vectors_case(v, bep44_ok(o), "BEP 44: %s",
			    json_string(o, "name"));
		else
			vectors_case(
			    v, bep42_ok(o), "BEP 42: %s", json_string(o, "ip"));
	}
	return true;
}
