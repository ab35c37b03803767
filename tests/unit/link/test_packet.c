/* Transport packets and indices; the classes are in the known answers. */
#include "proto/link/packet.h"

#include "tests/support/rng.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const size_t sizes[] = { 64, 128, 256, 512, 1024, 1172, 1424 };

static struct packet_key
draw_key(const struct rng *rng)
{
	struct packet_key k;

	rng_fill(rng, &k, sizeof(k));
	return k;
}

static void
packets_come_back_also_in_place(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(121));
	for (unsigned i = 0; i < 500; i++) {
		struct packet_key k = draw_key(&t.rng);
		size_t n = sizes[rng_below(&t.rng, 7)];
		uint64_t counter = rng_u64(&t.rng) >> (4 + i % 60);
		uint8_t plain[1500];
		uint8_t packet[1600];
		struct span d = span_of(packet, n + PACKET_OVERHEAD);
		uint64_t got;
		uint32_t index;

		rng_fill(&t.rng, plain, n);
		memcpy(packet + PACKET_HEAD, plain, n);
		packet_seal(&k, 0x01020304, counter,
		    span_of(packet + PACKET_HEAD, n), packet);
		assert_true(packet_index(d, &index) && index == 0x01020304);
		assert_int_equal(packet_counter(&k, d, &got), ERR_OK);
		assert_true(got == counter);
		assert_int_equal(
		    packet_open(&k, d, got, packet + PACKET_HEAD), ERR_OK);
		assert_memory_equal(packet + PACKET_HEAD, plain, n);
	}
}

/* Hostile input 17, the codec's part: whatever is flipped, it does not open
 * under the counter that it then seems to have. */
static void
hostile_17_a_packet_with_any_bit_flipped_does_not_open(void **state)
{
	struct test_rng t;
	struct packet_key k;
	uint8_t packet[PACKET_OVERHEAD + 64];
	uint8_t out[64] = { 0 };
	struct span d = span_of(packet, sizeof(packet));

	(void)state;
	test_rng_init(&t, test_seed(122));
	k = draw_key(&t.rng);
	packet_seal(&k, 77, 5, span_of(out, sizeof(out)), packet);
	for (size_t i = 0; i < 8 * sizeof(packet); i++) {
		uint64_t counter;

		packet[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_int_equal(packet_counter(&k, d, &counter), ERR_OK);
		assert_int_equal(packet_open(&k, d, counter, out), ERR_AUTH);
		packet[i / 8] ^= (uint8_t)(1U << i % 8);
	}
}

static void
packets_of_impossible_lengths_are_malformed(void **state)
{
	static uint8_t packet[PACKET_OVERHEAD + PACKET_PLAIN_MAX + 2];
	const struct packet_key k = { { 1 }, { 2 } };
	uint64_t counter;

	(void)state;
	for (size_t n = 0; n < sizeof(packet); n++) {
		bool fits = n >= PACKET_OVERHEAD + PACKET_PLAIN_MIN &&
		            n <= PACKET_OVERHEAD + PACKET_PLAIN_MAX;

		assert_int_equal(
		    packet_counter(&k, span_of(packet, n), &counter),
		    fits ? ERR_OK : ERR_MALFORMED);
	}
}

/* What a passive listener could count: equal counters and plain texts give
 * headers that look unrelated. */
static void
the_same_packet_under_another_counter_shares_no_header(void **state)
{
	const struct packet_key k = { { 1 }, { 2 } };
	uint8_t a[PACKET_OVERHEAD + 64];
	uint8_t b[PACKET_OVERHEAD + 64];
	const uint8_t zeros[64] = { 0 };
	int equal = 0;

	(void)state;
	packet_seal(&k, 77, 1, span_of(zeros, 64), a);
	for (uint64_t counter = 2; counter < 202; counter++) {
		packet_seal(&k, 77, counter, span_of(zeros, 64), b);
		for (int i = 4; i < PACKET_HEAD; i++)
			equal += a[i] == b[i];
	}
	assert_true(equal < 30); /* 200 * 8 / 256 are expected */
}

static void
indices_and_nonces_never_begin_like_krpc(void **state)
{
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(123));
	for (int i = 0; i < 20000; i++) {
		uint8_t nonce[PACKET_NONCE_SIZE];
		uint32_t index = packet_draw_index(&t.rng);

		assert_true(index != 0 && (index & 0xff) != 'd');
		packet_draw_nonce(&t.rng, nonce);
		assert_true(nonce[0] != 'd');
	}
	assert_false(packet_index_usable(0));
	assert_false(packet_index_usable('d'));
	assert_false(packet_index_usable(0x12345600U | 'd'));
	assert_true(packet_index_usable(0x64000000));
}

/* Hostile inputs 1 and 2, the part of the classes: with nothing of ours under
 * way, only these lengths are ever looked at. */
static void
hostile_2_an_idle_port_looks_at_few_lengths(void **state)
{
	static uint8_t d[2000];
	const struct packet_known idle = { 0 };

	(void)state;
	for (size_t n = 0; n < sizeof(d); n++) {
		enum packet_class want = PACKET_DROP;

		if (n == 168)
			want = PACKET_MESSAGE_1;
		if (n == 128 || n == 256 || n == 512 || n == 1024 || n == 1232)
			want = PACKET_QUERY;
		assert_int_equal(packet_classify(span_of(d, n), &idle), want);
	}
}

static void
short_datagrams_have_no_index_and_no_tag(void **state)
{
	const uint8_t d[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	uint8_t tag[PACKET_TAG_SIZE];
	uint32_t index;

	(void)state;
	for (size_t n = 0; n <= 8; n++) {
		assert_int_equal(packet_index(span_of(d, n), &index), n >= 4);
		assert_int_equal(index, n >= 4 ? 0x04030201 : 0);
		assert_int_equal(packet_tag(span_of(d, n), tag), n >= 8);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(packets_come_back_also_in_place),
		cmocka_unit_test(
		    hostile_17_a_packet_with_any_bit_flipped_does_not_open),
		cmocka_unit_test(packets_of_impossible_lengths_are_malformed),
		cmocka_unit_test(
		    the_same_packet_under_another_counter_shares_no_header),
		cmocka_unit_test(indices_and_nonces_never_begin_like_krpc),
		cmocka_unit_test(hostile_2_an_idle_port_looks_at_few_lengths),
		cmocka_unit_test(short_datagrams_have_no_index_and_no_tag),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
