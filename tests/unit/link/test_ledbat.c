/* The yielding window alone: what one round does to it. How it lives with
 * others stands in test_share.c. */
#include "proto/link/ledbat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FULL = 1232, RTT_MS = 50, BASE_US = 50000 };

struct run {
	struct ledbat y;
	uint64_t now_ms;
};

/* A round in which the window was used up and the queue was that long. */
static void
go(struct run *r, uint64_t queue_us)
{
	r->now_ms += RTT_MS;
	ledbat_sent(&r->y, r->now_ms);
	ledbat_full(&r->y);
	ledbat_acked(&r->y, r->y.window, BASE_US + queue_us, RTT_MS, r->now_ms);
}

static void
begin(struct run *r)
{
	*r = (struct run){ .now_ms = 1000 };
	ledbat_init(&r->y, FULL);
	ledbat_sent(&r->y, r->now_ms);
}

/* In STEADY with a window of some 100 datagrams. */
static void
settle(struct run *r)
{
	begin(r);
	while (r->y.window < 100 * FULL)
		go(r, 0);
	go(r, LEDBAT_TARGET_US);
	while (r->y.state != LEDBAT_STEADY)
		go(r, 0);
	go(r, 0);
	assert_true(r->y.window > 50 * FULL);
}

static void
it_begins_small_and_grows_until_a_queue_shows(void **state)
{
	struct run r;
	uint64_t before;

	(void)state;
	begin(&r);
	assert_int_equal(r.y.window, LEDBAT_WINDOW_MIN * FULL);
	do {
		before = r.y.window;
		go(&r, 0);
		assert_int_equal(r.y.state, LEDBAT_START);
		assert_true(r.y.window > before);
		assert_true(r.y.window <= before * 2);
	} while (r.y.window < 100 * FULL);
	before = r.y.window;
	go(&r, LEDBAT_TARGET_US);
	/* At once it looks how long the path is without it. */
	assert_int_equal(r.y.state, LEDBAT_SLOW);
	assert_int_equal(r.y.window, LEDBAT_WINDOW_MIN * FULL);
	assert_true(r.y.threshold < before);
	for (unsigned i = 0; i < LEDBAT_SLOW_ROUNDS; i++)
		go(&r, 0);
	assert_int_equal(r.y.state, LEDBAT_START);
}

static void
it_holds_the_target(void **state)
{
	struct run r;
	uint64_t before;

	(void)state;
	settle(&r);
	before = r.y.window;
	go(&r, 0);
	assert_true(r.y.window > before);
	assert_true(r.y.window <= before + FULL); /* GAIN is at most 1 */
	go(&r, LEDBAT_TARGET_US);
	go(&r, LEDBAT_TARGET_US);
	before = r.y.window;
	go(&r, LEDBAT_TARGET_US);
	assert_int_equal(r.y.window, before);
	go(&r, LEDBAT_TARGET_US * 5 / 4);
	go(&r, LEDBAT_TARGET_US * 5 / 4);
	assert_true(r.y.window < before);
	assert_true(r.y.window >= before / 2);
}

/* The queue that made it shrink is still there a round later. */
static void
one_queue_makes_it_shrink_once(void **state)
{
	struct run r;
	uint64_t before, after;

	(void)state;
	settle(&r);
	go(&r, 100000);
	before = r.y.window;
	go(&r, 100000); /* both rounds that it remembers */
	after = r.y.window;
	assert_true(after < before && after >= before / 2);
	go(&r, 100000);
	assert_int_equal(r.y.window, after);
	go(&r, 100000);
	assert_true(r.y.window < after);
	for (unsigned i = 0; i < 40; i++)
		go(&r, 100000);
	assert_int_equal(r.y.window, LEDBAT_WINDOW_MIN * FULL);
}

static void
a_round_of_losses_halves_it_once(void **state)
{
	struct run r;
	uint64_t before;

	(void)state;
	settle(&r);
	before = r.y.window;
	for (unsigned i = 0; i < 10; i++)
		ledbat_lost(&r.y);
	go(&r, 0);
	assert_int_equal(r.y.window, before / 2);
	go(&r, 0);
	assert_true(r.y.window >= before / 2);
}

static void
what_does_not_use_it_does_not_widen_it(void **state)
{
	struct run r;
	uint64_t before;

	(void)state;
	settle(&r);
	before = r.y.window;
	for (unsigned i = 0; i < 20; i++) {
		r.now_ms += RTT_MS;
		ledbat_sent(&r.y, r.now_ms);
		ledbat_acked(&r.y, FULL, BASE_US, RTT_MS, r.now_ms);
	}
	assert_true(r.y.window <= before);
}

static void
it_slows_down_for_a_tenth_of_the_time(void **state)
{
	unsigned slow = 0, n = 2000;
	struct run r;

	(void)state;
	settle(&r);
	for (unsigned i = 0; i < n; i++) {
		go(&r, LEDBAT_TARGET_US / 2);
		slow += r.y.state != LEDBAT_STEADY;
	}
	assert_true(slow > n / 20);
	assert_true(slow < n / 5);
}

static void
after_a_rest_it_begins_small_again(void **state)
{
	struct run r;
	uint64_t before;

	(void)state;
	settle(&r);
	before = r.y.window;
	r.now_ms += LEDBAT_REST_MS - RTT_MS - 1;
	go(&r, 0);
	assert_true(r.y.window >= before);
	before = r.y.window;
	r.now_ms += 3600000;
	ledbat_sent(&r.y, r.now_ms);
	assert_int_equal(r.y.window, LEDBAT_WINDOW_MIN * FULL);
	for (unsigned i = 0; i < 12; i++)
		go(&r, 0);
	assert_true(r.y.window >= before); /* but comes back soon */
}

static void
a_longer_way_is_believed_after_ten_minutes(void **state)
{
	struct run r;

	(void)state;
	settle(&r);
	for (unsigned i = 0; i < LEDBAT_HISTORY * 60000 / RTT_MS / 2; i++)
		go(&r, 30000);
	assert_int_equal(ledbat_base_us(&r.y), BASE_US);
	for (unsigned i = 0; i < LEDBAT_HISTORY * 60000 / RTT_MS; i++)
		go(&r, 30000);
	assert_int_equal(ledbat_base_us(&r.y), BASE_US + 30000);
	assert_int_equal(ledbat_queue_us(&r.y), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_begins_small_and_grows_until_a_queue_shows),
		cmocka_unit_test(it_holds_the_target),
		cmocka_unit_test(one_queue_makes_it_shrink_once),
		cmocka_unit_test(a_round_of_losses_halves_it_once),
		cmocka_unit_test(what_does_not_use_it_does_not_widen_it),
		cmocka_unit_test(it_slows_down_for_a_tenth_of_the_time),
		cmocka_unit_test(after_a_rest_it_begins_small_again),
		cmocka_unit_test(a_longer_way_is_believed_after_ten_minutes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
