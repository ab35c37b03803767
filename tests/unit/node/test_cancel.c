/* What never left is taken back, and what failed is sent again. */
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
say_about(struct node_pair *w, enum message_kind kind, const char *text,
    const struct message_id *ref)
{
	const struct node_words words = {
		.kind = kind, .ref = ref, .text = span_str(text)
	};
	struct message_id id;

	assert_int_equal(
	    node_message_send(w->n[0], &peer(w, 0)->c.id, &words, &id, w->now),
	    ERR_OK);
	return id;
}

static struct message_id
say(struct node_pair *w, const char *text)
{
	return say_about(w, MESSAGE_TEXT, text, NULL);
}

static enum err
cancel(struct node_pair *w, const struct message_id *id)
{
	return node_message_cancel(w->n[0], &peer(w, 0)->c.id, id, w->now);
}

/* They have met; until wake() 1 has no link, and what 0 says stays. */
static void
begin_apart(struct node_pair *w)
{
	struct peer *p;

	node_pair_begin_online(w);
	p = peer(w, 0);
	links_remove_peer(w->n[0]->links, p->slot, w->now);
	p->online = false;
}

static void
wake(struct node_pair *w)
{
	peer_to_links(w->n[0], peer(w, 0));
	node_pair_knock(w);
	node_pair_run(w, 60 * 1000);
}

static void
what_is_taken_back_is_never_heard_of(void **state)
{
	(void)state;
	for (unsigned which = 0; which < 4; which++) {
		struct message_id id[4];
		struct node_pair w;

		begin_apart(&w);
		for (unsigned i = 0; i < 4; i++)
			id[i] = say(&w, "word");
		assert_int_equal(cancel(&w, &id[which]), ERR_OK);
		assert_int_equal(cancel(&w, &id[which]), ERR_NOT_FOUND);
		assert_int_equal(peer(&w, 0)->outbox.n, 3);
		assert_int_equal(peer(&w, 0)->c.sent_seq, 3);
		(void)say(&w, "one more");
		wake(&w);
		assert_int_equal(w.n_received[1], 4);
		assert_int_equal(w.n_gaps[1], 0);
		assert_int_equal(w.n_moved[0][MESSAGE_DELIVERED], 4);
		assert_int_equal(w.n_moved[0][MESSAGE_FAILED], 1);
		assert_int_equal(w.events[1][NODE_REFUSED], 0);
		assert_int_equal(peer(&w, 1)->c.recv_seq, 4);
		assert_int_equal(w.n[0]->outbox_bytes, 0);
		node_pair_end(&w);
	}
}

static void
what_was_said_about_it_goes_with_it(void **state)
{
	struct message_id other, gone, answer, ids[3];
	struct node_pair w;

	(void)state;
	begin_apart(&w);
	other = say(&w, "stays");
	gone = say(&w, "goes");
	ids[0] = say_about(&w, MESSAGE_EDIT, "goes, too", &gone);
	(void)say_about(&w, MESSAGE_EDIT, "stays, too", &other);
	ids[1] = say_about(&w, MESSAGE_REACTION, "+", &gone);
	answer = say_about(&w, MESSAGE_TEXT, "an answer stays", &gone);
	ids[2] = say_about(&w, MESSAGE_DELETE, "", &gone);
	for (unsigned i = 0; i < 3; i++) /* not by itself */
		assert_int_equal(cancel(&w, &ids[i]), ERR_NOT_FOUND);
	assert_int_equal(cancel(&w, &gone), ERR_OK);
	assert_int_equal(peer(&w, 0)->outbox.n, 3);
	assert_memory_equal(&peer(&w, 0)->outbox.tail->record.id, &answer, 16);
	wake(&w);
	assert_int_equal(w.n_received[1], 3);
	assert_int_equal(w.n_gaps[1], 0);
	assert_int_equal(w.n_moved[0][MESSAGE_FAILED], 4);
	assert_int_equal(w.moved[0].state, MESSAGE_DELIVERED);
	node_pair_end(&w);
}

static void
what_left_is_not_taken_back(void **state)
{
	struct message_id id, behind;
	struct node_pair w;

	(void)state;
	node_pair_begin_online(&w);
	node_set_room(w.n[1], false, w.now); /* it left, and was not taken */
	id = say(&w, "word");
	node_pair_run(&w, 1000);
	behind = say(&w, "word");
	assert_int_equal(cancel(&w, &id), ERR_STATE);
	assert_int_equal(cancel(&w, &behind), ERR_OK);
	node_set_room(w.n[1], true, w.now);
	node_pair_run(&w, 120 * 1000);
	assert_int_equal(w.n_received[1], 1);
	assert_int_equal(cancel(&w, &id), ERR_NOT_FOUND);
	node_pair_end(&w);
}

/* After a restart the store says so: with a reason. */
static void
what_is_held_has_left_after_a_restart_too(void **state)
{
	struct node_message m = { .kind = MESSAGE_TEXT,
		.state = MESSAGE_QUEUED,
		.seq = 1,
		.reason = REASON_NO_ROOM,
		.text = span_str("word") };
	struct node_pair w;

	(void)state;
	begin_apart(&w);
	m.contact = peer(&w, 0)->c.id;
	assert_int_equal(node_load_outbox(w.n[0], &m, w.now), ERR_OK);
	assert_int_equal(cancel(&w, &m.id), ERR_STATE);
	node_pair_end(&w);
}

static void
what_was_taken_back_can_be_sent_again(void **state)
{
	struct node_words words = { .kind = MESSAGE_TEXT,
		.text = span_str("word") };
	struct message_id id, same;
	struct node_pair w;

	(void)state;
	begin_apart(&w);
	id = say(&w, "word");
	(void)say(&w, "other");
	assert_int_equal(cancel(&w, &id), ERR_OK);
	words.again = &id;
	assert_int_equal(
	    node_message_send(w.n[0], &peer(&w, 0)->c.id, &words, &same, w.now),
	    ERR_OK);
	assert_memory_equal(&id, &same, sizeof(id));
	assert_int_equal(peer(&w, 0)->c.sent_seq, 2);
	wake(&w);
	assert_int_equal(w.n_received[1], 2);
	assert_int_equal(w.n_gaps[1], 0);
	assert_int_equal(w.n_moved[0][MESSAGE_DELIVERED], 2);
	node_pair_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_taken_back_is_never_heard_of),
		cmocka_unit_test(what_was_said_about_it_goes_with_it),
		cmocka_unit_test(what_left_is_not_taken_back),
		cmocka_unit_test(what_is_held_has_left_after_a_restart_too),
		cmocka_unit_test(what_was_taken_back_can_be_sent_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
