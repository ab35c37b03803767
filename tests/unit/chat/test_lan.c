/* Tokens and beacons of the local network, against the formulas. */
#include "proto/chat/lan.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct disc_key disc = { { 7, 7, 7 } };

/* [SPEC §4.5], anew. */
static void
formula(const char *label, uint8_t d, uint64_t slot, uint8_t ret[8])
{
	uint8_t x[64];
	uint8_t h[32];
	size_t n = strlen(label);

	memcpy(x, label, n);
	x[n++] = d;
	for (int i = 0; i < 8; i++)
		x[n++] = (uint8_t)(slot >> (8 * i));
	assert_int_equal(crypto_auth_hmacsha256(h, x, n, disc.b), 0);
	memcpy(ret, h, 8);
}

static void
a_token_is_what_the_formula_says(void **state)
{
	struct lan_token t;
	uint8_t want[8];

	(void)state;
	for (uint8_t d = 0; d < 2; d++) {
		enum cell_dir dir = d ? CELL_HIGHER : CELL_LOWER;

		lan_token(&disc, LAN_BEACON, dir, 1994511, &t);
		formula("btchat/1 lan", d, 1994511, want);
		assert_memory_equal(t.b, want, 8);
		lan_token(&disc, LAN_CELL, dir, 1994511, &t);
		formula("btchat/1 lan cell", d, 1994511, want);
		assert_memory_equal(t.b, want, 8);
	}
	assert_int_equal(lan_slot(899), 0);
	assert_int_equal(lan_slot(900), 1);
}

static int
compare(const void *a, const void *b)
{
	return memcmp(a, b, LAN_TOKEN_SIZE);
}

static void
beacons_of_a_slot_differ_in_order_only(void **state)
{
	const uint8_t key[32] = { 1 };
	struct lan_token mine[3];
	uint8_t a[LAN_SIZE];
	uint8_t b[LAN_SIZE];
	struct test_rng rng;

	(void)state;
	test_rng_init(&rng, 1);
	for (uint8_t i = 0; i < 3; i++)
		memset(mine[i].b, 0xf0 + i, LAN_TOKEN_SIZE);
	lan_beacon(mine, 3, key, 5, &rng.rng, a);
	lan_beacon(mine, 3, key, 5, &rng.rng, b);
	assert_memory_not_equal(a, b, LAN_SIZE);
	qsort(a, LAN_TOKENS, LAN_TOKEN_SIZE, compare);
	qsort(b, LAN_TOKENS, LAN_TOKEN_SIZE, compare);
	assert_memory_equal(a, b, LAN_SIZE);
	for (size_t i = 1; i < LAN_TOKENS; i++)
		assert_true(compare(a + 8 * (i - 1), a + 8 * i) < 0);
	for (size_t i = 0; i < 3; i++)
		assert_non_null(
		    bsearch(mine[i].b, a, LAN_TOKENS, LAN_TOKEN_SIZE, compare));
	/* The next slot has no dummy of this one. */
	lan_beacon(NULL, 0, key, 6, &rng.rng, b);
	for (size_t i = 0; i < LAN_TOKENS; i++)
		assert_null(
		    bsearch(b + 8 * i, a, LAN_TOKENS, LAN_TOKEN_SIZE, compare));
}

static void
a_table_knows_three_slots_and_nothing_else(void **state)
{
	struct lan_table t = { 0 };
	struct disc_key k[40];
	struct lan_token token;

	(void)state;
	assert_null(lan_table_find(&t, disc.b));
	assert_int_equal(lan_table_reset(&t, 40), ERR_OK);
	for (uint8_t i = 0; i < 40; i++) {
		memset(k[i].b, i, sizeof(k[i].b));
		lan_table_add(
		    &t, &k[i], i % 2 ? CELL_LOWER : CELL_HIGHER, i, 1000);
	}
	lan_table_sort(&t);
	for (uint8_t i = 0; i < 40; i++) {
		enum cell_dir dir = i % 2 ? CELL_LOWER : CELL_HIGHER;

		for (uint64_t slot = 997; slot <= 1003; slot++) {
			const struct lan_entry *e;

			lan_token(&k[i], LAN_CELL, dir, slot, &token);
			e = lan_table_find(&t, token.b);
			assert_true(
			    (e != NULL) == (slot >= 999 && slot <= 1001));
			if (e != NULL)
				assert_true(e->who == i && e->slot == slot &&
				            e->kind == LAN_CELL);
			lan_token(&k[i], LAN_BEACON, !dir, slot, &token);
			assert_null(lan_table_find(&t, token.b));
		}
	}
	lan_table_clear(&t);
	assert_null(lan_table_find(&t, token.b));
}

static void
a_cell_of_a_slot_opens_at_the_other_side(void **state)
{
	struct cell_key a;
	struct cell_key b;
	int64_t seq_a;
	int64_t seq_b;

	(void)state;
	/* Every slot of two days, so also those over the epoch's edge. */
	for (uint64_t slot = 1994000; slot < 1994200; slot++) {
		assert_int_equal(
		    lan_cell_key(&disc, CELL_LOWER, slot, &a, &seq_a), ERR_OK);
		assert_int_equal(
		    lan_cell_key(&disc, CELL_LOWER, slot, &b, &seq_b), ERR_OK);
		assert_true(seq_a == seq_b);
		assert_memory_equal(a.vkey, b.vkey, sizeof(a.vkey));
	}
	assert_int_equal(
	    lan_cell_key(&disc, CELL_LOWER, UINT64_MAX, &a, &seq_a), ERR_LIMIT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_token_is_what_the_formula_says),
		cmocka_unit_test(beacons_of_a_slot_differ_in_order_only),
		cmocka_unit_test(a_table_knows_three_slots_and_nothing_else),
		cmocka_unit_test(a_cell_of_a_slot_opens_at_the_other_side),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
