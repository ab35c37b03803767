/* Handshakes beyond the known answers: hostile messages 1 and 2. The first
 * handshake of the known answers is the honest one that is bent here. */
#include "proto/link/handshake.h"

#include "tests/support/handshake_case.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static cJSON *json;
static struct handshake_case c;
static struct handshake_attempt attempt;
static uint8_t m1[PACKET_MESSAGE_1_SIZE];
static struct handshake_request request;
static const cJSON *entry; /* of message 2 with the current key */
static uint8_t m2[PACKET_MESSAGE_2_SIZE];

static const cJSON *
first_of(const cJSON *o, const char *list)
{
	return cJSON_GetArrayItem(json_item(o, list), 0);
}

static int
setup(void **state)
{
	struct handshake_keys keys;

	(void)state;
	json = json_load("tests/vectors/btchat/handshake.json");
	assert_true(handshake_case_read(first_of(json, "handshakes"), &c));
	assert_int_equal(handshake_case_1(&c, m1, &attempt), ERR_OK);
	assert_int_equal(handshake_case_respond(&c, span_of(m1, sizeof(m1)),
	                     c.now_ms, c.now_ms - 1, &request),
	    ERR_OK);
	entry = first_of(c.json, "message_2");
	assert_int_equal(
	    handshake_case_2(&c, entry, &request, m2, &keys), ERR_OK);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	cJSON_Delete(json);
	return 0;
}

static enum err
respond(const uint8_t *datagram, size_t n)
{
	struct handshake_request req;

	return handshake_case_respond(
	    &c, span_of(datagram, n), c.now_ms, c.now_ms - 1, &req);
}

static enum err
finish(const uint8_t *datagram, size_t n)
{
	struct handshake_try keys = handshake_case_try(&c);
	struct handshake_payload_2 payload;
	struct handshake_keys got;

	return handshake_2_open(
	    &attempt, &keys, span_of(datagram, n), &payload, &got);
}

static void
flip(uint8_t *bytes, size_t bit)
{
	bytes[bit / 8] ^= (uint8_t)(1U << bit % 8);
}

/* Makes mac1 right again, as one who knows R and S could. */
static void
mac_again(uint8_t *datagram, size_t covered)
{
	crypto_generichash(datagram + covered, 16, datagram, covered,
	    c.guard.mac1, sizeof(c.guard.mac1));
}

/* Hostile input 3: all 1,344 of them; mac2 is not looked at without load. */
static void
hostile_3_message_1_with_any_bit_flipped_is_dropped(void **state)
{
	uint8_t m[PACKET_MESSAGE_1_SIZE];

	(void)state;
	memcpy(m, m1, sizeof(m));
	for (size_t i = 0; i < 8 * sizeof(m); i++) {
		m[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_int_equal(respond(m, sizeof(m)),
		    i < 8 * (size_t)152 ? ERR_AUTH : ERR_OK);
		m[i / 8] ^= (uint8_t)(1U << i % 8);
	}
}

/* The same with mac1 made again: then the AEADs must notice. */
static void
hostile_3_a_bit_flipped_under_a_right_mac1_is_dropped(void **state)
{
	uint8_t m[PACKET_MESSAGE_1_SIZE];

	(void)state;
	memcpy(m, m1, sizeof(m));
	for (size_t i = 0; i < 8 * (size_t)136; i++) {
		enum err err;

		if (i == 255)
			continue; /* bit 255 of a point: see below */
		m[i / 8] ^= (uint8_t)(1U << i % 8);
		mac_again(m, 136);
		err = respond(m, sizeof(m));
		assert_true(err == ERR_AUTH || err == ERR_BAD_KEY);
		m[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	m[31] ^= 0x80; /* e_i itself is hashed, so this shows too */
	mac_again(m, 136);
	assert_int_equal(respond(m, sizeof(m)), ERR_AUTH);
}

/* Hostile input 4. */
static void
hostile_4_message_1_of_another_length_is_dropped(void **state)
{
	uint8_t m[PACKET_MESSAGE_1_SIZE + 1] = { 0 };

	(void)state;
	memcpy(m, m1, sizeof(m1));
	for (size_t n = 0; n <= sizeof(m); n++) {
		if (n != sizeof(m1))
			assert_int_equal(respond(m, n), ERR_MALFORMED);
	}
	assert_int_equal(respond(m, sizeof(m1)), ERR_OK);
}

/* Hostile input 5: yesterday and tomorrow are taken, two days are not. */
static void
hostile_5_message_1_of_a_neighbour_day_only(void **state)
{
	static const struct {
		int days;
		enum err err;
	} rows[] = { { -2, ERR_AUTH }, { -1, ERR_OK }, { 0, ERR_OK },
		{ 1, ERR_OK }, { 2, ERR_AUTH } };
	uint32_t day = handshake_day(c.now_ms);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct handshake_case other = c;
		struct handshake_attempt a;
		uint8_t m[PACKET_MESSAGE_1_SIZE];

		handshake_guard_derive(&c.reach, &c.s_r.pk,
		    (uint32_t)((int)day + rows[i].days), &other.guard);
		assert_int_equal(handshake_case_1(&other, m, &a), ERR_OK);
		assert_int_equal(respond(m, sizeof(m)), rows[i].err);
	}
}

/* The Noise message 1 with an e that is given, as if DH(e) gave what DH(0)
 * would; sealed and masked and with a right mac1. */
static void
forge_1(const uint8_t e[32], uint8_t out[PACKET_MESSAGE_1_SIZE])
{
	uint8_t mask[32];
	uint8_t in[1 + 104];

	memcpy(out, m1, PACKET_MESSAGE_1_SIZE);
	in[0] = '1';
	memcpy(in + 1, out + 32, 104);
	crypto_generichash(mask, sizeof(mask), in, sizeof(in), c.guard.mask,
	    sizeof(c.guard.mask));
	for (int i = 0; i < 32; i++)
		out[i] = e[i] ^ mask[i];
	mac_again(out, 136);
}

/* Hostile input 8: the seven encodings of low-order points below 2^255; with
 * bit 255 set libsodium takes the same points, so they are refused as well,
 * and an ordinary key stays ordinary with it. */
static void
hostile_8_low_order_ephemerals_are_refused(void **state)
{
	static const uint8_t low[7][32] = {
		{ 0 },
		{ 1 },
		{ 0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56,
		    0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09, 0x8d, 0xeb,
		    0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49,
		    0xb8, 0x00 },
		{ 0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0,
		    0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44, 0x5c, 0xc4,
		    0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f,
		    0x11, 0x57 },
		{ 0xec, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0x7f },
		{ 0xed, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0x7f },
		{ 0xee, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		    0xff, 0x7f },
	};
	uint8_t m[PACKET_MESSAGE_1_SIZE];
	uint8_t e[32];

	(void)state;
	for (int i = 0; i < 14; i++) {
		memcpy(e, low[i / 2], sizeof(e));
		e[31] = (uint8_t)(e[31] | (i % 2 ? 0x80 : 0));
		forge_1(e, m);
		assert_int_equal(respond(m, sizeof(m)), ERR_BAD_KEY);
	}
	crypto_scalarmult_base(e, c.e_i);
	forge_1(e, m);
	assert_memory_equal(m, m1, 152);
	assert_int_equal(respond(m, sizeof(m)), ERR_OK);
	e[31] |= 0x80; /* the same point, another byte string */
	forge_1(e, m);
	assert_int_equal(respond(m, sizeof(m)), ERR_AUTH);
}

/* Hostile input 9, the codec's part: S_i is our own. */
static void
hostile_9_message_1_from_our_own_static_key_is_dropped(void **state)
{
	struct handshake_case own = c;
	struct handshake_attempt a;
	uint8_t m[PACKET_MESSAGE_1_SIZE];

	(void)state;
	own.s_i = c.s_r;
	assert_int_equal(handshake_case_1(&own, m, &a), ERR_OK);
	assert_int_equal(respond(m, sizeof(m)), ERR_BAD_KEY);
}

/* Hostile input 9, reflected: our own message 1 comes back to us. It was made
 * for the peer's R and S, so the first look at mac1 drops it. */
static void
hostile_9_a_reflected_message_1_is_dropped(void **state)
{
	struct handshake_request req;
	struct handshake_guard own;

	(void)state;
	handshake_guard_derive(
	    &c.reach, &c.s_i.pk, handshake_day(c.now_ms), &own);
	assert_false(handshake_mac1_ok(&own, span_of(m1, sizeof(m1))));
	assert_int_equal(
	    handshake_1_open(&own, &c.s_i, span_of(m1, sizeof(m1)), &req),
	    ERR_AUTH);
}

/* Hostile input 13: wrong index echo, wrong psk, any other bit. */
static void
hostile_13_message_2_with_any_bit_flipped_is_dropped(void **state)
{
	uint8_t m[PACKET_MESSAGE_2_SIZE];

	(void)state;
	memcpy(m, m2, sizeof(m));
	for (size_t i = 0; i < 8 * sizeof(m); i++) {
		m[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_int_equal(finish(m, sizeof(m)),
		    i < 8 * (size_t)88 ? ERR_AUTH : ERR_OK);
		if (i >= 32 && i < 8 * (size_t)72 && i != 287) {
			enum err err;

			mac_again(m, 72);
			err = finish(m, sizeof(m));
			assert_true(err == ERR_AUTH || err == ERR_BAD_KEY);
			memcpy(m + 72, m2 + 72, 16);
		}
		m[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	for (size_t n = 0; n < sizeof(m); n++)
		assert_int_equal(finish(m, n), ERR_MALFORMED);
	assert_int_equal(finish(m, sizeof(m)), ERR_OK);
}

/* Hostile input 13: a message 2 of another attempt, and one that was made
 * with a key that the initiator does not try. */
static void
hostile_13_message_2_for_another_attempt_or_key_is_dropped(void **state)
{
	struct handshake_try keys = handshake_case_try(&c);
	struct handshake_case again = c;
	struct handshake_attempt other;
	struct handshake_payload_2 payload = { .key_used = 77 };
	struct handshake_keys got;
	uint8_t m[PACKET_MESSAGE_1_SIZE];
	struct span in = span_of(m2, sizeof(m2));

	(void)state;
	again.e_i[5] ^= 4; /* the same index, another ephemeral */
	assert_int_equal(handshake_case_1(&again, m, &other), ERR_OK);
	assert_int_equal(
	    handshake_2_open(&other, &keys, in, &payload, &got), ERR_AUTH);
	keys.rk[KEY_CUR] = NULL;
	assert_int_equal(
	    handshake_2_open(&attempt, &keys, in, &payload, &got), ERR_AUTH);
	keys.rk[KEY_PREV] = &c.cur; /* opens, but says it was the other */
	assert_int_equal(handshake_2_open(&attempt, &keys, in, &payload, &got),
	    ERR_MALFORMED);
	memset(keys.rk, 0, sizeof(keys.rk));
	assert_int_equal(
	    handshake_2_open(&attempt, &keys, in, &payload, &got), ERR_AUTH);
	assert_int_equal(payload.key_used, 77);
	assert_int_equal(finish(m2, sizeof(m2)), ERR_OK);
}

/* Hostile input 12, the codec's part. */
static void
hostile_12_a_cookie_reply_fits_its_own_message_1_only(void **state)
{
	uint8_t nonce[PACKET_NONCE_SIZE] = { 1 };
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE] = { 2 };
	uint8_t reply[PACKET_COOKIE_REPLY_SIZE + 1];
	uint8_t got[HANDSHAKE_COOKIE_SIZE];
	struct handshake_case again = c;
	struct handshake_attempt other;
	uint8_t m[PACKET_MESSAGE_1_SIZE];
	struct span in = span_of(reply, PACKET_COOKIE_REPLY_SIZE);

	(void)state;
	handshake_cookie_seal(
	    &c.guard, span_of(m1, sizeof(m1)), cookie, nonce, reply);
	assert_int_equal(handshake_cookie_open(&attempt, in, got), ERR_OK);
	assert_memory_equal(got, cookie, sizeof(got));
	again.e_i[5] ^= 4;
	assert_int_equal(handshake_case_1(&again, m, &other), ERR_OK);
	assert_int_equal(handshake_cookie_open(&other, in, got), ERR_AUTH);
	for (size_t i = 0; i < 8 * (size_t)PACKET_COOKIE_REPLY_SIZE; i++) {
		flip(reply, i);
		assert_int_equal(
		    handshake_cookie_open(&attempt, in, got), ERR_AUTH);
		flip(reply, i);
	}
	in.n--;
	assert_int_equal(
	    handshake_cookie_open(&attempt, in, got), ERR_MALFORMED);
	in.n += 2;
	assert_int_equal(
	    handshake_cookie_open(&attempt, in, got), ERR_MALFORMED);
}

static void
a_cookie_is_of_one_address_port_and_secret(void **state)
{
	const uint8_t v4[4] = { 192, 0, 2, 7 };
	struct endpoint from = endpoint_v4(v4, 51820);
	uint8_t secret[32] = { 1 };
	uint8_t a[HANDSHAKE_COOKIE_SIZE];
	uint8_t b[HANDSHAKE_COOKIE_SIZE];

	(void)state;
	handshake_cookie(secret, &from, a);
	from.port++;
	handshake_cookie(secret, &from, b);
	assert_memory_not_equal(a, b, sizeof(a));
	from.port--;
	from.addr[15]++;
	handshake_cookie(secret, &from, b);
	assert_memory_not_equal(a, b, sizeof(a));
	from.addr[15]--;
	secret[31] = 1;
	handshake_cookie(secret, &from, b);
	assert_memory_not_equal(a, b, sizeof(a));
}

static void
ts_must_rise_and_not_lead_by_more_than_a_day(void **state)
{
	const uint64_t now = c.now_ms;
	const uint64_t day = 86400000;

	(void)state;
	assert_int_equal(handshake_ts_check(now, now, now), ERR_REPLAY);
	assert_int_equal(handshake_ts_check(now + 1, now, now), ERR_OK);
	assert_int_equal(handshake_ts_check(now + day, 0, now), ERR_OK);
	assert_int_equal(
	    handshake_ts_check(now + day + 1, 0, now), ERR_EXPIRED);
	assert_int_equal(handshake_ts_check(UINT64_MAX, 0, 0), ERR_EXPIRED);
	assert_int_equal(handshake_ts_check(1, 0, UINT64_MAX), ERR_OK);
	assert_int_equal(handshake_ts_check(0, 0, now), ERR_REPLAY);
}

/* A datagram of ours never begins with 'd'; the attempt is not begun. */
static void
message_1_that_would_begin_like_krpc_is_drawn_again(void **state)
{
	struct handshake_attempt a;
	struct test_rng t;
	unsigned drawn = 0;
	unsigned refused = 0;

	(void)state;
	test_rng_init(&t, test_seed(111));
	while (refused == 0 && drawn < 5000) {
		struct handshake_case other = c;
		uint8_t m[PACKET_MESSAGE_1_SIZE];
		enum err err;

		rng_fill(&t.rng, other.e_i, sizeof(other.e_i));
		err = handshake_case_1(&other, m, &a);
		drawn++;
		refused += err == ERR_CONFLICT;
		assert_true(
		    err == ERR_CONFLICT || (err == ERR_OK && m[0] != 'd'));
	}
	assert_true(refused > 0);
}

static void
indices_of_a_session_never_begin_like_krpc(void **state)
{
	struct test_rng t;
	bool left_out = false;

	(void)state;
	test_rng_init(&t, test_seed(112));
	for (int i = 0; i < 200; i++) {
		struct handshake_keys k;
		uint8_t out[PACKET_MESSAGE_2_SIZE];
		struct handshake_2 in = {
			.rk = &c.cur,
			.id_i = &c.id_i,
			.id_r = &c.id_r,
			.mac2 = c.mac2,
		};
		uint8_t e[32];

		rng_fill(&t.rng, e, sizeof(e));
		in.e_sk = e;
		in.payload.key_used = KEY_CUR;
		in.payload.udp_max = HANDSHAKE_UDP_MIN;
		in.payload.index = packet_draw_index(&t.rng);
		assert_int_equal(
		    handshake_2_seal(&request, &in, out, &k), ERR_OK);
		assert_true(k.n_send_index > 0 && k.n_receive_index > 0);
		assert_true(k.receive_index[0] == in.payload.index);
		assert_true(k.send_index[0] == request.payload.index);
		for (int j = 0; j < k.n_send_index; j++)
			assert_false(
			    packet_begins_like_krpc(k.send_index[j] & 0xff));
		left_out = left_out || k.n_send_index < PACKET_INDICES;
	}
	assert_true(left_out); /* 7 of 256 are, in 200 handshakes */
}

static void
a_day_ends_at_midnight_utc(void **state)
{
	(void)state;
	assert_int_equal(handshake_day(0), 0);
	assert_int_equal(handshake_day(86399999), 0);
	assert_int_equal(handshake_day(86400000), 1);
	assert_int_equal(handshake_day(UINT64_MAX), UINT32_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
		    hostile_3_message_1_with_any_bit_flipped_is_dropped),
		cmocka_unit_test(
		    hostile_3_a_bit_flipped_under_a_right_mac1_is_dropped),
		cmocka_unit_test(
		    hostile_4_message_1_of_another_length_is_dropped),
		cmocka_unit_test(hostile_5_message_1_of_a_neighbour_day_only),
		cmocka_unit_test(hostile_8_low_order_ephemerals_are_refused),
		cmocka_unit_test(
		    hostile_9_message_1_from_our_own_static_key_is_dropped),
		cmocka_unit_test(hostile_9_a_reflected_message_1_is_dropped),
		cmocka_unit_test(
		    hostile_13_message_2_with_any_bit_flipped_is_dropped),
		cmocka_unit_test(
		    hostile_13_message_2_for_another_attempt_or_key_is_dropped),
		cmocka_unit_test(
		    hostile_12_a_cookie_reply_fits_its_own_message_1_only),
		cmocka_unit_test(a_cookie_is_of_one_address_port_and_secret),
		cmocka_unit_test(ts_must_rise_and_not_lead_by_more_than_a_day),
		cmocka_unit_test(
		    message_1_that_would_begin_like_krpc_is_drawn_again),
		cmocka_unit_test(indices_of_a_session_never_begin_like_krpc),
		cmocka_unit_test(a_day_ends_at_midnight_utc),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, teardown);
}
