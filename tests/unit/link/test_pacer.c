/* What leaves follows the rate, and no clock jump adds to it. */
#include "proto/link/pacer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { FULL = 1232 };

/* Bytes that leave from `from` to `to` where something always waits. */
static uint64_t
pour(struct pacer *p, uint64_t rate, uint64_t from, uint64_t to, bool urgent)
{
	uint64_t all = 0;

	for (uint64_t at = from; at <= to;
	     at = pacer_ready_ms(p, rate, FULL, urgent)) {
		pacer_fill(p, rate, FULL, at);
		assert_true(pacer_ready(p, FULL, urgent));
		while (pacer_ready(p, FULL, urgent)) {
			pacer_take(p, FULL);
			all += FULL;
		}
	}
	return all;
}

static void
bytes_leave_at_the_rate(void **state)
{
	static const uint64_t rates[] = { 1232, 20000, 2500000, 900000000 };

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct pacer p;
		uint64_t rate = rates[i], all;

		pacer_init(&p, FULL);
		all = pour(&p, rate, 5000, 25000, false);
		assert_true(all >= rate * 20);
		assert_true(all <= rate * 20 + rate * PACER_BURST_MS / 1000 +
		                       (PACER_BURST + 1) * FULL);
	}
}

static void
what_is_urgent_is_ahead_by_its_debt_only(void **state)
{
	struct pacer p;

	(void)state;
	pacer_init(&p, FULL);
	assert_int_equal(pour(&p, 1, 0, 0, false), PACER_BURST * FULL);
	assert_int_equal(pour(&p, 1, 0, 0, true), PACER_DEBT * FULL);
	assert_false(pacer_ready(&p, FULL, true));
}

static void
a_rest_of_any_length_allows_one_burst(void **state)
{
	struct pacer p;

	(void)state;
	pacer_init(&p, FULL);
	(void)pour(&p, 2500000, 1000, 1000, true);
	pacer_fill(&p, UINT64_MAX, FULL, UINT64_MAX - 1);
	pacer_init(&p, FULL);
	pacer_fill(&p, 100000, FULL, UINT64_C(1) << 62);
	assert_int_equal(
	    pour(&p, 100000, UINT64_C(1) << 62, UINT64_C(1) << 62, false),
	    PACER_BURST * FULL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_leave_at_the_rate),
		cmocka_unit_test(what_is_urgent_is_ahead_by_its_debt_only),
		cmocka_unit_test(a_rest_of_any_length_allows_one_burst),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
