/* What we answer to others. */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <string.h>

/* A query being answered. */
struct call {
	const struct endpoint *from;
	const struct krpc *query;
	size_t n_query; /* its bytes */
	uint64_t now_ms;
};

enum {
	ANSWER_MAX = 1024, /* bytes, unless there is a value in it */
	PEERS_FEW = 8,     /* that many peers are worth more than nodes */
};

/* An answer with what it borrows. */
struct answer {
	struct krpc m;
	uint8_t token[TOKEN_SIZE];
	struct krpc_node node[TABLE_K];
	size_t n_nodes;
	bool has_nodes;
	uint8_t nodes[TABLE_K * 70];
	struct endpoint peer[KRPC_PEERS_MAX];
	size_t n_peers;
	uint8_t values[KRPC_PEERS_MAX * 21 + 2];
};

static void
answer_nodes(struct dht *d, const struct call *c, struct answer *a)
{
	if (c->query->has_want && !c->query->want[d->cfg.family])
		return;
	assert(c->query->has_target);
	a->has_nodes = true;
	a->n_nodes = table_closest(
	    &d->table, &c->query->target, TABLE_HAND_OUT, a->node, TABLE_K);
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
		answer_token(d, c, a);
		answer_item(d, c, a);
		break;
	case KRPC_PUT:
		answer_put(d, c, a);
		break;
	case KRPC_SAMPLE:
		answer_nodes(d, c, a);
		answer_samples(d, c, a);
		break;
	}
}

/* Writes a with its first n_nodes nodes and n_peers peers. */
static void
write_answer(struct dht *d, struct answer *a, struct writer *w)
{
	struct writer nodes = wr_init(a->nodes, sizeof(a->nodes));
	struct writer values = wr_init(a->values, sizeof(a->values));

	a->m.values = span_of(NULL, 0);
	if (a->n_peers > 0) {
		krpc_peers_write(a->peer, a->n_peers, &values);
		assert(!values.bad);
		a->m.values = wr_span_of(&values);
	}
	if (a->has_nodes) {
		krpc_nodes_write(a->node, a->n_nodes, form_of(d), &nodes);
		assert(!nodes.bad);
		a->m.nodes[d->cfg.family] = span_of(a->nodes, nodes.n);
	}
	krpc_encode(&a->m, w);
}

/* Takes something out of an answer that is too long; false: nothing is left
 * to take. */
static bool
reduce(struct answer *a)
{
	if (a->n_peers > PEERS_FEW)
		a->n_peers -= (a->n_peers + 7) / 8;
	else if (a->n_nodes > 0)
		a->n_nodes--;
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
	assert(max > 0 && a->n_nodes <= TABLE_K);
	do {
		*w = wr_init(w->p, w->cap);
		write_answer(d, a, w);
	} while ((w->bad || w->n > max) && reduce(a));
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

/* The same for a plain one. */
static bool
fit_plain(
    struct dht *d, const struct call *c, struct answer *a, struct writer *w)
{
	if (!fit(d, a, w, a->m.v.p ? KRPC_SIZE_MAX : ANSWER_MAX))
		return false;
	if (guard_excess(&d->guard, c->from, c->n_query, w->n, c->now_ms))
		return true;
	leave_out_value(a);
	return fit(d, a, w, GUARD_FACTOR * c->n_query);
}

void
serve_query(struct dht *d, const struct endpoint *from, const struct krpc *m,
    size_t n_query, uint64_t now_ms)
{
	struct call c = { from, m, n_query, now_ms };
	struct answer a = { .m = { .kind = KRPC_RESPONSE, .t = m->t } };
	struct writer w;

	assert(m->kind == KRPC_QUERY);
	a.m.has_id = true;
	a.m.id = d->id;
	a.m.has_ip = true;
	a.m.ip = *from;
	if (!d->call)
		a.m.port = from->port;
	else if (d->call->introduction)
		a.m.has_n = true;
	dht_key(d, &a.m.n);
	if (m->fault)
		answer_error(&a, KRPC_PROTOCOL, m->fault);
	else
		fill_answer(d, &c, &a);
	if (out_begin(d, &w) &&
	    (d->call ? seal_answer(d, &a, &w) : fit_plain(d, &c, &a, &w)) &&
	    guard_upload(&d->guard, from, w.n, now_ms))
		out_commit(d, &w, from);
	else
		d->stats.n_dropped++;
}
