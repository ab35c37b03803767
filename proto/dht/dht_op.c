/* Gets, puts and our own lookups: how they begin, ask and end. */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	/* Who name nodes to a lookup that is repeated. */
	NAMERS_GLANCE = 1,
	NAMERS = 2,
	/* Of the eight nearest, who have the newest value: fewer in one of 80
	 * lookups of a simulated net of 1,000 with churn, loss and NATs. */
	AGREE = 3,
	TABLE_FAR = 64, /* of our own table, for lookups that spread out */
	/* After an alarm so many others spread out: in a net without attackers
	 * one of 240 raises one. */
	WARY_OPS = 16,
};

/* Does it end with storing something? */
static bool
writes(enum op_kind kind)
{
	return kind == OP_PUT || kind == OP_ANNOUNCE;
}

struct op *
op_new(struct dht *d, enum op_kind kind)
{
	unsigned first = op_is_inner(kind) ? DHT_OPS_MAX : 0;
	unsigned end = op_is_inner(kind) ? OPS_ALL : DHT_OPS_MAX;

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
		op->calm = kind == OP_PROBE;
		op->repeat = false;
		op->roomy = !op->calm;
		op->has_back = op->lied_to = false;
		op->report =
		    (struct dht_report){ .read_back = DHT_BACK_UNKNOWN };
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

		if (d->carrier && !node_key_is_set(&seed.n))
			continue;
		(void)lookup_add(&op->look, &seed, LOOKUP_SEED, 0);
	}
}

void
op_look_closer(struct op *op)
{
	if (!op->look.glance)
		return;
	op->look.glance = false;
	op->look.want = LOOKUP_K;
}

void
op_see(struct op *op, const struct dht_item *item)
{
	assert(item->v_n <= DHT_VALUE_MAX && item->seq >= 0);
	if (op->has_seen && item->seq <= op->seen.seq)
		return;
	op->has_seen = true;
	op->seen = *item;
	op_look_closer(op);
	if (op->kind == OP_GET || item->seq > op->item.seq)
		op->tell_seen = true;
}

/* What we store for others may be what we look for. */
static void
look_for_peers(struct dht *d, struct op *op, uint64_t now_ms)
{
	size_t n = peers_get(&d->peers, &op->look.goal, false, now_ms,
	    d->found.peer, KRPC_PEERS_MAX);

	assert(op_seeks_peers(op->kind));
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
	op_see(op, &item);
}

/* The nearest, once more: we begin where earlier lookups ended. */
static void
repeat(struct dht *d, struct op *op)
{
	struct krpc_node near[LOOKUP_K];
	size_t n;

	if (op->kind == OP_GET)
		op->look.want = LOOKUP_GLANCE;
	op->look.glance = true;
	n = recall_closest(&d->recall, &op->look.goal, near, LOOKUP_K);
	for (size_t i = 0; i < n; i++)
		(void)lookup_add(&op->look, &near[i], LOOKUP_ANSWER, 0);
}

/* How far the eight nearest should be; while that is unknown somebody may
 * stand in front of them, and more are asked. */
static void
expect(const struct dht *d, struct op *op)
{
	struct lookup *l = &op->look;

	lookup_expect(l, density_reach(&d->density, &l->goal, LOOKUP_K));
	if (l->reach == 0)
		l->want = LOOKUP_WIDE;
}

/* Half of a small net has no room in the table, and the one that has the value
 * may be among them. */
static void
add_spares(struct dht *d, struct op *op, uint64_t now_ms)
{
	struct krpc_node near[LOOKUP_K];
	size_t n = table_closest_spare(
	    &d->table, &op->look.goal, now_ms, near, LOOKUP_K);

	for (size_t i = 0; i < n; i++)
		(void)lookup_add(&op->look, &near[i], LOOKUP_TABLE, 0);
}

/* At each distance so many are to be asked, to begin with those of our own
 * table, in which nobody stands in front of all. */
static void
spread_out(struct dht *d, struct op *op, uint8_t band)
{
	struct krpc_node far[TABLE_FAR];
	size_t n = table_closest(
	    &d->table, &op->look.goal, TABLE_HAND_OUT, far, TABLE_FAR);

	op->look.band = band;
	for (size_t i = 0; i < n; i++)
		(void)lookup_add(&op->look, &far[i], LOOKUP_TABLE, 0);
}

void
op_start(
    struct dht *d, struct op *op, const struct target *goal, uint64_t now_ms)
{
	struct krpc_node near[KRPC_NODES_MAX];
	enum table_use use =
	    op_is_inner(op->kind) ? TABLE_HAND_OUT : TABLE_TO_GET;
	size_t n;

	assert(op->kind != OP_NONE && op->state == OP_LOOKING);
	op->began_ms = now_ms;
	lookup_init(&op->look, goal, d->table.n_buckets,
	    lookup_soft_ms(d->stats.rtt_ms, d->rtt_var_ms), now_ms);
	n = table_closest(&d->table, goal, use, near, KRPC_NODES_MAX);
	if (n < LOOKUP_K / 2)
		n = table_closest(
		    &d->table, goal, TABLE_ANY, near, KRPC_NODES_MAX);
	for (size_t i = 0; i < n; i++)
		(void)lookup_add(&op->look, &near[i], LOOKUP_TABLE, 0);
	if (!op->calm && d->table.n_buckets < LOOKUP_BLUR_DEPTH)
		add_spares(d, op, now_ms);
	if (n < LOOKUP_K)
		add_seeds(d, op);
	if (!writes(op->kind) && !op->calm &&
	    table_count(&d->table) < WIDE_NODES)
		op->look.want = LOOKUP_WIDE;
	if (!op_is_inner(op->kind))
		expect(d, op);
	op->roomy = !op->calm;
	if (op->calm)
		op->look.alpha = LOOKUP_CALM;
	if (op->repeat)
		repeat(d, op);
	if (!op_is_inner(op->kind) && !op->repeat && d->n_wary > 0 &&
	    d->table.n_buckets >= LOOKUP_BAND_DEPTH)
		spread_out(d, op, LOOKUP_BAND);
	if (op_seeks_peers(op->kind))
		look_for_peers(d, op, now_ms);
	else if (!op_is_inner(op->kind))
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
	if (op_is_inner(op->kind) || n->blurred)
		return KRPC_FIND_NODE;
	return op_seeks_peers(op->kind) ? KRPC_GET_PEERS : KRPC_GET;
}

/* Are there enough, so that nobody need be named? The nearest know who is new
 * there. A renewal decides where the item is, a glance is soon repeated. */
static bool
has_namers(const struct op *op, unsigned n)
{
	return n >= (unsigned)(op->kind == OP_GET ? NAMERS_GLANCE : NAMERS);
}

/* How many that are nearer have answered, or will soon. */
static unsigned
n_nearer(const struct lookup *l, const struct lookup_node *n)
{
	unsigned ret = 0;

	for (unsigned i = 0; i < l->n && &l->node[i] != n; i++)
		ret += l->node[i].state == LOOKUP_ANSWERED ||
		       l->node[i].state == LOOKUP_ASKED;
	return ret;
}

static void
ask(struct dht *d, struct op *op, struct lookup_node *n, uint64_t now_ms)
{
	struct rpc_request r = { RPC_LOOKUP, op, &n->node.at, &n->node.n, 0 };
	struct krpc m = { .has_target = true };

	assert(op->state == OP_LOOKING || op->state == OP_READING);
	r.wait_ms = wait_ms(d, op, n);
	lookup_ask(&op->look, n, d->cfg.rng, now_ms, &m.target);
	m.method = method_of(op, n);
	if (m.method == KRPC_GET && op->kind == OP_PUT) {
		/* What is older than ours need not come back, nor, when it is
		 * put again, ours. [BEP 44] */
		m.has_seq = true;
		m.seq = op->item.seq - (op->repeat ? 0 : 1);
		m.keep = op->repeat && d->carrier;
	}
	if (d->carrier && op->repeat && m.method == KRPC_GET &&
	    !op->look.alarm && has_namers(op, n_nearer(&op->look, n)))
		m.has_want = true; /* nobody */
	if (!rpc_send(d, &r, &m, now_ms))
		n->state = LOOKUP_FAILED; /* as if it got lost */
}

static void
remember(struct dht *d, const struct op *op, uint64_t now_ms)
{
	const struct lookup_node *near[LOOKUP_K];
	/* On Mainline one without a token does not know get; in the overlay
	 * all do. */
	size_t n = lookup_closest(&op->look, !d->carrier, near, LOOKUP_K);

	for (size_t i = 0; i < n; i++)
		if (!near[i]->seed)
			recall_keep(&d->recall, &near[i]->node, now_ms);
}

/* Nobody has answered, but somebody may: bootstrap is still being tried. */
static bool
hopes(const struct dht *d, const struct op *op, size_t n_answered,
    uint64_t now_ms)
{
	return n_answered == 0 && d->n_seeds > 0 && !op_is_inner(op->kind) &&
	       now_ms < op->look.started_ms + LOOKUP_END_MS;
}

/* What this lookup saw of the network helps to judge others. */
static void
learn_size(struct dht *d, const struct op *op, uint64_t now_ms)
{
	uint64_t n = lookup_network_size(&op->look);

	if (n > 0)
		density_learn(&d->density, &op->look.goal, n,
		    sweep_spread(&op->look), now_ms);
}

void
op_count(struct op *op)
{
	const struct lookup *l = &op->look;

	op->report.n_asked =
	    (uint16_t)(op->report.n_asked + l->n_asked + l->n_swept);
	for (unsigned i = 0; i < l->n; i++)
		op->report.n_answered =
		    (uint16_t)(op->report.n_answered +
		               (l->node[i].state == LOOKUP_ANSWERED ||
		                   l->node[i].state == LOOKUP_HELPED));
	op->report.alarm |= l->alarm;
}

void
op_finish(struct dht *d, struct op *op, uint64_t now_ms)
{
	assert(op->state != OP_OVER && now_ms >= op->began_ms);
	if (op->state != OP_PUTTING)
		op_count(op);
	op->state = OP_OVER;
	op->report.took_ms = now_ms - op->began_ms;
	op->deadline_ms = NEVER;
	if (op_is_inner(op->kind))
		care_op_over(d, op, now_ms);
	else
		op->tell_over = true;
}

bool
op_has_room(struct dht *d, struct op *op, uint64_t now_ms)
{
	if (d->n_rpc < RPC_FULL && out_room(d))
		return true;
	/* Room to send comes as soon as what is there is fetched. */
	op->deadline_ms = now_ms + (d->n_rpc >= RPC_FULL ? ASK_FULL_MS : 0);
	return false;
}

static bool
ask_all(struct dht *d, struct op *op, uint64_t now_ms)
{
	struct lookup_node *n;

	while ((n = lookup_next(&op->look, now_ms))) {
		if (!op_has_room(d, op, now_ms))
			return false;
		if (guard_ask(&d->guard, &n->node.at, now_ms))
			ask(d, op, n, now_ms);
		else
			n->not_before_ms = now_ms + ASK_PAUSE_MS;
	}
	return true;
}

static bool
sweep(struct dht *d, struct op *op, uint64_t now_ms)
{
	struct krpc m = { .method = KRPC_FIND_NODE, .has_target = true };
	struct lookup_node *n;

	while (op_has_room(d, op, now_ms)) {
		struct rpc_request r = { RPC_SWEEP, op, NULL, NULL,
			LOOKUP_HARD_MS };

		n = sweep_next(&op->look, d->cfg.rng, now_ms, &m.target);
		if (!n)
			return true;
		r.to = &n->node.at;
		r.n = &n->node.n;
		if (!guard_ask(&d->guard, r.to, now_ms) ||
		    !rpc_send(d, &r, &m, now_ms))
			sweep_came(&op->look);
	}
	return false;
}

/* The nearest are not who should be there: all that our own table knows of the
 * region are asked too, whoever led us here. */
static void
raise_alarm(struct dht *d, struct op *op, uint64_t now_ms)
{
	struct krpc_node near[KRPC_NODES_MAX];
	struct target place;
	size_t n;

	op->look.alarm = true;
	d->n_wary = WARY_OPS;
	op->look.glance = false;
	op->look.want = LOOKUP_WIDE;
	/* Or the network has grown: the next one will know. */
	density_doubt(&d->density);
	if (d->probe_ms > now_ms + DENSITY_HURRY_MS)
		d->probe_ms = now_ms + DENSITY_HURRY_MS;
	for (unsigned q = 0; q < SWEEP_QUARTERS; q++) {
		nodeid_at_distance(&op->look.goal,
		    op->look.reach / SWEEP_QUARTERS * q, d->cfg.rng, &place);
		n = table_closest(&d->table, &place, TABLE_HAND_OUT, near,
		    KRPC_NODES_MAX / 2);
		for (size_t i = 0; i < n; i++)
			(void)lookup_add(&op->look, &near[i], LOOKUP_TABLE, 0);
	}
	spread_out(d, op, LOOKUP_BAND_ALARM);
}

/* Few of the nearest have the newest value that was seen: others may have a
 * newer one. */
static bool
disagree(const struct op *op)
{
	const struct lookup_node *near[LOOKUP_K];
	size_t n = lookup_closest(&op->look, false, near, LOOKUP_K);
	unsigned n_newest = 0;

	for (size_t i = 0; i < n; i++)
		n_newest += near[i]->seq == op->seen.seq;
	return n == LOOKUP_K && n_newest < AGREE;
}

/* Does somebody stand between us and who should be there? */
static bool
is_suspicious(const struct dht *d, const struct op *op)
{
	const struct lookup *l = &op->look;

	if (op_is_inner(op->kind) || op->state == OP_READING || l->reach == 0 ||
	    l->alarm)
		return false;
	return op->lied_to ||
	       (op->kind == OP_GET && op->has_seen && disagree(op)) ||
	       sweep_needed(l, density_spread(&d->density, &l->goal));
}

/* True: nothing is left to ask and nobody worth waiting for. */
static bool
look(struct dht *d, struct op *op, uint64_t now_ms)
{
	struct lookup *l = &op->look;
	bool early = op->state == OP_READING && op->has_back;

	for (unsigned round = 0; round < 2 && !early; round++) {
		if (!ask_all(d, op, now_ms) ||
		    (!op_is_inner(op->kind) && !sweep(d, op, now_ms)))
			return false;
		op->deadline_ms = lookup_deadline_ms(l, now_ms);
		if (!lookup_over(l, now_ms))
			return false;
		if (op->state == OP_READING && l->want < LOOKUP_K) {
			l->want = LOOKUP_K; /* the nearest do not have it */
			continue;
		}
		if (!is_suspicious(d, op))
			return true;
		raise_alarm(d, op, now_ms);
	}
	return true;
}

void
op_step(struct dht *d, struct op *op, uint64_t now_ms)
{
	const struct lookup_node *near[LOOKUP_K];
	size_t n_answered;

	if (op->state == OP_PUTTING)
		put_step(d, op, now_ms); /* may begin to read back */
	if ((op->state != OP_LOOKING && op->state != OP_READING) ||
	    !look(d, op, now_ms))
		return;
	n_answered = lookup_closest(&op->look, false, near, LOOKUP_K);
	if (op->state == OP_LOOKING && hopes(d, op, n_answered, now_ms))
		return;
	if (op->state == OP_READING) {
		put_read_back(op, n_answered, now_ms);
		op_finish(d, op, now_ms);
		return;
	}
	learn_size(d, op, now_ms);
	if (!op_is_inner(op->kind) && !op->look.alarm && d->n_wary > 0)
		d->n_wary--;
	if (!op_is_inner(op->kind))
		remember(d, op, now_ms);
	if (writes(op->kind))
		put_begin(d, op, now_ms);
	else
		op_finish(d, op, now_ms);
}
