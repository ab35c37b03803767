/* Two nodes on one link: beacons, cells, and what a replay may cause. */
#include "proto/chat/lan.h"
#include "proto/node.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { A = 0, B = 1 };

/* Everything on the link; what was said to the group stays. */
struct link {
	struct test_rng dice[2];
	struct node *n[2];
	struct endpoint at[2];
	struct id_pk id[2];
	struct now now;
	uint8_t heard[LAN_SIZE]; /* A's first */
	size_t n_heard;
	size_t n_sent; /* datagrams to others than the two */
	bool deaf;     /* the group is not delivered */
};

/* The nodes borrow from l, which stays where it is. */
static void
link_begin(struct link *l, bool lan)
{
	*l = (struct link){ .now = { 1000, UINT64_C(1796123323456) } };
	for (uint8_t i = 0; i < 2; i++) {
		const uint8_t v4[4] = { 192, 168, 7, (uint8_t)(2 + i) };
		struct node_config cfg = { .lan = lan };
		struct id_seed seed;

		l->at[i] = endpoint_v4(v4, 4000);
		test_rng_init(&l->dice[i], 1U + i);
		cfg.family[FAMILY_V4] = true;
		cfg.rng = &l->dice[i].rng;
		l->n[i] = node_new(&cfg, l->now);
		assert_non_null(l->n[i]);
		memset(seed.b, 1 + i, sizeof(seed.b));
		assert_int_equal(
		    node_set_identity(l->n[i], &seed, span_of(NULL, 0), l->now),
		    ERR_OK);
		assert_true(node_id(l->n[i], &l->id[i]));
		node_set_local(l->n[i], &l->at[i], 1, l->now);
	}
}

static void
take(struct link *l, int from, const struct effect *e)
{
	if (e->kind == EFFECT_LAN) {
		assert_int_equal(e->data.n, LAN_SIZE);
		if (l->n_heard++ == 0) {
			assert_int_equal(from, A);
			memcpy(l->heard, e->data.p, LAN_SIZE);
		}
		if (!l->deaf)
			node_lan_receive(
			    l->n[!from], &l->at[from], e->data, l->now);
	} else if (e->kind == EFFECT_SEND) {
		if (endpoint_eq(&e->to, &l->at[!from]))
			node_receive(
			    l->n[!from], &l->at[from], e->data, l->now);
		else
			l->n_sent++;
	}
}

/* A copy goes to the other before the node is called again. */
static void
run(struct link *l, uint64_t ms)
{
	for (uint64_t t = 0; t < ms; t += 50) {
		for (int i = 0; i < 2; i++) {
			struct effect e;

			if (node_deadline_ms(l->n[i]) <= l->now.mono_ms)
				node_tick(l->n[i], l->now);
			while (node_next_effect(l->n[i], &e))
				take(l, i, &e);
		}
		l->now.mono_ms += 50;
		l->now.wall_ms += 50;
	}
}

static bool
online(const struct link *l, int i)
{
	struct node_stats s;

	node_get_stats(l->n[i], &s);
	return s.online == 1;
}

static void
add(struct link *l, int i)
{
	struct contact_id c;

	assert_int_equal(
	    node_contact_add(l->n[i], &l->id[!i], &c, l->now), ERR_OK);
}

static void
end(struct link *l)
{
	node_free(l->n[A]);
	node_free(l->n[B]);
}

static void
two_who_never_met_meet_without_a_dht(void **state)
{
	struct link l;

	(void)state;
	link_begin(&l, true);
	add(&l, A);
	run(&l, 500);
	add(&l, B);
	run(&l, 15000);
	assert_true(online(&l, A) && online(&l, B));
	end(&l);
}

static void
without_beacons_they_do_not(void **state)
{
	struct link l;

	(void)state;
	link_begin(&l, false);
	add(&l, A);
	add(&l, B);
	run(&l, 15000);
	assert_int_equal(l.n_heard, 0);
	assert_false(online(&l, A) || online(&l, B));
	end(&l);
}

static void
nobody_is_awaited_and_nothing_is_said(void **state)
{
	struct link l;

	(void)state;
	link_begin(&l, true);
	run(&l, 5000);
	assert_int_equal(l.n_heard, 0);
	end(&l);
}

/* Replayed from a hundred addresses, a true beacon is worth three answers. */
static void
a_replayed_beacon_moves_us_three_times_a_slot(void **state)
{
	struct link l;
	size_t said;

	(void)state;
	link_begin(&l, true);
	l.deaf = true;
	add(&l, A);
	add(&l, B);
	run(&l, 1500);
	assert_true(l.n_heard >= 2);
	said = l.n_heard;
	for (unsigned i = 0; i < 100; i++) {
		const uint8_t v4[4] = { 203, 0, (uint8_t)(113 + i), 9 };
		struct endpoint from = endpoint_v4(v4, 5000);

		node_lan_receive(
		    l.n[B], &from, span_of(l.heard, LAN_SIZE), l.now);
	}
	run(&l, 50);
	assert_int_equal(l.n_heard - said, 3); /* cells: A's S is not known */
	assert_int_equal(l.n_sent, 0);
	end(&l);
}

static void
a_beacon_cut_or_of_another_day_is_nothing(void **state)
{
	struct link l;
	struct now later;
	size_t said;

	(void)state;
	link_begin(&l, true);
	l.deaf = true;
	add(&l, A);
	add(&l, B);
	run(&l, 1500);
	assert_true(l.n_heard >= 2);
	said = l.n_heard;
	for (size_t n = 0; n < LAN_SIZE; n += 31)
		node_lan_receive(l.n[B], &l.at[A], span_of(l.heard, n), l.now);
	later = l.now;
	later.wall_ms += UINT64_C(86400000);
	node_lan_receive(l.n[B], &l.at[A], span_of(l.heard, LAN_SIZE), later);
	run(&l, 50);
	assert_int_equal(l.n_heard, said);
	assert_int_equal(l.n_sent, 0);
	end(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(two_who_never_met_meet_without_a_dht),
		cmocka_unit_test(without_beacons_they_do_not),
		cmocka_unit_test(nobody_is_awaited_and_nothing_is_said),
		cmocka_unit_test(a_replayed_beacon_moves_us_three_times_a_slot),
		cmocka_unit_test(a_beacon_cut_or_of_another_day_is_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
