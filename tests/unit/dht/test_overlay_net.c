/* Nodes of the overlay: they find each other, keep what they are given, and
 * are silent to everybody else. */
#include "proto/dht/dht_state.h"
#include "tests/support/dht_item.h"
#include "tests/support/dht_net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { TAPE_MAX = 4096 };

static struct dht_net net; /* large: not on the stack */
static size_t n_events[DHT_PASS_FAILED + 1];
static struct dht_event last;
static struct dht_item last_item;
static struct dht_net_packet tape[TAPE_MAX]; /* what was delivered */
static size_t n_tape;
static bool taping;

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
}

static void
on_packet(void *ctx, const struct dht_net_packet *p)
{
	(void)ctx;
	if (taping && n_tape < TAPE_MAX)
		tape[n_tape++] = *p;
}

static void
begin(uint64_t seed, bool loopback, bool v6, size_t n)
{
	memset(n_events, 0, sizeof(n_events));
	n_tape = 0;
	taping = false;
	dht_net_init(&net, test_seed(seed), loopback);
	net.overlay = true;
	net.v6 = v6;
	net.delay_ms = 5;
	net.on_event = on_event;
	net.on_packet = on_packet;
	for (size_t i = 0; i < n; i++)
		(void)dht_net_join(&net, 0);
}

/* As large as a cell. */
static void
make(uint8_t key, char fill, int64_t seq, struct dht_item *ret)
{
	char value[512];

	memset(value, fill, sizeof(value));
	test_item(key, span_str("s"), span_of(value, sizeof(value)), seq, ret);
}

static void
put(size_t writer, uint8_t key, struct dht_item *ret)
{
	make(key, 'a', 3, ret);
	memset(n_events, 0, sizeof(n_events));
	assert_int_equal(
	    dht_put(net.node[writer], 1, ret, dht_net_now(&net)), ERR_OK);
	dht_net_run(&net, 3000);
	assert_int_equal(n_events[DHT_PUT_DONE], 1);
	assert_true(last.found && last.n > 0);
}

static void
find(size_t reader, const struct dht_item *item)
{
	assert_int_equal(dht_get(net.node[reader], 2, item->pk, span_str("s"),
	                     dht_net_now(&net)),
	    ERR_OK);
	dht_net_run(&net, 3000);
	assert_int_equal(n_events[DHT_GET_DONE], 1);
	assert_true(last.found);
	assert_memory_equal(last_item.v, item->v, item->v_n);
}

/* Every node of every table has an id of its own key, at its own address. */
static void
check_tables(void)
{
	for (size_t i = 0; i < net.n; i++) {
		const struct table *t = &net.node[i]->table;

		assert_true(table_count(t) > 0);
		for (unsigned b = 0; b < t->n_buckets; b++)
			for (unsigned j = 0; j < t->bucket[b].n; j++)
				assert_true(overlay_honest(
				    net.node[i], &t->bucket[b].node[j].node));
	}
}

static void
nodes_meet_and_keep_what_they_are_given(void **state)
{
	struct dht_item item;

	(void)state;
	for (int kind = 0; kind < 4; kind++) {
		begin(200 + (uint64_t)kind, kind & 1, kind & 2, 12);
		dht_net_run(&net, 30000);
		check_tables();
		put(3, 1, &item);
		find(8, &item);
		dht_net_clear(&net);
	}
}

/* The others find it under its new key, and nothing there is as before. */
static void
a_node_becomes_another(void **state)
{
	struct node_key before, after;
	struct dht_item item;
	size_t known;

	(void)state;
	begin(205, false, false, 8);
	dht_net_run(&net, 30000);
	put(3, 1, &item);
	assert_true(net.node[5]->items.index.n > 0);
	dht_key(net.node[5], &before);
	known = table_count(&net.node[5]->table);
	dht_renew(net.node[5], false, dht_net_now(&net));
	dht_key(net.node[5], &after);
	assert_false(node_key_eq(&before, &after));
	assert_int_equal(net.node[5]->items.index.n, 0);
	assert_int_equal(table_count(&net.node[5]->table), known);
	dht_net_run(&net, 30000);
	check_tables();
	find(5, &item);
	for (size_t i = 0; i < net.n; i++) {
		struct dht_node list[16];
		size_t n = dht_nodes(net.node[i], list, 16);

		for (size_t k = 0; k < n; k++)
			known += node_key_eq(&list[k].n, &after) ? 100U : 0U;
	}
	assert_true(known >= 300); /* three of them at least */
	dht_net_clear(&net);
}

static void
two_nodes_are_enough(void **state)
{
	(void)state;
	for (int loopback = 0; loopback < 2; loopback++) {
		begin(210 + (uint64_t)loopback, loopback, false, 2);
		dht_net_run(&net, 30000);
		check_tables();
		dht_net_clear(&net);
	}
}

static void
a_node_that_is_named_needs_no_introduction(void **state)
{
	struct node_key n;
	size_t i;

	(void)state;
	begin(220, false, false, 12);
	dht_net_run(&net, 30000);
	/* Node 5 does not introduce itself, not even to who asks for it. */
	i = dht_net_join(&net, net.n);
	dht_bootstrap(net.node[i], &net.at[5], dht_net_now(&net));
	dht_net_run(&net, 20000);
	assert_int_equal(table_count(&net.node[i]->table), 0);
	dht_key(net.node[5], &n);
	dht_bootstrap_key(net.node[i], &net.at[5], &n, dht_net_now(&net));
	dht_net_run(&net, 20000);
	assert_true(table_count(&net.node[i]->table) >= 4);
	dht_net_clear(&net);
}

static void
saved_nodes_bring_a_node_back(void **state)
{
	struct dht_node saved[16];
	size_t n, i;

	(void)state;
	begin(221, false, false, 16);
	dht_net_run(&net, 30000);
	n = dht_nodes(net.node[5], saved, 16);
	assert_true(n >= 6);
	i = dht_net_join(&net, net.n);
	for (size_t k = 0; k < 3; k++)
		dht_candidate_key(
		    net.node[i], &saved[k].at, &saved[k].n, dht_net_now(&net));
	dht_net_run(&net, 10000);
	assert_true(table_count(&net.node[i]->table) >= 6);
	dht_net_clear(&net);
}

static void
a_seed_with_another_key_is_found_again(void **state)
{
	struct dht_config cfg = {
		.carrier = DHT_OVERLAY, .rng = &net.rng.rng, .introduces = true
	};

	(void)state;
	begin(222, false, false, 2);
	dht_net_run(&net, 10000);
	assert_true(table_count(&net.node[1]->table) == 1);
	dht_free(net.node[0]);
	net.node[0] = dht_new(&cfg, dht_net_now(&net));
	dht_net_run(&net, 3600 * 1000);
	check_tables();
	dht_net_clear(&net);
}

/* ---- what is done again and again ---- */

static size_t
n_taped_above(size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < n_tape; i++)
		n += tape[i].n > size;
	return n;
}

static void
refresh(size_t writer, const struct dht_item *item)
{
	memset(n_events, 0, sizeof(n_events));
	n_tape = 0;
	taping = true;
	assert_int_equal(
	    dht_refresh(net.node[writer], 1, item, dht_net_now(&net)), ERR_OK);
	dht_net_run(&net, 5000);
	taping = false;
	assert_int_equal(n_events[DHT_PUT_DONE], 1);
	assert_true(last.found && last.n >= 8);
}

/* Renewals and looks that find nothing fit into the two smaller sizes. */
static void
who_keeps_an_item_is_not_sent_it_again(void **state)
{
	enum { NEARLY_MS = 110 * 60 * 1000 };
	struct dht_item item, newer;

	(void)state;
	begin(250, false, false, 24);
	dht_net_run(&net, 60000);
	put(3, 1, &item);
	for (unsigned i = 0; i < 3; i++) {
		dht_net_run(&net, NEARLY_MS);
		refresh(3, &item);
		assert_int_equal(n_taped_above(512), 0);
	}
	dht_net_run(&net, NEARLY_MS);
	find(8, &item);
	/* Another value is put where the first one was kept. */
	make(1, 'b', 4, &newer);
	refresh(3, &newer);
	assert_in_range(n_taped_above(512), 8, 16);
	memset(n_events, 0, sizeof(n_events));
	find(9, &newer);
	/* What nobody has any more is put again. */
	dht_net_run(&net, 2 * NEARLY_MS);
	refresh(3, &newer);
	assert_in_range(n_taped_above(512), 8, 16);
	dht_net_clear(&net);
}

static size_t
n_taped_to(size_t who, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < n_tape; i++)
		n +=
		    tape[i].n == size && endpoint_eq(&tape[i].to, &net.at[who]);
	return n;
}

/* Who wants nobody named, and has no use for a token, is answered in 128
 * bytes; of a glance one answer names nodes, of a renewal two. */
static void
what_is_done_often_takes_the_smallest_answers(void **state)
{
	struct dht_item item;

	(void)state;
	begin(252, false, false, 24);
	dht_net_run(&net, 20 * 60000);
	put(3, 1, &item);
	refresh(3, &item);
	assert_in_range(n_taped_to(3, 512), 1, 2);
	assert_true(n_taped_to(3, 128) >= 6);
	memset(item.pk, 9, sizeof(item.pk)); /* nobody's */
	n_tape = 0;
	taping = true;
	assert_int_equal(dht_glance(net.node[8], 2, item.pk, span_str("s"),
	                     dht_net_now(&net)),
	    ERR_OK);
	dht_net_run(&net, 5000);
	taping = false;
	assert_int_equal(n_taped_to(8, 512), 1);
	assert_true(n_taped_to(8, 128) >= 3);
	dht_net_clear(&net);
}

/* Whoever says on the way that he keeps the item is not where readers look. */
static void
only_the_nearest_count_as_copies(void **state)
{
	static const struct target goal = { { 0 } };
	struct op *op;

	(void)state;
	begin(253, false, false, 2);
	dht_net_run(&net, 10000);
	op = op_new(net.node[1], OP_PUT);
	assert_non_null(op);
	make(1, 'a', 3, &op->item);
	op->repeat = true;
	lookup_init(&op->look, &goal, 20, LOOKUP_SOFT_MS, net.now_ms);
	for (unsigned i = 0; i < LOOKUP_K + 4; i++) {
		struct krpc_node node = { .at = test_addr(30, i, 1, 1) };

		node.id.b[0] = (uint8_t)i;
		assert_true(lookup_add(&op->look, &node, LOOKUP_TABLE, 0));
	}
	for (unsigned i = 0; i < op->look.n; i++) {
		op->look.node[i].state = LOOKUP_ANSWERED;
		op->look.node[i].put = PUT_DONE;
	}
	put_begin(net.node[1], op, net.now_ms);
	assert_int_equal(op->state, OP_OVER);
	assert_int_equal(op->report.n_stored, LOOKUP_K);
	dht_net_clear(&net);
}

/* Such a look leaves no room for a value: it comes when it is asked for. */
static void
a_small_look_finds_what_does_not_fit_its_answers(void **state)
{
	struct dht_item item;

	(void)state;
	begin(251, false, false, 24);
	dht_net_run(&net, 60000);
	put(3, 1, &item);
	for (int glance = 0; glance < 2; glance++) {
		memset(n_events, 0, sizeof(n_events));
		memset(&last_item, 0, sizeof(last_item));
		n_tape = 0;
		taping = true;
		assert_int_equal(
		    (glance ? dht_glance : dht_get_calmly)(net.node[8], 2,
		        item.pk, span_str("s"), dht_net_now(&net)),
		    ERR_OK);
		dht_net_run(&net, 5000);
		taping = false;
		assert_int_equal(n_events[DHT_VALUE], 1);
		assert_memory_equal(last_item.v, item.v, item.v_n);
	}
	n_tape = 0;
	taping = true;
	memset(item.pk, 9, sizeof(item.pk)); /* nobody's */
	assert_int_equal(dht_glance(net.node[8], 2, item.pk, span_str("s"),
	                     dht_net_now(&net)),
	    ERR_OK);
	dht_net_run(&net, 5000);
	taping = false;
	assert_true(n_tape > 0);
	assert_int_equal(n_taped_above(512), 0);
	dht_net_clear(&net);
}

/* ---- silence ---- */

static uint64_t
sent_by(size_t i)
{
	struct dht_stats s;

	dht_get_stats(net.node[i], &s);
	return s.n_out;
}

static void
copies_draw_nothing(void **state)
{
	static const uint8_t elsewhere[4] = { 99, 9, 9, 9 };
	struct endpoint other = endpoint_v4(elsewhere, 99);
	struct dht_item item;
	size_t n_copies = 0;

	(void)state;
	begin(230, false, false, 8);
	dht_net_run(&net, 20000);
	taping = true;
	put(3, 1, &item);
	taping = false;
	for (size_t k = 0; k < n_tape; k++) {
		for (size_t i = 0; i < net.n; i++) {
			struct span d = span_of(tape[k].data, tape[k].n);
			uint64_t before = sent_by(i);

			if (!endpoint_eq(&net.at[i], &tape[k].to))
				continue;
			dht_net_inject(&net, &tape[k].from, i, d);
			dht_net_inject(&net, &other, i, d);
			assert_int_equal(sent_by(i), before);
			n_copies++;
		}
	}
	assert_true(n_copies > 20);
	dht_net_clear(&net);
}

static void
garbage_plain_krpc_and_old_minutes_draw_nothing(void **state)
{
	static const char ping[] = "d1:ad2:id20:abcdefghij0123456789e"
	                           "1:q4:ping1:t2:aa1:y1:qe";
	struct endpoint other = net.at[1];
	uint8_t raw[OVERLAY_SIZE_MAX];
	uint64_t before;

	(void)state;
	begin(231, false, false, 8);
	dht_net_run(&net, 20000);
	other = net.at[7];
	other.addr[15] ^= 1;
	before = sent_by(0);
	dht_net_inject(&net, &other, 0, span_str(ping));
	for (size_t n = 0; n <= sizeof(raw); n += 8) {
		rng_fill(&net.rng.rng, raw, n);
		dht_net_inject(&net, &other, 0, span_of(raw, n));
	}
	assert_int_equal(sent_by(0), before);
	dht_net_clear(&net);
}

/* A query of our own making to node `to`; what it says is the caller's. */
struct probe {
	struct carrier *c;
	uint16_t asked;
	uint8_t out[OVERLAY_SIZE_MAX];
	size_t n;
};

static bool
probe(struct probe *p, size_t to, struct krpc *m, const struct node_key *n,
    const struct endpoint *from)
{
	uint8_t plain[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(plain, sizeof(plain));
	struct writer out = wr_init(p->out, sizeof(p->out));
	struct carrier_query q = { .to = &net.at[to], .n = n };
	uint64_t before = sent_by(to);

	m->kind = KRPC_QUERY;
	m->t = span_str("aaaa");
	m->has_id = true;
	krpc_encode(m, &w);
	q.krpc = wr_span_of(&w);
	assert_int_equal(
	    carrier_ask(p->c, &q, dht_net_now(&net), &out, &p->asked), ERR_OK);
	dht_net_inject(&net, from, to, wr_span_of(&out));
	p->n = out.n;
	carrier_forget(p->c, p->asked);
	return sent_by(to) > before;
}

/* What cannot be opened may come from anybody, so it is charged to nobody. */
static void
forged_junk_makes_us_deaf_to_no_network(void **state)
{
	static const uint8_t forged[4] = { 99, 9, 9, 9 };
	static const uint8_t honest[4] = { 99, 9, 9, 10 };
	struct endpoint thief = endpoint_v4(forged, 99);
	struct endpoint from = endpoint_v4(honest, 98);
	struct krpc m = { .method = KRPC_PING, .has_minute = true };
	uint8_t junk[128];
	struct probe p;
	struct node_key n;

	(void)state;
	begin(233, false, false, 4);
	dht_net_run(&net, 10000);
	p.c = carrier_new(&net.rng.rng, false);
	dht_key(net.node[1], &n);
	for (unsigned i = 0; i < 20 * 20; i++) { /* 20 a second */
		rng_fill(&net.rng.rng, junk, sizeof(junk));
		junk[0] = 'j';
		dht_net_inject(&net, &thief, 1, span_of(junk, sizeof(junk)));
		dht_net_run(&net, 50);
	}
	m.minute = (int64_t)(dht_net_now(&net).wall_ms / 60000);
	assert_true(probe(&p, 1, &m, &n, &from));
	carrier_free(p.c);
	dht_net_clear(&net);
}

static void
only_a_present_minute_is_answered(void **state)
{
	static const uint8_t addr[4] = { 99, 9, 9, 9 };
	struct endpoint from = endpoint_v4(addr, 99);
	struct krpc m = { .method = KRPC_PING, .has_minute = true };
	struct probe p;
	struct node_key n;
	int64_t here;

	(void)state;
	begin(232, false, false, 4);
	dht_net_run(&net, 10000);
	p.c = carrier_new(&net.rng.rng, false);
	dht_key(net.node[1], &n);
	here = (int64_t)(dht_net_now(&net).wall_ms / 60000);
	for (int64_t off = -40; off <= 40; off++) {
		m.minute = here + off;
		assert_int_equal(probe(&p, 1, &m, &n, &from),
		    off >= -CARRIER_SKEW_MIN && off <= CARRIER_SKEW_MIN);
		dht_net_run(&net, 1000); /* within the rate of a source */
		here = (int64_t)(dht_net_now(&net).wall_ms / 60000);
	}
	m.has_minute = false;
	assert_false(probe(&p, 1, &m, &n, &from));
	carrier_free(p.c);
	dht_net_clear(&net);
}

static void
the_key_of_the_day_opens_a_ping_at_who_announces(void **state)
{
	static const uint8_t addr[4] = { 99, 9, 9, 9 };
	struct endpoint from = endpoint_v4(addr, 99);
	struct krpc m = { .method = KRPC_PING, .has_minute = true };
	struct probe p;

	(void)state;
	begin(233, false, false, 4);
	dht_net_run(&net, 10000);
	p.c = carrier_new(&net.rng.rng, false);
	m.minute = (int64_t)(dht_net_now(&net).wall_ms / 60000);
	assert_true(probe(&p, 0, &m, NULL, &from));
	assert_false(probe(&p, 1, &m, NULL, &from)); /* does not announce */
	m.method = KRPC_FIND_NODE;
	m.has_target = true;
	assert_false(probe(&p, 0, &m, NULL, &from));
	carrier_free(p.c);
	dht_net_clear(&net);
}

static void
no_answer_is_more_than_three_times_its_query(void **state)
{
	static const uint8_t addr[4] = { 99, 9, 9, 9 };
	static const enum krpc_method methods[] = { KRPC_PING, KRPC_FIND_NODE,
		KRPC_GET };
	struct endpoint from = endpoint_v4(addr, 99);
	struct dht_item item;
	struct probe p;
	struct node_key n;

	(void)state;
	begin(234, false, false, 16);
	dht_net_run(&net, 30000);
	put(3, 1, &item);
	p.c = carrier_new(&net.rng.rng, false);
	for (size_t i = 0; i < net.n; i++) {
		dht_key(net.node[i], &n);
		for (int k = 0; k < 3; k++) {
			struct krpc m = { .method = methods[k],
				.has_minute = true,
				.has_target = k > 0 };
			struct dht_stats a, b;

			m.minute = (int64_t)(dht_net_now(&net).wall_ms / 60000);
			dht_item_target(item.pk, span_str("s"), &m.target);
			dht_get_stats(net.node[i], &a);
			assert_true(probe(&p, i, &m, &n, &from));
			dht_get_stats(net.node[i], &b);
			assert_int_equal(b.n_out, a.n_out + 1);
			assert_true(b.bytes_out - a.bytes_out <= 3 * p.n);
			dht_net_run(&net, 1000);
		}
	}
	carrier_free(p.c);
	dht_net_clear(&net);
}

/* ---- ids ---- */

static void
ids_that_fit_not_both_key_and_address_stay_out(void **state)
{
	static const uint8_t addr[4] = { 99, 9, 9, 9 };
	struct krpc_node node = { .at = endpoint_v4(addr, 99) };
	struct overlay_static s;

	(void)state;
	begin(240, false, false, 1);
	overlay_day_key(1, &s); /* any key pair */
	memcpy(node.n.b, s.pk, sizeof(node.n.b));
	for (unsigned r = 0; r < 256; r++) {
		overlay_node_id(s.pk, &node.at, (uint8_t)r, &node.id);
		assert_true(overlay_honest(net.node[0], &node));
		for (unsigned bit = 0; bit < NODEID_BITS; bit += 7) {
			node.id.b[bit / 8] ^= (uint8_t)(1U << bit % 8);
			assert_false(overlay_honest(net.node[0], &node));
			node.id.b[bit / 8] ^= (uint8_t)(1U << bit % 8);
		}
		node.at.addr[12] ^= 3; /* another network */
		assert_false(overlay_honest(net.node[0], &node));
		node.at.addr[12] ^= 3;
	}
	node.at = test_addr(10, 0, 0, 1); /* binds nothing: the key does */
	assert_true(overlay_honest(net.node[0], &node));
	node.n.b[0] ^= 1;
	assert_false(overlay_honest(net.node[0], &node));
	node.n = (struct node_key){ { 0 } };
	assert_false(overlay_honest(net.node[0], &node));
	dht_net_clear(&net);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nodes_meet_and_keep_what_they_are_given),
		cmocka_unit_test(a_node_becomes_another),
		cmocka_unit_test(two_nodes_are_enough),
		cmocka_unit_test(a_node_that_is_named_needs_no_introduction),
		cmocka_unit_test(saved_nodes_bring_a_node_back),
		cmocka_unit_test(a_seed_with_another_key_is_found_again),
		cmocka_unit_test(who_keeps_an_item_is_not_sent_it_again),
		cmocka_unit_test(what_is_done_often_takes_the_smallest_answers),
		cmocka_unit_test(only_the_nearest_count_as_copies),
		cmocka_unit_test(
		    a_small_look_finds_what_does_not_fit_its_answers),
		cmocka_unit_test(copies_draw_nothing),
		cmocka_unit_test(
		    garbage_plain_krpc_and_old_minutes_draw_nothing),
		cmocka_unit_test(forged_junk_makes_us_deaf_to_no_network),
		cmocka_unit_test(only_a_present_minute_is_answered),
		cmocka_unit_test(
		    the_key_of_the_day_opens_a_ping_at_who_announces),
		cmocka_unit_test(no_answer_is_more_than_three_times_its_query),
		cmocka_unit_test(
		    ids_that_fit_not_both_key_and_address_stay_out),
	};

	return cmocka_run_group_tests_name("overlay_net", tests, NULL, NULL);
}
