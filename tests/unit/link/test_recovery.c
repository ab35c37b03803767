/* Loss detection and round trips against the rules of RFC 9002. */
#include "proto/link/recovery.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { FULL = 1232 };

static void
send(struct recovery *r, uint32_t key, uint64_t number, uint64_t at_ms)
{
	struct sent s = {
		.key = key,
		.number = number,
		.at_ms = at_ms,
		.bytes = FULL,
		.stream = { number * 1000, number * 1000 + 1000 },
	};

	recovery_sent(r, &s);
}

static void
ack(struct recovery *r, uint32_t key, uint64_t lo, uint64_t hi, uint64_t now_ms)
{
	struct ranges s = { 0 };

	assert_int_equal(ranges_add(&s, lo, hi), ERR_OK);
	recovery_on_ack(r, key, &s, 0, now_ms);
}

/* Takes all results; bit n says that number n was lost (acknowledged). */
static void
results(struct recovery *r, uint64_t *acked, uint64_t *lost)
{
	struct sent s;
	bool good;

	*acked = 0;
	*lost = 0;
	while (recovery_result(r, &s, &good)) {
		assert_true(s.number < 64);
		*(good ? acked : lost) |= UINT64_C(1) << s.number;
	}
}

static void
three_later_ones_mean_loss(void **state)
{
	struct recovery r;
	uint64_t acked, lost;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	for (uint64_t i = 0; i < 5; i++)
		send(&r, 1, i, 1000);
	ack(&r, 1, 4, 5, 1100);
	results(&r, &acked, &lost);
	assert_int_equal(acked, 0x10);
	assert_int_equal(lost, 0x03); /* 2 and 3 may still come */
	assert_int_equal(r.in_flight, 2 * FULL);
	assert_int_equal(r.loss_ms, 1000 + 113); /* 9/8 of 100 ms */
	recovery_on_loss_timer(&r, 1112);
	results(&r, &acked, &lost);
	assert_int_equal(lost, 0);
	recovery_on_loss_timer(&r, 1113);
	results(&r, &acked, &lost);
	assert_int_equal(lost, 0x0c);
	assert_int_equal(r.in_flight, 0);
	assert_int_equal(recovery_pto_ms(&r), NEVER);
	recovery_clear(&r);
}

static void
the_first_round_trip_sets_the_timers(void **state)
{
	struct recovery r;
	uint64_t acked, lost;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	send(&r, 1, 0, 1000);
	assert_int_equal(recovery_pto_ms(&r), 1000 + 999 + 25);
	ack(&r, 1, 0, 1, 1040);
	results(&r, &acked, &lost);
	assert_int_equal(r.smoothed_us, 40000);
	assert_int_equal(r.var_us, 20000);
	assert_int_equal(recovery_pto_base_ms(&r), 40 + 80 + 25);
	/* The peer's delay is taken off, but not below the minimum. */
	send(&r, 1, 1, 2000);
	{
		struct ranges s = { 0 };

		assert_int_equal(ranges_add(&s, 1, 2), ERR_OK);
		recovery_on_ack(&r, 1, &s, 5000, 2050);
	}
	assert_int_equal(r.smoothed_us, (7 * 40000 + 45000) / 8);
	recovery_clear(&r);
}

static void
probes_wait_longer_each_time(void **state)
{
	struct recovery r;
	uint64_t at, last = 0;
	const struct sent *oldest;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	recovery_sample(&r, 20, 1000);
	send(&r, 1, 0, 1000);
	send(&r, 1, 1, 1001);
	for (unsigned i = 0; i < 10; i++) {
		at = recovery_pto_ms(&r);
		recovery_on_pto(&r, at);
		oldest = recovery_oldest(&r, 0);
		assert_non_null(oldest);
		assert_int_equal(oldest->number, 0);
		assert_true(recovery_pto_ms(&r) - at >= last);
		last = recovery_pto_ms(&r) - at;
		assert_true(last <= RECOVERY_PTO_MAX_MS);
	}
	assert_int_equal(last, RECOVERY_PTO_MAX_MS);
	recovery_clear(&r);
}

static void
what_is_urgent_may_be_a_little_ahead(void **state)
{
	struct recovery r;
	uint64_t n = 0;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	recovery_sample(&r, 100, 1000);
	while (recovery_may_send(&r, false, 1000))
		send(&r, 1, n++, 1000);
	assert_int_equal(n, BBR_WINDOW_INITIAL);
	assert_int_equal(recovery_pace_ms(&r, false), NEVER);
	while (recovery_may_send(&r, true, 1000))
		send(&r, 1, n++, 1000);
	assert_int_equal(n, BBR_WINDOW_INITIAL + RECOVERY_URGENT);
	recovery_clear(&r);
}

/* Packets that wait for the pace leave when it says, no earlier, no later. */
static void
the_pace_says_when(void **state)
{
	struct recovery r;
	uint64_t n = 0, at = 1000;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	recovery_sample(&r, 100, 1000);
	r.bbr.window = 100 * FULL; /* leaves the pace alone to bound it */
	while (n < 60) {
		while (recovery_may_send(&r, false, at))
			send(&r, 1, n++, at);
		assert_true(recovery_pace_ms(&r, false) > at);
		assert_false(recovery_may_send(
		    &r, false, recovery_pace_ms(&r, false) - 1));
		at = recovery_pace_ms(&r, false);
	}
	/* 277 % of a window in a round trip: 50 after the burst of 10. */
	assert_in_range(at, 1000 + 17, 1000 + 20);
	recovery_clear(&r);
}

static void
long_losses_reset_the_window(void **state)
{
	struct recovery r;
	uint64_t acked, lost;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	recovery_sample(&r, 20, 1000);
	send(&r, 1, 0, 1000);
	ack(&r, 1, 0, 1, 1020);
	for (uint64_t i = 1; i < 9; i++)
		send(&r, 1, i, 1000 + 100 * i);
	send(&r, 1, 9, 2000);
	ack(&r, 1, 9, 10, 2020);
	results(&r, &acked, &lost);
	assert_int_equal(lost, 0x1fe);
	assert_in_range(
	    r.bbr.window, BBR_WINDOW_MIN * FULL, (BBR_WINDOW_MIN + 1) * FULL);
	recovery_clear(&r);
}

/* After a renewal nothing overtakes the packets of the old key by number. */
static void
an_old_key_does_not_hold_its_packets(void **state)
{
	struct recovery r;
	uint64_t acked, lost;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	recovery_sample(&r, 20, 1000);
	send(&r, 1, 7, 1000);
	send(&r, 2, 0, 1010);
	ack(&r, 2, 0, 1, 1060);
	results(&r, &acked, &lost);
	assert_int_equal(acked, 1);
	assert_int_equal(lost, 0x80);
	send(&r, 1, 8, 2000);
	recovery_drop_key(&r, 1);
	results(&r, &acked, &lost);
	assert_int_equal(lost, 0x100);
	assert_int_equal(r.in_flight, 0);
	recovery_clear(&r);
}

static void
the_table_is_bounded(void **state)
{
	struct recovery r;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	for (uint64_t i = 0; i < RECOVERY_PACKETS_MAX; i++) {
		assert_true(recovery_has_room(&r));
		send(&r, 1, i, 1000);
	}
	assert_false(recovery_has_room(&r));
	assert_false(recovery_may_send(&r, true, 1000));
	recovery_clear(&r);
}

static void
the_memory_of_a_transfer_is_given_back(void **state)
{
	struct recovery r;
	struct sent s;
	uint64_t n = 0;
	bool acked;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	while (recovery_has_room(&r))
		send(&r, 1, n++, 1000);
	assert_int_equal(r.cap, RECOVERY_PACKETS_MAX);
	ack(&r, 1, 0, n, 1050);
	while (recovery_result(&r, &s, &acked))
		assert_true(acked);
	assert_true(r.cap <= 64);
	send(&r, 1, n, 1100); /* and it goes on */
	ack(&r, 1, n, n + 1, 1150);
	assert_true(recovery_result(&r, &s, &acked));
	assert_int_equal(s.number, n);
	recovery_clear(&r);
}

/* What left on the old path says nothing of the new one. */
static void
a_new_path_is_measured_anew(void **state)
{
	struct recovery r;
	uint64_t acked, lost;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	recovery_sample(&r, 500, 1000);
	send(&r, 1, 0, 1000);
	recovery_new_path(&r, 1400);
	assert_int_equal(recovery_answer_ms(&r), 1500); /* a guess */
	ack(&r, 1, 0, 1, 1500);
	assert_false(r.has_rtt);
	send(&r, 1, 1, 1510);
	ack(&r, 1, 1, 2, 1530);
	assert_true(r.has_rtt);
	assert_int_equal(r.latest_us, 20000);
	assert_int_equal(recovery_answer_ms(&r), 60);
	results(&r, &acked, &lost);
	assert_int_equal(acked, 3);
	recovery_clear(&r);
}

static void
a_dead_path_gives_everything_back(void **state)
{
	struct recovery r;
	uint64_t acked, lost, window;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	recovery_sample(&r, 20, 1000);
	for (uint64_t i = 0; i < 5; i++)
		send(&r, 1 + (uint32_t)(i % 2), i, 1000);
	window = r.bbr.window;
	recovery_give_up(&r);
	assert_int_equal(r.in_flight, 0);
	assert_int_equal(r.bbr.window, window); /* none of congestion */
	assert_int_equal(recovery_pto_ms(&r), NEVER);
	results(&r, &acked, &lost);
	assert_int_equal(lost, 0x1f);
	assert_int_equal(acked, 0);
	/* One of them comes in the end. */
	ack(&r, 1, 0, 1, 1100);
	results(&r, &acked, &lost);
	assert_int_equal(acked | lost, 0);
	recovery_clear(&r);
}

static void
silence_begins_with_what_is_not_answered(void **state)
{
	struct recovery r;
	uint64_t acked, lost;

	(void)state;
	assert_int_equal(recovery_init(&r, FULL), ERR_OK);
	assert_int_equal(recovery_silent_ms(&r), NEVER);
	recovery_sample(&r, 500, 900);
	send(&r, 1, 0, 1000);
	send(&r, 1, 1, 1050);
	send(&r, 1, 2, 1100);
	assert_int_equal(recovery_silent_ms(&r), 1000);
	ack(&r, 1, 1, 2, 1080); /* the first is late, but he is there */
	assert_int_equal(recovery_silent_ms(&r), 1080);
	results(&r, &acked, &lost);
	ack(&r, 1, 0, 1, 1090);
	assert_int_equal(recovery_silent_ms(&r), 1100);
	ack(&r, 1, 2, 3, 1120);
	assert_int_equal(recovery_silent_ms(&r), NEVER);
	recovery_clear(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_later_ones_mean_loss),
		cmocka_unit_test(the_first_round_trip_sets_the_timers),
		cmocka_unit_test(probes_wait_longer_each_time),
		cmocka_unit_test(what_is_urgent_may_be_a_little_ahead),
		cmocka_unit_test(the_pace_says_when),
		cmocka_unit_test(long_losses_reset_the_window),
		cmocka_unit_test(an_old_key_does_not_hold_its_packets),
		cmocka_unit_test(the_table_is_bounded),
		cmocka_unit_test(the_memory_of_a_transfer_is_given_back),
		cmocka_unit_test(a_new_path_is_measured_anew),
		cmocka_unit_test(a_dead_path_gives_everything_back),
		cmocka_unit_test(silence_begins_with_what_is_not_answered),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
