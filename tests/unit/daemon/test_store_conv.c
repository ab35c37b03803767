/* How a conversation is kept: what was read, drafts, settings. */
#include "daemon/log.h"
#include "tests/support/store_world.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const uint64_t t0 = STORE_WORLD_MS;

/* Message n to contact 1, with the number n. */
static struct message_id
add(struct store_world *w, unsigned n, enum message_state state)
{
	struct store_message m = store_world_message(1, n, "text");

	m.m.seq = n;
	m.m.state = state;
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	return m.m.id;
}

static enum message_state
state_of(struct store_world *w, const struct message_id *id)
{
	struct store_message m;

	assert_int_equal(store_message_get(w->s, NULL, id, &m), ERR_OK);
	return m.m.state;
}

static void
what_they_read_is_ours_and_was_delivered(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct message_id id[6], up_to;

	store_world_add(w->s, 1, "r");
	id[0] = add(w, 1, MESSAGE_DELIVERED);
	id[1] = add(w, 2, MESSAGE_RECEIVED);
	id[2] = add(w, 3, MESSAGE_DELIVERED);
	id[3] = add(w, 4, MESSAGE_FAILED);
	id[4] = add(w, 5, MESSAGE_DELIVERED);
	id[5] = add(w, 6, MESSAGE_SENT);
	assert_int_equal(
	    store_conv_they_read(w->s, &c, 4, t0 + 9, &up_to), ERR_OK);
	assert_memory_equal(up_to.b, id[2].b, sizeof(up_to.b));
	assert_int_equal(state_of(w, &id[0]), MESSAGE_READ);
	assert_int_equal(state_of(w, &id[1]), MESSAGE_RECEIVED);
	assert_int_equal(state_of(w, &id[2]), MESSAGE_READ);
	assert_int_equal(state_of(w, &id[3]), MESSAGE_FAILED);
	assert_int_equal(state_of(w, &id[4]), MESSAGE_DELIVERED);
	/* Again, or less: nothing new. */
	assert_int_equal(
	    store_conv_they_read(w->s, &c, 4, t0, &up_to), ERR_NOT_FOUND);
	assert_int_equal(
	    store_conv_they_read(w->s, &c, 1, t0, &up_to), ERR_NOT_FOUND);
	assert_int_equal(
	    store_conv_they_read(w->s, &c, 99, t0, &up_to), ERR_OK);
	assert_memory_equal(up_to.b, id[4].b, sizeof(up_to.b));
	assert_int_equal(state_of(w, &id[5]), MESSAGE_SENT);
	/* It stays so. */
	store_world_reopen(w);
	c = store_world_contact(2);
	assert_int_equal(
	    store_conv_they_read(w->s, &c, 9, t0, &up_to), ERR_NOT_FOUND);
}

static void
the_number_of_the_last_one_read_is_theirs(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	uint64_t seq = 0;

	store_world_add(w->s, 1, "r");
	assert_int_equal(
	    store_conv_number(w->s, &c, INT64_MAX, &seq), ERR_NOT_FOUND);
	(void)add(w, 7, MESSAGE_RECEIVED);
	(void)add(w, 8, MESSAGE_RECEIVED);
	(void)add(w, 9, MESSAGE_DELIVERED);
	assert_int_equal(store_conv_number(w->s, &c, INT64_MAX, &seq), ERR_OK);
	assert_int_equal(seq, 8);
	assert_int_equal(store_conv_number(w->s, &c, 1, &seq), ERR_OK);
	assert_int_equal(seq, 7);
}

static void
settings_and_drafts_are_there_after_a_restart(void **state)
{
	static char much[NODE_TEXT_MAX];
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct contact_id nobody = store_world_contact(9);
	struct store_conv how = { .pinned = true,
		.receipts = STORE_RECEIPTS_OFF };
	struct store_contact got;
	struct span draft;

	memset(much, 'x', sizeof(much));
	store_world_add(w->s, 1, "r");
	assert_int_equal(store_conv_set(w->s, &c, &how), ERR_OK);
	assert_int_equal(store_conv_set(w->s, &nobody, &how), ERR_NOT_FOUND);
	assert_int_equal(
	    store_draft_set(w->s, &nobody, span_str("x")), ERR_NOT_FOUND);
	assert_int_equal(
	    store_draft_set(w->s, &c, span_of(much, sizeof(much))), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_reopen(w);
	assert_int_equal(store_contact_get(w->s, &c, &got), ERR_OK);
	assert_true(got.conv.pinned && !got.conv.muted && got.conv.has_draft);
	assert_int_equal(got.conv.receipts, STORE_RECEIPTS_OFF);
	assert_int_equal(store_draft_get(w->s, &c, &draft), ERR_OK);
	assert_true(span_eq(draft, span_of(much, sizeof(much))));
	assert_int_equal(store_draft_set(w->s, &c, span_of(NULL, 0)), ERR_OK);
	assert_int_equal(store_draft_get(w->s, &c, &draft), ERR_OK);
	assert_int_equal(draft.n, 0);
}

static int64_t
add_short(struct store_world *w, unsigned n, enum message_state state)
{
	struct store_message m = store_world_message(1, n, "short");

	m.m.seq = n;
	m.m.state = state;
	m.m.ttl_s = 10;
	assert_int_equal(store_message_add(w->s, &m), ERR_OK);
	return m.row;
}

static void
a_text_goes_when_its_time_is_over_and_not_before(void **state)
{
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	struct store_message m;
	struct message_id ours;
	int64_t first;

	store_world_add(w->s, 1, "r");
	first = add_short(w, 1, MESSAGE_RECEIVED);
	(void)add_short(w, 2, MESSAGE_RECEIVED);
	(void)add_short(w, 3, MESSAGE_QUEUED);
	store_world_id(ours.b, 3);
	assert_true(store_timer_next(w->s) == NEVER);
	assert_int_equal(
	    store_timer_due(w->s, UINT64_MAX / 4, &m), ERR_NOT_FOUND);
	assert_int_equal(store_timer_read(w->s, &c, first, t0), ERR_OK);
	assert_true(store_timer_next(w->s) == t0 + 10000);
	/* To read it again does not give it more time. */
	assert_int_equal(store_timer_read(w->s, &c, first, t0 + 99), ERR_OK);
	assert_int_equal(store_commit(w->s), ERR_OK);
	store_world_reopen(w);
	assert_true(store_timer_next(w->s) == t0 + 10000);
	assert_int_equal(store_timer_due(w->s, t0 + 9999, &m), ERR_NOT_FOUND);
	assert_int_equal(store_timer_due(w->s, t0 + 10000, &m), ERR_OK);
	assert_int_equal(m.row, first);
	assert_int_equal(store_timer_due(w->s, t0 + 10000, &m), ERR_NOT_FOUND);
	assert_int_equal(store_message_get(w->s, NULL, &m.m.id, &m), ERR_OK);
	assert_true(m.deleted && m.m.text.n == 0);
	assert_int_equal(
	    store_message_move(w->s, &c, &ours, MESSAGE_DELIVERED, t0 + 5, &m),
	    ERR_OK);
	assert_true(store_timer_next(w->s) == t0 + 10005);
	/* Who deletes it himself is not told again. */
	assert_int_equal(store_message_delete(w->s, &c, &ours), ERR_OK);
	assert_int_equal(store_timer_due(w->s, t0 + 99999, &m), ERR_NOT_FOUND);
	assert_true(store_timer_next(w->s) == NEVER);
}

static uint32_t
timer_of(struct store_world *w)
{
	struct contact_id id = store_world_contact(1);
	struct store_contact c;

	assert_int_equal(store_contact_get(w->s, &id, &c), ERR_OK);
	return c.conv.ttl_s;
}

/* Both orders of the same two end alike. */
static void
of_two_who_set_a_timer_the_later_counts(void **state)
{
	static const struct {
		uint32_t ttl_s;
		uint64_t sent_ms;
	} said[] = { { 60, 5 }, { 300, 6 }, { 0, 6 }, { 20, 6 }, { 90, 4 } };
	struct store_world *w = *state;
	struct contact_id c = store_world_contact(1);
	enum err err;

	store_world_add(w->s, 1, "r");
	for (unsigned i = 0; i < 5; i++)
		for (unsigned k = 0; k < 5; k++) {
			uint64_t base = 100 * (5 * i + k + 1);
			uint32_t end[2];

			for (unsigned turn = 0; turn < 2; turn++) {
				unsigned a = turn ? k : i, b = turn ? i : k;

				err = store_conv_timer(w->s, &c, said[a].ttl_s,
				    base + 20 * turn + said[a].sent_ms);
				assert_int_equal(err, ERR_OK);
				err = store_conv_timer(w->s, &c, said[b].ttl_s,
				    base + 20 * turn + said[b].sent_ms);
				assert_true(!err || err == ERR_EXISTS);
				end[turn] = timer_of(w);
			}
			assert_int_equal(end[0], end[1]);
		}
}

static unsigned
ttl_of(struct store_world *w, const struct contact_id *c)
{
	uint32_t ttl_s = 0;

	assert_int_equal(store_conv_ttl(w->s, c, &ttl_s), ERR_OK);
	return ttl_s;
}

static void
how_long_texts_last_is_known_after_each_change(void **state)
{
	struct store_world *w = *state;
	struct contact_id one = store_world_contact(1);
	struct contact_id two = store_world_contact(2);

	store_world_add(w->s, 1, "record");
	store_world_add(w->s, 2, "record");
	assert_int_equal(store_commit(w->s), ERR_OK);
	assert_int_equal(ttl_of(w, &one), 0);
	assert_int_equal(store_conv_timer(w->s, &one, 60, 10), ERR_OK);
	assert_int_equal(ttl_of(w, &one), 60);
	store_rollback(w->s);
	assert_int_equal(ttl_of(w, &one), 0);
	assert_int_equal(store_conv_timer(w->s, &one, 60, 10), ERR_OK);
	assert_int_equal(ttl_of(w, &one), 60);
	assert_int_equal(ttl_of(w, &two), 0);
	assert_int_equal(ttl_of(w, &one), 60);
	assert_int_equal(store_contact_remove(w->s, &one, true, 1), ERR_OK);
	assert_int_equal(ttl_of(w, &one), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(f) \
	cmocka_unit_test_setup_teardown(f, store_world_begin, store_world_end)
		T(what_they_read_is_ours_and_was_delivered),
		T(the_number_of_the_last_one_read_is_theirs),
		T(settings_and_drafts_are_there_after_a_restart),
		T(a_text_goes_when_its_time_is_over_and_not_before),
		T(of_two_who_set_a_timer_the_later_counts),
		T(how_long_texts_last_is_known_after_each_change),
	};

	log_init(LOG_ERR, false);
	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
