/* The search of RFC 8899 against paths of every size. */
#include "proto/link/mtu.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static struct mtu
start(unsigned udp_max)
{
	static const uint8_t addr[4] = { 192, 0, 2, 1 };
	struct endpoint to = endpoint_v4(addr, 7000);
	struct mtu m;

	mtu_init(&m, &to, (uint16_t)udp_max, true);
	return m;
}

static void
fill(struct mtu *m)
{
	for (unsigned i = 0; i < MTU_FULL; i++)
		(void)mtu_acked(m, m->size, false);
}

/* Probes until nothing is due on a path that takes `path`; how many. */
static unsigned
search(struct mtu *m, unsigned path, uint64_t now_ms)
{
	unsigned n = 0;
	uint16_t size;

	while ((size = mtu_due(m, now_ms)) > 0) {
		assert_true(size > m->size && size <= MTU_MAX);
		assert_true(++n < 20);
		mtu_probed(m);
		assert_int_equal(mtu_due(m, now_ms), 0); /* one at a time */
		if (size <= path)
			assert_true(mtu_acked(m, size, true));
		else
			assert_false(mtu_lost(m, size, true, now_ms));
	}
	return n;
}

static void
it_finds_the_largest_size_that_passes(void **state)
{
	static const unsigned sizes[] = { 1232, 1300, 1372, 1452, 1472 };

	(void)state;
	for (unsigned path = 1232; path <= 1500; path++) {
		struct mtu m = start(1500);
		unsigned want = 1232;

		for (unsigned i = 0; i < 5; i++)
			want = sizes[i] <= path ? sizes[i] : want;
		fill(&m);
		assert_true(search(&m, path, 1000) <= 4 * MTU_TRIES);
		assert_int_equal(m.size, want);
	}
}

static void
nothing_is_probed_before_a_transfer(void **state)
{
	struct mtu m = start(1500);

	(void)state;
	for (unsigned i = 0; i < 1000; i++)
		(void)mtu_acked(&m, 1052, false);
	assert_int_equal(mtu_due(&m, 1000), 0);
	fill(&m);
	assert_int_equal(mtu_due(&m, 1000), 1472);
}

static void
a_peer_that_takes_less_gets_less(void **state)
{
	(void)state;
	for (unsigned udp = 1200; udp <= 1500; udp++) {
		struct mtu m = start(udp);

		fill(&m);
		(void)search(&m, 1500, 1000);
		assert_true(m.size <= udp);
		assert_true(m.size >= (udp < 1232 ? udp : 1232));
	}
}

static void
a_black_hole_leads_back_to_the_base(void **state)
{
	struct mtu m = start(1500);
	uint64_t now_ms = 1000;

	(void)state;
	fill(&m);
	(void)search(&m, 1472, now_ms);
	for (unsigned i = 1; i < MTU_LOST; i++)
		assert_false(mtu_lost(&m, 1472, false, now_ms));
	(void)mtu_acked(&m, 1472, false); /* it was only bad luck */
	for (unsigned i = 1; i < MTU_LOST; i++)
		assert_false(mtu_lost(&m, 1472, false, now_ms));
	assert_true(mtu_lost(&m, 1472, false, now_ms));
	assert_int_equal(m.size, MTU_BASE);
	/* What was still under way changes nothing more. */
	for (unsigned i = 0; i < 100; i++)
		assert_false(mtu_lost(&m, 1472, false, now_ms));
	assert_int_equal(mtu_due(&m, now_ms + MTU_AGAIN_MS - 1), 0);
	assert_int_equal(search(&m, 1372, now_ms + MTU_AGAIN_MS), 7);
	assert_int_equal(m.size, 1372);
}

/* A path that a link moved to: 1232 first, and at once; only then the rest. */
static void
a_new_path_proves_the_base_first(void **state)
{
	static const uint8_t addr[4] = { 192, 0, 2, 1 };
	struct endpoint to = endpoint_v4(addr, 7000);
	struct mtu m;

	(void)state;
	for (unsigned udp = 1200; udp <= 1500; udp += 50) {
		unsigned base = udp < MTU_BASE ? udp : MTU_BASE;

		mtu_init(&m, &to, (uint16_t)udp, false);
		assert_int_equal(m.size, MTU_LEAST);
		assert_int_equal(mtu_due(&m, 1000), base);
		mtu_probed(&m);
		assert_int_equal(mtu_due(&m, 1000), 0);
		/* Acknowledged is what left on the path before, too. */
		(void)mtu_acked(&m, 1472, false);
		assert_int_equal(m.size, MTU_LEAST);
		assert_true(mtu_acked(&m, (uint16_t)base, true));
		assert_int_equal(m.size, base);
		m.n_full = 0;
		assert_int_equal(mtu_due(&m, 1000), 0);
		fill(&m);
		(void)search(&m, 1500, 1000);
		assert_true(m.size >= base && m.size <= udp);
	}
}

static void
a_path_below_the_base_stays_at_the_least(void **state)
{
	static const uint8_t addr[4] = { 192, 0, 2, 1 };
	struct endpoint to = endpoint_v4(addr, 7000);
	uint64_t now_ms = 1000;
	struct mtu m;

	(void)state;
	mtu_init(&m, &to, 1500, false);
	for (unsigned again = 0; again < 3; again++) {
		for (unsigned i = 0; i < MTU_TRIES; i++) {
			assert_int_equal(mtu_due(&m, now_ms), MTU_BASE);
			mtu_probed(&m);
			assert_false(mtu_lost(&m, MTU_BASE, true, now_ms));
		}
		assert_int_equal(m.size, MTU_LEAST);
		assert_int_equal(mtu_due(&m, now_ms + MTU_AGAIN_MS - 1), 0);
		now_ms += MTU_AGAIN_MS;
	}
}

static void
a_route_is_not_searched(void **state)
{
	struct endpoint to = endpoint_route(1);
	struct mtu m;

	(void)state;
	for (unsigned proven = 0; proven < 2; proven++) {
		mtu_init(&m, &to, 1500, proven);
		assert_int_equal(m.size, ROUTE_UDP_MAX);
		fill(&m);
		assert_int_equal(mtu_due(&m, 1000000), 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_finds_the_largest_size_that_passes),
		cmocka_unit_test(nothing_is_probed_before_a_transfer),
		cmocka_unit_test(a_peer_that_takes_less_gets_less),
		cmocka_unit_test(a_black_hole_leads_back_to_the_base),
		cmocka_unit_test(a_new_path_proves_the_base_first),
		cmocka_unit_test(a_path_below_the_base_stays_at_the_least),
		cmocka_unit_test(a_route_is_not_searched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
