/* Ids: distance, and the form that belongs to an address. */
#include "proto/dht/nodeid.h"
#include "tests/support/json.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct endpoint
v4(unsigned a, unsigned b, unsigned c, unsigned d)
{
	uint8_t addr[4] = { (uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d };

	return endpoint_v4(addr, 6881);
}

static struct target
flip(struct target id, unsigned bit)
{
	id.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
	return id;
}

static void
common_bits_are_counted_from_the_front(void **state)
{
	struct target a = { { 0x5a } };

	(void)state;
	assert_int_equal(nodeid_common(&a, &a), 160);
	for (unsigned bit = 0; bit < 160; bit++) {
		struct target b = flip(a, bit);

		assert_int_equal(nodeid_common(&a, &b), bit);
		assert_false(nodeid_eq(&a, &b));
	}
}

static void
nearer_means_smaller_xor(void **state)
{
	struct target goal = { { 0x80 } }, near = flip(goal, 159);
	struct target far = flip(goal, 0);

	(void)state;
	assert_true(nodeid_compare(&goal, &near, &far) < 0);
	assert_true(nodeid_compare(&goal, &far, &near) > 0);
	assert_int_equal(nodeid_compare(&goal, &far, &far), 0);
	assert_true(nodeid_compare(&goal, &goal, &near) < 0);
	assert_int_equal(nodeid_distance64(&goal, &far), UINT64_C(1) << 63);
	assert_int_equal(nodeid_distance64(&goal, &near), 0);
}

static void
blurring_keeps_exactly_the_bits_it_promises(void **state)
{
	struct test_rng r;
	struct target goal, got;
	unsigned shortest = 160;

	(void)state;
	test_rng_init(&r, test_seed(1));
	nodeid_random(&r.rng, &goal);
	for (unsigned keep = 0; keep <= 160; keep++) {
		nodeid_blur(&goal, keep, &r.rng, &got);
		assert_true(nodeid_common(&goal, &got) >= keep);
	}
	for (int i = 0; i < 64; i++) {
		nodeid_blur(&goal, 13, &r.rng, &got);
		if (nodeid_common(&goal, &got) < shortest)
			shortest = nodeid_common(&goal, &got);
	}
	assert_int_equal(shortest, 13); /* the rest is random */
	for (unsigned i = 0; i < 160; i++) {
		nodeid_in_bucket(&goal, i, &r.rng, &got);
		assert_int_equal(nodeid_common(&goal, &got), i);
	}
}

static void
ids_of_the_bep_42_vectors_are_made_and_verify(void **state)
{
	cJSON *all = json_load("tests/vectors/bep/bep42.json");
	const cJSON *o;
	struct test_rng r;
	unsigned n = 0;

	(void)state;
	assert_non_null(all);
	test_rng_init(&r, 1);
	cJSON_ArrayForEach(o, all)
	{
		struct target want, got;
		unsigned a[4];
		struct endpoint at;

		assert_int_equal(sscanf(json_string(o, "ip"), "%u.%u.%u.%u",
		                     &a[0], &a[1], &a[2], &a[3]),
		    4);
		assert_true(json_bytes(o, "node_id", want.b, 20));
		at = v4(a[0], a[1], a[2], a[3]);
		nodeid_make(&at, (uint8_t)json_number(o, "rand"), &r.rng, &got);
		assert_true(nodeid_common(&got, &want) >= 21);
		assert_int_equal(got.b[19], want.b[19]);
		assert_true(nodeid_valid(&want, &at));
		n++;
	}
	cJSON_Delete(all);
	assert_int_equal(n, 5);
}

/* Made by libtorrent 2.0.8; the BEP itself has no IPv6 examples. */
static void
ids_of_libtorrent_for_ipv6_verify(void **state)
{
	static const struct {
		uint8_t addr[8]; /* the first half, which counts */
		uint8_t id[3], last;
	} known[] = {
		{ { 0x2a, 0x01, 0x04, 0xf8, 0x0c, 0x17, 0x12, 0x34 },
		    { 0xd6, 0x75, 0xcc }, 0xa7 },
		{ { 0x26, 0x00, 0x17, 0x00, 0xab, 0xcd, 0xef, 0x01 },
		    { 0x1f, 0x47, 0xae }, 0xe3 },
		{ { 0x20, 0x01, 0x04, 0x70, 0x1f, 0x0b, 0x00, 0x01 },
		    { 0x49, 0xeb, 0x48 }, 0xad },
		{ { 0x2a, 0x02, 0x80, 0x71, 0x52, 0x80, 0xaa, 0x00 },
		    { 0xce, 0xe7, 0xf3 }, 0x5d },
		{ { 0x24, 0x09, 0x8a, 0x00, 0x12, 0x34, 0x56, 0x78 },
		    { 0x39, 0xc0, 0x85 }, 0x71 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct endpoint at = { .port = 1 };
		struct target id = { { 0 } };

		memcpy(at.addr, known[i].addr, 8);
		at.addr[15] = 1; /* does not count */
		memcpy(id.b, known[i].id, 3);
		id.b[19] = known[i].last;
		assert_true(nodeid_valid(&id, &at));
		id = flip(id, 20);
		assert_false(nodeid_valid(&id, &at));
	}
}

static void
only_the_bits_that_count_are_checked(void **state)
{
	struct endpoint at = v4(124, 31, 75, 21), other;
	struct test_rng r;
	struct target id;

	(void)state;
	test_rng_init(&r, 3);
	nodeid_make(&at, 0xa5, &r.rng, &id);
	for (unsigned bit = 0; bit < 160; bit++) {
		struct target bad = flip(id, bit);
		bool counts = bit < 21 || bit >= 157;

		assert_int_equal(nodeid_valid(&bad, &at), !counts);
	}
	other = v4(124, 31, 75, 22);
	assert_false(nodeid_valid(&id, &other));
	other = v4(124 ^ 0x80, 31 ^ 0x80, 75 ^ 0xc0, 21); /* masked away */
	assert_true(nodeid_valid(&id, &other));
}

static void
local_addresses_may_have_any_id(void **state)
{
	const struct endpoint local[] = { v4(10, 1, 2, 3), v4(172, 16, 0, 1),
		v4(192, 168, 1, 1), v4(169, 254, 1, 1), v4(127, 0, 0, 1) };
	struct target id = { { 0 } };

	(void)state;
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		assert_true(nodeid_valid(&id, &local[i]));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(common_bits_are_counted_from_the_front),
		cmocka_unit_test(nearer_means_smaller_xor),
		cmocka_unit_test(blurring_keeps_exactly_the_bits_it_promises),
		cmocka_unit_test(ids_of_the_bep_42_vectors_are_made_and_verify),
		cmocka_unit_test(ids_of_libtorrent_for_ipv6_verify),
		cmocka_unit_test(only_the_bits_that_count_are_checked),
		cmocka_unit_test(local_addresses_may_have_any_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
