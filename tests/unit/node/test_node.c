/* Commands of one node without a network: their errors, and THE LAW. */
#include "proto/crypto/invitation.h"
#include "proto/node.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct test_rng dice;
static struct now now;

static struct node *
new_node(uint64_t seed, bool identity)
{
	struct node_config cfg = { .rng = &dice.rng, .loopback = true };
	struct id_seed id;
	struct node *n;

	test_rng_init(&dice, seed);
	cfg.family[FAMILY_V4] = true;
	now = (struct now){ 1000, UINT64_C(1796123323456) };
	n = node_new(&cfg, now);
	assert_non_null(n);
	memset(id.b, (int)seed, sizeof(id.b));
	if (identity)
		assert_int_equal(
		    node_set_identity(n, &id, span_of(NULL, 0), now), ERR_OK);
	return n;
}

static enum err
say(struct node *n, const struct contact_id *to, struct span text,
    struct message_id *ret, struct now at)
{
	const struct node_words words = { .kind = MESSAGE_TEXT, .text = text };

	return node_message_send(n, to, &words, ret, at);
}

static void
id_of(uint8_t seed, struct id_pk *ret)
{
	struct id_seed id;
	struct id_sk sk;

	memset(id.b, seed, sizeof(id.b));
	identity_from_seed(&id, ret, &sk);
}

/* Pops everything; counts changes of one kind; checks that no change comes
 * behind an event or a datagram. */
static size_t
drain(struct node *n, enum change_kind kind)
{
	enum effect_kind last = EFFECT_STORE;
	struct effect e;
	size_t count = 0;

	while (node_next_effect(n, &e)) {
		if (e.kind == EFFECT_STORE) {
			assert_int_equal(last, EFFECT_STORE);
			count += e.change.kind == kind;
		}
		last = e.kind;
	}
	assert_false(node_failed(n));
	return count;
}

static void
a_new_identity_is_stored_before_anything_leaves(void **state)
{
	struct node *n = new_node(1, true);
	struct id_pk id, want;

	(void)state;
	assert_int_equal(drain(n, CHANGE_SELF), 1);
	assert_int_equal(drain(n, CHANGE_SELF), 0);
	assert_true(node_id(n, &id));
	id_of(1, &want);
	assert_true(id_eq(&id, &want));
	node_free(n);
}

static void
without_an_identity_nothing_is_promised(void **state)
{
	struct node *n = new_node(1, false);
	struct node_invite invite;
	struct contact_id c;
	struct message_id m;
	struct id_pk id;

	(void)state;
	id_of(2, &id);
	assert_int_equal(node_contact_add(n, &id, &c, now), ERR_STATE);
	assert_int_equal(node_invite_create(n, 3600, &invite, now), ERR_STATE);
	memset(&c, 0, sizeof(c));
	assert_int_equal(say(n, &c, span_str("x"), &m, now), ERR_NOT_FOUND);
	assert_false(node_id(n, &id));
	node_free(n);
}

static void
a_contact_is_added_once(void **state)
{
	struct node *n = new_node(1, true);
	struct contact_id first, second;
	struct node_contact_info info;
	struct id_pk id;

	(void)state;
	id_of(2, &id);
	assert_int_equal(node_contact_add(n, &id, &first, now), ERR_OK);
	assert_int_equal(node_contact_add(n, &id, &second, now), ERR_EXISTS);
	assert_memory_equal(first.b, second.b, sizeof(first.b));
	assert_true(drain(n, CHANGE_CONTACT) >= 1);
	assert_true(node_contact_get(n, &first, &info));
	assert_int_equal(info.state, CONTACT_WAITING);
	assert_false(info.online);
	assert_int_equal(node_contact_delete(n, &first, now), ERR_OK);
	assert_int_equal(drain(n, CHANGE_CONTACT_GONE), 1);
	assert_false(node_contact_get(n, &first, &info));
	assert_int_equal(node_contact_delete(n, &first, now), ERR_NOT_FOUND);
	node_free(n);
}

/* [hostile 72] An ID that no honest key can be, and our own. */
static void
hostile_72_bad_ids_are_refused(void **state)
{
	static const uint8_t order_4[32]; /* y = 0 */
	struct node *n = new_node(1, true);
	struct contact_id c;
	struct id_pk id;

	(void)state;
	memcpy(id.b, order_4, sizeof(id.b));
	assert_int_equal(node_contact_add(n, &id, &c, now), ERR_BAD_KEY);
	id_of(1, &id);
	assert_int_equal(node_contact_add(n, &id, &c, now), ERR_BAD_KEY);
	node_free(n);
}

static void
a_message_is_stored_with_its_text(void **state)
{
	struct node *n = new_node(1, true);
	struct contact_id c;
	struct message_id m;
	struct effect e;
	struct id_pk id;
	bool seen = false;

	(void)state;
	id_of(2, &id);
	assert_int_equal(node_contact_add(n, &id, &c, now), ERR_OK);
	(void)drain(n, CHANGE_CONTACT);
	assert_int_equal(say(n, &c, span_str("hello"), &m, now), ERR_OK);
	while (node_next_effect(n, &e)) {
		if (e.kind != EFFECT_STORE || e.change.kind != CHANGE_MESSAGE)
			continue;
		seen = true;
		assert_memory_equal(e.change.message.id.b, m.b, sizeof(m.b));
		assert_true(span_eq(e.change.message.text, span_str("hello")));
		assert_int_equal(e.change.message.state, MESSAGE_QUEUED);
		assert_int_equal(e.change.message.seq, 1);
	}
	assert_true(seen);
	node_free(n);
}

/* [hostile 26] */
static void
hostile_26_texts_that_cannot_be_sent(void **state)
{
	struct node *n = new_node(1, true);
	char *big = malloc(NODE_TEXT_MAX + 1);
	struct contact_id c;
	struct message_id m;
	struct id_pk id;

	(void)state;
	assert_non_null(big);
	memset(big, 'x', NODE_TEXT_MAX + 1);
	id_of(2, &id);
	assert_int_equal(node_contact_add(n, &id, &c, now), ERR_OK);
	assert_int_equal(say(n, &c, span_str(""), &m, now), ERR_MALFORMED);
	assert_int_equal(say(n, &c, span_of("a\0", 2), &m, now), ERR_MALFORMED);
	assert_int_equal(say(n, &c, span_str("\xff"), &m, now), ERR_MALFORMED);
	assert_int_equal(
	    say(n, &c, span_of(big, NODE_TEXT_MAX + 1), &m, now), ERR_TOO_LONG);
	assert_int_equal(
	    say(n, &c, span_of(big, NODE_TEXT_MAX), &m, now), ERR_OK);
	assert_int_equal(drain(n, CHANGE_MESSAGE), 1);
	free(big);
	node_free(n);
}

static void
an_invitation_can_be_made_and_taken_back(void **state)
{
	struct node *n = new_node(1, true);
	struct node_invite invite;
	struct contact_id c;

	(void)state;
	assert_int_equal(node_invite_create(n, 0, &invite, now), ERR_LIMIT);
	assert_int_equal(node_invite_create(n, 3600, &invite, now), ERR_OK);
	assert_true(drain(n, CHANGE_INVITE) >= 1);
	assert_int_equal(
	    node_invite_accept(n, span_str(invite.text), &c, now), ERR_BAD_KEY);
	assert_int_equal(node_invite_revoke(n, &invite.id, now), ERR_OK);
	assert_int_equal(drain(n, CHANGE_INVITE_GONE), 1);
	assert_int_equal(node_invite_revoke(n, &invite.id, now), ERR_NOT_FOUND);
	for (int i = 0; i < NODE_INVITES_MAX; i++)
		assert_int_equal(
		    node_invite_create(n, 3600, &invite, now), ERR_OK);
	assert_int_equal(node_invite_create(n, 3600, &invite, now), ERR_LIMIT);
	node_free(n);
}

/* [hostile 71] Too late. */
static void
hostile_71_an_expired_invitation_is_refused(void **state)
{
	struct node *a = new_node(1, true);
	struct node_invite invite;
	struct contact_id c;
	struct node *b;

	(void)state;
	assert_int_equal(node_invite_create(a, 60, &invite, now), ERR_OK);
	b = new_node(2, true);
	now.wall_ms = invite.expires_s * 1000;
	assert_int_equal(
	    node_invite_accept(b, span_str(invite.text), &c, now), ERR_EXPIRED);
	now.wall_ms -= 1;
	assert_int_equal(
	    node_invite_accept(b, span_str(invite.text), &c, now), ERR_OK);
	assert_int_equal(
	    node_invite_accept(b, span_str(invite.text), &c, now), ERR_EXISTS);
	node_free(a);
	node_free(b);
}

/* Nobody is let in between its expiry and the next look at the keys. */
static void
an_invitation_ends_when_it_expires(void **state)
{
	struct node *n = new_node(1, true);
	struct node_invite invite;
	struct node_stats stats;

	(void)state;
	assert_int_equal(node_invite_create(n, 60, &invite, now), ERR_OK);
	(void)drain(n, CHANGE_INVITE);
	now.mono_ms += invite.expires_s * 1000 - 1 - now.wall_ms;
	now.wall_ms = invite.expires_s * 1000 - 1;
	node_tick(n, now);
	assert_int_equal(drain(n, CHANGE_INVITE_GONE), 0);
	now.mono_ms++;
	now.wall_ms++;
	node_tick(n, now);
	assert_int_equal(drain(n, CHANGE_INVITE_GONE), 1);
	node_get_stats(n, &stats);
	assert_int_equal(stats.invites, 0);
	node_free(n);
}

/* What was stored makes the same node again. */
static void
a_node_comes_back_from_its_records(void **state)
{
	static uint8_t self[NODE_RECORD_MAX], contact[NODE_RECORD_MAX];
	size_t n_self = 0, n_contact = 0;
	struct node *n = new_node(1, true);
	struct node_contact_info info;
	struct node_message m = { 0 };
	struct id_seed seed;
	struct contact_id c;
	struct message_id id;
	struct effect e;
	struct id_pk pk;

	(void)state;
	id_of(2, &pk);
	assert_int_equal(node_contact_add(n, &pk, &c, now), ERR_OK);
	assert_int_equal(say(n, &c, span_str("kept"), &id, now), ERR_OK);
	while (node_next_effect(n, &e)) {
		if (e.kind != EFFECT_STORE)
			continue;
		if (e.change.kind == CHANGE_SELF) {
			n_self = e.change.record.n;
			memcpy(self, e.change.record.p, n_self);
		} else if (e.change.kind == CHANGE_CONTACT) {
			n_contact = e.change.record.n;
			memcpy(contact, e.change.record.p, n_contact);
		} else if (e.change.kind == CHANGE_MESSAGE) {
			m = e.change.message;
			m.text = span_str("kept");
		}
	}
	node_free(n);
	n = new_node(1, false);
	memset(seed.b, 1, sizeof(seed.b));
	assert_int_equal(
	    node_set_identity(n, &seed, span_of(self, n_self), now), ERR_OK);
	assert_int_equal(
	    node_load_contact(n, &c, span_of(contact, n_contact), now), ERR_OK);
	assert_int_equal(node_load_outbox(n, &m, now), ERR_OK);
	assert_int_equal(node_load_outbox(n, &m, now), ERR_MALFORMED);
	assert_true(node_contact_get(n, &c, &info));
	assert_true(id_eq(&info.id, &pk));
	assert_int_equal(info.outbox, 1);
	assert_int_equal(drain(n, CHANGE_SELF), 0);
	node_free(n);
}

/* Hints of an invitation are the addresses that a cell tells. */
static bool
tells(struct node *n, const struct endpoint *e)
{
	struct node_invite made;
	struct invitation in;
	bool found = false;

	assert_int_equal(node_invite_create(n, 600, &made, now), ERR_OK);
	assert_int_equal(invitation_decode(span_str(made.text), &in), ERR_OK);
	for (uint8_t i = 0; i < in.n_hints; i++)
		found = found || endpoint_eq(&in.hints[i], e);
	assert_int_equal(node_invite_revoke(n, &made.id, now), ERR_OK);
	return found;
}

static void
a_mapped_address_is_told_until_it_is_lost(void **state)
{
	const uint8_t a[4] = { 203, 0, 113, 1 };
	const uint8_t b[4] = { 10, 0, 0, 1 };
	struct endpoint list[2] = { endpoint_v4(a, 4321),
		endpoint_v4(b, 4321) };
	struct node *n = new_node(1, true);

	(void)state;
	assert_false(tells(n, &list[0]));
	node_set_mapped(n, list, 1, now);
	assert_true(tells(n, &list[0]));
	list[0].port = 4322;
	node_set_mapped(n, list, 2, now);
	assert_true(tells(n, &list[0]));
	list[0].port = 4321;
	assert_false(tells(n, &list[0]));
	node_set_mapped(n, NULL, 0, now);
	list[0].port = 4322;
	assert_false(tells(n, &list[0]));
	(void)drain(n, CHANGE_SELF);
	node_free(n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    a_new_identity_is_stored_before_anything_leaves),
		cmocka_unit_test(without_an_identity_nothing_is_promised),
		cmocka_unit_test(a_contact_is_added_once),
		cmocka_unit_test(hostile_72_bad_ids_are_refused),
		cmocka_unit_test(a_message_is_stored_with_its_text),
		cmocka_unit_test(hostile_26_texts_that_cannot_be_sent),
		cmocka_unit_test(an_invitation_can_be_made_and_taken_back),
		cmocka_unit_test(hostile_71_an_expired_invitation_is_refused),
		cmocka_unit_test(an_invitation_ends_when_it_expires),
		cmocka_unit_test(a_mapped_address_is_told_until_it_is_lost),
		cmocka_unit_test(a_node_comes_back_from_its_records),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
