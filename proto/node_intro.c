/*
 * Being reached: what our router does, and who passes to us what strangers
 * send while it lets nobody in unasked. Introducers are overlay nodes that
 * everybody reaches, one of each family if possible; contacts learn them from
 * our cells. [SPEC §8.3]
 */
#include "proto/node_int.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	/* The first answer keeps a router's mapping for half a minute; one
	 * more packet after two seconds makes it two minutes. */
	KEEP_FIRST_MS = 2500,
	KEEP_MIN_MS = 22000, /* as a session does [SPEC §7.4] */
	KEEP_MAX_MS = 28000,
	/* So often in between a datagram that nobody answers does, where a
	 * registration lasts as long as four times that and some tries. */
	KEEP_HOLDS = 3,
	KEEP_LIFE_S = 180,
	AGAIN_MS = 3000, /* a renewal was not answered */
	SILENT_MAX = 2,  /* such renewals in a row; then another one */
	SEARCH_MIN_MS = 250,
	SEARCH_MAX_MS = 5 * 60 * 1000,
	REFUSED_MS = 10 * 60 * 1000, /* not asked again before */
	/* The first cells wait so long for introducers to answer, as the next
	 * put of each can come a minute later only. */
	SETTLE_MS = 1500,
};

/* In the low half of its names an op of a cell has a small number. */
#define INTRO_NAME UINT64_C(0xffff0000)

static uint64_t
name_of(const struct node *n, unsigned i)
{
	return (uint64_t)n->intro_serial << 32 | INTRO_NAME | i;
}

/* ---- our router ---- */

static bool
is_open(const struct node *n, enum family f)
{
	return n->reachable || nat_lets_in(&n->nat[f], n->now.mono_ms);
}

void
intro_view(const struct node *n, enum family f, struct nat_view *ret)
{
	nat_look(&n->nat[f], n->now.mono_ms, ret);
	if (n->reachable)
		ret->kind = NAT_OPEN;
}

/* Of the family that routers translate, if we take part in it. */
void
intro_nat(const struct node *n, struct nat_view *ret)
{
	intro_view(n, n->has_family[FAMILY_V4] ? FAMILY_V4 : FAMILY_V6, ret);
}

/* In the family that we pass for others in, everybody must get in to us; for
 * contacts alone, whom we have a session with. */
static void
serve_if_open(struct node *n, enum family f)
{
	struct dht *d = n->dht[net_of(DHT_OVERLAY, f)];

	enum dht_introduces whom = DHT_INTRODUCES_NOBODY;

	if (n->relays)
		whom = DHT_INTRODUCES_TRUSTED;
	if (is_open(n, f))
		whom = DHT_INTRODUCES_ALL;
	if (d != NULL && dht_introduce(d, whom, n->now))
		n->failed = true;
}

/* ---- whom to ask ---- */

static bool
was_refused(const struct node *n, const struct endpoint *at)
{
	for (size_t i = 0; i < INTRO_REFUSALS; i++)
		if (n->intro_refused[i].until_ms > n->now.mono_ms &&
		    endpoint_eq(&n->intro_refused[i].at, at))
			return true;
	return false;
}

static void
refused_by(struct node *n, const struct endpoint *at)
{
	size_t i = n->intro_refused_at++ % INTRO_REFUSALS;

	n->intro_refused[i].at = *at;
	n->intro_refused[i].until_ms = n->now.mono_ms + REFUSED_MS;
}

void
intro_forgive(struct node *n, const struct endpoint *at)
{
	for (size_t i = 0; i < INTRO_REFUSALS; i++)
		if (endpoint_eq(&n->intro_refused[i].at, at))
			n->intro_refused[i].until_ms = 0;
}

static bool
is_usable(const struct node *n, const struct endpoint *at)
{
	enum endpoint_scope scope = endpoint_scope(at);

	if (was_refused(n, at) ||
	    (scope != SCOPE_GLOBAL &&
	        !(scope == SCOPE_LOOPBACK && n->loopback)))
		return false;
	for (size_t i = 0; i < n->n_local; i++)
		if (endpoint_eq(&n->local[i], at))
			return false;
	return true;
}

/* Two introducers in one network would fail together. */
static bool
may_ask(const struct node *n, const struct endpoint *at)
{
	enum endpoint_scope scope = endpoint_scope(at);

	if (!is_usable(n, at))
		return false;
	for (size_t i = 0; i < INTRO_SLOTS; i++)
		if (n->intro[i].state != INTRO_NONE &&
		    (scope == SCOPE_GLOBAL
		            ? endpoint_same_network(&n->intro[i].node.at, at)
		            : endpoint_eq(&n->intro[i].node.at, at)))
			return false;
	return true;
}

/* A stranger learns two addresses; a contact who is no relay of ours would
 * learn whose they are, so he is asked only if there is nobody else. */
static bool
choose(const struct node *n, enum family f, struct dht_node *ret)
{
	struct dht_node list[NODE_SAVED_NODES_MAX];
	const struct dht *d = n->dht[net_of(DHT_OVERLAY, f)];
	size_t count, from;

	if (d == NULL || is_open(n, f))
		return false;
	count = dht_nodes(d, list, NODE_SAVED_NODES_MAX);
	from = count ? rng_below(&n->rng, (uint32_t)count) : 0;
	for (size_t i = 0; i < count; i++) {
		*ret = list[(from + i) % count];
		if (may_ask(n, &ret->at) && !relay_is_contact(n, &ret->n) &&
		    !presence_avoids(n, ret))
			return true;
	}
	for (size_t i = 0; i < n->peers_cap; i++) {
		const struct peer *p = n->peers[i];

		if (p == NULL || !p->online || !p->has_node ||
		    endpoint_family(&p->node.at) != f ||
		    relay_of(n, &p->node.n) == p || !may_ask(n, &p->node.at))
			continue;
		if (presence_avoids(n, &p->node))
			continue;
		*ret = p->node;
		return true;
	}
	return false;
}

static bool
choose_relay(const struct node *n, struct dht_node *ret)
{
	for (size_t i = 0; i < RELAYS_MAX; i++)
		if (relay_choose(n, i, ret) && is_usable(n, &ret->at) &&
		    !presence_avoids(n, ret) &&
		    n->dht[net_of(DHT_OVERLAY, endpoint_family(&ret->at))] !=
		        NULL)
			return true;
	return false;
}

/* One in each family, if possible. */
static bool
choose_for(const struct node *n, unsigned i, struct dht_node *ret)
{
	enum family first = i % FAMILY_COUNT ? FAMILY_V6 : FAMILY_V4;
	enum family other = first == FAMILY_V4 ? FAMILY_V6 : FAMILY_V4;

	if (i == INTRO_RELAY)
		return choose_relay(n, ret);
	return choose(n, first, ret) || choose(n, other, ret);
}

/* ---- asking ---- */

static void
ask(struct node *n, unsigned i)
{
	struct introducer *t = &n->intro[i];
	enum family f = endpoint_family(&t->node.at);
	struct dht *d = n->dht[net_of(DHT_OVERLAY, f)];

	t->next_ms = n->now.mono_ms + AGAIN_MS;
	if (dht_register(d, name_of(n, i), &t->node, t->handle, n->now))
		return; /* too much is under way: at the next time */
	t->asking = true;
}

static void
look_for_one(struct node *n, unsigned i)
{
	struct introducer *t = &n->intro[i];

	if (i == INTRO_RELAY && n->n_relays == 0) {
		t->next_ms = NEVER; /* until there is one */
		return;
	}
	t->next_ms = n->now.mono_ms + t->search_ms;
	t->search_ms *= 2;
	if (t->search_ms > SEARCH_MAX_MS)
		t->search_ms = SEARCH_MAX_MS;
	if (!choose_for(n, i, &t->node))
		return;
	t->state = INTRO_ASKED;
	t->moved = false;
	t->n_holds = 0;
	t->n_silent = 0;
	rng_fill(&n->rng, t->handle, sizeof(t->handle));
	ask(n, i);
}

/* It passes for us no longer, or never did. */
static void
drop(struct node *n, unsigned i)
{
	struct introducer *t = &n->intro[i];
	struct dht *d =
	    n->dht[net_of(DHT_OVERLAY, endpoint_family(&t->node.at))];

	if (t->state == INTRO_NONE)
		return;
	dht_unregister(d, &t->node, t->handle);
	t->state = INTRO_NONE;
	t->asking = false;
}

static void
lose(struct node *n, unsigned i)
{
	struct introducer *t = &n->intro[i];
	bool told = t->state == INTRO_SERVES;

	drop(n, i);
	t->search_ms = SEARCH_MIN_MS;
	t->next_ms = n->now.mono_ms;
	if (told)
		reach_changed(n);
}

static uint64_t
keep_ms(struct node *n)
{
	return n->now.mono_ms + KEEP_MIN_MS +
	       rng_below(&n->rng, KEEP_MAX_MS - KEEP_MIN_MS + 1);
}

/* Keeps our router open, and asks nothing of the introducer. */
static void
hold(struct node *n, struct introducer *t)
{
	const struct way way = { .to = t->node.at };

	assert(t->state == INTRO_SERVES && t->n_holds > 0);
	t->n_holds--;
	t->next_ms = keep_ms(n);
	effect_opener(n, &way);
}

static void
on_registered(struct node *n, const struct dht_event *e)
{
	unsigned i = (unsigned)(e->op & 0xffff);
	struct introducer *t = &n->intro[i];
	bool fresh;

	if (i >= INTRO_SLOTS || e->op != name_of(n, i) || !t->asking)
		return;
	t->asking = false;
	fresh = t->state == INTRO_ASKED;
	if (!e->found) {
		if (!fresh && ++t->n_silent <= SILENT_MAX)
			return;
		refused_by(n, &t->node.at);
		lose(n, i);
		if (n->now.mono_ms < n->settle_ms)
			look_for_one(n, i);
		return;
	}
	t->n_silent = 0;
	t->search_ms = SEARCH_MIN_MS;
	t->state = INTRO_SERVES;
	t->next_ms = keep_ms(n);
	/* A relay's session runs where it likes. */
	t->n_holds =
	    i != INTRO_RELAY && e->life_s >= KEEP_LIFE_S ? KEEP_HOLDS : 0;
	if (fresh || t->moved) {
		t->next_ms = n->now.mono_ms + KEEP_FIRST_MS;
		t->n_holds = 0;
	}
	t->moved = false;
	if (fresh)
		reach_changed(n);
}

void
intro_relay_changed(struct node *n)
{
	struct introducer *t = &n->intro[INTRO_RELAY];
	const struct peer *p = relay_of(n, &t->node.n);
	struct dht_node node;
	unsigned socket;

	if (t->state != INTRO_NONE &&
	    (p == NULL || (relay_at(n, p, &node, &socket) &&
	                      !endpoint_eq(&node.at, &t->node.at))))
		lose(n, INTRO_RELAY);
	if (t->state != INTRO_NONE || n->n_relays == 0)
		return;
	t->search_ms = SEARCH_MIN_MS;
	t->next_ms = n->now.mono_ms;
}

/* ---- events and time ---- */

void
intro_init(struct node *n)
{
	n->settle_ms = NEVER;
	for (int f = 0; f < FAMILY_COUNT; f++)
		nat_init(&n->nat[f]);
	for (unsigned i = 0; i < INTRO_SLOTS; i++) {
		n->intro[i].search_ms = SEARCH_MIN_MS;
		n->intro[i].next_ms = NEVER;
	}
}

void
intro_wanted(struct node *n)
{
	for (unsigned i = 0; i < CELL_INTRODUCERS_MAX; i++) {
		if (n->intro[i].state != INTRO_NONE)
			continue;
		n->intro[i].search_ms = SEARCH_MIN_MS;
		n->intro[i].next_ms = n->now.mono_ms;
	}
}

void
intro_begin(struct node *n)
{
	intro_wanted(n);
	if (n->settle_ms != NEVER) /* else the DHT has not answered yet */
		n->settle_ms = n->now.mono_ms + SETTLE_MS;
}

void
intro_renew(struct node *n, bool has_moved)
{
	n->intro_serial++;
	for (unsigned i = 0; i < INTRO_SLOTS; i++)
		if (n->intro[i].state != INTRO_NONE)
			lose(n, i);
	nets_renew(n, has_moved);
	serve_if_open(n, FAMILY_V4);
	serve_if_open(n, FAMILY_V6);
	intro_wanted(n);
}

/* The handle stays: contacts know it, and if they move at the same time it is
 * all that they know of us. The introducer would see by our N that it is us,
 * whatever the handle. */
static void
ask_from_here(struct node *n, unsigned i)
{
	struct introducer *t = &n->intro[i];
	struct dht *d =
	    n->dht[net_of(DHT_OVERLAY, endpoint_family(&t->node.at))];

	dht_unregister(d, &t->node, t->handle); /* what is under way */
	t->asking = false;
	t->moved = true;
	t->n_silent = 0;
	ask(n, i);
}

void
intro_moved(struct node *n, bool is_told)
{
	nat_moved(&n->nat[FAMILY_V4]);
	nat_moved(&n->nat[FAMILY_V6]);
	if (n->hides) { /* who saw this node there is not to see it here */
		intro_renew(n, is_told);
		if (n->has_self)
			self_to_links(n);
		return;
	}
	serve_if_open(n, FAMILY_V4);
	serve_if_open(n, FAMILY_V6);
	n->intro_serial++;
	for (unsigned i = 0; i < CELL_INTRODUCERS_MAX; i++)
		if (n->intro[i].state != INTRO_NONE)
			ask_from_here(n, i);
	intro_wanted(n);
}

static bool
is_needed(const struct node *n)
{
	for (unsigned i = 0; i < NODE_NETS; i++)
		if (net_carrier(i) == DHT_OVERLAY && n->dht[i] != NULL &&
		    !is_open(n, net_family(i)))
			return n->has_self;
	return false;
}

void
intro_tick(struct node *n)
{
	for (unsigned i = 0; i < INTRO_SLOTS; i++) {
		struct introducer *t = &n->intro[i];

		if (t->next_ms > n->now.mono_ms)
			continue;
		/* Whoever is open lets his registrations end in silence; the
		 * cell is right again at its next put. */
		if (!is_needed(n) ||
		    (t->state != INTRO_NONE &&
		        is_open(n, endpoint_family(&t->node.at)))) {
			drop(n, i);
			t->next_ms = n->now.mono_ms + SEARCH_MAX_MS;
		} else if (t->state == INTRO_NONE) {
			look_for_one(n, i);
		} else if (!t->asking && t->n_holds > 0) {
			hold(n, t);
		} else if (!t->asking) {
			ask(n, i);
		} else {
			t->next_ms = n->now.mono_ms + AGAIN_MS;
		}
	}
}

/* Others see us at another place than before, so our router has begun anew:
 * what an introducer sends goes to where we were. */
static void
seen_elsewhere(struct node *n, enum family f)
{
	struct nat_view view;
	bool had = n->seen_at[f].port != 0;

	nat_look(&n->nat[f], n->now.mono_ms, &view);
	if (view.kind != NAT_EASY || view.n_seen != 1 ||
	    endpoint_eq(&view.seen[0], &n->seen_at[f]) ||
	    (had && n->now.mono_ms < n->seen_ms + KEEP_MIN_MS))
		return;
	n->seen_at[f] = view.seen[0];
	n->seen_ms = n->now.mono_ms;
	for (unsigned i = 0; i < INTRO_SLOTS && had; i++) {
		struct introducer *t = &n->intro[i];

		if (t->state != INTRO_SERVES ||
		    endpoint_family(&t->node.at) != f)
			continue;
		t->n_holds = 0;
		t->next_ms = n->now.mono_ms;
	}
}

void
intro_on_dht(struct node *n, unsigned net, const struct dht_event *e)
{
	enum family f = net_family(net);

	switch (e->kind) {
	case DHT_SEEN:
		nat_sample_add(&n->nat[f], &e->by, &e->address, n->now.mono_ms);
		seen_elsewhere(n, f);
		return;
	case DHT_UNSOLICITED:
		nat_unasked(&n->nat[f], n->now.mono_ms);
		serve_if_open(n, f);
		return;
	case DHT_REGISTERED:
		on_registered(n, e);
		return;
	case DHT_READY:
		if (net_carrier(net) != DHT_OVERLAY)
			return;
		if (n->settle_ms == NEVER)
			n->settle_ms = n->now.mono_ms + SETTLE_MS;
		for (unsigned i = 0; i < INTRO_SLOTS; i++)
			if (n->intro[i].state == INTRO_NONE)
				n->intro[i].next_ms = n->now.mono_ms;
		intro_tick(n);
		return;
	case DHT_VALUE:
	case DHT_GET_DONE:
	case DHT_PUT_DONE:
	case DHT_ADDRESS:
	case DHT_PEERS:
	case DHT_HANDED:
	case DHT_PASS_FAILED:
		return;
	}
}

uint64_t
intro_deadline_ms(const struct node *n)
{
	uint64_t at = NEVER;

	for (unsigned i = 0; i < INTRO_SLOTS; i++)
		if (n->intro[i].next_ms < at)
			at = n->intro[i].next_ms;
	return at;
}

/* Two are waited for: callers use both at once, so that no single loss delays
 * their first words. */
bool
intro_is_settling(const struct node *n)
{
	bool any = false;

	if (n->settle_ms == NEVER || n->now.mono_ms >= n->settle_ms)
		return false;
	for (unsigned i = 0; i < INTRO_SLOTS; i++)
		any |= n->intro[i].state == INTRO_ASKED;
	return any;
}

void
intro_stats(const struct node *n, struct node_stats *ret)
{
	struct cell_introducer list[CELL_INTRODUCERS_MAX];

	ret->introducers = intro_list(n, list);
	ret->relays = n->relays;
	ret->has_relay = n->intro[INTRO_RELAY].state == INTRO_SERVES;
	for (int i = 0; i < FAMILY_COUNT; i++) {
		enum family f = i ? FAMILY_V6 : FAMILY_V4;
		const struct dht *d = n->dht[net_of(DHT_OVERLAY, f)];
		struct nat_view view;
		struct dht_stats s;

		intro_view(n, f, &view);
		ret->nat[f] = view.kind;
		if (d == NULL)
			continue;
		dht_get_stats(d, &s);
		ret->introduces[f].on = s.introduces;
		ret->introduces[f].handles = s.handles;
		ret->introduces[f].circuits = s.circuits;
		ret->introduces[f].n_passed = s.n_passed;
		ret->introduces[f].bytes_passed = s.bytes_passed;
		ret->introduces[f].contacts = s.handles_trusted;
		ret->introduces[f].bytes_contacts = s.bytes_trusted;
	}
}

static void
list_one(const struct introducer *t, struct cell_introducer *ret)
{
	ret->at = t->node.at;
	ret->n = t->node.n;
	memcpy(ret->handle, t->handle, sizeof(t->handle));
}

/* The relay first; he may be one of the others, too. */
uint8_t
intro_list(const struct node *n, struct cell_introducer *ret)
{
	const struct introducer *relay = &n->intro[INTRO_RELAY];
	bool has = relay->state == INTRO_SERVES;
	uint8_t count = 0;

	if (has)
		list_one(relay, &ret[count++]);
	for (unsigned i = 0; i < INTRO_RELAY; i++) {
		const struct introducer *t = &n->intro[i];

		if (t->state != INTRO_SERVES || count == CELL_INTRODUCERS_MAX ||
		    (has && endpoint_eq(&t->node.at, &relay->node.at)))
			continue;
		list_one(t, &ret[count++]);
	}
	return count;
}

/* ---- looking at our router ---- */

void
node_get_nat(const struct node *n, enum family f, struct node_nat *ret)
{
	const struct nat *t = &n->nat[f];
	struct nat_votes votes[NAT_SAMPLES_MAX];
	struct nat_view view;

	_Static_assert((int)NODE_NAT_SEEN_MAX == (int)NAT_SAMPLES_MAX, "");
	intro_view(n, f, &view);
	*ret = (struct node_nat){
		.on = n->has_family[f],
		.kind = view.kind,
		.votes = nat_n_samples(t, n->now.mono_ms),
		.votes_min = NAT_SAMPLES_MIN,
		.n_seen = nat_count(t, n->now.mono_ms, votes),
		.lo = view.lo,
		.hi = view.hi,
		.step = view.step,
		.has_unasked = t->has_unasked,
		.unasked_ms = t->unasked_ms,
	};
	for (size_t i = 0; i < ret->n_seen; i++) {
		ret->seen[i].at = votes[i].seen;
		ret->seen[i].votes = votes[i].n;
	}
}

size_t
node_candidates(const struct node *n, struct endpoint ret[NODE_CANDIDATES_MAX])
{
	_Static_assert(
	    (int)NODE_CANDIDATES_MAX == (int)CELL_CANDIDATES_MAX, "");
	return own_candidates(n, ret);
}
