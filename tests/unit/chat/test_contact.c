/* Durable state of a pair, of oneself and of an invitation. */
#include "proto/chat/contact.h"
#include "proto/chat/invite.h"
#include "proto/chat/self.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { NOW_S = 1796123323 };

static struct test_rng dice;

static void
make_self(struct self *s, uint64_t seed)
{
	struct id_seed id;

	test_rng_init(&dice, seed);
	rng_fill(&dice.rng, id.b, sizeof(id.b));
	self_init(s, &id, &dice.rng, NOW_S);
}

static struct span
encode(const struct contact *c, uint8_t buf[CONTACT_RECORD_MAX])
{
	struct writer w = wr_init(buf, CONTACT_RECORD_MAX);

	contact_encode(c, &w);
	assert_false(w.bad);
	return wr_span_of(&w);
}

static void
a_full_contact_fits_and_comes_back(void **state)
{
	uint8_t buf[CONTACT_RECORD_MAX], again[CONTACT_RECORD_MAX];
	static const struct contact_id id = { { 9 } };
	struct contact c, d;
	struct self a, b;

	(void)state;
	make_self(&a, 1);
	make_self(&b, 2);
	assert_int_equal(contact_init_mutual(&c, &id, &a.sk, &b.id), ERR_OK);
	rng_fill(&dice.rng, c.candidates, sizeof(c.candidates));
	c.n_candidates = CELL_CANDIDATES_MAX;
	rng_fill(&dice.rng, c.s, sizeof(c.s));
	c.n_s = 2;
	c.gen = UINT32_MAX;
	c.has_reach = c.has_epoch = c.invited = c.ready = true;
	c.last_ts_ms = c.cell_min = c.sent_seq = c.recv_seq = INT64_MAX;
	c.ratchet.role = RATCHET_RESPONDER;
	c.verified = c.recv_anew = c.relay = true;
	c.fallback = FALLBACK_DENY;
	memset(c.renewed, 7, sizeof(c.renewed));
	assert_int_equal(contact_decode(encode(&c, buf), &id, &d), ERR_OK);
	assert_true(span_eq(encode(&c, buf), encode(&d, again)));
	assert_memory_equal(d.rk0.b, c.rk0.b, 32);
	assert_memory_equal(d.pk.b, b.id.b, 32);
	assert_true(d.verified && d.recv_anew && d.relay);
	assert_memory_equal(d.renewed, c.renewed, sizeof(c.renewed));
	assert_int_equal(d.fallback, FALLBACK_DENY);
}

/* A program that knows more decisions has written it: better none than another
 * one than people made. */
static void
decisions_that_nobody_knows_are_refused(void **state)
{
	uint8_t buf[CONTACT_RECORD_MAX];
	static const struct contact_id id;
	struct contact c, d;
	struct self a, b;
	struct span whole;
	size_t at = 0;

	(void)state;
	make_self(&a, 1);
	make_self(&b, 2);
	assert_int_equal(contact_init_mutual(&c, &id, &a.sk, &b.id), ERR_OK);
	c.fallback = FALLBACK_DENY;
	whole = encode(&c, buf);
	for (size_t i = 0; i + 6 < whole.n; i++)
		if (memcmp(buf + i, "1:fi4e", 6) == 0)
			at = i + 4;
	assert_true(at > 0);
	assert_int_equal(contact_decode(whole, &id, &d), ERR_OK);
	for (uint8_t v = 6; v <= 7; v++) {
		memset(buf + at, '0' + v, 1);
		assert_int_equal(contact_decode(whole, &id, &d), ERR_MALFORMED);
	}
}

static void
every_truncated_record_is_refused(void **state)
{
	uint8_t buf[CONTACT_RECORD_MAX];
	static const struct contact_id id;
	struct contact c, d;
	struct self a, b;
	struct span whole;

	(void)state;
	make_self(&a, 1);
	make_self(&b, 2);
	assert_int_equal(contact_init_mutual(&c, &id, &a.sk, &b.id), ERR_OK);
	whole = encode(&c, buf);
	for (size_t n = 0; n < whole.n; n++)
		assert_int_equal(
		    contact_decode(span_of(buf, n), &id, &d), ERR_MALFORMED);
}

static void
both_sides_of_a_mutual_add_share_everything(void **state)
{
	static const struct contact_id id;
	struct contact at_a, at_b;
	struct self a, b;

	(void)state;
	make_self(&a, 3);
	make_self(&b, 4);
	assert_int_equal(contact_init_mutual(&at_a, &id, &a.sk, &b.id), ERR_OK);
	assert_int_equal(contact_init_mutual(&at_b, &id, &b.sk, &a.id), ERR_OK);
	assert_memory_equal(at_a.pr.b, at_b.pr.b, 32);
	assert_memory_equal(at_a.disc.b, at_b.disc.b, 32);
	assert_memory_equal(at_a.rk0.b, at_b.rk0.b, 32);
}

/* [hostile 72] Neither a bad point nor oneself becomes a contact. */
static void
hostile_72_a_bad_or_own_id_is_no_contact(void **state)
{
	static const struct contact_id id;
	static const struct id_pk zero;
	struct contact c;
	struct self a;

	(void)state;
	make_self(&a, 5);
	assert_int_equal(
	    contact_init_mutual(&c, &id, &a.sk, &zero), ERR_BAD_KEY);
	assert_int_equal(
	    contact_init_mutual(&c, &id, &a.sk, &a.id), ERR_BAD_KEY);
}

/* [hostile 28] A generation never goes back, nor stands for two keys. */
static void
hostile_28_a_generation_never_goes_back(void **state)
{
	static const struct contact_id id;
	struct reach_key reach = { { 1 } };
	struct cert cert = { .gen = 5, .s = { { 1 } } };
	struct contact c;
	struct self a, b;
	bool changed;

	(void)state;
	make_self(&a, 6);
	make_self(&b, 7);
	assert_int_equal(contact_init_mutual(&c, &id, &a.sk, &b.id), ERR_OK);
	assert_int_equal(contact_learn(&c, &cert, &reach, &changed), ERR_OK);
	assert_true(changed);
	assert_int_equal(contact_learn(&c, &cert, &reach, &changed), ERR_OK);
	assert_false(changed);
	cert.gen = 4;
	assert_int_equal(
	    contact_learn(&c, &cert, &reach, &changed), ERR_REPLAY);
	cert.gen = 5;
	cert.s.b[0] = 2;
	assert_int_equal(
	    contact_learn(&c, &cert, &reach, &changed), ERR_CONFLICT);
	cert.gen = 6;
	assert_int_equal(contact_learn(&c, &cert, &reach, &changed), ERR_OK);
	assert_int_equal(c.n_s, 2);
	assert_int_equal(c.s[0].b[0], 2);
	assert_int_equal(c.s[1].b[0], 1);
}

static void
the_last_path_is_tried_first(void **state)
{
	static const struct contact_id id;
	struct endpoint e = { { 0 }, 1 };
	struct endpoint route = endpoint_route(7); /* no address of theirs */
	struct contact c = { .id = id };

	(void)state;
	for (uint16_t i = 1; i <= 20; i++) {
		e.port = i;
		assert_true(contact_learn_path(&c, &e));
		assert_int_equal(c.candidates[0].port, i);
	}
	assert_int_equal(c.n_candidates, CELL_CANDIDATES_MAX);
	assert_false(contact_learn_path(&c, &e));
	assert_false(contact_learn_path(&c, &route));
	e.port = 18;
	assert_true(contact_learn_path(&c, &e));
	assert_int_equal(c.candidates[0].port, 18);
	assert_int_equal(c.candidates[1].port, 20);
	assert_int_equal(c.candidates[2].port, 19);
	assert_int_equal(c.candidates[3].port, 17);
	assert_int_equal(c.n_candidates, CELL_CANDIDATES_MAX);
}

static void
static_keys_are_renewed_and_dropped_in_time(void **state)
{
	struct static_pk first;
	struct self s;

	(void)state;
	make_self(&s, 8);
	first = s.s[0].pk;
	assert_false(self_refresh(&s, &dice.rng, NOW_S + SELF_RENEW_S - 1));
	assert_int_equal(s.n_s, 1);
	assert_true(self_refresh(&s, &dice.rng, NOW_S + SELF_RENEW_S));
	assert_int_equal(s.n_s, 2);
	assert_true(s.s[0].gen > s.s[1].gen);
	assert_memory_equal(s.s[1].pk.b, first.b, 32);
	/* Kept 180 d after it was replaced, and no day longer. */
	for (uint64_t t = NOW_S + 2 * SELF_RENEW_S;
	     t < NOW_S + SELF_RENEW_S + SELF_KEEP_S; t += SELF_RENEW_S)
		(void)self_refresh(&s, &dice.rng, t);
	assert_memory_equal(s.s[s.n_s - 1].pk.b, first.b, 32);
	(void)self_refresh(
	    &s, &dice.rng, NOW_S + SELF_RENEW_S + SELF_KEEP_S + 1);
	assert_memory_not_equal(s.s[s.n_s - 1].pk.b, first.b, 32);
}

/* Who lost his store but not his key is taken by those who know him; also
 * after the clock was far ahead once. */
static void
who_begins_anew_is_newer(void **state)
{
	struct id_seed seed = { { 8 } };
	struct self before, after;

	(void)state;
	make_self(&before, 8);
	self_init(&after, &seed, &dice.rng, NOW_S + 1);
	assert_true(after.s[0].gen > before.s[0].gen);
	assert_true(self_refresh(
	    &after, &dice.rng, NOW_S + UINT64_C(10) * 365 * 86400));
	before = after;
	assert_true(self_refresh(&after, &dice.rng, NOW_S + 2));
	assert_true(after.s[0].gen > before.s[0].gen);
}

static void
oneself_comes_back_with_the_same_certificate(void **state)
{
	uint8_t buf[2048], again[2048];
	struct writer w = wr_init(buf, sizeof(buf));
	struct writer w2 = wr_init(again, sizeof(again));
	struct id_seed seed;
	struct self s, t;
	struct cert c;

	(void)state;
	make_self(&s, 9);
	memcpy(seed.b, s.sk.b, sizeof(seed.b));
	self_renew_reach(&s, &dice.rng, NOW_S);
	self_encode(&s, &w);
	assert_false(w.bad);
	assert_int_equal(self_decode(wr_span_of(&w), &seed, &t), ERR_OK);
	self_encode(&t, &w2);
	assert_true(span_eq(wr_span_of(&w), wr_span_of(&w2)));
	assert_memory_equal(t.s[0].cert.b, s.s[0].cert.b, CERT_SIZE);
	assert_int_equal(cert_open(&t.s[0].cert, &t.id, NOW_S, &c), ERR_OK);
	assert_memory_equal(c.s.b, t.s[0].pk.b, 32);
}

static void
a_used_invitation_comes_back_used(void **state)
{
	static const struct message_id id = { { 3 } };
	static const struct invite_secret inv = { { 4 } };
	struct invite i, j;
	uint8_t buf[512];
	struct writer w = wr_init(buf, sizeof(buf));
	struct self s;

	(void)state;
	make_self(&s, 10);
	invite_init(&i, &id, &inv, NOW_S, &s.id);
	i.used = true;
	i.contact.b[0] = 7;
	i.s.b[0] = 8;
	invite_encode(&i, &w);
	assert_false(w.bad);
	assert_int_equal(invite_decode(wr_span_of(&w), &id, &s.id, &j), ERR_OK);
	assert_memory_equal(&i, &j, sizeof(i));
}

static void
an_invitation_remembers_its_callers(void **state)
{
	static const struct message_id id = { { 3 } };
	static const struct invite_secret inv = { { 4 } };
	struct static_pk caller = { { 0 } };
	struct invite i, j;
	struct self s;

	(void)state;
	make_self(&s, 11);
	invite_init(&i, &id, &inv, NOW_S, &s.id);
	for (unsigned k = 0; k < 2 * CALLERS_MAX; k++) {
		uint8_t buf[1024];
		struct writer w = wr_init(buf, sizeof(buf));

		caller.b[0] = (uint8_t)k;
		callers_take(&i.callers, &caller, UINT64_C(1796123323000) + k);
		invite_encode(&i, &w);
		assert_false(w.bad);
		assert_int_equal(
		    invite_decode(wr_span_of(&w), &id, &s.id, &j), ERR_OK);
		assert_memory_equal(&i, &j, sizeof(i));
		i.put_s = INT64_MAX;
		for (size_t n = 0; n < w.n; n++)
			assert_int_equal(
			    invite_decode(span_of(buf, n), &id, &s.id, &j),
			    ERR_MALFORMED);
	}
	assert_true(i.callers.floor_ms > 0);
}

/* What was stored before callers were: a live invitation goes on. */
static void
an_invitation_of_version_1_is_taken(void **state)
{
	static const char head[] = "d1:i32:", tail[] = "1:ti1796123323e1:vi1ee";
	static const struct message_id id = { { 3 } };
	static const struct invite_secret inv = { { 4 } };
	struct invite i, j;
	uint8_t buf[128];
	struct writer w = wr_init(buf, sizeof(buf));
	struct self s;

	(void)state;
	make_self(&s, 12);
	wr_bytes(&w, head, sizeof(head) - 1);
	wr_bytes(&w, inv.b, sizeof(inv.b));
	wr_bytes(&w, tail, sizeof(tail) - 1);
	invite_init(&i, &id, &inv, 1796123323, &s.id);
	assert_int_equal(invite_decode(wr_span_of(&w), &id, &s.id, &j), ERR_OK);
	assert_memory_equal(&i, &j, sizeof(i));
	buf[w.n - 3] = '3'; /* of a version to come */
	assert_int_equal(
	    invite_decode(wr_span_of(&w), &id, &s.id, &j), ERR_UNSUPPORTED);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_full_contact_fits_and_comes_back),
		cmocka_unit_test(every_truncated_record_is_refused),
		cmocka_unit_test(decisions_that_nobody_knows_are_refused),
		cmocka_unit_test(both_sides_of_a_mutual_add_share_everything),
		cmocka_unit_test(hostile_72_a_bad_or_own_id_is_no_contact),
		cmocka_unit_test(hostile_28_a_generation_never_goes_back),
		cmocka_unit_test(the_last_path_is_tried_first),
		cmocka_unit_test(static_keys_are_renewed_and_dropped_in_time),
		cmocka_unit_test(who_begins_anew_is_newer),
		cmocka_unit_test(oneself_comes_back_with_the_same_certificate),
		cmocka_unit_test(a_used_invitation_comes_back_used),
		cmocka_unit_test(an_invitation_remembers_its_callers),
		cmocka_unit_test(an_invitation_of_version_1_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
