/* A file that is replaced is the old one or the new one, wherever the process
 * or the power ends; what it was before is overwritten. */
#include "daemon/file.h"
#include "tests/support/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { SIZE = 5000, CALLS_MAX = 40 };

static uint8_t old_bytes[SIZE], new_bytes[SIZE / 2];

/* ---- calls that change the disk, seen by --wrap ---- */

static unsigned calls;     /* so far */
static unsigned die_at;    /* the process ends before this one; 0: never */
static unsigned fail_at;   /* this one fails; 0: none */
static bool fail_dir_sync; /* so does each fsync of a directory */

ssize_t
real_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("__real_pwrite");
ssize_t
seen_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("__wrap_pwrite");
int real_fsync(int fd) __asm__("__real_fsync");
int seen_fsync(int fd) __asm__("__wrap_fsync");
int real_linkat(int a, const char *from, int b, const char *to,
    int flags) __asm__("__real_linkat");
int seen_linkat(int a, const char *from, int b, const char *to,
    int flags) __asm__("__wrap_linkat");
int real_renameat(int a, const char *from, int b, const char *to) __asm__(
    "__real_renameat");
int seen_renameat(int a, const char *from, int b, const char *to) __asm__(
    "__wrap_renameat");
int
real_unlinkat(int a, const char *name, int flags) __asm__("__real_unlinkat");
int
seen_unlinkat(int a, const char *name, int flags) __asm__("__wrap_unlinkat");

/* True: this call fails. */
static bool
count(void)
{
	calls++;
	if (calls == die_at)
		_exit(9);
	if (calls != fail_at)
		return false;
	errno = EIO;
	return true;
}

ssize_t
seen_pwrite(int fd, const void *p, size_t n, off_t at)
{
	if (count())
		return -1;
	/* In two halves: a write may be torn. */
	if (n > 1 && die_at == calls + 1)
		(void)real_pwrite(fd, p, n / 2, at);
	if (count())
		return -1;
	return real_pwrite(fd, p, n, at);
}

int
seen_fsync(int fd)
{
	struct stat st;

	if (count())
		return -1;
	if (fail_dir_sync && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		errno = EIO;
		return -1;
	}
	return real_fsync(fd);
}

int
seen_linkat(int a, const char *from, int b, const char *to, int flags)
{
	return count() ? -1 : real_linkat(a, from, b, to, flags);
}

int
seen_renameat(int a, const char *from, int b, const char *to)
{
	return count() ? -1 : real_renameat(a, from, b, to);
}

int
seen_unlinkat(int a, const char *name, int flags)
{
	return count() ? -1 : real_unlinkat(a, name, flags);
}

/* ---- the world ---- */

struct world {
	struct tempdir dir;
	int fd;
};

static int
begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	memset(old_bytes, 'o', sizeof(old_bytes));
	memset(new_bytes, 'n', sizeof(new_bytes));
	w->dir = tempdir_new();
	w->fd = open(w->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	file_put(tempdir_file(&w->dir, "f"), old_bytes, sizeof(old_bytes));
	calls = die_at = fail_at = 0;
	fail_dir_sync = false;
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	(void)close(w->fd);
	tempdir_free(&w->dir);
	free(w);
	return 0;
}

static bool
is(const struct world *w, const uint8_t *bytes, size_t n)
{
	size_t have = 0;
	uint8_t *p = file_get(tempdir_file(&w->dir, "f"), &have);
	bool same = have == n && memcmp(p, bytes, n) == 0;

	free(p);
	return same;
}

static bool
is_old(const struct world *w)
{
	return is(w, old_bytes, sizeof(old_bytes));
}

static bool
is_new(const struct world *w)
{
	return is(w, new_bytes, sizeof(new_bytes));
}

static bool
is_alone(const struct world *w)
{
	return access(tempdir_file(&w->dir, "f" FILE_ASIDE), F_OK) != 0 &&
	       access(tempdir_file(&w->dir, "f" FILE_OLD), F_OK) != 0;
}

/* What the blocks of a file that has no name any more hold. */
static bool
is_wiped(int fd)
{
	uint8_t b[SIZE];
	size_t n = 0;

	assert_int_equal(file_read(fd, 0, b, sizeof(b), &n), ERR_OK);
	for (size_t i = 0; i < n; i++)
		if (b[i] != 0)
			return false;
	return n == SIZE;
}

static enum err
replace(const struct world *w)
{
	return file_replace(w->fd, "f", span_of(new_bytes, sizeof(new_bytes)));
}

/* ---- tests ---- */

static void
the_old_bytes_are_overwritten(void **state)
{
	struct world *w = *state;
	int old = open(tempdir_file(&w->dir, "f"), O_RDONLY | O_CLOEXEC);
	struct stat st;

	assert_int_equal(replace(w), ERR_OK);
	assert_true(is_new(w) && is_alone(w) && is_wiped(old));
	assert_int_equal(stat(tempdir_file(&w->dir, "f"), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	(void)close(old);
}

static void
what_has_another_name_keeps_its_bytes(void **state)
{
	struct world *w = *state;
	size_t n = 0;
	uint8_t *p;

	assert_int_equal(
	    link(tempdir_file(&w->dir, "f"), tempdir_file(&w->dir, "copy")), 0);
	assert_int_equal(replace(w), ERR_OK);
	p = file_get(tempdir_file(&w->dir, "copy"), &n);
	assert_int_equal(n, sizeof(old_bytes));
	assert_memory_equal(p, old_bytes, n);
	free(p);
}

static void
nothing_is_made_where_nothing_was(void **state)
{
	struct world *w = *state;

	assert_int_equal(unlink(tempdir_file(&w->dir, "f")), 0);
	assert_int_equal(replace(w), ERR_NOT_FOUND);
	assert_int_equal(access(tempdir_file(&w->dir, "f"), F_OK), -1);
	assert_true(is_alone(w));
}

static void
the_last_copy_is_not_tidied_away(void **state)
{
	struct world *w = *state;
	size_t n = 0;
	uint8_t *p;

	assert_int_equal(rename(tempdir_file(&w->dir, "f"),
	                     tempdir_file(&w->dir, "f" FILE_OLD)),
	    0);
	file_tidy(w->fd, "f");
	p = file_get(tempdir_file(&w->dir, "f" FILE_OLD), &n);
	assert_int_equal(n, sizeof(old_bytes));
	assert_memory_equal(p, old_bytes, n);
	free(p);
}

/* The process dies before each call in turn, and a start tidies. */
static void
a_crash_leaves_the_one_or_the_other(void **state)
{
	unsigned n = 1;
	bool done = false, was_new = false;

	for (; !done && n < CALLS_MAX; n++) {
		struct world *w;
		int old, status = 0;
		pid_t child;

		(void)end(state);
		(void)begin(state);
		w = *state;
		old = open(tempdir_file(&w->dir, "f"), O_RDONLY | O_CLOEXEC);
		child = fork();
		if (child == 0) {
			die_at = n;
			_exit(replace(w) ? 8 : 0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
		done = WEXITSTATUS(status) == 0;
		assert_true(done || WEXITSTATUS(status) == 9);
		assert_true(is_old(w) || is_new(w));
		assert_false(was_new && is_old(w)); /* once, and for good */
		was_new = is_new(w);
		file_tidy(w->fd, "f");
		assert_true(was_new ? is_new(w) && is_wiped(old) : is_old(w));
		assert_true(is_alone(w));
		(void)close(old);
	}
	assert_true(done && was_new);
	assert_true(n > 10); /* so many ways to die there are, at least */
}

/* A call that fails once: the caller hears of it, or all went well. */
static void
an_error_leaves_what_it_says(void **state)
{
	bool hit = true;

	for (unsigned n = 1; hit && n < CALLS_MAX; n++) {
		struct world *w;
		enum err err;

		(void)end(state);
		(void)begin(state);
		w = *state;
		fail_at = n;
		err = replace(w);
		hit = calls >= n;
		assert_true(err ? is_old(w) : is_new(w));
	}
	assert_false(hit);
}

static void
names_that_do_not_become_durable_are_taken_back(void **state)
{
	struct world *w = *state;
	int old = open(tempdir_file(&w->dir, "f"), O_RDONLY | O_CLOEXEC);

	fail_dir_sync = true;
	assert_int_equal(replace(w), ERR_IO);
	assert_true(is_old(w));
	file_tidy(w->fd, "f"); /* touches nothing then */
	assert_true(is_old(w) && !is_wiped(old));
	fail_dir_sync = false;
	file_tidy(w->fd, "f");
	assert_true(is_old(w) && is_alone(w) && !is_wiped(old));
	(void)close(old);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(the_old_bytes_are_overwritten),
		T(what_has_another_name_keeps_its_bytes),
		T(nothing_is_made_where_nothing_was),
		T(the_last_copy_is_not_tidied_away),
		T(a_crash_leaves_the_one_or_the_other),
		T(an_error_leaves_what_it_says),
		T(names_that_do_not_become_durable_are_taken_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
