/* A suspend is seen in the clocks. This program's clock_gettime stands before
 * the library's. */
#include "daemon/clock.h"
#include "tests/support/daemon_world.h"

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { HOUR_S = 3600 };

static time_t slept_s;

/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

int
clock_gettime(clockid_t id, struct timespec *ts)
{
	int r = (int)syscall(SYS_clock_gettime, id, ts);

	if (id == CLOCK_BOOTTIME || id == CLOCK_REALTIME)
		ts->tv_sec += slept_s;
	return r;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */

static void
sleep_is_what_one_clock_does_not_count(void **state)
{
	uint64_t before = clock_asleep_ms();
	struct now now = clock_now();

	(void)state;
	slept_s = HOUR_S;
	assert_in_range(
	    clock_asleep_ms() - before, 3600 * 1000 - 999, 3600 * 1000 + 999);
	assert_true(clock_now().mono_ms >= now.mono_ms + 3600 * 1000);
	assert_true(clock_now().wall_ms >= now.wall_ms + 3600 * 1000);
	slept_s = 0;
}

static void
the_daemon_wakes_once(void **state)
{
	struct daemon_world *w = *state;
	struct daemon *d = &w->d;
	struct node_contact_info before, after;
	struct contact_id id = daemon_world_add(w, 1);
	uint64_t asleep;

	daemon_drain(d);
	daemon_wake(d);
	asleep = d->asleep_ms;
	assert_true(node_contact_get(d->node, &id, &before));
	slept_s = 8 * HOUR_S;
	daemon_wake(d);
	assert_true(d->asleep_ms >= asleep + UINT64_C(8 * 3600 * 1000) - 999);
	asleep = d->asleep_ms;
	daemon_drain(d);
	/* Whoever is not there is looked for anew. */
	assert_true(node_contact_get(d->node, &id, &after));
	assert_true(
	    after.next_lookup_ms >= before.next_lookup_ms + 3600 * 1000);
	daemon_wake(d);
	assert_int_equal(d->asleep_ms, asleep);
	slept_s = 0; /* no suspend is taken back */
	daemon_wake(d);
	assert_int_equal(d->asleep_ms, asleep);
}

static void
nothing_is_told_of_a_clock_that_goes_on(void **state)
{
	int fd = clock_watch();
	struct pollfd p = { .fd = fd, .events = POLLIN };

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(poll(&p, 1, 0), 0);
	clock_rewatch(fd);
	assert_int_equal(poll(&p, 1, 0), 0);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sleep_is_what_one_clock_does_not_count),
		cmocka_unit_test_setup_teardown(the_daemon_wakes_once,
		    daemon_world_begin, daemon_world_end),
		cmocka_unit_test(nothing_is_told_of_a_clock_that_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
