#include "daemon/events_many.h"

#include "daemon/store_keys.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum {
	MANY = 2, /* begins such a body; see REF in events.c */
	/* With its padding sealed as 1 KiB: three rows fill a page. */
	BODY_MAX = 1023,
	ENTRY_MIN = 1 + 1 + 1 + 16, /* type, flags, length of client_id, id */
	/* Flags: a bit, then three for the state, and three for the reason. */
	OURS = 1,
	STATE_AT = 1,
	REASON_AT = 4,
	MASK = 7,
};

struct store_many {
	uint64_t ts_ms;
	struct contact_id conv;
	int64_t seq; /* of the last one */
	int64_t count;
	size_t n;
	uint8_t body[BODY_MAX];
};

bool
events_many_takes(const struct event_row *e)
{
	return e->has_ref;
}

static size_t
entry_size(const struct event_row *e)
{
	return ENTRY_MIN + e->client_id.n;
}

static bool
goes_with(const struct store_many *m, const struct event_row *e)
{
	return m->ts_ms == e->ts_ms &&
	       memcmp(&m->conv, &e->conv, sizeof(e->conv)) == 0 &&
	       entry_size(e) <= sizeof(m->body) - m->n;
}

static void
begin(struct store_many *m, const struct event_row *e)
{
	m->ts_ms = e->ts_ms;
	m->conv = e->conv;
	m->body[0] = MANY;
	m->n = 1;
}

static void
append(struct store_many *m, const struct event_row *e)
{
	struct writer w = wr_init(m->body + m->n, sizeof(m->body) - m->n);

	assert(e->client_id.n <= API_CLIENT_ID_MAX);
	wr_u8(&w, (uint8_t)e->type);
	wr_u8(&w,
	    (uint8_t)((e->ours ? OURS : 0) | (unsigned)e->state << STATE_AT |
	              (unsigned)e->reason << REASON_AT));
	wr_u8(&w, (uint8_t)e->client_id.n);
	wr_bytes(&w, e->ref.b, sizeof(e->ref.b));
	wr_span(&w, e->client_id);
	assert(!w.bad);
	m->n += w.n;
	m->seq = e->seq;
	m->count++;
}

enum err
events_many_add(struct store *s, const struct event_row *e)
{
	enum err err = ERR_OK;

	_Static_assert(1 + ENTRY_MIN + API_CLIENT_ID_MAX <= BODY_MAX, "");
	assert(e->has_ref && e->has_conv && e->seq > 0);
	if (!s->many)
		s->many = calloc(1, sizeof(*s->many));
	if (!s->many)
		return ERR_NOMEM;
	if (s->many->count > 0 && !goes_with(s->many, e))
		err = events_flush(s);
	if (err)
		return err;
	if (s->many->count == 0)
		begin(s->many, e);
	assert(s->many->count == 0 || s->many->seq + 1 == e->seq);
	append(s->many, e);
	return ERR_OK;
}

bool
events_pending(const struct store *s)
{
	return s->many && s->many->count > 0;
}

enum err
events_flush(struct store *s)
{
	struct store_many *m = s->many;
	struct row_key key;
	struct query q;
	int64_t k = 0;
	enum err err;

	if (!events_pending(s))
		return ERR_OK;
	err = store_keys_of(s, &m->conv, KEY_CONV, &k);
	if (err)
		return err;
	key = events_row_key(m->seq, EVENTS_MANY, k);
	q = db_query(s, "INSERT INTO event(seq, ts_ms, type, conv, body, k, n)"
	                " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)");
	db_bind_int(&q, m->seq);
	db_bind_int(&q, (int64_t)m->ts_ms);
	db_bind_int(&q, EVENTS_MANY);
	db_bind_blob(&q, m->conv.b, sizeof(m->conv.b));
	db_bind_sealed(&q, &key, span_of(m->body, m->n));
	db_bind_int(&q, k);
	db_bind_int(&q, m->count);
	events_many_drop(s);
	return db_write(&q);
}

void
events_many_drop(struct store *s)
{
	if (!s->many)
		return;
	sodium_memzero(s->many->body, s->many->n);
	s->many->n = 0;
	s->many->count = 0;
}

void
events_many_free(struct store *s)
{
	events_many_drop(s);
	free(s->many);
	s->many = NULL;
}

/* ---- reading ---- */

static bool
read_entry(struct reader *r, struct event_row *ret)
{
	unsigned type = rd_u8(r), flags = rd_u8(r);
	size_t n = rd_u8(r);

	rd_bytes(r, ret->ref.b, sizeof(ret->ref.b));
	ret->client_id = rd_span(r, n);
	ret->has_ref = true;
	ret->ours = flags & OURS;
	ret->about = NULL;
	if (r->bad || type == EVENT_NONE || type > EVENT_DURABLE_MAX ||
	    (flags >> STATE_AT & MASK) > MESSAGE_READ ||
	    flags >> REASON_AT > REASON_CANCELLED)
		return false;
	ret->type = (enum event_type)type;
	ret->state = (enum message_state)(flags >> STATE_AT & MASK);
	ret->reason = (enum message_reason)(flags >> REASON_AT);
	return true;
}

enum err
events_many_open(const struct event_row *row, struct events_many_reader *ret)
{
	struct events_many_reader r = { .in = rd_init(row->body), .row = *row };
	struct reader all;

	if (rd_u8(&r.in) != MANY || !row->has_conv)
		return ERR_MALFORMED;
	r.row.body = span_of(NULL, 0);
	for (all = r.in; all.n > 0; r.row.seq--)
		if (!read_entry(&all, &r.row))
			return ERR_MALFORMED;
	*ret = r;
	return ERR_OK;
}

struct event_row *
events_many_next(struct events_many_reader *r)
{
	if (r->in.n == 0 || !read_entry(&r->in, &r->row))
		return NULL;
	r->row.seq++;
	return &r->row;
}
