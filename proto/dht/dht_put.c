/*
 * Storing, and reading back what was stored by another path: the nodes that
 * the first lookup began at are not asked first again, so that nobody who led
 * us astray once leads us to himself again. [SPEC §8.6]
 */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <string.h>

enum {
	PUT_TRIES = 2,
	BACK_STARTS = 8,
	BACK_CHOICE = 64,
	BACK_WANT = 3, /* one value is enough: few are asked at a time */
};

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
store(struct dht *d, struct op *op, struct lookup_node *t, uint64_t now_ms)
{
	struct rpc_request r = { RPC_PUT, op, &t->node.at, &t->node.n,
		op->look.soft_ms };
	struct krpc m = op->kind == OP_PUT ? item_of(op) : announcement_of(op);

	assert(t->put == PUT_WANTED && t->n_puts < PUT_TRIES);
	m.token = span_of(t->token, t->token_n);
	t->n_puts++;
	(void)guard_ask(&d->guard, &t->node.at, now_ms);
	if (t->n_puts == PUT_TRIES)
		r.wait_ms = 2 * op->look.soft_ms;
	t->put = rpc_send(d, &r, &m, now_ms) ? PUT_OPEN : PUT_FAILED;
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

void
put_begin(struct dht *d, struct op *op, uint64_t now_ms)
{
	struct lookup *l = &op->look;
	struct lookup_tally nearer = { 0, 0 };

	assert(op->state == OP_LOOKING);
	if (op->kind == OP_PUT)
		keep(d, op, now_ms);
	op->state = OP_PUTTING;
	/* The nearest, and all out to where eight are expected; a renewal goes
	 * to the nearest alone. Ids of free choice only fill up the eight. */
	for (unsigned i = 0; i < l->n; i++) {
		struct lookup_node *t = &l->node[i];
		bool near = nearer.n < LOOKUP_K ||
		            (t->tier == 0 && lookup_counts(l, t, &nearer));

		if (t->state != LOOKUP_ANSWERED || !near ||
		    (t->token_n == 0 && t->put != PUT_DONE)) {
			t->put = PUT_NONE; /* whatever it says that it keeps */
			continue;
		}
		if (t->put != PUT_DONE) /* it keeps what it has */
			t->put = PUT_WANTED;
		lookup_tally(l, t, &nearer);
	}
	put_step(d, op, now_ms);
}

/* A node of our table where the first lookup did not begin. */
static bool
is_new_start(struct op *op, const struct krpc_node *node)
{
	const struct lookup_node *n = lookup_find(&op->look, &node->at);

	return !n || n->state == LOOKUP_FRESH;
}

static void
read_back(struct dht *d, struct op *op, uint64_t now_ms)
{
	struct target goal = op->look.goal;
	struct krpc_node near[BACK_CHOICE];
	size_t n =
	    table_closest(&d->table, &goal, TABLE_TO_GET, near, BACK_CHOICE);
	size_t n_new = 0;

	for (size_t i = 0; i < n; i++)
		if (is_new_start(op, &near[i]))
			near[n_new++] = near[i];
	if (n_new > 0)
		n = n_new; /* else the net is too small for another path */
	op->state = OP_READING;
	op->has_back = false;
	lookup_init(
	    &op->look, &goal, d->table.n_buckets, op->look.soft_ms, now_ms);
	op->look.want = BACK_WANT;
	for (size_t i = 0; i < n && i < BACK_STARTS; i++)
		(void)lookup_add(&op->look, &near[i], LOOKUP_TABLE, 0);
}

/* A lookup that had no time, because we had too much to ask at once, or few
 * answers, says nothing about who guards the place. */
void
put_read_back(struct op *op, size_t n_answered, uint64_t now_ms)
{
	bool in_time = now_ms < op->look.started_ms + LOOKUP_END_MS;

	assert(op->state == OP_READING);
	op->report.read_back = DHT_BACK_UNKNOWN;
	if (op->has_back)
		op->report.read_back = DHT_BACK_YES;
	else if (n_answered >= LOOKUP_K || (n_answered > 0 && in_time))
		op->report.read_back = DHT_BACK_NO;
}

static void
count_stored(struct op *op)
{
	struct lookup *l = &op->look;
	unsigned n = 0;

	for (unsigned i = 0; i < l->n; i++)
		n += l->node[i].put == PUT_DONE;
	assert(n <= LOOKUP_NODES_MAX);
	op->report.n_stored = (uint8_t)n;
	op->report.spread = (uint8_t)sweep_spread_stored(l);
}

void
put_step(struct dht *d, struct op *op, uint64_t now_ms)
{
	struct lookup *l = &op->look;
	bool open = false;

	assert(op->state == OP_PUTTING);
	op->deadline_ms = NEVER; /* the transactions wake us */
	for (unsigned i = 0; i < l->n; i++) {
		struct lookup_node *t = &l->node[i];

		if (t->put == PUT_WANTED && !op_has_room(d, op, now_ms))
			return;
		if (t->put == PUT_WANTED)
			store(d, op, t, now_ms);
		open |= t->put == PUT_OPEN;
	}
	if (open)
		return;
	op_count(op);
	count_stored(op);
	/* A renewal stands where it stood before. */
	if (op->kind == OP_PUT && !op->repeat && op->report.n_stored > 0)
		read_back(d, op, now_ms);
	else
		op_finish(d, op, now_ms);
}

/* Some nodes refuse what they have as too low, though it is equal. */
void
put_reply(struct op *op, const struct rpc *rpc, const struct krpc *m)
{
	struct lookup_node *t = lookup_find(&op->look, &rpc->to);
	bool had = t && op->kind == OP_PUT && t->seq == op->item.seq &&
	           m->kind == KRPC_ERROR && m->code == KRPC_SEQ_TOO_LOW;

	assert(rpc->use == RPC_PUT && op->state == OP_PUTTING);
	if (!t || (t->put != PUT_OPEN && t->put != PUT_WANTED))
		return;
	t->put = m->kind == KRPC_RESPONSE || had ? PUT_DONE : PUT_FAILED;
}

void
put_timeout(struct op *op, const struct rpc *rpc)
{
	struct lookup_node *t = lookup_find(&op->look, &rpc->to);

	assert(rpc->use == RPC_PUT && op->state == OP_PUTTING);
	if (t && t->put == PUT_OPEN)
		t->put = t->n_puts < PUT_TRIES ? PUT_WANTED : PUT_FAILED;
}
