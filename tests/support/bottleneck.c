/* See bottleneck.h. A queue is served in order, so that packets and their
 * acknowledgements each stand in a ring by time. */
#include "tests/support/bottleneck.h"

#include "proto/link/session.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { START_US = 1000000 };

void
bottleneck_init(struct bottleneck *b, uint64_t seed)
{
	memset(b, 0, sizeof(*b));
	test_rng_init(&b->rng, seed);
	if (recovery_init(&b->r, BOTTLENECK_FULL))
		abort();
	b->now_us = START_US;
	b->free_us = START_US;
	b->ack_us = NEVER;
	b->next_word_us = START_US;
}

void
bottleneck_clear(struct bottleneck *b)
{
	recovery_clear(&b->r);
}

static bool
chance(struct bottleneck *b, uint32_t of_1000)
{
	return of_1000 > 0 && rng_below(&b->rng.rng, 1000) < of_1000;
}

/* ---- sender ---- */

static void
look(struct bottleneck *b, uint64_t wait_us)
{
	b->queue_us_sum += (double)wait_us;
	b->queue_n++;
	if (wait_us > b->queue_us_max)
		b->queue_us_max = wait_us;
	if (b->r.in_flight > b->in_flight_max)
		b->in_flight_max = b->r.in_flight;
}

static void
send_one(struct bottleneck *b, uint32_t bytes, bool word)
{
	struct sent s = { .key = 1, .bytes = (uint16_t)bytes };
	uint64_t wait_us, rate = b->rate - b->rival;
	struct bottleneck_packet *p;

	if (b->free_us < b->now_us)
		b->free_us = b->now_us;
	wait_us = b->free_us - b->now_us;
	s.number = b->next++;
	s.at_ms = b->now_us / 1000;
	recovery_sent(&b->r, &s);
	b->sent += bytes;
	look(b, wait_us);
	if (wait_us * rate / 1000000 + bytes > b->buffer) {
		b->dropped += bytes;
		return;
	}
	b->free_us += (uint64_t)bytes * 1000000 / rate;
	if (chance(b, b->loss))
		return;
	assert(b->n < BOTTLENECK_PATH);
	p = &b->path[(b->head + b->n++) % BOTTLENECK_PATH];
	*p = (struct bottleneck_packet){ s.number, b->now_us,
		b->free_us + b->rtt_us / 2, bytes, word };
}

static bool
word_due(const struct bottleneck *b)
{
	return b->word_ms > 0 && b->now_us >= b->next_word_us;
}

static bool
bulk_due(const struct bottleneck *b)
{
	return b->now_us >= START_US + b->bulk_ms * 1000;
}

static void
pump(struct bottleneck *b)
{
	uint64_t now_ms = b->now_us / 1000;

	while (word_due(b) && recovery_may_send(&b->r, true, now_ms)) {
		send_one(b, BOTTLENECK_WORD, true);
		b->next_word_us += b->word_ms * 1000;
	}
	while (bulk_due(b) && recovery_may_send(&b->r, false, now_ms))
		send_one(b, BOTTLENECK_FULL, false);
	if (!bulk_due(b))
		recovery_idle(&b->r);
}

static void
settle(struct bottleneck *b)
{
	struct sent s;
	bool acked;

	while (recovery_result(&b->r, &s, &acked))
		continue;
}

static void
take_ack(struct bottleneck *b)
{
	struct bottleneck_ack *a = &b->acks[b->ack_head];

	b->ack_head = (b->ack_head + 1) % BOTTLENECK_PATH;
	b->ack_n--;
	recovery_on_ack(&b->r, 1, &a->ranges, a->delay_us, b->now_us / 1000);
	settle(b);
}

static void
timers(struct bottleneck *b)
{
	uint64_t now_ms = b->now_us / 1000;

	if (now_ms >= b->r.loss_ms) {
		recovery_on_loss_timer(&b->r, now_ms);
		settle(b);
	}
	if (now_ms >= recovery_pto_ms(&b->r)) {
		(void)recovery_on_pto(&b->r, now_ms);
		send_one(b, BOTTLENECK_WORD, false);
	}
}

/* ---- receiver ---- */

static void
send_ack(struct bottleneck *b)
{
	struct bottleneck_ack *a;
	uint64_t at_us = b->now_us + b->rtt_us / 2, last;

	b->unacked = 0;
	b->ack_us = NEVER;
	if (chance(b, b->loss))
		return;
	if (b->jitter_us > 0)
		at_us += rng_below(&b->rng.rng, (uint32_t)b->jitter_us);
	if (b->ack_n > 0) { /* in order */
		last = b->acks[(b->ack_head + b->ack_n - 1) % BOTTLENECK_PATH]
		           .at_us;
		at_us = at_us > last ? at_us : last;
	}
	assert(b->ack_n < BOTTLENECK_PATH);
	a = &b->acks[(b->ack_head + b->ack_n++) % BOTTLENECK_PATH];
	a->at_us = at_us;
	a->delay_us = b->now_us - b->largest_us;
	a->ranges = b->got;
}

static void
take_packet(struct bottleneck *b)
{
	struct bottleneck_packet *p = &b->path[b->head];
	bool gap = b->got.n > 0 && p->number != b->got.r[b->got.n - 1].hi;

	b->head = (b->head + 1) % BOTTLENECK_PATH;
	b->n--;
	b->delivered += p->bytes;
	if (p->word && b->n_word < BOTTLENECK_WORDS)
		b->word_us[b->n_word++] =
		    b->now_us - p->sent_us - b->rtt_us / 2;
	b->largest_us = b->now_us;
	if (ranges_add(&b->got, p->number, p->number + 1)) {
		ranges_drop_lowest(&b->got);
		if (ranges_add(&b->got, p->number, p->number + 1))
			abort();
	}
	if (b->ack_us == NEVER)
		b->ack_us = b->now_us + SESSION_ACK_DELAY_MS * 1000;
	if (gap || ++b->unacked >= SESSION_ACK_BULK)
		send_ack(b);
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
next_us(const struct bottleneck *b)
{
	uint64_t at = sooner(b->ack_us, in_us(b->r.loss_ms));

	if (b->n > 0)
		at = sooner(at, b->path[b->head].at_us);
	if (b->ack_n > 0)
		at = sooner(at, b->acks[b->ack_head].at_us);
	at = sooner(at, in_us(recovery_pto_ms(&b->r)));
	if (bulk_due(b))
		at = sooner(at, in_us(recovery_pace_ms(&b->r, false)));
	else
		at = sooner(at, START_US + b->bulk_ms * 1000);
	if (b->word_ms > 0 && !word_due(b))
		at = sooner(at, b->next_word_us);
	else if (b->word_ms > 0)
		at = sooner(at, in_us(recovery_pace_ms(&b->r, true)));
	return at > b->now_us ? at : b->now_us + 1;
}

void
bottleneck_run(struct bottleneck *b, uint64_t ms)
{
	uint64_t end_us = b->now_us + ms * 1000;

	pump(b);
	while (next_us(b) <= end_us) {
		b->now_us = next_us(b);
		while (b->n > 0 && b->path[b->head].at_us <= b->now_us)
			take_packet(b);
		if (b->ack_us <= b->now_us)
			send_ack(b);
		while (b->ack_n > 0 && b->acks[b->ack_head].at_us <= b->now_us)
			take_ack(b);
		timers(b);
		pump(b);
	}
	b->now_us = end_us;
}

void
bottleneck_mark(struct bottleneck *b)
{
	b->delivered = b->dropped = b->sent = 0;
	b->in_flight_max = b->queue_us_max = b->queue_n = 0;
	b->queue_us_sum = 0;
	b->n_word = 0;
}

static int
by_size(const void *x, const void *y)
{
	const uint64_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

uint64_t
bottleneck_word_us(struct bottleneck *b, unsigned percent)
{
	if (b->n_word == 0)
		return 0;
	qsort(b->word_us, b->n_word, sizeof(b->word_us[0]), by_size);
	return b->word_us[(b->n_word - 1) * percent / 100];
}
