/* Votes on our own address. */
#include "proto/dht/address.h"
#include "tests/support/dht_item.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct address a;

static bool
vote(unsigned voter, struct endpoint said, uint64_t now_ms)
{
	struct endpoint from = test_addr(50, voter, 1, 1);

	return address_vote(&a, &from, &said, now_ms);
}

static void
three_voters_of_one_mind_decide(void **state)
{
	struct endpoint own = test_addr(1, 2, 3, 4);

	(void)state;
	address_init(&a, false, 0);
	assert_false(vote(1, own, 0));
	assert_false(vote(2, own, 0));
	assert_true(vote(3, own, 0));
	assert_true(a.known && endpoint_eq(&a.own, &own));
	assert_false(vote(4, own, 0)); /* nothing new */
}

static void
a_voter_has_one_vote(void **state)
{
	struct endpoint own = test_addr(1, 2, 3, 4);

	(void)state;
	address_init(&a, false, 0);
	for (unsigned i = 0; i < 100; i++)
		assert_false(vote(1, own, 0));
	assert_int_equal(a.n, 1);
}

static void
a_minority_of_liars_changes_nothing(void **state)
{
	struct endpoint own = test_addr(1, 2, 3, 4);

	(void)state;
	address_init(&a, false, 0);
	for (unsigned i = 0; i < 20; i++) {
		(void)vote(2 * i, own, 0);
		(void)vote(2 * i + 1, test_addr(6, 6, 6, i % 2), 0);
	}
	assert_true(a.known && endpoint_eq(&a.own, &own));
}

static void
a_move_is_noticed_in_the_next_round(void **state)
{
	struct endpoint old = test_addr(1, 2, 3, 4);
	struct endpoint new = test_addr(5, 6, 7, 8);
	bool changed = false;

	(void)state;
	address_init(&a, false, 0);
	for (unsigned i = 0; i < 40; i++)
		(void)vote(i, old, 0);
	for (unsigned i = 0; i < ADDRESS_VOTES_MOVE; i++)
		changed |= vote(i, new, ADDRESS_ROUND_MS);
	assert_true(changed && endpoint_eq(&a.own, &new));
	/* Or as soon as enough have changed their mind. */
	address_init(&a, false, 0);
	for (unsigned i = 0; i < 14; i++)
		(void)vote(i, old, 0);
	for (unsigned i = 0; i < 8; i++)
		(void)vote(i, new, 1);
	assert_true(endpoint_eq(&a.own, &new));
	/* Where there are few it takes the round. */
	address_init(&a, false, 0);
	for (unsigned i = 0; i < 4; i++)
		(void)vote(i, old, 0);
	for (unsigned i = 0; i < 4; i++)
		(void)vote(i, new, ADDRESS_ROUND_MS);
	assert_true(endpoint_eq(&a.own, &old));
	assert_true(vote(1, new, 2 * ADDRESS_ROUND_MS));
	assert_true(endpoint_eq(&a.own, &new));
}

static void
liars_who_are_first_in_a_round_move_nobody(void **state)
{
	struct endpoint own = test_addr(1, 2, 3, 4);
	struct endpoint lie = test_addr(6, 6, 6, 6);

	(void)state;
	address_init(&a, false, 0);
	for (unsigned i = 0; i < 20; i++)
		(void)vote(i, own, 0);
	for (unsigned i = 0; i < ADDRESS_VOTES_MOVE - 1; i++)
		assert_false(vote(100 + i, lie, ADDRESS_ROUND_MS));
	for (unsigned i = 0; i < 20; i++)
		assert_false(vote(i, own, ADDRESS_ROUND_MS));
	assert_false(vote(1, own, 2 * ADDRESS_ROUND_MS));
	assert_true(endpoint_eq(&a.own, &own));
}

static void
differing_ports_are_told_as_no_port(void **state)
{
	struct endpoint own = test_addr(1, 2, 3, 4);
	unsigned n_changes = 0;

	(void)state;
	address_init(&a, false, 0);
	for (unsigned i = 0; i < 12; i++) {
		own.port++;
		n_changes += vote(i, own, 0);
	}
	assert_int_equal(n_changes, 1);
	assert_int_equal(a.own.port, 0);
	assert_true(endpoint_same_addr(&a.own, &own));
}

static void
local_voters_and_local_answers_do_not_count(void **state)
{
	struct endpoint own = test_addr(1, 2, 3, 4);
	struct endpoint local = test_addr(192, 168, 0, 9);

	(void)state;
	address_init(&a, false, 0);
	for (unsigned i = 0; i < 10; i++) {
		struct endpoint lan = test_addr(10, 0, 0, i);

		assert_false(address_vote(&a, &lan, &own, 0));
		assert_false(address_vote(&a, &lan, &local, 0));
		assert_false(vote(i, local, 0));
		assert_false(vote(i, test_addr(127, 0, 0, 1), 0));
		assert_false(vote(i, test_addr(0, 0, 0, 0), 0));
	}
	own.port = 0;
	assert_false(vote(1, own, 0));
	assert_int_equal(a.n, 0);
}

static void
on_loopback_each_port_is_a_voter(void **state)
{
	struct endpoint own = test_addr(127, 0, 0, 1);
	bool changed = false;

	(void)state;
	address_init(&a, true, 0);
	for (unsigned i = 0; i < 3; i++) {
		struct endpoint from = own;

		from.port = (uint16_t)(7000 + i);
		changed = address_vote(&a, &from, &own, 0);
	}
	assert_true(changed);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_voters_of_one_mind_decide),
		cmocka_unit_test(a_voter_has_one_vote),
		cmocka_unit_test(a_minority_of_liars_changes_nothing),
		cmocka_unit_test(a_move_is_noticed_in_the_next_round),
		cmocka_unit_test(liars_who_are_first_in_a_round_move_nobody),
		cmocka_unit_test(differing_ports_are_told_as_no_port),
		cmocka_unit_test(local_voters_and_local_answers_do_not_count),
		cmocka_unit_test(on_loopback_each_port_is_a_voter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
