/* Contacts who are not to see us. */
#include "tests/support/node_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Carries out what the node wants; the contact as it is stored then. */
static void
stored(struct node *n, struct contact *ret)
{
	struct effect e;

	while (node_next_effect(n, &e))
		if (e.kind == EFFECT_STORE && e.change.kind == CHANGE_CONTACT)
			assert_int_equal(contact_decode(e.change.record,
			                     &e.change.contact, ret),
			    ERR_OK);
}

/* While something waits for him nothing else is stored of him. */
static void
what_was_decided_while_words_wait_is_stored(void **state)
{
	const struct node_words words = { .kind = MESSAGE_TEXT,
		.text = span_str("word") };
	struct node_decision what = { .hides = true };
	struct contact_id id;
	struct message_id text;
	struct node_pair w;
	struct contact c;

	(void)state;
	node_pair_begin_online(&w);
	id = w.n[0]->peers[0]->c.id;
	assert_int_equal(
	    node_message_send(w.n[0], &id, &words, &text, w.now), ERR_OK);
	stored(w.n[0], &c);
	assert_false(c.hides);
	assert_int_equal(
	    node_contact_decide(w.n[0], &id, &what, w.now), ERR_OK);
	stored(w.n[0], &c);
	assert_true(c.hides);
	assert_false(c.quiet);
	what.hides = false;
	assert_int_equal(
	    node_contact_decide(w.n[0], &id, &what, w.now), ERR_OK);
	stored(w.n[0], &c);
	assert_false(c.hides);
	node_pair_end(&w);
}

static void
must_hide(struct node_pair *w, const struct contact_id *id)
{
	const struct node_decision what = { .hides = true };

	assert_int_equal(
	    node_contact_decide(w->n[0], id, &what, w->now), ERR_OK);
	node_pair_run(w, 100);
	assert_true(w->n[0]->peers[0]->c.quiet);
}

/* Contacts who are away know the R before the present one at the most. */
static void
who_is_shut_out_already_costs_no_other_R(void **state)
{
	struct contact_id id;
	struct node_pair w;
	struct reach_key r;

	(void)state;
	node_pair_begin(&w);
	node_pair_run(&w, 5000);
	id = w.n[0]->peers[0]->c.id;
	r = w.n[0]->self.reach;
	must_hide(&w, &id);
	assert_memory_not_equal(w.n[0]->self.reach.b, r.b, sizeof(r.b));
	assert_int_equal(node_contact_block(w.n[0], &id, true, w.now), ERR_OK);
	assert_memory_equal(w.n[0]->self.reach_prev.b, r.b, sizeof(r.b));
	assert_int_equal(node_contact_delete(w.n[0], &id, w.now), ERR_OK);
	assert_memory_equal(w.n[0]->self.reach_prev.b, r.b, sizeof(r.b));
	node_pair_end(&w);
}

/* His node is known from the session; that another one did not come, or that
 * he was blocked, too, says nothing else. */
static void
the_node_of_who_is_shut_out_again_stays_known(void **state)
{
	static const uint8_t elsewhere[4] = { 10, 9, 8, 7 };
	const struct node_words words = { .kind = MESSAGE_TEXT,
		.text = span_str("word") };
	struct contact_id id;
	struct message_id text;
	struct dht_node his;
	struct node_pair w;

	(void)state;
	node_pair_begin(&w);
	node_pair_run(&w, 5000);
	id = w.n[0]->peers[0]->c.id;
	his.at = endpoint_v4(elsewhere, 6881);
	memset(&his.n, 7, sizeof(his.n)); /* as his HELLO would say */
	w.n[0]->peers[0]->keys[FAMILY_V4] = his.n;
	must_hide(&w, &id);
	assert_true(presence_avoids(w.n[0], &his));
	assert_int_equal(
	    node_message_send(w.n[0], &id, &words, &text, w.now), ERR_OK);
	assert_false(w.n[0]->peers[0]->c.quiet);
	assert_int_equal(node_messages_drop(w.n[0], &id, w.now), ERR_OK);
	node_pair_run(&w, 100);
	assert_true(w.n[0]->peers[0]->c.quiet);
	assert_true(presence_avoids(w.n[0], &his));
	assert_int_equal(node_contact_block(w.n[0], &id, true, w.now), ERR_OK);
	assert_true(presence_avoids(w.n[0], &his));
	node_pair_end(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_decided_while_words_wait_is_stored),
		cmocka_unit_test(who_is_shut_out_already_costs_no_other_R),
		cmocka_unit_test(the_node_of_who_is_shut_out_again_stays_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
