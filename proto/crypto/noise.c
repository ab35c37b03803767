/* The interpreter of handshake patterns. [Noise rev34 §5] [Noise rev34 §9] */
#include "proto/crypto/noise.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	DH_SIZE = 32,
	TAG_SIZE = crypto_aead_chacha20poly1305_ietf_ABYTES,
	BLOCK_MAX = 128,     /* HMAC block of the widest hash */
	MESSAGE_MAX = 65535, /* [Noise rev34 §3] */
	PSK_MAX = 4,
};

_Static_assert(TAG_SIZE == 16, "AEAD");
_Static_assert(crypto_scalarmult_BYTES == DH_SIZE, "X25519");

/* ---- patterns and hashes ---- */

const struct noise_pattern noise_ikpsk2 = {
	.name = "IKpsk2",
	.pre = { { NOISE_END }, { NOISE_S } },
	.messages = { { NOISE_E, NOISE_ES, NOISE_S, NOISE_SS },
	    { NOISE_E, NOISE_EE, NOISE_SE, NOISE_PSK } },
	.n_messages = 2,
};

const struct noise_pattern noise_nk = {
	.name = "NK",
	.pre = { { NOISE_END }, { NOISE_S } },
	.messages = { { NOISE_E, NOISE_ES }, { NOISE_E, NOISE_EE } },
	.n_messages = 2,
};

static void
hash_sha256(const struct span *parts, size_t n, uint8_t *ret)
{
	crypto_hash_sha256_state st;

	crypto_hash_sha256_init(&st);
	for (size_t i = 0; i < n; i++)
		crypto_hash_sha256_update(&st, parts[i].p, parts[i].n);
	crypto_hash_sha256_final(&st, ret);
	sodium_memzero(&st, sizeof(st));
}

const struct noise_hash noise_sha256 = { "SHA256", 32, 64, hash_sha256 };

/* ---- AEAD ---- */

static void
make_nonce(uint64_t nonce, uint8_t ret[12])
{
	struct writer w = wr_init(ret, 12);

	wr_zeros(&w, 4);
	wr_u64le(&w, nonce);
	assert(!w.bad && w.n == 12);
}

void
noise_seal(const uint8_t k[32], uint64_t nonce, struct span ad,
    struct span plain, uint8_t *out)
{
	uint8_t npub[12];
	unsigned long long n = 0;

	make_nonce(nonce, npub);
	crypto_aead_chacha20poly1305_ietf_encrypt(
	    out, &n, plain.p, plain.n, ad.p, ad.n, NULL, npub, k);
	assert(n == plain.n + TAG_SIZE);
}

enum err
noise_open(const uint8_t k[32], uint64_t nonce, struct span ad,
    struct span sealed, uint8_t *out)
{
	uint8_t npub[12];
	unsigned long long n = 0;

	if (sealed.n < TAG_SIZE)
		return ERR_MALFORMED;
	make_nonce(nonce, npub);
	if (crypto_aead_chacha20poly1305_ietf_decrypt(
	        out, &n, NULL, sealed.p, sealed.n, ad.p, ad.n, npub, k))
		return ERR_AUTH;
	assert(n == sealed.n - TAG_SIZE);
	return ERR_OK;
}

/* ---- symmetric state ---- */

static struct span
span_h(const struct noise *n)
{
	return span_of(n->h, n->hash->len);
}

static void
hmac(const struct noise_hash *hash, const uint8_t *key,
    const struct span *parts, size_t n, uint8_t *ret)
{
	uint8_t pad[BLOCK_MAX] = { 0 };
	uint8_t inner[NOISE_HASH_MAX];
	struct span in[3] = { span_of(pad, hash->block) };

	assert(hash->block <= sizeof(pad) && hash->len <= sizeof(inner));
	assert(hash->len <= hash->block && n <= 2);
	memcpy(pad, key, hash->len);
	for (size_t i = 0; i < hash->block; i++)
		pad[i] ^= 0x36;
	for (size_t i = 0; i < n; i++)
		in[i + 1] = parts[i];
	hash->hash(in, n + 1, inner);
	for (size_t i = 0; i < hash->block; i++)
		pad[i] ^= 0x36 ^ 0x5c;
	in[1] = span_of(inner, hash->len);
	hash->hash(in, 2, ret);
	sodium_memzero(pad, sizeof(pad));
	sodium_memzero(inner, sizeof(inner));
}

/* Fills ret[0..n_ret-1] from the chaining key. [Noise rev34 §4.3] */
static void
hkdf(const struct noise *n, struct span input, size_t n_ret,
    uint8_t ret[3][NOISE_HASH_MAX])
{
	const struct noise_hash *hash = n->hash;
	uint8_t temp[NOISE_HASH_MAX];

	assert(n_ret >= 2 && n_ret <= 3);
	hmac(hash, n->ck, &input, 1, temp);
	for (size_t i = 0; i < n_ret; i++) {
		uint8_t count = (uint8_t)(i + 1);
		struct span parts[2] = { span_of(&count, 1) };

		if (i > 0) {
			parts[0] = span_of(ret[i - 1], hash->len);
			parts[1] = span_of(&count, 1);
		}
		hmac(hash, temp, parts, i > 0 ? 2 : 1, ret[i]);
	}
	sodium_memzero(temp, sizeof(temp));
}

static void
set_key(struct noise *n, const uint8_t *k)
{
	memcpy(n->k, k, sizeof(n->k)); /* of 64 bytes the first 32 */
	n->nonce = 0;
	n->has_key = true;
}

static void
mix_hash(struct noise *n, struct span data)
{
	const struct span parts[] = { span_h(n), data };
	uint8_t h[NOISE_HASH_MAX];

	n->hash->hash(parts, 2, h);
	memcpy(n->h, h, n->hash->len);
}

static void
mix_key(struct noise *n, struct span input)
{
	uint8_t out[3][NOISE_HASH_MAX];

	hkdf(n, input, 2, out);
	memcpy(n->ck, out[0], n->hash->len);
	set_key(n, out[1]);
	sodium_memzero(out, sizeof(out));
}

static void
mix_key_and_hash(struct noise *n, struct span input)
{
	uint8_t out[3][NOISE_HASH_MAX];

	hkdf(n, input, 3, out);
	memcpy(n->ck, out[0], n->hash->len);
	mix_hash(n, span_of(out[1], n->hash->len));
	set_key(n, out[2]);
	sodium_memzero(out, sizeof(out));
}

static enum err
encrypt_and_hash(struct noise *n, struct span plain, struct writer *w)
{
	size_t size = plain.n + (n->has_key ? TAG_SIZE : 0);
	uint8_t *to;

	if (size == 0) {
		mix_hash(n, plain);
		return ERR_OK;
	}
	to = wr_reserve(w, size);
	if (!to)
		return ERR_TOO_LONG;
	if (n->has_key)
		noise_seal(n->k, n->nonce++, span_h(n), plain, to);
	else
		memcpy(to, plain.p, plain.n);
	mix_hash(n, span_of(to, size));
	return ERR_OK;
}

/* to: room for what comes out, or NULL if nothing does. */
static enum err
decrypt_and_hash(struct noise *n, struct span in, uint8_t *to)
{
	enum err err;

	if (n->has_key) {
		err = noise_open(n->k, n->nonce, span_h(n), in, to);
		if (err)
			return err;
		n->nonce++;
	} else if (in.n > 0) {
		memcpy(to, in.p, in.n);
	}
	mix_hash(n, in);
	return ERR_OK;
}

/* ---- handshake state ---- */

static bool
has_psk(const struct noise_pattern *p)
{
	bool found = false;

	for (size_t i = 0; i < p->n_messages; i++) {
		for (size_t j = 0; j < NOISE_TOKENS_MAX; j++)
			found = found || p->messages[i][j] == NOISE_PSK;
	}
	return found;
}

static void
mix_ephemeral(struct noise *n, const uint8_t pk[DH_SIZE])
{
	mix_hash(n, span_of(pk, DH_SIZE));
	if (has_psk(n->pattern))
		mix_key(n, span_of(pk, DH_SIZE));
}

/* One public key that both know beforehand, of the side `own` or the other. */
static enum err
mix_pre_message(struct noise *n, uint8_t token, bool own)
{
	assert(token == NOISE_S || token == NOISE_E);
	if (token == NOISE_S) {
		if (own ? !n->s.set : !n->has_rs)
			return ERR_STATE;
		mix_hash(n, span_of(own ? n->s.pk : n->rs, DH_SIZE));
		return ERR_OK;
	}
	if (own ? !n->e.set : !n->has_re)
		return ERR_STATE;
	mix_ephemeral(n, own ? n->e.pk : n->re);
	return ERR_OK;
}

static enum err
mix_pre_messages(struct noise *n)
{
	for (int side = 0; side < 2; side++) {
		const uint8_t *tokens = n->pattern->pre[side];

		for (int i = 0; i < 3 && tokens[i] != NOISE_END; i++) {
			enum err err = mix_pre_message(
			    n, tokens[i], (side == 0) == n->initiator);

			if (err)
				return err;
		}
	}
	return ERR_OK;
}

static void
init_symmetric(struct noise *n)
{
	const struct span parts[] = {
		span_str("Noise_"),
		span_str(n->pattern->name),
		span_str("_25519_ChaChaPoly_"),
		span_str(n->hash->name),
	};
	struct writer w = wr_init(n->h, n->hash->len);

	for (int i = 0; i < 4; i++)
		wr_span(&w, parts[i]);
	if (w.bad) /* longer than a hash */
		n->hash->hash(parts, 4, n->h);
	else
		wr_zeros(&w, n->hash->len - w.n);
	memcpy(n->ck, n->h, n->hash->len);
}

enum err
noise_init(struct noise *n, const struct noise_config *cfg)
{
	enum err err;

	assert(cfg->pattern && cfg->hash);
	assert(cfg->pattern->n_messages > 0);
	assert(cfg->pattern->n_messages <= NOISE_MESSAGES_MAX);
	assert(cfg->hash->len >= 32 && cfg->hash->len <= NOISE_HASH_MAX);
	*n = (struct noise){
		.pattern = cfg->pattern,
		.hash = cfg->hash,
		.initiator = cfg->initiator,
		.s = cfg->s,
		.e = cfg->e,
		.has_rs = cfg->rs != NULL,
		.has_re = cfg->re != NULL,
	};
	if (cfg->rs)
		memcpy(n->rs, cfg->rs, DH_SIZE);
	if (cfg->re)
		memcpy(n->re, cfg->re, DH_SIZE);
	init_symmetric(n);
	mix_hash(n, cfg->prologue);
	err = mix_pre_messages(n);
	if (err)
		noise_wipe(n);
	return err;
}

void
noise_set_psk(struct noise *n, const uint8_t psk[32])
{
	assert(n->n_psk < PSK_MAX);
	memcpy(n->psk[n->n_psk++], psk, 32);
}

enum err
noise_set_ephemeral(struct noise *n, const uint8_t sk[32])
{
	if (n->e.set)
		return ERR_STATE;
	memcpy(n->e.sk, sk, DH_SIZE);
	if (crypto_scalarmult_base(n->e.pk, n->e.sk))
		return ERR_BAD_KEY;
	n->e.set = true;
	return ERR_OK;
}

bool
noise_done(const struct noise *n)
{
	return n->at == n->pattern->n_messages;
}

static enum err
mix_dh(struct noise *n, const struct noise_keypair *own, bool has_peer,
    const uint8_t peer[DH_SIZE])
{
	uint8_t shared[DH_SIZE];
	enum err err = ERR_STATE;

	if (!own->set || !has_peer)
		goto out;
	err = ERR_BAD_KEY;
	if (crypto_scalarmult(shared, own->sk, peer)) /* all zero */
		goto out;
	mix_key(n, span_of(shared, sizeof(shared)));
	err = ERR_OK;
out:
	sodium_memzero(shared, sizeof(shared));
	return err;
}

static enum err
mix_psk(struct noise *n)
{
	if (n->psk_at >= n->n_psk)
		return ERR_STATE;
	mix_key_and_hash(n, span_of(n->psk[n->psk_at++], 32));
	return ERR_OK;
}

/* The tokens that do the same in both directions. In `es` and `se` the first
 * letter is the initiator's key. */
static enum err
mix_token(struct noise *n, enum noise_token token)
{
	switch (token) {
	case NOISE_EE:
		return mix_dh(n, &n->e, n->has_re, n->re);
	case NOISE_ES:
		return n->initiator ? mix_dh(n, &n->e, n->has_rs, n->rs)
		                    : mix_dh(n, &n->s, n->has_re, n->re);
	case NOISE_SE:
		return n->initiator ? mix_dh(n, &n->s, n->has_re, n->re)
		                    : mix_dh(n, &n->e, n->has_rs, n->rs);
	case NOISE_SS:
		return mix_dh(n, &n->s, n->has_rs, n->rs);
	case NOISE_PSK:
		return mix_psk(n);
	case NOISE_END:
	case NOISE_E:
	case NOISE_S:
		break;
	}
	return ERR_STATE; /* only direction-bound tokens come here */
}

static enum err
write_token(struct noise *n, enum noise_token token, struct writer *w)
{
	if (token == NOISE_E) {
		if (!n->e.set)
			return ERR_STATE;
		wr_bytes(w, n->e.pk, DH_SIZE);
		mix_ephemeral(n, n->e.pk);
		return w->bad ? ERR_TOO_LONG : ERR_OK;
	}
	if (token == NOISE_S) {
		if (!n->s.set)
			return ERR_STATE;
		return encrypt_and_hash(n, span_of(n->s.pk, DH_SIZE), w);
	}
	return mix_token(n, token);
}

static enum err
read_token(struct noise *n, enum noise_token token, struct reader *r)
{
	enum err err;

	if (token == NOISE_E) {
		rd_bytes(r, n->re, DH_SIZE);
		if (r->bad)
			return ERR_MALFORMED;
		n->has_re = true;
		mix_ephemeral(n, n->re);
		return ERR_OK;
	}
	if (token == NOISE_S) {
		struct span in =
		    rd_span(r, DH_SIZE + (n->has_key ? TAG_SIZE : 0));

		if (r->bad)
			return ERR_MALFORMED;
		err = decrypt_and_hash(n, in, n->rs);
		n->has_rs = err == ERR_OK;
		return err;
	}
	return mix_token(n, token);
}

/* True if the next message is ours to write. */
static bool
is_our_turn(const struct noise *n)
{
	return (n->at % 2 == 0) == n->initiator;
}

static enum noise_token
token_at(const struct noise *n, size_t i)
{
	assert(n->at < n->pattern->n_messages);
	if (i >= NOISE_TOKENS_MAX)
		return NOISE_END;
	return (enum noise_token)n->pattern->messages[n->at][i];
}

enum err
noise_write(struct noise *n, struct span payload, struct writer *ret)
{
	struct noise t = *n;
	struct writer w = *ret;
	enum err err = ERR_STATE;

	if (noise_done(n) || !is_our_turn(n))
		goto out;
	for (size_t i = 0; token_at(&t, i) != NOISE_END; i++) {
		err = write_token(&t, token_at(&t, i), &w);
		if (err)
			goto out;
	}
	err = encrypt_and_hash(&t, payload, &w);
	if (err)
		goto out;
	err = ERR_TOO_LONG;
	if (w.n - ret->n > MESSAGE_MAX)
		goto out;
	t.at++;
	*n = t;
	*ret = w;
	err = ERR_OK;
out:
	noise_wipe(&t);
	return err;
}

static enum err
read_payload(struct noise *n, struct reader *r, struct writer *w)
{
	struct span in = rd_span(r, r->n);
	size_t tag = n->has_key ? TAG_SIZE : 0;
	uint8_t *to;

	if (in.n < tag)
		return ERR_MALFORMED;
	to = wr_reserve(w, in.n - tag);
	if (w->bad)
		return ERR_TOO_LONG;
	return decrypt_and_hash(n, in, to);
}

enum err
noise_read(struct noise *n, struct span message, struct writer *ret)
{
	struct noise t = *n;
	struct writer w = *ret;
	struct reader r = rd_init(message);
	enum err err = ERR_STATE;

	if (noise_done(n) || is_our_turn(n))
		goto out;
	err = ERR_MALFORMED;
	if (message.n > MESSAGE_MAX)
		goto out;
	for (size_t i = 0; token_at(&t, i) != NOISE_END; i++) {
		err = read_token(&t, token_at(&t, i), &r);
		if (err)
			goto out;
	}
	err = read_payload(&t, &r, &w);
	if (err)
		goto out;
	assert(rd_done(&r));
	t.at++;
	*n = t;
	*ret = w;
out:
	noise_wipe(&t);
	return err;
}

void
noise_split(const struct noise *n, uint8_t k[2][32])
{
	uint8_t out[3][NOISE_HASH_MAX];

	assert(noise_done(n));
	hkdf(n, span_of(NULL, 0), 2, out);
	memcpy(k[0], out[0], 32);
	memcpy(k[1], out[1], 32);
	sodium_memzero(out, sizeof(out));
}

void
noise_wipe(struct noise *n)
{
	assert(n);
	sodium_memzero(n, sizeof(*n));
}
