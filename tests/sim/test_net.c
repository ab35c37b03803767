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
a_line_that_holds_back_lets_all_out_at_its_end(void **state)
{
	static struct net net;

	(void)state;
	two_hosts(&net, 4);
	net.hosts[1].held_until_ms = 5000;
	send_number(&net, 0, 2, 1);
	send_number(&net, 1, 1, 1);
	assert_true(net_next_ms(&net) == 5020);
	assert_int_equal(arrivals(&net), 2);
	net_heal(&net);
	send_number(&net, 0, 2, 1);
	assert_true(net_next_ms(&net) == 20);
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

/* ---- routers: the host's port is 6881, peers are address(i):port ---- */

enum { INSIDE = 6881 };

static struct endpoint
peer(uint8_t i, uint32_t port)
{
	struct endpoint e = address(i);

	e.port = (uint16_t)port;
	return e;
}

static void
router(struct router *n, const struct router_config *cfg)
{
	router_clear(n);
	router_init(n, cfg, 1, 0);
}

/* The port that a datagram to peer i comes from. */
static uint16_t
out(struct router *n, uint8_t i, uint32_t port, uint64_t now_ms)
{
	struct endpoint to = peer(i, port);
	uint16_t ret = 0;

	assert_true(router_out(n, INSIDE, &to, now_ms, &ret));
	return ret;
}

static bool
in(struct router *n, uint8_t i, uint32_t port, uint32_t to, uint64_t now_ms)
{
	struct endpoint from = peer(i, port);
	uint16_t at = 0;

	if (!router_in(n, &from, (uint16_t)to, now_ms, &at))
		return false;
	assert_int_equal(at, INSIDE);
	return true;
}

static void
mapping_and_filter_depend_on_what_they_should(void **state)
{
	static struct router n;

	(void)state;
	for (int m = 0; m < 3; m++) {
		for (int f = 0; f < 3; f++) {
			const struct router_config cfg = {
				.mapping = (enum router_depends)m,
				.filtering = (enum router_depends)f,
				.ports = PORTS_SEQUENTIAL,
			};
			uint16_t at;

			router(&n, &cfg);
			assert_false(in(&n, 1, 10, INSIDE, 0));
			at = out(&n, 1, 10, 0);
			assert_true(in(&n, 1, 10, at, 0));
			assert_true(
			    in(&n, 1, 11, at, 0) == (f != DEPENDS_PORT));
			assert_true(in(&n, 2, 10, at, 0) == (f == DEPENDS_NOT));
			assert_false(in(&n, 1, 10, at + 7U, 0));
			assert_int_equal(out(&n, 1, 10, 0), at);
			assert_true(
			    (out(&n, 1, 11, 0) == at) == (m != DEPENDS_PORT));
			assert_true(
			    (out(&n, 2, 10, 0) == at) == (m == DEPENDS_NOT));
		}
	}
}

static void
ports_are_given_out_as_the_kind_says(void **state)
{
	static struct router n;
	struct router_config cfg = { .mapping = DEPENDS_PORT };
	struct endpoint to = peer(1, 99);
	uint16_t last;

	(void)state;
	router(&n, &cfg);
	assert_int_equal(out(&n, 1, 10, 0), INSIDE);
	assert_int_equal(out(&n, 1, 11, 0), INSIDE + 1);
	cfg = (struct router_config){ .mapping = DEPENDS_PORT,
		.ports = PORTS_SEQUENTIAL,
		.step = 2,
		.lo = 4000,
		.hi = 4099 };
	router(&n, &cfg);
	last = out(&n, 1, 10, 0);
	for (uint32_t i = 1; i < 50; i++) {
		uint16_t at = out(&n, 1, 10 + i, 0);

		assert_int_equal(at, 4000 + (last - 4000 + 2) % 100);
		last = at;
	}
	cfg.ports = PORTS_RANDOM;
	cfg.hi = 4015;
	router(&n, &cfg);
	for (uint32_t i = 0; i < 16; i++)
		assert_in_range(out(&n, 1, 10 + i, 0), 4000, 4015);
	assert_false(
	    router_out(&n, INSIDE, &to, 0, &last)); /* the block is full */
	assert_true(router_out(&n, INSIDE, &to, 30001, &last));
	router_clear(&n);
}

/* [RFC 4787 §4.3], and Linux, which gives 30 s to what did not go on. */
static void
flows_end_after_their_time(void **state)
{
	static struct router n;
	const struct router_config cfg = { .filtering = DEPENDS_PORT };

	(void)state;
	router(&n, &cfg);
	(void)out(&n, 1, 10, 0);
	assert_true(in(&n, 1, 10, INSIDE, 30000)); /* answered, and goes on */
	assert_true(in(&n, 1, 10, INSIDE, 150000));
	assert_false(in(&n, 1, 10, INSIDE, 270001));
	(void)out(&n, 1, 10, 300000);
	assert_true(in(&n, 1, 10, INSIDE, 300100)); /* at once, no more */
	assert_false(in(&n, 1, 10, INSIDE, 330101));
	(void)out(&n, 1, 10, 400000);
	(void)out(&n, 1, 10, 420000); /* we alone */
	assert_true(in(&n, 1, 10, INSIDE, 450000));
	router_clear(&n);
}

/* Who comes before we have opened takes our port away, at some gateways. */
static void
a_gateway_that_takes_the_unasked_gives_another_port(void **state)
{
	static struct router n;
	const struct router_config cfg = { .filtering = DEPENDS_PORT,
		.takes_unasked = true };

	(void)state;
	router(&n, &cfg);
	assert_int_equal(out(&n, 1, 10, 0), INSIDE);
	assert_false(in(&n, 2, 10, INSIDE, 0));
	assert_true(out(&n, 2, 10, 10) != INSIDE);
	assert_false(in(&n, 2, 10, INSIDE, 20));
	assert_int_equal(out(&n, 2, 11, 20), INSIDE); /* another flow */
	assert_int_equal(out(&n, 3, 10, 20), INSIDE); /* we were first */
	assert_true(in(&n, 3, 10, INSIDE, 30));
	assert_int_equal(out(&n, 2, 10, 40000), INSIDE); /* it was given up */
	router_clear(&n);
}

static void
ipv6_is_filtered_and_not_translated(void **state)
{
	static struct router n;
	const struct router_config cfg = { .mapping = DEPENDS_PORT,
		.filtering = DEPENDS_PORT,
		.ports = PORTS_RANDOM };
	struct endpoint a = { .addr = { 0x2a, 2 }, .port = 1 };
	struct endpoint b = { .addr = { 0x2a, 3 }, .port = 1 };
	uint16_t port;

	(void)state;
	router(&n, &cfg);
	for (uint64_t i = 0; i < 3; i++) {
		assert_true(router_out(&n, INSIDE, &a, i, &port));
		assert_int_equal(port, INSIDE);
	}
	assert_true(router_in(&n, &a, INSIDE, 3, &port));
	assert_false(router_in(&n, &b, INSIDE, 3, &port));
	router_clear(&n);
}

static void
a_low_ttl_opens_the_own_router_and_ends_there(void **state)
{
	static struct net net;
	const struct router_config cfg = { .filtering = DEPENDS_PORT,
		.hops = 3 };
	struct net_way way = { .to = address(2), .ttl = 3 };
	struct span x = span_str("x");

	(void)state;
	two_hosts(&net, 7);
	net_router(&net, 0, &cfg);
	(void)net_send_way(&net, 0, &way, x, 0);
	assert_int_equal(arrivals(&net), 0);
	send_number(&net, 1, 1, 1);
	assert_int_equal(arrivals(&net), 0);
	way.ttl = 4;
	(void)net_send_way(&net, 0, &way, x, 0);
	assert_int_equal(arrivals(&net), 0); /* but it opened */
	send_number(&net, 1, 1, 1);
	net_release(&net, net_next(&net, 20));
	way.ttl = NET_HOPS_MAX + 4;
	(void)net_send_way(&net, 0, &way, x, 0);
	assert_int_equal(arrivals(&net), 1);
	net_clear(&net);
}

/* Each socket has a mapping of its own, and is reached through it. */
static void
sockets_are_told_apart(void **state)
{
	static struct net net;
	struct router_config cfg = { .filtering = DEPENDS_PORT };
	struct net_way way = { .to = address(2) };
	struct endpoint back[3];
	struct net_packet *p;

	(void)state;
	for (int hidden = 0; hidden < 2; hidden++) {
		two_hosts(&net, 9);
		net_router(&net, 0, hidden ? &cfg : NULL);
		net_socket_open(&net, 0, 1);
		net_socket_open(&net, 0, NET_SOCKETS_MAX);
		for (unsigned i = 0; i < 3; i++) {
			way.socket = i == 2 ? NET_SOCKETS_MAX : i;
			(void)net_send_way(&net, 0, &way, span_str("x"), 0);
			p = net_next(&net, 20);
			back[i] = p->source;
			net_release(&net, p);
			assert_int_equal(net_find(&net, &back[i]), 0);
		}
		assert_true(back[0].port != back[1].port &&
		            back[1].port != back[2].port);
		for (unsigned i = 0; i < 3; i++) {
			(void)net_send(&net, 1, &back[i], span_str("y"), 20);
			p = net_next(&net, 40);
			assert_int_equal(p->to, 0);
			assert_int_equal(
			    p->socket, i == 2 ? NET_SOCKETS_MAX : i);
			net_release(&net, p);
		}
		net_socket_close(&net, 0, 1);
		(void)net_send(&net, 1, &back[1], span_str("y"), 20);
		assert_int_equal(arrivals(&net), 0);
		net_clear(&net);
	}
}

/* Sends both ways at now_ms, host 0 first. True: host 0 was answered where
 * its datagram came from. */
static bool
is_answered(struct net *net, uint64_t now_ms)
{
	struct endpoint to = address(2);
	struct span x = span_str("x");
	struct net_packet *p;
	struct endpoint back;
	bool ret;

	(void)net_send(net, 0, &to, x, now_ms);
	p = net_next(net, now_ms + 20);
	assert_non_null(p);
	assert_int_equal(p->to, 1);
	back = p->source;
	assert_int_equal(net_find(net, &back), 0);
	net_release(net, p);
	(void)net_send(net, 1, &back, x, now_ms + 20);
	p = net_next(net, now_ms + 40);
	assert_non_null(p);
	ret = p->to == 0;
	net_release(net, p);
	return ret;
}

static void
a_router_that_is_bound_anew_is_missed(void **state)
{
	static struct net net;
	const struct router_config cfg = { .filtering = DEPENDS_PORT };
	struct endpoint self = address(1);
	struct endpoint to = address(3);

	(void)state;
	two_hosts(&net, 8);
	net_router(&net, 0, &cfg);
	assert_false(endpoint_eq(&net.hosts[0].inside[FAMILY_V4], &self));
	assert_true(is_answered(&net, 0));
	send_number(&net, 1, 1, 1);
	net_rebind(&net, 0);
	assert_int_equal(arrivals(&net), 0);
	assert_true(is_answered(&net, 200000));
	to.port = self.port;
	assert_true(net_outside(&net, 0, FAMILY_V4).port != self.port);
	net_move(&net, 0, &to); /* into another network of the same kind */
	assert_true(is_answered(&net, 300000));
	to = net_outside(&net, 0, FAMILY_V4);
	self = peer(3, self.port);
	assert_true(endpoint_eq(&to, &self));
	(void)net_send(&net, 0, &to, span_str("x"), 300000);
	assert_int_equal(arrivals(&net), 0); /* no hairpin */
	net_router(&net, 0, NULL);
	send_number(&net, 1, 3, 1);
	assert_int_equal(arrivals(&net), 1);
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
		cmocka_unit_test(
		    a_line_that_holds_back_lets_all_out_at_its_end),
		cmocka_unit_test(who_moves_is_missed_at_the_old_address),
		cmocka_unit_test(large_ones_vanish_where_the_path_is_narrow),
		cmocka_unit_test(mapping_and_filter_depend_on_what_they_should),
		cmocka_unit_test(ports_are_given_out_as_the_kind_says),
		cmocka_unit_test(flows_end_after_their_time),
		cmocka_unit_test(
		    a_gateway_that_takes_the_unasked_gives_another_port),
		cmocka_unit_test(ipv6_is_filtered_and_not_translated),
		cmocka_unit_test(a_low_ttl_opens_the_own_router_and_ends_there),
		cmocka_unit_test(sockets_are_told_apart),
		cmocka_unit_test(a_router_that_is_bound_anew_is_missed),
		cmocka_unit_test(the_same_seed_gives_the_same_world),
		cmocka_unit_test(dice_depend_on_all_three_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
