/* Hostile input 47: one daemon a state directory, and nobody else's. */
#include "daemon/statedir.h"
#include "tests/support/tempdir.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	struct tempdir dir;
	char path[300];
	char why[STATEDIR_WHY_SIZE];
};

static int
begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->dir = tempdir_new();
	(void)snprintf(
	    w->path, sizeof(w->path), "%s/share/deep/btchat", w->dir.path);
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
it_is_made_for_its_owner_alone(void **state)
{
	struct world *w = *state;
	struct stat st;
	int fd = -1;

	assert_int_equal(statedir_open(w->path, &fd, w->why), ERR_OK);
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0700);
	statedir_close(fd);
}

static void
a_second_one_is_told_who_holds_it(void **state)
{
	struct world *w = *state;
	char pid[32];
	int fd = -1;
	int second = -1;

	(void)snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
	assert_int_equal(statedir_open(w->path, &fd, w->why), ERR_OK);
	assert_int_equal(statedir_open(w->path, &second, w->why), ERR_EXISTS);
	assert_non_null(strstr(w->why, pid));
	statedir_close(fd);
	assert_int_equal(statedir_open(w->path, &second, w->why), ERR_OK);
	statedir_close(second);
}

static void
one_that_others_write_or_own_is_refused(void **state)
{
	struct world *w = *state;
	int fd = -1;

	assert_int_equal(statedir_open(w->path, &fd, w->why), ERR_OK);
	statedir_close(fd);
	assert_int_equal(chmod(w->path, 0770), 0);
	assert_int_equal(statedir_open(w->path, &fd, w->why), ERR_STATE);
	assert_non_null(strstr(w->why, "chmod 700"));
	assert_int_equal(chmod(w->path, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(w->path, 12345, 12345), 0);
		assert_int_equal(
		    statedir_open(w->path, &fd, w->why), ERR_STATE);
		assert_non_null(strstr(w->why, "another user"));
	}
}

static void
what_is_no_directory_is_refused(void **state)
{
	struct world *w = *state;
	int fd = -1;

	(void)snprintf(w->path, sizeof(w->path), "%s/file", w->dir.path);
	file_put(w->path, "x", 1);
	assert_int_equal(statedir_open(w->path, &fd, w->why), ERR_IO);
	assert_int_equal(statedir_open("", &fd, w->why), ERR_TOO_LONG);
	(void)snprintf(w->path, sizeof(w->path), "%s/file/below", w->dir.path);
	assert_int_equal(statedir_open(w->path, &fd, w->why), ERR_IO);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(it_is_made_for_its_owner_alone),
		T(a_second_one_is_told_who_holds_it),
		T(one_that_others_write_or_own_is_refused),
		T(what_is_no_directory_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
