/* Sealed files: whole or not at all. */
#include "daemon/vault.h"
#include "tests/support/rng.h"
#include "tests/support/tempdir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { CHUNK = 65536, BOX = CHUNK + 17, HEAD = 48 + 24 };

struct world {
	struct tempdir dir;
	int fd;
	uint8_t *plain;
};

static int
begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->dir = tempdir_new();
	w->fd = open(
	    tempdir_file(&w->dir, "vault"), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(w->fd >= 0);
	w->plain = malloc(4 * CHUNK);
	randombytes_buf(w->plain, 4 * CHUNK);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	(void)close(w->fd);
	tempdir_free(&w->dir);
	free(w->plain);
	free(w);
	return 0;
}

static uint64_t
put(struct world *w, size_t n, size_t piece)
{
	struct vault *v = NULL;
	uint64_t bytes = 0;

	assert_int_equal(ftruncate(w->fd, 0), 0);
	assert_int_equal(lseek(w->fd, 0, SEEK_SET), 0);
	assert_int_equal(vault_create(w->fd, span_str("pass"), &v), ERR_OK);
	for (size_t at = 0; at < n; at += piece)
		assert_int_equal(
		    vault_write(v, span_of(w->plain + at,
		                       n - at < piece ? n - at : piece)),
		    ERR_OK);
	assert_int_equal(vault_finish(v, &bytes), ERR_OK);
	vault_free(v);
	return bytes;
}

/* Reads n bytes and the end. */
static enum err
get(struct world *w, const char *pass, size_t n)
{
	struct vault *v = NULL;
	uint8_t *buf = calloc(1, n + 1);
	enum err err;

	assert_int_equal(lseek(w->fd, 0, SEEK_SET), 0);
	err = vault_open(w->fd, span_str(pass), &v);
	if (!err)
		err = vault_read(v, buf, n);
	if (!err) {
		assert_memory_equal(buf, w->plain, n);
		err = vault_end(v);
	}
	vault_free(v);
	free(buf);
	return err;
}

/* Each opening costs a second, so few are tried. */
static void
what_was_written_comes_back(void **state)
{
	static const size_t sizes[] = { 0, CHUNK, 3 * CHUNK + 5 };
	struct world *w = *state;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t bytes = put(w, sizes[i], 1000 + i);

		assert_int_equal(bytes, lseek(w->fd, 0, SEEK_END));
		assert_int_equal(get(w, "pass", sizes[i]), ERR_OK);
	}
	assert_int_equal(get(w, "word", 1), ERR_AUTH);
	/* Neither less nor more than there is. */
	assert_int_equal(get(w, "pass", 3 * CHUNK), ERR_MALFORMED);
	assert_int_equal(get(w, "pass", 3 * CHUNK + 6), ERR_MALFORMED);
}

/* A file that was cut anywhere, also between chunks, does not open; nor one
 * with a changed byte, or one more. */
static void
a_file_that_is_not_whole_is_none(void **state)
{
	static const size_t cuts[] = { 0, 40, HEAD - 1, HEAD, HEAD + BOX,
		HEAD + 2 * BOX + 100 };
	const size_t n = 2 * CHUNK + 200;
	struct world *w = *state;
	struct test_rng dice;
	uint64_t seed = test_seed((uint64_t)getpid());
	size_t bytes = (size_t)put(w, n, CHUNK);
	uint8_t *whole = malloc(bytes + 1);

	print_message("seed %llu\n", (unsigned long long)seed);
	test_rng_init(&dice, seed);
	assert_int_equal(pread(w->fd, whole, bytes, 0), bytes);
	whole[bytes] = 'x';
	for (size_t i = 0; i < sizeof(cuts) / sizeof(cuts[0]); i++) {
		assert_int_equal(ftruncate(w->fd, (off_t)cuts[i]), 0);
		assert_int_not_equal(get(w, "pass", n), ERR_OK);
		assert_int_equal(pwrite(w->fd, whole, bytes, 0), bytes);
	}
	for (unsigned i = 0; i < test_rounds(2); i++) {
		/* Not in the limits, which may only cost more time then. */
		size_t at = 32 + rng_below(&dice.rng, (uint32_t)bytes - 32);
		uint8_t b =
		    whole[at] ^ (uint8_t)(1 + rng_below(&dice.rng, 255));

		assert_int_equal(pwrite(w->fd, &b, 1, (off_t)at), 1);
		assert_int_not_equal(get(w, "pass", n), ERR_OK);
		assert_int_equal(pwrite(w->fd, whole, bytes, 0), bytes);
	}
	assert_int_equal(get(w, "pass", n), ERR_OK);
	assert_int_equal(pwrite(w->fd, whole, bytes + 1, 0), bytes + 1);
	assert_int_not_equal(get(w, "pass", n), ERR_OK);
	free(whole);
}

/* It may not ask for any amount of work or memory. */
static void
limits_of_others_are_not_obeyed(void **state)
{
	static const uint8_t much[8] = { 0, 0, 0, 0, 0, 1 };
	struct world *w = *state;
	struct vault *v = NULL;

	(void)put(w, 10, 10);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(pwrite(w->fd, much, 8, 24 - 8 * i), 8);
		assert_int_equal(lseek(w->fd, 0, SEEK_SET), 0);
		assert_int_equal(
		    vault_open(w->fd, span_str("pass"), &v), ERR_UNSUPPORTED);
		assert_null(v);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(what_was_written_comes_back),
		T(a_file_that_is_not_whole_is_none),
		T(limits_of_others_are_not_obeyed),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
