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
	node_pair_begin(&w);
	node_pair_run(&w, 5000);
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

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_decided_while_words_wait_is_stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
