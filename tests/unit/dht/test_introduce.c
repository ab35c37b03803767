/* Introducers among nodes of the overlay: what they are for. */
#include "tests/support/dht_intro.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

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

/* What names addresses is longest there. */
static void
any_size_passes_in_ipv6_in_all_forms(void **state)
{
	struct dht_way there = way_to(handle);

	(void)state;
	registers(B, handle, true);
	for (size_t n = DHT_PASS_MIN; n <= DHT_PASS_MAX; n += 4) {
		if (!is_passable(datagram(1, n)))
			continue;
		/* The handle with and without an exchange, then the circuit. */
		for (unsigned i = 0; i < 3; i++) {
			pass(A, &there, datagram(1, n));
			is_handed(B, 1, n);
			if (i == 1) {
				pass(B, &heard[B].handed.way, datagram(2, n));
				is_handed(A, 2, n);
			}
		}
		clear();
		memset(net.node[A]->ways->call, 0,
		    sizeof(net.node[A]->ways->call)); /* begins anew */
		dht_net_run(&net, 4000);
		if (n % 16 == 8)
			registers(B, handle, true);
	}
}

static void
a_registration_ends_unless_it_is_renewed(void **state)
{
	struct dht_way there = way_to(handle);

	(void)state;
	registers(B, handle, true);
	for (unsigned i = 0; i < 5; i++) {
		dht_net_run(&net, 50 * 1000);
		registers(B, handle, true);
	}
	pass(A, &there, datagram(1, 168));
	is_handed(B, 1, 168);
	dht_net_run(&net, UINT64_C(1000) * INTRODUCE_LIFE_S);
	pass(A, &there, datagram(1, 168));
	assert_int_equal(heard[B].n_handed, 0);
	assert_int_equal(heard[A].n_failed, 1);
	assert_true(dht_way_eq(&heard[A].failed.way, &there));
}

static void
only_an_introducer_introduces(void **state)
{
	struct dht_way there = way_to(handle);

	(void)state;
	registers(B, handle, true);
	assert_int_equal(
	    dht_introduce(net.node[I], DHT_INTRODUCES_NOBODY, now()), ERR_OK);
	registers(B, handle, false);
	pass(A, &there, datagram(1, 168));
	assert_int_equal(heard[A].n_failed, 1);
	/* And nobody answers at all: */
	dht_net_kill(&net, I);
	registers(B, handle, false);
}

/* Loss of any one datagram of a registration is made good. */
static void
a_registration_outlives_loss(void **state)
{
	size_t n_took = 0;

	(void)state;
	net.loss = 200;
	for (unsigned i = 0; i < 20; i++) {
		assert_int_equal(
		    dht_register(net.node[B], 1, &introducer, handle, now()),
		    ERR_OK);
		dht_net_run(&net, 20000);
		n_took += heard[B].registered.found;
	}
	net.loss = 0;
	assert_int_equal(heard[B].n_registered, 20);
	assert_in_range(n_took, 16, 20);
}

static void
who_moves_keeps_his_handle_and_his_calls(void **state)
{
	struct dht_way there = way_to(handle), back;

	(void)state;
	registers(B, handle, true);
	pass(A, &there, datagram(1, 168));
	is_handed(B, 1, 168);
	back = heard[B].handed.way;
	net.at[B].port++; /* his router forgot him */
	pass(B, &back, datagram(2, 104));
	assert_int_equal(heard[A].n_handed, 0);
	registers(B, handle, true);
	pass(B, &back, datagram(2, 104));
	is_handed(A, 2, 104);
	pass(A, &there, datagram(3, 168));
	is_handed(B, 3, 168);
	net.at[A].port++; /* the circuit is not his there */
	pass(A, &there, datagram(4, 168));
	assert_int_equal(heard[B].n_handed, 0);
	dht_net_run(&net, 40 * 1000); /* then he begins with the handle again */
	registers(B, handle, true);
	pass(A, &there, datagram(5, 168));
	is_handed(B, 5, 168);
	assert_false(dht_way_eq(&heard[B].handed.way, &back));
}

static void
what_is_no_longer_ours_is_dropped(void **state)
{
	struct dht_way there = way_to(handle);

	(void)state;
	registers(B, handle, true);
	dht_unregister(net.node[B], &introducer, handle);
	pass(A, &there, datagram(1, 168));
	assert_int_equal(heard[B].n_handed, 0);
	registers(B, handle, true);
	pass(A, &there, datagram(1, 168));
	is_handed(B, 1, 168);
	/* While it is under way, too: no event. */
	assert_int_equal(
	    dht_register(net.node[B], 9, &introducer, handle, now()), ERR_OK);
	assert_int_equal(
	    dht_register(net.node[B], 9, &introducer, handle, now()),
	    ERR_STATE);
	dht_unregister(net.node[B], &introducer, handle);
	dht_net_run(&net, 10000);
	assert_true(heard[B].registered.op != 9);
}

static void
our_own_places_are_bounded(void **state)
{
	uint8_t h[DHT_HANDLE_SIZE] = { 0 };
	struct dht_node nobody = introducer;

	(void)state;
	memset(&nobody.n, 0, sizeof(nobody.n));
	assert_int_equal(
	    dht_register(net.node[B], 1, &nobody, h, now()), ERR_BAD_KEY);
	nobody = introducer;
	nobody.at.port = 0;
	assert_int_equal(
	    dht_register(net.node[B], 1, &nobody, h, now()), ERR_BAD_KEY);
	for (unsigned i = 0; i < DHT_HANDLES_MAX; i++) {
		h[0] = (uint8_t)i;
		assert_int_equal(
		    dht_register(net.node[B], i, &introducer, h, now()),
		    ERR_OK);
	}
	h[0] = 200;
	assert_int_equal(
	    dht_register(net.node[B], 1, &introducer, h, now()), ERR_LIMIT);
	dht_net_run(&net, 20000);
	assert_int_equal(heard[B].n_registered, DHT_HANDLES_MAX);
	assert_int_equal(stats().handles, INTRODUCE_PER_NODE);
	assert_int_equal(/* those that were refused make room */
	    dht_register(net.node[B], 1, &introducer, h, now()), ERR_OK);
	for (unsigned i = 0; i < 3 * DHT_CALLS_MAX; i++) {
		struct dht_way way = way_to(h);

		way.id[1] = (uint8_t)i;
		dht_pass(net.node[B], &way, datagram(1, 168), now());
		if (i % 16 == 15)
			dht_net_run(&net, 5000);
	}
	assert_in_range(heard[B].n_failed, 1, 3 * DHT_CALLS_MAX);
}

/* Who has shown that he is there is not held to that. */
static void
a_caller_who_answers_may_read_much(void **state)
{
	struct dht_way there = way_to(handle), back;

	(void)state;
	registers(B, handle, true);
	pass(A, &there, datagram(1, 168));
	back = heard[B].handed.way;
	pass(B, &back, datagram(2, 104));
	pass(A, &there, datagram(1, 92));
	heard[A].n_handed = 0;
	for (unsigned i = 0; i < 20; i++)
		pass(B, &back, datagram(2, 1052));
	assert_int_equal(heard[A].n_handed, 20);
}

static void
a_contact_may_be_given_more(void **state)
{
	struct dht_way there = way_to(handle);
	struct node_key b;

	(void)state;
	dht_key(net.node[B], &b);
	assert_int_equal(dht_set_trusted(net.node[I], &b, 100000), ERR_OK);
	for (unsigned i = 1; i < DHT_TRUSTED_MAX; i++) {
		struct node_key other = { { (uint8_t)i } };

		assert_int_equal(
		    dht_set_trusted(net.node[I], &other, 1), ERR_OK);
	}
	memset(&b, 0xee, sizeof(b));
	assert_int_equal(dht_set_trusted(net.node[I], &b, 1), ERR_LIMIT);
	assert_int_equal(dht_set_trusted(net.node[I], &b, 0), ERR_OK);
	registers(B, handle, true);
	for (unsigned i = 0; i < 200; i++) {
		dht_pass(net.node[A], &there, datagram(1, 1052), now());
		dht_net_run(&net, 25);
	}
	dht_net_run(&net, 100);
	assert_int_equal(heard[B].n_handed, 200);
}

/* As a node does that lets in nobody but whom it has spoken to. */
static void
contacts_alone_may_be_passed_for(void **state)
{
	struct dht_way there = way_to(handle);
	uint8_t other[DHT_HANDLE_SIZE] = { 77 };
	struct node_key b;

	(void)state;
	registers(C, other, true);
	dht_key(net.node[B], &b);
	assert_int_equal(dht_set_trusted(net.node[I], &b, 1000), ERR_OK);
	assert_int_equal(
	    dht_introduce(net.node[I], DHT_INTRODUCES_TRUSTED, now()), ERR_OK);
	assert_int_equal(stats().handles, 0);
	registers(B, handle, true);
	registers(C, other, false);
	assert_int_equal(stats().handles_trusted, 1);
	pass(A, &there, datagram(1, 168)); /* whoever that is */
	is_handed(B, 1, 168);
	assert_true(stats().bytes_trusted > 0);
	/* Who is no contact any more is gone at once. */
	assert_int_equal(dht_set_trusted(net.node[I], &b, 0), ERR_OK);
	assert_int_equal(stats().handles, 0);
	pass(A, &there, datagram(1, 168));
	assert_int_equal(heard[B].n_handed, 0);
	registers(B, handle, false);
}

/* That nobody answers a pass says nothing about the introducer. */
static void
a_pass_without_an_answer_is_no_failure(void **state)
{
	struct dht_way there = way_to(handle);
	struct raw mute = raw_new(99, 9, 9, 9);
	const struct dht *a = net.node[A];
	uint64_t end_ms;

	(void)state;
	registers(B, handle, true);
	assert_true(node_key_is_set(&a->seed[0].n)); /* I is a's seed */
	pass(A, &there, datagram(1, 168));
	end_ms = net.now_ms + 6000;
	while (dht_net_step(&net, end_ms))
		assert_true(node_key_is_set(&a->seed[0].n));
	assert_int_equal(heard[A].n_failed, 0);
	/* And is no reason not to ask there. */
	there.introducer.at = mute.at;
	there.introducer.n = raw_key(&mute);
	pass(A, &there, datagram(1, 168));
	dht_candidate_key(net.node[A], &mute.at, &there.introducer.n, now());
	dht_net_run(&net, 100);
	assert_int_equal(n_to(&mute.at), 2);
	carrier_free(mute.c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, intro_setup, intro_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_who_cannot_reach_each_other_talk_through_a_third),
		cmocka_unit_test_setup_teardown(
		    any_size_passes_in_ipv6_in_all_forms, intro_setup_v6,
		    intro_teardown),
		TEST(a_registration_ends_unless_it_is_renewed),
		TEST(only_an_introducer_introduces),
		TEST(a_registration_outlives_loss),
		TEST(who_moves_keeps_his_handle_and_his_calls),
		TEST(what_is_no_longer_ours_is_dropped),
		TEST(our_own_places_are_bounded),
		TEST(a_pass_without_an_answer_is_no_failure),
		TEST(a_caller_who_answers_may_read_much),
		TEST(a_contact_may_be_given_more),
		TEST(contacts_alone_may_be_passed_for),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
