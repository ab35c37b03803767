/* Introducers and those who would use them: what draws nothing. */
#include "tests/support/dht_intro.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Hostile inputs 80: registrations with another's key, address or token. */
static void
hostile_80_nobody_registers_for_somebody_else(void **state)
{
	struct krpc m = { .method = KRPC_REGISTER };
	struct dht_way there = way_to(handle);
	struct krpc got = { .kind = KRPC_QUERY };
	uint8_t token[TOKEN_SIZE];
	struct raw thief = raw_new(99, 9, 9, 9);
	struct node_key own = raw_key(&thief), b;

	(void)state;
	dht_key(net.node[B], &b);
	/* An address that is not his: what proves it goes there. */
	raw_register(&m, &own, handle);
	raw_tell(&thief, &net.at[C], &m);
	assert_int_equal(n_to(&thief.at), 0);
	assert_int_equal(n_to(&net.at[C]), 1);
	assert_int_equal(stats().handles + heard[C].n_registered, 0);
	/* A key that is not his: he cannot open it. */
	clear();
	raw_register(&m, &b, handle);
	raw_tell(&thief, &thief.at, &m);
	assert_int_equal(n_to(&thief.at), 1);
	assert_false(raw_opens(&thief, &got));
	/* His own, honestly; the token is good for nothing else. */
	clear();
	raw_register(&m, &own, handle);
	raw_tell(&thief, &thief.at, &m);
	assert_true(raw_opens(&thief, &got));
	assert_true(got.method == KRPC_HAND && got.token.n == sizeof(token));
	assert_memory_equal(got.cookie, m.cookie, sizeof(m.cookie));
	memcpy(token, got.token.p, sizeof(token));
	m.token = span_of(token, sizeof(token));
	m.handle[0] ^= 1;
	raw_tell(&thief, &thief.at, &m);
	m.handle[0] ^= 1;
	m.n = b;
	raw_tell(&thief, &thief.at, &m);
	m.n = own;
	thief.at.port++;
	raw_tell(&thief, &thief.at, &m);
	thief.at.port--;
	token[0] ^= 1;
	raw_tell(&thief, &thief.at, &m);
	token[0] ^= 1;
	assert_int_equal(stats().handles, 0);
	/* A token of a get is another matter. */
	raw_token_by_get(&thief, &m, token);
	raw_tell(&thief, &thief.at, &m);
	assert_int_equal(stats().handles, 0);
	/* B has it first: nobody takes it. */
	registers(B, handle, true);
	m.token = span_of(NULL, 0);
	clear();
	raw_tell(&thief, &thief.at, &m);
	assert_int_equal(n_to(&thief.at), 1); /* the refusal */
	assert_false(raw_opens(&thief, &got));
	pass(A, &there, datagram(1, 168));
	is_handed(B, 1, 168);
	carrier_free(thief.c);
}

/* Hostile input 81: what must not be passed, by whoever asks for it. */
static void
hostile_81_only_what_no_dht_node_opens_is_passed(void **state)
{
	static const size_t sizes[] = { 0, 1, 55, 1053, 1060, 128, 256, 512,
		1024 };
	static uint8_t krpc[128];
	struct krpc m;
	struct raw caller = raw_new(99, 9, 9, 9);
	struct dht_way there = way_to(handle);

	(void)state;
	registers(B, handle, true);
	clear();
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		raw_pass(&caller, &m, handle, datagram(1, sizes[i]));
		raw_tell(&caller, &caller.at, &m);
		dht_pass(net.node[A], &there, datagram(1, sizes[i]), now());
		dht_net_run(&net, 100);
	}
	memset(krpc, 'x', sizeof(krpc));
	krpc[0] = 'd';
	krpc[99] = 'e';
	raw_pass(&caller, &m, handle, span_of(krpc, 100));
	raw_tell(&caller, &caller.at, &m);
	dht_pass(net.node[A], &there, span_of(krpc, 100), now());
	dht_net_run(&net, 100);
	/* No datagram, no handle, no cookie, no key; a handle and a circuit. */
	raw_pass(&caller, &m, handle, span_of(NULL, 0));
	raw_tell(&caller, &caller.at, &m);
	raw_pass(&caller, &m, handle, datagram(1, 168));
	m.has_handle = false;
	raw_tell(&caller, &caller.at, &m);
	m.has_handle = m.has_circuit = true;
	raw_tell(&caller, &caller.at, &m);
	m.has_circuit = m.has_cookie = false;
	raw_tell(&caller, &caller.at, &m);
	m.has_cookie = true;
	m.has_n = false;
	raw_tell(&caller, &caller.at, &m);
	assert_int_equal(stats().n_passed, 0);
	assert_int_equal(n_to(&net.at[B]) + n_to(&caller.at), 0);
	m.has_n = true;
	raw_tell(&caller, &caller.at, &m);
	is_handed(B, 1, 168);
	carrier_free(caller.c);
}

/* Handles and circuits of a wrong length are none. */
static void
hostile_81_ends_of_a_wrong_length_are_refused(void **state)
{
	static const struct {
		const char *before, *after;
	} forms[] = {
		{ "d1:ad1:c", "1:h8:handle_be1:q8:register1:t4:aaaa1:y1:qe" },
		{ "d1:ad1:c8:cookie_c1:h", "e1:q8:register1:t4:aaaa1:y1:qe" },
		{ "d1:ad1:f", "e1:q4:pass1:t4:aaaa1:y1:qe" },
		{ "d1:ad1:h", "e1:q4:pass1:t4:aaaa1:y1:qe" },
		{ "d1:ad1:c", "e1:q4:hand1:t0:1:y1:qe" },
		{ "d1:ad1:i", "e1:q4:hand1:t0:1:y1:qe" },
	};
	static struct bencode scratch;
	struct krpc m;

	(void)state;
	for (size_t f = 0; f < sizeof(forms) / sizeof(forms[0]); f++) {
		for (size_t n = 0; n <= 32; n++) {
			static const char xs[] =
			    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";
			char buf[256];
			int size = snprintf(buf, sizeof(buf), "%s%zu:%.*s%s",
			    forms[f].before, n, (int)n, xs, forms[f].after);

			assert_int_equal(krpc_decode(span_of(buf, (size_t)size),
			                     &scratch, &m),
			    ERR_OK);
			assert_int_equal(m.has_cookie,
			    f == 1 || ((f == 0 || f == 4) && n == 8));
			assert_int_equal(m.has_handle,
			    f == 0 || ((f == 1 || f == 3) && n == 8));
			assert_int_equal(m.has_circuit, f == 2 && n == 8);
			assert_int_equal(
			    m.has_ip, f == 5 && (n == 6 || n == 18));
		}
	}
}

/* Hostile input 82: copies of all that passed by. */
static void
hostile_82_copies_draw_nothing(void **state)
{
	static struct dht_net_packet kept[INTRO_TAPE_MAX];
	const uint8_t v4[4] = { 99, 9, 9, 9 };
	struct endpoint other = endpoint_v4(v4, 99);
	struct dht_way there = way_to(handle), nobody = way_to(handle);
	size_t n_kept;

	(void)state;
	nobody.id[0] ^= 1;
	registers(B, handle, true);
	for (unsigned i = 0; i < 20; i++) {
		pass(A, &there, datagram(1, 168));
		pass(B, &heard[B].handed.way, datagram(2, 104));
		pass(A, &nobody, datagram(1, 168));
	}
	assert_int_equal(heard[A].n_failed, 20);
	assert_int_equal(heard[A].n_handed, 20);
	n_kept = n_tape;
	memcpy(kept, tape, sizeof(kept));
	dht_net_run(&net, 5000);
	clear();
	for (size_t i = 0; i < n_kept; i++) {
		for (size_t k = 0; k < INTRO_NODES; k++) {
			if (!endpoint_eq(&net.at[k], &kept[i].to))
				continue;
			dht_net_inject(&net, i % 2 ? &other : &kept[i].from, k,
			    span_of(kept[i].data, kept[i].n));
			dht_net_drain(&net);
		}
	}
	assert_int_equal(net.n_packets, 0); /* nobody said anything */
	for (size_t k = 0; k < INTRO_NODES; k++)
		assert_int_equal(heard[k].n_handed + heard[k].n_failed, 0);
}

/* Hostile input 83: an introducer as a reflector. A caller who may not be
 * where he says gets three times his bytes, whatever the called sends. */
static void
hostile_83_a_forged_caller_gets_three_times_his_bytes(void **state)
{
	struct krpc m;
	struct raw caller = raw_new(99, 9, 9, 9);
	struct dht_way back;
	size_t n_bytes = 0;

	(void)state;
	registers(B, handle, true);
	clear();
	for (unsigned i = 0; i < 3; i++) {
		raw_pass(&caller, &m, handle, datagram(1, 168));
		n_bytes += raw_tell(&caller, &caller.at, &m);
		is_handed(B, 1, 168);
	}
	back = heard[B].handed.way;
	for (unsigned i = 0; i < 100; i++) {
		pass(B, &back, datagram(2, i % 2 ? 56 : 1052));
		assert_true(bytes_to(&caller.at) <= 3 * n_bytes);
	}
	assert_true(2 * bytes_to(&caller.at) > 3 * n_bytes);
	/* Nor for longer than his last word holds. */
	dht_net_run(&net, 80 * 1000);
	registers(B, handle, true);
	dht_net_run(&net, 50 * 1000);
	clear();
	pass(B, &back, datagram(2, 56));
	assert_int_equal(n_to(&caller.at), 0);
	carrier_free(caller.c);
}

/* Hostile input 84: a handle that takes more than its part. */
static void
hostile_84_what_is_over_budget_is_lost(void **state)
{
	struct dht_way there = way_to(handle);
	uint64_t since_ms = net.now_ms;
	uint64_t bound;

	(void)state;
	registers(B, handle, true);
	clear();
	for (unsigned i = 0; i < 600; i++) { /* 40 of them a second */
		dht_pass(net.node[A], &there, datagram(1, 1052), now());
		dht_net_run(&net, 25);
	}
	bound = (uint64_t)INTRODUCE_RATE *
	        (INTRODUCE_BURST_S + (net.now_ms - since_ms) / 1000 + 1);
	assert_in_range(bytes_to(&net.at[B]), bound / 2, bound);
	assert_true(stats().n_refused > 400);
	/* Nobody is deaf for it: what DHT nodes say is another matter. */
	assert_true(stats().nodes_good > 0);
	heard[B].n_handed = 0;
	dht_net_run(&net, 10 * 1000);
	pass(A, &there, datagram(1, 1052));
	assert_int_equal(heard[B].n_handed, 1);
}

/* Hostile input 85: nothing goes round. */
static void
hostile_85_nothing_goes_through_two_or_in_a_circle(void **state)
{
	static const uint8_t other[DHT_HANDLE_SIZE] = "handle_i";
	struct dht_way there = way_to(handle), round;
	struct raw thief = raw_new(99, 9, 9, 9);
	struct node_key own = raw_key(&thief);
	struct dht_node second;
	struct krpc m;

	(void)state;
	/* I and B are introducers to each other. */
	assert_int_equal(
	    dht_introduce(net.node[B], DHT_INTRODUCES_ALL, now()), ERR_OK);
	registers(B, handle, true);
	second.at = net.at[B];
	dht_key(net.node[B], &second.n);
	assert_int_equal(
	    dht_register(net.node[I], I, &second, other, now()), ERR_OK);
	dht_net_run(&net, 1000);
	assert_true(heard[I].registered.found);
	dht_net_run(&net, 5000);
	clear();
	pass(A, &there, datagram(1, 168));
	is_handed(B, 1, 168);
	assert_int_equal(n_tape, 2); /* there it ends */
	/* Nobody is his own introducer, whoever makes him so, nor calls
	 * himself. */
	registers(I, other, false);
	clear();
	raw_register(&m, &own, other);
	assert_true(net.node[I]->address.known);
	raw_tell(&thief, &net.at[I], &m);
	raw_register(&m, &introducer.n, other);
	raw_tell(&thief, &thief.at, &m);
	raw_pass(&thief, &m, handle, datagram(1, 168));
	raw_tell(&thief, &net.at[I], &m);
	m.n = introducer.n;
	raw_tell(&thief, &thief.at, &m);
	assert_int_equal(n_tape, 0);
	round = way_to(handle);
	clear();
	pass(B, &round, datagram(1, 168));
	assert_int_equal(heard[B].n_handed, 0);
	assert_int_equal(stats().circuits, 1);
	/* What I passes to the handle of B at itself comes from its own
	 * address. */
	clear();
	pass(I, &there, datagram(1, 168));
	assert_int_equal(heard[B].n_handed, 0);
	carrier_free(thief.c);
}

/* Hostile input 86: handed by who is no introducer of ours. */
static void
hostile_86_only_our_introducers_hand_us_anything(void **state)
{
	struct krpc m = { .kind = KRPC_QUERY, .method = KRPC_HAND };
	struct dht_way there = way_to(handle);
	struct raw thief = raw_new(99, 9, 9, 9);
	uint8_t token[TOKEN_SIZE] = { 1 };

	(void)state;
	registers(B, handle, true);
	pass(A, &there, datagram(1, 168));
	pass(B, &heard[B].handed.way, datagram(1, 104));
	clear();
	m.has_circuit = m.has_cookie = true;
	m.datagram = datagram(1, 168);
	memset(m.circuit, 7, sizeof(m.circuit));
	for (unsigned i = 0; i < 256; i++) {
		memset(m.cookie, (int)i, sizeof(m.cookie));
		raw_tell_node(&thief, &introducer.at, B, &m);
		raw_tell_node(&thief, &introducer.at, A, &m);
	}
	memcpy(m.cookie, net.node[B]->ways->own[0].cookie, sizeof(m.cookie));
	raw_tell_node(&thief, &thief.at, B, &m); /* from elsewhere */
	m.has_cookie = false;
	raw_tell_node(&thief, &introducer.at, B, &m);
	/* Even he who knows all: not what a DHT node opens, nor a proof that
	 * nobody asked for. */
	m.has_cookie = true;
	m.datagram = datagram(1, 512);
	raw_tell_node(&thief, &introducer.at, B, &m);
	m.datagram = datagram('d', 168);
	raw_tell_node(&thief, &introducer.at, B, &m);
	m.datagram = span_of(NULL, 0);
	m.token = span_of(token, sizeof(token));
	raw_tell_node(&thief, &introducer.at, B, &m);
	assert_int_equal(heard[A].n_handed + heard[B].n_handed, 0);
	assert_int_equal(net.n_packets, 0);
	pass(A, &there, datagram(2, 168));
	is_handed(B, 2, 168); /* none of that led A astray */
	carrier_free(thief.c);
}

/* Nobody out there may point us at machines beside us. */
static void
an_introducer_names_no_address_beside_us(void **state)
{
	static const uint8_t addr[3][4] = { { 192, 168, 1, 1 }, { 0, 0, 0, 0 },
		{ 127, 0, 0, 1 } };
	struct krpc m = { .kind = KRPC_QUERY, .method = KRPC_HAND };
	struct raw friend = raw_new(99, 9, 9, 9);

	(void)state;
	registers(B, handle, true);
	m.has_circuit = m.has_cookie = m.has_ip = true;
	m.datagram = datagram(1, 168);
	memcpy(m.cookie, net.node[B]->ways->own[0].cookie, sizeof(m.cookie));
	for (unsigned i = 0; i < 3; i++) {
		m.ip = endpoint_v4(addr[i], 5);
		raw_tell_node(&friend, &introducer.at, B, &m);
		is_handed(B, 1, 168);
		assert_int_equal(heard[B].handed.address.port, 0);
	}
	m.ip = friend.at;
	raw_tell_node(&friend, &introducer.at, B, &m);
	is_handed(B, 1, 168);
	assert_true(endpoint_eq(&heard[B].handed.address, &friend.at));
	carrier_free(friend.c);
}

/* Hostile input 87: a scan for handles. */
static void
hostile_87_guessing_handles_is_slow(void **state)
{
	struct raw thief = raw_new(99, 9, 9, 9);
	uint8_t guess[DHT_HANDLE_SIZE] = { 0 };
	struct krpc m;

	(void)state;
	registers(B, handle, true);
	clear();
	for (unsigned i = 0; i < 1000; i++) {
		guess[0] = (uint8_t)i;
		guess[1] = (uint8_t)(i >> 8);
		raw_pass(&thief, &m, guess, datagram(1, 168));
		m.t = span_str("aaaa");
		raw_tell(&thief, &thief.at, &m);
	}
	assert_in_range(n_to(&thief.at), 1,
	    GUARD_BURST + GUARD_RATE * (GUARD_OVER_MS / 1000 + 2));
	assert_int_equal(stats().circuits, 0);
	clear(); /* who does not wait for an answer gets none at all */
	thief.at.addr[12] = 98;
	for (unsigned i = 0; i < 10; i++) {
		raw_pass(&thief, &m, guess, datagram(1, 168));
		raw_tell(&thief, &thief.at, &m);
		m.has_handle = false;
		m.has_circuit = true;
		m.t = span_str("aaaa");
		raw_tell(&thief, &thief.at, &m);
	}
	assert_int_equal(n_to(&thief.at), 0);
	carrier_free(thief.c);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, intro_setup, intro_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hostile_80_nobody_registers_for_somebody_else),
		TEST(hostile_81_only_what_no_dht_node_opens_is_passed),
		TEST(hostile_81_ends_of_a_wrong_length_are_refused),
		TEST(hostile_82_copies_draw_nothing),
		TEST(hostile_83_a_forged_caller_gets_three_times_his_bytes),
		TEST(hostile_84_what_is_over_budget_is_lost),
		TEST(hostile_85_nothing_goes_through_two_or_in_a_circle),
		TEST(hostile_86_only_our_introducers_hand_us_anything),
		TEST(an_introducer_names_no_address_beside_us),
		TEST(hostile_87_guessing_handles_is_slow),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
