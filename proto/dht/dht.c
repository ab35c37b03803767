/* The outside of a DHT node: life, datagrams, commands, events. */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void
touch(struct dht *d, struct now now)
{
	d->now_ms = now.mono_ms;
	d->wall_ms = now.wall_ms;
}

static bool
new_carrier(struct dht *d)
{
	if (d->cfg.carrier == DHT_MAINLINE)
		return true;
	d->carrier = carrier_new(d->cfg.rng, d->cfg.introduces);
	return d->carrier && !ways_init(d) && !introducer_init(d);
}

/* Nobody has left anything with us. */
static void
others_init(struct dht *d)
{
	peers_init(&d->peers, &d->id, d->cfg.rng);
	token_init(&d->tokens, d->cfg.rng, d->now_ms);
	guard_init(&d->guard, d->cfg.loopback,
	    d->carrier ? GUARD_UPLOAD_OVERLAY : GUARD_UPLOAD, d->cfg.rng,
	    d->now_ms);
	memset(d->later, 0, sizeof(d->later));
	d->later_due_ms = NEVER;
}

struct dht *
dht_new(const struct dht_config *cfg, struct now now)
{
	struct dht *d = calloc(1, sizeof(*d));

	assert(cfg && cfg->rng);
	if (!d)
		return NULL;
	d->cfg = *cfg;
	d->out = calloc(OUT_MAX, sizeof(*d->out));
	if (!d->out || rpc_init(d) || !new_carrier(d) ||
	    items_init(&d->items, cfg->rng)) {
		carrier_free(d->carrier);
		ways_free(d->ways);
		introducer_free(d->introducer);
		free(d->rpc);
		free(d->out);
		free(d);
		return NULL;
	}
	touch(d, now);
	if (d->carrier)
		overlay_own_id(d, NULL);
	else
		nodeid_random(cfg->rng, &d->id);
	d->items.own = d->id;
	table_init(
	    &d->table, &d->id, d->carrier ? TABLE_TRUST_MS : 0, now.mono_ms);
	others_init(d);
	address_init(&d->address, cfg->loopback, now.mono_ms);
	sent_init(&d->sent, cfg->loopback, cfg->rng, now.mono_ms);
	d->rpc_due_ms = NEVER;
	d->own_ms = NEVER; /* until there is somebody to ask */
	d->fill = TABLE_BUCKETS_MAX;
	d->check_ms = now.mono_ms + CARE_IDLE_MS;
	d->probe_ms = now.mono_ms + DENSITY_HURRY_MS;
	return d;
}

void
dht_free(struct dht *d)
{
	if (!d)
		return;
	if (d->sibling)
		d->sibling->sibling = NULL;
	items_clear(&d->items);
	peers_clear(&d->peers);
	free(d->rpc);
	carrier_free(d->carrier);
	ways_free(d->ways);
	introducer_free(d->introducer);
	for (unsigned i = 0; i < OPS_ALL; i++)
		free(d->op[i]);
	free(d->out);
	free(d);
}

/* What others may have left with us. */
static void
forget_others(struct dht *d)
{
	items_forget(&d->items, d->cfg.rng);
	peers_clear(&d->peers);
	others_init(d);
}

void
dht_renew(struct dht *d, bool has_moved, struct now now)
{
	assert(d && !d->call);
	touch(d, now);
	forget_others(d);
	if (has_moved)
		address_init(&d->address, d->cfg.loopback, now.mono_ms);
	if (d->carrier) {
		carrier_renew(d->carrier);
		introducer_renew(d);
		ways_renew(d);
	}
	care_rename(d, d->address.known ? &d->address.own : NULL, now.mono_ms);
}

void
dht_pair(struct dht *v4, struct dht *v6)
{
	assert(v4->cfg.family == FAMILY_V4 && v6->cfg.family == FAMILY_V6);
	assert(!v4->carrier && !v6->carrier);
	assert(!v4->sibling && !v6->sibling);
	v4->sibling = v6;
	v6->sibling = v4;
}

/* Finds it, or takes it up; NULL: there are enough. */
static struct seed *
seed_of(struct dht *d, const struct endpoint *at)
{
	assert(d->n_seeds <= SEEDS_MAX);
	for (unsigned i = 0; i < d->n_seeds; i++)
		if (endpoint_eq(&d->seed[i].at, at))
			return &d->seed[i];
	if (d->n_seeds == SEEDS_MAX)
		return NULL;
	d->seed[d->n_seeds] = (struct seed){ .at = *at };
	return &d->seed[d->n_seeds++];
}

void
dht_bootstrap(struct dht *d, const struct endpoint *to, struct now now)
{
	dht_bootstrap_key(d, to, NULL, now);
}

void
dht_bootstrap_key(struct dht *d, const struct endpoint *to,
    const struct node_key *n, struct now now)
{
	struct seed *seed;

	assert(d && to);
	touch(d, now);
	if (!care_allowed(d, to))
		return;
	seed = seed_of(d, to);
	if (!seed)
		return;
	if (n && node_key_is_set(n))
		seed->named = *n;
	if (table_count_good(&d->table, now.mono_ms) >= TABLE_K)
		return;
	care_bootstrap(d, now.mono_ms);
}

void
dht_candidate(struct dht *d, const struct endpoint *to, struct now now)
{
	dht_candidate_key(d, to, NULL, now);
}

void
dht_candidate_key(struct dht *d, const struct endpoint *to,
    const struct node_key *n, struct now now)
{
	assert(d && to);
	touch(d, now);
	if (!care_allowed(d, to) || table_find(&d->table, to))
		return;
	if (!d->carrier && endpoint_scope(to) == SCOPE_GLOBAL &&
	    care_is_seed(d, to))
		return;
	if (d->carrier && !node_key_is_set(n))
		care_introduce(d, to, now.mono_ms);
	else
		care_ping(d, to, n, now.mono_ms);
}

void
dht_key(const struct dht *d, struct node_key *ret)
{
	*ret = (struct node_key){ { 0 } };
	if (d->carrier)
		carrier_key(d->carrier, ret);
}

size_t
dht_nodes(const struct dht *d, struct dht_node *ret, size_t max)
{
	size_t n = 0;

	assert(d && (ret || max == 0));
	/* The near ones first: they are the hardest to find again. */
	for (unsigned i = d->table.n_buckets; i-- > 0;) {
		const struct bucket *b = &d->table.bucket[i];

		for (unsigned j = 0; j < b->n && n < max; j++) {
			const struct krpc_node *node = &b->node[j].node;

			if (!table_good(&d->table, &b->node[j], d->now_ms))
				continue;
			ret[n].at = node->at;
			ret[n++].n = node->n;
		}
	}
	return n;
}

bool
dht_may_ask(struct dht *d, const struct endpoint *from)
{
	return !d->cfg.read_only && care_allowed(d, from) &&
	       guard_query(&d->guard, from, d->now_ms);
}

void
dht_asked_by(struct dht *d, const struct endpoint *from)
{
	enum endpoint_scope scope = endpoint_scope(from);

	if (d->now_ms < d->stranger_ms ||
	    (scope != SCOPE_GLOBAL && scope != SCOPE_LOOPBACK) ||
	    !sent_nothing(&d->sent, from, d->now_ms))
		return;
	d->stranger = *from;
	d->stranger_ms = d->now_ms + UNSOLICITED_MS;
}

void
dht_sent(struct dht *d, const struct endpoint *to, struct now now)
{
	assert(d && to);
	sent_keep(&d->sent, to, now.mono_ms);
}

void
dht_on_query(struct dht *d, const struct endpoint *from, const struct krpc *m,
    struct span datagram)
{
	assert(m->kind == KRPC_QUERY);
	dht_asked_by(d, from);
	serve_query(d, from, m, datagram, d->now_ms);
}

void
dht_on_answer(struct dht *d, const struct rpc *rpc, const struct krpc *m)
{
	assert(m->kind != KRPC_QUERY);
	care_answered(d, rpc, m, d->now_ms);
	if (rpc->use == RPC_REGISTER || rpc->use == RPC_PASS)
		ways_answered(d, rpc, m);
	else if (rpc->use != RPC_CHECK)
		op_answered(d, rpc, m, d->now_ms);
}

/* Plain KRPC; false: it drew nothing. */
static bool
take_plain(struct dht *d, const struct endpoint *from, struct span datagram)
{
	struct krpc m;
	struct rpc rpc;

	if (krpc_decode(datagram, &d->scratch, &m))
		return false;
	krpc_plain(&m);
	if (m.kind == KRPC_QUERY) {
		if (!dht_may_ask(d, from))
			return false;
		dht_on_query(d, from, &m, datagram);
		return true;
	}
	if (!rpc_take(d, from, m.t, &rpc))
		return false; /* nobody asked, or not there */
	dht_on_answer(d, &rpc, &m);
	return true;
}

void
dht_receive(struct dht *d, const struct endpoint *from, struct span datagram,
    struct now now)
{
	bool taken;

	assert(d && from && (datagram.p || datagram.n == 0));
	touch(d, now);
	d->stats.n_in++;
	d->stats.bytes_in += datagram.n;
	if (d->carrier)
		taken = overlay_take(d, from, datagram);
	else
		taken = take_plain(d, from, datagram);
	if (!taken)
		d->stats.n_dropped++;
}

void
dht_tick(struct dht *d, struct now now)
{
	assert(d && d->n_rpc <= RPC_FULL && d->n_ops <= OPS_ALL);
	touch(d, now);
	op_sweep(d);
	rpc_expire(d, now.mono_ms);
	for (unsigned i = 0; i < OPS_ALL && d->n_ops > 0; i++) {
		struct op *op = op_at(d, i);

		if (op && op->state != OP_OVER &&
		    now.mono_ms >= op->deadline_ms)
			op_step(d, op, now.mono_ms);
	}
	care_tick(d, now.mono_ms);
}

uint64_t
dht_deadline_ms(const struct dht *d)
{
	uint64_t at_ms = care_deadline_ms(d);
	unsigned left = d->n_ops;

	assert(d->n_ops <= OPS_ALL);

	if (d->rpc_due_ms < at_ms)
		at_ms = d->rpc_due_ms;
	for (unsigned i = 0; i < OPS_ALL && left > 0; i++) {
		const struct op *op = op_at(d, i);

		left -= op != NULL;
		if (op && op->state != OP_OVER && op->deadline_ms < at_ms)
			at_ms = op->deadline_ms;
	}
	return at_ms;
}

/* How much haste a get is in. */
enum haste { HASTE, CALM, GLANCE };

static enum err
start_get(struct dht *d, uint64_t name, const struct dht_item *wanted,
    enum haste haste, struct now now)
{
	struct target goal;
	struct op *op;

	touch(d, now);
	op = op_new(d, OP_GET);
	if (!op)
		return ERR_LIMIT;
	op->name = name;
	op->item = *wanted;
	op->calm = haste != HASTE;
	op->repeat = haste == GLANCE;
	dht_item_target(
	    wanted->pk, span_of(wanted->salt, wanted->salt_n), &goal);
	op_start(d, op, &goal, now.mono_ms);
	return ERR_OK;
}

/* Only its name: whose, and the salt. */
static struct dht_item
wanted(const uint8_t pk[32], struct span salt)
{
	struct dht_item item = { .salt_n = (uint8_t)salt.n };

	assert(salt.n <= DHT_SALT_MAX);
	memcpy(item.pk, pk, sizeof(item.pk));
	if (salt.n > 0)
		memcpy(item.salt, salt.p, salt.n);
	return item;
}

enum err
dht_get(struct dht *d, uint64_t name, const uint8_t pk[32], struct span salt,
    struct now now)
{
	struct dht_item item = wanted(pk, salt);

	return start_get(d, name, &item, HASTE, now);
}

enum err
dht_get_calmly(struct dht *d, uint64_t name, const uint8_t pk[32],
    struct span salt, struct now now)
{
	struct dht_item item = wanted(pk, salt);

	return start_get(d, name, &item, CALM, now);
}

enum err
dht_glance(struct dht *d, uint64_t name, const uint8_t pk[32], struct span salt,
    struct now now)
{
	struct dht_item item = wanted(pk, salt);

	return start_get(d, name, &item, GLANCE, now);
}

static enum err
start_put(struct dht *d, uint64_t name, const struct dht_item *item,
    bool repeat, struct now now)
{
	enum err err = dht_item_verify(item);
	struct target goal;
	struct op *op;

	assert(item->seq >= 1); /* 0 is "no seq" to some nodes */
	touch(d, now);
	if (err)
		return err;
	op = op_new(d, OP_PUT);
	if (!op)
		return ERR_LIMIT;
	op->name = name;
	op->item = *item;
	op->calm = op->repeat = repeat;
	dht_item_target(item->pk, span_of(item->salt, item->salt_n), &goal);
	op_start(d, op, &goal, now.mono_ms);
	return ERR_OK;
}

enum err
dht_put(
    struct dht *d, uint64_t name, const struct dht_item *item, struct now now)
{
	return start_put(d, name, item, false, now);
}

enum err
dht_refresh(
    struct dht *d, uint64_t name, const struct dht_item *item, struct now now)
{
	return start_put(d, name, item, true, now);
}

static enum err
start_peers(struct dht *d, struct op *op, uint64_t name,
    const struct target *hash, struct now now)
{
	touch(d, now);
	if (!op)
		return ERR_LIMIT;
	op->name = name;
	op_start(d, op, hash, now.mono_ms);
	return ERR_OK;
}

enum err
dht_get_peers(
    struct dht *d, uint64_t name, const struct target *hash, struct now now)
{
	assert(d && hash);
	return start_peers(d, op_new(d, OP_PEERS), name, hash, now);
}

enum err
dht_announce(struct dht *d, uint64_t name, const struct target *hash,
    uint16_t port, bool implied, struct now now)
{
	struct op *op = op_new(d, OP_ANNOUNCE);

	assert(hash && port != 0);
	if (op) {
		op->port = port;
		op->implied = implied;
	}
	return start_peers(d, op, name, hash, now);
}

bool
dht_cancel(struct dht *d, uint64_t name)
{
	bool is_asked = false;

	for (unsigned i = 0; i < DHT_OPS_MAX; i++) {
		if (!op_at(d, i) || d->op[i]->name != name)
			continue;
		is_asked |= d->op[i]->state != OP_LOOKING;
		op_free(d, d->op[i]);
	}
	return is_asked;
}

bool
dht_next_send(struct dht *d, struct dht_send *ret)
{
	const struct out *o = &d->out[d->out_first];

	assert(ret && d->n_out <= OUT_MAX && d->out_first < OUT_MAX);

	if (d->n_out == 0)
		return false;
	ret->to = o->to;
	ret->data = span_of(o->data, o->n);
	assert(o->n > 0 && o->n <= KRPC_SIZE_MAX);
	d->out_first = (d->out_first + 1) % OUT_MAX;
	d->n_out--;
	return true;
}

/* What an operation has to tell: what it found first, its end last. */
static bool
op_event(struct dht *d, struct op *op, struct dht_event *ret)
{
	bool wrote = op->kind == OP_PUT || op->kind == OP_ANNOUNCE;

	ret->op = op->name;
	if (d->found.n > 0 && d->found.serial == op->serial) {
		ret->kind = DHT_PEERS;
		ret->peers = d->found.peer;
		ret->n = d->found.n;
		d->found.n = 0;
		return true;
	}
	if (op->tell_seen) {
		op->tell_seen = false;
		ret->kind = DHT_VALUE;
		ret->item = &op->seen;
		return true;
	}
	if (!op->tell_over)
		return false;
	assert(op->state == OP_OVER);
	ret->kind = wrote ? DHT_PUT_DONE : DHT_GET_DONE;
	ret->report = op->report;
	ret->n = op->report.n_answered;
	ret->found = op->has_seen;
	if (wrote) {
		ret->n = op->report.n_stored;
		ret->found = ret->n > 0;
	}
	op_free(d, op);
	return true;
}

/* What others see of us and of where we are. */
static bool
place_event(struct dht *d, struct dht_event *ret)
{
	if (d->tell_address) {
		d->tell_address = false;
		ret->kind = DHT_ADDRESS;
		ret->address = d->address.own;
		return true;
	}
	if (d->n_seen > 0) {
		ret->kind = DHT_SEEN;
		ret->address = d->seen[d->seen_first].us;
		ret->by = d->seen[d->seen_first].by;
		d->seen_first = (d->seen_first + 1) % SEEN_MAX;
		d->n_seen--;
		return true;
	}
	if (d->stranger.port != 0) {
		ret->kind = DHT_UNSOLICITED;
		ret->by = d->stranger;
		d->stranger.port = 0;
		return true;
	}
	return false;
}

bool
dht_next_event(struct dht *d, struct dht_event *ret)
{
	unsigned left = d->n_ops;

	*ret = (struct dht_event){ .op = 0 };
	if (d->tell_ready) {
		d->tell_ready = false;
		ret->kind = DHT_READY;
		return true;
	}
	if (place_event(d, ret) || (d->ways && ways_event(d, ret)))
		return true;
	for (unsigned i = 0; i < DHT_OPS_MAX && left > 0; i++) {
		if (!op_at(d, i))
			continue;
		if (op_event(d, d->op[i], ret))
			return true;
		left--;
	}
	return false;
}

void
dht_get_stats(const struct dht *d, struct dht_stats *ret)
{
	assert(d && ret);
	*ret = d->stats;
	ret->nodes = table_count(&d->table);
	ret->nodes_good = table_count_good(&d->table, d->now_ms);
	ret->buckets = d->table.n_buckets;
	ret->items = d->items.index.n;
	ret->ops = d->n_ops;
	ret->id = d->id;
	introducer_stats(d, ret);
	ret->network_size = density_size(&d->density, NULL);
	/* Fewer than the lookups can tell by distance. */
	if (!ret->network_size && ret->nodes > 0)
		ret->network_size = ret->nodes + 1;
}
