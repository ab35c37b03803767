/* The virtual network and the agenda themselves, with fake participants. */
#include "tests/sim/net.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { PACKETS = 20000 };

static struct endpoint
address(uint8_t i)
{
	uint8_t a[4] = { 20, i, 0, 1 };

	return endpoint_v4(a, 6881);
}

static void
two_hosts(struct net *net, uint64_t seed)
{
	struct endpoint a = address(1);
	struct endpoint b = address(2);

	net_init(net, seed, 20, 20);
	assert_int_equal(net_host_add(net, &a, NULL), 0);
	assert_int_equal(net_host_add(net, &b, NULL), 1);
}

static void
send_number(struct net *net, uint32_t from, uint8_t to, uint32_t number)
{
	struct endpoint dest = address(to);

	(void)net_send(net, from, &dest, span_of(&number, sizeof(number)), 0);
}

static void
the_queue_gives_equals_in_the_order_they_came(void **state)
{
	static uint32_t things[1000];
	struct queue q = { 0 };
	uint64_t last_ms = 0;
	uint32_t last = 0;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		things[i] = i;
		queue_push(&q, i * 7919 % 10, &things[i]);
	}
	for (uint32_t i = 0; i < 1000; i++) {
		uint64_t at_ms = queue_next_ms(&q);
		uint32_t thing = *(uint32_t *)queue_pop(&q);

		assert_true(i == 0 || at_ms > last_ms || thing > last);
		last_ms = at_ms;
		last = thing;
	}
	assert_null(queue_pop(&q));
	assert_true(queue_next_ms(&q) == NEVER);
	queue_clear(&q);
}

static void
on_a_fine_day_all_arrives_in_order_after_the_latency(void **state)
{
	static struct net net;
	struct net_packet *p;

	(void)state;
	two_hosts(&net, 1);
	for (uint32_t i = 0; i < 100; i++)
		send_number(&net, 0, 2, i);
	assert_true(net_next_ms(&net) == 20);
	assert_null(net_next(&net, 19));
	for (uint32_t i = 0; i < 100; i++) {
		p = net_next(&net, 20);
		assert_non_null(p);
		assert_int_equal(p->to, 1);
		assert_int_equal(p->from, 0);
		assert_true(p->intact);
		assert_memory_equal(p->b, &i, sizeof(i));
		net_release(&net, p);
	}
	assert_null(net_next(&net, 1000));
	net_clear(&net);
}

static void
weather_takes_its_share(void **state)
{
	static struct net net;
	uint32_t n = 0;
	uint32_t damaged = 0;
	struct net_packet *p;

	(void)state;
	two_hosts(&net, 2);
	net.weather = (struct net_weather){
		.loss = 300, .duplicate = 100, .corrupt = 50
	};
	for (uint32_t i = 0; i < PACKETS; i++)
		send_number(&net, 0, 2, i);
	while ((p = net_next(&net, 10000))) {
		n++;
		damaged += !p->intact;
		net_release(&net, p);
	}
	assert_in_range(n, PACKETS * 74 / 100, PACKETS * 80 / 100);
	assert_in_range(damaged, PACKETS * 8 / 100, PACKETS * 13 / 100);
	assert_in_range(net.n_lost, PACKETS * 28 / 100, PACKETS * 32 / 100);
	net_clear(&net);
}

static void
late_ones_overtake_and_none_is_early(void **state)
{
	static struct net net;
	struct net_packet *p;
	uint32_t expected = 0;
	uint32_t swaps = 0;

	(void)state;
	two_hosts(&net, 3);
	net.weather.reorder = 200;
	for (uint32_t i = 0; i < 1000; i++)
		send_number(&net, 0, 2, i);
	assert_true(net_next_ms(&net) >= 20);
	while ((p = net_next(&net, 200))) {
		uint32_t number;

		memcpy(&number, p->b, sizeof(number));
		swaps += number != expected++;
		net_release(&net, p);
	}
	assert_int_equal(expected, 1000);
	assert_true(swaps > 100);
	net_clear(&net);
}

static uint32_t
arrivals(struct net *net)
{
	struct net_packet *p;
	uint32_t n = 0;

	while ((p = net_next(net, 100000))) {
		n += p->to != NET_NOBODY;
		net_release(net, p);
	}
	return n;
}

static void
a_cut_may_be_one_way_and_heals(void **state)
{
	static struct net net;

	(void)state;
	two_hosts(&net, 4);
	net_cut_one_way(&net, 0, 1);
	send_number(&net, 0, 2, 1);
	assert_int_equal(arrivals(&net), 0);
	send_number(&net, 1, 1, 1);
	assert_int_equal(arrivals(&net), 1);
	net_cut(&net, 0, 1);
	send_number(&net, 1, 1, 1);
	assert_int_equal(arrivals(&net), 0);
	net_heal(&net);
	send_number(&net, 0, 2, 1);
	assert_int_equal(arrivals(&net), 1);
	net_clear(&net);
}

static void
who_moves_is_missed_at_the_old_address(void **state)
{
	static struct net net;
	struct endpoint to = address(9);

	(void)state;
	two_hosts(&net, 5);
	send_number(&net, 0, 2, 1);
	net_move(&net, 1, &to);
	assert_int_equal(arrivals(&net), 0);
	send_number(&net, 0, 2, 1);
	assert_int_equal(arrivals(&net), 0);
	send_number(&net, 0, 9, 1);
	assert_int_equal(arrivals(&net), 1);
	net_clear(&net);
}

static void
large_ones_vanish_where_the_path_is_narrow(void **state)
{
	static struct net net;
	static const uint8_t big[1300];
	struct endpoint to = address(2);

	(void)state;
	two_hosts(&net, 6);
	net.weather.datagram_max = 1252;
	(void)net_send(&net, 0, &to, span_of(big, 1253), 0);
	assert_int_equal(arrivals(&net), 0);
	(void)net_send(&net, 0, &to, span_of(big, 1252), 0);
	assert_int_equal(arrivals(&net), 1);
	net_clear(&net);
}

static void
a_router_lets_in_who_was_asked(void **state)
{
	static struct net net;

	(void)state;
	two_hosts(&net, 7);
	net.hosts[1].filter_ms = 30000;
	send_number(&net, 0, 2, 1);
	assert_int_equal(arrivals(&net), 0);
	send_number(&net, 1, 1, 1);
	send_number(&net, 0, 2, 1);
	while (net_next_ms(&net) != NEVER) {
		struct net_packet *p = net_next(&net, 20);

		assert_non_null(p);
		assert_true(p->to != NET_NOBODY);
		net_release(&net, p);
	}
	send_number(&net, 0, 2, 1);
	assert_int_equal(arrivals(&net), 0); /* much later */
	net_clear(&net);
}

/* A fake participant: answers each number with the next one. */
static uint64_t
talk(uint64_t seed)
{
	static struct net net;
	struct net_packet *p;
	uint64_t sum = 0;

	two_hosts(&net, seed);
	net.weather = (struct net_weather){
		.loss = 10, .duplicate = 30, .reorder = 100, .jitter_ms = 30
	};
	send_number(&net, 0, 2, 1);
	while ((p = net_next(&net, 60000))) {
		struct endpoint back = p->source;
		uint32_t number;

		memcpy(&number, p->b, sizeof(number));
		sum = sum * 31 + number + net_next_ms(&net);
		number++;
		if (number < 200)
			(void)net_send(&net, p->to, &back,
			    span_of(&number, sizeof(number)), number * 25);
		net_release(&net, p);
	}
	net_clear(&net);
	return sum;
}

static void
the_same_seed_gives_the_same_world(void **state)
{
	(void)state;
	assert_true(talk(7) == talk(7));
	assert_true(talk(7) != talk(8));
}

static void
dice_depend_on_all_three_names(void **state)
{
	static struct dice a, b;

	(void)state;
	dice_init(&a, 1, 2, 3);
	dice_init(&b, 1, 2, 3);
	assert_true(dice_u64(&a) == dice_u64(&b));
	dice_init(&b, 1, 2, 4);
	assert_true(dice_u64(&a) != dice_u64(&b));
	for (uint32_t i = 0; i < 1000; i++)
		assert_in_range(dice_range(&a, 5, 9), 5, 9);
	assert_false(dice_chance(&a, 0));
	assert_true(dice_chance(&a, 1000));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_queue_gives_equals_in_the_order_they_came),
		cmocka_unit_test(
		    on_a_fine_day_all_arrives_in_order_after_the_latency),
		cmocka_unit_test(weather_takes_its_share),
		cmocka_unit_test(late_ones_overtake_and_none_is_early),
		cmocka_unit_test(a_cut_may_be_one_way_and_heals),
		cmocka_unit_test(who_moves_is_missed_at_the_old_address),
		cmocka_unit_test(large_ones_vanish_where_the_path_is_narrow),
		cmocka_unit_test(a_router_lets_in_who_was_asked),
		cmocka_unit_test(the_same_seed_gives_the_same_world),
		cmocka_unit_test(dice_depend_on_all_three_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
