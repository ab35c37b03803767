/* One DHT node from outside: limits, events, families, saved nodes. */
#include "proto/dht/dht_state.h"
#include "tests/support/dht_item.h"
#include "tests/support/dht_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct dht_net net; /* large: not on the stack */
static size_t n_events[DHT_PASS_FAILED + 1];
static struct dht_event last;
static struct dht_item last_item;
static uint64_t first_byte_not_d;
static struct endpoint peers[KRPC_PEERS_MAX];
static size_t n_peers;

static void
on_event(void *ctx, size_t i, const struct dht_event *e)
{
	(void)ctx;
	(void)i;
	n_events[e->kind]++;
	if (e->kind <= DHT_PEERS)
		last = *e;
	if (e->kind == DHT_VALUE)
		last_item = *e->item;
	for (size_t k = 0; e->kind == DHT_PEERS && k < e->n; k++)
		if (n_peers < KRPC_PEERS_MAX)
			peers[n_peers++] = e->peers[k];
}

static void
on_packet(void *ctx, const struct dht_net_packet *p)
{
	(void)ctx;
	first_byte_not_d += p->data[0] != 'd';
}

static void
begin(uint64_t seed, bool loopback, bool v6, size_t n)
{
	memset(n_events, 0, sizeof(n_events));
	first_byte_not_d = 0;
	n_peers = 0;
	dht_net_init(&net, test_seed(seed), loopback);
	net.v6 = v6;
	net.delay_ms = 5;
	net.on_event = on_event;
	net.on_packet = on_packet;
	for (size_t i = 0; i < n; i++)
		(void)dht_net_join(&net, 0);
}

/* Queries sent until the operation is over. */
static uint64_t
queries_for(enum dht_event_kind over)
{
	uint64_t before = net.n_sent;
	size_t n = n_events[over];

	dht_net_run(&net, 3000);
	assert_int_equal(n_events[over], n + 1);
	return (net.n_sent - before) / 2;
}

static void
a_glance_and_a_renewal_ask_little(void **state)
{
	struct dht_item item;
	uint64_t put, renewal, get, glance, empty;
	uint8_t nobody[32] = { 0 };

	(void)state;
	begin(23, false, false, 60);
	dht_net_run(&net, 10 * 60 * 1000); /* all areas are known */
	test_item(5, span_str(""), span_str("value"), 3, &item);
	assert_int_equal(
	    dht_put(net.node[9], 1, &item, dht_net_now(&net)), ERR_OK);
	put = queries_for(DHT_PUT_DONE);
	test_item(5, span_str(""), span_str("later"), 4, &item);
	assert_int_equal(
	    dht_refresh(net.node[9], 2, &item, dht_net_now(&net)), ERR_OK);
	renewal = queries_for(DHT_PUT_DONE);
	assert_int_equal(last.n, 8);
	assert_true(renewal <= put);
	assert_int_equal(
	    dht_get(net.node[20], 3, item.pk, span_str(""), dht_net_now(&net)),
	    ERR_OK);
	get = queries_for(DHT_GET_DONE);
	assert_int_equal(dht_glance(net.node[21], 4, item.pk, span_str(""),
	                     dht_net_now(&net)),
	    ERR_OK);
	glance = queries_for(DHT_GET_DONE);
	assert_true(last.found);
	assert_int_equal(last_item.seq, 4);
	assert_true(glance <= get);
	assert_int_equal(dht_glance(net.node[21], 5, nobody, span_str(""),
	                     dht_net_now(&net)),
	    ERR_OK);
	empty = queries_for(DHT_GET_DONE);
	assert_false(last.found);
	assert_in_range(empty, 4, 8);
	dht_net_clear(&net);
}

static void
put_and_find(size_t writer, size_t reader, uint8_t key)
{
	struct dht_item item;

	test_item(key, span_str("s"), span_str("value"), 3, &item);
	assert_int_equal(
	    dht_put(net.node[writer], 1, &item, dht_net_now(&net)), ERR_OK);
	dht_net_run(&net, 2000);
	assert_int_equal(n_events[DHT_PUT_DONE], 1);
	assert_true(last.found && last.n > 0);
	assert_int_equal(last.report.n_stored, last.n);
	assert_in_range(last.report.spread, 1, last.n);
	assert_int_equal(last.report.read_back, DHT_BACK_YES);
	assert_false(last.report.alarm);
	assert_true(last.report.n_answered >= last.n);
	assert_true(last.report.n_asked >= last.report.n_answered);
	assert_true(last.report.took_ms > 0);
	assert_int_equal(dht_get(net.node[reader], 2, item.pk, span_str("s"),
	                     dht_net_now(&net)),
	    ERR_OK);
	dht_net_run(&net, 2000);
	assert_int_equal(n_events[DHT_GET_DONE], 1);
	assert_true(last.found);
	assert_int_equal(last.op, 2);
	assert_true(n_events[DHT_VALUE] >= 1);
	assert_int_equal(last_item.seq, 3);
	assert_memory_equal(last_item.v, item.v, item.v_n);
}

static void
a_net_of_ipv6_works_alike(void **state)
{
	(void)state;
	for (int loopback = 0; loopback < 2; loopback++) {
		begin(1, loopback, true, 12);
		dht_net_run(&net, 20000);
		put_and_find(3, 8, 1);
		assert_int_equal(first_byte_not_d, 0);
		dht_net_clear(&net);
	}
}

static bool
is_named(struct endpoint at, uint16_t port)
{
	at.port = port;
	for (size_t i = 0; i < n_peers; i++)
		if (endpoint_eq(&peers[i], &at))
			return true;
	return false;
}

static void
who_announces_himself_is_found(void **state)
{
	struct target hash = { { 0x55, 0xaa } };
	struct now now;

	(void)state;
	for (int v6 = 0; v6 < 2; v6++) {
		begin(12, false, v6, 24);
		dht_net_run(&net, 20000);
		now = dht_net_now(&net);
		assert_int_equal(
		    dht_announce(net.node[3], 1, &hash, 4711, false, now),
		    ERR_OK);
		assert_int_equal(
		    dht_announce(net.node[4], 2, &hash, 4711, true, now),
		    ERR_OK);
		dht_net_run(&net, 5000);
		assert_int_equal(n_events[DHT_PUT_DONE], 2);
		assert_true(last.found && last.n >= 8);
		n_peers = 0;
		for (size_t i = 0; i < 24; i++) {
			assert_int_equal(dht_get_peers(net.node[i], 3, &hash,
			                     dht_net_now(&net)),
			    ERR_OK);
			dht_net_run(&net, 5000);
			assert_int_equal(n_events[DHT_GET_DONE], i + 1);
			assert_true(last.found && last.n > 0);
			/* But nobody is told of himself. */
			assert_int_equal(is_named(net.at[3], 4711), true);
			assert_int_equal(
			    is_named(net.at[4], net.at[4].port), i != 4);
			n_peers = 0;
		}
		/* A name that nobody has announced ends without peers. */
		hash.b[5]++;
		assert_int_equal(
		    dht_get_peers(net.node[9], 4, &hash, dht_net_now(&net)),
		    ERR_OK);
		dht_net_run(&net, 5000);
		assert_false(last.found);
		assert_int_equal(n_peers, 0);
		dht_net_clear(&net);
	}
}

static void
addresses_of_the_other_family_are_ignored(void **state)
{
	struct endpoint v6 = { .addr = { 0x2a, 1 }, .port = 5 };
	struct krpc m = { .kind = KRPC_QUERY, .method = KRPC_PING };
	uint8_t buf[TEST_BUF];

	(void)state;
	begin(2, false, false, 1);
	dht_bootstrap(net.node[0], &v6, dht_net_now(&net));
	dht_candidate(net.node[0], &v6, dht_net_now(&net));
	m.t = span_str("t");
	m.has_id = true;
	dht_net_inject(&net, &v6, 0, test_encode(&m, buf));
	dht_net_run(&net, 5000);
	assert_int_equal(net.n_sent, 0);
	dht_net_clear(&net);
}

static void
loopback_counts_only_where_it_is_allowed(void **state)
{
	struct endpoint local = test_addr(127, 0, 0, 1);

	(void)state;
	begin(3, false, false, 1);
	dht_bootstrap(net.node[0], &local, dht_net_now(&net));
	dht_candidate(net.node[0], &local, dht_net_now(&net));
	dht_net_run(&net, 5000);
	assert_int_equal(net.n_sent, 0);
	dht_net_clear(&net);
}

static void
operations_are_bounded_and_can_be_cancelled(void **state)
{
	static const uint8_t pk[32] = { 1 };
	struct now now;

	(void)state;
	begin(4, true, false, 1);
	net.at[1] = net.at[0]; /* nobody there */
	net.at[1].port = 9;
	now = dht_net_now(&net);
	dht_bootstrap(net.node[0], &net.at[1], now);
	for (uint64_t i = 0; i < DHT_OPS_MAX; i++)
		assert_int_equal(
		    dht_get(net.node[0], i, pk, span_str(""), now), ERR_OK);
	assert_int_equal(
	    dht_get(net.node[0], 99, pk, span_str(""), now), ERR_LIMIT);
	dht_cancel(net.node[0], 7);
	dht_cancel(net.node[0], 1000); /* no such name */
	assert_int_equal(
	    dht_get(net.node[0], 99, pk, span_str(""), now), ERR_OK);
	dht_net_run(&net, 20000);
	assert_int_equal(n_events[DHT_GET_DONE], DHT_OPS_MAX);
	dht_net_clear(&net);
}

static void
a_put_that_is_not_signed_right_is_refused_at_once(void **state)
{
	struct dht_item item;

	(void)state;
	begin(5, true, false, 1);
	test_item(1, span_str(""), span_str("x"), 1, &item);
	item.sig[0] ^= 1;
	assert_int_equal(
	    dht_put(net.node[0], 1, &item, dht_net_now(&net)), ERR_AUTH);
	item.sig[0] ^= 1;
	item.v_n = DHT_VALUE_MAX + 1;
	assert_int_equal(
	    dht_put(net.node[0], 1, &item, dht_net_now(&net)), ERR_TOO_LONG);
	dht_net_clear(&net);
}

static void
the_largest_value_travels_in_both_families(void **state)
{
	static char text[996];
	struct dht_item item;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	for (int v6 = 0; v6 < 2; v6++) {
		begin(6, true, v6, 12);
		dht_net_run(&net, 5000);
		test_item(1, span_str(""), span_str(text), 1, &item);
		assert_int_equal(item.v_n, 999);
		assert_int_equal(
		    dht_put(net.node[3], 1, &item, dht_net_now(&net)), ERR_OK);
		dht_net_run(&net, 2000);
		/* So few are a place: all of them. */
		assert_in_range(last.n, 8, 11);
		assert_int_equal(dht_get(net.node[7], 2, item.pk, span_str(""),
		                     dht_net_now(&net)),
		    ERR_OK);
		dht_net_run(&net, 2000);
		assert_true(last.found);
		assert_int_equal(last_item.v_n, 999);
		dht_net_clear(&net);
	}
}

static void
saved_nodes_bring_a_node_back_without_bootstrap(void **state)
{
	struct dht_node saved[64];
	size_t n, i;

	(void)state;
	begin(7, false, false, 16);
	dht_net_run(&net, 30000);
	n = dht_nodes(net.node[5], saved, 64);
	assert_true(n >= 6);
	assert_int_equal(dht_nodes(net.node[5], saved, 3), 3);
	i = dht_net_join(&net, net.n); /* from itself: no bootstrap */
	for (size_t k = 0; k < 3; k++)
		dht_candidate(net.node[i], &saved[k].at, dht_net_now(&net));
	dht_net_run(&net, 10000);
	assert_true(table_count_good(&net.node[i]->table, net.now_ms) >= 6);
	put_and_find(i, 2, 4);
	dht_net_clear(&net);
}

static void
an_address_change_gives_a_new_id_that_fits(void **state)
{
	struct target old;

	(void)state;
	begin(8, false, false, 24);
	dht_net_run(&net, 30000);
	for (size_t i = 0; i < 24; i++)
		if (net.node[i]->address.known)
			assert_true(nodeid_valid(&net.node[i]->id, &net.at[i]));
	old = net.node[9]->id;
	net.at[9] = test_addr(150, 1, 2, 3); /* a new uplink */
	dht_bootstrap(net.node[9], &net.at[1], dht_net_now(&net));
	dht_net_run(&net, 45 * 60 * 1000);
	assert_true(endpoint_eq(&net.node[9]->address.own, &net.at[9]));
	assert_false(nodeid_eq(&net.node[9]->id, &old));
	assert_true(nodeid_valid(&net.node[9]->id, &net.at[9]));
	dht_net_clear(&net);
}

/* As libtorrent answers with dht_enforce_node_id. */
static struct span
refuse_id(const struct dht_net_packet *p, uint8_t *buf, size_t cap)
{
	static struct bencode scratch;
	struct span addr = endpoint_addr(&p->from);
	struct writer w = wr_init(buf, cap);
	struct krpc m;

	assert_int_equal(
	    krpc_decode(span_of(p->data, p->n), &scratch, &m), ERR_OK);
	wr_span(&w, span_str("d1:eli203e15:invalid node IDe2:ip6:"));
	wr_span(&w, addr);
	wr_u16be(&w, p->from.port);
	wr_span(&w, span_str("1:t4:"));
	wr_span(&w, m.t);
	wr_span(&w, span_str("1:v4:LT\2\x8"
	                     "1:y1:ee"));
	assert_false(w.bad);
	return wr_span_of(&w);
}

static struct dht_net_packet pinged;

static void
note_packet(void *ctx, const struct dht_net_packet *p)
{
	(void)ctx;
	pinged = *p;
}

static void
nodes_that_refuse_our_id_say_where_we_are(void **state)
{
	uint8_t buf[128];

	(void)state;
	begin(10, false, false, 1);
	net.on_packet = note_packet;
	assert_false(nodeid_valid(&net.node[0]->id, &net.at[0]));
	for (unsigned i = 0; i < ADDRESS_VOTES_MIN; i++) {
		struct endpoint strict = test_addr(45, 1 + i, 1, 1);

		dht_candidate(net.node[0], &strict, dht_net_now(&net));
		dht_net_run(&net, net.delay_ms);
		assert_true(endpoint_eq(&pinged.to, &strict));
		dht_net_inject(
		    &net, &strict, 0, refuse_id(&pinged, buf, sizeof(buf)));
	}
	assert_true(endpoint_eq(&net.node[0]->address.own, &net.at[0]));
	assert_true(nodeid_valid(&net.node[0]->id, &net.at[0]));
	assert_int_equal(table_count(&net.node[0]->table), 0);
	dht_net_clear(&net);
}

static void
dead_nodes_leave_the_tables_in_the_end(void **state)
{
	(void)state;
	begin(9, true, false, 16);
	dht_net_run(&net, 10000);
	for (size_t i = 8; i < 16; i++)
		dht_net_kill(&net, i);
	dht_net_run(&net, 40 * 60 * 1000);
	for (size_t i = 0; i < 8; i++) {
		struct krpc_node near[32];
		size_t n = table_closest(&net.node[i]->table, &net.node[i]->id,
		    TABLE_HAND_OUT, near, 32);

		assert_int_equal(n, 7); /* the living, all of them */
	}
	dht_net_clear(&net);
}

static void
the_first_value_comes_before_the_end_a_higher_one_after(void **state)
{
	struct dht_item old, new;

	(void)state;
	begin(10, true, false, 16);
	dht_net_run(&net, 5000);
	test_item(1, span_str(""), span_str("old"), 1, &old);
	test_item(1, span_str(""), span_str("new"), 2, &new);
	assert_int_equal(
	    dht_put(net.node[1], 1, &old, dht_net_now(&net)), ERR_OK);
	dht_net_run(&net, 1000);
	/* Only one node hears of the new one. */
	for (size_t i = 0; i < 16; i++) {
		struct target target;
		struct krpc m = test_put(&new);

		dht_item_target(new.pk, span_str(""), &target);
		if (!items_get(&net.node[i]->items, &target, net.now_ms))
			continue;
		assert_int_equal(
		    items_put(&net.node[i]->items, &m, &net.at[1], net.now_ms),
		    KRPC_OK);
		break;
	}
	for (size_t i = 2; i < 16; i++) {
		assert_int_equal(dht_get(net.node[i], 2, new.pk, span_str(""),
		                     dht_net_now(&net)),
		    ERR_OK);
		dht_net_run(&net, 1000);
		assert_int_equal(last.kind, DHT_GET_DONE);
		assert_int_equal(last_item.seq, 2);
	}
	dht_net_clear(&net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_net_of_ipv6_works_alike),
		cmocka_unit_test(who_announces_himself_is_found),
		cmocka_unit_test(a_glance_and_a_renewal_ask_little),
		cmocka_unit_test(addresses_of_the_other_family_are_ignored),
		cmocka_unit_test(loopback_counts_only_where_it_is_allowed),
		cmocka_unit_test(operations_are_bounded_and_can_be_cancelled),
		cmocka_unit_test(
		    a_put_that_is_not_signed_right_is_refused_at_once),
		cmocka_unit_test(the_largest_value_travels_in_both_families),
		cmocka_unit_test(
		    saved_nodes_bring_a_node_back_without_bootstrap),
		cmocka_unit_test(an_address_change_gives_a_new_id_that_fits),
		cmocka_unit_test(nodes_that_refuse_our_id_say_where_we_are),
		cmocka_unit_test(dead_nodes_leave_the_tables_in_the_end),
		cmocka_unit_test(
		    the_first_value_comes_before_the_end_a_higher_one_after),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
