/* Budgets: who may ask how much, and what leaves us. */
#include "proto/dht/guard.h"
#include "tests/support/dht_item.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct test_rng r;
static struct guard g;

static void
begin(bool loopback)
{
	test_rng_init(&r, 1);
	guard_init(&g, loopback, GUARD_UPLOAD, &r.rng, 0);
}

static unsigned
served(struct endpoint from, unsigned n, uint64_t now_ms)
{
	unsigned ok = 0;

	for (unsigned i = 0; i < n; i++)
		ok += guard_query(&g, &from, now_ms);
	return ok;
}

static void
a_source_has_a_burst_and_then_its_rate(void **state)
{
	struct endpoint a = test_addr(1, 2, 3, 4);

	(void)state;
	begin(false);
	assert_int_equal(served(a, 100, 0), GUARD_BURST);
	assert_int_equal(served(a, 100, 1000), GUARD_RATE);
	assert_int_equal(served(a, 100, 1100), 0);
	assert_int_equal(served(a, 100, 4000), 3 * GUARD_RATE - 0);
}

static void
a_network_is_one_source(void **state)
{
	(void)state;
	begin(false);
	assert_int_equal(served(test_addr(1, 2, 3, 4), 20, 0), 20);
	assert_int_equal(served(test_addr(1, 2, 3, 99), 20, 0), 0);
	assert_int_equal(served(test_addr(1, 2, 4, 4), 20, 0), 20);
	/* In a LAN each address has its own. */
	assert_int_equal(served(test_addr(192, 168, 1, 1), 20, 0), 20);
	assert_int_equal(served(test_addr(192, 168, 1, 2), 20, 0), 20);
}

static void
who_exceeds_for_ten_seconds_is_blocked_for_five_minutes(void **state)
{
	struct endpoint a = test_addr(1, 2, 3, 4);
	uint64_t t = 0;

	(void)state;
	begin(false);
	for (; t <= GUARD_OVER_MS + 2000; t += 100)
		(void)served(a, 2, t);
	(void)served(a, 20, t);
	assert_int_equal(served(a, 20, t + GUARD_BLOCK_MS - 1000), 0);
	assert_int_equal(served(a, 20, t + GUARD_BLOCK_MS), 20);
	/* Who keeps to the rate never is. */
	begin(false);
	for (t = 0; t < UINT64_C(3600000); t += 1000)
		assert_int_equal(served(a, GUARD_RATE, t), GUARD_RATE);
}

static void
loopback_is_generous_only_where_it_counts_as_peers(void **state)
{
	struct endpoint a = test_addr(127, 0, 0, 1);

	(void)state;
	begin(true);
	assert_int_equal(served(a, 3000, 0), GUARD_BURST * GUARD_LOCAL);
	a.port++; /* another node */
	assert_int_equal(served(a, 3000, 0), GUARD_BURST * GUARD_LOCAL);
	begin(false);
	assert_int_equal(served(a, 3000, 0), GUARD_BURST);
}

static void
all_answers_together_stay_under_the_cap(void **state)
{
	struct endpoint to = test_addr(1, 2, 3, 4);
	uint64_t sent = 0;

	(void)state;
	begin(false);
	for (uint64_t t = 0; t < 60 * 1000; t += 10) {
		to.addr[12] = (uint8_t)t; /* somebody else each time */
		if (guard_upload(&g, &to, 1000, GUARD_COMMON, t))
			sent += 1000;
	}
	assert_in_range(
	    sent, 60 * GUARD_UPLOAD, (60 + GUARD_UPLOAD_BURST) * GUARD_UPLOAD);
}

static void
what_is_rare_goes_when_what_is_common_does_not(void **state)
{
	struct endpoint to = test_addr(1, 2, 3, 4);
	size_t n_common = 0, n_rare = 0;

	(void)state;
	begin(false);
	while (guard_upload(&g, &to, 1000, GUARD_COMMON, 0))
		n_common++;
	while (guard_upload(&g, &to, 1000, GUARD_RARE, 0))
		n_rare++;
	assert_int_equal(n_rare, GUARD_UPLOAD_RARE * GUARD_UPLOAD / 1000);
	assert_int_equal(
	    n_common + n_rare, GUARD_UPLOAD_BURST * GUARD_UPLOAD / 1000);
	/* Under constant load it is what is rare that goes. */
	for (uint64_t t = 0; t < 1000; t++) {
		assert_false(guard_upload(&g, &to, 1000, GUARD_COMMON, t));
		n_rare += guard_upload(&g, &to, 1000, GUARD_RARE, t);
	}
	assert_int_equal(n_common + n_rare,
	    (GUARD_UPLOAD_BURST * GUARD_UPLOAD + GUARD_UPLOAD - 8) / 1000);
}

static void
three_bytes_for_one_until_the_address_is_proven(void **state)
{
	struct endpoint to = test_addr(1, 2, 3, 4);
	struct endpoint beside = test_addr(1, 2, 3, 5);
	struct endpoint v6 = { .addr = { 0x2a, 1 }, .port = 7 };

	(void)state;
	begin(false);
	assert_int_equal(guard_room(&g, &to, 100, 0), 300);
	guard_proven(&g, &to, 1000);
	to.port++; /* of the same machine */
	assert_true(guard_room(&g, &to, 100, 1000) == SIZE_MAX);
	assert_int_equal(guard_room(&g, &beside, 100, 1000), 300);
	assert_true(
	    guard_room(&g, &to, 100, 999 + GUARD_PROVEN_MS) == SIZE_MAX);
	assert_int_equal(guard_room(&g, &to, 100, 1000 + GUARD_PROVEN_MS), 300);
	guard_proven(&g, &v6, 0);
	v6.addr[15] = 9; /* of the same subscriber */
	assert_true(guard_room(&g, &v6, 10, 0) == SIZE_MAX);
	v6.addr[7] = 9;
	assert_int_equal(guard_room(&g, &v6, 10, 0), 30);
	/* On loopback, where it counts, nobody is somebody else. */
	to = test_addr(127, 0, 0, 1);
	assert_int_equal(guard_room(&g, &to, 100, 0), 300);
	begin(true);
	assert_true(guard_room(&g, &to, 100, 0) == SIZE_MAX);
}

static void
of_many_proven_addresses_the_oldest_are_forgotten(void **state)
{
	unsigned n = 0;

	(void)state;
	begin(false);
	for (unsigned i = 0; i < 10 * GUARD_PROVEN; i++) {
		struct endpoint at = test_addr(20 + i / 250, i % 250, 1, 1);

		guard_proven(&g, &at, i);
		assert_true(guard_room(&g, &at, 1, i) == SIZE_MAX);
	}
	for (unsigned i = 0; i < 10 * GUARD_PROVEN; i++) {
		struct endpoint at = test_addr(20 + i / 250, i % 250, 1, 1);

		n += guard_room(&g, &at, 1, i) == SIZE_MAX;
	}
	assert_in_range(n, GUARD_PROVEN / 2, GUARD_PROVEN);
}

static void
pings_and_questions_of_ours_are_paced(void **state)
{
	struct endpoint to = test_addr(1, 2, 3, 4);
	unsigned n = 0;

	(void)state;
	begin(false);
	for (unsigned i = 0; i < 100; i++)
		n += guard_ping(&g, &to, 0);
	assert_int_equal(n, GUARD_PINGS_BURST);
	n = 0;
	for (uint64_t t = 0; t < 10 * 1000; t += 10)
		n += guard_ask(&g, &to, t);
	assert_true(n < 50); /* what libtorrent stands in ten seconds */
	assert_true(n >= GUARD_ASKS_BURST);
}

static void
many_sources_only_push_out_the_silent(void **state)
{
	struct endpoint a = test_addr(1, 2, 3, 4);

	(void)state;
	begin(false);
	for (unsigned i = 0; i < 100000; i++)
		(void)served(
		    test_addr(9 + i / 60000, i / 250 % 240, i % 250, 1), 1,
		    i / 100);
	assert_int_equal(served(a, 20, 1000), 20);
}

static void
time_that_stands_or_jumps_does_no_harm(void **state)
{
	struct endpoint a = test_addr(1, 2, 3, 4);

	(void)state;
	begin(false);
	assert_int_equal(served(a, 30, 1000), GUARD_BURST);
	assert_int_equal(served(a, 30, 500), 0);
	assert_int_equal(served(a, 30, UINT64_MAX / 2), GUARD_BURST);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_source_has_a_burst_and_then_its_rate),
		cmocka_unit_test(a_network_is_one_source),
		cmocka_unit_test(
		    who_exceeds_for_ten_seconds_is_blocked_for_five_minutes),
		cmocka_unit_test(
		    loopback_is_generous_only_where_it_counts_as_peers),
		cmocka_unit_test(all_answers_together_stay_under_the_cap),
		cmocka_unit_test(
		    what_is_rare_goes_when_what_is_common_does_not),
		cmocka_unit_test(
		    three_bytes_for_one_until_the_address_is_proven),
		cmocka_unit_test(
		    of_many_proven_addresses_the_oldest_are_forgotten),
		cmocka_unit_test(pings_and_questions_of_ours_are_paced),
		cmocka_unit_test(many_sources_only_push_out_the_silent),
		cmocka_unit_test(time_that_stands_or_jumps_does_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
