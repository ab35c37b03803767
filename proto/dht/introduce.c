/* Handles, circuits, and what each may cost. Plain arrays: a search through
 * full ones costs a fiftieth of the Diffie-Hellmans that come with it. */
#include "proto/dht/introduce.h"

#include "proto/dht/guard.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct handle {
	uint64_t until_ms; /* 0: a free place */
	struct endpoint at;
	struct node_key n;
	uint8_t id[INTRODUCE_ID_SIZE], cookie[INTRODUCE_ID_SIZE];
	uint32_t given; /* to its node; 0: it is a stranger's */
	uint32_t rate;  /* bytes a second, its part of that */
	uint16_t n_circuits;
	struct guard_bucket own, part; /* its rate; its part of all */
};

struct circuit {
	uint64_t used_ms; /* by the caller; 0: a free place */
	uint16_t handle;  /* its place */
	bool proven;      /* the caller gets what is sent to him */
	uint32_t room;    /* bytes that he may get until then */
	struct endpoint at;
	struct node_key n; /* of the caller, as he says */
	uint8_t cookie[INTRODUCE_ID_SIZE];
	uint8_t to_caller[INTRODUCE_ID_SIZE];
	uint8_t to_called[INTRODUCE_ID_SIZE];
};

struct introduce {
	const struct rng *rng; /* borrowed for life */
	struct handle handle[INTRODUCE_HANDLES];
	struct circuit circuit[INTRODUCE_CIRCUITS];
	unsigned n_handles, n_trusted, n_circuits;
	uint64_t due_ms; /* nobody's time is over before */
	struct guard_bucket all, trusted_all;
	struct introduce_stats stats;
};

_Static_assert((int)INTRODUCE_ALL_RATE >= (int)INTRODUCE_HANDLES, "parts");

struct introduce *
introduce_new(const struct rng *rng, uint64_t now_ms)
{
	struct introduce *t = calloc(1, sizeof(*t));

	assert(rng);
	if (!t)
		return NULL;
	t->rng = rng;
	t->due_ms = NEVER;
	t->all.at_ms = now_ms;
	t->all.milli = UINT64_C(1000) * INTRODUCE_ALL_BURST;
	t->trusted_all.at_ms = now_ms;
	t->trusted_all.milli = UINT64_C(1000) * INTRODUCE_TRUSTED_ALL_BURST;
	return t;
}

void
introduce_free(struct introduce *t)
{
	if (!t)
		return;
	sodium_memzero(t, sizeof(*t));
	free(t);
}

/* ---- ends ---- */

static void
circuit_end(struct introduce *t, struct circuit *c)
{
	struct handle *h = &t->handle[c->handle];

	assert(c->used_ms && h->n_circuits > 0 && t->n_circuits > 0);
	h->n_circuits--;
	t->n_circuits--;
	sodium_memzero(c, sizeof(*c));
}

static void
handle_end(struct introduce *t, struct handle *h)
{
	size_t place = (size_t)(h - t->handle);

	assert(h->until_ms && t->n_handles > 0);
	for (size_t i = 0; i < INTRODUCE_CIRCUITS && h->n_circuits > 0; i++)
		if (t->circuit[i].used_ms && t->circuit[i].handle == place)
			circuit_end(t, &t->circuit[i]);
	assert(h->n_circuits == 0);
	t->n_handles--;
	t->n_trusted -= h->given > 0;
	sodium_memzero(h, sizeof(*h));
}

static uint64_t
circuit_due_ms(const struct circuit *c)
{
	return c->used_ms + INTRODUCE_CIRCUIT_MS;
}

/* Whose time is over. Who was heard since ends later than due_ms says: then the
 * walk is for nothing, but that is seldom. */
static void
expire(struct introduce *t, uint64_t now_ms)
{
	assert(t->n_handles <= INTRODUCE_HANDLES);
	if (now_ms < t->due_ms)
		return;
	t->due_ms = NEVER;
	for (size_t i = 0; i < INTRODUCE_HANDLES; i++) {
		struct handle *h = &t->handle[i];

		if (h->until_ms && h->until_ms <= now_ms)
			handle_end(t, h);
		else if (h->until_ms && h->until_ms < t->due_ms)
			t->due_ms = h->until_ms;
	}
	for (size_t i = 0; i < INTRODUCE_CIRCUITS && t->n_circuits > 0; i++) {
		struct circuit *c = &t->circuit[i];

		if (c->used_ms && circuit_due_ms(c) <= now_ms)
			circuit_end(t, c);
		else if (c->used_ms && circuit_due_ms(c) < t->due_ms)
			t->due_ms = circuit_due_ms(c);
	}
}

static void
due(struct introduce *t, uint64_t at_ms)
{
	if (at_ms < t->due_ms)
		t->due_ms = at_ms;
}

/* ---- registrations ---- */

/* By one comparison of a word, whose time tells nothing of the bytes. */
static bool
same_id(const uint8_t a[INTRODUCE_ID_SIZE], const uint8_t b[INTRODUCE_ID_SIZE])
{
	uint64_t x, y;

	_Static_assert(sizeof(x) == INTRODUCE_ID_SIZE, "a word");
	memcpy(&x, a, sizeof(x));
	memcpy(&y, b, sizeof(y));
	return x == y;
}

static struct handle *
find_handle(struct introduce *t, const uint8_t id[INTRODUCE_ID_SIZE])
{
	for (size_t i = 0; i < INTRODUCE_HANDLES && t->n_handles > 0; i++)
		if (t->handle[i].until_ms && same_id(t->handle[i].id, id))
			return &t->handle[i];
	return NULL;
}

/* Does it name a circuit? Nobody can have drawn that by chance. */
static bool
is_circuit(const struct introduce *t, const uint8_t id[INTRODUCE_ID_SIZE])
{
	for (size_t i = 0; i < INTRODUCE_CIRCUITS && t->n_circuits > 0; i++) {
		const struct circuit *c = &t->circuit[i];

		if (c->used_ms &&
		    (same_id(c->to_caller, id) || same_id(c->to_called, id)))
			return true;
	}
	return false;
}

/* Is there a place for another handle of that node? */
static bool
has_room(const struct introduce *t, const struct introduce_wish *w)
{
	unsigned most =
	    w->rate ? INTRODUCE_HANDLES : INTRODUCE_HANDLES - INTRODUCE_SPARE;
	unsigned n_net = 0, n_node = 0;

	for (size_t i = 0; i < INTRODUCE_HANDLES; i++) {
		const struct handle *h = &t->handle[i];

		if (!h->until_ms)
			continue;
		n_net += endpoint_same_network(&h->at, w->at);
		n_node +=
		    node_key_eq(&h->n, w->n) || endpoint_eq(&h->at, w->at);
	}
	if (n_node >= INTRODUCE_PER_NODE || t->n_handles >= most)
		return false;
	return w->rate || 2 * t->n_handles < INTRODUCE_HANDLES ||
	       n_net < INTRODUCE_PER_NET;
}

enum err
introduce_may(
    struct introduce *t, const struct introduce_wish *w, uint64_t now_ms)
{
	const struct handle *h;

	assert(t && w->at->port != 0);
	expire(t, now_ms);
	h = find_handle(t, w->handle);
	if (h)
		return node_key_eq(&h->n, w->n) ? ERR_OK : ERR_EXISTS;
	if (is_circuit(t, w->handle))
		return ERR_EXISTS;
	return has_room(t, w) ? ERR_OK : ERR_LIMIT;
}

static uint64_t
burst_of(const struct handle *h)
{
	return (uint64_t)h->rate *
	       (h->given ? INTRODUCE_TRUSTED_BURST_S : INTRODUCE_BURST_S);
}

/* What is given is given once to a node, however many handles it has. */
static void
share(struct introduce *t, const struct node_key *n, uint32_t rate)
{
	uint32_t count = 0;

	for (size_t i = 0; i < INTRODUCE_HANDLES; i++)
		count +=
		    t->handle[i].until_ms && node_key_eq(&t->handle[i].n, n);
	for (size_t i = 0; i < INTRODUCE_HANDLES; i++) {
		struct handle *h = &t->handle[i];

		if (!h->until_ms || !node_key_eq(&h->n, n))
			continue;
		t->n_trusted -= h->given > 0;
		t->n_trusted += rate > 0;
		h->given = rate;
		h->rate = rate ? rate / count : INTRODUCE_RATE;
	}
	assert(t->n_trusted <= t->n_handles);
}

void
introduce_trust(struct introduce *t, const struct node_key *n, uint32_t rate,
    uint64_t now_ms)
{
	expire(t, now_ms);
	share(t, n, rate);
}

void
introduce_end_strangers(struct introduce *t)
{
	for (size_t i = 0; i < INTRODUCE_HANDLES; i++)
		if (t->handle[i].until_ms && !t->handle[i].given)
			handle_end(t, &t->handle[i]);
}

static struct handle *
handle_new(struct introduce *t, const struct introduce_wish *w, uint64_t now_ms)
{
	struct handle *h = t->handle;

	while (h->until_ms)
		h++;
	assert(h < t->handle + INTRODUCE_HANDLES);
	h->n = *w->n;
	memcpy(h->id, w->handle, sizeof(h->id));
	h->own.at_ms = h->part.at_ms = now_ms;
	/* Of whom we trust, too: else handles are made for their bursts. */
	h->own.milli = UINT64_C(1000) * INTRODUCE_BURST_S * INTRODUCE_RATE;
	h->part.milli = UINT64_C(1000) * INTRODUCE_PART_BURST;
	t->n_handles++;
	return h;
}

enum err
introduce_register(
    struct introduce *t, const struct introduce_wish *w, uint64_t now_ms)
{
	enum err err = introduce_may(t, w, now_ms);
	struct handle *h;

	if (err)
		return err;
	h = find_handle(t, w->handle);
	if (!h)
		h = handle_new(t, w, now_ms);
	h->at = *w->at;
	memcpy(h->cookie, w->cookie, sizeof(h->cookie));
	h->until_ms = now_ms + UINT64_C(1000) * INTRODUCE_LIFE_S;
	share(t, w->n, w->rate);
	due(t, h->until_ms);
	assert(t->n_handles <= INTRODUCE_HANDLES);
	return ERR_OK;
}

/* ---- circuits ---- */

static struct circuit *
find_call(struct introduce *t, const struct introduce_wish *caller,
    const struct handle *h)
{
	size_t place = (size_t)(h - t->handle);

	for (size_t i = 0; i < INTRODUCE_CIRCUITS && h->n_circuits > 0; i++) {
		struct circuit *c = &t->circuit[i];

		if (c->used_ms && c->handle == place &&
		    endpoint_eq(&c->at, caller->at) &&
		    node_key_eq(&c->n, caller->n) &&
		    same_id(c->cookie, caller->cookie))
			return c;
	}
	return NULL;
}

/* The circuit of a handle that is missed least: idle for longest, those first
 * whose caller may not be where he says. */
static struct circuit *
least(struct introduce *t, size_t handle)
{
	struct circuit *worst = NULL;

	for (size_t i = 0; i < INTRODUCE_CIRCUITS; i++) {
		struct circuit *c = &t->circuit[i];

		if (!c->used_ms || c->handle != handle)
			continue;
		if (!worst || (worst->proven && !c->proven) ||
		    (worst->proven == c->proven && c->used_ms < worst->used_ms))
			worst = c;
	}
	assert(worst);
	return worst;
}

/* Who has most circuits gives one, if there is no room for another. */
static void
make_room(struct introduce *t, const struct handle *h)
{
	size_t most = (size_t)(h - t->handle);

	if (h->n_circuits < INTRODUCE_PER_HANDLE) {
		if (t->n_circuits < INTRODUCE_CIRCUITS)
			return;
		for (size_t i = 0; i < INTRODUCE_HANDLES; i++)
			if (t->handle[i].n_circuits >
			    t->handle[most].n_circuits)
				most = i;
	}
	circuit_end(t, least(t, most));
}

static void
draw_id(struct introduce *t, uint8_t ret[INTRODUCE_ID_SIZE])
{
	do
		rng_fill(t->rng, ret, INTRODUCE_ID_SIZE);
	while (find_handle(t, ret) || is_circuit(t, ret));
}

static struct circuit *
circuit_new(
    struct introduce *t, const struct introduce_wish *caller, struct handle *h)
{
	struct circuit *c = t->circuit;

	make_room(t, h);
	while (c->used_ms)
		c++;
	assert(c < t->circuit + INTRODUCE_CIRCUITS);
	c->handle = (uint16_t)(h - t->handle);
	c->at = *caller->at;
	c->n = *caller->n;
	memcpy(c->cookie, caller->cookie, sizeof(c->cookie));
	draw_id(t, c->to_caller);
	draw_id(t, c->to_called);
	h->n_circuits++;
	t->n_circuits++;
	assert(t->n_circuits <= INTRODUCE_CIRCUITS);
	return c;
}

static void
fill_to(const struct introduce *t, const struct circuit *c, bool to_caller,
    struct introduce_to *ret)
{
	const struct handle *h = &t->handle[c->handle];
	const uint8_t *id = to_caller ? c->to_called : c->to_caller;
	const uint8_t *cookie = to_caller ? c->cookie : h->cookie;

	ret->at = to_caller ? c->at : h->at;
	ret->other = to_caller ? h->at : c->at;
	ret->n = to_caller ? c->n : h->n;
	memcpy(ret->cookie, cookie, sizeof(ret->cookie));
	memcpy(ret->circuit, id, sizeof(ret->circuit));
	ret->place = (uint16_t)(c - t->circuit);
	ret->to_caller = to_caller;
}

/* The caller has sent something. */
static void
heard(struct circuit *c, size_t n_bytes, uint64_t now_ms)
{
	uint64_t room = c->room + (uint64_t)GUARD_FACTOR * n_bytes;

	c->used_ms = now_ms ? now_ms : 1;
	c->room = room < UINT32_MAX ? (uint32_t)room : UINT32_MAX;
}

enum err
introduce_call(struct introduce *t, const struct introduce_wish *caller,
    size_t n_bytes, uint64_t now_ms, struct introduce_to *ret)
{
	struct handle *h;
	struct circuit *c;

	assert(t && caller->at->port != 0 && n_bytes > 0);
	expire(t, now_ms);
	h = find_handle(t, caller->handle);
	/* Nobody calls himself: what comes back would be for either end. */
	if (!h || endpoint_eq(&h->at, caller->at) ||
	    node_key_eq(&h->n, caller->n))
		return ERR_NOT_FOUND;
	c = find_call(t, caller, h);
	if (!c)
		c = circuit_new(t, caller, h);
	heard(c, n_bytes, now_ms);
	due(t, circuit_due_ms(c));
	fill_to(t, c, false, ret);
	return ERR_OK;
}

enum err
introduce_follow(struct introduce *t, const struct endpoint *from,
    const uint8_t circuit[INTRODUCE_ID_SIZE], size_t n_bytes, uint64_t now_ms,
    struct introduce_to *ret)
{
	assert(t && from->port != 0 && n_bytes > 0);
	expire(t, now_ms);
	for (size_t i = 0; i < INTRODUCE_CIRCUITS && t->n_circuits > 0; i++) {
		struct circuit *c = &t->circuit[i];
		const struct handle *h = &t->handle[c->handle];

		if (!c->used_ms)
			continue;
		if (same_id(c->to_caller, circuit) &&
		    endpoint_eq(&h->at, from)) {
			fill_to(t, c, true, ret);
			return ERR_OK;
		}
		if (same_id(c->to_called, circuit) &&
		    endpoint_eq(&c->at, from)) {
			c->proven = true;
			heard(c, n_bytes, now_ms);
			fill_to(t, c, false, ret);
			return ERR_OK;
		}
	}
	return ERR_NOT_FOUND;
}

/* ---- budgets ---- */

/* What all handles of one kind may cost together. */
struct pool {
	struct guard_bucket *all;
	uint64_t rate, burst;
	unsigned n; /* handles, at least one */
};

static struct pool
pool_of(struct introduce *t, const struct handle *h)
{
	if (h->given)
		return (struct pool){ &t->trusted_all,
			INTRODUCE_TRUSTED_ALL_RATE, INTRODUCE_TRUSTED_ALL_BURST,
			t->n_trusted };
	return (struct pool){ &t->all, INTRODUCE_ALL_RATE, INTRODUCE_ALL_BURST,
		t->n_handles - t->n_trusted };
}

/* Charges the handle and all; false: there is not so much. */
static bool
charge(struct introduce *t, struct handle *h, uint64_t n, uint64_t now_ms)
{
	struct pool p = pool_of(t, h);
	uint64_t own = guard_level(&h->own, h->rate, burst_of(h), now_ms);
	uint64_t all = guard_level(p.all, p.rate, p.burst, now_ms);
	uint64_t part;

	assert(p.n > 0);
	part =
	    guard_level(&h->part, p.rate / p.n, INTRODUCE_PART_BURST, now_ms);
	if (own < n || all < n || (2 * all < p.burst && part < n))
		return false;
	guard_spend(&h->own, n);
	guard_spend(&h->part, part < n ? part : n);
	guard_spend(p.all, n);
	return true;
}

bool
introduce_pay(struct introduce *t, const struct introduce_to *to,
    size_t n_bytes, uint64_t now_ms)
{
	struct circuit *c = &t->circuit[to->place];
	struct handle *h = &t->handle[c->handle];
	bool bounded = to->to_caller && !c->proven;

	assert(c->used_ms && h->until_ms && n_bytes > 0);
	if ((bounded && c->room < n_bytes) || !charge(t, h, n_bytes, now_ms)) {
		t->stats.n_refused++;
		return false;
	}
	if (bounded)
		c->room -= (uint32_t)n_bytes;
	t->stats.n_passed++;
	t->stats.bytes_passed += n_bytes;
	if (h->given)
		t->stats.bytes_trusted += n_bytes;
	return true;
}

void
introduce_get_stats(
    struct introduce *t, uint64_t now_ms, struct introduce_stats *ret)
{
	expire(t, now_ms);
	*ret = t->stats;
	ret->handles = t->n_handles;
	ret->trusted = t->n_trusted;
	ret->circuits = t->n_circuits;
}
