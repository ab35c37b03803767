/* What an introducer remembers, and what it spends: laws of the tables. */
#include "proto/dht/guard.h"
#include "proto/dht/introduce.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { BEGIN_MS = 1000, ENDS = 32 };

static struct introduce *t;
static struct test_rng rng;
static uint64_t now_ms;

static int
setup(void **state)
{
	(void)state;
	test_rng_init(&rng, test_seed(61));
	now_ms = BEGIN_MS;
	t = introduce_new(&rng.rng, now_ms);
	return t ? 0 : -1;
}

static int
teardown(void **state)
{
	(void)state;
	introduce_free(t);
	return 0;
}

/* One who registers or calls. */
struct who {
	struct endpoint at;
	struct node_key n;
	uint8_t handle[INTRODUCE_ID_SIZE], cookie[INTRODUCE_ID_SIZE];
	uint32_t rate;
};

/* The i-th of a network. */
static struct who
who(unsigned net, unsigned i)
{
	const uint8_t v4[4] = { (uint8_t)(20 + (net >> 16)),
		(uint8_t)(net >> 8), (uint8_t)net, (uint8_t)(i >> 8) };
	struct who w = { .at = endpoint_v4(v4, (uint16_t)(1000 + i % 60000)) };

	memset(w.n.b, 1, sizeof(w.n.b));
	memcpy(w.n.b, &net, sizeof(net));
	memcpy(w.n.b + 8, &i, sizeof(i));
	memcpy(w.handle, &net, 4);
	memcpy(w.handle + 4, &i, 4);
	memset(w.cookie, (int)i, sizeof(w.cookie));
	return w;
}

static struct introduce_wish
wish(const struct who *w)
{
	return (struct introduce_wish){ &w->at, &w->n, w->handle, w->cookie,
		w->rate };
}

static enum err
registers(const struct who *w)
{
	struct introduce_wish in = wish(w);

	return introduce_register(t, &in, now_ms);
}

static enum err
calls(const struct who *caller, const struct who *called,
    struct introduce_to *ret)
{
	struct introduce_wish in = wish(caller);

	in.handle = called->handle;
	return introduce_call(t, &in, 512, now_ms, ret);
}

static enum err
follows(const struct who *w, const uint8_t *id, struct introduce_to *ret)
{
	return introduce_follow(t, &w->at, id, 512, now_ms, ret);
}

static size_t
n_handles(void)
{
	struct introduce_stats s;

	introduce_get_stats(t, now_ms, &s);
	return s.handles;
}

static size_t
n_circuits(void)
{
	struct introduce_stats s;

	introduce_get_stats(t, now_ms, &s);
	return s.circuits;
}

/* ---- registrations ---- */

/* Hostile input 88: one network wants all the room. It gets half, and what is
 * left is for the others, four for each network of them. */
static void
hostile_88_a_network_gets_no_more_than_its_part(void **state)
{
	size_t n = 0, n_others = 0;

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		struct who w = who(7, i);

		w.at.addr[15] = (uint8_t)i; /* all of the /24 */
		n += registers(&w) == ERR_OK;
	}
	assert_int_equal(n, INTRODUCE_HANDLES / 2);
	for (unsigned net = 100; net < 200; net++) {
		for (unsigned i = 0; i < 10; i++) {
			struct who w = who(net, i);

			n_others += registers(&w) == ERR_OK;
		}
		assert_true(n_others <= (net - 99) * (size_t)INTRODUCE_PER_NET);
	}
	assert_int_equal(n_others,
	    INTRODUCE_HANDLES - INTRODUCE_SPARE - INTRODUCE_HANDLES / 2);
	/* Those who were there first are there still, and renew. */
	for (unsigned i = 0; i < 100; i++) {
		struct who w = who(7, i);

		w.at.addr[15] = (uint8_t)i;
		assert_int_equal(registers(&w), ERR_OK);
	}
	assert_int_equal(n_handles(), INTRODUCE_HANDLES - INTRODUCE_SPARE);
}

static void
contacts_find_room_where_strangers_do_not(void **state)
{
	struct who w;
	size_t n = 0;

	(void)state;
	for (unsigned net = 0; net < 300; net++) {
		w = who(net, 1);
		n += registers(&w) == ERR_OK;
	}
	assert_int_equal(n, INTRODUCE_HANDLES - INTRODUCE_SPARE);
	for (unsigned net = 300; net < 400; net++) {
		w = who(net, 1);
		w.rate = 10000;
		n += registers(&w) == ERR_OK;
	}
	assert_int_equal(n, INTRODUCE_HANDLES);
	assert_int_equal(n_handles(), INTRODUCE_HANDLES);
	now_ms += UINT64_C(1000) * INTRODUCE_LIFE_S;
	assert_int_equal(n_handles(), 0);
	w = who(1, 1);
	assert_int_equal(registers(&w), ERR_OK);
}

static void
a_node_has_four_handles_wherever_it_is(void **state)
{
	struct who w = who(1, 1);

	(void)state;
	for (unsigned i = 0; i < 8; i++) {
		w.handle[7] = (uint8_t)(i + 1);
		assert_int_equal(
		    registers(&w), i < INTRODUCE_PER_NODE ? ERR_OK : ERR_LIMIT);
	}
	w.at = who(2, 2).at; /* the same key elsewhere */
	assert_int_equal(registers(&w), ERR_LIMIT);
	w = who(1, 1); /* another key there */
	w.n = who(2, 2).n;
	w.handle[7] = 100;
	assert_int_equal(registers(&w), ERR_LIMIT);
}

static void
a_handle_belongs_to_a_key(void **state)
{
	struct who w = who(1, 1), thief = who(2, 2), caller = who(3, 3);
	struct introduce_to to;

	(void)state;
	assert_int_equal(registers(&w), ERR_OK);
	memcpy(thief.handle, w.handle, sizeof(w.handle));
	assert_int_equal(registers(&thief), ERR_EXISTS);
	thief.at = w.at;
	assert_int_equal(registers(&thief), ERR_EXISTS);
	assert_int_equal(calls(&caller, &w, &to), ERR_OK);
	assert_true(endpoint_eq(&to.at, &w.at));
	w.at = who(4, 4).at; /* the owner may move */
	assert_int_equal(registers(&w), ERR_OK);
	assert_int_equal(calls(&caller, &w, &to), ERR_OK);
	assert_true(endpoint_eq(&to.at, &w.at));
	assert_int_equal(n_circuits(), 1);
	/* Nobody may take the id of a circuit for his handle. */
	thief = who(2, 2);
	memcpy(thief.handle, to.circuit, sizeof(thief.handle));
	assert_int_equal(registers(&thief), ERR_EXISTS);
}

/* ---- circuits ---- */

static void
ends_are_for_those_whose_they_are(void **state)
{
	struct who w = who(1, 1), a = who(2, 2), thief = who(3, 3);
	struct introduce_to there, back, again;

	(void)state;
	assert_int_equal(registers(&w), ERR_OK);
	assert_int_equal(calls(&w, &w, &there), ERR_NOT_FOUND);
	thief.at = w.at; /* or what comes back would be for either */
	assert_int_equal(calls(&thief, &w, &there), ERR_NOT_FOUND);
	thief = who(3, 3);
	thief.n = w.n;
	assert_int_equal(calls(&thief, &w, &there), ERR_NOT_FOUND);
	thief = who(3, 3);
	assert_int_equal(calls(&a, &w, &there), ERR_OK);
	assert_false(there.to_caller);
	assert_memory_equal(there.cookie, w.cookie, sizeof(w.cookie));
	assert_true(endpoint_eq(&there.other, &a.at));
	assert_int_equal(follows(&thief, there.circuit, &back), ERR_NOT_FOUND);
	assert_int_equal(follows(&a, there.circuit, &back), ERR_NOT_FOUND);
	assert_int_equal(follows(&w, there.circuit, &back), ERR_OK);
	assert_true(back.to_caller && endpoint_eq(&back.at, &a.at));
	assert_memory_equal(back.cookie, a.cookie, sizeof(a.cookie));
	assert_memory_equal(&back.n, &a.n, sizeof(a.n));
	assert_int_equal(follows(&thief, back.circuit, &again), ERR_NOT_FOUND);
	assert_int_equal(follows(&w, back.circuit, &again), ERR_NOT_FOUND);
	assert_int_equal(follows(&a, back.circuit, &again), ERR_OK);
	assert_memory_equal(again.circuit, there.circuit, 8);
	/* Another cookie, key or address is another caller. */
	thief = a;
	thief.cookie[0] ^= 1;
	assert_int_equal(calls(&thief, &w, &again), ERR_OK);
	assert_memory_not_equal(again.circuit, there.circuit, 8);
	thief = a;
	thief.n.b[5] ^= 1;
	assert_int_equal(calls(&thief, &w, &again), ERR_OK);
	thief = a;
	thief.at.port ^= 1;
	assert_int_equal(calls(&thief, &w, &again), ERR_OK);
	assert_int_equal(n_circuits(), 4);
	assert_int_equal(calls(&a, &w, &again), ERR_OK);
	assert_memory_equal(again.circuit, there.circuit, 8);
}

static void
only_the_caller_keeps_a_circuit(void **state)
{
	struct who w = who(1, 1), a = who(2, 2);
	struct introduce_to there, back;

	(void)state;
	assert_int_equal(registers(&w), ERR_OK);
	assert_int_equal(calls(&a, &w, &there), ERR_OK);
	for (unsigned i = 0; i < 10; i++) {
		now_ms += 60 * 1000;
		assert_int_equal(registers(&w), ERR_OK);
		assert_int_equal(follows(&w, there.circuit, &back), ERR_OK);
		assert_int_equal(follows(&a, back.circuit, &there), ERR_OK);
	}
	for (unsigned i = 1; i <= 12; i++) {
		now_ms += 10 * 1000;
		assert_int_equal(registers(&w), ERR_OK);
		assert_int_equal(follows(&w, there.circuit, &back),
		    i < 12 ? ERR_OK : ERR_NOT_FOUND);
	}
	assert_int_equal(calls(&a, &w, &there), ERR_OK);
	now_ms += UINT64_C(1000) * INTRODUCE_LIFE_S; /* the handle is gone */
	assert_int_equal(follows(&w, there.circuit, &back), ERR_NOT_FOUND);
	assert_int_equal(n_circuits(), 0);
}

/* Hostile input 89: circuits without end to one handle of the attacker. */
static void
hostile_89_a_flood_of_calls_takes_nobody_elses_circuit(void **state)
{
	struct who w[ENDS], a[ENDS], thief = who(999, 1);
	struct introduce_to there[ENDS], back[ENDS], to;

	(void)state;
	for (unsigned i = 0; i < ENDS; i++) {
		w[i] = who(i, 1);
		a[i] = who(1000 + i, 2);
		assert_int_equal(registers(&w[i]), ERR_OK);
		assert_int_equal(calls(&a[i], &w[i], &there[i]), ERR_OK);
	}
	assert_int_equal(registers(&thief), ERR_OK);
	for (unsigned i = 0; i < 10000; i++) {
		struct who forged = who(2000 + i, 3);

		assert_int_equal(calls(&forged, &thief, &to), ERR_OK);
	}
	assert_int_equal(n_circuits(), ENDS + INTRODUCE_PER_HANDLE);
	/* At a handle that is flooded, who has been answered stays. */
	for (unsigned i = 0; i < ENDS; i++) {
		assert_int_equal(
		    follows(&w[i], there[i].circuit, &back[i]), ERR_OK);
		assert_int_equal(follows(&a[i], back[i].circuit, &to), ERR_OK);
	}
	for (unsigned i = 0; i < 10000; i++) {
		struct who forged = who(2000 + i, 3);

		assert_int_equal(calls(&forged, &w[i % ENDS], &to), ERR_OK);
	}
	assert_int_equal(n_circuits(), INTRODUCE_CIRCUITS);
	for (unsigned i = 0; i < ENDS; i++)
		assert_int_equal(follows(&a[i], back[i].circuit, &to), ERR_OK);
}

/* ---- budgets ---- */

/* Spends datagrams of n bytes; returns how many bytes went. */
static size_t
spend(const struct introduce_to *to, size_t n, unsigned times)
{
	size_t sum = 0;

	for (unsigned i = 0; i < times; i++)
		sum += introduce_pay(t, to, n, now_ms) ? n : 0;
	return sum;
}

static void
an_unproven_caller_gets_three_times_his_bytes(void **state)
{
	struct who w = who(1, 1), a = who(2, 2);
	struct introduce_to there, back, to;

	(void)state;
	assert_int_equal(registers(&w), ERR_OK);
	for (unsigned i = 1; i < 10; i++) {
		assert_int_equal(calls(&a, &w, &there), ERR_OK);
		assert_int_equal(follows(&w, there.circuit, &back), ERR_OK);
		assert_int_equal(
		    spend(&back, 512, 10), (size_t)GUARD_FACTOR * 512);
	}
	/* He says what only he can have got. */
	assert_int_equal(follows(&a, back.circuit, &to), ERR_OK);
	assert_int_equal(spend(&back, 512, 10), 5120);
}

static void
a_handle_has_its_rate(void **state)
{
	struct who a = who(9, 2);
	struct introduce_to to;
	size_t sum;

	(void)state;
	for (unsigned i = 0; i < 2; i++) {
		uint32_t rate = i ? 1000 : INTRODUCE_RATE;
		uint32_t burst_s =
		    i ? INTRODUCE_TRUSTED_BURST_S : INTRODUCE_BURST_S;
		struct who w = who(1 + i, 1);

		w.rate = i ? rate : 0;
		assert_int_equal(registers(&w), ERR_OK);
		assert_int_equal(calls(&a, &w, &to), ERR_OK);
		sum = spend(&to, 100, 2000);
		assert_in_range(sum, burst_s * rate - 100, burst_s * rate);
		now_ms += 10 * 1000;
		sum = spend(&to, 100, 2000);
		if (i == 0)
			assert_in_range(sum, 10 * rate - 200, 10 * rate + 200);
		else
			assert_in_range(
			    sum, burst_s * rate - 200, burst_s * rate);
		now_ms += 60 * 1000;
	}
}

/* A contact that makes handles does not make bytes of them: what is given is
 * given to its node once. */
static void
hostile_92_handles_of_one_node_share_what_is_given(void **state)
{
	enum { RATE = 64 * 1024, SECONDS = 300 };
	struct introduce_to to[INTRODUCE_PER_NODE];
	size_t sum = 0;

	(void)state;
	for (unsigned s = 0; s < SECONDS; s++) {
		for (unsigned i = 0; i < INTRODUCE_PER_NODE; i++) {
			/* New ones as soon as the old ones are over. */
			struct who w = who(1, 1), a = who(2 + i, 2);

			w.rate = RATE;
			w.handle[0] = (uint8_t)i;
			w.handle[1] = (uint8_t)(s / (INTRODUCE_LIFE_S + 1));
			if (s % (INTRODUCE_LIFE_S + 1) == 0)
				assert_int_equal(registers(&w), ERR_OK);
			if (s % (INTRODUCE_LIFE_S + 1) < INTRODUCE_LIFE_S)
				assert_int_equal(calls(&a, &w, &to[i]), ERR_OK);
		}
		for (unsigned i = 0; i < INTRODUCE_PER_NODE; i++)
			if (s % (INTRODUCE_LIFE_S + 1) < INTRODUCE_LIFE_S)
				sum += spend(&to[i], 1232, 1000);
		now_ms += 1000;
	}
	assert_true(sum <= (SECONDS + 4 * INTRODUCE_TRUSTED_BURST_S) * RATE);
	assert_true(sum >= SECONDS / 2 * RATE);
}

/* Strangers and contacts do not spend each other's bytes, nor do all contacts
 * together more than is for them. */
static void
hostile_93_contacts_and_strangers_have_budgets_apart(void **state)
{
	struct introduce_to stranger[ENDS], contact[ENDS];
	size_t sum[2] = { 0 };

	(void)state;
	for (unsigned i = 0; i < ENDS; i++) {
		struct who x = who(i, 1), y = who(1000 + i, 2);
		struct who z = who(2000 + i, 3);

		z.rate = 64 * 1024;
		assert_int_equal(registers(&x), ERR_OK);
		assert_int_equal(registers(&z), ERR_OK);
		assert_int_equal(calls(&y, &x, &stranger[i]), ERR_OK);
		assert_int_equal(calls(&y, &z, &contact[i]), ERR_OK);
	}
	for (unsigned s = 0; s < 60; s++) {
		for (unsigned i = 0; i < ENDS; i++) {
			sum[0] += spend(&stranger[i], 1232, 200);
			sum[1] += spend(&contact[i], 1232, 200);
		}
		now_ms += 1000;
	}
	assert_in_range(sum[0], 50ULL * INTRODUCE_ALL_RATE,
	    INTRODUCE_ALL_BURST + 60ULL * INTRODUCE_ALL_RATE);
	assert_in_range(sum[1], 50ULL * INTRODUCE_TRUSTED_ALL_RATE,
	    INTRODUCE_TRUSTED_ALL_BURST + 60ULL * INTRODUCE_TRUSTED_ALL_RATE);
}

static void
what_is_given_may_be_taken_back(void **state)
{
	struct who w = who(1, 1), s = who(3, 3), a = who(2, 2);
	struct introduce_stats stats;
	struct introduce_to to;

	(void)state;
	w.rate = 64 * 1024;
	assert_int_equal(registers(&w), ERR_OK);
	assert_int_equal(registers(&s), ERR_OK);
	assert_int_equal(calls(&a, &w, &to), ERR_OK);
	introduce_trust(t, &w.n, 0, now_ms);
	now_ms += 60 * 1000;
	assert_in_range(
	    spend(&to, 1232, 1000), 0, INTRODUCE_BURST_S * INTRODUCE_RATE);
	introduce_trust(t, &w.n, 1000, now_ms);
	introduce_get_stats(t, now_ms, &stats);
	assert_int_equal(stats.handles, 2);
	assert_int_equal(stats.trusted, 1);
	introduce_end_strangers(t);
	introduce_get_stats(t, now_ms, &stats);
	assert_int_equal(stats.handles, 1);
	assert_int_equal(calls(&a, &s, &to), ERR_NOT_FOUND);
	assert_int_equal(calls(&a, &w, &to), ERR_OK);
	introduce_trust(t, &w.n, 0, now_ms);
	introduce_end_strangers(t);
	introduce_get_stats(t, now_ms, &stats);
	assert_int_equal(stats.handles + stats.trusted + stats.circuits, 0);
}

/* Hostile input 90: many handles of an attacker spend what there is for all.
 * Who takes little is served still. */
static void
hostile_90_who_takes_little_is_served_first(void **state)
{
	struct introduce_to greedy[ENDS], modest;
	struct who w = who(500, 1), a = who(501, 2);
	size_t sum = 0, n_served = 0;

	(void)state;
	assert_int_equal(registers(&w), ERR_OK);
	for (unsigned i = 0; i < ENDS; i++) {
		struct who x = who(i, 1), y = who(1000 + i, 2);

		assert_int_equal(registers(&x), ERR_OK);
		assert_int_equal(calls(&y, &x, &greedy[i]), ERR_OK);
	}
	assert_int_equal(calls(&a, &w, &modest), ERR_OK);
	for (unsigned s = 0; s < 60; s++) {
		for (unsigned i = 0; i < ENDS; i++)
			sum += spend(&greedy[i], 1232, 20);
		n_served += spend(&modest, 512, 2) == 1024;
		now_ms += 1000;
	}
	assert_int_equal(n_served, 60);
	assert_true(sum <= INTRODUCE_ALL_BURST + 60ULL * INTRODUCE_ALL_RATE);
	assert_true(sum >= 50ULL * INTRODUCE_ALL_RATE);
}

/* ---- anything at all ---- */

/* Whatever happens: what goes anywhere goes to one who has registered or
 * called from there, within the time. */
static void
nothing_goes_to_who_has_not_spoken(void **state)
{
	struct who w[ENDS];
	uint64_t registered_ms[ENDS] = { 0 }, spoke_ms[ENDS] = { 0 };
	struct introduce_to last[ENDS] = { 0 }, to;

	(void)state;
	for (unsigned i = 0; i < ENDS; i++)
		w[i] = who(i, i);
	for (unsigned i = 0; i < 20000; i++) {
		unsigned a = rng_below(&rng.rng, ENDS);
		unsigned b = rng_below(&rng.rng, ENDS);
		enum err err = ERR_NOT_FOUND;

		now_ms += rng_below(&rng.rng, 4000);
		if (i % 5 == 0 && registers(&w[a]) == ERR_OK)
			registered_ms[a] = now_ms;
		if (i % 5 == 1)
			err = calls(&w[a], &w[b], &to);
		else if (i % 5 > 1)
			err = follows(&w[a], last[a].circuit, &to);
		if (err)
			continue;
		if (!to.to_caller)
			spoke_ms[a] = now_ms;
		for (b = 0; b < ENDS; b++)
			if (endpoint_eq(&w[b].at, &to.at))
				break;
		assert_true(b < ENDS && b != a);
		assert_true(endpoint_eq(&to.other, &w[a].at));
		if (to.to_caller)
			assert_true(
			    now_ms - spoke_ms[b] < INTRODUCE_CIRCUIT_MS);
		else
			assert_true(now_ms - registered_ms[b] <
			            UINT64_C(1000) * INTRODUCE_LIFE_S);
		last[b] = to;
	}
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(hostile_88_a_network_gets_no_more_than_its_part),
		TEST(contacts_find_room_where_strangers_do_not),
		TEST(a_node_has_four_handles_wherever_it_is),
		TEST(a_handle_belongs_to_a_key),
		TEST(ends_are_for_those_whose_they_are),
		TEST(only_the_caller_keeps_a_circuit),
		TEST(hostile_89_a_flood_of_calls_takes_nobody_elses_circuit),
		TEST(an_unproven_caller_gets_three_times_his_bytes),
		TEST(a_handle_has_its_rate),
		TEST(hostile_92_handles_of_one_node_share_what_is_given),
		TEST(hostile_93_contacts_and_strangers_have_budgets_apart),
		TEST(what_is_given_may_be_taken_back),
		TEST(hostile_90_who_takes_little_is_served_first),
		TEST(nothing_goes_to_who_has_not_spoken),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
