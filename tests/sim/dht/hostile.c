/* Who they are, and how they come to be in everybody's table. */
#include "tests/sim/dht/hostile_state.h"

#include "proto/dht/nodeid.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

struct hostile *
hostile_new(struct world *w)
{
	struct hostile *x;

	if (w->cfg.attack == ATTACK_NONE)
		return NULL;
	x = (struct hostile *)calloc(1, sizeof(*x));
	assert(x);
	dice_init(&x->dice, w->cfg.seed, 2, 0);
	x->cap_bad = w->cfg.n_nodes + HOSTILE_ECLIPSE + HOSTILE_REPLAYERS;
	x->bad = (struct bad *)calloc(x->cap_bad, sizeof(*x->bad));
	x->tape = (struct tape *)calloc(HOSTILE_TAPE, sizeof(*x->tape));
	x->reflected = (uint32_t(*)[2])calloc(
	    w->mesh->cfg.max_hosts, sizeof(*x->reflected));
	assert(x->bad && x->tape && x->reflected);
	x->victim = MESH_NO_HOST;
	return x;
}

void
hostile_free(struct hostile *x)
{
	if (!x)
		return;
	free(x->bad);
	free(x->tape);
	free(x->reflected);
	free(x->secret);
	free(x);
}

struct secret *
hostile_secret(struct world *w, const struct target *target)
{
	for (uint32_t i = 0; w->hostile->secret && i < w->cfg.n_cells; i++)
		if (nodeid_eq(&w->cells[i].target, target))
			return &w->hostile->secret[i];
	return NULL;
}

/* Keeps them sorted by id. */
static void
enlist(struct world *w, struct mesh_host *h)
{
	struct hostile *x = w->hostile;
	uint32_t at = x->n_bad;

	assert(x->n_bad < x->cap_bad);
	h->role = (uint8_t)w->cfg.attack;
	h->pinned = true;
	while (
	    at > 0 && memcmp(x->bad[at - 1].id.b, h->id.b, NODEID_SIZE) > 0) {
		x->bad[at] = x->bad[at - 1];
		at--;
	}
	x->bad[at] = (struct bad){ h->index, h->id };
	x->n_bad++;
	world_enter(w, h);
}

static void
join(struct world *w)
{
	struct hostile *x = w->hostile;
	struct mesh_host *h = mesh_host_new(w->mesh, false);
	uint8_t salt;

	dice_fill(&x->dice, &salt, 1);
	nodeid_make(&h->at, salt, &x->dice.rng, &h->id);
	enlist(w, h);
}

/* ---- an eclipse: addresses whose ids may stand beside the cell ---- */

/* Addresses are tried until one with its salt gives the cell's first bits;
 * the bits that BEP 42 leaves free are then varied, for other /24s. */
static void
find_near(struct world *w, const struct target *goal, struct endpoint *ret_at,
    uint8_t *ret_salt)
{
	struct target id;
	uint8_t in[5];

	do {
		dice_fill(&w->hostile->dice, in, sizeof(in));
		*ret_salt = in[4] & 7;
		*ret_at = endpoint_v4(in, 6881);
		id = *goal;
		nodeid_bind(&id, ret_at, *ret_salt);
	} while (nodeid_common(&id, goal) < HOSTILE_NEAR_BITS);
}

static void
eclipse(struct world *w, const struct target *goal)
{
	struct hostile *x = w->hostile;
	struct endpoint near = { .port = 0 };
	uint8_t salt = 0;

	find_near(w, goal, &near, &salt);
	while (x->n_bad < HOSTILE_ECLIPSE) {
		struct mesh_host *h;
		struct endpoint at = near;
		uint8_t r[3];

		dice_fill(&x->dice, r, sizeof(r));
		at.addr[12] = (uint8_t)((at.addr[12] & 0x03) | (r[0] & 0xfc));
		at.addr[13] = (uint8_t)((at.addr[13] & 0x0f) | (r[1] & 0xf0));
		at.addr[14] = (uint8_t)((at.addr[14] & 0x3f) | (r[2] & 0xc0));
		if (endpoint_scope(&at) != SCOPE_GLOBAL)
			continue;
		h = mesh_host_at(w->mesh, &at, false);
		if (!h)
			continue;
		h->id = *goal;
		dice_fill(&x->dice, h->id.b + 8, NODEID_SIZE - 8);
		nodeid_bind(&h->id, &h->at, salt);
		assert(nodeid_common(&h->id, goal) >= HOSTILE_NEAR_BITS);
		enlist(w, h);
	}
}

void
hostile_aim(struct world *w)
{
	struct hostile *x = w->hostile;

	if (!x)
		return;
	x->secret = (struct secret *)calloc(w->cfg.n_cells, sizeof(*x->secret));
	assert(x->secret);
	if (w->cfg.attack == ATTACK_ECLIPSE) {
		w->cells[0].attacked = true;
		eclipse(w, &w->cells[0].target);
	}
	if (w->cfg.attack == ATTACK_REPLAY)
		for (uint32_t i = 0; i < HOSTILE_REPLAYERS; i++)
			join(w);
	if (w->cfg.attack == ATTACK_REFLECT) {
		struct mesh_host *h = mesh_host_new(w->mesh, false);

		h->role = ATTACK_REFLECT;
		x->victim = h->index;
		join(w); /* who sends in the victim's name */
	}
}

uint32_t
hostile_choose(struct world *w, uint32_t cell)
{
	if (w->cfg.attack == ATTACK_ECLIPSE && dice_chance(&w->dice, 500))
		return 0;
	return cell;
}

/* ---- being known ---- */

/* The honest nodes nearest to the cell under attack, by oracle. */
static void
look_for_crowd(struct world *w)
{
	struct hostile *x = w->hostile;
	const struct target *goal = &w->cells[0].target;
	struct target near[HOSTILE_CROWD];

	x->n_crowd = 0;
	for (uint32_t i = 0; i < w->n_alive; i++) {
		const struct mesh_host *h = &w->mesh->host[w->alive[i]];
		struct dht_stats stats;
		uint32_t at = x->n_crowd;

		if (!h->dht)
			continue;
		dht_get_stats(h->dht, &stats);
		while (at > 0 &&
		       nodeid_compare(goal, &stats.id, &near[at - 1]) < 0)
			at--;
		if (at == HOSTILE_CROWD)
			continue;
		if (x->n_crowd < HOSTILE_CROWD)
			x->n_crowd++;
		for (uint32_t j = x->n_crowd - 1; j > at; j--) {
			near[j] = near[j - 1];
			x->crowd[j] = x->crowd[j - 1];
		}
		near[at] = stats.id;
		x->crowd[at] = h->index;
	}
}

void
hostile_ask(struct world *w, struct mesh_host *h, const struct endpoint *to,
    struct krpc *m, const char t[4])
{
	hostile_ask_as(w, h, &h->at, to, m, t);
}

void
hostile_ask_as(struct world *w, struct mesh_host *h,
    const struct endpoint *from, const struct endpoint *to, struct krpc *m,
    const char t[4])
{
	uint8_t buf[KRPC_SIZE_MAX];
	struct writer wr = wr_init(buf, sizeof(buf));

	m->kind = KRPC_QUERY;
	m->t = span_of((const uint8_t *)t, 4);
	m->has_id = true;
	m->id = h->id;
	krpc_encode(m, &wr);
	assert(!wr.bad);
	mesh_send(w->mesh, h, from, to, span_of(buf, wr.n));
}

void
hostile_ghost(struct world *w, struct endpoint *ret)
{
	uint8_t v4[4];

	do {
		dice_fill(&w->hostile->dice, v4, sizeof(v4));
		*ret = endpoint_v4(v4, 6881);
	} while (endpoint_scope(ret) != SCOPE_GLOBAL ||
	         mesh_find(w->mesh, ret) != MESH_NO_HOST);
}

/* A query, as of any node: so it is pinged, and stands in a table. Liars
 * ask in the name of ghosts too, who answer no ping. */
static void
call_somebody(struct world *w, struct mesh_host *h)
{
	struct hostile *x = w->hostile;
	struct krpc m = { .method = KRPC_FIND_NODE, .has_target = true };
	const struct mesh_host *to = world_any(w, false);
	struct endpoint from = h->at;

	if (x->n_crowd > 0 && dice_chance(&x->dice, 700))
		to = &w->mesh->host[x->crowd[dice_below(&x->dice, x->n_crowd)]];
	dice_fill(&x->dice, m.target.b, NODEID_SIZE);
	if (w->cfg.attack == ATTACK_LIE && dice_chance(&x->dice, 500))
		hostile_ghost(w, &from);
	if (to->alive)
		hostile_ask_as(w, h, &from, &to->at, &m, "call");
}

static void
call_around(struct world *w)
{
	struct hostile *x = w->hostile;
	/* Eclipsers are few and call often. */
	uint32_t n = w->cfg.attack == ATTACK_ECLIPSE ? 10 * x->n_bad : x->n_bad;
	uint32_t due = n * WORLD_STEP_MS / HOSTILE_CALL_MS;

	due += dice_below(&x->dice, HOSTILE_CALL_MS) <
	       n * WORLD_STEP_MS % HOSTILE_CALL_MS;
	for (uint32_t i = 0; i < due; i++)
		call_somebody(w,
		    &w->mesh
		         ->host[x->bad[dice_below(&x->dice, x->n_bad)].host]);
}

/* How many have joined, beside so many honest ones. */
static uint32_t
wanted(const struct world *w)
{
	switch (w->cfg.attack) {
	case ATTACK_SYBIL:
		return w->n_started * HOSTILE_TAKE / HOSTILE_OF;
	case ATTACK_LIE:
	case ATTACK_CHANGE:
		return w->n_started / HOSTILE_SHARE;
	case ATTACK_NONE:
	case ATTACK_ECLIPSE:
	case ATTACK_REPLAY:
	case ATTACK_REFLECT:
		break;
	}
	return 0;
}

void
hostile_step(struct world *w)
{
	struct hostile *x = w->hostile;

	if (!x || w->n_started == 0)
		return;
	while (!w->measuring && x->n_bad < wanted(w))
		join(w);
	if (w->measuring && w->cfg.attack == ATTACK_ECLIPSE &&
	    w->mesh->wheel.now_ms >= x->look_ms) {
		look_for_crowd(w);
		x->look_ms = w->mesh->wheel.now_ms + HOSTILE_LOOK_MS;
	}
	if (x->n_bad > 0)
		call_around(w);
	if (w->measuring && w->cfg.attack == ATTACK_REPLAY)
		replay_step(w);
	if (w->measuring && w->cfg.attack == ATTACK_REFLECT)
		reflect_step(w);
}

/* ---- what comes in ---- */

void
hostile_receive(
    struct world *w, struct mesh_host *h, const struct mesh_packet *p)
{
	static struct bencode scratch;
	struct krpc m;

	if (w->hostile && h->index == w->hostile->victim)
		return;
	if (krpc_decode(span_of(p->data, p->n), &scratch, &m))
		return;
	if (m.kind == KRPC_QUERY && !m.fault)
		hostile_answer(w, h, p, &m);
	else if (m.kind != KRPC_QUERY && w->cfg.attack == ATTACK_REPLAY)
		replay_answered(w, h, p, &m);
}

/* The law: to an address that has not proven itself three times what came
 * from there. */
static void
pay_out(struct world *w, const struct mesh_host *h, size_t n)
{
	struct hostile *x = w->hostile;
	uint32_t *reflected = x->reflected[h->index];

	x->victim_out += n;
	reflected[1] += (uint32_t)n;
	if (reflected[1] > 3 * reflected[0])
		world_broken(w, "node %u reflects %u bytes for %u", h->index,
		    reflected[1], reflected[0]);
}

/* Overhears puts, and what goes to the victim. */
void
hostile_tap(struct world *w, const struct mesh_host *h,
    const struct endpoint *to, struct span data)
{
	static const char put[] = "1:q3:put1:t4:";
	struct hostile *x = w->hostile;
	size_t tail = sizeof(put) - 1 + 4 + strlen("1:y1:qe");
	struct tape *t;

	if (!x)
		return;
	if (x->victim != MESH_NO_HOST &&
	    endpoint_eq(to, &w->mesh->host[x->victim].at))
		pay_out(w, h, data.n);
	if (data.n < tail ||
	    memcmp(data.p + data.n - tail, put, sizeof(put) - 1) != 0)
		return;
	t = &x->tape[x->n_tape++ % HOSTILE_TAPE];
	t->from = h->index;
	t->to = mesh_find(w->mesh, to);
	t->n = data.n;
	assert(data.n <= sizeof(t->data));
	memcpy(t->data, data.p, data.n);
}

void
hostile_arrived(struct world *w, const struct mesh_packet *p)
{
	struct hostile *x = w->hostile;

	if (!x || p->source == MESH_NO_HOST || p->source != x->victim)
		return;
	x->victim_in += p->n;
	x->reflected[p->to][0] += (uint32_t)p->n;
}

void
hostile_figures(struct world *w)
{
	const struct hostile *x = w->hostile;

	if (!x)
		return;
	w->fig.attack_in = x->victim_in;
	w->fig.attack_out = x->victim_out;
	w->fig.replays = x->replays;
	w->fig.replays_taken = x->replays_taken;
}
