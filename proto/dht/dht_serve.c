/* What we answer to others. */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <string.h>

/* A query being answered. */
struct call {
	const struct endpoint *from;
	const struct krpc *query;
	struct span datagram; /* the query */
	uint64_t now_ms;
	size_t room;  /* bytes that it may draw */
	size_t spent; /* of these, before the answer */
	bool waited;  /* in vain, for the asker to be proven */
	bool kept;    /* until he is */
};

enum {
	ANSWER_MAX = 1024, /* bytes, unless there is a value in it */
	PEERS_FEW = 8,     /* that many peers are worth more than nodes */
	PING_BYTES = 64,   /* of a ping, at most */
};

/* An answer with what it borrows. */
struct answer {
	struct krpc m;
	uint8_t token[TOKEN_SIZE];
	struct near {
		bool given;
		size_t n;
		struct krpc_node node[TABLE_K];
		uint8_t raw[TABLE_K * 70];
	} near[FAMILY_COUNT]; /* our own family's and our sibling's */
	struct endpoint peer[KRPC_PEERS_MAX];
	size_t n_peers;
	uint8_t values[KRPC_PEERS_MAX * 21 + 2];
};

static void
near_nodes(const struct dht *of, const struct target *goal, struct answer *a)
{
	struct near *near = &a->near[of->cfg.family];

	near->given = true;
	near->n = table_closest(
	    &of->table, goal, TABLE_HAND_OUT, near->node, TABLE_K);
}

/* Nodes of the families that are wanted, else of that of the packet.
 * [BEP 32] */
static void
answer_nodes(struct dht *d, const struct call *c, struct answer *a)
{
	const struct krpc *q = c->query;

	assert(q->has_target);
	if (!q->has_want || q->want[d->cfg.family])
		near_nodes(d, &q->target, a);
	if (q->has_want && d->sibling && q->want[d->sibling->cfg.family])
		near_nodes(d->sibling, &q->target, a);
}

/* Looks or renews and wants nobody named: then what the asker has no use for
 * stays away, and the rest fits into the smallest size. [SPEC §8.2] */
static bool
is_brief(const struct dht *d, const struct krpc *q)
{
	return d->call && q->method == KRPC_GET && q->has_want &&
	       !q->want[FAMILY_V4] && !q->want[FAMILY_V6];
}

static void
answer_token(struct dht *d, const struct call *c, struct answer *a)
{
	token_make(&d->tokens, c->from, &c->query->target, c->now_ms, a->token);
	a->m.token = span_of(a->token, sizeof(a->token));
}

/* A reader who names a seq gets the value only if ours is newer. [BEP 44] */
static void
answer_item(struct dht *d, const struct call *c, struct answer *a)
{
	const struct item *i =
	    items_get(&d->items, &c->query->target, c->now_ms);

	if (!i)
		return;
	assert(i->v_n > 0 && i->v_n <= DHT_VALUE_MAX);
	if (i->is_mutable) {
		a->m.has_seq = true;
		a->m.seq = i->seq;
		a->m.keep = d->call && c->query->keep && c->query->has_seq &&
		            items_keep(&d->items, &c->query->target,
		                c->query->seq, c->from, c->now_ms);
		if (a->m.keep && is_brief(d, c->query))
			a->m.has_seq = false; /* he named it */
		if (c->query->has_seq && c->query->seq >= i->seq)
			return;
		a->m.has_k = a->m.has_sig = true;
		memcpy(a->m.k, i->k, sizeof(a->m.k));
		memcpy(a->m.sig, i->sig, sizeof(a->m.sig));
	}
	a->m.v = span_of(i->v, i->v_n);
}

static void
answer_peers(struct dht *d, const struct call *c, struct answer *a)
{
	const struct krpc *q = c->query;

	a->n_peers = peers_get(&d->peers, &q->target, q->noseed, c->now_ms,
	    a->peer, KRPC_PEERS_MAX);
}

static void
answer_samples(struct dht *d, const struct call *c, struct answer *a)
{
	const struct target *sample;
	uint32_t interval_s;
	size_t n = peers_sample(&d->peers, c->now_ms, &sample, &interval_s);

	a->m.samples = span_of(sample, n * sizeof(*sample));
	a->m.num = (int64_t)d->peers.n;
	a->m.interval = interval_s;
}

static void
answer_error(struct answer *a, enum krpc_code code, const char *text)
{
	assert(code >= KRPC_GENERIC);
	a->m.kind = KRPC_ERROR;
	a->m.code = code;
	a->m.text = span_str(text);
}

static const char *
text_of(enum krpc_code code)
{
	switch (code) {
	case KRPC_V_TOO_BIG:
		return "message too big";
	case KRPC_BAD_SIG:
		return "invalid signature";
	case KRPC_SALT_TOO_BIG:
		return "salt too big";
	case KRPC_CAS_MISMATCH:
		return "CAS mismatch";
	case KRPC_SEQ_TOO_LOW:
		return "old sequence number";
	case KRPC_SERVER:
		return "server error";
	case KRPC_OK:
	case KRPC_GENERIC:
	case KRPC_PROTOCOL:
	case KRPC_UNKNOWN:
		break;
	}
	return "invalid argument";
}

static void
answer_put(struct dht *d, const struct call *c, struct answer *a)
{
	enum krpc_code code = items_check(c->query);
	struct target target;

	if (code == KRPC_V_TOO_BIG || code == KRPC_SALT_TOO_BIG) {
		answer_error(a, code, text_of(code));
		return;
	}
	items_target(c->query, &target);
	if (!token_check(
	        &d->tokens, c->from, &target, c->now_ms, c->query->token)) {
		answer_error(a, KRPC_PROTOCOL, "invalid token");
		return;
	}
	guard_proven(&d->guard, c->from, c->now_ms);
	if (code == KRPC_OK)
		code = items_put(&d->items, c->query, c->from, c->now_ms);
	if (code != KRPC_OK)
		answer_error(a, code, text_of(code));
}

static void
answer_announcement(struct dht *d, const struct call *c, struct answer *a)
{
	const struct krpc *q = c->query;
	struct endpoint peer = *c->from;

	if (!token_check(
	        &d->tokens, c->from, &q->target, c->now_ms, q->token)) {
		answer_error(a, KRPC_PROTOCOL, "invalid token");
		return;
	}
	guard_proven(&d->guard, c->from, c->now_ms);
	if (!q->implied_port)
		peer.port = q->port;
	if (peers_put(&d->peers, &q->target, &peer, q->seed, c->now_ms))
		answer_error(a, KRPC_SERVER, text_of(KRPC_SERVER));
}

static void
fill_answer(struct dht *d, const struct call *c, struct answer *a)
{
	switch (c->query->method) {
	case KRPC_PING:
		break;
	case KRPC_OTHER:
		/* What is not known yet but has a target means nodes. */
		if (c->query->has_target)
			answer_nodes(d, c, a);
		else
			answer_error(a, KRPC_UNKNOWN, "unknown message");
		break;
	case KRPC_FIND_NODE:
		answer_nodes(d, c, a);
		break;
	case KRPC_GET_PEERS:
		answer_nodes(d, c, a);
		answer_token(d, c, a);
		answer_peers(d, c, a);
		break;
	case KRPC_ANNOUNCE_PEER:
		answer_announcement(d, c, a);
		break;
	case KRPC_GET:
		answer_nodes(d, c, a);
		answer_item(d, c, a);
		/* He names a seq before he puts, unless it is kept. */
		if (!is_brief(d, c->query) || (c->query->has_seq && !a->m.keep))
			answer_token(d, c, a);
		break;
	case KRPC_PUT:
		answer_put(d, c, a);
		break;
	case KRPC_SAMPLE:
		answer_nodes(d, c, a);
		answer_samples(d, c, a);
		break;
	case KRPC_REGISTER: /* dht_introduce.c's */
	case KRPC_PASS:
	case KRPC_HAND:
		answer_error(a, KRPC_UNKNOWN, text_of(KRPC_UNKNOWN));
		break;
	}
}

static void
write_nodes(struct dht *d, struct answer *a, enum family family)
{
	struct krpc_form form = { family, d->carrier != NULL };
	struct near *near = &a->near[family];
	struct writer w = wr_init(near->raw, sizeof(near->raw));

	if (!near->given)
		return;
	krpc_nodes_write(near->node, near->n, form, &w);
	assert(!w.bad);
	a->m.nodes[family] = span_of(near->raw, w.n);
}

/* Writes a with as many nodes and peers as it still has. */
static void
write_answer(struct dht *d, struct answer *a, struct writer *w)
{
	struct writer values = wr_init(a->values, sizeof(a->values));

	a->m.values = span_of(NULL, 0);
	if (a->n_peers > 0) {
		krpc_peers_write(a->peer, a->n_peers, &values);
		assert(!values.bad);
		a->m.values = wr_span_of(&values);
	}
	write_nodes(d, a, FAMILY_V4);
	write_nodes(d, a, FAMILY_V6);
	krpc_encode(&a->m, w);
}

/* Takes something out of an answer that is too long; false: nothing is left
 * to take. */
static bool
reduce(const struct dht *d, struct answer *a)
{
	struct near *own = &a->near[d->cfg.family];
	struct near *other = &a->near[!d->cfg.family];

	if (a->m.port)
		a->m.port = 0; /* it is in `ip` too */
	else if (a->n_peers > PEERS_FEW)
		a->n_peers -= (a->n_peers + 7) / 8;
	else if (other->n > 0)
		other->n--;
	else if (own->n > 0)
		own->n--;
	else if (a->n_peers > 0)
		a->n_peers--;
	else if (a->m.samples.n > 0)
		a->m.samples.n -= NODEID_SIZE;
	else
		return false;
	return true;
}

static void
leave_out_value(struct answer *a)
{
	a->m.v = span_of(NULL, 0);
	a->m.has_k = a->m.has_sig = false;
}

/* Writes as much of a as max bytes hold; false: not even the least. */
static bool
fit(struct dht *d, struct answer *a, struct writer *w, size_t max)
{
	assert(max > 0 && a->near[d->cfg.family].n <= TABLE_K);
	do {
		*w = wr_init(w->p, w->cap);
		write_answer(d, a, w);
	} while ((w->bad || w->n > max) && reduce(d, a));
	return !w->bad && w->n <= max;
}

/* Brings the answer to a sealed query to what may go, and seals it. */
static bool
seal_answer(struct dht *d, struct answer *a, struct writer *w)
{
	size_t max = carrier_answer_max(d->call);
	struct answer whole = *a;

	if (!fit(d, a, w, max)) {
		/* A value that no datagram holds: the nodes at least. */
		*a = whole;
		leave_out_value(a);
		if (!fit(d, a, w, max))
			return false;
	}
	return overlay_answer(d, w);
}

/* ---- whose address may be forged ---- */

static bool
has_load(const struct answer *a)
{
	return a->m.v.p || a->n_peers > 0 || a->m.samples.n > 0;
}

/* Asks whether the asker is there, unless that is done already. */
static bool
ping_back(struct dht *d, struct call *c)
{
	if (rpc_pending(d, c->from))
		return true;
	if (!guard_upload(
	        &d->guard, c->from, PING_BYTES, GUARD_RARE, c->now_ms))
		return false;
	care_ping(d, c->from, &c->query->n, c->now_ms);
	c->spent = PING_BYTES;
	return rpc_pending(d, c->from);
}

/* A free place, or that of the query which waits for longest: it counts as
 * lost. */
static struct later *
later_place(struct dht *d)
{
	struct later *first = d->later;

	for (unsigned i = 0; i < LATER_MAX; i++) {
		if (d->later[i].n == 0)
			return &d->later[i];
		if (d->later[i].due_ms < first->due_ms)
			first = &d->later[i];
	}
	d->stats.n_dropped++;
	return first;
}

/* Keeps the query until its asker is proven; false: answer it now. */
static bool
keep_for_later(struct dht *d, struct call *c)
{
	struct later *l;

	if (c->waited || c->query->read_only || c->datagram.n > LATER_BYTES ||
	    !ping_back(d, c))
		return false;
	l = later_place(d);
	l->from = *c->from;
	l->n = (uint16_t)c->datagram.n;
	l->spent = (uint16_t)c->spent;
	l->due_ms = c->now_ms + LATER_MS;
	memcpy(l->data, c->datagram.p, c->datagram.n);
	c->kept = true;
	if (l->due_ms < d->later_due_ms)
		d->later_due_ms = l->due_ms;
	return true;
}

/* The value goes with the nodes of its family, however long that makes the
 * answer; those of the other family only where there is room. */
static bool
fit_value(struct dht *d, struct answer *a, struct writer *w)
{
	struct near *other = &a->near[!d->cfg.family];

	while (fit(d, a, w, KRPC_SIZE_MAX) && w->n > ANSWER_MAX && other->n > 0)
		other->n--;
	return !w->bad && w->n <= KRPC_SIZE_MAX;
}

/* Brings the answer to a plain query to what it may draw. False: nothing goes,
 * or not yet. */
static bool
fit_plain(struct dht *d, struct call *c, struct answer *a, struct writer *w)
{
	if (a->m.v.p ? !fit_value(d, a, w) : !fit(d, a, w, ANSWER_MAX))
		return false;
	if (w->n <= c->room - c->spent)
		return true;
	if (has_load(a) && keep_for_later(d, c))
		return false;
	leave_out_value(a);
	return c->spent < c->room && out_begin(d, w) &&
	       fit(d, a, w, c->room - c->spent);
}

/* Under load the rest of the network has nodes to name; what is stored here
 * few others have, and a put has come a long way. */
static enum guard_worth
worth_of(const struct call *c, const struct answer *a)
{
	if (a->m.has_seq || a->m.keep || a->m.v.p || a->n_peers > 0 ||
	    c->query->method == KRPC_PUT ||
	    c->query->method == KRPC_ANNOUNCE_PEER)
		return GUARD_RARE;
	return GUARD_COMMON;
}

static void
answer_call(struct dht *d, struct call *c)
{
	const struct krpc *m = c->query;
	struct answer a = { .m = { .kind = KRPC_RESPONSE, .t = m->t } };
	struct writer w;

	a.m.has_id = true;
	a.m.id = d->id;
	a.m.has_ip = !is_brief(d, m);
	a.m.ip = *c->from;
	if (!d->call)
		a.m.port = c->from->port;
	else if (d->call->introduction)
		a.m.has_n = true;
	dht_key(d, &a.m.n);
	if (m->fault)
		answer_error(&a, KRPC_PROTOCOL, m->fault);
	else
		fill_answer(d, c, &a);
	if (out_begin(d, &w) &&
	    (d->call ? seal_answer(d, &a, &w) : fit_plain(d, c, &a, &w)) &&
	    guard_upload(&d->guard, c->from, w.n, worth_of(c, &a), c->now_ms))
		out_commit(d, &w, c->from);
	else if (!c->kept)
		d->stats.n_dropped++;
}

void
serve_query(struct dht *d, const struct endpoint *from, const struct krpc *m,
    struct span datagram, uint64_t now_ms)
{
	struct call c = { from, m, datagram, now_ms, 0, 0, false, false };
	struct krpc_node node = { m->id, *from, m->n };
	bool wanted = false;

	assert(m->kind == KRPC_QUERY);
	if (m->has_id && !m->read_only && !nodeid_eq(&m->id, &d->id))
		wanted = !table_queried(&d->table, &node, now_ms) &&
		         care_wants(d, &node, now_ms);
	/* The ping that follows is out of what this query may draw. */
	c.spent = wanted ? PING_BYTES : 0;
	c.room = guard_room(&d->guard, from, datagram.n, now_ms);
	if (c.spent >= c.room) {
		d->stats.n_dropped++;
		return;
	}
	answer_call(d, &c);
	if (wanted)
		care_newcomer(d, &node, now_ms);
}

/* Once more, as if it had come just now. */
static void
serve_later(struct dht *d, struct later *l, uint64_t now_ms)
{
	struct later kept = *l;
	struct span datagram = span_of(kept.data, kept.n);
	struct krpc m;
	struct call c = { &kept.from, &m, datagram, now_ms, 0, kept.spent, true,
		false };

	assert(kept.n > 0 && kept.n <= LATER_BYTES);
	l->n = 0;
	c.room = guard_room(&d->guard, c.from, kept.n, now_ms);
	if (krpc_decode(datagram, &d->scratch, &m) || c.spent >= c.room)
		return;
	krpc_plain(&m);
	answer_call(d, &c);
}

void
serve_proven(struct dht *d, const struct endpoint *at, uint64_t now_ms)
{
	for (unsigned i = 0; i < LATER_MAX && d->later_due_ms < NEVER; i++)
		if (d->later[i].n > 0 && endpoint_eq(&d->later[i].from, at))
			serve_later(d, &d->later[i], now_ms);
}

void
serve_tick(struct dht *d, uint64_t now_ms)
{
	uint64_t next_ms = NEVER;

	if (now_ms < d->later_due_ms)
		return;
	for (unsigned i = 0; i < LATER_MAX; i++) {
		struct later *l = &d->later[i];

		if (l->n > 0 && l->due_ms <= now_ms)
			serve_later(d, l, now_ms);
		if (l->n > 0 && l->due_ms < next_ms)
			next_ms = l->due_ms;
	}
	d->later_due_ms = next_ms;
}
