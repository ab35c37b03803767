/* Cells beyond the known answers: what a peer could seal, and edges. */
#include "proto/crypto/cell.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { NOW_S = 1796000000 };

static struct id_pk id;
static struct id_sk sk;
static struct disc_key disc = { { 1, 2, 3 } };
static struct cell_key key;
static const uint8_t nonce[CELL_NONCE_SIZE] = { 9 };

static int
setup(void **state)
{
	const struct id_seed seed = { { 42 } };

	(void)state;
	identity_from_seed(&seed, &id, &sk);
	cell_key_derive(&disc, CELL_LOWER, cell_epoch(&disc, NOW_S), &key);
	return 0;
}

static struct cell
some_cell(void)
{
	struct cell c = { .unix_min = NOW_S / 60, .nat = NAT_EASY };
	struct cert says = {
		.gen = 1, .not_before_s = NOW_S - 60, .not_after_s = NOW_S + 60
	};

	memset(says.s.b, 0x55, sizeof(says.s.b));
	cert_sign(&sk, &says, &c.cert);
	memset(c.reach.b, 0x44, sizeof(c.reach.b));
	for (int i = 0; i < CELL_CANDIDATES_MAX; i++) {
		const uint8_t v4[4] = { 192, 0, 2, (uint8_t)i };

		c.candidates[i] = endpoint_v4(v4, (uint16_t)(6881 + i));
	}
	c.candidates[1].addr[0] = 0x20; /* no longer mapped */
	c.n_candidates = CELL_CANDIDATES_MAX;
	return c;
}

static void
add_introducers(struct cell *c)
{
	const uint8_t v4[4] = { 198, 51, 100, 7 };

	c->introducers[0].at = endpoint_v4(v4, 443);
	c->introducers[1].at = endpoint_v4(v4, 444);
	c->introducers[1].at.addr[0] = 0x20;
	for (int i = 0; i < CELL_INTRODUCERS_MAX; i++) {
		memset(c->introducers[i].n.b, 0x60 + i, 32);
		memset(c->introducers[i].handle, 0x70 + i, CELL_HANDLE_SIZE);
	}
	c->n_introducers = CELL_INTRODUCERS_MAX;
}

/* Seals any plain text, as a peer with the keys may. */
static void
seal_plain(const uint8_t plain[CELL_PLAIN_SIZE], uint8_t ret[CELL_VALUE_SIZE])
{
	uint8_t aad[40];
	struct writer w = wr_init(aad, sizeof(aad));

	wr_bytes(&w, key.pk, 32);
	wr_u64le(&w, 5);
	memcpy(ret, nonce, sizeof(nonce));
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret + sizeof(nonce), NULL,
	    plain, CELL_PLAIN_SIZE, aad, sizeof(aad), NULL, nonce, key.vkey);
}

static void
unseal(const uint8_t value[CELL_VALUE_SIZE], uint8_t ret[CELL_PLAIN_SIZE])
{
	uint8_t aad[40];
	struct writer w = wr_init(aad, sizeof(aad));

	wr_bytes(&w, key.pk, 32);
	wr_u64le(&w, 5);
	assert_int_equal(
	    crypto_aead_xchacha20poly1305_ietf_decrypt(ret, NULL, NULL,
	        value + sizeof(nonce), CELL_VALUE_SIZE - sizeof(nonce), aad,
	        sizeof(aad), value, key.vkey),
	    0);
}

static enum err
open_value(const uint8_t value[CELL_VALUE_SIZE], struct cell *ret)
{
	return cell_open(
	    &key, 5, span_of(value, CELL_VALUE_SIZE), &id, NOW_S, ret);
}

/* A renewal is the very item that is there; no nonce serves two texts. */
static void
a_nonce_belongs_to_one_text_and_one_seq(void **state)
{
	struct cell in = some_cell(), other;
	uint8_t first[CELL_NONCE_SIZE], again[CELL_NONCE_SIZE];
	uint64_t digest = cell_digest(&in);

	(void)state;
	cell_nonce(&key, 5, &in, first);
	other = in;
	cell_nonce(&key, 5, &other, again);
	assert_memory_equal(first, again, sizeof(first));
	assert_true(cell_digest(&other) == digest);
	cell_nonce(&key, 6, &in, again);
	assert_memory_not_equal(first, again, sizeof(first));
	other.unix_min++; /* says the same */
	cell_nonce(&key, 5, &other, again);
	assert_memory_not_equal(first, again, sizeof(first));
	assert_true(cell_digest(&other) == digest);
	other = in;
	other.candidates[0].port++;
	cell_nonce(&key, 5, &other, again);
	assert_memory_not_equal(first, again, sizeof(first));
	assert_true(cell_digest(&other) != digest);
	other = in;
	other.reach.b[31] ^= 1;
	assert_true(cell_digest(&other) != digest);
}

static void
a_cell_comes_back(void **state)
{
	struct cell in = some_cell();
	struct cell out;
	uint8_t value[CELL_VALUE_SIZE];

	(void)state;
	cell_seal(&key, 5, &in, nonce, value);
	assert_int_equal(open_value(value, &out), ERR_OK);
	assert_true(out.unix_min == in.unix_min);
	assert_int_equal(out.nat, NAT_EASY);
	assert_false(out.has_id);
	assert_int_equal(out.n_candidates, CELL_CANDIDATES_MAX);
	for (int i = 0; i < CELL_CANDIDATES_MAX; i++)
		assert_true(endpoint_eq(&out.candidates[i], &in.candidates[i]));
	assert_memory_equal(out.reach.b, in.reach.b, 32);
	assert_int_equal(out.says.gen, 1);
}

/* Hostile input 74, the part of a single cell: no other place, time, number
 * or writer opens it. */
static void
hostile_74_a_cell_opens_only_where_it_was_put(void **state)
{
	struct cell in = some_cell();
	struct cell out;
	uint8_t value[CELL_VALUE_SIZE];
	struct span v = span_of(value, sizeof(value));
	struct disc_key other_disc = { { 1, 2, 4 } };
	struct cell_key k;

	(void)state;
	cell_seal(&key, 5, &in, nonce, value);
	assert_int_equal(cell_open(&key, 6, v, &id, NOW_S, &out), ERR_AUTH);
	cell_key_derive(&disc, CELL_HIGHER, key.epoch, &k);
	assert_int_equal(cell_open(&k, 5, v, &id, NOW_S, &out), ERR_AUTH);
	cell_key_derive(&disc, CELL_LOWER, key.epoch - 1, &k);
	assert_int_equal(cell_open(&k, 5, v, &id, NOW_S, &out), ERR_AUTH);
	cell_key_derive(&other_disc, CELL_LOWER, key.epoch, &k);
	assert_int_equal(cell_open(&k, 5, v, &id, NOW_S, &out), ERR_AUTH);
	assert_int_equal(cell_open(&key, 5, v, &id, NOW_S, &out), ERR_OK);
}

static void
no_bit_of_a_value_can_change(void **state)
{
	struct cell in = some_cell();
	struct cell out;
	uint8_t value[CELL_VALUE_SIZE];

	(void)state;
	cell_seal(&key, 5, &in, nonce, value);
	for (size_t i = 0; i < 8 * sizeof(value); i++) {
		value[i / 8] ^= (uint8_t)(1U << i % 8);
		assert_int_equal(open_value(value, &out), ERR_AUTH);
		value[i / 8] ^= (uint8_t)(1U << i % 8);
	}
}

static void
what_a_peer_sealed_wrongly_is_refused(void **state)
{
	static const struct {
		size_t at;
		uint8_t byte;
		enum err err;
	} rows[] = {
		{ 0, 0, ERR_UNSUPPORTED }, { 0, 2, ERR_UNSUPPORTED },
		{ 1, 2, ERR_UNSUPPORTED }, /* a flag of later */
		{ 183, 9, ERR_MALFORMED }, /* candidates */
		{ 183, 7, ERR_MALFORMED }, /* leaves one behind the end */
		{ 336, 3, ERR_MALFORMED }, /* introducers */
		{ 336, 1, ERR_MALFORMED }, /* leaves one behind the end */
		{ 471, 1, ERR_MALFORMED }, /* no zero at the end */
		{ 6, 0x54, ERR_AUTH },     /* the certificate */
	};
	struct cell in = some_cell();
	struct cell out = { .unix_min = 3 };
	uint8_t value[CELL_VALUE_SIZE];
	uint8_t plain[CELL_PLAIN_SIZE];

	(void)state;
	add_introducers(&in);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cell_seal(&key, 5, &in, nonce, value);
		unseal(value, plain);
		plain[rows[i].at] = rows[i].byte;
		seal_plain(plain, value);
		assert_int_equal(open_value(value, &out), rows[i].err);
	}
	assert_true(out.unix_min == 3);
}

static void
candidates_of_another_kind_are_skipped(void **state)
{
	struct cell in = some_cell();
	struct cell out;
	uint8_t value[CELL_VALUE_SIZE];
	uint8_t plain[CELL_PLAIN_SIZE];

	(void)state;
	cell_seal(&key, 5, &in, nonce, value);
	unseal(value, plain);
	plain[184] = 7;          /* a relay, later */
	plain[184 + 2 * 19] = 6; /* says v6, holds v4 */
	plain[184 + 19] = 4;     /* says v4, holds v6 */
	seal_plain(plain, value);
	assert_int_equal(open_value(value, &out), ERR_OK);
	assert_int_equal(out.n_candidates, CELL_CANDIDATES_MAX - 3);
	assert_true(endpoint_eq(&out.candidates[0], &in.candidates[3]));
}

static bool
same_introducer(
    const struct cell_introducer *a, const struct cell_introducer *b)
{
	return endpoint_eq(&a->at, &b->at) &&
	       memcmp(a->n.b, b->n.b, sizeof(a->n.b)) == 0 &&
	       memcmp(a->handle, b->handle, sizeof(a->handle)) == 0;
}

/* Round trips of every number of candidates and introducers, with and without
 * an ID: candidates are all there, and of introducers as many as fit. */
static void
introducers_come_back_as_far_as_they_fit(void **state)
{
	uint8_t value[CELL_VALUE_SIZE];
	struct cell all = some_cell();
	struct cell out;

	(void)state;
	add_introducers(&all);
	all.id = id;
	for (int i = 0; i < 2 * 9 * 3; i++) {
		struct cell in = all;
		size_t used;
		uint8_t fit;

		in.has_id = i % 2;
		in.n_candidates = (uint8_t)(i / 2 % 9);
		in.n_introducers = (uint8_t)(i / 18);
		used = 184 + (in.has_id ? 32U : 0) + 19U * in.n_candidates + 1;
		fit = (uint8_t)((CELL_PLAIN_SIZE - used) / 58);
		fit = fit < in.n_introducers ? fit : in.n_introducers;
		cell_seal(&key, 5, &in, nonce, value);
		assert_int_equal(open_value(value, &out), ERR_OK);
		assert_int_equal(out.n_candidates, in.n_candidates);
		assert_int_equal(out.n_introducers, fit);
		for (int k = 0; k < fit; k++)
			assert_true(same_introducer(
			    &out.introducers[k], &in.introducers[k]));
	}
	/* The one case of all: two do not fit behind an ID and eight. */
	all.has_id = true;
	cell_seal(&key, 5, &all, nonce, value);
	assert_int_equal(open_value(value, &out), ERR_OK);
	assert_int_equal(out.n_introducers, 1);
}

static void
introducers_that_nobody_can_send_to_are_skipped(void **state)
{
	uint8_t value[CELL_VALUE_SIZE];
	struct cell in = some_cell();
	struct cell out;

	(void)state;
	add_introducers(&in);
	in.introducers[0].at.port = 0;
	cell_seal(&key, 5, &in, nonce, value);
	assert_int_equal(open_value(value, &out), ERR_OK);
	assert_int_equal(out.n_introducers, 1);
	assert_true(same_introducer(&out.introducers[0], &in.introducers[1]));
	memset(in.introducers[1].at.addr, 0, 16); /* :: */
	cell_seal(&key, 5, &in, nonce, value);
	assert_int_equal(open_value(value, &out), ERR_OK);
	assert_int_equal(out.n_introducers, 0);
}

static void
a_nat_class_of_later_is_an_unknown_one(void **state)
{
	uint8_t value[CELL_VALUE_SIZE];
	uint8_t plain[CELL_PLAIN_SIZE];
	struct cell in = some_cell();
	struct cell out;

	(void)state;
	for (unsigned nat = 0; nat < 256; nat++) {
		cell_seal(&key, 5, &in, nonce, value);
		unseal(value, plain);
		plain[182] = (uint8_t)nat;
		seal_plain(plain, value);
		assert_int_equal(open_value(value, &out), ERR_OK);
		assert_int_equal(out.nat, nat <= NAT_RANDOM ? nat : 0);
	}
}

static void
an_id_inside_is_checked(void **state)
{
	struct cell in = some_cell();
	struct cell out;
	uint8_t value[CELL_VALUE_SIZE];
	struct span v = span_of(value, sizeof(value));
	struct id_pk other = { { 1 } };

	(void)state;
	cell_seal(&key, 5, &in, nonce, value);
	assert_int_equal(
	    cell_open(&key, 5, v, NULL, NOW_S, &out), ERR_MALFORMED);
	in.has_id = true;
	in.id = id;
	cell_seal(&key, 5, &in, nonce, value);
	assert_int_equal(cell_open(&key, 5, v, NULL, NOW_S, &out), ERR_OK);
	assert_true(out.has_id && id_eq(&out.id, &id));
	assert_int_equal(cell_open(&key, 5, v, &id, NOW_S, &out), ERR_OK);
	assert_int_equal(cell_open(&key, 5, v, &other, NOW_S, &out), ERR_AUTH);
	in.id = other;
	cell_seal(&key, 5, &in, nonce, value);
	assert_int_equal(cell_open(&key, 5, v, NULL, NOW_S, &out), ERR_BAD_KEY);
}

static void
an_expired_certificate_ends_a_cell(void **state)
{
	struct cell in = some_cell();
	struct cell out;
	uint8_t value[CELL_VALUE_SIZE];
	struct span v = span_of(value, sizeof(value));

	(void)state;
	cell_seal(&key, 5, &in, nonce, value);
	assert_int_equal(
	    cell_open(&key, 5, v, &id, NOW_S + 60, &out), ERR_EXPIRED);
	assert_int_equal(cell_open(&key, 5, v, &id, NOW_S + 59, &out), ERR_OK);
}

/* Laws over all moments of two days: the epochs published to hold the moment
 * within two hours, the two read are neighbours, seq never falls. */
static void
epochs_fit_together_at_every_moment(void **state)
{
	int64_t last = -1;

	(void)state;
	for (uint64_t s = NOW_S; s < NOW_S + UINT64_C(2) * CELL_EPOCH_S;
	     s += 7) {
		uint64_t e = cell_epoch(&disc, s);
		uint64_t read[2];
		uint64_t write[2];
		unsigned n = cell_epochs_write(&disc, s, write);
		struct cell_key k = key;
		int64_t seq;

		cell_epochs_read(&disc, s, read);
		assert_true(read[0] == e && write[0] == e);
		assert_true(read[1] == e - 1 || read[1] == e + 1);
		assert_true(n == 1 || read[1] == write[1]);
		for (unsigned i = 0; i < n; i++) {
			k.epoch = write[i];
			assert_int_equal(cell_seq(&k, s, &seq), ERR_OK);
			assert_in_range(seq - k.seq_base, 0, 1679);
		}
		k.epoch = key.epoch;
		if (cell_seq(&k, s, &seq) == ERR_OK) {
			assert_true(seq >= last);
			last = seq;
		}
	}
	assert_int_equal(last - key.seq_base, 1679);
}

static void
seq_ends_two_hours_outside_of_the_epoch(void **state)
{
	uint64_t begin = key.epoch * CELL_EPOCH_S - key.offset_s;
	uint64_t end = begin + CELL_EPOCH_S;
	uint64_t at_s = 0;
	int64_t seq = 0;

	(void)state;
	assert_int_equal(cell_seq(&key, begin - 7201, &seq), ERR_LIMIT);
	assert_int_equal(seq, 0);
	assert_int_equal(cell_seq(&key, begin - 7200, &seq), ERR_OK);
	assert_true(seq == key.seq_base);
	assert_int_equal(cell_seq(&key, end + 7199, &seq), ERR_OK);
	assert_true(seq == (int64_t)key.seq_base + 1679);
	assert_int_equal(cell_seq(&key, end + 7200, &seq), ERR_LIMIT);
	assert_int_equal(cell_seq(&key, UINT64_MAX, &seq), ERR_LIMIT);
	assert_int_equal(cell_seq_time(&key, key.seq_base, &at_s), ERR_OK);
	assert_true(at_s == begin - 7200);
	assert_int_equal(
	    cell_seq_time(&key, key.seq_base + CELL_MINUTES - 1, &at_s),
	    ERR_OK);
	assert_true(at_s == end + 7200 - 60);
	assert_int_equal(
	    cell_seq_time(&key, (int64_t)key.seq_base - 1, &at_s), ERR_LIMIT);
	assert_int_equal(
	    cell_seq_time(&key, (int64_t)key.seq_base + CELL_MINUTES, &at_s),
	    ERR_LIMIT);
	assert_int_equal(cell_seq_time(&key, -1, &at_s), ERR_LIMIT);
	assert_int_equal(cell_seq_time(&key, INT64_MAX, &at_s), ERR_LIMIT);
}

static void
the_first_epoch_has_no_neighbour_before_it(void **state)
{
	uint64_t read[2];
	uint64_t write[2];

	(void)state;
	for (unsigned i = 0; i < 200; i++) {
		struct disc_key d = { { (uint8_t)i } };

		cell_epochs_read(&d, 0, read);
		cell_epochs_write(&d, 0, write);
		assert_true(read[0] == 0 && read[1] == 1);
		assert_true(write[0] == 0);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_nonce_belongs_to_one_text_and_one_seq),
		cmocka_unit_test(a_cell_comes_back),
		cmocka_unit_test(hostile_74_a_cell_opens_only_where_it_was_put),
		cmocka_unit_test(no_bit_of_a_value_can_change),
		cmocka_unit_test(what_a_peer_sealed_wrongly_is_refused),
		cmocka_unit_test(candidates_of_another_kind_are_skipped),
		cmocka_unit_test(introducers_come_back_as_far_as_they_fit),
		cmocka_unit_test(
		    introducers_that_nobody_can_send_to_are_skipped),
		cmocka_unit_test(a_nat_class_of_later_is_an_unknown_one),
		cmocka_unit_test(an_id_inside_is_checked),
		cmocka_unit_test(an_expired_certificate_ends_a_cell),
		cmocka_unit_test(epochs_fit_together_at_every_moment),
		cmocka_unit_test(seq_ends_two_hours_outside_of_the_epoch),
		cmocka_unit_test(the_first_epoch_has_no_neighbour_before_it),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, setup, NULL);
}
