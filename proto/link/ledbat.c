/* Decides once a round, so that a round's delays are those of its window. */
#include "proto/link/ledbat.h"

#include <assert.h>

enum {
	MINUTE_MS = 60000,
	EXIT_PART = 75,  /* of the target, in percent: START ends */
	CUT_MAX = 50,    /* of the window, in percent, a round */
	QUIET_PART = 4,  /* below this part of the target ... */
	QUIET = 8,       /* ... for so many rounds, there is much room ... */
	QUIET_GROWS = 8, /* ... and the window grows by this part of it */
	START_PACE = 200,
	PACE = 125,
};

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

static uint64_t
floor_of(const struct ledbat *y)
{
	return (uint64_t)LEDBAT_WINDOW_MIN * y->datagram;
}

static void
check(const struct ledbat *y)
{
	assert(y->datagram >= 1024 && y->base_at < LEDBAT_HISTORY);
	assert(y->window >= floor_of(y) && y->window <= LEDBAT_WINDOW_MAX);
	assert(y->state != LEDBAT_SLOW || y->window == floor_of(y));
}

void
ledbat_init(struct ledbat *y, uint32_t datagram)
{
	assert(datagram >= 1024);
	*y = (struct ledbat){
		.datagram = datagram,
		.threshold = LEDBAT_WINDOW_MAX,
		.round_us = UINT64_MAX,
		.last_us = UINT64_MAX,
	};
	for (unsigned i = 0; i < LEDBAT_HISTORY; i++)
		y->base_us[i] = UINT64_MAX;
	y->window = floor_of(y);
}

void
ledbat_set_datagram(struct ledbat *y, uint32_t datagram)
{
	assert(datagram >= 1024);
	y->datagram = datagram;
	if (y->state == LEDBAT_SLOW || y->window < floor_of(y))
		y->window = floor_of(y);
}

/* ---- delays ---- */

uint64_t
ledbat_base_us(const struct ledbat *y)
{
	uint64_t us = UINT64_MAX;

	for (unsigned i = 0; i < LEDBAT_HISTORY; i++)
		us = least(us, y->base_us[i]);
	return us;
}

uint64_t
ledbat_queue_us(const struct ledbat *y)
{
	uint64_t us = least(y->round_us, y->last_us);

	if (us == UINT64_MAX)
		return 0;
	assert(us >= ledbat_base_us(y));
	return us - ledbat_base_us(y);
}

static void
take_rtt(struct ledbat *y, uint64_t rtt_us, uint64_t now_ms)
{
	if (y->minute_ms == 0)
		y->minute_ms = now_ms;
	if (now_ms - y->minute_ms >= MINUTE_MS) {
		y->minute_ms = now_ms;
		y->base_at = (uint8_t)((y->base_at + 1) % LEDBAT_HISTORY);
		y->base_us[y->base_at] = UINT64_MAX;
	}
	y->base_us[y->base_at] = least(y->base_us[y->base_at], rtt_us);
	y->round_us = least(y->round_us, rtt_us);
}

/* ---- window ---- */

/* What fills the path and leaves no queue, if all of it is ours. */
static uint64_t
drained(const struct ledbat *y, uint64_t queue_us)
{
	uint64_t base_us = ledbat_base_us(y);

	if (base_us == UINT64_MAX)
		return y->window;
	return y->window * base_us / (base_us + queue_us);
}

static void
slow_down(struct ledbat *y, uint64_t queue_us, uint64_t now_ms)
{
	y->threshold = drained(y, queue_us);
	y->window = floor_of(y);
	y->state = LEDBAT_SLOW;
	y->rounds = 0;
	y->slow_ms = now_ms;
	y->slowed = true;
}

/* START has reached its threshold, or a queue. */
static void
steady(struct ledbat *y, uint64_t queue_us, uint64_t now_ms)
{
	y->state = LEDBAT_STEADY;
	if (!y->slowed) {
		slow_down(y, queue_us, now_ms);
		return;
	}
	y->window = drained(y, queue_us);
	y->cut = true;
	y->slow_ms = now_ms + LEDBAT_SLOW_PARTS * (now_ms - y->slow_ms);
}

/* Here the newest delays alone count: a round later it is too much. */
static void
start_round(struct ledbat *y, uint64_t now_ms)
{
	uint64_t queue_us = y->round_us - ledbat_base_us(y), more;

	if (queue_us * 100 > (uint64_t)LEDBAT_TARGET_US * EXIT_PART) {
		steady(y, queue_us, now_ms);
	} else if (y->window >= y->threshold) {
		steady(y, 0, now_ms);
	} else if (y->full) {
		more = y->slowed ? y->round_acked : y->round_acked / 2;
		y->window = least(y->window + more, y->threshold);
	}
}

/* One datagram a round at most, unless the path has long been as good as
 * empty, since others have left: then by what would fill a quarter of the
 * target if it were all too much; the newest delays alone count for that. */
static uint64_t
growth(struct ledbat *y, uint64_t queue_us)
{
	const uint64_t target = LEDBAT_TARGET_US;
	uint64_t newest_us = y->round_us - ledbat_base_us(y), more;

	if (newest_us * QUIET_PART > target)
		y->quiet = 0;
	else if (y->quiet < QUIET)
		y->quiet++;
	if (y->quiet < QUIET)
		return y->datagram * (target - queue_us) / target;
	more = y->window * target / 4 / ledbat_base_us(y);
	return most(least(more, y->window / QUIET_GROWS), y->datagram);
}

static void
steady_round(struct ledbat *y, uint64_t now_ms)
{
	uint64_t queue_us = ledbat_queue_us(y), cut;
	const uint64_t target = LEDBAT_TARGET_US;
	bool waits = y->cut;

	assert(ledbat_base_us(y) > 0);
	y->cut = false;
	if (now_ms >= y->slow_ms) {
		slow_down(y, queue_us, now_ms);
	} else if (queue_us <= target) {
		if (y->full)
			y->window += growth(y, queue_us);
	} else if (!waits) {
		cut = y->window * (queue_us - target) / target;
		y->window -= least(cut, y->window * CUT_MAX / 100);
		y->cut = true;
		y->quiet = 0;
	}
}

static void
slow_round(struct ledbat *y)
{
	if (++y->rounds >= LEDBAT_SLOW_ROUNDS)
		y->state = LEDBAT_START;
}

static void
end_round(struct ledbat *y, uint64_t now_ms)
{
	if (y->lost && y->state != LEDBAT_SLOW) {
		y->window /= 2;
		if (y->state == LEDBAT_START)
			steady(y, 0, now_ms);
	} else {
		switch (y->state) {
		case LEDBAT_START:
			start_round(y, now_ms);
			break;
		case LEDBAT_STEADY:
			steady_round(y, now_ms);
			break;
		case LEDBAT_SLOW:
			slow_round(y);
			break;
		}
	}
	y->window = most(least(y->window, LEDBAT_WINDOW_MAX), floor_of(y));
	y->last_us = y->round_us;
	y->round_us = UINT64_MAX;
	y->round_acked = 0;
	y->full = false;
	y->lost = false;
}

/* After a rest the window may be too much all at once; where it was is kept
 * as the threshold. */
void
ledbat_sent(struct ledbat *y, uint64_t now_ms)
{
	uint64_t rest_ms = now_ms - y->sent_ms;

	assert(now_ms >= y->sent_ms);
	y->sent_ms = now_ms;
	if (rest_ms < LEDBAT_REST_MS || y->state == LEDBAT_SLOW)
		return;
	if (y->state == LEDBAT_STEADY)
		y->threshold = y->window;
	y->window = floor_of(y);
	y->state = LEDBAT_START;
	y->slow_ms = now_ms;
}

void
ledbat_full(struct ledbat *y)
{
	y->full = true;
}

void
ledbat_acked(struct ledbat *y, uint64_t bytes, uint64_t rtt_us,
    uint64_t round_ms, uint64_t now_ms)
{
	check(y);
	y->round_acked += bytes;
	if (rtt_us > 0)
		take_rtt(y, rtt_us, now_ms);
	if (now_ms < y->round_end_ms || y->round_us == UINT64_MAX)
		return;
	y->round_end_ms = now_ms + most(round_ms, 1);
	end_round(y, now_ms);
	check(y);
}

void
ledbat_lost(struct ledbat *y)
{
	y->lost = true;
}

void
ledbat_collapse(struct ledbat *y)
{
	y->window = floor_of(y);
}

uint64_t
ledbat_rate(const struct ledbat *y, uint64_t round_us)
{
	uint64_t gain = y->state == LEDBAT_START ? START_PACE : PACE;

	assert(round_us > 0);
	return y->window * gain * 10000 / round_us;
}
