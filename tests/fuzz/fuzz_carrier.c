/*
 * The receive path of an overlay node that is an introducer and has one: any
 * bytes as a datagram draw nothing; any message that somebody who knows its key
 * seals is answered by the rules or not at all; what is passed goes to those
 * who registered or called, and is what no DHT node opens; any answer of the
 * node that it asked is survived.
 *
 * A fuzzer guesses no 64 random bits, so "cookie_c", "circuit_" and a token of
 * "tokentok" stand for those that the node has made.
 */
#include "proto/dht/dht_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#include <assert.h>
#include <string.h>

static const struct now now = { 100000, UINT64_C(1800000000000) };
static const uint8_t handle[DHT_HANDLE_SIZE] = "handle_h";

struct play {
	struct test_rng rng;
	struct dht *d;
	struct carrier *peer;
	struct endpoint at, other; /* of the peer: as it registers and calls */
	struct endpoint stranger;
	uint8_t token[TOKEN_SIZE], circuit[KRPC_END_SIZE];
};

static struct endpoint
address(uint8_t net)
{
	const uint8_t v4[4] = { 20, net, 1, 1 };

	return endpoint_v4(v4, 6881);
}

static void
check_event(const struct dht_event *e)
{
	assert(e->kind >= DHT_VALUE && e->kind <= DHT_PASS_FAILED);
	if (e->kind == DHT_HANDED)
		assert(is_passable(e->datagram));
}

/* Of the queries that it sent last: what is under way. */
static size_t
drain(struct dht *d, size_t size_max)
{
	struct dht_send s;
	struct dht_event e;
	size_t n = 0;

	while (dht_next_event(d, &e))
		check_event(&e);
	while (dht_next_send(d, &s)) {
		assert(overlay_is_size(s.data.n) && s.data.p[0] != 'd');
		assert(s.data.n <= size_max);
		n++;
	}
	return n;
}

/* The peer seals a query for the node. */
static size_t
seal(struct play *p, struct span krpc, uint8_t buf[OVERLAY_SIZE_MAX])
{
	struct endpoint to = address(200);
	struct writer out = wr_init(buf, OVERLAY_SIZE_MAX);
	struct carrier_query q = { .to = &to, .krpc = krpc };
	struct node_key n;

	dht_key(p->d, &n);
	q.n = &n;
	return krpc.n > 0 && carrier_tell(p->peer, &q, now, &out) == ERR_OK
	           ? out.n
	           : 0;
}

static void
as_query(struct play *p, const struct endpoint *from, struct span krpc)
{
	uint8_t buf[OVERLAY_SIZE_MAX];
	size_t n = seal(p, krpc, buf);

	if (n == 0)
		return;
	dht_receive(p->d, from, span_of(buf, n), now);
	/* At most the answer and a ping to who asked, or what is passed. */
	assert(drain(p->d, 3 * n) <= 2);
	dht_receive(p->d, from, span_of(buf, n), now);
	assert(drain(p->d, 0) == 0);
}

/* Writes value over what stands for it. */
static void
put_in(uint8_t *buf, size_t n, const char *what, const uint8_t *value)
{
	uint8_t *at = memmem(buf, n, what, strlen(what));

	if (at)
		memcpy(at, value, strlen(what));
}

static void
as_registered(struct play *p, struct span krpc)
{
	const struct ways *w = p->d->ways;
	const uint8_t *cookies[2] = { w->own[0].cookie, w->call[0].cookie };
	uint8_t buf[OVERLAY_KRPC_MAX];

	for (int i = 0; i < 2 && krpc.n > 0; i++) {
		memcpy(buf, krpc.p, krpc.n);
		put_in(buf, krpc.n, "tokentok", p->token);
		put_in(buf, krpc.n, "circuit_", p->circuit);
		as_query(p, &p->other, span_of(buf, krpc.n));
		put_in(buf, krpc.n, "cookie_c", cookies[i]);
		as_query(p, &p->at, span_of(buf, krpc.n));
	}
}

/* The answer's transaction is the query's, as an honest peer's would be. */
static struct span
with_t(struct span query, struct span krpc, uint8_t *buf)
{
	static struct bencode scratch;
	static const char t[] = "1:t4:";
	struct krpc m;
	uint8_t *at;

	memcpy(buf, krpc.p, krpc.n);
	at = memmem(buf, krpc.n, t, sizeof(t) - 1);
	if (at && (size_t)(buf + krpc.n - at) >= sizeof(t) - 1 + 4 &&
	    !krpc_decode(query, &scratch, &m) && m.t.n == 4)
		memcpy(at + sizeof(t) - 1, m.t.p, 4);
	return span_of(buf, krpc.n);
}

/* The node has asked the peer, and the peer answers with the bytes. */
static void
as_answer(struct play *p, struct span krpc)
{
	uint8_t plain[OVERLAY_KRPC_MAX], buf[OVERLAY_SIZE_MAX];
	uint8_t answer[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(plain, sizeof(plain));
	struct writer out = wr_init(buf, sizeof(buf));
	struct carrier_call call;
	struct dht_send s;

	if (!dht_next_send(p->d, &s) ||
	    carrier_open(p->peer, s.data, true, now, &w, &call))
		return;
	(void)drain(p->d, OVERLAY_SIZE_MAX);
	if (krpc.n > 0)
		krpc = with_t(wr_span_of(&w), krpc, answer);
	if (krpc.n > 0 && carrier_answer(p->peer, &call, krpc, &out) == ERR_OK)
		dht_receive(p->d, &p->at, wr_span_of(&out), now);
	(void)drain(p->d, OVERLAY_SIZE_MAX);
}

/* A ping, a registration and a pass of the node are answered so. */
static void
as_answers(struct play *p, struct span krpc, bool all)
{
	uint8_t d[168] = { 1 };
	struct dht_way way = { .introducer = { .at = p->at } };

	carrier_key(p->peer, &way.introducer.n);
	dht_candidate_key(p->d, &p->at, &way.introducer.n, now);
	as_answer(p, krpc);
	if (!all)
		return;
	if (dht_register(p->d, 2, &way.introducer, way.id, now) == ERR_OK)
		as_answer(p, krpc);
	way.id[0] = 77;
	dht_pass(p->d, &way, span_of(d, sizeof(d)), now);
	as_answer(p, krpc);
}

/* ---- what is there before ---- */

/* What the node last sent to the peer, as a query. */
static bool
last_query(struct play *p, struct bencode *scratch, struct krpc *ret)
{
	static uint8_t plain[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(plain, sizeof(plain));
	struct carrier_call call;
	struct dht_send s;

	return dht_next_send(p->d, &s) &&
	       !carrier_open(p->peer, s.data, true, now, &w, &call) &&
	       !krpc_decode(wr_span_of(&w), scratch, ret);
}

static void
tell(struct play *p, const struct endpoint *from, struct krpc *m)
{
	uint8_t plain[OVERLAY_KRPC_MAX], buf[OVERLAY_SIZE_MAX];
	struct writer w = wr_init(plain, sizeof(plain));

	m->kind = KRPC_QUERY;
	m->t = span_str("");
	m->has_minute = true;
	m->minute = 30000000;
	krpc_encode(m, &w);
	assert(!w.bad);
	dht_receive(
	    p->d, from, span_of(buf, seal(p, wr_span_of(&w), buf)), now);
}

/* The peer registers a handle, and calls it under another key. */
static void
make_circuit(struct play *p)
{
	static struct bencode scratch;
	struct krpc m = { .method = KRPC_REGISTER, .has_id = true }, got;
	uint8_t d[168] = { 1 };

	m.has_n = m.has_handle = m.has_cookie = true;
	memcpy(m.handle, handle, sizeof(handle));
	carrier_key(p->peer, &m.n);
	tell(p, &p->at, &m);
	assert(last_query(p, &scratch, &got) && got.token.n == TOKEN_SIZE);
	memcpy(p->token, got.token.p, sizeof(p->token));
	m.token = span_of(p->token, sizeof(p->token));
	tell(p, &p->at, &m);
	(void)drain(p->d, OVERLAY_SIZE_MAX);
	m.method = KRPC_PASS;
	m.has_id = false;
	m.n.b[0] ^= 1;
	m.datagram = span_of(d, sizeof(d));
	m.token = span_of(NULL, 0);
	tell(p, &p->other, &m);
	assert(last_query(p, &scratch, &got) && got.has_circuit);
	memcpy(p->circuit, got.circuit, sizeof(p->circuit));
	(void)drain(p->d, OVERLAY_SIZE_MAX);
}

/* The node has a handle at the peer, and calls one. */
static void
make_ways(struct play *p)
{
	struct dht_way way = { .introducer = { .at = p->at } };
	uint8_t d[168] = { 1 };

	carrier_key(p->peer, &way.introducer.n);
	assert(dht_register(p->d, 1, &way.introducer, handle, now) == ERR_OK);
	dht_pass(p->d, &way, span_of(d, sizeof(d)), now);
	(void)drain(p->d, OVERLAY_SIZE_MAX);
	p->d->ways->own[0].until_ms = now.mono_ms + 90000;
}

static void
begin(struct play *p)
{
	struct dht_config cfg = {
		.carrier = DHT_OVERLAY, .rng = &p->rng.rng, .introduces = true
	};

	test_rng_init(&p->rng, 1);
	p->d = dht_new(&cfg, now);
	p->peer = carrier_new(&p->rng.rng, false);
	assert(p->d && p->peer);
	assert(dht_introduce(p->d, DHT_INTRODUCES_ALL, now) == ERR_OK);
	p->at = address(1);
	p->other = address(2);
	p->stranger = address(3);
}

/* Is it a message at all? What is not goes no further than that it is not. */
static bool
is_krpc(struct span in)
{
	static struct bencode scratch;
	struct krpc m;

	return !krpc_decode(in, &scratch, &m);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct play p;
	bool all;

	if (size > OVERLAY_KRPC_MAX)
		size = OVERLAY_KRPC_MAX;
	begin(&p);
	dht_receive(p.d, &p.stranger, span_of(data, size), now);
	assert(drain(p.d, 0) == 0);
	as_query(&p, &p.stranger, span_of(data, size));
	all = is_krpc(span_of(data, size));
	if (all) {
		make_circuit(&p);
		make_ways(&p);
		as_registered(&p, span_of(data, size));
	}
	as_answers(&p, span_of(data, size), all);
	assert(table_count(&p.d->table) == 0); /* no id of its own fits */
	carrier_free(p.peer);
	dht_free(p.d);
	return 0;
}
