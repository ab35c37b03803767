/* To which of the two places of a cell it is put. [SPEC §4.3] */
#include "proto/dht/krpc.h"
#include "proto/dht/nodeid.h"
#include "proto/node_int.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { MAIL_MAX = 64, KEPT_MAX = 16 };

static struct test_rng dice;

static struct {
	uint8_t b[KRPC_SIZE_MAX];
	size_t n;
} mail[MAIL_MAX]; /* datagrams of one moment */

struct kept {
	struct target target;
	uint8_t k[32], sig[64], v[DHT_VALUE_MAX];
	size_t v_n;
	int64_t seq;
};

/* A node, and one DHT node that it knows: us. */
static struct lab {
	struct node *n;
	struct now now;
	struct endpoint here, there;
	struct bencode scratch;
	bool gives;       /* back what was put */
	size_t n_puts[2]; /* at each place */
	size_t n_same;    /* of the very item that was there */
	bool is_late;     /* our clock, after an earlier life */
	struct kept kept[KEPT_MAX];
	size_t n_kept;
} lab;

/* Without any memory of a life before. */
static void
live(void)
{
	struct node_config cfg = { .rng = &dice.rng, .loopback = true };
	struct contact_id contact;
	struct id_seed seed;
	struct id_pk id;
	struct id_sk sk;

	cfg.family[FAMILY_V4] = true;
	cfg.policy = NODE_MAINLINE;
	lab.n = node_new(&cfg, lab.now);
	assert_non_null(lab.n);
	memset(seed.b, 1, sizeof(seed.b));
	assert_int_equal(
	    node_set_identity(lab.n, &seed, span_of(NULL, 0), lab.now), ERR_OK);
	node_set_local(lab.n, &lab.there, 1, lab.now);
	node_bootstrap(lab.n, &lab.here, lab.now);
	memset(seed.b, 2, sizeof(seed.b));
	identity_from_seed(&seed, &id, &sk);
	assert_int_equal(
	    node_contact_add(lab.n, &id, &contact, lab.now), ERR_OK);
}

/* The one of a target, or a place for it. */
static struct kept *
kept_at(const struct target *target)
{
	for (size_t i = 0; i < lab.n_kept; i++)
		if (nodeid_eq(&lab.kept[i].target, target))
			return &lab.kept[i];
	assert_true(lab.n_kept < KEPT_MAX);
	return &lab.kept[lab.n_kept];
}

static void
keep(const struct krpc *q)
{
	struct target target;
	struct kept *kept;

	dht_item_target(q->k, q->salt, &target);
	kept = kept_at(&target);
	lab.n_kept += kept == &lab.kept[lab.n_kept];
	lab.n_puts[q->salt.n > 0]++;
	if (lab.is_late && q->seq < kept->seq)
		return; /* what is there is newer */
	/* The law of BEP 44 for who writes. */
	assert_true(q->seq >= kept->seq);
	if (q->seq == kept->seq && kept->v_n > 0) {
		lab.n_same++;
		assert_int_equal(q->v.n, kept->v_n);
		assert_memory_equal(q->v.p, kept->v, kept->v_n);
	}
	kept->target = target;
	memcpy(kept->k, q->k, sizeof(kept->k));
	memcpy(kept->sig, q->sig, sizeof(kept->sig));
	kept->seq = q->seq;
	kept->v_n = q->v.n;
	assert_true(q->v.n <= sizeof(kept->v));
	memcpy(kept->v, q->v.p, q->v.n);
}

static void
give(const struct krpc *q, struct krpc *r)
{
	const struct kept *kept = kept_at(&q->target);

	if (!lab.gives || kept == &lab.kept[lab.n_kept])
		return;
	r->has_k = r->has_sig = r->has_seq = true;
	memcpy(r->k, kept->k, sizeof(r->k));
	memcpy(r->sig, kept->sig, sizeof(r->sig));
	r->seq = kept->seq;
	r->v = span_of(kept->v, kept->v_n);
}

/* Answers a query as a DHT node that is alone and takes everything. */
static void
answer(struct span query)
{
	static const uint8_t token[8] = "a token";
	struct krpc q, r = { .kind = KRPC_RESPONSE, .has_id = true };
	uint8_t buf[KRPC_SIZE_MAX];
	struct writer w = wr_init(buf, sizeof(buf));

	assert_int_equal(krpc_decode(query, &lab.scratch, &q), ERR_OK);
	if (q.kind != KRPC_QUERY)
		return;
	if (q.method == KRPC_PUT)
		keep(&q);
	if (q.method == KRPC_GET)
		give(&q, &r);
	memset(r.id.b, 7, sizeof(r.id.b));
	r.t = q.t;
	r.token = span_of(token, sizeof(token));
	krpc_encode(&r, &w);
	assert_false(w.bad);
	node_receive(lab.n, &lab.here, wr_span_of(&w), lab.now);
}

static void
drain(void)
{
	size_t count = 0;
	struct effect e;

	while (node_next_effect(lab.n, &e)) {
		if (e.kind != EFFECT_SEND || e.data.p[0] != 'd')
			continue;
		assert_true(count < MAIL_MAX && e.data.n <= KRPC_SIZE_MAX);
		memcpy(mail[count].b, e.data.p, e.data.n);
		mail[count++].n = e.data.n;
	}
	assert_false(node_failed(lab.n));
	for (size_t i = 0; i < count; i++)
		answer(span_of(mail[i].b, mail[i].n));
}

static void
start(void)
{
	static const uint8_t local[4] = { 127, 0, 0, 1 };

	lab = (struct lab){ .now = { 1000, UINT64_C(1796123323456) } };
	test_rng_init(&dice, 5);
	lab.here = endpoint_v4(local, 4000);
	lab.there = endpoint_v4(local, 5000);
	live();
}

static void
run(uint64_t minutes)
{
	uint64_t end = lab.now.mono_ms + minutes * 60 * 1000;

	lab.n_puts[0] = lab.n_puts[1] = lab.n_same = 0;
	while (lab.now.mono_ms < end) {
		uint64_t at = node_deadline_ms(lab.n);

		at = at > lab.now.mono_ms ? at : lab.now.mono_ms + 1;
		lab.now.wall_ms += at - lab.now.mono_ms;
		lab.now.mono_ms = at;
		node_tick(lab.n, lab.now);
		drain();
	}
}

/* Whoever guards the place of today does not guard that of tomorrow. */
static void
the_second_place_is_left_when_the_first_one_shows_the_cell(void **state)
{
	(void)state;
	start();
	lab.gives = true;
	run(10);
	assert_true(lab.n_puts[0] > 0);
	assert_int_equal(lab.n_puts[1], 0);
	/* It is put anew, and hidden. */
	lab.gives = false;
	lab.there.port++;
	node_set_local(lab.n, &lab.there, 1, lab.now);
	run(24 * 60);
	assert_true(lab.n_puts[0] > 12 && lab.n_puts[1] > 12);
	/* Another day. */
	lab.gives = true;
	run(24 * 60);
	run(24 * 60);
	assert_true(lab.n_puts[0] > 12);
	assert_int_equal(lab.n_puts[1], 0);
	node_free(lab.n);
}

static void
a_renewal_is_the_cell_that_is_there(void **state)
{
	size_t n;

	(void)state;
	start();
	lab.gives = true;
	run(10);
	run(24 * 60);
	n = lab.n_puts[0];
	/* A day has one new place, and what changes there is put twice. */
	assert_in_range(n, 24, 36);
	assert_in_range(lab.n_same, n - 4, n - 1);
	/* Something else to say: nothing of what was said is put again. */
	lab.there.port++;
	node_set_local(lab.n, &lab.there, 1, lab.now);
	run(2);
	assert_in_range(lab.n_puts[0], 1, 4);
	assert_int_equal(lab.n_same, 0);
	node_free(lab.n);
}

/* Who lost his memory, and whose clock is late, is not old for ever. */
static void
a_later_cell_of_an_earlier_life_is_overtaken(void **state)
{
	int64_t before;

	(void)state;
	start();
	lab.gives = true;
	run(10);
	assert_int_equal(lab.n_kept, 1);
	before = lab.kept[0].seq;
	node_free(lab.n);
	lab.now.wall_ms -= 30 * 60 * 1000;
	lab.is_late = true;
	live();
	run(10);
	assert_true(lab.n_puts[0] > 0 && lab.kept[0].seq > before);
	node_free(lab.n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_renewal_is_the_cell_that_is_there),
		cmocka_unit_test(a_later_cell_of_an_earlier_life_is_overtaken),
		cmocka_unit_test(
		    the_second_place_is_left_when_the_first_one_shows_the_cell),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
