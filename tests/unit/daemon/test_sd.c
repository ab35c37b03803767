/* What passes between the daemon and a service manager. */
#include "daemon/journal.h"
#include "daemon/log.h"
#include "daemon/sd.h"
#include "tests/support/tempdir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	struct tempdir dir;
	int manager; /* reads what is notified */
};

static int
begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	const char *path;

	w->dir = tempdir_new();
	path = tempdir_file(&w->dir, "notify");
	assert_true(strlen(path) < sizeof(un.sun_path));
	memcpy(un.sun_path, path, strlen(path) + 1);
	w->manager = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	assert_true(w->manager >= 0);
	assert_int_equal(
	    bind(w->manager, (struct sockaddr *)&un, sizeof(un)), 0);
	(void)setenv("NOTIFY_SOCKET", un.sun_path, 1);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	(void)unsetenv("NOTIFY_SOCKET");
	(void)unsetenv("CREDENTIALS_DIRECTORY");
	(void)close(w->manager);
	tempdir_free(&w->dir);
	free(w);
	return 0;
}

static void
expect(const struct world *w, const char *want)
{
	char got[512] = "";

	assert_true(recv(w->manager, got, sizeof(got) - 1, MSG_DONTWAIT) > 0);
	assert_memory_equal(got, want, strlen(want));
}

static void
the_manager_hears_each_state(void **state)
{
	struct world *w = *state;

	assert_true(sd_has_manager());
	sd_ready();
	expect(w, "READY=1");
	sd_status("online, 214 nodes");
	expect(w, "STATUS=online, 214 nodes");
	sd_watchdog();
	expect(w, "WATCHDOG=1");
	sd_reloading();
	expect(w, "RELOADING=1\nMONOTONIC_USEC=");
	sd_stopping();
	expect(w, "STOPPING=1");
	sd_failed(5);
	expect(w, "ERRNO=5");
}

/* It stopped the whole daemon once, a minute after the last read. */
static void
a_manager_that_does_not_read_stops_nothing(void **state)
{
	struct world *w = *state;
	char got[64];
	int n = 0;

	for (int i = 0; i < 10000; i++)
		sd_status("still here");
	sd_watchdog();
	sd_stopping();
	while (recv(w->manager, got, sizeof(got), MSG_DONTWAIT) > 0)
		n++;
	assert_true(n > 0 && n < 10000);
}

/* Hostile input 48. */
static void
a_bad_notify_socket_does_no_harm(void **state)
{
	(void)state;
	(void)setenv("NOTIFY_SOCKET", "/nowhere/at/all", 1);
	sd_ready();
	(void)setenv("NOTIFY_SOCKET", "not a path", 1);
	sd_ready();
	(void)unsetenv("NOTIFY_SOCKET");
	assert_false(sd_has_manager());
	sd_ready();
}

static void
the_watchdog_is_fed_three_times_an_interval(void **state)
{
	char pid[16];

	(void)state;
	assert_int_equal(sd_watchdog_ms(), 0);
	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	(void)setenv("WATCHDOG_PID", pid, 1);
	(void)setenv("WATCHDOG_USEC", "30000000", 1);
	assert_int_equal(sd_watchdog_ms(), 10000);
	(void)unsetenv("WATCHDOG_PID");
	(void)unsetenv("WATCHDOG_USEC");
}

static void
a_credential_is_read_whole_or_not_at_all(void **state)
{
	struct world *w = *state;
	char buf[16];
	size_t n = 0;

	assert_int_equal(
	    sd_credential("passphrase", buf, sizeof(buf), &n), ERR_NOT_FOUND);
	(void)setenv("CREDENTIALS_DIRECTORY", w->dir.path, 1);
	assert_int_equal(
	    sd_credential("passphrase", buf, sizeof(buf), &n), ERR_NOT_FOUND);
	file_put(tempdir_file(&w->dir, "passphrase"), "secret\n", 7);
	assert_int_equal(
	    sd_credential("passphrase", buf, sizeof(buf), &n), ERR_OK);
	assert_int_equal(n, 7);
	assert_memory_equal(buf, "secret\n", 7);
	file_put(tempdir_file(&w->dir, "passphrase"), "0123456789abcdef", 16);
	assert_int_equal(
	    sd_credential("passphrase", buf, sizeof(buf), &n), ERR_TOO_LONG);
}

/* In a process of its own, where descriptors 3 and 4 are free to be ours. */
static int
take_in_child(void)
{
	struct sd_fds fds;
	char pid[16];

	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	(void)setenv("LISTEN_PID", pid, 1);
	(void)setenv("LISTEN_FDS", "3", 1);
	(void)setenv("LISTEN_FDNAMES", "control:readonly:other", 1);
	for (int fd = 3; fd <= 5; fd++)
		if (dup2(0, fd) != fd)
			return 10;
	if (sd_take_fds(&fds) || fds.n != 3)
		return 11;
	if (getenv("LISTEN_FDS"))
		return 12;
	if (sd_fd_named(&fds, "ro") != -1) /* whole names only */
		return 13;
	if (sd_fd_named(&fds, "readonly") != 4)
		return 14;
	if (sd_fd_named(&fds, "readonly") != -1) /* it is gone */
		return 17;
	if (sd_fd_named(&fds, "control") != 3 ||
	    !(fcntl(3, F_GETFD) & FD_CLOEXEC))
		return 15;
	sd_close_rest(&fds);
	if (fcntl(5, F_GETFD) != -1 || fcntl(4, F_GETFD) == -1)
		return 16;
	return 0;
}

static void
sockets_are_taken_by_their_whole_name(void **state)
{
	int status = 0;
	pid_t pid = fork();

	(void)state;
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(take_in_child());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void
a_line_of_the_journal_has_fields(void **state)
{
	char buf[JOURNAL_MAX_BYTES];
	char id[JOURNAL_ID_SIZE];
	size_t n = journal_format(
	    6, "session-up", "kind=x peer=abcdefgh: it speer=no", buf);

	(void)state;
	journal_id("session-up", id);
	assert_int_equal(strlen(id), JOURNAL_ID_SIZE - 1);
	assert_true(n > 0 && n == strlen(buf));
	assert_non_null(strstr(buf, "MESSAGE=session-up: kind=x peer="));
	assert_non_null(strstr(buf, "\nPRIORITY=6\n"));
	assert_non_null(strstr(buf, "\nBTCHAT_EVENT=session-up\n"));
	assert_non_null(strstr(buf, "\nBTCHAT_PEER=abcdefgh\n"));
	assert_non_null(strstr(buf, id));
	assert_null(strstr(buf, "BTCHAT_INCIDENT"));
}

static void
what_does_not_fit_the_journal_goes_another_way(void **state)
{
	char text[JOURNAL_MAX_BYTES];
	char buf[JOURNAL_MAX_BYTES];

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(journal_format(6, "started", text, buf), 0);
}

static void
a_stream_of_another_is_not_the_journal(void **state)
{
	(void)state;
	assert_int_equal(setenv("JOURNAL_STREAM", "1:1", 1), 0);
	assert_false(journal_is_there());
	assert_int_equal(unsetenv("JOURNAL_STREAM"), 0);
	assert_false(journal_is_there());
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(the_manager_hears_each_state),
		T(a_manager_that_does_not_read_stops_nothing),
		T(a_bad_notify_socket_does_no_harm),
		T(a_line_of_the_journal_has_fields),
		T(what_does_not_fit_the_journal_goes_another_way),
		T(a_stream_of_another_is_not_the_journal),
		T(the_watchdog_is_fed_three_times_an_interval),
		T(a_credential_is_read_whole_or_not_at_all),
		T(sockets_are_taken_by_their_whole_name),
	};

	log_init(LOG_ERR, false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
