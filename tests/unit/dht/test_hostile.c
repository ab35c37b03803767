/*
 * Hostile inputs 31 to 39: one node on virtual time, and everything that the
 * network may throw at it. Its answers are checked to be KRPC.
 */
#include "proto/dht/dht_state.h"
#include "tests/support/dht_item.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SENT_MAX = 256 };

struct sent {
	struct endpoint to;
	size_t n;
	uint8_t data[KRPC_SIZE_MAX];
};

struct lab {
	struct test_rng rng;
	struct dht *d;
	struct now now;
	struct sent sent[SENT_MAX]; /* since the last clear */
	size_t n_sent, bytes_sent;
	struct bencode scratch;
	struct krpc got; /* of the last sent_as; borrows sent[] */
	size_t n_values, n_done;
	struct dht_item value;
	struct dht_event done;
};

static struct lab lab; /* large: not on the stack */
static const struct krpc_form plain_v4 = { FAMILY_V4, false };

/* Fetches what the node says. The law: only KRPC leaves, of the right size. */
static void
drain(void)
{
	struct dht_send s;
	struct dht_event e;
	struct krpc m;

	while (dht_next_event(lab.d, &e)) {
		if (e.kind == DHT_VALUE) {
			lab.n_values++;
			lab.value = *e.item;
		}
		if (e.kind == DHT_GET_DONE || e.kind == DHT_PUT_DONE) {
			lab.n_done++;
			lab.done = e;
		}
	}
	while (dht_next_send(lab.d, &s)) {
		assert_int_equal(krpc_decode(s.data, &lab.scratch, &m), ERR_OK);
		assert_true(m.kind != KRPC_QUERY || !m.fault);
		assert_true(s.data.n <= 1024 || m.v.p);
		assert_int_not_equal(s.to.port, 0);
		lab.bytes_sent += s.data.n;
		if (lab.n_sent < SENT_MAX) {
			struct sent *to = &lab.sent[lab.n_sent];

			to->to = s.to;
			to->n = s.data.n;
			memcpy(to->data, s.data.p, s.data.n);
		}
		lab.n_sent++;
	}
}

static void
clear(void)
{
	lab.n_sent = lab.bytes_sent = 0;
}

static int
setup(void **state)
{
	struct dht_config cfg = { .rng = &lab.rng.rng };

	(void)state;
	memset(&lab, 0, sizeof(lab));
	test_rng_init(&lab.rng, test_seed(31));
	lab.now = (struct now){ 5000, UINT64_C(1800000000000) };
	lab.d = dht_new(&cfg, lab.now);
	return lab.d ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	dht_free(lab.d);
	return 0;
}

static void
inject(const struct endpoint *from, struct span data)
{
	dht_receive(lab.d, from, data, lab.now);
	drain();
}

static void
inject_krpc(const struct endpoint *from, const struct krpc *m)
{
	static uint8_t buf[TEST_BUF];

	inject(from, test_encode(m, buf));
}

/* Lets time pass to `for_ms` from now, with all deadlines on the way. */
static void
pass(uint64_t for_ms)
{
	uint64_t end_ms = lab.now.mono_ms + for_ms;

	while (dht_deadline_ms(lab.d) <= end_ms) {
		uint64_t at_ms = dht_deadline_ms(lab.d);

		if (at_ms > lab.now.mono_ms)
			lab.now.mono_ms = at_ms;
		dht_tick(lab.d, lab.now);
		drain();
	}
	lab.now.mono_ms = end_ms;
}

static const struct krpc *
sent_as(size_t i)
{
	assert_true(i < lab.n_sent && i < SENT_MAX);
	assert_int_equal(krpc_decode(span_of(lab.sent[i].data, lab.sent[i].n),
	                     &lab.scratch, &lab.got),
	    ERR_OK);
	return &lab.got;
}

static struct krpc
query(enum krpc_method method)
{
	struct krpc m = { .kind = KRPC_QUERY, .method = method };

	m.t = span_str("abcd");
	m.has_id = true;
	memset(m.id.b, 0x3c, sizeof(m.id.b));
	m.has_target = method != KRPC_PING && method != KRPC_PUT;
	return m;
}

/* A peer at 20.n.1.1 with an id that fits. */
static struct krpc_node
peer(unsigned n)
{
	struct krpc_node node = { .at =
		                      test_addr(20 + n / 200, n % 200, 1, 1) };

	nodeid_make(&node.at, (uint8_t)n, &lab.rng.rng, &node.id);
	return node;
}

/* Answers the query that is sent[i] as node, with what m brings. */
static void
reply(size_t i, const struct krpc_node *node, struct krpc *m)
{
	uint8_t t[KRPC_T_MAX];
	size_t n = sent_as(i)->t.n;

	memcpy(t, lab.got.t.p, n);
	m->kind = KRPC_RESPONSE;
	m->t = span_of(t, n);
	m->has_id = true;
	m->id = node->id;
	inject_krpc(&node->at, m);
	m->t = span_of(NULL, 0);
}

/* Brings n peers into the table: each is pinged and answers. */
static void
meet(struct krpc_node *nodes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		struct krpc m = { .kind = KRPC_RESPONSE };

		nodes[i] = peer(i);
		clear();
		dht_candidate(lab.d, &nodes[i].at, lab.now);
		drain();
		assert_int_equal(lab.n_sent, 1);
		reply(0, &nodes[i], &m);
	}
	clear();
}

/* Which sent query went to `at`; SENT_MAX: none. */
static size_t
sent_to(const struct endpoint *at)
{
	for (size_t i = 0; i < lab.n_sent && i < SENT_MAX; i++)
		if (endpoint_eq(&lab.sent[i].to, at))
			return i;
	return SENT_MAX;
}

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
		inject(&from, span_str(bad[i]));
		assert_int_equal(lab.n_sent, 0);
	}
	memset(deep, 'l', 10000);
	memset(deep + 10000, 'e', 10000);
	inject(&from, span_of(deep, 20000));
	memcpy(deep, "d1:a", 4);
	inject(&from, span_of(deep, 20000));
	/* Nine deep inside an argument: one more than is read. */
	inject(&from,
	    span_str("d1:ad2:id20:abcdefghij01234567891:vlllllllleeeeeeeee"
	             "1:q4:ping1:t2:aa1:y1:qe"));
	assert_int_equal(lab.n_sent, 0);
	assert_true(lab.d->stats.n_dropped >= 18);
	/* Good bencoding with a bad argument is told so. */
	inject(&from, span_str("d1:ad2:id3:abce1:q4:ping1:t2:aa1:y1:qe"));
	assert_int_equal(lab.n_sent, 1);
	assert_int_equal(sent_as(0)->kind, KRPC_ERROR);
	assert_int_equal(lab.got.code, KRPC_PROTOCOL);
}

/* The code that a put of m draws; 0 if it was stored. */
static int64_t
code_of(const struct endpoint *from, struct krpc *m, bool good_token)
{
	static uint8_t token[64];
	struct krpc ask = query(KRPC_GET);
	struct target target;

	items_target(m, &target);
	ask.target = target;
	clear();
	inject_krpc(from, &ask);
	assert_int_equal(sent_as(0)->token.n, TOKEN_SIZE);
	memcpy(token, lab.got.token.p, TOKEN_SIZE);
	token[3] ^= !good_token;
	m->token = span_of(token, TOKEN_SIZE);
	clear();
	inject_krpc(from, m);
	assert_int_equal(lab.n_sent, 1);
	return sent_as(0)->kind == KRPC_ERROR ? lab.got.code : 0;
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
	assert_int_equal(code_of(&from, &m, true), 205);
	m = test_put(&item);
	m.salt = span_of(salt, sizeof(salt));
	assert_int_equal(code_of(&from, &m, true), 207);
	m = test_put(&item);
	assert_int_equal(code_of(&from, &m, false), 203);
	m.sig[5] ^= 1;
	assert_int_equal(code_of(&from, &m, true), 206);
	m = test_put(&item);
	m.has_sig = false;
	assert_int_equal(code_of(&from, &m, true), 203);
	m = test_put(&item);
	m.seq = -1;
	assert_int_equal(code_of(&from, &m, true), 203);
	assert_int_equal(lab.d->items.index.n, 0); /* nothing stored so far */
	pass(10000); /* the budget of one source fills again */
	m = test_put(&item);
	assert_int_equal(code_of(&from, &m, true), 0);
	assert_int_equal(lab.d->items.index.n, 1);
	m.has_cas = true;
	m.cas = 4;
	assert_int_equal(code_of(&from, &m, true), 301);
	test_item(1, span_str(""), span_str("older"), 4, &item);
	m = test_put(&item);
	assert_int_equal(code_of(&from, &m, true), 302);
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
	for (size_t i = 0; i < lab.n_sent && i < SENT_MAX; i++) {
		struct krpc m = { .kind = KRPC_RESPONSE };
		struct krpc_node *node = NULL;

		for (unsigned k = 0; k < n; k++)
			if (endpoint_eq(&nodes[k].at, &lab.sent[i].to))
				node = &nodes[k];
		if (!node)
			continue;
		(void)sent_as(i);
		if (lab.got.kind != KRPC_QUERY)
			continue;
		if (lab.got.method == KRPC_GET && to_get)
			m = *to_get;
		if (lab.got.method == KRPC_GET)
			m.token = span_str("tok");
		if (lab.got.method != KRPC_PUT || put_code == 0) {
			reply(i, node, &m);
			continue;
		}
		m = (struct krpc){ .kind = KRPC_ERROR,
			.t = lab.got.t,
			.code = put_code,
			.text = span_str("no") };
		inject_krpc(&node->at, &m);
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
	assert_int_equal(code_of(&from, &m, true), 0);
	/* At our own cell: nobody takes ours, and we are told why. */
	meet(nodes, 8);
	test_item(2, span_str(""), span_str("rival"), INT64_MAX, &top);
	test_item(2, span_str(""), span_str("ours"), 77, &ours);
	m = test_put(&top);
	assert_int_equal(dht_put(lab.d, 1, &ours, lab.now), ERR_OK);
	drain();
	play(nodes, 8, &m, KRPC_SEQ_TOO_LOW);
	pass(5000);
	assert_int_equal(lab.n_done, 1);
	assert_int_equal(lab.done.kind, DHT_PUT_DONE);
	assert_int_equal(lab.done.n, 0);
	assert_int_equal(lab.n_values, 1);
	assert_true(lab.value.seq == INT64_MAX);
	/* The other salt is free. */
	test_item(2, span_str("1"), span_str("ours"), 78, &ours);
	clear();
	assert_int_equal(dht_put(lab.d, 2, &ours, lab.now), ERR_OK);
	drain();
	play(nodes, 8, NULL, 0);
	assert_int_equal(lab.n_done, 2);
	assert_int_equal(lab.done.n, 8);
}

/* One get among one liar: no value, and the liar is bad. */
static void
expect_lie(const struct krpc *lie, const struct dht_item *wanted)
{
	struct krpc_node nodes[1];
	struct table_node n;

	meet(nodes, 1);
	assert_int_equal(
	    dht_get(lab.d, 1, wanted->pk, span_str(""), lab.now), ERR_OK);
	drain();
	play(nodes, 1, lie, 0);
	pass(10000);
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
	meet(nodes, 1);
	for (int i = 0; i < 7; i++)
		bad[i] = peer(100 + (unsigned)i);
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
	drain();
	assert_int_equal(lab.n_sent, 1);
	reply(0, &nodes[0], &m);
	assert_int_equal(lab.n_sent, 1); /* nobody of them was asked */
	assert_int_equal(lab.n_done, 1);
	/* A length that is no multiple, and one of four hundred nodes. */
	for (size_t n = 25; n <= 10400; n += 10375) {
		w = wr_init(raw, sizeof(raw));
		for (unsigned i = 0; i < 400; i++) {
			struct krpc_node p = peer(200 + i);

			krpc_nodes_write(&p, 1, plain_v4, &w);
		}
		clear();
		assert_int_equal(
		    dht_get(lab.d, n, raw, span_str(""), lab.now), ERR_OK);
		drain();
		m = (struct krpc){ .kind = KRPC_RESPONSE };
		m.nodes[FAMILY_V4] = span_of(raw, n < 1000 ? n : 52 * 26);
		reply(0, &nodes[0], &m);
		assert_in_range(lab.n_sent, 1, 1 + KRPC_NODES_MAX);
		pass(20000);
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
	meet(nodes, 8);
	assert_int_equal(dht_get(lab.d, 1, pk, span_str(""), lab.now), ERR_OK);
	began_ms = lab.now.mono_ms;
	drain();
	for (size_t i = 0; i < lab.n_sent && i < SENT_MAX; i++) {
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
		reply(i, &self, &m);
	}
	pass(10000);
	assert_int_equal(lab.n_done, 1);
	assert_true(lab.now.mono_ms - began_ms <= 10000);
	for (size_t i = 0; i < lab.n_sent && i < SENT_MAX; i++) {
		if (sent_as(i)->method != KRPC_GET)
			continue;
		n_gets++;
		for (size_t k = 0; k < i; k++)
			assert_false(sent_as(k)->method == KRPC_GET &&
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
	struct krpc ask = query(KRPC_GET), m;
	struct endpoint from = test_addr(9, 9, 9, 9);
	uint64_t in = 0;
	size_t before;

	(void)state;
	meet(nodes, 8);
	test_item(1, span_str(""), span_str("0123456789"), 5, &item);
	m = test_put(&item);
	assert_int_equal(code_of(&from, &m, true), 0);
	items_target(&m, &ask.target);
	before = table_count(&lab.d->table);
	clear();
	/* Ten thousand a second for ten seconds, from everywhere. */
	for (unsigned i = 0; i < 100000; i++) {
		from = test_addr(1 + rng_below(&lab.rng.rng, 9),
		    rng_below(&lab.rng.rng, 256), rng_below(&lab.rng.rng, 256),
		    1 + rng_below(&lab.rng.rng, 250));
		nodeid_random(&lab.rng.rng, &ask.id);
		inject_krpc(&from, &ask);
		in++;
		if (i % 10 == 9)
			pass(1);
	}
	print_message("37: %zu bytes out in 10 s\n", lab.bytes_sent);
	assert_true(lab.bytes_sent <=
	            10 * GUARD_UPLOAD + GUARD_UPLOAD_BURST +
	                100 * (10 * GUARD_PINGS + GUARD_PINGS_BURST + 64));
	assert_int_equal(table_count(&lab.d->table), before);
	for (unsigned i = 0; i < 8; i++)
		assert_non_null(table_find(&lab.d->table, &nodes[i].at));
	/* One source gets little out of large values. */
	pass(60000);
	clear();
	from = test_addr(77, 7, 7, 7);
	for (unsigned i = 0; i < 3000; i++) {
		inject_krpc(&from, &ask);
		pass(10);
	}
	assert_true(lab.bytes_sent < 30 * GUARD_RATE * 400);
}

static void
test_hostile_38_answers_nobody_asked_for(void **state)
{
	struct krpc_node node = peer(1), other = peer(2);
	struct krpc m = { .kind = KRPC_RESPONSE };
	struct krpc e = { .kind = KRPC_ERROR, .t = span_str("abcd") };
	uint8_t t[4];

	(void)state;
	m.has_id = true;
	m.id = node.id;
	m.t = span_str("abcd");
	inject_krpc(&node.at, &m);
	e.code = 201;
	e.text = span_str("x");
	inject_krpc(&node.at, &e);
	assert_int_equal(lab.n_sent, 0);
	dht_candidate(lab.d, &node.at, lab.now);
	drain();
	memcpy(t, sent_as(0)->t.p, 4);
	m.t = span_of(t, 4);
	inject_krpc(&other.at, &m); /* from elsewhere */
	node.at.port++;
	inject_krpc(&node.at, &m); /* from another port */
	node.at.port--;
	for (unsigned bit = 0; bit < 32; bit++) {
		t[bit / 8] ^= (uint8_t)(1 << bit % 8);
		inject_krpc(&node.at, &m);
		t[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	m.t = span_of(t, 3);
	inject_krpc(&node.at, &m);
	assert_int_equal(table_count(&lab.d->table), 0);
	m.t = span_of(t, 4);
	inject_krpc(&node.at, &m);
	assert_int_equal(table_count(&lab.d->table), 1);
	m.id = other.id; /* the same id a second time */
	inject_krpc(&node.at, &m);
	assert_true(
	    nodeid_eq(&table_find(&lab.d->table, &node.at)->node.id, &node.id));
	assert_int_equal(lab.d->stats.n_dropped, 2 + 2 + 32 + 1 + 1);
}

static void
test_hostile_39_errors_of_strange_shape(void **state)
{
	static char text[61000];
	struct krpc_node node = peer(1);
	int n;

	(void)state;
	dht_candidate(lab.d, &node.at, lab.now);
	drain();
	clear();
	n = snprintf(text, sizeof(text), "d1:eli201e60000:%060000d", 0);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "e1:t4:abcd1:y1:ee");
	inject(&node.at, span_of(text, (size_t)n));
	inject(&node.at, span_str("d1:eli201e1:xe1:ti5e1:y1:ee"));
	inject(&node.at, span_str("d1:eli201e1:xe1:tle1:y1:ee"));
	inject(&node.at, span_str("d1:e1:x1:t4:abcd1:y1:ee"));
	inject(&node.at, span_str("d1:eli201ei5ee1:t4:abcd1:y1:ee"));
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
				m = query((enum krpc_method)(1 + i % 5));
			m.token = span_str("12345678");
			n = damage(buf, test_encode(&m, buf).n);
		} else {
			rng_fill(&lab.rng.rng, buf, n);
			if (i % 4 && n > 1) {
				buf[0] = 'd';
				buf[n - 1] = 'e';
			}
		}
		inject(&from, span_of(buf, n)); /* drain() judges */
		if (i % 16 == 0)
			pass(10);
	}
	assert_int_equal(table_count(&lab.d->table), 0);
	assert_int_equal(lab.d->items.index.n, 0);
}

static void
a_read_only_node_answers_nothing_and_says_so(void **state)
{
	struct krpc m = query(KRPC_PING);
	struct krpc_node node = peer(1);

	(void)state;
	lab.d->cfg.read_only = true;
	inject_krpc(&node.at, &m);
	assert_int_equal(lab.n_sent, 0);
	dht_candidate(lab.d, &node.at, lab.now);
	drain();
	assert_true(sent_as(0)->read_only);
}

static void
a_read_only_asker_is_served_but_not_pinged(void **state)
{
	struct krpc m = query(KRPC_FIND_NODE);
	struct krpc_node node = peer(1);

	(void)state;
	m.read_only = true;
	inject_krpc(&node.at, &m);
	assert_int_equal(lab.n_sent, 1);
	assert_int_equal(sent_as(0)->kind, KRPC_RESPONSE);
	m.read_only = false;
	m.id = node.id;
	inject_krpc(&node.at, &m);
	assert_int_equal(lab.n_sent, 3); /* now it gets a ping too */
	assert_int_equal(sent_as(2)->method, KRPC_PING);
	assert_int_equal(sent_to(&node.at), 0);
}

static void
peers_are_kept_with_a_token_and_named(void **state)
{
	struct krpc m = query(KRPC_GET_PEERS);
	struct krpc_node nodes[8], node = peer(50);
	struct endpoint got[KRPC_PEERS_MAX];
	uint8_t token[TOKEN_SIZE];

	(void)state;
	meet(nodes, 8);
	inject_krpc(&node.at, &m);
	(void)sent_as(0);
	assert_int_equal(lab.got.kind, KRPC_RESPONSE);
	assert_int_equal(lab.got.token.n, TOKEN_SIZE);
	assert_int_equal(lab.got.nodes[FAMILY_V4].n, 8 * 26);
	assert_true(lab.got.has_ip && endpoint_eq(&lab.got.ip, &node.at));
	assert_null(lab.got.values.p);
	memcpy(token, lab.got.token.p, sizeof(token));
	clear();
	m = query(KRPC_ANNOUNCE_PEER);
	m.port = 4000;
	m.token = span_str("12345678");
	inject_krpc(&node.at, &m);
	assert_int_equal(sent_as(0)->kind, KRPC_ERROR);
	assert_int_equal(lab.got.code, KRPC_PROTOCOL);
	assert_int_equal(lab.d->peers.n, 0);
	clear();
	m.token = span_of(token, sizeof(token));
	inject_krpc(&nodes[0].at, &m); /* somebody else's token */
	assert_int_equal(sent_as(0)->kind, KRPC_ERROR);
	clear();
	inject_krpc(&node.at, &m);
	assert_int_equal(sent_as(0)->kind, KRPC_RESPONSE);
	m.implied_port = true;
	inject_krpc(&node.at, &m);
	clear();
	m = query(KRPC_GET_PEERS);
	inject_krpc(&nodes[0].at, &m);
	(void)sent_as(0);
	assert_int_equal(lab.got.nodes[FAMILY_V4].n, 8 * 26);
	assert_int_equal(krpc_peers_read(lab.got.values, FAMILY_V4,
	                     &lab.scratch, got, KRPC_PEERS_MAX),
	    2);
	assert_true(endpoint_same_addr(&got[0], &node.at) &&
	            endpoint_same_addr(&got[1], &node.at));
	assert_true(got[0].port == 4000 || got[1].port == 4000);
	assert_true(
	    endpoint_eq(&got[0], &node.at) || endpoint_eq(&got[1], &node.at));
}

static void
many_peers_are_named_as_far_as_they_fit(void **state)
{
	struct krpc m = query(KRPC_GET_PEERS);
	struct krpc_node nodes[8];
	struct endpoint got[KRPC_PEERS_MAX];
	size_t n;

	(void)state;
	meet(nodes, 8);
	for (unsigned i = 0; i < PEERS_MAX; i++) {
		struct endpoint at = test_addr(30 + i / 250, i % 250, 1, 1);

		assert_int_equal(peers_put(&lab.d->peers, &m.target, &at, false,
		                     lab.now.mono_ms),
		    ERR_OK);
	}
	inject_krpc(&nodes[0].at, &m);
	assert_in_range(lab.sent[0].n, 900, 1024);
	(void)sent_as(0);
	assert_int_equal(lab.got.nodes[FAMILY_V4].n, 8 * 26);
	n = krpc_peers_read(
	    lab.got.values, FAMILY_V4, &lab.scratch, got, KRPC_PEERS_MAX);
	assert_in_range(n, 60, KRPC_PEERS_MAX);
}

static void
infohashes_are_sampled(void **state)
{
	struct krpc m = query(KRPC_SAMPLE);
	struct krpc_node nodes[8];
	struct target hash = { { 1 } };

	(void)state;
	meet(nodes, 8);
	inject_krpc(&nodes[0].at, &m);
	(void)sent_as(0);
	assert_true(lab.got.samples.p && lab.got.samples.n == 0);
	assert_int_equal(lab.got.nodes[FAMILY_V4].n, 8 * 26);
	for (unsigned i = 0; i < 30; i++) {
		hash.b[1] = (uint8_t)i;
		assert_int_equal(peers_put(&lab.d->peers, &hash,
		                     &nodes[i % 8].at, false, lab.now.mono_ms),
		    ERR_OK);
	}
	clear();
	inject_krpc(&nodes[0].at, &m);
	(void)sent_as(0);
	assert_int_equal(lab.got.samples.n, PEERS_SAMPLE * NODEID_SIZE);
	assert_int_equal(lab.got.num, 30);
	assert_int_equal(lab.got.interval, PEERS_SAMPLE_MS / 1000);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_hostile_31_bencoding_that_is_not_canonical),
		TEST(test_hostile_32_puts_that_are_refused_with_their_code),
		TEST(test_hostile_33_the_highest_seq_at_our_own_cell),
		TEST(test_hostile_34_a_key_that_is_not_the_targets),
		TEST(test_hostile_34_a_signature_that_is_wrong),
		TEST(test_hostile_34_a_value_under_another_seq),
		TEST(test_hostile_34_a_value_without_a_key),
		TEST(test_hostile_35_node_lists_that_lie),
		TEST(test_hostile_36_a_thousand_sybils_round_one_target),
		TEST(test_hostile_37_a_flood_of_forged_queries),
		TEST(test_hostile_38_answers_nobody_asked_for),
		TEST(test_hostile_39_errors_of_strange_shape),
		TEST(random_and_nearly_good_datagrams_draw_only_krpc),
		TEST(a_read_only_node_answers_nothing_and_says_so),
		TEST(a_read_only_asker_is_served_but_not_pinged),
		TEST(peers_are_kept_with_a_token_and_named),
		TEST(many_peers_are_named_as_far_as_they_fit),
		TEST(infohashes_are_sampled),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
