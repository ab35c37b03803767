/* What the daemon stands on: taken away, it is missed, and said how. */
#include "daemon/selftest.h"
#include "tests/support/daemon_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

static struct selftest_item item;

static bool
look(struct daemon_world *w, enum selftest_what what)
{
	selftest(&w->d, what, &item);
	assert_true(item.name && item.detail[0]);
	return item.ok;
}

static void
expect(struct daemon_world *w, enum selftest_what what, const char *says)
{
	assert_false(look(w, what));
	if (!strstr(item.detail, says))
		fail_msg("\"%s\" does not say \"%s\"", item.detail, says);
}

static void
a_daemon_at_work_is_well(void **state)
{
	struct daemon_world *w = *state;

	assert_true(look(w, SELFTEST_CLOCK));
	assert_true(look(w, SELFTEST_DISK));
	assert_true(look(w, SELFTEST_MEMORY));
	assert_true(look(w, SELFTEST_STORE));
	assert_non_null(strstr(item.detail, "looked through"));
	assert_true(look(w, SELFTEST_UDP));
	assert_non_null(strstr(item.detail, "IPv4"));
	daemon_drain(&w->d); /* what came in of it does no harm */
}

static void
names_are_sorted(void **state)
{
	struct daemon_world *w = *state;
	char last[32] = "";

	for (unsigned i = 0; i < SELFTESTS; i++) {
		(void)look(w, (enum selftest_what)i);
		assert_true(strcmp(last, item.name) < 0);
		(void)snprintf(last, sizeof(last), "%s", item.name);
	}
}

static void
what_lacks_is_said(void **state)
{
	struct daemon_world *w = *state;
	struct rlimit core = { 1, 1 };

	expect(w, SELFTEST_DHT, "none of 0 nodes");
	w->d.now.wall_ms = 1000;
	expect(w, SELFTEST_CLOCK, "set it");
	w->d.config.disk_reserve_mib = UINT32_MAX;
	expect(w, SELFTEST_DISK, "less than disk-reserve");
	w->d.config.sandbox = CONFINE_OFF;
	expect(w, SELFTEST_SANDBOX, "switched off");
	w->d.config.sandbox = CONFINE_COMPAT;
	w->d.confined = (struct confined){ .files = true };
	expect(w, SELFTEST_SANDBOX, "missing: system calls");
	w->d.confined.calls = true;
	assert_true(look(w, SELFTEST_SANDBOX));
	w->d.undumpable = false;
	expect(w, SELFTEST_CORES, "LimitCORE");
	w->d.undumpable = true;
	(void)getrlimit(RLIMIT_CORE, &core);
	assert_int_equal(look(w, SELFTEST_CORES), core.rlim_cur == 0);
}

static void
without_a_node_nothing_is_written(void **state)
{
	struct daemon_world *w = *state;
	struct node *node = w->d.node;

	w->d.node = NULL;
	expect(w, SELFTEST_STORE, "cannot be written");
	expect(w, SELFTEST_DHT, "none of 0 nodes");
	w->d.node = node;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, daemon_world_begin, daemon_world_end)
		T(a_daemon_at_work_is_well),
		T(names_are_sorted),
		T(what_lacks_is_said),
		T(without_a_node_nothing_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
