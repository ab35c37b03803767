/* Upkeep: bootstrap, newcomers, checks of nodes, our address. */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <string.h>

enum { FILL_NONE = TABLE_BUCKETS_MAX }; /* d->fill: our own id comes next */

bool
care_is_seed(const struct dht *d, const struct endpoint *at)
{
	for (unsigned i = 0; i < d->n_seeds; i++)
		if (endpoint_eq(&d->seed[i].at, at))
			return true;
	return false;
}

bool
care_allowed(const struct dht *d, const struct endpoint *at)
{
	assert(d && at);
	if (at->port == 0 || endpoint_family(at) != d->cfg.family)
		return false;
	switch (endpoint_scope(at)) {
	case SCOPE_UNUSABLE:
		return false;
	case SCOPE_LOOPBACK:
		return d->cfg.loopback;
	case SCOPE_LINK:
	case SCOPE_PRIVATE:
	case SCOPE_GLOBAL:
		break;
	}
	return true;
}

bool
care_usable(const struct dht *d, const struct krpc_node *node,
    const struct endpoint *from)
{
	enum endpoint_scope scope = endpoint_scope(&node->at);

	if (!care_allowed(d, &node->at) || nodeid_eq(&node->id, &d->id) ||
	    !overlay_honest(d, node))
		return false;
	if (d->address.known && endpoint_eq(&node->at, &d->address.own))
		return false;
	/* Nobody out there may point us at machines beside us. */
	return scope == SCOPE_GLOBAL || endpoint_scope(from) == scope;
}

void
care_hurry(struct dht *d, uint64_t now_ms)
{
	if (d->check_ms > now_ms + CARE_STEP_MS)
		d->check_ms = now_ms + CARE_STEP_MS;
}

void
care_ping(struct dht *d, const struct endpoint *to, const struct node_key *n,
    uint64_t now_ms)
{
	struct rpc_request r = { RPC_CHECK, NULL, to, n, LOOKUP_HARD_MS };
	struct krpc m = { .method = KRPC_PING };

	if (out_room(d) && !rpc_pending(d, to))
		(void)rpc_send(d, &r, &m, now_ms);
}

/* A first member of a private net may not be there yet: soon again. */
static uint64_t
introduce_ms(const struct dht *d, const struct endpoint *to)
{
	bool local = endpoint_scope(to) != SCOPE_GLOBAL;
	uint64_t ms = local ? 100 : 600;

	if (d->own_round > 5)
		return LOOKUP_HARD_MS;
	ms <<= d->own_round;
	return ms < LOOKUP_HARD_MS ? ms : LOOKUP_HARD_MS;
}

void
care_introduce(struct dht *d, const struct endpoint *to, uint64_t now_ms)
{
	struct rpc_request r = { RPC_INTRODUCE, NULL, to, NULL, 0 };
	struct krpc m = { .method = KRPC_PING };

	assert(d->carrier);
	r.wait_ms = introduce_ms(d, to);
	if (out_room(d) && !rpc_pending(d, to) &&
	    guard_ping(&d->guard, to, now_ms))
		(void)rpc_send(d, &r, &m, now_ms);
}

bool
care_wants(const struct dht *d, const struct krpc_node *node, uint64_t now_ms)
{
	bool local = endpoint_scope(&node->at) != SCOPE_GLOBAL;

	if (!care_allowed(d, &node->at) || !overlay_honest(d, node) ||
	    (!d->carrier && care_is_seed(d, &node->at) && !local))
		return false;
	/* Known under another id: it says itself which one is right. */
	return table_find(&d->table, &node->at) ||
	       table_wants(&d->table, node, now_ms);
}

/* Somebody says that there is a node: it counts when it has answered. */
void
care_newcomer(struct dht *d, const struct krpc_node *node, uint64_t now_ms)
{
	if (care_wants(d, node, now_ms) &&
	    guard_ping(&d->guard, &node->at, now_ms))
		care_ping(d, &node->at, &node->n, now_ms);
}

static void
send_find(
    struct dht *d, const struct krpc_node *to, unsigned bucket, uint64_t now_ms)
{
	struct rpc_request r = { RPC_CHECK, NULL, &to->at, &to->n,
		LOOKUP_HARD_MS };
	struct krpc m = { .method = KRPC_FIND_NODE, .has_target = true };

	assert(bucket < d->table.n_buckets);
	nodeid_in_bucket(&d->id, bucket, d->cfg.rng, &m.target);
	if (out_room(d))
		(void)rpc_send(d, &r, &m, now_ms);
}

/* The node that is due says whether it lives, and whom it knows if its bucket
 * has room. */
static void
check_node(struct dht *d, struct table_node *n, uint64_t now_ms)
{
	unsigned i = nodeid_common(&d->id, &n->node.id);

	assert(i < NODEID_BITS);
	if (i >= d->table.n_buckets)
		i = d->table.n_buckets - 1;
	n->checked_ms = now_ms;
	n->doubt = false;
	if (d->table.bucket[i].n < TABLE_K)
		send_find(d, &n->node, i, now_ms);
	else
		care_ping(d, &n->node.at, &n->node.n, now_ms);
}

static void
refresh(struct dht *d, unsigned bucket, uint64_t now_ms)
{
	struct krpc_node near;
	struct target goal;

	assert(bucket < d->table.n_buckets);
	d->table.bucket[bucket].touched_ms = now_ms;
	nodeid_in_bucket(&d->id, bucket, d->cfg.rng, &goal);
	if (table_closest(&d->table, &goal, TABLE_HAND_OUT, &near, 1) == 1)
		send_find(d, &near, bucket, now_ms);
}

/* One node or one bucket at a time, and sleep until the next is due. */
static void
check(struct dht *d, uint64_t now_ms)
{
	uint64_t due_ms, stale_ms, next_ms;
	struct table_node *n = table_due(&d->table, &due_ms);
	unsigned bucket = table_stale(&d->table, &stale_ms);

	if (n && due_ms <= now_ms)
		check_node(d, n, now_ms);
	else if (stale_ms <= now_ms)
		refresh(d, bucket, now_ms);
	(void)table_due(&d->table, &due_ms);
	(void)table_stale(&d->table, &stale_ms);
	next_ms = due_ms < stale_ms ? due_ms : stale_ms;
	if (next_ms < now_ms + CARE_STEP_MS)
		next_ms = now_ms + rng_jitter(d->cfg.rng, CARE_STEP_MS, 20);
	if (next_ms > now_ms + CARE_IDLE_MS)
		next_ms = now_ms + CARE_IDLE_MS;
	assert(next_ms > now_ms); /* or the owner would spin */
	d->check_ms = next_ms;
}

/* ---- lookups of our own: who is near us, who is in each bucket ---- */

static bool
inner_busy(const struct dht *d)
{
	for (unsigned i = DHT_OPS_MAX; i < OPS_ALL; i++)
		if (op_at(d, i))
			return true;
	return false;
}

static uint64_t
own_pause_ms(const struct dht *d)
{
	unsigned round = d->own_round < 12 ? d->own_round : 12;
	uint64_t ms = OWN_LAST_MS;

	if (table_count(&d->table) == 0) {
		ms = (uint64_t)OWN_FIRST_MS << round;
		ms = ms < CARE_IDLE_MS ? ms : CARE_IDLE_MS;
	} else if (d->own_round < OWN_ROUNDS &&
	           table_count(&d->table) < TABLE_SMALL) {
		ms = (uint64_t)OWN_FIRST_MS << 2 * round;
	}
	assert(ms > 0 && ms <= OWN_LAST_MS);
	return rng_jitter(d->cfg.rng, ms, 20);
}

/* Overlay nodes that we know no key of. */
static void
introduce_seeds(struct dht *d, uint64_t now_ms)
{
	for (unsigned i = 0; i < d->n_seeds; i++) {
		const struct seed *s = &d->seed[i];

		if (node_key_is_set(&s->n))
			continue;
		if (node_key_is_set(&s->named))
			care_ping(d, &s->at, &s->named, now_ms);
		else
			care_introduce(d, &s->at, now_ms);
	}
}

static void
start_own(struct dht *d, uint64_t now_ms)
{
	struct op *op;

	d->own_ms = now_ms + own_pause_ms(d);
	if (d->own_round >= OWN_ROUNDS &&
	    table_count_good(&d->table, now_ms) >= TABLE_K)
		return;
	if (table_count(&d->table) == 0 && d->n_seeds == 0)
		return;
	if (d->carrier)
		introduce_seeds(d, now_ms);
	op = op_new(d, OP_OWN);
	if (!op) /* no memory: another time */
		return;
	d->own_ms = NEVER; /* until it is over */
	op_start(d, op, &d->id, now_ms);
}

/* The next bucket that has room; false: there is none. */
static bool
start_fill(struct dht *d, uint64_t now_ms)
{
	struct target goal;
	struct op *op;

	while (d->fill < d->table.n_buckets &&
	       d->table.bucket[d->fill].n == TABLE_K)
		d->fill++;
	if (d->fill >= d->table.n_buckets)
		return false;
	nodeid_in_bucket(&d->id, d->fill, d->cfg.rng, &goal);
	d->fill++;
	op = op_new(d, OP_FILL);
	if (!op)
		return false;
	d->own_ms = NEVER;
	op_start(d, op, &goal, now_ms);
	return true;
}

static void
tell_ready(struct dht *d)
{
	if (!d->was_ready)
		d->tell_ready = true;
	d->was_ready = true;
}

/* Does not start anything itself: the next tick does. */
void
care_op_over(struct dht *d, struct op *op, uint64_t now_ms)
{
	enum op_kind kind = op->kind;
	unsigned n_answered = op->report.n_answered;

	assert(op->state == OP_OVER);
	op_free(d, op);
	if (n_answered > 0)
		tell_ready(d);
	if (kind == OP_PROBE && d->own_round > 0)
		return;
	d->own_ms = now_ms;
	if (kind != OP_OWN)
		return;
	d->fill = FILL_NONE;
	if (d->own_round < OWN_ROUNDS && n_answered > 0)
		d->fill = 0;
	else
		d->own_ms = now_ms + own_pause_ms(d);
	d->own_round++;
}

static uint64_t
probe_pause_ms(const struct dht *d)
{
	unsigned n_known = density_known(&d->density);

	if (table_count(&d->table) < DENSITY_SMALL)
		return CARE_IDLE_MS;
	if (n_known <= DENSITY_MIN)
		return DENSITY_HURRY_MS;
	return n_known < DENSITY_AREAS ? DENSITY_STEP_MS : DENSITY_PAUSE_MS;
}

/* Somewhere in the id space, to know how many nodes there are; if the lookups
 * that we do anyway have not told. */
static void
start_probe(struct dht *d, uint64_t now_ms)
{
	uint64_t old_ms = density_oldest_ms(&d->density);
	struct target goal;
	struct op *op;

	d->probe_ms = now_ms + rng_jitter(d->cfg.rng, probe_pause_ms(d), 20);
	if (table_count(&d->table) < DENSITY_SMALL ||
	    (old_ms > 0 && now_ms < old_ms + DENSITY_OLD_MS))
		return;
	density_gap(&d->density, d->cfg.rng, &goal);
	op = op_new(d, OP_PROBE);
	if (op)
		op_start(d, op, &goal, now_ms);
}

static void
look_around(struct dht *d, uint64_t now_ms)
{
	if (inner_busy(d))
		return;
	if (now_ms < d->own_ms) {
		if (now_ms >= d->probe_ms)
			start_probe(d, now_ms);
	} else if (d->fill == FILL_NONE) {
		start_own(d, now_ms);
	} else if (!start_fill(d, now_ms)) {
		d->fill = FILL_NONE;
		d->own_ms = now_ms + own_pause_ms(d);
	}
}

void
care_tick(struct dht *d, uint64_t now_ms)
{
	items_expire(&d->items, now_ms);
	peers_expire(&d->peers, now_ms);
	serve_tick(d, now_ms);
	look_around(d, now_ms);
	if (now_ms >= d->check_ms)
		check(d, now_ms);
}

uint64_t
care_deadline_ms(const struct dht *d)
{
	uint64_t at_ms = d->check_ms;

	if (d->own_ms < at_ms && !inner_busy(d))
		at_ms = d->own_ms;
	if (d->probe_ms < at_ms && !inner_busy(d))
		at_ms = d->probe_ms;
	if (d->items.expire_ms < at_ms)
		at_ms = d->items.expire_ms;
	if (d->later_due_ms < at_ms)
		at_ms = d->later_due_ms;
	if (d->peers.sweep_ms < at_ms)
		at_ms = d->peers.sweep_ms;
	return at_ms;
}

/* ---- answers ---- */

void
care_bootstrap(struct dht *d, uint64_t now_ms)
{
	d->own_round = 0;
	if (!inner_busy(d))
		d->own_ms = now_ms;
}

/* Our id must fit the address. [BEP 42] */
void
care_rename(struct dht *d, const struct endpoint *at, uint64_t now_ms)
{
	uint8_t salt;

	if (d->carrier) {
		overlay_own_id(d, at);
	} else if (at) {
		rng_fill(d->cfg.rng, &salt, 1);
		nodeid_make(at, salt, d->cfg.rng, &d->id);
	} else {
		nodeid_random(d->cfg.rng, &d->id);
	}
	assert(!at || nodeid_valid(&d->id, at));
	d->items.own = d->peers.own = d->id;
	table_move(&d->table, &d->id, now_ms);
	d->own_round = 0;
	if (!inner_busy(d))
		d->own_ms = now_ms;
}

/* A majority sees us elsewhere. */
static void
move(struct dht *d, uint64_t now_ms)
{
	assert(d->address.known);
	d->tell_address = true;
	if (!nodeid_valid(&d->id, &d->address.own))
		care_rename(d, &d->address.own, now_ms);
}

static void
keep_seen(struct dht *d, const struct endpoint *by, const struct endpoint *us)
{
	struct seen *s;

	if (us->port == 0 || endpoint_family(us) != d->cfg.family ||
	    endpoint_scope(us) == SCOPE_UNUSABLE)
		return;
	if (d->n_seen == SEEN_MAX) {
		d->seen_first = (d->seen_first + 1) % SEEN_MAX;
		d->n_seen--;
	}
	s = &d->seen[(d->seen_first + d->n_seen) % SEEN_MAX];
	*s = (struct seen){ *by, *us };
	d->n_seen++;
	assert(d->n_seen <= SEEN_MAX);
}

/* How an answer saw us. In the overlay nobody takes a node whose id fits no
 * address, and so nobody would ask it and vote: there the first vote counts
 * for the id alone, until the majority knows better. */
static void
learn_address(
    struct dht *d, const struct rpc *rpc, const struct krpc *m, uint64_t now_ms)
{
	if (!m->has_ip)
		return;
	keep_seen(d, &rpc->to, &m->ip);
	if (address_vote(&d->address, &rpc->to, &m->ip, now_ms))
		move(d, now_ms);
	else if (d->carrier && !d->bound &&
	         endpoint_scope(&m->ip) == SCOPE_GLOBAL &&
	         endpoint_family(&m->ip) == d->cfg.family)
		care_rename(d, &m->ip, now_ms);
}

static void
learn_rtt(struct dht *d, uint64_t rtt_ms)
{
	uint64_t *rtt = &d->stats.rtt_ms;
	uint64_t off_ms = rtt_ms > *rtt ? rtt_ms - *rtt : *rtt - rtt_ms;

	/* The first may differ as much again. Of later ones none counts for
	 * more: an answer that waited for a ping that got lost comes a second
	 * late, and the next lookups would wait so long for each dead node. */
	if (*rtt == 0)
		off_ms = rtt_ms;
	else if (off_ms > *rtt)
		off_ms = *rtt;
	d->rtt_var_ms = (3 * d->rtt_var_ms + off_ms) / 4;
	*rtt = *rtt ? (7 * *rtt + rtt_ms + 7) / 8 : rtt_ms;
}

static void
met(struct dht *d, const struct krpc_node *node, uint64_t sent_ms,
    uint64_t now_ms)
{
	uint64_t rtt_ms = now_ms - sent_ms;
	bool first = table_count(&d->table) == 0;

	if (!table_answered(&d->table, node, (uint32_t)rtt_ms, now_ms))
		return;
	tell_ready(d);
	if (table_count(&d->table) == DENSITY_SMALL)
		d->probe_ms = now_ms;  /* a space, not a place, any more */
	if (first && !inner_busy(d)) { /* somebody to ask, at last */
		d->own_round = 0;
		d->own_ms = now_ms;
	}
	op_feed(d, node, LOOKUP_TABLE, sent_ms, now_ms);
}

static void
know_seed(struct dht *d, const struct endpoint *at, const struct node_key *n)
{
	for (unsigned i = 0; i < d->n_seeds; i++)
		if (endpoint_eq(&d->seed[i].at, at))
			d->seed[i].n = *n;
}

void
care_introduced(struct dht *d, const struct rpc *rpc, const struct krpc *m)
{
	assert(d->carrier && rpc->use == RPC_INTRODUCE);
	if (m->kind != KRPC_RESPONSE || !m->has_n || !node_key_is_set(&m->n))
		return;
	learn_address(d, rpc, m, d->now_ms);
	care_ping(d, &rpc->to, &m->n, d->now_ms);
}

/* It may have another N by now. The one that its operator named has had its
 * chance; what is asked next is the key of the day. */
void
care_seed_lost(struct dht *d, const struct endpoint *at)
{
	for (unsigned i = 0; i < d->n_seeds; i++) {
		if (!endpoint_eq(&d->seed[i].at, at))
			continue;
		d->seed[i].n = (struct node_key){ { 0 } };
		care_introduce(d, at, d->now_ms);
	}
}

bool
care_lacks_other(const struct dht *d)
{
	return d->sibling && table_count(&d->sibling->table) < WIDE_NODES;
}

/* Nodes of the other family are candidates of the node that runs there. */
static void
tell_sibling(struct dht *d, const struct endpoint *from, const struct krpc *m,
    uint64_t now_ms)
{
	struct krpc_node node[KRPC_NODES_MAX];
	struct dht *to = d->sibling;
	size_t n;

	if (!care_lacks_other(d))
		return;
	assert(to->cfg.family != d->cfg.family);
	n = krpc_nodes_read(
	    m->nodes[to->cfg.family], form_of(to), node, KRPC_NODES_MAX);
	to->now_ms = now_ms;
	for (size_t i = 0; i < n; i++)
		if (care_usable(to, &node[i], from))
			care_newcomer(to, &node[i], now_ms);
}

void
care_answered(
    struct dht *d, const struct rpc *rpc, const struct krpc *m, uint64_t now_ms)
{
	struct krpc_node node[KRPC_NODES_MAX];
	bool local = endpoint_scope(&rpc->to) != SCOPE_GLOBAL;
	size_t n;

	assert(m->kind != KRPC_QUERY && now_ms >= rpc->sent_ms);
	learn_rtt(d, now_ms - rpc->sent_ms);
	guard_proven(&d->guard, &rpc->to, now_ms);
	serve_proven(d, &rpc->to, now_ms);
	/* Who refuses our id tells which address it has to fit. [BEP 42] */
	learn_address(d, rpc, m, now_ms);
	if (m->kind != KRPC_RESPONSE)
		return;
	node[0] = (struct krpc_node){ m->id, rpc->to, m->n };
	if (d->carrier)
		know_seed(d, &rpc->to, &m->n);
	if (d->carrier ? overlay_honest(d, &node[0])
	               : local || !care_is_seed(d, &rpc->to))
		met(d, &node[0], rpc->sent_ms, now_ms);
	else
		op_feed(d, &node[0], LOOKUP_SEED, rpc->sent_ms, now_ms);
	tell_sibling(d, &rpc->to, m, now_ms);
	if (rpc->use != RPC_CHECK)
		return;
	n = krpc_nodes_read(
	    m->nodes[d->cfg.family], form_of(d), node, KRPC_NODES_MAX);
	for (size_t i = 0; i < n; i++)
		if (care_usable(d, &node[i], &rpc->to))
			care_newcomer(d, &node[i], now_ms);
}

void
care_timeout(struct dht *d, const struct rpc *rpc, uint64_t now_ms)
{
	assert(now_ms >= rpc->due_ms);
	if (rpc->use == RPC_INTRODUCE)
		return;
	assert(rpc->use == RPC_CHECK);
	table_failed(&d->table, &rpc->to, false, now_ms);
	care_hurry(d, now_ms);
}
