/* The turn: nothing leaves before it is durable; a lost turn is a crash that
 * everybody survives. */
#include "daemon/apply.h"
#include "daemon/store_db.h"
#include "daemon/turn.h"
#include "tests/support/daemon_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the hooks saw, in order: C commit, E events, M moved, e ephemeral. */
static char seen[256];
static enum api_error last_code;

static void
note(char c)
{
	size_t n = strlen(seen);

	if (n + 1 < sizeof(seen))
		seen[n] = c;
}

static void
after_commit(struct daemon *d, enum api_error code)
{
	assert_false(store_dirty(d->store));
	last_code = code;
	note('C');
}

static void
events_ready(struct daemon *d)
{
	struct events_log log;

	assert_int_equal(events_log(d->store, &log), ERR_OK);
	assert_int_equal(log.head, d->event_head);
	note('E');
}

static void
ephemeral(struct daemon *d, const struct event_row *e)
{
	(void)d;
	assert_int_equal(e->seq, 0);
	note('e');
}

static void
hook(struct daemon *d)
{
	d->hooks = (struct daemon_hooks){ .after_commit = after_commit,
		.events_ready = events_ready,
		.ephemeral = ephemeral };
	memset(seen, 0, sizeof(seen));
	last_code = API_INTERNAL;
}

/* The database may not grow from here on. */
static void
limit_pages(struct daemon *d, bool on)
{
	assert_int_equal(sqlite3_exec(d->store->db,
	                     on ? "PRAGMA max_page_count = 1"
	                        : "PRAGMA max_page_count = 1000000",
	                     NULL, NULL, NULL),
	    SQLITE_OK);
}

static enum api_error
send_text(struct daemon *d, const struct contact_id *to, const char *text,
    const char *client_id, struct message_id *ret)
{
	struct command_send in = { .to = *to,
		.words = { .kind = MESSAGE_TEXT, .text = span_str(text) } };
	bool duplicate;

	in.client_id = span_str(client_id);
	return command_message_send(d, &in, ret, &duplicate);
}

/* Sends until a turn is lost; the number of messages that are durable. */
static unsigned
send_until_lost(struct daemon *d, const struct contact_id *to)
{
	static char text[4096];
	struct message_id id;
	unsigned n = 0;

	memset(text, 'x', sizeof(text) - 1);
	for (;; n++) {
		assert_true(n < 1000);
		(void)send_text(d, to, text, "", &id);
		daemon_drain(d);
		if (last_code)
			return n;
	}
}

static void
responses_come_before_events(void **state)
{
	struct daemon_world *w = *state;
	struct contact_id c;

	hook(&w->d);
	c = daemon_world_add(w, 1);
	daemon_ephemeral(&w->d, EVENT_PRESENCE, &c, span_str("{}"));
	daemon_drain(&w->d);
	assert_string_equal(seen, "CeE");
	assert_int_equal(last_code, API_OK);
	memset(seen, 0, sizeof(seen));
	daemon_drain(&w->d);
	assert_string_equal(seen, "C"); /* nothing new, nobody is told */
}

static void
a_lost_turn_is_told_and_undone(void **state)
{
	struct daemon_world *w = *state;
	struct contact_id c = daemon_world_add(w, 1);
	struct message_id id;
	struct store_counts counts;
	unsigned durable;

	daemon_drain(&w->d);
	hook(&w->d);
	limit_pages(&w->d, true);
	durable = send_until_lost(&w->d, &c);
	assert_int_equal(last_code, API_STORAGE_FULL);
	assert_null(w->d.node);
	daemon_drain(&w->d); /* nothing to write: still full */
	assert_int_equal(daemon_ready(&w->d), API_STORAGE_FULL);
	assert_int_equal(send_text(&w->d, &c, "no", "", &id), API_STORAGE_FULL);
	assert_int_equal(store_count(w->d.store, &counts), ERR_OK);
	assert_int_equal(counts.waiting, durable);
	assert_false(w->d.stopping);
}

static void
it_goes_on_when_there_is_room_again(void **state)
{
	struct daemon_world *w = *state;
	struct contact_id c = daemon_world_add(w, 1);
	struct node_contact_info info;
	struct message_id id;
	unsigned durable;

	daemon_drain(&w->d);
	hook(&w->d);
	limit_pages(&w->d, true);
	durable = send_until_lost(&w->d, &c);
	turn_recover(&w->d);
	assert_null(w->d.node); /* still full */
	limit_pages(&w->d, false);
	turn_recover(&w->d);
	assert_non_null(w->d.node);
	assert_true(node_contact_get(w->d.node, &c, &info));
	assert_int_equal(info.outbox, durable);
	assert_int_equal(send_text(&w->d, &c, "again", "", &id), API_OK);
	daemon_drain(&w->d);
	assert_int_equal(last_code, API_OK);
}

static void
a_request_of_a_lost_turn_may_be_repeated(void **state)
{
	struct daemon_world *w = *state;
	struct contact_id c = daemon_world_add(w, 1);
	struct message_id id;

	daemon_drain(&w->d);
	hook(&w->d);
	assert_int_equal(send_text(&w->d, &c, "text", "req-1", &id), API_OK);
	w->d.turn_failed = true; /* as a write that failed does */
	daemon_drain(&w->d);
	assert_int_equal(last_code, API_STORAGE_ERROR);
	turn_recover(&w->d);
	assert_int_equal(send_text(&w->d, &c, "text", "req-1", &id), API_OK);
	daemon_drain(&w->d);
	assert_int_equal(last_code, API_OK);
	assert_string_equal(daemon_world_events(w, 0),
	    "identity.changed contact.added message.new");
}

static void
a_restart_finds_everything_again(void **state)
{
	struct daemon_world *w = *state;
	struct contact_id c = daemon_world_add(w, 1);
	struct node_contact_info info;
	struct message_id id;
	struct endpoint before;
	struct endpoint after;
	struct id_pk a;
	struct id_pk b;

	assert_int_equal(send_text(&w->d, &c, "one", "", &id), API_OK);
	daemon_drain(&w->d);
	assert_true(node_id(w->d.node, &a));
	assert_true(udp_bound(w->d.udp, FAMILY_V4, &before));
	daemon_world_stop(w);
	assert_true(daemon_world_start(w));
	assert_true(node_id(w->d.node, &b));
	assert_true(id_eq(&a, &b));
	assert_true(udp_bound(w->d.udp, FAMILY_V4, &after));
	assert_true(endpoint_eq(&before, &after)); /* the port is kept */
	assert_true(node_contact_get(w->d.node, &c, &info));
	assert_int_equal(info.outbox, 1);
}

/* Hostile input 47. */
static void
a_second_daemon_is_refused_and_a_taken_port_too(void **state)
{
	struct daemon_world *w = *state;
	struct daemon_world second = { .dir = w->dir };
	char text[64];
	struct endpoint at;

	assert_false(daemon_world_start(&second));
	daemon_world_stop(&second);
	assert_true(udp_bound(w->d.udp, FAMILY_V4, &at));
	second.dir = tempdir_new();
	(void)snprintf(text, sizeof(text), "127.0.0.1:%u", at.port);
	assert_true(daemon_world_start(&second));
	daemon_world_stop(&second);
	{
		struct udp *u = NULL;
		char why[UDP_WHY_SIZE];

		assert_int_equal(udp_new(&u), ERR_OK);
		assert_int_equal(udp_listen(u, &at, why), ERR_EXISTS);
		assert_non_null(strstr(why, text));
		udp_free(u);
	}
	tempdir_free(&second.dir);
	daemon_drain(&w->d); /* the first one is unhurt */
}

/* Whatever the units are in which a file system counts. */
static void
a_disk_is_low_below_the_reserve(void **state)
{
	static const unsigned long units[] = { 512, 1000, 4096, 1 << 20 };
	struct statvfs fs = { .f_blocks = 0 };

	(void)state;
	assert_false(turn_is_low(&fs, 64, false)); /* it does not say */
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		fs.f_frsize = units[i];
		fs.f_blocks = 1U << 31;
		fs.f_bavail = (65U << 20) / units[i];
		assert_false(turn_is_low(&fs, 64, false));
		assert_false(turn_is_low(&fs, 0, false));
		/* It is not low and good in turn. */
		assert_true(turn_is_low(&fs, 64, true));
		fs.f_bavail = (73U << 20) / units[i];
		assert_false(turn_is_low(&fs, 64, true));
		fs.f_bavail = (63U << 20) / units[i];
		assert_true(turn_is_low(&fs, 64, false));
		fs.f_bavail = UINT64_MAX;
		assert_false(turn_is_low(&fs, 64, false));
	}
	fs.f_frsize = 0;
	fs.f_bsize = 4096;
	fs.f_bavail = 0;
	assert_true(turn_is_low(&fs, 64, false));
}

/* Who is damaged in the store may say what they like, and be asked for: it
 * costs no turn, for they would say it again and again. */
static void
a_contact_that_does_not_open_costs_no_turn(void **state)
{
	static const char *const damages[] = {
		"UPDATE contact SET id_pk = zeroblob(104)",
		"UPDATE contact SET k = 999999",
	};
	struct daemon_world *w = *state;
	struct contact_id id = daemon_world_add(w, 1);
	struct change c = { .kind = CHANGE_MESSAGE, .contact = id };
	enum api_error code;

	daemon_drain(&w->d);
	c.message.contact = id;
	c.message.state = MESSAGE_RECEIVED;
	c.message.text = span_str("my name");
	for (size_t i = 0; i < sizeof(damages) / sizeof(*damages); i++) {
		assert_int_equal(
		    sqlite3_exec(w->d.store->db, damages[i], NULL, NULL, NULL),
		    SQLITE_OK);
		c.message.kind = MESSAGE_TIMER;
		c.message.ttl_s = 60;
		c.message.sent_ms = w->d.now.wall_ms + i;
		assert_int_equal(apply_change(&w->d, &c), ERR_OK);
		c.message.kind = MESSAGE_PROFILE;
		assert_int_equal(apply_change(&w->d, &c), ERR_OK);
		code = command_contact_rename(&w->d, &id, span_str("x"));
		assert_true(code == (i ? API_CONTACT_NOT_FOUND : API_OK));
		assert_false(w->d.turn_failed);
		daemon_drain(&w->d);
		assert_int_equal(w->d.turns_lost, 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, daemon_world_begin, daemon_world_end)
		T(responses_come_before_events),
		T(a_lost_turn_is_told_and_undone),
		T(it_goes_on_when_there_is_room_again),
		T(a_request_of_a_lost_turn_may_be_repeated),
		T(a_restart_finds_everything_again),
		T(a_second_daemon_is_refused_and_a_taken_port_too),
		T(a_contact_that_does_not_open_costs_no_turn),
		cmocka_unit_test(a_disk_is_low_below_the_reserve),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
