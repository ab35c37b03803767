/*
 * What somebody without the keys, or with old bytes, can draw out of a node:
 * nothing. Numbers are those of the list of hostile inputs.
 */
#include "proto/crypto/kdf.h"
#include "proto/link/link.h"
#include "tests/support/link_raw.h"

#include <sodium.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* Node 0 is the victim, 1 its contact. */
static void
start(struct wire *w)
{
	wire_init(w, test_seed(1), 3);
	wire_befriend(w, 0, 1);
}

/* True if the victim sends nothing for it and changes nothing. */
static bool
silent(struct wire *w, const struct endpoint *from, struct span b)
{
	uint64_t sent = w->node[0].sent;
	struct link_stats before, after;

	links_stats(w->node[0].links, &before);
	wire_inject(w, 0, from, b);
	links_stats(w->node[0].links, &after);
	return w->node[0].sent == sent &&
	       after.n_half_open == before.n_half_open &&
	       after.n_up == before.n_up &&
	       after.n_dropped == before.n_dropped + 1;
}

static const struct endpoint *
contact(const struct wire *w)
{
	return &w->node[1].at;
}

static void
message_1(struct wire *w, uint8_t out[PACKET_MESSAGE_1_SIZE])
{
	struct raw_m1 m = raw_m1_of(w, 1, 0);
	struct handshake_attempt a;

	raw_m1_seal(w, &m, out, &a);
	handshake_attempt_wipe(&a);
}

static void
hostile_1_odd_lengths_are_dropped(void **state)
{
	static uint8_t huge[65507];
	struct wire w;

	(void)state;
	start(&w);
	assert_true(silent(&w, contact(&w), span_of(NULL, 0)));
	assert_true(silent(&w, contact(&w), span_of(huge, 1)));
	assert_true(silent(&w, contact(&w), span_of(huge, sizeof(huge))));
	wire_clear(&w);
}

static void
hostile_2_random_datagrams_are_dropped(void **state)
{
	uint8_t buf[1500];
	struct wire w;
	unsigned n = test_rounds(50000);

	(void)state;
	start(&w);
	for (unsigned i = 0; i < n; i++) {
		rng_fill(&w.rng.rng, buf, sizeof(buf));
		assert_true(silent(
		    &w, contact(&w), span_of(buf, i % (sizeof(buf) + 1))));
	}
	/* Also while an attempt waits, whose cookies and answers they could
	 * be. */
	w.cut = true;
	wire_connect(&w, 0, 1);
	for (unsigned i = 0; i < 2000; i++) {
		rng_fill(&w.rng.rng, buf, sizeof(buf));
		assert_true(silent(&w, contact(&w), span_of(buf, 56)));
		assert_true(silent(&w, contact(&w), span_of(buf, 104)));
	}
	wire_clear(&w);
}

static void
hostile_3_no_bit_of_message_1_may_differ(void **state)
{
	uint8_t m[PACKET_MESSAGE_1_SIZE];
	struct wire w;

	(void)state;
	start(&w);
	message_1(&w, m);
	/* Bytes 152.. are mac2, which counts under load only. */
	for (unsigned i = 0; i < 152 * 8; i++) {
		m[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_true(silent(&w, contact(&w), span_of(m, sizeof(m))));
		m[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	m[160] ^= 1;
	assert_false(silent(&w, contact(&w), span_of(m, sizeof(m))));
	/* On its way together with what it was made of: all 1,344 bits. */
	for (unsigned i = 0; i < sizeof(m) * 8; i++) {
		m[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_true(silent(&w, contact(&w), span_of(m, sizeof(m))));
		m[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	wire_clear(&w);
}

static void
hostile_4_message_1_has_one_length(void **state)
{
	uint8_t m[PACKET_MESSAGE_1_SIZE + 1] = { 0 };
	struct wire w;

	(void)state;
	start(&w);
	message_1(&w, m);
	assert_true(silent(&w, contact(&w), span_of(m, sizeof(m) - 2)));
	assert_true(silent(&w, contact(&w), span_of(m, sizeof(m))));
	assert_false(silent(&w, contact(&w), span_of(m, sizeof(m) - 1)));
	wire_clear(&w);
}

static void
hostile_5_mac1_holds_for_three_days(void **state)
{
	(void)state;
	for (int day = -2; day <= 2; day++) {
		uint8_t out[PACKET_MESSAGE_1_SIZE];
		struct handshake_attempt a;
		struct raw_m1 m;
		struct wire w;
		bool dropped;

		start(&w);
		m = raw_m1_of(&w, 1, 0);
		m.day += (uint32_t)day;
		raw_m1_seal(&w, &m, out, &a);
		dropped = silent(&w, contact(&w), span_of(out, sizeof(out)));
		assert_int_equal(dropped, day == -2 || day == 2);
		wire_clear(&w);
	}
}

static void
hostile_6_a_replay_has_no_effect(void **state)
{
	uint8_t m[PACKET_MESSAGE_1_SIZE];
	struct wire w;

	(void)state;
	start(&w);
	message_1(&w, m);
	assert_false(silent(&w, contact(&w), span_of(m, sizeof(m))));
	assert_true(silent(&w, contact(&w), span_of(m, sizeof(m))));
	assert_true(silent(&w, &w.node[2].at, span_of(m, sizeof(m))));
	wire_crash(&w, 0);
	wire_restart(&w, 0);
	assert_true(silent(&w, contact(&w), span_of(m, sizeof(m))));
	wire_run(&w, 86400000);
	assert_true(silent(&w, contact(&w), span_of(m, sizeof(m))));
	assert_int_equal(w.node[0].ups[1], 0);
	wire_clear(&w);
}

/* Node 0 gives out an invitation as its peer 1. */
static struct link_peer
start_inviting(struct wire *w)
{
	struct link_peer inv = { .role = LINK_INVITER };

	wire_init(w, test_seed(1), 3);
	memset(inv.rk0.b, 7, sizeof(inv.rk0.b));
	memset(inv.reach.b, 8, sizeof(inv.reach.b));
	wire_set_peer(w, 0, 1, &inv);
	return inv;
}

/* A message 1 under it of a caller without a node. */
static void
call_invited(struct wire *w, const struct link_peer *inv, uint8_t caller,
    uint64_t ts_ms, uint8_t out[PACKET_MESSAGE_1_SIZE])
{
	struct raw_m1 m = raw_m1_of(w, 1, 0);
	struct handshake_attempt a;

	memset(m.s.sk.b, caller + 1, sizeof(m.s.sk.b));
	crypto_scalarmult_base(m.s.pk.b, m.s.sk.b);
	m.reach = inv->reach;
	m.cur = inv->rk0;
	m.prev = inv->rk0;
	m.flags = HANDSHAKE_INVITE;
	m.ts_ms = ts_ms;
	raw_m1_seal(w, &m, out, &a);
	handshake_attempt_wipe(&a);
}

static void
hostile_6_a_replayed_call_has_no_effect(void **state)
{
	uint8_t m[PACKET_MESSAGE_1_SIZE];
	struct link_peer inv;
	struct wire w;

	(void)state;
	inv = start_inviting(&w);
	call_invited(&w, &inv, 1, wire_now(&w, 1).wall_ms, m);
	assert_false(silent(&w, contact(&w), span_of(m, sizeof(m))));
	assert_true(silent(&w, contact(&w), span_of(m, sizeof(m))));
	wire_crash(&w, 0);
	wire_restart(&w, 0);
	assert_true(silent(&w, contact(&w), span_of(m, sizeof(m))));
	assert_true(silent(&w, &w.node[2].at, span_of(m, sizeof(m))));
	wire_run(&w, 1000);
	call_invited(&w, &inv, 1, wire_now(&w, 1).wall_ms, m);
	assert_false(silent(&w, contact(&w), span_of(m, sizeof(m))));
	wire_clear(&w);
}

/* More callers than are remembered: who is forgotten is under the floor. */
static void
hostile_6_no_flood_makes_a_call_new_again(void **state)
{
	enum { CALLS = 3 * CALLERS_MAX };
	static uint8_t m[CALLS][PACKET_MESSAGE_1_SIZE];
	uint8_t late[PACKET_MESSAGE_1_SIZE];
	struct link_peer inv;
	uint64_t ts_ms;
	static struct wire w;

	(void)state;
	inv = start_inviting(&w);
	ts_ms = wire_now(&w, 1).wall_ms;
	for (unsigned i = 0; i < CALLS; i++) {
		call_invited(&w, &inv, (uint8_t)i, ts_ms + i, m[i]);
		assert_false(
		    silent(&w, contact(&w), span_of(m[i], sizeof(m[i]))));
	}
	for (int life = 0; life < 2; life++) {
		for (size_t i = 0; i < CALLS; i++)
			assert_true(silent(
			    &w, contact(&w), span_of(m[i], sizeof(m[i]))));
		call_invited(&w, &inv, CALLS, ts_ms, late);
		assert_true(
		    silent(&w, contact(&w), span_of(late, sizeof(late))));
		wire_crash(&w, 0);
		wire_restart(&w, 0);
	}
	call_invited(&w, &inv, CALLS, ts_ms + CALLS, late);
	assert_false(silent(&w, contact(&w), span_of(late, sizeof(late))));
	wire_clear(&w);
}

static void
hostile_7_a_stranger_costs_two_dh(void **state)
{
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	struct handshake_attempt a;
	struct link_stats stats;
	struct raw_m1 m;
	struct wire w;

	(void)state;
	start(&w);
	m = raw_m1_of(&w, 2, 0); /* R leaked to node 2 */
	raw_m1_seal(&w, &m, out, &a);
	assert_true(silent(&w, &w.node[2].at, span_of(out, sizeof(out))));
	links_stats(w.node[0].links, &stats);
	assert_int_equal(stats.n_dh, 2);
	wire_clear(&w);
}

static uint64_t
dh_count(const struct wire *w)
{
	struct link_stats stats;

	links_stats(w->node[0].links, &stats);
	return stats.n_dh;
}

/* Puts another e_i into a message 1 and makes the outside right again. */
static void
replace_e(struct wire *w, uint8_t m[PACKET_MESSAGE_1_SIZE], const uint8_t e[32])
{
	struct wire_node *v = &w->node[0];
	struct handshake_guard g;
	uint8_t mask[32];
	struct span parts[2];

	handshake_guard_derive(&v->self.reach, &v->self.s[0].pk,
	    handshake_day(w->now.wall_ms), &g);
	parts[0] = span_str("1");
	parts[1] = span_of(m + 32, 104);
	kdf_b2(span_of(g.mask, 32), parts, 2, mask, 32);
	for (unsigned i = 0; i < 32; i++)
		m[i] = e[i] ^ mask[i];
	parts[0] = span_of(m, 136);
	kdf_b2(span_of(g.mac1, 32), parts, 1, m + 136, 16);
}

static void
hostile_8_low_order_ephemerals_are_dropped(void **state)
{
	/* The encodings of [RFC 7748] points of small order, reduced and not;
	 * the last is the only one with bit 255, which is masked. */
	static const char *const hex[] = {
		"00000000000000000000000000000000"
		"00000000000000000000000000000000",
		"01000000000000000000000000000000"
		"00000000000000000000000000000000",
		"ecffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffff7f",
		"edffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffff7f",
		"eeffffffffffffffffffffffffffffff"
		"ffffffffffffffffffffffffffffff7f",
		"e0eb7a7c3b41b8ae1656e3faf19fc46a"
		"da098deb9c32b1fd866205165f49b800",
		"5f9c95bca3508c24b1d0b1559c83ef5b"
		"04445cc4581c8e86d8224eddd09f1157",
	};
	struct wire w;

	(void)state;
	start(&w);
	for (size_t i = 0; i < sizeof(hex) / sizeof(hex[0]); i++) {
		uint8_t m[PACKET_MESSAGE_1_SIZE], e[32];

		for (unsigned k = 0; k < 32; k++) {
			unsigned v;

			assert_int_equal(sscanf(hex[i] + 2 * k, "%2x", &v), 1);
			e[k] = (uint8_t)v;
		}
		/* Bit 255 is masked: the same point, or an ordinary one. */
		for (unsigned top = 0; top < 2; top++) {
			e[31] ^= (uint8_t)(top << 7);
			message_1(&w, m);
			replace_e(&w, m, e);
			assert_true(
			    silent(&w, contact(&w), span_of(m, sizeof(m))));
		}
	}
	/* They passed mac1: it was the point that was refused. */
	assert_int_equal(dh_count(&w), 4 * sizeof(hex) / sizeof(hex[0]));
	wire_clear(&w);
}

/* cppcheck-suppress constParameter ; a tap may change what passes */
static bool
tap_first(struct wire *w, struct wire_datagram *d)
{
	struct wire_datagram *first = w->tap_ctx;

	if (first->n == 0)
		*first = *d;
	return false;
}

static void
hostile_9_own_and_reflected_statics_are_dropped(void **state)
{
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	struct wire_datagram first = { 0 };
	struct handshake_attempt a;
	struct raw_m1 m;
	struct wire w;

	(void)state;
	start(&w);
	m = raw_m1_of(&w, 0, 1); /* as the victim itself would, to itself */
	m.rs = w.node[0].self.s[0].pk;
	m.reach = w.node[0].self.reach;
	raw_m1_seal(&w, &m, out, &a);
	assert_true(silent(&w, contact(&w), span_of(out, sizeof(out))));
	w.tap = tap_first;
	w.tap_ctx = &first;
	wire_connect(&w, 0, 1);
	assert_int_equal(first.n, PACKET_MESSAGE_1_SIZE);
	assert_true(silent(&w, contact(&w), span_of(first.b, first.n)));
	/* An S of ours that was replaced is still ours. */
	w.node[0].self.s[1] = w.node[0].self.s[0];
	memset(w.node[0].self.s[0].sk.b, 77, 32);
	assert_int_equal(crypto_scalarmult_base(w.node[0].self.s[0].pk.b,
	                     w.node[0].self.s[0].sk.b),
	    0);
	w.node[0].self.n_s = 2;
	links_set_self(w.node[0].links, &w.node[0].self);
	m.rs = w.node[0].self.s[0].pk;
	raw_m1_seal(&w, &m, out, &a);
	assert_true(silent(&w, contact(&w), span_of(out, sizeof(out))));
	wire_clear(&w);
}

/* Who holds our S can make a message 1 of any contact, but not go on. */
static void
hostile_10_a_forged_contact_gets_one_message_2(void **state)
{
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	struct handshake_attempt a;
	struct link_stats stats;
	struct raw_m1 m;
	struct wire w;

	(void)state;
	start(&w);
	m = raw_m1_of(&w, 1, 0);
	m.cur.b[0] ^= 1; /* has the keys of X25519, not the ratchet's */
	m.prev.b[0] ^= 1;
	raw_m1_seal(&w, &m, out, &a);
	assert_false(silent(&w, contact(&w), span_of(out, sizeof(out))));
	assert_int_equal(w.node[0].sent, 1);
	links_stats(w.node[0].links, &stats);
	assert_int_equal(stats.n_half_open, 1);
	wire_run(&w, 9999);
	links_stats(w.node[0].links, &stats);
	assert_int_equal(stats.n_half_open, 1);
	wire_run(&w, 2);
	links_stats(w.node[0].links, &stats);
	assert_int_equal(stats.n_half_open, 0);
	assert_int_equal(w.node[0].sent, 1);
	assert_int_equal(w.node[0].ups[1], 0);
	assert_int_equal(w.node[0].fallbacks[1], 0);
	wire_clear(&w);
}

/* Fills the last second with Diffie-Hellman. */
static void
load(struct wire *w, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint8_t out[PACKET_MESSAGE_1_SIZE];
		struct handshake_attempt a;
		struct endpoint from = w->node[2].at;
		struct raw_m1 m = raw_m1_of(w, 2, 0);

		from.addr[13] = (uint8_t)(i >> 8);
		from.addr[14] = (uint8_t)i;
		raw_m1_seal(w, &m, out, &a);
		wire_inject(w, 0, &from, span_of(out, sizeof(out)));
	}
}

static void
hostile_11_a_flood_draws_cookies_only(void **state)
{
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	struct handshake_attempt a;
	uint64_t sent, dh;
	struct raw_m1 m;
	struct wire w;

	(void)state;
	start(&w);
	load(&w, 2001);
	assert_true(dh_count(&w) >= 4000);
	dh = dh_count(&w);
	sent = w.node[0].sent;
	m = raw_m1_of(&w, 2, 0);
	raw_m1_seal(&w, &m, out, &a);
	for (unsigned i = 0; i < 100; i++)
		wire_inject(&w, 0, &w.node[2].at, span_of(out, sizeof(out)));
	assert_int_equal(w.node[0].sent - sent, 5); /* the burst */
	assert_int_equal(dh_count(&w), dh);
	sent = w.node[0].sent;
	for (unsigned i = 0; i < 900; i++) {
		wire_inject(&w, 0, &w.node[2].at, span_of(out, sizeof(out)));
		wire_run(&w, 1);
	}
	assert_in_range(w.node[0].sent - sent, 15, 20);
	wire_clear(&w);
}

/* Who knows an R of before may be a contact no longer: in a flood he hears
 * nothing, for a cookie would tell him that we are there. */
static void
an_old_reach_key_draws_no_cookie(void **state)
{
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	struct handshake_attempt a;
	struct link_self self;
	struct raw_m1 m;
	struct wire w;
	uint64_t sent;

	(void)state;
	start(&w);
	m = raw_m1_of(&w, 2, 0);
	raw_m1_seal(&w, &m, out, &a);
	self = w.node[0].self;
	self.has_reach_prev = true;
	self.reach_prev = self.reach;
	memset(self.reach.b, 0x77, sizeof(self.reach.b));
	w.node[0].self = self;
	links_set_self(w.node[0].links, &self);
	load(&w, 2001); /* of who knows the new one */
	sent = w.node[0].sent;
	wire_inject(&w, 0, &w.node[2].at, span_of(out, sizeof(out)));
	assert_int_equal(w.node[0].sent, sent);
	m = raw_m1_of(&w, 2, 0);
	raw_m1_seal(&w, &m, out, &a);
	wire_inject(&w, 0, &w.node[2].at, span_of(out, sizeof(out)));
	assert_int_equal(w.node[0].sent, sent + 1);
	wire_clear(&w);
}

enum { FLOOD_MS = 5000, FLOOD_A_MS = 5, CALLS = 32, SOURCES = 250 };

struct flood {
	uint8_t call[CALLS][PACKET_MESSAGE_1_SIZE]; /* of strangers */
	uint64_t in, out; /* bytes of the flood, and what it drew */
	unsigned cookies[SOURCES];
};

/* Counts what goes to forged sources; the rest passes. */
static bool
tap_flood(struct wire *w, struct wire_datagram *d)
{
	struct flood *f = w->tap_ctx;
	struct span addr = endpoint_addr(&d->to);

	if (addr.p[0] != 203)
		return true;
	assert_int_equal(d->n, PACKET_COOKIE_REPLY_SIZE);
	f->out += d->n;
	f->cookies[addr.p[3]]++;
	return false;
}

static void
flood_ms(struct wire *w, struct flood *f)
{
	for (unsigned i = 0; i < FLOOD_A_MS; i++) {
		uint32_t n = rng_below(&w->rng.rng, SOURCES);
		const uint8_t addr[4] = { 203, 0, 113, (uint8_t)n };
		struct endpoint from = endpoint_v4(
		    addr, (uint16_t)(1024 + rng_below(&w->rng.rng, 60000)));

		f->in += PACKET_MESSAGE_1_SIZE;
		wire_inject(w, 0, &from,
		    span_of(f->call[n % CALLS], PACKET_MESSAGE_1_SIZE));
	}
}

/* 5,000 in a second with a valid mac1 from forged sources, beside a link. */
static void
hostile_11_a_flood_hurts_no_link(void **state)
{
	static struct flood f;
	struct handshake_attempt a;
	struct wire w;

	(void)state;
	memset(&f, 0, sizeof(f));
	start(&w);
	for (unsigned i = 0; i < CALLS; i++) {
		struct raw_m1 m = raw_m1_of(&w, 2, 0);

		raw_m1_seal(&w, &m, f.call[i], &a);
	}
	wire_connect(&w, 0, 1);
	assert_true(wire_until(&w, wire_both_up, 100));
	w.tap = tap_flood;
	w.tap_ctx = &f;
	for (unsigned ms = 0; ms < FLOOD_MS; ms++) {
		flood_ms(&w, &f);
		if (ms % 50 == 0) {
			assert_true(wire_all_read(&w)); /* 2.5 round trips */
			wire_write(&w, 0, 1, 200);
			wire_write(&w, 1, 0, 200);
		}
		wire_run(&w, 1);
	}
	assert_int_equal(w.node[0].downs[1], 0);
	/* Half of the seconds are under load, the others cost 4,000 DH. */
	assert_true(dh_count(&w) <= 4002 * (FLOOD_MS / 1000 + 1));
	assert_true(f.out > 0 && f.out <= f.in);
	for (unsigned i = 0; i < SOURCES; i++)
		assert_true(f.cookies[i] <= 20 * FLOOD_MS / 1000 + 5);
	wire_clear(&w);
}

/* Sixteen invitations multiply what a message 1 costs; a flood of junk of
 * that size must not, and contacts are heard in it. */
static void
hostile_11_junk_of_the_right_size_costs_little(void **state)
{
	enum { JUNK = 100000 };
	uint8_t junk[PACKET_MESSAGE_1_SIZE], m[PACKET_MESSAGE_1_SIZE];
	struct link_peer inv = { .role = LINK_INVITER };
	struct link_stats stats;
	struct links *l;
	struct wire w;

	(void)state;
	start(&w);
	l = w.node[0].links;
	for (unsigned i = 0; i < LINK_INVITES_MAX; i++) {
		inv.rk0.b[0] = inv.reach.b[0] = (uint8_t)i;
		assert_int_equal(links_set_peer(l, 100 + i, &inv), ERR_OK);
	}
	message_1(&w, m);
	rng_fill(&w.rng.rng, junk, sizeof(junk));
	for (unsigned i = 0; i < JUNK; i++) {
		memcpy(junk, &i, sizeof(i));
		links_receive(l, &w.node[2].at, span_of(junk, sizeof(junk)),
		    wire_now(&w, 0));
	}
	links_stats(l, &stats);
	assert_true(stats.n_mac < 500000 + 100 + 12 * JUNK);
	assert_false(silent(&w, contact(&w), span_of(m, sizeof(m))));
	wire_clear(&w);
}

static bool
tap_bend_cookies(struct wire *w, struct wire_datagram *d)
{
	unsigned *bent = w->tap_ctx;

	if (d->n == PACKET_COOKIE_REPLY_SIZE && (*bent)++ == 0)
		d->b[30] ^= 1;
	return true;
}

/* Under load a contact still gets in, with the cookie of its own attempt; a
 * forged reply changes nothing. */
static void
hostile_12_cookies_let_contacts_in(void **state)
{
	unsigned bent = 0;
	struct wire w;

	(void)state;
	start(&w);
	w.tap = tap_bend_cookies;
	w.tap_ctx = &bent;
	load(&w, 2001);
	wire_connect(&w, 1, 0);
	assert_true(wire_until(&w, wire_both_up, 1000));
	assert_true(bent >= 2);
	wire_clear(&w);
}

struct cookies {
	struct wire_datagram first; /* cookie reply */
	unsigned n;
};

/* Holds back every cookie reply. */
static bool
tap_keep_cookies(struct wire *w, struct wire_datagram *d)
{
	struct cookies *c = w->tap_ctx;

	if (d->n != PACKET_COOKIE_REPLY_SIZE)
		return true;
	if (c->n++ == 0)
		c->first = *d;
	return false;
}

/* A reply to an attempt that is over, or under another mac1, is nothing to
 * the next; that one goes on and gets in. */
static void
hostile_12_a_cookie_is_for_one_message_1(void **state)
{
	uint8_t out[PACKET_MESSAGE_1_SIZE], cookie[56];
	struct handshake_guard guard;
	struct handshake_attempt a;
	struct cookies c = { .n = 0 };
	struct raw_m1 m;
	struct wire w;
	uint64_t sent;

	(void)state;
	start(&w);
	w.tap = tap_keep_cookies;
	w.tap_ctx = &c;
	load(&w, 2001);
	wire_connect(&w, 1, 0);
	wire_run(&w, 615000); /* given up, and forgiven */
	assert_true(c.n >= 1);
	load(&w, 2001);
	sent = w.node[1].sent;
	wire_connect(&w, 1, 0);
	wire_run(&w, 20);
	assert_int_equal(w.node[1].sent, ++sent);
	wire_inject(&w, 1, &w.node[0].at, span_of(c.first.b, c.first.n));
	assert_int_equal(w.node[1].sent, sent);
	/* Under the right key, for a message 1 that node 1 never sent. */
	m = raw_m1_of(&w, 1, 0);
	raw_m1_seal(&w, &m, out, &a);
	handshake_guard_derive(&m.reach, &m.rs, m.day, &guard);
	handshake_cookie_seal(&guard, span_of(out, sizeof(out)), out,
	    (const uint8_t[24]){ 1 }, cookie);
	wire_inject(&w, 1, &w.node[0].at, span_of(cookie, sizeof(cookie)));
	assert_int_equal(w.node[1].sent, sent);
	w.tap = NULL;
	assert_true(wire_until(&w, wire_both_up, 4000));
	wire_clear(&w);
}

struct bender {
	unsigned bit, bent;
};

static bool
tap_bend_message_2(struct wire *w, struct wire_datagram *d)
{
	struct bender *b = w->tap_ctx;
	struct wire_datagram copy = *d;

	if (d->n != PACKET_MESSAGE_2_SIZE)
		return true;
	b->bent++;
	copy.b[b->bit / 8] ^= (uint8_t)(1U << b->bit % 8);
	wire_inject(w, 1, &copy.from, span_of(copy.b, copy.n));
	return true; /* the right one comes after it */
}

static void
hostile_13_a_bent_message_2_changes_nothing(void **state)
{
	(void)state;
	/* Bytes 88.. are mac2, which nobody looks at without a cookie. */
	for (unsigned bit = 0; bit < 88 * 8; bit += 7) {
		struct bender b = { bit, 0 };
		struct wire w;

		start(&w);
		w.tap = tap_bend_message_2;
		w.tap_ctx = &b;
		wire_connect(&w, 1, 0);
		assert_true(wire_until(&w, wire_both_up, 100));
		assert_int_equal(b.bent, 1);
		wire_clear(&w);
	}
}

static void
hostile_13_message_2_after_the_attempt_is_dropped(void **state)
{
	struct wire_datagram late = { 0 };
	struct wire w;

	(void)state;
	start(&w);
	/* Message 1 reaches the victim, its answer comes a minute later. */
	w.delay_ms = 1;
	wire_connect(&w, 1, 0);
	w.tap = tap_first;
	w.tap_ctx = &late;
	wire_run(&w, 60000);
	assert_int_equal(late.n, PACKET_MESSAGE_2_SIZE);
	w.tap = NULL;
	wire_inject(&w, 1, &w.node[0].at, span_of(late.b, late.n));
	wire_run(&w, 1000);
	assert_int_equal(w.node[1].ups[0], 0);
	assert_int_equal(w.node[0].ups[1], 0);
	wire_clear(&w);
}

/* An answer under another key than those named, or with the index of another
 * attempt in it, by somebody who has all keys. */
static void
hostile_13_message_2_of_another_psk_or_attempt_is_dropped(void **state)
{
	(void)state;
	for (unsigned lie = 0; lie < 3; lie++) {
		static struct raw r;
		struct link_stats before, after;
		struct wire w;

		start(&w);
		raw_init(&r, &w, 1, 0);
		wire_connect(&w, 0, 1);
		assert_true(r.has_call);
		r.lie_psk = lie == 1;
		r.lie_index = lie == 2;
		links_stats(w.node[0].links, &before);
		assert_true(raw_answer(&r));
		links_stats(w.node[0].links, &after);
		assert_int_equal(after.n_dropped - before.n_dropped, lie > 0);
		assert_int_equal(r.n_in > 0, lie == 0); /* its PING, HELLO */
		assert_int_equal(w.node[0].fallbacks[1], 0);
		wire_run(&w, 300);
		assert_true(r.has_call || lie == 0); /* it goes on */
		raw_clear(&r);
		wire_clear(&w);
	}
}

/* Nor does any flag help. */
static void
a_ts_of_before_is_dropped(void **state)
{
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	struct handshake_attempt a;
	struct raw_m1 m;
	struct wire w;

	(void)state;
	start(&w);
	message_1(&w, out);
	assert_false(silent(&w, contact(&w), span_of(out, sizeof(out))));
	m = raw_m1_of(&w, 1, 0);
	m.ts_ms -= 1000;
	m.flags = 0xfffd; /* all but INVITE */
	raw_m1_seal(&w, &m, out, &a);
	assert_true(silent(&w, contact(&w), span_of(out, sizeof(out))));
	wire_clear(&w);
}

static void
a_ts_of_tomorrow_is_dropped(void **state)
{
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	struct handshake_attempt a;
	struct raw_m1 m;
	struct wire w;

	(void)state;
	start(&w);
	m = raw_m1_of(&w, 1, 0);
	m.ts_ms += 86400001;
	raw_m1_seal(&w, &m, out, &a);
	assert_true(silent(&w, contact(&w), span_of(out, sizeof(out))));
	message_1(&w, out); /* and it did not count as the last one */
	assert_false(silent(&w, contact(&w), span_of(out, sizeof(out))));
	wire_clear(&w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_old_reach_key_draws_no_cookie),
		cmocka_unit_test(hostile_1_odd_lengths_are_dropped),
		cmocka_unit_test(hostile_2_random_datagrams_are_dropped),
		cmocka_unit_test(hostile_3_no_bit_of_message_1_may_differ),
		cmocka_unit_test(hostile_4_message_1_has_one_length),
		cmocka_unit_test(hostile_5_mac1_holds_for_three_days),
		cmocka_unit_test(hostile_6_a_replay_has_no_effect),
		cmocka_unit_test(hostile_6_a_replayed_call_has_no_effect),
		cmocka_unit_test(hostile_6_no_flood_makes_a_call_new_again),
		cmocka_unit_test(hostile_7_a_stranger_costs_two_dh),
		cmocka_unit_test(hostile_8_low_order_ephemerals_are_dropped),
		cmocka_unit_test(
		    hostile_9_own_and_reflected_statics_are_dropped),
		cmocka_unit_test(
		    hostile_10_a_forged_contact_gets_one_message_2),
		cmocka_unit_test(hostile_11_a_flood_draws_cookies_only),
		cmocka_unit_test(hostile_11_a_flood_hurts_no_link),
		cmocka_unit_test(
		    hostile_11_junk_of_the_right_size_costs_little),
		cmocka_unit_test(hostile_12_cookies_let_contacts_in),
		cmocka_unit_test(hostile_12_a_cookie_is_for_one_message_1),
		cmocka_unit_test(hostile_13_a_bent_message_2_changes_nothing),
		cmocka_unit_test(
		    hostile_13_message_2_after_the_attempt_is_dropped),
		cmocka_unit_test(
		    hostile_13_message_2_of_another_psk_or_attempt_is_dropped),
		cmocka_unit_test(a_ts_of_before_is_dropped),
		cmocka_unit_test(a_ts_of_tomorrow_is_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
