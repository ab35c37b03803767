/* What comes too soon after the last one waits, and the newest takes its
 * place: so a flood moves the owner once a second, and the word of a peer who
 * corrects himself is not lost. */
#include "proto/link/offer.h"
#include "proto/link/candidates.h"
#include "proto/link/out.h"
#include "proto/link/peer.h"

#include <assert.h>
#include <string.h>

void
offer_set(struct links *l, struct peer *p, const struct link_candidates *offer)
{
	struct conn *c = p->conn;

	assert(c && (c->up || c->early) && offer->n <= LINK_CANDIDATES_MAX);
	assert(offer->class < NAT_CLASSES);
	c->offer = *offer;
	c->offer_due = true;
	c->offer_copy = true;
	c->offer_copy_ms = NEVER;
	peer_touch(l, p);
}

/* Only what may be contacted at all: the owner need not know the rules. */
static void
keep_usable(const struct links *l, struct link_candidates *c)
{
	uint8_t n = 0;

	for (uint8_t i = 0; i < c->n; i++) {
		if (address_usable(l, &c->endpoint[i]))
			c->endpoint[n++] = c->endpoint[i];
	}
	for (uint8_t i = n; i < c->n; i++)
		c->endpoint[i] = (struct endpoint){ 0 };
	c->n = n;
}

static bool
is_same(const struct link_candidates *a, const struct link_candidates *b)
{
	uint8_t of_a[FRAME_CANDIDATES_SIZE], of_b[FRAME_CANDIDATES_SIZE];
	size_t n = candidates_encode(a, of_a);

	return n == candidates_encode(b, of_b) && memcmp(of_a, of_b, n) == 0;
}

enum err
offer_take(struct links *l, struct peer *p, struct span body, struct now now)
{
	struct conn *c = p->conn;
	struct link_candidates fresh;
	enum err err;

	assert(c && c->up);
	err = candidates_decode(body, &fresh);
	if (err) /* and what waited is untouched */
		return err;
	keep_usable(l, &fresh);
	if (now.mono_ms < c->offered_ms && is_same(&fresh, &c->offered))
		return ERR_OK; /* the copy, or sent once more after a loss */
	c->offered = fresh;
	c->has_offered = true;
	offer_tick(l, p, now);
	return ERR_OK;
}

void
offer_tick(struct links *l, struct peer *p, struct now now)
{
	struct conn *c = p->conn;
	struct out *o;

	if (now.mono_ms >= c->offer_copy_ms) {
		c->offer_copy_ms = NEVER;
		c->offer_due = true;
		peer_touch(l, p);
	}
	if (!c->has_offered || now.mono_ms < c->offered_ms)
		return;
	c->offered_ms = now.mono_ms + LINK_OFFER_MS;
	o = out_new(LINK_OUT_CANDIDATES, p->number);
	if (!o)
		return; /* once more, a second later */
	c->has_offered = false;
	o->o.candidates = c->offered;
	out_push(l, o);
}
