/*
 * When to leave one's own cell for a contact and when to look for his. Pure
 * schedule; the node carries it out. [SPEC §4.2]
 */
#ifndef PROTO_CHAT_RENDEZVOUS_H
#define PROTO_CHAT_RENDEZVOUS_H

#include "proto/base/env.h"

#include <stdbool.h>
#include <stddef.h>

enum {
	/* Two people who add each other meet at once, so the first minute of
	 * looking is dense; then it doubles up to a quarter of an hour, and
	 * to half an hour where there is no cell: nodes forget after 2 h, so
	 * that one has been away for longer. Coming back, it finds our cell. */
	LOOK_FIRST_MS = 250,
	LOOK_MAX_MS = 15 * 60 * 1000,
	LOOK_ABSENT_MAX_MS = 30 * 60 * 1000,
	LOOK_JITTER_PERCENT = 20,
	LOOK_PLAIN = 4,  /* so many leave the second place out */
	LOOK_EAGER = 12, /* so many are whole; then only */
	LOOK_WHOLE = 12, /* each so manieth, the others are glances */
	/* While looks are eager their distances grow to minutes; whoever has
	 * something to say knocks so often. [SPEC §4.3] */
	KNOCK_EVERY_MS = 62 * 1000,
	PUBLISH_EVERY_MS = 55 * 60 * 1000, /* nodes forget after 2 h */
	/* Two of them, where two DHTs take turns, end before the 2 h do. */
	PUBLISH_JITTER_MS = 240 * 1000,
	PUBLISH_GAP_MS = 61 * 1000, /* seq counts minutes: one put each ... */
	/* ... but what has changed does not wait while the time that the next
	 * one must tell is not further ahead of the clock. */
	PUBLISH_AHEAD_S = 120,
	PUBLISH_RETRY_MS = 1000, /* nobody took it: doubles like a look */
	/* Many contacts at once begin within so long for each of them: who
	 * stores for several does not see them in one moment. */
	LOOK_SPREAD_MS = 20,
	/* A clock set back by less is not followed: seq must rise. */
	PUBLISH_BACK_MAX_S = 7200,
};

struct rendezvous {
	uint64_t look_at_ms, publish_at_ms; /* monotonic; NEVER = not */
	uint64_t knock_at_ms;
	uint64_t looked_ms, published_ms; /* when last; 0 = never */
	uint64_t passed_ms;               /* likewise */
	/* Unix time in the last put, also of an earlier run; 0: none. */
	uint64_t claimed_s;
	bool claimed;             /* in this run */
	bool putting;             /* a put is under way */
	uint32_t looks, failures; /* since the reset; puts in a row */
	size_t stored;            /* nodes that took the last put */
	bool seen;                /* the last look found a cell */
	bool changed;             /* since the last put began */
	/* The first put of a run is made, and repeated a minute later. */
	bool once, twice;
};

/* Asleep: a session is up. */
void rendezvous_stop(struct rendezvous *r);
/* Begins (again) to look, after a random part of spread_ms; publishes at that
 * time, or as soon as a put may differ. */
void rendezvous_start(struct rendezvous *r, const struct rng *rng,
    uint32_t spread_ms, struct now now);
/* The same for somebody who has been looked for in vain for long: anywhere in
 * the rhythm of those. */
void
rendezvous_join(struct rendezvous *r, const struct rng *rng, struct now now);
/* Neither of it before so long from now. */
void rendezvous_wait(struct rendezvous *r, uint32_t ms, struct now now);
/* What we would publish has changed. */
void rendezvous_changed(struct rendezvous *r, struct now now);
/* The next put goes to another place: no gap is due. */
void rendezvous_elsewhere(struct rendezvous *r, struct now now);
/* A look begins or is put off for want of a free lookup. */
void
rendezvous_looking(struct rendezvous *r, const struct rng *rng, struct now now);
/* Known addresses were tried, by a look or since one was due. */
void rendezvous_knocked(struct rendezvous *r, struct now now);
/* May the look that has begun be a glance: the likeliest place only? */
bool rendezvous_is_glance(const struct rendezvous *r);
/* Where the first carrier has nothing, does it go on to the other one? Of
 * glances every other one. */
bool rendezvous_looks_outside(const struct rendezvous *r);
/* Where two carriers take turns: the how manieth of its kind the look is, 0 as
 * long as both are looked in each time. */
uint32_t rendezvous_turn(const struct rendezvous *r);
/* Is the put that is due only a renewal of what is there? */
bool rendezvous_is_renewal(const struct rendezvous *r);
/* May it be the very cell that is there, with the time that it claims? */
bool rendezvous_is_same(const struct rendezvous *r);
void rendezvous_publishing(struct rendezvous *r, struct now now);
/* There is a cell of ours of that time, which the last put did not replace: the
 * next one tells a later time. */
void rendezvous_pass(struct rendezvous *r, uint64_t at_s, struct now now);
/* The Unix time to put into a cell now: never one that nodes would take for
 * old, although the clock was set back. */
uint64_t rendezvous_claim_s(struct rendezvous *r, uint64_t now_s);
/* A put ended: `stored` nodes took it. */
void rendezvous_published(
    struct rendezvous *r, const struct rng *rng, size_t stored, struct now now);
uint64_t rendezvous_deadline_ms(const struct rendezvous *r);

#endif /* PROTO_CHAT_RENDEZVOUS_H */
