/* The key file: made once, opened only when it is whole and ours alone. */
#include "daemon/keyring.h"
#include "tests/support/tempdir.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct world {
	struct tempdir dir;
	int fd;
	struct keyring *k;
	char why[KEYRING_WHY_SIZE];
};

static int
begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));

	w->dir = tempdir_new();
	w->fd = open(w->dir.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	keyring_close(w->k);
	(void)close(w->fd);
	tempdir_free(&w->dir);
	free(w);
	return 0;
}

static enum err
reopen(struct world *w)
{
	keyring_close(w->k);
	w->k = NULL;
	return keyring_open(w->fd, &w->k, w->why);
}

static const char *
key_path(const struct world *w)
{
	return tempdir_file(&w->dir, KEYRING_FILE);
}

static void
make(struct world *w, const char *pass)
{
	assert_int_equal(reopen(w), ERR_OK);
	assert_int_equal(keyring_state(w->k), KEYRING_NONE);
	assert_int_equal(keyring_create(w->k, span_str(pass)), ERR_OK);
	assert_int_equal(keyring_state(w->k), KEYRING_OPEN);
}

static void
a_plain_file_opens_again_with_the_same_keys(void **state)
{
	struct world *w = *state;
	struct id_seed seed;
	struct store_key store;
	struct stat st;

	make(w, "");
	seed = *keyring_seed(w->k);
	store = *keyring_store_key(w->k);
	assert_int_equal(stat(key_path(w), &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(reopen(w), ERR_OK);
	assert_int_equal(keyring_state(w->k), KEYRING_OPEN);
	assert_false(keyring_sealed(w->k));
	assert_memory_equal(keyring_seed(w->k), &seed, 32);
	assert_memory_equal(keyring_store_key(w->k), &store, 32);
	assert_memory_not_equal(&seed, &store, 32);
}

static void
a_sealed_file_opens_with_its_passphrase_only(void **state)
{
	struct world *w = *state;
	struct id_seed seed;
	size_t n = 0;
	uint8_t *file;

	make(w, "correct horse");
	seed = *keyring_seed(w->k);
	file = file_get(key_path(w), &n);
	assert_null(memmem(file, n, seed.b, sizeof(seed.b)));
	free(file);
	assert_int_equal(reopen(w), ERR_OK);
	assert_int_equal(keyring_state(w->k), KEYRING_LOCKED);
	assert_int_equal(
	    keyring_unlock(w->k, span_str("correct Horse")), ERR_AUTH);
	assert_int_equal(keyring_state(w->k), KEYRING_LOCKED);
	assert_int_equal(
	    keyring_unlock(w->k, span_str("correct horse")), ERR_OK);
	assert_memory_equal(keyring_seed(w->k), &seed, 32);
	assert_int_equal(
	    keyring_unlock(w->k, span_str("correct horse")), ERR_STATE);
	keyring_lock(w->k);
	assert_int_equal(keyring_state(w->k), KEYRING_LOCKED);
}

static void
a_key_is_never_overwritten(void **state)
{
	struct world *w = *state;
	struct keyring *second = NULL;
	size_t n = 0;
	size_t n2 = 0;
	uint8_t *before;
	uint8_t *after;

	assert_int_equal(keyring_open(w->fd, &second, w->why), ERR_OK);
	make(w, "");
	before = file_get(key_path(w), &n);
	assert_int_equal(keyring_create(w->k, span_str("")), ERR_EXISTS);
	assert_int_equal(keyring_create(second, span_str("")), ERR_EXISTS);
	assert_int_equal(keyring_state(second), KEYRING_NONE);
	after = file_get(key_path(w), &n2);
	assert_int_equal(n, n2);
	assert_memory_equal(before, after, n);
	free(before);
	free(after);
	keyring_close(second);
}

/* Hostile input 46. */
static void
a_file_of_any_other_length_is_refused(void **state)
{
	struct world *w = *state;
	uint8_t longer[256] = { 0 };
	size_t n = 0;
	uint8_t *file;
	enum err err;

	make(w, "");
	file = file_get(key_path(w), &n);
	memcpy(longer, file, n);
	for (size_t cut = 0; cut < n; cut++) {
		file_put(key_path(w), file, cut);
		err = reopen(w); /* cut in its first line: of unknown form */
		assert_true(err == ERR_MALFORMED || err == ERR_UNSUPPORTED);
		assert_non_null(strstr(w->why, "repair"));
	}
	file_put(key_path(w), longer, n + 1);
	assert_int_equal(reopen(w), ERR_MALFORMED);
	file_put(key_path(w), file, n);
	assert_int_equal(reopen(w), ERR_OK);
	free(file);
}

static void
a_file_with_any_bit_changed_is_refused(void **state)
{
	struct world *w = *state;
	size_t n = 0;
	uint8_t *file;

	make(w, "");
	file = file_get(key_path(w), &n);
	for (size_t bit = 0; bit < n * 8; bit++) {
		enum err err;

		file[bit / 8] ^= (uint8_t)(1U << bit % 8);
		file_put(key_path(w), file, n);
		err = reopen(w);
		assert_true(err == ERR_MALFORMED || err == ERR_UNSUPPORTED);
		assert_non_null(strstr(w->why, "repair"));
		file[bit / 8] ^= (uint8_t)(1U << bit % 8);
	}
	free(file);
}

static void
another_format_is_refused_as_such(void **state)
{
	static const char old[] = "btchat key 0 plain\nxxxxxxxxxxxxxxxxxxxxxx";
	struct world *w = *state;
	uint8_t huge[8192] = { 0 };

	file_put(key_path(w), old, sizeof(old));
	assert_int_equal(chmod(key_path(w), 0600), 0);
	assert_int_equal(reopen(w), ERR_UNSUPPORTED);
	file_put(key_path(w), huge, sizeof(huge));
	assert_int_equal(reopen(w), ERR_MALFORMED);
	file_put(key_path(w), "", 0);
	assert_int_equal(reopen(w), ERR_MALFORMED);
	assert_non_null(strstr(w->why, "empty"));
}

static void
a_file_that_others_can_read_is_refused(void **state)
{
	static const mode_t modes[] = { 0644, 0640, 0604, 0620, 0602, 0666 };
	struct world *w = *state;

	make(w, "");
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		assert_int_equal(chmod(key_path(w), modes[i]), 0);
		assert_int_equal(reopen(w), ERR_STATE);
		assert_non_null(strstr(w->why, "chmod 600"));
	}
	assert_int_equal(chmod(key_path(w), 0600), 0);
	assert_int_equal(reopen(w), ERR_OK);
}

static void
what_is_no_file_of_ours_is_refused(void **state)
{
	struct world *w = *state;

	assert_int_equal(symlink("/dev/null", key_path(w)), 0);
	assert_int_equal(reopen(w), ERR_STATE);
	assert_int_equal(unlink(key_path(w)), 0);
	assert_int_equal(mkdir(key_path(w), 0700), 0);
	assert_int_equal(reopen(w), ERR_STATE);
	assert_int_equal(rmdir(key_path(w)), 0);
	assert_int_equal(mkfifo(key_path(w), 0600), 0);
	assert_int_equal(reopen(w), ERR_STATE);
	assert_int_equal(unlink(key_path(w)), 0);
	if (geteuid() == 0) {
		make(w, "");
		assert_int_equal(chown(key_path(w), 12345, 12345), 0);
		assert_int_equal(reopen(w), ERR_STATE);
	}
}

static void
a_creation_that_was_cut_off_leaves_nothing_in_the_way(void **state)
{
	struct world *w = *state;

	file_put(tempdir_file(&w->dir, KEYRING_FILE ".new"), "half", 4);
	make(w, "");
	assert_int_equal(
	    access(tempdir_file(&w->dir, KEYRING_FILE ".new"), F_OK), -1);
}

/* Opens anew and says whether this passphrase fits; "": none. */
static bool
opens_with(struct world *w, const char *pass, const struct id_seed *seed)
{
	bool plain;

	assert_int_equal(reopen(w), ERR_OK);
	plain = keyring_state(w->k) == KEYRING_OPEN;
	if (plain == (pass[0] != '\0'))
		return false;
	if (!plain && keyring_unlock(w->k, span_str(pass)) != ERR_OK)
		return false;
	return memcmp(keyring_seed(w->k), seed, sizeof(*seed)) == 0;
}

static void
a_passphrase_is_set_changed_and_removed(void **state)
{
	struct world *w = *state;
	struct id_seed seed;
	struct span none = { NULL, 0 };
	struct span one = span_str("one"), two = span_str("two");

	make(w, "");
	seed = *keyring_seed(w->k);
	assert_int_equal(keyring_check_passphrase(w->k, none), ERR_OK);
	assert_int_equal(keyring_check_passphrase(w->k, one), ERR_AUTH);
	assert_int_equal(keyring_set_passphrase(w->k, one), ERR_OK);
	assert_true(keyring_sealed(w->k));
	assert_true(opens_with(w, "one", &seed));
	assert_int_equal(keyring_check_passphrase(w->k, none), ERR_AUTH);
	assert_int_equal(keyring_check_passphrase(w->k, two), ERR_AUTH);
	assert_int_equal(keyring_check_passphrase(w->k, one), ERR_OK);
	assert_int_equal(keyring_set_passphrase(w->k, two), ERR_OK);
	keyring_lock(w->k);
	assert_int_equal(keyring_set_passphrase(w->k, one), ERR_STATE);
	assert_int_equal(keyring_unlock(w->k, one), ERR_AUTH);
	assert_int_equal(keyring_unlock(w->k, two), ERR_OK);
	assert_true(opens_with(w, "two", &seed));
	assert_int_equal(keyring_set_passphrase(w->k, none), ERR_OK);
	assert_false(keyring_sealed(w->k));
	assert_true(opens_with(w, "", &seed));
}

static void
a_passphrase_that_cannot_be_written_is_not_set(void **state)
{
	struct world *w = *state;
	uint8_t huge[KEYRING_PASS_MAX + 1] = { 'x' };
	struct id_seed seed;

	make(w, "");
	seed = *keyring_seed(w->k);
	assert_int_equal(
	    keyring_set_passphrase(w->k, span_of(huge, sizeof(huge))),
	    ERR_TOO_LONG);
	assert_int_equal(unlink(key_path(w)), 0);
	assert_int_equal(
	    keyring_set_passphrase(w->k, span_str("x")), ERR_NOT_FOUND);
	assert_false(keyring_sealed(w->k));
	assert_memory_equal(keyring_seed(w->k), &seed, sizeof(seed));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin, end)
		T(a_plain_file_opens_again_with_the_same_keys),
		T(a_sealed_file_opens_with_its_passphrase_only),
		T(a_key_is_never_overwritten),
		T(a_file_of_any_other_length_is_refused),
		T(a_file_with_any_bit_changed_is_refused),
		T(another_format_is_refused_as_such),
		T(a_file_that_others_can_read_is_refused),
		T(what_is_no_file_of_ours_is_refused),
		T(a_creation_that_was_cut_off_leaves_nothing_in_the_way),
		T(a_passphrase_is_set_changed_and_removed),
		T(a_passphrase_that_cannot_be_written_is_not_set),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
