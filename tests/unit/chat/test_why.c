/* What is remembered of the way to a contact, and what that says. */
#include "proto/chat/why.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void
look(struct why *w, uint64_t at_ms, uint16_t answered, bool found)
{
	struct why_step s = { .kind = WHY_LOOK,
		.at_ms = at_ms,
		.answered = answered,
		.found = found };

	why_note(w, &s);
}

static enum why_verdict
judge(const struct why *w, bool ready)
{
	struct why_state s = { .ready = ready };

	return why_judge(w, &s);
}

static void
each_verdict_has_its_reason(void **state)
{
	struct why w = { 0 };
	struct why_state s = { .connecting = true };

	(void)state;
	assert_int_equal(judge(&w, false), WHY_NO_TRY);
	look(&w, 0, 0, false); /* the clock may begin at 0 */
	assert_int_equal(judge(&w, true), WHY_NO_NETWORK);
	look(&w, 10, 8, false);
	assert_int_equal(judge(&w, false), WHY_NOT_ADDED);
	assert_int_equal(judge(&w, true), WHY_AWAY);
	look(&w, 20, 8, true);
	assert_int_equal(judge(&w, true), WHY_NO_ANSWER);
	assert_int_equal(why_judge(&w, &s), WHY_CONNECTING);
	s.refused = true;
	assert_int_equal(why_judge(&w, &s), WHY_REFUSED);
	s.online = true;
	assert_int_equal(why_judge(&w, &s), WHY_ONLINE);
}

/* What was tried beside an address, and what came of it. */
static void
crossings_are_counted_by_how_they_ended(void **state)
{
	struct why_step cross = { .kind = WHY_CROSS,
		.own = NAT_EASY,
		.theirs = NAT_RANDOM,
		.many = WHY_MANY_DECLINED };
	struct why_step pass = { .kind = WHY_PASS, .n_tried = 2 };
	struct why_step nobody = { .kind = WHY_NOBODY };
	struct why_step step[WHY_STEPS_MAX];
	struct why w = { 0 };

	(void)state;
	for (uint64_t t = 1; t <= 3; t++) {
		cross.at_ms = pass.at_ms = nobody.at_ms = t;
		why_note(&w, &pass);
		why_note(&w, &nobody);
		why_note(&w, &cross);
	}
	assert_int_equal(why_steps(&w, step), 3);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(step[i].times, 3);
	cross.at_ms = 9;
	cross.many = WHY_MANY_SENT;
	why_note(&w, &cross);
	assert_int_equal(why_steps(&w, step), 3);
	assert_int_equal(step[2].kind, WHY_CROSS);
	assert_int_equal(step[2].times, 1);
	cross.found = true;
	why_note(&w, &cross);
	cross.theirs = NAT_EASY;
	why_note(&w, &cross);
	assert_int_equal(why_steps(&w, step), 3);
	assert_int_equal(step[2].times, 1);
	/* A path does not come of what is not a lookup. */
	assert_int_equal(judge(&w, true), WHY_NO_TRY);
}

static void
one_answer_in_any_place_is_a_network(void **state)
{
	struct why w = { 0 };
	struct why_step v6 = { .kind = WHY_LOOK, .family = FAMILY_V6 };
	struct why_step far = { .kind = WHY_LOOK,
		.carrier = WHY_OVERLAY,
		.family = FAMILY_V6,
		.answered = 1 };

	(void)state;
	look(&w, 1, 0, false);
	why_note(&w, &v6);
	assert_int_equal(judge(&w, true), WHY_NO_NETWORK);
	why_note(&w, &far);
	assert_int_equal(judge(&w, true), WHY_AWAY);
}

static void
repeats_are_counted_until_the_end_differs(void **state)
{
	struct why w = { 0 };
	struct why_step step[WHY_STEPS_MAX];

	(void)state;
	for (uint64_t t = 1; t <= 5; t++)
		look(&w, t, 8, false);
	assert_int_equal(why_steps(&w, step), 1);
	assert_int_equal(step[0].times, 5);
	assert_int_equal(step[0].at_ms, 5);
	look(&w, 6, 7, true);
	assert_int_equal(why_steps(&w, step), 1);
	assert_int_equal(step[0].times, 1);
}

static void
steps_come_oldest_first_and_all_fit(void **state)
{
	struct why w = { 0 };
	struct why_step step[WHY_STEPS_MAX];
	uint64_t t = 1000;
	size_t n;

	(void)state;
	for (int c = 0; c < WHY_CARRIERS; c++) {
		for (int f = 0; f < FAMILY_COUNT; f++) {
			for (int k = WHY_LOOK; k < WHY_KINDS; k++) {
				struct why_step s = {
					.kind = (enum why_kind)k,
					.carrier = (enum why_carrier)c,
					.family = (enum family)f,
					.at_ms = t--,
				};

				why_note(&w, &s);
			}
		}
	}
	n = why_steps(&w, step);
	assert_int_equal(n, WHY_STEPS_MAX);
	for (size_t i = 1; i < n; i++)
		assert_true(step[i - 1].at_ms < step[i].at_ms);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crossings_are_counted_by_how_they_ended),
		cmocka_unit_test(each_verdict_has_its_reason),
		cmocka_unit_test(one_answer_in_any_place_is_a_network),
		cmocka_unit_test(repeats_are_counted_until_the_end_differs),
		cmocka_unit_test(steps_come_oldest_first_and_all_fit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
