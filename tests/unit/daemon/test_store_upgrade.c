/* Stores that older versions wrote, and what is left of a deleted text. */
#include "daemon/log.h"
#include "daemon/store_db.h"
#include "tests/support/store_world.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* ---- what is in the rows ---- */

static void
a_deleted_text_is_in_no_row_and_no_file(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_message m = store_world_message(1, 1, "A-SECRET-TEXT");
	struct event_row e = { .type = EVENT_MESSAGE_NEW, .has_conv = true };
	struct store_traces before = { 0 }, after;

	store_world_add(w->s, 1, "record");
	e.conv = c;
	e.has_ref = true;
	e.ref = m.m.id;
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(events_add(w->s, &e), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_traces(w, "A-SECRET-TEXT", &before);
	assert_int_equal(before.rows, 1);
	assert_true(before.n > 0 && before.sealed_in_files > 0);
	assert_int_equal(store_message_delete(w->s, &c, &m.m.id), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	after = before;
	store_world_traces(w, "A-SECRET-TEXT", &after);
	assert_int_equal(after.rows, 0);
	assert_int_equal(after.sealed_in_files, 0);
	store_world_traces_clear(&after);
}

static void
an_edited_text_is_told_as_it_is_now(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_message m = store_world_message(1, 1, "FIRST-TEXT");
	struct store_message edit = store_world_message(1, 2, "second");
	struct store_traces left = { 0 };

	store_world_add(w->s, 1, "record");
	edit.m.kind = MESSAGE_EDIT;
	edit.m.has_ref = true;
	edit.m.ref = m.m.id;
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	store_world_event(w->s, EVENT_MESSAGE_NEW, &c, &m.m.id);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(
	    store_message_change(w->s, &edit, STORE_WORLD_MS), ERR_OK);
	store_world_event(w->s, EVENT_MESSAGE_EDITED, &c, &m.m.id);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_string_equal(store_world_story(w->s),
	    "message.new=second message.edited=second");
	store_world_traces(w, "FIRST-TEXT", &left);
	assert_int_equal(left.rows, 0);
	/* Of what is gone each event tells that it is, none what it said. */
	assert_int_equal(store_message_delete(w->s, &c, &m.m.id), ERR_OK);
	store_world_event(w->s, EVENT_MESSAGE_DELETED, &c, &m.m.id);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_string_equal(store_world_story(w->s),
	    "message.new= message.edited message.deleted");
	store_world_traces_clear(&left);
}

static void
a_text_that_was_lost_is_told_as_gone(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_message m = store_world_message(1, 1, "LOST-TEXT");
	struct store_message n = store_world_message(1, 2, "kept");

	store_world_add(w->s, 1, "record");
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	store_rollback(w->s);
	store_world_event(w->s, EVENT_MESSAGE_NEW, &c, &m.m.id);
	assert_int_equal(store_message_add(w->s, &n), ERR_OK);
	store_world_event(w->s, EVENT_MESSAGE_NEW, &c, &n.m.id);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_string_equal(
	    store_world_story(w->s), "message.new message.new=kept");
	store_world_reopen(w);
	assert_string_equal(
	    store_world_story(w->s), "message.new message.new=kept");
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_string_equal(
	    store_world_story(w->s), "message.new=LOST-TEXT message.new=kept");
	/* What is removed is gone from memory, too. */
	assert_int_equal(store_contact_remove(w->s, &c, true, 1), ERR_OK);
	store_world_event(w->s, EVENT_MESSAGE_NEW, &c, &m.m.id);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_string_equal(store_world_story(w->s), "message.new");
}

/* ---- older versions ---- */

static void
a_store_of_version_1_goes_on(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_message m, more = store_world_message(1, 3, "a reply");
	struct store_rows rows = { 0 };

	store_world_put_version(w, "version_1");
	w->s = store_world_open(w->dir.path);
	store_world_id(m.m.id.b, 1);
	assert_int_equal(store_message_get(w->s, &c, &m.m.id, &m), ERR_OK);
	assert_true(span_eq(m.m.text, span_str("said in version 1")));
	assert_false(m.m.has_ref || m.deleted || m.edited_ms > 0);
	more.m.has_ref = true;
	more.m.ref = m.m.id;
	assert_int_equal(store_message_add(w->s, &more), ERR_OK);
	assert_int_equal(store_outbox(w->s, store_rows_take, &rows), ERR_OK);
	assert_int_equal(rows.count, 1);
	assert_string_equal(rows.text, "not sent yet");
	assert_int_equal(store_message_delete(w->s, &c, &more.m.ref), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(store_tampered(w->s), 0);
}

/* Its events had the texts of messages in them. */
static void
events_of_version_2_tell_what_is_said_now(void **state)
{
	static const char story[] =
	    "contact.added message.new=said in version 2"
	    " message.new=not sent yet message.new=said twice"
	    " message.edited=said twice message.reaction=! message.new="
	    " message.deleted identity.changed";
	struct store_world *w = *state;
	struct store_traces left = { 0 };

	store_world_put_version(w, "version_2");
	w->s = store_world_open(w->dir.path);
	assert_string_equal(store_world_story(w->s), story);
	store_world_traces(w, "TEXT-THAT-WAS-DELETED", &left);
	assert_int_equal(left.rows, 0);
	store_world_traces_clear(&left);
	store_world_reopen(w);
	assert_string_equal(store_world_story(w->s), story);
	assert_int_equal(store_tampered(w->s), 0);
}

/* What of older versions is still under the key of the store. */
static bool
any_unkeyed(struct store *s)
{
	static const char *const queries[] = {
		"SELECT 1 FROM contact WHERE k = 0",
		"SELECT 1 FROM message WHERE k = 0",
		"SELECT 1 FROM reaction WHERE k = 0",
		"SELECT 1 FROM event WHERE k = 0 AND conv IS NOT NULL",
	};
	bool any = false;

	for (size_t i = 0; i < sizeof(queries) / sizeof(queries[0]); i++) {
		struct query q = db_query(s, queries[i]);

		any = any || db_row(&q) == ERR_OK;
		db_end(&q);
	}
	return any;
}

static void
older_stores_get_keys_for_conversations(void **state)
{
	static const char *const names[] = { "version_1", "version_2" };
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);

	for (size_t i = 0; i < 2; i++) {
		store_world_put_version(w, names[i]);
		w->s = store_world_open(w->dir.path);
		assert_false(any_unkeyed(w->s));
		assert_int_equal(
		    store_contact_remove(w->s, &c, true, STORE_WORLD_MS),
		    ERR_OK);
		assert_int_equal(store_commit(w->s), ERR_OK);
		store_world_reopen(w);
		assert_int_equal(store_tampered(w->s), 0);
	}
}

/* Cut off before the commit it is as it was, and done at the next start. */
static void
an_upgrade_is_done_once_or_not_at_all(void **state)
{
	struct store_world *w = *state;
	char why[STORE_WHY_SIZE];

	store_world_put_version(w, "version_2");
	for (int i = 0; i < 3; i++) {
		assert_int_equal(store_open(w->dir.path, &w->s, why), ERR_OK);
		assert_int_equal(store_set_key(w->s, &store_world_key), ERR_OK);
		assert_true(store_dirty(w->s));
		store_close(w->s);
	}
	w->s = store_world_open(w->dir.path);
	store_world_reopen(w);
	assert_false(store_dirty(w->s));
	assert_non_null(strstr(store_world_story(w->s), "=said twice"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, store_world_begin, store_world_end)
		T(a_deleted_text_is_in_no_row_and_no_file),
		T(an_edited_text_is_told_as_it_is_now),
		T(a_text_that_was_lost_is_told_as_gone),
		T(a_store_of_version_1_goes_on),
		T(events_of_version_2_tell_what_is_said_now),
		T(older_stores_get_keys_for_conversations),
		T(an_upgrade_is_done_once_or_not_at_all),
	};

	log_init(LOG_ERR, false);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
