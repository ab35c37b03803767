/* What goes wrong in a story, and when. */
#include "tests/sim/scenario.h"

#include <assert.h>
#include <string.h>

enum {
	FIRST_FAULT_MS = 8000,
	CRASH_LATEST_MS = 4000, /* if no boundary came until then */
	MOMENT_MS = 5000,       /* what strikes once is felt so long */
	LAST_MOMENT_MS = 16000, /* before the end: whoever fell is up again */
	LEVEL = 1000,
	TIMES_MAX = 5,
	SWIZZLED_MAX = 8,
	WRONG_CLOCK_MS = 20 * 60 * 1000, /* for good; more is set right */
	YEARS_10_S = 10 * 365 * 86400,
	DRIFT_PPM = 100000,
};

const char *
fault_name(enum fault_kind kind)
{
	static const char *const names[FAULT_KINDS] = { "loss",
		"bursts of loss", "duplication", "reordering", "delay",
		"corruption", "partition", "swizzle", "move", "narrow path",
		"crash", "clock", "disk", "memory", "sleep" };

	return names[kind];
}

static struct scenario *
story(struct sim *s)
{
	return (struct scenario *)s->user;
}

/* ---- the network ---- */

/* Which part of the net is cut from which, and how. */
enum cut {
	CUT_OFF = 0, /* one from all others */
	CUT_MUTE,    /* nobody hears it */
	CUT_DEAF,    /* it hears nobody */
	CUT_PAIR,    /* two people from each other */
	CUT_IN_TWO,  /* one half of the net from the other */
	CUTS,
};

static void
cut(struct sim *s, const struct fault *f)
{
	enum cut how = (enum cut)(f->level % CUTS);

	for (uint32_t i = 0; i < s->n_nodes; i++) {
		bool is_in = f->mask >> i & 1;

		if (i == f->who)
			continue;
		if (how == CUT_OFF || how == CUT_MUTE)
			net_cut_one_way(&s->net, f->who, i);
		if (how == CUT_OFF || how == CUT_DEAF)
			net_cut_one_way(&s->net, i, f->who);
		if (how == CUT_PAIR && i == f->whom)
			net_cut(&s->net, f->who, i);
		for (uint32_t k = 0; how == CUT_IN_TWO && k < s->n_nodes; k++)
			if (is_in != (f->mask >> k & 1))
				net_cut(&s->net, i, k);
	}
}

/* The host's line is dead; or what it carries comes out at the end. */
static void
choke(struct sim *s, const struct fault *f)
{
	struct net_host *h = &s->net.hosts[f->who];

	if (f->level % 2)
		h->held_until_ms = f->to_ms;
	else
		h->is_dead = true;
}

static void
add_weather(struct sim *s, const struct fault *f)
{
	struct net_weather *w = &s->net.weather;

	switch (f->kind) {
	case FAULT_LOSS:
		w->loss = f->level / 2 + 1;
		break;
	case FAULT_BURST:
		w->burst = f->level / 60 + 1;
		break;
	case FAULT_DUPLICATE:
		w->duplicate = f->level / 3 + 1;
		break;
	case FAULT_REORDER:
		w->reorder = f->level / 3 + 1;
		w->reorder_ms = f->level % 2 ? 100 : 1000;
		break;
	case FAULT_DELAY:
		if (f->level % 2)
			w->slow = f->level / 20 + 1;
		else
			w->jitter_ms = f->level * 10 + 1;
		break;
	case FAULT_CORRUPT:
		w->corrupt = f->level / 20 + 1;
		break;
	case FAULT_NARROW:
		w->datagram_max = 1252; /* a path of 1280 */
		break;
	case FAULT_PARTITION:
		cut(s, f);
		break;
	case FAULT_SWIZZLE:
		choke(s, f);
		break;
	case FAULT_MOVE:
	case FAULT_CRASH:
	case FAULT_CLOCK:
	case FAULT_DISK:
	case FAULT_MEMORY:
	case FAULT_SLEEP:
		break;
	}
}

static void
set_weather(struct sim *s)
{
	const struct scenario *sc = story(s);

	net_heal(&s->net);
	for (uint32_t i = 0; i < sc->n_faults; i++)
		if (sc->faults[i].active)
			add_weather(s, &sc->faults[i]);
}

/* Another port, another address, or another network with another router. */
static void
move(struct sim *s, const struct fault *f)
{
	bool is_hidden = s->net.hosts[f->who].router != NULL;
	bool is_told = !is_hidden || f->level % 4 == 0;

	if (is_told && f->level % 3 == 0)
		scenario_choose_router(story(s), f->who);
	sim_move(s, f->who, is_told);
}

/* ---- the nodes ---- */

/* If no boundary came until now, it crashes anyway. */
static void
crash_late(struct sim *s, const struct sim_event *e)
{
	struct sim_node *n = &s->nodes[e->who];

	if (n->node && n->crash_in > 0)
		sim_crash_for(s, e->who, n->down_ms);
}

static void
crash(struct sim *s, const struct fault *f)
{
	struct sim_node *n = &s->nodes[f->who];
	uint64_t latest_ms = s->now_ms + CRASH_LATEST_MS;

	if (!n->node)
		return;
	n->owner = f->level & 1 ? OWNER_STEP : OWNER_BATCH;
	n->crash_in = 1 + f->level % 40;
	n->down_ms = 10 * f->level;
	sim_at(s, latest_ms, crash_late, f->who, 0, 0);
}

/* Up to ten years off. More than minutes are set right at the end. */
static void
set_clock(struct sim *s, struct fault *f)
{
	static const int64_t powers[] = { 1, 10, 100, 1000, 10000, 100000,
		1000000, 10000000, 100000000 };
	struct sim_node *n = &s->nodes[f->who];
	int64_t by_s = powers[f->level / 10 % 9] * (f->level % 10 + 1);

	if (f->level % 4 == 0) {
		sim_drift(s, f->who,
		    (int32_t)(f->level * 2 * DRIFT_PPM / LEVEL) - DRIFT_PPM);
		return;
	}
	if (by_s > YEARS_10_S)
		by_s = YEARS_10_S;
	if (f->mask & 1)
		by_s = -by_s;
	n->wall_offset_ms += by_s * 1000;
	/* Also one that sets right what another did, as that is undone, too. */
	if (llabs(n->wall_offset_ms) > WRONG_CLOCK_MS ||
	    llabs(by_s * 1000) > WRONG_CLOCK_MS)
		f->wrong_ms = by_s * 1000;
	sim_trace(
	    s, "the clock of p%u jumps by %lld s", f->who, (long long)by_s);
}

static void
correct_clock(struct sim *s, const struct fault *f)
{
	sim_drift(s, f->who, 0);
	s->nodes[f->who].wall_offset_ms -= f->wrong_ms;
}

static void
break_disk(struct sim *s, const struct fault *f)
{
	struct sim_node *n = &s->nodes[f->who];

	if (f->level % 2)
		n->fail_commit_in = 1 + f->level % 10;
	else
		n->full_until_ms = f->to_ms;
}

/* Once, or from then on until the end. */
static void
take_memory(struct sim *s, const struct fault *f)
{
	struct memory *m = &s->nodes[f->who].memory;

	m->fail_in = 1 + (uint32_t)(f->mask % (1U << f->level / 2 % 10));
	m->is_out = f->level % 2;
}

static void
give_memory(struct sim *s, const struct fault *f)
{
	struct memory *m = &s->nodes[f->who].memory;

	m->fail_in = 0;
	m->is_out = false;
}

static void
strike(struct sim *s, struct fault *f)
{
	f->life = s->nodes[f->who].life;
	if (f->kind != FAULT_CRASH && sim_is_awake(s, f->who))
		story(s)->strikes[f->kind]++;
	switch (f->kind) {
	case FAULT_MOVE:
		move(s, f);
		break;
	case FAULT_CRASH:
		crash(s, f);
		break;
	case FAULT_CLOCK:
		set_clock(s, f);
		break;
	case FAULT_DISK:
		break_disk(s, f);
		break;
	case FAULT_MEMORY:
		take_memory(s, f);
		break;
	case FAULT_SLEEP:
		sim_sleep(s, f->who, f->to_ms - s->now_ms);
		break;
	case FAULT_LOSS:
	case FAULT_BURST:
	case FAULT_DUPLICATE:
	case FAULT_REORDER:
	case FAULT_DELAY:
	case FAULT_CORRUPT:
	case FAULT_PARTITION:
	case FAULT_SWIZZLE:
	case FAULT_NARROW:
		break;
	}
}

/* How many datagrams, commits, allocations or nodes met with each kind. */
void
scenario_count_strikes(const struct scenario *sc, uint64_t ret[FAULT_KINDS])
{
	const struct net_tally *t = &sc->s->net.tally;

	memcpy(ret, sc->strikes, sizeof(sc->strikes));
	ret[FAULT_LOSS] = t->lost;
	ret[FAULT_BURST] = t->silenced;
	ret[FAULT_DUPLICATE] = t->doubled;
	ret[FAULT_REORDER] = t->overtaken;
	ret[FAULT_DELAY] = t->late;
	ret[FAULT_CORRUPT] = t->damaged;
	ret[FAULT_PARTITION] = t->cut;
	ret[FAULT_SWIZZLE] = t->dead + t->held;
	ret[FAULT_NARROW] = t->too_large;
	ret[FAULT_DISK] = sc->s->n_failed_commits;
	ret[FAULT_MEMORY] = 0;
	for (uint32_t i = 0; i < sc->s->n_nodes; i++)
		ret[FAULT_MEMORY] += sc->s->nodes[i].memory.n_failed;
}

/* ---- begin and end ---- */

static void
count_at_once(struct scenario *sc)
{
	uint32_t kinds = 0;
	uint32_t n = 0;

	for (uint32_t i = 0; i < sc->n_faults; i++)
		if (sc->faults[i].active)
			kinds |= 1U << sc->faults[i].kind;
	for (; kinds; kinds &= kinds - 1)
		n++;
	if (n > sc->n_at_once)
		sc->n_at_once = n;
}

static void
begin(struct sim *s, const struct sim_event *e)
{
	struct fault *f = &story(s)->faults[e->arg];

	f->active = true;
	sim_trace(
	    s, "%s begins, node %u, %u", fault_name(f->kind), f->who, f->level);
	count_at_once(story(s));
	set_weather(s);
	strike(s, f);
}

static void
end(struct sim *s, const struct sim_event *e)
{
	struct fault *f = &story(s)->faults[e->arg];

	f->active = false;
	sim_trace(s, "%s ends", fault_name(f->kind));
	set_weather(s);
	if (f->kind == FAULT_CRASH &&
	    (!s->nodes[f->who].node || s->nodes[f->who].life != f->life))
		story(s)->strikes[FAULT_CRASH]++;
	else if (f->kind == FAULT_CLOCK)
		correct_clock(s, f);
	else if (f->kind == FAULT_MEMORY)
		give_memory(s, f);
}

/* ---- the plan ---- */

static bool
is_moment(const struct fault *f)
{
	switch (f->kind) {
	case FAULT_MOVE:
	case FAULT_CRASH:
		return true;
	case FAULT_DISK:
		return f->level % 2;
	case FAULT_LOSS:
	case FAULT_BURST:
	case FAULT_DUPLICATE:
	case FAULT_REORDER:
	case FAULT_DELAY:
	case FAULT_CORRUPT:
	case FAULT_PARTITION:
	case FAULT_SWIZZLE:
	case FAULT_NARROW:
	case FAULT_CLOCK:
	case FAULT_MEMORY:
	case FAULT_SLEEP:
		break;
	}
	return false;
}

/* Where all faults of a story meet, if they shall. */
struct storm {
	bool is_one;
	uint64_t at_ms;
};

static void
plan_times(struct scenario *sc, const struct storm *storm, struct fault *f)
{
	uint64_t last_ms = sc->quiet_ms - LAST_MOMENT_MS;
	uint32_t span_ms = (uint32_t)(last_ms - FIRST_FAULT_MS);

	f->from_ms = FIRST_FAULT_MS + dice_below(&sc->dice, span_ms);
	if (storm->is_one)
		f->from_ms = storm->at_ms - dice_below(&sc->dice, MOMENT_MS);
	if (is_moment(f)) {
		f->to_ms = f->from_ms + MOMENT_MS;
		return;
	}
	f->to_ms = f->from_ms + MOMENT_MS +
	           dice_below(&sc->dice, (uint32_t)(sc->quiet_ms - f->from_ms));
	if (f->to_ms > sc->quiet_ms)
		f->to_ms = sc->quiet_ms;
}

static void
add_fault(struct scenario *sc, const struct fault *f)
{
	if (sc->n_faults == SCENARIO_FAULTS_MAX)
		return;
	assert(f->from_ms < f->to_ms && f->to_ms <= sc->quiet_ms);
	sc->faults[sc->n_faults] = *f;
	sc->kinds |= 1U << f->kind;
	sim_at(sc->s, f->from_ms, begin, 0, 0, sc->n_faults);
	sim_at(sc->s, f->to_ms, end, 0, 0, sc->n_faults++);
}

/* Hosts of any sort lose their line one after the other, and get it back in
 * another order. */
static void
plan_swizzle(struct scenario *sc, const struct fault *first)
{
	uint32_t n = dice_range(&sc->dice, 2, SWIZZLED_MAX);
	uint32_t step_ms = dice_range(&sc->dice, 50, 1500);
	struct fault f = *first;

	for (uint32_t i = 0; i < n; i++) {
		f.who = dice_below(&sc->dice, sc->s->n_nodes);
		f.from_ms = first->from_ms + (uint64_t)i * step_ms;
		f.to_ms = first->to_ms - dice_below(&sc->dice, MOMENT_MS);
		if (f.from_ms < f.to_ms)
			add_fault(sc, &f);
	}
}

static void
plan_fault(struct scenario *sc, enum fault_kind kind, const struct storm *storm)
{
	struct fault f = { .kind = kind };

	f.who = dice_below(&sc->dice, sc->s->cfg.n_people);
	f.whom = dice_below(&sc->dice, sc->s->cfg.n_people);
	if ((kind == FAULT_CRASH || kind == FAULT_MEMORY) &&
	    dice_chance(&sc->dice, 200))
		f.who = dice_below(&sc->dice, sc->s->n_nodes);
	f.level = dice_below(&sc->dice, LEVEL);
	f.mask = dice_u64(&sc->dice);
	plan_times(sc, storm, &f);
	if (kind == FAULT_SWIZZLE)
		plan_swizzle(sc, &f);
	else
		add_fault(sc, &f);
}

/* So many kinds, each once or several times. */
static void
plan_kinds(struct scenario *sc, uint32_t n, const struct storm *storm)
{
	static const struct storm none;
	uint32_t chosen = 0;

	while (n > 0) {
		enum fault_kind kind =
		    (enum fault_kind)dice_below(&sc->dice, FAULT_KINDS);

		if (chosen >> kind & 1)
			continue;
		chosen |= 1U << kind;
		n--;
		plan_fault(sc, kind, storm);
		for (uint32_t k = dice_below(&sc->dice, TIMES_MAX); k > 0; k--)
			if (dice_chance(&sc->dice, 500))
				plan_fault(sc, kind, &none);
	}
}

/* In a good third of the seeds three to six kinds are at work at once, in the
 * others up to two. */
void
scenario_plan_faults(struct scenario *sc)
{
	uint32_t span_ms =
	    (uint32_t)(sc->quiet_ms - LAST_MOMENT_MS - FIRST_FAULT_MS);
	struct storm storm = { .is_one = dice_chance(&sc->dice, 360) };

	assert(span_ms > MOMENT_MS);
	storm.at_ms =
	    FIRST_FAULT_MS + dice_range(&sc->dice, MOMENT_MS, span_ms);
	plan_kinds(sc,
	    storm.is_one ? dice_range(&sc->dice, 3, 6)
	                 : dice_below(&sc->dice, 3),
	    &storm);
}
