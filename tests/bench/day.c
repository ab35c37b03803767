/*
 * What a participant costs that waits for contacts who never come: one whole
 * struct node among DHT nodes, days of virtual time in a minute.
 *
 *   day NODES CONTACTS HOURS LOSS_PERMILLE SEED
 *
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
	PORT = 6881,
};

enum flow { OWN = 0, ANSWERS, ASKED, SERVED };
#define FLOWS 4

struct count {
	uint64_t packets, bytes;
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
	struct node *node;            /* owned */
	struct dht *dht[CROWD_MAX];   /* owned, from 1 */
	uint64_t alarm_ms[CROWD_MAX]; /* earliest in the agenda, or NEVER */
	uint8_t alarm[CROWD_MAX];     /* its address stands for the node */
	bool counting;
	struct count flow[FLOWS];
	uint64_t method[KRPC_METHODS]; /* queries of our own */
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

/* Each in a /24 of its own. */
static struct endpoint
address(uint32_t i)
{
	uint8_t v4[4] = { (uint8_t)(60 + i / 250), (uint8_t)(i % 250), 5, 1 };

	return endpoint_v4(v4, PORT);
}

static uint32_t
number(const struct endpoint *at)
{
	const uint8_t *v4 = endpoint_addr(at).p;

	return ((uint32_t)v4[0] - 60) * 250 + v4[1];
}

static void
count(struct world *w, struct span data, bool is_out)
{
	static struct bencode scratch;
	struct krpc m = { 0 };
	bool is_krpc = krpc_decode(data, &scratch, &m) == ERR_OK;
	bool is_answer = is_krpc && m.kind != KRPC_QUERY;
	enum flow flow = is_out ? OWN : ANSWERS;

	if (!w->counting)
		return;
	if (is_out && is_answer)
		flow = SERVED;
	if (!is_out && is_krpc && !is_answer)
		flow = ASKED;
	w->flow[flow].packets++;
	w->flow[flow].bytes += data.n;
	if (flow == OWN)
		w->method[m.method]++;
}

static void
post(
    struct world *w, uint32_t from, const struct endpoint *to, struct span data)
{
	uint32_t way_ms =
	    WAY_MIN_MS + rng_below(&w->rng.rng, WAY_MAX_MS - WAY_MIN_MS);
	struct packet *p;

	if (from == 0)
		count(w, data, true);
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

/* Carries out what a node wants and plans its next tick. */
static void
settle(struct world *w, uint32_t i)
{
	struct dht_send s;
	struct dht_event event;
	struct effect e;
	uint64_t at_ms;

	if (i == 0) {
		while (node_next_effect(w->node, &e))
			if (e.kind == EFFECT_SEND)
				post(w, 0, &e.to, e.data);
		at_ms = node_deadline_ms(w->node);
	} else {
		while (dht_next_event(w->dht[i], &event))
			;
		while (dht_next_send(w->dht[i], &s))
			post(w, i, &s.to, s.data);
		at_ms = dht_deadline_ms(w->dht[i]);
	}
	if (at_ms == NEVER || at_ms >= w->alarm_ms[i])
		return;
	w->alarm_ms[i] = at_ms > w->now_ms ? at_ms : w->now_ms;
	queue_push(&w->agenda, w->alarm_ms[i], &w->alarm[i]);
}

static void
join(struct world *w, uint32_t i)
{
	struct dht_config cfg = { .family = FAMILY_V4, .rng = &w->rng.rng };
	struct endpoint first = address(1);

	w->dht[i] = dht_new(&cfg, now(w));
	assert(w->dht[i]);
	w->alarm_ms[i] = NEVER;
	if (i != 1)
		dht_bootstrap(w->dht[i], &first, now(w));
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
	settle(w, i);
}

static void
deliver(struct world *w, const struct packet *p)
{
	struct span data = span_of(p->b, p->n);
	struct endpoint from = address(p->from);

	if (p->to == 0) {
		count(w, data, false);
		node_receive(w->node, &from, data, now(w));
	} else {
		dht_receive(w->dht[p->to], &from, data, now(w));
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
	struct node_config cfg = { .rng = &w->rng.rng, .family = { true } };
	struct endpoint at = address(0), first = address(1);
	struct id_seed seed;

	w->node = node_new(&cfg, now(w));
	assert(w->node);
	rng_fill(&w->rng.rng, &seed, sizeof(seed));
	if (node_set_identity(w->node, &seed, span_of(NULL, 0), now(w)))
		abort();
	node_set_local(w->node, &at, 1, now(w));
	node_bootstrap(w->node, &first, now(w));
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
	       "\"ping_min\":%.2f,",
	    (double)w->method[KRPC_GET] / (60 * hours),
	    (double)w->method[KRPC_PUT] / (60 * hours),
	    (double)w->method[KRPC_FIND_NODE] / (60 * hours),
	    (double)w->method[KRPC_PING] / (60 * hours));
	printf("\"cpu_percent\":%.4f}\n", 100 * w->cpu_s / (hours * 3600));
}

int
main(int argc, char **argv)
{
	static struct world w;
	uint64_t hours;

	if (argc != 6 || sodium_init() < 0) {
		(void)fprintf(stderr,
		    "usage: day NODES CONTACTS HOURS LOSS_PERMILLE SEED\n");
		return 2;
	}
	w.n = (uint32_t)strtoul(argv[1], NULL, 10) + 1;
	hours = strtoull(argv[3], NULL, 10);
	w.loss = (uint32_t)strtoul(argv[4], NULL, 10);
	test_rng_init(&w.rng, strtoull(argv[5], NULL, 10));
	if (w.n < 2 || w.n > CROWD_MAX || hours == 0)
		return 2;
	for (uint32_t i = 1; i < w.n; i++) {
		join(&w, i);
		run(&w, w.now_ms + JOIN_MS);
	}
	wake(&w, (uint32_t)strtoul(argv[2], NULL, 10));
	run(&w, w.now_ms + WARM_MS);
	w.counting = true;
	run(&w, w.now_ms + hours * 3600000);
	print(&w, (double)hours);
	for (uint32_t i = 1; i < w.n; i++)
		dht_free(w.dht[i]);
	node_free(w.node);
	while (w.agenda.n > 0) {
		uint8_t *p = queue_pop(&w.agenda);

		if (p < w.alarm || p >= w.alarm + CROWD_MAX)
			free(p);
	}
	queue_clear(&w.agenda);
	return 0;
}
