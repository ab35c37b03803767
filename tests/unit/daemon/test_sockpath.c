/* Hostile input 40: nobody puts a socket of his in the way of ours. */
#include "daemon/sockpath.h"
#include "tests/support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	struct tempdir dir;
	char path[300];
	char why[SOCKPATH_WHY_SIZE];
};

static int
begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->dir = tempdir_new();
	(void)snprintf(
	    w->path, sizeof(w->path), "%s/run/control.sock", w->dir.path);
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

static void
listen_ok(struct world *w, int *fd)
{
	if (sockpath_listen(w->path, fd, w->why))
		fail_msg("%s", w->why);
}

static void
expect(struct world *w, enum err err, const char *word)
{
	int fd = -1;

	assert_int_equal(sockpath_listen(w->path, &fd, w->why), err);
	if (!strstr(w->why, word))
		fail_msg("\"%s\" does not say \"%s\"", w->why, word);
}

static void
a_socket_is_for_its_owner_alone(void **state)
{
	struct world *w = *state;
	struct stat st;
	int fd = -1;

	listen_ok(w, &fd);
	assert_int_equal(stat(w->path, &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
	*strrchr(w->path, '/') = '\0';
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	(void)close(fd);
}

static void
a_dead_socket_is_replaced_and_a_live_one_is_not(void **state)
{
	struct world *w = *state;
	int fd = -1;
	int again = -1;

	listen_ok(w, &fd);
	expect(w, ERR_EXISTS, "listening");
	(void)close(fd);
	listen_ok(w, &again);
	sockpath_unlink(w->path, again);
	assert_int_equal(access(w->path, F_OK), -1);
	(void)close(again);
}

static void
what_is_not_our_socket_is_left_alone(void **state)
{
	struct world *w = *state;
	char target[300];
	int fd = -1;

	listen_ok(w, &fd);
	(void)close(fd);
	assert_int_equal(unlink(w->path), 0);
	(void)snprintf(target, sizeof(target), "%s/victim", w->dir.path);
	file_put(target, "keep", 4);
	assert_int_equal(symlink(target, w->path), 0);
	expect(w, ERR_STATE, "symbolic link");
	assert_int_equal(unlink(w->path), 0);
	assert_int_equal(symlink("/nowhere", w->path), 0);
	expect(w, ERR_STATE, "symbolic link");
	assert_int_equal(unlink(w->path), 0);
	file_put(w->path, "file", 4);
	expect(w, ERR_STATE, "no socket");
	assert_int_equal(access(target, F_OK), 0);
}

static void
a_socket_of_another_user_is_refused(void **state)
{
	struct world *w = *state;
	int fd = -1;

	if (geteuid() != 0)
		skip();
	listen_ok(w, &fd);
	(void)close(fd);
	assert_int_equal(lchown(w->path, 12345, 12345), 0);
	expect(w, ERR_STATE, "another user");
}

static void
a_directory_that_others_write_is_refused(void **state)
{
	struct world *w = *state;
	char dir[300];
	int fd = -1;

	listen_ok(w, &fd);
	(void)close(fd);
	(void)snprintf(dir, sizeof(dir), "%s/run", w->dir.path);
	assert_int_equal(chmod(dir, 0777), 0);
	expect(w, ERR_STATE, "others may write");
	assert_int_equal(chmod(dir, 01777), 0); /* as /tmp: sticky */
	listen_ok(w, &fd);
	(void)close(fd);
	if (geteuid() == 0) {
		assert_int_equal(chown(dir, 12345, 12345), 0);
		expect(w, ERR_STATE, "another user");
	}
}

static void
a_path_that_does_not_fit_is_refused(void **state)
{
	struct world *w = *state;

	memset(w->path, 'x', 200);
	w->path[0] = '/';
	w->path[200] = '\0';
	expect(w, ERR_TOO_LONG, "107");
	(void)snprintf(w->path, sizeof(w->path), "relative");
	expect(w, ERR_STATE, "not a path");
}

static void
only_its_own_socket_is_removed(void **state)
{
	struct world *w = *state;
	char other[300];
	int fd = -1;

	listen_ok(w, &fd);
	(void)snprintf(other, sizeof(other), "%s/other", w->dir.path);
	file_put(other, "x", 1);
	sockpath_unlink(other, fd);
	assert_int_equal(access(other, F_OK), 0);
	assert_int_equal(unlink(w->path), 0);
	file_put(w->path, "now a file", 10);
	sockpath_unlink(w->path, fd);
	assert_int_equal(access(w->path, F_OK), 0);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(a_socket_is_for_its_owner_alone),
		T(a_dead_socket_is_replaced_and_a_live_one_is_not),
		T(what_is_not_our_socket_is_left_alone),
		T(a_socket_of_another_user_is_refused),
		T(a_directory_that_others_write_is_refused),
		T(a_path_that_does_not_fit_is_refused),
		T(only_its_own_socket_is_removed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
