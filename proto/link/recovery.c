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
	PACKETS_MIN = 64,   /* records at first; most links are idle */
	PACKETS_KEPT = 512, /* what more a transfer took is given back */
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
	assert(r->result_at <= r->n && r->late_n <= r->n);
	assert(!r->has_rtt || r->min_us <= r->latest_us);
}

enum err
recovery_init(struct recovery *r, uint32_t datagram)
{
	assert(datagram >= 1200);
	*r = (struct recovery){ .loss_ms = NEVER };
	bbr_init(&r->bbr, datagram);
	ledbat_init(&r->yield, datagram);
	pacer_init(&r->pacer, datagram);
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
recovery_new_path(struct recovery *r, uint64_t now_ms)
{
	r->has_rtt = false;
	r->path_ms = now_ms;
	r->pto_count = 0;
	bbr_restart(&r->bbr);
	ledbat_init(&r->yield, r->yield.datagram);
}

void
recovery_set_datagram(struct recovery *r, uint32_t datagram)
{
	bbr_set_datagram(&r->bbr, datagram);
	ledbat_set_datagram(&r->yield, datagram);
}

void
recovery_set_yield(struct recovery *r, bool yields)
{
	if (yields && !r->yields) {
		ledbat_init(&r->yield, r->yield.datagram);
		pacer_init(&r->yield_pacer, r->yield.datagram);
	}
	r->yields = yields;
}

void
recovery_reset(struct recovery *r)
{
	struct recovery fresh = {
		.ring = r->ring,
		.cap = r->cap,
		.has_rtt = r->has_rtt,
		.latest_us = r->latest_us,
		.smoothed_us = r->smoothed_us,
		.var_us = r->var_us,
		.min_us = r->min_us,
		.path_ms = r->path_ms,
		.pacer = r->pacer,
		.loss_ms = NEVER,
	};

	assert(r->ring);
	bbr_init(&fresh.bbr, r->bbr.datagram);
	ledbat_init(&fresh.yield, r->bbr.datagram);
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
recovery_sample(struct recovery *r, uint64_t rtt_ms, uint64_t now_ms)
{
	assert(rtt_ms < UINT64_MAX / 1000);
	sample(r, rtt_ms * 1000, 0);
	bbr_guess(&r->bbr, r->latest_us, now_ms);
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

/* Until anything was acknowledged the round trip is that of the handshake,
 * whose answer leaves at once; so its variance is no guess of the time that
 * others take, and first words that are lost are missed most. */
static uint64_t
pto_base_ms(const struct recovery *r)
{
	uint64_t us = r->smoothed_us + r->var_us + RECOVERY_ACK_DELAY_US;

	return r->has_rtt && r->acked_ms == 0 ? (us + 999) / 1000
	                                      : recovery_pto_base_ms(r);
}

uint64_t
recovery_answer_ms(const struct recovery *r)
{
	if (r->smoothed_us == 0)
		return RECOVERY_INITIAL_RTT_US / 1000;
	return (r->smoothed_us + 4 * r->var_us + 999) / 1000;
}

uint64_t
recovery_silent_ms(const struct recovery *r)
{
	uint64_t since = NEVER;

	if (r->in_flight_n == 0)
		return NEVER;
	for (uint32_t i = 0; i < r->n && since == NEVER; i++) {
		if (flying(record(r, i)))
			since = record(r, i)->at_ms;
	}
	assert(since != NEVER);
	return since > r->acked_ms ? since : r->acked_ms;
}

uint64_t
recovery_pto_ms(const struct recovery *r)
{
	uint64_t base = pto_base_ms(r), wait = base;

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

/* ---- sending ---- */

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

/* True if it fits the window. */
static bool
fits(const struct recovery *r, bool urgent)
{
	uint64_t full = r->bbr.datagram;
	uint64_t ahead = urgent ? RECOVERY_URGENT * full : 0;

	return r->in_flight + full <= r->bbr.window + ahead;
}

/* True if it has to give way. */
static bool
held_back(const struct recovery *r, bool urgent)
{
	return r->yields && !urgent &&
	       r->in_flight + r->bbr.datagram > r->yield.window;
}

/* Words have a pace of their own. */
static uint64_t
yield_rate(const struct recovery *r)
{
	return ledbat_rate(
	    &r->yield, r->has_rtt ? r->smoothed_us : RECOVERY_GRANULARITY_US);
}

bool
recovery_may_send(struct recovery *r, bool urgent, uint64_t now_ms)
{
	const struct bbr *b = &r->bbr;

	if (!recovery_has_room(r) || !fits(r, urgent))
		return false;
	if (held_back(r, urgent)) {
		ledbat_full(&r->yield);
		bbr_app_limited(&r->bbr, r->in_flight);
		return false;
	}
	pacer_fill(&r->pacer, bbr_rate(b), b->datagram, now_ms);
	if (!pacer_ready(&r->pacer, b->datagram, urgent))
		return false;
	if (!r->yields || urgent)
		return true;
	pacer_fill(&r->yield_pacer, yield_rate(r), b->datagram, now_ms);
	return pacer_ready(&r->yield_pacer, b->datagram, false);
}

uint64_t
recovery_pace_ms(const struct recovery *r, bool urgent)
{
	const struct bbr *b = &r->bbr;
	uint64_t at, yield;

	if (r->n == r->cap || !fits(r, urgent) || held_back(r, urgent))
		return NEVER;
	at = pacer_ready_ms(&r->pacer, bbr_rate(b), b->datagram, urgent);
	if (!r->yields || urgent)
		return at;
	yield =
	    pacer_ready_ms(&r->yield_pacer, yield_rate(r), b->datagram, false);
	return at > yield ? at : yield;
}

void
recovery_idle(struct recovery *r)
{
	if (fits(r, false)) /* else it is the path that limits */
		bbr_app_limited(&r->bbr, r->in_flight);
}

void
recovery_sent(struct recovery *r, const struct sent *s)
{
	struct sent *to;

	check(r);
	assert(r->n < r->cap && s->bytes > 0);
	assert(s->stream.lo <= s->stream.hi && s->bulk.lo <= s->bulk.hi);
	r->n++;
	to = record(r, r->n - 1);
	*to = *s;
	to->state = IN_FLIGHT;
	bbr_sent(&r->bbr, r->in_flight, s->bytes, s->at_ms, &to->stamp);
	pacer_take(&r->pacer, s->bytes);
	if (r->yields && s->bulk.hi > s->bulk.lo) {
		ledbat_sent(&r->yield, s->at_ms);
		pacer_take(&r->yield_pacer, s->bytes);
	}
	r->in_flight += s->bytes;
	r->in_flight_n++;
	r->last_sent_ms = s->at_ms;
}

/* ---- what became of the packets ---- */

static void
settle(struct recovery *r, uint32_t i, enum sent_state to)
{
	struct sent *s = record(r, i);

	assert(flying(s) && (to == ACKED || to == LOST));
	assert(r->in_flight >= s->bytes && r->in_flight_n > 0);
	s->state = (uint8_t)to;
	r->in_flight -= s->bytes;
	r->in_flight_n--;
	r->results++;
	if (i < r->result_at)
		r->result_at = i;
}

static void
lose(struct recovery *r, uint32_t i)
{
	const struct sent *s = record(r, i);

	settle(r, i, LOST);
	if (s->carried & SENT_MTU)
		return; /* a probe's loss tells its size [RFC 8899 §3] */
	bbr_lost(&r->bbr, &s->stamp, s->bytes);
	ledbat_lost(&r->yield);
}

/* Marks what is lost by now and finds when the next one will be. A run of
 * losses over three PTOs with nothing acknowledged between means that the
 * path changed altogether. [RFC 9002 §6.1] [RFC 9002 §7.6] */
static void
detect(struct recovery *r, uint64_t now_ms)
{
	uint64_t delay = loss_delay_ms(r), run = NEVER;
	uint64_t span = RECOVERY_PERSISTENT * recovery_pto_base_ms(r);
	bool persistent = false;

	r->loss_ms = NEVER;
	for (uint32_t i = 0; i < r->late_n; i++) {
		struct sent *s = record(r, i);

		if (s->state == HOPELESS ||
		    (s->state == OVERTAKEN && s->at_ms + delay <= now_ms)) {
			lose(r, i);
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
	if (!persistent)
		return;
	bbr_collapse(&r->bbr);
	ledbat_collapse(&r->yield);
}

static void
late(struct recovery *r, uint32_t i)
{
	if (r->late_n <= i)
		r->late_n = i + 1;
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

/* The peer's own delay is no queue. */
static void
update_yield(struct recovery *r, uint64_t acked, uint64_t rtt_us,
    uint64_t delay_us, uint64_t now_ms)
{
	if (delay_us > RECOVERY_ACK_DELAY_US)
		delay_us = RECOVERY_ACK_DELAY_US;
	if (rtt_us > delay_us)
		rtt_us -= delay_us;
	ledbat_acked(&r->yield, acked, rtt_us, r->smoothed_us / 1000, now_ms);
}

/* What an ACK of the peer's tells of what was sent under one key. */
struct told {
	uint64_t acked; /* bytes, that were not so before */
	uint64_t rtt_us;
	uint32_t newest; /* of them, as an index; UINT32_MAX: none */
};

static struct told
read_ack(struct recovery *r, uint32_t key, const struct ranges *ack,
    uint64_t delay_us, uint64_t now_ms)
{
	struct told ret = { .newest = UINT32_MAX };
	uint64_t largest = ack->r[ack->n - 1].hi - 1;

	for (uint32_t i = 0; i < r->n; i++) {
		struct sent *s = record(r, i);

		if (s->key != key)
			continue;
		if (s->number > largest)
			break; /* and so are all that follow */
		if (!flying(s))
			continue;
		assert(s->at_ms <= now_ms);
		if (!ranges_has(ack, s->number)) {
			overtake(s, largest);
			late(r, i);
			continue;
		}
		if (s->number == largest && s->at_ms >= r->path_ms) {
			sample(r, (now_ms - s->at_ms) * 1000, delay_us);
			ret.rtt_us = r->latest_us;
		}
		late(r, i);
		bbr_acked(&r->bbr, &s->stamp, s->at_ms, s->bytes, now_ms);
		settle(r, i, ACKED);
		ret.acked += s->bytes;
		ret.newest = i;
	}
	return ret;
}

bool
recovery_on_ack(struct recovery *r, uint32_t key, const struct ranges *ack,
    uint64_t delay_us, uint64_t now_ms)
{
	struct told told;
	uint64_t sent_ms;

	assert(ack->n > 0 && ack->n <= RANGES_MAX);
	check(r);
	told = read_ack(r, key, ack, delay_us, now_ms);
	if (told.newest == UINT32_MAX)
		return false;
	sent_ms = record(r, told.newest)->at_ms;
	overtake_others(r, told.newest);
	r->pto_count = 0;
	r->acked_ms = now_ms;
	detect(r, now_ms);
	if (sent_ms > r->acked_sent_ms)
		r->acked_sent_ms = sent_ms;
	bbr_update(&r->bbr, r->in_flight, told.rtt_us, now_ms);
	if (r->yields)
		update_yield(r, told.acked, told.rtt_us, delay_us, now_ms);
	check(r);
	return true;
}

void
recovery_on_loss_timer(struct recovery *r, uint64_t now_ms)
{
	check(r);
	detect(r, now_ms);
	bbr_update(&r->bbr, r->in_flight, 0, now_ms);
	assert(r->loss_ms > now_ms);
}

void
recovery_drop_key(struct recovery *r, uint32_t key)
{
	for (uint32_t i = 0; i < r->n; i++) {
		struct sent *s = record(r, i);

		if (s->key == key && flying(s))
			settle(r, i, LOST);
	}
	check(r);
}

void
recovery_give_up(struct recovery *r)
{
	for (uint32_t i = 0; i < r->n; i++) {
		if (flying(record(r, i)))
			settle(r, i, LOST);
	}
	r->loss_ms = NEVER;
	check(r);
}

static void
shrink(struct recovery *r)
{
	struct sent *small = calloc(PACKETS_MIN, sizeof(*small));

	assert(r->n == 0 && r->results == 0);
	if (!small)
		return;
	free(r->ring);
	r->ring = small;
	r->cap = PACKETS_MIN;
	r->head = 0;
}

/* Moves the head past records that nobody waits for. */
static void
trim(struct recovery *r)
{
	while (r->n > 0 && record(r, 0)->state == DONE) {
		r->head = (r->head + 1) & (r->cap - 1);
		r->n--;
		if (r->result_at > 0)
			r->result_at--;
		if (r->late_n > 0)
			r->late_n--;
	}
	if (r->n == 0 && r->cap > PACKETS_KEPT)
		shrink(r);
}

bool
recovery_result(struct recovery *r, struct sent *ret, bool *acked)
{
	while (r->results > 0 && r->result_at < r->n) {
		struct sent *s = record(r, r->result_at++);

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

void
recovery_on_pto(struct recovery *r, uint64_t now_ms)
{
	check(r);
	assert(r->in_flight_n > 0); /* else there is no PTO */
	r->pto_count++;
	r->last_sent_ms = now_ms; /* the next one counts from here */
}

const struct sent *
recovery_oldest(const struct recovery *r, uint32_t skip)
{
	for (uint32_t i = 0; i < r->n; i++) {
		const struct sent *s = record(r, i);

		if (flying(s) && skip-- == 0)
			return s;
	}
	return NULL;
}
