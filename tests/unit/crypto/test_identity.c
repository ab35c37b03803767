/* IDs, certificates, safety numbers, addresses beyond the known answers. */
#include "proto/crypto/identity.h"

#include "tests/support/json.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW_S = 1796000000 };

static struct id_pk id;
static struct id_sk sk;

static int
setup(void **state)
{
	const struct id_seed seed = { { 42 } };

	(void)state;
	identity_from_seed(&seed, &id, &sk);
	return 0;
}

static struct cert
some_cert(void)
{
	struct cert c = {
		.gen = 7, .not_before_s = NOW_S - 10, .not_after_s = NOW_S + 10
	};

	memset(c.s.b, 0x55, sizeof(c.s.b));
	memset(c.device, 0x66, sizeof(c.device));
	return c;
}

/* Hostile input 72: the refused points of the known answers, in every place
 * where an ID is taken. */
static void
hostile_72_points_that_are_no_id_are_refused(void **state)
{
	cJSON *json = json_load("tests/vectors/btchat/address.json");
	const cJSON *o;
	int n = 0;

	(void)state;
	cJSON_ArrayForEach(o, json_item(json, "invalid"))
	{
		char name[ADDRESS_NAME_MAX + 1];
		struct id_pk bad;
		struct id_pk got;

		if (!json_bytes(o, "ID", bad.b, sizeof(bad.b)))
			continue;
		n++;
		assert_int_equal(identity_check(&bad), ERR_BAD_KEY);
		assert_int_equal(
		    address_decode(
		        span_str(json_string(o, "text")), &got, name),
		    ERR_BAD_KEY);
	}
	assert_true(n >= 9);
	assert_int_equal(identity_check(&id), ERR_OK);
	cJSON_Delete(json);
}

static void
a_certificate_says_what_was_signed(void **state)
{
	struct cert in = some_cert();
	struct cert out;
	struct cert_bytes b;

	(void)state;
	cert_sign(&sk, &in, &b);
	assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_OK);
	assert_memory_equal(out.s.b, in.s.b, 32);
	assert_memory_equal(out.device, in.device, DEVICE_ID_SIZE);
	assert_int_equal(out.gen, in.gen);
	assert_true(out.not_before_s == in.not_before_s);
	assert_true(out.not_after_s == in.not_after_s);
}

/* Hostile input 28: every bit of it is signed. */
static void
hostile_28_no_bit_of_a_certificate_can_change(void **state)
{
	struct cert in = some_cert();
	struct cert out;
	struct cert_bytes b;

	(void)state;
	cert_sign(&sk, &in, &b);
	for (size_t i = 0; i < 8 * CERT_SIZE; i++) {
		b.b[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_AUTH);
		b.b[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_OK);
}

/* Hostile input 28: the last second counts, the end does not. */
static void
hostile_28_a_certificate_ends_with_its_last_second(void **state)
{
	struct cert in = some_cert();
	struct cert out;
	struct cert_bytes b;

	(void)state;
	cert_sign(&sk, &in, &b);
	assert_int_equal(cert_open(&b, &id, NOW_S - 11, &out), ERR_EXPIRED);
	assert_int_equal(cert_open(&b, &id, NOW_S - 10, &out), ERR_OK);
	assert_int_equal(cert_open(&b, &id, NOW_S + 9, &out), ERR_OK);
	assert_int_equal(cert_open(&b, &id, NOW_S + 10, &out), ERR_EXPIRED);
}

/* Hostile input 28: another's certificate. */
static void
hostile_28_a_certificate_of_another_id_is_refused(void **state)
{
	const struct id_seed seed = { { 43 } };
	struct cert in = some_cert();
	struct cert out;
	struct cert_bytes b;
	struct id_pk other;
	struct id_sk other_sk;

	(void)state;
	identity_from_seed(&seed, &other, &other_sk);
	cert_sign(&other_sk, &in, &b);
	assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_AUTH);
	assert_int_equal(cert_open(&b, &other, NOW_S, &out), ERR_OK);
}

static void
sign_text(const char *context, size_t n_context, struct cert_bytes *b)
{
	uint8_t text[160];
	struct writer w = wr_init(text, sizeof(text));

	wr_bytes(&w, context, n_context);
	wr_bytes(&w, id.b, 32);
	wr_bytes(&w, b->b, 80);
	assert_false(w.bad);
	crypto_sign_detached(b->b + 80, NULL, text, w.n, sk.b);
}

/* Hostile input 28: the same body, rightly signed for another purpose. */
static void
hostile_28_a_wrong_context_label_is_refused(void **state)
{
	struct cert in = some_cert();
	struct cert out;
	struct cert_bytes b;

	(void)state;
	cert_sign(&sk, &in, &b);
	sign_text("btchat/1 static", 16, &b);
	assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_OK);
	sign_text("btchat/1 static", 15, &b); /* without its NUL */
	assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_AUTH);
	sign_text("btchat/2 static", 16, &b);
	assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_AUTH);
	sign_text("", 0, &b);
	assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_AUTH);
}

/* Rightly signed, yet not taken: only the ID's owner could make these. */
static void
spare_bytes_and_low_order_keys_are_refused(void **state)
{
	struct cert in = some_cert();
	struct cert out = { .gen = 99 };
	struct cert_bytes b;

	(void)state;
	cert_sign(&sk, &in, &b);
	b.b[79] = 1;
	sign_text("btchat/1 static", 16, &b);
	assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_MALFORMED);
	memset(in.s.b, 0, sizeof(in.s.b));
	cert_sign(&sk, &in, &b);
	assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_BAD_KEY);
	in.s.b[0] = 1;
	cert_sign(&sk, &in, &b);
	assert_int_equal(cert_open(&b, &id, NOW_S, &out), ERR_BAD_KEY);
	assert_int_equal(out.gen, 99);
}

static enum err
decode_with(const char *query, char name[ADDRESS_NAME_MAX + 1])
{
	char text[512];
	char address[ADDRESS_SIZE];
	struct id_pk got;

	address_encode(&id, address);
	snprintf(text, sizeof(text), "btchat:%s%s", address, query);
	return address_decode(span_str(text), &got, name);
}

static void
names_are_decoded_or_refused_whole(void **state)
{
	static const char *const bad[] = { "?", "?name", "?nam=x", "?NAME=x",
		"?name=%", "?name=%4", "?name=%zz", "?name=%00", "?name=a%0ab",
		"?name=%1b", "?name=%7f", "?name=%ff", "?name=%c3",
		"?name=a&b=c", "?name=a#b", "?name=a b", "?name=a?name=b&", "x",
		"?name=\xc3\xbc", "#x" };
	char name[ADDRESS_NAME_MAX + 1] = "kept";
	char longest[16 + 3 * ADDRESS_NAME_MAX + 4] = "?name=";

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (decode_with(bad[i], name) != ERR_MALFORMED)
			fail_msg("taken: %s", bad[i]);
		assert_string_equal(name, "kept");
	}
	assert_int_equal(decode_with("?name=", name), ERR_OK);
	assert_string_equal(name, "");
	assert_int_equal(decode_with("?name=%41%2b+%C3%BC", name), ERR_OK);
	assert_string_equal(name, "A++\xc3\xbc");
	for (size_t i = 0; i < ADDRESS_NAME_MAX; i++)
		memcpy(longest + 6 + 3 * i, "%61", 4);
	assert_int_equal(decode_with(longest, name), ERR_OK);
	assert_int_equal(strlen(name), ADDRESS_NAME_MAX);
	memcpy(longest + strlen(longest), "a", 2);
	assert_int_equal(decode_with(longest, name), ERR_MALFORMED);
}

static void
addresses_come_back(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(81));
	for (int i = 0; i < 200; i++) {
		char text[ADDRESS_SIZE];
		char name[ADDRESS_NAME_MAX + 1];
		struct id_seed seed;
		struct id_pk pk;
		struct id_pk got;
		struct id_sk secret;

		rng_fill(&t.rng, seed.b, sizeof(seed.b));
		identity_from_seed(&seed, &pk, &secret);
		address_encode(&pk, text);
		assert_int_equal(strlen(text), 66);
		assert_int_equal(
		    address_decode(span_str(text), &got, name), ERR_OK);
		assert_true(id_eq(&got, &pk));
	}
}

static void
a_scheme_in_another_case_than_the_address_is_refused(void **state)
{
	char text[80] = "BTCHAT:";
	char name[ADDRESS_NAME_MAX + 1];
	struct id_pk got;

	(void)state;
	address_encode(&id, text + 7);
	assert_int_equal(
	    address_decode(span_str(text), &got, name), ERR_MALFORMED);
	memcpy(text, "btChat:", 7);
	assert_int_equal(
	    address_decode(span_str(text), &got, name), ERR_MALFORMED);
	memcpy(text, "btchat:", 7);
	assert_int_equal(address_decode(span_str(text), &got, name), ERR_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hostile_72_points_that_are_no_id_are_refused),
		cmocka_unit_test(a_certificate_says_what_was_signed),
		cmocka_unit_test(hostile_28_no_bit_of_a_certificate_can_change),
		cmocka_unit_test(
		    hostile_28_a_certificate_ends_with_its_last_second),
		cmocka_unit_test(
		    hostile_28_a_certificate_of_another_id_is_refused),
		cmocka_unit_test(hostile_28_a_wrong_context_label_is_refused),
		cmocka_unit_test(spare_bytes_and_low_order_keys_are_refused),
		cmocka_unit_test(names_are_decoded_or_refused_whole),
		cmocka_unit_test(addresses_come_back),
		cmocka_unit_test(
		    a_scheme_in_another_case_than_the_address_is_refused),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, NULL);
}
