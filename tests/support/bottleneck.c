/* See bottleneck.h. The queue is served in order, so that the packets of a
 * flow and their acknowledgements each stand in a ring by time. */
#include "tests/support/bottleneck.h"

#include "proto/link/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { START_US = 1000000 };

struct bottleneck_flow *
bottleneck_add(struct bottleneck *b)
{
	struct bottleneck_flow *f = calloc(1, sizeof(*f));

	if (!f || b->n_flows == BOTTLENECK_FLOWS)
		abort();
	if (recovery_init(&f->r, BOTTLENECK_FULL))
		abort();
	f->to_ms = NEVER / 2000000;
	f->ack_us = NEVER;
	f->next_word_us = START_US;
	b->flow[b->n_flows++] = f;
	return f;
}

void
bottleneck_init(struct bottleneck *b, uint64_t seed)
{
	memset(b, 0, sizeof(*b));
	test_rng_init(&b->rng, seed);
	b->now_us = START_US;
	b->free_us = START_US;
	(void)bottleneck_add(b);
}

void
bottleneck_clear(struct bottleneck *b)
{
	for (unsigned i = 0; i < b->n_flows; i++) {
		recovery_clear(&b->flow[i]->r);
		free(b->flow[i]);
	}
}

static bool
chance(struct bottleneck *b, uint32_t of_1000)
{
	return of_1000 > 0 && rng_below(&b->rng.rng, 1000) < of_1000;
}

/* ---- sender ---- */

static void
look(struct bottleneck *b, struct bottleneck_flow *f, uint64_t wait_us)
{
	b->queue_us_sum += (double)wait_us;
	b->queue_n++;
	if (wait_us > b->queue_us_max)
		b->queue_us_max = wait_us;
	if (f->r.in_flight > f->in_flight_max)
		f->in_flight_max = f->r.in_flight;
}

static void
send_one(
    struct bottleneck *b, struct bottleneck_flow *f, uint32_t bytes, bool word)
{
	struct sent s = { .key = 1, .bytes = (uint16_t)bytes };
	uint64_t wait_us, rate = b->rate - b->rival;
	struct bottleneck_packet *p;

	if (b->free_us < b->now_us)
		b->free_us = b->now_us;
	wait_us = b->free_us - b->now_us;
	s.number = f->next++;
	s.at_ms = b->now_us / 1000;
	s.bulk.hi = !word;
	recovery_sent(&f->r, &s);
	f->sent += bytes;
	look(b, f, wait_us);
	if (wait_us * rate / 1000000 + bytes > b->buffer) {
		f->dropped += bytes;
		return;
	}
	b->free_us += (uint64_t)bytes * 1000000 / rate;
	if (chance(b, b->loss))
		return;
	assert(f->n < BOTTLENECK_PATH);
	p = &f->path[(f->head + f->n++) % BOTTLENECK_PATH];
	*p = (struct bottleneck_packet){ s.number, b->now_us,
		b->free_us + b->rtt_us / 2, bytes, word };
}

static bool
word_due(const struct bottleneck *b, const struct bottleneck_flow *f)
{
	return f->word_ms > 0 && b->now_us >= f->next_word_us;
}

/* When bulk begins or ends next, in us; *works: whether it does now. */
static uint64_t
shift_us(
    const struct bottleneck *b, const struct bottleneck_flow *f, bool *works)
{
	uint64_t ms = (b->now_us - START_US) / 1000, at = f->to_ms, in, all;

	*works = ms >= f->from_ms && ms < f->to_ms;
	if (ms < f->from_ms)
		at = f->from_ms;
	if (*works && f->work_ms > 0) {
		all = f->work_ms + f->rest_ms;
		in = (ms - f->from_ms) % all;
		*works = in < f->work_ms;
		at = ms - in + (*works ? f->work_ms : all);
	}
	return START_US + at * 1000;
}

static bool
bulk_due(const struct bottleneck *b, const struct bottleneck_flow *f)
{
	bool works;

	(void)shift_us(b, f, &works);
	return works;
}

static bool
may_send(const struct bottleneck *b, struct bottleneck_flow *f, bool word)
{
	if (!f->cubic)
		return recovery_may_send(&f->r, word, b->now_us / 1000);
	return recovery_has_room(&f->r) &&
	       (double)(f->r.in_flight + BOTTLENECK_FULL) <= f->cubic->window;
}

static void
pump(struct bottleneck *b, struct bottleneck_flow *f)
{
	while (word_due(b, f) && may_send(b, f, true)) {
		send_one(b, f, BOTTLENECK_WORD, true);
		f->next_word_us += f->word_ms * 1000;
	}
	while (bulk_due(b, f) && may_send(b, f, false))
		send_one(b, f, BOTTLENECK_FULL, false);
	if (!bulk_due(b, f))
		recovery_idle(&f->r);
}

static void
settle(struct bottleneck *b, struct bottleneck_flow *f)
{
	uint64_t now_ms = b->now_us / 1000;
	struct sent s;
	bool acked;

	while (recovery_result(&f->r, &s, &acked)) {
		if (f->cubic && acked)
			cubic_acked(
			    f->cubic, s.bytes, f->r.smoothed_us, now_ms);
		else if (f->cubic)
			cubic_lost(f->cubic, s.at_ms, now_ms);
	}
}

static void
take_ack(struct bottleneck *b, struct bottleneck_flow *f)
{
	struct bottleneck_ack *a = &f->acks[f->ack_head];

	f->ack_head = (f->ack_head + 1) % BOTTLENECK_ACKS;
	f->ack_n--;
	recovery_on_ack(&f->r, 1, &a->ranges, a->delay_us, b->now_us / 1000);
	settle(b, f);
}

static void
timers(struct bottleneck *b, struct bottleneck_flow *f)
{
	uint64_t now_ms = b->now_us / 1000;

	if (now_ms >= f->r.loss_ms) {
		recovery_on_loss_timer(&f->r, now_ms);
		settle(b, f);
	}
	if (now_ms >= recovery_pto_ms(&f->r)) {
		(void)recovery_on_pto(&f->r, now_ms);
		if (recovery_has_room(&f->r))
			send_one(b, f, BOTTLENECK_WORD, false);
	}
}

/* ---- receiver ---- */

static void
send_ack(struct bottleneck *b, struct bottleneck_flow *f)
{
	struct bottleneck_ack *a;
	uint64_t at_us = b->now_us + b->rtt_us / 2, last;

	f->unacked = 0;
	f->ack_us = NEVER;
	if (chance(b, b->loss))
		return;
	if (b->jitter_us > 0)
		at_us += rng_below(&b->rng.rng, (uint32_t)b->jitter_us);
	if (f->ack_n > 0) { /* in order */
		last = f->acks[(f->ack_head + f->ack_n - 1) % BOTTLENECK_ACKS]
		           .at_us;
		at_us = at_us > last ? at_us : last;
	}
	assert(f->ack_n < BOTTLENECK_ACKS);
	a = &f->acks[(f->ack_head + f->ack_n++) % BOTTLENECK_ACKS];
	a->at_us = at_us;
	a->delay_us = b->now_us - f->largest_us;
	a->ranges = f->got;
}

static void
take_packet(struct bottleneck *b, struct bottleneck_flow *f)
{
	struct bottleneck_packet *p = &f->path[f->head];
	bool gap = f->got.n > 0 && p->number != f->got.r[f->got.n - 1].hi;

	f->head = (f->head + 1) % BOTTLENECK_PATH;
	f->n--;
	f->delivered += p->bytes;
	if (p->word && f->n_word < BOTTLENECK_WORDS)
		f->word_us[f->n_word++] =
		    b->now_us - p->sent_us - b->rtt_us / 2;
	f->largest_us = b->now_us;
	if (ranges_add(&f->got, p->number, p->number + 1)) {
		ranges_drop_lowest(&f->got);
		if (ranges_add(&f->got, p->number, p->number + 1))
			abort();
	}
	if (f->ack_us == NEVER)
		f->ack_us = b->now_us + SESSION_ACK_DELAY_MS * 1000;
	if (gap || ++f->unacked >= SESSION_ACK_BULK)
		send_ack(b, f);
}

/* ---- time ---- */

static uint64_t
sooner(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
in_us(uint64_t ms)
{
	return ms == NEVER ? NEVER : ms * 1000;
}

static uint64_t
flow_next_us(const struct bottleneck *b, const struct bottleneck_flow *f)
{
	uint64_t at = sooner(f->ack_us, in_us(f->r.loss_ms));
	bool works;

	at = sooner(at, shift_us(b, f, &works));
	if (f->n > 0)
		at = sooner(at, f->path[f->head].at_us);
	if (f->ack_n > 0)
		at = sooner(at, f->acks[f->ack_head].at_us);
	at = sooner(at, in_us(recovery_pto_ms(&f->r)));
	if (f->cubic)
		return at; /* acknowledgements are its clock */
	if (works)
		at = sooner(at, in_us(recovery_pace_ms(&f->r, false)));
	if (f->word_ms > 0 && !word_due(b, f))
		at = sooner(at, f->next_word_us);
	else if (f->word_ms > 0)
		at = sooner(at, in_us(recovery_pace_ms(&f->r, true)));
	return at;
}

static uint64_t
next_us(const struct bottleneck *b)
{
	uint64_t at = NEVER;

	for (unsigned i = 0; i < b->n_flows; i++)
		at = sooner(at, flow_next_us(b, b->flow[i]));
	return at > b->now_us ? at : b->now_us + 1;
}

static void
step(struct bottleneck *b, struct bottleneck_flow *f)
{
	while (f->n > 0 && f->path[f->head].at_us <= b->now_us)
		take_packet(b, f);
	if (f->ack_us <= b->now_us)
		send_ack(b, f);
	while (f->ack_n > 0 && f->acks[f->ack_head].at_us <= b->now_us)
		take_ack(b, f);
	timers(b, f);
	pump(b, f);
}

void
bottleneck_run(struct bottleneck *b, uint64_t ms)
{
	uint64_t at_us, end_us = b->now_us + ms * 1000;

	for (unsigned i = 0; i < b->n_flows; i++)
		pump(b, b->flow[i]);
	while ((at_us = next_us(b)) <= end_us) {
		b->now_us = at_us;
		for (unsigned i = 0; i < b->n_flows; i++)
			step(b, b->flow[i]);
	}
	b->now_us = end_us;
}

void
bottleneck_mark(struct bottleneck *b)
{
	b->queue_us_max = b->queue_n = 0;
	b->queue_us_sum = 0;
	for (unsigned i = 0; i < b->n_flows; i++) {
		struct bottleneck_flow *f = b->flow[i];

		f->delivered = f->dropped = f->sent = 0;
		f->in_flight_max = 0;
		f->n_word = 0;
	}
}

static int
by_size(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

uint64_t
bottleneck_word_us(struct bottleneck_flow *f, unsigned percent)
{
	if (f->n_word == 0)
		return 0;
	qsort(f->word_us, f->n_word, sizeof(f->word_us[0]), by_size);
	return f->word_us[(f->n_word - 1) * percent / 100];
}
