/* The schedule of meeting, and the outbox. */
#include "proto/chat/outbox.h"
#include "proto/chat/rendezvous.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct test_rng dice;

static struct now
at(uint64_t ms)
{
	return (struct now){ ms, ms };
}

/* A day of looks for somebody whose cell is there, or is not. */
static void
look_for_a_day(bool seen, uint64_t longest_ms, uint64_t *ret_n)
{
	struct rendezvous r = { 0 };
	uint64_t t = 1000, in_first_5s = 0, n = 0, whole = 0;

	test_rng_init(&dice, test_seed(1));
	rendezvous_start(&r, &dice.rng, 0, at(t));
	r.seen = seen;
	assert_true(r.look_at_ms == t);
	while (t < 1000 + 24 * 3600 * UINT64_C(1000)) {
		rendezvous_looking(&r, &dice.rng, at(t));
		assert_true(r.look_at_ms > t);
		assert_true(r.look_at_ms <= t + longest_ms * 12 / 10);
		whole += !rendezvous_is_glance(&r);
		t = r.look_at_ms;
		in_first_5s += t <= 6000;
		n++;
	}
	assert_in_range(in_first_5s, 3, 6);
	assert_in_range(
	    whole, LOOK_EAGER, LOOK_EAGER + 1 + (n - LOOK_EAGER) / LOOK_WHOLE);
	*ret_n = n;
}

static void
looks_are_dense_at_first_and_rare_later(void **state)
{
	uint64_t n;

	(void)state;
	look_for_a_day(true, LOOK_MAX_MS, &n);
	assert_in_range(n, 24 * 3, 24 * 8); /* four an hour, and the start */
	look_for_a_day(false, LOOK_ABSENT_MAX_MS, &n);
	assert_in_range(n, 24 * 2, 24 * 3);
}

/* Where two carriers take turns each gets both kinds of look. */
static void
looks_of_either_kind_take_turns(void **state)
{
	struct rendezvous r = { 0 };
	uint32_t turn[2] = { 0 };

	(void)state;
	test_rng_init(&dice, 1);
	rendezvous_start(&r, &dice.rng, 0, at(1000));
	for (unsigned i = 0; i < 8 * LOOK_WHOLE; i++) {
		bool glance;

		rendezvous_looking(&r, &dice.rng, at(r.look_at_ms));
		glance = rendezvous_is_glance(&r);
		if (i < LOOK_EAGER) {
			assert_int_equal(rendezvous_turn(&r), 0);
			continue;
		}
		/* A whole look takes the turn of a glance. */
		if (turn[glance] != 0 && rendezvous_turn(&r) % LOOK_WHOLE != 1)
			assert_int_not_equal(
			    rendezvous_turn(&r) % 2, turn[glance] % 2);
		turn[glance] = rendezvous_turn(&r);
		assert_true(turn[glance] > 2);
	}
}

/* Who waits is looked for everywhere, and whole looks miss nothing. */
static void
every_other_glance_stays_in_the_first_carrier(void **state)
{
	struct rendezvous r = { 0 };
	unsigned n_glances = 0, n_outside = 0;

	(void)state;
	test_rng_init(&dice, 1);
	rendezvous_start(&r, &dice.rng, 0, at(1000));
	for (unsigned i = 0; i < LOOK_EAGER + 4 * LOOK_WHOLE; i++) {
		bool glance, outside;

		rendezvous_looking(&r, &dice.rng, at(r.look_at_ms));
		glance = rendezvous_is_glance(&r);
		outside = rendezvous_looks_outside(&r);
		assert_true(glance || outside);
		n_glances += glance;
		n_outside += glance && outside;
	}
	assert_true(n_glances > 0);
	assert_in_range(2 * n_outside, n_glances - 8, n_glances);
}

static void
only_what_is_there_unchanged_is_renewed(void **state)
{
	struct rendezvous r = { 0 };
	uint64_t t = 1000;

	(void)state;
	test_rng_init(&dice, test_seed(7));
	rendezvous_start(&r, &dice.rng, 0, at(t));
	for (int i = 0; i < 3; i++) {
		assert_int_equal(rendezvous_is_renewal(&r), i > 0);
		assert_int_equal(rendezvous_is_same(&r), i > 1);
		rendezvous_publishing(&r, at(t));
		rendezvous_published(&r, &dice.rng, 8, at(t));
		t = r.publish_at_ms;
	}
	rendezvous_changed(&r, at(t));
	assert_false(rendezvous_is_renewal(&r));
	assert_false(rendezvous_is_same(&r));
}

/* What has changed is put at once, three times; then once a minute. */
static void
a_change_is_put_at_once_unless_it_comes_too_often(void **state)
{
	struct rendezvous r = { 0 };
	uint64_t t = 5000, last_s = 0;

	(void)state;
	test_rng_init(&dice, test_seed(2));
	rendezvous_start(&r, &dice.rng, 0, at(t));
	for (int i = 0; i < 6; i++) {
		uint64_t claim_s;

		assert_true(r.publish_at_ms == t);
		claim_s = rendezvous_claim_s(&r, t / 1000);
		assert_true(i == 0 || claim_s >= last_s + 60);
		assert_true(claim_s <= t / 1000 + PUBLISH_AHEAD_S);
		last_s = claim_s;
		rendezvous_publishing(&r, at(t));
		if (i % 2) /* or the change comes while it is under way */
			rendezvous_published(&r, &dice.rng, 8, at(t + 100));
		t += 1000;
		rendezvous_changed(&r, at(t));
		if (i >= 2) {
			assert_true(
			    r.publish_at_ms == t - 1000 + PUBLISH_GAP_MS);
			t = r.publish_at_ms;
		}
	}
}

/* Nor does it wait for the time that a wrong clock has told. */
static void
a_clock_set_right_does_not_delay_a_change(void **state)
{
	const struct now wrong = { 5000, 90 * UINT64_C(86400000) };
	struct rendezvous r = { 0 };

	(void)state;
	test_rng_init(&dice, test_seed(2));
	rendezvous_start(&r, &dice.rng, 0, wrong);
	assert_true(rendezvous_claim_s(&r, wrong.wall_ms / 1000) ==
	            wrong.wall_ms / 1000);
	rendezvous_publishing(&r, wrong);
	rendezvous_published(&r, &dice.rng, 8, wrong);
	rendezvous_changed(&r, at(6000));
	assert_true(r.publish_at_ms == 6000);
	assert_true(rendezvous_claim_s(&r, 6) == 6);
}

/* While looks are eager, at distances that do not depend on theirs. */
static void
knocks_come_every_minute_at_first(void **state)
{
	struct rendezvous r = { 0 };
	uint64_t t = 1000, last = 0;

	(void)state;
	test_rng_init(&dice, test_seed(5));
	rendezvous_start(&r, &dice.rng, 0, at(t));
	assert_true(r.knock_at_ms == NEVER);
	while (r.looks < LOOK_EAGER) {
		t = r.look_at_ms < r.knock_at_ms ? r.look_at_ms : r.knock_at_ms;
		if (t == r.knock_at_ms && last > 0)
			assert_true(t == last + KNOCK_EVERY_MS);
		if (t == r.knock_at_ms || last == 0)
			last = t;
		if (t == r.look_at_ms)
			rendezvous_looking(&r, &dice.rng, at(t));
		rendezvous_knocked(&r, at(t));
		assert_true(rendezvous_deadline_ms(&r) <= r.knock_at_ms);
	}
	rendezvous_looking(&r, &dice.rng, at(t + 1));
	rendezvous_knocked(&r, at(t + 1));
	assert_true(r.knock_at_ms == NEVER);
}

static void
the_first_put_is_repeated_after_a_minute(void **state)
{
	struct rendezvous r = { 0 };
	uint64_t t;

	(void)state;
	test_rng_init(&dice, test_seed(2));
	rendezvous_start(&r, &dice.rng, 0, at(5000));
	rendezvous_publishing(&r, at(5000));
	rendezvous_published(&r, &dice.rng, 8, at(5100));
	t = r.publish_at_ms;
	assert_true(t >= 5000 + PUBLISH_GAP_MS);
	rendezvous_publishing(&r, at(t));
	rendezvous_published(&r, &dice.rng, 8, at(t));
	assert_true(r.publish_at_ms >= r.published_ms + PUBLISH_EVERY_MS);
	assert_true(r.publish_at_ms <=
	            r.published_ms + PUBLISH_EVERY_MS + PUBLISH_JITTER_MS);
}

static void
a_put_that_nobody_took_comes_again_soon(void **state)
{
	struct rendezvous r = { 0 };
	uint64_t wait = 0;

	(void)state;
	test_rng_init(&dice, test_seed(3));
	rendezvous_start(&r, &dice.rng, 0, at(1));
	for (int i = 0; i < 20; i++) {
		uint64_t t = r.publish_at_ms;

		rendezvous_publishing(&r, at(t));
		rendezvous_published(&r, &dice.rng, 0, at(t));
		wait = r.publish_at_ms - t;
		assert_true(wait > 0 && wait <= LOOK_MAX_MS * 12 / 10);
	}
	assert_true(wait > LOOK_MAX_MS / 2);
}

static void
a_change_during_a_put_is_not_forgotten(void **state)
{
	struct rendezvous r = { .once = true };

	(void)state;
	test_rng_init(&dice, test_seed(6));
	rendezvous_start(&r, &dice.rng, 0, at(1));
	rendezvous_publishing(&r, at(1000));
	rendezvous_changed(&r, at(1100));
	rendezvous_published(&r, &dice.rng, 8, at(2000));
	assert_true(r.publish_at_ms == 2000 + PUBLISH_GAP_MS);
	rendezvous_publishing(&r, at(r.publish_at_ms));
	rendezvous_published(&r, &dice.rng, 8, at(100000));
	assert_true(r.publish_at_ms >= 100000 + PUBLISH_EVERY_MS);
}

static void
a_clock_set_back_is_not_followed_into_old_cells(void **state)
{
	struct rendezvous r = { 0 };

	(void)state;
	assert_true(rendezvous_claim_s(&r, 100000) == 100000);
	assert_true(rendezvous_claim_s(&r, 99990) == 100000); /* none took it */
	r.stored = 8;
	assert_true(rendezvous_claim_s(&r, 97000) == 100060);
	assert_true(rendezvous_claim_s(&r, 100121) == 100121);
	/* Another run: one may have taken the last one. */
	r = (struct rendezvous){ .claimed_s = 100121 };
	assert_true(rendezvous_claim_s(&r, 100125) == 100181);
	assert_true(rendezvous_claim_s(&r, 100126) == 100181);
	/* Set back by more: it was wrong before. */
	assert_true(rendezvous_claim_s(&r, 90000) == 90000);
}

static void
a_session_silences_both(void **state)
{
	struct rendezvous r = { 0 };

	(void)state;
	test_rng_init(&dice, test_seed(4));
	rendezvous_start(&r, &dice.rng, 0, at(1));
	rendezvous_publishing(&r, at(1));
	rendezvous_stop(&r);
	rendezvous_published(&r, &dice.rng, 8, at(2)); /* comes too late */
	assert_true(rendezvous_deadline_ms(&r) == NEVER);
}

static struct record
numbered(uint64_t seq)
{
	struct record r = { .kind = RECORD_TEXT, .seq = seq };

	r.text = span_str("text");
	return r;
}

static void
acks_take_from_the_front_only(void **state)
{
	struct outbox_entry *e;
	struct outbox o;
	uint64_t next = 1;

	(void)state;
	outbox_init(&o);
	for (uint64_t i = 1; i <= 10; i++) {
		struct record r = numbered(i);

		assert_int_equal(outbox_add(&o, &r, false), ERR_OK);
	}
	assert_int_equal(o.bytes, 40);
	o.at = o.head->next->next; /* two are written */
	while ((e = outbox_take_acked(&o, 4)) != NULL) {
		assert_true(e->record.seq == next++);
		outbox_entry_free(e);
	}
	assert_true(next == 5 && o.n == 6 && o.bytes == 24);
	assert_ptr_equal(o.at, o.head); /* what was acked is not written */
	outbox_clear(&o);
	assert_null(outbox_take_acked(&o, 100));
}

static void
a_new_link_writes_everything_again(void **state)
{
	struct record r = numbered(1);
	struct outbox o;

	(void)state;
	outbox_init(&o);
	assert_int_equal(outbox_add(&o, &r, true), ERR_OK);
	o.at = NULL;
	outbox_rewind(&o);
	assert_ptr_equal(o.at, o.head);
	o.at = NULL;
	r.seq = 2;
	assert_int_equal(outbox_add(&o, &r, false), ERR_OK);
	assert_ptr_equal(o.at, o.tail); /* only what is new */
	outbox_clear(&o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(looks_are_dense_at_first_and_rare_later),
		cmocka_unit_test(looks_of_either_kind_take_turns),
		cmocka_unit_test(every_other_glance_stays_in_the_first_carrier),
		cmocka_unit_test(only_what_is_there_unchanged_is_renewed),
		cmocka_unit_test(
		    a_change_is_put_at_once_unless_it_comes_too_often),
		cmocka_unit_test(a_clock_set_right_does_not_delay_a_change),
		cmocka_unit_test(knocks_come_every_minute_at_first),
		cmocka_unit_test(the_first_put_is_repeated_after_a_minute),
		cmocka_unit_test(a_put_that_nobody_took_comes_again_soon),
		cmocka_unit_test(a_change_during_a_put_is_not_forgotten),
		cmocka_unit_test(
		    a_clock_set_back_is_not_followed_into_old_cells),
		cmocka_unit_test(a_session_silences_both),
		cmocka_unit_test(acks_take_from_the_front_only),
		cmocka_unit_test(a_new_link_writes_everything_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
