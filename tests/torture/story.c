#include "tests/torture/story.h"

#include "daemon/events.h"
#include "daemon/store_keys.h"
#include "tests/support/store_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_MS = 24 * 3600 * 1000 };
static const uint64_t t0 = STORE_WORLD_MS;

/* The first thing that went wrong is what the step returns. */
#define TRY(call) \
	do { \
		enum err try_err = (call); \
		if (try_err) \
			return try_err; \
	} while (0)

size_t
story_steps(const struct story *t)
{
	size_t n = 0;

	while (t->steps[n].name)
		n++;
	return n;
}

/* ---- parts of steps ---- */

static enum err
event(struct store *s, enum event_type type, unsigned contact, unsigned id)
{
	struct event_row e = { .ts_ms = t0 + id, .type = type };

	e.has_conv = true;
	e.conv = store_world_contact(contact);
	e.has_ref = id > 0;
	store_world_id(e.ref.b, id);
	if (!id)
		e.body = span_str("{\"name\":\"NAME-IN-EVENT\"}");
	return events_add(s, &e);
}

static enum err
contact(struct store *s, unsigned n, enum contact_state state)
{
	struct change c = { .kind = CHANGE_CONTACT, .has_contact = true };
	bool is_new = false;

	c.contact = store_world_contact(n);
	c.contact_state = state;
	memcpy(c.id_pk.b + 8, "IDENTITY-OF-SOMEBODY", 20);
	c.record = span_str("record of a contact, as the node wrote it");
	TRY(store_contact_put(s, &c, t0 + n, &is_new));
	return is_new ? event(s, EVENT_CONTACT_ADDED, n, 0) : ERR_OK;
}

static enum err
message(struct store *s, unsigned of, unsigned id, const char *text,
    enum message_state state, uint32_t ttl_s)
{
	struct store_message m = store_world_message(of, id, text);

	m.m.state = state;
	m.m.ttl_s = ttl_s;
	if (state == MESSAGE_QUEUED)
		(void)snprintf(m.client_id, sizeof(m.client_id), "m%u", id);
	TRY(store_message_add(s, &m));
	return event(s, EVENT_MESSAGE_NEW, of, id);
}

static enum err
move(struct store *s, unsigned of, unsigned id, enum message_state state)
{
	struct contact_id c = store_world_contact(of);
	struct store_message m;
	struct message_id i;

	store_world_id(i.b, id);
	TRY(store_message_move(s, &c, &i, state, t0 + 5000, &m));
	return event(s, EVENT_MESSAGE_STATE, of, id);
}

/* Of what `of` said, or (ours) we said to it. */
static enum err
change(struct store *s, enum message_kind kind, unsigned of, unsigned id,
    const char *text, bool ours)
{
	struct store_message m = store_world_message(of, 900 + id, text);

	m.m.kind = kind;
	m.m.has_ref = true;
	if (ours)
		m.m.state = MESSAGE_QUEUED;
	store_world_id(m.m.ref.b, id);
	if (ours)
		TRY(store_message_add(s, &m));
	return store_message_change(s, &m, t0 + 6000);
}

/* ---- the life of a store ---- */

static enum err
begin(struct store *s)
{
	struct node_saved nodes[2] = { { .at = { .port = 1 } },
		{ .at = { .port = 2 }, .n = { { 7 } } } };

	TRY(store_profile_set(s, span_str("me"), t0));
	TRY(store_told_set(s, span_str("Me Myself")));
	TRY(store_self_set(s, span_str("our own record")));
	TRY(store_dht_set(s, nodes, 2));
	TRY(store_meta_set(s, "note", span_str("noted")));
	return events_consumer_put(s, "reader", 0, t0);
}

static enum err
people(struct store *s)
{
	struct contact_id c = store_world_contact(1);
	struct store_conv conv = { .muted = true,
		.receipts = STORE_RECEIPTS_OFF };
	struct change i = { .kind = CHANGE_INVITE };
	bool is_new;

	for (unsigned n = 1; n <= 4; n++)
		TRY(contact(s, n, n < 4 ? CONTACT_READY : CONTACT_WAITING));
	TRY(store_contact_rename(s, &c, span_str("Alice")));
	TRY(store_contact_profile(s, &c, span_str("alice the great")));
	TRY(store_contact_seen(s, &c, t0 + 77));
	TRY(store_conv_set(s, &c, &conv));
	store_world_id(i.invite.b, 1);
	i.record = span_str("record of an invitation");
	i.expires_s = t0 / 1000 + 86400;
	TRY(store_invite_put(s, &i, t0, &is_new));
	return store_invite_label(s, &i.invite, span_str("for Carol"));
}

static enum err
talk(struct store *s)
{
	uint8_t digest[32] = { 1 }, result[16];

	for (unsigned n = 1; n <= 6; n++)
		TRY(message(s, 1, n, "what Alice says", MESSAGE_RECEIVED, 0));
	for (unsigned n = 11; n <= 16; n++)
		TRY(message(s, 2, n, "what we say to Bob", MESSAGE_QUEUED, 0));
	store_world_id(result, 11);
	return store_client_put(s, span_str("c1"), digest, result, t0);
}

/* Messages come again, as after a lost ACK: they are there once. */
static enum err
again(struct store *s)
{
	struct store_message m = store_world_message(1, 2, "what Alice says");
	struct store_message other = store_world_message(1, 2, "otherwise");

	if (store_message_add(s, &m) != ERR_EXISTS)
		return ERR_IO;
	if (store_message_add(s, &other) != ERR_CONFLICT)
		return ERR_IO;
	return message(s, 1, 7, "one more", MESSAGE_RECEIVED, 0);
}

static enum err
states(struct store *s)
{
	struct contact_id one = store_world_contact(1);
	struct contact_id two = store_world_contact(2);
	struct message_id id;

	for (unsigned n = 11; n <= 14; n++)
		TRY(move(s, 2, n, MESSAGE_SENT));
	for (unsigned n = 11; n <= 13; n++)
		TRY(move(s, 2, n, MESSAGE_DELIVERED));
	TRY(store_conv_they_read(s, &two, 12, t0 + 5500, &id));
	TRY(store_conv_read(s, &one, 4));
	return events_consumer_ack(s, "reader", 5, t0 + 1);
}

static enum err
write_drafts(struct store *s)
{
	struct contact_id one = store_world_contact(1);
	struct contact_id two = store_world_contact(2);

	TRY(store_draft_set(s, &one, span_str("DRAFT-THAT-GOES")));
	return store_draft_set(s, &two, span_str("another draft"));
}

static enum err
rewrite_draft(struct store *s)
{
	struct contact_id one = store_world_contact(1);

	return store_draft_set(s, &one, span_str("draft that stays"));
}

static enum err
secret(struct store *s)
{
	TRY(message(s, 1, 20, "TEXT-TO-EDIT", MESSAGE_RECEIVED, 0));
	TRY(message(s, 1, 21, "TEXT-TO-DELETE", MESSAGE_RECEIVED, 0));
	TRY(message(s, 2, 22, "OUR-TEXT-TO-EDIT", MESSAGE_QUEUED, 0));
	TRY(change(s, MESSAGE_REACTION, 1, 21, "+", false));
	TRY(change(s, MESSAGE_REACTION, 1, 3, "!", true));
	return change(s, MESSAGE_REACTION, 1, 3, "-", false);
}

static enum err
edit(struct store *s)
{
	TRY(change(s, MESSAGE_EDIT, 1, 20, "edited", false));
	TRY(event(s, EVENT_MESSAGE_EDITED, 1, 20));
	return change(s, MESSAGE_EDIT, 2, 22, "our edit", true);
}

static enum err delete (struct store *s) {
	TRY(change(s, MESSAGE_DELETE, 1, 21, "", false));
	return event(s, EVENT_MESSAGE_DELETED, 1, 21);
}

static enum err
sent_at_last(struct store *s)
{
	TRY(move(s, 2, 22, MESSAGE_SENT));
	return move(s, 2, 22, MESSAGE_DELIVERED);
}

static enum err
timers(struct store *s)
{
	struct contact_id one = store_world_contact(1);

	TRY(store_conv_timer(s, &one, 60, t0 + 10));
	TRY(message(s, 1, 30, "TEXT-THAT-DISAPPEARS", MESSAGE_RECEIVED, 60));
	TRY(message(s, 2, 31, "ours that disappears", MESSAGE_QUEUED, 3600));
	TRY(move(s, 2, 31, MESSAGE_DELIVERED));
	return store_timer_read(s, &one, INT64_MAX, t0 + 9000);
}

/* The clock is set on by two days. */
static enum err
due(struct store *s)
{
	struct store_message m;
	enum err err;

	while ((err = store_timer_due(s, t0 + 2 * DAY_MS, &m)) == ERR_OK) {
		struct event_row e = { .ts_ms = t0 + 2 * DAY_MS,
			.type = EVENT_MESSAGE_DELETED,
			.has_conv = true,
			.conv = m.m.contact,
			.has_ref = true,
			.ref = m.m.id };

		TRY(events_add(s, &e));
	}
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* More than a block holds; the clock was set back by ten days. */
static enum err
flood(struct store *s)
{
	char text[600];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (unsigned n = 300; n < 300 + STORE_BLOCK_ROWS + 20; n++) {
		struct store_message m = store_world_message(3, n, text);

		m.m.sent_ms -= 10 * (uint64_t)DAY_MS;
		m.m.received_ms = m.state_ms = m.m.sent_ms;
		TRY(store_message_add(s, &m));
	}
	return event(s, EVENT_MESSAGE_NEW, 3, 300);
}

static enum err
erase_in_flood(struct store *s)
{
	struct contact_id three = store_world_contact(3);
	struct message_id id;

	store_world_id(id.b, 310);
	TRY(store_message_delete(s, &three, &id));
	return event(s, EVENT_MESSAGE_DELETED, 3, 310);
}

/* With what is still to be sent, which goes once it was. */
static enum err
clear(struct store *s)
{
	struct contact_id three = store_world_contact(3);
	struct store_cleared cleared;

	TRY(message(s, 3, 500, "to be sent all the same", MESSAGE_QUEUED, 0));
	return store_conv_clear(s, &three, &cleared);
}

static enum err
sent_after_clear(struct store *s)
{
	struct contact_id three = store_world_contact(3);
	struct store_message m;
	struct message_id id;

	store_world_id(id.b, 500);
	TRY(store_message_move(
	    s, &three, &id, MESSAGE_DELIVERED, t0 + 5000, &m));
	for (unsigned n = 501; n < 630; n++)
		TRY(message(s, 3, n, "and on", MESSAGE_RECEIVED, 0));
	return ERR_OK;
}

/* Many keys: another page of them, and one after it. */
static enum err
crowd(struct store *s)
{
	for (unsigned n = 5; n <= 42; n++) {
		struct contact_id c = store_world_contact(n);

		TRY(contact(s, n, CONTACT_WAITING));
		TRY(store_draft_set(s, &c, span_str("draft")));
		TRY(message(s, n, n, "a first word", MESSAGE_RECEIVED, 0));
	}
	return ERR_OK;
}

static enum err
block(struct store *s)
{
	TRY(contact(s, 5, CONTACT_BLOCKED));
	return event(s, EVENT_CONTACT_BLOCKED, 5, 0);
}

static enum err
used(struct store *s)
{
	struct change c = { .kind = CHANGE_INVITE_GONE, .has_contact = true };

	store_world_id(c.invite.b, 1);
	c.contact = store_world_contact(4);
	return store_invite_gone(s, &c, t0 + 100);
}

/* One with his history, one without: what was to be sent to him fails. */
static enum err
part(struct store *s)
{
	struct contact_id one = store_world_contact(1);
	struct contact_id two = store_world_contact(2);

	TRY(store_contact_remove(s, &one, true, t0 + 8000));
	TRY(event(s, EVENT_CONTACT_REMOVED, 1, 0));
	TRY(store_contact_remove(s, &two, false, t0 + 8000));
	return event(s, EVENT_CONTACT_REMOVED, 2, 0);
}

/* Another life of somebody who was a contact. */
static enum err
meet_again(struct store *s)
{
	TRY(contact(s, 1, CONTACT_READY));
	return message(s, 1, 400, "here again", MESSAGE_RECEIVED, 0);
}

/* Half a year later, and back again. */
static enum err
expire(struct store *s)
{
	TRY(store_expire(s, t0 + 180 * (uint64_t)DAY_MS));
	TRY(events_expire(s, t0 + 180 * (uint64_t)DAY_MS, 30, 20));
	TRY(store_expire(s, t0 - 180 * (uint64_t)DAY_MS));
	return events_expire(s, t0 - 180 * (uint64_t)DAY_MS, 30, 20);
}

const struct story story_life = { .name = "life",
	.steps = {
	    { "begin", begin, NULL },
	    { "people", people, NULL },
	    { "talk", talk, NULL },
	    { "again", again, NULL },
	    { "states", states, NULL },
	    { "write_drafts", write_drafts, NULL },
	    { "rewrite_draft", rewrite_draft, "DRAFT-THAT-GOES" },
	    { "secret", secret, NULL },
	    { "edit", edit, "TEXT-TO-EDIT" },
	    { "delete", delete, "TEXT-TO-DELETE" },
	    { "sent_at_last", sent_at_last, "OUR-TEXT-TO-EDIT" },
	    { "timers", timers, NULL },
	    { "due", due, "TEXT-THAT-DISAPPEARS" },
	    { "flood", flood, NULL },
	    { "erase_in_flood", erase_in_flood, NULL },
	    { "clear", clear, "xxxxxxxx" },
	    { "sent_after_clear", sent_after_clear, "to be sent all the same" },
	    { "crowd", crowd, NULL },
	    { "block", block, NULL },
	    { "used", used, NULL },
	    { "part", part, "what Alice says" },
	    { "meet_again", meet_again, NULL },
	    { "expire", expire, NULL },
	} };

/* ---- older versions ---- */

static enum err
go_on(struct store *s)
{
	return message(s, 1, 90, "said today", MESSAGE_RECEIVED, 0);
}

static void
begin_1(const char *dir)
{
	store_world_write_version(dir, "version_1");
}

static void
begin_2(const char *dir)
{
	store_world_write_version(dir, "version_2");
}

const struct story story_upgrade[2] = {
	{ "version 1", begin_1, { { "go_on", go_on, NULL } } },
	{ "version 2", begin_2, { { "go_on", go_on, NULL } } },
};
