/*
 * Sealed columns: nonce[24] ‖ XChaCha20-Poly1305(K_seal, nonce, AAD, plain
 * padded to 64 * 2^k), AAD = label ‖ table ‖ 0 ‖ column ‖ 0 ‖ row key. So a
 * value opens only in the place it was written to, and its length tells no
 * more than a power of two.
 */
#include "daemon/store_keys.h"

#include "daemon/log.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void
store_buf_clear(struct store_buf *b)
{
	if (b->p)
		sodium_memzero(b->p, b->cap);
	free(b->p);
	*b = (struct store_buf){ 0 };
}

enum err
store_buf_reserve(struct store_buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : 1024;

	if (n <= b->cap)
		return ERR_OK;
	while (cap < n)
		cap *= 2;
	store_buf_clear(b); /* old plaintext does not stay behind */
	b->p = malloc(cap);
	if (!b->p)
		return ERR_NOMEM;
	b->cap = cap;
	return ERR_OK;
}

struct row_key
row_key(const char *table, const char *column)
{
	static const char label[] = "btchat/1 row";
	struct row_key k = { .table = table, .column = column };

	row_key_add(&k, label, strlen(label));
	row_key_add(&k, table, strlen(table) + 1);
	row_key_add(&k, column, strlen(column) + 1);
	return k;
}

void
row_key_add(struct row_key *k, const void *p, size_t n)
{
	assert(n <= sizeof(k->b) - k->n);
	memcpy(k->b + k->n, p, n);
	k->n += n;
}

void
row_key_add_u64(struct row_key *k, uint64_t v)
{
	struct writer w = wr_init(k->b + k->n, sizeof(k->b) - k->n);

	wr_u64le(&w, v);
	assert(!w.bad);
	k->n += w.n;
}

static size_t
padded_size(size_t n)
{
	size_t size = STORE_PAD_MIN;

	while (size < n + 1) /* the padding has one byte at least */
		size *= 2;
	return size;
}

/* Nobody has seen it before, nor will; many are drawn at once. */
static void
next_nonce(struct store *s, uint8_t ret[STORE_NONCE_SIZE])
{
	if (s->n_nonces == 0) {
		randombytes_buf(s->nonces, sizeof(s->nonces));
		s->n_nonces = STORE_NONCES;
	}
	memcpy(ret, s->nonces[--s->n_nonces], STORE_NONCE_SIZE);
}

void
db_bind_sealed(struct query *q, const struct row_key *key, struct span plain)
{
	struct store *s = q->s;
	size_t size = padded_size(plain.n);
	size_t total = STORE_NONCE_SIZE + size + STORE_TAG_SIZE;
	const uint8_t *seal;
	uint8_t *out;

	assert(s->keys != NULL);
	assert(plain.n < STORE_PLAIN_MAX);
	seal = store_keys_find(s, key->k);
	assert(seal != NULL); /* who writes has just found or made it */
	if (store_buf_reserve(&s->seal_buf, total)) {
		q->rc = SQLITE_NOMEM;
		return;
	}
	out = s->seal_buf.p;
	next_nonce(s, out);
	memset(out + STORE_NONCE_SIZE, 0, size);
	if (plain.n)
		memcpy(out + STORE_NONCE_SIZE, plain.p, plain.n);
	out[STORE_NONCE_SIZE + plain.n] = 0x80; /* [ISO 7816-4] */
	(void)crypto_aead_xchacha20poly1305_ietf_encrypt(out + STORE_NONCE_SIZE,
	    NULL, out + STORE_NONCE_SIZE, size, key->b, key->n, NULL, out,
	    seal);
	db_bind_blob(q, out, total);
}

/* How much of it stands before zeros. */
static size_t
without_zeros(const uint8_t *p, size_t n)
{
	uint64_t eight;

	for (; n >= sizeof(eight); n -= sizeof(eight)) {
		memcpy(&eight, p + n - sizeof(eight), sizeof(eight));
		if (eight != 0)
			break;
	}
	while (n > 0 && p[n - 1] == 0)
		n--;
	return n;
}

static enum err
open_into(const struct store *s, struct span in, const struct row_key *key,
    struct store_buf *buf, struct span *ret)
{
	const uint8_t *seal = store_keys_find(s, key->k);
	size_t n;
	enum err err;

	if (!seal)
		return ERR_AUTH;
	if (in.n < STORE_NONCE_SIZE + STORE_TAG_SIZE + STORE_PAD_MIN)
		return ERR_AUTH;
	err = store_buf_reserve(buf, in.n);
	if (err)
		return err;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(buf->p, NULL, NULL,
	        in.p + STORE_NONCE_SIZE, in.n - STORE_NONCE_SIZE, key->b,
	        key->n, in.p, seal))
		return ERR_AUTH;
	n = without_zeros(buf->p, in.n - STORE_NONCE_SIZE - STORE_TAG_SIZE);
	if (n == 0 || buf->p[n - 1] != 0x80)
		return ERR_AUTH;
	*ret = span_of(buf->p, n - 1);
	return ERR_OK;
}

enum err
db_open_sealed(const struct query *q, int column, const struct row_key *key,
    struct store_buf *buf, struct span *ret)
{
	struct store *s = q->s;
	enum err err;

	if (!s->keys)
		return ERR_STATE;
	err = open_into(s, db_blob(q, column), key, buf, ret);
	if (err == ERR_AUTH) {
		s->tampered++;
		log_event(LOG_WARNING, "db-tampered",
		    "table=%s column=%s: the row does not open and is left out",
		    key->table, key->column);
	}
	return err;
}

void
store_look_hash(const struct store *s, const char *label, struct span a,
    struct span b, uint8_t ret[32])
{
	crypto_generichash_state h;
	uint8_t n[8];
	struct writer w = wr_init(n, sizeof(n));

	assert(s->keys != NULL);
	wr_u64le(&w, a.n);
	(void)crypto_generichash_init(
	    &h, s->keys->look, sizeof(s->keys->look), 32);
	(void)crypto_generichash_update(
	    &h, (const uint8_t *)label, strlen(label) + 1);
	(void)crypto_generichash_update(&h, n, sizeof(n));
	(void)crypto_generichash_update(&h, a.p, a.n);
	(void)crypto_generichash_update(&h, b.p, b.n);
	(void)crypto_generichash_final(&h, ret, 32);
	sodium_memzero(&h, sizeof(h));
}

static void
derive(const struct store_key *key, const char *label, uint8_t ret[32])
{
	(void)crypto_generichash(ret, 32, (const uint8_t *)label, strlen(label),
	    key->b, sizeof(key->b));
}

void
store_ring_key(const struct store_key *key, uint8_t ret[32])
{
	derive(key, "btchat/1 store keys", ret);
}

/* The store remembers a hash of its key, so that a foreign key file is told
 * apart from damage, before anything is written under it. */
static enum err
check_key(struct store *s, const struct store_key *key)
{
	uint8_t want[32];
	uint8_t have[32];
	size_t n = 0;
	enum err err;

	derive(key, "btchat/1 store check", want);
	err = store_meta_get(s, "key_check", have, sizeof(have), &n);
	if (err == ERR_NOT_FOUND)
		return store_meta_set(
		    s, "key_check", span_of(want, sizeof(want)));
	if (err)
		return err;
	if (n != sizeof(have) || sodium_memcmp(want, have, sizeof(have)) != 0)
		return ERR_AUTH;
	return ERR_OK;
}

enum err
store_set_key(struct store *s, const struct store_key *key)
{
	struct store_keys *keys;
	enum err err = check_key(s, key);

	if (err)
		return err;
	keys = sodium_malloc(sizeof(*keys));
	/* It goes on when it cannot lock: ask again and look. */
	if (!keys || sodium_mlock(keys, sizeof(*keys)) != 0) {
		sodium_free(keys);
		return ERR_NOMEM;
	}
	derive(key, "btchat/1 store seal", keys->seal);
	derive(key, "btchat/1 store look", keys->look);
	store_ring_key(key, keys->ring);
	sodium_free(s->keys);
	s->keys = keys;
	err = store_keys_open(s);
	if (!err)
		err = store_upgrade(s);
	if (err) {
		store_keys_close(s);
		sodium_free(s->keys);
		s->keys = NULL;
	}
	return err;
}

void
store_forget_key(struct store *s)
{
	assert(!store_dirty(s));
	store_keys_close(s);
	sodium_free(s->keys); /* wipes */
	s->keys = NULL;
	store_buf_clear(&s->get_buf);
	store_buf_clear(&s->seal_buf);
	fresh_clear(s);
	recent_clear(s);
	s->ttl_known = false;
	s->timer_ms = 0;
}

bool
store_has_key(const struct store *s)
{
	return s->keys != NULL;
}

bool
store_is_sealed(struct store *s)
{
	uint8_t have[32];
	size_t n;

	return store_meta_get(s, "key_check", have, sizeof(have), &n) !=
	       ERR_NOT_FOUND;
}
