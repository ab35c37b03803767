/* Messages that the contact does not take, for now or for good. */
#include "tests/support/node_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct peer *
peer(const struct node_pair *w, unsigned i)
{
	return w->n[i]->peers[0];
}

static struct message_id
say(struct node_pair *w, unsigned i)
{
	const struct node_words words = { .kind = MESSAGE_TEXT,
		.text = span_str("word") };
	struct message_id id;

	assert_int_equal(
	    node_message_send(w->n[i], &peer(w, i)->c.id, &words, &id, w->now),
	    ERR_OK);
	return id;
}

/* What only another software would send. */
static void
say_too_much(struct node_pair *w, unsigned i)
{
	static char reaction[MESSAGE_REACTION_MAX + 2];
	struct peer *p = peer(w, i);
	struct record r = { .kind = RECORD_REACTION,
		.seq = p->c.sent_seq + 1,
		.has_ref = true };

	memset(reaction, 'x', sizeof(reaction) - 1);
	r.text = span_str(reaction);
	memset(r.id.b, (int)r.seq, sizeof(r.id.b));
	memcpy(r.prev, p->c.sent_hash, sizeof(r.prev));
	assert_int_equal(outbox_add(&p->outbox, &r, false), ERR_OK);
	w->n[i]->outbox_bytes += r.text.n;
	p->c.sent_seq = r.seq;
	record_hash(&r, p->c.sent_hash);
	chat_work(w->n[i], p);
}

static void
what_there_is_no_room_for_comes_later(void **state)
{
	struct message_id first;
	struct node_pair w;
	uint64_t bytes;

	(void)state;
	node_pair_begin_online(&w);
	node_set_room(w.n[1], false, w.now);
	first = say(&w, 0);
	(void)say(&w, 0);
	node_pair_run(&w, 5000);
	(void)say(&w, 0);
	node_pair_run(&w, 5000);
	assert_int_equal(w.n_received[1], 0);
	assert_int_equal(w.n_moved[0][MESSAGE_DELIVERED], 0);
	assert_int_equal(w.n_moved[0][MESSAGE_QUEUED], 1);
	assert_memory_equal(&w.moved[0].id, &first, sizeof(first));
	assert_int_equal(w.moved[0].reason, REASON_NO_ROOM);
	/* Ever more rarely: in a day, with what keeps a session, little. */
	bytes = peer(&w, 0)->holds;
	node_pair_run(&w, 24 * 3600 * 1000);
	assert_true(peer(&w, 0)->holds - bytes < 40);
	assert_int_equal(w.n_moved[0][MESSAGE_QUEUED], 1);
	node_set_room(w.n[1], true, w.now);
	node_pair_run(&w, 2 * (uint64_t)NODE_HOLD_MAX_MS);
	assert_int_equal(w.n_received[1], 3);
	assert_int_equal(w.n_gaps[1], 0);
	assert_int_equal(w.n_moved[0][MESSAGE_DELIVERED], 3);
	assert_int_equal(w.n_moved[0][MESSAGE_FAILED], 0);
	assert_int_equal(w.events[0][NODE_OFFLINE], 0);
	assert_int_equal(peer(&w, 0)->holds, 0);
	node_pair_end(&w);
}

static void
what_is_too_long_fails_and_the_rest_comes(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	(void)say(&w, 0);
	say_too_much(&w, 0);
	say_too_much(&w, 0);
	(void)say(&w, 0);
	(void)say(&w, 0);
	say_too_much(&w, 0);
	(void)say(&w, 1);
	node_pair_run(&w, 5000);
	assert_int_equal(w.n_moved[0][MESSAGE_FAILED], 3);
	assert_int_equal(w.moved[0].reason, REASON_TOO_LONG);
	assert_int_equal(w.n_moved[0][MESSAGE_DELIVERED], 3);
	assert_int_equal(w.n_received[1], 3);
	assert_int_equal(w.n_gaps[1], 1); /* it is shown that some is missing */
	assert_int_equal(w.n_moved[1][MESSAGE_DELIVERED], 1);
	assert_int_equal(w.events[0][NODE_OFFLINE], 0);
	assert_int_equal(w.events[1][NODE_REFUSED], 0);
	assert_int_equal(peer(&w, 0)->outbox.n, 0);
	assert_int_equal(w.n[0]->outbox_bytes, 0);
	node_pair_end(&w);
}

/* An end of the link between refusing and knowing of it: nothing counts as
 * delivered that was not taken. */
static void
a_refusal_that_is_lost_is_said_again(void **state)
{
	(void)state;
	for (unsigned steps = 0; steps < 6; steps++) {
		struct node_pair w;

		node_pair_begin_online(&w);
		say_too_much(&w, 0);
		(void)say(&w, 0);
		for (unsigned i = 0; i < steps; i++)
			node_tick(w.n[i % 2], w.now);
		node_pair_knock(&w);
		node_pair_run(&w, 120 * 1000);
		assert_int_equal(w.n_moved[0][MESSAGE_FAILED], 1);
		assert_int_equal(w.n_moved[0][MESSAGE_DELIVERED], 1);
		assert_int_equal(w.n_received[1], 1);
		node_pair_end(&w);
	}
}

/* Of what was not sent, or is another's, nothing is believed. */
static void
a_refusal_names_what_was_sent(void **state)
{
	struct record r = {
		.kind = RECORD_REFUSED, .seq = 1, .refusal = REFUSAL_TOO_LONG
	};
	uint8_t hash[MESSAGE_HASH_SIZE];
	struct node_pair w;
	struct peer *p;

	(void)state;
	node_pair_begin_online(&w);
	node_set_room(w.n[1], false, w.now);
	(void)say(&w, 0);
	node_pair_run(&w, 1000);
	p = peer(&w, 0);
	p->outbox.at = NULL; /* as if it had just been written */
	record_hash(&p->outbox.head->record, hash);
	memcpy(r.head, hash, sizeof(r.head));
	refuse_on_refused(w.n[0], p, &r); /* of no numbering */
	chat_epoch(w.n[0], p, r.epoch);
	r.seq = 2;
	refuse_on_refused(w.n[0], p, &r);
	r.seq = 1;
	r.head[0] ^= 1;
	refuse_on_refused(w.n[0], p, &r);
	r.head[0] ^= 1;
	p->outbox.at = p->outbox.head; /* not in this link */
	refuse_on_refused(w.n[0], p, &r);
	assert_int_equal(p->outbox.n, 1);
	p->outbox.at = NULL;
	refuse_on_refused(w.n[0], p, &r);
	assert_int_equal(p->outbox.n, 0);
	node_pair_end(&w);
}

/* Bytes of a contact whose software is his own. */
static void
hear(struct node_pair *w, unsigned i, const char *what, size_t n)
{
	uint8_t head[RECORD_HEAD] = { (uint8_t)n };

	chat_on_data(w->n[i], peer(w, i), span_of(head, sizeof(head)));
	chat_on_data(w->n[i], peer(w, i), span_of(what, n));
}

/* "I know that you do not take it", before anybody could have said so. */
static void
who_goes_on_before_he_is_refused_is_not_told(void **state)
{
	static const char unknown[] =
	    "d1:h32:hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh1:ki99e1:mi1e1:ni1e1:x0:e";
	static const char resumed[] = "d1:ki11e1:ni1ee";
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	hear(&w, 0, unknown, sizeof(unknown) - 1);
	assert_int_equal(peer(&w, 0)->refused.seq, 1);
	hear(&w, 0, resumed, sizeof(resumed) - 1);
	assert_int_equal(peer(&w, 0)->refused.seq, 0);
	node_pair_run(&w, 5000);
	(void)say(&w, 1);
	node_pair_run(&w, 5000);
	assert_int_equal(w.n_received[0], 1);
	node_pair_end(&w);
}

/* They know the id of what they did not take, and give it to a text of theirs.
 */
static void
a_text_of_theirs_is_not_taken_for_ours(void **state)
{
	struct node_pair w;
	struct record r = {
		.kind = RECORD_TEXT, .seq = 1, .text = span_str("mine")
	};
	uint8_t bytes[RECORD_HEAD + 512];
	struct writer to = wr_init(bytes, sizeof(bytes));

	(void)state;
	node_pair_begin_online(&w);
	node_set_room(w.n[1], false, w.now);
	r.id = say(&w, 0);
	node_pair_run(&w, 5000);
	assert_int_equal(w.n_moved[0][MESSAGE_QUEUED], 1);
	/* As it is after a start: it is in the store, queued. */
	peer(&w, 0)->outbox.head->sent = false;
	peer(&w, 0)->outbox.head->change = 0;
	outbox_rewind(&peer(&w, 0)->outbox);
	peer(&w, 0)->hold_ms = NEVER;
	record_encode(&r, &to);
	chat_on_data(w.n[0], peer(&w, 0), wr_span_of(&to));
	node_set_room(w.n[1], true, w.now);
	refuse_up(peer(&w, 1));
	node_pair_run(&w, 5000);
	assert_int_equal(w.n_received[0], 1);
	assert_int_equal(w.n_received[1], 1);
	assert_int_equal(w.n_moved[0][MESSAGE_DELIVERED], 1);
	node_pair_end(&w);
}

/* What is refused for now may be given up meanwhile: what is said then comes
 * in the same session, which may last for days. */
static void
what_was_refused_may_be_dropped(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	node_set_room(w.n[1], false, w.now);
	(void)say(&w, 0);
	node_pair_run(&w, 5000);
	assert_int_equal(w.n_moved[0][MESSAGE_QUEUED], 1);
	assert_int_equal(
	    node_messages_drop(w.n[0], &peer(&w, 0)->c.id, w.now), ERR_OK);
	node_set_room(w.n[1], true, w.now);
	(void)say(&w, 0);
	node_pair_run(&w, 2 * (uint64_t)NODE_HOLD_MS);
	(void)say(&w, 0);
	node_pair_run(&w, 5000);
	assert_int_equal(w.n_received[1], 2);
	assert_int_equal(w.n_moved[0][MESSAGE_DELIVERED], 2);
	assert_int_equal(w.events[0][NODE_OFFLINE], 0);
	node_pair_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_there_is_no_room_for_comes_later),
		cmocka_unit_test(what_is_too_long_fails_and_the_rest_comes),
		cmocka_unit_test(a_refusal_that_is_lost_is_said_again),
		cmocka_unit_test(a_refusal_names_what_was_sent),
		cmocka_unit_test(who_goes_on_before_he_is_refused_is_not_told),
		cmocka_unit_test(a_text_of_theirs_is_not_taken_for_ours),
		cmocka_unit_test(what_was_refused_may_be_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
