/*
 * A cell eclipsed in a small net: among 24 honest nodes sit 8 hostile ones in
 * 8 networks, nearer to it than anybody else. They name only each other near
 * it, take every put, and then give nothing, what they had first, or a
 * forgery. The put leaves honest copies, and a get finds the newest value, as
 * early as nodes know enough of the net.
 */
#include "proto/dht/dht_state.h"
#include "tests/support/dht_net.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	HONEST = 24,
	GANG = 8,
	NEAR_BITS = 14, /* of the goal, in the id of each hostile node */
	GUARDED = 8,    /* bits; of such a target they name only each other */
	SEEDS = 20,
	SEEDS_LONG = 200,
	COPIES = 2,
	WAIT_MS = 15 * 1000, /* the end of a put or a get */
};

enum lie { NOTHING, STALE, FORGED };
#define LIES 3

struct world {
	struct dht_net net;
	struct krpc_node gang[GANG];
	struct target goal;
	enum lie lie;
	struct krpc first; /* what they hold; v is in: */
	struct dht_item held;
	int64_t newest;
	uint8_t key[32], sk[64];
	struct dht_item item; /* pk */
	int64_t read;         /* seq, -1: nothing */
	size_t n_over;
};

static void
on_event(void *ctx, size_t i, const struct dht_event *e)
{
	struct world *w = ctx;

	(void)i;
	if (e->kind == DHT_VALUE)
		w->read = e->item->seq;
	w->n_over += e->kind == DHT_PUT_DONE || e->kind == DHT_GET_DONE;
}

/* ---- the gang ---- */

static void
name_nodes(struct world *w, const struct target *target, struct writer *out)
{
	struct krpc_form form = { .family = FAMILY_V4 };
	struct krpc_node node[GANG];

	memcpy(node, w->gang, sizeof(node));
	for (size_t i = 0;
	     nodeid_common(target, &w->goal) < GUARDED && i < GANG; i++) {
		size_t k = rng_below(&w->net.rng.rng, (uint32_t)w->net.n);

		node[i].id = w->net.node[k]->id;
		node[i].at = w->net.at[k];
	}
	krpc_nodes_write(node, GANG, form, out);
	assert_false(out->bad);
}

static void
take_put(struct world *w, const struct krpc *q)
{
	if (memcmp(q->k, w->item.pk, sizeof(q->k)) != 0)
		return;
	if (q->seq > w->newest)
		w->newest = q->seq;
	if (w->held.v_n > 0)
		return;
	assert_in_range(q->v.n, 1, sizeof(w->held.v));
	w->held.v_n = (uint16_t)q->v.n;
	memcpy(w->held.v, q->v.p, q->v.n);
	w->first = *q;
}

static void
give_value(const struct world *w, struct krpc *m)
{
	if (w->lie == NOTHING || w->held.v_n == 0)
		return;
	m->has_k = m->has_sig = m->has_seq = true;
	memcpy(m->k, w->item.pk, sizeof(m->k));
	memcpy(m->sig, w->first.sig, sizeof(m->sig));
	m->seq = w->lie == STALE ? w->first.seq : w->newest + 1;
	m->v = span_of(w->held.v, w->held.v_n);
}

static void
send(struct world *w, const struct endpoint *from, size_t to,
    const struct krpc *m)
{
	uint8_t buf[KRPC_SIZE_MAX];
	struct writer out = wr_init(buf, sizeof(buf));

	krpc_encode(m, &out);
	assert_false(out.bad);
	dht_net_inject(&w->net, from, to, wr_span_of(&out));
	dht_net_drain(&w->net);
}

static void
answer(struct world *w, const struct krpc_node *self, size_t to,
    const struct krpc *q)
{
	struct krpc m = { .kind = KRPC_RESPONSE, .t = q->t, .has_id = true };
	uint8_t nodes[GANG * 26];
	struct writer out = wr_init(nodes, sizeof(nodes));

	m.id = self->id;
	m.has_ip = true;
	m.ip = w->net.at[to];
	if (q->method == KRPC_PUT)
		take_put(w, q);
	if (q->has_target) {
		name_nodes(w, &q->target, &out);
		m.nodes[FAMILY_V4] = wr_span_of(&out);
		m.token = span_str("take");
	}
	if (q->method == KRPC_GET && nodeid_eq(&q->target, &w->goal))
		give_value(w, &m);
	send(w, &self->at, to, &m);
}

static void
on_packet(void *ctx, const struct dht_net_packet *p)
{
	static struct bencode scratch;
	struct world *w = ctx;
	struct krpc q;
	size_t to = 0;

	for (size_t i = 0; i < GANG; i++) {
		if (!endpoint_eq(&p->to, &w->gang[i].at))
			continue;
		if (krpc_decode(span_of(p->data, p->n), &scratch, &q) ||
		    q.kind != KRPC_QUERY)
			return;
		while (!endpoint_eq(&w->net.at[to], &p->from))
			to++;
		answer(w, &w->gang[i], to, &q);
	}
}

/* Addresses are tried until the id that fits one is near enough. */
static void
gang_up(struct world *w)
{
	for (size_t i = 0; i < GANG; i++) {
		struct krpc_node *n = &w->gang[i];
		uint8_t v4[4], salt;

		do {
			rng_fill(&w->net.rng.rng, v4, sizeof(v4));
			salt = (uint8_t)rng_below(&w->net.rng.rng, 8);
			n->at = endpoint_v4(v4, 6881);
			n->id = w->goal;
			n->id.b[18] ^= (uint8_t)(i + 1);
			nodeid_bind(&n->id, &n->at, salt);
		} while (endpoint_scope(&n->at) != SCOPE_GLOBAL ||
		         nodeid_common(&n->id, &w->goal) < NEAR_BITS);
	}
}

/* Each of them asks a node something: so it comes to know them. */
static void
call(struct world *w, size_t to)
{
	for (size_t i = 0; i < GANG; i++) {
		struct krpc m = { .kind = KRPC_QUERY,
			.method = KRPC_FIND_NODE,
			.t = span_str("call"),
			.has_id = true };

		m.id = w->gang[i].id;
		m.has_target = true;
		m.target = w->goal;
		send(w, &w->gang[i].at, to, &m);
	}
}

/* ---- the net ---- */

static struct world *
world_new(uint64_t seed, enum lie lie)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	dht_net_init(&w->net, seed, false);
	w->net.on_event = on_event;
	w->net.on_packet = on_packet;
	w->net.ctx = w;
	w->net.delay_ms = 5;
	w->lie = lie;
	dht_net_item(&w->net, span_str(""), span_str("x"), 1, &w->item);
	rng_fill(&w->net.rng.rng, w->key, sizeof(w->key));
	(void)crypto_sign_seed_keypair(w->item.pk, w->sk, w->key);
	dht_item_target(w->item.pk, span_str(""), &w->goal);
	gang_up(w);
	for (size_t i = 0; i < HONEST + 2; i++) {
		(void)dht_net_join(&w->net, i == 0 ? 0 : (i - 1) / 2);
		dht_net_run(&w->net, 200);
		call(w, i);
	}
	for (size_t i = 0; i < HONEST + 2; i++)
		call(w, i);
	/* How long it has been there must not matter. */
	dht_net_run(&w->net, 2000 + rng_below(&w->net.rng.rng, 60 * 1000));
	return w;
}

static void
put(struct world *w, size_t node, int64_t seq)
{
	size_t n_over = w->n_over;

	w->item.seq = seq;
	dht_item_sign(&w->item, w->sk);
	assert_int_equal(
	    dht_put(w->net.node[node], 1, &w->item, dht_net_now(&w->net)),
	    ERR_OK);
	dht_net_run(&w->net, WAIT_MS);
	assert_int_equal(w->n_over, n_over + 1);
}

static size_t
count_copies(const struct world *w, int64_t seq)
{
	size_t n = 0;

	for (size_t i = 0; i < HONEST; i++) {
		const struct item *item =
		    items_get(&w->net.node[i]->items, &w->goal, w->net.now_ms);

		n += item && item->seq == seq;
	}
	return n;
}

static int64_t
get(struct world *w, size_t node)
{
	size_t n_over = w->n_over;

	w->read = -1;
	assert_int_equal(dht_get(w->net.node[node], 2, w->item.pk, span_str(""),
	                     dht_net_now(&w->net)),
	    ERR_OK);
	dht_net_run(&w->net, WAIT_MS);
	assert_int_equal(w->n_over, n_over + 1);
	return w->read;
}

/* The writer is not counted among the honest, nor is the reader. */
static void
eclipse(enum lie lie)
{
	uint64_t seed = test_seed(1);
	uint64_t n_seeds = getenv("BTCHAT_LONG") ? SEEDS_LONG : SEEDS;
	size_t least = HONEST, sum = 0;

	for (uint64_t s = seed; s < seed + n_seeds; s++) {
		struct world *w = world_new(s, lie);
		bool is_newest = true;
		size_t n;

		put(w, HONEST, 1);
		n = count_copies(w, 1);
		put(w, HONEST, 2);
		n = n < count_copies(w, 2) ? n : count_copies(w, 2);
		is_newest &= get(w, HONEST + 1) == 2;
		is_newest &= get(w, 3) == 2;
		if (n < COPIES || !is_newest || w->newest == 0)
			fail_msg("seed %u: %zu honest copies, newest %s%s",
			    (unsigned)s, n, is_newest ? "read" : "not read",
			    w->newest ? "" : ", no eclipse");
		least = n < least ? n : least;
		sum += n;
		dht_net_clear(&w->net);
		free(w);
	}
	print_message("honest copies: %zu at least, %zu on average\n", least,
	    sum / n_seeds);
}

static void
a_cell_lives_on_where_eclipsers_give_nothing(void **state)
{
	(void)state;
	eclipse(NOTHING);
}

static void
a_cell_lives_on_where_eclipsers_give_the_first_value(void **state)
{
	(void)state;
	eclipse(STALE);
}

static void
a_cell_lives_on_where_eclipsers_forge(void **state)
{
	(void)state;
	eclipse(FORGED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_cell_lives_on_where_eclipsers_give_nothing),
		cmocka_unit_test(
		    a_cell_lives_on_where_eclipsers_give_the_first_value),
		cmocka_unit_test(a_cell_lives_on_where_eclipsers_forge),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
