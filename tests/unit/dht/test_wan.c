/*
 * How long puts and gets take on a wide area: 64 nodes, 85 ms there and back,
 * 2 % of datagrams lost each way, a quarter of the nodes dead. Virtual time:
 * the figures are the same on every machine, and bounds on them are laws.
 */
#include "proto/dht/dht_state.h"
#include "tests/support/dht_net.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	NODES = 64,
	ITEMS = 200,
	DELAY_MS = 42,
	LOSS = 20, /* of 1000 */
	MEDIAN_MAX_MS = 1000,
	P99_MAX_MS = 3000,
};

enum what { PUT, VALUE, GET, MISS };
#define WHATS 4

struct op_times {
	uint64_t began_ms;
	uint64_t ms[WHATS]; /* NEVER = did not happen */
	size_t n;           /* copies */
	int64_t seq;        /* read */
};

struct world {
	struct dht_net net;
	struct dht_item item[ITEMS];
	struct op_times t[2 * ITEMS]; /* the second half: misses */
};

static uint64_t all[WHATS][16 * ITEMS];
static size_t n_all;

static void
on_event(void *ctx, size_t i, const struct dht_event *e)
{
	struct world *w = ctx;
	struct op_times *t = &w->t[e->op % (2 * ITEMS)];
	uint64_t ms = w->net.now_ms - t->began_ms;

	(void)i;
	switch (e->kind) {
	case DHT_PUT_DONE:
		t->ms[PUT] = ms;
		t->n = e->n;
		break;
	case DHT_VALUE:
		if (t->ms[VALUE] == NEVER)
			t->ms[VALUE] = ms;
		t->seq = e->item->seq;
		break;
	case DHT_GET_DONE:
		t->ms[e->op < ITEMS ? GET : MISS] = ms;
		break;
	case DHT_PEERS:
	case DHT_ADDRESS:
	case DHT_READY:
	case DHT_SEEN:
	case DHT_UNSOLICITED:
	case DHT_REGISTERED:
	case DHT_HANDED:
	case DHT_PASS_FAILED:
		break;
	}
}

static void
begin_get(struct world *w, size_t node, uint64_t name, const uint8_t pk[32])
{
	w->t[name].began_ms = w->net.now_ms;
	assert_int_equal(dht_get(w->net.node[node], name, pk, span_str(""),
	                     dht_net_now(&w->net)),
	    ERR_OK);
	dht_net_run(&w->net, 400);
}

static struct world *
world_new(uint64_t seed)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	dht_net_init(&w->net, seed, false);
	w->net.on_event = on_event;
	w->net.ctx = w;
	w->net.delay_ms = DELAY_MS;
	w->net.loss = LOSS;
	for (size_t i = 0; i < 2 * ITEMS; i++)
		for (int k = 0; k < WHATS; k++)
			w->t[i].ms[k] = NEVER;
	for (size_t i = 0; i < NODES; i++) {
		(void)dht_net_join(&w->net, 0);
		dht_net_run(&w->net, 200);
	}
	dht_net_run(&w->net, 60 * 1000);
	for (size_t i = 0; i < NODES / 4; i++)
		dht_net_kill(&w->net, 4 * i + 1);
	return w;
}

static void
run(uint64_t seed)
{
	struct world *w = world_new(seed);
	uint64_t packets = w->net.n_sent;
	struct dht_item none;

	for (size_t i = 0; i < ITEMS; i++) {
		dht_net_item(&w->net, span_str(""), span_str("value"),
		    1 + (int64_t)i, &w->item[i]);
		w->t[i].began_ms = w->net.now_ms;
		assert_int_equal(dht_put(w->net.node[4 * (i % 16)], i,
		                     &w->item[i], dht_net_now(&w->net)),
		    ERR_OK);
		dht_net_run(&w->net, 400);
	}
	dht_net_run(&w->net, 10 * 1000);
	print_message(
	    "packets a put %" PRIu64 ", ", (w->net.n_sent - packets) / ITEMS);
	packets = w->net.n_sent;
	for (size_t i = 0; i < ITEMS; i++)
		begin_get(w, 4 * ((i + 3) % 16) + 2, i, w->item[i].pk);
	dht_net_run(&w->net, 10 * 1000);
	print_message("a get %" PRIu64 "\n", (w->net.n_sent - packets) / ITEMS);
	for (size_t i = 0; i < ITEMS; i++) {
		dht_net_item(&w->net, span_str(""), span_str(""), 1, &none);
		begin_get(w, 4 * (i % 16) + 3, ITEMS + i, none.pk);
	}
	dht_net_run(&w->net, 10 * 1000);
	for (size_t i = 0; i < ITEMS; i++) {
		w->t[i].ms[MISS] = w->t[ITEMS + i].ms[MISS];
		assert_true(w->t[i].n >= 4);
		assert_int_equal(w->t[i].seq, w->item[i].seq);
		for (int k = 0; k < WHATS; k++) {
			assert_true(w->t[i].ms[k] != NEVER);
			all[k][n_all] = w->t[i].ms[k];
		}
		n_all++;
	}
	dht_net_clear(&w->net);
	free(w);
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
puts_and_gets_are_quick_and_find_everything(void **state)
{
	static const char *const name[WHATS] = { "put", "first value",
		"authoritative get", "certain miss" };
	uint64_t seed = test_seed(41);

	(void)state;
	n_all = 0;
	for (unsigned i = 0; i < 4; i++)
		run(seed + i);
	for (int k = 0; k < WHATS; k++) {
		uint64_t *ms = all[k];

		qsort(ms, n_all, sizeof(*ms), by_number);
		print_message("%s: median %" PRIu64 ", p99 %" PRIu64
		              ", worst %" PRIu64 " ms\n",
		    name[k], ms[n_all / 2], ms[n_all * 99 / 100],
		    ms[n_all - 1]);
		assert_true(ms[n_all / 2] < MEDIAN_MAX_MS);
		assert_true(ms[n_all * 99 / 100] < P99_MAX_MS);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(puts_and_gets_are_quick_and_find_everything),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
