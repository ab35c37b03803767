/* Whom something was sent to: never forgotten too early, seldom too late. */
#include "proto/dht/sent.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { BEGIN_MS = 5000, SEES_MS = BEGIN_MS + SENT_BLIND_MS };

static struct sent sent;
static struct test_rng rng;

static int
setup(void **state)
{
	(void)state;
	test_rng_init(&rng, test_seed(7));
	sent_init(&sent, false, &rng.rng, BEGIN_MS);
	return 0;
}

static struct endpoint
address(unsigned i)
{
	const uint8_t v4[4] = { 20, (uint8_t)(i >> 16), (uint8_t)(i >> 8),
		(uint8_t)i };

	return endpoint_v4(v4, (uint16_t)(1000 + i % 1000));
}

static void
who_was_sent_to_is_known_for_ten_minutes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 2000; i++) {
		struct endpoint at = address(i);
		uint64_t now_ms = SEES_MS + UINT64_C(1000) * i;

		sent_keep(&sent, &at, now_ms);
		at.port ^= 1; /* the router may look at the address alone */
		assert_false(sent_nothing(&sent, &at, now_ms));
		at = address(i - SENT_MS / 1000);
		if (i >= SENT_MS / 1000)
			assert_false(sent_nothing(&sent, &at, now_ms));
	}
}

static void
who_was_not_is_a_stranger_mostly(void **state)
{
	unsigned n_strangers = 0;

	(void)state;
	for (unsigned i = 0; i < 4000; i++) {
		struct endpoint at = address(i);

		sent_keep(&sent, &at, SEES_MS);
	}
	for (unsigned i = 4000; i < 14000; i++) {
		struct endpoint at = address(i);

		n_strangers += sent_nothing(&sent, &at, SEES_MS);
	}
	assert_in_range(n_strangers, 7500, 9500);
}

static void
all_are_strangers_again_after_twenty_minutes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct endpoint at = address(i);

		sent_keep(&sent, &at, SEES_MS);
	}
	for (unsigned i = 0; i < 200; i++) {
		struct endpoint at = address(i);

		assert_true(sent_nothing(&sent, &at, SEES_MS + 2 * SENT_MS));
	}
}

/* What a life before this one sent, routers still know. */
static void
nobody_is_a_stranger_soon_after_the_start(void **state)
{
	struct endpoint at = address(1);

	(void)state;
	assert_false(sent_nothing(&sent, &at, SEES_MS - 1));
	assert_true(sent_nothing(&sent, &at, SEES_MS));
}

static void
on_loopback_each_port_counts_alone(void **state)
{
	const uint8_t v4[4] = { 127, 0, 0, 1 };
	struct endpoint a = endpoint_v4(v4, 1), b = endpoint_v4(v4, 2);

	(void)state;
	sent_init(&sent, true, &rng.rng, BEGIN_MS);
	sent_keep(&sent, &a, BEGIN_MS);
	assert_false(sent_nothing(&sent, &a, BEGIN_MS));
	assert_true(sent_nothing(&sent, &b, BEGIN_MS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
		    who_was_sent_to_is_known_for_ten_minutes, setup),
		cmocka_unit_test_setup(who_was_not_is_a_stranger_mostly, setup),
		cmocka_unit_test_setup(
		    all_are_strangers_again_after_twenty_minutes, setup),
		cmocka_unit_test_setup(
		    nobody_is_a_stranger_soon_after_the_start, setup),
		cmocka_unit_test_setup(
		    on_loopback_each_port_counts_alone, setup),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
