/* What goes wrong in a story, and when. */
#include "tests/sim/scenario.h"

#include <string.h>

enum { FIRST_FAULT_MS = 8000, CRASH_LATEST_MS = 4000 };

static struct scenario *
story(struct sim *s)
{
	return (struct scenario *)s->user;
}

/* Everybody else, the crowd too, on the other side of the cut. */
static void
cut_off(struct sim *s, uint32_t who, bool is_one_way)
{
	for (uint32_t i = 0; i < s->n_nodes; i++) {
		if (i == who)
			continue;
		if (is_one_way)
			net_cut_one_way(&s->net, who, i);
		else
			net_cut(&s->net, who, i);
	}
}

static void
add_weather(struct sim *s, const struct fault *f)
{
	struct net_weather *w = &s->net.weather;

	switch (f->kind) {
	case FAULT_LOSS:
		w->loss = f->level;
		break;
	case FAULT_BURST:
		w->burst = f->level / 20 + 1;
		break;
	case FAULT_DUPLICATE:
		w->duplicate = f->level;
		break;
	case FAULT_REORDER:
		w->reorder = f->level;
		break;
	case FAULT_SLOW:
		w->slow = f->level / 6 + 1;
		break;
	case FAULT_CORRUPT:
		w->corrupt = f->level / 10 + 1;
		break;
	case FAULT_NARROW:
		w->datagram_max = 1252; /* a path of 1280 */
		break;
	case FAULT_PARTITION:
		cut_off(s, f->who, false);
		break;
	case FAULT_ONE_WAY:
		cut_off(s, f->who, true);
		break;
	case FAULT_MOVE:
	case FAULT_CRASH:
	case FAULT_DISK:
	case FAULT_CLOCK:
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

static void
begin(struct sim *s, const struct sim_event *e)
{
	struct fault *f = &story(s)->faults[e->arg];

	f->active = true;
	if (f->kind == FAULT_SLEEP)
		sim_sleep(s, f->who, f->to_ms - s->now_ms);
	sim_trace(
	    s, "fault %d begins, p%u, %u", (int)f->kind, f->who, f->level);
	set_weather(s);
}

static void
end(struct sim *s, const struct sim_event *e)
{
	struct fault *f = &story(s)->faults[e->arg];

	f->active = false;
	sim_trace(s, "fault %d ends", (int)f->kind);
	set_weather(s);
}

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

static void
strike(struct sim *s, const struct sim_event *e)
{
	const struct fault *f = &story(s)->faults[e->arg];
	struct sim_node *n = &s->nodes[f->who];

	sim_trace(
	    s, "fault %d strikes p%u, %u", (int)f->kind, f->who, f->level);
	if (f->kind == FAULT_MOVE)
		sim_move(s, f->who, !s->net.hosts[f->who].router);
	else if (f->kind == FAULT_DISK)
		n->fail_commit_in = 1 + f->level % 10;
	else if (f->kind == FAULT_CLOCK)
		n->wall_offset_ms +=
		    ((int64_t)f->level - 175) * 20 * 1000; /* +- 50 min */
	else
		crash(s, f);
}

static bool
is_moment(enum fault_kind kind)
{
	return kind == FAULT_MOVE || kind == FAULT_CRASH ||
	       kind == FAULT_DISK || kind == FAULT_CLOCK;
}

static void
plan_fault(struct scenario *sc, enum fault_kind kind)
{
	uint32_t span_ms = (uint32_t)(sc->quiet_ms - FIRST_FAULT_MS);
	struct fault *f = &sc->faults[sc->n_faults];

	if (sc->n_faults == SCENARIO_FAULTS_MAX)
		return;
	f->kind = kind;
	f->who = dice_below(&sc->dice, sc->s->cfg.n_people);
	if (kind == FAULT_CRASH && dice_chance(&sc->dice, 200))
		f->who = dice_below(&sc->dice, sc->s->n_nodes);
	f->level = dice_range(&sc->dice, 50, 300);
	f->from_ms = FIRST_FAULT_MS + dice_below(&sc->dice, span_ms);
	f->to_ms = f->from_ms;
	if (is_moment(kind)) {
		/* A crash that waits for its boundary is over in time. */
		if (f->to_ms + 2 * CRASH_LATEST_MS > sc->quiet_ms)
			f->to_ms = f->from_ms = FIRST_FAULT_MS;
		sim_at(sc->s, f->from_ms, strike, 0, 0, sc->n_faults++);
		return;
	}
	f->to_ms +=
	    1000 + dice_below(&sc->dice, (uint32_t)(sc->quiet_ms - f->from_ms));
	if (f->to_ms > sc->quiet_ms)
		f->to_ms = sc->quiet_ms;
	sim_at(sc->s, f->from_ms, begin, 0, 0, sc->n_faults);
	sim_at(sc->s, f->to_ms, end, 0, 0, sc->n_faults++);
}

static void
attack(struct sim *s, const struct sim_event *e)
{
	const struct scenario *sc = story(s);

	sim_attack(s);
	sim_at(s, s->now_ms + sc->attack_every_ms, attack, e->who, 0, 0);
}

/* Three of ten seeds have three to six kinds, the others up to two. */
void
scenario_plan_faults(struct scenario *sc)
{
	uint32_t kinds = dice_chance(&sc->dice, 300)
	                     ? dice_range(&sc->dice, 3, 6)
	                     : dice_below(&sc->dice, 3);

	sc->n_kinds = kinds;
	for (uint32_t i = 0; i < kinds; i++) {
		enum fault_kind kind =
		    (enum fault_kind)dice_below(&sc->dice, FAULT_KINDS);
		uint32_t times =
		    is_moment(kind) ? dice_range(&sc->dice, 1, 5) : 1;

		for (uint32_t k = 0; k < times; k++)
			plan_fault(sc, kind);
	}
	if (dice_chance(&sc->dice, 500)) {
		sc->s->tape_on = true;
		sc->attack_every_ms = dice_range(&sc->dice, 20, 500);
		sim_at(sc->s, FIRST_FAULT_MS, attack, 0, 0, 0);
	}
}
