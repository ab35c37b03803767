/* When cookies are asked for, who gets one, how long it holds. */
#include "proto/link/load.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct load d;

static void
dh_and_what_waits_are_load(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, 1);
	load_init(&d, &t.rng);
	load_count_dh(&d, LOAD_DH_HIGH, 5000);
	assert_false(load_is_high(&d, 0, 5999));
	load_count_dh(&d, 1, 5999);
	assert_true(load_is_high(&d, 0, 5999));
	assert_true(load_is_high(&d, 0, 6999)); /* the second after, too */
	assert_false(load_is_high(&d, 0, 7000));
	assert_true(load_is_high(&d, LOAD_HALF_HIGH + 1, 7000));
	assert_false(load_is_high(&d, LOAD_HALF_HIGH, 7000));
	load_behind(&d, 9000);
	assert_true(load_is_high(&d, 0, 9000));
	assert_true(load_is_high(&d, 0, 9999));
	assert_false(load_is_high(&d, 0, 10000));
}

static void
a_flood_is_tried_with_few_guards(void **state)
{
	struct test_rng t;
	size_t n = 0;

	(void)state;
	test_rng_init(&t, 1);
	load_init(&d, &t.rng);
	while (n <= LOAD_MACS_HIGH) {
		assert_int_equal(load_guards(&d, 96, 5000), 96);
		n += 96;
	}
	assert_int_equal(load_guards(&d, 96, 5999), LOAD_GUARDS);
	assert_int_equal(load_guards(&d, 3, 5999), 3);
	assert_int_equal(load_guards(&d, 96, 6000), 96);
}

static void
a_source_gets_20_a_second_in_bursts_of_5(void **state)
{
	const uint8_t v4[4] = { 192, 0, 2, 1 };
	struct endpoint e = endpoint_v4(v4, 1000);
	unsigned n = 0;
	struct test_rng t;

	(void)state;
	test_rng_init(&t, 1);
	load_init(&d, &t.rng);
	for (unsigned i = 0; i < 100; i++) {
		e.port++; /* the port does not matter */
		n += load_may_reply(&d, &e, 1000);
	}
	assert_int_equal(n, LOAD_REPLIES_BURST);
	for (unsigned i = 1; i <= 10000; i++)
		n += load_may_reply(&d, &e, 1000 + i);
	assert_int_equal(n, LOAD_REPLIES_BURST + 10 * LOAD_REPLIES_S);
	/* A /64 is one source. */
	e = (struct endpoint){ .addr = { 0x20, 1, 0xd, 0xb8 }, .port = 1 };
	for (n = 0; e.addr[15] < 100; e.addr[15]++)
		n += load_may_reply(&d, &e, 20000);
	assert_int_equal(n, LOAD_REPLIES_BURST);
}

static void
mac2(const uint8_t cookie[HANDSHAKE_COOKIE_SIZE],
    uint8_t m[PACKET_MESSAGE_1_SIZE])
{
	struct handshake_guard g = { .mac1 = { 1 } };
	struct handshake_static s = { .sk = { { 1 } } };
	struct handshake_attempt a;
	uint8_t e[32] = { 5 }, random[16] = { 0 };
	struct static_pk rs = { { 9 } };
	struct handshake_1 in = { .guard = &g, .s = &s, .rs = &rs, .e_sk = e };
	enum err err;

	in.cookie = cookie;
	in.mac2 = random;
	in.payload.index = 1;
	in.payload.udp_max = 1200;
	do {
		err = handshake_1_seal(&in, m, &a);
		e[3]++;
	} while (err == ERR_CONFLICT);
	assert_int_equal(err, ERR_OK);
}

static void
a_cookie_holds_for_its_address_and_two_secrets(void **state)
{
	const uint8_t v4[4] = { 192, 0, 2, 1 };
	struct endpoint e = endpoint_v4(v4, 1000), other = e;
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE], m[PACKET_MESSAGE_1_SIZE];
	struct span b = span_of(m, sizeof(m));
	struct test_rng t;

	(void)state;
	other.port++;
	test_rng_init(&t, 1);
	load_init(&d, &t.rng);
	load_cookie(&d, &e, 1000, cookie);
	mac2(cookie, m);
	assert_true(load_mac2_ok(&d, &e, b, 1000));
	assert_false(load_mac2_ok(&d, &other, b, 1000));
	assert_true(load_mac2_ok(&d, &e, b, 1000 + LOAD_SECRET_MS));
	assert_true(load_mac2_ok(&d, &e, b, 999 + 2 * LOAD_SECRET_MS));
	assert_false(load_mac2_ok(&d, &e, b, 1000 + 2 * LOAD_SECRET_MS));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(dh_and_what_waits_are_load),
		cmocka_unit_test(a_flood_is_tried_with_few_guards),
		cmocka_unit_test(a_source_gets_20_a_second_in_bursts_of_5),
		cmocka_unit_test(
		    a_cookie_holds_for_its_address_and_two_secrets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
