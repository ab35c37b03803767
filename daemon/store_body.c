/* The body of a message: what only its key opens. */
#include "daemon/store_db.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

enum {
	BODY_VERSION = 2, /* 1: texts only, without ref and what follows it */
	/* version, original clock, prev, length of client_id, client_id, ref,
	 * when edited, flags, length of the text; text, unsent */
	BODY_HEAD = 1 + 8 + 32 + 1 + API_CLIENT_ID_MAX + 16 + 8 + 1 + 4,
	BODY_REF = 1,
	BODY_DELETED = 2,
};

/* The plain columns that never change are part of the key: who alters one
 * makes the row tampered. */
static struct row_key
body_key(const struct node_message *m, int64_t block)
{
	struct row_key k = row_key("message", "body");

	k.k = block;
	row_key_add(&k, m->contact.b, sizeof(m->contact.b));
	row_key_add(&k, m->id.b, sizeof(m->id.b));
	row_key_add_u64(&k, m->kind);
	row_key_add_u64(&k, m->seq);
	row_key_add_u64(&k, m->sent_ms);
	row_key_add_u64(&k, m->received_ms);
	row_key_add_u64(&k, m->flags);
	return k;
}

static struct span
body_write(const struct store_message *m, uint8_t *buf, size_t cap)
{
	struct writer w = wr_init(buf, cap);
	struct span client_id = span_str(m->client_id);

	wr_u8(&w, BODY_VERSION);
	wr_u64le(&w, (uint64_t)m->m.sent_ms_original);
	wr_bytes(&w, m->m.prev, sizeof(m->m.prev));
	wr_u8(&w, (uint8_t)client_id.n);
	wr_span(&w, client_id);
	wr_bytes(&w, m->m.ref.b, sizeof(m->m.ref.b));
	wr_u64le(&w, m->edited_ms);
	wr_u8(&w,
	    (m->m.has_ref ? BODY_REF : 0) | (m->deleted ? BODY_DELETED : 0));
	wr_u32le(&w, (uint32_t)m->m.text.n);
	wr_span(&w, m->m.text);
	wr_span(&w, m->unsent);
	assert(!w.bad);
	return wr_span_of(&w);
}

static void
body_read_later(struct reader *r, struct store_message *ret)
{
	uint8_t flags;
	size_t n;

	rd_bytes(r, ret->m.ref.b, sizeof(ret->m.ref.b));
	ret->edited_ms = rd_u64le(r);
	flags = rd_u8(r);
	ret->m.has_ref = flags & BODY_REF;
	ret->deleted = flags & BODY_DELETED;
	n = rd_u32le(r);
	ret->m.text = rd_span(r, n);
	ret->unsent = rd_span(r, r->n);
}

static enum err
body_read(struct span body, struct store_message *ret)
{
	struct reader r = rd_init(body);
	uint8_t version = rd_u8(&r);
	size_t n;

	ret->m.sent_ms_original = (int64_t)rd_u64le(&r);
	rd_bytes(&r, ret->m.prev, sizeof(ret->m.prev));
	n = rd_u8(&r);
	if (version < 1 || version > BODY_VERSION || n > API_CLIENT_ID_MAX)
		return ERR_MALFORMED;
	rd_bytes(&r, ret->client_id, n);
	ret->client_id[n] = '\0';
	if (version == 1)
		ret->m.text = rd_span(&r, r.n);
	else
		body_read_later(&r, ret);
	return rd_done(&r) ? ERR_OK : ERR_MALFORMED;
}

size_t
body_size(const struct store_message *m)
{
	return BODY_HEAD + m->m.text.n + m->unsent.n;
}

enum err
body_bind(struct query *q, const struct store_message *m)
{
	struct row_key key = body_key(&m->m, m->block);
	size_t size = body_size(m);
	uint8_t *buf = malloc(size); /* not for the longest: it is wiped */
	struct span body;

	if (!buf)
		return ERR_NOMEM;
	body = body_write(m, buf, size);
	db_bind_sealed(q, &key, body);
	sodium_memzero(buf, body.n);
	free(buf);
	return ERR_OK;
}

enum err
body_open(const struct query *q, int column, struct store_buf *buf,
    struct store_message *m)
{
	struct row_key key = body_key(&m->m, m->block);
	struct span body;
	enum err err = db_open_sealed(q, column, &key, buf, &body);

	if (!err && body_read(body, m))
		err = ERR_AUTH;
	return err;
}
