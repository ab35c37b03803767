/* Gets, puts and our own lookups: asking, judging answers, storing. */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static bool
is_inner(enum op_kind kind)
{
	return kind == OP_OWN || kind == OP_FILL;
}

/* Does it end with storing something? */
static bool
writes(enum op_kind kind)
{
	return kind == OP_PUT || kind == OP_ANNOUNCE;
}

/* Is it about peers, not items? */
static bool
seeks_peers(enum op_kind kind)
{
	return kind == OP_PEERS || kind == OP_ANNOUNCE;
}

struct op *
op_new(struct dht *d, enum op_kind kind)
{
	unsigned first = is_inner(kind) ? DHT_OPS_MAX : 0;
	unsigned end = is_inner(kind) ? OPS_ALL : DHT_OPS_MAX;

	assert(kind != OP_NONE);
	for (unsigned i = first; i < end; i++) {
		struct op *op = d->op[i];

		if (op && op->kind != OP_NONE)
			continue;
		d->n_over -= op != NULL;
		if (!op)
			op = d->op[i] = calloc(1, sizeof(*op));
		if (!op)
			return NULL;
		op->place = (uint16_t)i;
		op->kind = kind;
		op->state = OP_LOOKING;
		op->serial = ++d->serial;
		op->has_seen = op->tell_seen = op->tell_over = false;
		op->calm = op->glance = false;
		op->n = 0;
		op->n_targets = 0;
		d->n_ops++;
		return op;
	}
	return NULL;
}

void
op_free(struct dht *d, struct op *op)
{
	assert(op->kind != OP_NONE && d->n_ops > 0);
	op->kind = OP_NONE;
	d->n_ops--;
	d->n_over++;
}

void
op_sweep(struct dht *d)
{
	for (unsigned i = 0; i < OPS_ALL && d->n_over > 0; i++) {
		if (!d->op[i] || d->op[i]->kind != OP_NONE)
			continue;
		free(d->op[i]);
		d->op[i] = NULL;
		d->n_over--;
	}
	assert(d->n_over == 0);
}

struct op *
op_at(const struct dht *d, unsigned i)
{
	struct op *op;

	assert(i < OPS_ALL);
	op = d->op[i];
	return op && op->kind != OP_NONE ? op : NULL;
}

struct op *
op_of(struct dht *d, const struct rpc *rpc)
{
	struct op *op;

	if (rpc->op >= OPS_ALL)
		return NULL;
	op = op_at(d, rpc->op);
	return op && op->serial == rpc->serial ? op : NULL;
}

static void
add_seeds(struct dht *d, struct op *op)
{
	for (unsigned i = 0; i < d->n_seeds; i++) {
		struct krpc_node seed = { .at = d->seed[i].at,
			.n = d->seed[i].n };

		if (d->carrier && !key_is_known(&seed.n))
			continue;
		(void)lookup_add(&op->look, &seed, LOOKUP_SEED);
	}
}

static void
see(struct op *op, const struct dht_item *item)
{
	assert(item->v_n <= DHT_VALUE_MAX && item->seq >= 0);
	if (op->has_seen && item->seq <= op->seen.seq)
		return;
	op->has_seen = true;
	op->seen = *item;
	op->look.want = LOOKUP_K;
	if (op->kind == OP_GET || item->seq > op->item.seq)
		op->tell_seen = true;
}

/* What we store for others may be what we look for. */
static void
look_for_peers(struct dht *d, struct op *op, uint64_t now_ms)
{
	size_t n = peers_get(&d->peers, &op->look.goal, false, now_ms,
	    d->found.peer, KRPC_PEERS_MAX);

	assert(seeks_peers(op->kind));
	d->found.n = n;
	d->found.serial = op->serial;
	op->has_seen = n > 0;
}

static void
look_for_item(struct dht *d, struct op *op, uint64_t now_ms)
{
	const struct item *i = items_get(&d->items, &op->look.goal, now_ms);
	struct dht_item item = op->item;

	if (!i || !i->is_mutable)
		return;
	assert(memcmp(i->k, op->item.pk, sizeof(i->k)) == 0);
	memcpy(item.sig, i->sig, sizeof(item.sig));
	item.seq = i->seq;
	item.v_n = i->v_n;
	memcpy(item.v, i->v, i->v_n);
	see(op, &item);
}

/* In the background we begin where earlier lookups ended. */
static void
calm_down(struct dht *d, struct op *op)
{
	struct krpc_node near[LOOKUP_K];
	size_t n;

	op->look.alpha = LOOKUP_CALM;
	n = recall_closest(&d->recall, &op->look.goal, near, LOOKUP_K);
	for (size_t i = 0; i < n; i++)
		(void)lookup_add(&op->look, &near[i], LOOKUP_ANSWER);
}

void
op_start(
    struct dht *d, struct op *op, const struct target *goal, uint64_t now_ms)
{
	struct krpc_node near[KRPC_NODES_MAX];
	enum table_use use = is_inner(op->kind) ? TABLE_HAND_OUT : TABLE_TO_GET;
	size_t n;

	assert(op->kind != OP_NONE && op->state == OP_LOOKING);
	lookup_init(&op->look, goal, d->table.n_buckets,
	    lookup_soft_ms(d->stats.rtt_ms, d->rtt_var_ms), now_ms);
	n = table_closest(&d->table, goal, use, near, KRPC_NODES_MAX);
	if (n < LOOKUP_K / 2)
		n = table_closest(
		    &d->table, goal, TABLE_ANY, near, KRPC_NODES_MAX);
	for (size_t i = 0; i < n; i++)
		(void)lookup_add(&op->look, &near[i], LOOKUP_TABLE);
	if (n < LOOKUP_K)
		add_seeds(d, op);
	if (!writes(op->kind) && table_count(&d->table) < WIDE_NODES)
		op->look.want = LOOKUP_WIDE;
	if (op->glance)
		op->look.want = LOOKUP_GLANCE;
	if (op->calm)
		calm_down(d, op);
	if (seeks_peers(op->kind))
		look_for_peers(d, op, now_ms);
	else if (!is_inner(op->kind))
		look_for_item(d, op, now_ms);
	op_step(d, op, now_ms);
}

/* A bootstrap node that does not answer delays nobody for long at first. */
static uint64_t
wait_ms(const struct dht *d, const struct op *op, const struct lookup_node *n)
{
	bool local = endpoint_scope(&n->node.at) != SCOPE_GLOBAL;
	uint64_t ms = local ? 100 : 600;

	if (op->kind != OP_OWN || !n->seed || d->own_round > 5)
		return LOOKUP_HARD_MS;
	ms <<= d->own_round;
	return ms < LOOKUP_HARD_MS ? ms : LOOKUP_HARD_MS;
}

static enum krpc_method
method_of(const struct op *op, const struct lookup_node *n)
{
	if (is_inner(op->kind) || n->blurred)
		return KRPC_FIND_NODE;
	return seeks_peers(op->kind) ? KRPC_GET_PEERS : KRPC_GET;
}

static void
ask(struct dht *d, struct op *op, struct lookup_node *n, uint64_t now_ms)
{
	struct rpc_request r = { RPC_LOOKUP, op, &n->node.at, &n->node.n, 0 };
	struct krpc m = { .has_target = true };

	assert(op->state == OP_LOOKING);
	r.wait_ms = wait_ms(d, op, n);
	lookup_ask(&op->look, n, d->cfg.rng, now_ms, &m.target);
	m.method = method_of(op, n);
	if (m.method == KRPC_GET && op->kind == OP_PUT) {
		/* What is older than ours need not come back. [BEP 44] */
		m.has_seq = true;
		m.seq = op->item.seq - 1;
	}
	if (!rpc_send(d, &r, &m, now_ms))
		n->state = LOOKUP_FAILED; /* as if it got lost */
}

static struct krpc
item_of(const struct op *op)
{
	struct krpc m = { .method = KRPC_PUT };

	m.has_k = m.has_sig = m.has_seq = true;
	memcpy(m.k, op->item.pk, sizeof(m.k));
	memcpy(m.sig, op->item.sig, sizeof(m.sig));
	m.seq = op->item.seq;
	if (op->item.salt_n > 0)
		m.salt = span_of(op->item.salt, op->item.salt_n);
	m.v = span_of(op->item.v, op->item.v_n);
	return m;
}

static struct krpc
announcement_of(const struct op *op)
{
	struct krpc m = { .method = KRPC_ANNOUNCE_PEER, .has_target = true };

	assert(op->port != 0);
	m.target = op->look.goal;
	m.port = op->port;
	m.implied_port = op->implied;
	return m;
}

static void
store(struct dht *d, struct op *op, struct put_target *t, uint64_t now_ms)
{
	struct rpc_request r = { RPC_PUT, op, &t->at, &t->n, op->look.soft_ms };
	struct krpc m = op->kind == OP_PUT ? item_of(op) : announcement_of(op);

	assert(t->state == PUT_OPEN && t->n_sent < 2);
	m.token = span_of(t->token, t->token_n);
	t->n_sent++;
	(void)guard_ask(&d->guard, &t->at, now_ms);
	if (t->n_sent == 2)
		r.wait_ms = PUT_LAST_MS;
	if (!rpc_send(d, &r, &m, now_ms))
		t->state = PUT_FAILED;
}

static void
finish(struct dht *d, struct op *op, size_t n, uint64_t now_ms)
{
	assert(op->state != OP_OVER);
	op->state = OP_OVER;
	op->n = n;
	op->deadline_ms = NEVER;
	if (is_inner(op->kind))
		care_op_over(d, op, now_ms);
	else
		op->tell_over = true;
}

/* We are a node too: where fewer than eight are nearer the item is kept here
 * as well. Nobody counts it. */
static void
keep(struct dht *d, const struct op *op, uint64_t now_ms)
{
	static const struct endpoint here;
	const struct lookup_node *near[LOOKUP_K];
	size_t n = lookup_closest(&op->look, false, near, LOOKUP_K);
	struct krpc m = item_of(op);

	if (d->cfg.read_only ||
	    (n == LOOKUP_K && nodeid_compare(&op->look.goal,
	                          &near[n - 1]->node.id, &d->id) < 0))
		return;
	(void)items_put(&d->items, &m, &here, now_ms);
}

static void
begin_put(struct dht *d, struct op *op, uint64_t now_ms)
{
	const struct lookup_node *near[LOOKUP_K];
	size_t n = lookup_closest(&op->look, true, near, LOOKUP_K);

	assert(writes(op->kind) && op->state == OP_LOOKING);
	op->state = OP_PUTTING;
	assert(n <= LOOKUP_K);
	op->n_targets = (uint8_t)n;
	op->deadline_ms = NEVER; /* the transactions wake us */
	for (size_t i = 0; i < n; i++) {
		struct put_target *t = &op->target[i];

		*t = (struct put_target){ .at = near[i]->node.at,
			.n = near[i]->node.n,
			.state = PUT_OPEN,
			.token_n = near[i]->token_n };
		memcpy(t->token, near[i]->token, near[i]->token_n);
		t->had = op->kind == OP_PUT && near[i]->seq == op->item.seq;
	}
	for (size_t i = 0; i < n; i++)
		store(d, op, &op->target[i], now_ms);
}

static void
end_put(struct dht *d, struct op *op, uint64_t now_ms)
{
	size_t n_done = 0;

	assert(op->state == OP_PUTTING);

	for (unsigned i = 0; i < op->n_targets; i++) {
		if (op->target[i].state == PUT_OPEN)
			return;
		n_done += op->target[i].state == PUT_DONE;
	}
	finish(d, op, n_done, now_ms);
}

static void
learn_size(struct dht *d, const struct op *op)
{
	uint64_t n = lookup_network_size(&op->look);

	if (n == 0)
		return;
	d->network_size = d->network_size ? (3 * d->network_size + n) / 4 : n;
}

static void
remember(struct dht *d, const struct op *op, uint64_t now_ms)
{
	const struct lookup_node *near[LOOKUP_K];
	size_t n = lookup_closest(&op->look, true, near, LOOKUP_K);

	for (size_t i = 0; i < n; i++)
		if (!near[i]->seed)
			recall_keep(&d->recall, &near[i]->node, now_ms);
}

/* Nobody has answered, but somebody may: bootstrap is still being tried. */
static bool
hopes(const struct dht *d, const struct op *op, size_t n_answered,
    uint64_t now_ms)
{
	return n_answered == 0 && d->n_seeds > 0 && !is_inner(op->kind) &&
	       now_ms < op->look.started_ms + LOOKUP_END_MS;
}

void
op_step(struct dht *d, struct op *op, uint64_t now_ms)
{
	const struct lookup_node *near[LOOKUP_NODES_MAX];
	struct lookup_node *n;
	size_t n_answered;

	if (op->state == OP_PUTTING)
		end_put(d, op, now_ms);
	if (op->state != OP_LOOKING)
		return;
	while ((n = lookup_next(&op->look, now_ms))) {
		if (d->n_rpc >= RPC_FULL || !out_room(d)) {
			/* Room to send comes as soon as this is fetched. */
			op->deadline_ms =
			    now_ms + (d->n_rpc >= RPC_FULL ? ASK_FULL_MS : 0);
			return;
		}
		if (guard_ask(&d->guard, &n->node.at, now_ms))
			ask(d, op, n, now_ms);
		else
			n->not_before_ms = now_ms + ASK_PAUSE_MS;
	}
	op->deadline_ms = lookup_deadline_ms(&op->look, now_ms);
	if (!lookup_over(&op->look, now_ms))
		return;
	n_answered = lookup_closest(&op->look, false, near, LOOKUP_NODES_MAX);
	if (hopes(d, op, n_answered, now_ms))
		return;
	learn_size(d, op);
	if (!is_inner(op->kind))
		remember(d, op, now_ms);
	if (op->kind == OP_PUT)
		keep(d, op, now_ms);
	if (writes(op->kind) && n_answered > 0) {
		begin_put(d, op, now_ms);
		end_put(d, op, now_ms);
	} else {
		finish(d, op, n_answered, now_ms);
	}
}

/* True if the answer is honest: no value, or one that belongs here. */
static bool
take_value(struct op *op, const struct krpc *m, struct lookup_node *n)
{
	struct dht_item item;

	if (!m->v.p)
		return true;
	if (!m->has_k || !m->has_sig || !m->has_seq || m->seq < 0)
		return false;
	if (memcmp(m->k, op->item.pk, sizeof(m->k)) != 0)
		return false;
	if (m->v.n > DHT_VALUE_MAX)
		return false;
	memcpy(item.pk, op->item.pk, sizeof(item.pk));
	memcpy(item.sig, m->sig, sizeof(item.sig));
	item.seq = m->seq;
	item.salt_n = op->item.salt_n;
	memcpy(item.salt, op->item.salt, sizeof(item.salt));
	item.v_n = (uint16_t)m->v.n;
	memcpy(item.v, m->v.p, m->v.n);
	if (dht_item_verify(&item) != ERR_OK)
		return false;
	n->seq = item.seq;
	see(op, &item);
	return true;
}

/* What the last answer named and nobody fetched gives way, as if it got lost.
 */
static void
take_peers(struct dht *d, struct op *op, const struct endpoint *from,
    const struct krpc *m)
{
	struct endpoint peer[KRPC_PEERS_MAX];
	size_t n = krpc_peers_read(
	    m->values, d->cfg.family, &d->scratch, peer, KRPC_PEERS_MAX);
	struct found *f = &d->found;

	if (n == 0)
		return;
	f->n = 0;
	f->serial = op->serial;
	for (size_t i = 0; i < n; i++) {
		struct krpc_node node = { .at = peer[i] };

		if (care_usable(d, &node, from))
			f->peer[f->n++] = peer[i];
	}
	if (f->n > 0)
		op->has_seen = true;
}

static void
take_token(struct lookup_node *n, struct span token)
{
	if (token.n == 0 || token.n > sizeof(n->token))
		return;
	n->token_n = (uint8_t)token.n;
	memcpy(n->token, token.p, token.n);
}

static void
take_nodes(struct dht *d, struct op *op, const struct endpoint *from,
    const struct krpc *m)
{
	struct krpc_node node[KRPC_NODES_MAX];
	size_t n = krpc_nodes_read(
	    m->nodes[d->cfg.family], form_of(d), node, KRPC_NODES_MAX);

	for (size_t i = 0; i < n; i++)
		if (care_usable(d, &node[i], from))
			(void)lookup_add(&op->look, &node[i], LOOKUP_ANSWER);
}

/* A node whose id is not its own may name others, and no more. */
static bool
answers_for_itself(
    const struct dht *d, const struct rpc *rpc, const struct krpc *m)
{
	struct krpc_node node = { m->id, rpc->to, m->n };

	return overlay_honest(d, &node);
}

static void
lookup_reply(struct dht *d, struct op *op, const struct rpc *rpc,
    const struct krpc *m, uint64_t now_ms)
{
	struct lookup_node *n;

	assert(rpc->use == RPC_LOOKUP && op->state == OP_LOOKING);
	if (m->kind == KRPC_ERROR) {
		lookup_failed(&op->look, &rpc->to);
		return;
	}
	if (!answers_for_itself(d, rpc, m)) {
		lookup_failed(&op->look, &rpc->to);
		take_nodes(d, op, &rpc->to, m);
		return;
	}
	n = lookup_answered(&op->look, &rpc->to, &m->id);
	if (!n)
		return;
	if (rpc->method == KRPC_GET) {
		if (!take_value(op, m, n)) {
			lookup_failed(&op->look, &rpc->to);
			table_failed(&d->table, &rpc->to, true, now_ms);
			return;
		}
		table_spoke(&d->table, &rpc->to);
	}
	if (rpc->method == KRPC_GET_PEERS)
		take_peers(d, op, &rpc->to, m);
	if (rpc->method != KRPC_FIND_NODE)
		take_token(n, m->token);
	take_nodes(d, op, &rpc->to, m); /* n is not valid any more */
}

static struct put_target *
put_target_of(struct op *op, const struct endpoint *at)
{
	for (unsigned i = 0; i < op->n_targets; i++)
		if (endpoint_eq(&op->target[i].at, at))
			return &op->target[i];
	return NULL;
}

/* Some nodes refuse what they have as too low, though it is equal. */
static void
put_reply(struct op *op, const struct rpc *rpc, const struct krpc *m)
{
	struct put_target *t = put_target_of(op, &rpc->to);
	bool had =
	    t && t->had && m->kind == KRPC_ERROR && m->code == KRPC_SEQ_TOO_LOW;

	if (!t || t->state != PUT_OPEN)
		return;
	t->state = m->kind == KRPC_RESPONSE || had ? PUT_DONE : PUT_FAILED;
}

void
op_answered(
    struct dht *d, const struct rpc *rpc, const struct krpc *m, uint64_t now_ms)
{
	struct op *op = op_of(d, rpc);

	if (!op || op->state == OP_OVER)
		return;
	if (rpc->use == RPC_PUT && op->state == OP_PUTTING)
		put_reply(op, rpc, m);
	if (rpc->use == RPC_LOOKUP && op->state == OP_LOOKING)
		lookup_reply(d, op, rpc, m, now_ms);
	op_step(d, op, now_ms);
}

static void
put_timeout(
    struct dht *d, struct op *op, const struct rpc *rpc, uint64_t now_ms)
{
	struct put_target *t = put_target_of(op, &rpc->to);

	assert(rpc->use == RPC_PUT && op->state == OP_PUTTING);
	if (!t || t->state != PUT_OPEN)
		return;
	if (t->n_sent < 2)
		store(d, op, t, now_ms);
	else
		t->state = PUT_FAILED;
}

void
op_timeout(struct dht *d, const struct rpc *rpc, uint64_t now_ms)
{
	struct op *op = op_of(d, rpc);

	/* Many nodes do not know get: that alone does not make them bad. */
	if (rpc->method == KRPC_GET)
		table_silent(&d->table, &rpc->to);
	else if (rpc->use == RPC_LOOKUP)
		table_failed(&d->table, &rpc->to, false, now_ms);
	care_hurry(d, now_ms);
	if (!op)
		return;
	if (rpc->use == RPC_PUT && op->state == OP_PUTTING)
		put_timeout(d, op, rpc, now_ms);
	if (rpc->use == RPC_LOOKUP && op->state == OP_LOOKING) {
		lookup_failed(&op->look, &rpc->to);
		recall_drop(&d->recall, &rpc->to);
	}
	op_step(d, op, now_ms);
}

/* A node that is new, or a bootstrap node. What it was asked before sent_ms,
 * the time of a query that it did answer, got lost: it is asked again. */
static void
feed(struct op *op, const struct krpc_node *node, enum lookup_origin origin,
    uint64_t sent_ms)
{
	struct lookup_node *n;

	if (origin == LOOKUP_TABLE || key_is_known(&node->n))
		(void)lookup_add(&op->look, node, origin);
	n = lookup_find(&op->look, &node->at);
	if (!n || n->asked_ms >= sent_ms)
		return;
	if (n->state == LOOKUP_ASKED || n->state == LOOKUP_SLOW ||
	    n->state == LOOKUP_FAILED)
		n->state = LOOKUP_FRESH;
}

void
op_feed(struct dht *d, const struct krpc_node *node, enum lookup_origin origin,
    uint64_t sent_ms, uint64_t now_ms)
{
	for (unsigned i = 0; i < OPS_ALL && d->n_ops > 0; i++) {
		struct op *op = op_at(d, i);

		if (!op || op->state != OP_LOOKING || op->look.n >= LOOKUP_K)
			continue;
		feed(op, node, origin, sent_ms);
		op_step(d, op, now_ms);
	}
}
