/*
 * Two links over a wire that loses, copies and reorders: they meet, talk,
 * renew their keys, crash and meet again. Numbers are those of the list of
 * hostile inputs.
 */
#include "proto/link/link.h"
#include "tests/support/link_wire.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static uint64_t
seed_of(uint64_t otherwise)
{
	static uint64_t seed;

	if (seed == 0)
		seed = test_seed(otherwise);
	return seed;
}

static void
start(struct wire *w, uint64_t seed)
{
	wire_init(w, seed, 2);
	wire_befriend(w, 0, 1);
}

/* As an owner does: again and again, from both sides. */
static bool
meet(struct wire *w, unsigned rounds)
{
	for (unsigned i = 0; i < rounds; i++) {
		wire_connect(w, 0, 1);
		wire_connect(w, 1, 0);
		if (wire_until(w, wire_both_up, 6000))
			return true;
	}
	return false;
}

static void
two_contacts_meet_and_talk(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_both_up, 45)); /* 2 round trips */
	wire_write(&w, 0, 1, 100000);
	wire_write(&w, 1, 0, 1000);
	assert_true(wire_until(&w, wire_all_read, 2000));
	assert_int_equal(w.node[1].read[0], 100000);
	wire_clear(&w);
}

static void
higher_id_may_start_too(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	wire_connect(&w, 1, 0);
	assert_true(wire_until(&w, wire_both_up, 45));
	wire_write(&w, 0, 1, 5000);
	wire_write(&w, 1, 0, 5000);
	assert_true(wire_until(&w, wire_all_read, 2000));
	wire_clear(&w);
}

/* All bytes arrive once and in order; the wire checks each. */
static void
a_bad_wire_delivers_everything(void **state)
{
	unsigned rounds = test_rounds(60), late = 0;

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		struct wire w;

		start(&w, seed_of(1) + i);
		w.loss = i % 31;
		w.copy = i % 11;
		w.jitter_ms = i % 7 * 20;
		if (!meet(&w, 1)) {
			/* All three knocks of both were lost. */
			late++;
			while (!meet(&w, 1))
				wire_run(&w, 60000);
		}
		for (unsigned k = 0; k < 10; k++) {
			if (wire_both_up(&w)) {
				wire_write(&w, 0, 1, 3000);
				wire_write(&w, 1, 0, 700);
			}
			wire_run(&w, 300);
		}
		if (!wire_until(&w, wire_all_read, 60000)) {
			print_message("round %u\n", i);
			fail();
		}
		assert_int_equal(w.node[0].ups[1], 1);
		assert_int_equal(w.node[1].ups[0], 1);
		wire_clear(&w);
	}
	print_message("%u of %u did not meet at once\n", late, rounds);
	assert_true(late <= rounds / 10);
}

/* 14: whatever the timing, one link, and soon. */
static void
hostile_14_both_at_once_make_one_link(void **state)
{
	unsigned rounds = test_rounds(1000);

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		struct wire w;
		uint64_t first;

		start(&w, seed_of(1) + i);
		w.jitter_ms = i % 10;
		first = rng_below(&w.rng.rng, 60);
		wire_connect(&w, i % 2, 1 - i % 2);
		wire_run(&w, first);
		wire_connect(&w, 1 - i % 2, i % 2);
		/* Four ways of at most so long: two round trips. */
		if (!wire_until(&w, wire_both_up, 4 * (10 + i % 10))) {
			print_message("round %u, %u ms\n", i, (unsigned)first);
			fail();
		}
		wire_write(&w, 0, 1, 2000);
		wire_write(&w, 1, 0, 2000);
		assert_true(wire_until(&w, wire_all_read, 1000));
		wire_run(&w, 20000);
		assert_int_equal(w.node[0].ups[1], 1);
		assert_int_equal(w.node[1].ups[0], 1);
		assert_int_equal(w.node[0].downs[1], 0);
		assert_int_equal(w.node[1].downs[0], 0);
		wire_clear(&w);
	}
}

/* A thief of his keys has called him in the friend's name, with a clock that is
 * ahead: the friend's own calls are old until then. */
static void
deceive(struct wire *w, unsigned who, uint64_t ahead_ms)
{
	struct link_peer cfg = wire_contact(w, who, 1 - who);

	cfg.last_ts_ms = w->now.wall_ms + ahead_ms;
	wire_set_peer(w, who, 1 - who, &cfg);
}

/* Both call in the same seconds, once a minute. */
static bool
meet_in_step(struct wire *w, unsigned minutes)
{
	for (unsigned i = 0; i < minutes && !wire_both_up(w); i++) {
		wire_connect(w, 0, 1);
		wire_connect(w, 1, 0);
		wire_run(w, 62000);
	}
	return wire_both_up(w);
}

static void
a_thief_of_keys_keeps_nobody_away(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct wire w;

		start(&w, seed_of(1));
		deceive(&w, who, 23 * UINT64_C(3600000));
		assert_true(meet_in_step(&w, 5));
		wire_clear(&w);
	}
}

/* With the keys of one he may deceive both; it ends with the ts that he named,
 * which is a day ahead at most. */
static void
two_that_were_deceived_meet_when_it_is_over(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	deceive(&w, 0, 3600000);
	deceive(&w, 1, 3600000);
	assert_true(meet_in_step(&w, 65));
	wire_clear(&w);
}

/* After a crossing both must keep the same key: old ones go after 60 s. */
static void
crossed_handshakes_live_on(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		struct wire w;

		start(&w, seed_of(1) + i);
		w.jitter_ms = 40;
		wire_connect(&w, 0, 1);
		wire_run(&w, i);
		wire_connect(&w, 1, 0);
		assert_true(wire_until(&w, wire_both_up, 1000));
		for (unsigned k = 0; k < 30; k++) {
			wire_write(&w, 0, 1, 100);
			wire_write(&w, 1, 0, 100);
			wire_run(&w, 10000);
		}
		assert_true(wire_until(&w, wire_all_read, 1000));
		assert_int_equal(w.node[0].ups[1], 1);
		assert_int_equal(w.node[0].downs[1], 0);
		wire_clear(&w);
	}
}

static void
keys_are_renewed_under_traffic(void **state)
{
	struct wire w;
	struct link_info info;

	(void)state;
	start(&w, seed_of(1));
	w.loss = 10;
	w.jitter_ms = 30;
	assert_true(meet(&w, 3));
	for (unsigned k = 0; k < 1200; k++) {
		wire_write(&w, 0, 1, 500);
		wire_write(&w, 1, 0, 300);
		wire_run(&w, 1000);
	}
	assert_true(wire_until(&w, wire_all_read, 10000));
	assert_int_equal(w.node[0].ups[1], 1);
	assert_int_equal(w.node[0].downs[1], 0);
	assert_true(links_info(w.node[0].links, 1, &info));
	/* Every 120 s of 1200, give and take what a lossy handshake takes. */
	print_message("%u renewals in 1200 s\n", (unsigned)info.rekeys);
	assert_in_range(info.rekeys, 8, 12);
	wire_clear(&w);
}

static void
an_idle_link_costs_little_and_stays(void **state)
{
	struct wire w;
	uint64_t bytes, packets;

	(void)state;
	start(&w, seed_of(1));
	assert_true(meet(&w, 1));
	wire_run(&w, 10000);
	bytes = w.node[0].sent_bytes + w.node[1].sent_bytes;
	packets = w.node[0].sent + w.node[1].sent;
	wire_run(&w, 7200000);
	bytes = w.node[0].sent_bytes + w.node[1].sent_bytes - bytes;
	packets = w.node[0].sent + w.node[1].sent - packets;
	print_message("idle: %u mB/s, %u packets in 7200 s\n",
	    (unsigned)(bytes * 1000 / 7200), (unsigned)packets);
	assert_true(bytes / 7200 < 20);
	assert_true(packets < 7200 / 5);
	assert_int_equal(w.node[0].ups[1], 1);
	assert_int_equal(w.node[0].downs[1], 0);
	assert_true(wire_both_up(&w));
	wire_clear(&w);
}

static void
silence_ends_a_link(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	assert_true(meet(&w, 1));
	wire_run(&w, 5000);
	w.cut = true;
	/* Data that nobody answers: in doubt after 2 s, dead 15 s later. */
	wire_write(&w, 0, 1, 100);
	wire_run(&w, 20000);
	assert_false(w.node[0].up[1]);
	assert_int_equal(w.node[0].last_err[1], ERR_EXPIRED);
	assert_true(w.node[1].up[0]); /* it has nothing to say */
	wire_run(&w, 75000);
	assert_false(w.node[1].up[0]);
	w.cut = false;
	assert_true(meet(&w, 1));
	wire_write(&w, 0, 1, 100);
	assert_true(wire_until(&w, wire_all_read, 1000));
	wire_clear(&w);
}

/* A cut of 10 s is survived, with everything that was written meanwhile. */
static void
a_short_cut_is_survived(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct wire w;

		start(&w, seed_of(1) + i);
		assert_true(meet(&w, 1));
		wire_run(&w, rng_below(&w.rng.rng, 5000));
		w.cut = true;
		wire_write(&w, 0, 1, 2000);
		wire_write(&w, 1, 0, 2000);
		wire_run(&w, 10000);
		w.cut = false;
		assert_true(wire_until(&w, wire_all_read, 10000));
		assert_int_equal(w.node[0].downs[1], 0);
		assert_int_equal(w.node[1].downs[0], 0);
		wire_clear(&w);
	}
}

static bool
ups_2_2(const struct wire *w)
{
	return wire_both_up(w) && w->node[1].ups[0] >= 2 &&
	       w->node[0].ups[1] >= 2;
}

/* Who lost its memory is recognised at once by its new instance. */
static void
a_crash_replaces_the_dead_link(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 40; i++) {
		struct wire w;
		unsigned dead = i % 2;

		start(&w, seed_of(1) + i);
		assert_true(meet(&w, 1));
		w.loss = i % 4 * 10;
		wire_write(&w, 0, 1, 5000);
		wire_write(&w, 1, 0, 5000);
		wire_run(&w, i * 20);
		wire_crash(&w, dead);
		wire_run(&w, i * 50);
		wire_restart(&w, dead);
		w.loss = 0;
		wire_connect(&w, dead, 1 - dead);
		assert_true(wire_until(&w, ups_2_2, 3000));
		wire_write(&w, 0, 1, 5000);
		wire_write(&w, 1, 0, 5000);
		assert_true(wire_until(&w, wire_all_read, 5000));
		assert_int_equal(w.node[dead].fallbacks[1 - dead], 0);
		assert_int_equal(w.node[1 - dead].fallbacks[dead], 0);
		wire_clear(&w);
	}
}

/* ---- invitations and first contact ---- */

static struct link_peer
invitation(struct wire *w, unsigned inviter, enum link_role role)
{
	struct wire_node *n = &w->node[inviter];
	struct link_peer cfg = { .role = role };
	struct invite_secret inv;
	struct pair_root root;

	memset(inv.b, 0x5a, sizeof(inv.b));
	pair_root_invite(&inv, &n->id, &root);
	pair_rk0(&root, &cfg.rk0);
	ratchet_init(&cfg.ratchet, &cfg.rk0);
	pair_invite_reach(&inv, &cfg.reach);
	if (role == LINK_INVITED) {
		cfg.id = n->id;
		cfg.s[0] = n->self.s[0].pk;
		cfg.n_s = 1;
	}
	return cfg;
}

static bool
paired(const struct wire *w)
{
	return w->node[0].paired[1] > 0 && w->node[1].paired[0] > 0;
}

static void
an_invitation_pairs_two(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		struct wire w;
		struct link_peer mine, theirs;

		wire_init(&w, seed_of(1) + i, 2);
		mine = invitation(&w, 0, LINK_INVITER);
		theirs = invitation(&w, 0, LINK_INVITED);
		wire_set_peer(&w, 0, 1, &mine);
		wire_set_peer(&w, 1, 0, &theirs);
		w.loss = i;
		for (unsigned k = 0; k < 4 && !paired(&w); k++) {
			wire_connect(&w, 1, 0);
			wire_run(&w, 12000);
		}
		if (i == 0)
			assert_int_equal(w.node[0].paired[1], 1);
		if (paired(&w)) {
			assert_memory_equal(
			    w.node[0].root.b, w.node[1].root.b, 32);
			assert_memory_equal(
			    w.node[0].hello.id.b, w.node[1].id.b, 32);
			assert_memory_equal(w.node[1].hello.reach.b,
			    w.node[0].self.reach.b, 32);
		} else {
			assert_true(i > 0);
		}
		wire_run(&w, 100000);
		assert_int_equal(w.node[0].ups[1], 0);
		assert_int_equal(w.node[1].ups[0], 0);
		assert_int_equal(w.node[0].downs[1], 0);
		wire_clear(&w);
	}
}

/* 71: whoever comes second gets nothing, not even a packet. */
static void
hostile_71_an_invitation_is_for_one(void **state)
{
	struct wire w;
	struct link_peer mine, theirs;
	uint64_t sent;

	(void)state;
	wire_init(&w, seed_of(1), 3);
	mine = invitation(&w, 0, LINK_INVITER);
	theirs = invitation(&w, 0, LINK_INVITED);
	wire_set_peer(&w, 0, 1, &mine);
	wire_set_peer(&w, 1, 0, &theirs);
	wire_set_peer(&w, 2, 0, &theirs);
	wire_connect(&w, 1, 0);
	wire_run(&w, 500);
	assert_true(paired(&w));
	sent = w.node[0].sent;
	wire_connect(&w, 2, 0);
	wire_run(&w, 20000);
	assert_int_equal(w.node[0].paired[1], 1);
	assert_int_equal(w.node[2].paired[0], 0);
	assert_true(w.node[0].sent <= sent + 1); /* an ACK to the first */
	wire_clear(&w);
}

/* Both added each other, one never read the other's cell. */
static void
a_contact_without_a_cell_is_known_by_rk0(void **state)
{
	struct wire w;
	struct link_peer cfg;

	(void)state;
	wire_init(&w, seed_of(1), 2);
	wire_befriend(&w, 0, 1);
	cfg = wire_contact(&w, 1, 0);
	cfg.n_s = 0;
	memset(&cfg.s, 0, sizeof(cfg.s));
	memset(&cfg.reach, 0, sizeof(cfg.reach));
	wire_crash(&w, 1);
	w.node[1].disk[0].peer = cfg;
	wire_restart(&w, 1);
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_both_up, 50));
	assert_memory_equal(
	    w.node[1].hello.says.s.b, w.node[0].self.s[0].pk.b, 32);
	assert_memory_equal(
	    w.node[1].hello.reach.b, w.node[0].self.reach.b, 32);
	wire_write(&w, 1, 0, 100);
	assert_true(wire_until(&w, wire_all_read, 1000));
	wire_clear(&w);
}

/* ---- flow ---- */

static void
a_full_window_waits_and_says_when(void **state)
{
	struct wire w;
	size_t room;

	(void)state;
	start(&w, seed_of(1));
	assert_true(meet(&w, 1));
	w.cut = true;
	wire_write(&w, 0, 1, 1 << 20);
	room = links_room(w.node[0].links, 1);
	assert_true(room < 1024);
	assert_int_equal(links_write(w.node[0].links, 1,
	                     span_of("0123456789abcdef", room < 16 ? 16 : 0)),
	    room < 16 ? ERR_LIMIT : ERR_OK);
	w.cut = false;
	assert_true(wire_until(&w, wire_all_read, 20000));
	assert_true(w.node[0].writables[1] >= 1);
	/* Many windows, one after the other. */
	for (unsigned i = 0; i < 40; i++) {
		wire_write(&w, 0, 1, 200000);
		assert_true(wire_until(&w, wire_all_read, 20000));
	}
	assert_int_equal(w.node[0].downs[1], 0);
	wire_clear(&w);
}

static void
removing_a_peer_tells_it(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	assert_true(meet(&w, 1));
	links_remove_peer(w.node[0].links, 1, wire_now(&w, 0));
	wire_drain(&w, 0);
	assert_int_equal(w.node[0].downs[1], 1);
	wire_run(&w, 100);
	assert_int_equal(w.node[1].downs[0], 1);
	assert_int_equal(w.node[1].last_err[0], ERR_OK);
	wire_clear(&w);
}

/* A new address of one side: nothing is lost, the link stays. */
static void
a_link_follows_a_peer_that_moves(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct wire w;

		start(&w, seed_of(1));
		assert_true(meet(&w, 1));
		wire_write(&w, 0, 1, 3000);
		wire_write(&w, 1, 0, 3000);
		assert_true(wire_until(&w, wire_all_read, 1000));
		w.node[who].at.port++;
		wire_write(&w, who, 1 - who, 3000);
		wire_run(&w, 500);
		wire_write(&w, 1 - who, who, 3000);
		assert_true(wire_until(&w, wire_all_read, 5000));
		wire_run(&w, 100000);
		wire_write(&w, 1 - who, who, 3000);
		assert_true(wire_until(&w, wire_all_read, 5000));
		assert_int_equal(w.node[0].downs[1], 0);
		assert_int_equal(w.node[1].downs[0], 0);
		assert_true(w.node[1 - who].paths[who] >= 1);
		wire_clear(&w);
	}
}

/* [SPEC §6.5]: three, then one a minute, so that who comes back is found;
 * three again after ten minutes. */
static void
silent_addresses_are_spared(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	w.cut = true;
	for (unsigned i = 0; i < 10; i++) {
		wire_connect(&w, 0, 1);
		wire_run(&w, 5500);
	}
	assert_int_equal(w.node[0].sent, 3);
	for (unsigned i = 0; i < 100; i++) {
		wire_connect(&w, 0, 1);
		wire_run(&w, 5500);
	}
	assert_in_range(w.node[0].sent, 3 + 8, 3 + 10);
	w.node[0].sent = 0;
	wire_run(&w, 600000);
	wire_connect(&w, 0, 1);
	wire_run(&w, 5500);
	assert_int_equal(w.node[0].sent, 3);
	wire_clear(&w);
}

/* ---- everything at once ---- */

static void
trouble(struct wire *w)
{
	unsigned a = rng_below(&w->rng.rng, 2);

	switch (rng_below(&w->rng.rng, 12)) {
	case 0:
		wire_crash(w, a);
		wire_run(w, rng_below(&w->rng.rng, 20000));
		wire_restart(w, a);
		break;
	case 1:
		w->cut = true;
		wire_run(w, rng_below(&w->rng.rng, 100000));
		w->cut = false;
		break;
	case 2:
		w->node[a].clock_ms += (int64_t)rng_below(&w->rng.rng, 7200000);
		break;
	case 3:
		w->loss = rng_below(&w->rng.rng, 31);
		w->copy = rng_below(&w->rng.rng, 20);
		w->jitter_ms = rng_below(&w->rng.rng, 200);
		break;
	case 4:
		w->node[a].at.port++;
		links_set_local(w->node[a].links, &w->node[a].at, 1, false);
		break;
	case 5:
		wire_run(w, rng_below(&w->rng.rng, 400000));
		break;
	default:
		if (wire_both_up(w))
			wire_write(w, a, 1 - a, rng_below(&w->rng.rng, 9000));
		else if (rng_below(&w->rng.rng, 2))
			wire_connect(w, a, 1 - a);
		wire_run(w, rng_below(&w->rng.rng, 2000));
		break;
	}
}

static void
no_fallback(const struct wire *w)
{
	assert_int_equal(w->node[0].fallbacks[1], 0);
	assert_int_equal(w->node[1].fallbacks[0], 0);
}

/* Whatever happened, a good wire heals it, and no ratchet was lost. */
static void
random_troubles_end_well(void **state)
{
	unsigned rounds = test_rounds(60);

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		struct wire w;

		start(&w, seed_of(1) + i);
		for (unsigned k = 0; k < 150; k++)
			trouble(&w);
		w.loss = 0;
		w.copy = 0;
		w.jitter_ms = 0;
		wire_run(&w, 100000); /* budgets and dead links are over */
		if (!meet(&w, 2)) {
			print_message("round %u\n", i);
			fail();
		}
		wire_write(&w, 0, 1, 9000);
		wire_write(&w, 1, 0, 9000);
		assert_true(wire_until(&w, wire_all_read, 20000));
		no_fallback(&w);
		wire_clear(&w);
	}
}

static enum err
ask(struct wire *w, unsigned a)
{
	enum err err = links_ping(w->node[a].links, 1 - a, wire_now(w, a));

	links_flush(w->node[a].links, wire_now(w, a));
	wire_drain(w, a);
	return err;
}

static bool
first_heard(const struct wire *w)
{
	return w->node[0].pongs[1] > 0;
}

static void
who_is_asked_answers_at_once(void **state)
{
	struct wire w;
	uint64_t sent;

	(void)state;
	start(&w, seed_of(1));
	assert_int_equal(ask(&w, 0), ERR_STATE);
	assert_true(meet(&w, 1));
	wire_run(&w, 5000);
	sent = w.node[0].sent;
	assert_int_equal(ask(&w, 0), ERR_OK);
	assert_int_equal(w.node[0].sent, sent + 1);
	for (unsigned i = 0; i < 100; i++) /* nobody is asked twice */
		assert_int_equal(ask(&w, 0), ERR_OK);
	assert_int_equal(w.node[0].sent, sent + 1);
	assert_true(wire_until(&w, first_heard, 100));
	assert_int_equal(w.node[0].rtt_ms, 2 * w.delay_ms);
	wire_run(&w, 5000);
	assert_int_equal(w.node[0].pongs[1], 1);
	assert_int_equal(w.node[1].pongs[0], 0);
	wire_clear(&w);
}

static bool
heard_again(const struct wire *w)
{
	return w->node[0].pongs[1] > 1;
}

/* Where a round trip takes no time two questions leave in one millisecond. */
static void
the_next_question_is_answered_as_well(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	assert_true(meet(&w, 1));
	wire_run(&w, 5000);
	w.delay_ms = 0;
	assert_int_equal(ask(&w, 0), ERR_OK);
	assert_true(wire_until(&w, first_heard, 100));
	assert_int_equal(ask(&w, 0), ERR_OK);
	assert_true(wire_until(&w, heard_again, 100));
	wire_clear(&w);
}

/* What is lost is asked again; who goes on talking has asked as well. */
static void
a_lost_question_is_repeated(void **state)
{
	unsigned rounds = test_rounds(50);

	(void)state;
	for (unsigned i = 0; i < rounds; i++) {
		struct wire w;

		start(&w, seed_of(1) + i);
		w.jitter_ms = i % 5 * 10;
		while (!meet(&w, 1))
			wire_run(&w, 60000);
		wire_run(&w, 1000);
		w.cut = true;
		assert_int_equal(ask(&w, 0), ERR_OK);
		wire_run(&w, 50 + i);
		assert_int_equal(w.node[0].pongs[1], 0);
		w.cut = false;
		w.loss = i % 30;
		if (i % 2)
			wire_write(&w, 0, 1, 3000);
		assert_true(wire_until(&w, first_heard, 20000));
		assert_true(w.node[0].rtt_ms >= 2 * w.delay_ms);
		wire_clear(&w);
	}
}

static void
no_answer_comes_of_a_link_that_ended(void **state)
{
	struct wire w;

	(void)state;
	start(&w, seed_of(1));
	assert_true(meet(&w, 1));
	w.cut = true;
	assert_int_equal(ask(&w, 0), ERR_OK);
	wire_run(&w, 120000);
	assert_false(w.node[0].up[1]);
	assert_int_equal(w.node[0].pongs[1], 0);
	w.cut = false;
	while (!meet(&w, 1))
		wire_run(&w, 60000);
	wire_write(&w, 0, 1, 1000);
	wire_run(&w, 1000);
	assert_int_equal(w.node[0].pongs[1], 0);
	assert_int_equal(ask(&w, 0), ERR_OK);
	assert_true(wire_until(&w, first_heard, 1000));
	wire_clear(&w);
}

/* A clock that was ahead ranked a session; it was set right, and sessions that
 * rank lower must follow all the same. */
static void
a_clock_set_back_ends_no_link(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct wire w;

		start(&w, seed_of(1));
		w.node[who].clock_ms = 24 * INT64_C(3600000) + 60000;
		wire_connect(&w, 1 - who, who);
		assert_true(wire_until(&w, wire_both_up, 5000));
		w.node[who].clock_ms = 0;
		for (unsigned i = 0; i < 20; i++) {
			wire_write(&w, i % 2, 1 - i % 2, 100);
			wire_run(&w, 30000);
		}
		assert_true(wire_both_up(&w));
		assert_int_equal(w.node[0].downs[1], 0);
		assert_int_equal(w.node[1].downs[0], 0);
		wire_clear(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_clock_set_back_ends_no_link),
		cmocka_unit_test(who_is_asked_answers_at_once),
		cmocka_unit_test(the_next_question_is_answered_as_well),
		cmocka_unit_test(a_lost_question_is_repeated),
		cmocka_unit_test(no_answer_comes_of_a_link_that_ended),
		cmocka_unit_test(two_contacts_meet_and_talk),
		cmocka_unit_test(higher_id_may_start_too),
		cmocka_unit_test(a_bad_wire_delivers_everything),
		cmocka_unit_test(hostile_14_both_at_once_make_one_link),
		cmocka_unit_test(a_thief_of_keys_keeps_nobody_away),
		cmocka_unit_test(two_that_were_deceived_meet_when_it_is_over),
		cmocka_unit_test(crossed_handshakes_live_on),
		cmocka_unit_test(keys_are_renewed_under_traffic),
		cmocka_unit_test(an_idle_link_costs_little_and_stays),
		cmocka_unit_test(silence_ends_a_link),
		cmocka_unit_test(a_short_cut_is_survived),
		cmocka_unit_test(a_crash_replaces_the_dead_link),
		cmocka_unit_test(an_invitation_pairs_two),
		cmocka_unit_test(hostile_71_an_invitation_is_for_one),
		cmocka_unit_test(a_contact_without_a_cell_is_known_by_rk0),
		cmocka_unit_test(a_full_window_waits_and_says_when),
		cmocka_unit_test(removing_a_peer_tells_it),
		cmocka_unit_test(a_link_follows_a_peer_that_moves),
		cmocka_unit_test(silent_addresses_are_spared),
		cmocka_unit_test(random_troubles_end_well),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
