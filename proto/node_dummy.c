/*
 * Dummies: while fewer than cells_min contacts are without a session, cells
 * that nobody reads are put, and cells that nobody writes are looked for, by
 * the same code, at the same rhythm and as often as those of contacts. So who
 * watches our traffic, or stores for us, learns at most that there are no more
 * than cells_min contacts. Their places follow from the identity, so they stay
 * the same over restarts, as those of contacts do. [SPEC §4.2]
 */
#include "proto/crypto/kdf.h"
#include "proto/node_int.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

static void
derive(const struct id_sk *sk, uint32_t i, struct dummy *ret)
{
	uint8_t le[4], bit[32];
	struct writer w = wr_init(le, sizeof(le));

	_Static_assert(sizeof(ret->disc.b) == 32, "");
	_Static_assert(sizeof(sk->b) >= 32, "the seed stands first");
	wr_u32le(&w, i);
	kdf_label(sk->b, "btchat/1 dummy", wr_span_of(&w), ret->disc.b);
	kdf_label(ret->disc.b, "btchat/1 dummy d", wr_span_of(&w), bit);
	ret->dir = bit[0] & 1 ? CELL_HIGHER : CELL_LOWER;
}

enum err
dummies_init(struct node *n)
{
	assert(n->has_self && n->dummies == NULL);
	if (n->cells_min == 0)
		return ERR_OK;
	n->dummies = calloc(n->cells_min, sizeof(*n->dummies));
	if (n->dummies == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n->cells_min; i++) {
		derive(&n->self.sk, (uint32_t)i, &n->dummies[i]);
		rendezvous_stop(&n->dummies[i].meet);
	}
	dummies_all(n, 0);
	return ERR_OK;
}

void
dummies_clear(struct node *n)
{
	if (n->dummies != NULL)
		sodium_memzero(n->dummies, n->cells_min * sizeof(*n->dummies));
	free(n->dummies);
	n->dummies = NULL;
}

static size_t
wanted(const struct node *n)
{
	size_t n_absent = 0;

	for (size_t i = 0; i < n->peers_cap; i++)
		n_absent += n->peers[i] != NULL && !n->peers[i]->online &&
		            !peer_is_shut(n->peers[i]);
	return n_absent < n->cells_min ? n->cells_min - n_absent : 0;
}

/* As many as are needed, the first ones. */
static void
adjust(struct node *n)
{
	size_t want = wanted(n);

	n->dummies_stale = false;
	for (size_t i = 0; i < n->cells_min; i++) {
		struct dummy *d = &n->dummies[i];

		if (d->awake == (i < want))
			continue;
		d->awake = i < want;
		if (d->awake)
			rendezvous_join(&d->meet, &n->rng, n->now);
		else
			rendezvous_stop(&d->meet);
	}
}

void
dummies_all(struct node *n, uint32_t spread_ms)
{
	size_t want = n->dummies != NULL ? wanted(n) : 0;
	uint32_t own_ms = (uint32_t)n->cells_min * LOOK_SPREAD_MS;

	if (own_ms > spread_ms)
		spread_ms = own_ms;
	for (size_t i = 0; i < want; i++) {
		struct dummy *d = &n->dummies[i];

		d->awake = true;
		rendezvous_start(&d->meet, &n->rng, spread_ms, n->now);
	}
	n->dummies_stale = n->dummies != NULL;
}

static struct search
search_for(const struct node *n, const struct dummy *d)
{
	return (struct search){
		.kind = OP_DUMMY_LOOK,
		.slot = (uint32_t)(d - n->dummies),
		.disc = &d->disc,
		.dir = d->dir == CELL_LOWER ? CELL_HIGHER : CELL_LOWER,
		.thorough = d->meet.looks > LOOK_PLAIN,
		.calm = d->meet.looks > LOOK_EAGER,
		.outside = rendezvous_looks_outside(&d->meet),
	};
}

static void
look_for(struct node *n, struct dummy *d)
{
	struct search what = search_for(n, d);
	bool glance;

	rendezvous_looking(&d->meet, &n->rng, n->now);
	glance = rendezvous_is_glance(&d->meet);
	cell_look(n, &what, glance, rendezvous_turn(&d->meet));
}

static void
publish(struct node *n, struct dummy *d)
{
	struct publication what = {
		.kind = OP_DUMMY_PUT,
		.slot = (uint32_t)(d - n->dummies),
		.disc = &d->disc,
		.dir = d->dir,
		.reach = &n->self.reach,
	};

	cell_unpublish(n, what.kind, what.slot, &d->meet);
	cell_prepare(n, &what, &d->meet, &d->put);
	rendezvous_publishing(&d->meet, n->now);
	cell_publish(n, &what, &d->put);
	if (d->put.n == 0)
		rendezvous_published(&d->meet, &n->rng, 0, n->now);
}

void
dummies_run(struct node *n)
{
	if (n->dummies == NULL)
		return;
	if (n->dummies_stale)
		adjust(n);
	for (size_t i = 0; i < n->cells_min && cell_ops_free(n); i++) {
		struct dummy *d = &n->dummies[i];

		assert(d->awake || rendezvous_deadline_ms(&d->meet) == NEVER);
		if (d->meet.look_at_ms <= n->now.mono_ms)
			look_for(n, d);
		if (d->meet.publish_at_ms <= n->now.mono_ms && cell_ops_free(n))
			publish(n, d);
	}
}

uint64_t
dummies_deadline_ms(const struct node *n, uint64_t at_ms)
{
	for (size_t i = 0; n->dummies != NULL && i < n->cells_min; i++) {
		uint64_t mine_ms = rendezvous_deadline_ms(&n->dummies[i].meet);

		at_ms = mine_ms < at_ms ? mine_ms : at_ms;
	}
	return at_ms;
}

void
dummies_on_get_done(struct node *n, struct op *op, const struct dht_event *e)
{
	struct dummy *d = &n->dummies[op->slot];
	struct search what = search_for(n, d);

	assert(op->slot < n->cells_min);
	op->alarm |= e->report.alarm;
	if (d->awake && cell_look_on(n, op, &what))
		return;
	cell_op_free(n, op);
}
