/*
 * Keys that are over are nowhere: two people talk for a while, sessions are
 * renewed, the ratchet steps; then all memory of the process is searched, in
 * which both of them live. Keys in use are found, so that the search is known
 * to see; others are not. [SPEC §6.5]
 */
#include "tests/sim/keys.h"
#include "tests/sim/sim.h"

#include "proto/chat/contact.h"
#include "proto/chat/self.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	CROWD = 10,
	SETTLED_MS = 20000,
	SOON_MS = 3 * 60 * 1000,
	TEXT_MS = 20000,  /* between two texts */
	OVER_MS = 200000, /* a key that nobody used for so long is erased */
};

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define IS_SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define IS_SANITIZED 1
#endif
#ifndef IS_SANITIZED
#define IS_SANITIZED 0
#endif

static struct keys session_keys, ratchet_keys, pair_keys, own_keys;

static struct sim *
new_world(uint64_t seed)
{
	struct sim *s = sim_pair(seed, CROWD, SETTLED_MS);

	assert_true(sim_add(s, 0, 1));
	assert_true(sim_add(s, 1, 0));
	assert_true(sim_run(s, s->now_ms + SOON_MS, sim_pair_ready));
	return s;
}

/* All but the first, which follows from the root of the pair and stays. */
static void
note_key(const struct contact *c, const struct ratchet_key *k)
{
	if (memcmp(k->b, c->rk0.b, sizeof(k->b)) != 0)
		keys_add(&ratchet_keys, k->b);
}

/* What the contact's record names now. */
static void
note_ratchet(const struct sim *s, uint32_t who)
{
	const struct disk_contact *k = &s->nodes[who].disk.contacts[0];
	struct contact c;

	assert_int_equal(
	    contact_decode(span_of(k->record.b, k->record.n), &k->id, &c),
	    ERR_OK);
	note_key(&c, &c.ratchet.cur);
	note_key(&c, &c.ratchet.prev);
	contact_wipe(&c);
}

static void
talk(struct sim *s, uint64_t for_ms)
{
	for (uint64_t end_ms = s->now_ms + for_ms; s->now_ms < end_ms;) {
		assert_true(sim_write(s, 0, 1, 40));
		assert_true(sim_write(s, 1, 0, 40));
		for (uint32_t i = 0; i < TEXT_MS / 1000; i++) {
			session_keys.now_ms = s->now_ms + 1000;
			ratchet_keys.now_ms = s->now_ms + 1000;
			sim_run(s, s->now_ms + 1000, NULL);
		}
		note_ratchet(s, 0);
		note_ratchet(s, 1);
	}
	assert_false(s->check.failed);
}

/* Of those used since, or not since. */
static size_t
count_found(const struct keys *k, uint64_t since_ms, bool is_over, size_t *n_of)
{
	size_t n = 0;

	*n_of = 0;
	for (size_t i = 0; i < k->n; i++)
		if ((k->key[i].last_ms < since_ms) == is_over) {
			(*n_of)++;
			n += k->key[i].n_found > 0;
		}
	return n;
}

static void
assert_over(struct keys *k, uint64_t since_ms, const char *what)
{
	size_t n_over, n_live;
	size_t over, live;

	keys_search(k);
	over = count_found(k, since_ms, true, &n_over);
	live = count_found(k, since_ms, false, &n_live);
	printf("%s: %zu of %zu that are over are found, %zu of %zu in use\n",
	    what, over, n_over, live, n_live);
	assert_true(n_over > 0);
	assert_int_equal(over, 0);
	assert_true(live > 0 || since_ms == NEVER);
}

static void
keys_of_sessions_that_are_over_are_nowhere(void **state)
{
	struct sim *s;

	(void)state;
	if (IS_SANITIZED)
		skip(); /* its allocator keeps what was freed, in huge maps */
	s = new_world(1);
	keys_use(&session_keys);
	talk(s, 20 * 60 * 1000);
	assert_over(&session_keys, s->now_ms - OVER_MS, "session keys");
	keys_use(NULL);
	sim_crash(s, 0);
	sim_crash(s, 1);
	assert_over(&session_keys, NEVER, "session keys after the end");
	sim_free(s);
}

static void
keys_that_the_ratchet_left_are_nowhere(void **state)
{
	struct sim *s;

	(void)state;
	if (IS_SANITIZED)
		skip();
	s = new_world(2);
	talk(s, UINT64_C(5) * 3600 * 1000);
	assert_over(&ratchet_keys, s->now_ms - OVER_MS, "ratchet keys");
	sim_free(s);
	assert_over(&ratchet_keys, NEVER, "ratchet keys after the end");
}

static void
note_pair(const struct sim *s, uint32_t who)
{
	const struct disk_contact *k = &s->nodes[who].disk.contacts[0];
	struct contact c;

	assert_int_equal(
	    contact_decode(span_of(k->record.b, k->record.n), &k->id, &c),
	    ERR_OK);
	keys_add(&pair_keys, c.pr.b);
	keys_add(&pair_keys, c.rk0.b);
	keys_add(&pair_keys, c.disc.b);
	keys_add(&pair_keys, c.ratchet.cur.b);
	keys_add(&pair_keys, c.ratchet.prev.b);
	contact_wipe(&c);
}

static void
a_contact_that_both_have_removed_leaves_no_key(void **state)
{
	struct sim *s;

	(void)state;
	if (IS_SANITIZED)
		skip();
	s = new_world(3);
	talk(s, 60000);
	note_pair(s, 0);
	note_pair(s, 1);
	keys_search(&pair_keys);
	for (size_t i = 0; i < pair_keys.n; i++)
		assert_true(pair_keys.key[i].n_found > 0);
	assert_true(sim_delete(s, 0, 1));
	assert_true(sim_delete(s, 1, 0));
	sim_run(s, s->now_ms + SOON_MS, NULL);
	assert_over(&pair_keys, NEVER, "keys of a pair that is no more");
	sim_free(s);
}

static void
note_self(const struct sim *s, uint32_t who)
{
	const struct disk_record *r = &s->nodes[who].disk.self;
	struct self self;

	assert_int_equal(
	    self_decode(span_of(r->b, r->n), &s->nodes[who].seed, &self),
	    ERR_OK);
	keys_add(&own_keys, self.s[0].sk.b);
	keys_add(&own_keys, self.reach.b);
	self_wipe(&self);
}

static void
a_node_that_ends_leaves_no_key_of_its_own(void **state)
{
	struct sim *s;

	(void)state;
	if (IS_SANITIZED)
		skip();
	s = new_world(4);
	talk(s, 60000);
	note_self(s, 0);
	note_self(s, 1);
	sim_crash(s, 0);
	sim_crash(s, 1);
	for (uint32_t i = 0; i < 2; i++)
		disk_clear(&s->nodes[i].disk);
	memset(&s->wire, 0, sizeof(s->wire)); /* what it must not see */
	assert_over(&own_keys, NEVER, "own keys after the end");
	sim_free(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_of_sessions_that_are_over_are_nowhere),
		cmocka_unit_test(keys_that_the_ratchet_left_are_nowhere),
		cmocka_unit_test(
		    a_contact_that_both_have_removed_leaves_no_key),
		cmocka_unit_test(a_node_that_ends_leaves_no_key_of_its_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
