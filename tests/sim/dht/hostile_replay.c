/* Puts and tokens that are sent again, and queries in a victim's name. */
#include "tests/sim/dht/hostile_state.h"

#include <assert.h>
#include <string.h>

/* The transaction id stands before 1:y1:qe. */
enum { T_END = 7, T_SIZE = 4 };

/* The same datagram under another transaction id. */
static void
send_again(struct world *w, struct mesh_host *h, const struct endpoint *from,
    const struct endpoint *to, const struct tape *t)
{
	uint8_t buf[KRPC_SIZE_MAX];

	memcpy(buf, t->data, t->n);
	memcpy(buf + t->n - T_END - T_SIZE, "RRRR", T_SIZE);
	mesh_send(w->mesh, h, from, to, span_of(buf, t->n));
}

static bool
decode(const struct tape *t, struct krpc *ret)
{
	static struct bencode scratch;

	return krpc_decode(span_of(t->data, t->n), &scratch, ret) == ERR_OK;
}

/* An old value with a token of one's own: ask for one first. */
static void
ask_token(struct world *w, struct mesh_host *h, const struct endpoint *to,
    const struct tape *t)
{
	struct krpc put, m = { .method = KRPC_GET, .has_target = true };

	if (!decode(t, &put) || !put.has_k)
		return;
	dht_item_target(put.k, span_of(NULL, 0), &m.target);
	hostile_ask(w, h, to, &m, "TTTT");
}

static void
replay_one(struct world *w, struct mesh_host *h)
{
	struct hostile *x = w->hostile;
	uint64_t n = x->n_tape < HOSTILE_TAPE ? x->n_tape : HOSTILE_TAPE;
	const struct tape *t = &x->tape[dice_below(&x->dice, (uint32_t)n)];
	const struct mesh_host *to, *other = world_any(w, true);

	if (t->to == MESH_NO_HOST)
		return;
	to = &w->mesh->host[t->to];
	switch (dice_below(&x->dice, 4)) {
	case 0: /* the writer's token from another address */
		x->replays++;
		send_again(w, h, &h->at, &to->at, t);
		break;
	case 1: /* and at another node */
		x->replays++;
		send_again(w, h, &h->at, &other->at, t);
		break;
	case 2: /* in the writer's name */
		send_again(w, h, &w->mesh->host[t->from].at, &to->at, t);
		break;
	case 3: /* honestly, with a value that may be old by now */
		ask_token(w, h, &to->at, t);
		break;
	}
}

void
replay_step(struct world *w)
{
	struct hostile *x = w->hostile;

	if (x->n_tape == 0)
		return;
	for (uint32_t i = 0; i < x->n_bad; i++)
		if (dice_below(&x->dice, HOSTILE_REPLAY_MS) < WORLD_STEP_MS)
			replay_one(w, &w->mesh->host[x->bad[i].host]);
}

/* A put that was overheard of that node, with the token just got. */
static void
put_old(struct world *w, struct mesh_host *h, const struct mesh_packet *p,
    struct span token)
{
	const struct hostile *x = w->hostile;
	struct krpc m;

	for (uint32_t i = 0; i < HOSTILE_TAPE && i < x->n_tape; i++) {
		const struct tape *t = &x->tape[i];

		if (t->to != p->source || !decode(t, &m))
			continue;
		m.token = token;
		hostile_ask(w, h, &p->from, &m, "PPPP");
		return;
	}
}

void
replay_answered(struct world *w, struct mesh_host *h,
    const struct mesh_packet *p, const struct krpc *m)
{
	if (m->t.n != T_SIZE)
		return;
	if (memcmp(m->t.p, "RRRR", T_SIZE) == 0 && m->kind == KRPC_RESPONSE &&
	    !w->mesh->host[p->source].role)
		w->hostile->replays_taken++;
	if (memcmp(m->t.p, "TTTT", T_SIZE) == 0 && m->token.n > 0)
		put_old(w, h, p, m->token);
}

/* ---- in a victim's name ---- */

static void
reflect_one(struct world *w, struct mesh_host *h)
{
	struct hostile *x = w->hostile;
	struct endpoint as = w->mesh->host[x->victim].at;
	uint8_t buf[KRPC_SIZE_MAX];
	struct writer wr = wr_init(buf, sizeof(buf));
	struct krpc m = { .kind = KRPC_QUERY, .method = KRPC_FIND_NODE };
	const struct endpoint *to = &world_any(w, true)->at;

	dice_fill(&x->dice, m.target.b, sizeof(m.target.b));
	if (x->n_tape > 0 && dice_chance(&x->dice, 700)) {
		uint64_t n =
		    x->n_tape < HOSTILE_TAPE ? x->n_tape : HOSTILE_TAPE;
		const struct tape *t =
		    &x->tape[dice_below(&x->dice, (uint32_t)n)];
		struct krpc put;

		if (t->to == MESH_NO_HOST || !decode(t, &put))
			return;
		m.method = KRPC_GET;
		dht_item_target(put.k, span_of(NULL, 0), &m.target);
		to = &w->mesh->host[t->to].at;
	}
	m.has_id = m.has_target = true;
	dice_fill(&x->dice, m.id.b, sizeof(m.id.b));
	m.t = span_of((const uint8_t *)"vv", 2);
	krpc_encode(&m, &wr);
	assert(!wr.bad);
	mesh_send(w->mesh, h, &as, to, span_of(buf, wr.n));
}

void
reflect_step(struct world *w)
{
	struct hostile *x = w->hostile;

	for (uint32_t i = 0; i < HOSTILE_QUERIES; i++)
		reflect_one(w, &w->mesh->host[x->bad[0].host]);
}
