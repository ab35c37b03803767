/*
 * Contacts on the local network: beacons out, knocks and cells in answer to
 * theirs. Whatever is heard costs a look into a table; only a token that a
 * contact alone can make costs more, and that a few times a slot. [SPEC §4.5]
 */
#include "proto/node_int.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	LAN_AGAIN_MS = 10 * 60 * 1000,
	LAN_JITTER_PERCENT = 20,
	LAN_GAP_MS = 2000, /* between two beacons at least */
	LAN_EARLY = 3,     /* beacons after a change, for some are lost */
	LAN_ACTS_MAX = 3,  /* knocks and cells for one pair in a slot */
};

static uint64_t
now_slot(const struct node *n)
{
	return lan_slot(n->now.wall_ms / 1000);
}

static enum cell_dir
their_dir(const struct node *n, const struct peer *p)
{
	return !p->c.invited && id_cmp(&n->self.id, &p->c.pk) < 0 ? CELL_HIGHER
	                                                          : CELL_LOWER;
}

static enum cell_dir
other(enum cell_dir dir)
{
	return dir == CELL_LOWER ? CELL_HIGHER : CELL_LOWER;
}

/* ---- out ---- */

void
lan_changed(struct node *n)
{
	uint64_t at = n->lan.sent_ms + LAN_GAP_MS;

	n->lan.stale = true;
	if (!n->lan.on)
		return;
	n->lan.n_early = 0;
	n->lan.beacon_ms = at > n->now.mono_ms ? at : n->now.mono_ms;
}

void
lan_forget(struct node *n)
{
	n->lan.stale = true;
}

/* Tokens of contacts without a session, from where the last beacon ended. */
static size_t
own_tokens(struct node *n, struct lan_token ret[LAN_TOKENS])
{
	size_t count = 0;
	size_t at = n->lan.turn;

	for (size_t i = 0; i < n->peers_cap && count < LAN_TOKENS; i++) {
		const struct peer *p = n->peers[at++ % n->peers_cap];

		if (p == NULL || p->online || peer_is_shut(p))
			continue;
		lan_token(&p->c.disc, LAN_BEACON, other(their_dir(n, p)),
		    now_slot(n), &ret[count++]);
	}
	n->lan.turn = n->peers_cap > 0 ? at % n->peers_cap : 0;
	return count;
}

static void
send_beacon(struct node *n)
{
	struct lan_token tokens[LAN_TOKENS];
	uint8_t datagram[LAN_SIZE];
	size_t count = own_tokens(n, tokens);

	if (count == 0)
		return; /* all are here, or nobody is awaited */
	lan_beacon(tokens, count, n->lan.key, now_slot(n), &n->rng, datagram);
	effect_lan(n, span_of(datagram, sizeof(datagram)));
	n->lan.sent_ms = n->now.mono_ms;
}

void
lan_tick(struct node *n)
{
	uint64_t wait = (uint64_t)LAN_GAP_MS << (2 * n->lan.n_early);

	if (!n->lan.on || !n->has_self || n->now.mono_ms < n->lan.beacon_ms)
		return;
	send_beacon(n);
	if (n->lan.n_early < LAN_EARLY)
		n->lan.n_early++;
	else
		wait = LAN_AGAIN_MS;
	n->lan.beacon_ms =
	    n->now.mono_ms + rng_jitter(&n->rng, wait, LAN_JITTER_PERCENT);
}

uint64_t
lan_deadline_ms(const struct node *n)
{
	return n->lan.on && n->has_self ? n->lan.beacon_ms : NEVER;
}

/* Our cell for who heard no other way of us. */
static void
send_cell(struct node *n, const struct disc_key *disc, enum cell_dir dir,
    const struct reach_key *reach)
{
	struct cell cell = { .unix_min = n->now.wall_ms / 60000 };
	uint8_t nonce[CELL_NONCE_SIZE];
	uint8_t datagram[LAN_SIZE];
	struct lan_token token;
	struct cell_key key;
	int64_t seq;

	if (lan_cell_key(disc, dir, now_slot(n), &key, &seq))
		return;
	cell.cert = n->self.s[0].cert;
	cell.reach = *reach;
	fill_cell(n, &cell);
	rng_fill(&n->rng, datagram, sizeof(datagram));
	rng_fill(&n->rng, nonce, sizeof(nonce));
	lan_token(disc, LAN_CELL, dir, now_slot(n), &token);
	memcpy(datagram, token.b, sizeof(token.b));
	cell_seal(&key, seq, &cell, nonce, datagram + LAN_TOKEN_SIZE);
	effect_lan(n, span_of(datagram, sizeof(datagram)));
	cell_key_wipe(&key);
	sodium_memzero(&cell, sizeof(cell));
}

/* ---- in ---- */

/* Every token that somebody may send us now. */
static bool
table_is_fresh(struct node *n)
{
	uint64_t slot = now_slot(n);
	size_t pairs = n->n_peers + NODE_INVITES_MAX;

	if (!n->lan.stale && n->lan.slot == slot)
		return true;
	if (lan_table_reset(&n->lan.table, pairs))
		return false;
	for (size_t i = 0; i < n->peers_cap; i++)
		if (n->peers[i] != NULL && !peer_is_shut(n->peers[i]))
			lan_table_add(&n->lan.table, &n->peers[i]->c.disc,
			    their_dir(n, n->peers[i]), (uint32_t)i, slot);
	for (uint32_t i = 0; i < NODE_INVITES_MAX; i++)
		if (n->hosts[i].live)
			lan_table_add(&n->lan.table, &n->hosts[i].invite.disc,
			    CELL_HIGHER, PEER_INVITES + i, slot);
	lan_table_sort(&n->lan.table);
	n->lan.slot = slot;
	n->lan.stale = false;
	return true;
}

/* A token may be replayed from anywhere: only so often does it move us. */
static bool
may_act(struct lan_budget *b, uint64_t slot)
{
	if (b->slot != slot) {
		b->slot = slot;
		b->n = 0;
	}
	if (b->n >= LAN_ACTS_MAX)
		return false;
	b->n++;
	return true;
}

static void
knock(struct node *n, const struct peer *p, const struct endpoint *at)
{
	uint32_t number = p->c.invited ? PEER_PAIRING + p->slot : p->slot;

	if (p->c.n_s > 0)
		links_connect(n->links, number, at, 1, 0, n->now);
}

static void
heard(struct node *n, const struct lan_entry *e, const struct endpoint *from)
{
	struct peer *p = peer_by_slot(n, e->who);

	if (e->who >= PEER_INVITES) {
		struct host *h = &n->hosts[e->who - PEER_INVITES];

		assert(e->who - PEER_INVITES < NODE_INVITES_MAX);
		if (may_act(&h->lan, now_slot(n)))
			send_cell(
			    n, &h->invite.disc, CELL_LOWER, &h->invite.reach);
		return;
	}
	if (p == NULL || p->online || p->shunned_until_ms != 0 ||
	    !may_act(&p->lan, now_slot(n)))
		return;
	if (p->c.n_s > 0)
		knock(n, p, from);
	else if (!p->c.invited)
		send_cell(
		    n, &p->c.disc, other(their_dir(n, p)), &n->self.reach);
}

static void
heard_cell(struct node *n, const struct lan_entry *e, struct span value,
    const struct endpoint *from)
{
	struct peer *p = peer_by_slot(n, e->who);
	struct cell_key key;
	struct cell cell;
	int64_t seq;

	if (p == NULL || p->online || p->shunned_until_ms != 0 ||
	    !may_act(&p->lan, now_slot(n)) ||
	    lan_cell_key(&p->c.disc, their_dir(n, p), e->slot, &key, &seq))
		return;
	if (!cell_open(
	        &key, seq, value, &p->c.pk, n->now.wall_ms / 1000, &cell)) {
		meet_take_cell(n, p, &cell);
		knock(n, p, from);
		sodium_memzero(&cell, sizeof(cell));
	}
	cell_key_wipe(&key);
}

void
node_lan_receive(struct node *n, const struct endpoint *from,
    struct span datagram, struct now now)
{
	const struct lan_entry *e;

	node_time(n, now);
	if (!n->lan.on || !n->has_self || datagram.n != LAN_SIZE ||
	    endpoint_scope(from) < SCOPE_PRIVATE || !table_is_fresh(n))
		return;
	e = lan_table_find(&n->lan.table, datagram.p);
	if (e != NULL && e->kind == LAN_CELL) {
		heard_cell(n, e,
		    span_of(datagram.p + LAN_TOKEN_SIZE, CELL_VALUE_SIZE),
		    from);
		n->unsettled = true;
		return;
	}
	for (size_t i = 0; i < LAN_TOKENS; i++) {
		e = lan_table_find(
		    &n->lan.table, datagram.p + i * LAN_TOKEN_SIZE);
		if (e != NULL && e->kind == LAN_BEACON)
			heard(n, e, from);
	}
	n->unsettled = true;
}
