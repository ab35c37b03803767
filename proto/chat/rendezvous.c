/* Schedule of meeting through the DHT. [SPEC §4.2] */
#include "proto/chat/rendezvous.h"

#include <assert.h>

/* first * 2^n, at most max. */
static uint64_t
backoff(uint64_t first_ms, uint32_t n, uint64_t max_ms)
{
	uint64_t ms = first_ms;

	assert(first_ms > 0 && first_ms <= max_ms);
	while (n-- > 0 && ms < max_ms)
		ms *= 2;
	return ms < max_ms ? ms : max_ms;
}

void
rendezvous_stop(struct rendezvous *r)
{
	r->look_at_ms = NEVER;
	r->publish_at_ms = NEVER;
	r->knock_at_ms = NEVER;
}

void
rendezvous_start(struct rendezvous *r, const struct rng *rng,
    uint32_t spread_ms, struct now now)
{
	uint64_t wait = spread_ms > 0 ? rng_below(rng, spread_ms) : 0;

	r->looks = 0;
	r->failures = 0;
	r->knock_at_ms = NEVER; /* the look that comes now knocks */
	rendezvous_changed(r, now);
	r->look_at_ms = now.mono_ms + wait;
	if (r->publish_at_ms < r->look_at_ms)
		r->publish_at_ms = r->look_at_ms;
}

void
rendezvous_join(struct rendezvous *r, const struct rng *rng, struct now now)
{
	r->looks = LOOK_EAGER + rng_below(rng, LOOK_WHOLE);
	r->failures = 0;
	r->knock_at_ms = NEVER;
	r->seen = false;
	r->changed = true;
	r->look_at_ms = now.mono_ms + rng_below(rng, LOOK_ABSENT_MAX_MS);
	r->publish_at_ms = now.mono_ms + rng_below(rng, PUBLISH_EVERY_MS);
}

void
rendezvous_wait(struct rendezvous *r, uint32_t ms, struct now now)
{
	uint64_t at = now.mono_ms + ms;

	if (r->look_at_ms < at)
		r->look_at_ms = at;
	if (r->publish_at_ms < at)
		r->publish_at_ms = at;
}

/* Nodes may have a cell of the time that was claimed last. */
static bool
is_taken(const struct rendezvous *r)
{
	return r->stored > 0 || r->putting || !r->claimed;
}

/* A time hours ahead was claimed by a clock that was wrong. */
static bool
is_followed(const struct rendezvous *r, uint64_t now_s)
{
	return r->claimed_s + 60 <= now_s + PUBLISH_BACK_MAX_S;
}

/* Whether the next put would tell a time too far ahead. */
static bool
is_ahead(const struct rendezvous *r, uint64_t now_s)
{
	return is_taken(r) && is_followed(r, now_s) &&
	       r->claimed_s + 60 > now_s + PUBLISH_AHEAD_S;
}

void
rendezvous_changed(struct rendezvous *r, struct now now)
{
	uint64_t at = now.mono_ms;

	r->changed = true;
	if (is_ahead(r, now.wall_ms / 1000) &&
	    at < r->published_ms + PUBLISH_GAP_MS)
		at = r->published_ms + PUBLISH_GAP_MS;
	r->publish_at_ms = at;
}

void
rendezvous_elsewhere(struct rendezvous *r, struct now now)
{
	r->stored = 0;
	if (r->publish_at_ms != NEVER)
		r->publish_at_ms = now.mono_ms;
}

void
rendezvous_looking(struct rendezvous *r, const struct rng *rng, struct now now)
{
	uint64_t max_ms = r->seen ? LOOK_MAX_MS : LOOK_ABSENT_MAX_MS;
	uint64_t wait = backoff(LOOK_FIRST_MS, r->looks, max_ms);

	r->looks++;
	r->looked_ms = now.mono_ms;
	r->look_at_ms =
	    now.mono_ms + rng_jitter(rng, wait, LOOK_JITTER_PERCENT);
	assert(r->look_at_ms > now.mono_ms);
}

void
rendezvous_knocked(struct rendezvous *r, struct now now)
{
	if (r->looks > LOOK_EAGER)
		r->knock_at_ms = NEVER;
	else if (r->knock_at_ms == NEVER || r->knock_at_ms <= now.mono_ms)
		r->knock_at_ms = now.mono_ms + KNOCK_EVERY_MS;
}

bool
rendezvous_is_glance(const struct rendezvous *r)
{
	return r->looks > LOOK_EAGER && r->looks % LOOK_WHOLE != 0;
}

bool
rendezvous_looks_outside(const struct rendezvous *r)
{
	return !rendezvous_is_glance(r) || r->looks % 2 == 0;
}

uint32_t
rendezvous_turn(const struct rendezvous *r)
{
	if (r->looks <= LOOK_EAGER)
		return 0;
	if (rendezvous_is_glance(r))
		return r->looks;
	return LOOK_EAGER + r->looks / LOOK_WHOLE;
}

bool
rendezvous_is_renewal(const struct rendezvous *r)
{
	return r->stored > 0 && r->once && !r->changed;
}

bool
rendezvous_is_same(const struct rendezvous *r)
{
	return r->twice && rendezvous_is_renewal(r);
}

void
rendezvous_publishing(struct rendezvous *r, struct now now)
{
	r->published_ms = now.mono_ms;
	r->changed = false;
	r->putting = true;
	/* The end of the put sets the next one; this is for lost ends. */
	r->publish_at_ms = now.mono_ms + PUBLISH_GAP_MS;
}

void
rendezvous_pass(struct rendezvous *r, uint64_t at_s, struct now now)
{
	uint64_t at = now.mono_ms;

	if (r->publish_at_ms == NEVER ||
	    at_s + 60 > now.wall_ms / 1000 + PUBLISH_BACK_MAX_S)
		return;
	/* A contact knows the key, too: it must not keep us busy. */
	if (r->passed_ms != 0 && at < r->passed_ms + PUBLISH_GAP_MS)
		at = r->passed_ms + PUBLISH_GAP_MS;
	r->passed_ms = now.mono_ms;
	if (r->claimed_s < at_s || !is_followed(r, now.wall_ms / 1000))
		r->claimed_s = at_s;
	r->claimed = false;
	r->changed = true;
	r->publish_at_ms = at;
}

uint64_t
rendezvous_claim_s(struct rendezvous *r, uint64_t now_s)
{
	uint64_t least_s = r->claimed_s + (is_taken(r) ? 60 : 0);

	if (r->claimed_s > 0 && now_s < least_s && is_followed(r, now_s))
		now_s = least_s;
	r->claimed = true;
	r->claimed_s = now_s;
	return now_s;
}

void
rendezvous_published(
    struct rendezvous *r, const struct rng *rng, size_t stored, struct now now)
{
	uint64_t wait = PUBLISH_EVERY_MS + rng_below(rng, PUBLISH_JITTER_MS);

	r->stored = stored;
	r->putting = false;
	if (r->publish_at_ms == NEVER)
		return; /* a session came up meanwhile */
	if (stored == 0) {
		wait = rng_jitter(rng,
		    backoff(PUBLISH_RETRY_MS, r->failures++, LOOK_MAX_MS),
		    LOOK_JITTER_PERCENT);
	} else {
		r->failures = 0;
		/*
		 * The first put of a run is repeated a minute later: a run
		 * before it, ended in the same minute, used the same seq, and
		 * nodes keep the value that they have.
		 */
		if (!r->once)
			wait = PUBLISH_GAP_MS + rng_below(rng, PUBLISH_GAP_MS);
		r->twice = r->once;
		r->once = true;
		if (r->changed) /* while it was being put */
			wait = PUBLISH_GAP_MS;
	}
	r->publish_at_ms = now.mono_ms + wait;
}

uint64_t
rendezvous_deadline_ms(const struct rendezvous *r)
{
	uint64_t at =
	    r->look_at_ms < r->publish_at_ms ? r->look_at_ms : r->publish_at_ms;

	return at < r->knock_at_ms ? at : r->knock_at_ms;
}
