/* Backups of a store, taken back into another directory. */
#include "daemon/backup.h"
#include "daemon/keyfile.h"
#include "daemon/log.h"
#include "tests/support/store_world.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static const struct id_seed seed = { { 5 } };

static int
make(struct store_world *w, const char *pass, struct backup_about *ret)
{
	struct backup_source from = { .dir = w->dir.path,
		.store = w->s,
		.seed = &seed,
		.key = &store_world_key,
		.name = "me",
		.now_ms = STORE_WORLD_MS };
	int fd = open(tempdir_file(&w->dir, "backup"),
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(backup_write(fd, span_str(pass), &from, ret), ERR_OK);
	assert_int_not_equal(
	    access(tempdir_file(&w->dir, "backup.tmp"), F_OK), 0);
	return fd;
}

/* Two texts, one of them deleted; events about them. */
static void
fill(struct store *s)
{
	struct contact_id c = store_world_contact(1);
	struct store_message a = store_world_message(1, 1, "A-TEXT-THAT-STAYS");
	struct store_message b = store_world_message(1, 2, "A-TEXT-THAT-GOES");

	store_world_add(s, 1, "record");
	assert_int_equal(store_contact_rename(s, &c, span_str("Bob")), ERR_OK);
	assert_int_equal(store_message_add(s, &a), ERR_OK);
	store_world_event(s, EVENT_MESSAGE_NEW, &c, &a.m.id);
	assert_int_equal(store_message_add(s, &b), ERR_OK);
	assert_int_equal(store_commit(s), ERR_OK);
	assert_int_equal(store_message_delete(s, &c, &b.m.id), ERR_OK);
	assert_int_equal(store_self_set(s, span_str("SELF")), ERR_OK);
	assert_int_equal(store_commit(s), ERR_OK);
}

static void
expect_restored(const char *dir, const char *epoch)
{
	struct contact_id c = store_world_contact(1);
	struct store *s = store_world_open(dir);
	struct store_contact k;
	struct store_message m;
	struct message_id id;
	struct events_log log;

	store_world_id(id.b, 1);
	assert_int_equal(store_message_get(s, &c, &id, &m), ERR_OK);
	assert_true(span_eq(m.m.text, span_str("A-TEXT-THAT-STAYS")));
	store_world_id(id.b, 2);
	assert_int_equal(store_message_get(s, &c, &id, &m), ERR_OK);
	assert_true(m.deleted);
	assert_int_equal(store_contact_get(s, &c, &k), ERR_OK);
	assert_string_equal(k.name, "Bob");
	assert_int_equal(events_log(s, &log), ERR_OK);
	assert_string_not_equal(log.epoch, epoch);
	assert_string_equal(store_world_story(s), "");
	assert_int_equal(store_tampered(s), 0);
	store_close(s);
}

static void
a_restored_store_is_that_of_then_in_another_life(void **state)
{
	struct store_world *w = *state;
	struct tempdir other = tempdir_new();
	struct backup_about about, again;
	struct backup_keys keys;
	struct events_log log;
	int fd;

	fill(w->s);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	fd = make(w, "pass", &about);
	assert_true(about.whole && about.contacts == 1 && about.messages == 2);
	assert_int_equal(backup_verify(fd, span_str("pass"), &again), ERR_OK);
	assert_int_equal(again.bytes, about.bytes);
	assert_string_equal(again.name, "me");
	assert_int_equal(
	    backup_stage(fd, span_str("pass"), other.path, &keys, &again),
	    ERR_OK);
	assert_memory_equal(&keys.seed, &seed, sizeof(seed));
	assert_memory_equal(
	    &keys.key, &store_world_key, sizeof(store_world_key));
	/* A crash here leaves nothing in the way of another try. */
	backup_discard(other.path);
	assert_int_not_equal(access(tempdir_file(&other, "restore"), F_OK), 0);
	assert_int_equal(
	    backup_stage(fd, span_str("pass"), other.path, &keys, &again),
	    ERR_OK);
	assert_int_equal(backup_install(other.path), ERR_OK);
	assert_int_not_equal(access(tempdir_file(&other, "restore"), F_OK), 0);
	expect_restored(other.path, log.epoch);
	(void)close(fd);
	tempdir_free(&other);
}

/* It goes over what a crash between its two renames has left. */
static void
a_half_installed_store_is_installed_again(void **state)
{
	struct store_world *w = *state;
	struct tempdir other = tempdir_new();
	struct backup_about about;
	struct backup_keys keys;
	char from[300], to[300];
	int fd;

	fill(w->s);
	fd = make(w, "pass", &about);
	store_close(store_world_open(other.path)); /* it has keys of its own */
	assert_int_equal(unlink(tempdir_file(&other, KEYFILE_NAME)), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(backup_stage(fd, span_str("pass"), other.path,
		                     &keys, &about),
		    ERR_OK);
		(void)snprintf(from, sizeof(from), "%s/restore/%s", other.path,
		    KEYFILE_NAME);
		(void)snprintf(
		    to, sizeof(to), "%s", tempdir_file(&other, KEYFILE_NAME));
		if (i == 0)
			assert_int_equal(rename(from, to), 0);
		else
			assert_int_equal(backup_install(other.path), ERR_OK);
	}
	expect_restored(other.path, "");
	(void)close(fd);
	tempdir_free(&other);
}

static void
the_identity_alone_is_no_store(void **state)
{
	struct store_world *w = *state;
	struct backup_source from = {
		.dir = w->dir.path, .seed = &seed, .name = "me"
	};
	struct backup_about about;
	struct backup_keys keys;
	struct id_seed got;
	int fd = open(tempdir_file(&w->dir, "identity"),
	    O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(
	    backup_write(fd, span_str("pass"), &from, &about), ERR_OK);
	assert_false(about.whole);
	assert_int_equal(
	    backup_stage(fd, span_str("pass"), w->dir.path, &keys, &about),
	    ERR_MALFORMED);
	assert_int_not_equal(access(tempdir_file(&w->dir, "restore"), F_OK), 0);
	assert_int_equal(
	    backup_identity(fd, span_str("pass"), &got, &about), ERR_OK);
	assert_memory_equal(&got, &seed, sizeof(seed));
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, store_world_begin, store_world_end)
		T(a_restored_store_is_that_of_then_in_another_life),
		T(a_half_installed_store_is_installed_again),
		T(the_identity_alone_is_no_store),
	};

	log_init(LOG_ERR, false);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
