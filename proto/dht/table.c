/* Buckets: who gets in, who goes, who is asked again. */
#include "proto/dht/table.h"

#include <assert.h>
#include <string.h>

void
table_init(struct table *t, const struct target *own, uint64_t trust_ms,
    uint64_t now_ms)
{
	assert(t && own);
	t->own = *own;
	t->trust_ms = trust_ms;
	t->n_buckets = 1;
	/* Later ones are made when they split off: most never are, and what
	 * is not touched takes no memory. */
	memset(&t->bucket[0], 0, sizeof(t->bucket[0]));
	t->bucket[0].touched_ms = now_ms;
}

static unsigned
index_of(const struct table *t, const struct target *id)
{
	unsigned common = nodeid_common(&t->own, id);

	assert(t->n_buckets >= 1 && t->n_buckets <= TABLE_BUCKETS_MAX);
	return common < t->n_buckets ? common : t->n_buckets - 1;
}

static bool
is_bad(const struct table_node *n)
{
	return n->failed >= TABLE_BAD;
}

/* Until then, as long as it has not failed. */
static uint64_t
good_until(const struct table *t, const struct table_node *n)
{
	uint64_t last_ms =
	    n->answered_ms > n->queried_ms ? n->answered_ms : n->queried_ms;
	uint64_t trust_ms = (n->answered_ms - n->first_ms) / TABLE_TRUST_PART;

	assert(n->answered_ms >= n->first_ms);
	if (trust_ms > t->trust_ms)
		trust_ms = t->trust_ms;
	return last_ms + TABLE_GOOD_MS + trust_ms;
}

bool
table_good(const struct table *t, const struct table_node *n, uint64_t now_ms)
{
	return n->failed == 0 && now_ms < good_until(t, n);
}

/* The node itself, wherever it stands. */
static struct table_node *
find(struct table *t, const struct endpoint *at)
{
	for (unsigned i = 0; i < t->n_buckets; i++) {
		struct bucket *b = &t->bucket[i];

		for (unsigned j = 0; j < b->n; j++)
			if (endpoint_eq(&b->node[j].node.at, at))
				return &b->node[j];
	}
	return NULL;
}

const struct table_node *
table_find(const struct table *t, const struct endpoint *at)
{
	for (unsigned i = 0; i < t->n_buckets; i++) {
		const struct bucket *b = &t->bucket[i];

		for (unsigned j = 0; j < b->n; j++)
			if (endpoint_eq(&b->node[j].node.at, at))
				return &b->node[j];
	}
	return NULL;
}

static void
remove_node(struct bucket *b, unsigned j)
{
	assert(j < b->n && b->n <= TABLE_K);
	assert(b->n_spare <= TABLE_K);
	memmove(&b->node[j], &b->node[j + 1],
	    (size_t)(b->n - j - 1) * sizeof(b->node[0]));
	b->n--;
}

static void
remove_spare(struct bucket *b, unsigned j)
{
	assert(j < b->n_spare && b->n_spare <= TABLE_K);
	memmove(&b->spare[j], &b->spare[j + 1],
	    (size_t)(b->n_spare - j - 1) * sizeof(b->spare[0]));
	b->n_spare--;
}

static void
forget_spare(struct table *t, const struct endpoint *at)
{
	for (unsigned i = 0; i < t->n_buckets; i++) {
		struct bucket *b = &t->bucket[i];

		for (unsigned j = b->n_spare; j-- > 0;)
			if (endpoint_eq(&b->spare[j].node.at, at))
				remove_spare(b, j);
	}
}

static bool
is_global(const struct endpoint *at)
{
	return endpoint_scope(at) == SCOPE_GLOBAL;
}

/* One node an address in the whole table and one a /24 (IPv6: /64) in a
 * bucket, so that an attacker needs addresses, not ids. */
static bool
crowds(const struct table *t, const struct krpc_node *node)
{
	unsigned own = index_of(t, &node->id);
	unsigned bits = endpoint_family(&node->at) == FAMILY_V4 ? 24 : 64;

	if (!is_global(&node->at))
		return false;
	for (unsigned i = 0; i < t->n_buckets; i++) {
		const struct bucket *b = &t->bucket[i];

		for (unsigned j = 0; j < b->n; j++) {
			const struct endpoint *at = &b->node[j].node.at;

			if (is_bad(&b->node[j]) || endpoint_eq(at, &node->at))
				continue;
			if (endpoint_same_addr(at, &node->at))
				return true;
			if (i == own && is_global(at) &&
			    endpoint_same_prefix(at, &node->at, bits))
				return true;
		}
	}
	return false;
}

/* Whose place a newcomer takes in a full bucket: a bad node's, or that of one
 * whose id does not belong to its address if the newcomer's does. */
static struct table_node *
weakest(struct bucket *b, bool verified)
{
	struct table_node *w = NULL;

	for (unsigned j = 0; j < b->n; j++)
		if (is_bad(&b->node[j]) &&
		    (!w || b->node[j].failed > w->failed))
			w = &b->node[j];
	for (unsigned j = 0; j < b->n && !w && verified; j++)
		if (!b->node[j].verified)
			w = &b->node[j];
	return w;
}

static void
add_spare(struct bucket *b, const struct table_node *n)
{
	if (b->n_spare == TABLE_K)
		remove_spare(b, 0);
	b->spare[b->n_spare++] = *n;
	assert(b->n == TABLE_K && b->n_spare <= TABLE_K);
}

/* The last bucket becomes two. */
static void
split(struct table *t)
{
	unsigned i = t->n_buckets - 1;
	struct bucket *a = &t->bucket[i];
	struct bucket *b = &t->bucket[i + 1];

	assert(t->n_buckets < TABLE_BUCKETS_MAX);
	memset(b, 0, sizeof(*b));
	b->touched_ms = a->touched_ms;
	t->n_buckets++;
	assert(a->n <= TABLE_K && a->n_spare <= TABLE_K);
	for (unsigned j = a->n; j-- > 0;) {
		if (nodeid_common(&t->own, &a->node[j].node.id) <= i)
			continue;
		b->node[b->n++] = a->node[j];
		remove_node(a, j);
	}
	for (unsigned j = a->n_spare; j-- > 0;) {
		if (nodeid_common(&t->own, &a->spare[j].node.id) <= i)
			continue;
		b->spare[b->n_spare++] = a->spare[j];
		remove_spare(a, j);
	}
}

/* Only the bucket of our own id splits, and only for a verified node: nobody
 * digs towards us with ids of his choice. */
static bool
may_split(const struct table *t, unsigned i, bool verified)
{
	return verified && i == t->n_buckets - 1 &&
	       t->n_buckets < TABLE_BUCKETS_MAX;
}

/* True if it stands in a bucket, false if it is spare or nothing. */
static bool
insert(struct table *t, const struct table_node *n)
{
	struct bucket *b;
	struct table_node *w;
	unsigned i;

	if (crowds(t, &n->node))
		return false;
	for (unsigned round = 0; round < TABLE_BUCKETS_MAX; round++) {
		i = index_of(t, &n->node.id);
		b = &t->bucket[i];
		if (b->n < TABLE_K) {
			b->node[b->n++] = *n;
			return true;
		}
		w = weakest(b, n->verified);
		if (w) {
			*w = *n;
			return true;
		}
		if (!may_split(t, i, n->verified))
			break;
		split(t);
	}
	b = &t->bucket[index_of(t, &n->node.id)];
	add_spare(b, n);
	return false;
}

/* The newest spare that fits takes the place of what was removed. */
static void
promote(struct table *t, struct bucket *b)
{
	for (unsigned j = b->n_spare; j-- > 0 && b->n < TABLE_K;) {
		struct table_node n = b->spare[j];

		if (crowds(t, &n.node))
			continue;
		remove_spare(b, j);
		b->node[b->n++] = n;
	}
}

static void
drop(struct table *t, const struct endpoint *at)
{
	for (unsigned i = 0; i < t->n_buckets; i++) {
		struct bucket *b = &t->bucket[i];

		for (unsigned j = b->n; j-- > 0;)
			if (endpoint_eq(&b->node[j].node.at, at))
				remove_node(b, j);
	}
}

bool
table_answered(struct table *t, const struct krpc_node *node, uint32_t rtt_ms,
    uint64_t now_ms)
{
	struct table_node *old = find(t, &node->at);
	struct table_node n = { .node = *node };

	assert(node->at.port != 0);
	if (nodeid_eq(&node->id, &t->own))
		return false;
	if (old && !nodeid_eq(&old->node.id, &node->id)) {
		drop(t, &node->at); /* it changed its id: not the same node */
		old = NULL;
	}
	forget_spare(t, &node->at);
	if (old) {
		old->answered_ms = now_ms;
		old->rtt_ms = (3 * old->rtt_ms + rtt_ms) / 4;
		old->failed = 0;
		old->doubt = false;
		t->bucket[index_of(t, &node->id)].touched_ms = now_ms;
		return false;
	}
	n.first_ms = n.answered_ms = now_ms;
	n.rtt_ms = rtt_ms;
	n.verified = nodeid_valid(&node->id, &node->at);
	if (!insert(t, &n))
		return false;
	t->bucket[index_of(t, &node->id)].touched_ms = now_ms;
	return true;
}

bool
table_queried(struct table *t, const struct krpc_node *node, uint64_t now_ms)
{
	struct table_node *n = find(t, &node->at);

	if (!n || !nodeid_eq(&n->node.id, &node->id))
		return false;
	n->queried_ms = now_ms;
	return true;
}

bool
table_wants(
    const struct table *t, const struct krpc_node *node, uint64_t now_ms)
{
	unsigned i = index_of(t, &node->id);
	const struct bucket *b = &t->bucket[i];
	bool verified = nodeid_valid(&node->id, &node->at);

	if (nodeid_eq(&node->id, &t->own) || crowds(t, node))
		return false;
	if (b->n < TABLE_K || may_split(t, i, verified))
		return true;
	for (unsigned j = 0; j < b->n; j++)
		if (!table_good(t, &b->node[j], now_ms) ||
		    (verified && !b->node[j].verified))
			return true;
	return false;
}

void
table_failed(
    struct table *t, const struct endpoint *at, bool lied, uint64_t now_ms)
{
	struct table_node *n = find(t, at);
	struct bucket *b;

	forget_spare(t, at);
	if (!n)
		return;
	b = &t->bucket[index_of(t, &n->node.id)];
	assert(n >= b->node && n < b->node + b->n);
	n->checked_ms = now_ms;
	n->doubt = false;
	n->silent = 0; /* it is not get that it does not know */
	if (n->failed < TABLE_GONE)
		n->failed++;
	if (lied && n->failed < TABLE_BAD)
		n->failed = TABLE_BAD;
	if (!is_bad(n) || (b->n_spare == 0 && n->failed < TABLE_GONE))
		return;
	remove_node(b, (unsigned)(n - b->node));
	promote(t, b);
}

void
table_silent(struct table *t, const struct endpoint *at)
{
	struct table_node *n = find(t, at);

	if (!n)
		return;
	n->doubt = true;
	if (n->silent < UINT8_MAX)
		n->silent++;
}

void
table_spoke(struct table *t, const struct endpoint *at)
{
	struct table_node *n = find(t, at);

	if (n)
		n->silent = 0;
}

static bool
fits(const struct table_node *n, enum table_use use)
{
	if (use == TABLE_ANY)
		return true;
	return !is_bad(n) &&
	       (use == TABLE_HAND_OUT || n->silent < TABLE_SILENT);
}

/* Keeps ret sorted and at most max long; returns its new length. */
static size_t
keep_nearest(const struct target *goal, const struct krpc_node *node,
    struct krpc_node *ret, size_t n, size_t max)
{
	size_t at = n;

	assert(n <= max && max > 0);

	while (at > 0 && nodeid_compare(goal, &node->id, &ret[at - 1].id) < 0)
		at--;
	if (at == max)
		return n;
	n = n < max ? n + 1 : max;
	memmove(&ret[at + 1], &ret[at], (n - at - 1) * sizeof(*ret));
	ret[at] = *node;
	return n;
}

size_t
table_closest(const struct table *t, const struct target *goal,
    enum table_use use, struct krpc_node *ret, size_t max)
{
	size_t n = 0;

	for (unsigned i = 0; i < t->n_buckets; i++) {
		const struct bucket *b = &t->bucket[i];

		for (unsigned j = 0; j < b->n; j++)
			if (fits(&b->node[j], use))
				n = keep_nearest(
				    goal, &b->node[j].node, ret, n, max);
	}
	assert(n <= max);
	return n;
}

size_t
table_closest_spare(const struct table *t, const struct target *goal,
    uint64_t now_ms, struct krpc_node *ret, size_t max)
{
	size_t n = 0;

	for (unsigned i = 0; i < t->n_buckets; i++) {
		const struct bucket *b = &t->bucket[i];

		for (unsigned j = 0; j < b->n_spare; j++)
			if (table_good(t, &b->spare[j], now_ms))
				n = keep_nearest(
				    goal, &b->spare[j].node, ret, n, max);
	}
	assert(n <= max);
	return n;
}

/* When a node is to be checked: when it is no longer good, spread by its id; at
 * once if in doubt; ever less often while it fails. */
static uint64_t
check_at(const struct table *t, const struct table_node *n)
{
	uint64_t at_ms = good_until(t, n) +
	                 n->node.id.b[18] * (uint64_t)(TABLE_JITTER_MS / 256);

	if (n->doubt)
		at_ms = 0;
	if (n->failed > 0)
		at_ms =
		    n->checked_ms + ((uint64_t)TABLE_RETRY_MS << n->failed / 2);
	if (n->checked_ms && at_ms < n->checked_ms + TABLE_RETRY_MS)
		at_ms = n->checked_ms + TABLE_RETRY_MS;
	return at_ms;
}

struct table_node *
table_due(struct table *t, uint64_t *ret_ms)
{
	struct table_node *due = NULL;

	*ret_ms = NEVER;
	for (unsigned i = 0; i < t->n_buckets; i++) {
		struct bucket *b = &t->bucket[i];

		for (unsigned j = 0; j < b->n; j++) {
			uint64_t at_ms = check_at(t, &b->node[j]);

			if (at_ms >= *ret_ms)
				continue;
			*ret_ms = at_ms;
			due = &b->node[j];
		}
	}
	return due;
}

unsigned
table_stale(const struct table *t, uint64_t *ret_ms)
{
	unsigned stale = 0;

	for (unsigned i = 1; i < t->n_buckets; i++)
		if (t->bucket[i].touched_ms < t->bucket[stale].touched_ms)
			stale = i;
	*ret_ms = t->bucket[stale].touched_ms + TABLE_GOOD_MS + t->trust_ms;
	return stale;
}

void
table_move(struct table *t, const struct target *own, uint64_t now_ms)
{
	struct table_node keep[TABLE_BUCKETS_MAX];
	size_t n = 0;

	/* The nearest of each bucket's first; few are lost, and those that
	 * are lost come back through lookups. */
	for (unsigned j = 0; j < TABLE_K; j++)
		for (unsigned i = t->n_buckets; i-- > 0;)
			if (j < t->bucket[i].n && n < TABLE_BUCKETS_MAX)
				keep[n++] = t->bucket[i].node[j];
	table_init(t, own, t->trust_ms, now_ms);
	for (size_t i = 0; i < n; i++)
		if (!nodeid_eq(&keep[i].node.id, own))
			(void)insert(t, &keep[i]);
}

size_t
table_count(const struct table *t)
{
	size_t n = 0;

	for (unsigned i = 0; i < t->n_buckets; i++)
		n += t->bucket[i].n;
	return n;
}

size_t
table_count_good(const struct table *t, uint64_t now_ms)
{
	size_t n = 0;

	for (unsigned i = 0; i < t->n_buckets; i++)
		for (unsigned j = 0; j < t->bucket[i].n; j++)
			n += table_good(t, &t->bucket[i].node[j], now_ms);
	return n;
}
