/* The event log: numbers never repeat, nothing is dropped unread. */
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

static const uint64_t day_ms = UINT64_C(86400000);
static const uint64_t t0 = STORE_WORLD_MS;

static void
add(struct store *s, uint64_t ts_ms, const char *body)
{
	struct event_row e = { .ts_ms = ts_ms, .type = EVENT_MESSAGE_NEW };

	e.body = span_str(body);
	e.has_conv = true;
	e.conv = store_world_contact(3);
	assert_int_equal(events_add(s, &e), ERR_OK);
}

static void
add_many(struct store *s, unsigned n, uint64_t ts_ms)
{
	for (unsigned i = 0; i < n; i++)
		add(s, ts_ms, "{}");
	assert_int_equal(store_commit(s), ERR_OK);
}

struct seen {
	int64_t first, last;
	unsigned n, stop_at;
	char body[64];
};

static bool
take(void *ctx, const struct event_row *e)
{
	struct seen *s = ctx;

	if (s->n++ == 0)
		s->first = e->seq;
	else
		assert_int_equal(e->seq, s->last + 1);
	s->last = e->seq;
	assert_true(e->has_conv);
	memset(s->body, 0, sizeof(s->body));
	if (e->body.n > 0)
		memcpy(s->body, e->body.p,
		    e->body.n < 63 ? e->body.n : (size_t)63);
	return s->n != s->stop_at;
}

static void
every_name_leads_back_to_its_type(void **state)
{
	(void)state;
	for (unsigned i = EVENT_NONE + 1; i < EVENT_TYPES; i++)
		assert_int_equal(
		    events_type(events_name((enum event_type)i)), i);
	assert_int_equal(events_type("message.old"), EVENT_NONE);
	assert_int_equal(events_type("none"), EVENT_NONE);
	assert_int_equal(events_type(""), EVENT_NONE);
}

static void
reading_goes_on_where_it_stopped(void **state)
{
	struct store_world *w = *state;
	struct seen s = { .stop_at = 3 };
	int64_t last = 0;

	for (unsigned i = 1; i <= 10; i++) {
		char body[32];

		(void)snprintf(body, sizeof(body), "{\"n\":%u}", i);
		add(w->s, t0 + i, body);
	}
	assert_int_equal(events_read(w->s, 0, 100, take, &s, &last), ERR_OK);
	assert_int_equal(last, 0); /* not before the commit */
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(events_read(w->s, 0, 100, take, &s, &last), ERR_OK);
	assert_int_equal(last, 3);
	s.stop_at = 0;
	assert_int_equal(events_read(w->s, last, 5, take, &s, &last), ERR_OK);
	assert_int_equal(last, 8);
	assert_int_equal(events_read(w->s, last, 5, take, &s, &last), ERR_OK);
	assert_int_equal(last, 10);
	assert_int_equal(s.n, 10);
	assert_string_equal(s.body, "{\"n\":10}");
	assert_int_equal(events_read(w->s, last, 5, take, &s, &last), ERR_OK);
	assert_int_equal(last, 10);
}

static void
numbers_and_epoch_survive_a_restart(void **state)
{
	struct store_world *w = *state;
	struct events_log a;
	struct events_log b;

	add_many(w->s, 5, t0);
	assert_int_equal(events_log(w->s, &a), ERR_OK);
	assert_int_equal(strlen(a.epoch), 16);
	assert_int_equal(a.oldest, 1);
	store_world_reopen(w);
	add_many(w->s, 1, t0);
	assert_int_equal(events_log(w->s, &b), ERR_OK);
	assert_int_equal(b.head, 6);
	assert_string_equal(a.epoch, b.epoch);
}

static void
two_stores_have_two_epochs(void **state)
{
	struct store_world *w = *state;
	struct tempdir other = tempdir_new();
	struct store *s = store_world_open(other.path);
	struct events_log a;
	struct events_log b;

	assert_int_equal(events_log(w->s, &a), ERR_OK);
	assert_int_equal(events_log(s, &b), ERR_OK);
	assert_string_not_equal(a.epoch, b.epoch);
	store_close(s);
	tempdir_free(&other);
}

static void
a_rolled_back_number_is_given_again(void **state)
{
	struct store_world *w = *state;
	struct events_log log;

	add_many(w->s, 2, t0);
	add(w->s, t0, "{\"lost\":1}");
	store_rollback(w->s);
	add_many(w->s, 1, t0);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_int_equal(log.head, 3);
}

static void
only_what_is_old_and_beyond_the_rows_is_dropped(void **state)
{
	struct store_world *w = *state;
	struct events_log log;
	uint64_t now = t0 + 100 * day_ms;

	add_many(w->s, 50, t0);
	add_many(w->s, 50, now - 10 * day_ms);
	assert_int_equal(events_expire(w->s, now, 30, 80), ERR_OK);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_int_equal(log.oldest, 21); /* 80 rows stay, though old */
	assert_int_equal(events_expire(w->s, now, 30, 10), ERR_OK);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_int_equal(log.oldest, 51); /* young ones stay, though many */
	assert_int_equal(log.head, 100);
	assert_int_equal(events_expire(w->s, now, 1, 0), ERR_OK);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_int_equal(log.oldest, 101); /* none left, the head stays */
	assert_int_equal(log.head, 100);
	store_world_reopen(w);
	add_many(w->s, 1, now);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_int_equal(log.head, 101);
}

static void
a_consumer_holds_back_what_it_has_not_acked(void **state)
{
	struct store_world *w = *state;
	struct events_log log;
	uint64_t now = t0 + 60 * day_ms;
	int64_t seq = 0;
	bool lapsed = true;

	add_many(w->s, 100, t0);
	assert_int_equal(events_consumer_put(w->s, "bridge-1", 0, now), ERR_OK);
	assert_int_equal(
	    events_consumer_ack(w->s, "bridge-1", 40, now), ERR_OK);
	assert_int_equal(
	    events_consumer_ack(w->s, "bridge-1", 30, now), ERR_OK);
	assert_int_equal(
	    events_consumer_get(w->s, "bridge-1", &seq, &lapsed), ERR_OK);
	assert_int_equal(seq, 40); /* never back */
	assert_false(lapsed);
	assert_int_equal(
	    events_consumer_ack(w->s, "bridge-1", 101, now), ERR_LIMIT);
	assert_int_equal(
	    events_consumer_ack(w->s, "nobody", 1, now), ERR_NOT_FOUND);
	assert_int_equal(events_expire(w->s, now, 30, 0), ERR_OK);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_int_equal(log.oldest, 41);
	now += 100 * day_ms; /* away for too long */
	assert_int_equal(events_expire(w->s, now, 30, 0), ERR_OK);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_int_equal(log.oldest, 101);
	assert_int_equal(
	    events_consumer_get(w->s, "bridge-1", &seq, &lapsed), ERR_OK);
	assert_true(lapsed);
	assert_int_equal(
	    events_consumer_put(w->s, "bridge-1", 100, now), ERR_OK);
	assert_int_equal(
	    events_consumer_get(w->s, "bridge-1", &seq, &lapsed), ERR_OK);
	assert_false(lapsed);
}

static void
consumers_are_few_and_well_named(void **state)
{
	static const char *const bad[] = { "", "A", "a b", "a/b", "ü",
		"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" };
	struct store_world *w = *state;
	char name[8];

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(
		    events_consumer_put(w->s, bad[i], 0, t0), ERR_MALFORMED);
	for (unsigned i = 0; i < API_CONSUMERS_MAX; i++) {
		(void)snprintf(name, sizeof(name), "c%u", i);
		assert_int_equal(
		    events_consumer_put(w->s, name, 0, t0), ERR_OK);
	}
	assert_int_equal(
	    events_consumer_put(w->s, "one-more", 0, t0), ERR_LIMIT);
	assert_int_equal(events_consumer_put(w->s, "c3", 0, t0), ERR_OK);
}

/* ---- many in a row ---- */

/* Three kinds of events in turn, about messages 1, 2, ... of contact 3. */
static struct event_row
about(int64_t seq)
{
	struct event_row e = { .ts_ms = t0, .has_conv = true, .has_ref = true };

	e.conv = store_world_contact(3);
	store_world_id(e.ref.b, (unsigned)seq);
	e.type = seq % 3 == 0 ? EVENT_MESSAGE_NEW : EVENT_MESSAGE_STATE;
	e.ours = seq % 2;
	if (seq % 3 == 0)
		return e;
	e.state = seq % 3 == 1 ? MESSAGE_SENT : MESSAGE_DELIVERED;
	if (seq % 3 == 1)
		e.client_id = span_str("client-1");
	else
		e.reason = (enum message_reason)(seq % (REASON_NO_ROOM + 1));
	return e;
}

static void
add_about(struct store *s, int64_t from, int64_t to)
{
	for (int64_t seq = from; seq <= to; seq++) {
		struct event_row e = about(seq);

		assert_int_equal(events_add(s, &e), ERR_OK);
		assert_int_equal(e.seq, seq);
	}
}

static int64_t
count_rows(struct store *s, const char *sql)
{
	struct query q = db_query(s, sql);
	int64_t n;

	assert_int_equal(db_row(&q), ERR_OK);
	n = db_int(&q, 0);
	db_end(&q);
	return n;
}

static bool
take_about(void *ctx, const struct event_row *e)
{
	struct event_row want = about(e->seq);
	struct seen *s = ctx;

	assert_int_equal(e->type, want.type);
	assert_int_equal(e->ts_ms, t0);
	assert_memory_equal(&e->ref, &want.ref, sizeof(want.ref));
	assert_memory_equal(&e->conv, &want.conv, sizeof(want.conv));
	assert_int_equal(e->ours, want.ours);
	assert_int_equal(e->state, want.state);
	assert_int_equal(e->reason, want.reason);
	assert_true(span_eq(e->client_id, want.client_id));
	return take(s, e);
}

/* Read from every number on, some at a time. */
static void
read_all_about(struct store *s, int64_t n)
{
	for (int64_t since = 0; since < n; since += 7) {
		struct seen seen = { .stop_at = 0 };
		int64_t last = since, before;

		do {
			before = last;
			assert_int_equal(
			    events_read(s, last, 11, take_about, &seen, &last),
			    ERR_OK);
			assert_int_equal(
			    last, before + 11 < n ? before + 11 : n);
		} while (last < n);
		assert_int_equal(seen.first, since + 1);
		assert_int_equal(seen.n, n - since);
	}
}

static void
events_of_a_turn_share_rows_and_stay_apart(void **state)
{
	static const char count[] = "SELECT count(*) FROM event";
	struct store_world *w = *state;
	struct seen seen = { .stop_at = 3 };
	struct events_log log;
	int64_t last = 0;

	add_about(w->s, 1, 200);
	assert_true(store_dirty(w->s));
	assert_int_equal(
	    events_read(w->s, 0, 9, take_about, &seen, &last), ERR_OK);
	assert_int_equal(last, 0); /* not before the commit */
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_in_range(count_rows(w->s, count), 2, 8);
	read_all_about(w->s, 200);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_int_equal(log.oldest, 1);
	assert_int_equal(log.head, 200);
	assert_int_equal(
	    events_read(w->s, 40, 9, take_about, &seen, &last), ERR_OK);
	assert_int_equal(last, 43); /* it was enough for who reads */
	store_world_reopen(w);
	add_about(w->s, 201, 203);
	assert_int_equal(store_commit(w->s), ERR_OK);
	read_all_about(w->s, 203);
	assert_int_equal(store_tampered(w->s), 0);
}

static void
events_keep_their_order_and_their_time(void **state)
{
	struct store_world *w = *state;
	struct seen seen = { .stop_at = 0 };
	struct event_row e = about(5);
	int64_t last = 0;

	add_about(w->s, 1, 2);
	add(w->s, t0, "{\"n\":3}"); /* has a row of its own */
	add_about(w->s, 4, 4);
	e.ts_ms = t0 + 1;
	assert_int_equal(events_add(w->s, &e), ERR_OK);
	e = about(6);
	e.conv = store_world_contact(4);
	assert_int_equal(events_add(w->s, &e), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(count_rows(w->s, "SELECT count(*) FROM event"), 5);
	assert_int_equal(count_rows(w->s, "SELECT count(*) FROM event"
	                                  " WHERE ts_ms = 1795000000001"),
	    1);
	assert_int_equal(events_read(w->s, 0, 100, take, &seen, &last), ERR_OK);
	assert_int_equal(seen.n, 6);
	assert_int_equal(last, 6);
}

static void
what_was_not_committed_is_told_to_nobody(void **state)
{
	struct store_world *w = *state;

	add_about(w->s, 1, 3);
	store_rollback(w->s);
	assert_false(store_dirty(w->s));
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(count_rows(w->s, "SELECT count(*) FROM event"), 0);
	add_about(w->s, 1, 60);
	assert_int_equal(store_commit(w->s), ERR_OK);
	read_all_about(w->s, 60);
}

/* A row of many goes when its last one may. */
static void
a_consumer_holds_back_the_row_it_is_in(void **state)
{
	struct store_world *w = *state;
	uint64_t now = t0 + 60 * day_ms;
	struct events_log log;

	add_about(w->s, 1, 200);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(events_consumer_put(w->s, "bridge", 100, now), ERR_OK);
	assert_int_equal(events_expire(w->s, now, 30, 0), ERR_OK);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_in_range(log.oldest, 2, 101);
	assert_int_equal(events_consumer_ack(w->s, "bridge", 200, now), ERR_OK);
	assert_int_equal(events_expire(w->s, now, 30, 0), ERR_OK);
	assert_int_equal(events_log(w->s, &log), ERR_OK);
	assert_int_equal(log.oldest, 201);
	assert_int_equal(log.head, 200);
}

/* Also with what this turn has told of it. */
static void
a_removed_history_leaves_no_event(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(3);

	store_world_add(w->s, 3, "record");
	add_about(w->s, 1, 3);
	assert_int_equal(store_contact_remove(w->s, &c, true, t0), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(count_rows(w->s, "SELECT count(*) FROM event"), 0);
	assert_int_equal(count_rows(w->s, "SELECT count(*) FROM seal_key"), 0);
}

static void
a_row_of_many_that_was_altered_is_left_out(void **state)
{
	struct store_world *w = *state;
	struct seen seen = { .stop_at = 0 };
	int64_t last = 0;

	add_about(w->s, 1, 3);
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(
	    db_exec(w->s, "UPDATE event SET seq = 2 WHERE seq = 3"), ERR_OK);
	store_world_reopen(w);
	assert_int_equal(
	    events_read(w->s, 0, 100, take_about, &seen, &last), ERR_OK);
	assert_int_equal(seen.n, 0);
	assert_int_equal(last, 2);
	assert_int_equal(store_tampered(w->s), 1);
}

/* ---- what events are about ---- */

enum { TEXTS = 40, ASKED = 400 };
static bool some_disappear;

/* Its contact, its text and how long it lasts follow from the number; those
 * that 7 divides are not there, those that 11 divides do not open. */
static struct store_message
text_of(unsigned n, char buf[24])
{
	struct store_message m;

	(void)snprintf(buf, 24, "text %u", n);
	m = store_world_message(1 + n % 3, n, buf);
	m.m.ttl_s = some_disappear && n % 5 == 0 ? 60 + n : 0;
	return m;
}

static unsigned
asked_for(int64_t seq)
{
	/* By turns in the order they came, backwards, and here and there. */
	unsigned n = (unsigned)seq;

	if (n % 100 < 50)
		return 1 + n % TEXTS;
	return n % 100 < 70 ? TEXTS - n % TEXTS : 1 + n * 7919 % TEXTS;
}

static bool
take_text(void *ctx, const struct event_row *e)
{
	unsigned n = asked_for(e->seq);
	char buf[24];
	struct store_message want = text_of(n, buf);

	++*(unsigned *)ctx;
	assert_memory_equal(&e->ref, &want.m.id, sizeof(e->ref));
	if (n % 7 == 0 || n % 11 == 0) {
		assert_null(e->about);
		return true;
	}
	assert_non_null(e->about);
	assert_memory_equal(&e->about->m.id, &want.m.id, sizeof(want.m.id));
	assert_true(span_eq(e->about->m.text, want.m.text));
	assert_int_equal(e->about->m.ttl_s, want.m.ttl_s);
	return true;
}

static void
look_for_texts(struct store_world *w)
{
	int64_t last = 0;
	unsigned n = 0;
	char buf[24];

	for (unsigned i = 1; i <= TEXTS; i++) {
		struct store_message m = text_of(i, buf);

		if (i % 7 != 0)
			assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	}
	for (int64_t seq = 1; seq <= ASKED; seq++) {
		struct store_message m = text_of(asked_for(seq), buf);

		store_world_event(
		    w->s, EVENT_MESSAGE_NEW, &m.m.contact, &m.m.id);
	}
	assert_int_equal(db_exec(w->s, "UPDATE message SET seq = seq + 1000"
	                               " WHERE seq % 11 = 0"),
	    ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_reopen(w); /* none is remembered */
	while (last < ASKED)
		assert_int_equal(
		    events_read(w->s, last, 90, take_text, &n, &last), ERR_OK);
	assert_int_equal(n, ASKED);
}

static void
an_event_finds_its_text_in_whatever_order(void **state)
{
	some_disappear = false;
	look_for_texts(*state);
}

static void
an_event_knows_how_long_its_text_lasts(void **state)
{
	some_disappear = true;
	look_for_texts(*state);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, store_world_begin, store_world_end)
		T(every_name_leads_back_to_its_type),
		T(reading_goes_on_where_it_stopped),
		T(numbers_and_epoch_survive_a_restart),
		T(two_stores_have_two_epochs),
		T(a_rolled_back_number_is_given_again),
		T(only_what_is_old_and_beyond_the_rows_is_dropped),
		T(a_consumer_holds_back_what_it_has_not_acked),
		T(consumers_are_few_and_well_named),
		T(events_of_a_turn_share_rows_and_stay_apart),
		T(events_keep_their_order_and_their_time),
		T(what_was_not_committed_is_told_to_nobody),
		T(a_consumer_holds_back_the_row_it_is_in),
		T(a_removed_history_leaves_no_event),
		T(a_row_of_many_that_was_altered_is_left_out),
		T(an_event_finds_its_text_in_whatever_order),
		T(an_event_knows_how_long_its_text_lasts),
	};

	log_init(LOG_ERR, false);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
