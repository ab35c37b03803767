/* Sealing and opening of encrypted queries and answers. [SPEC §8] */
#include "proto/dht/overlay.h"

#include "proto/crypto/kdf.h"
#include "proto/crypto/sha1.h"
#include "proto/dht/nodeid.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	E_AT = OVERLAY_TAG_SIZE,
	E_SIZE = 32,
	BODY_AT = E_AT + E_SIZE,
	LEN_SIZE = 2,
	AEAD_TAG = 16,
	PLAIN_MAX = OVERLAY_SIZE_MAX - BODY_AT - AEAD_TAG,
	PROLOGUE_MAX = 32,
};

_Static_assert(OVERLAY_OVERHEAD == BODY_AT + AEAD_TAG + LEN_SIZE, "overhead");

static const size_t sizes[] = { 128, 256, 512, 1024, OVERLAY_SIZE_MAX };
#define N_SIZES (sizeof(sizes) / sizeof(sizes[0]))

static const char query_label[] = "btchat/1 dht query";
static const char answer_label[] = "btchat/1 dht answer";

size_t
overlay_size(size_t n_krpc, size_t at_least)
{
	if (n_krpc > OVERLAY_KRPC_MAX)
		return 0;
	for (size_t i = 0; i < N_SIZES; i++) {
		if (sizes[i] >= n_krpc + OVERLAY_OVERHEAD &&
		    sizes[i] >= at_least)
			return sizes[i];
	}
	return 0;
}

bool
overlay_is_size(size_t n)
{
	for (size_t i = 0; i < N_SIZES; i++) {
		if (sizes[i] == n)
			return true;
	}
	return false;
}

/* XORs e, in place, with the mask over the tag and what follows e. */
static void
mask_e(const char *label, const uint8_t *n, uint8_t *datagram, size_t size)
{
	const struct span parts[] = {
		span_str(label),
		span_of(datagram, OVERLAY_TAG_SIZE),
		span_of(datagram + BODY_AT, size - BODY_AT),
	};
	uint8_t mask[E_SIZE];

	assert(overlay_is_size(size));
	kdf_b2(span_of(n, OVERLAY_KEY_SIZE), parts, 3, mask, sizeof(mask));
	for (size_t i = 0; i < sizeof(mask); i++)
		datagram[E_AT + i] ^= mask[i];
}

/* own: the responder's key, or NULL for the asker. */
static enum err
start_noise(const uint8_t *tag, const uint8_t *n,
    const struct overlay_static *own, struct noise *ret)
{
	static const char label[] = "btchat/1 dht"; /* with its NUL */
	uint8_t prologue[PROLOGUE_MAX];
	struct writer w = wr_init(prologue, sizeof(prologue));
	struct noise_config cfg = {
		.pattern = &noise_nk,
		.hash = &noise_sha256,
		.initiator = own == NULL,
		.rs = own ? NULL : n,
	};
	enum err err;

	wr_bytes(&w, label, sizeof(label));
	wr_bytes(&w, tag, OVERLAY_TAG_SIZE);
	assert(!w.bad);
	cfg.prologue = wr_span_of(&w);
	if (own) {
		memcpy(cfg.s.sk, own->sk, sizeof(cfg.s.sk));
		memcpy(cfg.s.pk, own->pk, sizeof(cfg.s.pk));
		cfg.s.set = true;
	}
	err = noise_init(ret, &cfg);
	sodium_memzero(&cfg, sizeof(cfg));
	return err;
}

/* tag || masked e || sealed(length || krpc || zeros), `size` bytes. */
static enum err
seal(struct overlay_exchange *x, const char *label, struct span krpc,
    size_t size, uint8_t *out)
{
	uint8_t plain[PLAIN_MAX];
	struct writer p = wr_init(plain, size - BODY_AT - AEAD_TAG);
	struct writer w = wr_init(out, size);
	enum err err;

	assert(overlay_is_size(size) && krpc.n + OVERLAY_OVERHEAD <= size);
	wr_u16le(&p, (uint16_t)krpc.n);
	wr_span(&p, krpc);
	wr_zeros(&p, p.cap - p.n);
	assert(!p.bad && p.n == p.cap);
	wr_bytes(&w, x->tag, sizeof(x->tag));
	err = noise_write(&x->noise, wr_span_of(&p), &w);
	if (err)
		return err;
	assert(w.n == size);
	mask_e(label, x->n, out, size);
	return ERR_OK;
}

/* The message inside, checked to its last byte of padding. */
static enum err
unpad(struct span plain, struct writer *krpc)
{
	struct reader r = rd_init(plain);
	struct writer w = *krpc;
	struct span message = rd_span(&r, rd_u16le(&r));
	struct span rest = rd_span(&r, r.n);

	if (!rd_done(&r) || message.n == 0)
		return ERR_MALFORMED;
	if (rest.n > 0 && !sodium_is_zero(rest.p, rest.n))
		return ERR_MALFORMED;
	wr_span(&w, message);
	if (w.bad)
		return ERR_TOO_LONG;
	*krpc = w;
	return ERR_OK;
}

/* n: where the exchange stands; undefined if this fails. */
static enum err
open_sealed(struct noise *n, const uint8_t *responder, const char *label,
    struct span datagram, struct writer *krpc)
{
	uint8_t bare[OVERLAY_SIZE_MAX];
	uint8_t plain[PLAIN_MAX];
	struct writer p = wr_init(plain, sizeof(plain));
	enum err err;

	assert(overlay_is_size(datagram.n));
	memcpy(bare, datagram.p, datagram.n);
	mask_e(label, responder, bare, datagram.n);
	err = noise_read(n, span_of(bare + E_AT, datagram.n - E_AT), &p);
	if (!err)
		err = unpad(wr_span_of(&p), krpc);
	return err;
}

/* ---- asking ---- */

enum err
overlay_query_seal(
    const struct overlay_query *in, uint8_t *out, struct overlay_exchange *ret)
{
	enum err err;

	assert(in->tag[0] != 'd'); /* that is KRPC's */
	memcpy(ret->tag, in->tag, sizeof(ret->tag));
	memcpy(ret->n, in->n, sizeof(ret->n));
	err = start_noise(in->tag, in->n, NULL, &ret->noise);
	if (err)
		return err;
	err = noise_set_ephemeral(&ret->noise, in->e_sk);
	if (err)
		return err;
	return seal(ret, query_label, in->krpc, in->size, out);
}

enum err
overlay_answer_open(
    const struct overlay_exchange *x, struct span datagram, struct writer *krpc)
{
	struct noise n = x->noise;
	enum err err = ERR_MALFORMED;

	if (!overlay_is_size(datagram.n))
		goto out;
	err = ERR_AUTH;
	if (sodium_memcmp(datagram.p, x->tag, sizeof(x->tag)) != 0)
		goto out;
	err = open_sealed(&n, x->n, answer_label, datagram, krpc);
out:
	noise_wipe(&n);
	return err;
}

/* ---- answering ---- */

enum err
overlay_query_open(const struct overlay_static *own, struct span datagram,
    struct overlay_exchange *ret, struct writer *krpc)
{
	struct noise n;
	enum err err;

	assert(own && ret && krpc);
	if (!overlay_is_size(datagram.n) || datagram.p[0] == 'd')
		return ERR_MALFORMED;
	err = start_noise(datagram.p, own->pk, own, &n);
	if (err)
		goto out;
	err = open_sealed(&n, own->pk, query_label, datagram, krpc);
	if (err)
		goto out;
	ret->noise = n;
	memcpy(ret->tag, datagram.p, sizeof(ret->tag));
	memcpy(ret->n, own->pk, sizeof(ret->n));
out:
	noise_wipe(&n);
	return err;
}

enum err
overlay_answer_seal(struct overlay_exchange *x, const uint8_t e_sk[32],
    struct span krpc, size_t size, uint8_t *out)
{
	enum err err = noise_set_ephemeral(&x->noise, e_sk);

	if (err)
		return err;
	return seal(x, answer_label, krpc, size, out);
}

void
overlay_exchange_wipe(struct overlay_exchange *x)
{
	assert(x);
	sodium_memzero(x, sizeof(*x));
}

void
overlay_keep(const struct overlay_exchange *x, struct overlay_asked *to)
{
	assert(x->noise.initiator && x->noise.at == 1 && x->noise.e.set);
	memcpy(to->tag, x->tag, sizeof(to->tag));
	memcpy(to->h, x->noise.h, sizeof(to->h));
	memcpy(to->ck, x->noise.ck, sizeof(to->ck));
	memcpy(to->e_sk, x->noise.e.sk, sizeof(to->e_sk));
	memcpy(to->n, x->n, sizeof(to->n));
}

/* The second message of NK is "e, ee": of what came before, it needs the hash,
 * the chaining key and the ephemeral. [Noise rev34 §7.5] */
void
overlay_resume(const struct overlay_asked *a, struct overlay_exchange *to)
{
	memset(to, 0, sizeof(*to));
	to->noise.pattern = &noise_nk;
	to->noise.hash = &noise_sha256;
	to->noise.initiator = true;
	to->noise.at = 1;
	memcpy(to->noise.h, a->h, sizeof(a->h));
	memcpy(to->noise.ck, a->ck, sizeof(a->ck));
	memcpy(to->noise.e.sk, a->e_sk, sizeof(a->e_sk));
	to->noise.e.set = true;
	memcpy(to->tag, a->tag, sizeof(to->tag));
	memcpy(to->n, a->n, sizeof(to->n));
}

/* ---- ids ---- */

static void
hash_id(const uint8_t n[OVERLAY_KEY_SIZE], uint8_t r, struct target *ret)
{
	static const char label[] = "btchat/1 node";
	uint8_t hash[crypto_hash_sha256_BYTES];
	crypto_hash_sha256_state st;

	crypto_hash_sha256_init(&st);
	crypto_hash_sha256_update(
	    &st, (const uint8_t *)label, sizeof(label) - 1);
	crypto_hash_sha256_update(&st, n, OVERLAY_KEY_SIZE);
	crypto_hash_sha256_update(&st, &r, 1);
	crypto_hash_sha256_final(&st, hash);
	memcpy(ret->b, hash, sizeof(ret->b));
	ret->b[NODEID_SIZE - 1] = r;
}

void
overlay_node_id(const uint8_t n[OVERLAY_KEY_SIZE], const struct endpoint *at,
    uint8_t r, struct target *ret)
{
	assert(n && ret);
	hash_id(n, r, ret);
	if (at)
		nodeid_bind(ret, at, r);
}

bool
overlay_id_valid(const uint8_t n[OVERLAY_KEY_SIZE], const struct endpoint *at,
    const struct target *id)
{
	struct target key;

	hash_id(n, id->b[NODEID_SIZE - 1], &key);
	/* The first 21 bits are the address's. */
	if (((key.b[2] ^ id->b[2]) & 7) != 0 ||
	    memcmp(key.b + 3, id->b + 3, NODEID_SIZE - 3) != 0)
		return false;
	return nodeid_valid(id, at);
}

void
overlay_day_key(uint32_t day, struct overlay_static *ret)
{
	static const char label[] = "btchat/1 overlay day";
	crypto_hash_sha256_state st;
	uint8_t le[4];
	struct writer w = wr_init(le, sizeof(le));

	_Static_assert(sizeof(ret->sk) == crypto_hash_sha256_BYTES, "a hash");
	wr_u32le(&w, day);
	crypto_hash_sha256_init(&st);
	crypto_hash_sha256_update(
	    &st, (const uint8_t *)label, sizeof(label) - 1);
	crypto_hash_sha256_update(&st, le, sizeof(le));
	crypto_hash_sha256_final(&st, ret->sk);
	(void)crypto_scalarmult_base(ret->pk, ret->sk);
}

void
overlay_meeting_point(uint32_t day, struct target *ret)
{
	uint8_t le[4];
	struct writer w = wr_init(le, sizeof(le));
	const struct span parts[] = {
		span_str("btchat/1 overlay"),
		span_of(le, sizeof(le)),
	};

	wr_u32le(&w, day);
	assert(!w.bad && w.n == sizeof(le));
	sha1(parts, 2, ret->b);
}
