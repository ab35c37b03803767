/* Nodes, a heap of packets, and a clock that jumps. */
#include "tests/support/dht_net.h"

#include "proto/dht/krpc.h"
#include "proto/dht/overlay.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

void
dht_net_init(struct dht_net *net, uint64_t seed, bool loopback)
{
	memset(net, 0, sizeof(*net));
	test_rng_init(&net->rng, seed);
	net->loopback = loopback;
	net->now_ms = 1000;
}

void
dht_net_clear(struct dht_net *net)
{
	for (size_t i = 0; i < net->n; i++)
		dht_free(net->node[i]);
	free(net->packet);
}

struct now
dht_net_now(const struct dht_net *net)
{
	return (
	    struct now){ net->now_ms, UINT64_C(1800000000000) + net->now_ms };
}

static bool
earlier(const struct dht_net_packet *a, const struct dht_net_packet *b)
{
	return a->at_ms != b->at_ms ? a->at_ms < b->at_ms : a->order < b->order;
}

static void
push(struct dht_net *net, struct dht_net_packet p)
{
	size_t i = net->n_packets;

	if (i == net->cap_packets) {
		net->cap_packets = 2 * net->cap_packets + 64;
		net->packet = realloc(
		    net->packet, net->cap_packets * sizeof(*net->packet));
		assert(net->packet);
	}
	net->n_packets++;
	for (; i > 0 && earlier(&p, &net->packet[(i - 1) / 2]); i = (i - 1) / 2)
		net->packet[i] = net->packet[(i - 1) / 2];
	net->packet[i] = p;
}

static struct dht_net_packet
pop(struct dht_net *net)
{
	struct dht_net_packet top = net->packet[0];
	struct dht_net_packet last = net->packet[--net->n_packets];
	size_t i = 0;

	for (;;) {
		size_t c = 2 * i + 1;

		if (c >= net->n_packets)
			break;
		if (c + 1 < net->n_packets &&
		    earlier(&net->packet[c + 1], &net->packet[c]))
			c++;
		if (!earlier(&net->packet[c], &last))
			break;
		net->packet[i] = net->packet[c];
		i = c;
	}
	if (net->n_packets > 0)
		net->packet[i] = last;
	return top;
}

/* Loopback by port, or a network for each node. */
static struct endpoint
address(struct dht_net *net, size_t i)
{
	uint8_t v4[4] = { 127, 0, 0, 1 };
	struct endpoint at = { .port = (uint16_t)(1000 + i) };

	if (!net->loopback) {
		v4[0] = (uint8_t)(40 + i / 64);
		v4[1] = (uint8_t)(3 * i);
		v4[2] = (uint8_t)rng_u32(&net->rng.rng);
		v4[3] = 7;
	}
	if (!net->v6)
		return endpoint_v4(v4, at.port);
	at.addr[15] = 1;
	if (!net->loopback) {
		at.addr[0] = 0x2a;
		memcpy(at.addr + 1, v4, sizeof(v4));
	}
	return at;
}

size_t
dht_net_join(struct dht_net *net, size_t from)
{
	size_t i = net->n++;
	struct dht_config cfg = { .rng = &net->rng.rng,
		.loopback = net->loopback };

	assert(i < DHT_NET_MAX);
	cfg.family = net->v6 ? FAMILY_V6 : FAMILY_V4;
	cfg.carrier = net->overlay ? DHT_OVERLAY : DHT_MAINLINE;
	cfg.introduces = net->overlay && i == 0;
	net->at[i] = address(net, i);
	net->node[i] = dht_new(&cfg, dht_net_now(net));
	assert(net->node[i]);
	if (from != i)
		dht_bootstrap(net->node[i], &net->at[from], dht_net_now(net));
	return i;
}

void
dht_net_kill(struct dht_net *net, size_t i)
{
	dht_free(net->node[i]);
	net->node[i] = NULL;
}

/* The law of the wire: nothing leaves that is not KRPC. */
static void
check_packet(struct span data)
{
	static struct bencode scratch;
	struct krpc m;

	assert(data.n > 0 && data.p[0] == 'd' && data.p[data.n - 1] == 'e');
	assert(krpc_decode(data, &scratch, &m) == ERR_OK);
	assert(!m.fault);
	assert(data.n <= 1024 || m.v.p);
	assert(bencode_get(&scratch, 0, "v") == BENCODE_ABSENT);
}

/* The law of the overlay: lengths of the classes, and never a 'd' first. */
static void
check_sealed(struct span data)
{
	assert(overlay_is_size(data.n));
	assert(data.p[0] != 'd');
}

static void
send_one(struct dht_net *net, size_t i, const struct dht_send *s)
{
	struct dht_net_packet p = { net->now_ms + net->delay_ms, net->order++,
		net->at[i], s->to, s->data.n, { 0 } };

	if (net->overlay)
		check_sealed(s->data);
	else
		check_packet(s->data);
	net->n_sent++;
	net->bytes_sent += s->data.n;
	if (rng_below(&net->rng.rng, 1000) < net->loss)
		return;
	assert(s->data.n <= sizeof(p.data));
	memcpy(p.data, s->data.p, s->data.n);
	push(net, p);
}

void
dht_net_drain(struct dht_net *net)
{
	for (size_t i = 0; i < net->n; i++) {
		struct dht_send s;
		struct dht_event e;

		if (!net->node[i])
			continue;
		while (dht_next_event(net->node[i], &e))
			if (net->on_event)
				net->on_event(net->ctx, i, &e);
		while (dht_next_send(net->node[i], &s))
			send_one(net, i, &s);
	}
}

static void
drain_one(struct dht_net *net, size_t i)
{
	struct dht_send s;
	struct dht_event e;

	while (net->node[i] && dht_next_event(net->node[i], &e))
		if (net->on_event)
			net->on_event(net->ctx, i, &e);
	while (net->node[i] && dht_next_send(net->node[i], &s))
		send_one(net, i, &s);
}

static void
deliver(struct dht_net *net)
{
	struct dht_net_packet p = pop(net);

	if (net->on_packet)
		net->on_packet(net->ctx, &p);
	for (size_t i = 0; i < net->n; i++) {
		if (!net->node[i] || !endpoint_eq(&net->at[i], &p.to))
			continue;
		dht_receive(net->node[i], &p.from, span_of(p.data, p.n),
		    dht_net_now(net));
		drain_one(net, i);
	}
}

/* The node with the next deadline, and that. */
static size_t
next_node(const struct dht_net *net, uint64_t *ret_ms)
{
	size_t next = 0;

	*ret_ms = NEVER;
	for (size_t i = 0; i < net->n; i++) {
		uint64_t at_ms;

		if (!net->node[i])
			continue;
		at_ms = dht_deadline_ms(net->node[i]);
		if (at_ms < *ret_ms) {
			*ret_ms = at_ms;
			next = i;
		}
	}
	return next;
}

bool
dht_net_step(struct dht_net *net, uint64_t end_ms)
{
	uint64_t tick_ms, packet_ms;
	size_t i = next_node(net, &tick_ms);
	uint64_t at_ms;

	packet_ms = net->n_packets > 0 ? net->packet[0].at_ms : NEVER;
	at_ms = tick_ms < packet_ms ? tick_ms : packet_ms;
	if (at_ms > end_ms) {
		net->now_ms = end_ms;
		return false;
	}
	if (at_ms > net->now_ms)
		net->now_ms = at_ms;
	if (packet_ms <= tick_ms) {
		deliver(net);
		return true;
	}
	/* The contract of deadlines: a tick moves them, or nobody sleeps. */
	net->n_idle = net->now_ms == net->ticked_ms ? net->n_idle + 1 : 0;
	net->ticked_ms = net->now_ms;
	assert(net->n_idle < 100 * net->n);
	dht_tick(net->node[i], dht_net_now(net));
	drain_one(net, i);
	return true;
}

void
dht_net_run(struct dht_net *net, uint64_t for_ms)
{
	uint64_t end_ms = net->now_ms + for_ms;

	dht_net_drain(net);
	while (dht_net_step(net, end_ms))
		;
}

void
dht_net_inject(struct dht_net *net, const struct endpoint *from, size_t to,
    struct span data)
{
	dht_receive(net->node[to], from, data, dht_net_now(net));
}

void
dht_net_item(struct dht_net *net, struct span salt, struct span v, int64_t seq,
    struct dht_item *ret)
{
	uint8_t seed[32], sk[64];
	struct writer w = wr_init(ret->v, sizeof(ret->v));

	rng_fill(&net->rng.rng, seed, sizeof(seed));
	(void)crypto_sign_seed_keypair(ret->pk, sk, seed);
	ret->seq = seq;
	ret->salt_n = (uint8_t)salt.n;
	if (salt.n > 0)
		memcpy(ret->salt, salt.p, salt.n);
	be_str(&w, v.p, v.n);
	assert(!w.bad);
	ret->v_n = (uint16_t)w.n;
	dht_item_sign(ret, sk);
}
