/*
 * A contact whose software says whatever it likes in a session, while people
 * here go on: nothing that he says ends us, and whoever is honest later is
 * heard. BTCHAT_SEED chooses one story.
 */
#include "tests/support/node_pair.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { SEEDS = 24, STEPS = 150, IDS = 8 };

struct story {
	struct node_pair w;
	struct test_rng dice;
	struct message_id said[IDS]; /* by us: he may know their ids */
	struct contact_id id;        /* his, here */
};

static uint32_t
below(struct story *s, uint32_t n)
{
	uint32_t v;

	s->dice.rng.fill(s->dice.rng.ctx, &v, sizeof(v));
	return v % n;
}

static struct peer *
him(struct story *s)
{
	return s->w.n[0]->peers[0];
}

/* ---- what he says ---- */

static void
deliver(struct story *s, struct span bytes)
{
	struct peer *p = him(s);

	if (p->online)
		chat_on_data(s->w.n[0], p, bytes);
}

static uint64_t
some_seq(struct story *s)
{
	const struct peer *p = him(s);
	uint64_t near[] = { p->c.recv_seq, p->c.recv_seq + 1, p->c.sent_seq,
		p->refused.seq, p->held_seq, 1, below(s, 50) ? 2 : INT64_MAX };
	uint64_t seq = near[below(s, sizeof(near) / sizeof(near[0]))];

	seq -= seq > 3 ? below(s, 3) : 0;
	return seq > 0 && seq <= INT64_MAX ? seq : 1;
}

/* A message of a kind that must be known, or not. */
static void
say_unknown(struct story *s)
{
	char text[160];
	uint8_t head[RECORD_HEAD] = { 0 };
	int n = snprintf(text, sizeof(text),
	    "d1:h32:hhhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh1:ki%ue1:mi%ue"
	    "1:ni%llue1:x%s",
	    12 + below(s, 9), below(s, 2), (unsigned long long)some_seq(s),
	    below(s, 2) ? "0:e" : "2:abe");

	head[0] = (uint8_t)n;
	deliver(s, span_of(head, sizeof(head)));
	deliver(s, span_of(text, (size_t)n));
}

static void
name_ours(struct story *s, struct record *r)
{
	const struct peer *p = him(s);
	const struct outbox_entry *e = p->outbox.head;
	uint8_t hash[MESSAGE_HASH_SIZE] = { 0 };

	for (uint32_t i = below(s, 4); e != NULL && i > 0 && e->next; i--)
		e = e->next;
	if (e != NULL && below(s, 4) > 0) {
		r->seq = e->record.seq;
		record_hash(&e->record, hash);
	} else {
		memcpy(hash, p->c.sent_hash, sizeof(hash));
	}
	memcpy(r->head, hash, sizeof(r->head));
}

static void
say_record(struct story *s)
{
	static const enum record_kind kinds[] = { RECORD_TEXT, RECORD_TEXT,
		RECORD_EDIT, RECORD_DELETE, RECORD_REACTION, RECORD_TIMER,
		RECORD_PROFILE, RECORD_ACK, RECORD_READ, RECORD_TYPING,
		RECORD_REFUSED, RECORD_REFUSED, RECORD_RESUMED };
	static uint8_t bytes[RECORD_HEAD + RECORD_MAX];
	struct writer w = wr_init(bytes, sizeof(bytes));
	struct record r = {
		.kind = kinds[below(s, sizeof(kinds) / sizeof(kinds[0]))]
	};

	r.seq = some_seq(s);
	r.id = s->said[below(s, IDS)];
	if (below(s, 2))
		r.id.b[0] ^= (uint8_t)below(s, 256);
	memcpy(r.prev, him(s)->c.recv_hash, sizeof(r.prev));
	r.prev[0] ^= below(s, 8) == 0;
	r.has_ref = r.kind == RECORD_EDIT || r.kind == RECORD_DELETE ||
	            r.kind == RECORD_REACTION;
	r.ref = s->said[below(s, IDS)];
	if (r.kind == RECORD_TEXT || r.kind == RECORD_EDIT ||
	    r.kind == RECORD_REACTION)
		r.text = span_str("word");
	r.on = below(s, 2);
	r.refusal = (uint8_t)(1 + below(s, 6));
	chat_epoch(s->w.n[0], him(s), r.epoch);
	if (r.kind == RECORD_REFUSED || r.kind == RECORD_ACK)
		name_ours(s, &r);
	record_encode(&r, &w);
	deliver(s, wr_span_of(&w));
}

/* ---- what people do ---- */

static void
say(struct story *s)
{
	const struct node_words words = { .kind = MESSAGE_TEXT,
		.text = span_str("word") };
	struct message_id id;

	if (!node_message_send(s->w.n[0], &s->id, &words, &id, s->w.now))
		s->said[below(s, IDS)] = id;
}

static void
decide(struct story *s, bool hides)
{
	const struct node_decision what = { .hides = hides };

	assert_int_equal(
	    node_contact_decide(s->w.n[0], &s->id, &what, s->w.now), ERR_OK);
}

static void
block(struct story *s, bool on)
{
	assert_int_equal(
	    node_contact_block(s->w.n[0], &s->id, on, s->w.now), ERR_OK);
}

/* What a start makes of the outbox: what was queued was never sent. */
static void
forget_sent(struct story *s)
{
	for (struct outbox_entry *e = him(s)->outbox.head; e; e = e->next) {
		e->sent = false;
		e->change = 0;
	}
	outbox_rewind(&him(s)->outbox);
}

static void
do_something(struct story *s)
{
	struct node *n = s->w.n[0];

	switch (below(s, 12)) {
	case 0:
	case 1:
	case 2:
		say(s);
		break;
	case 3:
		node_set_room(n, below(s, 2), s->w.now);
		break;
	case 4:
		assert_int_equal(
		    node_messages_drop(n, &s->id, s->w.now), ERR_OK);
		break;
	case 5:
		decide(s, below(s, 2));
		break;
	case 6:
		block(s, below(s, 8) == 0);
		break;
	case 7:
		assert_int_equal(
		    node_read(n, &s->id, him(s)->c.recv_seq, s->w.now), ERR_OK);
		assert_int_equal(
		    node_typing(n, &s->id, below(s, 2), s->w.now), ERR_OK);
		break;
	case 8:
		forget_sent(s);
		break;
	case 9:
		node_pair_knock(&s->w);
		break;
	case 10:
		node_pair_run(&s->w, 1000U << below(s, 8));
		break;
	case 11:
		node_pair_run(&s->w, 50);
		break;
	}
}

static void
check(struct story *s)
{
	const struct outbox *o = &him(s)->outbox;
	size_t n = 0, bytes = 0;
	bool has_at = o->at == NULL;

	for (const struct outbox_entry *e = o->head; e; e = e->next) {
		n++;
		bytes += e->record.text.n;
		has_at |= e == o->at;
		assert_true(e->next || e == o->tail);
	}
	assert_true(has_at);
	assert_int_equal(o->n, n);
	assert_int_equal(o->bytes, bytes);
	assert_int_equal(s->w.n[0]->outbox_bytes, bytes);
	assert_false(s->w.n[0]->failed);
}

/* He was hidden from, and our keys are others since. */
static void
read_cell(struct story *s)
{
	const struct self *us = &s->w.n[0]->self;
	struct peer *p = s->w.n[1]->peers[0];
	struct cert says;
	bool changed;

	assert_int_equal(
	    cert_open(&us->s[0].cert, &us->id, s->w.now.wall_ms / 1000, &says),
	    ERR_OK);
	assert_int_equal(
	    contact_learn(&p->c, &says, &us->reach, &changed), ERR_OK);
}

/* When his software is what it was all goes on. */
static void
end_well(struct story *s)
{
	unsigned before;

	block(s, false);
	decide(s, false);
	node_set_room(s->w.n[0], true, s->w.now);
	node_pair_run(&s->w, 2 * (uint64_t)NODE_SHUN_MS);
	read_cell(s);
	node_pair_knock(&s->w);
	node_pair_run(&s->w, NODE_HOLD_MAX_MS * UINT64_C(2));
	assert_true(him(s)->online);
	before = s->w.n_received[1];
	say(s);
	node_pair_run(&s->w, 5000);
	assert_int_equal(s->w.n_received[1], before + 1);
	assert_int_equal(him(s)->outbox.n, 0);
}

static void
tell_story(uint64_t seed)
{
	struct story s = { .said = { { { 0 } } } };

	node_pair_begin(&s.w);
	test_rng_init(&s.dice, seed);
	node_pair_run(&s.w, 5000);
	s.id = him(&s)->c.id;
	for (unsigned i = 0; i < STEPS; i++) {
		uint32_t what = below(&s, 8);

		if (what == 0)
			say_unknown(&s);
		else if (what < 5)
			say_record(&s);
		else
			do_something(&s);
		check(&s);
	}
	end_well(&s);
	node_pair_end(&s.w);
}

static void
nothing_that_he_says_ends_us(void **state)
{
	uint64_t first = test_seed(1);
	unsigned rounds = getenv("BTCHAT_SEED") ? 1 : test_rounds(SEEDS);

	(void)state;
	for (uint64_t seed = first; seed < first + rounds; seed++) {
		print_message("BTCHAT_SEED=%llu\n", (unsigned long long)seed);
		tell_story(seed);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_that_he_says_ends_us),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
