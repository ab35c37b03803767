/* Introducers among nodes of the overlay: what reaches whom, and what draws
 * nothing. The tables alone are test_introduce_table's. */
#include "proto/dht/dht_state.h"
#include "tests/support/dht_net.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { I = 0, A, B, C, NODES, LOG_MAX = 4096 };

/* What a node was told, since the last clear. */
struct heard {
	size_t n_registered, n_handed, n_failed;
	struct dht_event registered, handed, failed; /* the last ones */
	size_t n;
	uint8_t data[DHT_PASS_MAX];
};

static struct dht_net net; /* large: not on the stack */
static struct heard heard[NODES];
static struct dht_net_packet tape[LOG_MAX]; /* what was delivered */
static size_t n_tape;
static const uint8_t handle[DHT_HANDLE_SIZE] = "handle_b";
static struct dht_node introducer;

static void
on_event(void *ctx, size_t i, const struct dht_event *e)
{
	struct heard *h = &heard[i];

	(void)ctx;
	if (e->kind == DHT_REGISTERED) {
		h->n_registered++;
		h->registered = *e;
	} else if (e->kind == DHT_PASS_FAILED) {
		h->n_failed++;
		h->failed = *e;
	} else if (e->kind == DHT_HANDED) {
		h->n_handed++;
		h->handed = *e;
		h->n = e->datagram.n;
		memcpy(h->data, e->datagram.p, e->datagram.n);
	}
}

static void
on_packet(void *ctx, const struct dht_net_packet *p)
{
	(void)ctx;
	assert_true(n_tape < LOG_MAX);
	tape[n_tape++] = *p;
}

static void
clear(void)
{
	memset(heard, 0, sizeof(heard));
	n_tape = 0;
}

static struct now
now(void)
{
	return dht_net_now(&net);
}

static int
setup(void **state)
{
	(void)state;
	dht_net_init(&net, test_seed(500), false);
	net.overlay = true;
	net.delay_ms = 20;
	net.on_event = on_event;
	net.on_packet = on_packet;
	for (size_t i = 0; i < NODES; i++) {
		clear();
		(void)dht_net_join(&net, I);
		dht_net_run(&net, 3000);
	}
	introducer.at = net.at[I];
	dht_key(net.node[I], &introducer.n);
	assert_int_equal(dht_introduce(net.node[I], true, now()), ERR_OK);
	clear();
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	dht_net_clear(&net);
	return 0;
}

static void
registers(size_t i, const uint8_t h[DHT_HANDLE_SIZE], bool took)
{
	size_t before = heard[i].n_registered;

	assert_int_equal(
	    dht_register(net.node[i], i, &introducer, h, now()), ERR_OK);
	dht_net_run(&net, 10000);
	assert_int_equal(heard[i].n_registered, before + 1);
	assert_true(heard[i].registered.op == i);
	assert_int_equal(heard[i].registered.found, took);
	if (took)
		assert_int_equal(heard[i].registered.life_s, INTRODUCE_LIFE_S);
}

static struct dht_way
way_to(const uint8_t h[DHT_HANDLE_SIZE])
{
	struct dht_way way = { .introducer = introducer };

	memcpy(way.id, h, sizeof(way.id));
	return way;
}

/* A datagram of n bytes that begins with a. */
static struct span
datagram(uint8_t a, size_t n)
{
	static uint8_t buf[1400];

	assert_true(n <= sizeof(buf));
	memset(buf, 0x11, sizeof(buf));
	buf[0] = a;
	return span_of(buf, n);
}

static void
pass(size_t i, const struct dht_way *way, struct span d)
{
	dht_pass(net.node[i], way, d, now());
	dht_net_run(&net, 100);
}

static void
is_handed(size_t i, uint8_t a, size_t n)
{
	assert_int_equal(heard[i].n_handed, 1);
	assert_int_equal(heard[i].n, n);
	assert_memory_equal(heard[i].data, datagram(a, n).p, n);
	heard[i].n_handed = 0;
}

/* ---- what it is for ---- */

static void
two_who_cannot_reach_each_other_talk_through_a_third(void **state)
{
	static const size_t sizes[] = { 56, 92, 104, 156, 168, 284, 540, 1052 };
	struct dht_way there = way_to(handle), back;

	(void)state;
	registers(B, handle, true);
	pass(A, &there, datagram(1, 168));
	is_handed(B, 1, 168);
	back = heard[B].handed.way;
	assert_true(back.back && heard[B].handed.op == B);
	assert_true(endpoint_eq(&heard[B].handed.address, &net.at[A]));
	pass(B, &back, datagram(2, 104));
	is_handed(A, 2, 104);
	assert_true(dht_way_eq(&heard[A].handed.way, &there));
	assert_true(endpoint_eq(&heard[A].handed.address, &net.at[B]));
	for (size_t i = 0; i < 64; i++) {
		size_t n = sizes[i % 8];

		pass(A, &there, datagram((uint8_t)i, n));
		is_handed(B, (uint8_t)i, n);
		assert_true(dht_way_eq(&heard[B].handed.way, &back));
		pass(B, &back, datagram((uint8_t)i, n));
		is_handed(A, (uint8_t)i, n);
		dht_net_run(&net, 1000);
	}
	assert_int_equal(heard[A].n_failed + heard[B].n_failed, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
		    two_who_cannot_reach_each_other_talk_through_a_third, setup,
		    teardown),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
