/* Dummies: as many cells as were asked for, whoever is there. */
#include "proto/dht/krpc.h"
#include "proto/node_int.h"
#include "tests/support/rng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

enum { CELLS = 5, SEEN_MAX = 64, MAIL_MAX = 64, MINUTES = 3 };

static struct test_rng dice;

static struct {
	uint8_t b[KRPC_SIZE_MAX];
	size_t n;
} mail[MAIL_MAX]; /* datagrams of one moment */

/* A node, and one DHT node that it knows: us. */
struct lab {
	struct node *n;
	struct now now;
	struct endpoint here, there;
	struct bencode scratch;
	uint8_t put[SEEN_MAX][32]; /* keys of items that came */
	size_t n_put;
};

static void
start(struct lab *l, uint64_t seed, size_t cells_min)
{
	static const uint8_t local[4] = { 127, 0, 0, 1 };
	struct node_config cfg = { .rng = &dice.rng, .loopback = true };
	struct id_seed id;

	*l = (struct lab){ 0 };
	test_rng_init(&dice, seed);
	l->now = (struct now){ 1000, UINT64_C(1796123323456) };
	l->here = endpoint_v4(local, 4000);
	l->there = endpoint_v4(local, 5000);
	cfg.family[FAMILY_V4] = true;
	cfg.policy = NODE_MAINLINE;
	cfg.cells_min = cells_min;
	l->n = node_new(&cfg, l->now);
	assert_non_null(l->n);
	memset(id.b, (int)seed, sizeof(id.b));
	assert_int_equal(
	    node_set_identity(l->n, &id, span_of(NULL, 0), l->now), ERR_OK);
	node_set_local(l->n, &l->there, 1, l->now);
	node_bootstrap(l->n, &l->here, l->now);
}

static struct contact_id
add(struct lab *l, uint8_t fill)
{
	struct contact_id ret;
	struct id_seed seed;
	struct id_pk id;
	struct id_sk sk;

	memset(seed.b, fill, sizeof(seed.b));
	identity_from_seed(&seed, &id, &sk);
	assert_int_equal(node_contact_add(l->n, &id, &ret, l->now), ERR_OK);
	return ret;
}

static void
note_put(struct lab *l, const uint8_t k[32])
{
	for (size_t i = 0; i < l->n_put; i++)
		if (memcmp(l->put[i], k, 32) == 0)
			return;
	assert_true(l->n_put < SEEN_MAX);
	memcpy(l->put[l->n_put++], k, 32);
}

/* Answers a query as a DHT node that is alone and takes everything. */
static void
answer(struct lab *l, struct span query)
{
	static const uint8_t token[8] = "a token";
	struct krpc q, r = { .kind = KRPC_RESPONSE, .has_id = true };
	uint8_t buf[KRPC_SIZE_MAX];
	struct writer w = wr_init(buf, sizeof(buf));

	assert_int_equal(krpc_decode(query, &l->scratch, &q), ERR_OK);
	if (q.kind != KRPC_QUERY)
		return;
	if (q.method == KRPC_PUT)
		note_put(l, q.k);
	memset(r.id.b, 7, sizeof(r.id.b));
	r.t = q.t;
	r.token = span_of(token, sizeof(token));
	krpc_encode(&r, &w);
	assert_false(w.bad);
	node_receive(l->n, &l->here, wr_span_of(&w), l->now);
}

static void
drain(struct lab *l)
{
	size_t count = 0;
	struct effect e;

	while (node_next_effect(l->n, &e)) {
		if (e.kind != EFFECT_SEND || e.data.p[0] != 'd')
			continue;
		assert_true(count < MAIL_MAX && e.data.n <= KRPC_SIZE_MAX);
		memcpy(mail[count].b, e.data.p, e.data.n);
		mail[count++].n = e.data.n;
	}
	assert_false(node_failed(l->n));
	for (size_t i = 0; i < count; i++)
		answer(l, span_of(mail[i].b, mail[i].n));
}

static void
run(struct lab *l, uint64_t minutes)
{
	uint64_t end = l->now.mono_ms + minutes * 60 * 1000;

	while (l->now.mono_ms < end) {
		uint64_t at = node_deadline_ms(l->n);

		at = at > l->now.mono_ms ? at : l->now.mono_ms + 1;
		l->now.wall_ms += at - l->now.mono_ms;
		l->now.mono_ms = at;
		node_tick(l->n, l->now);
		drain(l);
	}
}

static size_t
awake(const struct lab *l)
{
	size_t n = 0;

	for (size_t i = 0; i < CELLS; i++)
		n += l->n->dummies[i].awake;
	return n;
}

static void
there_are_as_many_as_contacts_are_missing(void **state)
{
	struct lab l;
	struct contact_id id;

	(void)state;
	start(&l, 1, CELLS);
	run(&l, MINUTES);
	assert_int_equal(awake(&l), CELLS);
	id = add(&l, 2);
	(void)add(&l, 3);
	run(&l, MINUTES);
	assert_int_equal(awake(&l), CELLS - 2);
	assert_int_equal(node_contact_delete(l.n, &id, l.now), ERR_OK);
	run(&l, MINUTES);
	assert_int_equal(awake(&l), CELLS - 1);
	for (unsigned i = 10; i < 10 + CELLS; i++)
		(void)add(&l, (uint8_t)i);
	run(&l, MINUTES);
	assert_int_equal(awake(&l), 0);
	node_free(l.n);
}

/* A cell has one or two epochs; we are told of each cell by its key. */
static size_t
cells_that_come(uint64_t seed, size_t cells_min, uint8_t contacts)
{
	struct lab l;
	size_t n, epochs = 0;
	uint64_t e[2];

	start(&l, seed, cells_min);
	for (uint8_t i = 0; i < contacts; i++)
		(void)add(&l, (uint8_t)(100 + i));
	run(&l, MINUTES);
	for (size_t i = 0; i < l.n->peers_cap; i++)
		if (l.n->peers[i] != NULL)
			epochs += cell_epochs_write(
			    &l.n->peers[i]->c.disc, l.now.wall_ms / 1000, e);
	for (size_t i = 0; l.n->dummies != NULL && i < cells_min; i++)
		if (l.n->dummies[i].awake)
			epochs += cell_epochs_write(
			    &l.n->dummies[i].disc, l.now.wall_ms / 1000, e);
	n = l.n_put;
	assert_in_range(n, epochs, epochs + 1); /* one may have turned */
	node_free(l.n);
	return n;
}

static void
nobody_can_count_contacts_by_cells(void **state)
{
	(void)state;
	for (unsigned contacts = 0; contacts <= CELLS; contacts++)
		assert_in_range(
		    cells_that_come(test_seed(1), CELLS, (uint8_t)contacts),
		    CELLS, 2 * CELLS);
	assert_int_equal(cells_that_come(1, 0, 0), 0);
}

static void
places_stay_the_same_over_restarts(void **state)
{
	static struct lab a, b, other;

	(void)state;
	start(&a, 1, CELLS);
	start(&b, 1, CELLS);
	start(&other, 2, CELLS);
	for (size_t i = 0; i < CELLS; i++) {
		const uint8_t *disc = a.n->dummies[i].disc.b;

		assert_memory_equal(disc, b.n->dummies[i].disc.b, 32);
		assert_memory_not_equal(disc, other.n->dummies[i].disc.b, 32);
		for (size_t j = 0; j < i; j++)
			assert_memory_not_equal(
			    disc, a.n->dummies[j].disc.b, 32);
	}
	node_free(a.n);
	node_free(b.n);
	node_free(other.n);
}

/* After a start all begin within a spread, but not in one moment. */
static void
many_do_not_begin_in_one_moment(void **state)
{
	struct lab l;
	uint64_t first = NEVER, last = 0;

	(void)state;
	start(&l, test_seed(3), 0);
	for (uint8_t i = 0; i < 32; i++)
		(void)add(&l, (uint8_t)(100 + i));
	meet_all(l.n);
	for (size_t i = 0; i < l.n->peers_cap; i++) {
		uint64_t at = l.n->peers[i]->meet.look_at_ms;

		first = at < first ? at : first;
		last = at > last ? at : last;
	}
	assert_in_range(last - l.now.mono_ms, 0, 32 * LOOK_SPREAD_MS);
	assert_true(last - first > 8 * LOOK_SPREAD_MS);
	node_free(l.n);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_are_as_many_as_contacts_are_missing),
		cmocka_unit_test(nobody_can_count_contacts_by_cells),
		cmocka_unit_test(places_stay_the_same_over_restarts),
		cmocka_unit_test(many_do_not_begin_in_one_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
