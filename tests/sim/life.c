/* The life of a node: it starts, crashes, sleeps, moves; its memory and its
 * disk may have no room. */
#include "tests/sim/sim.h"

#include <assert.h>
#include <string.h>

enum {
	DICE_LIAR = 1 << 24,
	MONO_SPAN_MS = 1000000000,
	RETRY_FIRST_MS = 1000,
	RETRY_MAX_MS = 30000,
};

struct node *
sim_enter(struct sim *s, uint32_t who)
{
	memory_use(&s->nodes[who].memory);
	liar_use(&s->nodes[who].liar);
	return s->nodes[who].node;
}

void
sim_leave(void)
{
	memory_use(NULL);
	liar_use(NULL);
}

void
sim_set_local(struct sim *s, uint32_t who)
{
	const struct net_host *h = &s->net.hosts[who];
	struct sim_node *n = &s->nodes[who];
	struct endpoint local[FAMILY_COUNT];
	size_t count = 0;

	for (size_t f = 0; f < FAMILY_COUNT; f++)
		if (h->has[f])
			local[count++] = h->inside[f];
	if (n->node)
		node_set_local(
		    sim_enter(s, who), local, count, sim_now(s, who));
	sim_leave();
}

static void
forbid_draw(void *ctx, const uint8_t *p, size_t n)
{
	if (n == 32)
		wire_forbid((struct wire *)ctx, span_of(p, n));
}

static void
forbid_static(void *ctx, const uint8_t *p, size_t n)
{
	uint8_t pk[32];

	forbid_draw(ctx, p, n);
	if (n == 32 && crypto_scalarmult_base(pk, p) == 0)
		forbid_draw(ctx, pk, sizeof(pk));
}

/* The first time, the secrets that a new identity draws are put on the list
 * of what nobody may see, also as the public halves of static keys. False: no
 * memory. */
static bool
load(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];
	enum err err;

	if (!n->is_person) {
		node_load_dht(
		    n->node, n->disk.dht, n->disk.n_dht, sim_now(s, who));
		return true;
	}
	if (n->disk.self.n == 0) {
		n->dice.watch = forbid_static;
		n->dice.watch_ctx = &s->wire;
	}
	err = disk_load(&n->disk, n->node, &n->seed, sim_now(s, who));
	n->dice.watch = NULL;
	if (err != ERR_OK && err != ERR_NOMEM)
		check_fail(&s->check, "p%u cannot load what it stored: %s", who,
		    err_name(err));
	return err != ERR_NOMEM;
}

static void
tell_first(struct sim *s, uint32_t who, const struct endpoint *at)
{
	struct node *n = s->nodes[who].node;

	(void)sim_enter(s, who);
	if (s->cfg.only_mainline)
		node_bootstrap_public(n, at, sim_now(s, who));
	else
		node_bootstrap(n, at, sim_now(s, who));
	sim_leave();
}

/* Three of the crowd are known to everybody. */
static void
bootstrap(struct sim *s, uint32_t who)
{
	for (uint32_t i = 0; i < 3 && i < s->cfg.n_crowd; i++) {
		const struct net_host *h = &s->net.hosts[s->cfg.n_people + i];

		if (s->cfg.n_people + i == who)
			continue;
		for (size_t f = 0; f < FAMILY_COUNT; f++)
			if (h->has[f])
				tell_first(s, who, &h->at[f]);
	}
}

/* False: no memory; what was made is gone. */
static bool
give_birth(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];
	const struct node_config cfg = { .rng = &n->dice.rng,
		.family = { true, s->cfg.v6 },
		.policy = s->cfg.policy,
		.overlay_announce = !s->cfg.is_hidden,
		.relay_contacts = who < 32 && (s->cfg.relays >> who & 1),
		.sockets_max = NODE_SOCKETS_MAX };

	bool is_loaded;

	(void)sim_enter(s, who);
	n->node = node_new(&cfg, sim_now(s, who));
	is_loaded = n->node && load(s, who);
	sim_leave();
	if (is_loaded)
		return true;
	node_free(n->node);
	n->node = NULL;
	return false;
}

/* As the daemon does when writing or memory fails: again, later and later,
 * until both are there. */
static void
start_later(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];

	n->retry_ms =
	    n->retry_ms < RETRY_MAX_MS / 2 ? 2 * n->retry_ms : RETRY_MAX_MS;
	if (n->retry_ms == 0)
		n->retry_ms = RETRY_FIRST_MS;
	sim_at(s, s->now_ms + n->retry_ms, sim_start_event, who, 0, 0);
}

void
sim_start(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];

	if (n->node)
		return;
	n->life++;
	dice_init(&n->dice, s->cfg.seed, who, n->life);
	n->mono_base_ms = dice_below(&n->dice, MONO_SPAN_MS);
	n->last_tick_ms = NEVER;
	n->crash_in = 0;
	n->fail_commit_in = 0;
	n->asleep_until_ms = 0;
	if (s->now_ms < n->full_until_ms || !give_birth(s, who)) {
		start_later(s, who);
		return;
	}
	n->retry_ms = 0;
	sim_set_local(s, who);
	bootstrap(s, who);
	sim_trace(
	    s, "%c%u starts, life %u", n->is_person ? 'p' : 'c', who, n->life);
	sim_settle(s, who);
}

struct sim *
sim_pair(uint64_t seed, uint32_t n_crowd, uint64_t settled_ms)
{
	struct sim_config cfg = { .seed = seed,
		.n_people = 2,
		.n_crowd = n_crowd,
		.trace = getenv("SIM_TRACE") != NULL };
	struct sim *s = sim_new(&cfg);

	for (uint32_t i = 0; i < s->n_nodes; i++)
		sim_start(s, i);
	sim_run(s, settled_ms, NULL);
	return s;
}

void
sim_start_event(struct sim *s, const struct sim_event *e)
{
	sim_start(s, e->who);
}

void
sim_crash(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];

	if (!n->node)
		return;
	sim_trace(s, "%c%u crashes", n->is_person ? 'p' : 'c', who);
	node_free(n->node);
	n->node = NULL;
	for (unsigned i = 1; i <= NET_SOCKETS_MAX; i++)
		net_socket_close(&s->net, who, i);
	disk_rollback(&n->disk);
	n->crash_in = 0;
	n->fail_commit_in = 0;
	memset(n->online, 0, sizeof(n->online));
	s->n_crashes++;
}

void
sim_crash_for(struct sim *s, uint32_t who, uint32_t down_ms)
{
	sim_crash(s, who);
	sim_at(s, s->now_ms + down_ms, sim_start_event, who, 0, 0);
}

void
sim_restore(struct sim *s, uint32_t who, const struct disk *image)
{
	struct sim_node *n = &s->nodes[who];

	sim_crash(s, who);
	sim_trace(s, "p%u has an older disk", who);
	disk_clear(&n->disk);
	disk_copy(image, &n->disk);
	check_restored(&s->check, who);
	sim_start(s, who);
}

bool
sim_is_awake(const struct sim *s, uint32_t who)
{
	const struct sim_node *n = &s->nodes[who];

	return n->node && n->asleep_until_ms <= s->now_ms;
}

static void
wake_event(struct sim *s, const struct sim_event *e)
{
	struct sim_node *n = &s->nodes[e->who];

	if (!sim_is_awake(s, e->who))
		return;
	sim_trace(s, "%c%u wakes", n->is_person ? 'p' : 'c', e->who);
	node_woke(sim_enter(s, e->who), sim_now(s, e->who));
	node_tick(n->node, sim_now(s, e->who));
	sim_leave();
	sim_settle(s, e->who);
}

void
sim_sleep(struct sim *s, uint32_t who, uint64_t ms)
{
	struct sim_node *n = &s->nodes[who];

	sim_trace(s, "%c%u sleeps", n->is_person ? 'p' : 'c', who);
	n->asleep_until_ms = s->now_ms + ms;
	sim_at(s, n->asleep_until_ms, wake_event, who, 0, 0);
}

void
sim_move(struct sim *s, uint32_t who, bool is_told)
{
	struct endpoint to = sim_next_v4(s);
	const struct net_host *h = &s->net.hosts[who];

	if (!is_told)
		memcpy(to.addr, h->at[FAMILY_V4].addr, sizeof(to.addr));
	if (!is_told && h->router)
		net_rebind(&s->net, who);
	else
		net_move(&s->net, who, &to);
	sim_trace(s, "p%u moves, %s", who, is_told ? "told" : "not told");
	if (!is_told || !sim_is_awake(s, who))
		return;
	sim_set_local(s, who);
	sim_settle(s, who);
}

void
sim_lie(struct sim *s, uint32_t who, uint32_t per_mille)
{
	struct liar *l = &s->nodes[who].liar;

	assert(who < s->cfg.n_people && per_mille > 0);
	s->check.lies[who] = true;
	l->per_mille = per_mille;
	dice_init(&l->dice, s->cfg.seed, DICE_LIAR, who);
	for (uint32_t i = 0; i < s->n_nodes && l->n_places < LIAR_PLACES; i++)
		if (i != who)
			l->place[l->n_places++] =
			    net_outside(&s->net, i, FAMILY_V4);
}
