/*
 * Cells in the DHTs: what it takes to put ours in all that carry them, and to
 * look for one in all the places where it may be. Knows no schedule. [SPEC
 * §4.2]
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

struct op *
cell_op_new(struct node *n, enum op_kind kind, unsigned net, uint32_t slot)
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

void
cell_op_free(struct node *n, struct op *op)
{
	assert(op->kind != OP_NONE && n->n_ops > 0);
	cell_key_wipe(&op->key);
	op->kind = OP_NONE;
	n->n_ops--;
}

struct op *
cell_op_by_name(struct node *n, uint64_t name)
{
	size_t at = name & UINT32_MAX;

	if (at >= NODE_OPS_MAX || n->ops[at].kind == OP_NONE ||
	    n->ops[at].serial != name >> 32)
		return NULL;
	return &n->ops[at];
}

/* What one contact may need at once: two epochs in each DHT. */
bool
cell_ops_free(const struct node *n)
{
	return n->n_ops + 2 * NODE_NETS <= NODE_OPS_MAX;
}

/* Whose it is: slots are counted for each of them. */
static enum op_owner
op_owner(enum op_kind kind)
{
	if (kind == OP_DUMMY_LOOK || kind == OP_DUMMY_PUT)
		return OWNER_DUMMY;
	return kind == OP_SERVE ? OWNER_HOST : OWNER_CONTACT;
}

static bool
cancel(struct node *n, struct op *op)
{
	bool is_put = dht_cancel(n->dht[op->net], op_name(n, op));

	cell_op_free(n, op);
	return is_put;
}

void
cell_ops_forget(struct node *n, enum op_owner owner, uint32_t slot)
{
	for (size_t i = 0; i < NODE_OPS_MAX; i++)
		if (n->ops[i].kind != OP_NONE && n->ops[i].slot == slot &&
		    op_owner(n->ops[i].kind) == owner)
			(void)cancel(n, &n->ops[i]);
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
	struct nat_view view;

	for (int f = 0; f < FAMILY_COUNT; f++)
		if (n->has_address[f] && usable(n, &n->address[f]))
			count = add_candidate(&n->address[f], ret, count);
	/* Of a router that gives each peer another port: where it was seen
	 * last, to guess from. */
	for (int f = 0; f < FAMILY_COUNT; f++) {
		intro_view(n, f ? FAMILY_V6 : FAMILY_V4, &view);
		for (uint8_t i = 0; i < view.n_seen; i++)
			if (usable(n, &view.seen[i]))
				count =
				    add_candidate(&view.seen[i], ret, count);
	}
	for (uint8_t i = 0; i < n->n_mapped; i++)
		if (usable(n, &n->mapped[i]))
			count = add_candidate(&n->mapped[i], ret, count);
	for (uint8_t i = 0; i < n->n_local; i++)
		if (usable(n, &n->local[i]))
			count = add_candidate(&n->local[i], ret, count);
	return count;
}

void
fill_cell(const struct node *n, struct cell *cell)
{
	struct nat_view view;

	intro_nat(n, &view);
	cell->nat = view.kind;
	cell->n_candidates = own_candidates(n, cell->candidates);
	cell->n_introducers = intro_list(n, cell->introducers);
}

static void
write_cell(
    const struct node *n, const struct publication *what, struct cell *ret)
{
	*ret = (struct cell){ .unix_min = what->at_s / 60 };
	ret->cert = n->self.s[0].cert;
	ret->reach = *what->reach;
	fill_cell(n, ret);
}

static uint64_t
newest_epoch(const struct disc_key *disc, uint64_t unix_s)
{
	uint64_t epochs[2];
	unsigned count = cell_epochs_write(disc, unix_s, epochs);

	return count == 2 && epochs[1] > epochs[0] ? epochs[1] : epochs[0];
}

/* The first cell of an epoch, one that says anything new, and one that nodes
 * take for old have a new time, and with it a higher seq. */
void
cell_prepare(struct node *n, struct publication *what, struct rendezvous *meet,
    struct putting *put)
{
	uint64_t now_s = n->now.wall_ms / 1000;
	uint64_t last_s = meet->claimed_s;
	bool back = last_s > now_s + PUBLISH_BACK_MAX_S;
	bool same = rendezvous_is_same(meet) && !back;
	uint64_t content;
	struct cell cell;

	what->at_s = 0;
	write_cell(n, what, &cell);
	content = cell_digest(&cell);
	sodium_memzero(&cell, sizeof(cell));
	what->renewal = rendezvous_is_renewal(meet) && content == put->content;
	put->content = content;
	what->now_s = last_s > now_s ? last_s : now_s;
	what->at_s = last_s;
	if (!what->renewal || !same ||
	    newest_epoch(what->disc, what->now_s) > put->last_epoch)
		what->at_s = what->now_s = rendezvous_claim_s(meet, now_s);
}

/* Seals our cell for the op's epoch and begins to put it in one DHT. */
static bool
put_cell(
    struct node *n, struct op *op, const struct publication *what, bool renewal)
{
	uint8_t nonce[CELL_NONCE_SIZE];
	struct dht_item item = { 0 };
	struct cell cell;
	enum err err;

	if (cell_seq(&op->key, what->at_s, &item.seq))
		return false;
	write_cell(n, what, &cell);
	cell_nonce(&op->key, item.seq, &cell, nonce);
	memcpy(item.pk, op->key.pk, sizeof(item.pk));
	if (op->step == 2)
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

/* One epoch in one DHT. False: no more operations now. */
static bool
put_one(struct node *n, const struct publication *what, unsigned net,
    uint64_t epoch, bool second, struct putting *put)
{
	bool renewal = what->renewal && epoch <= put->last_epoch;
	struct op *op = cell_op_new(n, what->kind, net, what->slot);

	if (op == NULL)
		return false;
	op->step = second ? 2 : 0;
	cell_key_derive(what->disc, what->dir, epoch, &op->key);
	if (put_cell(n, op, what, renewal))
		put->n++;
	else
		cell_op_free(n, op);
	return true;
}

void
cell_unpublish(
    struct node *n, enum op_kind kind, uint32_t slot, struct rendezvous *meet)
{
	bool is_put = false;

	for (size_t i = 0; i < NODE_OPS_MAX; i++)
		if (n->ops[i].kind == kind && n->ops[i].slot == slot)
			is_put |= cancel(n, &n->ops[i]);
	if (!is_put)
		meet->putting = false;
}

/* Puts our cell in every DHT that carries them, and every epoch of now. */
void
cell_publish(
    struct node *n, const struct publication *what, struct putting *put)
{
	uint64_t epochs[2];
	unsigned count = cell_epochs_write(what->disc, what->now_s, epochs);
	bool room = true;

	assert(count == 1 || count == 2);
	put->n = 0;
	put->best = 0;
	put->beaten = put->lost = put->found = false;
	put->other_s = 0;
	put->turn = what->renewal ? put->turn + 1 : 0;
	for (unsigned i = 0; i < count * NODE_NETS && room; i++) {
		unsigned net = i % NODE_NETS;
		uint64_t epoch = epochs[i / NODE_NETS];

		if (!nets_carry(n, net, put->turn))
			continue;
		if (put->place != PLACE_SECOND)
			room = put_one(n, what, net, epoch, false, put);
		if (put->place != PLACE_FIRST && room)
			room = put_one(n, what, net, epoch, true, put);
	}
	put->last_epoch =
	    epochs[count - 1] > epochs[0] ? epochs[count - 1] : epochs[0];
}

/* ---- their cell ---- */

/* Asks for the cell of the op's step; false: no such lookup now. */
static bool
ask(struct node *n, struct op *op, const struct search *what)
{
	struct span salt = span_of(&second_salt, op->step == 2 ? 1 : 0);
	uint64_t epochs[2];

	cell_epochs_read(what->disc, n->now.wall_ms / 1000, epochs);
	assert(op->step <= 2);
	cell_key_derive(what->disc, what->dir, epochs[op->step % 2], &op->key);
	return (op->glance      ? dht_glance
	           : what->calm ? dht_get_calmly
	                        : dht_get)(n->dht[op->net], op_name(n, op),
	           op->key.pk, salt, n->now) == ERR_OK;
}

/*
 * Where to look after a step that gave no cell: 0 the nearer epoch, 1 the
 * other one, 2 the nearer one at the second place, if the first one is not to
 * be trusted, or the search is thorough. A glance that shows nothing goes no
 * further. False: that was all.
 */
static bool
next_look(struct op *op, bool thorough)
{
	bool doubt = op->seen || op->alarm;

	if (op->step == 2 || (op->glance && !doubt) ||
	    (op->step == 1 && !doubt && !thorough))
		return false;
	op->glance = false;
	op->step++;
	return true;
}

/* The overlay was asked alone and had nothing: the writer may not think it as
 * large as we do, or take no part in it. Where nobody waits a glance will do.
 */
static bool
look_outside(const struct node *n, struct op *op, bool calm)
{
	unsigned plain = net_of(DHT_MAINLINE, net_family(op->net));

	if (net_carrier(op->net) != DHT_OVERLAY || n->dht[plain] == NULL ||
	    nets_size(n, op->net) < NODE_OVERLAY_ALONE)
		return false;
	op->net = plain;
	op->step = 0;
	op->glance = calm;
	op->seen = op->alarm = false;
	return true;
}

void
cell_look(struct node *n, const struct search *what, bool glance, uint32_t turn)
{
	for (unsigned i = 0; i < NODE_NETS; i++) {
		struct op *op;

		if (!nets_carry(n, i, turn))
			continue;
		op = cell_op_new(n, what->kind, i, what->slot);
		if (op == NULL)
			break;
		op->glance = glance;
		if (!ask(n, op, what))
			cell_op_free(n, op);
	}
}

bool
cell_look_on(struct node *n, struct op *op, const struct search *what)
{
	if (!next_look(op, what->thorough) &&
	    !(what->outside && look_outside(n, op, what->calm)))
		return false;
	op->serial = ++n->op_serial;
	return ask(n, op, what);
}

bool
cell_read(const struct op *op, const struct dht_item *item,
    const struct id_pk *writer, uint64_t now_s, struct cell *ret)
{
	return item->v_n == VALUE_HEAD + CELL_VALUE_SIZE &&
	       memcmp(item->v, value_head, VALUE_HEAD) == 0 &&
	       cell_open(&op->key, item->seq,
	           span_of(item->v + VALUE_HEAD, CELL_VALUE_SIZE), writer,
	           now_s, ret) == ERR_OK;
}
