/*
 * Meeting through the DHT: own cells are put, theirs are looked for, as the
 * schedule of each contact says; only for contacts without a session, and
 * only so many at a time. [SPEC §4.2]
 */
#include "proto/node_int.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { VALUE_HEAD = 4 }; /* "512:" */
static const char value_head[] = "512:";
static const uint8_t second_salt = '1'; /* [SPEC §4.2] */

/* ---- operations ---- */

static uint64_t
op_name(const struct node *n, const struct op *op)
{
	return ((uint64_t)op->serial << 32) | (uint64_t)(op - n->ops);
}

static struct op *
op_new(struct node *n, enum op_kind kind, unsigned net, uint32_t slot)
{
	for (size_t i = 0; i < NODE_OPS_MAX; i++) {
		struct op *op = &n->ops[i];

		if (op->kind != OP_NONE)
			continue;
		*op = (struct op){ .kind = kind, .net = net, .slot = slot };
		op->serial = ++n->op_serial;
		op->began_ms = n->now.mono_ms;
		n->n_ops++;
		return op;
	}
	return NULL;
}

static void
op_free(struct node *n, struct op *op)
{
	assert(op->kind != OP_NONE && n->n_ops > 0);
	cell_key_wipe(&op->key);
	op->kind = OP_NONE;
	n->n_ops--;
}

static struct op *
op_by_name(struct node *n, uint64_t name)
{
	size_t at = name & UINT32_MAX;

	if (at >= NODE_OPS_MAX || n->ops[at].kind == OP_NONE ||
	    n->ops[at].serial != name >> 32)
		return NULL;
	return &n->ops[at];
}

/* What one contact may need at once: two epochs in each DHT. */
static bool
ops_free(const struct node *n)
{
	return n->n_ops + 2 * NODE_NETS <= NODE_OPS_MAX;
}

static void
forget(struct node *n, uint32_t slot, bool host)
{
	for (size_t i = 0; i < NODE_OPS_MAX; i++) {
		struct op *op = &n->ops[i];

		if (op->kind == OP_NONE || op->slot != slot ||
		    (op->kind == OP_SERVE) != host)
			continue;
		dht_cancel(n->dht[op->net], op_name(n, op));
		op_free(n, op);
	}
}

void
meet_forget(struct node *n, const struct peer *p)
{
	forget(n, p->slot, false);
}

void
meet_forget_host(struct node *n, const struct host *h)
{
	forget(n, (uint32_t)(h - n->hosts), true);
}

/* ---- schedule ---- */

void
meet_retime(struct node *n, struct peer *p)
{
	uint64_t at = rendezvous_deadline_ms(&p->meet);

	if (p->shunned_until_ms != 0 && at != NEVER)
		at = p->shunned_until_ms;
	/* Room was reserved when the peer was made. */
	if (heap_set(&n->timers, &p->timer, at))
		n->failed = true;
	n->unsettled = true;
}

void
meet_start(struct node *n, struct peer *p)
{
	rendezvous_start(&p->meet, n->now);
	if (p->c.invited)
		p->meet.publish_at_ms = NEVER; /* the inviter does not look */
	meet_retime(n, p);
}

void
meet_stop(struct node *n, struct peer *p)
{
	rendezvous_stop(&p->meet);
	meet_retime(n, p);
}

void
meet_changed(struct node *n)
{
	for (size_t i = 0; i < n->peers_cap; i++) {
		struct peer *p = n->peers[i];

		if (p == NULL || p->online || p->c.invited)
			continue;
		rendezvous_changed(&p->meet, n->now);
		meet_retime(n, p);
	}
	for (size_t i = 0; i < NODE_INVITES_MAX; i++)
		if (n->hosts[i].live)
			rendezvous_changed(&n->hosts[i].meet, n->now);
}

void
meet_all(struct node *n)
{
	for (size_t i = 0; i < n->peers_cap; i++)
		if (n->peers[i] != NULL && !n->peers[i]->online)
			meet_start(n, n->peers[i]);
	for (size_t i = 0; i < NODE_INVITES_MAX; i++)
		if (n->hosts[i].live)
			rendezvous_changed(&n->hosts[i].meet, n->now);
}

uint64_t
meet_deadline_ms(const struct node *n)
{
	const struct heap_node *top = heap_top(&n->timers);
	uint64_t at = top != NULL ? top->at_ms : NEVER;

	if (!ops_free(n))
		return NEVER; /* an end of a lookup brings us back */
	for (size_t i = 0; i < NODE_INVITES_MAX; i++)
		if (n->hosts[i].live && n->hosts[i].meet.publish_at_ms < at)
			at = n->hosts[i].meet.publish_at_ms;
	return at;
}

/* ---- own cell ---- */

static bool
usable(const struct node *n, const struct endpoint *e)
{
	enum endpoint_scope scope = endpoint_scope(e);

	return e->port != 0 &&
	       (scope == SCOPE_GLOBAL || scope == SCOPE_PRIVATE ||
	           (scope == SCOPE_LOOPBACK && n->loopback));
}

static uint8_t
add_candidate(const struct endpoint *e, struct endpoint *ret, uint8_t count)
{
	for (uint8_t i = 0; i < count; i++)
		if (endpoint_eq(&ret[i], e))
			return count;
	if (count < CELL_CANDIDATES_MAX)
		ret[count++] = *e;
	return count;
}

uint8_t
own_candidates(const struct node *n, struct endpoint *ret)
{
	uint8_t count = 0;

	for (int f = 0; f < FAMILY_COUNT; f++)
		if (n->has_address[f] && usable(n, &n->address[f]))
			count = add_candidate(&n->address[f], ret, count);
	for (uint8_t i = 0; i < n->n_local; i++)
		if (usable(n, &n->local[i]))
			count = add_candidate(&n->local[i], ret, count);
	return count;
}

struct publication {
	enum op_kind kind;
	uint32_t slot;
	const struct disc_key *disc;
	enum cell_dir dir;
	const struct reach_key *reach;
	uint64_t at_s; /* Unix time */
	bool salted;   /* under the second salt */
	bool renewal;  /* nobody waits for it */
};

/* Seals our cell for `epoch` and begins to put it in one DHT. */
static bool
put_cell(
    struct node *n, struct op *op, const struct publication *what, bool renewal)
{
	uint8_t nonce[CELL_NONCE_SIZE];
	struct dht_item item = { 0 };
	struct cell cell = { .unix_min = what->at_s / 60 };
	enum err err;

	if (cell_seq(&op->key, what->at_s, &item.seq))
		return false;
	cell.cert = n->self.s[0].cert;
	cell.reach = *what->reach;
	cell.n_candidates = own_candidates(n, cell.candidates);
	rng_fill(&n->rng, nonce, sizeof(nonce));
	memcpy(item.pk, op->key.pk, sizeof(item.pk));
	if (what->salted)
		item.salt[item.salt_n++] = second_salt;
	memcpy(item.v, value_head, VALUE_HEAD);
	item.v_n = VALUE_HEAD + CELL_VALUE_SIZE;
	cell_seal(&op->key, item.seq, &cell, nonce, item.v + VALUE_HEAD);
	dht_item_sign(&item, op->key.sk);
	err = (renewal ? dht_refresh : dht_put)(
	    n->dht[op->net], op_name(n, op), &item, n->now);
	sodium_memzero(&cell, sizeof(cell));
	return err == ERR_OK;
}

/* Puts our cell in every DHT that carries them, and every epoch of now. */
static void
publish(struct node *n, const struct publication *what, struct putting *put)
{
	uint64_t epochs[2];
	unsigned count = cell_epochs_write(what->disc, what->at_s, epochs);

	assert(count == 1 || count == 2);
	put->n = 0;
	put->best = 0;
	put->beaten = false;
	for (unsigned i = 0; i < count * NODE_NETS; i++) {
		uint64_t epoch = epochs[i / NODE_NETS];
		bool renewal = what->renewal && epoch <= put->last_epoch;
		struct op *op;

		if (!nets_carry(n, i % NODE_NETS))
			continue;
		op = op_new(n, what->kind, i % NODE_NETS, what->slot);
		if (op == NULL)
			break;
		cell_key_derive(what->disc, what->dir, epoch, &op->key);
		if (put_cell(n, op, what, renewal))
			put->n++;
		else
			op_free(n, op);
	}
	put->last_epoch =
	    epochs[count - 1] > epochs[0] ? epochs[count - 1] : epochs[0];
}

static bool
we_are_lower(const struct node *n, const struct peer *p)
{
	return id_cmp(&n->self.id, &p->c.pk) < 0;
}

static void
publish_to(struct node *n, struct peer *p)
{
	struct publication what = {
		.kind = OP_PUBLISH,
		.slot = p->slot,
		.disc = &p->c.disc,
		.dir = we_are_lower(n, p) ? CELL_LOWER : CELL_HIGHER,
		.reach = &n->self.reach,
		.at_s = rendezvous_claim_s(&p->meet, n->now.wall_ms / 1000),
		.salted = p->put.salted,
		.renewal = rendezvous_is_renewal(&p->meet),
	};

	assert(!p->c.invited);
	p->c.put_s = what.at_s; /* durable before a node sees it */
	peer_dirty(n, p);
	rendezvous_publishing(&p->meet, n->now);
	publish(n, &what, &p->put);
	if (p->put.n == 0)
		rendezvous_published(&p->meet, &n->rng, 0, n->now);
}

static void
serve(struct node *n, struct host *h)
{
	struct publication what = {
		.kind = OP_SERVE,
		.slot = (uint32_t)(h - n->hosts),
		.disc = &h->invite.disc,
		.dir = CELL_LOWER, /* in an invitation: the inviter */
		.reach = &h->invite.reach,
		.at_s = rendezvous_claim_s(&h->meet, n->now.wall_ms / 1000),
		.salted = h->put.salted,
		.renewal = rendezvous_is_renewal(&h->meet),
	};

	h->invite.put_s = what.at_s; /* durable before a node sees it */
	invite_store(n, h);
	rendezvous_publishing(&h->meet, n->now);
	publish(n, &what, &h->put);
	if (h->put.n == 0)
		rendezvous_published(&h->meet, &n->rng, 0, n->now);
}

/* ---- their cell ---- */

/* Asks for the cell of the op's step; false: no such lookup now. */
static bool
get_cell(struct node *n, const struct peer *p, struct op *op)
{
	struct span salt = span_of(&second_salt, op->step == 2 ? 1 : 0);
	enum cell_dir dir = CELL_LOWER;
	uint64_t epochs[2];

	if (!p->c.invited && we_are_lower(n, p))
		dir = CELL_HIGHER;
	cell_epochs_read(&p->c.disc, n->now.wall_ms / 1000, epochs);
	assert(op->step <= 2);
	cell_key_derive(&p->c.disc, dir, epochs[op->step % 2], &op->key);
	return (op->glance ? dht_glance : dht_get)(n->dht[op->net],
	           op_name(n, op), op->key.pk, salt, n->now) == ERR_OK;
}

/*
 * Where to look after a step that gave no cell: 0 the nearer epoch, 1 the
 * other one, 2 the nearer one under the second salt, if there was something
 * in the first place that is not theirs. A glance that shows nothing goes no
 * further. False: that was all.
 */
static bool
next_look(struct op *op)
{
	if (op->step == 2 || ((op->step == 1 || op->glance) && !op->seen))
		return false;
	op->glance = false;
	op->step++;
	return true;
}

/* The overlay was asked alone and had nothing: the writer may not think it as
 * large as we do, or take no part in it. */
static bool
look_outside(const struct node *n, struct op *op)
{
	unsigned plain = net_of(DHT_MAINLINE, net_family(op->net));

	if (net_carrier(op->net) != DHT_OVERLAY || n->dht[plain] == NULL ||
	    nets_carry(n, plain))
		return false;
	op->net = plain;
	op->step = 0;
	op->seen = false;
	return true;
}

static void
look_for(struct node *n, struct peer *p)
{
	rendezvous_looking(&p->meet, &n->rng, n->now);
	peer_connect(n, p);
	for (unsigned i = 0; i < NODE_NETS; i++) {
		struct op *op;

		if (!nets_carry(n, i))
			continue;
		op = op_new(n, OP_LOOK, i, p->slot);
		if (op == NULL)
			break;
		op->glance = rendezvous_is_glance(&p->meet);
		if (!get_cell(n, p, op))
			op_free(n, op);
	}
}

static void
take_cell(struct node *n, struct peer *p, const struct cell *cell)
{
	bool changed;

	p->meet.seen = true;
	if (cell->unix_min < p->c.cell_min ||
	    contact_learn(&p->c, &cell->says, &cell->reach, &changed))
		return; /* an old cell, put back by whoever stores it */
	p->c.cell_min = cell->unix_min;
	memcpy(p->c.candidates, cell->candidates, sizeof(cell->candidates));
	p->c.n_candidates = cell->n_candidates;
	peer_dirty(n, p);
	if (changed)
		peer_to_links(n, p);
	if (!p->online && p->shunned_until_ms == 0)
		peer_connect(n, p);
}

/* A value at the place of our own cell, with a seq that we never reach:
 * somebody else knows its key. */
static void
on_rival(struct node *n, const struct op *op, const struct dht_item *item)
{
	struct peer *p = peer_by_slot(n, op->slot);
	struct putting *put = NULL;

	if (op->kind == OP_SERVE)
		put = &n->hosts[op->slot].put;
	else if (p != NULL)
		put = &p->put;
	if (put != NULL &&
	    item->seq >= (int64_t)op->key.seq_base + CELL_MINUTES)
		put->beaten = true;
}

static void
on_value(struct node *n, struct op *op, const struct dht_item *item)
{
	struct peer *p = peer_by_slot(n, op->slot);
	uint64_t now_s = n->now.wall_ms / 1000;
	struct cell cell;

	op->seen |= op->step == 0;
	if (p == NULL || item->v_n != VALUE_HEAD + CELL_VALUE_SIZE ||
	    memcmp(item->v, value_head, VALUE_HEAD) != 0 ||
	    cell_open(&op->key, item->seq,
	        span_of(item->v + VALUE_HEAD, CELL_VALUE_SIZE), &p->c.pk, now_s,
	        &cell))
		return;
	op->opened = true;
	take_cell(n, p, &cell);
	sodium_memzero(&cell, sizeof(cell));
}

/* No node answered, in no DHT, and none has for a while, for one lookup among
 * many may starve: the network is away. One contact finds out when it is back;
 * the others look as rarely as ever. */
static void
note_silence(struct node *n, struct peer *p)
{
	const struct peer *prober = peer_by_slot(n, n->prober);
	uint64_t soon = n->now.mono_ms + NODE_AWAY_MS;

	for (unsigned i = 0; i < NODE_NETS; i++)
		if (n->heard[i])
			return;
	if (n->heard_ms != 0 && n->now.mono_ms < n->heard_ms + NODE_AWAY_MIN_MS)
		return;
	if (!n->away || prober == NULL || prober->online)
		n->prober = p->slot;
	n->away = true;
	if (n->prober != p->slot || p->meet.look_at_ms <= soon)
		return;
	p->meet.look_at_ms = soon;
	meet_retime(n, p);
}

/* What was sent while it was away reached nobody: begin anew. */
static void
note_answers(struct node *n)
{
	bool back = n->away;
	uint64_t since_ms = n->heard_ms;

	n->away = false;
	n->heard_ms = n->now.mono_ms;
	if (!back)
		return;
	links_network_back(n->links, since_ms, n->now);
	meet_all(n);
}

static void
note_network(struct node *n, const struct op *op, size_t answers)
{
	struct peer *p = peer_by_slot(n, op->slot);

	n->heard[op->net] = answers > 0;
	if (answers > 0)
		note_answers(n);
	else if (p != NULL && !p->online)
		note_silence(n, p);
}

/* What an operation found or left, for who asks why. */
static void
note_step(struct node *n, struct peer *p, const struct op *op,
    const struct dht_event *e)
{
	struct why_step step = {
		.kind = op->kind == OP_LOOK ? WHY_LOOK : WHY_PUT,
		.at_ms = n->now.mono_ms,
		.family = net_family(op->net),
		.carrier = net_carrier(op->net) == DHT_OVERLAY ? WHY_OVERLAY
		                                               : WHY_MAINLINE,
		.took_ms = (uint32_t)(n->now.mono_ms - op->began_ms),
		.rival = op->seen && !op->opened,
	};

	if (op->kind == OP_LOOK) {
		step.answered = (uint16_t)e->n;
		step.found = op->opened;
	} else {
		step.stored = (uint16_t)e->n;
		step.rival = p->put.beaten;
	}
	why_note(&p->why, &step);
}

static void
on_get_done(struct node *n, struct op *op, const struct dht_event *e)
{
	struct peer *p = peer_by_slot(n, op->slot);

	note_network(n, op, e->n);
	if (p != NULL && !op->opened && !p->online &&
	    (next_look(op) || look_outside(n, op))) {
		op->serial = ++n->op_serial;
		if (get_cell(n, p, op))
			return;
	}
	if (p != NULL) {
		p->meet.seen = op->opened;
		note_step(n, p, op, e);
	}
	op_free(n, op);
}

static void
on_put_done(struct node *n, struct op *op, const struct dht_event *e)
{
	bool host = op->kind == OP_SERVE;
	struct peer *p = host ? NULL : peer_by_slot(n, op->slot);
	struct rendezvous *meet = host ? &n->hosts[op->slot].meet : NULL;
	struct putting *put = host ? &n->hosts[op->slot].put : NULL;

	if (p != NULL)
		note_step(n, p, op, e);
	op_free(n, op);
	if (p != NULL) {
		meet = &p->meet;
		put = &p->put;
	}
	if (put == NULL || put->n == 0)
		return;
	if (e->n > put->best)
		put->best = e->n;
	if (--put->n > 0)
		return;
	rendezvous_published(meet, &n->rng, put->best, n->now);
	if (put->beaten && !put->salted) {
		put->salted = true;
		rendezvous_elsewhere(meet, n->now);
		effect_event(n, NODE_REFUSED, p, NULL, ERR_CONFLICT);
	}
	if (p != NULL)
		meet_retime(n, p);
}

static void
on_address(struct node *n, enum family f, const struct endpoint *e)
{
	if (n->has_address[f] && endpoint_eq(&n->address[f], e))
		return;
	n->has_address[f] = true;
	n->address[f] = *e;
	effect_event(n, NODE_ADDRESS, NULL, e, ERR_OK);
	meet_all(n); /* we moved: look and publish as after a start */
}

void
meet_on_dht(struct node *n, unsigned net, const struct dht_event *e)
{
	struct op *op = op_by_name(n, e->op);

	discovery_on_dht(n, net, e);
	switch (e->kind) {
	case DHT_VALUE:
		if (op != NULL && op->kind == OP_LOOK)
			on_value(n, op, e->item);
		else if (op != NULL)
			on_rival(n, op, e->item);
		break;
	case DHT_GET_DONE:
		if (op != NULL && op->kind == OP_LOOK)
			on_get_done(n, op, e);
		break;
	case DHT_PUT_DONE:
		if (op != NULL && op->kind != OP_LOOK)
			on_put_done(n, op, e);
		break;
	case DHT_ADDRESS:
		on_address(n, net_family(net), &e->address);
		break;
	case DHT_READY:
		effect_event(n, NODE_DHT_READY, NULL, NULL, ERR_OK);
		meet_all(n);
		break;
	case DHT_PEERS: /* discovery's */
		break;
	}
}

/* ---- running ---- */

/* The minute is over: it may come back. */
static void
unshun(struct node *n, struct peer *p)
{
	p->shunned_until_ms = 0;
	peer_to_links(n, p);
}

static void
run_peer(struct node *n, struct peer *p)
{
	uint64_t now_ms = n->now.mono_ms;

	if (p->shunned_until_ms != 0 && p->shunned_until_ms <= now_ms)
		unshun(n, p);
	if (p->meet.look_at_ms <= now_ms)
		look_for(n, p);
	if (p->meet.publish_at_ms <= now_ms)
		publish_to(n, p);
	meet_retime(n, p);
}

void
meet_run(struct node *n)
{
	struct heap_node *top = heap_top(&n->timers);

	while (top != NULL && top->at_ms <= n->now.mono_ms && ops_free(n)) {
		run_peer(n, top->owner);
		assert(heap_top(&n->timers) != NULL);
		top = heap_top(&n->timers);
	}
	for (size_t i = 0; i < NODE_INVITES_MAX && ops_free(n); i++)
		if (n->hosts[i].live &&
		    n->hosts[i].meet.publish_at_ms <= n->now.mono_ms)
			serve(n, &n->hosts[i]);
}
