/* The store: a fixed array, an index by target, and what goes when full. */
#include "proto/dht/items.h"

#include "proto/crypto/sha1.h"
#include "proto/dht/nodeid.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum err
items_init(struct items *s, const struct rng *rng)
{
	memset(s, 0, sizeof(*s));
	s->item = calloc(ITEMS_MAX, sizeof(*s->item));
	if (!s->item)
		return ERR_NOMEM;
	map_init(&s->index, NODEID_SIZE, rng);
	s->expire_ms = NEVER;
	return ERR_OK;
}

void
items_forget(struct items *s, const struct rng *rng)
{
	for (size_t n = 0; n < ITEMS_MAX; n++)
		if (s->item[n].used)
			memset(&s->item[n], 0, sizeof(s->item[n]));
	map_clear(&s->index);
	map_init(&s->index, NODEID_SIZE, rng);
	s->expire_ms = NEVER;
}

void
items_clear(struct items *s)
{
	map_clear(&s->index);
	free(s->item);
	s->item = NULL;
}

void
items_target(const struct krpc *put, struct target *ret)
{
	if (put->has_k)
		dht_item_target(put->k, put->salt, ret);
	else
		sha1(&put->v, 1, ret->b);
}

enum krpc_code
items_check(const struct krpc *put)
{
	assert(put->v.p);
	if (put->v.n > DHT_VALUE_MAX)
		return KRPC_V_TOO_BIG;
	if (put->salt.n > DHT_SALT_MAX)
		return KRPC_SALT_TOO_BIG;
	if (!put->has_k)
		return KRPC_OK;
	/* A mutable item is all of k, sig and seq. */
	if (!put->has_sig || !put->has_seq || put->seq < 0)
		return KRPC_PROTOCOL;
	return KRPC_OK;
}

static bool
signature_holds(const struct krpc *put)
{
	struct dht_item item;

	assert(put->v.n <= sizeof(item.v));
	assert(put->salt.n <= sizeof(item.salt));
	memcpy(item.pk, put->k, sizeof(item.pk));
	memcpy(item.sig, put->sig, sizeof(item.sig));
	item.seq = put->seq;
	item.salt_n = (uint8_t)put->salt.n;
	if (put->salt.n)
		memcpy(item.salt, put->salt.p, put->salt.n);
	item.v_n = (uint16_t)put->v.n;
	memcpy(item.v, put->v.p, put->v.n);
	return dht_item_verify(&item) == ERR_OK;
}

static bool
too_old(const struct item *i, uint64_t now_ms)
{
	return now_ms >= i->put_ms && now_ms - i->put_ms >= ITEMS_LIFE_MS;
}

static void
drop(struct items *s, struct item *i)
{
	void *was = map_del(&s->index, i->target.b);

	assert(i->used && was == i);
	(void)was;
	i->used = false;
}

void
items_expire(struct items *s, uint64_t now_ms)
{
	uint64_t next_ms = NEVER;

	if (now_ms < s->expire_ms)
		return;
	for (size_t n = 0; n < ITEMS_MAX; n++) {
		struct item *i = &s->item[n];

		if (i->used && too_old(i, now_ms))
			drop(s, i);
		if (i->used && i->put_ms + ITEMS_LIFE_MS < next_ms)
			next_ms = i->put_ms + ITEMS_LIFE_MS;
	}
	s->expire_ms = next_ms;
	assert(next_ms > now_ms);
}

const struct item *
items_get(const struct items *s, const struct target *target, uint64_t now_ms)
{
	const struct item *i = map_get(&s->index, target->b);

	assert(!i || i->used);
	return i && !too_old(i, now_ms) ? i : NULL;
}

bool
items_keep(struct items *s, const struct target *target, int64_t seq,
    const struct endpoint *from, uint64_t now_ms)
{
	struct item *i = map_get(&s->index, target->b);

	if (!i || too_old(i, now_ms) || !i->is_mutable || i->seq != seq ||
	    !endpoint_same_network(&i->from, from))
		return false;
	assert(i->used && s->expire_ms <= i->put_ms + ITEMS_LIFE_MS);
	i->put_ms = now_ms;
	return true;
}

/*
 * What must go for an item from `from`. While there is plenty of room nothing
 * must. Once it is tight a network that has its quota displaces its own oldest
 * one, so a flood displaces itself; a full store gives up the item that is
 * farthest from our id, which others are nearer to.
 */
static struct item *
victim(struct items *s, const struct endpoint *from)
{
	struct item *oldest = NULL;
	struct item *farthest = NULL;
	size_t n_own = 0;

	assert(s->index.n <= ITEMS_MAX);
	if (s->index.n < ITEMS_TIGHT)
		return NULL;
	for (size_t n = 0; n < ITEMS_MAX; n++) {
		struct item *i = &s->item[n];

		if (!i->used)
			continue;
		if (!farthest ||
		    nodeid_compare(&s->own, &i->target, &farthest->target) > 0)
			farthest = i;
		if (!endpoint_same_network(&i->from, from))
			continue;
		n_own++;
		if (!oldest || i->put_ms < oldest->put_ms)
			oldest = i;
	}
	if (n_own >= ITEMS_QUOTA)
		return oldest;
	return s->index.n == ITEMS_MAX ? farthest : NULL;
}

/* A free place under target, in the index already; NULL: no memory. */
static struct item *
place(struct items *s, const struct target *target, const struct endpoint *from)
{
	struct item *v = victim(s, from);
	struct item *i = NULL;

	if (v)
		drop(s, v);
	assert(s->index.n < ITEMS_MAX);
	for (size_t n = 0; n < ITEMS_MAX && !i; n++)
		if (!s->item[n].used)
			i = &s->item[n];
	if (!i || map_put(&s->index, target->b, i))
		return NULL;
	i->used = true;
	i->target = *target;
	return i;
}

static void
fill(struct item *i, const struct krpc *put)
{
	assert(i->used && put->v.n <= sizeof(i->v));
	i->is_mutable = put->has_k;
	memcpy(i->k, put->k, sizeof(i->k));
	memcpy(i->sig, put->sig, sizeof(i->sig));
	i->seq = put->seq;
	i->v_n = (uint16_t)put->v.n;
	memcpy(i->v, put->v.p, put->v.n);
}

enum krpc_code
items_put(struct items *s, const struct krpc *put, const struct endpoint *from,
    uint64_t now_ms)
{
	struct target target;
	struct item *i;

	assert(items_check(put) == KRPC_OK);
	items_target(put, &target);
	items_expire(s, now_ms);
	i = map_get(&s->index, target.b);
	if (put->has_k && !signature_holds(put))
		return KRPC_BAD_SIG;
	if (i && put->has_k && put->has_cas && put->cas != i->seq)
		return KRPC_CAS_MISMATCH;
	if (i && put->has_k && put->seq < i->seq)
		return KRPC_SEQ_TOO_LOW;
	if (!i) {
		i = place(s, &target, from);
		if (!i)
			return KRPC_SERVER;
		fill(i, put);
	} else if (put->has_k && put->seq > i->seq) {
		fill(i, put);
	} /* the same seq again only renews it [BEP 44] */
	assert(nodeid_eq(&i->target, &target));
	i->from = *from;
	i->put_ms = now_ms;
	if (now_ms + ITEMS_LIFE_MS < s->expire_ms)
		s->expire_ms = now_ms + ITEMS_LIFE_MS;
	return KRPC_OK;
}
