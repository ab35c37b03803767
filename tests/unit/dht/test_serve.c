/* What a node answers to others: peers, samples, and to readers only. */
#include "tests/support/dht_item.h"
#include "tests/support/dht_lab.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void
a_read_only_node_answers_nothing_and_says_so(void **state)
{
	struct krpc m = lab_query(KRPC_PING);
	struct krpc_node node = lab_peer(1);

	(void)state;
	lab.d->cfg.read_only = true;
	lab_krpc(&node.at, &m);
	assert_int_equal(lab.n_sent, 0);
	dht_candidate(lab.d, &node.at, lab.now);
	lab_drain();
	assert_true(lab_sent(0)->read_only);
}

static void
a_read_only_asker_is_served_but_not_pinged(void **state)
{
	struct krpc m = lab_query(KRPC_FIND_NODE);
	struct krpc_node node = lab_peer(1);

	(void)state;
	m.read_only = true;
	lab_krpc(&node.at, &m);
	assert_int_equal(lab.n_sent, 1);
	assert_int_equal(lab_sent(0)->kind, KRPC_RESPONSE);
	m.read_only = false;
	m.id = node.id;
	lab_krpc(&node.at, &m);
	assert_int_equal(lab.n_sent, 3); /* now it gets a ping too */
	assert_int_equal(lab_sent(2)->method, KRPC_PING);
	assert_int_equal(lab_sent_to(&node.at), 0);
}

static void
peers_are_kept_with_a_token_and_named(void **state)
{
	struct krpc m = lab_query(KRPC_GET_PEERS);
	struct krpc_node nodes[8], node = lab_peer(50);
	struct endpoint got[KRPC_PEERS_MAX];
	uint8_t token[TOKEN_SIZE];

	(void)state;
	lab_meet(nodes, 8);
	lab_krpc(&node.at, &m);
	(void)lab_sent(0);
	assert_int_equal(lab.got.kind, KRPC_RESPONSE);
	assert_int_equal(lab.got.token.n, TOKEN_SIZE);
	/* As many nodes as three times the query hold. */
	assert_int_equal(lab.got.nodes[FAMILY_V4].n, 7 * 26);
	assert_true(lab.got.has_ip && endpoint_eq(&lab.got.ip, &node.at));
	assert_null(lab.got.values.p);
	memcpy(token, lab.got.token.p, sizeof(token));
	lab_clear();
	m = lab_query(KRPC_ANNOUNCE_PEER);
	m.port = 4000;
	m.token = span_str("12345678");
	lab_krpc(&node.at, &m);
	assert_int_equal(lab_sent(0)->kind, KRPC_ERROR);
	assert_int_equal(lab.got.code, KRPC_PROTOCOL);
	assert_int_equal(lab.d->peers.n, 0);
	lab_clear();
	m.token = span_of(token, sizeof(token));
	lab_krpc(&nodes[0].at, &m); /* somebody else's token */
	assert_int_equal(lab_sent(0)->kind, KRPC_ERROR);
	lab_clear();
	lab_krpc(&node.at, &m);
	assert_int_equal(lab_sent(0)->kind, KRPC_RESPONSE);
	m.implied_port = true;
	lab_krpc(&node.at, &m);
	lab_clear();
	m = lab_query(KRPC_GET_PEERS);
	lab_krpc(&nodes[0].at, &m);
	(void)lab_sent(0);
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
	struct krpc m = lab_query(KRPC_GET_PEERS);
	struct krpc_node nodes[8];
	struct endpoint got[KRPC_PEERS_MAX];
	size_t n;

	(void)state;
	lab_meet(nodes, 8);
	for (unsigned i = 0; i < PEERS_MAX; i++) {
		struct endpoint at = test_addr(30 + i / 250, i % 250, 1, 1);

		assert_int_equal(peers_put(&lab.d->peers, &m.target, &at, false,
		                     lab.now.mono_ms),
		    ERR_OK);
	}
	lab_krpc(&nodes[0].at, &m);
	assert_in_range(lab.sent[0].n, 900, 1024);
	(void)lab_sent(0);
	assert_int_equal(lab.got.nodes[FAMILY_V4].n, 8 * 26);
	n = krpc_peers_read(
	    lab.got.values, FAMILY_V4, &lab.scratch, got, KRPC_PEERS_MAX);
	assert_in_range(n, 60, KRPC_PEERS_MAX);
}

static void
infohashes_are_sampled(void **state)
{
	struct krpc m = lab_query(KRPC_SAMPLE);
	struct krpc_node nodes[8];
	struct target hash = { { 1 } };

	(void)state;
	lab_meet(nodes, 8);
	lab_krpc(&nodes[0].at, &m);
	(void)lab_sent(0);
	assert_true(lab.got.samples.p && lab.got.samples.n == 0);
	assert_int_equal(lab.got.nodes[FAMILY_V4].n, 8 * 26);
	for (unsigned i = 0; i < 30; i++) {
		hash.b[1] = (uint8_t)i;
		assert_int_equal(peers_put(&lab.d->peers, &hash,
		                     &nodes[i % 8].at, false, lab.now.mono_ms),
		    ERR_OK);
	}
	lab_clear();
	lab_krpc(&nodes[0].at, &m);
	(void)lab_sent(0);
	assert_int_equal(lab.got.samples.n, PEERS_SAMPLE * NODEID_SIZE);
	assert_int_equal(lab.got.num, 30);
	assert_int_equal(lab.got.interval, PEERS_SAMPLE_MS / 1000);
}

/* Stores the largest value that travels; returns its target. */
static struct target
store_large(const struct endpoint *from)
{
	static char text[996];
	struct dht_item item;
	struct target target;
	struct krpc m;

	memset(text, 'x', sizeof(text) - 1);
	test_item(1, span_str(""), span_str(text), 5, &item);
	m = test_put(&item);
	assert_int_equal(
	    items_put(&lab.d->items, &m, from, lab.now.mono_ms), KRPC_OK);
	items_target(&m, &target);
	return target;
}

static void
a_stranger_gets_a_large_value_when_he_answers_a_ping(void **state)
{
	struct krpc_node nodes[8], reader = lab_peer(50);
	struct krpc m = lab_query(KRPC_GET), pong = { .kind = KRPC_RESPONSE };

	(void)state;
	lab_meet(nodes, 8);
	m.target = store_large(&nodes[0].at);
	lab_krpc(&reader.at, &m);
	assert_int_equal(lab.n_sent, 1);
	assert_int_equal(lab_sent(0)->method, KRPC_PING);
	lab_reply(0, &reader, &pong);
	assert_int_equal(lab.n_sent, 2);
	(void)lab_sent(1);
	assert_true(endpoint_eq(&lab.sent[1].to, &reader.at));
	assert_true(span_eq(lab.got.t, m.t));
	assert_int_equal(lab.got.v.n, 999);
	assert_int_equal(lab.got.nodes[FAMILY_V4].n, 8 * 26);
	/* From then on at once. */
	lab_clear();
	lab_krpc(&reader.at, &m);
	assert_int_equal(lab_sent(0)->v.n, 999);
	lab_clear();
	lab_pass(5000);
	for (size_t i = 0; i < lab.n_sent; i++) /* and only once */
		assert_null(lab_sent(i)->v.p);
}

static void
a_stranger_who_does_not_answer_gets_what_he_paid_for(void **state)
{
	struct krpc_node nodes[8], reader = lab_peer(50);
	struct krpc m = lab_query(KRPC_GET);
	static uint8_t buf[TEST_BUF];
	size_t n_ping;

	(void)state;
	lab_meet(nodes, 8);
	m.target = store_large(&nodes[0].at);
	m.read_only = true; /* no ping would be answered */
	lab_krpc(&reader.at, &m);
	assert_int_equal(lab.n_sent, 1);
	assert_null(lab_sent(0)->v.p);
	assert_int_equal(lab.got.token.n, TOKEN_SIZE);
	assert_in_range(lab.got.nodes[FAMILY_V4].n, 7 * 26, 8 * 26);
	lab_clear();
	m.read_only = false;
	lab_krpc(&reader.at, &m);
	assert_int_equal(lab.n_sent, 1);
	n_ping = lab.sent[0].n;
	lab_pass(LATER_MS - 1);
	assert_int_equal(lab_n_to(&reader.at), 1);
	lab_clear();
	lab_pass(1);
	(void)lab_sent(lab_sent_to(&reader.at));
	assert_null(lab.got.v.p);
	assert_int_equal(lab.got.token.n, TOKEN_SIZE);
	assert_true(lab.sent[lab_sent_to(&reader.at)].n + n_ping <=
	            GUARD_FACTOR * test_encode(&m, buf).n);
	lab_pass(5000);
	assert_int_equal(lab_n_to(&reader.at), 1);
}

static void
who_returns_a_token_is_proven(void **state)
{
	struct krpc_node nodes[8];
	struct endpoint reader = lab_peer(50).at;
	struct krpc m = lab_query(KRPC_GET), put;
	struct dht_item item;

	(void)state;
	lab_meet(nodes, 8);
	m.target = store_large(&nodes[0].at);
	test_item(2, span_str(""), span_str("mine"), 1, &item);
	put = test_put(&item);
	assert_int_equal(lab_put_code(&reader, &put, true), 0);
	lab_clear();
	lab_krpc(&reader, &m);
	assert_int_equal(lab_sent(0)->v.n, 999);
}

static void
waiting_readers_are_bounded_and_the_first_one_goes(void **state)
{
	struct krpc_node nodes[8];
	struct krpc m = lab_query(KRPC_GET);
	struct krpc pong = { .kind = KRPC_RESPONSE };
	struct krpc_node reader[LATER_MAX + 1];

	(void)state;
	lab_meet(nodes, 8);
	m.target = store_large(&nodes[0].at);
	lab_clear();
	for (unsigned i = 0; i <= LATER_MAX; i++) {
		reader[i] = lab_peer(50 + i);
		lab_krpc(&reader[i].at, &m);
		assert_int_equal(lab.n_sent, i + 1);
	}
	lab_reply(0, &reader[0], &pong);
	assert_int_equal(lab.n_sent, LATER_MAX + 1);
	lab_reply(1, &reader[1], &pong);
	assert_int_equal(lab.n_sent, LATER_MAX + 2);
	assert_int_equal(lab_sent(LATER_MAX + 1)->v.n, 999);
}

static struct krpc_node
v6_peer(unsigned i)
{
	struct krpc_node node = { .at = { .addr = { 0x2a, (uint8_t)i, 1 },
		                      .port = 6881 } };

	nodeid_make(&node.at, (uint8_t)i, &lab.rng.rng, &node.id);
	return node;
}

/* A node of IPv6 beside that of the lab, which knows n others. */
static struct dht *
sibling(unsigned n)
{
	struct dht_config cfg = { .family = FAMILY_V6, .rng = &lab.rng.rng };
	struct dht *d = dht_new(&cfg, lab.now);

	assert_non_null(d);
	for (unsigned i = 0; i < n; i++) {
		struct krpc_node node = v6_peer(i);

		(void)table_answered(&d->table, &node, 50, lab.now.mono_ms);
	}
	dht_pair(lab.d, d);
	return d;
}

static void
nodes_of_both_families_are_handed_out_if_wanted(void **state)
{
	struct krpc m = lab_query(KRPC_FIND_NODE);
	struct krpc_node nodes[8];
	struct dht *v6 = sibling(8);

	(void)state;
	lab_meet(nodes, 8);
	lab_krpc(&nodes[0].at, &m);
	assert_int_equal(lab_sent(0)->nodes[FAMILY_V4].n, 8 * 26);
	assert_null(lab.got.nodes[FAMILY_V6].p); /* the packet's family */
	lab_clear();
	m.has_want = m.want[FAMILY_V4] = m.want[FAMILY_V6] = true;
	lab_krpc(&nodes[0].at, &m);
	assert_int_equal(lab_sent(0)->nodes[FAMILY_V4].n, 8 * 26);
	assert_int_equal(lab.got.nodes[FAMILY_V6].n, 8 * 38);
	lab_clear();
	m.want[FAMILY_V4] = false;
	lab_krpc(&nodes[0].at, &m);
	assert_null(lab_sent(0)->nodes[FAMILY_V4].p);
	assert_int_equal(lab.got.nodes[FAMILY_V6].n, 8 * 38);
	dht_free(v6);
	lab_clear();
	lab_krpc(&nodes[0].at, &m); /* and nobody is there any more */
	assert_null(lab_sent(0)->nodes[FAMILY_V6].p);
}

static void
large_values_leave_the_other_familys_nodes_out_first(void **state)
{
	struct krpc m = lab_query(KRPC_GET);
	struct krpc_node nodes[8];
	struct dht *v6 = sibling(8);

	(void)state;
	lab_meet(nodes, 8);
	m.target = store_large(&nodes[0].at);
	m.has_want = m.want[FAMILY_V4] = m.want[FAMILY_V6] = true;
	lab_krpc(&nodes[0].at, &m);
	assert_int_equal(lab_sent(0)->v.n, 999);
	assert_int_equal(lab.got.nodes[FAMILY_V4].n, 8 * 26);
	assert_in_range(lab.got.nodes[FAMILY_V6].n, 0, 4 * 38);
	assert_true(lab.sent[0].n <= KRPC_SIZE_MAX);
	dht_free(v6);
}

static void
nodes_of_the_other_family_are_wanted_while_few_are_known(void **state)
{
	static const uint8_t pk[32];
	struct krpc_node nodes[1], named[2] = { v6_peer(50), v6_peer(51) };
	struct krpc m = { .kind = KRPC_RESPONSE };
	struct krpc_form form = { FAMILY_V6, false };
	struct dht *v6 = sibling(0);
	struct dht_send s;
	uint8_t raw[2 * 38];
	struct writer w = wr_init(raw, sizeof(raw));

	(void)state;
	lab_meet(nodes, 1);
	krpc_nodes_write(named, 2, form, &w);
	assert_int_equal(
	    dht_get(lab.d, 1, pk, span_of(NULL, 0), lab.now), ERR_OK);
	lab_drain();
	assert_true(lab_sent(0)->has_want && lab.got.want[FAMILY_V6]);
	m.nodes[FAMILY_V6] = wr_span_of(&w);
	lab_reply(0, &nodes[0], &m);
	for (unsigned i = 0; i < 2; i++) { /* the other one pings them */
		assert_true(dht_next_send(v6, &s));
		assert_true(endpoint_eq(&s.to, &named[i].at));
	}
	assert_false(dht_next_send(v6, &s));
	for (unsigned i = 0; i < 200; i++) {
		struct krpc_node node = v6_peer(i);

		(void)table_answered(&v6->table, &node, 50, lab.now.mono_ms);
	}
	assert_true(table_count(&v6->table) >= WIDE_NODES);
	lab_clear();
	assert_int_equal(
	    dht_get(lab.d, 2, pk, span_of(NULL, 0), lab.now), ERR_OK);
	lab_drain();
	assert_false(lab_sent(0)->has_want);
	dht_free(v6);
}

/* Mainline knows no such thing, and is not to learn it from us. */
static void
nothing_is_kept_on_mainline_without_a_put(void **state)
{
	struct krpc m = lab_query(KRPC_GET);
	struct endpoint from = test_addr(9, 9, 9, 9);
	struct dht_item item;
	struct krpc put;

	(void)state;
	test_item(1, span_str(""), span_str("value"), 5, &item);
	put = test_put(&item);
	assert_int_equal(lab_put_code(&from, &put, true), 0);
	dht_item_target(item.pk, span_str(""), &m.target);
	lab_pass(ITEMS_LIFE_MS - 1000);
	lab_clear();
	m.has_seq = m.keep = true;
	m.seq = 5;
	lab_krpc(&from, &m);
	assert_int_equal(lab_sent(0)->kind, KRPC_RESPONSE);
	assert_true(lab.got.has_seq && lab.got.seq == 5 && !lab.got.v.p);
	assert_false(lab.got.keep);
	lab_pass(2000);
	assert_int_equal(lab.d->items.index.n, 0);
}

/* Who asks for nodes has the whole network to turn to, who asks for a value
 * those few that have it. */
static void
a_value_is_answered_when_too_many_ask_for_nodes(void **state)
{
	struct krpc_node nodes[8], node = lab_peer(50);
	struct krpc ask = lab_query(KRPC_FIND_NODE), m;
	struct dht_item item;

	(void)state;
	lab_meet(nodes, 8);
	guard_proven(&lab.d->guard, &node.at, lab.now.mono_ms);
	test_item(1, span_str(""), span_str("value"), 5, &item);
	m = test_put(&item);
	assert_int_equal(lab_put_code(&node.at, &m, true), 0);
	for (unsigned i = 0; i < 250; i++) {
		struct krpc_node one = lab_peer(i % 40);

		one.at.addr[13] = (uint8_t)(2 + i / 40); /* its network */
		lab_clear();
		lab_krpc(&one.at, &ask);
	}
	assert_int_equal(lab.n_sent, 0); /* too many */
	ask.method = KRPC_GET;
	items_target(&m, &ask.target);
	lab_clear();
	lab_krpc(&node.at, &ask);
	assert_int_equal(lab.n_sent, 1);
	assert_true(lab_sent(0)->v.p && lab.got.seq == 5);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, lab_setup, lab_teardown)

/* ---- what their answers show of the network ---- */

static void
meet_after(unsigned i, uint64_t rtt_ms)
{
	struct krpc_node node = lab_peer(i);
	struct krpc m = { .kind = KRPC_RESPONSE };

	lab_clear();
	dht_candidate(lab.d, &node.at, lab.now);
	lab_drain();
	lab_pass(rtt_ms);
	lab_reply(0, &node, &m);
}

/* As one does that waited for a ping which got lost. */
static void
one_late_answer_makes_no_later_lookup_wait(void **state)
{
	enum { RTT_MS = 90, LATE_MS = 1000 };

	(void)state;
	for (unsigned i = 0; i < 16; i++)
		meet_after(i, RTT_MS);
	assert_int_equal(lookup_soft_ms(lab.d->stats.rtt_ms, lab.d->rtt_var_ms),
	    LOOKUP_SOFT_MIN_MS);
	meet_after(16, RTT_MS + LATE_MS);
	assert_true(lookup_soft_ms(lab.d->stats.rtt_ms, lab.d->rtt_var_ms) <=
	            2 * LOOKUP_SOFT_MIN_MS);
	/* But a network that has become slow is soon known. */
	for (unsigned i = 17; i < 40; i++)
		meet_after(i, RTT_MS + LATE_MS / 2);
	assert_true(lookup_soft_ms(lab.d->stats.rtt_ms, lab.d->rtt_var_ms) >
	            RTT_MS + LATE_MS / 2);
}

/* ---- what others show us of our own place ---- */

static void
each_answer_tells_how_its_sender_sees_us(void **state)
{
	struct krpc_node nodes[4];
	struct krpc m = { .kind = KRPC_RESPONSE, .has_ip = true };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		nodes[i] = lab_peer(i);
		lab_clear();
		dht_candidate(lab.d, &nodes[i].at, lab.now);
		lab_drain();
		m.ip = test_addr(30, 1, 1, (uint8_t)i);
		m.ip.port = i < 3 ? (uint16_t)(5000 + i) : 0;
		lab_reply(0, &nodes[i], &m);
		m.kind = KRPC_RESPONSE;
	}
	assert_int_equal(lab.n_seen, 3); /* a port of 0 is nonsense */
	assert_true(endpoint_eq(&lab.seen.by, &nodes[2].at));
	assert_int_equal(lab.seen.address.port, 5002);
}

static void
a_question_out_of_the_blue_shows_that_strangers_come_in(void **state)
{
	struct krpc m = lab_query(KRPC_PING);
	struct krpc_node known = lab_peer(1), other = lab_peer(2);
	struct endpoint friendly = test_addr(77, 1, 1, 1);
	struct endpoint beside = test_addr(192, 168, 1, 1);

	(void)state;
	m.read_only = true; /* not pinged for it */
	lab_krpc(&other.at, &m);
	assert_int_equal(lab.n_strangers, 0); /* too soon to tell */
	lab_pass(SENT_BLIND_MS);
	dht_candidate(lab.d, &known.at, lab.now);
	dht_sent(lab.d, &friendly, lab.now); /* by a session */
	lab_drain();
	known.at.port++; /* his router may have given him another */
	lab_krpc(&known.at, &m);
	lab_krpc(&friendly, &m);
	lab_krpc(&beside, &m);
	assert_int_equal(lab.n_strangers, 0);
	other = lab_peer(3);
	lab_krpc(&other.at, &m);
	assert_int_equal(lab.n_strangers, 1);
	assert_true(endpoint_eq(&lab.stranger.by, &other.at));
	other = lab_peer(4);
	lab_krpc(&other.at, &m); /* not told so soon again */
	assert_int_equal(lab.n_strangers, 1);
	lab_pass(UNSOLICITED_MS);
	lab_krpc(&other.at, &m); /* we have answered him before */
	assert_int_equal(lab.n_strangers, 1);
	other = lab_peer(5);
	lab_krpc(&other.at, &m);
	assert_int_equal(lab.n_strangers, 2);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_kept_on_mainline_without_a_put),
		TEST(a_read_only_node_answers_nothing_and_says_so),
		TEST(a_read_only_asker_is_served_but_not_pinged),
		TEST(peers_are_kept_with_a_token_and_named),
		TEST(many_peers_are_named_as_far_as_they_fit),
		TEST(infohashes_are_sampled),
		TEST(a_stranger_gets_a_large_value_when_he_answers_a_ping),
		TEST(a_stranger_who_does_not_answer_gets_what_he_paid_for),
		TEST(who_returns_a_token_is_proven),
		TEST(nodes_of_both_families_are_handed_out_if_wanted),
		TEST(large_values_leave_the_other_familys_nodes_out_first),
		TEST(nodes_of_the_other_family_are_wanted_while_few_are_known),
		TEST(waiting_readers_are_bounded_and_the_first_one_goes),
		TEST(a_value_is_answered_when_too_many_ask_for_nodes),
		TEST(one_late_answer_makes_no_later_lookup_wait),
		TEST(each_answer_tells_how_its_sender_sees_us),
		TEST(a_question_out_of_the_blue_shows_that_strangers_come_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
