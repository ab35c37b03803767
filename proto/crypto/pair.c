/* Derivations of a pair, and its ratchet slots. */
#include "proto/crypto/pair.h"

#include "proto/crypto/identity.h"
#include "proto/crypto/kdf.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static const struct span nothing = { NULL, 0 };

/* DH(x25519(mine), X25519(theirs)). */
static enum err
dh_of_ids(const struct id_sk *mine, const struct id_pk *theirs, uint8_t ret[32])
{
	uint8_t sk[crypto_scalarmult_SCALARBYTES];
	uint8_t pk[crypto_scalarmult_BYTES];
	enum err err = ERR_BAD_KEY;

	if (crypto_sign_ed25519_sk_to_curve25519(sk, mine->b))
		goto out;
	if (crypto_sign_ed25519_pk_to_curve25519(pk, theirs->b))
		goto out;
	if (crypto_scalarmult(ret, sk, pk))
		goto out;
	err = ERR_OK;
out:
	sodium_memzero(sk, sizeof(sk));
	return err;
}

enum err
pair_root_mutual(
    const struct id_sk *mine, const struct id_pk *theirs, struct pair_root *ret)
{
	/* As an HMAC key a label is the same with zeros behind it. */
	static const uint8_t label[32] = "btchat/1 pair";
	struct span ids[2];
	struct id_pk own;
	uint8_t shared[32];
	struct span dh = span_of(shared, sizeof(shared));
	enum err err;

	memcpy(own.b, mine->b + 32, sizeof(own.b));
	err = identity_check(theirs);
	if (err || id_eq(&own, theirs))
		return ERR_BAD_KEY;
	err = dh_of_ids(mine, theirs, shared);
	if (err)
		goto out;
	ids[0] = span_of(own.b, sizeof(own.b));
	ids[1] = span_of(theirs->b, sizeof(theirs->b));
	if (id_cmp(&own, theirs) > 0) {
		ids[0] = span_of(theirs->b, sizeof(theirs->b));
		ids[1] = span_of(own.b, sizeof(own.b));
	}
	kdf_hm(label, &dh, 1, shared);
	kdf_hm(shared, ids, 2, ret->b);
out:
	sodium_memzero(shared, sizeof(shared));
	return err;
}

void
pair_root_invite(const struct invite_secret *inv, const struct id_pk *inviter,
    struct pair_root *ret)
{
	kdf_label(inv->b, "btchat/1 invite pair",
	    span_of(inviter->b, sizeof(inviter->b)), ret->b);
}

void
pair_root_next(const uint8_t ck[32], const uint8_t h[32], struct pair_root *ret)
{
	kdf_label(ck, "btchat/1 pair next", span_of(h, 32), ret->b);
}

void
pair_invite_reach(const struct invite_secret *inv, struct reach_key *ret)
{
	kdf_label(inv->b, "btchat/1 invite reach", nothing, ret->b);
}

void
pair_rk0(const struct pair_root *pr, struct ratchet_key *ret)
{
	kdf_label(pr->b, "btchat/1 rk0", nothing, ret->b);
}

void
pair_disc(const struct pair_root *pr, struct disc_key *ret)
{
	kdf_label(pr->b, "btchat/1 disc", nothing, ret->b);
}

void
pair_rid(const struct ratchet_key *rk, struct rid *ret)
{
	uint8_t out[32];

	kdf_label(rk->b, "btchat/1 rid", nothing, out);
	memcpy(ret->b, out, sizeof(ret->b));
}

void
pair_fallback(const struct ratchet_key *rk0, struct ratchet_key *ret)
{
	kdf_label(rk0->b, "btchat/1 fallback", nothing, ret->b);
}

void
pair_psk2(const struct ratchet_key *rk, const struct id_pk *id_i,
    const struct id_pk *id_r, uint8_t ret[32])
{
	const struct span parts[] = {
		span_str("btchat/1 psk2"),
		span_of(id_i->b, sizeof(id_i->b)),
		span_of(id_r->b, sizeof(id_r->b)),
	};

	kdf_hm(rk->b, parts, 3, ret);
}

void
pair_rk_next(const uint8_t ck[32], const uint8_t h[32], struct ratchet_key *ret)
{
	kdf_label(ck, "btchat/1 ratchet", span_of(h, 32), ret->b);
}

/* ---- slots ---- */

static bool
key_eq(const struct ratchet_key *a, const struct ratchet_key *b)
{
	return sodium_memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

static bool
rid_eq(const struct rid *a, const struct rid *b)
{
	return sodium_memcmp(a->b, b->b, sizeof(a->b)) == 0;
}

void
ratchet_init(struct ratchet *r, const struct ratchet_key *rk0)
{
	assert(r && rk0);
	*r = (struct ratchet){ .cur = *rk0, .prev = *rk0 };
	assert(r->role == RATCHET_NONE);
}

/* Which of the two named keys is `mine`, if any. */
static enum key_used
named_as(const struct ratchet_key *mine, const struct rid *cur,
    const struct rid *prev)
{
	struct rid rid;

	pair_rid(mine, &rid);
	if (rid_eq(&rid, cur))
		return KEY_CUR;
	return rid_eq(&rid, prev) ? KEY_PREV : KEY_FALLBACK;
}

/* Newest first, as in the model: pending, current, previous. */
enum key_used
ratchet_choose(const struct ratchet *r, const struct rid *cur,
    const struct rid *prev, struct ratchet_key *base)
{
	const struct ratchet_key *mine[] = { &r->pending, &r->cur, &r->prev };

	assert(cur && prev && base);
	for (int i = r->role == RATCHET_NONE ? 1 : 0; i < 3; i++) {
		enum key_used used = named_as(mine[i], cur, prev);

		if (used != KEY_FALLBACK) {
			*base = *mine[i];
			return used;
		}
	}
	return KEY_FALLBACK;
}

void
ratchet_store(struct ratchet *r, enum ratchet_pending role,
    const struct ratchet_key *base, const struct ratchet_key *next)
{
	struct ratchet_key b = *base; /* may be one of our own slots */

	assert(role == RATCHET_INITIATOR || role == RATCHET_RESPONDER);
	r->pending = *next;
	r->base = b;
	r->role = role;
	sodium_memzero(&b, sizeof(b));
}

bool
ratchet_commit(struct ratchet *r, enum ratchet_pending role,
    const struct ratchet_key *next, uint64_t now_s)
{
	assert(role == RATCHET_INITIATOR || role == RATCHET_RESPONDER);
	if (r->role != role || !key_eq(&r->pending, next))
		return false;
	r->prev = r->base;
	r->cur = r->pending;
	r->role = RATCHET_NONE;
	r->advanced_s = now_s;
	sodium_memzero(&r->pending, sizeof(r->pending));
	sodium_memzero(&r->base, sizeof(r->base));
	return true;
}

void
ratchet_wipe(struct ratchet *r)
{
	assert(r);
	sodium_memzero(r, sizeof(*r));
}
