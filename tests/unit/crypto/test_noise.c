/* The engine against itself, over every pattern; the bytes of others are in
 * test_vectors. */
#include "proto/crypto/noise.h"

#include "tests/support/noise_pattern.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct pair {
	struct noise_pattern pattern;
	struct noise a, b; /* initiator, responder */
	struct noise_keypair s[2], e[2];
	uint8_t psk[32];
};

static void
draw(const struct rng *rng, struct noise_keypair *k)
{
	rng_fill(rng, k->sk, sizeof(k->sk));
	assert_int_equal(crypto_scalarmult_base(k->pk, k->sk), 0);
	k->set = true;
}

static bool
wants(const uint8_t *tokens, enum noise_token token)
{
	return tokens[0] == token || (tokens[0] && tokens[1] == token);
}

static enum err
start(struct pair *p, int who, const struct noise_hash *hash)
{
	const uint8_t *own = p->pattern.pre[who];
	const uint8_t *peer = p->pattern.pre[1 - who];
	struct noise *n = who == 0 ? &p->a : &p->b;
	struct noise_config cfg = {
		.pattern = &p->pattern,
		.hash = hash,
		.initiator = who == 0,
		.prologue = span_str("test"),
		.s = p->s[who],
	};
	enum err err;

	if (wants(own, NOISE_E))
		cfg.e = p->e[who];
	if (wants(peer, NOISE_S))
		cfg.rs = p->s[1 - who].pk;
	if (wants(peer, NOISE_E))
		cfg.re = p->e[1 - who].pk;
	err = noise_init(n, &cfg);
	if (err)
		return err;
	for (int i = 0; i < 4; i++)
		noise_set_psk(n, p->psk);
	return cfg.e.set ? ERR_OK : noise_set_ephemeral(n, p->e[who].sk);
}

static void
make(struct pair *p, const char *name, const struct noise_hash *hash,
    const struct rng *rng)
{
	assert_true(noise_pattern_build(name, &p->pattern));
	for (int i = 0; i < 2; i++) {
		draw(rng, &p->s[i]);
		draw(rng, &p->e[i]);
	}
	rng_fill(rng, p->psk, sizeof(p->psk));
	assert_int_equal(start(p, 0, hash), ERR_OK);
	assert_int_equal(start(p, 1, hash), ERR_OK);
}

/* One message over; its length. */
static size_t
pass(struct pair *p, const char *payload)
{
	bool from_a = p->a.at % 2 == 0;
	uint8_t wire[512];
	uint8_t plain[512];
	struct writer w = wr_init(wire, sizeof(wire));
	struct writer out = wr_init(plain, sizeof(plain));

	assert_int_equal(
	    noise_write(from_a ? &p->a : &p->b, span_str(payload), &w), ERR_OK);
	assert_int_equal(
	    noise_read(from_a ? &p->b : &p->a, wr_span_of(&w), &out), ERR_OK);
	assert_true(span_eq(wr_span_of(&out), span_str(payload)));
	return w.n;
}

static void
finish(struct pair *p)
{
	uint8_t ka[2][32];
	uint8_t kb[2][32];

	while (!noise_done(&p->a))
		pass(p, "payload");
	assert_true(noise_done(&p->b));
	assert_memory_equal(p->a.h, p->b.h, p->a.hash->len);
	noise_split(&p->a, ka);
	noise_split(&p->b, kb);
	assert_memory_equal(ka, kb, sizeof(ka));
	assert_memory_not_equal(ka[0], ka[1], 32);
}

static void
every_pattern_ends_with_the_same_keys(void **state)
{
	static const char *const suffix[] = { "", "psk0", "psk1", "psk0+psk1" };
	static const char *const hashes[] = { "SHA256", "SHA512", "BLAKE2b",
		"BLAKE2s" };
	struct test_rng t;
	struct pair p;
	char name[32];

	(void)state;
	test_rng_init(&t, test_seed(71));
	for (unsigned i = 0; i < NOISE_BASE_PATTERNS; i++) {
		for (unsigned j = 0; j < 4; j++) {
			snprintf(name, sizeof(name), "%s%s",
			    noise_pattern_name(i), suffix[j]);
			memset(&p, 0, sizeof(p));
			make(&p, name, noise_hash_find(hashes[(i + j) % 4]),
			    &t.rng);
			finish(&p);
		}
	}
}

static void
fallback_goes_on_with_the_ephemeral_that_was_seen(void **state)
{
	static const char *const names[] = { "XXfallback", "NNfallback",
		"NXfallback", "XNfallback", "INfallback", "IXfallback",
		"XXfallback+psk0", "XXfallback+psk0+psk2" };
	struct test_rng t;

	(void)state;
	test_rng_init(&t, test_seed(72));
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct pair p = { 0 };

		make(&p, names[i], &noise_sha256, &t.rng);
		finish(&p);
	}
}

static void
patterns_that_do_not_exist_are_not_built(void **state)
{
	static const char *const names[] = { "", "XY", "IKfallback",
		"NKfallback", "Nfallback", "KNfallback", "NNpsk3", "NNpsk",
		"NNhfs", "NN+psk0x", "psk0" };
	struct noise_pattern p;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (noise_pattern_build(names[i], &p))
			fail_msg("built: %s", names[i]);
	}
}

/* The two tables of the product are those that the text forms give. */
static void
our_own_tables_are_the_frameworks(void **state)
{
	static const struct noise_pattern *const own[] = { &noise_ikpsk2,
		&noise_nk };
	struct noise_pattern p;

	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_true(noise_pattern_build(own[i]->name, &p));
		assert_memory_equal(p.pre, own[i]->pre, sizeof(p.pre));
		assert_memory_equal(
		    p.messages, own[i]->messages, sizeof(p.messages));
		assert_int_equal(p.n_messages, own[i]->n_messages);
	}
}

static void
every_bit_of_a_message_matters(void **state)
{
	struct test_rng t;
	struct pair p = { 0 };
	uint8_t wire[256];
	uint8_t plain[256];
	struct writer w = wr_init(wire, sizeof(wire));

	(void)state;
	test_rng_init(&t, test_seed(73));
	make(&p, "IKpsk2", &noise_sha256, &t.rng);
	assert_int_equal(noise_write(&p.a, span_str("hello"), &w), ERR_OK);
	for (size_t i = 0; i < 8 * w.n; i++) {
		struct noise b = p.b;
		struct writer out = wr_init(plain, sizeof(plain));
		enum err err;

		if (i == 255)
			continue; /* X25519 does not look at this bit */
		wire[i / 8] ^= (uint8_t)(1U << i % 8);
		err = noise_read(&b, wr_span_of(&w), &out);
		assert_true(err == ERR_AUTH || err == ERR_BAD_KEY);
		assert_int_equal(out.n, 0);
		wire[i / 8] ^= (uint8_t)(1U << i % 8);
	}
}

/* A failed read leaves the state: the true message still opens. */
static void
a_failed_read_changes_nothing(void **state)
{
	struct test_rng t;
	struct pair p = { 0 };
	uint8_t wire[256];
	uint8_t plain[256];
	struct writer w = wr_init(wire, sizeof(wire));
	struct writer out = wr_init(plain, sizeof(plain));

	(void)state;
	test_rng_init(&t, test_seed(74));
	make(&p, "XX", &noise_sha256, &t.rng);
	pass(&p, "");
	assert_int_equal(noise_write(&p.b, span_str("x"), &w), ERR_OK);
	wire[w.n - 1] ^= 1;
	assert_int_equal(noise_read(&p.a, wr_span_of(&w), &out), ERR_AUTH);
	wire[w.n - 1] ^= 1;
	assert_int_equal(noise_read(&p.a, wr_span_of(&w), &out), ERR_OK);
	finish(&p);
}

static void
every_shorter_message_is_malformed_or_fails(void **state)
{
	struct test_rng t;
	struct pair p = { 0 };
	uint8_t wire[256];
	uint8_t plain[256];
	struct writer w = wr_init(wire, sizeof(wire));

	(void)state;
	test_rng_init(&t, test_seed(75));
	make(&p, "IK", &noise_sha256, &t.rng);
	assert_int_equal(noise_write(&p.a, span_str("hello"), &w), ERR_OK);
	for (size_t n = 0; n < w.n; n++) {
		struct writer out = wr_init(plain, sizeof(plain));

		assert_int_not_equal(
		    noise_read(&p.b, span_of(wire, n), &out), ERR_OK);
	}
}

static void
keys_that_are_missing_are_a_state_error(void **state)
{
	struct noise_config cfg = {
		.pattern = &noise_nk, .hash = &noise_sha256, .initiator = true
	};
	uint8_t rs[32] = { 9 };
	uint8_t buf[256];
	struct writer w = wr_init(buf, sizeof(buf));
	struct noise n;

	(void)state;
	assert_int_equal(noise_init(&n, &cfg), ERR_STATE);
	cfg.rs = rs;
	assert_int_equal(noise_init(&n, &cfg), ERR_OK);
	assert_int_equal(noise_write(&n, span_str(""), &w), ERR_STATE);
	assert_int_equal(noise_read(&n, span_str(""), &w), ERR_STATE);
	assert_int_equal(noise_set_ephemeral(&n, rs), ERR_OK);
	assert_int_equal(noise_set_ephemeral(&n, rs), ERR_STATE);
	assert_int_equal(w.n, 0);
}

static void
a_psk_that_is_missing_or_other_ends_it(void **state)
{
	struct test_rng t;
	struct pair p = { 0 };
	uint8_t wire[256];
	uint8_t plain[256];
	struct writer w = wr_init(wire, sizeof(wire));
	struct writer out = wr_init(plain, sizeof(plain));

	(void)state;
	test_rng_init(&t, test_seed(76));
	make(&p, "IKpsk2", &noise_sha256, &t.rng);
	pass(&p, "");
	p.a.psk[0][31] ^= 1;
	assert_int_equal(noise_write(&p.b, span_str(""), &w), ERR_OK);
	assert_int_equal(noise_read(&p.a, wr_span_of(&w), &out), ERR_AUTH);
	p.a.n_psk = 0;
	assert_int_equal(noise_read(&p.a, wr_span_of(&w), &out), ERR_STATE);
}

static void
a_low_order_key_is_refused(void **state)
{
	static const uint8_t low[2][32] = { { 0 }, { 1 } };
	struct noise_config cfg = {
		.pattern = &noise_nk, .hash = &noise_sha256, .initiator = true
	};
	uint8_t e[32] = { 7 };
	uint8_t buf[256];

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct writer w = wr_init(buf, sizeof(buf));
		struct noise n;

		cfg.rs = low[i];
		assert_int_equal(noise_init(&n, &cfg), ERR_OK);
		assert_int_equal(noise_set_ephemeral(&n, e), ERR_OK);
		assert_int_equal(
		    noise_write(&n, span_str(""), &w), ERR_BAD_KEY);
		assert_int_equal(w.n, 0);
	}
}

static void
a_message_that_does_not_fit_is_not_written(void **state)
{
	struct test_rng t;
	struct pair p = { 0 };
	uint8_t buf[256];

	(void)state;
	test_rng_init(&t, test_seed(77));
	make(&p, "IK", &noise_sha256, &t.rng);
	for (size_t cap = 0; cap < 32 + 48 + 16 + 5; cap++) {
		struct writer w = wr_init(buf, cap);

		assert_int_equal(
		    noise_write(&p.a, span_str("hello"), &w), ERR_TOO_LONG);
		assert_int_equal(w.n, 0);
	}
	finish(&p);
}

static void
blake2s_gives_the_answer_of_its_rfc(void **state)
{
	static const uint8_t want[] = { 0x50, 0x8c, 0x5e, 0x8c, 0x32, 0x7c,
		0x14, 0xe2, 0xe1, 0xa7, 0x2b, 0xa3, 0x4e, 0xeb, 0x45, 0x2f };
	struct span abc = span_str("abc");
	uint8_t got[32];

	(void)state;
	noise_hash_find("BLAKE2s")->hash(&abc, 1, got);
	assert_memory_equal(got, want, sizeof(want));
	assert_null(noise_hash_find("BLAKE3"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_pattern_ends_with_the_same_keys),
		cmocka_unit_test(
		    fallback_goes_on_with_the_ephemeral_that_was_seen),
		cmocka_unit_test(patterns_that_do_not_exist_are_not_built),
		cmocka_unit_test(our_own_tables_are_the_frameworks),
		cmocka_unit_test(every_bit_of_a_message_matters),
		cmocka_unit_test(a_failed_read_changes_nothing),
		cmocka_unit_test(every_shorter_message_is_malformed_or_fails),
		cmocka_unit_test(keys_that_are_missing_are_a_state_error),
		cmocka_unit_test(a_psk_that_is_missing_or_other_ends_it),
		cmocka_unit_test(a_low_order_key_is_refused),
		cmocka_unit_test(a_message_that_does_not_fit_is_not_written),
		cmocka_unit_test(blake2s_gives_the_answer_of_its_rfc),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
