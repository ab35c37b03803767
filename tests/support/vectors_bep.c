/* BEP 44 items and BEP 42 ids. The key of BEP 44's examples is an expanded
 * one, so the signature is made by hand here. */
#include "proto/crypto/sha1.h"
#include "proto/dht/dht.h"
#include "proto/dht/nodeid.h"
#include "tests/support/vectors.h"

#include <arpa/inet.h>
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

/* The product's view: its item verifies, and lies where it must. */
static bool
item_ok(const cJSON *o, const struct item44 *it)
{
	struct blob target = json_blob(o, "target");
	struct dht_item item = { .seq = (int64_t)it->seq };
	struct target got;

	if (it->v.n > sizeof(item.v) || it->salt.n > sizeof(item.salt) ||
	    !json_bytes(o, "signature", item.sig, sizeof(item.sig)))
		return false;
	memcpy(item.pk, it->pk, sizeof(item.pk));
	memcpy(item.salt, it->salt.p, it->salt.n);
	item.salt_n = (uint8_t)it->salt.n;
	memcpy(item.v, it->v.p, it->v.n);
	item.v_n = (uint16_t)it->v.n;
	dht_item_target(item.pk, it->salt, &got);
	if (!blob_is(&target, got.b, sizeof(got.b)) || dht_item_verify(&item))
		return false;
	item.sig[0] ^= 1;
	return dht_item_verify(&item) == ERR_AUTH;
}

/* The examples' own signature, made by hand over the text they give. */
static bool
mutable_ok(const cJSON *o, const struct item44 *it)
{
	struct blob key = json_blob(o, "private_key_expanded");
	struct blob sig = json_blob(o, "signature");
	const char *want = json_string(o, "buffer_signed");
	char text[2048];
	size_t n = signed_text(it, text, sizeof(text));
	uint8_t made[64];

	if (want && (strlen(want) != n || memcmp(want, text, n) != 0))
		return false;
	if (key.n == 64) {
		sign_expanded(key.b, it->pk, span_of(text, n), made);
		if (!blob_is(&sig, made, sizeof(made)))
			return false;
	}
	return item_ok(o, it);
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

/* The id is right there, bound again it is the same, and no other address's. */
static bool
bep42_ok(const cJSON *o)
{
	const char *ip = json_string(o, "ip");
	uint8_t salt = (uint8_t)json_number(o, "rand");
	struct endpoint at = { 0 };
	struct target want;
	struct target got;
	uint8_t v4[4];

	if (!ip || !json_bytes(o, "node_id", want.b, sizeof(want.b)))
		return false;
	if (inet_pton(AF_INET, ip, v4) == 1)
		at = endpoint_v4(v4, 0);
	else if (inet_pton(AF_INET6, ip, at.addr) != 1)
		return false;
	got = want;
	memset(got.b, 0, 2);
	got.b[2] &= 7;
	nodeid_bind(&got, &at, salt);
	if (!nodeid_eq(&got, &want) || !nodeid_valid(&want, &at))
		return false;
	got.b[0] ^= 0x80;
	return !nodeid_valid(&got, &at);
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
