/* Transactions and the queue of datagrams to send. */
#include "proto/dht/dht_state.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool
out_room(const struct dht *d)
{
	return d->n_out + OUT_SPARE < OUT_MAX;
}

bool
out_begin(struct dht *d, struct writer *ret)
{
	struct out *o;

	assert(d->n_out <= OUT_MAX);
	if (d->n_out == OUT_MAX)
		return false;
	if (d->n_out == 0)
		d->out_first = 0; /* an idle node touches little memory */
	o = &d->out[(d->out_first + d->n_out) % OUT_MAX];
	*ret = wr_init(o->data, sizeof(o->data));
	return true;
}

void
out_commit(struct dht *d, const struct writer *w, const struct endpoint *to)
{
	struct out *o = &d->out[(d->out_first + d->n_out) % OUT_MAX];

	assert(d->n_out < OUT_MAX);
	assert(w->p == o->data && !w->bad);
	assert(w->n > 0 && to->port != 0);
	o->to = *to;
	o->n = (uint16_t)w->n;
	d->n_out++;
	sent_keep(&d->sent, to, d->now_ms);
	d->stats.n_out++;
	d->stats.bytes_out += w->n;
}

static uint32_t
slot_of(const struct dht *d, const uint8_t t[4])
{
	assert(d->cap_rpc >= RPC_MIN && d->cap_rpc <= RPC_MAX);
	return (uint32_t)(t[0] | t[1] << 8U) & (uint32_t)(d->cap_rpc - 1);
}

enum err
rpc_init(struct dht *d)
{
	d->rpc = calloc(RPC_MIN, sizeof(*d->rpc));
	if (!d->rpc)
		return ERR_NOMEM;
	d->cap_rpc = RPC_MIN;
	return ERR_OK;
}

/* Twice the places: one more bit of t says where. If there is no memory it
 * stays as it is. */
static void
grow(struct dht *d)
{
	struct rpc *old = d->rpc;
	size_t cap = d->cap_rpc;

	assert(cap < RPC_MAX);
	d->rpc = calloc(2 * cap, sizeof(*d->rpc));
	if (!d->rpc) {
		d->rpc = old;
		return;
	}
	d->cap_rpc = 2 * cap;
	for (size_t i = 0; i < cap; i++)
		if (old[i].use != RPC_NONE)
			d->rpc[slot_of(d, old[i].t)] = old[i];
	free(old);
}

/* A free slot with a new id: all 32 bits are random, and some of them say
 * where it is. NULL: too many in flight. */
static struct rpc *
draw(struct dht *d)
{
	uint8_t t[4];

	if (d->n_rpc >= RPC_FULL)
		return NULL;
	if (4 * d->n_rpc >= 3 * d->cap_rpc && d->cap_rpc < RPC_MAX)
		grow(d);
	for (unsigned i = 0; i < 64; i++) {
		struct rpc *rpc;

		rng_fill(d->cfg.rng, t, sizeof(t));
		rpc = &d->rpc[slot_of(d, t)];
		if (rpc->use != RPC_NONE)
			continue;
		memcpy(rpc->t, t, sizeof(t));
		return rpc;
	}
	return NULL;
}

/* Who also runs a node of the other family that knows few asks for both, as
 * long as that is so. [BEP 32] */
static void
want_both(const struct dht *d, struct krpc *m)
{
	if (m->method != KRPC_FIND_NODE && m->method != KRPC_GET &&
	    m->method != KRPC_GET_PEERS)
		return;
	if (!care_lacks_other(d))
		return;
	m->has_want = true;
	m->want[FAMILY_V4] = m->want[FAMILY_V6] = true;
}

bool
rpc_send(
    struct dht *d, const struct rpc_request *r, struct krpc *m, uint64_t now_ms)
{
	struct writer w;
	struct rpc *rpc = draw(d);
	uint16_t asked = 0;

	assert(r->use != RPC_NONE && r->wait_ms > 0);
	if (!rpc || !out_begin(d, &w))
		return false;
	m->kind = KRPC_QUERY;
	m->t = span_of(rpc->t, sizeof(rpc->t));
	m->has_id = m->method != KRPC_PASS; /* it is long enough */
	m->id = d->id;
	m->read_only = d->cfg.read_only;
	want_both(d, m);
	if (!d->carrier)
		krpc_encode(m, &w);
	else if (!overlay_ask(d, r, m, &w, &asked))
		return false;
	assert(!w.bad); /* our own arguments are bounded */
	out_commit(d, &w, r->to);
	rpc->use = r->use;
	rpc->asked = asked;
	rpc->method = m->method;
	rpc->to = *r->to;
	rpc->sent_ms = now_ms;
	rpc->due_ms = now_ms + r->wait_ms;
	rpc->op = r->op ? r->op->place : OPS_ALL;
	rpc->serial = r->op ? r->op->serial : 0;
	d->n_rpc++;
	if (rpc->due_ms < d->rpc_due_ms)
		d->rpc_due_ms = rpc->due_ms;
	return true;
}

void
rpc_bind(struct dht *d, struct span t, unsigned place, uint32_t serial)
{
	struct rpc *rpc = &d->rpc[slot_of(d, t.p)];

	assert(rpc->use == RPC_REGISTER || rpc->use == RPC_PASS);
	assert(span_eq(t, span_of(rpc->t, sizeof(rpc->t))));
	rpc->op = (uint16_t)(OPS_ALL + place);
	rpc->serial = serial;
}

static void
release(struct dht *d, struct rpc *rpc)
{
	assert(rpc->use != RPC_NONE && d->n_rpc > 0);
	rpc->use = RPC_NONE;
	if (d->carrier)
		carrier_forget(d->carrier, rpc->asked);
	d->n_rpc--;
}

const struct rpc *
rpc_find(const struct dht *d, const struct endpoint *from, struct span t)
{
	const struct rpc *rpc;

	if (t.n != sizeof(rpc->t))
		return NULL;
	rpc = &d->rpc[slot_of(d, t.p)];
	if (rpc->use == RPC_NONE || !span_eq(t, span_of(rpc->t, t.n)) ||
	    !endpoint_eq(&rpc->to, from))
		return NULL;
	assert(d->n_rpc > 0);
	return rpc;
}

bool
rpc_take(
    struct dht *d, const struct endpoint *from, struct span t, struct rpc *ret)
{
	const struct rpc *rpc = rpc_find(d, from, t);

	if (!rpc)
		return false;
	*ret = *rpc;
	release(d, &d->rpc[slot_of(d, t.p)]);
	return true;
}

void
rpc_cancel(struct dht *d, enum rpc_use use, unsigned place, uint32_t serial)
{
	assert(use == RPC_REGISTER || use == RPC_PASS);
	for (size_t i = 0; i < d->cap_rpc && d->n_rpc > 0; i++)
		if (d->rpc[i].use == use && d->rpc[i].op == OPS_ALL + place &&
		    d->rpc[i].serial == serial)
			release(d, &d->rpc[i]);
}

bool
rpc_pending(const struct dht *d, const struct endpoint *to)
{
	for (size_t i = 0; i < d->cap_rpc && d->n_rpc > 0; i++)
		if (d->rpc[i].use != RPC_NONE && d->rpc[i].use != RPC_PASS &&
		    endpoint_eq(&d->rpc[i].to, to))
			return true;
	return false;
}

/* Whose it was hears of it. */
static void
expired(struct dht *d, const struct rpc *late, uint64_t now_ms)
{
	switch (late->use) {
	case RPC_CHECK:
	case RPC_INTRODUCE:
		care_timeout(d, late, now_ms);
		break;
	case RPC_REGISTER:
	case RPC_PASS:
		ways_timeout(d, late);
		break;
	case RPC_LOOKUP:
	case RPC_PUT:
	case RPC_SWEEP:
		op_timeout(d, late, now_ms);
		break;
	case RPC_NONE:
		assert(false);
	}
}

void
rpc_expire(struct dht *d, uint64_t now_ms)
{
	uint64_t next_ms = NEVER;

	if (now_ms < d->rpc_due_ms)
		return;
	d->rpc_due_ms = NEVER;
	/* What is sent meanwhile may make it grow; places only move up. */
	for (size_t i = 0; i < d->cap_rpc; i++) {
		struct rpc *rpc = &d->rpc[i];
		struct rpc late = *rpc;

		if (rpc->use == RPC_NONE)
			continue;
		if (now_ms < rpc->due_ms) {
			next_ms = rpc->due_ms < next_ms ? rpc->due_ms : next_ms;
			continue;
		}
		release(d, rpc);
		if (d->carrier && late.use != RPC_INTRODUCE &&
		    late.use != RPC_PASS)
			care_seed_lost(d, &late.to);
		expired(d, &late, now_ms);
	}
	/* What was sent meanwhile has set rpc_due_ms by itself. */
	if (next_ms < d->rpc_due_ms)
		d->rpc_due_ms = next_ms;
}
