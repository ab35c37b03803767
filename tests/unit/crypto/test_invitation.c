/* Invitations beyond the known answers: whatever is changed is refused. */
#include "proto/crypto/invitation.h"

#include "proto/crypto/identity.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

static struct invitation
some_invitation(const struct rng *rng, uint8_t n_hints)
{
	struct invitation in = { .expiry_min = 30000000, .n_hints = n_hints };
	struct id_seed seed;
	struct id_sk sk;

	rng_fill(rng, seed.b, sizeof(seed.b));
	identity_from_seed(&seed, &in.id, &sk);
	rng_fill(rng, in.inv.b, sizeof(in.inv.b));
	for (int i = 0; i < n_hints; i++) {
		rng_fill(rng, in.hints[i].addr, 16);
		if (rng_below(rng, 2))
			in.hints[i] = endpoint_v4(in.hints[i].addr, 0);
		in.hints[i].port = (uint16_t)rng_u32(rng);
	}
	return in;
}

static bool
same(const struct invitation *a, const struct invitation *b)
{
	for (int i = 0; i < a->n_hints; i++) {
		if (!endpoint_eq(&a->hints[i], &b->hints[i]))
			return false;
	}
	return a->flags == b->flags && a->expiry_min == b->expiry_min &&
	       id_eq(&a->id, &b->id) && memcmp(a->inv.b, b->inv.b, 32) == 0 &&
	       a->n_hints == b->n_hints;
}

static void
invitations_come_back(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(91));
	for (int i = 0; i < 200; i++) {
		char text[INVITATION_TEXT_SIZE];
		struct invitation in =
		    some_invitation(&t.rng, (uint8_t)(i % 4));
		struct invitation out;

		in.flags = (uint8_t)rng_u32(&t.rng);
		in.expiry_min = rng_u32(&t.rng);
		assert_int_equal(
		    invitation_encode(&in, text, sizeof(text)), ERR_OK);
		assert_int_equal(
		    invitation_decode(span_str(text), &out), ERR_OK);
		assert_true(same(&in, &out));
	}
}

/* Hostile input 70: every single substitution. */
static void
hostile_70_every_other_character_anywhere_is_refused(void **state)
{
	struct test_rng t;
	char text[INVITATION_TEXT_SIZE];
	struct invitation in;
	struct invitation out;

	(void)state;
	test_rng_init(&t, test_seed(92));
	in = some_invitation(&t.rng, 3);
	assert_int_equal(invitation_encode(&in, text, sizeof(text)), ERR_OK);
	for (size_t i = 0; i < strlen(text); i++) {
		char was = text[i];

		for (int c = 1; c < 256; c++) {
			text[i] = (char)c;
			if (text[i] != was)
				assert_int_not_equal(
				    invitation_decode(span_str(text), &out),
				    ERR_OK);
		}
		text[i] = was;
	}
	assert_int_equal(invitation_decode(span_str(text), &out), ERR_OK);
}

/* Hostile input 70: double substitutions, sampled. */
static void
hostile_70_two_other_digits_are_refused(void **state)
{
	struct test_rng t;
	char text[INVITATION_TEXT_SIZE];
	struct invitation in;
	struct invitation out;
	int rounds = getenv("BTCHAT_LONG") ? 1000000 : 100000;

	(void)state;
	test_rng_init(&t, test_seed(93));
	in = some_invitation(&t.rng, 1);
	assert_int_equal(invitation_encode(&in, text, sizeof(text)), ERR_OK);
	for (int i = 0; i < rounds; i++) {
		uint32_t n = (uint32_t)strlen(text) - 9;
		const uint32_t at[2] = { 9 + rng_below(&t.rng, n),
			9 + rng_below(&t.rng, n) };
		const char was[2] = { text[at[0]], text[at[1]] };

		text[at[0]] = digits[rng_below(&t.rng, 32)];
		text[at[1]] = digits[rng_below(&t.rng, 32)];
		if (text[at[0]] != was[0] || text[at[1]] != was[1])
			assert_int_not_equal(
			    invitation_decode(span_str(text), &out), ERR_OK);
		text[at[1]] = was[1];
		text[at[0]] = was[0];
	}
}

/* Hostile input 70: mixed case, look-alikes, text behind it. */
static void
hostile_70_other_writings_are_refused(void **state)
{
	static const char *const tails[] = { " ", "\n", "x", "?", "?name=x",
		"#", "%20", "q", "\xef\xbb\xbf" };
	struct test_rng t;
	char text[INVITATION_TEXT_SIZE + 16];
	struct invitation in;
	struct invitation out = { .flags = 77 };
	size_t n;

	(void)state;
	test_rng_init(&t, test_seed(94));
	in = some_invitation(&t.rng, 2);
	assert_int_equal(
	    invitation_encode(&in, text, INVITATION_TEXT_SIZE), ERR_OK);
	n = strlen(text);
	for (size_t i = 0; i < sizeof(tails) / sizeof(tails[0]); i++) {
		memcpy(text + n, tails[i], strlen(tails[i]) + 1);
		assert_int_not_equal(
		    invitation_decode(span_str(text), &out), ERR_OK);
	}
	text[n] = '\0';
	assert_int_not_equal(
	    invitation_decode(span_of(text, n + 1), &out), ERR_OK);
	for (size_t i = 0; i < n; i++) {
		if (text[i] < 'a' || text[i] > 'z')
			continue;
		text[i] = (char)(text[i] - 32);
		assert_int_not_equal(
		    invitation_decode(span_str(text), &out), ERR_OK);
		text[i] = (char)(text[i] + 32);
	}
	memcpy(text + 9, "\xd0\xb0", 2); /* a Cyrillic letter */
	assert_int_not_equal(invitation_decode(span_str(text), &out), ERR_OK);
	assert_int_equal(out.flags, 77);
}

static void
every_shorter_text_is_refused(void **state)
{
	struct test_rng t;
	char text[INVITATION_TEXT_SIZE];
	struct invitation in;
	struct invitation out;

	(void)state;
	test_rng_init(&t, test_seed(95));
	in = some_invitation(&t.rng, 3);
	assert_int_equal(invitation_encode(&in, text, sizeof(text)), ERR_OK);
	for (size_t n = 0; n < strlen(text); n++)
		assert_int_not_equal(
		    invitation_decode(span_of(text, n), &out), ERR_OK);
}

static void
a_buffer_that_is_too_small_holds_nothing(void **state)
{
	struct test_rng t;
	char text[INVITATION_TEXT_SIZE];
	struct invitation in;
	size_t n;

	(void)state;
	test_rng_init(&t, test_seed(96));
	in = some_invitation(&t.rng, 3);
	assert_int_equal(invitation_encode(&in, text, sizeof(text)), ERR_OK);
	n = strlen(text);
	assert_int_equal(invitation_encode(&in, text, n), ERR_TOO_LONG);
	assert_int_equal(text[0], 0);
	assert_int_equal(invitation_encode(&in, text, n + 1), ERR_OK);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(invitations_come_back),
		cmocka_unit_test(
		    hostile_70_every_other_character_anywhere_is_refused),
		cmocka_unit_test(hostile_70_two_other_digits_are_refused),
		cmocka_unit_test(hostile_70_other_writings_are_refused),
		cmocka_unit_test(every_shorter_text_is_refused),
		cmocka_unit_test(a_buffer_that_is_too_small_holds_nothing),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
