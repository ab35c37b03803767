/* The store: which code a put gets, how long it lasts, what goes first. */
#include "proto/crypto/sha1.h"
#include "proto/dht/items.h"
#include "tests/support/dht_item.h"
#include "tests/support/json.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct test_rng r;
static struct items s;

static int
setup(void **state)
{
	(void)state;
	test_rng_init(&r, 1);
	return items_init(&s, &r.rng) ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	items_clear(&s);
	return 0;
}

static enum krpc_code
put(const struct krpc *m, uint64_t now_ms)
{
	struct endpoint from = test_addr(1, 2, 3, 4);
	enum krpc_code code = items_check(m);

	return code ? code : items_put(&s, m, &from, now_ms);
}

static enum krpc_code
put_item(uint8_t key, const char *v, int64_t seq, uint64_t now_ms)
{
	struct dht_item item;
	struct krpc m;

	test_item(key, span_str(""), span_str(v), seq, &item);
	m = test_put(&item);
	return put(&m, now_ms);
}

static const struct item *
get_item(uint8_t key, uint64_t now_ms)
{
	struct dht_item item;
	struct target target;

	test_item(key, span_str(""), span_str(""), 1, &item);
	dht_item_target(item.pk, span_str(""), &target);
	return items_get(&s, &target, now_ms);
}

static bool
keep_item(uint8_t key, int64_t seq, const struct endpoint *from, uint64_t ms)
{
	struct dht_item item;
	struct target target;

	test_item(key, span_str(""), span_str(""), 1, &item);
	dht_item_target(item.pk, span_str(""), &target);
	return items_keep(&s, &target, seq, from, ms);
}

static void
the_network_that_put_an_item_may_keep_it(void **state)
{
	struct endpoint here = test_addr(1, 2, 3, 99);
	struct endpoint there = test_addr(1, 2, 4, 4);

	(void)state;
	assert_false(keep_item(1, 5, &here, 0));
	assert_int_equal(put_item(1, "v", 5, 0), KRPC_OK);
	assert_false(keep_item(1, 4, &here, 1000));
	assert_false(keep_item(1, 6, &here, 1000));
	assert_false(keep_item(1, 5, &there, 1000));
	assert_non_null(get_item(1, ITEMS_LIFE_MS - 1));
	assert_null(get_item(1, ITEMS_LIFE_MS)); /* none of these counted */
	assert_true(keep_item(1, 5, &here, ITEMS_LIFE_MS - 1));
	items_expire(&s, ITEMS_LIFE_MS);
	assert_non_null(get_item(1, 2 * (uint64_t)ITEMS_LIFE_MS - 2));
	items_expire(&s, 2 * (uint64_t)ITEMS_LIFE_MS - 1);
	assert_null(get_item(1, 2 * (uint64_t)ITEMS_LIFE_MS - 1));
	assert_false(
	    keep_item(1, 5, &here, 2 * (uint64_t)ITEMS_LIFE_MS)); /* too late */
}

static void
the_vectors_of_bep_44_verify(void **state)
{
	cJSON *all = json_load("tests/vectors/bep/bep44.json");
	const cJSON *o;
	unsigned n = 0;

	(void)state;
	assert_non_null(all);
	cJSON_ArrayForEach(o, all)
	{
		struct blob target = json_blob(o, "target");
		const char *salt = json_string(o, "salt");
		struct krpc m = { .v = span_str(json_string(o, "v_bencoded")) };
		struct target got;

		m.salt = span_str(salt ? salt : "");
		m.has_k = json_bytes(o, "public_key", m.k, 32);
		m.has_sig = json_bytes(o, "signature", m.sig, 64);
		m.has_seq = true;
		m.seq = (int64_t)json_number(o, "seq");
		items_target(&m, &got);
		assert_true(blob_is(&target, got.b, sizeof(got.b)));
		assert_int_equal(put(&m, 1), KRPC_OK);
		assert_non_null(items_get(&s, &got, 1));
		n++;
	}
	cJSON_Delete(all);
	assert_int_equal(n, 3);
}

static void
an_item_signs_verifies_and_breaks_with_any_bit(void **state)
{
	struct dht_item item, bad;

	(void)state;
	test_item(1, span_str("salt"), span_str("value"), 7, &item);
	assert_int_equal(dht_item_verify(&item), ERR_OK);
	for (unsigned bit = 0; bit < 8U * item.v_n; bit++) {
		bad = item;
		bad.v[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(dht_item_verify(&bad), ERR_AUTH);
	}
	bad = item;
	bad.seq++;
	assert_int_equal(dht_item_verify(&bad), ERR_AUTH);
	bad = item;
	bad.salt_n = 0;
	assert_int_equal(dht_item_verify(&bad), ERR_AUTH);
	bad = item;
	bad.pk[0] ^= 1;
	assert_int_equal(dht_item_verify(&bad), ERR_AUTH);
	bad = item;
	bad.v_n = DHT_VALUE_MAX + 1;
	assert_int_equal(dht_item_verify(&bad), ERR_TOO_LONG);
	bad = item;
	bad.seq = -1;
	assert_int_equal(dht_item_verify(&bad), ERR_AUTH);
	test_item(2, span_str(""), span_str("x"), INT64_MAX, &item);
	assert_int_equal(dht_item_verify(&item), ERR_OK);
}

static void
higher_seq_replaces_and_lower_is_refused(void **state)
{
	(void)state;
	assert_int_equal(put_item(1, "a", 5, 1), KRPC_OK);
	assert_int_equal(put_item(1, "b", 6, 1), KRPC_OK);
	assert_memory_equal(get_item(1, 1)->v, "1:b", 3);
	assert_int_equal(put_item(1, "c", 5, 1), KRPC_SEQ_TOO_LOW);
	assert_int_equal(get_item(1, 1)->seq, 6);
	assert_int_equal(s.index.n, 1);
}

static void
equal_seq_renews_but_does_not_replace(void **state)
{
	(void)state;
	assert_int_equal(put_item(1, "a", 5, 0), KRPC_OK);
	assert_int_equal(put_item(1, "b", 5, ITEMS_LIFE_MS - 1), KRPC_OK);
	assert_memory_equal(get_item(1, ITEMS_LIFE_MS)->v, "1:a", 3);
}

static void
cas_must_name_the_stored_seq(void **state)
{
	struct dht_item item;
	struct krpc m;

	(void)state;
	test_item(1, span_str(""), span_str("a"), 5, &item);
	m = test_put(&item);
	m.has_cas = true;
	m.cas = 99;
	assert_int_equal(put(&m, 1), KRPC_OK); /* nothing to compare with */
	test_item(1, span_str(""), span_str("b"), 6, &item);
	m = test_put(&item);
	m.has_cas = true;
	m.cas = 4;
	assert_int_equal(put(&m, 1), KRPC_CAS_MISMATCH);
	m.cas = 5;
	assert_int_equal(put(&m, 1), KRPC_OK);
}

static void
salts_are_different_cells(void **state)
{
	struct dht_item item;
	struct krpc m;

	(void)state;
	test_item(1, span_str(""), span_str("a"), 5, &item);
	m = test_put(&item);
	assert_int_equal(put(&m, 1), KRPC_OK);
	test_item(1, span_str("1"), span_str("b"), 1, &item);
	m = test_put(&item);
	assert_int_equal(put(&m, 1), KRPC_OK);
	assert_int_equal(s.index.n, 2);
}

static void
an_immutable_item_lies_under_its_hash(void **state)
{
	struct krpc m = { .v = span_str("5:hello") };
	struct target target;

	(void)state;
	assert_int_equal(put(&m, 1), KRPC_OK);
	sha1(&m.v, 1, target.b);
	assert_false(items_get(&s, &target, 1)->is_mutable);
	assert_int_equal(put(&m, 2), KRPC_OK);
	assert_int_equal(s.index.n, 1);
}

static void
items_live_two_hours(void **state)
{
	(void)state;
	assert_int_equal(put_item(1, "a", 5, 1000), KRPC_OK);
	assert_int_equal(put_item(2, "b", 5, 2000), KRPC_OK);
	assert_non_null(get_item(1, 999 + ITEMS_LIFE_MS));
	assert_null(get_item(1, 1000 + ITEMS_LIFE_MS)); /* before it is gone */
	assert_int_equal(s.expire_ms, 1000 + ITEMS_LIFE_MS);
	items_expire(&s, 1000 + ITEMS_LIFE_MS);
	assert_int_equal(s.index.n, 1);
	assert_int_equal(s.expire_ms, 2000 + ITEMS_LIFE_MS);
	/* Its old seq is forgotten with it. */
	assert_int_equal(put_item(1, "c", 1, 1000 + ITEMS_LIFE_MS), KRPC_OK);
	items_expire(&s, UINT64_C(100) * ITEMS_LIFE_MS);
	assert_int_equal(s.index.n, 0);
	assert_true(s.expire_ms == NEVER);
}

static enum krpc_code
put_number(unsigned i, const struct endpoint *from, uint64_t now_ms)
{
	char text[16];
	struct krpc m = { .v = span_of(text, 0) };

	m.v.n = (size_t)snprintf(text, sizeof(text), "i%ue", i);
	return items_put(&s, &m, from, now_ms);
}

static void
a_full_store_gives_up_the_farthest(void **state)
{
	unsigned n_far = 0;

	(void)state;
	for (unsigned i = 0; i < 3 * ITEMS_MAX; i++) {
		struct endpoint from = test_addr(1 + i / 250, i % 250, 1, 1);

		assert_int_equal(put_number(i, &from, i), KRPC_OK);
		assert_true(s.index.n <= ITEMS_MAX);
	}
	assert_int_equal(s.index.n, ITEMS_MAX);
	for (unsigned i = 0; i < ITEMS_MAX; i++) /* own id is zero */
		n_far += (s.item[i].target.b[0] & 0x80) != 0;
	assert_true(n_far < ITEMS_MAX / 10);
}

static void
one_network_cannot_push_out_the_others(void **state)
{
	struct endpoint flood = test_addr(66, 6, 6, 6);
	unsigned n_flood = 0;

	(void)state;
	for (unsigned i = 0; i < ITEMS_TIGHT; i++) {
		struct endpoint from = test_addr(1 + i / 250, i % 250, 1, 1);

		assert_int_equal(put_number(i, &from, 1), KRPC_OK);
	}
	for (unsigned i = 1000; i < 2000; i++) {
		flood.addr[15] = (uint8_t)i; /* its whole /24 */
		assert_int_equal(put_number(i, &flood, i), KRPC_OK);
	}
	for (unsigned i = 0; i < ITEMS_MAX; i++)
		n_flood += s.item[i].used && s.item[i].from.addr[12] == 66;
	assert_int_equal(n_flood, ITEMS_QUOTA);
	assert_int_equal(s.index.n, ITEMS_TIGHT + ITEMS_QUOTA);
}

static void
with_room_one_network_may_store_many(void **state)
{
	struct endpoint from = test_addr(5, 5, 5, 5);

	(void)state;
	for (unsigned i = 0; i < ITEMS_TIGHT; i++)
		assert_int_equal(put_number(i, &from, i), KRPC_OK);
	assert_int_equal(s.index.n, ITEMS_TIGHT);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_network_that_put_an_item_may_keep_it),
		TEST(the_vectors_of_bep_44_verify),
		TEST(an_item_signs_verifies_and_breaks_with_any_bit),
		TEST(higher_seq_replaces_and_lower_is_refused),
		TEST(equal_seq_renews_but_does_not_replace),
		TEST(cas_must_name_the_stored_seq),
		TEST(salts_are_different_cells),
		TEST(an_immutable_item_lies_under_its_hash),
		TEST(items_live_two_hours),
		TEST(a_full_store_gives_up_the_farthest),
		TEST(one_network_cannot_push_out_the_others),
		TEST(with_room_one_network_may_store_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
