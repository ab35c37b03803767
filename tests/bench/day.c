/*
 * What a participant costs that waits for contacts who never come: one whole
 * struct node among DHT nodes, days of virtual time in a minute.
 *
 *   day NODES CONTACTS HOURS LOSS_PERMILLE SEED [OVERLAY]
 *
 * All nodes are on Mainline; so many of them in the overlay too, and the
 * participant with them (policy mixed, else mainline). He is at home: his
 * router lets in only who was sent something in the last half minute, so that
 * in the overlay he keeps two introducers.
 * One warm-up hour, then HOURS are counted. Prints a JSON object: datagrams a
 * minute and bytes a day of UDP payload. "own" is what the node sends that
 * nobody asked for, "answers" what comes back for that; "asked" and "served"
 * are other people's queries and our answers to them.
 */
#include "proto/dht/dht.h"
#include "proto/dht/krpc.h"
#include "proto/node.h"
#include "tests/sim/queue.h"
#include "tests/support/rng.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	CROWD_MAX = 2000,
	JOIN_MS = 100,            /* between two starts */
	WARM_MS = 60 * 60 * 1000, /* not counted */
	WAY_MIN_MS = 15,
	WAY_MAX_MS = 80, /* one way */
	ROUTER_MS = 30 * 1000,
	PORT = 6881,
	TAGS = 4096, /* of the last sealed queries, each way */
	TAG_SIZE = 8,
};

enum flow { OWN = 0, ANSWERS, ASKED, SERVED };
#define FLOWS 4

struct count {
	uint64_t packets, bytes;
};

/* Tags of sealed queries; an answer has the tag of its query. */
struct tags {
	uint8_t tag[TAGS][TAG_SIZE];
	unsigned at;
};

struct packet {
	uint32_t from, to;
	size_t n;
	uint8_t b[1500];
};

/* Number 0 is the participant. */
struct world {
	uint64_t now_ms;
	struct test_rng rng;
	struct queue agenda; /* of struct packet, owned, and of alarms */
	uint32_t n, loss;
	uint32_t n_sealed;             /* nodes in the overlay, from 1 */
	bool is_mixed;                 /* policy of the participant */
	uint64_t let_in_ms[CROWD_MAX]; /* until then, by his router */
	struct endpoint at[CROWD_MAX];
	struct node *node;             /* owned */
	struct dht *dht[CROWD_MAX];    /* owned, from 1 */
	struct dht *sealed[CROWD_MAX]; /* owned, from 1; or NULL */
	uint64_t alarm_ms[CROWD_MAX];  /* earliest in the agenda, or NEVER */
	uint8_t alarm[CROWD_MAX];      /* its address stands for the node */
	bool counting;
	struct count flow[FLOWS];
	uint64_t method[KRPC_METHODS]; /* queries of our own */
	uint64_t n_own_sealed;
	struct tags tags[2]; /* of queries that came, that went */
	double cpu_s;
};

static struct now
now(const struct world *w)
{
	return (struct now){ w->now_ms, UINT64_C(1800000000000) + w->now_ms };
}

static double
cpu_s(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Anywhere, as ids follow from addresses; the port tells whose it is. */
static void
settle_down(struct world *w, uint32_t i)
{
	uint8_t v4[4];

	do {
		rng_fill(&w->rng.rng, v4, sizeof(v4));
		w->at[i] = endpoint_v4(v4, (uint16_t)(PORT + i));
	} while (endpoint_scope(&w->at[i]) != SCOPE_GLOBAL);
}

static uint32_t
number(const struct endpoint *at)
{
	return (uint32_t)at->port - PORT;
}

static bool
is_plain(struct span data)
{
	return data.n > 1 && data.p[0] == 'd' && data.p[data.n - 1] == 'e';
}

/* Is it the answer to a query the other way? If not it is a query itself. */
static bool
is_answer(struct world *w, struct span data, bool is_out, struct krpc *m)
{
	static struct bencode scratch;
	const struct tags *asked = &w->tags[!is_out];
	struct tags *t = &w->tags[is_out];

	if (is_plain(data))
		return krpc_decode(data, &scratch, m) == ERR_OK &&
		       m->kind != KRPC_QUERY;
	for (unsigned i = 0; i < TAGS; i++)
		if (memcmp(asked->tag[i], data.p, TAG_SIZE) == 0)
			return true;
	memcpy(t->tag[t->at++ % TAGS], data.p, TAG_SIZE);
	return false;
}

static void
count(struct world *w, struct span data, bool is_out)
{
	struct krpc m = { .kind = KRPC_QUERY };
	bool answer = is_answer(w, data, is_out, &m);
	enum flow flow = is_out ? OWN : ANSWERS;

	if (!w->counting)
		return;
	if (is_out && answer)
		flow = SERVED;
	if (!is_out && !answer)
		flow = ASKED;
	w->flow[flow].packets++;
	w->flow[flow].bytes += data.n;
	if (flow == OWN && is_plain(data))
		w->method[m.method]++;
	else if (flow == OWN)
		w->n_own_sealed++;
}

static void
post(
    struct world *w, uint32_t from, const struct endpoint *to, struct span data)
{
	uint32_t way_ms =
	    WAY_MIN_MS + rng_below(&w->rng.rng, WAY_MAX_MS - WAY_MIN_MS);
	struct packet *p;

	if (from == 0) {
		count(w, data, true);
		w->let_in_ms[number(to) % CROWD_MAX] = w->now_ms + ROUTER_MS;
	}
	if (number(to) >= w->n || rng_below(&w->rng.rng, 1000) < w->loss)
		return;
	p = malloc(sizeof(*p));
	assert(p && data.n <= sizeof(p->b));
	p->from = from;
	p->to = number(to);
	p->n = data.n;
	memcpy(p->b, data.p, data.n);
	queue_push(&w->agenda, w->now_ms + way_ms, p);
}

/* Sends what one of the crowd wants to; when it wants to act again. */
static uint64_t
drain(struct world *w, uint32_t i, struct dht *d)
{
	struct dht_event event;
	struct dht_send s;

	if (d == NULL)
		return NEVER;
	while (dht_next_event(d, &event))
		;
	while (dht_next_send(d, &s))
		post(w, i, &s.to, s.data);
	return dht_deadline_ms(d);
}

/* Carries out what a node wants and plans its next tick. */
static void
settle(struct world *w, uint32_t i)
{
	struct effect e;
	uint64_t at_ms;

	if (i == 0) {
		while (node_next_effect(w->node, &e))
			if (e.kind == EFFECT_SEND)
				post(w, 0, &e.to, e.data);
		at_ms = node_deadline_ms(w->node);
	} else {
		uint64_t sealed_ms = drain(w, i, w->sealed[i]);

		at_ms = drain(w, i, w->dht[i]);
		at_ms = sealed_ms < at_ms ? sealed_ms : at_ms;
	}
	if (at_ms == NEVER || at_ms >= w->alarm_ms[i])
		return;
	w->alarm_ms[i] = at_ms > w->now_ms ? at_ms : w->now_ms;
	queue_push(&w->agenda, w->alarm_ms[i], &w->alarm[i]);
}

static struct node_key
first_key(const struct world *w)
{
	struct node_key n;

	dht_key(w->sealed[1], &n);
	return n;
}

static void
join_overlay(const struct world *w, struct dht *d)
{
	struct node_key n = first_key(w);

	dht_bootstrap_key(d, &w->at[1], &n, now(w));
}

static void
join(struct world *w, uint32_t i)
{
	struct dht_config cfg = { .family = FAMILY_V4, .rng = &w->rng.rng };

	w->dht[i] = dht_new(&cfg, now(w));
	assert(w->dht[i]);
	w->alarm_ms[i] = NEVER;
	if (i != 1)
		dht_bootstrap(w->dht[i], &w->at[1], now(w));
	if (i <= w->n_sealed) {
		cfg.carrier = DHT_OVERLAY;
		w->sealed[i] = dht_new(&cfg, now(w));
		assert(w->sealed[i]);
		if (dht_introduce(w->sealed[i], DHT_INTRODUCES_ALL, now(w)))
			abort();
		if (i != 1)
			join_overlay(w, w->sealed[i]);
	}
	settle(w, i);
}

static void
tick(struct world *w, uint32_t i)
{
	if (w->alarm_ms[i] != w->now_ms)
		return; /* there was an earlier one */
	w->alarm_ms[i] = NEVER;
	if (i == 0)
		node_tick(w->node, now(w));
	else
		dht_tick(w->dht[i], now(w));
	if (w->sealed[i])
		dht_tick(w->sealed[i], now(w));
	settle(w, i);
}

static void
deliver(struct world *w, const struct packet *p)
{
	struct span data = span_of(p->b, p->n);
	struct endpoint from = w->at[p->from];

	if (p->to == 0 && w->now_ms >= w->let_in_ms[p->from])
		return;
	if (p->to == 0) {
		count(w, data, false);
		node_receive(w->node, &from, data, now(w));
	} else if (is_plain(data)) {
		dht_receive(w->dht[p->to], &from, data, now(w));
	} else if (w->sealed[p->to]) {
		dht_receive(w->sealed[p->to], &from, data, now(w));
	}
	settle(w, p->to);
}

static void
run(struct world *w, uint64_t until_ms)
{
	while (queue_next_ms(&w->agenda) <= until_ms) {
		uint64_t at_ms = queue_next_ms(&w->agenda);
		uint8_t *p = queue_pop(&w->agenda);
		uint32_t who = 0;
		double begin = 0;

		w->now_ms = at_ms;
		if (p >= w->alarm && p < w->alarm + CROWD_MAX) {
			who = (uint32_t)(p - w->alarm);
			begin = who == 0 ? cpu_s() : 0;
			tick(w, who);
		} else {
			who = ((const struct packet *)(void *)p)->to;
			begin = who == 0 ? cpu_s() : 0;
			deliver(w, (const struct packet *)(void *)p);
			free(p);
		}
		if (who == 0 && w->counting)
			w->cpu_s += cpu_s() - begin;
	}
	w->now_ms = until_ms;
}

/* A new identity, and contacts who exist nowhere. */
static void
wake(struct world *w, uint32_t n_contacts)
{
	struct node_config cfg = { .rng = &w->rng.rng,
		.family = { true },
		.policy = w->is_mixed ? NODE_MIXED : NODE_MAINLINE };
	struct id_seed seed;

	w->node = node_new(&cfg, now(w));
	assert(w->node);
	rng_fill(&w->rng.rng, &seed, sizeof(seed));
	if (node_set_identity(w->node, &seed, span_of(NULL, 0), now(w)))
		abort();
	node_set_local(w->node, &w->at[0], 1, now(w));
	if (w->n_sealed > 0) {
		struct node_key key = first_key(w);

		node_bootstrap_key(w->node, &w->at[1], &key, now(w));
	} else {
		node_bootstrap(w->node, &w->at[1], now(w));
	}
	for (uint32_t i = 0; i < n_contacts; i++) {
		struct contact_id id;
		struct id_pk pk;
		uint8_t sk[64];

		rng_fill(&w->rng.rng, &seed, sizeof(seed));
		(void)crypto_sign_seed_keypair(pk.b, sk, seed.b);
		if (node_contact_add(w->node, &pk, &id, now(w)))
			abort();
	}
	w->alarm_ms[0] = NEVER;
	settle(w, 0);
}

static void
print(const struct world *w, double hours)
{
	static const char *const names[FLOWS] = { "own", "answers", "asked",
		"served" };

	printf("{");
	for (int i = 0; i < FLOWS; i++)
		printf("\"%s_packets_min\":%.2f,\"%s_mb_day\":%.3f,", names[i],
		    (double)w->flow[i].packets / (60 * hours), names[i],
		    (double)w->flow[i].bytes * 24 / hours / 1e6);
	printf("\"get_min\":%.2f,\"put_min\":%.2f,\"find_min\":%.2f,"
	       "\"ping_min\":%.2f,\"sealed_min\":%.2f,",
	    (double)w->method[KRPC_GET] / (60 * hours),
	    (double)w->method[KRPC_PUT] / (60 * hours),
	    (double)w->method[KRPC_FIND_NODE] / (60 * hours),
	    (double)w->method[KRPC_PING] / (60 * hours),
	    (double)w->n_own_sealed / (60 * hours));
	printf("\"cpu_percent\":%.4f}\n", 100 * w->cpu_s / (hours * 3600));
}

int
main(int argc, char **argv)
{
	static struct world w;
	uint64_t hours;

	if ((argc != 6 && argc != 7) || sodium_init() < 0) {
		(void)fprintf(stderr, "usage: day NODES CONTACTS HOURS "
		                      "LOSS_PERMILLE SEED [OVERLAY]\n");
		return 2;
	}
	w.n = (uint32_t)strtoul(argv[1], NULL, 10) + 1;
	hours = strtoull(argv[3], NULL, 10);
	w.loss = (uint32_t)strtoul(argv[4], NULL, 10);
	test_rng_init(&w.rng, strtoull(argv[5], NULL, 10));
	w.is_mixed = argc == 7;
	w.n_sealed = w.is_mixed ? (uint32_t)strtoul(argv[6], NULL, 10) : 0;
	if (w.n < 2 || w.n > CROWD_MAX || w.n_sealed >= w.n || hours == 0)
		return 2;
	for (uint32_t i = 0; i < w.n; i++)
		settle_down(&w, i);
	for (uint32_t i = 1; i < w.n; i++) {
		join(&w, i);
		run(&w, w.now_ms + JOIN_MS);
	}
	wake(&w, (uint32_t)strtoul(argv[2], NULL, 10));
	run(&w, w.now_ms + WARM_MS);
	w.counting = true;
	run(&w, w.now_ms + hours * 3600000);
	print(&w, (double)hours);
	for (uint32_t i = 1; i < w.n; i++) {
		dht_free(w.dht[i]);
		dht_free(w.sealed[i]);
	}
	node_free(w.node);
	while (w.agenda.n > 0) {
		uint8_t *p = queue_pop(&w.agenda);

		if (p < w.alarm || p >= w.alarm + CROWD_MAX)
			free(p);
	}
	queue_clear(&w.agenda);
	return 0;
}
