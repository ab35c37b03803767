/* Gets, puts and our own lookups: judging answers, and who gave none. */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <string.h>

/* Goes on keeping what we put before; the seq is ours if it names none. */
static bool
is_kept(const struct op *op, const struct krpc *m)
{
	return op->kind == OP_PUT && m->keep &&
	       (!m->has_seq || m->seq == op->item.seq);
}

/* A node has something newer, and the query left no room for it: it is asked
 * once more. */
static void
ask_for_value(struct op *op, struct lookup_node *n, const struct krpc *m)
{
	int64_t known = op->kind == OP_PUT ? op->item.seq : -1;

	if (op->has_seen)
		known = op->seen.seq;
	if (op->roomy || m->v.p || !m->has_seq || m->seq <= known)
		return;
	op->roomy = true;
	n->state = LOOKUP_FRESH;
	op_look_closer(op);
}

/* What stands in the way of what we put. */
static void
note_other(struct op *op, const struct dht_item *item)
{
	struct dht_report *r = &op->report;

	if (op->kind != OP_PUT || item->seq < op->item.seq ||
	    memcmp(item->sig, op->item.sig, sizeof(item->sig)) == 0)
		return;
	if (!r->has_other || item->seq > r->other_seq)
		r->other_seq = item->seq;
	r->has_other = true;
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
	note_other(op, &item);
	op->has_back |= op->state == OP_READING && item.seq >= op->item.seq;
	op_see(op, &item);
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

/* Has it never answered what we would ask it? */
static bool
is_mute(const struct dht *d, const struct op *op, const struct endpoint *at)
{
	const struct table_node *n = table_find(&d->table, at);

	return n && n->silent >= TABLE_SILENT && !op_is_inner(op->kind) &&
	       !op_seeks_peers(op->kind);
}

static void
take_nodes(struct dht *d, struct op *op, const struct endpoint *from,
    const struct krpc *m)
{
	const struct lookup_node *namer = lookup_find(&op->look, from);
	uint8_t number = namer ? namer->number : 0;
	struct krpc_node node[KRPC_NODES_MAX];
	size_t n = krpc_nodes_read(
	    m->nodes[d->cfg.family], form_of(d), node, KRPC_NODES_MAX);

	for (size_t i = 0; i < n; i++)
		if (care_usable(d, &node[i], from) &&
		    !is_mute(d, op, &node[i].at))
			(void)lookup_add(
			    &op->look, &node[i], LOOKUP_ANSWER, number);
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

	assert(rpc->use == RPC_LOOKUP);
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
			op->lied_to = true;
			lookup_failed(&op->look, &rpc->to);
			table_failed(&d->table, &rpc->to, true, now_ms);
			return;
		}
		table_spoke(&d->table, &rpc->to);
		ask_for_value(op, n, m);
		if (d->carrier && op->repeat && is_kept(op, m))
			n->put = PUT_DONE;
	}
	if (rpc->method == KRPC_GET_PEERS)
		take_peers(d, op, &rpc->to, m);
	if (rpc->method != KRPC_FIND_NODE)
		take_token(n, m->token);
	take_nodes(d, op, &rpc->to, m); /* n is not valid any more */
}

/* Is it a query of the present lookup, not of the one before? */
static bool
is_asking(const struct op *op, const struct rpc *rpc)
{
	return (op->state == OP_LOOKING || op->state == OP_READING) &&
	       rpc->sent_ms >= op->look.started_ms;
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
	if (rpc->use == RPC_LOOKUP && is_asking(op, rpc))
		lookup_reply(d, op, rpc, m, now_ms);
	if (rpc->use == RPC_SWEEP && is_asking(op, rpc)) {
		sweep_came(&op->look);
		take_nodes(d, op, &rpc->to, m);
	}
	op_step(d, op, now_ms);
}

void
op_timeout(struct dht *d, const struct rpc *rpc, uint64_t now_ms)
{
	struct op *op = op_of(d, rpc);

	/* Many nodes do not know get: that alone does not make them bad. */
	if (rpc->method == KRPC_GET)
		table_silent(&d->table, &rpc->to);
	else if (rpc->use == RPC_LOOKUP || rpc->use == RPC_SWEEP)
		table_failed(&d->table, &rpc->to, false, now_ms);
	care_hurry(d, now_ms);
	if (!op)
		return;
	if (rpc->use == RPC_PUT && op->state == OP_PUTTING)
		put_timeout(op, rpc);
	if (rpc->use == RPC_LOOKUP && is_asking(op, rpc)) {
		lookup_failed(&op->look, &rpc->to);
		recall_drop(&d->recall, &rpc->to);
	}
	if (rpc->use == RPC_SWEEP && is_asking(op, rpc))
		sweep_came(&op->look);
	op_step(d, op, now_ms);
}

/* A node that is new, or a bootstrap node. What it was asked before sent_ms,
 * the time of a query that it did answer, got lost: it is asked again. */
static void
feed(struct op *op, const struct krpc_node *node, enum lookup_origin origin,
    uint64_t sent_ms)
{
	struct lookup_node *n;

	if (origin == LOOKUP_TABLE || node_key_is_set(&node->n))
		(void)lookup_add(&op->look, node, origin, 0);
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
