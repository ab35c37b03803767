#include "daemon/events_many.h"

#include "daemon/store_keys.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	REF = 1,               /* begins a body; JSON begins with '{' */
	REF_SIZE = 1 + 1 + 16, /* REF, ours, id */
};

static const char *const names[EVENT_TYPES] = {
	[EVENT_NONE] = "none",
	[EVENT_MESSAGE_NEW] = "message.new",
	[EVENT_MESSAGE_STATE] = "message.state",
	[EVENT_MESSAGE_CONFLICT] = "message.conflict",
	[EVENT_CONTACT_ADDED] = "contact.added",
	[EVENT_CONTACT_READY] = "contact.ready",
	[EVENT_CONTACT_CHANGED] = "contact.changed",
	[EVENT_CONTACT_REMOVED] = "contact.removed",
	[EVENT_INVITE_CREATED] = "invite.created",
	[EVENT_INVITE_USED] = "invite.used",
	[EVENT_INVITE_REVOKED] = "invite.revoked",
	[EVENT_CONV_READ] = "conv.read",
	[EVENT_IDENTITY_CHANGED] = "identity.changed",
	[EVENT_IDENTITY_UNLOCKED] = "identity.unlocked",
	[EVENT_SECURITY_WARNING] = "security.warning",
	[EVENT_MESSAGE_EDITED] = "message.edited",
	[EVENT_MESSAGE_DELETED] = "message.deleted",
	[EVENT_MESSAGE_REACTION] = "message.reaction",
	[EVENT_MESSAGE_READ] = "message.read",
	[EVENT_CONV_CHANGED] = "conv.changed",
	[EVENT_CONTACT_BLOCKED] = "contact.blocked",
	[EVENT_IDENTITY_LOCKED] = "identity.locked",
	[EVENT_CONV_CLEARED] = "conv.cleared",
	[EVENT_CONFIG_CHANGED] = "config.changed",
	[EVENT_PRESENCE] = "presence",
	[EVENT_NET_CHANGED] = "net.changed",
	[EVENT_DHT_CHANGED] = "dht.changed",
	[EVENT_TYPING] = "typing",
};

const char *
events_name(enum event_type type)
{
	assert((unsigned)type < EVENT_TYPES);
	return names[type];
}

enum event_type
events_type(const char *name)
{
	for (unsigned i = EVENT_NONE + 1; i < EVENT_TYPES; i++)
		if (strcmp(name, names[i]) == 0)
			return (enum event_type)i;
	return EVENT_NONE;
}

struct row_key
events_row_key(int64_t seq, unsigned type, int64_t key)
{
	struct row_key k = row_key("event", "body");

	k.k = key;
	row_key_add_u64(&k, (uint64_t)seq);
	row_key_add_u64(&k, type);
	return k;
}

enum err
events_head(struct store *s)
{
	struct query q;
	int64_t head = 0;
	enum err err;

	if (s->event_head >= 0)
		return ERR_OK;
	q = db_query(s, "SELECT seq FROM sqlite_sequence WHERE name = 'event'");
	err = db_one_int(&q, &head);
	if (err && err != ERR_NOT_FOUND)
		return err;
	s->event_head = head;
	/* Who adds one has been here before: none is uncommitted now. */
	s->event_durable = s->event_head;
	return ERR_OK;
}

/* ---- whose they are ---- */

#define BIT(type) (UINT32_C(1) << (type))
/* They hold the name. */
static const uint32_t of_person = BIT(EVENT_CONTACT_ADDED) |
                                  BIT(EVENT_CONTACT_READY) |
                                  BIT(EVENT_CONTACT_CHANGED);
static const uint32_t of_messages =
    BIT(EVENT_MESSAGE_NEW) | BIT(EVENT_MESSAGE_STATE) |
    BIT(EVENT_MESSAGE_CONFLICT) | BIT(EVENT_CONV_READ) |
    BIT(EVENT_MESSAGE_EDITED) | BIT(EVENT_MESSAGE_DELETED) |
    BIT(EVENT_MESSAGE_REACTION) | BIT(EVENT_MESSAGE_READ);
_Static_assert(EVENT_DURABLE_MAX < 32, "a bit each");

bool
events_is_of_person(const struct event_row *e)
{
	return e->has_conv && of_person & BIT(e->type);
}

/* Rows of these types, or of that one. */
static enum err
remove_rows(struct store *s, const struct contact_id *conv, uint32_t types,
    unsigned type)
{
	struct query q = db_query(s, "DELETE FROM event WHERE conv = ?1"
	                             " AND (1 << type & ?2 OR type = ?3)");

	db_bind_blob(&q, conv->b, sizeof(conv->b));
	db_bind_int(&q, types);
	db_bind_int(&q, type);
	return db_write(&q);
}

enum err
events_remove_person(struct store *s, const struct contact_id *conv)
{
	return remove_rows(s, conv, of_person, EVENT_NONE);
}

enum err
events_remove_messages(struct store *s, const struct contact_id *conv)
{
	enum err err = events_flush(s);

	return err ? err : remove_rows(s, conv, of_messages, EVENTS_MANY);
}

/* ---- adding ---- */

static struct span
ref_write(const struct event_row *e, uint8_t buf[REF_SIZE])
{
	struct writer w = wr_init(buf, REF_SIZE);

	wr_u8(&w, REF);
	wr_u8(&w, e->ours);
	wr_bytes(&w, e->ref.b, sizeof(e->ref.b));
	assert(!w.bad);
	return wr_span_of(&w);
}

/* Of a body that is none, nothing is taken. */
static void
ref_read(struct event_row *e)
{
	struct reader r = rd_init(e->body);

	if (rd_u8(&r) != REF)
		return;
	e->ours = rd_u8(&r) != 0;
	rd_bytes(&r, e->ref.b, sizeof(e->ref.b));
	e->has_ref = e->has_conv && rd_done(&r);
}

/* What tells of a person goes with him, what of a conversation with that. */
static enum err
choose_key(struct store *s, const struct event_row *e, int64_t *ret)
{
	*ret = 0;
	if (!e->has_conv || e->type == EVENT_CONTACT_REMOVED)
		return ERR_OK;
	return store_keys_of(
	    s, &e->conv, events_is_of_person(e) ? KEY_CONTACT : KEY_CONV, ret);
}

/* A row of its own. */
static enum err
add_row(struct store *s, const struct event_row *e)
{
	struct row_key key;
	struct query q;
	int64_t k = 0;
	enum err err = choose_key(s, e, &k);

	if (err)
		return err;
	key = events_row_key(e->seq, e->type, k);
	q = db_query(s, "INSERT INTO event(seq, ts_ms, type, conv, body, k)"
	                " VALUES(?1, ?2, ?3, ?4, ?5, ?6)");
	db_bind_int(&q, e->seq);
	db_bind_int(&q, (int64_t)e->ts_ms);
	db_bind_int(&q, e->type);
	if (e->has_conv)
		db_bind_blob(&q, e->conv.b, sizeof(e->conv.b));
	else
		db_bind_null(&q);
	db_bind_sealed(&q, &key, e->body);
	db_bind_int(&q, k);
	return db_write(&q);
}

enum err
events_add(struct store *s, struct event_row *e)
{
	bool many = events_many_takes(e);
	enum err err;

	assert(e->type > EVENT_NONE && e->type <= EVENT_DURABLE_MAX);
	assert(!e->has_ref || e->has_conv);
	if (!store_has_key(s))
		return ERR_STATE;
	err = events_head(s);
	if (!err && !many)
		err = events_flush(s);
	if (err)
		return err;
	e->seq = s->event_head + 1;
	err = many ? events_many_add(s, e) : add_row(s, e);
	if (!err)
		s->event_head = e->seq;
	return err;
}

enum err
events_rewrite(struct store *s, int64_t seq, const struct event_row *e)
{
	struct row_key key;
	uint8_t ref[REF_SIZE];
	int64_t k = 0;
	struct query q;
	enum err err = choose_key(s, e, &k);

	if (err)
		return err;
	key = events_row_key(seq, e->type, k);
	q = db_query(s, "UPDATE event SET body = ?1, k = ?2 WHERE seq = ?3");
	db_bind_sealed(&q, &key, e->has_ref ? ref_write(e, ref) : e->body);
	db_bind_int(&q, k);
	db_bind_int(&q, seq);
	return db_write(&q);
}

/* ---- reading ---- */

enum err
events_log(struct store *s, struct events_log *ret)
{
	struct events_log log = { 0 };
	struct query q;
	size_t n = 0;
	enum err err = events_head(s);

	if (!err)
		err = store_meta_get(
		    s, "epoch", log.epoch, sizeof(log.epoch) - 1, &n);
	if (err)
		return err == ERR_NOT_FOUND ? ERR_MALFORMED : err;
	log.head = s->event_durable;
	q = db_query(s, "SELECT seq - n + 1 FROM event ORDER BY seq LIMIT 1");
	log.oldest = log.head + 1;
	err = db_one_int(&q, &log.oldest);
	if (err && err != ERR_NOT_FOUND)
		return err;
	*ret = log;
	return ERR_OK;
}

enum err
events_row(const struct query *q, struct store_buf *buf, struct event_row *ret)
{
	struct event_row e = { 0 };
	int64_t type = db_int(q, 2);
	struct row_key key;
	enum err err;

	e.seq = db_int(q, 0);
	e.ts_ms = (uint64_t)db_int(q, 1);
	if (type <= EVENT_NONE ||
	    (type > EVENT_DURABLE_MAX && type != EVENTS_MANY))
		return ERR_AUTH;
	if (type != EVENTS_MANY)
		e.type = (enum event_type)type;
	e.has_conv = db_blob(q, 3).n == sizeof(e.conv.b);
	db_bytes(q, 3, e.conv.b, sizeof(e.conv.b));
	key = events_row_key(e.seq, (unsigned)type, db_int(q, 5));
	err = db_open_sealed(q, 4, &key, buf, &e.body);
	if (err)
		return err;
	ref_read(&e);
	*ret = e;
	return ERR_OK;
}

/* What a row is read with. */
struct reading {
	struct store_buf buf;
	struct message_walk walk;
	struct store_reaction reaction[2];
};

static enum err
read_reaction(struct store *s, struct event_row *e, struct reading *r)
{
	size_t n = 0;
	enum err err;

	e->reaction = "";
	if (e->type != EVENT_MESSAGE_REACTION)
		return ERR_OK;
	err = store_reactions(s, &e->conv, &e->ref, r->reaction, &n);
	for (size_t i = 0; i < n && !err; i++)
		if (r->reaction[i].ours == e->ours)
			e->reaction = r->reaction[i].text;
	return err;
}

/* What is told of a message that is gone is that it is. */
static enum err
read_about(struct store *s, struct event_row *e, struct reading *r)
{
	const struct store_message *about = NULL;
	enum err err;

	if (!e->has_ref || e->type == EVENT_MESSAGE_STATE)
		return ERR_OK;
	if (e->type == EVENT_MESSAGE_NEW)
		about = recent_find(s, &e->conv, &e->ref);
	err = about ? ERR_OK
	            : message_walk_get(&r->walk, &e->conv, &e->ref, &about);
	if (err)
		return store_is_gone(err) ? ERR_OK : err;
	if (about->deleted && e->type != EVENT_MESSAGE_NEW)
		return ERR_OK;
	e->about = about;
	return read_reaction(s, e, r);
}

/* What events_read was asked for, and how far it is. */
struct page {
	struct store *s;
	bool (*row)(void *ctx, const struct event_row *e);
	void *ctx;
	int64_t last;
	size_t left;
	uint32_t types;
	struct reading r;
};

/* False: no more of them. */
static enum err
give(struct page *p, struct event_row *e, bool *ret_more)
{
	bool wanted = p->types & 1U << e->type;
	enum err err = wanted ? read_about(p->s, e, &p->r) : ERR_OK;

	if (err)
		return err;
	p->last = e->seq;
	p->left--;
	*ret_more = (!wanted || p->row(p->ctx, e)) && p->left > 0;
	return ERR_OK;
}

/* The row is of many: those that were not read yet. */
static enum err
give_many(struct page *p, const struct event_row *row, bool *ret_more)
{
	struct events_many_reader m;
	struct event_row *e;
	enum err err = events_many_open(row, &m);

	if (err)
		return err == ERR_MALFORMED ? ERR_AUTH : err;
	while (!err && *ret_more && (e = events_many_next(&m)))
		if (e->seq > p->last)
			err = give(p, e, ret_more);
	return err;
}

static enum err
read_row(struct page *p, const struct query *q, bool *ret_more)
{
	struct event_row e;
	enum err err = events_row(q, &p->r.buf, &e);

	if (!err && e.type == EVENT_NONE)
		err = give_many(p, &e, ret_more);
	else if (!err)
		err = give(p, &e, ret_more);
	if (err == ERR_AUTH) /* it is left out */
		p->last = db_int(q, 0);
	return err == ERR_AUTH ? ERR_OK : err;
}

enum err
events_read_types(struct store *s, const struct events_ask *ask,
    bool (*row)(void *ctx, const struct event_row *e), void *ctx,
    int64_t *ret_last)
{
	struct page p = { s, row, ctx, ask->since, ask->limit, ask->types,
		{ .walk = { .s = s } } };
	bool more = ask->limit > 0;
	enum err err = events_head(s);
	struct query q;

	*ret_last = ask->since;
	if (err)
		return err;
	q = db_query(s, "SELECT seq, ts_ms, type, conv, body, k FROM event"
	                " WHERE seq > ?1 AND seq <= ?2 ORDER BY seq");
	db_bind_int(&q, ask->since);
	db_bind_int(&q, s->event_durable);
	while (more && !err && (err = db_row(&q)) == ERR_OK)
		err = read_row(&p, &q, &more);
	db_end(&q);
	message_walk_end(&p.r.walk);
	*ret_last = p.last;
	store_buf_clear(&p.r.buf);
	sodium_memzero(&p, sizeof(p));
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

enum err
events_read(struct store *s, int64_t since, size_t limit,
    bool (*row)(void *ctx, const struct event_row *e), void *ctx,
    int64_t *ret_last)
{
	struct events_ask ask = { since, limit, EVENTS_ALL };

	return events_read_types(s, &ask, row, ctx, ret_last);
}
