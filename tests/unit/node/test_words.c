/* Words that are said in a row: what of them is one. */
#include "tests/support/node_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { ROW = 20 };

struct seen {
	unsigned messages[MESSAGE_READ + 1]; /* CHANGE_MESSAGE, by state */
	unsigned states;                     /* CHANGE_MESSAGE_STATE */
	unsigned records, sends;
};

static void
say(struct node *n, const char *note, struct now now)
{
	const struct node_words words = { .kind = MESSAGE_TEXT,
		.text = span_str("word"),
		.note = span_str(note) };
	struct message_id id;

	assert_int_equal(
	    node_message_send(n, &n->peers[0]->c.id, &words, &id, now), ERR_OK);
}

/* All that the node has to say now; notes are numbers in their order. */
static struct seen
pop_all(struct node *n)
{
	struct seen s = { .records = 0 };
	struct effect e;
	unsigned i = 0;

	while (node_next_effect(n, &e)) {
		s.sends += e.kind == EFFECT_SEND;
		if (e.kind != EFFECT_STORE)
			continue;
		s.records += e.change.kind == CHANGE_CONTACT;
		s.states += e.change.kind == CHANGE_MESSAGE_STATE;
		if (e.change.kind != CHANGE_MESSAGE)
			continue;
		s.messages[e.change.message.state]++;
		assert_int_equal(e.change.note.n, 1);
		assert_int_equal(e.change.note.p[0], 'a' + i++);
		assert_true(span_eq(e.change.message.text, span_str("word")));
	}
	return s;
}

static void
say_a_row(struct node *n, struct now now)
{
	for (unsigned i = 0; i < ROW; i++) {
		const char note[] = { (char)('a' + i), '\0' };

		say(n, note, now);
	}
}

static void
words_in_a_row_need_one_record_and_leave_together(void **state)
{
	struct node_pair w;
	struct seen s;

	(void)state;
	node_pair_begin_online(&w);
	say_a_row(w.n[0], w.now);
	s = pop_all(w.n[0]);
	assert_int_equal(s.messages[MESSAGE_SENT], ROW);
	assert_int_equal(s.messages[MESSAGE_QUEUED], 0);
	assert_int_equal(s.states, 0);
	assert_int_equal(s.records, 1);
	assert_in_range(s.sends, 1, ROW / 4);
	node_pair_end(&w);
}

static void
words_that_nobody_takes_are_queued_and_sent_later(void **state)
{
	struct node_pair w;
	struct seen s;

	(void)state;
	node_pair_begin(&w);
	say_a_row(w.n[0], w.now);
	s = pop_all(w.n[0]);
	assert_int_equal(s.messages[MESSAGE_QUEUED], ROW);
	assert_int_equal(s.messages[MESSAGE_SENT], 0);
	node_pair_run(&w, 10000);
	assert_int_equal(w.n_moved[0][MESSAGE_SENT], ROW);
	assert_int_equal(w.n_moved[0][MESSAGE_DELIVERED], ROW);
	node_pair_end(&w);
}

/* As after billions of words: 31, 32, 53 bits are not the end of a number. */
static void
hostile_64_numbers_of_words_do_not_wrap(void **state)
{
	const uint64_t edges[] = { INT32_MAX, UINT32_MAX,
		(UINT64_C(1) << 53) - 1 };

	(void)state;
	for (size_t i = 0; i < sizeof(edges) / sizeof(edges[0]); i++) {
		struct node_pair w;

		node_pair_begin(&w);
		say(w.n[0], "a", w.now);
		node_pair_run(&w, 10000);
		assert_int_equal(w.n_received[1], 1);
		w.n[0]->peers[0]->c.sent_seq = edges[i] - ROW / 2;
		w.n[1]->peers[0]->c.recv_seq = edges[i] - ROW / 2;
		say_a_row(w.n[0], w.now);
		node_pair_run(&w, 10000);
		assert_int_equal(w.n_received[1], 1 + ROW);
		assert_int_equal(w.n_gaps[1], 0);
		assert_int_equal(w.n_moved[0][MESSAGE_DELIVERED], 1 + ROW);
		assert_int_equal(
		    w.n[1]->peers[0]->c.recv_seq, edges[i] + ROW / 2);
		node_pair_end(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    words_in_a_row_need_one_record_and_leave_together),
		cmocka_unit_test(
		    words_that_nobody_takes_are_queued_and_sent_later),
		cmocka_unit_test(hostile_64_numbers_of_words_do_not_wrap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
