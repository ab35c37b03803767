/* The key of the identity, backups and what is made of them, while calls to the
 * disk and allocations fail. All places with BTCHAT_LONG=1, else some. */
#include "daemon/backup.h"
#include "daemon/erase.h"
#include "daemon/keyring.h"
#include "daemon/log.h"
#include "tests/support/rng.h"
#include "tests/support/store_world.h"
#include "tests/torture/disk.h"
#include "tests/torture/memory.h"
#include "tests/torture/picture.h"
#include "tests/torture/play.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct test_rng dice;
static const struct id_seed seed = { { 5 } };

/* What fails, how, and what is left then. */
enum way { ONCE, KILL, CUT, TEAR, MEMORY, WAYS };

static void
fail_at(enum way way, unsigned at)
{
	if (way == MEMORY)
		memory_fail_at(at, false);
	else
		disk_fail_at(way == ONCE ? DISK_ONCE : DISK_FOR_EVER, at, EIO);
}

/* True if it was hit. */
static bool
recover(enum way way)
{
	bool hit = way == MEMORY ? memory_hit() : disk_hit();

	memory_fail_at(0, false);
	disk_fail_at(DISK_WELL, 0, 0);
	assert_int_equal(disk_n_open(), 0);
	if (hit && way != ONCE && way != MEMORY)
		disk_cut(way == KILL  ? DISK_KEEPS_ALL
		         : way == CUT ? DISK_KEEPS_NOTHING
		                      : DISK_KEEPS_SOME,
		    &dice.rng);
	return hit;
}

static unsigned
next_place(unsigned at, unsigned far)
{
	return at + (getenv("BTCHAT_LONG") ? 1 : 1 + rng_below(&dice.rng, far));
}

static int
open_dir(const char *path)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

/* ---- the key ---- */

/* Makes one; its seed, if it was told that there is one. */
static bool
make_key(const char *path, const char *pass, struct id_seed *ret)
{
	char why[KEYRING_WHY_SIZE];
	struct keyring *k = NULL;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool made = false;

	if (dir < 0 || keyring_open(dir, &k, why))
		goto out;
	made = keyring_create(k, span_str(pass)) == ERR_OK;
	if (made)
		*ret = *keyring_seed(k);
out:
	keyring_close(k);
	if (dir >= 0)
		(void)close(dir);
	return made;
}

/* None, or a whole one: that of `want`, if it is not NULL. */
static bool
look_at_key(const char *path, const char *pass, const struct id_seed *want)
{
	char why[KEYRING_WHY_SIZE];
	struct keyring *k = NULL;
	int dir = open_dir(path);
	bool found;

	assert_int_equal(keyring_open(dir, &k, why), ERR_OK);
	if (keyring_state(k) == KEYRING_LOCKED)
		assert_int_equal(keyring_unlock(k, span_str(pass)), ERR_OK);
	found = keyring_state(k) == KEYRING_OPEN;
	if (want) {
		assert_true(found);
		assert_memory_equal(keyring_seed(k), want, sizeof(*want));
	}
	keyring_close(k);
	(void)close(dir);
	return found;
}

static bool
key_fails_at(enum way way, const char *pass, unsigned at)
{
	struct tempdir dir = tempdir_new();
	struct id_seed made, later;
	bool told, hit;

	disk_watch(dir.path);
	fail_at(way, at);
	told = make_key(dir.path, pass, &made);
	hit = recover(way);
	if (!look_at_key(dir.path, pass, told ? &made : NULL)) {
		/* And there is nothing in the way of another try. */
		assert_true(make_key(dir.path, pass, &later));
		disk_cut(DISK_KEEPS_NOTHING, NULL);
		(void)look_at_key(dir.path, pass, &later);
	}
	disk_watch(NULL);
	tempdir_free(&dir);
	return hit;
}

static void
a_key_is_there_whole_or_not_at_all(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++)
		for (unsigned at = 1; key_fails_at((enum way)way, "", at); at++)
			(void)key_fails_at((enum way)way, "pass", at);
}

/* Of a plain key; true if it was told that it is sealed now. */
static bool
seal_key(const char *path, const char *pass)
{
	char why[KEYRING_WHY_SIZE];
	struct keyring *k = NULL;
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool sealed = false;

	if (dir >= 0 && !keyring_open(dir, &k, why))
		sealed = !keyring_set_passphrase(k, span_str(pass));
	keyring_close(k);
	if (dir >= 0)
		(void)close(dir);
	return sealed;
}

static bool
is_sealed(const char *path)
{
	char why[KEYRING_WHY_SIZE];
	struct keyring *k = NULL;
	int dir = open_dir(path);
	bool sealed;

	assert_int_equal(keyring_open(dir, &k, why), ERR_OK);
	sealed = keyring_sealed(k);
	keyring_close(k);
	(void)close(dir);
	return sealed;
}

static bool
sealing_fails_at(enum way way, unsigned at)
{
	struct tempdir dir = tempdir_new();
	struct id_seed made;
	bool told, hit;

	disk_watch(dir.path);
	assert_true(make_key(dir.path, "", &made));
	fail_at(way, at);
	told = seal_key(dir.path, "pass");
	hit = recover(way);
	(void)look_at_key(dir.path, "pass", &made);
	assert_true(!told || is_sealed(dir.path));
	disk_cut(DISK_KEEPS_NOTHING, NULL);
	(void)look_at_key(dir.path, "pass", &made);
	assert_true(!told || is_sealed(dir.path));
	disk_watch(NULL);
	tempdir_free(&dir);
	return hit;
}

static void
a_key_is_sealed_anew_or_as_it_was(void **state)
{
	(void)state;
	for (unsigned way = 0; way < WAYS; way++)
		for (unsigned at = 1; sealing_fails_at((enum way)way, at); at++)
			;
}

/* ---- backups ---- */

struct backups {
	struct play *p;
	const char *dir;
	struct tempdir out, to, whole; /* whole: dir, by another name */
	char made[512];                /* a good one */
	char *restored;                /* the picture of it */
};
static char picture[PICTURE_MAX];

static enum err
write_backup(struct store *s, const char *dir, const char *path)
{
	struct backup_source from = { .dir = dir,
		.store = s,
		.seed = &seed,
		.key = &store_world_key,
		.name = "me",
		.now_ms = STORE_WORLD_MS };
	struct backup_about about;
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	enum err err;

	if (fd < 0)
		return ERR_IO;
	err = backup_write(fd, span_str("pass"), &from, &about);
	(void)close(fd);
	return err;
}

static enum err
verify(const char *path)
{
	struct backup_about about;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum err err;

	assert_true(fd >= 0);
	err = backup_verify(fd, span_str("pass"), &about);
	(void)close(fd);
	return err;
}

/* As command_backup_restore does it. */
static enum err
restore(const char *path, const char *dir)
{
	struct backup_keys keys;
	struct backup_about about;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	enum err err;

	assert_true(fd >= 0);
	err = backup_stage(fd, span_str("pass"), dir, &keys, &about);
	if (!err)
		err = backup_install(dir);
	(void)close(fd);
	return err;
}

static void
take_picture(const char *dir, char *ret)
{
	struct store *s = NULL;

	assert_int_equal(play_open(dir, &s), ERR_OK);
	assert_int_equal(picture_take(s, ret), ERR_OK);
	store_close(s);
}

static int
begin_backups(void **state)
{
	struct backups *b = calloc(1, sizeof(*b));
	struct store *s = NULL;

	b->p = play_new(&story_life);
	b->out = tempdir_new();
	b->to = tempdir_new();
	b->dir = play_put_end(b->p, false);
	(void)snprintf(b->whole.path, sizeof(b->whole.path), "%s", b->dir);
	(void)snprintf(b->made, sizeof(b->made), "%s/made", b->out.path);
	assert_int_equal(play_open(b->dir, &s), ERR_OK);
	assert_int_equal(write_backup(s, b->dir, b->made), ERR_OK);
	store_close(s);
	b->restored = malloc(PICTURE_MAX);
	assert_int_equal(restore(b->made, b->to.path), ERR_OK);
	take_picture(b->to.path, b->restored);
	assert_non_null(strstr(b->restored, "here again"));
	*state = b;
	return 0;
}

static int
end_backups(void **state)
{
	struct backups *b = *state;

	disk_watch(NULL);
	play_free(b->p);
	tempdir_free(&b->out);
	tempdir_free(&b->to);
	free(b->restored);
	free(b);
	return 0;
}

/* Whole, also after a cut; its name is for who made the file to sync. */
static void
expect_kept(const char *dir, const char *path)
{
	int fd = open_dir(dir);

	assert_int_equal(fsync(fd), 0);
	(void)close(fd);
	disk_cut(DISK_KEEPS_NOTHING, NULL);
	assert_int_equal(verify(path), ERR_OK);
}

static bool
backup_fails_at(struct backups *b, enum way way, unsigned at)
{
	char path[512];
	struct store *s = NULL;
	size_t step = 0;
	enum err err;
	bool hit;

	(void)play_put_end(b->p, false);
	(void)snprintf(path, sizeof(path), "%s/backup", b->dir);
	(void)remove(path);
	disk_watch(b->dir);
	assert_int_equal(play_open(b->dir, &s), ERR_OK);
	fail_at(way, at);
	err = write_backup(s, b->dir, path);
	store_close(s);
	hit = recover(way);
	assert_true(!err || hit);
	if (!err)
		expect_kept(b->dir, path);
	backup_discard(b->dir);
	take_picture(b->dir, picture);
	assert_true(play_was(b->p, picture, &step));
	assert_int_equal(step, story_steps(&story_life));
	disk_watch(NULL);
	(void)remove(path);
	return hit;
}

/* Some `far` calls or `far_memory` allocations are between two places. */
static void
at_places(struct backups *b,
    bool (*fails_at)(struct backups *, enum way, unsigned), unsigned far,
    unsigned far_memory)
{
	for (unsigned way = 0; way < WAYS; way++) {
		unsigned at = 1;

		while (fails_at(b, (enum way)way, at))
			at = next_place(at, way == MEMORY ? far_memory : far);
		print_message("to place %u\n", at);
	}
}

static void
a_backup_is_whole_or_an_error(void **state)
{
	at_places(*state, backup_fails_at, 20, 200);
}

/* A daemon without an identity has a store in which nothing is. */
static void
begin_empty(const struct tempdir *to)
{
	static const char *const names[] = { STORE_FILE, STORE_FILE "-wal",
		"store.keys", "backup.tmp", "restore/" STORE_FILE,
		"restore/" STORE_FILE "-wal", "restore/store.keys", "restore" };
	char why[STORE_WHY_SIZE];
	struct store *s = NULL;

	disk_watch(NULL);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		(void)remove(tempdir_file(to, names[i]));
	assert_int_equal(store_open(to->path, &s, why), ERR_OK);
	store_close(s);
	disk_watch(to->path);
}

static bool
restore_fails_at(struct backups *b, enum way way, unsigned at)
{
	enum err err;
	bool hit;

	begin_empty(&b->to);
	fail_at(way, at);
	err = restore(b->made, b->to.path);
	hit = recover(way);
	assert_true(!err || hit);
	/* At the next start; then it is tried again. */
	backup_discard(b->to.path);
	if (err)
		assert_int_equal(restore(b->made, b->to.path), ERR_OK);
	if (rng_below(&dice.rng, 2))
		disk_cut(DISK_KEEPS_NOTHING, NULL);
	take_picture(b->to.path, picture);
	if (strcmp(picture, b->restored) != 0)
		picture_compare(b->restored, picture);
	assert_string_equal(picture, b->restored);
	disk_watch(NULL);
	return hit;
}

static void
a_restored_store_is_whole_or_can_be_restored(void **state)
{
	at_places(*state, restore_fails_at, 30, 600);
}

/* ---- an identity that is deleted ---- */

static const char *const of_identity[] = { KEYRING_FILE, KEYRING_FILE ".new",
	KEYRING_FILE ".old", ERASE_FILE, "store.keys", "store.keys.new",
	STORE_FILE, STORE_FILE "-wal", STORE_FILE "-journal" };

/* As command_identity_delete does it. */
static enum err
delete_identity(const char *path)
{
	int dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool done;
	enum err err = dir < 0 ? ERR_IO : erase_begin(dir);

	if (!err)
		err = erase_finish(dir, &done);
	if (dir >= 0)
		(void)close(dir);
	return err;
}

/* As at a start. True: it had been begun. */
static bool
finish_deleting(const char *path)
{
	int dir = open_dir(path);
	bool done;

	assert_int_equal(erase_finish(dir, &done), ERR_OK);
	(void)close(dir);
	return done;
}

/* All of it as it was, or nothing. */
static bool
look_for_identity(struct backups *b, const struct id_seed *made)
{
	size_t step = 0;

	if (access(tempdir_file(&b->whole, KEYRING_FILE), F_OK) == 0) {
		(void)look_at_key(b->whole.path, "", made);
		take_picture(b->whole.path, picture);
		assert_true(play_was(b->p, picture, &step));
		assert_int_equal(step, story_steps(&story_life));
		return true;
	}
	for (size_t i = 0; i < sizeof(of_identity) / sizeof(*of_identity); i++)
		if (!access(tempdir_file(&b->whole, of_identity[i]), F_OK))
			fail_msg("%s is left", of_identity[i]);
	return false;
}

static bool
delete_fails_at(struct backups *b, enum way way, unsigned at)
{
	struct id_seed made;
	enum err err;
	bool hit;

	disk_watch(NULL);
	for (size_t i = 0; i < sizeof(of_identity) / sizeof(*of_identity); i++)
		(void)remove(tempdir_file(&b->whole, of_identity[i]));
	assert_true(make_key(b->dir, "", &made));
	(void)play_put_end(b->p, rng_below(&dice.rng, 2));
	disk_watch(b->dir);
	fail_at(way, at);
	err = delete_identity(b->dir);
	hit = recover(way);
	assert_true(!err || hit);
	(void)finish_deleting(b->dir);
	if (rng_below(&dice.rng, 2)) {
		disk_cut(DISK_KEEPS_NOTHING, NULL);
		(void)finish_deleting(b->dir);
	}
	assert_true(!look_for_identity(b, &made) || err);
	disk_watch(NULL);
	return hit;
}

static void
an_identity_is_deleted_wholly_or_not_at_all(void **state)
{
	at_places(*state, delete_fails_at, 4, 4);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, begin_backups, end_backups)
		cmocka_unit_test(a_key_is_there_whole_or_not_at_all),
		cmocka_unit_test(a_key_is_sealed_anew_or_as_it_was),
		T(a_backup_is_whole_or_an_error),
		T(a_restored_store_is_whole_or_can_be_restored),
		T(an_identity_is_deleted_wholly_or_not_at_all),
	};

	log_init(LOG_CRIT, false);
	memory_begin();
	test_rng_init(&dice, test_seed((uint64_t)getpid()));
	return cmocka_run_group_tests(tests, NULL, NULL);
}
