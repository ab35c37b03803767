/* The records stand in a ring in the order of sending; what is decided waits
 * there until the caller takes the result, and the head moves past what is
 * done. */
#include "proto/link/recovery.h"

#include <assert.h>
#include <stdlib.h>

enum sent_state {
	DONE = 0,
	IN_FLIGHT,
	OVERTAKEN, /* a packet that was sent later was acknowledged */
	HOPELESS,  /* three later ones of its key were */
	ACKED,
	LOST
};

enum {
	WINDOW_DATAGRAMS_INITIAL = 10, /* [RFC 9002 §7.2] */
	WINDOW_DATAGRAMS_MIN = 2,
	PACKETS_MIN = 64, /* records at first; most links are idle */
};

_Static_assert(
    (RECOVERY_PACKETS_MAX & (RECOVERY_PACKETS_MAX - 1)) == 0, "a power of two");

static struct sent *
record(const struct recovery *r, uint32_t i)
{
	assert(i < r->n);
	return &r->ring[(r->head + i) & (r->cap - 1)];
}

static bool
flying(const struct sent *s)
{
	return s->state >= IN_FLIGHT && s->state <= HOPELESS;
}

static void
check(const struct recovery *r)
{
	assert(r->cap >= PACKETS_MIN && r->cap <= RECOVERY_PACKETS_MAX);
	assert((r->cap & (r->cap - 1)) == 0);
	assert(r->head < r->cap && r->n <= r->cap);
	assert(r->in_flight_n + r->results <= r->n);
	assert(r->in_flight_n > 0 || r->in_flight == 0);
	assert(r->window >= (uint64_t)WINDOW_DATAGRAMS_MIN * r->datagram);
	assert(!r->has_rtt || r->min_us <= r->latest_us);
}

enum err
recovery_init(struct recovery *r, uint32_t datagram)
{
	assert(datagram >= 1200);
	*r = (struct recovery){
		.datagram = datagram,
		.window = (uint64_t)WINDOW_DATAGRAMS_INITIAL * datagram,
		.threshold = UINT64_MAX,
		.loss_ms = NEVER,
	};
	r->cap = PACKETS_MIN;
	r->ring = calloc(r->cap, sizeof(r->ring[0]));
	return r->ring ? ERR_OK : ERR_NOMEM;
}

void
recovery_clear(struct recovery *r)
{
	free(r->ring);
	*r = (struct recovery){ .loss_ms = NEVER };
}

void
recovery_new_path(struct recovery *r)
{
	r->has_rtt = false;
	r->window = (uint64_t)WINDOW_DATAGRAMS_INITIAL * r->datagram;
	r->threshold = UINT64_MAX;
	r->in_recovery_ever = false;
	r->pto_count = 0;
}

void
recovery_reset(struct recovery *r)
{
	struct recovery fresh = {
		.ring = r->ring,
		.cap = r->cap,
		.datagram = r->datagram,
		.has_rtt = r->has_rtt,
		.latest_us = r->latest_us,
		.smoothed_us = r->smoothed_us,
		.var_us = r->var_us,
		.min_us = r->min_us,
		.window = (uint64_t)WINDOW_DATAGRAMS_INITIAL * r->datagram,
		.threshold = UINT64_MAX,
		.loss_ms = NEVER,
	};

	assert(r->ring);
	*r = fresh;
}

/* ---- round trip [RFC 9002 §5.3] ---- */

static void
sample(struct recovery *r, uint64_t latest_us, uint64_t delay_us)
{
	uint64_t us, diff;

	if (latest_us < RECOVERY_GRANULARITY_US)
		latest_us = RECOVERY_GRANULARITY_US;
	r->latest_us = latest_us;
	if (!r->has_rtt) {
		r->has_rtt = true;
		r->min_us = latest_us;
		r->smoothed_us = latest_us;
		r->var_us = latest_us / 2;
		return;
	}
	if (latest_us < r->min_us)
		r->min_us = latest_us;
	if (delay_us > RECOVERY_ACK_DELAY_US)
		delay_us = RECOVERY_ACK_DELAY_US;
	us = latest_us >= r->min_us + delay_us ? latest_us - delay_us
	                                       : latest_us;
	diff = us > r->smoothed_us ? us - r->smoothed_us : r->smoothed_us - us;
	r->var_us = (3 * r->var_us + diff) / 4;
	r->smoothed_us = (7 * r->smoothed_us + us) / 8;
}

void
recovery_sample(struct recovery *r, uint64_t rtt_ms)
{
	assert(rtt_ms < UINT64_MAX / 1000);
	sample(r, rtt_ms * 1000, 0);
}

/* How long a packet may lag behind a later one, in ms rounded up. */
static uint64_t
loss_delay_ms(const struct recovery *r)
{
	uint64_t us =
	    r->latest_us > r->smoothed_us ? r->latest_us : r->smoothed_us;

	us = us + us / 8;
	if (us < RECOVERY_GRANULARITY_US)
		us = RECOVERY_GRANULARITY_US;
	return (us + 999) / 1000;
}

uint64_t
recovery_pto_base_ms(const struct recovery *r)
{
	uint64_t us = 3 * (uint64_t)RECOVERY_INITIAL_RTT_US; /* srtt + 4 var */

	if (r->has_rtt) {
		us = 4 * r->var_us;
		if (us < RECOVERY_GRANULARITY_US)
			us = RECOVERY_GRANULARITY_US;
		us += r->smoothed_us;
	}
	return (us + RECOVERY_ACK_DELAY_US + 999) / 1000;
}

uint64_t
recovery_pto_ms(const struct recovery *r)
{
	uint64_t base = recovery_pto_base_ms(r), wait = base;

	if (r->in_flight_n == 0)
		return NEVER;
	for (uint32_t i = 0; i < r->pto_count && wait < RECOVERY_PTO_MAX_MS;
	     i++)
		wait *= 2;
	/* The link is given up long before a patient backoff would matter. */
	if (wait > RECOVERY_PTO_MAX_MS)
		wait = base > RECOVERY_PTO_MAX_MS ? base : RECOVERY_PTO_MAX_MS;
	return r->last_sent_ms + wait;
}

/* ---- window: NewReno [RFC 9002 §7] ---- */

static uint64_t
window_min(const struct recovery *r)
{
	return (uint64_t)WINDOW_DATAGRAMS_MIN * r->datagram;
}

static void
window_grow(struct recovery *r, const struct sent *s)
{
	if (r->in_recovery_ever && s->at_ms <= r->recovery_ms)
		return;
	if (!r->limited || r->window >= RECOVERY_WINDOW_MAX)
		return;
	if (r->window < r->threshold)
		r->window += s->bytes;
	else
		r->window += (uint64_t)r->datagram * s->bytes / r->window;
}

/* Packets sent up to sent_ms were lost. */
static void
window_shrink(struct recovery *r, uint64_t sent_ms, uint64_t now_ms)
{
	if (r->in_recovery_ever && sent_ms <= r->recovery_ms)
		return;
	r->in_recovery_ever = true;
	r->recovery_ms = now_ms;
	assert(sent_ms <= now_ms);
	r->threshold = r->window / 2;
	r->window = r->threshold > window_min(r) ? r->threshold : window_min(r);
}

bool
recovery_has_room(struct recovery *r)
{
	struct sent *big;

	assert(r->n <= r->cap && r->cap <= RECOVERY_PACKETS_MAX);
	if (r->n < r->cap)
		return true;
	if (r->cap == RECOVERY_PACKETS_MAX)
		return false;
	big = calloc(2 * (size_t)r->cap, sizeof(*big));
	if (!big)
		return false;
	for (uint32_t i = 0; i < r->n; i++)
		big[i] = *record(r, i);
	free(r->ring);
	r->ring = big;
	r->cap *= 2;
	r->head = 0;
	return true;
}

bool
recovery_may_send(struct recovery *r)
{
	/* Half of the window in use is use enough to let it grow. */
	if (r->in_flight + r->datagram > r->window / 2)
		r->limited = true;
	return recovery_has_room(r) && r->in_flight + r->datagram <= r->window;
}

void
recovery_sent(struct recovery *r, const struct sent *s)
{
	struct sent *to;

	check(r);
	assert(r->n < r->cap && s->bytes > 0);
	assert(s->stream.lo <= s->stream.hi);
	r->n++;
	to = record(r, r->n - 1);
	*to = *s;
	to->state = IN_FLIGHT;
	r->in_flight += s->bytes;
	r->in_flight_n++;
	r->last_sent_ms = s->at_ms;
}

/* ---- what became of the packets ---- */

static void
settle(struct recovery *r, struct sent *s, enum sent_state to)
{
	assert(flying(s) && (to == ACKED || to == LOST));
	assert(r->in_flight >= s->bytes && r->in_flight_n > 0);
	s->state = (uint8_t)to;
	r->in_flight -= s->bytes;
	r->in_flight_n--;
	r->results++;
	if (r->in_flight_n == 0)
		r->limited = false;
}

/* Marks what is lost by now and finds when the next one will be. A run of
 * losses over three PTOs with nothing acknowledged between means that the
 * path changed altogether. [RFC 9002 §6.1] [RFC 9002 §7.6] */
static void
detect(struct recovery *r, uint64_t now_ms)
{
	uint64_t delay = loss_delay_ms(r), latest = 0, run = NEVER;
	uint64_t span = RECOVERY_PERSISTENT * recovery_pto_base_ms(r);
	bool any = false, persistent = false;

	r->loss_ms = NEVER;
	for (uint32_t i = 0; i < r->n; i++) {
		struct sent *s = record(r, i);

		if (s->state == HOPELESS ||
		    (s->state == OVERTAKEN && s->at_ms + delay <= now_ms)) {
			settle(r, s, LOST);
			any = true;
			latest = s->at_ms;
			if (run == NEVER && s->at_ms > r->acked_sent_ms)
				run = s->at_ms;
			if (run != NEVER && s->at_ms - run > span)
				persistent = r->has_rtt;
		} else if (s->state == OVERTAKEN) {
			if (s->at_ms + delay < r->loss_ms)
				r->loss_ms = s->at_ms + delay;
		} else if (s->state == ACKED) {
			run = NEVER;
		}
	}
	if (any)
		window_shrink(r, latest, now_ms);
	if (persistent) {
		r->window = window_min(r);
		r->in_recovery_ever = false;
	}
}

/* A later one of its key came first; three of them, and it will not come. */
static void
overtake(struct sent *s, uint64_t largest)
{
	if (s->number >= largest)
		return;
	if (s->state == IN_FLIGHT)
		s->state = OVERTAKEN;
	if (largest - s->number >= RECOVERY_REORDER)
		s->state = HOPELESS;
}

/* What left before a packet that came, though under another key: the time
 * threshold holds for it too, or an old key's losses would stay in flight
 * for ever. */
static void
overtake_others(struct recovery *r, uint32_t newest)
{
	for (uint32_t i = 0; i < newest; i++) {
		struct sent *s = record(r, i);

		if (s->state == IN_FLIGHT)
			s->state = OVERTAKEN;
	}
}

void
recovery_on_ack(struct recovery *r, uint32_t key, const struct ranges *ack,
    uint64_t delay_us, uint64_t now_ms)
{
	uint64_t largest, newest_ms = 0;
	uint32_t newest = UINT32_MAX;

	assert(ack->n > 0 && ack->n <= RANGES_MAX);
	largest = ack->r[ack->n - 1].hi - 1;
	check(r);
	for (uint32_t i = 0; i < r->n; i++) {
		struct sent *s = record(r, i);

		if (s->key != key || !flying(s))
			continue;
		assert(s->at_ms <= now_ms);
		if (!ranges_has(ack, s->number)) {
			overtake(s, largest);
			continue;
		}
		if (s->number == largest)
			sample(r, (now_ms - s->at_ms) * 1000, delay_us);
		window_grow(r, s);
		settle(r, s, ACKED);
		newest_ms = s->at_ms;
		newest = i;
	}
	if (newest == UINT32_MAX)
		return;
	overtake_others(r, newest);
	r->pto_count = 0;
	detect(r, now_ms);
	if (newest_ms > r->acked_sent_ms)
		r->acked_sent_ms = newest_ms;
	check(r);
}

void
recovery_on_loss_timer(struct recovery *r, uint64_t now_ms)
{
	check(r);
	detect(r, now_ms);
	assert(r->loss_ms > now_ms);
}

void
recovery_drop_key(struct recovery *r, uint32_t key)
{
	for (uint32_t i = 0; i < r->n; i++) {
		struct sent *s = record(r, i);

		if (s->key == key && flying(s))
			settle(r, s, LOST);
	}
	check(r);
}

/* Moves the head past records that nobody waits for. */
static void
trim(struct recovery *r)
{
	while (r->n > 0 && record(r, 0)->state == DONE) {
		r->head = (r->head + 1) & (r->cap - 1);
		r->n--;
	}
}

bool
recovery_result(struct recovery *r, struct sent *ret, bool *acked)
{
	for (uint32_t i = 0; r->results > 0 && i < r->n; i++) {
		struct sent *s = record(r, i);

		if (s->state != ACKED && s->state != LOST)
			continue;
		*ret = *s;
		*acked = s->state == ACKED;
		s->state = DONE;
		r->results--;
		trim(r);
		return true;
	}
	assert(r->results == 0);
	return false;
}

const struct sent *
recovery_on_pto(struct recovery *r, uint64_t now_ms)
{
	check(r);
	assert(r->in_flight_n > 0); /* else there is no PTO */
	r->pto_count++;
	r->last_sent_ms = now_ms; /* the next one counts from here */
	for (uint32_t i = 0; i < r->n; i++) {
		const struct sent *s = record(r, i);

		if (flying(s))
			return s;
	}
	return NULL;
}
