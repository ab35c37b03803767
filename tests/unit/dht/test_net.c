/* Whole networks on virtual time: nothing that was put is lost. */
#include "proto/dht/dht_state.h"
#include "tests/support/dht_net.h"

#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { ITEMS = 40 };

/* What became of operations, by name. */
struct result {
	uint64_t began_ms, value_ms, done_ms;
	size_t n;
	bool done, found;
	struct dht_item item;
};

struct world {
	struct dht_net net;
	struct result put[ITEMS], get[ITEMS];
	struct dht_item item[ITEMS];
	size_t n_ready, n_address;
};

static void
on_event(void *ctx, size_t i, const struct dht_event *e)
{
	struct world *w = ctx;
	struct result *r = NULL;

	(void)i;
	switch (e->kind) {
	case DHT_READY:
		w->n_ready++;
		return;
	case DHT_ADDRESS:
		w->n_address++;
		return;
	case DHT_VALUE:
		r = &w->get[e->op];
		if (!r->value_ms)
			r->value_ms = w->net.now_ms;
		r->item = *e->item;
		return;
	case DHT_GET_DONE:
		r = &w->get[e->op];
		break;
	case DHT_PUT_DONE:
		r = &w->put[e->op];
		break;
	case DHT_SEEN:
	case DHT_UNSOLICITED:
	case DHT_REGISTERED:
	case DHT_HANDED:
	case DHT_PASS_FAILED:
		return;
	case DHT_PEERS:
		break;
	}
	if (!r)
		abort();
	assert_false(r->done); /* one end for each */
	r->done = true;
	r->done_ms = w->net.now_ms;
	r->n = e->n;
	r->found = e->found;
}

static struct world *
world_new(uint64_t seed, bool loopback)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	dht_net_init(&w->net, seed, loopback);
	w->net.on_event = on_event;
	w->net.ctx = w;
	return w;
}

static void
world_free(struct world *w)
{
	dht_net_clear(&w->net);
	free(w);
}

static void
put(struct world *w, size_t node, uint64_t name)
{
	char text[32];

	(void)snprintf(text, sizeof(text), "value %" PRIu64, name);
	dht_net_item(&w->net, span_str(name % 2 ? "salt" : ""), span_str(text),
	    1 + (int64_t)name, &w->item[name]);
	w->put[name].began_ms = w->net.now_ms;
	assert_int_equal(dht_put(w->net.node[node], name, &w->item[name],
	                     dht_net_now(&w->net)),
	    ERR_OK);
	dht_net_drain(&w->net);
}

static void
get(struct world *w, size_t node, uint64_t name)
{
	const struct dht_item *i = &w->item[name];

	w->get[name].began_ms = w->net.now_ms;
	assert_int_equal(dht_get(w->net.node[node], name, i->pk,
	                     span_of(i->salt, i->salt_n), dht_net_now(&w->net)),
	    ERR_OK);
	dht_net_drain(&w->net);
}

static bool
same_item(const struct dht_item *a, const struct dht_item *b)
{
	return a->seq == b->seq && a->v_n == b->v_n &&
	       memcmp(a->v, b->v, a->v_n) == 0 &&
	       memcmp(a->sig, b->sig, 64) == 0;
}

static int
by_number(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static void
print_times(const char *what, uint64_t *ms, size_t n)
{
	qsort(ms, n, sizeof(*ms), by_number);
	print_message("%s ms: median %" PRIu64 ", p90 %" PRIu64
	              ", worst %" PRIu64 "\n",
	    what, ms[n / 2], ms[n * 9 / 10], ms[n - 1]);
}

static void
print_results(const struct world *w, size_t n)
{
	uint64_t put_ms[ITEMS], value_ms[ITEMS], done_ms[ITEMS];

	for (size_t i = 0; i < n; i++) {
		put_ms[i] = w->put[i].done_ms - w->put[i].began_ms;
		value_ms[i] = w->get[i].value_ms - w->get[i].began_ms;
		done_ms[i] = w->get[i].done_ms - w->get[i].began_ms;
	}
	print_times("put", put_ms, n);
	print_times("first value", value_ms, n);
	print_times("get", done_ms, n);
}

/* Nodes that all start at once and know one bootstrap node. */
static void
join_all(struct world *w, size_t n)
{
	for (size_t i = 0; i < n; i++)
		(void)dht_net_join(&w->net, 0);
	dht_net_drain(&w->net);
}

/* The other is in the table, or its bucket is full. */
static bool
knows(const struct world *w, size_t i, size_t j)
{
	const struct table *t = &w->net.node[i]->table;
	unsigned at = nodeid_common(&t->own, &w->net.node[j]->id);

	if (at >= t->n_buckets)
		at = t->n_buckets - 1;
	return table_find(t, &w->net.at[j]) || t->bucket[at].n == TABLE_K;
}

static void
a_loopback_net_forms_at_once(void **state)
{
	uint64_t seed = test_seed(1);

	(void)state;
	for (size_t n = 8; n <= 16; n++) {
		struct world *w = world_new(seed + n, true);

		join_all(w, n);
		dht_net_run(&w->net, 700);
		for (size_t i = 0; i < n; i++)
			for (size_t j = 0; j < n; j++)
				assert_true(i == j || knows(w, i, j));
		assert_int_equal(w->n_ready, n);
		world_free(w);
	}
}

static void
puts_and_gets_take_few_round_trips_on_loopback(void **state)
{
	struct world *w = world_new(test_seed(2), true);

	(void)state;
	w->net.delay_ms = 10;
	join_all(w, 16);
	dht_net_run(&w->net, 3000);
	for (size_t i = 0; i < ITEMS; i++) {
		put(w, i % 16, i);
		dht_net_run(&w->net, 300);
		assert_true(w->put[i].done);
		assert_in_range(w->put[i].n, 8, 15);
	}
	for (size_t i = 0; i < ITEMS; i++) {
		get(w, (i + 5) % 16, i);
		dht_net_run(&w->net, 300);
		assert_true(w->get[i].done && w->get[i].found);
		assert_true(same_item(&w->get[i].item, &w->item[i]));
	}
	print_results(w, ITEMS);
	world_free(w);
}

static void
operations_begun_before_bootstrap_succeed(void **state)
{
	uint64_t seed = test_seed(3);

	(void)state;
	for (uint64_t s = 0; s < 20; s++) {
		struct world *w = world_new(seed + s, true);

		w->net.delay_ms = 1;
		join_all(w, 12);
		for (size_t i = 1; i < 12; i++)
			put(w, i, i);
		dht_net_run(&w->net, 3000);
		for (size_t i = 1; i < 12; i++) {
			assert_true(w->put[i].done && w->put[i].n > 0);
			get(w, (i + 1) % 12, i);
		}
		dht_net_run(&w->net, 3000);
		for (size_t i = 1; i < 12; i++)
			assert_true(w->get[i].found);
		world_free(w);
	}
}

static void
two_nodes_are_a_network(void **state)
{
	(void)state;
	for (int loopback = 0; loopback < 2; loopback++) {
		struct world *w = world_new(test_seed(4), loopback);

		w->net.delay_ms = 5;
		join_all(w, 2);
		put(w, 1, 0);
		dht_net_run(&w->net, 2000);
		assert_true(w->put[0].done);
		assert_int_equal(w->put[0].n, 1);
		get(w, 1, 0);
		dht_net_run(&w->net, 2000);
		assert_true(w->get[0].found);
		put(w, 0, 1);
		dht_net_run(&w->net, 2000);
		assert_int_equal(w->put[1].n, 1);
		get(w, 0, 1);
		dht_net_run(&w->net, 2000);
		assert_true(w->get[1].found);
		assert_int_equal(w->n_ready, 2);
		world_free(w);
	}
}

static void
alone_ends_at_once(void **state)
{
	struct world *w = world_new(test_seed(5), true);

	(void)state;
	(void)dht_net_join(&w->net, 0);
	put(w, 0, 0);
	get(w, 0, 0);
	dht_net_drain(&w->net);
	assert_true(w->put[0].done && w->get[0].done);
	assert_int_equal(w->put[0].n, 0);
	assert_false(w->put[0].found);
	assert_true(w->get[0].found); /* in our own store */
	w->item[1].pk[0] = 1;
	get(w, 0, 1);
	dht_net_drain(&w->net);
	assert_true(w->get[1].done);
	assert_false(w->get[1].found);
	world_free(w);
}

static void
a_bootstrap_node_that_comes_late_is_found(void **state)
{
	struct world *w = world_new(test_seed(6), true);
	struct dht *late;

	(void)state;
	w->net.delay_ms = 1;
	join_all(w, 1);
	late = w->net.node[0];
	w->net.node[0] = NULL; /* its datagrams go nowhere yet */
	(void)dht_net_join(&w->net, 0);
	(void)dht_net_join(&w->net, 0);
	put(w, 1, 0);
	dht_net_run(&w->net, 700);
	assert_false(w->put[0].done);
	w->net.node[0] = late;
	dht_net_run(&w->net, 2000);
	assert_true(w->put[0].done);
	assert_true(w->put[0].n >= 1);
	world_free(w);
}

/* 64 nodes, 85 ms there and back, 2 % loss, a quarter of them dead. */
static void
every_item_is_found_in_a_lossy_net_with_dead_nodes(void **state)
{
	struct world *w = world_new(test_seed(7), false);
	size_t n = 64;

	(void)state;
	w->net.delay_ms = 42;
	w->net.loss = 20;
	for (size_t i = 0; i < n; i++) {
		(void)dht_net_join(&w->net, 0);
		dht_net_run(&w->net, 200);
	}
	dht_net_run(&w->net, 60 * 1000);
	for (size_t i = 0; i < n / 4; i++)
		dht_net_kill(&w->net, 4 * i + 1);
	for (size_t i = 0; i < ITEMS; i++) {
		put(w, 4 * (i % 16), i);
		dht_net_run(&w->net, 1500);
	}
	dht_net_run(&w->net, 10 * 1000);
	for (size_t i = 0; i < ITEMS; i++) {
		assert_true(w->put[i].done && w->put[i].n >= 4);
		get(w, 4 * ((i + 3) % 16) + 2, i);
		dht_net_run(&w->net, 1500);
	}
	dht_net_run(&w->net, 10 * 1000);
	for (size_t i = 0; i < ITEMS; i++) {
		assert_true(w->get[i].found);
		assert_true(same_item(&w->get[i].item, &w->item[i]));
	}
	print_results(w, ITEMS);
	world_free(w);
}

static void
nodes_learn_their_address_and_take_an_id_that_fits(void **state)
{
	struct world *w = world_new(test_seed(8), false);

	(void)state;
	w->net.delay_ms = 20;
	join_all(w, 24);
	dht_net_run(&w->net, 60 * 1000);
	assert_true(w->n_address >= 24);
	world_free(w);
}

static void
an_idle_small_net_is_quiet(void **state)
{
	struct world *w = world_new(test_seed(9), true);
	uint64_t packets, bytes;

	(void)state;
	join_all(w, 16);
	dht_net_run(&w->net, 10 * 60 * 1000);
	packets = w->net.n_sent;
	bytes = w->net.bytes_sent;
	dht_net_run(&w->net, 3600 * 1000);
	packets = w->net.n_sent - packets;
	bytes = w->net.bytes_sent - bytes;
	print_message("idle, each of 16: %.3f packets/s, %.1f bytes/s out\n",
	    (double)packets / 16 / 3600, (double)bytes / 16 / 3600);
	assert_true(packets < UINT64_C(16) * 3600 / 2);
	assert_true(bytes < UINT64_C(16) * 3600 * 100);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_loopback_net_forms_at_once),
		cmocka_unit_test(
		    puts_and_gets_take_few_round_trips_on_loopback),
		cmocka_unit_test(operations_begun_before_bootstrap_succeed),
		cmocka_unit_test(two_nodes_are_a_network),
		cmocka_unit_test(alone_ends_at_once),
		cmocka_unit_test(a_bootstrap_node_that_comes_late_is_found),
		cmocka_unit_test(
		    every_item_is_found_in_a_lossy_net_with_dead_nodes),
		cmocka_unit_test(
		    nodes_learn_their_address_and_take_an_id_that_fits),
		cmocka_unit_test(an_idle_small_net_is_quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
