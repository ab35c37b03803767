#include "tests/sim/spy.h"

#include "proto/link/handshake.h"
#include "proto/node_int.h"

#include <assert.h>
#include <string.h>

enum {
	WAIT_MS = 3000,
	MARK_MS = 2000,
	PLAIN_T = 4,
	DICE_SPY = 1 << 20,
};

static struct endpoint
here(const struct spy *spy)
{
	return spy->s->net.hosts[spy->s->adversary].at[FAMILY_V4];
}

static struct now
now_of(const struct spy *spy)
{
	return (
	    struct now){ spy->s->now_ms, spy->s->wall0_ms + spy->s->now_ms };
}

static void
send(const struct spy *spy, const struct endpoint *to, struct span data)
{
	struct endpoint from = here(spy);

	net_inject(&spy->s->net, &from, to, data, spy->s->now_ms + 20);
}

/* ---- what he has found out ---- */

static bool
add_place(struct spy *spy, const struct endpoint *at)
{
	for (size_t i = 0; i < spy->n_places; i++)
		if (endpoint_eq(&spy->place[i], at))
			return false;
	if (spy->n_places == SPY_PLACES_MAX)
		return false;
	spy->place[spy->n_places++] = *at;
	return true;
}

static bool
add_key(struct spy *spy, const struct node_key *n)
{
	for (size_t i = 0; i < spy->n_keys; i++)
		if (node_key_eq(&spy->key[i], n))
			return false;
	if (spy->n_keys == SPY_PLACES_MAX)
		return false;
	spy->key[spy->n_keys++] = *n;
	return true;
}

/* What runs where they were is theirs, and so is the place where it runs. */
static bool
conclude(struct spy *spy, const struct dht_node *node)
{
	for (size_t i = 0; i < spy->n_places; i++)
		if (endpoint_eq(&spy->place[i], &node->at))
			return add_key(spy, &node->n);
	for (size_t i = 0; i < spy->n_keys; i++)
		if (node_key_eq(&spy->key[i], &node->n))
			return add_place(spy, &node->at);
	return false;
}

static void
add_node(struct spy *spy, const struct dht_node *node)
{
	bool more = true;
	size_t i = 0;

	while (
	    i < spy->n_nodes && !(endpoint_eq(&spy->nodes[i].at, &node->at) &&
	                            node_key_eq(&spy->nodes[i].n, &node->n)))
		i++;
	if (i < spy->n_nodes || i == SPY_NODES_MAX)
		return;
	spy->nodes[spy->n_nodes++] = *node;
	while (more) {
		more = false;
		for (i = 0; i < spy->n_nodes; i++)
			more |= conclude(spy, &spy->nodes[i]);
	}
}

/* ---- asking ---- */

static struct spy_waiting *
waiting_new(struct spy *spy)
{
	for (size_t i = 0; i < SPY_WAITING_MAX; i++) {
		struct spy_waiting *w = &spy->waiting[i];

		if (w->used && spy->s->now_ms < w->sent_ms + WAIT_MS)
			continue;
		if (w->used && !w->plain)
			carrier_forget(spy->carrier, w->asked);
		*w = (struct spy_waiting){ .sent_ms = spy->s->now_ms };
		return w;
	}
	return NULL;
}

static struct krpc
question(enum krpc_method method)
{
	struct krpc m = { .kind = KRPC_QUERY,
		.method = method,
		.has_id = true,
		.read_only = true,
		.id = { { 7, 7, 7 } } };

	return m;
}

static void
ask(struct spy *spy, enum spy_ask what, const struct endpoint *to,
    const struct node_key *n, struct krpc *m)
{
	struct spy_waiting *w = waiting_new(spy);
	uint8_t plain[OVERLAY_KRPC_MAX], sealed[OVERLAY_SIZE_MAX];
	struct writer p = wr_init(plain, sizeof(plain));
	struct writer out = wr_init(sealed, sizeof(sealed));
	struct carrier_query q = { .to = to, .n = n, .answer_max = 1232 };

	if (!w)
		return;
	m->t = span_of((const uint8_t *)"spy", 3);
	m->has_minute = true;
	m->minute = (int64_t)(now_of(spy).wall_ms / 60000);
	krpc_encode(m, &p);
	assert(!p.bad);
	q.krpc = wr_span_of(&p);
	if (carrier_ask(spy->carrier, &q, now_of(spy), &out, &w->asked))
		return;
	w->used = true;
	w->ask = what;
	w->to = *to;
	send(spy, to, wr_span_of(&out));
}

static void
ask_plain(struct spy *spy, enum spy_ask what, const struct endpoint *to,
    struct krpc *m)
{
	struct spy_waiting *w = waiting_new(spy);
	uint8_t plain[OVERLAY_SIZE_MAX], t[PLAIN_T] = { 's', 'p' };
	struct writer p = wr_init(plain, sizeof(plain));

	if (!w)
		return;
	t[2] = (uint8_t)((w - spy->waiting) & 255);
	m->t = span_of(t, sizeof(t));
	krpc_encode(m, &p);
	assert(!p.bad);
	w->used = w->plain = true;
	w->ask = what;
	w->to = *to;
	send(spy, to, wr_span_of(&p));
}

static void
ask_for(struct spy *spy, enum spy_ask what, bool plain,
    const struct dht_node *node, const struct target *target)
{
	struct krpc m = question(KRPC_GET);

	m.has_target = true;
	m.target = *target;
	if (plain)
		ask_plain(spy, what, &node->at, &m);
	else
		ask(spy, what, &node->at, &node->n, &m);
}

/* With a token that they gave, as to a node anywhere. */
static void
ask_to_keep(
    struct spy *spy, enum spy_ask what, bool plain, const struct dht_node *node)
{
	const struct dht_item *i = &spy->mark;
	struct krpc m = question(KRPC_PUT);

	if (spy->n_token[plain] == 0)
		return;
	m.token = span_of(spy->token[plain], spy->n_token[plain]);
	m.has_k = m.has_sig = m.has_seq = true;
	memcpy(m.k, i->pk, sizeof(m.k));
	memcpy(m.sig, i->sig, sizeof(m.sig));
	m.seq = i->seq;
	m.v = span_of(i->v, i->v_n);
	if (plain)
		ask_plain(spy, what, &node->at, &m);
	else
		ask(spy, what, &node->at, &node->n, &m);
}

static bool
message_1(struct spy *spy, uint8_t out[PACKET_MESSAGE_1_SIZE])
{
	struct handshake_static as = { spy->mine.s[0].sk, spy->mine.s[0].pk };
	struct dice *dice = &spy->dice;
	uint64_t wall_ms = now_of(spy).wall_ms;
	struct handshake_guard guard;
	struct handshake_attempt attempt;
	uint8_t drawn[48];
	struct handshake_1 m = { .guard = &guard,
		.s = &as,
		.rs = &spy->theirs.s[0].pk,
		.e_sk = drawn,
		.mac2 = drawn + 32 };

	dice_fill(dice, drawn, sizeof(drawn));
	handshake_guard_derive(&spy->theirs.reach, &spy->theirs.s[0].pk,
	    handshake_day(wall_ms), &guard);
	pair_rid(&spy->contact.ratchet.cur, &m.payload.rid_cur);
	pair_rid(&spy->contact.ratchet.prev, &m.payload.rid_prev);
	m.payload.ts_ms = wall_ms + 1000;
	m.payload.index = packet_draw_index(&dice->rng);
	m.payload.udp_max = HANDSHAKE_UDP_MIN;
	return handshake_1_seal(&m, out, &attempt) == ERR_OK;
}

/* A node that is gone is asked in vain, which costs. */
static bool
is_there(const struct spy *spy, size_t i)
{
	return spy->n_silent[i] < SPY_SILENT_MAX;
}

/* ---- a round ---- */

static void
ask_places(struct spy *spy)
{
	for (size_t i = 0; i < spy->n_places; i++) {
		struct krpc m = question(KRPC_PING);

		ask_plain(spy, SPY_PLAIN, &spy->place[i], &m);
		m = question(KRPC_PING);
		ask(spy, SPY_DAY, &spy->place[i], NULL, &m);
		for (size_t k = 0; k < spy->n_keys; k++) {
			m = question(KRPC_PING);
			ask(spy, SPY_PING, &spy->place[i], &spy->key[k], &m);
		}
	}
}

static void
call_all(struct spy *spy)
{
	uint8_t out[PACKET_MESSAGE_1_SIZE];

	for (size_t i = 0; i < spy->n_nodes; i++)
		if (is_there(spy, i) && message_1(spy, out))
			send(spy, &spy->nodes[i].at, span_of(out, sizeof(out)));
	for (size_t i = 0; i < spy->n_introducers; i++) {
		const struct cell_introducer *t = &spy->introducers[i];
		struct krpc m = question(KRPC_PASS);

		if (!message_1(spy, out))
			continue;
		m.has_id = false;
		m.has_handle = m.has_cookie = m.has_n = true;
		m.n = spy->own;
		memcpy(m.handle, t->handle, sizeof(m.handle));
		memset(m.cookie, 's', sizeof(m.cookie));
		m.datagram = span_of(out, sizeof(out));
		ask(spy, SPY_PASS, &t->at, &t->n, &m);
	}
}

static void
crawl(struct spy *spy)
{
	for (size_t i = 0; i < spy->n_nodes; i++) {
		struct krpc m = question(KRPC_FIND_NODE);

		if (!is_there(spy, i))
			continue;
		spy->n_silent[i]++;
		m.has_target = true;
		dice_fill(&spy->dice, m.target.b, sizeof(m.target.b));
		ask(spy, SPY_CRAWL, &spy->nodes[i].at, &spy->nodes[i].n, &m);
	}
}

static void
ask_marks(struct spy *spy)
{
	struct target target;

	dht_item_target(spy->mark.pk, span_of(NULL, 0), &target);
	for (size_t i = 0; i < spy->n_nodes; i++) {
		if (!is_there(spy, i))
			continue;
		ask_for(spy, SPY_MARK, false, &spy->nodes[i], &target);
		ask_for(spy, SPY_MARK_PLAIN, true, &spy->nodes[i], &target);
	}
}

static void
ask_tokens(struct spy *spy)
{
	for (size_t i = 0; i < spy->n_nodes; i++) {
		if (!is_there(spy, i))
			continue;
		ask_to_keep(spy, SPY_TOKEN, false, &spy->nodes[i]);
		ask_to_keep(spy, SPY_TOKEN_PLAIN, true, &spy->nodes[i]);
	}
}

static void
ask_cells(struct spy *spy)
{
	bool lower = memcmp(spy->theirs.id.b, spy->mine.id.b,
	                 sizeof(spy->theirs.id.b)) < 0;
	uint64_t now_s = now_of(spy).wall_ms / 1000;
	struct cell_key key;
	struct target target;

	cell_key_derive(&spy->contact.disc, lower ? CELL_LOWER : CELL_HIGHER,
	    cell_epoch(&spy->contact.disc, now_s), &key);
	dht_item_target(key.pk, span_of(NULL, 0), &target);
	for (size_t i = 0; i < spy->n_nodes; i++)
		if (is_there(spy, i))
			ask_for(spy, SPY_CELL, i % 2, &spy->nodes[i], &target);
}

static void
part(struct sim *s, const struct sim_event *e)
{
	static void (*const parts[])(struct spy *) = { ask_places, crawl,
		call_all, ask_marks, ask_tokens, ask_cells };
	enum { PARTS = sizeof(parts) / sizeof(parts[0]) };
	struct spy *spy = s->spy;

	if (!spy || spy->stops)
		return;
	parts[e->arg](spy);
	sim_at(s, s->now_ms + (e->arg + 1 < PARTS ? 2 * WAIT_MS : SPY_ROUND_MS),
	    part, 0, 0, (e->arg + 1) % PARTS);
}

/* ---- what comes back ---- */

static void
count(struct spy *spy, enum spy_ask ask, bool yes, size_t n, uint64_t took_ms)
{
	static const uint16_t sizes[SPY_SIZES] = { 128, 256, 512, 1024, 65535 };
	static const uint16_t times[SPY_TIMES] = { 60, 120, 240, 65535 };
	uint32_t *at = &spy->sights[ask * SPY_EACH];
	size_t i = 0, k = 0;

	at[0]++;
	at[1] += yes;
	while (n > sizes[i])
		i++;
	while (took_ms > times[k])
		k++;
	at[2 + i]++;
	at[2 + SPY_SIZES + k]++;
}

static bool
says_yes(enum spy_ask ask, const struct krpc *m)
{
	if (m->kind != KRPC_RESPONSE)
		return false;
	if (ask == SPY_MARK || ask == SPY_MARK_PLAIN || ask == SPY_CELL)
		return m->v.p != NULL;
	return true;
}

/* A token of theirs is kept: the first of each DHT. */
static void
take(struct spy *spy, const struct spy_waiting *w, const struct krpc *m,
    const struct node_key *n, size_t n_bytes)
{
	struct krpc_node list[16];
	struct krpc_form form = { FAMILY_V4, true };
	size_t k = 0;

	count(spy, w->ask, says_yes(w->ask, m), n_bytes,
	    spy->s->now_ms - w->sent_ms);
	if (m->token.n > 0 && m->token.n <= sizeof(spy->token[0]) &&
	    spy->n_token[w->plain] == 0 &&
	    endpoint_eq(&w->to, &spy->place[0])) {
		memcpy(spy->token[w->plain], m->token.p, m->token.n);
		spy->n_token[w->plain] = (uint8_t)m->token.n;
	}
	if (w->ask == SPY_DAY && m->has_n)
		add_node(spy, &(struct dht_node){ w->to, m->n });
	for (size_t i = 0; i < spy->n_nodes && !w->plain; i++)
		if (endpoint_eq(&spy->nodes[i].at, &w->to) &&
		    node_key_eq(&spy->nodes[i].n, n))
			spy->n_silent[i] = 0;
	if (!w->plain)
		k = krpc_nodes_read(m->nodes[FAMILY_V4], form, list, 16);
	for (size_t i = 0; i < k; i++)
		add_node(spy, &(struct dht_node){ list[i].at, list[i].n });
}

static void
hear_plain(struct spy *spy, const struct net_packet *p, struct bencode *doc)
{
	struct krpc m;
	struct spy_waiting *w;

	if (krpc_decode(span_of(p->b, p->n), doc, &m) || m.t.n != PLAIN_T)
		return;
	w = &spy->waiting[m.t.p[2] % SPY_WAITING_MAX];
	if (!w->used || !w->plain || !endpoint_eq(&w->to, &p->source))
		return;
	w->used = false;
	take(spy, w, &m, NULL, p->n);
}

static struct spy_waiting *
by_asked(struct spy *spy, uint16_t asked)
{
	for (size_t i = 0; i < SPY_WAITING_MAX; i++)
		if (spy->waiting[i].used && !spy->waiting[i].plain &&
		    spy->waiting[i].asked == asked)
			return &spy->waiting[i];
	return NULL;
}

static void
hear_sealed(struct spy *spy, const struct net_packet *p, uint16_t asked,
    struct bencode *doc)
{
	struct spy_waiting *w = by_asked(spy, asked);
	uint8_t plain[OVERLAY_KRPC_MAX];
	struct writer out = wr_init(plain, sizeof(plain));
	struct node_key n;
	struct krpc m;

	if (!w ||
	    carrier_read_answer(
	        spy->carrier, asked, span_of(p->b, p->n), &out, &n) ||
	    krpc_decode(wr_span_of(&out), doc, &m))
		return;
	carrier_forget(spy->carrier, asked);
	w->used = false;
	take(spy, w, &m, &n, p->n);
}

static void
hear(struct sim *s, const struct net_packet *p)
{
	static struct bencode doc; /* large */
	uint16_t asked;
	struct spy *spy = s->spy;

	if (p->n == PACKET_MESSAGE_2_SIZE || p->n == PACKET_COOKIE_REPLY_SIZE)
		count(spy, SPY_CALL, true, p->n, 0);
	else if (wire_is_krpc(span_of(p->b, p->n)))
		hear_plain(spy, p, &doc);
	else if (carrier_is_answer(
	             spy->carrier, &p->source, span_of(p->b, p->n), &asked))
		hear_sealed(spy, p, asked, &doc);
	else
		count(spy, SPY_OTHER, true, p->n, 0);
}

/* ---- life ---- */

static const struct peer *
peer_of(struct sim *s, uint32_t who, uint32_t whom)
{
	struct contact_id id;

	if (!s->nodes[who].node ||
	    !node_contact_find(s->nodes[who].node, &s->check.pk[whom], &id))
		return NULL;
	return peer_by_id(s->nodes[who].node, &id);
}

static void
read_self(const struct sim *s, uint32_t who, struct self *ret)
{
	const struct sim_node *n = &s->nodes[who];
	enum err err =
	    self_decode(span_of(n->disk.self.b, n->disk.self.n), &n->seed, ret);

	assert(err == ERR_OK);
}

void
spy_begin(struct spy *spy, struct sim *s, uint32_t as, uint32_t whom)
{
	const struct peer *p = peer_of(s, as, whom);

	assert(p);
	memset(spy, 0, sizeof(*spy));
	dice_init(&spy->dice, s->cfg.seed, DICE_SPY, 0);
	spy->s = s;
	spy->carrier = carrier_new(&spy->dice.rng, false);
	assert(spy->carrier);
	carrier_key(spy->carrier, &spy->own);
	read_self(s, as, &spy->mine);
	read_self(s, whom, &spy->theirs);
	spy->contact = p->c;
	spy->n_introducers = p->n_introducers;
	memcpy(spy->introducers, p->introducers, sizeof(spy->introducers));
	spy->place[0] = net_outside(&s->net, whom, FAMILY_V4);
	spy->n_places = 1;
	add_key(spy, &p->keys[FAMILY_V4]);
	for (uint32_t i = 0; i < s->n_nodes; i++) {
		struct dht_node node = { .at = net_outside(
			                     &s->net, i, FAMILY_V4) };

		if (!s->nodes[i].node)
			continue;
		node_key(s->nodes[i].node, FAMILY_V4, &node.n);
		if (node_key_is_set(&node.n))
			add_node(spy, &node);
	}
	s->spy = spy;
	s->hears = hear;
	part(s, &(struct sim_event){ .arg = 0 });
}

static void
leave_mark(struct sim *s, const struct sim_event *e)
{
	struct dht_node at = { s->spy->place[0], s->spy->key[0] };

	(void)e;
	ask_to_keep(s->spy, SPY_TOKEN, false, &at);
	ask_to_keep(s->spy, SPY_TOKEN_PLAIN, true, &at);
}

void
spy_mark(struct spy *spy)
{
	static const uint8_t value[] = "9:here I am";
	struct dht_node at = { spy->place[0], spy->key[0] };
	uint8_t seed[32] = { 9 }, sk[64];
	struct target target;

	seed[1] = (uint8_t)spy->s->cfg.seed;
	crypto_sign_seed_keypair(spy->mark.pk, sk, seed);
	spy->mark.seq = 1;
	spy->mark.v_n = sizeof(value) - 1;
	memcpy(spy->mark.v, value, sizeof(value) - 1);
	dht_item_sign(&spy->mark, sk);
	dht_item_target(spy->mark.pk, span_of(NULL, 0), &target);
	ask_for(spy, SPY_MARK, false, &at, &target);
	ask_for(spy, SPY_MARK_PLAIN, true, &at, &target);
	sim_at(spy->s, spy->s->now_ms + MARK_MS, leave_mark, 0, 0, 0);
}

void
spy_forget(struct spy *spy)
{
	memset(spy->sights, 0, sizeof(spy->sights));
}

void
spy_end(struct spy *spy)
{
	spy->stops = true;
	spy->s->hears = NULL;
	spy->s->spy = NULL;
	carrier_free(spy->carrier);
	spy->carrier = NULL;
}
