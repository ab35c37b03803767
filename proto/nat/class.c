/* Kinds of NAT by majority, so that a quarter of those asked may lie. */
#include "proto/nat/class.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
nat_init(struct nat *t)
{
	memset(t, 0, sizeof(*t));
}

void
nat_moved(struct nat *t)
{
	nat_init(t);
}

/* ---- our own flows ---- */

/* FNV-1a: a name in our own list, which nobody gains by doubling. */
static uint64_t
flow_name(const struct endpoint *to, unsigned socket)
{
	struct span a = endpoint_addr(to);
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < a.n; i++)
		h = (h ^ a.p[i]) * UINT64_C(0x100000001b3);
	h = (h ^ to->port) * UINT64_C(0x100000001b3);
	return (h ^ socket) * UINT64_C(0x100000001b3);
}

/* Where it is, or is to be: then it is another's, or empty. */
static struct nat_flow *
flow_place(struct nat *t, uint64_t name)
{
	struct nat_flow *oldest = &t->flow[0];

	for (size_t i = 0; i < t->flows; i++) {
		if (t->flow[i].name == name)
			return &t->flow[i];
		if (t->flow[i].at_s < oldest->at_s)
			oldest = &t->flow[i];
	}
	return t->flows < NAT_FLOWS_MAX ? &t->flow[t->flows++] : oldest;
}

void
nat_sent(
    struct nat *t, const struct endpoint *to, unsigned socket, uint64_t now_ms)
{
	uint32_t now_s = (uint32_t)(now_ms / 1000);
	uint64_t name = flow_name(to, socket);
	struct nat_flow *f;

	if (t->is_easy || endpoint_scope(to) != SCOPE_GLOBAL)
		return;
	f = flow_place(t, name);
	if (f->number == 0 || f->name != name || now_s - f->at_s >= NAT_FLOW_S)
		f->number = ++t->n_flows;
	f->name = name;
	f->at_s = now_s;
}

/* NULL: not known any more. */
static const struct nat_flow *
find_flow(const struct nat *t, const struct endpoint *to)
{
	uint64_t name = flow_name(to, 0);

	for (size_t i = 0; i < t->flows; i++)
		if (t->flow[i].name == name)
			return &t->flow[i];
	return NULL;
}

/* ---- samples ---- */

static void
drop(struct nat *t, size_t at)
{
	assert(at < t->n);
	t->n--;
	memmove(&t->sample[at], &t->sample[at + 1],
	    (t->n - at) * sizeof(t->sample[0]));
}

static void
drop_old(struct nat *t, uint64_t now_ms)
{
	for (size_t i = t->n; i-- > 0;)
		if (now_ms - t->sample[i].at_ms >= NAT_SAMPLE_MS)
			drop(t, i);
}

/* One party, as far as one can tell: has one voice. */
static bool
is_same_voice(const struct endpoint *a, const struct endpoint *b)
{
	return endpoint_family(a) == endpoint_family(b) &&
	       endpoint_same_prefix(
	           a, b, endpoint_family(a) == FAMILY_V4 ? 16 : 32);
}

void
nat_sample_add(struct nat *t, const struct endpoint *answerer,
    const struct endpoint *seen, uint64_t now_ms)
{
	struct nat_sample s = { *answerer, *seen, now_ms, now_ms, 0 };
	const struct nat_flow *flow;
	struct nat_view view;
	size_t at;

	if (endpoint_scope(answerer) != SCOPE_GLOBAL ||
	    endpoint_scope(seen) != SCOPE_GLOBAL || seen->port == 0 ||
	    endpoint_family(answerer) != endpoint_family(seen))
		return;
	drop_old(t, now_ms);
	flow = find_flow(t, answerer);
	if (flow != NULL)
		s.flow = flow->number;
	for (size_t i = t->n; i-- > 0;) {
		const struct nat_sample *old = &t->sample[i];

		if (!is_same_voice(&old->answerer, answerer))
			continue;
		/* A mapping that lives on says nothing of the next one. */
		if (endpoint_eq(&old->answerer, answerer) &&
		    endpoint_eq(&old->seen, seen)) {
			s.since_ms = old->since_ms;
			s.flow = old->flow;
		}
		drop(t, i);
	}
	if (t->n == NAT_SAMPLES_MAX)
		drop(t, 0);
	at = t->n;
	while (at > 0 && t->sample[at - 1].since_ms > s.since_ms)
		at--;
	memmove(&t->sample[at + 1], &t->sample[at],
	    (t->n - at) * sizeof(t->sample[0]));
	t->sample[at] = s;
	t->n++;
	nat_look(t, now_ms, &view);
	t->is_easy = nat_is_easy(view.kind);
	if (t->is_easy)
		t->flows = 0;
}

/* The samples that count, the oldest first. */
struct voices {
	size_t n;
	const struct nat_sample *s[NAT_SAMPLES_MAX];
};

static struct voices
voices_of(const struct nat *t, uint64_t now_ms)
{
	struct voices v = { 0 };

	for (size_t i = 0; i < t->n; i++)
		if (now_ms - t->sample[i].at_ms < NAT_SAMPLE_MS)
			v.s[v.n++] = &t->sample[i];
	return v;
}

size_t
nat_n_samples(const struct nat *t, uint64_t now_ms)
{
	return voices_of(t, now_ms).n;
}

/* Three of four, or more. */
static bool
is_most(size_t n, size_t of)
{
	return of > 0 && 4 * n >= 3 * of;
}

/* ---- easy ones ---- */

/* How many of the samples from `first` on see us as this one does. */
static size_t
count_like(const struct voices *v, size_t first, const struct endpoint *seen)
{
	size_t n = 0;

	for (size_t i = first; i < v->n; i++)
		n += endpoint_eq(&v->s[i]->seen, seen);
	return n;
}

/* What most say, of the samples from `first` on, but not `but`; how many. */
static size_t
most_seen(const struct voices *v, size_t first, const struct endpoint *but,
    struct endpoint *ret)
{
	size_t best = 0;

	for (size_t i = first; i < v->n; i++) {
		size_t n = count_like(v, first, &v->s[i]->seen);

		/* Of equals, the newer. */
		if (n < best || (but && endpoint_eq(but, &v->s[i]->seen)))
			continue;
		best = n;
		*ret = v->s[i]->seen;
	}
	return best;
}

/*
 * One port for all. The newest few suffice: after a change of address the old
 * samples are no lies, only old. Else most of all: then it takes a quarter of
 * liars in both to hide it.
 */
static bool
is_easy(const struct voices *v, struct nat_view *ret)
{
	size_t newest = v->n - NAT_SAMPLES_MIN;
	struct endpoint second = { .port = 0 };
	size_t n;

	assert(v->n >= NAT_SAMPLES_MIN);
	ret->n_seen = 1;
	if (is_most(most_seen(v, newest, NULL, &ret->seen[0]), NAT_SAMPLES_MIN))
		return true;
	n = most_seen(v, 0, NULL, &ret->seen[0]);
	if (is_most(n, v->n))
		return true;
	if (n < 2)
		return false;
	n += most_seen(v, 0, &ret->seen[0], &second);
	/* A carrier's NAT with two addresses keeps to a port on each. */
	if (count_like(v, 0, &second) < 2 || !is_most(n, v->n) ||
	    endpoint_same_addr(&ret->seen[0], &second))
		return false;
	ret->seen[1] = second;
	ret->n_seen = 2;
	return true;
}

/* ---- hard ones ---- */

/* The ports on the address that most see; liars see another one, or they must
 * guess it, too. */
struct ports {
	size_t n, all;
	struct endpoint newest; /* of those on it */
	uint16_t p[NAT_SAMPLES_MAX];
};

static struct ports
ports_of(const struct voices *v, size_t newest)
{
	size_t first = v->n > newest ? v->n - newest : 0;
	struct ports best = { .all = v->n - first };

	for (size_t i = first; i < v->n; i++) {
		struct ports p = { .all = best.all };

		for (size_t j = first; j < v->n; j++) {
			if (!endpoint_same_addr(&v->s[i]->seen, &v->s[j]->seen))
				continue;
			p.p[p.n++] = v->s[j]->seen.port;
			p.newest = v->s[j]->seen;
		}
		if (p.n >= best.n)
			best = p;
	}
	return best;
}

static unsigned
gcd(unsigned a, unsigned b)
{
	while (b != 0) {
		unsigned rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* May a port follow on another, in this direction? */
static bool
follows(int before, int after, int sign)
{
	int gap = (after - before) * sign;

	return gap > 0 && gap <= NAT_SEQUENCE_GAP_MAX;
}

/*
 * The longest chain of ports that rise (or fall) in small steps, in the order
 * of their making; who does not fit into it lies, or is late. How many.
 */
static size_t
longest_chain(const struct ports *p, int sign, struct nat_view *ret)
{
	size_t length[NAT_SAMPLES_MAX];
	unsigned step[NAT_SAMPLES_MAX]; /* divides all gaps of the chain */
	size_t best = 0;

	for (size_t i = 0; i < p->n; i++) {
		length[i] = 1;
		step[i] = 0;
		for (size_t j = 0; j < i; j++) {
			unsigned gap;

			if (!follows(p->p[j], p->p[i], sign) ||
			    length[j] < length[i])
				continue;
			gap = (unsigned)((p->p[i] - p->p[j]) * sign);
			length[i] = length[j] + 1;
			step[i] = gcd(gap, step[j]);
		}
		if (length[i] < best)
			continue;
		best = length[i];
		ret->lo = ret->hi = p->p[i];
		/* A larger one is chance: few samples, wide apart. */
		ret->step = (int16_t)(step[i] <= NAT_SEQUENCE_STEP_MAX
		                          ? (int)step[i] * sign
		                          : sign);
	}
	return best;
}

static int
by_port(const void *a, const void *b)
{
	const uint16_t *x = a;
	const uint16_t *y = b;

	return (*x > *y) - (*x < *y);
}

/* Do more of them rise than fall, in the order of their making? */
static int
direction(const struct ports *p)
{
	int sum = 0;

	for (size_t i = 0; i < p->n; i++)
		for (size_t j = 0; j < i; j++)
			sum += p->p[i] > p->p[j] ? 1 : -1;
	return sum >= 0 ? 1 : -1;
}

/* Most of them within a few of the next: by chance that is hardly ever so in a
 * block, where they are dozens apart. */
static bool
is_near(const struct ports *p, struct nat_view *ret)
{
	struct ports s = *p;
	int sign = direction(p);
	size_t first = 0;
	unsigned step = 0;

	qsort(s.p, s.n, sizeof(s.p[0]), by_port);
	for (size_t i = 1; i < s.n; i++) {
		unsigned gap = (unsigned)(s.p[i] - s.p[i - 1]);

		if (gap == 0 || gap > NAT_SEQUENCE_NEAR) {
			if (ret->step != 0)
				break; /* a liar beyond it */
			first = i;
			step = 0;
			continue;
		}
		step = gcd(gap, step);
		if (!is_most(i + 1 - first, p->all))
			continue;
		ret->lo = ret->hi = sign > 0 ? s.p[i] : s.p[first];
		ret->step = (int16_t)((int)step * sign);
	}
	return ret->step != 0;
}

static bool
is_sequential(const struct ports *p, struct nat_view *ret)
{
	if (is_near(p, ret))
		return true;
	for (int sign = 1; sign >= -1; sign -= 2)
		if (is_most(longest_chain(p, sign, ret), p->all))
			return true;
	return false;
}

static size_t
count_in(const struct ports *p, uint16_t lo, uint16_t hi)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n; i++)
		n += p->p[i] >= lo && p->p[i] <= hi;
	return n;
}

/* The range that holds the most ports, if that is most of all. */
static bool
is_block(const struct ports *p, struct nat_view *ret)
{
	size_t best = 0;

	for (size_t i = 0; i < p->n; i++)
		for (size_t j = 0; j < p->n; j++) {
			int width = p->p[j] - p->p[i];
			size_t n = count_in(p, p->p[i], p->p[j]);

			if (width < 0 || width >= NAT_BLOCK_MAX || n < best ||
			    (n == best && width >= ret->hi - ret->lo))
				continue;
			best = n;
			ret->lo = p->p[i];
			ret->hi = p->p[j];
		}
	return is_most(best, p->all);
}

static int
by_value(const void *a, const void *b)
{
	const int *x = a;
	const int *y = b;

	return (*x > *y) - (*x < *y);
}

/* Each of our flows took a step at least, or it is no such step. */
static bool
is_step(const struct voices *v, int step)
{
	for (size_t i = 1; i < v->n; i++) {
		const struct nat_sample *a = v->s[i - 1];
		const struct nat_sample *b = v->s[i];
		int ports = (b->seen.port - a->seen.port) * (step > 0 ? 1 : -1);

		if (a->flow != 0 && b->flow > a->flow && ports > 0 &&
		    (uint32_t)ports < (uint32_t)abs(step) * (b->flow - a->flow))
			return false;
	}
	return true;
}

/* Where the sequence is now, as far as we know: each of our own flows since a
 * sample was made took a step. Of the newest few the middle one, since one of
 * them may lie. */
static void
count_own(const struct nat *t, const struct voices *v, struct nat_view *ret)
{
	int guess[NAT_GUESSES];
	size_t n = 0;

	if (!is_step(v, ret->step))
		ret->step = ret->step > 0 ? 1 : -1;
	for (size_t i = v->n; i-- > 0 && n < NAT_GUESSES;) {
		const struct nat_sample *s = v->s[i];
		uint32_t since = t->n_flows - s->flow;
		int port = s->seen.port + ret->step * (int)(since & 0xffff);

		if (s->flow == 0 || since > NAT_SEQUENCE_GAP_MAX ||
		    !endpoint_same_addr(&s->seen, &ret->seen[0]) || port < 1 ||
		    port > UINT16_MAX ||
		    (ret->lo - s->seen.port) * (ret->step > 0 ? 1 : -1) >
		        NAT_SEQUENCE_GAP_MAX)
			continue;
		guess[n++] = port;
	}
	if (n == 0)
		return;
	qsort(guess, n, sizeof(guess[0]), by_value);
	ret->lo = ret->hi = (uint16_t)guess[n / 2];
}

static void
classify_hard(const struct nat *t, const struct voices *v, struct nat_view *ret)
{
	struct ports newest = ports_of(v, NAT_SEQUENCE_SAMPLES);
	struct ports p = ports_of(v, v->n);

	ret->n_seen = 1;
	ret->seen[0] = p.newest;
	ret->kind = NAT_RANDOM;
	/* Where the address changes, too, no port is worth a guess. */
	if (is_most(p.n, p.all)) {
		if (is_sequential(&newest, ret)) {
			ret->kind = NAT_SEQUENTIAL;
			count_own(t, v, ret);
		} else if (is_block(&p, ret)) {
			ret->kind = NAT_BLOCK;
		}
	}
	if (ret->kind == NAT_RANDOM)
		ret->lo = ret->hi = 0;
	if (ret->kind != NAT_SEQUENTIAL)
		ret->step = 0;
}

/* ---- all in all ---- */

void
nat_unasked(struct nat *t, uint64_t now_ms)
{
	struct voices v = voices_of(t, now_ms);

	t->has_unasked = true;
	t->unasked_ms = now_ms;
	t->unasked_at = (struct endpoint){ .port = 0 };
	if (v.n > 0)
		(void)most_seen(&v, 0, NULL, &t->unasked_at);
}

/* Did somebody come in, to the address that we have now? */
static bool
lets_in(const struct nat *t, uint64_t now_ms, const struct nat_view *c)
{
	if (!t->has_unasked || now_ms - t->unasked_ms >= NAT_OPEN_MS)
		return false;
	return t->unasked_at.port == 0 ||
	       endpoint_same_addr(&t->unasked_at, &c->seen[0]);
}

bool
nat_lets_in(const struct nat *t, uint64_t now_ms)
{
	struct voices v = voices_of(t, now_ms);
	struct nat_view at = { .kind = NAT_UNKNOWN };

	if (v.n == 0) /* nobody says that we moved */
		return t->has_unasked && now_ms - t->unasked_ms < NAT_OPEN_MS;
	(void)most_seen(&v, 0, NULL, &at.seen[0]);
	return lets_in(t, now_ms, &at);
}

void
nat_look(const struct nat *t, uint64_t now_ms, struct nat_view *ret)
{
	struct voices v = voices_of(t, now_ms);

	*ret = (struct nat_view){ .kind = NAT_UNKNOWN };
	if (v.n < NAT_SAMPLES_MIN)
		return;
	if (is_easy(&v, ret))
		ret->kind = lets_in(t, now_ms, ret) ? NAT_OPEN : NAT_EASY;
	else
		classify_hard(t, &v, ret);
}

static int
by_votes(const void *a, const void *b)
{
	const struct nat_votes *x = a;
	const struct nat_votes *y = b;

	return (x->n < y->n) - (x->n > y->n);
}

size_t
nat_count(
    const struct nat *t, uint64_t now_ms, struct nat_votes ret[NAT_SAMPLES_MAX])
{
	struct voices v = voices_of(t, now_ms);
	size_t n = 0;

	for (size_t i = 0; i < v.n; i++) {
		size_t k = 0;

		while (k < n && !endpoint_eq(&ret[k].seen, &v.s[i]->seen))
			k++;
		if (k == n)
			ret[n++] = (struct nat_votes){ v.s[i]->seen, 0 };
		ret[k].n++;
	}
	qsort(ret, n, sizeof(ret[0]), by_votes);
	return n;
}

void
nat_view_for(const struct nat *t, const struct endpoint *to, uint64_t now_ms,
    struct nat_view *view)
{
	const struct nat_flow *f = find_flow(t, to);
	int port;

	if (view->kind != NAT_SEQUENTIAL || f == NULL ||
	    now_ms / 1000 - f->at_s >= NAT_FLOW_S ||
	    t->n_flows - f->number > NAT_SEQUENCE_GAP_MAX)
		return;
	port = view->hi - view->step * (int)(t->n_flows - f->number + 1);
	if (port >= 1 && port <= UINT16_MAX)
		view->lo = (uint16_t)port;
}
