/* Who is told of whom, for how long, and who gives way. */
#include "proto/dht/nodeid.h"
#include "proto/dht/peers.h"
#include "tests/support/dht_item.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct test_rng r;
static struct peers s;
static struct endpoint got[PEERS_MAX];

static int
setup(void **state)
{
	static const struct target own;

	(void)state;
	test_rng_init(&r, test_seed(5));
	peers_init(&s, &own, &r.rng);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	peers_clear(&s);
	return 0;
}

static struct target
hash(unsigned n)
{
	struct target t = { { (uint8_t)(n >> 16), (uint8_t)(n >> 8),
	    (uint8_t)n } };

	return t;
}

/* The i-th of peers that are each in a network of its own. */
static struct endpoint
peer(unsigned i)
{
	return test_addr(20 + i / 250, i % 250, 1, 1);
}

static void
put(unsigned n, struct endpoint at, bool seed, uint64_t now_ms)
{
	struct target t = hash(n);

	assert_int_equal(peers_put(&s, &t, &at, seed, now_ms), ERR_OK);
}

static size_t
get(unsigned n, bool noseed, uint64_t now_ms, size_t max)
{
	struct target t = hash(n);

	return peers_get(&s, &t, noseed, now_ms, got, max);
}

static bool
names(size_t n, struct endpoint at)
{
	for (size_t i = 0; i < n; i++)
		if (endpoint_eq(&got[i], &at))
			return true;
	return false;
}

static void
nothing_is_allocated_until_somebody_is_told_of(void **state)
{
	const struct target *sample;
	uint32_t for_s;

	(void)state;
	assert_int_equal(get(1, false, 0, 100), 0);
	assert_int_equal(peers_sample(&s, 0, &sample, &for_s), 0);
	peers_expire(&s, 1000);
	assert_null(s.swarm);
	assert_true(s.sweep_ms == NEVER);
}

static void
a_peer_is_named_until_it_is_45_minutes_old(void **state)
{
	(void)state;
	put(1, peer(1), false, 1000);
	put(1, peer(2), false, 2000);
	put(2, peer(3), false, 2000);
	assert_int_equal(get(1, false, 2000, 100), 2);
	assert_true(names(2, peer(1)) && names(2, peer(2)));
	put(1, peer(1), false, 3000); /* again: still one, and younger */
	assert_int_equal(get(1, false, 2000 + PEERS_LIFE_MS - 1, 100), 2);
	assert_int_equal(get(1, false, 2000 + PEERS_LIFE_MS, 100), 1);
	assert_true(names(1, peer(1)));
	peers_expire(&s, 10000 + PEERS_LIFE_MS + PEERS_SWEEP_MS);
	assert_int_equal(s.n, 0);
	assert_true(s.sweep_ms == NEVER);
}

static void
a_choice_is_random_and_bounded(void **state)
{
	unsigned n_named[50] = { 0 };

	(void)state;
	for (unsigned i = 0; i < 50; i++)
		put(1, peer(i), false, 1000);
	for (unsigned k = 0; k < 1000; k++) {
		assert_int_equal(get(1, false, 1000, 10), 10);
		for (unsigned i = 0; i < 50; i++)
			n_named[i] += names(10, peer(i));
	}
	for (unsigned i = 0; i < 50; i++) /* 200 each, sigma 13 */
		assert_in_range(n_named[i], 120, 280);
}

static void
who_has_everything_does_not_need_seeds(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++)
		put(1, peer(i), i % 2, 1000);
	assert_int_equal(get(1, true, 1000, 100), 10);
	assert_true(names(10, peer(0)) && !names(10, peer(1)));
	put(1, peer(0), true, 1000); /* it has become one */
	assert_int_equal(get(1, true, 1000, 100), 9);
	assert_int_equal(get(1, false, 1000, 100), 20);
}

static void
a_full_swarm_gives_up_its_oldest(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEERS_MAX + 100; i++)
		put(1, peer(i), false, 1000 * i);
	assert_int_equal(get(1, false, 1000 * PEERS_MAX, PEERS_MAX), PEERS_MAX);
	assert_false(names(PEERS_MAX, peer(99)));
	assert_true(names(PEERS_MAX, peer(100)));
	assert_int_equal(s.swarm[0].cap, PEERS_MAX);
}

static void
one_network_cannot_fill_a_swarm(void **state)
{
	size_t n, n_flood = 0;

	(void)state;
	for (unsigned i = 0; i < PEERS_TIGHT; i++)
		put(1, peer(i), false, 1000);
	for (unsigned i = 0; i < 5000; i++) {
		struct endpoint at = test_addr(66, 6, 6, i);

		at.port = (uint16_t)(1 + i);
		put(1, at, false, 1000 + i);
	}
	n = get(1, false, 6000, PEERS_MAX);
	for (size_t i = 0; i < n; i++)
		n_flood += got[i].addr[12] == 66;
	assert_int_equal(n_flood, PEERS_QUOTA);
	assert_int_equal(n, PEERS_TIGHT + PEERS_QUOTA);
}

static void
the_smallest_and_farthest_swarm_gives_way(void **state)
{
	(void)state;
	for (unsigned i = 0; i < PEERS_SWARMS_MAX; i++) {
		put(i, peer(i), false, 1000);
		if (i % 2)
			put(i, peer(i + 1), false, 1000);
	}
	put(PEERS_SWARMS_MAX, peer(1), false, 1000);
	assert_int_equal(s.n, PEERS_SWARMS_MAX);
	assert_int_equal(get(PEERS_SWARMS_MAX - 2, false, 1000, 1), 0);
	assert_int_equal(get(PEERS_SWARMS_MAX - 1, false, 1000, 1), 1);
	assert_int_equal(get(0, false, 1000, 1), 1);
	for (size_t i = 1; i < s.n; i++)
		assert_true(memcmp(&s.swarm[i - 1].hash, &s.swarm[i].hash,
		                NODEID_SIZE) < 0);
}

static void
one_network_cannot_push_out_the_swarms_of_others(void **state)
{
	struct endpoint flood = test_addr(66, 6, 6, 6);

	(void)state;
	for (unsigned i = 0; i < PEERS_SWARMS_TIGHT; i++)
		put(i, peer(i), false, 1000);
	for (unsigned i = 0; i < 3000; i++) {
		flood.addr[15] = (uint8_t)i; /* its whole /24 */
		put(100000 + i, flood, false, 1000);
	}
	assert_int_equal(s.n, PEERS_SWARMS_TIGHT + PEERS_QUOTA);
	for (unsigned i = 0; i < PEERS_SWARMS_TIGHT; i++)
		assert_int_equal(get(i, false, 1000, 1), 1);
}

static void
a_sample_names_all_of_few_and_stays_for_many(void **state)
{
	struct target first[PEERS_SAMPLE];
	const struct target *sample;
	uint32_t for_s;
	unsigned n_new = 0;
	uint64_t next_ms = 1000 + PEERS_SAMPLE_MS;

	(void)state;
	for (unsigned i = 0; i < PEERS_SAMPLE; i++) {
		put(i, peer(i), false, 1000);
		assert_int_equal(
		    peers_sample(&s, 1000, &sample, &for_s), i + 1);
		assert_int_equal(for_s, 0);
	}
	for (unsigned i = PEERS_SAMPLE; i < 200; i++)
		put(i, peer(i), false, 1000);
	(void)peers_sample(&s, next_ms, &sample, &for_s);
	assert_int_equal(for_s, PEERS_SAMPLE_MS / 1000);
	memcpy(first, sample, sizeof(first));
	for (unsigned i = 0; i < 200; i++) /* nobody of them goes */
		put(i, peer(i), false, next_ms);
	assert_int_equal(
	    peers_sample(&s, next_ms + 9000, &sample, &for_s), PEERS_SAMPLE);
	assert_int_equal(for_s, PEERS_SAMPLE_MS / 1000 - 9);
	assert_memory_equal(first, sample, sizeof(first));
	(void)peers_sample(&s, next_ms + PEERS_SAMPLE_MS, &sample, &for_s);
	for (unsigned i = 0; i < PEERS_SAMPLE; i++)
		n_new += memcmp(&first[i], &sample[i], NODEID_SIZE) != 0;
	assert_true(n_new > PEERS_SAMPLE / 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_allocated_until_somebody_is_told_of),
		TEST(a_peer_is_named_until_it_is_45_minutes_old),
		TEST(a_choice_is_random_and_bounded),
		TEST(who_has_everything_does_not_need_seeds),
		TEST(a_full_swarm_gives_up_its_oldest),
		TEST(one_network_cannot_fill_a_swarm),
		TEST(the_smallest_and_farthest_swarm_gives_way),
		TEST(one_network_cannot_push_out_the_swarms_of_others),
		TEST(a_sample_names_all_of_few_and_stays_for_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
