/* Numbers of one key: skipped ones, replays, acknowledgements. */
#include "proto/link/session.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void
pair(struct session *a, struct session *b, const struct rng *rng)
{
	struct handshake_keys k = { 0 };

	rng_fill(rng, &k.send, sizeof(k.send));
	k.receive = k.send; /* both directions alike, for a test */
	k.send_index[0] = k.receive_index[0] = 0x01020304;
	k.n_send_index = k.n_receive_index = 1;
	session_init(a, &k, rng, 1000);
	session_init(b, &k, rng, 1000);
}

static uint64_t
seal(struct session *s, const struct rng *rng, uint8_t out[92])
{
	memset(out, 0, 92);
	return session_seal(s, rng, 64, out);
}

static void
one_number_in_64_to_512_is_skipped(void **state)
{
	struct test_rng t;
	struct session a, b;
	uint64_t last = 0, skip = 0, n_skips = 0;
	uint8_t out[92];

	(void)state;
	test_rng_init(&t, test_seed(1));
	pair(&a, &b, &t.rng);
	assert_int_equal(seal(&a, &t.rng, out), 0);
	for (unsigned i = 1; i < 20000; i++) {
		uint64_t n = seal(&a, &t.rng, out);
		struct ranges ack = { 0 };

		assert_true(n == last + 1 || n == last + 2);
		if (n == last + 2) {
			uint64_t gap = n - 1 - skip;

			assert_true(n_skips == 0 || (gap >= 64 && gap <= 512));
			assert_true(n_skips > 0 || n <= 66);
			n_skips++;
			skip = n - 1;
			assert_int_equal(
			    ranges_add(&ack, skip, skip + 1), ERR_OK);
			assert_false(session_ack_honest(&a, &ack));
			ack.n = 0;
		}
		assert_int_equal(ranges_add(&ack, n, n + 1), ERR_OK);
		assert_true(session_ack_honest(&a, &ack));
		ack.r[0].hi++; /* the next was not sent yet */
		assert_false(session_ack_honest(&a, &ack));
		last = n;
	}
	assert_in_range(n_skips, 20000 / 512, 20000 / 64);
}

static void
a_packet_opens_once(void **state)
{
	struct test_rng t;
	struct session a, b;
	uint8_t one[92], two[92], plain[64];
	uint64_t number;
	bool highest;

	(void)state;
	test_rng_init(&t, 1);
	pair(&a, &b, &t.rng);
	(void)seal(&a, &t.rng, one);
	(void)seal(&a, &t.rng, two);
	assert_int_equal(
	    session_open(&b, span_of(two, 92), plain, &number, &highest),
	    ERR_OK);
	assert_true(highest);
	assert_int_equal(
	    session_open(&b, span_of(two, 92), plain, &number, &highest),
	    ERR_REPLAY);
	assert_int_equal(
	    session_open(&b, span_of(one, 92), plain, &number, &highest),
	    ERR_OK);
	assert_false(highest);
	one[50] ^= 1;
	assert_int_not_equal(
	    session_open(&b, span_of(one, 92), plain, &number, &highest),
	    ERR_OK);
}

static void
acks_are_due_by_number_order_and_time(void **state)
{
	struct test_rng t;
	struct session a, s;

	(void)state;
	test_rng_init(&t, 1);
	pair(&a, &s, &t.rng);
	s.replay.next = 5; /* as if they had been opened */
	session_received(&s, 0, false, 1000);
	assert_int_equal(s.ack_ms, NEVER); /* asks for none */
	session_received(&s, 1, true, 1000);
	assert_false(session_ack_due(&s, 1004));
	assert_true(session_ack_due(&s, 1005));
	session_received(&s, 2, true, 1001);
	assert_true(session_ack_due(&s, 1001)); /* the second */
	session_acked(&s);
	assert_false(session_ack_due(&s, 9999));
	session_received(&s, 4, true, 2000);
	assert_true(session_ack_due(&s, 2000)); /* 3 is missing */
	assert_int_equal(s.received.n, 2);
}

/* 2 comes after the ACK of 1 and 3 has left, and before that has come: it is
 * in none that the peer has. */
static void
what_came_after_an_ack_is_in_the_next(void **state)
{
	struct test_rng t;
	struct session a, s;

	(void)state;
	test_rng_init(&t, 1);
	pair(&a, &s, &t.rng);
	s.replay.next = 9;
	session_received(&s, 1, true, 1000);
	session_received(&s, 3, true, 1000);
	session_acked(&s);
	session_received(&s, 2, true, 1040);
	session_ack_told(&s, 4);
	assert_true(ranges_has(&s.received, 2));
	assert_false(ranges_has(&s.received, 1));
	session_acked(&s);
	session_ack_told(&s, 4);
	assert_int_equal(s.received.n, 0);
	/* The lowest of several. */
	session_received(&s, 7, true, 1050);
	session_received(&s, 5, true, 1050);
	session_received(&s, 8, true, 1050);
	session_ack_told(&s, 9);
	assert_true(ranges_has(&s.received, 5));
}

static void
a_key_ends_after_2_20_packets(void **state)
{
	struct test_rng t;
	struct session a, b;
	uint8_t out[92];

	(void)state;
	test_rng_init(&t, 1);
	pair(&a, &b, &t.rng);
	a.next = SESSION_PACKETS_MAX - 3;
	a.skip_at = 0;
	assert_true(session_may_send(&a));
	(void)seal(&a, &t.rng, out);
	assert_true(session_may_send(&a));
	(void)seal(&a, &t.rng, out);
	assert_false(session_may_send(&a));
}

static void
a_wiped_session_holds_nothing(void **state)
{
	static const struct session zero;
	struct test_rng t;
	struct session a, b;

	(void)state;
	test_rng_init(&t, 1);
	pair(&a, &b, &t.rng);
	session_wipe(&a);
	assert_memory_equal(&a, &zero, sizeof(a));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_number_in_64_to_512_is_skipped),
		cmocka_unit_test(a_packet_opens_once),
		cmocka_unit_test(acks_are_due_by_number_order_and_time),
		cmocka_unit_test(what_came_after_an_ack_is_in_the_next),
		cmocka_unit_test(a_key_ends_after_2_20_packets),
		cmocka_unit_test(a_wiped_session_holds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
