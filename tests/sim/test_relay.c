/*
 * Two people whom no direct path can join, and a contact of both who relays:
 * first words by whoever is quickest, the session then by him, if all three
 * want it; and on without him when he goes. SIM_TRACE=1 prints what happens,
 * BTCHAT_SEED chooses a world.
 */
#include "tests/sim/again.h"
#include "tests/sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
	CROWD = 8,
	RELAY = 2, /* of the people; 0 and 1 talk */
	ONE_WAY_MS = 20,
	PEOPLE_MS = 330000, /* the crowd is older than routers remember */
	SETTLED_MS = 400000,
	PATIENCE_MS = 120000,
	RELAY_MS = 60 * 60 * 1000, /* till he is met, by direct paths */
	AWAY_MS = 5 * 60 * 1000,
	HOLD_MS = 10 * 60 * 1000,
};

/* Every port is another, and nobody gets in unasked. */
static const struct router_config hard = { .mapping = DEPENDS_PORT,
	.filtering = DEPENDS_PORT,
	.ports = PORTS_RANDOM,
	.hops = 2 };
static const struct router_config easy = { .filtering = DEPENDS_PORT,
	.hops = 2 };

static bool
info_of(
    struct sim *s, uint32_t who, uint32_t whom, struct node_contact_info *ret)
{
	struct contact_id id;
	struct id_pk pk;

	return s->nodes[who].node && s->nodes[whom].node &&
	       node_id(s->nodes[whom].node, &pk) &&
	       node_contact_find(s->nodes[who].node, &pk, &id) &&
	       node_contact_get(s->nodes[who].node, &id, ret) && ret->online;
}

static bool
runs(struct sim *s, enum node_way way)
{
	struct node_contact_info a, b;

	return info_of(s, 0, 1, &a) && info_of(s, 1, 0, &b) && a.way == way &&
	       b.way == way;
}

static bool
is_relayed(struct sim *s)
{
	return runs(s, NODE_WAY_RELAY);
}

static bool
is_introduced(struct sim *s)
{
	return runs(s, NODE_WAY_INTRODUCER);
}

/* By direct paths: hundreds of packets are needed, or even a second try. */
static bool
relay_is_there(struct sim *s)
{
	struct node_contact_info a, b;

	return info_of(s, 0, RELAY, &a) && info_of(s, 1, RELAY, &b) &&
	       a.way == NODE_WAY_DIRECT && b.way == NODE_WAY_DIRECT;
}

struct setting {
	bool relays;    /* he wants to */
	bool chosen[2]; /* by each of them */
	bool lets_in;   /* strangers reach him */
};

static void
befriend(struct sim *s, uint32_t a, uint32_t b)
{
	assert_true(sim_add(s, a, b));
	assert_true(sim_add(s, b, a));
}

static struct sim *
world(uint64_t seed, const struct setting *how)
{
	struct sim_config cfg = {
		.seed = seed,
		.n_people = 3,
		.n_crowd = CROWD,
		.policy = NODE_MIXED,
		.latency_min_ms = ONE_WAY_MS,
		.latency_max_ms = ONE_WAY_MS,
		.relays = how->relays ? 1 << RELAY : 0,
		.trace = getenv("SIM_TRACE") != NULL,
	};
	struct sim *s = sim_new(&cfg);

	again_set("BTCHAT_SEED=%llu SIM_TRACE=1", (unsigned long long)seed);
	for (uint32_t i = 0; i < CROWD; i++)
		sim_at(s, 100 * i, sim_start_event, 3 + i, 0, 0);
	net_router(&s->net, 0, &hard);
	net_router(&s->net, 1, &hard);
	if (!how->lets_in)
		net_router(&s->net, RELAY, &easy);
	for (uint32_t i = 0; i < 3; i++)
		sim_at(s, PEOPLE_MS, sim_start_event, i, 0, 0);
	sim_run(s, SETTLED_MS, NULL);
	befriend(s, 0, RELAY);
	befriend(s, 1, RELAY);
	if (!sim_run(s, s->now_ms + RELAY_MS, relay_is_there))
		fail_msg("the relay is not met\n%s", again_command());
	for (uint32_t i = 0; i < 2; i++)
		if (how->chosen[i])
			assert_true(sim_relay(s, i, RELAY, true));
	sim_run(s, s->now_ms + PATIENCE_MS, NULL);
	befriend(s, 0, 1);
	assert_true(sim_write(s, 0, 1, 40));
	if (!sim_run(s, s->now_ms + PATIENCE_MS, sim_all_delivered))
		fail_msg("no word comes\n%s", again_command());
	return s;
}

static void
end(struct sim *s)
{
	if (s->check.failed)
		fail_msg("%s\n%s", s->check.why, again_command());
	sim_free(s);
}

static void
say(struct sim *s, uint64_t within_ms)
{
	assert_true(sim_write(s, 0, 1, 200));
	assert_true(sim_write(s, 1, 0, 200));
	if (!sim_run(s, s->now_ms + within_ms, sim_all_delivered))
		fail_msg("a word is lost\n%s", again_command());
}

static uint64_t seed;

/* Whether strangers reach him or not. */
static void
a_contact_relays_for_two_who_want_it(void **state)
{
	(void)state;
	for (unsigned lets_in = 0; lets_in < 2; lets_in++) {
		struct setting how = { true, { true, true }, lets_in };
		struct sim *s = world(seed + lets_in, &how);
		struct node_contact_info info;
		struct contact_id relay;
		struct node_stats stats;
		struct id_pk pk;

		if (!sim_run(s, s->now_ms + PATIENCE_MS, is_relayed))
			fail_msg("not by the relay\n%s", again_command());
		say(s, PATIENCE_MS);
		sim_run(s, s->now_ms + HOLD_MS, NULL);
		assert_true(is_relayed(s));
		say(s, PATIENCE_MS);
		/* Who it is, and what it costs him. */
		assert_true(info_of(s, 0, 1, &info));
		relay = info.relay;
		assert_true(node_contact_get(s->nodes[0].node, &relay, &info));
		assert_true(node_id(s->nodes[RELAY].node, &pk));
		assert_memory_equal(&info.id, &pk, sizeof(pk));
		node_get_stats(s->nodes[RELAY].node, &stats);
		assert_true(stats.relays);
		assert_true(stats.introduces[FAMILY_V4].on);
		assert_true(stats.introduces[FAMILY_V4].contacts >= 1);
		assert_true(stats.introduces[FAMILY_V4].bytes_contacts > 0);
		node_get_stats(s->nodes[0].node, &stats);
		assert_true(stats.by_relay == 1 && stats.has_relay);
		end(s);
	}
}

/* Any of the three may say no. */
static void
nobody_is_relayed_who_does_not_want_it(void **state)
{
	static const struct setting settings[] = {
		{ false, { true, true }, false },
		{ true, { true, false }, false },
		{ true, { false, false }, false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
		struct sim *s = world(seed + 10 + i, &settings[i]);
		struct node_stats stats;

		sim_run(s, s->now_ms + PATIENCE_MS, NULL);
		assert_false(is_relayed(s));
		say(s, PATIENCE_MS);
		node_get_stats(s->nodes[1].node, &stats);
		assert_int_equal(stats.by_relay, 0);
		end(s);
	}
}

/* He stops, and they go on; he is back, and they are with him again. */
static void
a_relay_that_goes_is_replaced(void **state)
{
	struct setting how = { true, { true, true }, false };
	struct sim *s = world(seed + 20, &how);

	(void)state;
	if (!sim_run(s, s->now_ms + PATIENCE_MS, is_relayed))
		fail_msg("not by the relay\n%s", again_command());
	/* At once, from where they still let him in; or when nobody does. */
	for (uint64_t away_ms = 0; away_ms < 2 * AWAY_MS; away_ms += AWAY_MS) {
		sim_crash(s, RELAY);
		say(s, PATIENCE_MS);
		assert_true(is_introduced(s));
		sim_run(s, s->now_ms + away_ms, NULL);
		sim_start(s, RELAY);
		if (!sim_run(s, s->now_ms + RELAY_MS, is_relayed))
			fail_msg("not by him again\n%s", again_command());
		say(s, PATIENCE_MS);
	}
	/* One of the two has had enough of him. */
	assert_true(sim_relay(s, 0, RELAY, false));
	say(s, PATIENCE_MS);
	assert_false(is_relayed(s));
	end(s);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_contact_relays_for_two_who_want_it),
		cmocka_unit_test(nobody_is_relayed_who_does_not_want_it),
		cmocka_unit_test(a_relay_that_goes_is_replaced),
	};

	(void)argc;
	again_begin(argv[0]);
	seed = again_number("BTCHAT_SEED", 1);
	(void)printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
