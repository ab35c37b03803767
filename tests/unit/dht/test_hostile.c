/*
 * Hostile inputs 31 to 39: one node on virtual time, and everything that the
 * network may throw at it. Its answers are checked to be KRPC.
 */
#include "tests/support/dht_item.h"
#include "tests/support/dht_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const struct krpc_form plain_v4 = { FAMILY_V4, false };

static void
test_hostile_31_bencoding_that_is_not_canonical(void **state)
{
	static const char *const bad[] = {
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:q",
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qee",
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe ",
		"d1:q4:ping1:ad2:id20:abcdefghij0123456789e1:t2:aa1:y1:qe",
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping1:q4:ping1:t2:aa1:y"
		"1:qe",
		"d01:ad2:id20:abcdefghij0123456789e1:q4:ping1:t2:aa1:y1:qe",
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi-0e1:t2:aa1:y"
		"1:qe",
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi01e1:t2:aa1:y"
		"1:qe",
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roie1:t2:aa1:y1:"
		"qe",
		"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi"
		"9223372036854775808e1:t2:aa1:y1:qe",
		"d1:a9223372036854775808:e1:q4:ping1:t2:aa1:y1:qe",
		"d1:a-1:x1:q4:ping1:t2:aa1:y1:qe",
		"di1e1:ae",
		"d1:ad2:id20:abcdefghij0123456789e1:q4:pinge",
		"de",
	};
	struct endpoint from = test_addr(9, 9, 9, 9);
	static char deep[20001];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		lab_inject(&from, span_str(bad[i]));
		assert_int_equal(lab.n_sent, 0);
	}
	memset(deep, 'l', 10000);
	memset(deep + 10000, 'e', 10000);
	lab_inject(&from, span_of(deep, 20000));
	memcpy(deep, "d1:a", 4);
	lab_inject(&from, span_of(deep, 20000));
	/* Nine deep inside an argument: one more than is read. */
	lab_inject(&from,
	    span_str("d1:ad2:id20:abcdefghij01234567891:vlllllllleeeeeeeee"
	             "1:q4:ping1:t2:aa1:y1:qe"));
	assert_int_equal(lab.n_sent, 0);
	assert_true(lab.d->stats.n_dropped >= 18);
	/* Good bencoding with a bad argument is told so. */
	lab_inject(&from, span_str("d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe"));
	assert_int_equal(lab.n_sent, 1);
	assert_int_equal(lab_sent(0)->kind, KRPC_ERROR);
	assert_int_equal(lab.got.code, KRPC_PROTOCOL);
}

static void
test_hostile_32_puts_that_are_refused_with_their_code(void **state)
{
	static uint8_t big[1001 + 5], salt[65];
	struct endpoint from = test_addr(9, 9, 9, 9);
	struct dht_item item;
	struct krpc m;

	(void)state;
	test_item(1, span_str(""), span_str("value"), 5, &item);
	m = test_put(&item);
	(void)snprintf((char *)big, sizeof(big), "997:%997d", 7);
	m.v = span_of(big, 1001);
	assert_int_equal(lab_put_code(&from, &m, true), 205);
	m = test_put(&item);
	m.salt = span_of(salt, sizeof(salt));
	assert_int_equal(lab_put_code(&from, &m, true), 207);
	m = test_put(&item);
	assert_int_equal(lab_put_code(&from, &m, false), 203);
	m.sig[5] ^= 1;
	assert_int_equal(lab_put_code(&from, &m, true), 206);
	m = test_put(&item);
	m.has_sig = false;
	assert_int_equal(lab_put_code(&from, &m, true), 203);
	m = test_put(&item);
	m.seq = -1;
	assert_int_equal(lab_put_code(&from, &m, true), 203);
	assert_int_equal(lab.d->items.index.n, 0); /* nothing stored so far */
	lab_pass(10000); /* the budget of one source fills again */
	m = test_put(&item);
	assert_int_equal(lab_put_code(&from, &m, true), 0);
	assert_int_equal(lab.d->items.index.n, 1);
	m.has_cas = true;
	m.cas = 4;
	assert_int_equal(lab_put_code(&from, &m, true), 301);
	test_item(1, span_str(""), span_str("older"), 4, &item);
	m = test_put(&item);
	assert_int_equal(lab_put_code(&from, &m, true), 302);
	assert_int_equal(lab.d->items.index.n, 1);
	test_item(1, span_str(""), span_str("value"), 5, &item);
	dht_item_target(item.pk, span_str(""), &m.target);
	assert_memory_equal(
	    items_get(&lab.d->items, &m.target, lab.now.mono_ms)->v, item.v,
	    item.v_n);
}

/* Lets our node do an operation among n peers that all answer gets alike. */
static void
play(struct krpc_node *nodes, unsigned n, const struct krpc *to_get,
    int64_t put_code)
{
	for (size_t i = 0; i < lab.n_sent && i < LAB_SENT_MAX; i++) {
		struct krpc m = { .kind = KRPC_RESPONSE };
		struct krpc_node *node = NULL;

		for (unsigned k = 0; k < n; k++)
			if (endpoint_eq(&nodes[k].at, &lab.sent[i].to))
				node = &nodes[k];
		if (!node)
			continue;
		(void)lab_sent(i);
		if (lab.got.kind != KRPC_QUERY)
			continue;
		if (lab.got.method == KRPC_GET && to_get)
			m = *to_get;
		if (lab.got.method == KRPC_GET)
			m.token = span_str("tok");
		if (lab.got.method != KRPC_PUT || put_code == 0) {
			lab_reply(i, node, &m);
			continue;
		}
		m = (struct krpc){ .kind = KRPC_ERROR,
			.t = lab.got.t,
			.code = put_code,
			.text = span_str("no") };
		lab_krpc(&node->at, &m);
	}
}

static void
test_hostile_33_the_highest_seq_at_our_own_cell(void **state)
{
	struct krpc_node nodes[8];
	struct endpoint from = test_addr(9, 9, 9, 9);
	struct dht_item top, ours;
	struct krpc m;

	(void)state;
	/* We store it for others like any other. */
	test_item(1, span_str(""), span_str("rival"), INT64_MAX, &top);
	m = test_put(&top);
	assert_int_equal(lab_put_code(&from, &m, true), 0);
	/* At our own cell: nobody takes ours, and we are told why. */
	lab_meet(nodes, 8);
	test_item(2, span_str(""), span_str("rival"), INT64_MAX, &top);
	test_item(2, span_str(""), span_str("ours"), 77, &ours);
	m = test_put(&top);
	assert_int_equal(dht_put(lab.d, 1, &ours, lab.now), ERR_OK);
	lab_drain();
	play(nodes, 8, &m, KRPC_SEQ_TOO_LOW);
	lab_pass(5000);
	assert_int_equal(lab.n_done, 1);
	assert_int_equal(lab.done.kind, DHT_PUT_DONE);
	assert_int_equal(lab.done.n, 0);
	assert_int_equal(lab.n_values, 1);
	assert_true(lab.value.seq == INT64_MAX);
	/* The other salt is free. */
	test_item(2, span_str("1"), span_str("ours"), 78, &ours);
	lab_clear();
	assert_int_equal(dht_put(lab.d, 2, &ours, lab.now), ERR_OK);
	lab_drain();
	play(nodes, 8, NULL, 0);
	assert_int_equal(lab.n_done, 2);
	assert_int_equal(lab.done.n, 8);
	/* They took it and do not give it back: that is said. */
	assert_int_equal(lab.done.report.n_stored, 8);
	assert_int_equal(lab.done.report.spread, 8);
	assert_int_equal(lab.done.report.read_back, DHT_BACK_NO);
}

/* Answers, and whether the lookup ended by itself or by the clock. */
static enum dht_back
verdict(size_t n_answered, uint64_t took_ms)
{
	static struct op op; /* large */

	op.kind = OP_PUT;
	op.state = OP_READING;
	op.look.started_ms = 1000;
	put_read_back(&op, n_answered, 1000 + took_ms);
	return op.report.read_back;
}

/* Where we ask too much at once the lookups starve: that is not guarded. */
static void
a_reading_back_that_had_no_time_proves_nothing(void **state)
{
	(void)state;
	assert_int_equal(verdict(0, 3000), DHT_BACK_UNKNOWN);
	assert_int_equal(verdict(3, LOOKUP_END_MS), DHT_BACK_UNKNOWN);
	assert_int_equal(verdict(3, LOOKUP_END_MS - 1), DHT_BACK_NO);
	assert_int_equal(verdict(LOOKUP_K, LOOKUP_END_MS), DHT_BACK_NO);
}

/* One get among one liar: no value, and the liar is bad. */
static void
expect_lie(const struct krpc *lie, const struct dht_item *wanted)
{
	struct krpc_node nodes[1];
	struct table_node n;

	lab_meet(nodes, 1);
	assert_int_equal(
	    dht_get(lab.d, 1, wanted->pk, span_str(""), lab.now), ERR_OK);
	lab_drain();
	play(nodes, 1, lie, 0);
	lab_pass(10000);
	assert_int_equal(lab.n_values, 0);
	assert_int_equal(lab.n_done, 1);
	assert_false(lab.done.found);
	n = *table_find(&lab.d->table, &nodes[0].at);
	assert_true(n.failed >= TABLE_BAD);
}

static void
test_hostile_34_a_key_that_is_not_the_targets(void **state)
{
	struct dht_item wanted, other;
	struct krpc lie;

	(void)state;
	test_item(1, span_str(""), span_str("a"), 1, &wanted);
	test_item(2, span_str(""), span_str("a"), 1, &other);
	lie = test_put(&other);
	expect_lie(&lie, &wanted);
}

static void
test_hostile_34_a_signature_that_is_wrong(void **state)
{
	struct dht_item wanted;
	struct krpc lie;

	(void)state;
	test_item(1, span_str(""), span_str("a"), 1, &wanted);
	lie = test_put(&wanted);
	lie.sig[63] ^= 1;
	expect_lie(&lie, &wanted);
}

static void
test_hostile_34_a_value_under_another_seq(void **state)
{
	struct dht_item wanted;
	struct krpc lie;

	(void)state;
	test_item(1, span_str(""), span_str("a"), 1, &wanted);
	lie = test_put(&wanted);
	lie.seq = 2;
	expect_lie(&lie, &wanted);
}

static void
test_hostile_34_a_value_without_a_key(void **state)
{
	struct dht_item wanted;
	struct krpc lie;

	(void)state;
	test_item(1, span_str(""), span_str("a"), 1, &wanted);
	lie = test_put(&wanted);
	lie.has_k = false;
	expect_lie(&lie, &wanted);
}

static void
test_hostile_35_node_lists_that_lie(void **state)
{
	static uint8_t raw[10400];
	struct krpc_node nodes[1], bad[7];
	struct krpc m = { .kind = KRPC_RESPONSE };
	struct writer w = wr_init(raw, sizeof(raw));

	(void)state;
	lab_meet(nodes, 1);
	for (int i = 0; i < 7; i++)
		bad[i] = lab_peer(100 + (unsigned)i);
	bad[0].at = test_addr(127, 0, 0, 1);
	bad[1].at = test_addr(224, 0, 0, 1);
	bad[2].at.port = 0;
	bad[3].at = test_addr(10, 0, 0, 1);
	bad[4].at = test_addr(0, 0, 0, 0);
	bad[5].id = lab.d->id;
	bad[6].at = test_addr(255, 255, 255, 255);
	krpc_nodes_write(bad, 7, plain_v4, &w);
	m.nodes[FAMILY_V4] = wr_span_of(&w);
	assert_int_equal(dht_get(lab.d, 1, raw, span_str(""), lab.now), ERR_OK);
	lab_drain();
	assert_int_equal(lab.n_sent, 1);
	lab_reply(0, &nodes[0], &m);
	assert_int_equal(lab.n_sent, 1); /* nobody of them was asked */
	assert_int_equal(lab.n_done, 1);
	/* A length that is no multiple, and one of four hundred nodes. */
	for (size_t n = 25; n <= 10400; n += 10375) {
		w = wr_init(raw, sizeof(raw));
		for (unsigned i = 0; i < 400; i++) {
			struct krpc_node p = lab_peer(200 + i);

			krpc_nodes_write(&p, 1, plain_v4, &w);
		}
		lab_clear();
		assert_int_equal(
		    dht_get(lab.d, n, raw, span_str(""), lab.now), ERR_OK);
		lab_drain();
		m = (struct krpc){ .kind = KRPC_RESPONSE };
		m.nodes[FAMILY_V4] = span_of(raw, n < 1000 ? n : 52 * 26);
		lab_reply(0, &nodes[0], &m);
		assert_in_range(lab.n_sent, 1, 1 + KRPC_NODES_MAX);
		lab_pass(20000);
		assert_in_range(lab.n_sent, 1, 1 + 2 * KRPC_NODES_MAX);
	}
}

static void
test_hostile_36_a_thousand_sybils_round_one_target(void **state)
{
	struct krpc_node nodes[8];
	uint64_t began_ms;
	unsigned answered = 0, n_gets = 0;
	static const uint8_t pk[32] = { 1 };

	(void)state;
	lab_meet(nodes, 8);
	assert_int_equal(dht_get(lab.d, 1, pk, span_str(""), lab.now), ERR_OK);
	began_ms = lab.now.mono_ms;
	lab_drain();
	for (size_t i = 0; i < lab.n_sent && i < LAB_SENT_MAX; i++) {
		struct krpc m = { .kind = KRPC_RESPONSE };
		struct krpc_node self = { .at = lab.sent[i].to };
		struct krpc_node sybil[16];
		uint8_t raw[16 * 26];
		struct writer w = wr_init(raw, sizeof(raw));

		/* Each answer names sixteen more, all of 66.6/16. */
		for (unsigned k = 0; k < 16; k++) {
			unsigned at = (answered * 16 + k) % 1000;

			sybil[k].at = test_addr(66, 6, at / 4, at % 4 + 1);
			nodeid_make(&sybil[k].at, (uint8_t)at, &lab.rng.rng,
			    &sybil[k].id);
		}
		krpc_nodes_write(sybil, 16, plain_v4, &w);
		m.nodes[FAMILY_V4] = wr_span_of(&w);
		nodeid_make(&self.at, 1, &lab.rng.rng, &self.id);
		answered++;
		lab_reply(i, &self, &m);
	}
	lab_pass(10000);
	assert_int_equal(lab.n_done, 1);
	assert_true(lab.now.mono_ms - began_ms <= 10000);
	for (size_t i = 0; i < lab.n_sent && i < LAB_SENT_MAX; i++) {
		if (lab_sent(i)->method != KRPC_GET)
			continue;
		n_gets++;
		for (size_t k = 0; k < i; k++)
			assert_false(lab_sent(k)->method == KRPC_GET &&
			             endpoint_same_prefix(
			                 &lab.sent[i].to, &lab.sent[k].to, 24));
	}
	assert_in_range(n_gets, 9, LOOKUP_ASKED_MAX);
}

static void
test_hostile_37_a_flood_of_forged_queries(void **state)
{
	struct krpc_node nodes[8];
	struct dht_item item;
	struct krpc ask = lab_query(KRPC_GET), m;
	struct endpoint from = test_addr(9, 9, 9, 9);
	uint64_t in = 0;
	size_t before;

	(void)state;
	lab_meet(nodes, 8);
	test_item(1, span_str(""), span_str("0123456789"), 5, &item);
	m = test_put(&item);
	assert_int_equal(lab_put_code(&from, &m, true), 0);
	items_target(&m, &ask.target);
	before = table_count(&lab.d->table);
	lab_clear();
	/* Ten thousand a second for ten seconds, from everywhere. */
	for (unsigned i = 0; i < 100000; i++) {
		from = test_addr(1 + rng_below(&lab.rng.rng, 9),
		    rng_below(&lab.rng.rng, 256), rng_below(&lab.rng.rng, 256),
		    1 + rng_below(&lab.rng.rng, 250));
		nodeid_random(&lab.rng.rng, &ask.id);
		lab_krpc(&from, &ask);
		in++;
		if (i % 10 == 9)
			lab_pass(1);
	}
	print_message("37: %zu bytes out in 10 s\n", lab.bytes_sent);
	assert_true(lab.bytes_sent <=
	            (10 + GUARD_UPLOAD_BURST) * GUARD_UPLOAD +
	                100 * (10 * GUARD_PINGS + GUARD_PINGS_BURST + 64));
	assert_int_equal(table_count(&lab.d->table), before);
	for (unsigned i = 0; i < 8; i++)
		assert_non_null(table_find(&lab.d->table, &nodes[i].at));
	/* One source gets little out of large values. */
	lab_pass(60000);
	lab_clear();
	from = test_addr(77, 7, 7, 7);
	for (unsigned i = 0; i < 3000; i++) {
		lab_krpc(&from, &ask);
		lab_pass(10);
	}
	assert_true(lab.bytes_sent < 30 * GUARD_RATE * 400);
}

/* BEP 42 where it counts: whoever chose his id near a cell without the address
 * for it is served, but nothing is stored at him. */
static void
test_hostile_36_ids_of_free_choice_get_nothing_stored(void **state)
{
	struct krpc_node nodes[16];
	struct krpc m = { .kind = KRPC_RESPONSE };
	struct dht_item item;
	struct target goal;
	unsigned n_puts = 0;
	uint8_t raw[8 * 26];
	struct writer w = wr_init(raw, sizeof(raw));

	(void)state;
	test_item(1, span_str(""), span_str("ours"), 1, &item);
	dht_item_target(item.pk, span_str(""), &goal);
	lab_meet(nodes, 8);
	for (unsigned i = 8; i < 16; i++) { /* as near as they like */
		nodes[i] = lab_peer(i);
		nodes[i].id = goal;
		nodes[i].id.b[18] ^= (uint8_t)i;
	}
	krpc_nodes_write(nodes + 8, 8, plain_v4, &w);
	m.nodes[FAMILY_V4] = wr_span_of(&w);
	lab_clear();
	assert_int_equal(dht_put(lab.d, 1, &item, lab.now), ERR_OK);
	lab_drain();
	play(nodes, 16, &m, 0);
	assert_int_equal(lab.n_done, 1);
	assert_int_equal(lab.done.n, 8);
	for (size_t i = 0; i < lab.n_sent; i++) {
		if (lab_sent(i)->method != KRPC_PUT)
			continue;
		n_puts++;
		for (unsigned k = 8; k < 16; k++)
			assert_false(
			    endpoint_eq(&lab.sent[i].to, &nodes[k].at));
	}
	assert_int_equal(n_puts, 8);
	/* But who asks is answered. */
	m = lab_query(KRPC_FIND_NODE);
	m.id = nodes[9].id;
	lab_clear();
	lab_krpc(&nodes[9].at, &m);
	assert_int_equal(lab_sent(0)->kind, KRPC_RESPONSE);
	assert_in_range(lab.got.nodes[FAMILY_V4].n, 5 * 26, 8 * 26);
}

enum { VICTIMS = 200 };

/* What was sent to whom since the last call. */
static void
tally(uint64_t out[VICTIMS])
{
	assert_true(lab.n_sent <= LAB_SENT_MAX);
	for (size_t i = 0; i < lab.n_sent; i++) {
		struct span addr = endpoint_addr(&lab.sent[i].to);

		if (addr.p[0] == 100)
			out[addr.p[1]] += lab.sent[i].n;
	}
	lab_clear();
}

/* A query of any kind for what is stored here; some ask for other families,
 * are read-only, or have a fault. */
static struct krpc
any_query(const struct krpc *put)
{
	uint32_t dice = rng_u32(&lab.rng.rng);
	struct krpc m =
	    lab_query((enum krpc_method)(1 + dice % (KRPC_METHODS - 1)));

	nodeid_random(&lab.rng.rng, &m.id);
	if (m.method == KRPC_PUT) {
		m = *put;
		m.t = span_str("t");
		m.id = put->target;
	}
	if (m.method == KRPC_GET)
		items_target(put, &m.target);
	m.t = span_of(m.t.p, 1 + (dice >> 8) % m.t.n);
	m.token = span_str("87654321");
	m.port = 1;
	m.read_only = (dice >> 16) % 8 == 0;
	m.has_id = (dice >> 20) % 8 != 0;
	m.has_want = (dice >> 24) % 4 == 0;
	m.want[FAMILY_V4] = m.want[FAMILY_V6] = true;
	return m;
}

static void
test_hostile_37_a_reflector_gains_nothing(void **state)
{
	uint64_t in[VICTIMS] = { 0 }, out[VICTIMS] = { 0 };
	static uint8_t buf[TEST_BUF];
	struct krpc_node nodes[32];
	struct endpoint at;
	struct krpc m, put;
	static char text[996];
	struct dht_item item;
	double worst = 0;

	(void)state;
	lab_meet(nodes, 32);
	memset(text, 'x', sizeof(text) - 1);
	test_item(1, span_str(""), span_str(text), 5, &item);
	put = test_put(&item);
	assert_int_equal(
	    items_put(&lab.d->items, &put, &nodes[0].at, lab.now.mono_ms), 0);
	m = lab_query(KRPC_GET_PEERS);
	for (unsigned i = 0; i < 300; i++) {
		struct target hash = { { (uint8_t)i } };

		at = test_addr(30 + i / 250, i % 250, 1, 1);
		assert_int_equal(peers_put(&lab.d->peers, &m.target, &at, false,
		                     lab.now.mono_ms),
		    0);
		if (i < 100)
			assert_int_equal(peers_put(&lab.d->peers, &hash, &at,
			                     false, lab.now.mono_ms),
			    0);
	}
	/* Slowly enough that no other budget ends it before. */
	for (unsigned i = 0; i < test_rounds(4000); i++) {
		unsigned victim = i % VICTIMS;
		struct span query;

		at = test_addr(100, victim, 1, 1);
		m = any_query(&put);
		query = test_encode(&m, buf);
		in[victim] += query.n;
		lab_inject(&at, query);
		tally(out);
		lab_pass(100);
		tally(out);
		assert_true(out[victim] <= 3 * in[victim]);
	}
	lab_pass(10000);
	tally(out);
	for (unsigned v = 0; v < VICTIMS; v++) {
		assert_true(out[v] > 0 && out[v] <= 3 * in[v]);
		if ((double)out[v] / (double)in[v] > worst)
			worst = (double)out[v] / (double)in[v];
	}
	print_message("37: %.2f bytes out for one in, at worst\n", worst);
}

static void
test_hostile_38_answers_nobody_asked_for(void **state)
{
	struct krpc_node node = lab_peer(1), other = lab_peer(2);
	struct krpc m = { .kind = KRPC_RESPONSE };
	struct krpc e = { .kind = KRPC_ERROR, .t = span_str("abcd") };
	uint8_t t[4];

	(void)state;
	m.has_id = true;
	m.id = node.id;
	m.t = span_str("abcd");
	lab_krpc(&node.at, &m);
	e.code = 201;
	e.text = span_str("x");
	lab_krpc(&node.at, &e);
	assert_int_equal(lab.n_sent, 0);
	dht_candidate(lab.d, &node.at, lab.now);
	lab_drain();
	memcpy(t, lab_sent(0)->t.p, 4);
	m.t = span_of(t, 4);
	lab_krpc(&other.at, &m); /* from elsewhere */
	node.at.port++;
	lab_krpc(&node.at, &m); /* from another port */
	node.at.port--;
	for (unsigned bit = 0; bit < 32; bit++) {
		t[bit / 8] ^= (uint8_t)(1 << bit % 8);
		lab_krpc(&node.at, &m);
		t[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	m.t = span_of(t, 3);
	lab_krpc(&node.at, &m);
	assert_int_equal(table_count(&lab.d->table), 0);
	m.t = span_of(t, 4);
	lab_krpc(&node.at, &m);
	assert_int_equal(table_count(&lab.d->table), 1);
	m.id = other.id; /* the same id a second time */
	lab_krpc(&node.at, &m);
	assert_true(
	    nodeid_eq(&table_find(&lab.d->table, &node.at)->node.id, &node.id));
	assert_int_equal(lab.d->stats.n_dropped, 2 + 2 + 32 + 1 + 1);
}

static void
test_hostile_39_errors_of_strange_shape(void **state)
{
	static char text[61000];
	struct krpc_node node = lab_peer(1);
	int n;

	(void)state;
	dht_candidate(lab.d, &node.at, lab.now);
	lab_drain();
	lab_clear();
	n = snprintf(text, sizeof(text), "d1:eli201e60000:%060000d", 0);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "e1:t4:abcd1:y1:ee");
	lab_inject(&node.at, span_of(text, (size_t)n));
	lab_inject(&node.at, span_str("d1:eli201e1:xe1:ti5e1:y1:ee"));
	lab_inject(&node.at, span_str("d1:eli201e1:xe1:tle1:y1:ee"));
	lab_inject(&node.at, span_str("d1:e1:x1:t4:abcd1:y1:ee"));
	lab_inject(&node.at, span_str("d1:eli201ei5ee1:t4:abcd1:y1:ee"));
	assert_int_equal(lab.n_sent, 0);
	assert_int_equal(lab.d->stats.n_dropped, 5);
}

/* Changes some bytes of a good message. */
static size_t
damage(uint8_t *buf, size_t n)
{
	unsigned changes = 1 + rng_below(&lab.rng.rng, 4);

	while (changes-- > 0 && n > 2) {
		size_t at = rng_below(&lab.rng.rng, (uint32_t)n);

		switch (rng_below(&lab.rng.rng, 4)) {
		case 0:
			buf[at] = (uint8_t)rng_u32(&lab.rng.rng);
			break;
		case 1:
			buf[at] ^= (uint8_t)(1 << rng_below(&lab.rng.rng, 8));
			break;
		case 2:
			memmove(buf + at, buf + at + 1, n - at - 1);
			n--;
			break;
		case 3:
			buf[at] = (uint8_t)('0' + rng_below(&lab.rng.rng, 10));
			break;
		default:
			break;
		}
	}
	return n;
}

static void
random_and_nearly_good_datagrams_draw_only_krpc(void **state)
{
	static uint8_t buf[TEST_BUF];
	struct dht_item item;
	unsigned rounds = test_rounds(30000);

	(void)state;
	test_item(1, span_str("s"), span_str("value"), 5, &item);
	for (unsigned i = 0; i < rounds; i++) {
		struct endpoint from =
		    test_addr(1 + i % 200, i / 200 % 250, i % 7, 1);
		size_t n = rng_below(&lab.rng.rng, 1500);

		if (i % 2) {
			struct krpc m = test_put(&item);

			if (i % 3)
				m = lab_query((enum krpc_method)(1 + i % 5));
			m.token = span_str("12345678");
			n = damage(buf, test_encode(&m, buf).n);
		} else {
			rng_fill(&lab.rng.rng, buf, n);
			if (i % 4 && n > 1) {
				buf[0] = 'd';
				buf[n - 1] = 'e';
			}
		}
		lab_inject(&from, span_of(buf, n)); /* lab_drain() judges */
		if (i % 16 == 0)
			lab_pass(10);
	}
	assert_int_equal(table_count(&lab.d->table), 0);
	assert_int_equal(lab.d->items.index.n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

/* Hostile input 91: the names of the overlay's own methods, on Mainline. To the
 * byte what any other name draws. */
static void
hostile_91_mainline_does_not_know_what_introducers_say(void **state)
{
	static const char id[] = "2:id20:abcdefghij0123456789";
	static const char *const rest[] = { "",
		"6:target20:01234567890123456789",
		"9:info_hash20:01234567890123456789" };
	static const char *const names[] = { "8:nononono", "8:register",
		"4:nono", "4:pass", "4:hand" };
	static const char passage[] =
	    "1:c8:cookie_c1:d3:abc1:f8:circuit_1:h8:handle_h";
	struct krpc_node nodes[8];

	(void)state;
	lab_meet(nodes, 8);
	for (size_t i = 0; i < 2 * 3; i++) {
		struct lab_sent said = { .n = 0 };

		for (size_t k = 0; k < 5; k++) {
			struct endpoint from = test_addr(60, (uint8_t)i, 1, 1);
			char text[256];
			int n = snprintf(text, sizeof(text),
			    "d1:ad%s%s%se1:q%s2:roi1e1:t2:aa1:y1:qe",
			    i < 3 ? "" : passage, id, rest[i % 3], names[k]);
			lab_clear();
			lab_inject(&from, span_of(text, (size_t)n));
			assert_int_equal(lab.n_sent, 1);
			if (k == 0 || k == 2) /* nobody's name, as long */
				said = lab.sent[0];
			assert_int_equal(lab.sent[0].n, said.n);
			assert_memory_equal(
			    lab.sent[0].data, said.data, said.n);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hostile_31_bencoding_that_is_not_canonical),
		TEST(test_hostile_32_puts_that_are_refused_with_their_code),
		TEST(test_hostile_33_the_highest_seq_at_our_own_cell),
		TEST(a_reading_back_that_had_no_time_proves_nothing),
		TEST(test_hostile_34_a_key_that_is_not_the_targets),
		TEST(test_hostile_34_a_signature_that_is_wrong),
		TEST(test_hostile_34_a_value_under_another_seq),
		TEST(test_hostile_34_a_value_without_a_key),
		TEST(test_hostile_35_node_lists_that_lie),
		TEST(test_hostile_36_a_thousand_sybils_round_one_target),
		TEST(test_hostile_36_ids_of_free_choice_get_nothing_stored),
		TEST(test_hostile_37_a_flood_of_forged_queries),
		TEST(test_hostile_37_a_reflector_gains_nothing),
		TEST(test_hostile_38_answers_nobody_asked_for),
		TEST(test_hostile_39_errors_of_strange_shape),
		TEST(hostile_91_mainline_does_not_know_what_introducers_say),
		TEST(random_and_nearly_good_datagrams_draw_only_krpc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
