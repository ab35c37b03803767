/* One update for each batch of acknowledgements: sample, model, phase,
 * window, in this order. */
#include "proto/link/bbr.h"

#include <assert.h>

enum {
	STARTUP_PACE = 277,
	STARTUP_WINDOW = 200,
	DRAIN_PACE = 50,
	DOWN_PACE = 75,
	UP_PACE = 125,
	MARGIN = 99,        /* of the rate, so that queues shrink */
	KEPT = 70,          /* of a bound, when it was too much */
	HEADROOM = 85,      /* of what lost too much, for others */
	GROWS = 125,        /* Startup goes on */
	UP_GROWS = 105,     /* a probe goes on */
	STARTUP_ROUNDS = 3, /* without growth */
	DRAIN_ROUNDS = 4,   /* after which it is no queue */
	UP_ROUNDS = 2,      /* before a probe can tell */
	LUMP_ROUNDS = 5,    /* that one half of the filter remembers */
	INITIAL_RTT_MS = 1, /* nothing known: do not pace */
};

/* Beyond these the arithmetic is not wanted. */
#define RATE_MAX   UINT64_C(10000000000)
#define RTT_MAX_US UINT64_C(60000000)
enum { TIME_MAX_MS = 60000 };

static uint64_t
least(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t
most(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void
check(const struct bbr *b)
{
	assert(b->datagram > 0 && b->window <= BBR_WINDOW_MAX);
	assert(b->window >= (uint64_t)BBR_WINDOW_MIN * b->datagram);
	assert(b->rate[0] <= RATE_MAX && b->rate[1] <= RATE_MAX);
	assert(b->rtt_us <= RTT_MAX_US);
	assert(b->loss_own <= BBR_LOSS_OWN_MAX);
	assert(b->full || b->state == BBR_STARTUP || b->state == BBR_RTT);
}

void
bbr_init(struct bbr *b, uint32_t datagram)
{
	assert(datagram >= 1024);
	*b = (struct bbr){
		.datagram = datagram,
		.window = (uint64_t)BBR_WINDOW_INITIAL * datagram,
		.rate_low = UINT64_MAX,
		.high = UINT64_MAX,
		.round_rtt_us = UINT64_MAX,
	};
}

void
bbr_restart(struct bbr *b)
{
	struct bbr old = *b;

	bbr_init(b, old.datagram);
	b->delivered = old.delivered;
	b->delivered_ms = old.delivered_ms;
	b->first_ms = old.first_ms;
	b->round_end = old.delivered;
}

void
bbr_set_datagram(struct bbr *b, uint32_t datagram)
{
	assert(datagram >= 1024);
	b->datagram = datagram;
	b->window = most(b->window, (uint64_t)BBR_WINDOW_MIN * b->datagram);
}

void
bbr_guess(struct bbr *b, uint64_t rtt_us, uint64_t now_ms)
{
	if (b->rtt_us > 0 || b->delivered > 0)
		return;
	b->rtt_us = least(rtt_us, RTT_MAX_US);
	b->rtt_ms = now_ms;
}

/* ---- model ---- */

static uint64_t
best_rate(const struct bbr *b)
{
	return most(b->rate[0], b->rate[1]);
}

static uint64_t
model_rate(const struct bbr *b)
{
	return least(best_rate(b), b->rate_low);
}

/* Bytes that the path holds without a queue. */
static uint64_t
product(const struct bbr *b, uint64_t rate)
{
	if (rate == 0 || b->rtt_us == 0)
		return (uint64_t)BBR_WINDOW_INITIAL * b->datagram;
	return rate * b->rtt_us / 1000000;
}

static uint64_t
in_time(uint64_t rate, uint64_t ms)
{
	return rate * least(ms, TIME_MAX_MS) / 1000;
}

static uint64_t
percent(uint64_t x, unsigned gain)
{
	return x * gain / 100;
}

/* What a probe may add: a quarter of the path, but little of a queue. */
static uint64_t
probe_more(const struct bbr *b, uint64_t rate)
{
	return most(least(product(b, rate) / 4, in_time(rate, BBR_PROBE_MS)),
	    (uint64_t)BBR_WINDOW_MIN * b->datagram);
}

uint64_t
bbr_rate(const struct bbr *b)
{
	uint64_t rate = model_rate(b);
	unsigned gain = 100;

	switch (b->state) {
	case BBR_STARTUP:
		gain = STARTUP_PACE;
		break;
	case BBR_DRAIN:
		gain = DRAIN_PACE;
		break;
	case BBR_DOWN:
		gain = DOWN_PACE;
		break;
	case BBR_UP:
		gain = UP_PACE;
		break;
	case BBR_CRUISE:
	case BBR_REFILL:
	case BBR_RTT:
		break;
	}
	if (!b->full) { /* the window leads, not a rate of few packets */
		uint64_t us = b->rtt_us ? b->rtt_us : INITIAL_RTT_MS * 1000;

		rate = most(rate, b->window * 1000000 / us);
	}
	return most(percent(percent(rate, gain), MARGIN), b->datagram);
}

/* ---- packets ---- */

void
bbr_sent(struct bbr *b, uint64_t in_flight, uint32_t bytes, uint64_t now_ms,
    struct bbr_stamp *ret)
{
	if (in_flight == 0) {
		b->first_ms = now_ms;
		b->delivered_ms = now_ms;
	}
	*ret = (struct bbr_stamp){
		.delivered = b->delivered,
		.delivered_ms = b->delivered_ms,
		.first_ms = b->first_ms,
		.in_flight = (uint32_t)least(in_flight + bytes, UINT32_MAX),
		.app_limited = b->app_limited_until > 0,
	};
	assert(b->delivered_ms <= now_ms && b->first_ms <= now_ms);
}

void
bbr_app_limited(struct bbr *b, uint64_t in_flight)
{
	b->app_limited_until = most(b->delivered + in_flight, 1);
}

void
bbr_acked(struct bbr *b, const struct bbr_stamp *s, uint64_t sent_ms,
    uint32_t bytes, uint64_t now_ms)
{
	struct bbr_event *e = &b->event;

	assert(s->delivered <= b->delivered && sent_ms <= now_ms);
	b->delivered += bytes;
	b->delivered_ms = now_ms;
	e->acked += bytes;
	if (e->any && s->delivered < e->newest.delivered)
		return;
	e->any = true;
	e->newest = *s;
	e->newest_ms = sent_ms;
	b->first_ms = most(b->first_ms, sent_ms);
}

void
bbr_lost(struct bbr *b, const struct bbr_stamp *s, uint32_t bytes)
{
	b->event.lost += bytes;
	b->lost_in_flight = most(b->lost_in_flight, s->in_flight);
}

/* ---- measuring ---- */

/* The rate at which the newest packet's flight was delivered: the slower of
 * how it was sent and how it was acknowledged. */
static void
take_rate(struct bbr *b, uint64_t now_ms)
{
	const struct bbr_stamp *s = &b->event.newest;
	uint64_t sent = b->event.newest_ms - s->first_ms;
	uint64_t ms = most(most(sent, now_ms - s->delivered_ms), 1), rate;

	assert(b->event.newest_ms >= s->first_ms && now_ms >= s->delivered_ms);
	if ((ms + 1) * 1000 < b->rtt_us)
		return; /* acknowledgements came in a lump */
	rate = least((b->delivered - s->delivered) * 1000 / ms, RATE_MAX);
	b->round_rate = most(b->round_rate, rate);
	if (!s->app_limited || rate >= best_rate(b))
		b->rate[1] = most(b->rate[1], rate);
}

static bool
take_round(struct bbr *b)
{
	if (!b->event.any || b->event.newest.delivered < b->round_end)
		return false;
	b->round_end = b->delivered;
	return true;
}

/* How much more than the rate explains is acknowledged at once. */
static void
take_lump(struct bbr *b, bool round, uint64_t now_ms)
{
	uint64_t explained = in_time(model_rate(b), now_ms - b->lump_ms);

	if (b->lump_bytes <= explained) {
		b->lump_ms = now_ms;
		b->lump_bytes = 0;
		explained = 0;
	}
	b->lump_bytes += b->event.acked;
	b->lump[1] = most(b->lump[1], b->lump_bytes - explained);
	b->lump[1] = least(b->lump[1], b->window);
	if (!round || ++b->lump_rounds < LUMP_ROUNDS)
		return;
	b->lump_rounds = 0;
	b->lump[0] = b->lump[1];
	b->lump[1] = 0;
}

static void
take_rtt(struct bbr *b, uint64_t rtt_us, uint64_t now_ms)
{
	if (rtt_us == 0)
		return;
	rtt_us = least(rtt_us, RTT_MAX_US);
	b->round_rtt_us = least(b->round_rtt_us, rtt_us);
	b->probe_rtt_us = least(b->probe_rtt_us, rtt_us);
	/* Where little is under way every sample is as good as a probe. */
	if (b->rtt_us == 0 || rtt_us <= b->rtt_us ||
	    (now_ms - b->rtt_ms >= BBR_RTT_VALID_MS &&
	        b->event.newest.app_limited)) {
		b->rtt_us = rtt_us;
		b->rtt_ms = now_ms;
	}
}

/* ---- phases ---- */

static void
enter(struct bbr *b, enum bbr_state state)
{
	b->state = state;
	b->rounds = 0;
	b->round_end = b->delivered; /* count from here */
}

/* A cycle ends with what its probe has found. */
static void
enter_down(struct bbr *b, uint64_t now_ms)
{
	uint64_t draw = b->delivered * UINT64_C(0x9e3779b97f4a7c15) >> 40;

	if (b->rate[1] > 0 && !b->event.newest.app_limited) {
		b->rate[0] = b->rate[1];
		b->rate[1] = 0;
	}
	b->cycle_ms = now_ms;
	b->cycle_end_ms = now_ms + BBR_CYCLE_MS + draw % BBR_CYCLE_JITTER_MS;
	enter(b, BBR_DOWN);
}

static void
enter_rtt(struct bbr *b)
{
	b->probe_end_ms = 0;
	b->probe_rtt_us = UINT64_MAX;
	b->probe_window = b->window;
	enter(b, BBR_RTT);
}

static void
startup_round(struct bbr *b)
{
	if (b->event.newest.app_limited)
		return;
	if (best_rate(b) >= percent(b->full_rate, GROWS)) {
		b->full_rate = best_rate(b);
		b->full_rounds = 0;
	} else if (++b->full_rounds >= STARTUP_ROUNDS) {
		b->full = true;
	}
}

/* Too much was lost with so much in flight. */
static void
bound_high(struct bbr *b)
{
	b->high =
	    most(b->lost_in_flight, percent(product(b, model_rate(b)), KEPT));
}

static void
bound_rate(struct bbr *b)
{
	b->rate_low = most(b->round_rate, percent(model_rate(b), KEPT));
}

static void
answer_loss(struct bbr *b, uint64_t loss, uint64_t now_ms)
{
	if (b->state == BBR_STARTUP) {
		if (loss <= BBR_LOSS_STARTUP)
			return;
		b->full = true;
		bound_high(b);
	} else if (b->has_loss_own && loss > b->loss_own + BBR_LOSS) {
		if (b->state == BBR_UP) {
			bound_high(b);
			enter_down(b, now_ms);
		} else if (b->state != BBR_REFILL) {
			bound_rate(b);
		}
	}
}

static void
learn_loss(struct bbr *b, uint32_t loss)
{
	b->loss_own = b->has_loss_own ? (7 * b->loss_own + loss) / 8 : loss;
	b->has_loss_own = true;
}

/* Judges the losses of a round, of more rounds where they are short. */
static void
judge_loss(struct bbr *b, uint64_t now_ms)
{
	uint64_t all = b->round_acked + b->round_lost, loss;
	bool many = b->round_lost >= (uint64_t)BBR_LOSS_PACKETS * b->datagram;

	if (all < (uint64_t)2 * BBR_WINDOW_INITIAL * b->datagram)
		return;
	loss = b->round_lost * 1000 / all;
	if (many)
		answer_loss(b, loss, now_ms);
	if (b->state == BBR_CRUISE)
		learn_loss(b, (uint32_t)least(loss, BBR_LOSS_OWN_MAX));
	b->round_acked = 0;
	b->round_lost = 0;
	b->lost_in_flight = 0;
}

/* Cruising makes no queue. If there is one and less comes through, the path
 * has become slower, or longer; once a cycle, since it may also be somebody
 * else's. */
static void
judge_queue(struct bbr *b)
{
	if (b->state != BBR_CRUISE || b->queue_seen ||
	    b->event.newest.app_limited || b->round_rtt_us == UINT64_MAX ||
	    b->round_rtt_us < b->rtt_us + BBR_QUEUE_MS * 1000)
		return;
	if (b->round_rate >= percent(best_rate(b), KEPT))
		return;
	b->rate[0] = b->round_rate;
	b->rate[1] = b->round_rate;
	b->queue_seen = true;
	enter_rtt(b);
}

static void
up_round(struct bbr *b, uint64_t now_ms)
{
	if (b->event.newest.app_limited) {
		enter_down(b, now_ms);
	} else if (b->rounds >= UP_ROUNDS) {
		if (best_rate(b) < percent(b->up_rate, UP_GROWS))
			enter_down(b, now_ms);
		b->up_rate = best_rate(b);
	}
}

/* Half a window for a moment, so that whatever queue is ours is gone. */
static void
rtt_step(struct bbr *b, uint64_t in_flight, bool round, uint64_t now_ms)
{
	if (b->probe_end_ms == 0) {
		if (in_flight <= b->window)
			b->probe_end_ms = now_ms + BBR_RTT_PROBE_MS;
		return;
	}
	if (!round || now_ms < b->probe_end_ms)
		return;
	if (b->probe_rtt_us != UINT64_MAX)
		b->rtt_us = b->probe_rtt_us;
	b->rtt_ms = now_ms;
	b->window = most(b->window, b->probe_window);
	b->state = b->full ? BBR_CRUISE : BBR_STARTUP;
}

static void
step(struct bbr *b, uint64_t in_flight, bool round, uint64_t now_ms)
{
	uint64_t path = product(b, model_rate(b));

	b->rounds += round;
	switch (b->state) {
	case BBR_STARTUP:
		if (round)
			startup_round(b);
		if (b->full)
			enter(b, BBR_DRAIN);
		break;
	case BBR_DRAIN:
		if (in_flight <= path)
			enter_down(b, now_ms);
		else if (b->rounds >= DRAIN_ROUNDS)
			enter_rtt(b); /* it is the path that is longer */
		break;
	case BBR_DOWN:
		if (in_flight <= path)
			enter(b, BBR_CRUISE);
		else if (b->rounds >= DRAIN_ROUNDS)
			enter_rtt(b);
		break;
	case BBR_CRUISE:
		if (now_ms < b->cycle_end_ms || b->event.newest.app_limited)
			break;
		b->rate_low = UINT64_MAX;
		b->queue_seen = false;
		enter(b, BBR_REFILL);
		break;
	case BBR_REFILL:
		if (!round)
			break;
		b->up_rate = best_rate(b);
		enter(b, BBR_UP);
		break;
	case BBR_UP:
		if (round)
			up_round(b, now_ms);
		break;
	case BBR_RTT:
		rtt_step(b, in_flight, round, now_ms);
		break;
	}
	if (b->state != BBR_RTT && b->full &&
	    now_ms - b->rtt_ms >= BBR_RTT_VALID_MS)
		enter_rtt(b);
}

/* ---- window ---- */

static uint64_t
target(const struct bbr *b)
{
	uint64_t rate = model_rate(b), path = product(b, rate), t = 0;
	uint64_t lump = most(b->lump[0], b->lump[1]);

	switch (b->state) {
	case BBR_STARTUP:
	case BBR_DRAIN:
		t = percent(path, STARTUP_WINDOW) + lump;
		t = least(t, b->high);
		break;
	case BBR_DOWN:
	case BBR_CRUISE:
	case BBR_REFILL:
		t = path + in_time(rate, BBR_CRUISE_MS) + lump;
		if (b->high != UINT64_MAX)
			t = least(t, percent(b->high, HEADROOM));
		break;
	case BBR_UP:
		t = path + in_time(rate, BBR_CRUISE_MS) + lump +
		    probe_more(b, rate);
		t = least(t, b->high);
		break;
	case BBR_RTT:
		t = path / 2;
		break;
	}
	return least(
	    most(t, (uint64_t)BBR_WINDOW_MIN * b->datagram), BBR_WINDOW_MAX);
}

static void
set_window(struct bbr *b)
{
	uint64_t t = target(b);

	/* A bound that a probe reaches is tried further. */
	if (b->state == BBR_UP && b->high != UINT64_MAX && b->window >= b->high)
		b->high += b->event.acked;
	if (b->full || b->window < t)
		b->window = least(b->window + b->event.acked, t);
	assert(b->full || b->state != BBR_DRAIN);
	b->window = most(b->window, (uint64_t)BBR_WINDOW_MIN * b->datagram);
}

void
bbr_update(struct bbr *b, uint64_t in_flight, uint64_t rtt_us, uint64_t now_ms)
{
	bool round;

	check(b);
	take_rtt(b, rtt_us, now_ms);
	if (b->event.any)
		take_rate(b, now_ms);
	if (b->app_limited_until > 0 && b->delivered > b->app_limited_until)
		b->app_limited_until = 0;
	round = take_round(b);
	take_lump(b, round, now_ms);
	b->round_acked += b->event.acked;
	b->round_lost += b->event.lost;
	if (round) {
		judge_queue(b);
		judge_loss(b, now_ms);
	}
	step(b, in_flight, round, now_ms);
	if (round) {
		b->round_rate = 0;
		b->round_rtt_us = UINT64_MAX;
	}
	set_window(b);
	b->event = (struct bbr_event){ 0 };
	check(b);
}

void
bbr_collapse(struct bbr *b)
{
	b->window = (uint64_t)BBR_WINDOW_MIN * b->datagram;
}
