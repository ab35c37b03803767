/*
 * The slots of the code against the model in tests/model: every state that
 * the model can reach with a few handshakes is reached here, and in each of
 * them the code does what the model does, and two fresh handshakes find a
 * common key.
 */
#include "proto/crypto/pair.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	SHAKES_MAX = 7,
	NONE = 255,
	STATES_MIN = 1 << 14,
};

/* Which messages of a handshake exist; DONE: message 1 was taken. */
enum { M1 = 1, M2 = 2, C1 = 4, C2 = 8, DONE = 16 };

/* The variables of the model; keys are the numbers of the handshakes that
 * made them, 0 is rk0. All bytes, so that states compare as they lie. */
struct state {
	uint8_t cur[2], prev[2], pend[2], role[2];
	uint8_t attempt; /* of peer 0, who alone advances */
	uint8_t next;
	struct {
		uint8_t base, o1, o2, is;
	} shake[SHAKES_MAX + 1];
};

static unsigned shakes; /* in this walk */
static unsigned long checked;

/* ---- the model ---- */

static uint8_t
model_base(const struct state *s, uint8_t n)
{
	const uint8_t mine[3] = { s->pend[1], s->cur[1], s->prev[1] };

	for (int i = 0; i < 3; i++) {
		if (mine[i] != NONE &&
		    (mine[i] == s->shake[n].o1 || mine[i] == s->shake[n].o2))
			return mine[i];
	}
	return NONE;
}

static bool
model_message_1(struct state *s, uint8_t n)
{
	uint8_t base = model_base(s, n);

	if (!(s->shake[n].is & M1) || (s->shake[n].is & DONE) || base == NONE)
		return false;
	s->shake[n].base = base;
	s->shake[n].is |= DONE | M2;
	s->pend[1] = n;
	s->role[1] = RATCHET_RESPONDER;
	return true;
}

static bool
model_message_2(struct state *s, uint8_t n)
{
	if (!(s->shake[n].is & M2) || s->attempt != n)
		return false;
	s->pend[0] = n;
	s->role[0] = RATCHET_INITIATOR;
	s->attempt = 0;
	s->shake[n].is |= C1;
	return true;
}

/* The first packet to peer `to` under handshake n. */
static bool
model_packet(struct state *s, uint8_t n, int to)
{
	enum ratchet_pending role = to ? RATCHET_RESPONDER : RATCHET_INITIATOR;

	if (!(s->shake[n].is & (to ? C1 : C2)) || s->pend[to] != n ||
	    s->role[to] != role)
		return false;
	s->prev[to] = s->shake[n].base;
	s->cur[to] = n;
	s->pend[to] = NONE;
	s->role[to] = RATCHET_NONE;
	if (to)
		s->shake[n].is |= C2;
	return true;
}

static bool
model_start(struct state *s)
{
	uint8_t n = s->next;

	if (n > shakes)
		return false;
	s->shake[n].o1 = s->cur[0];
	s->shake[n].o2 = s->prev[0];
	s->shake[n].is = M1;
	s->attempt = n;
	s->next++;
	return true;
}

/* ---- the code ---- */

static struct ratchet_key
key(uint8_t n)
{
	struct ratchet_key k;

	memset(k.b, n, sizeof(k.b));
	return k;
}

static struct ratchet
slots(const struct state *s, int p)
{
	struct ratchet r = { .cur = key(s->cur[p]), .prev = key(s->prev[p]) };

	r.role = (enum ratchet_pending)s->role[p];
	if (s->pend[p] == NONE)
		return r;
	r.pending = key(s->pend[p]);
	r.base = key(s->shake[s->pend[p]].base);
	return r;
}

static bool
same(const struct ratchet *r, const struct state *s, int p)
{
	struct ratchet want = slots(s, p);

	return memcmp(r->cur.b, want.cur.b, 32) == 0 &&
	       memcmp(r->prev.b, want.prev.b, 32) == 0 &&
	       memcmp(r->pending.b, want.pending.b, 32) == 0 &&
	       memcmp(r->base.b, want.base.b, 32) == 0 && r->role == want.role;
}

static enum key_used
choose(
    const struct ratchet *r, uint8_t o1, uint8_t o2, struct ratchet_key *base)
{
	struct ratchet_key one = key(o1), two = key(o2);
	struct rid rid1, rid2;

	pair_rid(&one, &rid1);
	pair_rid(&two, &rid2);
	return ratchet_choose(r, &rid1, &rid2, base);
}

static void
code_message_1(const struct state *before, const struct state *after, uint8_t n)
{
	struct ratchet r = slots(before, 1);
	struct ratchet_key base, next = key(n);
	enum key_used used;

	used = choose(&r, before->shake[n].o1, before->shake[n].o2, &base);
	if (used != KEY_FALLBACK)
		ratchet_store(&r, RATCHET_RESPONDER, &base, &next);
	assert_true(same(&r, after, 1));
}

static void
code_message_2(const struct state *before, const struct state *after, uint8_t n)
{
	struct ratchet r = slots(before, 0);
	struct ratchet_key base = key(before->shake[n].base), next = key(n);

	ratchet_store(&r, RATCHET_INITIATOR, &base, &next);
	assert_true(same(&r, after, 0));
}

/* Also where the model says that nothing happens. */
static void
code_packet(
    const struct state *before, const struct state *after, uint8_t n, int to)
{
	struct ratchet r = slots(before, to);
	struct ratchet_key next = key(n);

	(void)ratchet_commit(
	    &r, to ? RATCHET_RESPONDER : RATCHET_INITIATOR, &next, 0);
	assert_true(same(&r, after, to));
}

static void
agree(const struct state *s)
{
	for (int a = 0; a < 2; a++) {
		struct ratchet r = slots(s, 1 - a);
		struct ratchet_key base;

		assert_int_not_equal(
		    choose(&r, s->cur[a], s->prev[a], &base), KEY_FALLBACK);
	}
}

/* ---- the walk ---- */

/* A set of states that is also the queue of those to go on from. */
static struct {
	struct state *state; /* owned */
	uint32_t *slot;      /* owned; 1 + place in state, or 0 */
	size_t n, cap;
} seen;

static uint64_t
hash_of(const struct state *s)
{
	const uint8_t *b = (const uint8_t *)s;
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < sizeof(*s); i++)
		h = (h ^ b[i]) * UINT64_C(0x100000001b3);
	return h ^ h >> 32;
}

static void
place(const struct state *s, uint32_t number)
{
	size_t mask = 2 * seen.cap - 1, at = hash_of(s) & mask;

	while (seen.slot[at] != 0)
		at = (at + 1) & mask;
	seen.slot[at] = number;
}

static void
grow(void)
{
	seen.cap = seen.cap > 0 ? 2 * seen.cap : STATES_MIN;
	seen.state = realloc(seen.state, seen.cap * sizeof(*seen.state));
	free(seen.slot);
	seen.slot = calloc(2 * seen.cap, sizeof(*seen.slot));
	assert_true(seen.state && seen.slot);
	for (size_t i = 0; i < seen.n; i++)
		place(&seen.state[i], (uint32_t)i + 1);
}

static void
visit(const struct state *s)
{
	size_t mask, at;

	if (seen.n == seen.cap)
		grow();
	mask = 2 * seen.cap - 1;
	for (at = hash_of(s) & mask; seen.slot[at] != 0; at = (at + 1) & mask) {
		if (memcmp(&seen.state[seen.slot[at] - 1], s, sizeof(*s)) == 0)
			return;
	}
	seen.state[seen.n++] = *s;
	seen.slot[at] = (uint32_t)seen.n;
	agree(s);
}

/* Every message of handshake n that was ever sent arrives. */
static void
deliver(const struct state *s, uint8_t n)
{
	struct state t = *s;

	if (model_message_1(&t, n) || s->shake[n].is == M1) {
		code_message_1(s, &t, n);
		visit(&t);
	}
	t = *s;
	if (model_message_2(&t, n)) {
		code_message_2(s, &t, n);
		visit(&t);
	}
	for (int to = 0; to < 2; to++) {
		t = *s;
		if (!(s->shake[n].is & (to ? C1 : C2)))
			continue;
		(void)model_packet(&t, n, to);
		code_packet(s, &t, n, to);
		visit(&t);
	}
	checked++;
}

static void
walk(unsigned n_shakes)
{
	struct state first = { .pend = { NONE, NONE }, .next = 1 };

	shakes = n_shakes;
	checked = 0;
	visit(&first);
	for (size_t i = 0; i < seen.n; i++) {
		struct state s = seen.state[i], t = s;

		for (uint8_t n = 1; n < s.next; n++)
			deliver(&s, n);
		if (model_start(&t))
			visit(&t);
		t = s;
		t.attempt = 0; /* a crash, or too late */
		visit(&t);
	}
	print_message("%u handshakes: %u states, %lu deliveries\n", n_shakes,
	    (unsigned)seen.n, checked);
	free(seen.state);
	free(seen.slot);
	memset(&seen, 0, sizeof(seen));
}

/* Hostile input 15 at the level of the slots. */
static void
the_code_does_what_the_model_does(void **state)
{
	(void)state;
	walk(test_rounds(1) > 1 ? SHAKES_MAX : SHAKES_MAX - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_code_does_what_the_model_does),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
