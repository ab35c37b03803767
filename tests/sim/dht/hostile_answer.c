/* What hostile nodes answer: polite in form, lies in content. */
#include "tests/sim/dht/hostile_state.h"

#include "proto/dht/nodeid.h"

#include <assert.h>
#include <string.h>

enum {
	NODES = 8,
	NEIGHBOURS = 32, /* by id, of which the nearest eight are given */
	TOKEN = 8,
	VALUES = 3, /* manners: none, the first ever, a forged one */
};

/* An answer with what it borrows. */
struct answer {
	struct krpc m;
	struct krpc_node node[NODES];
	uint8_t nodes[NODES * 26];
	uint8_t token[TOKEN];
	struct dht_item item;
};

/* ---- nodes ---- */

static uint32_t
index_near(const struct hostile *x, const struct target *goal)
{
	uint32_t low = 0, high = x->n_bad;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (memcmp(x->bad[mid].id.b, goal->b, NODEID_SIZE) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Only each other, those that are nearest. */
static size_t
name_friends(struct world *w, const struct target *goal, struct answer *a)
{
	const struct hostile *x = w->hostile;
	uint32_t n = x->n_bad < NEIGHBOURS ? x->n_bad : NEIGHBOURS;
	uint32_t first = index_near(x, goal);
	size_t n_nodes = 0;

	first = first > n / 2 ? first - n / 2 : 0;
	first = first + n > x->n_bad ? x->n_bad - n : first;
	for (uint32_t i = first; i < first + n; i++) {
		size_t at = n_nodes;

		while (at > 0 && nodeid_compare(goal, &x->bad[i].id,
		                     &a->node[at - 1].id) < 0)
			at--;
		if (at == NODES)
			continue;
		n_nodes += n_nodes < NODES;
		for (size_t j = n_nodes - 1; j > at; j--)
			a->node[j] = a->node[j - 1];
		a->node[at].id = x->bad[i].id;
		a->node[at].at = w->mesh->host[x->bad[i].host].at;
	}
	return n_nodes;
}

/* Nowhere, not to be asked, or the asker himself, all of them as near as can
 * be; and ghosts: addresses where nobody is. */
static size_t
name_lies(struct world *w, const struct target *goal,
    const struct endpoint *asker, struct answer *a)
{
	static const uint8_t martian[4][4] = { { 127, 0, 0, 1 },
		{ 224, 0, 0, 1 }, { 0, 0, 0, 0 }, { 192, 168, 0, 1 } };
	for (size_t i = 0; i < NODES; i++) {
		struct krpc_node *n = &a->node[i];

		n->id = *goal;
		n->id.b[19] ^= (uint8_t)(i + 1);
		if (i < 4)
			n->at = endpoint_v4(martian[i], 6881);
		if (i >= 4)
			n->at = *asker;
		if (i == 5) {
			n->at = world_any(w, false)->at;
			n->at.port = 0;
		}
		if (i < 6)
			continue;
		hostile_ghost(w, &n->at);
		if (i == 7)
			nodeid_bind(&n->id, &n->at, (uint8_t)i);
	}
	return NODES;
}

static void
answer_nodes(struct world *w, const struct mesh_packet *p, const struct krpc *q,
    struct answer *a)
{
	struct writer wr = wr_init(a->nodes, sizeof(a->nodes));
	struct krpc_form form = { .family = FAMILY_V4 };
	size_t n;

	if (w->cfg.attack == ATTACK_LIE)
		n = name_lies(w, &q->target, &p->from, a);
	else
		n = name_friends(w, &q->target, a);
	krpc_nodes_write(a->node, n, form, &wr);
	assert(!wr.bad);
	a->m.nodes[FAMILY_V4] = span_of(a->nodes, wr.n);
}

/* ---- values ---- */

static void
remember(struct world *w, const struct krpc *q)
{
	struct target target;
	struct secret *s;
	struct dht_item item = { .seq = q->seq };

	if (!q->has_k || !q->has_sig || !q->has_seq)
		return;
	if (q->v.n > sizeof(item.v))
		return;
	memcpy(item.pk, q->k, sizeof(item.pk));
	memcpy(item.sig, q->sig, sizeof(item.sig));
	memcpy(item.v, q->v.p, q->v.n);
	item.v_n = (uint16_t)q->v.n;
	dht_item_target(q->k, span_of(NULL, 0), &target);
	s = hostile_secret(w, &target);
	if (!s)
		return;
	if (!s->known)
		s->first = item;
	s->known = true;
	if (item.seq > s->last.seq)
		s->last = item;
}

static void
answer_value(struct world *w, const struct mesh_host *h, const struct krpc *q,
    struct answer *a)
{
	const struct secret *s = hostile_secret(w, &q->target);
	uint32_t manner = h->index % VALUES;

	if (!s || !s->known || manner == 0)
		return;
	a->item = manner == 1 ? s->first : s->last;
	if (manner == 2) {
		a->item.seq += 1000;
		a->item.v[a->item.v_n / 2] ^= 1;
	}
	a->m.has_k = a->m.has_sig = a->m.has_seq = true;
	memcpy(a->m.k, a->item.pk, sizeof(a->m.k));
	memcpy(a->m.sig, a->item.sig, sizeof(a->m.sig));
	a->m.seq = a->item.seq;
	a->m.v = span_of(a->item.v, a->item.v_n);
}

/* ---- the whole ---- */

static void
answer_id(struct world *w, const struct mesh_host *h, const struct krpc *q,
    struct answer *a)
{
	struct hostile *x = w->hostile;
	uint8_t salt;

	a->m.id = h->id;
	if (w->cfg.attack != ATTACK_CHANGE)
		return;
	dice_fill(&x->dice, &salt, 1);
	if (q->has_target && h->index % 2) {
		a->m.id = q->target;
		a->m.id.b[19] ^= salt | 1;
	} else {
		nodeid_make(&h->at, salt, &x->dice.rng, &a->m.id);
	}
}

void
hostile_answer(struct world *w, struct mesh_host *h,
    const struct mesh_packet *p, const struct krpc *q)
{
	uint8_t buf[KRPC_SIZE_MAX];
	struct writer wr = wr_init(buf, sizeof(buf));
	struct answer a = { .m = { .kind = KRPC_RESPONSE, .t = q->t } };

	a.m.has_id = true;
	answer_id(w, h, q, &a);
	a.m.has_ip = true;
	a.m.ip = p->from;
	if (q->has_target)
		answer_nodes(w, p, q, &a);
	if (q->method == KRPC_GET || q->method == KRPC_GET_PEERS)
		a.m.token = span_of(a.token, sizeof(a.token));
	if (q->method == KRPC_GET)
		answer_value(w, h, q, &a);
	if (q->method == KRPC_PUT)
		remember(w, q);
	krpc_encode(&a.m, &wr);
	if (!wr.bad)
		mesh_send(w->mesh, h, &h->at, &p->from, span_of(buf, wr.n));
}
