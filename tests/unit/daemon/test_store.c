/* The store: what is committed is there once, and in order. */
#include "daemon/log.h"
#include "daemon/store_db.h"
#include "tests/support/store_world.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t t0 = STORE_WORLD_MS;

static bool
take_contact(void *ctx, const struct store_contact *c)
{
	struct store_rows *r = ctx;

	r->n[r->count++] = (unsigned)(c->id.b[0] << 8 | c->id.b[1]);
	return r->count != r->stop_at;
}

/* ---- messages ---- */

static void
a_message_comes_back_as_it_was_after_a_restart(void **state)
{
	struct store_world *w = *state;
	struct store_message m = store_world_message(1, 7, "hello");
	struct store_message got;

	m.m.flags = MESSAGE_FLAG_CLOCK;
	memcpy(m.client_id, "client-1", 9);
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_reopen(w);
	assert_int_equal(store_message_get(w->s, NULL, &m.m.id, &got), ERR_OK);
	assert_memory_equal(got.m.contact.b, m.m.contact.b, 16);
	assert_int_equal(got.row, m.row);
	assert_int_equal(got.m.seq, 7);
	assert_int_equal(got.m.sent_ms, m.m.sent_ms);
	assert_int_equal(got.m.sent_ms_original, -5);
	assert_int_equal(got.m.received_ms, m.m.received_ms);
	assert_int_equal(got.m.flags, MESSAGE_FLAG_CLOCK);
	assert_memory_equal(got.m.prev, m.m.prev, 32);
	assert_string_equal(got.client_id, "client-1");
	assert_true(span_eq(got.m.text, span_str("hello")));
}

/* Hostile input 25. */
static void
the_first_message_of_an_id_is_kept(void **state)
{
	struct store_world *w = *state;
	struct store_message m = store_world_message(1, 7, "first");
	struct store_message again = store_world_message(1, 7, "first");
	struct store_message other = store_world_message(1, 7, "other text");
	struct store_message seq = store_world_message(1, 7, "first");
	struct store_message elsewhere = store_world_message(2, 7, "first");
	struct store_message got;

	seq.m.seq = 8;
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(store_message_add(w->s, &again), ERR_EXISTS);
	assert_int_equal(store_message_add(w->s, &other), ERR_CONFLICT);
	/* Sent once more under another number. */
	assert_int_equal(store_message_add(w->s, &seq), ERR_EXISTS);
	assert_int_equal(store_message_add(w->s, &elsewhere), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(
	    store_message_get(w->s, &m.m.contact, &m.m.id, &got), ERR_OK);
	assert_true(span_eq(got.m.text, span_str("first")));
}

/* Hostile input 26. */
static void
text_is_stored_as_bytes(void **state)
{
	static const char text[] = "a\0b\x1b[31m\xe2\x80\xae\xff\xfe";
	struct store_world *w = *state;
	struct store_message m = store_world_message(1, 1, "");
	struct store_message got;

	m.m.text = span_of(text, sizeof(text));
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(store_message_get(w->s, NULL, &m.m.id, &got), ERR_OK);
	assert_int_equal(got.m.text.n, sizeof(text));
	assert_memory_equal(got.m.text.p, text, sizeof(text));
}

/* What is sealed is padded with zeros. */
static void
a_text_of_any_length_keeps_its_last_zeros(void **state)
{
	struct store_world *w = *state;
	struct store_message got;
	uint8_t text[300] = { 0 };

	for (unsigned n = 0; n < sizeof(text); n++) {
		struct store_message m = store_world_message(1, 1 + n, "");

		text[0] = (uint8_t)(n % 2 * 0x80);
		m.m.text = span_of(text, n);
		assert_int_equal(store_message_add(w->s, &m), ERR_OK);
		assert_int_equal(
		    store_message_get(w->s, NULL, &m.m.id, &got), ERR_OK);
		assert_true(span_eq(got.m.text, m.m.text));
	}
}

static void
the_longest_text_fits(void **state)
{
	struct store_world *w = *state;
	struct store_message m = store_world_message(1, 1, "");
	struct store_message got;
	char *text = malloc(NODE_TEXT_MAX);

	memset(text, 'x', NODE_TEXT_MAX);
	m.m.text = span_of(text, NODE_TEXT_MAX);
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(store_message_get(w->s, NULL, &m.m.id, &got), ERR_OK);
	assert_true(span_eq(got.m.text, m.m.text));
	free(text);
}

static void
history_pages_without_gap_or_overlap(void **state)
{
	struct store_world *w = *state;
	struct store_history h = { .contact = store_world_contact(1),
		.limit = 4 };
	struct store_rows all = { .count = 0 };
	struct store_message got;
	struct message_id id;

	for (unsigned n = 1; n <= 10; n++) {
		struct store_message m = store_world_message(1, n, "x");
		struct store_message noise =
		    store_world_message(2, 100 + n, "y");

		assert_int_equal(store_message_add(w->s, &m), ERR_OK);
		assert_int_equal(store_message_add(w->s, &noise), ERR_OK);
	}
	for (unsigned left = 10; left > 0;) {
		struct store_rows r = { .count = 0 };

		assert_int_equal(
		    store_history(w->s, &h, store_rows_take, &r), ERR_OK);
		for (size_t i = 0; i < r.count; i++)
			assert_int_equal(r.n[i], left--);
		store_world_id(id.b, r.n[r.count - 1]);
		assert_int_equal(
		    store_message_get(w->s, &h.contact, &id, &got), ERR_OK);
		h.before = got.row;
	}
	h = (struct store_history){ .contact = store_world_contact(1),
		.limit = 50 };
	h.after = got.row; /* the oldest one */
	assert_int_equal(
	    store_history(w->s, &h, store_rows_take, &all), ERR_OK);
	assert_int_equal(all.count, 9);
	assert_int_equal(all.n[0], 2);
	assert_int_equal(all.n[8], 10);
}

static void
final_states_stay(void **state)
{
	struct store_world *w = *state;
	struct store_message m = store_world_message(1, 1, "mine");
	struct store_message got;
	struct message_id none;

	store_world_id(none.b, 99);
	m.m.state = MESSAGE_QUEUED;
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(store_message_move(w->s, &m.m.contact, &m.m.id,
	                     MESSAGE_SENT, t0 + 50, &got),
	    ERR_OK);
	assert_int_equal(store_message_move(w->s, &m.m.contact, &m.m.id,
	                     MESSAGE_DELIVERED, t0 + 60, &got),
	    ERR_OK);
	assert_int_equal(store_message_move(w->s, &m.m.contact, &m.m.id,
	                     MESSAGE_SENT, t0 + 70, &got),
	    ERR_EXISTS);
	assert_int_equal(store_message_move(w->s, &m.m.contact, &none,
	                     MESSAGE_SENT, t0 + 70, &got),
	    ERR_NOT_FOUND);
	assert_int_equal(store_message_get(w->s, NULL, &m.m.id, &got), ERR_OK);
	assert_int_equal(got.m.state, MESSAGE_DELIVERED);
	assert_int_equal(got.state_ms, t0 + 60);
}

/* What `ours` or they do to message n of contact 1. */
static enum err
change(struct store *s, enum message_kind kind, bool ours, unsigned n,
    const char *text)
{
	struct store_message what = store_world_message(1, 900, text);

	what.m.kind = kind;
	what.m.has_ref = true;
	store_world_id(what.m.ref.b, n);
	what.m.state = ours ? MESSAGE_QUEUED : MESSAGE_RECEIVED;
	return store_message_change(s, &what, STORE_WORLD_MS + 5000);
}

static void
get(struct store *s, unsigned n, struct store_message *ret)
{
	struct contact_id c = store_world_contact(1);
	struct message_id id;

	store_world_id(id.b, n);
	assert_int_equal(store_message_get(s, &c, &id, ret), ERR_OK);
}

/* Hostile input 30. */
static void
only_its_author_changes_a_text(void **state)
{
	struct store *s = ((struct store_world *)*state)->s;
	struct store_message theirs = store_world_message(1, 1, "thiers");
	struct store_message m;
	struct store_reaction r[2];
	struct contact_id c = store_world_contact(1);
	size_t n;

	store_world_add(s, 1, "record");
	assert_int_equal(store_message_add(s, &theirs), ERR_OK);
	assert_int_equal(
	    change(s, MESSAGE_EDIT, true, 1, "ours"), ERR_NOT_FOUND);
	assert_int_equal(change(s, MESSAGE_DELETE, true, 1, ""), ERR_NOT_FOUND);
	assert_int_equal(
	    change(s, MESSAGE_EDIT, false, 2, "nothing"), ERR_NOT_FOUND);
	assert_int_equal(change(s, MESSAGE_EDIT, false, 1, "theirs"), ERR_OK);
	get(s, 1, &m);
	assert_true(span_eq(m.m.text, span_str("theirs")));
	assert_true(m.edited_ms == STORE_WORLD_MS + 5000);
	/* Anybody may like it, and stop. */
	assert_int_equal(change(s, MESSAGE_REACTION, true, 1, "+"), ERR_OK);
	assert_int_equal(change(s, MESSAGE_REACTION, false, 1, "-"), ERR_OK);
	assert_int_equal(change(s, MESSAGE_REACTION, true, 1, "++"), ERR_OK);
	get(s, 1, &m);
	assert_int_equal(store_reactions(s, &c, &m.m.id, r, &n), ERR_OK);
	assert_int_equal(n, 2);
	assert_true(r[0].ours && !r[1].ours);
	assert_string_equal(r[0].text, "++");
	assert_int_equal(change(s, MESSAGE_REACTION, true, 1, ""), ERR_OK);
	assert_int_equal(store_reactions(s, &c, &m.m.id, r, &n), ERR_OK);
	assert_int_equal(n, 1);
	/* Gone is gone. */
	assert_int_equal(change(s, MESSAGE_DELETE, false, 1, ""), ERR_OK);
	get(s, 1, &m);
	assert_true(m.deleted && m.m.text.n == 0);
	assert_int_equal(store_reactions(s, &c, &m.m.id, r, &n), ERR_OK);
	assert_int_equal(n, 0);
	assert_int_equal(
	    change(s, MESSAGE_EDIT, false, 1, "back"), ERR_NOT_FOUND);
	assert_int_equal(
	    change(s, MESSAGE_REACTION, true, 1, "+"), ERR_NOT_FOUND);
	/* That it comes again under the same number is no conflict. */
	assert_int_equal(store_message_add(s, &theirs), ERR_EXISTS);
}

/* The hash of what follows covers what was first said, so that is what goes
 * out; when it is there, it is erased. */
static void
what_waits_is_sent_as_it_was_first_said(void **state)
{
	struct store *s = ((struct store_world *)*state)->s;
	struct contact_id c = store_world_contact(1);
	struct store_message ours = store_world_message(1, 1, "fisrt");
	struct store_message m;

	store_world_add(s, 1, "record");
	ours.m.state = MESSAGE_QUEUED;
	assert_int_equal(store_message_add(s, &ours), ERR_OK);
	assert_int_equal(change(s, MESSAGE_EDIT, true, 1, "first"), ERR_OK);
	assert_int_equal(change(s, MESSAGE_EDIT, true, 1, "1st"), ERR_OK);
	get(s, 1, &m);
	assert_true(span_eq(m.m.text, span_str("1st")));
	assert_true(span_eq(m.unsent, span_str("fisrt")));
	assert_int_equal(change(s, MESSAGE_DELETE, true, 1, ""), ERR_OK);
	get(s, 1, &m);
	assert_true(m.deleted && m.m.text.n == 0);
	assert_true(span_eq(m.unsent, span_str("fisrt")));
	assert_int_equal(
	    store_message_move(s, &c, &ours.m.id, MESSAGE_DELIVERED, 1, &m),
	    ERR_OK);
	get(s, 1, &m);
	assert_int_equal(m.unsent.n, 0);
	assert_int_equal(m.m.state, MESSAGE_DELIVERED);
}

/* What stood before it was taken back: it says the same, and opens. */
static void
what_never_left_is_numbered_anew(void **state)
{
	struct store_world *w = *state;
	static const uint8_t prev[32] = { 7 };
	struct contact_id c = store_world_contact(1);
	struct store_message ours = store_world_message(1, 2, "fisrt");
	struct store_message theirs = store_world_message(1, 3, "theirs");
	struct store_message m;
	struct message_id none;

	store_world_add(w->s, 1, "record");
	store_world_id(none.b, 99);
	ours.m.state = MESSAGE_QUEUED;
	assert_int_equal(store_message_add(w->s, &ours), ERR_OK);
	assert_int_equal(change(w->s, MESSAGE_EDIT, true, 2, "first"), ERR_OK);
	assert_int_equal(
	    store_message_number(w->s, &c, &ours.m.id, 1, prev), ERR_OK);
	assert_int_equal(
	    store_message_number(w->s, &c, &none, 1, prev), ERR_NOT_FOUND);
	/* The node knows it as ours: its row is not what it was. */
	assert_int_equal(store_message_add(w->s, &theirs), ERR_OK);
	assert_int_equal(store_message_number(w->s, &c, &theirs.m.id, 2, prev),
	    ERR_NOT_FOUND);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_reopen(w);
	get(w->s, 2, &m);
	assert_int_equal(m.m.seq, 1);
	assert_memory_equal(m.m.prev, prev, sizeof(prev));
	assert_int_equal(m.m.state, MESSAGE_QUEUED);
	assert_true(span_eq(m.m.text, span_str("first")));
	assert_true(span_eq(m.unsent, span_str("fisrt")));
	assert_int_equal(store_tampered(w->s), 0);
}

/* Message 1 of ours, which disappears and was reacted to, has failed. */
static void
add_failed(struct store *s, struct store_message *ours)
{
	struct store_message other = store_world_message(1, 2, "other"), m;

	store_world_add(s, 1, "record");
	ours->m.state = MESSAGE_QUEUED;
	ours->m.ttl_s = 60;
	assert_int_equal(store_message_add(s, ours), ERR_OK);
	assert_int_equal(store_message_add(s, &other), ERR_OK);
	assert_int_equal(change(s, MESSAGE_REACTION, true, 1, "+"), ERR_OK);
	assert_int_equal(store_message_again(s, ours), ERR_EXISTS);
	assert_int_equal(store_message_move(s, &ours->m.contact, &ours->m.id,
	                     MESSAGE_FAILED, t0, &m),
	    ERR_OK);
	assert_true(store_timer_next(s) == t0 + 60000);
	assert_int_equal(store_commit(s), ERR_OK);
}

/* It is the newest then, with what was thought of it and its whole time. */
static void
what_has_failed_is_sent_again(void **state)
{
	struct store_world *w = *state;
	struct store_message ours = store_world_message(1, 1, "word");
	struct store_history q = { .contact = ours.m.contact, .limit = 10 };
	struct store_rows rows = { 0 };
	struct store_reaction r[2];
	struct store_message m;
	size_t n = 0;

	add_failed(w->s, &ours);
	ours.m.seq = 3;
	assert_int_equal(store_message_again(w->s, &ours), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_reopen(w);
	get(w->s, 1, &m);
	assert_int_equal(m.m.state, MESSAGE_QUEUED);
	assert_int_equal(m.m.seq, 3);
	assert_int_equal(m.m.ttl_s, 60);
	assert_true(span_eq(m.m.text, span_str("word")));
	assert_true(store_timer_next(w->s) == NEVER);
	assert_int_equal(
	    store_history(w->s, &q, store_rows_take, &rows), ERR_OK);
	assert_int_equal(rows.count, 2);
	assert_int_equal(rows.n[0], 3); /* newest first */
	assert_int_equal(
	    store_reactions(w->s, &q.contact, &ours.m.id, r, &n), ERR_OK);
	assert_int_equal(n, 1);
	assert_string_equal(r[0].text, "+");
	assert_int_equal(store_tampered(w->s), 0);
	store_world_id(ours.m.id.b, 99);
	assert_int_equal(store_message_again(w->s, &ours), ERR_NOT_FOUND);
}

/* In the outbox of contact 1: message 1, and 2, which edits it. */
static void
add_with_edit(struct store *s)
{
	struct store_message ours = store_world_message(1, 1, "secret");
	struct store_message edit = store_world_message(1, 2, "secret, too");

	store_world_add(s, 1, "record");
	ours.m.state = edit.m.state = MESSAGE_QUEUED;
	edit.m.kind = MESSAGE_EDIT;
	edit.m.has_ref = true;
	edit.m.ref = ours.m.id;
	assert_int_equal(store_message_add(s, &ours), ERR_OK);
	assert_int_equal(store_message_add(s, &edit), ERR_OK);
}

/* Nor does it stay with what never left, when the contact goes. */
static void
what_never_left_is_erased_with_the_contact(void **state)
{
	struct store *s = ((struct store_world *)*state)->s;
	struct contact_id c = store_world_contact(1);
	struct store_message m;

	add_with_edit(s);
	assert_int_equal(change(s, MESSAGE_DELETE, true, 1, ""), ERR_OK);
	assert_int_equal(store_contact_remove(s, &c, false, t0), ERR_OK);
	for (unsigned i = 1; i <= 2; i++) {
		get(s, i, &m);
		assert_int_equal(m.m.state, MESSAGE_FAILED);
		assert_int_equal(m.m.text.n, 0);
		assert_int_equal(m.unsent.n, 0);
	}
}

/* An edit of ours waits in the outbox as any message, and is no history. */
static void
what_we_change_is_sent_and_forgotten(void **state)
{
	struct store *s = ((struct store_world *)*state)->s;
	struct contact_id c = store_world_contact(1);
	struct store_history q = { .contact = c, .limit = 10 };
	struct store_rows rows = { 0 };
	struct store_message m;
	struct message_id edit;

	add_with_edit(s);
	assert_int_equal(store_history(s, &q, store_rows_take, &rows), ERR_OK);
	assert_int_equal(rows.count, 1);
	rows.count = 0;
	assert_int_equal(store_outbox(s, store_rows_take, &rows), ERR_OK);
	assert_int_equal(rows.count, 2);
	store_world_id(edit.b, 2);
	assert_int_equal(
	    store_message_move(s, &c, &edit, MESSAGE_DELIVERED, 1, &m), ERR_OK);
	get(s, 2, &m);
	assert_int_equal(m.m.kind, MESSAGE_EDIT);
	assert_int_equal(m.m.text.n, 0);
	assert_true(m.m.has_ref);
}

static void
the_outbox_holds_what_is_not_delivered_in_order_of_seq(void **state)
{
	struct store_world *w = *state;
	struct store_rows r = { .count = 0 };
	static const unsigned order[] = { 3, 1, 2, 4 };

	for (size_t i = 0; i < 4; i++) {
		struct store_message m =
		    store_world_message(1, order[i], "mine");

		m.m.state = order[i] == 4 ? MESSAGE_DELIVERED : MESSAGE_QUEUED;
		assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	}
	assert_int_equal(store_outbox(w->s, store_rows_take, &r), ERR_OK);
	assert_int_equal(r.count, 3);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(r.n[i], i + 1);
}

/* ---- contacts and conversations ---- */

static void
a_contact_keeps_its_name_when_its_record_changes(void **state)
{
	struct store_world *w = *state;
	struct change c = { .kind = CHANGE_CONTACT, .has_contact = true };
	struct store_contact got;
	bool is_new = true;

	store_world_add(w->s, 1, "record one");
	c.contact = store_world_contact(1);
	assert_int_equal(
	    store_contact_rename(w->s, &c.contact, span_str("Bob")), ERR_OK);
	c.contact_state = CONTACT_READY;
	c.record = span_str("record two");
	c.id_pk.b[0] = 1;
	assert_int_equal(
	    store_contact_put(w->s, &c, t0 + 500, &is_new), ERR_OK);
	assert_false(is_new);
	assert_int_equal(store_contact_get(w->s, &c.contact, &got), ERR_OK);
	assert_string_equal(got.name, "Bob");
	assert_int_equal(got.state, CONTACT_READY);
	assert_int_equal(got.created_ms, t0 + 1);
	assert_int_equal(got.ready_ms, t0 + 500);
	assert_int_equal(store_contact_seen(w->s, &c.contact, t0 + 9), ERR_OK);
	assert_int_equal(store_contact_get(w->s, &c.contact, &got), ERR_OK);
	assert_int_equal(got.last_seen_ms, t0 + 9);
}

static void
unread_counts_what_came_after_the_last_read(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_counts counts;
	int64_t third = 0;
	uint64_t unread = 99;

	store_world_add(w->s, 1, "r");
	for (unsigned n = 1; n <= 5; n++) {
		struct store_message m = store_world_message(1, n, "x");
		struct store_message mine = store_world_message(1, 50 + n, "y");

		mine.m.state = MESSAGE_QUEUED;
		assert_int_equal(store_message_add(w->s, &m), ERR_OK);
		assert_int_equal(store_message_add(w->s, &mine), ERR_OK);
		if (n == 3)
			third = m.row;
	}
	assert_int_equal(store_conv_unread(w->s, &c, &unread), ERR_OK);
	assert_int_equal(unread, 5);
	assert_int_equal(store_conv_read(w->s, &c, third), ERR_OK);
	assert_int_equal(store_conv_unread(w->s, &c, &unread), ERR_OK);
	assert_int_equal(unread, 2);
	assert_int_equal(store_conv_read(w->s, &c, 1), ERR_OK); /* not back */
	assert_int_equal(store_count(w->s, &counts), ERR_OK);
	assert_int_equal(counts.unread, 2);
	assert_int_equal(counts.unread_convs, 1);
	assert_int_equal(counts.waiting, 5);
	assert_int_equal(counts.contacts, 1);
}

static void
conversations_page_by_newest_message(void **state)
{
	struct store_world *w = *state;
	struct store_conv_query q = { .limit = 2 };
	struct store_place next;
	struct store_rows r = { .count = 0 };
	static const unsigned want[] = { 3, 1, 2, 5, 4 };

	for (unsigned n = 1; n <= 5; n++)
		store_world_add(w->s, n, "r");
	for (unsigned i = 0; i < 3; i++) { /* 2 oldest, then 1, then 3 */
		struct store_message m = store_world_message(
		    (const unsigned[]){ 2, 1, 3 }[i], 10 + i, "x");

		assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	}
	do {
		assert_int_equal(
		    store_convs(w->s, &q, take_contact, &r, &next), ERR_OK);
		q.from = next;
	} while (next.set);
	assert_int_equal(r.count, 5);
	for (unsigned i = 0; i < 5; i++)
		assert_int_equal(r.n[i], want[i]);
	r.count = 0;
	q = (struct store_conv_query){ .limit = 10, .unread_only = true };
	assert_int_equal(
	    store_convs(w->s, &q, take_contact, &r, &next), ERR_OK);
	assert_int_equal(r.count, 3);
	assert_false(next.set);
}

static void
contacts_page_by_age(void **state)
{
	struct store_world *w = *state;
	struct store_place at = { .set = false };
	struct store_rows r = { .count = 0 };

	for (unsigned n = 1; n <= 7; n++)
		store_world_add(w->s, 8 - n, "r");
	do
		assert_int_equal(
		    store_contacts(w->s, at, 3, take_contact, &r, &at), ERR_OK);
	while (at.set);
	assert_int_equal(r.count, 7);
	for (unsigned i = 0; i < 7; i++)
		assert_int_equal(r.n[i], 7 - i);
}

static void
a_removed_contact_leaves_what_was_asked_for(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_message m = store_world_message(1, 1, "theirs");
	struct store_message mine = store_world_message(1, 2, "mine");
	struct store_message got;

	store_world_add(w->s, 1, "r");
	mine.m.state = MESSAGE_QUEUED;
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(store_message_add(w->s, &mine), ERR_OK);
	assert_int_equal(store_contact_remove(w->s, &c, false, t0), ERR_OK);
	assert_int_equal(store_message_get(w->s, &c, &mine.m.id, &got), ERR_OK);
	assert_int_equal(got.m.state, MESSAGE_FAILED);
	assert_int_equal(
	    store_contact_remove(w->s, &c, false, t0), ERR_NOT_FOUND);
	store_world_add(w->s, 1, "r");
	assert_int_equal(store_contact_remove(w->s, &c, true, t0), ERR_OK);
	assert_int_equal(
	    store_message_get(w->s, &c, &m.m.id, &got), ERR_NOT_FOUND);
}

/* ---- invitations, requests ---- */

static void
a_used_invitation_forgets_its_secret(void **state)
{
	struct store_world *w = *state;
	struct change c = { .kind = CHANGE_INVITE };
	struct store_invite got;
	bool is_new = false;

	store_world_id(c.invite.b, 4);
	c.expires_s = 1795000600;
	c.record = span_str("SECRET-OF-INVITATION");
	assert_int_equal(store_invite_put(w->s, &c, t0, &is_new), ERR_OK);
	assert_true(is_new);
	assert_int_equal(store_invite_put(w->s, &c, t0, &is_new), ERR_OK);
	assert_false(is_new);
	assert_int_equal(
	    store_invite_label(w->s, &c.invite, span_str("Carol")), ERR_OK);
	assert_int_equal(store_invite_get(w->s, &c.invite, &got), ERR_OK);
	assert_int_equal(got.state, STORE_INVITE_LIVE);
	assert_int_equal(got.expires_ms, 1795000600000);
	c.has_contact = true;
	c.contact = store_world_contact(3);
	assert_int_equal(store_invite_gone(w->s, &c, t0 + 1), ERR_OK);
	assert_int_equal(store_invite_get(w->s, &c.invite, &got), ERR_OK);
	assert_int_equal(got.state, STORE_INVITE_USED);
	assert_string_equal(got.label, "Carol");
	assert_memory_equal(got.used_by.b, c.contact.b, 16);
}

static void
a_request_is_remembered_with_its_content(void **state)
{
	struct store_world *w = *state;
	uint8_t digest[32] = { 1 };
	uint8_t other[32] = { 2 };
	uint8_t result[16] = { 3 };
	uint8_t got[16] = { 0 };
	struct span id = span_str("req-1");

	assert_int_equal(
	    store_client_get(w->s, id, digest, got), ERR_NOT_FOUND);
	assert_int_equal(
	    store_client_put(w->s, id, digest, result, t0), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_reopen(w);
	assert_int_equal(store_client_get(w->s, id, digest, got), ERR_OK);
	assert_memory_equal(got, result, 16);
	assert_int_equal(store_client_get(w->s, id, other, got), ERR_CONFLICT);
	assert_int_equal(
	    store_expire(w->s, t0 + UINT64_C(31) * 86400000), ERR_OK);
	assert_int_equal(
	    store_client_get(w->s, id, digest, got), ERR_NOT_FOUND);
}

/* ---- batches ---- */

/* Texts of two contacts, and states of ours, as `dice` has it; what the store
 * says of them all in the end. */
static void
play(struct store_world *w, unsigned dice, bool batch, char ret[4096])
{
	struct store_message m;
	struct store_contact c;
	size_t at = 0;

	if (batch)
		store_batch_begin(w->s);
	for (unsigned i = 1; i <= 60; i++) {
		unsigned to = 1 + (dice >> i % 13) % 2;

		m = store_world_message(to, i, "text");
		if ((dice >> i % 7) % 4)
			m.m.state = MESSAGE_QUEUED;
		assert_int_equal(store_message_add(w->s, &m), ERR_OK);
		if (i % 5)
			continue;
		for (unsigned k = i - 4; k <= i; k++) {
			struct store_message got;
			struct message_id id;
			enum message_state state =
			    k % 3 ? MESSAGE_SENT : MESSAGE_DELIVERED;

			store_world_id(id.b, k);
			for (to = 1; to <= 2; to++) {
				struct contact_id who = store_world_contact(to);

				(void)!store_message_move(
				    w->s, &who, &id, state, t0 + k % 2, &got);
			}
		}
	}
	if (batch)
		assert_int_equal(store_batch_end(w->s), ERR_OK);
	for (unsigned i = 1; i <= 60; i++) {
		struct message_id id;

		store_world_id(id.b, i);
		assert_int_equal(
		    store_message_get(w->s, NULL, &id, &m), ERR_OK);
		at += (size_t)snprintf(ret + at, 4096 - at, "%d@%d ",
		    (int)m.m.state, (int)(m.state_ms - t0));
	}
	for (unsigned i = 1; i <= 2; i++) {
		struct contact_id id = store_world_contact(i);

		assert_int_equal(store_contact_get(w->s, &id, &c), ERR_OK);
		at += (size_t)snprintf(
		    ret + at, 4096 - at, "last %d ", (int)c.last_row);
	}
}

static void
a_batch_leaves_what_its_writes_would_have_left(void **state)
{
	struct store_world *w = *state;
	char one[4096], other[4096];

	store_world_add(w->s, 1, "record");
	store_world_add(w->s, 2, "record");
	assert_int_equal(store_commit(w->s), ERR_OK);
	for (unsigned dice = 1; dice < 20000; dice += 1777) {
		play(w, dice, false, one);
		store_rollback(w->s);
		play(w, dice, true, other);
		assert_string_equal(one, other);
		store_rollback(w->s);
	}
}

static void
a_batch_that_is_lost_writes_nothing(void **state)
{
	struct store_world *w = *state;
	struct store_message m = store_world_message(1, 1, "text");
	struct contact_id id = store_world_contact(1);
	struct store_contact c;

	store_world_add(w->s, 1, "record");
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_batch_begin(w->s);
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(store_batch_end(w->s), ERR_OK);
	store_rollback(w->s);
	store_batch_begin(w->s);
	assert_int_equal(store_batch_end(w->s), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(store_contact_get(w->s, &id, &c), ERR_OK);
	assert_int_equal(c.last_row, 0);
}

/* Whoever asks next in a turn that is lost begins one, too. */
static void
a_batch_that_failed_leaves_nothing_for_the_next(void **state)
{
	struct store_world *w = *state;
	struct store_message m = store_world_message(1, 1, "ours");
	struct store_message theirs = store_world_message(1, 2, "theirs");
	struct store_message got;

	m.m.state = MESSAGE_QUEUED;
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_batch_begin(w->s);
	assert_int_equal(store_message_move(w->s, &m.m.contact, &m.m.id,
	                     MESSAGE_SENT, t0, &got),
	    ERR_OK);
	assert_int_equal(store_message_add(w->s, &theirs), ERR_OK);
	w->s->failed = true; /* as after a write that the disk refused */
	assert_int_equal(store_batch_end(w->s), ERR_IO);
	store_batch_begin(w->s);
	assert_int_equal(store_batch_end(w->s), ERR_OK);
	store_rollback(w->s);
	assert_int_equal(
	    store_message_get(w->s, &m.m.contact, &m.m.id, &got), ERR_OK);
	assert_int_equal(got.m.state, MESSAGE_QUEUED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, store_world_begin, store_world_end)
		T(a_message_comes_back_as_it_was_after_a_restart),
		T(the_first_message_of_an_id_is_kept),
		T(text_is_stored_as_bytes),
		T(a_text_of_any_length_keeps_its_last_zeros),
		T(the_longest_text_fits),
		T(history_pages_without_gap_or_overlap),
		T(final_states_stay),
		T(only_its_author_changes_a_text),
		T(what_waits_is_sent_as_it_was_first_said),
		T(what_never_left_is_numbered_anew),
		T(what_has_failed_is_sent_again),
		T(what_never_left_is_erased_with_the_contact),
		T(what_we_change_is_sent_and_forgotten),
		T(the_outbox_holds_what_is_not_delivered_in_order_of_seq),
		T(a_contact_keeps_its_name_when_its_record_changes),
		T(unread_counts_what_came_after_the_last_read),
		T(conversations_page_by_newest_message),
		T(contacts_page_by_age),
		T(a_removed_contact_leaves_what_was_asked_for),
		T(a_used_invitation_forgets_its_secret),
		T(a_request_is_remembered_with_its_content),
		T(a_batch_leaves_what_its_writes_would_have_left),
		T(a_batch_that_is_lost_writes_nothing),
		T(a_batch_that_failed_leaves_nothing_for_the_next),
	};

	log_init(LOG_ERR, false);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
