/* Messages between a node and its contacts. [SPEC §7.6] */
#include "proto/node_int.h"

#include "proto/base/text.h"
#include "proto/crypto/kdf.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

void
chat_work(struct node *n, struct peer *p)
{
	n->unsettled = true;
	if (p->work)
		return;
	p->work = true;
	p->work_next = n->work;
	n->work = p;
}

/* A database made, a contact added again, or one whose numbers were used in a
 * life that we have lost, numbers anew. */
void
chat_epoch(const struct node *n, const struct peer *p, uint8_t ret[8])
{
	static const char label[] = "btchat/1 numbering";
	struct span parts[4] = {
		span_of(label, sizeof(label) - 1),
		span_of(n->self.db_epoch, sizeof(n->self.db_epoch)),
		span_of(p->c.id.b, sizeof(p->c.id.b)),
		span_of(p->c.renewed, sizeof(p->c.renewed)),
	};

	kdf_b2(span_of(NULL, 0), parts,
	    sodium_is_zero(p->c.renewed, sizeof(p->c.renewed)) ? 3 : 4, ret, 8);
}

void
chat_early(struct node *n, struct peer *p)
{
	p->early = true;
	outbox_rewind(&p->outbox);
	chat_work(n, p);
}

void
chat_up(
    struct node *n, struct peer *p, const struct link_hello *hello, bool early)
{
	struct contact *c = &p->c;

	_Static_assert(sizeof(c->epoch) == sizeof(hello->db_epoch), "");
	if (!c->has_epoch || memcmp(c->epoch, hello->db_epoch, 8) != 0) {
		/* Their numbering begins anew. */
		c->recv_anew = c->has_epoch;
		c->has_epoch = true;
		memcpy(c->epoch, hello->db_epoch, sizeof(c->epoch));
		c->recv_seq = 0;
		c->read_seq = 0;
		sodium_memzero(c->recv_hash, sizeof(c->recv_hash));
		peer_dirty(n, p);
	}
	record_reader_clear(&p->reader);
	p->astray = false;
	assert(!early || p->early);
	if (!early)
		outbox_rewind(&p->outbox);
	p->early = false;
	refuse_up(p);
	/* Spares them what they would send again. */
	p->ack_due = c->recv_seq > 0;
	receipt_up(n, p);
	chat_work(n, p);
}

/* ---- theirs ---- */

_Static_assert(RECORD_TEXT == (enum record_kind)MESSAGE_TEXT &&
                   RECORD_EDIT == (enum record_kind)MESSAGE_EDIT &&
                   RECORD_DELETE == (enum record_kind)MESSAGE_DELETE &&
                   RECORD_REACTION == (enum record_kind)MESSAGE_REACTION &&
                   RECORD_TIMER == (enum record_kind)MESSAGE_TIMER &&
                   RECORD_PROFILE == (enum record_kind)MESSAGE_PROFILE,
    "kinds of messages are those of the wire");
_Static_assert((int)NODE_TEXT_MAX == (int)MESSAGE_TEXT_MAX &&
                   (int)NODE_REACTION_MAX == (int)MESSAGE_REACTION_MAX &&
                   (int)NODE_PROFILE_MAX == (int)MESSAGE_PROFILE_MAX &&
                   (int)NODE_TTL_MAX_S == (int)MESSAGE_TTL_MAX_S,
    "limits of messages are those of the wire");

bool
chat_is_kind(enum message_kind k)
{
	const struct record r = { .kind = (enum record_kind)k };

	return record_is_message(&r);
}

static void
on_message(struct node *n, struct peer *p, const struct record *r)
{
	struct contact *c = &p->c;
	struct change change = { .kind = CHANGE_MESSAGE, .has_contact = true };
	struct node_message *m = &change.message;

	p->ack_due = true;
	chat_work(n, p);
	if (r->seq <= c->recv_seq)
		return; /* durable here already: they missed the ack */
	if (refuse_theirs(n, p, r))
		return;
	/* The next one, but not after the last one that we have: they have lost
	 * the life in which they wrote that, see count_anew. The ack tells. */
	if (!c->recv_anew && r->seq == c->recv_seq + 1 &&
	    memcmp(r->prev, c->recv_hash, sizeof(r->prev)) != 0)
		p->astray = true;
	if (p->astray)
		return;
	change.contact = m->contact = c->id;
	m->id = r->id;
	m->kind = (enum message_kind)r->kind;
	m->state = MESSAGE_RECEIVED;
	m->seq = r->seq;
	m->sent_ms_original = r->sent_ms;
	m->received_ms = n->now.wall_ms;
	if (!record_clock(r, n->now.wall_ms, &m->sent_ms))
		m->flags |= MESSAGE_FLAG_CLOCK;
	if (!c->recv_anew && r->seq != c->recv_seq + 1)
		m->flags |= MESSAGE_FLAG_GAP;
	memcpy(m->prev, r->prev, sizeof(m->prev));
	m->has_ref = r->has_ref;
	m->ref = r->ref;
	m->ttl_s = r->ttl_s;
	m->text = r->text;
	receipt_typing_over(n, p);
	effect_change(n, &change);
	c->recv_anew = false;
	c->recv_seq = r->seq;
	record_hash(r, c->recv_hash);
	peer_dirty(n, p);
}

void
chat_tell_state(struct node *n, const struct peer *p,
    const struct message_id *id, enum message_state state,
    enum message_reason reason)
{
	struct change c = { .kind = CHANGE_MESSAGE_STATE, .has_contact = true };

	c.contact = c.message.contact = p->c.id;
	c.message.id = *id;
	c.message.state = state;
	c.message.reason = reason;
	effect_change(n, &c);
}

void
chat_end(struct node *n, const struct peer *p, struct outbox_entry *e,
    enum message_state state, enum message_reason reason)
{
	assert(n->outbox_bytes >= e->record.text.n);
	n->outbox_bytes -= e->record.text.n;
	chat_tell_state(n, p, &e->record.id, state, reason);
	outbox_entry_free(e);
}

/* Whether the text of that number is the one that they have. What left the
 * outbox was compared then. */
static bool
is_ours(const struct peer *p, const struct record *ack)
{
	const struct outbox_entry *e = p->outbox.head;
	uint8_t hash[MESSAGE_HASH_SIZE];

	if (ack->seq > p->c.sent_seq)
		return false;
	memcpy(hash, p->c.sent_hash, sizeof(hash));
	if (ack->seq < p->c.sent_seq) {
		while (e != NULL && e->record.seq < ack->seq)
			e = e->next;
		if (e == NULL || e->record.seq != ack->seq)
			return true;
		record_hash(&e->record, hash);
	}
	return memcmp(hash, ack->head, sizeof(ack->head)) == 0;
}

/*
 * They have a text under a number of ours that is not the one we know: it was
 * given in a life that we have lost, since our state is an older copy. What we
 * number so would be taken for a repetition; it goes under another numbering,
 * in another link, whose HELLO names it. Numbers go on: what they have already
 * is recognised by id and number.
 */
static void
count_anew(struct node *n, struct peer *p)
{
	uint64_t before_ms = p->anew_ms;

	p->anew_ms = n->now.mono_ms;
	if (before_ms != 0 && n->now.mono_ms < before_ms + NODE_SHUN_MS) {
		peer_shun(n, p, ERR_CONFLICT); /* it would go on for ever */
		return;
	}
	rng_fill(&n->rng, p->c.renewed, sizeof(p->c.renewed));
	peer_dirty(n, p);
	peer_relink(n, p);
}

/* False: the link is over. */
static bool
on_ack(struct node *n, struct peer *p, const struct record *r)
{
	uint8_t epoch[DB_EPOCH_SIZE];
	struct outbox_entry *e;

	chat_epoch(n, p, epoch);
	if (memcmp(r->epoch, epoch, sizeof(r->epoch)) != 0)
		return true; /* of a numbering that is no more, or made up */
	if (!is_ours(p, r)) {
		count_anew(n, p);
		return false;
	}
	if (p->outbox.head != NULL && p->outbox.head->record.seq <= r->seq)
		refuse_over(n, p);
	while ((e = outbox_take_acked(&p->outbox, r->seq)) != NULL)
		chat_end(n, p, e, MESSAGE_DELIVERED, REASON_NONE);
	presence_settle(n, p);
	return true;
}

void
chat_give_up(struct node *n, struct peer *p)
{
	struct outbox_entry *e;

	chat_unnumber(n, p);
	while ((e = outbox_take_acked(&p->outbox, UINT64_MAX)) != NULL)
		chat_end(n, p, e, MESSAGE_FAILED, REASON_NONE);
}

enum err
node_messages_drop(
    struct node *n, const struct contact_id *contact, struct now now)
{
	struct peer *p = peer_by_id(n, contact);

	node_time(n, now);
	if (p == NULL)
		return ERR_NOT_FOUND;
	chat_give_up(n, p);
	presence_settle(n, p);
	n->unsettled = true;
	return ERR_OK;
}

void
chat_on_data(struct node *n, struct peer *p, struct span data)
{
	struct record r;
	struct span raw;
	bool got = true;
	enum err err;

	while (got) {
		err = record_reader_next(&p->reader, &data, &got, &raw);
		if (!err && got)
			err = record_decode(raw, &r);
		if (err == ERR_NOMEM) {
			n->failed = true;
			return;
		}
		if (err) {
			peer_shun(n, p, err);
			return;
		}
		if (got && r.kind == RECORD_ACK && !on_ack(n, p, &r))
			return;
		if (got && r.kind == RECORD_READ)
			receipt_on_read(n, p, &r);
		if (got && r.kind == RECORD_TYPING)
			receipt_on_typing(n, p, &r);
		if (got && r.kind == RECORD_REFUSED)
			refuse_on_refused(n, p, &r);
		if (got && r.kind == RECORD_RESUMED)
			refuse_on_resumed(p, &r);
		if (got &&
		    (record_is_message(&r) || r.kind == RECORD_NOT_TAKEN))
			on_message(n, p, &r);
	}
}

/* ---- ours ---- */

bool
chat_write(struct node *n, const struct peer *p, const struct record *r)
{
	struct writer w = wr_init(n->scratch, RECORD_HEAD + RECORD_MAX);

	record_encode(r, &w);
	assert(!w.bad);
	if (links_room(n->links, p->slot) < w.n)
		return false;
	return links_write(n->links, p->slot, wr_span_of(&w)) == ERR_OK;
}

/* Writes what fits; if the link is full, LINK_OUT_WRITABLE follows. */
static void
write_peer(struct node *n, struct peer *p)
{
	struct record ack = { .kind = RECORD_ACK, .seq = p->c.recv_seq };

	if (p->ack_due && p->c.recv_seq > 0) {
		memcpy(ack.epoch, p->c.epoch, sizeof(ack.epoch));
		memcpy(ack.head, p->c.recv_hash, sizeof(ack.head));
		if (!chat_write(n, p, &ack))
			return;
	}
	p->ack_due = false;
	if (!receipt_write(n, p) || !refuse_write(n, p))
		return;
	while (p->outbox.at != NULL && p->hold_ms == NEVER) {
		struct outbox_entry *e = p->outbox.at;

		if (!chat_write(n, p, &e->record))
			return;
		if (!e->sent && !effect_sent(n, e->change, &e->record.id))
			chat_tell_state(
			    n, p, &e->record.id, MESSAGE_SENT, REASON_NONE);
		e->sent = true;
		p->outbox.at = e->next;
	}
}

void
chat_run(struct node *n)
{
	struct peer *p = n->work;

	n->work = NULL;
	for (struct peer *next; p != NULL; p = next) {
		next = p->work_next;
		p->work_next = NULL;
		p->work = false;
		if (p->online || p->early)
			write_peer(n, p);
	}
}

/* The owner stores what went into the outbox. */
static void
queued(struct node *n, const struct peer *p, const struct record *r,
    const struct node_words *words)
{
	struct change c = { .kind = CHANGE_MESSAGE,
		.has_contact = true,
		.again = words->again != NULL,
		.note = words->note };
	struct node_message *m = &c.message;

	c.contact = m->contact = p->c.id;
	m->id = r->id;
	m->kind = (enum message_kind)r->kind;
	m->state = MESSAGE_QUEUED;
	m->seq = r->seq;
	m->sent_ms = n->now.wall_ms;
	m->sent_ms_original = r->sent_ms;
	memcpy(m->prev, r->prev, sizeof(r->prev));
	m->has_ref = r->has_ref;
	m->ref = r->ref;
	m->ttl_s = r->ttl_s;
	m->text = r->text;
	effect_change(n, &c);
	p->outbox.tail->change = effect_last(n);
}

enum err
node_message_send(struct node *n, const struct contact_id *to,
    const struct node_words *words, struct message_id *ret, struct now now)
{
	struct peer *p = peer_by_id(n, to);
	struct record r = { .kind = (enum record_kind)words->kind,
		.has_ref = words->ref != NULL,
		.ttl_s = words->ttl_s,
		.text = words->text };
	enum err err;

	node_time(n, now);
	assert(chat_is_kind(words->kind));
	assert(!words->again || words->kind == MESSAGE_TEXT);
	if (p == NULL)
		return ERR_NOT_FOUND;
	if (p->c.blocked)
		return ERR_STATE;
	if (r.has_ref)
		r.ref = *words->ref;
	err = record_check(&r);
	if (err)
		return err;
	if (p->outbox.n >= NODE_OUTBOX_MAX ||
	    n->outbox_bytes + r.text.n > NODE_OUTBOX_BYTES_MAX)
		return ERR_LIMIT;
	if (words->again)
		r.id = *words->again;
	else
		rng_fill(&n->rng, r.id.b, sizeof(r.id.b));
	r.seq = p->c.sent_seq + 1;
	r.sent_ms = (int64_t)n->now.wall_ms;
	memcpy(r.prev, p->c.sent_hash, sizeof(r.prev));
	if (outbox_add(&p->outbox, &r, false))
		return ERR_NOMEM;
	n->outbox_bytes += r.text.n;
	p->c.sent_seq = r.seq;
	record_hash(&r, p->c.sent_hash);
	queued(n, p, &r, words);
	peer_dirty(n, p);
	chat_work(n, p);
	presence_settle(n, p);
	*ret = r.id;
	return ERR_OK;
}
