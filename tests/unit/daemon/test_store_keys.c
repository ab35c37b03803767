/* What is deleted opens no more, whatever copy of the database is at hand. */
#include "daemon/log.h"
#include "daemon/store_keys.h"
#include "tests/support/faults.h"
#include "tests/support/rng.h"
#include "tests/support/store_world.h"

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { TEXTS = 300 };

/* Contacts 1 and 2, with TEXTS texts each, and events about them. */
static void
fill(struct store *s)
{
	char text[32];

	for (unsigned c = 1; c <= 2; c++) {
		struct contact_id id = store_world_contact(c);

		store_world_add(s, c, "record");
		assert_int_equal(
		    store_contact_rename(s, &id, span_str("Bob")), ERR_OK);
		for (unsigned n = 1; n <= TEXTS; n++) {
			struct store_message m;

			(void)snprintf(text, sizeof(text), "text %u", n);
			m = store_world_message(c, n, text);
			assert_int_equal(store_message_add(s, &m), ERR_OK);
			store_world_event(s, EVENT_MESSAGE_NEW, &id, &m.m.id);
		}
	}
	assert_int_equal(store_commit(s), ERR_OK);
}

/* Texts of a contact that open, and are right. */
static unsigned
readable(struct store *s, unsigned contact)
{
	struct contact_id c = store_world_contact(contact);
	unsigned count = 0;
	char text[32];

	for (unsigned n = 1; n <= TEXTS; n++) {
		struct store_message m;
		struct message_id id;

		store_world_id(id.b, n);
		if (store_message_get(s, &c, &id, &m) || m.deleted)
			continue;
		(void)snprintf(text, sizeof(text), "text %u", n);
		assert_true(span_eq(m.m.text, span_str(text)));
		count++;
	}
	return count;
}

static bool
has_name(struct store *s, unsigned contact)
{
	struct contact_id c = store_world_contact(contact);
	struct store_contact k;

	return !store_contact_get(s, &c, &k) && strcmp(k.name, "Bob") == 0;
}

/* The database as it is now, to be put back later; the caller frees. */
static uint8_t *
copy_database(struct store_world *w, size_t *ret_n)
{
	store_world_reopen(w); /* all of it is in one file */
	return file_get(tempdir_file(&w->dir, STORE_FILE), ret_n);
}

/* Beside the keys of now. Frees it. */
static void
put_back(struct store_world *w, uint8_t *copy, size_t n)
{
	store_close(w->s);
	(void)unlink(tempdir_file(&w->dir, STORE_FILE "-wal"));
	file_put(tempdir_file(&w->dir, STORE_FILE), copy, n);
	free(copy);
	w->s = store_world_open(w->dir.path);
}

static void
remove_contact(struct store *s, unsigned contact, bool history)
{
	struct contact_id c = store_world_contact(contact);

	assert_int_equal(
	    store_contact_remove(s, &c, history, STORE_WORLD_MS), ERR_OK);
}

/* Hostile input 55. */
static void
a_removed_conversation_opens_in_no_older_copy(void **state)
{
	struct store_world *w = *state;
	size_t n = 0;
	uint8_t *copy;

	fill(w->s);
	copy = copy_database(w, &n);
	assert_int_equal(readable(w->s, 1), TEXTS);
	remove_contact(w->s, 1, true);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(readable(w->s, 1), 0);
	put_back(w, copy, n);
	assert_int_equal(readable(w->s, 1), 0);
	assert_false(has_name(w->s, 1));
	assert_true(store_tampered(w->s) > 0);
	assert_int_equal(readable(w->s, 2), TEXTS);
	assert_true(has_name(w->s, 2));
}

static void
queue_text(struct store *s, unsigned n)
{
	struct store_message m = store_world_message(1, n, "to be sent");

	m.m.state = MESSAGE_QUEUED;
	assert_int_equal(store_message_add(s, &m), ERR_OK);
}

static bool
take_unsent(void *ctx, const struct store_message *m)
{
	assert_true(span_eq(m->unsent, span_str("to be sent")));
	assert_int_equal(m->m.text.n, 0);
	++*(unsigned *)ctx;
	return true;
}

static unsigned
rows_of_history(struct store *s, unsigned contact)
{
	struct store_history q = { .contact = store_world_contact(contact),
		.limit = 64 };
	struct store_rows rows = { .stop_at = 64 };

	assert_int_equal(store_history(s, &q, store_rows_take, &rows), ERR_OK);
	return (unsigned)rows.count;
}

static void
a_cleared_conversation_opens_in_no_older_copy(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_cleared what;
	unsigned waiting = 0;
	size_t n = 0;
	uint8_t *copy;

	fill(w->s);
	assert_int_equal(store_draft_set(w->s, &c, span_str("begun")), ERR_OK);
	queue_text(w->s, TEXTS + 1);
	assert_int_equal(store_commit(w->s), ERR_OK);
	copy = copy_database(w, &n);
	assert_int_equal(store_conv_clear(w->s, &c, &what), ERR_OK);
	assert_int_equal(what.messages, TEXTS + 1);
	assert_int_equal(what.unsent, 1);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_reopen(w);
	assert_int_equal(store_tampered(w->s), 0);
	assert_int_equal(readable(w->s, 1), 0);
	assert_int_equal(rows_of_history(w->s, 1), 0);
	assert_true(has_name(w->s, 1));
	assert_int_equal(store_outbox(w->s, take_unsent, &waiting), ERR_OK);
	assert_int_equal(waiting, 1);
	put_back(w, copy, n);
	assert_int_equal(readable(w->s, 1), 0);
	assert_true(store_tampered(w->s) > 0);
	assert_true(has_name(w->s, 1));
	assert_int_equal(readable(w->s, 2), TEXTS);
}

static void
what_comes_again_after_clearing_is_known(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_cleared what;
	struct store_message m;
	uint64_t unread = 9;

	fill(w->s);
	for (unsigned turn = 0; turn < 2; turn++) {
		assert_int_equal(store_conv_clear(w->s, &c, &what), ERR_OK);
		assert_int_equal(what.messages, turn == 0 ? TEXTS : 0);
		assert_int_equal(store_commit(w->s), ERR_OK);
		store_world_reopen(w);
		for (unsigned i = 1; i <= TEXTS; i++) {
			m = store_world_message(1, i, "text again");
			assert_int_equal(
			    store_message_add(w->s, &m), ERR_EXISTS);
		}
		m = store_world_message(1, 1, "text 1");
		m.m.seq = 99;
		assert_int_equal(store_message_add(w->s, &m), ERR_EXISTS);
		assert_int_equal(rows_of_history(w->s, 1), 0);
	}
	m = store_world_message(1, TEXTS + 1, "a new one");
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(rows_of_history(w->s, 1), 1);
	assert_int_equal(store_conv_unread(w->s, &c, &unread), ERR_OK);
	assert_int_equal(unread, 1);
	/* A mark is the contact's, and of nobody else. */
	m = store_world_message(2, TEXTS + 1, "a new one");
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
}

/* However it ends: nothing is left of it. */
static void
what_waited_when_cleared_goes_once_it_was_sent(void **state)
{
	static const enum message_state ends[] = { MESSAGE_DELIVERED,
		MESSAGE_FAILED, MESSAGE_SENT };
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_message m;
	struct store_cleared what;
	struct message_id id;

	store_world_add(w->s, 1, "r");
	for (unsigned i = 0; i < 3; i++) {
		enum message_state last = i < 2 ? ends[i] : MESSAGE_FAILED;

		queue_text(w->s, i + 1);
		store_world_id(id.b, i + 1);
		assert_int_equal(store_conv_clear(w->s, &c, &what), ERR_OK);
		assert_int_equal(what.unsent, 1);
		assert_int_equal(store_message_move(w->s, &c, &id, ends[i],
		                     STORE_WORLD_MS, &m),
		    ERR_OK);
		assert_int_equal(store_commit(w->s), ERR_OK);
		if (last != ends[i])
			assert_int_equal(
			    store_outbox_fail(w->s, &c, STORE_WORLD_MS),
			    ERR_OK);
		assert_int_equal(
		    store_message_get(w->s, &c, &id, &m), ERR_NOT_FOUND);
	}
}

static void
a_person_goes_and_the_history_stays(void **state)
{
	struct store_world *w = *state;
	size_t n = 0;
	uint8_t *copy;

	fill(w->s);
	copy = copy_database(w, &n);
	remove_contact(w->s, 1, false);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(readable(w->s, 1), TEXTS);
	put_back(w, copy, n);
	assert_false(has_name(w->s, 1));
	assert_int_equal(readable(w->s, 1), TEXTS);
}

static void
a_deleted_text_opens_in_no_older_copy(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_message m;
	struct message_id id, liked;
	struct store_reaction r[2];
	size_t n = 0;
	uint8_t *copy;

	fill(w->s);
	m = store_world_message(1, 900, "+");
	m.m.kind = MESSAGE_REACTION;
	m.m.has_ref = true;
	store_world_id(liked.b, 61);
	m.m.ref = liked;
	assert_int_equal(
	    store_message_change(w->s, &m, STORE_WORLD_MS), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	copy = copy_database(w, &n);
	store_world_id(id.b, 60);
	assert_int_equal(store_message_delete(w->s, &c, &id), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_reopen(w);
	assert_int_equal(readable(w->s, 1), TEXTS - 1);
	assert_int_equal(store_reactions(w->s, &c, &liked, r, &n), ERR_OK);
	assert_int_equal(n, 1);
	assert_string_equal(r[0].text, "+");
	assert_int_equal(store_tampered(w->s), 0);
	n = 0;
	free(copy_database(w, &n));
	put_back(w, copy, n);
	assert_int_equal(store_message_get(w->s, &c, &id, &m), ERR_AUTH);
	/* Its block was sealed anew; the others open in the copy, too. */
	assert_int_equal(readable(w->s, 1), TEXTS - STORE_BLOCK_ROWS);
	assert_int_equal(readable(w->s, 2), TEXTS);
}

static void
what_is_rolled_back_is_still_there(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct message_id id;

	fill(w->s);
	store_world_id(id.b, 60);
	assert_int_equal(store_message_delete(w->s, &c, &id), ERR_OK);
	remove_contact(w->s, 2, true);
	store_rollback(w->s);
	assert_int_equal(readable(w->s, 1), TEXTS);
	assert_int_equal(readable(w->s, 2), TEXTS);
	store_world_reopen(w);
	assert_int_equal(readable(w->s, 1), TEXTS);
	assert_int_equal(readable(w->s, 2), TEXTS);
	assert_true(has_name(w->s, 2));
}

/* A block takes no more than can be sealed anew at once. */
static void
blocks_are_of_limited_size(void **state)
{
	struct store_world *w = *state;
	char *text = malloc(NODE_TEXT_MAX);
	struct store_message m;
	int64_t block = 0;
	unsigned n_blocks = 0;

	memset(text, 't', NODE_TEXT_MAX);
	store_world_add(w->s, 1, "record");
	for (unsigned n = 1; n <= 40; n++) {
		m = store_world_message(1, n, "");
		m.m.text = span_of(text, NODE_TEXT_MAX);
		assert_int_equal(store_message_add(w->s, &m), ERR_OK);
		n_blocks += m.block != block;
		block = m.block;
		if (n % 10 > 0)
			continue;
		assert_int_equal(store_commit(w->s), ERR_OK);
		store_world_reopen(w);
	}
	assert_true(n_blocks >= 40 * NODE_TEXT_MAX / STORE_BLOCK_BYTES);
	free(text);
}

/* Hostile inputs 46, 49. */
static void
without_its_keys_a_store_is_refused(void **state)
{
	struct store_world *w = *state;
	char keys[300], aside[300];
	char why[STORE_WHY_SIZE];

	fill(w->s);
	store_close(w->s);
	w->s = NULL;
	(void)snprintf(
	    keys, sizeof(keys), "%s", tempdir_file(&w->dir, KEYFILE_NAME));
	(void)snprintf(
	    aside, sizeof(aside), "%s", tempdir_file(&w->dir, "aside"));
	assert_int_equal(rename(keys, aside), 0);
	assert_int_equal(store_open(w->dir.path, &w->s, why), ERR_OK);
	assert_int_equal(store_set_key(w->s, &store_world_key), ERR_NOT_FOUND);
	assert_false(store_has_key(w->s));
	assert_int_not_equal(access(keys, F_OK), 0); /* no empty one */
	assert_int_equal(rename(aside, keys), 0);
	assert_int_equal(store_set_key(w->s, &store_world_key), ERR_OK);
	assert_int_equal(readable(w->s, 1), TEXTS);
}

/* An older file of keys beside a newer database: what it knows opens. */
static void
older_keys_open_what_is_older(void **state)
{
	struct store_world *w = *state;
	size_t n = 0;
	uint8_t *old;
	struct store_contact k;
	struct contact_id c = store_world_contact(3);

	fill(w->s);
	store_close(w->s);
	old = file_get(tempdir_file(&w->dir, KEYFILE_NAME), &n);
	w->s = store_world_open(w->dir.path);
	for (unsigned i = 3; i < 60; i++) /* more than there are spares */
		store_world_add(w->s, i, "later");
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_close(w->s);
	file_put(tempdir_file(&w->dir, KEYFILE_NAME), old, n);
	free(old);
	w->s = store_world_open(w->dir.path);
	assert_true(store_tampered(w->s) > 0);
	assert_int_equal(readable(w->s, 1), TEXTS);
	assert_int_equal(store_contact_get(w->s, &c, &k), ERR_AUTH);
	/* And a contact that came again can be written again. */
	remove_contact(w->s, 3, true);
	store_world_add(w->s, 3, "again");
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(store_contact_get(w->s, &c, &k), ERR_OK);
}

/* ---- crashes ---- */

/* What is done to contact 1, and must be done wholly or not at all. */
static void
delete_60(struct store *s)
{
	struct contact_id c = store_world_contact(1);
	struct message_id id;

	store_world_id(id.b, 60);
	assert_int_equal(store_message_delete(s, &c, &id), ERR_OK);
}

static void
remove_all(struct store *s)
{
	remove_contact(s, 1, true);
}

/* Fails at call n of the key file and all after it; false: it has fewer. */
static bool
crash_at(unsigned n, void (*act)(struct store *s), unsigned after,
    const struct rng *rng)
{
	struct store_world *w;
	void *state;
	unsigned left;
	bool failed;

	(void)store_world_begin(&state);
	w = state;
	fill(w->s);
	faults_watch(tempdir_file(&w->dir, KEYFILE_NAME));
	faults_fail_at(n, EIO, true);
	act(w->s);
	failed = store_commit(w->s) != ERR_OK;
	assert_true(failed == faults_hit() || !failed);
	store_close(w->s);
	w->s = NULL;
	faults_fail_at(0, 0, false);
	faults_power_cut(rng);
	w->s = store_world_open(w->dir.path);
	assert_int_equal(store_tampered(w->s), 0);
	left = readable(w->s, 1);
	assert_true(left == after || (failed && left == TEXTS));
	assert_int_equal(has_name(w->s, 1), left > 0);
	assert_int_equal(readable(w->s, 2), TEXTS);
	/* And it can be done then. */
	if (left == TEXTS) {
		act(w->s);
		assert_int_equal(store_commit(w->s), ERR_OK);
	}
	assert_int_equal(readable(w->s, 1), after);
	faults_watch(NULL);
	(void)store_world_end(&state);
	return failed;
}

/* Hostile inputs 52, 53. */
static void
a_crash_leaves_all_or_nothing(void **state)
{
	struct test_rng dice;
	uint64_t seed = test_seed((uint64_t)getpid());
	unsigned rounds = test_rounds(1);
	unsigned n;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	test_rng_init(&dice, seed);
	for (n = 1; crash_at(n, delete_60, TEXTS - 1, NULL); n++)
		for (unsigned i = 0; i < rounds; i++)
			(void)crash_at(n, delete_60, TEXTS - 1, &dice.rng);
	print_message("a text: %u places\n", n - 1);
	assert_true(n > 3);
	for (n = 1; crash_at(n, remove_all, 0, NULL); n++)
		for (unsigned i = 0; i < rounds; i++)
			(void)crash_at(n, remove_all, 0, &dice.rng);
	print_message("a conversation: %u places\n", n - 1);
	assert_true(n > 3);
}

/* The upgrade of an older store fails at call n; false: it has fewer. */
static bool
upgrade_crash_at(unsigned n, const struct rng *rng)
{
	struct store_world *w;
	void *state;
	char why[STORE_WHY_SIZE];
	bool failed;

	(void)store_world_begin(&state);
	w = state;
	store_world_put_version(w, "version_2");
	assert_int_equal(store_open(w->dir.path, &w->s, why), ERR_OK);
	assert_int_equal(store_set_key(w->s, &store_world_key), ERR_OK);
	store_close(w->s); /* not committed, but there is the file */
	faults_watch(tempdir_file(&w->dir, KEYFILE_NAME));
	faults_fail_at(n, EIO, true);
	assert_int_equal(store_open(w->dir.path, &w->s, why), ERR_OK);
	failed = store_set_key(w->s, &store_world_key) != ERR_OK ||
	         store_commit(w->s) != ERR_OK;
	store_close(w->s);
	faults_fail_at(0, 0, false);
	faults_power_cut(rng);
	faults_watch(NULL);
	w->s = store_world_open(w->dir.path);
	assert_int_equal(store_tampered(w->s), 0);
	assert_string_equal(store_world_story(w->s),
	    "contact.added message.new=said in version 2"
	    " message.new=not sent yet message.new=said twice"
	    " message.edited=said twice message.reaction=! message.new="
	    " message.deleted identity.changed");
	assert_false(store_dirty(w->s));
	(void)store_world_end(&state);
	return failed;
}

/* Hostile input 50. */
static void
an_upgrade_that_crashes_loses_nothing(void **state)
{
	struct test_rng dice;
	uint64_t seed = test_seed((uint64_t)getpid());
	unsigned n;

	(void)state;
	print_message("seed %llu\n", (unsigned long long)seed);
	test_rng_init(&dice, seed);
	for (n = 1; upgrade_crash_at(n, NULL); n++)
		(void)upgrade_crash_at(n, &dice.rng);
	print_message("%u places\n", n - 1);
	assert_true(n > 3);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, store_world_begin, store_world_end)
		T(a_removed_conversation_opens_in_no_older_copy),
		T(a_cleared_conversation_opens_in_no_older_copy),
		T(what_comes_again_after_clearing_is_known),
		T(what_waited_when_cleared_goes_once_it_was_sent),
		T(a_person_goes_and_the_history_stays),
		T(a_deleted_text_opens_in_no_older_copy),
		T(what_is_rolled_back_is_still_there),
		T(blocks_are_of_limited_size),
		T(without_its_keys_a_store_is_refused),
		T(older_keys_open_what_is_older),
		cmocka_unit_test(a_crash_leaves_all_or_nothing),
		cmocka_unit_test(an_upgrade_that_crashes_loses_nothing),
	};

	log_init(LOG_ERR, false);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
