#include "tests/sim/scenario.h"

#include <stdio.h>
#include <string.h>

enum {
	DICE_STORY = 1 << 22,
	DICE_SECOND = (1 << 22) + 1, /* thoughts */
	AGAIN_MS = 500,              /* a user tries again */
	SETTLE_LOOK_MS = 30000,      /* a trace shows the contacts then */
};

static struct scenario *
story(struct sim *s)
{
	return (struct scenario *)s->user;
}

/* ---- what people do: until it is durable ---- */

static void
finish(struct sim *s, const struct sim_event *e, bool is_done)
{
	if (is_done)
		story(s)->n_open--;
	else
		sim_at(
		    s, s->now_ms + AGAIN_MS, e->run, e->who, e->whom, e->arg);
}

static void
want(struct scenario *sc, uint64_t at_ms,
    void (*run)(struct sim *s, const struct sim_event *e), uint32_t who,
    uint32_t whom, uint32_t arg)
{
	sc->n_open++;
	sim_at(sc->s, at_ms, run, who, whom, arg);
}

static void
do_start(struct sim *s, const struct sim_event *e)
{
	sim_start(s, e->who);
	finish(s, e, true);
}

static void
do_add(struct sim *s, const struct sim_event *e)
{
	finish(s, e, sim_add(s, e->who, e->whom));
}

/* Adds again who was deleted. */
static void
do_return(struct sim *s, const struct sim_event *e)
{
	finish(s, e, sim_add(s, e->who, e->whom));
}

/* Gives up if the contact will not be there: an invitation that another one
 * used, a contact that was deleted. */
static void
do_write(struct sim *s, const struct sim_event *e)
{
	bool is_hopeless =
	    s->check.deleted[e->who][e->whom] ||
	    (s->now_ms > story(s)->quiet_ms &&
	        (!s->check.known[e->who][e->whom] || s->check.lies[e->who]));

	finish(s, e, is_hopeless || sim_write(s, e->who, e->whom, e->arg));
}

static void
do_cancel(struct sim *s, const struct sim_event *e)
{
	finish(s, e, sim_cancel(s, e->who, e->whom));
}

static void
do_retry(struct sim *s, const struct sim_event *e)
{
	finish(s, e, sim_retry(s, e->who, e->whom));
}

/* Who is away has room when it comes back. */
static void
do_room(struct sim *s, const struct sim_event *e)
{
	(void)sim_room(s, e->who, e->arg != 0);
	finish(s, e, true);
}

static void
do_delete(struct sim *s, const struct sim_event *e)
{
	finish(s, e, sim_delete(s, e->who, e->whom));
}

static void
do_invite(struct sim *s, const struct sim_event *e)
{
	struct scenario *sc = story(s);
	bool is_done = sim_invite(s, e->who, 86400);

	if (is_done) {
		sc->made[e->arg] = s->n_invites - 1;
		sc->is_made[e->arg] = true;
	}
	finish(s, e, is_done);
}

/* A clock of either side was wrong by more than it lives. */
static bool
is_expired(const struct scenario *sc, uint32_t slot)
{
	const struct sim *s = sc->s;
	uint32_t made = sc->made[slot];
	const struct disk_invite *v;

	if (!sc->is_made[slot] || !(sc->kinds >> FAULT_CLOCK & 1))
		return false;
	v = disk_invite(
	    &s->nodes[sc->owner[slot]].disk, &s->invites[made].invite.id);
	return s->invites[made].expired || (v->gone && !v->used);
}

static void
do_accept(struct sim *s, const struct sim_event *e)
{
	const struct scenario *sc = story(s);
	bool is_done =
	    sc->is_made[e->arg] && sim_accept(s, e->who, sc->made[e->arg]);

	finish(s, e,
	    is_done || (s->now_ms > sc->quiet_ms && is_expired(sc, e->arg)));
}

/* Comes too late if somebody has used it. */
static void
do_revoke(struct sim *s, const struct sim_event *e)
{
	struct scenario *sc = story(s);
	const struct disk_invite *v;
	bool is_done = false;

	if (sc->is_made[e->arg]) {
		uint32_t made = sc->made[e->arg];

		v = disk_invite(
		    &s->nodes[e->who].disk, &s->invites[made].invite.id);
		sc->is_revoked[e->arg] |= !v->used;
		is_done = v->used || sim_revoke(s, made);
	}
	finish(s, e, is_done);
}

/* ---- the plan ---- */

static uint32_t
any_length(struct dice *d)
{
	if (dice_chance(d, 10))
		return dice_range(d, 16, NODE_TEXT_MAX);
	if (dice_chance(d, 80))
		return dice_range(d, 200, 5000);
	return dice_range(d, 16, 200);
}

static void
plan_writing(struct scenario *sc, uint32_t who, uint32_t whom)
{
	uint32_t n = dice_below(&sc->dice, 12);
	uint32_t burst = 0;
	uint64_t at_ms = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (burst == 0) {
			at_ms = 3000 +
			        dice_below(&sc->dice, (uint32_t)sc->quiet_ms);
			if (dice_chance(&sc->dice, 100))
				n += burst = dice_range(&sc->dice, 5, 40);
		} else {
			burst--;
		}
		want(sc, at_ms, do_write, who, whom, any_length(&sc->dice));
	}
	want(sc, sc->quiet_ms + 100, do_write, who, whom, 32);
}

static uint64_t
soon(struct scenario *sc)
{
	if (dice_chance(&sc->dice, 200))
		return 3000 + dice_below(&sc->dice, (uint32_t)sc->quiet_ms);
	return 1000 + dice_below(&sc->dice, 8000);
}

/* a deletes b, and half of them think better of it. */
static void
plan_parting(struct scenario *sc, uint64_t met_ms, uint32_t a, uint32_t b)
{
	uint64_t at_ms = met_ms + dice_below(&sc->dice, 60000);

	want(sc, at_ms, do_delete, a, b, 0);
	if (dice_chance(&sc->dice, 500))
		want(sc, at_ms + dice_range(&sc->dice, 1000, 30000), do_return,
		    a, b, 0);
}

static void
plan_mutual(struct scenario *sc, uint32_t a, uint32_t b)
{
	uint64_t at_ms = soon(sc);

	sc->relation[a][b] = RELATION_MUTUAL;
	want(sc, at_ms, do_add, a, b, 0);
	want(sc, soon(sc), do_add, b, a, 0);
	plan_writing(sc, a, b);
	plan_writing(sc, b, a);
	if (dice_chance(&sc->dice, 100))
		plan_parting(sc, at_ms, a, b);
}

static void
plan_chance(struct scenario *sc, uint32_t slot, uint32_t who)
{
	if (sc->n_chances == SCENARIO_CHANCES_MAX)
		return;
	sc->chances[sc->n_chances++] = (struct chance){ slot, who };
	want(sc, soon(sc), do_accept, who, sc->owner[slot], slot);
	plan_writing(sc, who, sc->owner[slot]);
	plan_writing(sc, sc->owner[slot], who);
}

static void
plan_invite(struct scenario *sc, uint32_t a, uint32_t b)
{
	uint32_t slot = sc->n_invites;

	if (slot == SIM_INVITES_MAX)
		return;
	sc->n_invites++;
	sc->relation[a][b] = RELATION_INVITE;
	sc->owner[slot] = a;
	want(sc, soon(sc), do_invite, a, 0, slot);
	plan_chance(sc, slot, b);
	if (dice_chance(&sc->dice, 150))
		want(sc, soon(sc), do_revoke, a, 0, slot);
	for (uint32_t c = 0; c < sc->s->cfg.n_people; c++)
		if (c != a && c != b && sc->relation[a][c] == RELATION_NONE &&
		    sc->relation[c][a] == RELATION_NONE &&
		    dice_chance(&sc->dice, 150)) {
			sc->relation[a][c] = RELATION_INVITE;
			plan_chance(sc, slot, c);
		}
}

static void
plan_pair(struct scenario *sc, uint32_t a, uint32_t b)
{
	uint32_t which = dice_below(&sc->dice, 100);

	if (sc->relation[a][b] != RELATION_NONE ||
	    sc->relation[b][a] != RELATION_NONE)
		return;
	if (b == 1)
		which %= 70; /* at least one pair meets */
	if (which < 50) {
		plan_mutual(sc, a, b);
	} else if (which < 70) {
		plan_invite(sc, a, b);
	} else if (which < 80) {
		sc->relation[b][a] = RELATION_ONE_SIDED;
		want(sc, soon(sc), do_add, b, a, 0);
		plan_writing(sc, b, a);
	}
}

/* What was written is taken back, if it is still here; some of it is sent all
 * the same. */
static void
plan_second_thoughts(struct scenario *sc, uint32_t who, uint32_t whom)
{
	struct dice *d = &sc->second;
	uint32_t n = dice_chance(d, 500) ? dice_below(d, 12) : 0;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t at_ms = 3000 + dice_below(d, (uint32_t)sc->quiet_ms);

		want(sc, at_ms, do_cancel, who, whom, 0);
		if (dice_chance(d, 300))
			want(sc, at_ms + dice_below(d, 20000), do_retry, who,
			    whom, 0);
	}
}

static void
plan_no_room(struct scenario *sc, uint32_t who)
{
	uint64_t at_ms = dice_below(&sc->dice, (uint32_t)sc->quiet_ms);

	want(sc, at_ms, do_room, who, 0, false);
	want(sc, sc->quiet_ms, do_room, who, 0, true);
}

static bool
is_inviter(const struct scenario *sc, uint32_t who)
{
	for (uint32_t i = 0; i < sc->n_invites; i++)
		if (sc->owner[i] == who)
			return true;
	return false;
}

/* Easy to pass, all of them. [RFC 4787 §4] Who invites is knocked at by people
 * whom it does not know, and lets them in. */
void
scenario_choose_router(struct scenario *sc, uint32_t who)
{
	static const enum router_ports ports[] = { PORTS_PRESERVE,
		PORTS_PRESERVE, PORTS_SEQUENTIAL, PORTS_RANDOM };
	struct router_config cfg = { 0 };

	cfg.filtering = (enum router_depends)dice_below(&sc->dice, 3);
	if (is_inviter(sc, who))
		cfg.filtering = DEPENDS_NOT;
	cfg.ports = ports[dice_below(&sc->dice, 4)];
	cfg.hops = (uint8_t)dice_range(&sc->dice, 1, 4);
	net_router(&sc->s->net, who, &cfg);
}

void
scenario_plan_people(struct scenario *sc)
{
	struct sim *s = sc->s;

	for (uint32_t i = 0; i < s->n_nodes; i++) {
		struct sim_node *n = &s->nodes[i];

		n->owner =
		    dice_chance(&sc->dice, 300) ? OWNER_STEP : OWNER_BATCH;
		if (n->is_person && dice_chance(&sc->dice, 300))
			n->wall_offset_ms =
			    (int64_t)dice_below(&sc->dice, 1200000) - 600000;
		want(sc, dice_below(&sc->dice, n->is_person ? 3000 : 1000),
		    do_start, i, 0, 0);
	}
	for (uint32_t b = 1; b < s->cfg.n_people; b++)
		for (uint32_t a = 0; a < b; a++)
			plan_pair(sc, a, b);
	for (uint32_t i = 0; i < s->cfg.n_people; i++)
		if (dice_chance(&sc->dice, 300))
			scenario_choose_router(sc, i);
	for (uint32_t i = 0; i < s->cfg.n_people; i++)
		if (dice_chance(&sc->dice, 150))
			plan_no_room(sc, i);
	for (uint32_t a = 0; a < s->cfg.n_people; a++)
		for (uint32_t b = 0; b < s->cfg.n_people; b++)
			if (a != b)
				plan_second_thoughts(sc, a, b);
}

/* ---- the end ---- */

static bool
are_ready(const struct check *c, uint32_t a, uint32_t b)
{
	return c->ready[a][b] && c->ready[b][a];
}

static bool
is_deleted(const struct check *c, uint32_t a, uint32_t b)
{
	return c->deleted[a][b] || c->deleted[b][a];
}

/* They should be contacts in the end, and are not. */
static bool
is_apart(const struct scenario *sc, uint32_t a, uint32_t b)
{
	const struct check *c = &sc->s->check;

	return sc->relation[a][b] == RELATION_MUTUAL && !are_ready(c, a, b) &&
	       !is_deleted(c, a, b) && !check_is_spoiled(c, a, b);
}

/* Whether one of those who accepted this invitation became a contact. */
static bool
is_used(const struct scenario *sc, uint32_t slot)
{
	const struct check *c = &sc->s->check;

	for (uint32_t i = 0; i < sc->n_chances; i++)
		if (sc->chances[i].slot == slot &&
		    are_ready(c, sc->owner[slot], sc->chances[i].who))
			return true;
	return false;
}

/* An invitation that should have brought a contact. */
static bool
is_in_vain(const struct scenario *sc, uint32_t slot)
{
	const struct check *c = &sc->s->check;

	if (sc->is_revoked[slot] || is_used(sc, slot) || is_expired(sc, slot))
		return false;
	for (uint32_t i = 0; i < sc->n_chances; i++)
		if (sc->chances[i].slot == slot &&
		    check_is_spoiled(c, sc->owner[slot], sc->chances[i].who))
			return false;
	return true;
}

bool
scenario_is_settled(const struct scenario *sc)
{
	const struct check *c = &sc->s->check;

	if (sc->s->now_ms < sc->quiet_ms || sc->n_open > 0 ||
	    check_missing(c) > 0)
		return false;
	for (uint32_t a = 0; a < c->n_people; a++)
		for (uint32_t b = 0; b < c->n_people; b++)
			if (is_apart(sc, a, b))
				return false;
	for (uint32_t i = 0; i < sc->n_invites; i++)
		if (is_in_vain(sc, i))
			return false;
	return true;
}

static bool
is_over(struct sim *s)
{
	return scenario_is_settled(story(s));
}

/* Of those who accepted one invitation, one at most is a contact. */
static void
check_invites(const struct scenario *sc)
{
	struct check *c = &sc->s->check;

	for (uint32_t slot = 0; slot < sc->n_invites; slot++) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < sc->n_chances; i++)
			n += sc->chances[i].slot == slot &&
			     c->known[sc->owner[slot]][sc->chances[i].who];
		if (n > 1)
			check_fail(c, "an invitation of p%u made %u contacts",
			    sc->owner[slot], n);
	}
}

static void
trace_why(const struct sim *s, uint32_t who, const struct contact_id *id)
{
	static const char *const kinds[WHY_KINDS] = { "look", "put", "knock",
		"down", "up" };
	uint64_t now_ms = sim_now(s, who).mono_ms;
	struct node_why w;

	if (!node_contact_why(s->nodes[who].node, id, &w))
		return;
	for (size_t i = 0; i < w.n_addresses; i++) {
		const struct endpoint *e = &w.address[i];
		uint32_t at = net_find(&s->net, e);

		sim_trace(s, "    %u.%u.%u.%u:%u, of p%d", e->addr[12],
		    e->addr[13], e->addr[14], e->addr[15], e->port,
		    at == NET_NOBODY ? -1 : (int)at);
	}
	for (size_t i = 0; i < w.n_steps; i++)
		sim_trace(s,
		    "    %s, %u times, %.1f s ago, %u asked, %u answered, "
		    "found %d, stored %u, tried %u",
		    kinds[w.step[i].kind], w.step[i].times,
		    (double)(now_ms - w.step[i].at_ms) / 1000, w.step[i].asked,
		    w.step[i].answered, w.step[i].found, w.step[i].stored,
		    w.step[i].n_tried);
}

/* What each node says of its contacts, for the trace. */
static void
trace_contacts(struct sim *s, const struct sim_event *e)
{
	(void)e;
	for (uint32_t a = 0; a < s->cfg.n_people; a++) {
		const struct disk *d = &s->nodes[a].disk;
		uint64_t now_ms = sim_now(s, a).mono_ms;
		struct node_contact_info i;

		for (size_t k = 0; s->nodes[a].node && k < d->n_contacts; k++) {
			const struct contact_id *id = &d->contacts[k].id;

			if (!node_contact_get(s->nodes[a].node, id, &i))
				continue;
			sim_trace(s,
			    "p%u has p%u: state %d online %d connecting %d "
			    "outbox %zu seen %d stored %zu, looked %.1f s ago",
			    a, check_who(&s->check, &i.id), (int)i.state,
			    i.online, i.connecting, i.outbox, i.cell_seen,
			    i.published_nodes,
			    (double)(now_ms - i.looked_up_ms) / 1000);
			if (!i.online)
				trace_why(s, a, id);
		}
	}
}

static void
explain(const struct scenario *sc)
{
	struct check *c = &sc->s->check;

	trace_contacts(sc->s, NULL);
	for (size_t i = 0; i < c->n_messages; i++) {
		const struct check_message *m = &c->messages[i];

		if (check_is_missing(c, m))
			check_fail(c,
			    "not delivered in time: p%u to p%u, seq %llu, %s",
			    m->from, m->to, (unsigned long long)m->seq,
			    m->received ? "received" : "not received");
	}
	for (uint32_t a = 0; a < c->n_people; a++)
		for (uint32_t b = 0; b < c->n_people; b++)
			if (is_apart(sc, a, b))
				check_fail(c,
				    "p%u and p%u did not meet in time", a, b);
	for (uint32_t i = 0; i < sc->n_invites; i++)
		if (is_in_vain(sc, i))
			check_fail(c, "nobody met p%u by the invitation",
			    sc->owner[i]);
	check_fail(c, "%u wishes stay open", sc->n_open);
}

static void
report(const struct scenario *sc, struct scenario_result *ret)
{
	const struct sim *s = sc->s;

	ret->passed = !s->check.failed;
	snprintf(ret->why, sizeof(ret->why), "at %.3f s: %s",
	    (double)s->now_ms / 1000, s->check.why);
	sim_digest(s, ret->digest);
	ret->virtual_ms = s->now_ms;
	ret->settle_ms =
	    s->now_ms > sc->quiet_ms ? s->now_ms - sc->quiet_ms : 0;
	ret->n_messages = s->check.n_received;
	ret->n_datagrams = s->net.n_sent;
	ret->n_cancelled = s->check.n_cancelled;
	ret->n_again = s->check.n_again;
	ret->n_crashes = s->n_crashes;
	ret->n_failed_commits = s->n_failed_commits;
	ret->n_people = s->cfg.n_people;
	ret->kinds = sc->kinds;
	ret->n_at_once = sc->n_at_once;
	scenario_count_strikes(sc, ret->strikes);
	scenario_count_acts(sc, ret->acts);
}

void
scenario_run(uint64_t seed, bool trace, struct scenario_result *ret)
{
	struct scenario sc = { 0 };
	struct sim_config cfg = { .seed = seed, .trace = trace };

	dice_init(&sc.dice, seed, DICE_STORY, 0);
	dice_init(&sc.second, seed, DICE_SECOND, 0);
	cfg.n_people = dice_range(&sc.dice, 2, 6);
	cfg.n_crowd = dice_range(&sc.dice, 8, 14);
	cfg.v6 = dice_chance(&sc.dice, 200);
	sc.s = sim_new(&cfg);
	sc.s->user = &sc;
	sc.quiet_ms = dice_range(&sc.dice, 30000, 180000);
	scenario_plan_people(&sc);
	scenario_plan_faults(&sc);
	scenario_plan_villains(&sc);
	if (trace)
		sim_at(sc.s, sc.quiet_ms + SETTLE_LOOK_MS, trace_contacts, 0, 0,
		    0);
	if (!sim_run(sc.s, sc.quiet_ms + SCENARIO_PATIENCE_MS, is_over) &&
	    !sc.s->check.failed)
		explain(&sc);
	check_invites(&sc);
	check_history(&sc.s->check);
	report(&sc, ret);
	sim_free(sc.s);
}
