/* What samples mean: each kind of NAT, liars, changes, age. */
#include "proto/nat/class.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { T = 1000000 };

static struct endpoint
v4(uint8_t a, uint8_t b, uint16_t port)
{
	return endpoint_v4((uint8_t[4]){ a, b, 0, 1 }, port);
}

/* Answerer k of the world, one in each /16. */
static struct endpoint
other(unsigned k)
{
	return v4(80, (uint8_t)k, 6881);
}

/* Port 0 ends the list; one sample a second, each from another /16. Above
 * 100000: on our second address. */
static struct nat
seen_as(const uint32_t *port)
{
	struct nat t;

	nat_init(&t);
	for (unsigned k = 0; port[k] != 0; k++) {
		struct endpoint from = other(k);
		struct endpoint us = v4(port[k] > 100000 ? 21 : 20, 7,
		    (uint16_t)(port[k] % 100000));

		nat_sample_add(&t, &from, &us, T + k * 1000);
	}
	return t;
}

static struct nat_view
look(const struct nat *t)
{
	struct nat_view v;

	nat_look(t, T + 20000, &v);
	return v;
}

static void
each_kind_is_told_from_its_ports(void **state)
{
	static const struct {
		uint32_t port[NAT_SAMPLES_MAX + 1];
		enum nat_class kind;
		uint16_t lo, hi;
		int16_t step;
	} all[] = {
		{ { 0 }, NAT_UNKNOWN, 0, 0, 0 },
		{ { 9, 9, 9, 0 }, NAT_UNKNOWN, 0, 0, 0 },
		{ { 9, 9, 9, 9, 0 }, NAT_EASY, 0, 0, 0 },
		/* A liar, at any place. */
		{ { 5, 9, 9, 9, 0 }, NAT_EASY, 0, 0, 0 },
		{ { 9, 9, 9, 5, 0 }, NAT_EASY, 0, 0, 0 },
		{ { 9, 100005, 9, 9, 0 }, NAT_EASY, 0, 0, 0 },
		{ { 9, 5, 9, 9, 7, 9, 9, 9, 0 }, NAT_EASY, 0, 0, 0 },
		/* A new mapping: the newest few decide. */
		{ { 9, 9, 9, 9, 9, 9, 9, 5, 5, 5, 0 }, NAT_EASY, 0, 0, 0 },
		/* Two addresses, a port on each. */
		{ { 9, 100007, 9, 100007, 0 }, NAT_EASY, 0, 0, 0 },
		{ { 9, 7, 9, 7, 0 }, NAT_BLOCK, 7, 9, 0 },
		/* In a row, with gaps of our other flows. */
		{ { 4000, 4001, 4002, 4003, 0 }, NAT_SEQUENTIAL, 4003, 4003,
		    1 },
		{ { 4000, 4006, 4008, 4018, 0 }, NAT_SEQUENTIAL, 4018, 4018,
		    2 },
		{ { 9000, 8999, 8995, 8994, 0 }, NAT_SEQUENTIAL, 8994, 8994,
		    -1 },
		{ { 4000, 4001, 60000, 4002, 4005, 4009, 0 }, NAT_SEQUENTIAL,
		    4009, 4009, 1 },
		{ { 4000, 4001, 100700, 4002, 4005, 4009, 0 }, NAT_SEQUENTIAL,
		    4009, 4009, 1 },
		/* Answers come in another order than mappings are made. */
		{ { 4003, 4001, 4006, 4002, 4008, 4005, 0 }, NAT_SEQUENTIAL,
		    4008, 4008, 1 },
		{ { 4003, 60000, 4001, 4007, 4005, 4011, 0 }, NAT_SEQUENTIAL,
		    4011, 4011, 2 },
		{ { 4008, 4006, 4007, 4003, 4004, 4001, 0 }, NAT_SEQUENTIAL,
		    4001, 4001, -1 },
		/* What was long ago does not hide it. */
		{ { 500, 700, 100, 4000, 4001, 4003, 4004, 4009, 4011, 0 },
		    NAT_SEQUENTIAL, 4011, 4011, 1 },
		/* A block is near, in no order. */
		{ { 4900, 4100, 4700, 4300, 0 }, NAT_BLOCK, 4100, 4900, 0 },
		{ { 4900, 4100, 60000, 4300, 0 }, NAT_BLOCK, 4100, 4900, 0 },
		{ { 4900, 4100, 9000, 4300, 700, 0 }, NAT_RANDOM, 0, 0, 0 },
		{ { 1024, 3071, 2000, 1500, 0 }, NAT_BLOCK, 1024, 3071, 0 },
		{ { 1024, 3072, 1500, 60000, 0 }, NAT_RANDOM, 0, 0, 0 },
		/* Two addresses and no port that stays. */
		{ { 9, 100007, 8, 100005, 0 }, NAT_RANDOM, 0, 0, 0 },
		{ { 1, 65535, 30000, 50000, 0 }, NAT_RANDOM, 0, 0, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		struct nat t = seen_as(all[i].port);
		struct nat_view v = look(&t);

		if (v.kind != all[i].kind || v.lo != all[i].lo ||
		    v.hi != all[i].hi || v.step != all[i].step)
			fail_msg("row %zu: kind %d, %u..%u, step %d", i,
			    (int)v.kind, v.lo, v.hi, v.step);
	}
}

static void
an_easy_one_tells_where_it_is(void **state)
{
	struct nat t = seen_as((const uint32_t[]){ 5, 9, 9, 9, 0 });
	struct endpoint a = v4(20, 7, 9);
	struct endpoint b = v4(21, 7, 7);
	struct nat_view v = look(&t);

	(void)state;
	assert_int_equal(v.n_seen, 1);
	assert_true(endpoint_eq(&v.seen[0], &a));
	t = seen_as((const uint32_t[]){ 100007, 9, 100007, 9, 0 });
	v = look(&t);
	assert_int_equal(v.n_seen, 2);
	assert_true(endpoint_eq(&v.seen[0], &a));
	assert_true(endpoint_eq(&v.seen[1], &b));
}

/* Whose voices count: a whole /16 has one, and who is not in the world, or
 * sees us where nobody is, has none. */
static void
a_crowd_of_one_network_has_one_voice(void **state)
{
	struct nat t;
	struct endpoint truth = v4(20, 7, 9);
	struct endpoint lie = v4(20, 7, 5);
	struct endpoint from;

	(void)state;
	nat_init(&t);
	for (unsigned k = 0; k < 200; k++) {
		from = endpoint_v4((uint8_t[4]){ 66, 6, (uint8_t)k, 1 }, 1);
		nat_sample_add(&t, &from, &lie, T);
	}
	assert_int_equal(nat_n_samples(&t, T), 1);
	for (unsigned k = 0; k < 3; k++) {
		from = other(k);
		nat_sample_add(&t, &from, &truth, T);
	}
	assert_int_equal(look(&t).kind, NAT_EASY);
	from = endpoint_v4((uint8_t[4]){ 192, 168, 1, 1 }, 1);
	nat_sample_add(&t, &from, &lie, T);
	from = other(9);
	lie = endpoint_v4((uint8_t[4]){ 10, 0, 0, 1 }, 9);
	nat_sample_add(&t, &from, &lie, T);
	lie = v4(20, 7, 0);
	nat_sample_add(&t, &from, &lie, T);
	memset(lie.addr, 0x20, sizeof(lie.addr));
	nat_sample_add(&t, &from, &lie, T);
	assert_int_equal(nat_n_samples(&t, T), 4);
}

static void
ipv6_counts_by_its_32_bits(void **state)
{
	struct nat t;
	struct endpoint us = { .addr = { 0x20, 1, 7 }, .port = 9 };
	struct endpoint from = { .addr = { 0x20, 1 }, .port = 1 };

	(void)state;
	nat_init(&t);
	for (uint8_t k = 0; k < 8; k++) {
		from.addr[3] = k / 2;
		from.addr[4] = k;
		nat_sample_add(&t, &from, &us, T);
	}
	assert_int_equal(nat_n_samples(&t, T), 4);
	assert_int_equal(look(&t).kind, NAT_EASY);
}

/* A mapping that lives on is as old as it is: the order is that of the making,
 * not that of the asking. */
static void
asking_again_does_not_change_the_order(void **state)
{
	static const uint32_t ports[] = { 4000, 4001, 4002, 4003, 0 };
	struct nat t = seen_as(ports);
	struct endpoint from = other(0);
	struct endpoint us = v4(20, 7, 4000);

	(void)state;
	nat_sample_add(&t, &from, &us, T + 15000);
	assert_int_equal(look(&t).kind, NAT_SEQUENTIAL);
	assert_int_equal(look(&t).lo, 4003);
	us.port = 4007; /* made anew */
	nat_sample_add(&t, &from, &us, T + 16000);
	assert_int_equal(look(&t).lo, 4007);
}

/* Each of our own flows since takes a port, also if it is to one who rested;
 * liars, and what is not in the world, do not. */
static void
the_last_port_counts_what_we_took_ourselves(void **state)
{
	struct nat t;
	uint64_t now = T;
	uint16_t port = 4000;
	struct endpoint e;
	struct endpoint us;
	struct nat_view v;

	(void)state;
	nat_init(&t);
	for (unsigned k = 0; k < 6; k++) {
		e = other(k);
		nat_sent(&t, &e, 0, now);
		port = (uint16_t)(port + 2);
		us = v4(20, 7, k == 3 ? 7 : port); /* a liar */
		nat_sample_add(&t, &e, &us, now);
	}
	nat_look(&t, now, &v);
	assert_int_equal(v.kind, NAT_SEQUENTIAL);
	assert_int_equal(v.step, 2);
	assert_int_equal(v.lo, port);
	for (unsigned k = 0; k < 10; k++) {
		e = other(100 + k);
		nat_sent(&t, &e, 0, now);
		nat_sent(&t, &e, 0, now + 1000); /* the same flow */
		nat_sent(&t, &e, 1, now);        /* another socket */
		e = endpoint_v4((const uint8_t[4]){ 192, 168, 1, 1 }, 1);
		nat_sent(&t, &e, 0, now); /* passes no router */
	}
	nat_look(&t, now, &v);
	assert_int_equal(v.lo, port + 2 * 20);
	now += NAT_FLOW_S * 1000;
	e = other(100);
	nat_sent(&t, &e, 0, now);
	nat_look(&t, now, &v);
	assert_int_equal(v.lo, port + 2 * 20); /* it rested not long enough */
	e = other(101);
	nat_sent(&t, &e, 0, now + 2000);
	nat_look(&t, now, &v);
	assert_int_equal(v.lo, port + 2 * 21);
	/* Its own port is the last one; of who was never spoken to, none is. */
	nat_view_for(&t, &e, now + 2000, &v);
	assert_int_equal(v.hi, port + 2 * 21);
	assert_int_equal(v.lo, port + 2 * 20);
	v.lo = v.hi;
	e = other(200);
	nat_view_for(&t, &e, now + 2000, &v);
	assert_int_equal(v.lo, v.hi);
	e = other(102); /* long ago: the router may have another for it */
	nat_view_for(&t, &e, now + 2000, &v);
	assert_int_equal(v.lo, v.hi);
}

static void
samples_grow_old(void **state)
{
	static const uint32_t ports[] = { 9, 9, 9, 9, 0 };
	struct nat t = seen_as(ports);
	struct nat_view v;

	(void)state;
	nat_look(&t, T + NAT_SAMPLE_MS - 1, &v);
	assert_int_equal(v.kind, NAT_EASY);
	nat_look(&t, T + NAT_SAMPLE_MS, &v); /* the first is too old */
	assert_int_equal(v.kind, NAT_UNKNOWN);
	nat_moved(&t);
	assert_int_equal(nat_n_samples(&t, T), 0);
}

static void
who_is_visited_unasked_is_open(void **state)
{
	static const uint32_t easy[] = { 9, 9, 9, 9, 0 };
	static const uint32_t hard[] = { 900, 30000, 9000, 19000, 0 };
	struct nat t = seen_as(easy);
	struct nat_view v;

	(void)state;
	nat_unasked(&t, T + 10000);
	assert_int_equal(look(&t).kind, NAT_OPEN);
	for (unsigned k = 0; k < 4; k++) { /* we moved behind another one */
		struct endpoint from = other(k);
		struct endpoint us = v4(22, 9, 9);

		nat_sample_add(&t, &from, &us, T + 11000);
	}
	assert_int_equal(look(&t).kind, NAT_EASY);
	t = seen_as(easy);
	nat_unasked(&t, T + 10000);
	nat_look(&t, T + NAT_OPEN_MS + 10000, &v);
	assert_int_equal(v.kind, NAT_UNKNOWN);
	/* A hard one that lets in: nobody knows at which port. */
	t = seen_as(hard);
	nat_unasked(&t, T + 10000);
	assert_int_equal(look(&t).kind, NAT_RANDOM);
	nat_init(&t); /* before the first sample */
	nat_unasked(&t, T);
	assert_int_equal(look(&t).kind, NAT_UNKNOWN);
}

/* Whatever comes, in any order: bounds hold, and what is told was seen. */
static void
any_samples_leave_it_sane(void **state)
{
	uint64_t seed = test_seed(1);
	struct test_rng r;
	struct nat t;
	uint64_t now = T;

	(void)state;
	test_rng_init(&r, seed);
	nat_init(&t);
	for (unsigned i = 0; i < test_rounds(100000); i++) {
		uint32_t like = rng_below(&r.rng, 4);
		struct endpoint from = v4((uint8_t)rng_below(&r.rng, 256),
		    (uint8_t)rng_below(&r.rng, 256), 1);
		struct endpoint us = v4(20, like == 3,
		    (uint16_t)(like ? 4000 + rng_below(&r.rng, 300 * like)
		                    : rng_below(&r.rng, 65536)));
		struct nat_view v;

		now +=
		    rng_below(&r.rng, rng_below(&r.rng, 20) ? 1000 : 1000000);
		nat_sent(&t, &from, rng_below(&r.rng, 3), now);
		nat_sample_add(&t, &from, &us, now);
		if (rng_below(&r.rng, 50) == 0)
			nat_unasked(&t, now);
		assert_true(t.n <= NAT_SAMPLES_MAX);
		for (size_t k = 1; k < t.n; k++)
			assert_true(
			    t.sample[k - 1].since_ms <= t.sample[k].since_ms);
		nat_look(&t, now, &v);
		assert_true((v.kind == NAT_UNKNOWN) == (v.n_seen == 0));
		assert_true(v.lo <= v.hi);
		assert_true((v.step != 0) == (v.kind == NAT_SEQUENTIAL));
		assert_true((v.lo != 0) ==
		            (v.kind == NAT_SEQUENTIAL || v.kind == NAT_BLOCK));
	}
}

static void
votes_are_counted_by_place(void **state)
{
	static const uint32_t port[] = { 5, 9, 100009, 9, 5, 9, 0 };
	struct nat_votes v[NAT_SAMPLES_MAX];
	struct nat t = seen_as(port);
	struct endpoint most = v4(20, 7, 9);

	(void)state;
	assert_int_equal(nat_count(&t, T + 20000, v), 3);
	assert_true(endpoint_eq(&v[0].seen, &most));
	assert_int_equal(v[0].n, 3);
	assert_int_equal(v[1].n, 2);
	assert_int_equal(v[2].n, 1);
	assert_int_equal(nat_count(&t, T + 20000 + NAT_SAMPLE_MS, v), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_kind_is_told_from_its_ports),
		cmocka_unit_test(an_easy_one_tells_where_it_is),
		cmocka_unit_test(a_crowd_of_one_network_has_one_voice),
		cmocka_unit_test(ipv6_counts_by_its_32_bits),
		cmocka_unit_test(asking_again_does_not_change_the_order),
		cmocka_unit_test(the_last_port_counts_what_we_took_ourselves),
		cmocka_unit_test(samples_grow_old),
		cmocka_unit_test(who_is_visited_unasked_is_open),
		cmocka_unit_test(votes_are_counted_by_place),
		cmocka_unit_test(any_samples_leave_it_sane),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
