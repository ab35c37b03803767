/* The routing table: who gets in, who goes, who is asked again. */
#include "proto/dht/table.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct table t; /* large: not on the stack */

/* A node that shares `common` bits with an all-zero own id; n tells nodes
 * apart. Its address is global, in a /16 of its own for each n. */
static struct krpc_node
node_at(unsigned common, unsigned n)
{
	uint8_t addr[4] = { (uint8_t)(20 + n / 200), (uint8_t)n, 1, 1 };
	struct krpc_node node = { .at = endpoint_v4(addr, 6881) };
	struct test_rng r;
	static const struct target own;

	/* Ids that belong to the address, where the prefix allows a choice. */
	test_rng_init(&r, n);
	for (unsigned salt = 0; salt < 256; salt++) {
		nodeid_make(&node.at, (uint8_t)salt, &r.rng, &node.id);
		if (nodeid_common(&own, &node.id) == common)
			return node;
	}
	nodeid_in_bucket(&own, common, &r.rng, &node.id);
	return node;
}

/* The same on loopback, where every id is in order. */
static struct krpc_node
local_at(unsigned common, unsigned n)
{
	static const uint8_t addr[4] = { 127, 0, 0, 1 };
	static const struct target own;
	struct krpc_node node = { .at =
		                      endpoint_v4(addr, (uint16_t)(1000 + n)) };
	struct test_rng r;

	test_rng_init(&r, n);
	nodeid_in_bucket(&own, common, &r.rng, &node.id);
	return node;
}

static bool
answered(struct krpc_node node, uint64_t now_ms)
{
	return table_answered(&t, &node, 50, now_ms);
}

static void
begin(void)
{
	static const struct target own;

	table_init(&t, &own, 0, 0);
}

static size_t
closest(enum table_use use, struct krpc_node *ret, size_t max)
{
	static const struct target goal;

	return table_closest(&t, &goal, use, ret, max);
}

static void
only_the_bucket_of_our_own_id_splits(void **state)
{
	(void)state;
	begin();
	for (unsigned n = 0; n < 8; n++)
		assert_true(answered(local_at(0, n), 1));
	assert_int_equal(t.n_buckets, 1);
	assert_false(answered(local_at(0, 8), 1)); /* split, still full */
	assert_int_equal(t.n_buckets, 2);
	for (unsigned n = 10; n < 18; n++)
		assert_true(answered(local_at(1, n), 1));
	assert_true(answered(local_at(5, 20), 1)); /* splits the last one */
	assert_int_equal(t.bucket[0].n, 8);
	assert_int_equal(t.bucket[1].n, 8);
	assert_int_equal(table_count(&t), 17);
	assert_true(t.n_buckets <= 7);
}

static void
the_number_of_buckets_is_bounded(void **state)
{
	(void)state;
	begin();
	for (unsigned common = 0; common < 160; common++)
		for (unsigned n = 0; n < 9; n++)
			(void)answered(local_at(common, 10 * common + n), 1);
	assert_int_equal(t.n_buckets, TABLE_BUCKETS_MAX);
	assert_true(table_count(&t) <= TABLE_BUCKETS_MAX * TABLE_K);
}

static void
our_own_id_never_enters(void **state)
{
	struct krpc_node n = local_at(3, 1);

	(void)state;
	begin();
	n.id = t.own;
	assert_false(answered(n, 1));
	assert_false(table_wants(&t, &n, 1));
	assert_int_equal(table_count(&t), 0);
}

static void
one_node_an_address_and_one_a_network_in_a_bucket(void **state)
{
	struct krpc_node a = node_at(0, 1), b = a, c = node_at(0, 2);

	(void)state;
	begin();
	assert_true(answered(a, 1));
	b.at.port++;
	b.id.b[10]++;
	assert_false(table_wants(&t, &b, 1));
	assert_false(answered(b, 1));
	c.at = a.at;
	c.at.addr[15]++; /* the same /24 */
	assert_false(table_wants(&t, &c, 1));
	assert_false(answered(c, 1));
	c.at.addr[14]++;
	assert_true(table_wants(&t, &c, 1));
	assert_true(answered(c, 1));
}

static void
on_loopback_ports_tell_nodes_apart(void **state)
{
	(void)state;
	begin();
	assert_true(answered(local_at(0, 1), 1));
	assert_true(answered(local_at(0, 2), 1));
	assert_int_equal(table_count(&t), 2);
}

static void
a_full_bucket_keeps_its_old_nodes_and_remembers_the_new(void **state)
{
	struct krpc_node newest = local_at(0, 30), got[8];
	struct krpc_node first = local_at(0, 0);

	(void)state;
	begin();
	for (unsigned n = 0; n < 8; n++)
		assert_true(answered(local_at(0, n), 1));
	for (unsigned n = 20; n < 31; n++)
		assert_false(answered(local_at(0, n), 1));
	assert_null(table_find(&t, &newest.at));
	/* One failure is no reason yet, two are. */
	table_failed(&t, &first.at, false, 2);
	assert_non_null(table_find(&t, &first.at));
	table_failed(&t, &first.at, false, 3);
	assert_null(table_find(&t, &first.at));
	assert_non_null(table_find(&t, &newest.at));
	assert_int_equal(closest(TABLE_HAND_OUT, got, 8), 8);
}

static void
who_found_no_room_is_known_for_a_while(void **state)
{
	static const struct target goal;
	struct krpc_node near[8], gone = local_at(0, 22);

	(void)state;
	begin();
	for (unsigned n = 0; n < 8; n++)
		assert_true(answered(local_at(0, n), 1));
	assert_int_equal(table_closest_spare(&t, &goal, 1, near, 8), 0);
	for (unsigned n = 20; n < 24; n++)
		assert_false(answered(local_at(0, n), 1 + n));
	assert_int_equal(table_closest_spare(&t, &goal, 30, near, 8), 4);
	for (unsigned i = 1; i < 4; i++)
		assert_true(
		    nodeid_compare(&goal, &near[i - 1].id, &near[i].id) < 0);
	table_failed(&t, &gone.at, false, 30);
	assert_int_equal(table_closest_spare(&t, &goal, 30, near, 8), 3);
	assert_int_equal(
	    table_closest_spare(&t, &goal, 24 + TABLE_GOOD_MS, near, 8), 0);
}

static void
a_bad_node_without_a_spare_stays_but_is_not_handed_out(void **state)
{
	struct krpc_node n = local_at(0, 1), got[8];

	(void)state;
	begin();
	assert_true(answered(n, 1));
	table_failed(&t, &n.at, false, 2);
	assert_int_equal(closest(TABLE_HAND_OUT, got, 8), 1);
	table_failed(&t, &n.at, false, 3);
	assert_int_equal(closest(TABLE_HAND_OUT, got, 8), 0);
	assert_int_equal(closest(TABLE_ANY, got, 8), 1);
	(void)answered(n, 4); /* it is back */
	assert_int_equal(closest(TABLE_HAND_OUT, got, 8), 1);
	for (unsigned i = 0; i < TABLE_GONE; i++)
		table_failed(&t, &n.at, false, 5 + i);
	assert_int_equal(table_count(&t), 0);
}

static void
a_liar_is_bad_at_once(void **state)
{
	struct krpc_node n = local_at(0, 1), got[1];

	(void)state;
	begin();
	assert_true(answered(n, 1));
	table_failed(&t, &n.at, true, 2);
	assert_int_equal(closest(TABLE_HAND_OUT, got, 1), 0);
}

static void
a_newcomer_takes_a_bad_nodes_place(void **state)
{
	struct krpc_node bad = local_at(0, 3), fresh = local_at(0, 9);

	(void)state;
	begin();
	for (unsigned n = 0; n < 8; n++)
		assert_true(answered(local_at(0, n), 1));
	table_failed(&t, &bad.at, true, 2);
	assert_true(table_wants(&t, &fresh, 2));
	assert_true(answered(fresh, 2));
	assert_null(table_find(&t, &bad.at));
}

static void
a_verified_node_replaces_one_that_is_not(void **state)
{
	struct krpc_node good = node_at(0, 50);
	unsigned n_verified = 0;

	(void)state;
	begin();
	for (unsigned n = 0; n < 8; n++) {
		struct krpc_node node = node_at(0, n);

		node.id.b[0] ^= 0x40; /* does not fit the address */
		node.id.b[0] |= 0x80;
		assert_true(answered(node, 1));
	}
	good.id.b[0] |= 0x80;
	assert_true(nodeid_valid(&good.id, &good.at));
	assert_true(answered(good, 1));
	for (unsigned j = 0; j < t.bucket[0].n; j++)
		n_verified += t.bucket[0].node[j].verified;
	assert_int_equal(n_verified, 1);
	assert_int_equal(t.n_buckets, 1); /* nothing had to split */
}

static void
a_node_that_changes_its_id_is_another_one(void **state)
{
	struct krpc_node old = local_at(0, 1), new = old;

	(void)state;
	begin();
	assert_true(answered(old, 1));
	new.id = local_at(2, 7).id;
	assert_false(table_queried(&t, &new, 2)); /* only says so */
	assert_true(answered(new, 2));
	assert_int_equal(table_count(&t), 1);
	assert_true(nodeid_eq(&table_find(&t, &new.at)->node.id, &new.id));
}

static void
good_lasts_for_fifteen_minutes_of_answer_or_query(void **state)
{
	struct krpc_node n = local_at(0, 1);

	(void)state;
	begin();
	assert_true(answered(n, 1000));
	assert_int_equal(table_count_good(&t, 1000 + TABLE_GOOD_MS - 1), 1);
	assert_int_equal(table_count_good(&t, 1000 + TABLE_GOOD_MS), 0);
	assert_true(table_queried(&t, &n, 5000));
	assert_int_equal(table_count_good(&t, 1000 + TABLE_GOOD_MS), 1);
	assert_int_equal(table_count_good(&t, 5000 + TABLE_GOOD_MS), 0);
	table_failed(&t, &n.at, false, 6000);
	assert_int_equal(table_count_good(&t, 6000), 0);
}

/* Where that is wanted: a quarter of it, at most half an hour. */
static void
who_has_been_there_for_long_is_good_for_longer(void **state)
{
	enum { HOUR_MS = 3600 * 1000 };
	struct krpc_node n = local_at(0, 1);
	uint64_t due_ms;

	(void)state;
	begin();
	t.trust_ms = TABLE_TRUST_MS;
	assert_true(answered(n, 1000));
	assert_int_equal(table_count_good(&t, 1000 + TABLE_GOOD_MS - 1), 1);
	assert_int_equal(table_count_good(&t, 1000 + TABLE_GOOD_MS), 0);
	assert_false(answered(n, 1000 + HOUR_MS));
	assert_int_equal(
	    table_count_good(&t, 1000 + HOUR_MS + 2 * TABLE_GOOD_MS - 1), 1);
	assert_int_equal(
	    table_count_good(&t, 1000 + HOUR_MS + 2 * TABLE_GOOD_MS), 0);
	assert_false(answered(n, 1000 + 24 * HOUR_MS));
	assert_non_null(table_due(&t, &due_ms));
	due_ms -= 1000 + 24 * HOUR_MS;
	assert_in_range(due_ms, TABLE_GOOD_MS + TABLE_TRUST_MS,
	    TABLE_GOOD_MS + TABLE_TRUST_MS + TABLE_JITTER_MS);
	/* One failure, and it is not. */
	table_failed(&t, &n.at, false, 1001 + 24 * HOUR_MS);
	assert_int_equal(table_count_good(&t, 1001 + 24 * HOUR_MS), 0);
}

static void
silent_nodes_are_left_out_of_gets_only(void **state)
{
	struct krpc_node n = local_at(0, 1), got[1];
	uint64_t due_ms;

	(void)state;
	begin();
	assert_true(answered(n, 1));
	table_silent(&t, &n.at);
	assert_int_equal(closest(TABLE_TO_GET, got, 1), 1);
	(void)table_due(&t, &due_ms);
	assert_int_equal(due_ms, 0); /* in doubt: check it now */
	table_silent(&t, &n.at);
	assert_int_equal(closest(TABLE_TO_GET, got, 1), 0);
	assert_int_equal(closest(TABLE_HAND_OUT, got, 1), 1);
	table_spoke(&t, &n.at);
	assert_int_equal(closest(TABLE_TO_GET, got, 1), 1);
}

static void
the_quiet_are_checked_and_failing_ones_ever_less_often(void **state)
{
	struct krpc_node n = local_at(0, 1);
	uint64_t due_ms, last_ms = 0;

	(void)state;
	begin();
	assert_null(table_due(&t, &due_ms));
	assert_true(due_ms == NEVER);
	assert_true(answered(n, 1000));
	assert_non_null(table_due(&t, &due_ms));
	assert_in_range(due_ms, 1000 + TABLE_GOOD_MS,
	    1000 + TABLE_GOOD_MS + TABLE_JITTER_MS);
	for (unsigned i = 1; i < TABLE_GONE; i++) {
		uint64_t at_ms = due_ms;

		table_failed(&t, &n.at, false, at_ms);
		(void)table_due(&t, &due_ms);
		assert_true(due_ms - at_ms >= last_ms);
		last_ms = due_ms - at_ms;
	}
	assert_true(last_ms > 60 * 60 * 1000);
}

static void
the_nearest_come_sorted(void **state)
{
	static const struct target goal;
	struct krpc_node got[20];
	struct test_rng r;
	size_t n;

	(void)state;
	begin();
	test_rng_init(&r, test_seed(1));
	for (unsigned i = 0; i < 200; i++)
		(void)answered(local_at(rng_below(&r.rng, 6), i), 1);
	n = closest(TABLE_HAND_OUT, got, 20);
	assert_int_equal(n, 20);
	for (size_t i = 1; i < n; i++)
		assert_true(
		    nodeid_compare(&goal, &got[i - 1].id, &got[i].id) < 0);
	assert_true(nodeid_common(&goal, &got[0].id) == 5);
}

static void
a_new_own_id_keeps_the_nodes(void **state)
{
	struct target own = { { 0xff } };

	(void)state;
	begin();
	for (unsigned n = 0; n < 6; n++)
		assert_true(answered(local_at(n % 3, n), 1));
	table_move(&t, &own, 2);
	assert_int_equal(table_count(&t), 6);
	assert_true(nodeid_eq(&t.own, &own));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_bucket_of_our_own_id_splits),
		cmocka_unit_test(the_number_of_buckets_is_bounded),
		cmocka_unit_test(our_own_id_never_enters),
		cmocka_unit_test(
		    one_node_an_address_and_one_a_network_in_a_bucket),
		cmocka_unit_test(on_loopback_ports_tell_nodes_apart),
		cmocka_unit_test(
		    a_full_bucket_keeps_its_old_nodes_and_remembers_the_new),
		cmocka_unit_test(who_found_no_room_is_known_for_a_while),
		cmocka_unit_test(
		    a_bad_node_without_a_spare_stays_but_is_not_handed_out),
		cmocka_unit_test(a_liar_is_bad_at_once),
		cmocka_unit_test(a_newcomer_takes_a_bad_nodes_place),
		cmocka_unit_test(a_verified_node_replaces_one_that_is_not),
		cmocka_unit_test(a_node_that_changes_its_id_is_another_one),
		cmocka_unit_test(
		    good_lasts_for_fifteen_minutes_of_answer_or_query),
		cmocka_unit_test(
		    who_has_been_there_for_long_is_good_for_longer),
		cmocka_unit_test(silent_nodes_are_left_out_of_gets_only),
		cmocka_unit_test(
		    the_quiet_are_checked_and_failing_ones_ever_less_often),
		cmocka_unit_test(the_nearest_come_sorted),
		cmocka_unit_test(a_new_own_id_keeps_the_nodes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
