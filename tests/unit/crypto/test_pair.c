/* Pair roots and the ratchet slots: single steps here, all interleavings in
 * tests/model and test_ratchet_model.c. */
#include "proto/crypto/pair.h"

#include "proto/crypto/identity.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct ratchet_key
key(uint8_t n)
{
	struct ratchet_key k;

	memset(k.b, n, sizeof(k.b));
	return k;
}

static bool
is(const struct ratchet_key *k, uint8_t n)
{
	struct ratchet_key want = key(n);

	return memcmp(k->b, want.b, sizeof(want.b)) == 0;
}

static enum key_used
choose(const struct ratchet *r, uint8_t cur, uint8_t prev,
    struct ratchet_key *base)
{
	struct ratchet_key c = key(cur);
	struct ratchet_key p = key(prev);
	struct rid rid_c;
	struct rid rid_p;

	pair_rid(&c, &rid_c);
	pair_rid(&p, &rid_p);
	return ratchet_choose(r, &rid_c, &rid_p, base);
}

static void
store(struct ratchet *r, enum ratchet_pending role, uint8_t base, uint8_t next)
{
	struct ratchet_key b = key(base);
	struct ratchet_key n = key(next);

	ratchet_store(r, role, &b, &n);
}

static bool
commit(struct ratchet *r, enum ratchet_pending role, uint8_t next)
{
	struct ratchet_key n = key(next);

	return ratchet_commit(r, role, &n, 1234);
}

static void
start(struct ratchet *r)
{
	struct ratchet_key rk0 = key(0);

	ratchet_init(r, &rk0);
}

static void
at_first_both_slots_hold_rk0(void **state)
{
	struct ratchet r;
	struct ratchet_key base;

	(void)state;
	start(&r);
	assert_true(is(&r.cur, 0) && is(&r.prev, 0));
	assert_int_equal(choose(&r, 0, 0, &base), KEY_CUR);
	assert_true(is(&base, 0));
}

static void
a_commit_keeps_the_base_as_previous(void **state)
{
	struct ratchet r;

	(void)state;
	start(&r);
	store(&r, RATCHET_RESPONDER, 0, 1);
	assert_true(is(&r.cur, 0));
	assert_true(commit(&r, RATCHET_RESPONDER, 1));
	assert_true(is(&r.cur, 1) && is(&r.prev, 0));
	assert_int_equal(r.role, RATCHET_NONE);
	assert_true(r.advanced_s == 1234);
	/* based on the previous one again: the peer had not come along */
	store(&r, RATCHET_RESPONDER, 0, 2);
	assert_true(commit(&r, RATCHET_RESPONDER, 2));
	assert_true(is(&r.cur, 2) && is(&r.prev, 0));
}

static void
only_the_pending_key_in_its_role_commits_and_once(void **state)
{
	struct ratchet r;

	(void)state;
	start(&r);
	assert_false(commit(&r, RATCHET_INITIATOR, 0));
	store(&r, RATCHET_INITIATOR, 0, 1);
	assert_false(commit(&r, RATCHET_RESPONDER, 1));
	assert_false(commit(&r, RATCHET_INITIATOR, 2));
	assert_true(is(&r.cur, 0));
	assert_true(commit(&r, RATCHET_INITIATOR, 1));
	assert_false(commit(&r, RATCHET_INITIATOR, 1));
	assert_true(is(&r.cur, 1));
}

static void
a_later_handshake_replaces_what_was_pending(void **state)
{
	struct ratchet r;

	(void)state;
	start(&r);
	store(&r, RATCHET_RESPONDER, 0, 1);
	store(&r, RATCHET_RESPONDER, 0, 2);
	assert_false(commit(&r, RATCHET_RESPONDER, 1));
	assert_true(commit(&r, RATCHET_RESPONDER, 2));
}

static void
the_newest_common_key_is_chosen(void **state)
{
	struct ratchet r;
	struct ratchet_key base = key(99);

	(void)state;
	start(&r);
	store(&r, RATCHET_INITIATOR, 0, 1);
	assert_true(commit(&r, RATCHET_INITIATOR, 1)); /* cur 1, prev 0 */
	store(&r, RATCHET_INITIATOR, 1, 2);            /* pending 2 */
	assert_int_equal(choose(&r, 2, 1, &base), KEY_CUR);
	assert_true(is(&base, 2));
	assert_int_equal(choose(&r, 1, 2, &base), KEY_PREV);
	assert_true(is(&base, 2));
	assert_int_equal(choose(&r, 1, 0, &base), KEY_CUR);
	assert_true(is(&base, 1));
	assert_int_equal(choose(&r, 7, 0, &base), KEY_PREV);
	assert_true(is(&base, 0));
	base = key(99);
	assert_int_equal(choose(&r, 7, 8, &base), KEY_FALLBACK);
	assert_true(is(&base, 99));
}

/* Zeros are what the pending slot is wiped to. */
static void
what_is_not_pending_is_not_chosen(void **state)
{
	struct ratchet r;
	struct ratchet_key base;
	struct ratchet_key rk0 = key(5);

	(void)state;
	ratchet_init(&r, &rk0);
	assert_int_equal(choose(&r, 0, 0, &base), KEY_FALLBACK);
	store(&r, RATCHET_RESPONDER, 5, 6);
	assert_true(commit(&r, RATCHET_RESPONDER, 6));
	assert_int_equal(choose(&r, 0, 0, &base), KEY_FALLBACK);
}

/* The base may be given as a pointer into the slots themselves. */
static void
the_base_may_be_one_of_the_slots(void **state)
{
	struct ratchet r;
	struct ratchet_key next = key(3);

	(void)state;
	start(&r);
	store(&r, RATCHET_RESPONDER, 0, 1);
	ratchet_store(&r, RATCHET_RESPONDER, &r.pending, &next);
	assert_true(commit(&r, RATCHET_RESPONDER, 3));
	assert_true(is(&r.prev, 1));
}

struct peer {
	struct ratchet slots;
	uint8_t attempt; /* outstanding handshake, 0 = none */
};

struct shake {
	struct ratchet_key base, next;
	struct rid cur, prev;
	bool chosen, answered, pinged, ponged;
};

enum { SHAKES = 12 };

/* One random delivery of any message ever sent, as in the model: peer 0
 * owns the ratchet, peer 1 answers. */
static void
deliver(struct peer *p, struct shake *s, uint8_t n)
{
	switch (s->ponged ? 3 : s->pinged ? 2 : s->answered ? 1 : 0) {
	case 0:
		if (ratchet_choose(&p[1].slots, &s->cur, &s->prev, &s->base) ==
		    KEY_FALLBACK)
			return;
		ratchet_store(
		    &p[1].slots, RATCHET_RESPONDER, &s->base, &s->next);
		s->answered = true;
		break;
	case 1:
		if (p[0].attempt != n)
			return;
		ratchet_store(
		    &p[0].slots, RATCHET_INITIATOR, &s->base, &s->next);
		p[0].attempt = 0;
		s->pinged = true;
		break;
	case 2:
		s->ponged =
		    ratchet_commit(&p[1].slots, RATCHET_RESPONDER, &s->next, 0);
		break;
	default:
		ratchet_commit(&p[0].slots, RATCHET_INITIATOR, &s->next, 0);
	}
}

static bool
agree(const struct ratchet *from, const struct ratchet *to)
{
	struct rid cur;
	struct rid prev;
	struct ratchet_key base;

	pair_rid(&from->cur, &cur);
	pair_rid(&from->prev, &prev);
	return ratchet_choose(to, &cur, &prev, &base) != KEY_FALLBACK;
}

/* Hostile input 15 at the level of the slots: whatever is lost, late, copied
 * or forgotten, the next handshake finds a common key. */
static void
any_order_of_messages_leaves_a_common_key(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(101));
	for (unsigned round = 0; round < test_rounds(300); round++) {
		struct peer p[2] = { 0 };
		struct shake s[SHAKES + 1] = { 0 };
		uint8_t made = 0;

		start(&p[0].slots);
		start(&p[1].slots);
		for (int step = 0; step < 80; step++) {
			uint32_t what = rng_below(&t.rng, 8);

			if (what == 0 && made < SHAKES) {
				struct shake *n = &s[++made];

				pair_rid(&p[0].slots.cur, &n->cur);
				pair_rid(&p[0].slots.prev, &n->prev);
				n->next = key((uint8_t)(100 + made));
				p[0].attempt = made;
			} else if (what == 1) {
				p[0].attempt = 0; /* crash or timeout */
			} else if (made > 0) {
				uint8_t n =
				    (uint8_t)(1 + rng_below(&t.rng, made));

				deliver(p, &s[n], n);
			}
			assert_true(agree(&p[0].slots, &p[1].slots));
			assert_true(agree(&p[1].slots, &p[0].slots));
		}
	}
}

static void
both_sides_of_a_pair_find_the_same_root(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(102));
	for (int i = 0; i < 50; i++) {
		struct id_seed seed[2];
		struct id_pk pk[2];
		struct id_sk sk[2];
		struct pair_root a;
		struct pair_root b;

		rng_fill(&t.rng, seed, sizeof(seed));
		identity_from_seed(&seed[0], &pk[0], &sk[0]);
		identity_from_seed(&seed[1], &pk[1], &sk[1]);
		assert_int_equal(pair_root_mutual(&sk[0], &pk[1], &a), ERR_OK);
		assert_int_equal(pair_root_mutual(&sk[1], &pk[0], &b), ERR_OK);
		assert_memory_equal(a.b, b.b, sizeof(a.b));
	}
}

static void
nobody_is_paired_with_himself(void **state)
{
	const struct id_seed seed = { { 3 } };
	struct id_pk pk;
	struct id_sk sk;
	struct pair_root pr;

	(void)state;
	identity_from_seed(&seed, &pk, &sk);
	assert_int_equal(pair_root_mutual(&sk, &pk, &pr), ERR_BAD_KEY);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(at_first_both_slots_hold_rk0),
		cmocka_unit_test(a_commit_keeps_the_base_as_previous),
		cmocka_unit_test(
		    only_the_pending_key_in_its_role_commits_and_once),
		cmocka_unit_test(a_later_handshake_replaces_what_was_pending),
		cmocka_unit_test(the_newest_common_key_is_chosen),
		cmocka_unit_test(what_is_not_pending_is_not_chosen),
		cmocka_unit_test(the_base_may_be_one_of_the_slots),
		cmocka_unit_test(any_order_of_messages_leaves_a_common_key),
		cmocka_unit_test(both_sides_of_a_pair_find_the_same_root),
		cmocka_unit_test(nobody_is_paired_with_himself),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
