/* Writers, readers, and what an operation cost. */
#include "proto/base/bencode.h"
#include "proto/dht/krpc.h"
#include "tests/sim/dht/hostile.h"
#include "tests/sim/dht/world.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	OPS_ROOM = 4096,          /* under way at the same time */
	FIRST_PUT_MS = 60 * 1000, /* all cells are written within */
};

/* ---- cells ---- */

void
cells_item(const struct world_cell *c, int64_t seq, struct dht_item *ret)
{
	uint8_t nonce[crypto_stream_chacha20_NONCEBYTES];
	uint8_t v[WORLD_VALUE];
	struct writer w = wr_init(ret->v, sizeof(ret->v));

	assert(seq >= 1);
	for (size_t i = 0; i < sizeof(nonce); i++)
		nonce[i] = (uint8_t)((uint64_t)seq >> 8 * i);
	(void)crypto_stream_chacha20(v, sizeof(v), nonce, c->key);
	memcpy(ret->pk, c->pk, sizeof(ret->pk));
	ret->seq = seq;
	ret->salt_n = 0;
	be_str(&w, v, sizeof(v));
	assert(!w.bad);
	ret->v_n = (uint16_t)w.n;
	dht_item_sign(ret, c->sk);
}

void
cells_begin(struct world *w)
{
	uint64_t now_ms = w->mesh->wheel.now_ms;

	w->cells =
	    (struct world_cell *)calloc(w->cfg.n_cells, sizeof(*w->cells));
	w->ops = (struct world_op *)calloc(OPS_ROOM, sizeof(*w->ops));
	assert(w->cells && w->ops);
	for (uint32_t i = 0; i < w->cfg.n_cells; i++) {
		struct world_cell *c = &w->cells[i];

		dice_fill(&w->dice, c->key, sizeof(c->key));
		(void)crypto_sign_seed_keypair(c->pk, c->sk, c->key);
		dht_item_target(c->pk, span_of(NULL, 0), &c->target);
		c->writer = world_any(w, false);
		c->writer->pinned = true;
		c->put_ms = now_ms + dice_below(&w->dice, FIRST_PUT_MS);
		c->change_ms = c->put_ms;
	}
	w->read_ms = now_ms + FIRST_PUT_MS;
	hostile_aim(w);
}

/* ---- operations ---- */

static struct world_op *
op_new(struct world *w, struct mesh_host *h, uint32_t cell, bool is_put)
{
	for (uint32_t i = 0; i < OPS_ROOM; i++) {
		struct world_op *op = &w->ops[i];

		if (op->used)
			continue;
		*op = (struct world_op){ .used = true, .is_put = is_put };
		op->cell = cell;
		op->host = h;
		op->began_ms = w->mesh->wheel.now_ms;
		h->user = op;
		w->n_ops++;
		return op;
	}
	return NULL;
}

static void
put(struct world *w, uint32_t cell)
{
	struct world_cell *c = &w->cells[cell];
	uint64_t now_ms = w->mesh->wheel.now_ms;
	struct world_op *op;
	struct dht_item item;
	enum err err;

	if (c->writer->user) /* busy with another cell or a read */
		return;
	op = op_new(w, c->writer, cell, true);
	if (!op)
		return;
	if (now_ms >= c->change_ms || c->seq_written == 0) {
		c->seq_written += dice_range(&w->dice, 1, 60);
		c->change_ms =
		    now_ms +
		    dice_below(&w->dice,
		        2 * (c->attacked ? WORLD_AIMED_MS : WORLD_CHANGE_MS));
	}
	c->putting = true;
	op->wanted = c->seq_written;
	cells_item(c, c->seq_written, &item);
	err = dht_put(
	    c->writer->dht, (uint64_t)(op - w->ops), &item, mesh_now(w->mesh));
	assert(err == ERR_OK);
	mesh_settle(w->mesh, c->writer);
}

static void
get(struct world *w)
{
	uint32_t cell = hostile_choose(w, dice_below(&w->dice, w->cfg.n_cells));
	struct world_cell *c = &w->cells[cell];
	struct mesh_host *h = world_any(w, false);
	struct world_op *op;
	enum err err;

	if (h->user || !h->ready || c->seq_stored == 0)
		return;
	op = op_new(w, h, cell, false);
	if (!op)
		return;
	op->wanted = c->seq_stored;
	err = dht_get(h->dht, (uint64_t)(op - w->ops), c->pk, span_of(NULL, 0),
	    mesh_now(w->mesh));
	assert(err == ERR_OK);
	mesh_settle(w->mesh, h);
}

void
cells_step(struct world *w)
{
	uint64_t now_ms = w->mesh->wheel.now_ms;
	uint64_t every_ms = w->cfg.measure_ms / (w->cfg.n_reads + 1) + 1;

	for (uint32_t i = 0; i < w->cfg.n_cells; i++) {
		const struct world_cell *c = &w->cells[i];

		if (!c->putting &&
		    (now_ms >= c->put_ms || now_ms >= c->change_ms))
			put(w, i);
	}
	for (; now_ms >= w->read_ms;
	     w->read_ms += dice_below(&w->dice, (uint32_t)(2 * every_ms)))
		get(w);
}

/* ---- what comes of it ---- */

static void
sum_add(struct world_sum *sum, const struct world_op *op, uint64_t ms)
{
	if (sum->n == sum->cap) {
		sum->cap = sum->cap ? 2 * sum->cap : 256;
		sum->ms =
		    (uint32_t *)realloc(sum->ms, sum->cap * sizeof(*sum->ms));
		sum->value_ms = (uint32_t *)realloc(
		    sum->value_ms, sum->cap * sizeof(*sum->value_ms));
		assert(sum->ms && sum->value_ms);
	}
	sum->ms[sum->n++] = (uint32_t)ms;
	sum->asked += op->asked;
	sum->packets += op->packets;
	sum->bytes += op->bytes;
	sum->hops += op->hops;
	sum->hops_value += op->hops_value;
}

static void
trace_miss(const struct world *w, const struct world_op *op, size_t n)
{
	const struct world_cell *c = &w->cells[op->cell];
	uint64_t now_ms = w->mesh->wheel.now_ms;

	if (!w->cfg.trace)
		return;
	printf("  %llu s: cell %u, stored %llu s ago: wanted %lld, got %lld at "
	       "node %u of %llu s%s, asked %u, %zu answered\n",
	    (unsigned long long)now_ms / 1000, op->cell,
	    (unsigned long long)(now_ms - c->stored_ms) / 1000,
	    (long long)op->wanted, (long long)op->best, op->host->index,
	    (unsigned long long)(now_ms - op->host->joined_ms) / 1000,
	    op->host->nat ? " behind a NAT" : "", op->asked, n);
	world_trace(w, op);
}

static void
got(struct world *w, const struct world_op *op, size_t n)
{
	const struct world_cell *c = &w->cells[op->cell];
	struct world_sum *sum = c->attacked ? &w->fig.aimed : &w->fig.get;

	sum_add(sum, op, w->mesh->wheel.now_ms - op->began_ms);
	if (op->best >= op->wanted)
		sum->value_ms[sum->good++] = (uint32_t)op->value_ms;
	else if (op->best > 0)
		sum->stale++;
	else
		sum->missed++;
	if (op->best < op->wanted)
		trace_miss(w, op, n);
}

static void
was_put(struct world *w, const struct world_op *op, const struct dht_event *e)
{
	struct world_cell *c = &w->cells[op->cell];
	uint64_t now_ms = w->mesh->wheel.now_ms;

	c->putting = false;
	c->put_ms = now_ms + WORLD_RETRY_MS;
	sum_add(&w->fig.put, op, now_ms - op->began_ms);
	w->fig.put.copies += e->n;
	if (!e->found)
		return;
	w->fig.put.value_ms[w->fig.put.good++] =
	    (uint32_t)(now_ms - op->began_ms);
	c->seq_stored = op->wanted;
	c->stored_ms = now_ms;
	c->put_ms = now_ms + WORLD_REPUBLISH_MS;
}

/* The law: nothing comes out that was not put in by the key's owner. */
static void
saw(struct world *w, struct world_op *op, const struct dht_item *item)
{
	const struct world_cell *c = &w->cells[op->cell];
	struct dht_item truth;

	if (item->seq < 1 || item->seq > c->seq_written) {
		world_broken(w, "a value under seq %lld that nobody wrote",
		    (long long)item->seq);
		return;
	}
	cells_item(c, item->seq, &truth);
	if (memcmp(truth.pk, item->pk, sizeof(truth.pk)) != 0 ||
	    truth.v_n != item->v_n || memcmp(truth.v, item->v, truth.v_n) != 0)
		world_broken(w, "a value that nobody wrote");
	if (item->seq <= op->best)
		world_broken(w, "an older value after a newer one");
	op->best = item->seq;
	op->value_ms = w->mesh->wheel.now_ms - op->began_ms;
	op->hops_value = op->depth;
}

void
cells_event(struct world *w, struct mesh_host *h, const struct dht_event *e)
{
	struct world_op *op;

	if (e->kind != DHT_VALUE && e->kind != DHT_GET_DONE &&
	    e->kind != DHT_PUT_DONE)
		return;
	assert(e->op < OPS_ROOM);
	op = &w->ops[e->op];
	assert(op->used && op->host == h && h->user == op);
	if (e->kind == DHT_VALUE) {
		saw(w, op, e->item);
		return;
	}
	if (op->is_put)
		was_put(w, op, e);
	else
		got(w, op, e->n);
	op->used = false;
	h->user = NULL;
	w->n_ops--;
}

/* ---- what it costs ---- */

/* Where a node stands among those heard of; n_known: nowhere. */
static uint32_t
known_at(const struct world_op *op, uint32_t host)
{
	uint32_t i = 0;

	while (i < op->n_known && op->known[i].host != host)
		i++;
	return i;
}

static void
know(struct world_op *op, uint32_t host, uint32_t depth)
{
	uint32_t i = known_at(op, host);

	if (i == WORLD_KNOWN_MAX || i < op->n_known)
		return;
	op->known[i].host = host;
	op->known[i].depth = depth;
	op->known[i].asked = op->known[i].answered = false;
	op->n_known++;
}

void
cells_sent(struct world *w, struct mesh_host *h, const struct endpoint *to,
    struct span data)
{
	struct world_op *op = (struct world_op *)h->user;
	uint32_t host, at;

	if (!op)
		return;
	op->packets++;
	op->bytes += (uint32_t)data.n;
	if (!mesh_is_query(data))
		return;
	op->asked++;
	host = mesh_find(w->mesh, to);
	know(op, host, 1);
	at = known_at(op, host);
	if (at < op->n_known)
		op->known[at].asked = true;
}

void
cells_arrived(struct world *w, struct mesh_host *h, const struct mesh_packet *p)
{
	static struct bencode scratch;
	struct world_op *op = (struct world_op *)h->user;
	struct krpc_node node[KRPC_NODES_MAX];
	struct krpc_form form = { .family = FAMILY_V4 };
	struct krpc m;
	uint32_t at;
	size_t n;

	if (!op)
		return;
	op->packets++;
	op->bytes += (uint32_t)p->n;
	if (!mesh_is_answer(span_of(p->data, p->n)) ||
	    krpc_decode(span_of(p->data, p->n), &scratch, &m))
		return;
	at = known_at(op, p->source);
	if (at == op->n_known)
		return;
	op->known[at].answered = true;
	op->depth = op->known[at].depth;
	if (op->depth > op->hops)
		op->hops = op->depth;
	n = krpc_nodes_read(m.nodes[FAMILY_V4], form, node, KRPC_NODES_MAX);
	for (size_t i = 0; i < n; i++)
		know(op, mesh_find(w->mesh, &node[i].at), op->depth + 1);
}
