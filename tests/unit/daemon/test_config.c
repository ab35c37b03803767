/* Configuration: every mistake is named with its place; hostile input 45. */
#include "daemon/config.h"
#include "tests/support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	struct tempdir dir;
	struct config c;
	char path[300];
};

static int
begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->dir = tempdir_new();
	(void)snprintf(w->path, sizeof(w->path), "%s/test.conf", w->dir.path);
	(void)unsetenv("STATE_DIRECTORY");
	(void)unsetenv("CONFIGURATION_DIRECTORY");
	(void)unsetenv("XDG_CONFIG_HOME");
	(void)setenv("XDG_STATE_HOME", "/st", 1);
	(void)setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	(void)setenv("HOME", w->dir.path, 1);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	tempdir_free(&w->dir);
	free(w);
	return 0;
}

/* Loads the file with two more arguments (NULL: none). */
static enum err
load(struct world *w, const char *a, const char *b)
{
	char *argv[] = { (char *)(uintptr_t) "btchatd",
		(char *)(uintptr_t) "--config", w->path, (char *)(uintptr_t)a,
		(char *)(uintptr_t)b, NULL };

	return config_load(&w->c, 3 + (a != NULL) + (b != NULL), argv);
}

static enum err
load_text(struct world *w, const char *text)
{
	file_put(w->path, text, strlen(text));
	assert_int_equal(chmod(w->path, 0600), 0);
	return load(w, NULL, NULL);
}

static void
expect_error(
    struct world *w, const char *text, const char *place, const char *why)
{
	char want[400];

	assert_int_equal(load_text(w, text), ERR_MALFORMED);
	(void)snprintf(want, sizeof(want), "%s%s", w->path, place);
	if (strncmp(w->c.error, want, strlen(want)) != 0)
		fail_msg("\"%s\" does not begin with \"%s\"", w->c.error, want);
	if (!strstr(w->c.error, why))
		fail_msg("\"%s\" does not say \"%s\"", w->c.error, why);
}

static void
a_good_file_is_taken_over(void **state)
{
	struct world *w = *state;
	struct config_item item;

	assert_int_equal(load_text(w, "# comment\n\n"
	                              "listen = 127.0.0.1:4000\r\n"
	                              "  listen=[::1]:4000  \n"
	                              "bootstrap = router.example:6881\n"
	                              "bootstrap = 192.0.2.1:6881\n"
	                              "log-level = debug\n"
	                              "log-addresses = yes\n"
	                              "event-rows = 5000\n"
	                              "cells-min = 20\n"
	                              "dht = overlay\n"
	                              "overlay-announce = no\n"
	                              "state = /a = b"),
	    ERR_OK);
	assert_int_equal(w->c.n_listen, 2);
	assert_int_equal(w->c.listen[1].port, 4000);
	assert_int_equal(w->c.n_bootstrap, 2);
	assert_string_equal(w->c.bootstrap[0], "router.example:6881");
	assert_int_equal(w->c.dht, NODE_OVERLAY);
	assert_false(w->c.overlay_announce);
	assert_int_equal(w->c.cells_min, 20);
	assert_int_equal(w->c.log_level, LOG_DEBUG);
	assert_true(w->c.log_addresses);
	assert_int_equal(w->c.event_rows, 5000);
	assert_int_equal(w->c.event_days, 30);
	assert_string_equal(w->c.state, "/a = b");
	assert_string_equal(w->c.socket, "/run/user/7/btchatd/control.sock");
	config_item(&w->c, CONFIG_KEY_LISTEN, &item);
	assert_string_equal(item.value, "127.0.0.1:4000\n[::1]:4000");
	assert_string_equal(item.source, "file");
	config_item(&w->c, CONFIG_KEY_EVENT_DAYS, &item);
	assert_string_equal(item.source, "default");
	assert_string_equal(item.value, "30");
	assert_false(item.restart_needed);
}

static void
every_mistake_names_its_line(void **state)
{
	struct world *w = *state;

	expect_error(w, "", ":1: ", "is empty");
	expect_error(w, "\n\nlog-level = loud\n", ":3: ", "loud");
	expect_error(
	    w, "log-leve = debug\n", ":1: ", "did you mean log-level?");
	expect_error(w, "#\nnonsense-altogether-xyz = 1\n", ":2: ", "unknown");
	expect_error(w, "just words\n", ":1: ", "key = value");
	expect_error(w, "= 5\n", ":1: ", "unknown key");
	expect_error(
	    w, "event-rows = 18446744073709551616\n", ":1: ", "too large");
	expect_error(
	    w, "event-rows = 99999999999999999999999\n", ":1: ", "too large");
	expect_error(w, "event-rows = -1\n", ":1: ", "whole number");
	expect_error(w, "event-rows = 0x10\n", ":1: ", "whole number");
	expect_error(w, "event-rows =\n", ":1: ", "missing");
	expect_error(w, "listen = 127.0.0.1\n", ":1: ", "ADDRESS:PORT");
	expect_error(w, "listen = 127.0.0.1:65536\n", ":1: ", "ADDRESS:PORT");
	expect_error(w, "listen = localhost:1\n", ":1: ", "ADDRESS:PORT");
	expect_error(w, "listen = 127.0.0.1:1\nlisten = 127.0.0.2:1\n",
	    ":2: ", "one address a family");
	expect_error(w, "bootstrap = nowhere\n", ":1: ", "HOST:PORT");
	expect_error(w, "bootstrap = host:0\n", ":1: ", "HOST:PORT");
	expect_error(
	    w, "dht = plain\n", ":1: ", "not mixed, overlay or mainline");
	expect_error(w, "log-addresses = maybe\n", ":1: ", "yes nor no");
	expect_error(w, "state =\n", ":1: ", "missing");
	expect_error(
	    w, "log-level = info\nlog-level = info\n", ":2: ", "twice");
	expect_error(w,
	    "log-level = in\x01"
	    "fo\n",
	    ":1: ", "control");
}

static void
a_file_that_cannot_be_one_is_refused(void **state)
{
	static const char nul[] = "log-level = info\nlog\0level = info\n";
	struct world *w = *state;
	size_t n = 10 * 1024 * 1024;
	char *line = malloc(n);

	assert_int_equal(load(w, NULL, NULL), ERR_MALFORMED); /* missing */
	assert_non_null(strstr(w->c.error, w->path));
	assert_int_equal(mkdir(w->path, 0700), 0);
	assert_int_equal(load(w, NULL, NULL), ERR_MALFORMED);
	assert_non_null(strstr(w->c.error, "not a regular file"));
	assert_int_equal(rmdir(w->path), 0);
	assert_int_equal(mkfifo(w->path, 0600), 0); /* and does not hang */
	assert_int_equal(load(w, NULL, NULL), ERR_MALFORMED);
	assert_int_equal(unlink(w->path), 0);
	file_put(w->path, nul, sizeof(nul) - 1);
	assert_int_equal(chmod(w->path, 0600), 0);
	assert_int_equal(load(w, NULL, NULL), ERR_MALFORMED);
	assert_non_null(strstr(w->c.error, ":2: a NUL byte"));
	memset(line, 'x', n);
	file_put(w->path, line, n);
	assert_int_equal(load(w, NULL, NULL), ERR_MALFORMED);
	assert_non_null(strstr(w->c.error, ":1: line too long"));
	memset(line, '\n', n);
	file_put(w->path, line, n);
	assert_int_equal(load(w, NULL, NULL), ERR_MALFORMED);
	assert_non_null(strstr(w->c.error, "file too long"));
	assert_int_equal(load_text(w, "log-level = info\n"), ERR_OK);
	assert_int_equal(chmod(w->path, 0666), 0);
	assert_int_equal(load(w, NULL, NULL), ERR_MALFORMED);
	assert_non_null(strstr(w->c.error, "others may write"));
	free(line);
}

static void
the_command_line_wins(void **state)
{
	struct world *w = *state;
	struct config_item item;

	file_put(w->path, "log-level = err\nbootstrap = a:1\n", 32);
	assert_int_equal(chmod(w->path, 0600), 0);
	assert_int_equal(
	    load(w, "--set=log-level=debug", "--bootstrap=b:2"), ERR_OK);
	assert_int_equal(w->c.log_level, LOG_DEBUG);
	assert_int_equal(w->c.n_bootstrap, 1);
	assert_string_equal(w->c.bootstrap[0], "b:2");
	config_item(&w->c, CONFIG_KEY_LOG_LEVEL, &item);
	assert_string_equal(item.source, "command-line");
	assert_int_equal(load(w, "--set=log-leve=1", NULL), ERR_MALFORMED);
	assert_non_null(strstr(w->c.error, "command line"));
	assert_int_equal(load(w, "--set=nothing", NULL), ERR_MALFORMED);
	assert_int_equal(load(w, "--listen=x:1", NULL), ERR_MALFORMED);
	assert_int_equal(load(w, "--check-config", NULL), ERR_OK);
	assert_true(w->c.check_only);
}

static void
the_environment_gives_the_defaults(void **state)
{
	struct world *w = *state;

	assert_int_equal(load_text(w, "#\n"), ERR_OK);
	assert_string_equal(w->c.state, "/st/btchat");
	(void)unsetenv("XDG_STATE_HOME");
	(void)setenv("HOME", "/home/u", 1);
	assert_int_equal(load_text(w, "#\n"), ERR_OK);
	assert_string_equal(w->c.state, "/home/u/.local/state/btchat");
	(void)unsetenv("XDG_RUNTIME_DIR");
	assert_int_equal(load_text(w, "#\n"), ERR_OK);
	assert_string_equal(
	    w->c.socket, "/home/u/.local/state/btchat/control.sock");
	(void)setenv("STATE_DIRECTORY", "/var/lib/btchatd:/other", 1);
	assert_int_equal(load_text(w, "#\n"), ERR_OK);
	assert_string_equal(w->c.state, "/var/lib/btchatd");
	assert_string_equal(w->c.socket, "/run/btchatd/control.sock");
	(void)unsetenv("STATE_DIRECTORY");
	(void)unsetenv("HOME");
	assert_int_equal(load_text(w, "#\n"), ERR_MALFORMED);
	assert_non_null(strstr(w->c.error, "--state"));
}

static void
a_reload_takes_what_may_change_and_keeps_the_rest(void **state)
{
	struct world *w = *state;
	static struct config_item item;
	static struct config next;

	assert_int_equal(
	    load_text(w, "log-level = err\nstate = /one\n"), ERR_OK);
	/* argv of load() is gone: give one that stays. */
	char *argv[] = { (char *)(uintptr_t) "btchatd",
		(char *)(uintptr_t) "--config", w->path, NULL };
	w->c.argv = argv;
	w->c.argc = 3;
	file_put(w->path,
	    "log-level = debug\nread-receipts = yes\nstate = /two\n", 51);
	assert_int_equal(config_reload(&w->c, &next), ERR_OK);
	assert_string_equal(next.state, "/two");
	assert_int_equal(w->c.log_level, LOG_DEBUG);
	assert_true(w->c.read_receipts);
	config_item(&w->c, CONFIG_KEY_READ_RECEIPTS, &item);
	assert_string_equal(item.source, "file");
	config_item(&w->c, CONFIG_KEY_STATE, &item);
	assert_string_equal(item.value, "/one");
	assert_string_equal(w->c.state, "/one");
	file_put(w->path, "log-level = wrong\n", 18);
	assert_int_equal(config_reload(&w->c, &next), ERR_MALFORMED);
	assert_int_equal(w->c.log_level, LOG_DEBUG);
	assert_non_null(strstr(w->c.error, ":1: "));
}

/* A state directory whose settings are these. */
static const char *
state_with(struct world *w, const char *settings)
{
	static char option[300];
	char path[300];

	(void)snprintf(path, sizeof(path), "%s/settings.conf", w->dir.path);
	file_put(path, settings, strlen(settings));
	assert_int_equal(chmod(path, 0600), 0);
	(void)snprintf(option, sizeof(option), "--state=%s", w->dir.path);
	return option;
}

static void
settings_stand_between_the_file_and_the_command_line(void **state)
{
	struct world *w = *state;
	static struct config_item item;
	static const char file[] = "log-level = err\n"
	                           "event-days = 5\n"
	                           "bootstrap = a.example:1\n"
	                           "bootstrap = b.example:1\n"
	                           "upnp = no\n";

	file_put(w->path, file, sizeof(file) - 1);
	assert_int_equal(chmod(w->path, 0600), 0);
	assert_int_equal(
	    load(w,
	        state_with(w, "# x\nbootstrap = c.example:1\n"
	                      "log-level = debug\nevent-days = 6\n"),
	        "--set=log-level=info"),
	    ERR_OK);
	assert_int_equal(w->c.log_level, LOG_INFO);
	assert_int_equal(w->c.event_days, 6);
	assert_false(w->c.upnp);
	config_item(&w->c, CONFIG_KEY_BOOTSTRAP, &item);
	assert_string_equal(item.value, "c.example:1");
	assert_string_equal(item.source, "setting");
	config_item(&w->c, CONFIG_KEY_LOG_LEVEL, &item);
	assert_string_equal(item.source, "command-line");
	config_item(&w->c, CONFIG_KEY_UPNP, &item);
	assert_string_equal(item.source, "file");
}

static void
a_wrong_setting_names_its_line(void **state)
{
	static const struct {
		const char *text, *why;
	} cases[] = {
		{ "#\nsandbox = off\n", "settings.conf:2: this key is no" },
		{ "#\nsocket = /x\n", "settings.conf:2: this key is no" },
		{ "#\nstate = /x\n", "settings.conf:2: this key is no" },
		{ "upnp = x\n", "settings.conf:1: \"x\" is neither" },
		{ "upnp = no\nupnp = no\n", "settings.conf:2: the key is" },
		{ "event-dayz = 1\n", "did you mean event-days?" },
		{ "", "is empty" },
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		file_put(w->path, "#\n", 2);
		assert_int_equal(chmod(w->path, 0600), 0);
		assert_int_equal(
		    load(w, state_with(w, cases[i].text), NULL), ERR_MALFORMED);
		if (!strstr(w->c.error, cases[i].why))
			fail_msg("\"%s\" does not say \"%s\"", w->c.error,
			    cases[i].why);
	}
}

static void
the_table_is_sorted_and_complete(void **state)
{
	struct world *w = *state;
	static struct config_item a, b;

	assert_int_equal(load_text(w, "#\n"), ERR_OK);
	for (unsigned i = 0; i + 1 < CONFIG_KEYS; i++) {
		config_item(&w->c, (enum config_key)i, &a);
		config_item(&w->c, (enum config_key)(i + 1), &b);
		assert_true(strcmp(a.name, b.name) < 0);
		assert_int_equal(config_find(a.name), i);
	}
	assert_int_equal(config_find("none"), CONFIG_KEYS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(a_good_file_is_taken_over),
		T(every_mistake_names_its_line),
		T(a_file_that_cannot_be_one_is_refused),
		T(the_command_line_wins),
		T(the_environment_gives_the_defaults),
		T(a_reload_takes_what_may_change_and_keeps_the_rest),
		T(settings_stand_between_the_file_and_the_command_line),
		T(a_wrong_setting_names_its_line),
		T(the_table_is_sorted_and_complete),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
