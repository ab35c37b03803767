/* Joining, leaving, the run of a world. */
#include "tests/sim/dht/world.h"

#include "tests/sim/dht/hostile.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_LOOK = 400 }; /* nodes of a table that are looked at */

void
world_defaults(struct world_config *cfg, uint64_t seed, uint32_t n_nodes)
{
	*cfg = (struct world_config){ .seed = seed, .n_nodes = n_nodes };
	cfg->n_cells = 100;
	cfg->n_reads = 2000;
	cfg->loss = 50;
	cfg->nat = 300;
	cfg->dead = 200;
	cfg->half_life_ms = 3600 * 1000;
	cfg->settle_ms = 2 * 60 * 1000;
	cfg->measure_ms = 3600 * 1000;
	cfg->check_tables = n_nodes <= 2000;
}

const char *
world_attack_name(enum world_attack attack)
{
	static const char *const name[WORLD_ATTACKS] = { "nobody", "Sybils",
		"eclipser", "replayers", "reflector", "liars", "id changers" };

	return name[attack];
}

void
world_broken(struct world *w, const char *format, ...)
{
	va_list ap;

	if (w->fig.why[0])
		return;
	va_start(ap, format);
	(void)vsnprintf(w->fig.why, sizeof(w->fig.why), format, ap);
	va_end(ap);
}

/* ---- who is there ---- */

void
world_enter(struct world *w, struct mesh_host *h)
{
	w->place[h->index] = w->n_alive;
	w->alive[w->n_alive++] = h->index;
}

static void
leave(struct world *w, struct mesh_host *h)
{
	uint32_t at = w->place[h->index];
	uint32_t last = w->alive[--w->n_alive];

	assert(w->alive[at] == h->index || last == h->index);
	w->alive[at] = last;
	w->place[last] = at;
	mesh_kill(w->mesh, h);
}

static struct mesh_host *
any_host(struct world *w)
{
	assert(w->n_alive > 0);
	return &w->mesh->host[w->alive[dice_below(&w->dice, w->n_alive)]];
}

/* An honest node, at random. */
struct mesh_host *
world_any(struct world *w, bool is_public)
{
	for (;;) {
		struct mesh_host *h = any_host(w);

		if (h->dht && (!is_public || !h->nat))
			return h;
	}
}

static void
join(struct world *w)
{
	bool first = w->n_started < WORLD_FIRST;
	bool nat = !first && dice_chance(&w->dice, w->cfg.nat);
	struct mesh_host *h = mesh_host_new(w->mesh, nat);
	struct now now = mesh_now(w->mesh);

	mesh_start(w->mesh, h);
	for (uint32_t i = 0; i < WORLD_SEEDS && w->n_started > 0; i++)
		dht_bootstrap(h->dht, &world_any(w, true)->at, now);
	for (uint32_t i = 0; i < WORLD_SAVED && w->n_started > 0; i++)
		dht_candidate(h->dht, &any_host(w)->at, now);
	mesh_settle(w->mesh, h);
	world_enter(w, h);
	w->n_started++;
}

/* How many have joined at a time: doubling, between that straight. */
static uint32_t
joined_at(const struct world_config *cfg, uint64_t ms)
{
	uint64_t rounds = ms / WORLD_DOUBLE_MS;
	uint64_t n;

	if (rounds > 20)
		return cfg->n_nodes;
	n = (uint64_t)WORLD_FIRST << rounds;
	n += n * (ms % WORLD_DOUBLE_MS) / WORLD_DOUBLE_MS;
	return n < cfg->n_nodes ? (uint32_t)n : cfg->n_nodes;
}

static void
kill_one(struct world *w)
{
	for (;;) {
		struct mesh_host *h = world_any(w, false);

		if (h->pinned || h->user)
			continue;
		leave(w, h);
		return;
	}
}

/* Deaths at random with a constant rate, ln 2 / half-life of those alive;
 * for each a new node comes. */
static void
churn(struct world *w)
{
	uint64_t whole = w->cfg.half_life_ms * 10000;

	if (!w->cfg.half_life_ms)
		return;
	w->churn += (uint64_t)w->cfg.n_nodes * WORLD_STEP_MS * 6931;
	for (; w->churn >= whole; w->churn -= whole) {
		kill_one(w);
		join(w);
	}
}

/* ---- laws at the end ---- */

static void
look_at_table(struct world *w, struct mesh_host *h)
{
	static struct dht_node node[TABLE_LOOK];
	size_t n = dht_nodes(h->dht, node, TABLE_LOOK);

	for (size_t i = 0; i < n; i++) {
		uint32_t who = mesh_find(w->mesh, &node[i].at);

		w->fig.entries++;
		if (who == MESH_NO_HOST || !w->mesh->host[who].alive)
			w->fig.entries_dead++;
		else if (w->mesh->host[who].role)
			w->fig.entries_hostile++;
		if (w->cfg.check_tables &&
		    (who == MESH_NO_HOST ||
		        !mesh_answered(w->mesh, h->index, who)))
			w->fig.entries_silent++;
	}
}

static void
look_at_tables(struct world *w)
{
	for (uint32_t i = 0; i < w->n_alive; i++)
		if (w->mesh->host[w->alive[i]].dht)
			look_at_table(w, &w->mesh->host[w->alive[i]]);
	if (w->fig.entries_silent)
		world_broken(w, "%llu nodes in tables never answered",
		    (unsigned long long)w->fig.entries_silent);
}

/* ---- the run ---- */

static void
on_event(struct mesh *s, struct mesh_host *h, const struct dht_event *e)
{
	cells_event((struct world *)s->user, h, e);
}

static void
on_hostile(struct mesh *s, struct mesh_host *h, const struct mesh_packet *p)
{
	hostile_receive((struct world *)s->user, h, p);
}

static void
on_sent(struct mesh *s, struct mesh_host *h, const struct endpoint *to,
    struct span data)
{
	struct world *w = (struct world *)s->user;

	cells_sent(w, h, to, data);
	hostile_tap(w, h, to, data);
}

static void
on_arrived(struct mesh *s, struct mesh_host *h, const struct mesh_packet *p)
{
	struct world *w = (struct world *)s->user;

	cells_arrived(w, h, p);
	hostile_arrived(w, p);
}

static void
begin(struct world *w, const struct world_config *cfg)
{
	struct mesh_config sc = { .seed = cfg->seed, .loss = cfg->loss };

	memset(w, 0, sizeof(*w));
	w->cfg = *cfg;
	sc.max_hosts = 2 * cfg->n_nodes + 1024;
	if (cfg->half_life_ms)
		sc.max_hosts +=
		    (uint32_t)(cfg->n_nodes * (cfg->measure_ms / 1000) /
		               (cfg->half_life_ms / 1000));
	sc.n_nets = cfg->n_nodes / 4 + 16;
	if (sc.n_nets > 20000)
		sc.n_nets = 20000;
	sc.answers = cfg->check_tables;
	w->mesh = mesh_new(&sc);
	w->mesh->user = w;
	w->mesh->on_event = on_event;
	w->mesh->on_hostile = on_hostile;
	w->mesh->on_sent = on_sent;
	w->mesh->on_arrived = on_arrived;
	dice_init(&w->dice, cfg->seed, 1, 0);
	w->alive = (uint32_t *)calloc(sc.max_hosts, sizeof(*w->alive));
	w->place = (uint32_t *)calloc(sc.max_hosts, sizeof(*w->place));
	assert(w->alive && w->place);
	w->hostile = hostile_new(w);
}

static void
end(struct world *w)
{
	hostile_free(w->hostile);
	mesh_free(w->mesh);
	free(w->alive);
	free(w->place);
	free(w->cells);
	free(w->ops);
}

static void
measure(struct world *w)
{
	for (uint32_t i = 0; i < w->cfg.n_nodes * w->cfg.dead / 1000; i++)
		kill_one(w);
	w->measuring = true;
	w->measure_ms = w->mesh->wheel.now_ms;
	cells_begin(w);
}

static void
step(struct world *w, uint64_t ms)
{
	uint32_t joined = joined_at(&w->cfg, ms);

	while (w->n_started < joined && !w->measuring)
		join(w);
	hostile_step(w);
	if (w->measuring) {
		churn(w);
		cells_step(w);
	}
}

static void
take_figures(struct world *w)
{
	const struct mesh *s = w->mesh;

	look_at_tables(w);
	w->fig.n_packets = s->n_packets;
	w->fig.n_bytes = s->n_bytes;
	w->fig.n_lost = s->n_lost;
	w->fig.n_filtered = s->n_filtered;
	w->fig.n_nowhere = s->n_nowhere;
	w->fig.n_joins = w->n_started;
	w->fig.virtual_ms = s->wheel.now_ms;
	memcpy(w->fig.digest, s->digest, sizeof(w->fig.digest));
	hostile_figures(w);
}

void
world_run(const struct world_config *cfg, struct world_figures *ret)
{
	static struct world w;
	uint64_t first_ms, settled_ms = 0, ms;

	begin(&w, cfg);
	first_ms = w.mesh->wheel.now_ms;
	for (ms = 0; !w.fig.why[0]; ms++) {
		if (ms % WORLD_STEP_MS == 0)
			step(&w, ms);
		mesh_step(w.mesh);
		assert(w.mesh->wheel.now_ms == first_ms + ms + 1);
		if (!settled_ms && w.n_started == cfg->n_nodes)
			settled_ms = ms + cfg->settle_ms;
		if (!w.measuring && settled_ms && ms >= settled_ms)
			measure(&w);
		if (w.measuring && ms >= settled_ms + cfg->measure_ms)
			break;
	}
	take_figures(&w);
	end(&w);
	*ret = w.fig;
}
