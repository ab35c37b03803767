/* Extra sockets as their owner sees them: numbers, order, what is lost. */
#include "proto/node_int.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { SOCKETS = 3 };

static struct test_rng dice;
static const struct now now = { 1000, UINT64_C(1796123323456) };

static struct node *
new_node(size_t sockets_max)
{
	struct node_config cfg = { .rng = &dice.rng, .loopback = true };
	struct node *n;

	test_rng_init(&dice, 1);
	cfg.family[FAMILY_V4] = true;
	cfg.sockets_max = sockets_max;
	n = node_new(&cfg, now);
	assert_non_null(n);
	return n;
}

static void
send_by(struct node *n, unsigned socket, uint8_t hops)
{
	const uint8_t v4[4] = { 127, 0, 0, 1 };
	const struct way way = { endpoint_v4(v4, 9), hops, socket };

	effect_send_way(n, &way, span_of("x", 1));
}

static void
expect(struct node *n, enum effect_kind kind, unsigned socket, uint8_t hops)
{
	struct effect e;

	assert_true(node_next_effect(n, &e));
	assert_int_equal(e.kind, kind);
	assert_int_equal(e.socket, socket);
	assert_int_equal(e.hops, hops);
	assert_int_equal(e.data.n, kind == EFFECT_SEND);
}

static void
expect_no_more(struct node *n)
{
	struct effect e;

	assert_false(node_next_effect(n, &e));
}

static void
they_open_send_and_close_in_order(void **state)
{
	struct node *n = new_node(SOCKETS);
	unsigned a = socket_open(n, FAMILY_V4);
	unsigned b;

	(void)state;
	send_by(n, a, 3);
	socket_close(n, a);
	b = socket_open(n, FAMILY_V4);
	send_by(n, b, 0);
	send_by(n, 0, 0);
	assert_int_equal(b, a); /* a number may come again at once */
	expect(n, EFFECT_SOCKET_OPEN, a, 0);
	expect(n, EFFECT_SEND, a, 3);
	expect(n, EFFECT_SOCKET_CLOSE, a, 0);
	expect(n, EFFECT_SOCKET_OPEN, b, 0);
	expect(n, EFFECT_SEND, b, 0);
	expect(n, EFFECT_SEND, 0, 0);
	expect_no_more(n);
	node_free(n);
}

static void
there_are_only_so_many(void **state)
{
	struct node *n = new_node(0);
	struct node_stats s;

	(void)state;
	assert_int_equal(socket_open(n, FAMILY_V4), 0);
	expect_no_more(n);
	node_free(n);
	n = new_node(SOCKETS);
	for (unsigned i = 0; i < SOCKETS; i++)
		assert_in_range(socket_open(n, FAMILY_V4), 1, SOCKETS);
	assert_int_equal(socket_open(n, FAMILY_V4), 0);
	socket_close(n, 2);
	assert_false(socket_is_open(n, 2));
	node_get_stats(n, &s);
	assert_int_equal(s.sockets, SOCKETS - 1);
	assert_int_equal(s.sockets_max, SOCKETS);
	assert_int_equal(socket_open(n, FAMILY_V4), 2);
	node_free(n);
	n = new_node(NODE_SOCKETS_MAX);
	for (unsigned i = 0; i < NODE_SOCKETS_MAX; i++)
		assert_int_not_equal(socket_open(n, FAMILY_V4), 0);
	assert_int_equal(socket_open(n, FAMILY_V4), 0);
	node_free(n);
}

/* Told while effects are popped, too; told twice, or of one that never was. */
static void
a_lost_one_is_closed(void **state)
{
	struct node *n = new_node(SOCKETS);
	unsigned k = socket_open(n, FAMILY_V4);

	(void)state;
	assert_int_equal(socket_open(n, FAMILY_V4), k + 1);
	expect(n, EFFECT_SOCKET_OPEN, k, 0);
	node_socket_lost(n, k, now);
	assert_false(socket_is_open(n, k));
	node_socket_lost(n, k, now);
	node_socket_lost(n, 0, now);
	node_socket_lost(n, NODE_SOCKETS_MAX + 1, now);
	expect(n, EFFECT_SOCKET_OPEN, k + 1, 0);
	expect_no_more(n);
	assert_int_equal(n->n_sockets, 1);
	node_free(n);
}

static void
what_comes_to_a_closed_one_is_nothing(void **state)
{
	struct node *n = new_node(SOCKETS);
	const uint8_t v4[4] = { 127, 0, 0, 1 };
	struct endpoint from = endpoint_v4(v4, 9);
	unsigned k = socket_open(n, FAMILY_V4);
	struct node_stats s;

	(void)state;
	node_receive_socket(n, k, &from, span_of("ab", 2), now);
	socket_close(n, k);
	node_receive_socket(n, k, &from, span_of("ab", 2), now);
	node_receive_socket(n, 0, &from, span_of("ab", 2), now);
	node_receive_socket(
	    n, NODE_SOCKETS_MAX + 1, &from, span_of("ab", 2), now);
	node_get_stats(n, &s);
	assert_int_equal(s.udp_in, 1);
	assert_int_equal(s.udp_bytes_in, 2);
	node_free(n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(they_open_send_and_close_in_order),
		cmocka_unit_test(there_are_only_so_many),
		cmocka_unit_test(a_lost_one_is_closed),
		cmocka_unit_test(what_comes_to_a_closed_one_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
