/* The net, what is heard in it, and raw messages. */
#include "tests/support/dht_intro.h"

#include "proto/crypto/kdf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

struct dht_net net; /* large: not on the stack */
struct heard heard[INTRO_NODES];
struct dht_net_packet tape[INTRO_TAPE_MAX]; /* what was delivered */
size_t n_tape;
const uint8_t handle[DHT_HANDLE_SIZE] = "handle_b";
struct dht_node introducer;

static void
on_event(void *ctx, size_t i, const struct dht_event *e)
{
	struct heard *h = &heard[i];

	(void)ctx;
	if (e->kind == DHT_REGISTERED) {
		h->n_registered++;
		h->registered = *e;
	} else if (e->kind == DHT_PASS_FAILED) {
		h->n_failed++;
		h->failed = *e;
	} else if (e->kind == DHT_HANDED) {
		h->n_handed++;
		h->handed = *e;
		h->n = e->datagram.n;
		memcpy(h->data, e->datagram.p, e->datagram.n);
	}
}

static void
on_packet(void *ctx, const struct dht_net_packet *p)
{
	(void)ctx;
	assert_true(n_tape < INTRO_TAPE_MAX);
	tape[n_tape++] = *p;
}

void
clear(void)
{
	memset(heard, 0, sizeof(heard));
	n_tape = 0;
}

struct now
now(void)
{
	return dht_net_now(&net);
}

static int
begin(bool v6)
{
	dht_net_init(&net, test_seed(500), false);
	net.v6 = v6;
	net.overlay = true;
	net.delay_ms = 20;
	net.on_event = on_event;
	net.on_packet = on_packet;
	for (size_t i = 0; i < INTRO_NODES; i++) {
		clear();
		(void)dht_net_join(&net, I);
		dht_net_run(&net, 3000);
	}
	introducer.at = net.at[I];
	dht_key(net.node[I], &introducer.n);
	assert_int_equal(
	    dht_introduce(net.node[I], DHT_INTRODUCES_ALL, now()), ERR_OK);
	clear();
	return 0;
}

int
intro_setup(void **state)
{
	(void)state;
	return begin(false);
}

int
intro_setup_v6(void **state)
{
	(void)state;
	return begin(true);
}

int
intro_teardown(void **state)
{
	(void)state;
	dht_net_clear(&net);
	return 0;
}

void
registers(size_t i, const uint8_t h[DHT_HANDLE_SIZE], bool took)
{
	size_t before = heard[i].n_registered;

	assert_int_equal(
	    dht_register(net.node[i], i, &introducer, h, now()), ERR_OK);
	dht_net_run(&net, 10000);
	assert_int_equal(heard[i].n_registered, before + 1);
	assert_true(heard[i].registered.op == i);
	assert_int_equal(heard[i].registered.found, took);
	if (took)
		assert_int_equal(heard[i].registered.life_s, INTRODUCE_LIFE_S);
}

struct dht_way
way_to(const uint8_t h[DHT_HANDLE_SIZE])
{
	struct dht_way way = { .introducer = introducer };

	memcpy(way.id, h, sizeof(way.id));
	return way;
}

/* A datagram of n bytes that begins with a. */
struct span
datagram(uint8_t a, size_t n)
{
	static uint8_t buf[1400];

	assert_true(n <= sizeof(buf));
	memset(buf, 0x11, sizeof(buf));
	buf[0] = a;
	return span_of(buf, n);
}

void
pass(size_t i, const struct dht_way *way, struct span d)
{
	dht_pass(net.node[i], way, d, now());
	dht_net_run(&net, 100);
}

void
is_handed(size_t i, uint8_t a, size_t n)
{
	assert_int_equal(heard[i].n_handed, 1);
	assert_int_equal(heard[i].n, n);
	assert_memory_equal(heard[i].data, datagram(a, n).p, n);
	heard[i].n_handed = 0;
}

/* ---- who is no node, and may be anything ---- */

struct raw
raw_new(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
{
	const uint8_t v4[4] = { a, b, c, d };
	struct raw r = { carrier_new(&net.rng.rng, false),
		endpoint_v4(v4, 6881) };

	assert_non_null(r.c);
	return r;
}

struct node_key
raw_key(const struct raw *r)
{
	struct node_key n;

	carrier_key(r->c, &n);
	return n;
}

/* Sends m to a node as if from there; returns its bytes. */
size_t
raw_tell_node(
    struct raw *r, const struct endpoint *from, size_t to, struct krpc *m)
{
	uint8_t plain[OVERLAY_KRPC_MAX], buf[OVERLAY_SIZE_MAX];
	struct writer w = wr_init(plain, sizeof(plain));
	struct writer out = wr_init(buf, sizeof(buf));
	struct carrier_query q = { .to = &net.at[to] };
	struct node_key n;

	dht_key(net.node[to], &n);
	q.n = &n;
	m->kind = KRPC_QUERY;
	if (!m->t.p)
		m->t = span_str("");
	m->has_minute = true;
	m->minute = (int64_t)(now().wall_ms / 60000);
	krpc_encode(m, &w);
	assert_false(w.bad);
	q.krpc = wr_span_of(&w);
	assert_int_equal(carrier_tell(r->c, &q, now(), &out), ERR_OK);
	dht_net_inject(&net, from, to, wr_span_of(&out));
	dht_net_drain(&net);
	return out.n;
}

size_t
raw_tell(struct raw *r, const struct endpoint *from, struct krpc *m)
{
	size_t n = raw_tell_node(r, from, I, m);

	dht_net_run(&net, 50);
	return n;
}

void
raw_register(
    struct krpc *m, const struct node_key *n, const uint8_t h[DHT_HANDLE_SIZE])
{
	*m = (struct krpc){ .method = KRPC_REGISTER, .has_id = true };
	m->t = span_str("aaaa");
	m->has_n = m->has_handle = m->has_cookie = true;
	m->n = *n;
	memcpy(m->handle, h, sizeof(m->handle));
	memset(m->cookie, 'c', sizeof(m->cookie));
}

void
raw_pass(const struct raw *r, struct krpc *m, const uint8_t h[DHT_HANDLE_SIZE],
    struct span d)
{
	*m = (struct krpc){ .method = KRPC_PASS, .datagram = d };
	m->has_n = m->has_handle = m->has_cookie = true;
	m->n = raw_key(r);
	memcpy(m->handle, h, sizeof(m->handle));
	memset(m->cookie, 'c', sizeof(m->cookie));
}

/* Opens the last datagram that went to r, if it is a query for him. */
bool
raw_opens(struct raw *r, struct krpc *ret)
{
	static uint8_t plain[OVERLAY_KRPC_MAX];
	static struct bencode scratch;
	struct writer w = wr_init(plain, sizeof(plain));
	struct carrier_call call;

	for (size_t i = n_tape; i-- > 0;) {
		if (!endpoint_eq(&tape[i].to, &r->at))
			continue;
		return !carrier_open(r->c, span_of(tape[i].data, tape[i].n),
		           true, now(), &w, &call) &&
		       !krpc_decode(wr_span_of(&w), &scratch, ret);
	}
	return false;
}

/* What a get for the same 20 bytes would draw from the introducer. */
void
raw_token_by_get(
    const struct raw *r, const struct krpc *m, uint8_t ret[TOKEN_SIZE])
{
	uint8_t port[2] = { (uint8_t)(r->at.port >> 8), (uint8_t)r->at.port };
	const struct span parts[] = { span_of(m->n.b, sizeof(m->n.b)),
		span_of(m->handle, sizeof(m->handle)), span_of(port, 2) };
	struct target goal;

	kdf_b2(span_of(NULL, 0), parts, 3, goal.b, sizeof(goal.b));
	token_make(&net.node[I]->tokens, &r->at, &goal, net.now_ms, ret);
}

size_t
n_to(const struct endpoint *at)
{
	size_t n = 0;

	for (size_t i = 0; i < n_tape; i++)
		n += endpoint_eq(&tape[i].to, at);
	return n;
}

size_t
bytes_to(const struct endpoint *at)
{
	size_t n = 0;

	for (size_t i = 0; i < n_tape; i++)
		if (endpoint_eq(&tape[i].to, at))
			n += tape[i].n;
	return n;
}

struct dht_stats
stats(void)
{
	struct dht_stats s;

	dht_get_stats(net.node[I], &s);
	return s;
}
