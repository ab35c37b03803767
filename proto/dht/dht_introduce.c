/* For others: who may have what is passed to him, and what draws an answer.
 * [SPEC §8.3] */
#include "proto/dht/dht_state.h"

#include "proto/crypto/kdf.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

struct introducer {
	struct introduce *table; /* owned; NULL: we pass nothing */
	enum dht_introduces whom;
	/* Of their own: the token of a get proves no key. */
	struct token_keys tokens;
	struct trusted {
		struct node_key n;
		uint32_t rate; /* 0: a free place */
	} trusted[DHT_TRUSTED_MAX];
};

enum { PROOF_BYTES = 256 }; /* of the datagram that asks for one, at most */

enum err
introducer_init(struct dht *d)
{
	d->introducer = calloc(1, sizeof(*d->introducer));
	if (!d->introducer)
		return ERR_NOMEM;
	token_init(&d->introducer->tokens, d->cfg.rng, d->now_ms);
	return ERR_OK;
}

void
introducer_free(struct introducer *i)
{
	if (!i)
		return;
	introduce_free(i->table);
	sodium_memzero(i, sizeof(*i));
	free(i);
}

void
introducer_renew(struct dht *d)
{
	token_init(&d->introducer->tokens, d->cfg.rng, d->now_ms);
}

enum err
dht_introduce(struct dht *d, enum dht_introduces whom, struct now now)
{
	struct introducer *i = d->introducer;

	assert(d->carrier && i);
	if (whom == i->whom)
		return ERR_OK;
	if (whom != DHT_INTRODUCES_NOBODY && !i->table) {
		i->table = introduce_new(d->cfg.rng, now.mono_ms);
		if (!i->table)
			return ERR_NOMEM;
	}
	i->whom = whom;
	if (whom == DHT_INTRODUCES_TRUSTED)
		introduce_end_strangers(i->table);
	if (whom != DHT_INTRODUCES_NOBODY)
		return ERR_OK;
	introduce_free(i->table);
	i->table = NULL;
	return ERR_OK;
}

static struct trusted *
trusted_find(struct introducer *i, const struct node_key *n)
{
	for (size_t k = 0; k < DHT_TRUSTED_MAX; k++)
		if (i->trusted[k].rate &&
		    memcmp(&i->trusted[k].n, n, sizeof(*n)) == 0)
			return &i->trusted[k];
	return NULL;
}

enum err
dht_set_trusted(struct dht *d, const struct node_key *n, uint32_t rate)
{
	struct introducer *i = d->introducer;
	struct trusted *t;

	assert(d->carrier && i);
	t = trusted_find(i, n);
	for (size_t k = 0; k < DHT_TRUSTED_MAX && !t; k++)
		if (!i->trusted[k].rate)
			t = &i->trusted[k];
	if (!t)
		return rate ? ERR_LIMIT : ERR_OK;
	t->n = *n;
	t->rate = rate;
	if (!i->table)
		return ERR_OK;
	introduce_trust(i->table, n, rate, d->now_ms);
	if (i->whom == DHT_INTRODUCES_TRUSTED)
		introduce_end_strangers(i->table);
	return ERR_OK;
}

void
introducer_stats(const struct dht *d, struct dht_stats *ret)
{
	struct introduce_stats s;

	ret->introduces = d->introducer && d->introducer->table;
	if (!ret->introduces)
		return;
	introduce_get_stats(d->introducer->table, d->now_ms, &s);
	ret->handles = s.handles;
	ret->handles_trusted = s.trusted;
	ret->circuits = s.circuits;
	ret->n_passed = s.n_passed;
	ret->bytes_passed = s.bytes_passed;
	ret->bytes_trusted = s.bytes_trusted;
	ret->n_refused = s.n_refused;
}

/* ---- answers ---- */

static bool
reply(struct dht *d, const struct endpoint *from, struct krpc *m)
{
	struct writer w;

	m->has_id = true;
	m->id = d->id;
	m->has_ip = true;
	m->ip = *from;
	if (!out_begin(d, &w))
		return false;
	krpc_encode(m, &w);
	if (w.bad || !overlay_answer(d, &w) ||
	    !guard_upload(&d->guard, from, w.n, GUARD_RARE, d->now_ms))
		return false;
	out_commit(d, &w, from);
	return true;
}

static bool
refuse(struct dht *d, const struct endpoint *from, const struct krpc *q,
    enum krpc_code code, const char *text)
{
	struct krpc m = { .kind = KRPC_ERROR, .t = q->t, .code = code };

	m.text = span_str(text);
	return reply(d, from, &m);
}

/* ---- registering ---- */

/* Nothing is passed to ourselves, nor from there. */
static bool
is_self(
    const struct dht *d, const struct endpoint *at, const struct node_key *n)
{
	struct node_key own;

	dht_key(d, &own);
	return memcmp(&own, n, sizeof(own)) == 0 ||
	       (d->address.known && endpoint_eq(&d->address.own, at));
}

/* What a token stands for: this key, this handle, and with the address that a
 * token has anyway, this port. */
static void
proof_of(const struct endpoint *from, const struct krpc *q, struct target *ret)
{
	uint8_t port[2];
	struct writer w = wr_init(port, sizeof(port));
	const struct span parts[] = {
		span_of(q->n.b, sizeof(q->n.b)),
		span_of(q->handle, sizeof(q->handle)),
		span_of(port, sizeof(port)),
	};

	wr_u16be(&w, from->port);
	kdf_b2(span_of(NULL, 0), parts, 3, ret->b, sizeof(ret->b));
}

/* Asks for a proof of key and address: a token that only the owner of the key
 * can open, who gets what is sent there. */
static bool
challenge(struct dht *d, const struct endpoint *from, const struct krpc *q,
    const struct target *proof)
{
	struct krpc m = { .kind = KRPC_QUERY, .method = KRPC_HAND };
	uint8_t token[TOKEN_SIZE], buf[OVERLAY_KRPC_MAX];
	struct writer plain = wr_init(buf, sizeof(buf));

	token_make(&d->introducer->tokens, from, proof, d->now_ms, token);
	m.token = span_of(token, sizeof(token));
	m.has_cookie = true;
	memcpy(m.cookie, q->cookie, sizeof(m.cookie));
	if (overlay_encode(d, &m, &plain) > PROOF_BYTES ||
	    !guard_upload(&d->guard, from, PROOF_BYTES, GUARD_RARE, d->now_ms))
		return false;
	return overlay_tell(d, from, &q->n, wr_span_of(&plain));
}

static bool
accept(struct dht *d, const struct endpoint *from, const struct krpc *q,
    const struct target *proof)
{
	struct krpc m = { .kind = KRPC_RESPONSE, .t = q->t };
	uint8_t token[TOKEN_SIZE];

	token_make(&d->introducer->tokens, from, proof, d->now_ms, token);
	m.token = span_of(token, sizeof(token));
	m.life_s = INTRODUCE_LIFE_S;
	return reply(d, from, &m);
}

bool
introducer_register(
    struct dht *d, const struct endpoint *from, const struct krpc *m)
{
	struct introducer *i = d->introducer;
	const struct trusted *trusted = trusted_find(i, &m->n);
	struct introduce_wish wish = { from, &m->n, m->handle, m->cookie,
		trusted ? trusted->rate : 0 };
	struct target proof;

	if (m->fault || !m->has_handle || !m->has_cookie || !m->has_n ||
	    !node_key_is_set(&m->n))
		return refuse(d, from, m, KRPC_PROTOCOL, "invalid handle");
	if (is_self(d, from, &m->n))
		return false;
	if (!i->table || (i->whom == DHT_INTRODUCES_TRUSTED && !trusted))
		return refuse(d, from, m, KRPC_SERVER, "no introducer");
	if (introduce_may(i->table, &wish, d->now_ms))
		return refuse(d, from, m, KRPC_SERVER, "no room");
	proof_of(from, m, &proof);
	if (!token_check(&i->tokens, from, &proof, d->now_ms, m->token))
		return challenge(d, from, m, &proof);
	guard_proven(&d->guard, from, d->now_ms);
	if (introduce_register(i->table, &wish, d->now_ms))
		return refuse(d, from, m, KRPC_SERVER, "no room");
	return accept(d, from, m, &proof);
}

/* ---- passing ---- */

bool
is_passable(struct span datagram)
{
	return datagram.n >= INTRODUCE_DATAGRAM_MIN &&
	       datagram.n <= INTRODUCE_DATAGRAM_MAX && datagram.p[0] != 'd' &&
	       !overlay_is_size(datagram.n);
}

static enum err
find_to(struct dht *d, const struct endpoint *from, const struct krpc *m,
    size_t n_bytes, struct introduce_to *ret)
{
	struct introduce *t = d->introducer->table;
	struct introduce_wish caller = { from, &m->n, m->handle, m->cookie, 0 };

	if (m->has_handle == m->has_circuit)
		return ERR_MALFORMED;
	if (!t)
		return ERR_NOT_FOUND;
	if (m->has_circuit)
		return introduce_follow(
		    t, from, m->circuit, n_bytes, d->now_ms, ret);
	if (!m->has_cookie || !m->has_n || !node_key_is_set(&m->n) ||
	    is_self(d, from, &m->n))
		return ERR_MALFORMED;
	return introduce_call(t, &caller, n_bytes, d->now_ms, ret);
}

static bool
hand_on(struct dht *d, const struct introduce_to *to, struct span datagram)
{
	enum endpoint_scope scope = endpoint_scope(&to->other);
	struct krpc m = {
		.kind = KRPC_QUERY, .method = KRPC_HAND, .datagram = datagram
	};
	uint8_t buf[OVERLAY_KRPC_MAX];
	struct writer plain = wr_init(buf, sizeof(buf));
	size_t size;

	m.has_cookie = m.has_circuit = true;
	memcpy(m.cookie, to->cookie, sizeof(m.cookie));
	memcpy(m.circuit, to->circuit, sizeof(m.circuit));
	/* What is beside us is nobody's business elsewhere. */
	m.has_ip = scope == SCOPE_GLOBAL || scope == endpoint_scope(&to->at);
	m.ip = to->other;
	size = overlay_encode(d, &m, &plain);
	return size > 0 && out_room(d) &&
	       introduce_pay(d->introducer->table, to, size, d->now_ms) &&
	       overlay_tell(d, &to->at, &to->n, wr_span_of(&plain));
}

bool
introducer_pass(struct dht *d, const struct endpoint *from,
    const struct krpc *m, size_t n_bytes)
{
	struct introduce_to to;
	enum err err;

	if (!is_passable(m->datagram))
		return false;
	err = find_to(d, from, m, n_bytes, &to);
	/* Who names a circuit has had something sent to him, or registered. */
	if (!err && m->has_circuit)
		guard_proven(&d->guard, from, d->now_ms);
	if (!err)
		return hand_on(d, &to, m->datagram);
	/* Who does not wait for it has no use for an answer. */
	if (err != ERR_NOT_FOUND || !m->has_handle || m->t.n == 0 ||
	    !dht_may_ask(d, from))
		return false;
	return refuse(d, from, m, KRPC_GENERIC, "nobody there");
}
