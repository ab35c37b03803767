/* Swarms in a sorted array, each with an array of its own. */
#include "proto/dht/peers.h"

#include "proto/dht/nodeid.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAP_FIRST = 4 };

_Static_assert(sizeof(struct peer) == 24, "as small as the header says");

void
peers_init(struct peers *s, const struct target *own, const struct rng *rng)
{
	assert(s && own && rng);
	memset(s, 0, sizeof(*s));
	s->own = *own;
	s->rng = rng;
	s->sweep_ms = NEVER;
}

void
peers_clear(struct peers *s)
{
	for (size_t i = 0; i < s->n; i++)
		free(s->swarm[i].peer);
	free(s->swarm);
	s->swarm = NULL;
	s->n = s->cap = 0;
}

/* The place of hash, or where it would be; *found says which. */
static size_t
search(const struct peers *s, const struct target *hash, bool *found)
{
	size_t low = 0, high = s->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (memcmp(s->swarm[mid].hash.b, hash->b, NODEID_SIZE) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	assert(low <= s->n);
	*found = low < s->n && nodeid_eq(&s->swarm[low].hash, hash);
	return low;
}

/* A larger array, of the next power of two but at most max. */
static void *
grown(void *old, size_t *cap, size_t size, size_t max)
{
	size_t next = *cap ? 2 * *cap : CAP_FIRST;
	void *p;

	assert(*cap < max);
	next = next < max ? next : max;
	p = realloc(old, next * size);
	if (p)
		*cap = next;
	return p;
}

/* ---- what is old ---- */

static bool
too_old(const struct peer *p, uint64_t now_ms)
{
	return now_ms / 1000 >= p->told_s + PEERS_LIFE_MS / 1000;
}

static void
drop_peer(struct swarm *w, size_t i)
{
	assert(i < w->n);
	w->peer[i] = w->peer[--w->n];
}

static void
drop_swarm(struct peers *s, size_t i)
{
	assert(i < s->n);
	free(s->swarm[i].peer);
	s->n--;
	memmove(
	    &s->swarm[i], &s->swarm[i + 1], (s->n - i) * sizeof(s->swarm[0]));
}

static void
refresh(struct swarm *w, uint64_t now_ms)
{
	assert(w->n <= w->cap && w->cap <= PEERS_MAX);
	for (size_t i = w->n; i-- > 0;)
		if (too_old(&w->peer[i], now_ms))
			drop_peer(w, i);
}

void
peers_expire(struct peers *s, uint64_t now_ms)
{
	if (now_ms < s->sweep_ms)
		return;
	for (size_t i = s->n; i-- > 0;) {
		refresh(&s->swarm[i], now_ms);
		if (s->swarm[i].n == 0)
			drop_swarm(s, i);
	}
	s->sweep_ms = s->n > 0 ? now_ms + PEERS_SWEEP_MS : NEVER;
}

/* ---- who gives way ---- */

/* The swarm that goes for a new one that `from` begins: the smallest, of
 * these the farthest from our id, which others are nearer to. A network that
 * has its quota loses one of its own, so that a flood displaces itself.
 * s->n: none needs to. */
static size_t
worst_swarm(const struct peers *s, const struct endpoint *from)
{
	size_t worst = 0, own = s->n, n_own = 0;

	if (s->n < PEERS_SWARMS_TIGHT)
		return s->n;
	for (size_t i = 0; i < s->n; i++) {
		const struct swarm *w = &s->swarm[i], *v = &s->swarm[worst];

		if (w->n < v->n ||
		    (w->n == v->n &&
		        nodeid_compare(&s->own, &w->hash, &v->hash) > 0))
			worst = i;
		if (!endpoint_same_network(&w->first, from))
			continue;
		n_own++;
		if (own == s->n || w->n < s->swarm[own].n)
			own = i;
	}
	if (n_own >= PEERS_QUOTA)
		return own;
	return s->n == PEERS_SWARMS_MAX ? worst : s->n;
}

/* The same for a peer of a swarm: the oldest. w->n: none needs to. */
static size_t
worst_peer(const struct swarm *w, const struct endpoint *at)
{
	size_t worst = 0, own = w->n, n_own = 0;

	if (w->n < PEERS_TIGHT)
		return w->n;
	for (size_t i = 0; i < w->n; i++) {
		if (w->peer[i].told_s < w->peer[worst].told_s)
			worst = i;
		if (!endpoint_same_network(&w->peer[i].at, at))
			continue;
		n_own++;
		if (own == w->n || w->peer[i].told_s < w->peer[own].told_s)
			own = i;
	}
	if (n_own >= PEERS_QUOTA)
		return own;
	return w->n == PEERS_MAX ? worst : w->n;
}

/* ---- telling ---- */

/* The swarm of hash, begun by `from` if there is none; NULL: no memory. */
static struct swarm *
swarm_of(
    struct peers *s, const struct target *hash, const struct endpoint *from)
{
	bool found;
	size_t at = search(s, hash, &found), worst;
	struct swarm *grow;

	if (found)
		return &s->swarm[at];
	worst = worst_swarm(s, from);
	if (worst < s->n) {
		drop_swarm(s, worst);
		at = search(s, hash, &found);
	}
	if (s->n == s->cap) {
		grow = grown(
		    s->swarm, &s->cap, sizeof(*s->swarm), PEERS_SWARMS_MAX);
		if (!grow)
			return NULL;
		s->swarm = grow;
	}
	assert(s->n < s->cap && at <= s->n);
	memmove(&s->swarm[at + 1], &s->swarm[at],
	    (s->n - at) * sizeof(s->swarm[0]));
	s->swarm[at] = (struct swarm){ .hash = *hash, .first = *from };
	s->n++;
	return &s->swarm[at];
}

/* The place of `at` in w, or a free one; NULL: no memory. */
static struct peer *
peer_of(struct swarm *w, const struct endpoint *at)
{
	struct peer *grow;
	size_t cap = w->cap, worst;

	for (size_t i = 0; i < w->n; i++)
		if (endpoint_eq(&w->peer[i].at, at))
			return &w->peer[i];
	worst = worst_peer(w, at);
	if (worst < w->n)
		drop_peer(w, worst);
	if (w->n == w->cap) {
		grow = grown(w->peer, &cap, sizeof(*w->peer), PEERS_MAX);
		if (!grow)
			return NULL;
		w->peer = grow;
		w->cap = (uint16_t)cap;
	}
	assert(w->n < w->cap);
	return &w->peer[w->n++];
}

enum err
peers_put(struct peers *s, const struct target *hash, const struct endpoint *at,
    bool seed, uint64_t now_ms)
{
	struct swarm *w;
	struct peer *p;

	assert(s && hash && at->port != 0);
	peers_expire(s, now_ms);
	w = swarm_of(s, hash, at);
	if (!w)
		return ERR_NOMEM;
	if (s->sweep_ms == NEVER)
		s->sweep_ms = now_ms + PEERS_SWEEP_MS;
	refresh(w, now_ms);
	p = peer_of(w, at);
	if (!p)
		return ERR_NOMEM; /* an empty swarm goes with the next sweep */
	p->at = *at;
	p->seed = seed;
	p->told_s = (uint32_t)(now_ms / 1000);
	return ERR_OK;
}

/* ---- asking ---- */

static void
swap(struct peer *a, struct peer *b)
{
	struct peer p = *a;

	*a = *b;
	*b = p;
}

size_t
peers_get(struct peers *s, const struct target *hash, bool noseed,
    uint64_t now_ms, struct endpoint *ret, size_t max)
{
	bool found;
	size_t at = search(s, hash, &found), n = 0;
	struct swarm *w;

	assert(ret && max > 0);
	if (!found)
		return 0;
	w = &s->swarm[at];
	refresh(w, now_ms);
	/* A shuffle that ends when there are enough. */
	for (uint32_t i = 0; i < w->n && n < max; i++) {
		swap(&w->peer[i], &w->peer[i + rng_below(s->rng, w->n - i)]);
		if (!noseed || !w->peer[i].seed)
			ret[n++] = w->peer[i].at;
	}
	assert(n <= max);
	return n;
}

static void
choose(struct peers *s, uint64_t now_ms)
{
	s->n_sample = 0;
	/* Each of the first i is in it with the same chance. */
	for (uint32_t i = 0; i < s->n; i++) {
		size_t at = i;

		if (i >= PEERS_SAMPLE)
			at = rng_below(s->rng, i + 1);
		else
			s->n_sample++;
		if (at < PEERS_SAMPLE)
			s->sample[at] = s->swarm[i].hash;
	}
	s->sample_ms = now_ms + PEERS_SAMPLE_MS;
}

size_t
peers_sample(struct peers *s, uint64_t now_ms, const struct target **ret,
    uint32_t *ret_s)
{
	peers_expire(s, now_ms);
	/* While one answer names all of them it need not stay the same. */
	if (now_ms >= s->sample_ms || s->n <= PEERS_SAMPLE ||
	    s->n_sample < PEERS_SAMPLE)
		choose(s, now_ms);
	assert(s->n_sample <= PEERS_SAMPLE && s->n_sample <= s->n);
	*ret = s->sample;
	*ret_s = 0;
	if (s->n > PEERS_SAMPLE)
		*ret_s = (uint32_t)((s->sample_ms - now_ms) / 1000);
	return s->n_sample;
}
