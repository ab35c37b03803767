/* Who does harm in a story, when and how often. */
#include "tests/sim/scenario.h"

enum {
	FIRST_MS = 8000,
	TAPE_SHARE = 500, /* of a thousand stories */
	THIEF_SHARE = 200,
	FLOOD_SHARE = 100,
	LIAR_SHARE = 250,
	LIES_MAX = 100, /* in a thousand packets */
	FLOOD_MAX_MS = 20000,
};

const char *
villain_name(enum villain v)
{
	static const char *const names[VILLAINS] = { "replayer",
		"thief of a key", "flooder", "hostile contact" };

	return names[v];
}

static struct scenario *
story(struct sim *s)
{
	return (struct scenario *)s->user;
}

static void
again(struct sim *s, const struct sim_event *e, uint64_t until_ms)
{
	if (s->now_ms < until_ms)
		sim_at(s, s->now_ms + e->arg, e->run, e->who, 0, e->arg);
}

static void
replay(struct sim *s, const struct sim_event *e)
{
	s->n_attacks++;
	sim_attack(s);
	again(s, e, story(s)->quiet_ms);
}

static void
steal(struct sim *s, const struct sim_event *e)
{
	sim_thief_call(s, e->who);
	again(s, e, story(s)->quiet_ms);
}

static void
flood(struct sim *s, const struct sim_event *e)
{
	sim_flood(s, e->who);
	again(s, e, story(s)->flood_until_ms);
}

/* Never one of the two who must meet. Here and below, one draw a statement:
 * compilers differ in the order of arguments. */
static void
plan_liar(struct scenario *sc)
{
	uint32_t n = sc->s->cfg.n_people;
	uint32_t who;

	if (n <= 2 || !dice_chance(&sc->dice, LIAR_SHARE))
		return;
	who = dice_range(&sc->dice, 2, n - 1);
	sim_lie(sc->s, who, dice_range(&sc->dice, 1, LIES_MAX));
}

static void
plan_flood(struct scenario *sc)
{
	uint64_t at_ms = FIRST_MS + dice_below(&sc->dice, 20000);
	uint32_t whom = dice_below(&sc->dice, sc->s->cfg.n_people);

	sc->flood_until_ms = at_ms + dice_below(&sc->dice, FLOOD_MAX_MS);
	if (sc->flood_until_ms > sc->quiet_ms)
		sc->flood_until_ms = sc->quiet_ms;
	sim_at(sc->s, at_ms, flood, whom, 0, dice_range(&sc->dice, 30, 500));
}

void
scenario_plan_villains(struct scenario *sc)
{
	struct dice *d = &sc->dice;
	uint32_t whom;

	if (dice_chance(d, TAPE_SHARE)) {
		sc->s->tape_on = true;
		sim_at(sc->s, FIRST_MS, replay, 0, 0, dice_range(d, 20, 500));
	}
	if (dice_chance(d, THIEF_SHARE)) {
		whom = dice_below(d, sc->s->cfg.n_people);
		sim_at(
		    sc->s, FIRST_MS, steal, whom, 0, dice_range(d, 200, 5000));
	}
	if (dice_chance(d, FLOOD_SHARE))
		plan_flood(sc);
	plan_liar(sc);
}

void
scenario_count_acts(const struct scenario *sc, uint64_t ret[VILLAINS])
{
	const struct sim *s = sc->s;

	ret[VILLAIN_REPLAYER] = s->n_attacks;
	ret[VILLAIN_THIEF] = s->thief.acts;
	ret[VILLAIN_FLOODER] = s->flood.acts;
	ret[VILLAIN_LIAR] = 0;
	for (uint32_t i = 0; i < s->cfg.n_people; i++)
		ret[VILLAIN_LIAR] += s->nodes[i].liar.n_lies;
}
