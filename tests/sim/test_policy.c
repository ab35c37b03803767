/*
 * Which DHT is used: nodes of the overlay that know only Mainline's find each
 * other if they announce themselves; cells are where the policy puts them, and
 * are found where another policy has put them. [SPEC §8.4]
 */
#include "proto/node_int.h"
#include "tests/sim/believe.h"
#include "tests/sim/sim.h"
#include "tests/sim/want.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum {
	CROWD = 12,
	SETTLED_MS = 30000,
	DISCOVERY_MS = 20 * 60 * 1000,
	PATIENCE_MS = 5 * 60 * 1000,
};

/* The size of the overlay that the people are to believe in; 0: their own. */
static uint64_t believed;

static struct sim *
begin(uint64_t seed, const struct sim_config *how)
{
	struct sim_config cfg = *how;
	struct sim *s;

	cfg.seed = seed;
	cfg.n_people = 2;
	cfg.n_crowd = CROWD;
	cfg.trace = getenv("SIM_TRACE") != NULL;
	s = sim_new(&cfg);
	for (uint32_t i = 0; i < CROWD; i++)
		sim_at(s, 100 * i, sim_start_event, 2 + i, 0, 0);
	believed = 0;
	return s;
}

static void
end(struct sim *s)
{
	want_done(s, true);
	sim_free(s);
}

static size_t
overlay_nodes(const struct sim *s, uint32_t who)
{
	struct node_stats stats;

	node_get_stats(s->nodes[who].node, &stats);
	return stats.overlay[FAMILY_V4].nodes_good;
}

/* Items that the nodes of one carrier keep. */
static size_t
items(const struct sim *s, enum dht_carrier carrier)
{
	size_t n = 0;

	for (uint32_t i = 0; i < s->n_nodes; i++) {
		struct node_stats stats;

		node_get_stats(s->nodes[i].node, &stats);
		n += carrier == DHT_OVERLAY ? stats.overlay[FAMILY_V4].items
		                            : stats.dht[FAMILY_V4].items;
	}
	return n;
}

static bool
are_online(struct sim *s)
{
	for (uint32_t i = 0; i < 2 && believed > 0; i++) {
		struct node *n = s->nodes[i].node;
		struct dht *d =
		    n ? n->dht[net_of(DHT_OVERLAY, FAMILY_V4)] : NULL;

		if (d)
			believe(d, believed);
	}
	return sim_is_online(s, 0, 1);
}

static void
meet(struct sim *s)
{
	assert_true(sim_add(s, 0, 1));
	assert_true(sim_add(s, 1, 0));
	assert_true(sim_run(s, s->now_ms + PATIENCE_MS, are_online));
}

static void
overlay_nodes_find_each_other_through_mainline(void **state)
{
	const struct sim_config how = { .policy = NODE_MIXED,
		.only_mainline = true };

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *s = begin(seed, &how);

		(void)sim_run(s, DISCOVERY_MS, NULL);
		for (uint32_t i = 0; i < CROWD; i++)
			assert_true(overlay_nodes(s, 2 + i) >= 6);
		end(s);
	}
}

static void
who_does_not_announce_himself_is_not_found(void **state)
{
	const struct sim_config how = {
		.policy = NODE_MIXED, .only_mainline = true, .is_hidden = true
	};
	struct sim *s = begin(5, &how);

	(void)state;
	(void)sim_run(s, DISCOVERY_MS, NULL);
	for (uint32_t i = 0; i < CROWD; i++)
		assert_int_equal(overlay_nodes(s, 2 + i), 0);
	end(s);
}

/* But who meets a contact gets to know his node. */
static void
contacts_introduce_their_nodes(void **state)
{
	const struct sim_config how = {
		.policy = NODE_MIXED, .only_mainline = true, .is_hidden = true
	};
	struct sim *s = begin(6, &how);

	(void)state;
	(void)sim_run(s, SETTLED_MS, NULL);
	sim_start(s, 0);
	sim_start(s, 1);
	meet(s);
	(void)sim_run(s, s->now_ms + 60000, NULL);
	assert_int_equal(overlay_nodes(s, 0), 1);
	assert_int_equal(overlay_nodes(s, 1), 1);
	end(s);
}

static void
cells_are_in_both_below_fifty_nodes_and_then_in_one(void **state)
{
	const struct sim_config how = { .policy = NODE_MIXED };

	(void)state;
	for (uint64_t size = NODE_OVERLAY_ALONE - 1; size <= NODE_OVERLAY_ALONE;
	     size++) {
		struct sim *s = begin(7, &how);

		believed = size;
		(void)sim_run(s, SETTLED_MS, NULL);
		sim_start(s, 0);
		sim_start(s, 1);
		(void)sim_run(s, s->now_ms + 10000, are_online);
		meet(s);
		assert_true(items(s, DHT_OVERLAY) > 0);
		assert_int_equal(
		    items(s, DHT_MAINLINE) > 0, size < NODE_OVERLAY_ALONE);
		end(s);
	}
}

/* He writes to Mainline; who believes in a large overlay looks there too. */
static void
one_who_uses_mainline_alone_is_found(void **state)
{
	const struct sim_config how = { .policy = NODE_MIXED };
	struct sim *s = begin(8, &how);

	(void)state;
	believed = 1000;
	(void)sim_run(s, SETTLED_MS, NULL);
	s->cfg.policy = NODE_MAINLINE;
	sim_start(s, 0);
	s->cfg.policy = NODE_MIXED;
	sim_start(s, 1);
	(void)sim_run(s, s->now_ms + 10000, are_online);
	meet(s);
	end(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    overlay_nodes_find_each_other_through_mainline),
		cmocka_unit_test(who_does_not_announce_himself_is_not_found),
		cmocka_unit_test(contacts_introduce_their_nodes),
		cmocka_unit_test(
		    cells_are_in_both_below_fifty_nodes_and_then_in_one),
		cmocka_unit_test(one_who_uses_mainline_alone_is_found),
	};

	return cmocka_run_group_tests_name("policy", tests, NULL, NULL);
}
