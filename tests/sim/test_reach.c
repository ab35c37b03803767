/*
 * Two people behind routers of every kind reach each other, on virtual time:
 * the first words by an introducer, the session then by a direct path where
 * there can be one. One table a run; REACH_SEEDS=n takes n seeds a cell,
 * REACH_BAD=1 with loss and jitter, SIM_TRACE=1 prints what happens. Times are
 * those of tests/net/matrix.py: from the moment that the caller has read where
 * the other is, median and of nine in ten.
 */
#include "tests/sim/again.h"
#include "tests/sim/sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum {
	CROWD = 8,
	SEEDS = 1,
	SEEDS_LONG = 20,
	LINE_MS = 50, /* of each of the two, one way */
	TRIP_MS = 4 * LINE_MS,
	MARGIN_MS = 40,
	FIGURES_MAX = 1000,
	/* Strangers who come in count when the crowd is older than routers
	 * remember. */
	PEOPLE_MS = 330000,
	SETTLED_MS = 400000,    /* introducers are there, routers known */
	MEET_MS = 20000,        /* for a session */
	WORD_MS = 10000,        /* for a word by it */
	DIRECT_MS = 30000,      /* for a direct path */
	DIRECT_LONG_MS = 60000, /* where hundreds of packets are needed */
	BAD_LOSS = 50,          /* per mille */
	BAD_JITTER_MS = 20,
};

/* How a kind of router meets another. */
enum goal {
	DIRECT = 0, /* at once */
	MOSTLY,     /* direct in most tries, later */
	RELAYED,    /* by an introducer, for good */
};

static const struct kind {
	const char *name;
	bool is_open;
	struct router_config router;
} kinds[] = {
	{ "open", true, { 0 } },
	{ "full cone", false, { .hops = 2 } },
	{ "easy ADF", false, { .filtering = DEPENDS_ADDRESS, .hops = 2 } },
	{ "easy APDF", false, { .filtering = DEPENDS_PORT, .hops = 2 } },
	{ "linux", false,
	    { .filtering = DEPENDS_PORT, .takes_unasked = true, .hops = 2 } },
	{ "sequential", false,
	    { .mapping = DEPENDS_PORT,
	        .filtering = DEPENDS_PORT,
	        .ports = PORTS_SEQUENTIAL,
	        .hops = 2 } },
	{ "block", false,
	    { .mapping = DEPENDS_PORT,
	        .filtering = DEPENDS_PORT,
	        .ports = PORTS_RANDOM,
	        .lo = 20000,
	        .hi = 21023,
	        .hops = 3 } },
	{ "random", false,
	    { .mapping = DEPENDS_PORT,
	        .filtering = DEPENDS_PORT,
	        .ports = PORTS_RANDOM,
	        .hops = 2 } },
};

enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };
enum { OPEN, FULL, ADF, APDF, LINUX, SEQ, BLOCK, RANDOM };

static enum goal
goal_of(size_t a, size_t b)
{
	size_t low = a < b ? a : b, high = a < b ? b : a;

	/* Two sequential ones would need quiet routers. */
	if (low <= ADF || (high <= SEQ && low < SEQ))
		return DIRECT;
	return low >= SEQ ? RELAYED : MOSTLY;
}

struct figures {
	unsigned n, met, words, direct;
	/* Since the caller knew where to. */
	uint32_t word_ms[FIGURES_MAX], direct_ms[FIGURES_MAX];
};

/* Of the run under way, or NEVER. */
static struct {
	uint32_t caller;
	uint64_t found_ms, direct_ms;
} seen;

static bool
is_direct_for(struct sim *s, uint32_t who)
{
	struct node_contact_info info;
	struct contact_id id;
	struct id_pk pk;

	if (!s->nodes[who].node || !s->nodes[1 - who].node ||
	    !node_id(s->nodes[1 - who].node, &pk) ||
	    !node_contact_find(s->nodes[who].node, &pk, &id) ||
	    !node_contact_get(s->nodes[who].node, &id, &info))
		return false;
	return info.online && info.way == NODE_WAY_DIRECT;
}

static bool
is_direct(struct sim *s)
{
	return is_direct_for(s, 0) && is_direct_for(s, 1);
}

static bool
has_knocked(struct sim *s, uint32_t who)
{
	struct node_why why;
	struct contact_id id;
	struct id_pk pk;

	if (!s->nodes[who].node || !s->nodes[1 - who].node ||
	    !node_id(s->nodes[1 - who].node, &pk) ||
	    !node_contact_find(s->nodes[who].node, &pk, &id) ||
	    !node_contact_why(s->nodes[who].node, &id, &why))
		return false;
	for (size_t i = 0; i < why.n_steps; i++)
		if (why.step[i].kind == WHY_KNOCK)
			return true;
	return false;
}

static void
look(struct sim *s)
{
	if (seen.found_ms == NEVER && has_knocked(s, seen.caller))
		seen.found_ms = s->now_ms;
	if (seen.direct_ms == NEVER && is_direct(s))
		seen.direct_ms = s->now_ms;
}

static bool
met(struct sim *s)
{
	look(s);
	return sim_pair_online(s);
}

static bool
delivered(struct sim *s)
{
	look(s);
	return sim_all_delivered(s);
}

static bool
crossed(struct sim *s)
{
	look(s);
	return is_direct(s);
}

static void
add_event(struct sim *s, const struct sim_event *e)
{
	sim_add(s, e->who, e->whom);
}

/* In a DHT as small as this the two would be neighbours, and their routers open
 * to each other; or in each other's way. */
static bool
is_neighbourly(uint32_t from, uint32_t to, struct span datagram)
{
	return from < 2 && to < 2 &&
	       (wire_is_krpc(datagram) || datagram.n == 128 ||
	           datagram.n == 256 || datagram.n == 512 ||
	           datagram.n == 1024);
}

static struct sim *
world(uint64_t seed, size_t a, size_t b, bool bad)
{
	struct sim_config cfg = {
		.seed = seed,
		.n_people = 2,
		.n_crowd = CROWD,
		.policy = NODE_MIXED,
		.latency_max_ms = 1,
		.reads_many = true,
		.trace = getenv("SIM_TRACE") != NULL,
	};
	const size_t kind[2] = { a, b };
	struct sim *s = sim_new(&cfg);

	for (uint32_t i = 0; i < 2; i++)
		s->net.hosts[i].line = (struct net_line){
			.latency_ms = LINE_MS,
			.loss = bad ? BAD_LOSS : 0,
			.jitter_ms = bad ? BAD_JITTER_MS : 0,
		};
	s->net.is_left_out = is_neighbourly;
	for (uint32_t i = 0; i < CROWD; i++)
		sim_at(s, 100 * i, sim_start_event, 2 + i, 0, 0);
	for (uint32_t i = 0; i < 2; i++) {
		if (!kinds[kind[i]].is_open)
			net_router(&s->net, i, &kinds[kind[i]].router);
		sim_at(s, PEOPLE_MS, sim_start_event, i, 0, 0);
	}
	/* One waits for the other, who adds him when all is quiet. */
	sim_at(s, PEOPLE_MS + 1000, add_event, 0, 1, 0);
	return s;
}

static void
check_laws(const struct sim *s)
{
	if (s->check.failed)
		fail_msg("%s\n%s", s->check.why, again_command());
}

static uint32_t
since_found(uint64_t at_ms)
{
	return at_ms > seen.found_ms ? (uint32_t)(at_ms - seen.found_ms) : 0;
}

static void
meet(size_t a, size_t b, uint64_t seed, bool bad, struct figures *f)
{
	struct sim *s = world(seed, a, b, bad);
	bool mostly = goal_of(a, b) == MOSTLY;

	again_set("REACH_CELL=%zu,%zu REACH_FIRST=%llu REACH_SEEDS=1 "
	          "REACH_BAD=%d SIM_TRACE=1",
	    a, b, (unsigned long long)seed, bad);
	f->n++;
	seen.caller = 1;
	seen.found_ms = NEVER;
	seen.direct_ms = NEVER;
	sim_run(s, SETTLED_MS, NULL);
	if (!sim_add(s, 1, 0))
		fail_msg("not added\n%s", again_command());
	if (!sim_write(s, 1, 0, 40))
		fail_msg("not written\n%s", again_command());
	f->met += sim_run(s, s->now_ms + MEET_MS, met);
	if (sim_run(s, s->now_ms + WORD_MS, delivered))
		f->word_ms[f->words++] =
		    since_found(s->check.messages[0].received_ms);
	if (sim_run(
	        s, s->now_ms + (mostly ? DIRECT_LONG_MS : DIRECT_MS), crossed))
		f->direct_ms[f->direct++] = since_found(seen.direct_ms);
	check_laws(s);
	if (getenv("REACH_EACH"))
		printf("seed %llu: word after %u ms, direct after %u ms\n",
		    (unsigned long long)seed,
		    f->words ? f->word_ms[f->words - 1] : 0,
		    f->direct ? f->direct_ms[f->direct - 1] : 0);
	sim_free(s);
}

static int
by_size(const void *a, const void *b)
{
	const uint32_t *x = (const uint32_t *)a, *y = (const uint32_t *)b;

	return *x < *y ? -1 : *x > *y;
}

static unsigned
quantile(uint32_t *ms, unsigned n, unsigned percent)
{
	qsort(ms, n, sizeof(ms[0]), by_size);
	return n == 0 ? 0 : ms[n * percent / 100];
}

static void
report(size_t a, size_t b, struct figures *f)
{
	static const char *const goals[] = { "direct", "mostly", "relayed" };

	printf("%-10s %-10s %-7s  met %2u/%2u  word %2u/%2u %5u %5u ms"
	       "  direct %2u/%2u %5u %5u ms\n",
	    kinds[a].name, kinds[b].name, goals[goal_of(a, b)], f->met, f->n,
	    f->words, f->n, quantile(f->word_ms, f->words, 50),
	    quantile(f->word_ms, f->words, 90), f->direct, f->n,
	    quantile(f->direct_ms, f->direct, 50),
	    quantile(f->direct_ms, f->direct, 90));
	fflush(stdout);
}

/* In fine weather the first words take one and a half round trips, as by an
 * introducer; they bring an offer, its answer takes a half, and probes one.
 * Where ports have to be guessed that may take a second try. */
static bool
is_late(size_t a, size_t b, const struct figures *f)
{
	for (unsigned i = 0; i < f->words; i++)
		if (f->word_ms[i] > TRIP_MS * 3 / 2 + MARGIN_MS)
			return true;
	for (unsigned i = 0; i < f->direct && a <= LINUX && b <= LINUX; i++)
		if (f->direct_ms[i] > TRIP_MS * 3 + MARGIN_MS)
			return true;
	return false;
}

static void
every_pair(bool bad)
{
	bool is_long = getenv("BTCHAT_LONG") != NULL;
	uint64_t n = again_number("REACH_SEEDS", is_long ? SEEDS_LONG : SEEDS);
	uint64_t first = again_number("REACH_FIRST", 1);
	const char *cell = getenv("REACH_CELL");
	unsigned failed = 0;

	assert_in_range(n, 1, FIGURES_MAX);

	for (size_t i = 0; i < KINDS * KINDS; i++) {
		size_t a = i / KINDS, b = i % KINDS; /* b calls, in turn */
		static struct figures f;
		enum goal goal = goal_of(a, b);
		char name[16];

		(void)snprintf(name, sizeof(name), "%zu,%zu", a, b);
		if (a > b || (cell && strcmp(cell, name) != 0))
			continue;
		memset(&f, 0, sizeof(f));
		for (uint64_t seed = first; seed < first + n; seed++)
			meet(seed % 2 ? a : b, seed % 2 ? b : a, seed, bad, &f);
		report(a, b, &f);
		failed += f.met < f.n || f.words < f.n;
		failed += goal == DIRECT && 20 * f.direct < 19 * f.n;
		/* One throw of the dice says nothing about the odds. */
		failed += goal == MOSTLY && f.n > 4 && 2 * f.direct < f.n;
		failed += !bad && is_late(a, b, &f);
	}
	assert_int_equal(failed, 0);
}

static void
routers_of_all_kinds_are_passed(void **state)
{
	(void)state;
	every_pair(again_number("REACH_BAD", 0));
}

static void
so_they_are_in_bad_weather(void **state)
{
	(void)state;
	if (!getenv("BTCHAT_LONG"))
		skip();
	every_pair(true);
}

/*
 * Soon after they met, the router of him who called grants him another address,
 * and he tells of it: an offer again, when the other has agreed to many sockets
 * or a sweep, as he does once in ten minutes, and has not begun.
 */
static void
what_changes_meanwhile_does_not_spoil_a_try(void **state)
{
	static const struct endpoint more = {
		.addr = { 0x2a, 1, 2, 3, [15] = 1 }, .port = 7
	};

	(void)state;
	for (uint64_t seed = 1; seed <= 4; seed++) {
		struct sim *s = world(seed, seed % 2 ? APDF : BLOCK,
		    seed % 2 ? BLOCK : APDF, false);

		again_set("seed %llu", (unsigned long long)seed);
		seen.found_ms = seen.direct_ms = NEVER;
		sim_run(s, SETTLED_MS, NULL);
		assert_true(sim_add(s, 1, 0) && sim_write(s, 1, 0, 40));
		assert_true(sim_run(s, s->now_ms + MEET_MS, met));
		sim_run(s, s->now_ms + 2 * TRIP_MS, NULL);
		assert_false(is_direct(s));
		node_set_mapped(sim_enter(s, 1), &more, 1, sim_now(s, 1));
		sim_leave();
		sim_settle(s, 1);
		if (!sim_run(s, s->now_ms + DIRECT_LONG_MS, crossed))
			fail_msg("not direct\n%s", again_command());
		check_laws(s);
		sim_free(s);
	}
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(routers_of_all_kinds_are_passed),
		cmocka_unit_test(so_they_are_in_bad_weather),
		cmocka_unit_test(what_changes_meanwhile_does_not_spoil_a_try),
	};

	(void)argc;
	again_begin(argv[0]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
