/*
 * Handshakes that are cut short, doubled or late, owners who crash or come
 * back with an old store: the slots of the ratchet agree again. Numbers are
 * those of the list of hostile inputs.
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

/* ---- 15: a crash or a loss between any two steps ---- */

struct cutter {
	unsigned pass; /* datagrams that still pass */
};

static bool
tap_cut(struct wire *w, struct wire_datagram *d)
{
	struct cutter *c = w->tap_ctx;

	(void)d;
	if (c->pass == 0)
		return false;
	c->pass--;
	return true;
}

static void
no_fallback(const struct wire *w)
{
	assert_int_equal(w->node[0].fallbacks[1], 0);
	assert_int_equal(w->node[1].fallbacks[0], 0);
}

/* The wire ends after `pass` datagrams, then those of `victims` crash (bit 0,
 * bit 1); the next handshake, by `next`, must agree without fallback. */
static void
cut_after(uint64_t seed, unsigned pass, unsigned victims, unsigned next)
{
	struct cutter c = { pass };
	struct wire w;

	start(&w, seed);
	/* Some history, so that cur and prev differ from rk0. */
	for (unsigned i = 0; i < seed % 3; i++) {
		assert_true(meet(&w, 1));
		wire_run(&w, 500);
		wire_crash(&w, 0);
		wire_crash(&w, 1);
		w.now.wall_ms += 3700000;
		wire_restart(&w, 0);
		wire_restart(&w, 1);
	}
	w.tap = tap_cut;
	w.tap_ctx = &c;
	wire_connect(&w, seed % 2, 1 - seed % 2);
	wire_run(&w, 240);
	for (unsigned v = 0; v < 2; v++) {
		if (victims >> v & 1)
			wire_crash(&w, v);
	}
	wire_run(&w, 1000);
	for (unsigned v = 0; v < 2; v++) {
		if (victims >> v & 1)
			wire_restart(&w, v);
	}
	w.tap = NULL;
	w.now.wall_ms += 3700000; /* ADV is due again */
	wire_connect(&w, next, 1 - next);
	if (!wire_until(&w, wire_both_up, 30000)) {
		/* Its three knocks were spent before the cut. */
		wire_run(&w, 600000);
		wire_connect(&w, next, 1 - next);
	}
	if (!wire_until(&w, wire_both_up, 30000)) {
		print_message("seed %u pass %u victims %u next %u\n",
		    (unsigned)seed, pass, victims, next);
		fail();
	}
	wire_write(&w, 0, 1, 100);
	wire_write(&w, 1, 0, 100);
	assert_true(wire_until(&w, wire_all_read, 30000));
	no_fallback(&w);
	wire_clear(&w);
}

static void
hostile_15_a_crash_between_steps_needs_no_fallback(void **state)
{
	(void)state;
	for (unsigned pass = 0; pass < 9; pass++) {
		for (unsigned victims = 0; victims < 4; victims++) {
			for (uint64_t s = 1; s < 7; s++)
				cut_after(
				    s, pass, victims, (unsigned)(s % 4 / 2));
		}
	}
}

enum fate { LOST, COPIED, LATE, FATES };
enum { LATE_MS = 30000, STEPS = 5 };

/* What befalls one datagram. */
struct fated {
	unsigned at; /* how many come before it */
	enum fate fate;
	struct wire_datagram d;
	bool held;
};

static bool
tap_fated(struct wire *w, struct wire_datagram *d)
{
	struct fated *f = w->tap_ctx;

	if (f->at-- != 0)
		return true;
	w->tap = NULL;
	f->d = *d;
	f->held = true;
	if (f->fate == COPIED)
		wire_send(w, &d->from, &d->to, span_of(d->b, d->n));
	return f->fate == COPIED;
}

/* One of the first datagrams is lost, doubled or half a minute late, with
 * slots of any age, and perhaps a crash in the middle; the link comes up, and
 * so does the next one, without fallback. */
static void
meets_in_spite_of(struct fated f, unsigned age, unsigned victim)
{
	struct wire w;

	start(&w, 7 + age);
	for (unsigned i = 0; i < age; i++) {
		assert_true(meet(&w, 1));
		wire_run(&w, 500);
		wire_crash(&w, 0);
		wire_crash(&w, 1);
		w.now.wall_ms += 3700000;
		wire_restart(&w, 0);
		wire_restart(&w, 1);
	}
	w.tap = tap_fated;
	w.tap_ctx = &f;
	wire_connect(&w, age % 2, 1 - age % 2);
	assert_true(wire_until(&w, wire_both_up, 5000));
	if (victim < 2) {
		wire_crash(&w, victim);
		wire_restart(&w, victim);
	}
	wire_run(&w, LATE_MS);
	w.now.wall_ms += 3700000; /* ADV is due again */
	if (f.held && f.fate == LATE)
		wire_send(&w, &f.d.from, &f.d.to, span_of(f.d.b, f.d.n));
	wire_run(&w, 100);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(meet(&w, 2));
		wire_write(&w, 0, 1, 100);
		wire_write(&w, 1, 0, 100);
		assert_true(wire_until(&w, wire_all_read, 30000));
		wire_crash(&w, i % 2);
		wire_restart(&w, i % 2);
		w.now.wall_ms += 3700000;
	}
	no_fallback(&w);
	wire_clear(&w);
}

static void
hostile_15_each_message_may_be_lost_doubled_or_late(void **state)
{
	(void)state;
	for (unsigned at = 0; at < STEPS; at++) {
		for (unsigned fate = 0; fate < FATES; fate++) {
			for (unsigned i = 0; i < 12; i++) {
				const struct fated f = { .at = at,
					.fate = (enum fate)fate };

				meets_in_spite_of(f, i % 4, i / 4);
			}
		}
	}
}

static void
delayed_copies_do_no_harm(void **state)
{
	(void)state;
	/* Copies of handshakes come up to 30 s later. */
	for (unsigned i = 0; i < 30; i++) {
		struct wire w;

		start(&w, seed_of(1) + i);
		w.copy = 60;
		w.jitter_ms = i % 3 == 0 ? 30000 : 400;
		wire_connect(&w, i % 2, 1 - i % 2);
		wire_run(&w, 70000);
		w.jitter_ms = 10;
		w.copy = 0;
		wire_run(&w, 600000);
		assert_true(meet(&w, 2));
		wire_write(&w, 0, 1, 100);
		wire_write(&w, 1, 0, 100);
		assert_true(wire_until(&w, wire_all_read, 30000));
		no_fallback(&w);
		wire_clear(&w);
	}
}

/* 16: one side restored from an old copy. */
static void
hostile_16_a_restored_database_falls_back_once(void **state)
{
	(void)state;
	for (unsigned who = 0; who < 2; who++) {
		struct wire w;
		struct wire_disk old;

		start(&w, seed_of(1) + who);
		old = w.node[who].disk[1 - who];
		for (unsigned i = 0; i < 4; i++) {
			assert_true(meet(&w, 1));
			wire_run(&w, 500);
			wire_crash(&w, 0);
			wire_crash(&w, 1);
			w.now.wall_ms += 3700000;
			wire_restart(&w, 0);
			wire_restart(&w, 1);
		}
		no_fallback(&w);
		wire_crash(&w, who);
		old.peer.last_ts_ms = w.node[who].disk[1 - who].peer.last_ts_ms;
		w.node[who].disk[1 - who] = old;
		wire_restart(&w, who);
		wire_connect(&w, who, 1 - who);
		assert_true(wire_until(&w, wire_both_up, 1000));
		wire_write(&w, 0, 1, 100);
		assert_true(wire_until(&w, wire_all_read, 1000));
		assert_int_equal(w.node[0].fallbacks[1], 1);
		assert_int_equal(w.node[1].fallbacks[0], 1);
		/* And never again. */
		for (unsigned i = 0; i < 3; i++) {
			wire_crash(&w, i % 2);
			wire_restart(&w, i % 2);
			assert_true(meet(&w, 1));
			wire_run(&w, 200);
			w.now.wall_ms += 3700000;
		}
		assert_int_equal(w.node[0].fallbacks[1], 1);
		assert_int_equal(w.node[1].fallbacks[0], 1);
		wire_clear(&w);
	}
}

static void
a_policy_can_deny_the_fallback(void **state)
{
	(void)state;
	for (unsigned denier = 0; denier < 2; denier++) {
		struct wire w;
		struct link_peer cfg;

		start(&w, seed_of(1));
		cfg = wire_contact(&w, denier, 1 - denier);
		cfg.allow_fallback = false;
		memset(cfg.ratchet.cur.b, 1, 32);
		memset(cfg.ratchet.prev.b, 2, 32);
		wire_crash(&w, denier);
		w.node[denier].disk[1 - denier].peer = cfg;
		wire_restart(&w, denier);
		wire_connect(&w, 0, 1);
		wire_run(&w, 20000);
		wire_connect(&w, 1, 0);
		wire_run(&w, 20000);
		assert_int_equal(w.node[0].ups[1], 0);
		assert_int_equal(w.node[1].ups[0], 0);
		no_fallback(&w);
		assert_true(w.node[denier].denied[1 - denier] > 0);
		/* Proven by his message 2 only, not by a message 1. */
		assert_true(w.node[denier].proven[1 - denier] > 0);
		assert_true(w.node[denier].proven[1 - denier] <
		            w.node[denier].denied[1 - denier]);
		assert_int_equal(w.node[1 - denier].denied[denier], 0);
		wire_clear(&w);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    hostile_15_a_crash_between_steps_needs_no_fallback),
		cmocka_unit_test(
		    hostile_15_each_message_may_be_lost_doubled_or_late),
		cmocka_unit_test(delayed_copies_do_no_harm),
		cmocka_unit_test(
		    hostile_16_a_restored_database_falls_back_once),
		cmocka_unit_test(a_policy_can_deny_the_fallback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
