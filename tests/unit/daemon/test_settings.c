/* Settings made while running: durable, in their place, and nothing else. */
#include "daemon/settings.h"
#include "tests/support/daemon_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static char why[CONFIG_ERROR_SIZE];

static void
expect_edit(const char *old, const char *values, const char *want)
{
	char *text = NULL;
	size_t n = 0;

	assert_int_equal(
	    settings_edit(span_str(old), "listen", values, &text, &n), ERR_OK);
	if (n != strlen(want) || memcmp(text, want, n) != 0)
		fail_msg("\"%.*s\" is not \"%s\"", (int)n, text, want);
	free(text);
}

static void
lines_of_others_stay_as_they_are(void **state)
{
	(void)state;
	expect_edit("# a\n", "1", "# a\nlisten = 1\n");
	expect_edit("# a", "1", "# a\nlisten = 1\n");
	expect_edit("a=1\nlisten=2\n\n #c\nb=1\n", " 3 ",
	    "a=1\nlisten = 3\n\n #c\nb=1\n");
	expect_edit("listen = 1\nb = 2\n\tlisten\t= 2", "5\n6\n7",
	    "listen = 5\nlisten = 6\nlisten = 7\nb = 2\n");
	expect_edit("# listen = 1\nlistens = 2\nlisten\n", "3",
	    "# listen = 1\nlistens = 2\nlisten\nlisten = 3\n");
	expect_edit("a=1\nlisten=2\nb=3\n", NULL, "a=1\nb=3\n");
	expect_edit("# a\n", NULL, "# a\n");
}

static void
a_file_without_settings_is_not_empty(void **state)
{
	char *text = NULL;
	size_t n = 0;

	(void)state;
	assert_int_equal(
	    settings_edit(span_str("listen = 1\n"), "listen", NULL, &text, &n),
	    ERR_OK);
	assert_true(n > 2 && text[0] == '#' && text[n - 1] == '\n');
	free(text);
}

static enum api_error
set(struct daemon_world *w, enum config_key key, const char *values)
{
	enum api_error code = settings_set(&w->d, key, values, why);

	daemon_drain(&w->d);
	return code;
}

static const char *
source_of(struct daemon_world *w, enum config_key key)
{
	static struct config_item item;

	config_item(&w->d.config, key, &item);
	return item.source;
}

static void
what_can_change_changes_at_once_and_stays(void **state)
{
	struct daemon_world *w = *state;
	int64_t head = w->d.event_head;

	assert_int_equal(set(w, CONFIG_KEY_EVENT_DAYS, "7"), API_OK);
	assert_int_equal(w->d.config.event_days, 7);
	assert_string_equal(source_of(w, CONFIG_KEY_EVENT_DAYS), "setting");
	assert_string_equal(daemon_world_events(w, head), "config.changed");
	assert_int_equal(set(w, CONFIG_KEY_EVENT_DAYS, "7"), API_OK);
	assert_string_equal(daemon_world_events(w, head), "config.changed");
	daemon_world_stop(w);
	assert_true(daemon_world_start(w));
	assert_int_equal(w->d.config.event_days, 7);
	assert_int_equal(set(w, CONFIG_KEY_EVENT_DAYS, NULL), API_OK);
	assert_int_equal(w->d.config.event_days, 30);
	assert_string_equal(source_of(w, CONFIG_KEY_EVENT_DAYS), "default");
	daemon_world_stop(w);
	assert_true(daemon_world_start(w));
	assert_int_equal(w->d.config.event_days, 30);
}

static void
what_cannot_change_waits_for_a_restart(void **state)
{
	struct daemon_world *w = *state;

	assert_int_equal(set(w, CONFIG_KEY_UPNP, "no"), API_OK);
	assert_int_equal(
	    set(w, CONFIG_KEY_BOOTSTRAP, "192.0.2.1:1\n192.0.2.2:2"), API_OK);
	assert_true(w->d.config.upnp);
	assert_false(settings_next(&w->d)->upnp);
	assert_int_equal(settings_next(&w->d)->n_bootstrap, 2);
	assert_int_equal(w->d.config.n_bootstrap, 0);
	assert_int_equal(settings_reload(&w->d), ERR_OK);
	assert_true(w->d.config.upnp);
	assert_false(settings_next(&w->d)->upnp);
	daemon_world_stop(w);
	assert_true(daemon_world_start(w));
	assert_false(w->d.config.upnp);
	assert_int_equal(w->d.config.n_bootstrap, 2);
	assert_string_equal(source_of(w, CONFIG_KEY_BOOTSTRAP), "setting");
}

static void
expect_refused(struct daemon_world *w, enum config_key key, const char *values,
    enum api_error code, const char *reason)
{
	assert_int_equal(set(w, key, values), code);
	if (!strstr(why, reason))
		fail_msg("\"%s\" does not say \"%s\"", why, reason);
}

static void
a_wrong_value_says_why_and_changes_nothing(void **state)
{
	struct daemon_world *w = *state;
	const enum api_error bad = API_INVALID_PARAMS;
	int64_t head = w->d.event_head;

	expect_refused(w, CONFIG_KEY_UPNP, "perhaps", bad,
	    "\"perhaps\" is neither yes nor no");
	expect_refused(w, CONFIG_KEY_UPNP, "", bad, "is missing");
	expect_refused(w, CONFIG_KEY_UPNP, "yes\nno", bad, "more than one");
	expect_refused(w, CONFIG_KEY_UPNP, "yes\x1b[m", bad, "control");
	expect_refused(
	    w, CONFIG_KEY_EVENT_DAYS, "36501", bad, "too large, at most 36500");
	expect_refused(w, CONFIG_KEY_LISTEN, "127.0.0.1:1", API_INVALID_STATE,
	    "command line");
	expect_refused(w, CONFIG_KEY_BOOTSTRAP, "a:1\n\nb:1", bad, "HOST:PORT");
	expect_refused(w, CONFIG_KEY_LOG_LEVEL, "debug", API_INVALID_STATE,
	    "command line");
	expect_refused(w, CONFIG_KEY_SANDBOX, "off", bad, "only the file");
	expect_refused(w, CONFIG_KEY_STATE, "/x", bad, "only the file");
	expect_refused(w, CONFIG_KEY_SOCKET, NULL, bad, "only the file");
	assert_string_equal(daemon_world_events(w, head), "");
	assert_ptr_equal(settings_next(&w->d), &w->d.config);
	assert_int_equal(set(w, CONFIG_KEY_LOG_LEVEL, NULL), API_OK);
}

/* What people wrote into it, and what a crash left beside it. */
static void
comments_stay_and_remains_do_no_harm(void **state)
{
	struct daemon_world *w = *state;
	static const char mine[] = "# why\nupnp = no\n";
	char path[CONFIG_VALUE_MAX + 32];
	uint8_t *text;
	size_t n;

	(void)snprintf(
	    path, sizeof(path), "%s/settings.conf.new", w->d.config.state);
	file_put(path, "half a li", 9);
	(void)snprintf(
	    path, sizeof(path), "%s/settings.conf", w->d.config.state);
	file_put(path, mine, sizeof(mine) - 1);
	assert_int_equal(set(w, CONFIG_KEY_CELLS_MIN, "3"), API_OK);
	text = file_get(path, &n);
	assert_int_equal(n, strlen("# why\nupnp = no\ncells-min = 3\n"));
	assert_memory_equal(text, "# why\nupnp = no\ncells-min = 3\n", n);
	free(text);
	file_put(path, "nonsense\n", 9);
	expect_refused(
	    w, CONFIG_KEY_UPNP, "yes", API_INVALID_STATE, "settings.conf:1: ");
	assert_int_equal(settings_reload(&w->d), ERR_MALFORMED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_of_others_stay_as_they_are),
		cmocka_unit_test(a_file_without_settings_is_not_empty),
#define T(f) \
	cmocka_unit_test_setup_teardown(f, daemon_world_begin, daemon_world_end)
		T(what_can_change_changes_at_once_and_stays),
		T(what_cannot_change_waits_for_a_restart),
		T(a_wrong_value_says_why_and_changes_nothing),
		T(comments_stay_and_remains_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
