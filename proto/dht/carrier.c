/* Exchanges under way, trials, replays, padding. [SPEC §8.2] */
#include "proto/dht/carrier.h"

#include "proto/dht/guard.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

enum { DAY_MIN = 24 * 60 };

struct asked {
	bool used;
	struct endpoint to;
	struct overlay_asked x;
};

struct day_key {
	bool set;
	uint32_t day;
	struct overlay_static key;
};

struct carrier {
	const struct rng *rng; /* borrowed for life */
	bool introduces;
	struct overlay_static own;
	uint8_t r; /* of the id */
	/* Dense, so that a quiet node touches little of it. */
	struct asked asked[CARRIER_ASKED_MAX];
	unsigned asked_end; /* no used ones from there on */
	struct day_key day[CARRIER_DAY_KEYS];
	struct guard_bucket trials[2]; /* unproven, proven addresses */
	struct seen_tags {
		uint32_t mark[CARRIER_SEEN_MAX]; /* parts of tags, a ring */
		unsigned n, at;
	} seen[2]; /* of what may draw an answer, and of what does not */
};

struct carrier *
carrier_new(const struct rng *rng, bool introduces)
{
	struct carrier *c = calloc(1, sizeof(*c));

	assert(rng);
	if (!c)
		return NULL;
	c->rng = rng;
	c->introduces = introduces;
	c->trials[0].milli = c->trials[1].milli =
	    UINT64_C(1000) * CARRIER_TRIALS_BURST;
	carrier_renew(c);
	return c;
}

void
carrier_renew(struct carrier *c)
{
	assert(c && c->rng);
	rng_fill(c->rng, c->own.sk, sizeof(c->own.sk));
	(void)crypto_scalarmult_base(c->own.pk, c->own.sk);
	rng_fill(c->rng, &c->r, 1);
}

void
carrier_free(struct carrier *c)
{
	if (!c)
		return;
	sodium_memzero(c, sizeof(*c));
	free(c);
}

void
carrier_key(const struct carrier *c, struct node_key *ret)
{
	memcpy(ret->b, c->own.pk, sizeof(ret->b));
}

void
carrier_id(
    const struct carrier *c, const struct endpoint *at, struct target *ret)
{
	overlay_node_id(c->own.pk, at, c->r, ret);
	assert(!at || overlay_id_valid(c->own.pk, at, ret));
}

/* ---- keys of the day ---- */

static const struct overlay_static *
day_key(struct carrier *c, uint32_t day)
{
	struct day_key *k = &c->day[day % CARRIER_DAY_KEYS];

	if (!k->set || k->day != day) {
		overlay_day_key(day, &k->key);
		k->day = day;
		k->set = true;
	}
	return &k->key;
}

/* Which days a query may come under, the likely one first; returns how many. */
static unsigned
days_of(struct now now, uint32_t ret[CARRIER_DAY_KEYS])
{
	uint64_t minute = now.wall_ms / 60000;
	uint64_t into = minute % DAY_MIN;
	unsigned n = 0;

	ret[n++] = (uint32_t)(minute / DAY_MIN);
	if (into < CARRIER_EDGE_MIN && ret[0] > 0)
		ret[n++] = ret[0] - 1;
	else if (into >= DAY_MIN - CARRIER_EDGE_MIN)
		ret[n++] = ret[0] + 1;
	assert(n <= CARRIER_DAY_KEYS);
	return n;
}

/* ---- asking ---- */

static struct asked *
asked_new(struct carrier *c)
{
	for (unsigned i = 0; i < CARRIER_ASKED_MAX; i++) {
		if (c->asked[i].used)
			continue;
		if (i >= c->asked_end)
			c->asked_end = i + 1;
		return &c->asked[i];
	}
	return NULL;
}

/* Never 'd' first: that is KRPC's. */
static void
draw_tag(const struct rng *rng, uint8_t ret[OVERLAY_TAG_SIZE])
{
	do
		rng_fill(rng, ret, OVERLAY_TAG_SIZE);
	while (ret[0] == 'd');
}

/* Wipe *ret, whatever comes of it. */
static enum err
seal_query(struct carrier *c, const struct carrier_query *q, struct now now,
    struct writer *out, struct overlay_exchange *ret)
{
	uint32_t today = (uint32_t)(now.wall_ms / 60000 / DAY_MIN);
	uint8_t tag[OVERLAY_TAG_SIZE], e_sk[32];
	struct overlay_query in = { .tag = tag, .e_sk = e_sk };
	size_t least = (q->answer_max + GUARD_FACTOR - 1) / GUARD_FACTOR;
	enum err err;

	in.n = q->n ? q->n->b : day_key(c, today)->pk;
	in.krpc = q->krpc;
	in.size = overlay_size(q->krpc.n, least);
	if (in.size == 0 || in.size > out->cap)
		return ERR_TOO_LONG;
	draw_tag(c->rng, tag);
	rng_fill(c->rng, e_sk, sizeof(e_sk));
	err = overlay_query_seal(&in, out->p, ret);
	sodium_memzero(e_sk, sizeof(e_sk));
	if (!err)
		out->n = in.size;
	return err;
}

enum err
carrier_ask(struct carrier *c, const struct carrier_query *q, struct now now,
    struct writer *out, uint16_t *ret)
{
	struct overlay_exchange x;
	struct asked *a = asked_new(c);
	enum err err;

	if (!a)
		return ERR_LIMIT;
	err = seal_query(c, q, now, out, &x);
	if (err)
		goto out;
	a->used = true;
	a->to = *q->to;
	overlay_keep(&x, &a->x);
	*ret = (uint16_t)(a - c->asked);
out:
	overlay_exchange_wipe(&x);
	return err;
}

enum err
carrier_tell(struct carrier *c, const struct carrier_query *q, struct now now,
    struct writer *out)
{
	struct overlay_exchange x;
	enum err err = seal_query(c, q, now, out, &x);

	overlay_exchange_wipe(&x);
	return err;
}

void
carrier_forget(struct carrier *c, uint16_t asked)
{
	assert(asked < CARRIER_ASKED_MAX && c->asked[asked].used);
	sodium_memzero(&c->asked[asked], sizeof(c->asked[asked]));
	while (c->asked_end > 0 && !c->asked[c->asked_end - 1].used)
		c->asked_end--;
}

bool
carrier_is_answer(const struct carrier *c, const struct endpoint *from,
    struct span datagram, uint16_t *ret)
{
	if (!overlay_is_size(datagram.n))
		return false;
	assert(c->asked_end <= CARRIER_ASKED_MAX);
	for (unsigned i = 0; i < c->asked_end; i++) {
		const struct asked *a = &c->asked[i];

		if (!a->used ||
		    sodium_memcmp(a->x.tag, datagram.p, OVERLAY_TAG_SIZE) != 0)
			continue;
		if (!endpoint_eq(&a->to, from))
			return false;
		*ret = (uint16_t)i;
		return true;
	}
	return false;
}

enum err
carrier_read_answer(struct carrier *c, uint16_t asked, struct span datagram,
    struct writer *krpc, struct node_key *ret)
{
	const struct asked *a = &c->asked[asked];
	struct overlay_exchange x;
	enum err err;

	assert(asked < CARRIER_ASKED_MAX && a->used);
	overlay_resume(&a->x, &x);
	err = overlay_answer_open(&x, datagram, krpc);
	if (!err)
		memcpy(ret->b, a->x.n, sizeof(ret->b));
	overlay_exchange_wipe(&x);
	return err;
}

/* ---- answering ---- */

/* The end of the tag: all of it is random. */
static uint32_t
mark_of(const uint8_t *tag)
{
	struct reader r = rd_init(span_of(tag + 4, 4));

	return rd_u32le(&r);
}

static bool
was_seen(const struct carrier *c, const uint8_t *tag)
{
	uint32_t mark = mark_of(tag);
	bool seen = false;

	for (unsigned k = 0; k < 2; k++) {
		const struct seen_tags *s = &c->seen[k];

		assert(s->n <= CARRIER_SEEN_MAX);
		for (unsigned i = 0; i < s->n; i++)
			seen |= s->mark[i] == mark;
	}
	return seen;
}

static enum err
try_keys(struct carrier *c, struct span datagram, struct now now,
    struct writer *krpc, struct carrier_call *ret)
{
	uint32_t days[CARRIER_DAY_KEYS];
	unsigned n = c->introduces ? days_of(now, days) : 0;
	enum err err = overlay_query_open(&c->own, datagram, &ret->x, krpc);

	ret->introduction = false;
	for (unsigned i = 0; i < n && err; i++) {
		err = overlay_query_open(
		    day_key(c, days[i]), datagram, &ret->x, krpc);
		ret->introduction = true;
	}
	return err;
}

enum err
carrier_open(struct carrier *c, struct span datagram, bool is_proven,
    struct now now, struct writer *krpc, struct carrier_call *ret)
{
	if (!overlay_is_size(datagram.n) || datagram.p[0] == 'd')
		return ERR_MALFORMED;
	if (was_seen(c, datagram.p))
		return ERR_REPLAY;
	if (!guard_take(&c->trials[is_proven], CARRIER_TRIALS,
	        CARRIER_TRIALS_BURST, now.mono_ms))
		return ERR_LIMIT;
	ret->size = datagram.n;
	return try_keys(c, datagram, now, krpc, ret);
}

bool
carrier_take(struct carrier *c, const struct carrier_call *call, bool mute,
    int64_t minute, struct now now)
{
	struct seen_tags *s = &c->seen[mute];
	int64_t here = (int64_t)(now.wall_ms / 60000);

	if (minute < here - CARRIER_SKEW_MIN ||
	    minute > here + CARRIER_SKEW_MIN)
		return false;
	s->mark[s->at] = mark_of(call->x.tag);
	s->at = (s->at + 1) % CARRIER_SEEN_MAX;
	if (s->n < CARRIER_SEEN_MAX)
		s->n++;
	return true;
}

size_t
carrier_answer_max(const struct carrier_call *call)
{
	size_t most = GUARD_FACTOR * call->size;
	size_t n = OVERLAY_KRPC_MAX;

	assert(overlay_is_size(call->size));
	/* The largest size that may be, less what is not KRPC. */
	if (most < OVERLAY_SIZE_MAX)
		n = most - OVERLAY_OVERHEAD;
	while (overlay_size(n, 0) > most)
		n--;
	return n;
}

enum err
carrier_answer(struct carrier *c, struct carrier_call *call, struct span krpc,
    struct writer *out)
{
	size_t size = overlay_size(krpc.n, 0);
	uint8_t e_sk[32];
	enum err err;

	if (size == 0 || size > out->cap || size > GUARD_FACTOR * call->size)
		return ERR_TOO_LONG;
	rng_fill(c->rng, e_sk, sizeof(e_sk));
	err = overlay_answer_seal(&call->x, e_sk, krpc, size, out->p);
	sodium_memzero(e_sk, sizeof(e_sk));
	if (!err)
		out->n = size;
	return err;
}

void
carrier_call_wipe(struct carrier_call *call)
{
	sodium_memzero(call, sizeof(*call));
}
