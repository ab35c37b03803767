#include "daemon/vault.h"

#include "daemon/file.h"

#include <assert.h>
#include <sodium.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC     "btchat vault 1\n" /* and a zero */
#define MAGIC_ANY "btchat vault "

enum {
	SALT = crypto_pwhash_SALTBYTES,
	HEAD = sizeof(MAGIC) + 8 + 8 + SALT,
	STREAM_HEAD = crypto_secretstream_xchacha20poly1305_HEADERBYTES,
	CHUNK = 65536,
	BOX = CHUNK + crypto_secretstream_xchacha20poly1305_ABYTES,
};

struct vault {
	int fd;
	crypto_secretstream_xchacha20poly1305_state stream;
	uint64_t bytes; /* written to the file */
	bool first;     /* no chunk was read yet */
	bool last;      /* the last one was */
	size_t at, n;   /* plain: what is left of it, or is in it */
	uint8_t plain[CHUNK];
	uint8_t box[BOX];
};

static enum err
write_all(struct vault *v, const uint8_t *p, size_t n)
{
	v->bytes += n;
	return file_write(v->fd, FILE_HERE, p, n);
}

static enum err
vault_new(int fd, struct vault **ret)
{
	struct vault *v = calloc(1, sizeof(*v));

	if (!v)
		return ERR_NOMEM;
	v->fd = fd;
	v->first = true;
	*ret = v;
	return ERR_OK;
}

void
vault_free(struct vault *v)
{
	if (v)
		sodium_memzero(v, sizeof(*v));
	free(v);
}

static enum err
stretch(struct span pass, const uint8_t salt[SALT], uint64_t ops, uint64_t mem,
    uint8_t key[32])
{
	if (crypto_pwhash(key, 32, (const char *)pass.p, pass.n, salt, ops,
	        (size_t)mem, crypto_pwhash_ALG_ARGON2ID13))
		return ERR_NOMEM;
	return ERR_OK;
}

/* ---- writing ---- */

enum err
vault_create(int fd, struct span pass, struct vault **ret)
{
	uint8_t head[HEAD + STREAM_HEAD] = MAGIC;
	struct writer w = wr_init(head + sizeof(MAGIC), 16);
	uint8_t *salt = head + sizeof(MAGIC) + 16;
	uint8_t key[32];
	struct vault *v = NULL;
	enum err err;

	assert(pass.n <= VAULT_PASS_MAX);
	wr_u64le(&w, crypto_pwhash_OPSLIMIT_MODERATE);
	wr_u64le(&w, crypto_pwhash_MEMLIMIT_MODERATE);
	randombytes_buf(salt, SALT);
	err = vault_new(fd, &v);
	if (!err)
		err = stretch(pass, salt, crypto_pwhash_OPSLIMIT_MODERATE,
		    crypto_pwhash_MEMLIMIT_MODERATE, key);
	if (err)
		goto out;
	(void)crypto_secretstream_xchacha20poly1305_init_push(
	    &v->stream, head + HEAD, key);
	err = write_all(v, head, sizeof(head));
out:
	sodium_memzero(key, sizeof(key));
	if (err)
		vault_free(v);
	else
		*ret = v;
	return err;
}

static enum err
push(struct vault *v, bool last)
{
	unsigned long long n = 0;

	(void)crypto_secretstream_xchacha20poly1305_push(&v->stream, v->box, &n,
	    v->plain, v->n, NULL, 0,
	    last ? crypto_secretstream_xchacha20poly1305_TAG_FINAL : 0);
	v->n = 0;
	return write_all(v, v->box, (size_t)n);
}

enum err
vault_write(struct vault *v, struct span bytes)
{
	enum err err = ERR_OK;

	while (bytes.n > 0 && !err) {
		size_t n = CHUNK - v->n < bytes.n ? CHUNK - v->n : bytes.n;

		memcpy(v->plain + v->n, bytes.p, n);
		v->n += n;
		bytes = span_of(bytes.p + n, bytes.n - n);
		/* A full one may be the last: it waits for another byte. */
		if (v->n == CHUNK && bytes.n > 0)
			err = push(v, false);
	}
	return err;
}

enum err
vault_finish(struct vault *v, uint64_t *ret_bytes)
{
	enum err err = push(v, true);

	if (!err && fsync(v->fd))
		err = ERR_IO;
	*ret_bytes = v->bytes;
	return err;
}

/* ---- reading ---- */

/* Limits that are not ours are not obeyed: they would cost any memory. */
static enum err
check_limits(uint64_t ops, uint64_t mem)
{
	if (ops < crypto_pwhash_OPSLIMIT_MIN ||
	    ops > crypto_pwhash_OPSLIMIT_SENSITIVE ||
	    mem < crypto_pwhash_MEMLIMIT_MIN ||
	    mem > crypto_pwhash_MEMLIMIT_SENSITIVE)
		return ERR_UNSUPPORTED;
	return ERR_OK;
}

static enum err
read_head(struct vault *v, struct span pass)
{
	uint8_t head[HEAD + STREAM_HEAD];
	uint8_t key[32];
	struct reader r = rd_init(span_of(head, sizeof(head)));
	uint64_t ops, mem;
	size_t n = 0;
	enum err err = file_read(v->fd, FILE_HERE, head, sizeof(head), &n);

	if (err)
		return err;
	if (n < sizeof(head) ||
	    memcmp(head, MAGIC_ANY, sizeof(MAGIC_ANY) - 1) != 0)
		return ERR_MALFORMED;
	if (memcmp(head, MAGIC, sizeof(MAGIC)) != 0)
		return ERR_UNSUPPORTED;
	(void)rd_span(&r, sizeof(MAGIC));
	ops = rd_u64le(&r);
	mem = rd_u64le(&r);
	err = check_limits(ops, mem);
	if (!err)
		err = stretch(pass, head + sizeof(MAGIC) + 16, ops, mem, key);
	if (!err && crypto_secretstream_xchacha20poly1305_init_pull(
	                &v->stream, head + HEAD, key))
		err = ERR_MALFORMED;
	sodium_memzero(key, sizeof(key));
	return err;
}

enum err
vault_open(int fd, struct span pass, struct vault **ret)
{
	struct vault *v = NULL;
	enum err err;

	if (pass.n > VAULT_PASS_MAX)
		return ERR_AUTH;
	err = vault_new(fd, &v);
	if (!err)
		err = read_head(v, pass);
	if (err)
		vault_free(v);
	else
		*ret = v;
	return err;
}

static enum err
pull(struct vault *v)
{
	enum err bad = v->first ? ERR_AUTH : ERR_MALFORMED;
	unsigned long long n = 0;
	unsigned char tag = 0;
	size_t got = 0;
	enum err err;

	if (v->last)
		return ERR_MALFORMED;
	err = file_read(v->fd, FILE_HERE, v->box, BOX, &got);
	if (err)
		return err;
	if (crypto_secretstream_xchacha20poly1305_pull(
	        &v->stream, v->plain, &n, &tag, v->box, got, NULL, 0))
		return bad;
	v->first = false;
	v->last = tag == crypto_secretstream_xchacha20poly1305_TAG_FINAL;
	if (!v->last && n < CHUNK)
		return ERR_MALFORMED;
	v->at = 0;
	v->n = (size_t)n;
	return ERR_OK;
}

enum err
vault_read(struct vault *v, void *buf, size_t n)
{
	uint8_t *p = buf;
	enum err err = ERR_OK;

	while (n > 0 && !err) {
		size_t left = v->n - v->at;
		size_t take = left < n ? left : n;

		if (left == 0) {
			err = pull(v);
			continue;
		}
		memcpy(p, v->plain + v->at, take);
		v->at += take;
		p += take;
		n -= take;
	}
	return err;
}

enum err
vault_end(struct vault *v)
{
	uint8_t more;
	size_t n = 0;
	enum err err = ERR_OK;

	if (!v->last && v->at == v->n)
		err = pull(v);
	if (!err)
		err = file_read(v->fd, FILE_HERE, &more, 1, &n);
	if (!err && (!v->last || v->at < v->n || n > 0))
		err = ERR_MALFORMED;
	return err;
}
