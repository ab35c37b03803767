/* See link_raw.h. */
#include "tests/support/link_raw.h"

#include "proto/crypto/kdf.h"
#include "proto/link/hello.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- message 1 ---- */

struct raw_m1
raw_m1_of(struct wire *w, unsigned as, unsigned to)
{
	struct wire_node *n = &w->node[as], *v = &w->node[to];
	struct raw_m1 m = { .ts_ms = wire_now(w, as).wall_ms };

	m.s.sk = n->self.s[0].sk;
	m.s.pk = n->self.s[0].pk;
	m.rs = v->self.s[0].pk;
	m.reach = v->self.reach;
	m.day = handshake_day(w->now.wall_ms);
	m.cur = n->disk[to].peer.ratchet.cur;
	m.prev = n->disk[to].peer.ratchet.prev;
	rng_fill(&w->rng.rng, m.e_sk, sizeof(m.e_sk));
	return m;
}

void
raw_m1_seal(struct wire *w, const struct raw_m1 *m,
    uint8_t out[PACKET_MESSAGE_1_SIZE], struct handshake_attempt *a)
{
	struct handshake_guard guard;
	uint8_t mac2[HANDSHAKE_MAC_SIZE], e_sk[32];
	struct handshake_1 in = {
		.guard = &guard,
		.s = &m->s,
		.rs = &m->rs,
		.e_sk = e_sk,
		.cookie = m->cookie,
		.mac2 = mac2,
	};
	enum err err;

	handshake_guard_derive(&m->reach, &m->rs, m->day, &guard);
	rng_fill(&w->rng.rng, mac2, sizeof(mac2));
	memcpy(e_sk, m->e_sk, sizeof(e_sk));
	in.payload.ts_ms = m->ts_ms;
	in.payload.index = packet_draw_index(&w->rng.rng);
	in.payload.flags = m->flags;
	in.payload.udp_max = 1232;
	pair_rid(&m->cur, &in.payload.rid_cur);
	pair_rid(&m->prev, &in.payload.rid_prev);
	do {
		err = handshake_1_seal(&in, out, a);
		e_sk[5]++;
	} while (err == ERR_CONFLICT);
	assert(err == ERR_OK);
}

/* ---- the hostile contact ---- */

/* It left that node by a route, which it calls `from`. */
static bool
by_route(const struct wire *w, const struct endpoint *from, unsigned node)
{
	for (unsigned i = 0; i < 2 * w->n_routes; i++) {
		const struct wire_route *r = &w->route[i / 2];

		if (r->node[i % 2] == node && endpoint_eq(&r->end[i % 2], from))
			return true;
	}
	return false;
}

static bool
tap(struct wire *w, struct wire_datagram *d)
{
	struct raw *r = w->tap_ctx;
	struct packet_key key = r->keys.receive;
	struct span in = span_of(d->b, d->n);
	bool route = by_route(w, &d->from, r->to);
	const struct endpoint *to = &d->to; /* as the other side calls it */
	uint64_t number;

	if (route)
		to = &d->from;
	else if (!endpoint_eq(&d->from, &w->node[r->to].at))
		return true;
	if (r->seen)
		r->seen(r, to, d->n);
	if (d->n == PACKET_MESSAGE_1_SIZE) {
		memcpy(r->call, d->b, d->n);
		r->called = *to;
		r->has_call = true;
		return false;
	}
	r->n_in++;
	r->bytes_in += d->n;
	r->last_to = *to;
	if (r->keys.n_receive_index == 0) { /* no keys yet: message 2 */
		memcpy(r->plain, d->b, d->n);
		r->frames = span_of(r->plain, d->n);
	} else if (packet_counter(&key, in, &number) == ERR_OK &&
	           packet_open(&key, in, number, r->plain) == ERR_OK) {
		r->number = number;
		r->frames = span_of(r->plain, in.n - PACKET_OVERHEAD);
	}
	return false;
}

void
raw_init(struct raw *r, struct wire *w, unsigned as, unsigned to)
{
	memset(r, 0, sizeof(*r));
	r->w = w;
	r->as = as;
	r->to = to;
	r->at = w->node[as].at;
	r->ts_ms = wire_now(w, as).wall_ms;
	rng_fill(&w->rng.rng, r->instance, sizeof(r->instance));
	w->tap = tap;
	w->tap_ctx = r;
}

void
raw_clear(struct raw *r)
{
	r->w->tap = NULL;
	memset(r, 0, sizeof(*r));
}

bool
raw_shake(struct raw *r)
{
	return raw_shake_with(r, 0);
}

bool
raw_shake_with(struct raw *r, uint16_t flags)
{
	struct raw_m1 m = raw_m1_of(r->w, r->as, r->to);
	struct handshake_attempt a;
	struct handshake_payload_2 payload;
	struct handshake_try keys = {
		.id_i = &r->w->node[r->as].id,
		.id_r = &r->w->node[r->to].id,
	};
	struct ratchet_key fallback;
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	bool ok;

	memset(&r->keys, 0, sizeof(r->keys));
	r->next = 0;
	r->at_index = 0;
	r->n_in = 0;
	m.ts_ms = ++r->ts_ms;
	m.flags = flags;
	raw_m1_seal(r->w, &m, out, &a);
	wire_inject(r->w, r->to, &r->at, span_of(out, sizeof(out)));
	keys.rk[KEY_CUR] = &m.cur;
	keys.rk[KEY_PREV] = &m.prev;
	pair_fallback(&r->w->node[r->as].disk[r->to].peer.rk0, &fallback);
	keys.rk[KEY_FALLBACK] = &fallback;
	ok = r->n_in == 1 && handshake_2_open(&a, &keys, r->frames, &payload,
	                         &r->keys) == ERR_OK;
	handshake_attempt_wipe(&a);
	return ok;
}

/* Under which of the keys that the call names; rk0 is always known here. */
static enum key_used
choose(const struct raw *r, const struct handshake_request *req,
    struct ratchet_key *base)
{
	const struct link_peer *cfg = &r->w->node[r->as].disk[r->to].peer;
	enum key_used used = ratchet_choose(
	    &cfg->ratchet, &req->payload.rid_cur, &req->payload.rid_prev, base);

	if (used == KEY_FALLBACK)
		pair_fallback(&cfg->rk0, base);
	return used;
}

static void
seal_answer(struct raw *r, const struct handshake_request *req)
{
	struct wire_node *n = &r->w->node[r->as];
	uint8_t out[PACKET_MESSAGE_2_SIZE], e_sk[32], mac2[HANDSHAKE_MAC_SIZE];
	struct ratchet_key base;
	struct handshake_2 in = {
		.rk = &base,
		.id_i = &r->w->node[r->to].id,
		.id_r = &n->id,
		.e_sk = e_sk,
		.mac2 = mac2,
	};

	in.payload.key_used = (uint8_t)choose(r, req, &base);
	base.b[0] ^= r->lie_psk;
	in.payload.flags = (uint8_t)req->payload.flags;
	in.payload.udp_max = 1472;
	in.payload.index = packet_draw_index(&r->w->rng.rng);
	in.payload.time_ms = wire_now(r->w, r->as).wall_ms;
	rng_fill(&r->w->rng.rng, e_sk, sizeof(e_sk));
	rng_fill(&r->w->rng.rng, mac2, sizeof(mac2));
	if (handshake_2_seal(req, &in, out, &r->keys))
		abort();
	if (r->lie_index) { /* but arrives as an answer to the right one */
		const struct span covered = span_of(out, 72);

		out[0] ^= 1;
		kdf_b2(span_of(req->guard.mac1, 32), &covered, 1, out + 72, 16);
	}
	r->next = 0;
	r->at_index = 0;
	r->n_in = 0;
	wire_inject(r->w, r->to, &r->called, span_of(out, sizeof(out)));
}

bool
raw_answer(struct raw *r)
{
	struct wire_node *n = &r->w->node[r->as];
	struct handshake_static own = { .sk = n->self.s[0].sk,
		.pk = n->self.s[0].pk };
	struct handshake_guard guard;
	struct handshake_request req;

	if (!r->has_call)
		return false;
	r->has_call = false;
	handshake_guard_derive(&n->self.reach, &own.pk,
	    handshake_day(wire_now(r->w, r->to).wall_ms), &guard);
	if (handshake_1_open(
	        &guard, &own, span_of(r->call, sizeof(r->call)), &req))
		return false; /* a day has passed since */
	req.payload.index ^= r->lie_index;
	seal_answer(r, &req);
	return true;
}

/* packet_seal without its own checks: any counter. */
static void
seal_any(const struct raw *r, uint64_t counter, size_t n, uint8_t *out)
{
	struct writer head = wr_init(out, PACKET_HEAD);
	uint8_t ad[12], mask[8] = { 0 };
	struct writer w = wr_init(ad, sizeof(ad));
	struct reader at;
	uint32_t block;

	wr_u32le(&w, r->keys.send_index[r->at_index]);
	wr_u64le(&w, counter);
	noise_seal(r->keys.send.k, counter, wr_span_of(&w),
	    span_of(out + PACKET_HEAD, n), out + PACKET_HEAD);
	at = rd_init(span_of(out + PACKET_HEAD, 4));
	block = rd_u32le(&at);
	crypto_stream_chacha20_ietf_xor_ic(
	    mask, mask, sizeof(mask), out + 16, block, r->keys.send.hp);
	wr_u32le(&head, r->keys.send_index[r->at_index]);
	for (unsigned i = 0; i < 8; i++)
		wr_u8(&head, (uint8_t)(counter >> 8 * i) ^ mask[i]);
}

void
raw_send_as(struct raw *r, struct span frames, uint64_t counter,
    const struct endpoint *from)
{
	uint8_t out[WIRE_DATAGRAM_MAX] = { 0 };
	size_t n = frames.n < PACKET_PLAIN_MIN ? PACKET_PLAIN_MIN : frames.n;

	assert(n + PACKET_OVERHEAD <= sizeof(out));
	if (frames.n > 0)
		memcpy(out + PACKET_HEAD, frames.p, frames.n);
	seal_any(r, counter, n, out);
	r->n_in = 0;
	r->bytes_in = 0;
	r->frames = span_of(NULL, 0);
	wire_inject(r->w, r->to, from, span_of(out, n + PACKET_OVERHEAD));
}

void
raw_send_junk(struct raw *r, size_t n, const struct endpoint *from)
{
	uint8_t out[WIRE_DATAGRAM_MAX];
	struct writer w = wr_init(out, sizeof(out));

	assert(n >= 4 && n <= sizeof(out));
	wr_u32le(&w, r->keys.send_index[r->at_index]);
	rng_fill(&r->w->rng.rng, out + 4, n - 4);
	r->n_in = 0;
	r->bytes_in = 0;
	wire_inject(r->w, r->to, from, span_of(out, n));
}

void
raw_send(struct raw *r, struct span frames)
{
	raw_send_as(r, frames, r->next++, &r->at);
}

void
raw_hello(struct raw *r, struct writer *w)
{
	struct wire_node *n = &r->w->node[r->as];
	struct link_hello h = { .id = n->id, .cert = n->self.s[0].cert };
	uint8_t body[FRAME_HELLO_SIZE];

	h.reach = n->self.reach;
	h.time_ms = wire_now(r->w, r->as).wall_ms;
	hello_encode(&h, r->instance, body);
	frame_write_hello(w, body);
}

bool
raw_up(struct raw *r)
{
	uint8_t buf[512];
	struct writer w = wr_init(buf, sizeof(buf));

	if (!raw_shake(r))
		return false;
	wr_u8(&w, FRAME_PING);
	raw_hello(r, &w);
	raw_send(r, wr_span_of(&w));
	return r->w->node[r->to].up[r->as];
}

bool
raw_closed(const struct raw *r, uint64_t *code)
{
	struct reader rd = rd_init(r->frames);
	struct frame f;

	while (rd.n > 0 && frame_decode(&rd, &f) == ERR_OK) {
		if (f.type != FRAME_CLOSE)
			continue;
		*code = f.value;
		return true;
	}
	return false;
}
