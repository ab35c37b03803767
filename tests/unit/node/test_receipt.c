/* What was read, and who is typing. */
#include "tests/support/node_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const struct contact_id *
contact_of(const struct node_pair *w, unsigned i)
{
	return &w->n[i]->peers[0]->c.id;
}

static void
say(struct node_pair *w, unsigned i, unsigned times)
{
	const struct node_words words = { .kind = MESSAGE_TEXT,
		.text = span_str("word") };
	struct message_id id;

	for (unsigned k = 0; k < times; k++)
		assert_int_equal(node_message_send(w->n[i], contact_of(w, i),
		                     &words, &id, w->now),
		    ERR_OK);
	node_pair_run(w, 1000);
}

static void
read_up_to(struct node_pair *w, unsigned i, uint64_t seq)
{
	assert_int_equal(
	    node_read(w->n[i], contact_of(w, i), seq, w->now), ERR_OK);
}

static void
type(struct node_pair *w, unsigned i, bool on)
{
	assert_int_equal(
	    node_typing(w->n[i], contact_of(w, i), on, w->now), ERR_OK);
}

static void
what_was_read_is_told_at_a_tick(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	say(&w, 0, 3);
	node_pair_run(&w, 5000 - w.now.mono_ms % 5000);
	read_up_to(&w, 1, 1);
	node_pair_run(&w, 1000);
	read_up_to(&w, 1, 2);
	node_pair_run(&w, 3000);
	assert_int_equal(w.n_reads[0], 0);
	node_pair_run(&w, 1500);
	assert_int_equal(w.n_reads[0], 1); /* one for both */
	assert_int_equal(w.read_seq[0], 2);
	assert_int_equal(w.n_reads[1], 0);
	node_pair_end(&w);
}

static void
nobody_has_read_what_was_never_written(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	say(&w, 0, 2);
	read_up_to(&w, 1, 9); /* nor do we say so */
	node_pair_run(&w, 6000);
	assert_int_equal(w.n_reads[0], 0);
	w.n[1]->peers[0]->c.recv_seq = 9; /* but a liar does */
	read_up_to(&w, 1, 9);
	node_pair_run(&w, 6000);
	assert_int_equal(w.n_reads[0], 0);
	node_pair_end(&w);
}

static void
it_is_told_again_in_the_next_session_and_known_once(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	say(&w, 0, 2);
	read_up_to(&w, 1, 2);
	node_pair_knock(&w); /* before the tick */
	node_pair_run(&w, 12000);
	assert_int_equal(w.n_reads[0], 1);
	assert_int_equal(w.read_seq[0], 2);
	node_pair_knock(&w);
	node_pair_run(&w, 12000);
	assert_int_equal(w.n_reads[0], 1);
	node_pair_end(&w);
}

static void
typing_is_seen_and_ends(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	for (unsigned k = 0; k < 100; k++) { /* a key each tenth of a second */
		type(&w, 0, true);
		node_pair_run(&w, 100);
	}
	assert_int_equal(w.events[1][NODE_TYPING], 1);
	assert_int_equal(w.events[1][NODE_TYPING_OVER], 0);
	node_pair_run(&w, 7000);
	assert_int_equal(w.events[1][NODE_TYPING_OVER], 1);
	type(&w, 0, true);
	node_pair_run(&w, 100);
	type(&w, 0, false);
	node_pair_run(&w, 100);
	assert_int_equal(w.events[1][NODE_TYPING], 2);
	assert_int_equal(w.events[1][NODE_TYPING_OVER], 2);
	node_pair_run(&w, 5000);
	type(&w, 0, true);
	node_pair_run(&w, 100);
	say(&w, 0, 1); /* it was said */
	assert_int_equal(w.events[1][NODE_TYPING_OVER], 3);
	assert_int_equal(w.events[0][NODE_TYPING], 0);
	node_pair_end(&w);
}

static void
typing_is_nothing_for_who_is_away(void **state)
{
	static const struct contact_id nobody = { { 9 } };
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	type(&w, 0, true);
	node_pair_run(&w, 100);
	node_stop(w.n[0], w.now);
	node_pair_run(&w, 1000);
	assert_int_equal(w.events[1][NODE_OFFLINE], 1);
	assert_int_equal(w.events[1][NODE_TYPING_OVER], 1);
	type(&w, 1, true);
	assert_int_equal(
	    node_typing(w.n[1], &nobody, true, w.now), ERR_NOT_FOUND);
	assert_int_equal(node_read(w.n[1], &nobody, 1, w.now), ERR_NOT_FOUND);
	node_pair_end(&w);
}

/* A contact who switches it on and off with every datagram. */
static void
a_flood_of_typing_is_one_event_a_second(void **state)
{
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	for (unsigned k = 0; k < 200; k++) {
		w.n[0]->peers[0]->typed_ms = 0;
		type(&w, 0, true);
		node_pair_run(&w, 50);
		type(&w, 0, false);
		node_pair_run(&w, 50);
	}
	assert_true(w.events[1][NODE_TYPING] >= 10);
	assert_true(w.events[1][NODE_TYPING] <= 21);
	assert_true(w.events[1][NODE_TYPING_OVER] <= w.events[1][NODE_TYPING]);
	node_pair_end(&w);
}

static void
who_is_here_is_asked_for_an_answer(void **state)
{
	static const struct contact_id nobody = { { 9 } };
	struct node_pair w;

	(void)state;
	node_pair_begin(&w);
	assert_int_equal(node_ping(w.n[0], &nobody, w.now), ERR_NOT_FOUND);
	assert_int_equal(
	    node_ping(w.n[0], contact_of(&w, 0), w.now), ERR_STATE);
	node_pair_end(&w);
	node_pair_begin_online(&w);
	assert_int_equal(node_ping(w.n[0], contact_of(&w, 0), w.now), ERR_OK);
	node_pair_run(&w, 1000);
	assert_int_equal(w.events[0][NODE_PONG], 1);
	assert_true(w.rtt_ms[0] < 1000);
	assert_int_equal(w.events[1][NODE_PONG], 0);
	node_pair_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_read_is_told_at_a_tick),
		cmocka_unit_test(nobody_has_read_what_was_never_written),
		cmocka_unit_test(
		    it_is_told_again_in_the_next_session_and_known_once),
		cmocka_unit_test(typing_is_seen_and_ends),
		cmocka_unit_test(typing_is_nothing_for_who_is_away),
		cmocka_unit_test(a_flood_of_typing_is_one_event_a_second),
		cmocka_unit_test(who_is_here_is_asked_for_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
