/*
 * What the owner of a node does, as daemon/ does: pops the effects, makes the
 * changes durable, then lets datagrams and events out. Between any two of
 * these steps the node may crash. [proto/node.h: THE LAW]
 */
#include "tests/sim/sim.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
	RELOAD_MS = 200, /* after a failed commit */
	WRONG_CLOCK_MS = 86400 * 1000,
};

/* True if this was the moment of a planned crash; the node is gone then. */
static bool
boundary(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];

	if (n->crash_in == 0 || --n->crash_in > 0)
		return false;
	sim_crash_for(s, who, n->down_ms);
	return true;
}

static void
mix_digest(struct sim *s, uint32_t who, const struct sim_out *o)
{
	uint64_t head[4] = { s->now_ms, who, o->way.to.port, o->n };

	crypto_generichash_update(
	    &s->digest, (const uint8_t *)head, sizeof(head));
	crypto_generichash_update(
	    &s->digest, o->way.to.addr, sizeof(o->way.to.addr));
	crypto_generichash_update(&s->digest, o->b, o->n);
}

static void
do_send(struct sim *s, uint32_t who, const struct sim_out *o)
{
	struct span data = span_of(o->b, o->n);
	const char *wrong = wire_check(&s->wire, data);
	uint32_t to = net_find(&s->net, &o->way.to);
	bool is_carried;

	if (wrong)
		check_fail(&s->check, "node %u: a datagram of %zu bytes %s",
		    who, o->n, wrong);
	if (to == s->adversary && !s->hears)
		wrong = sim_may_hear(s, who, data);
	if (wrong)
		check_fail(
		    &s->check, "node %u tells the adversary: %s", who, wrong);
	if (s->asker && o->n == 104 && endpoint_eq(s->asker, &o->way.to))
		s->is_answered = true;
	mix_digest(s, who, o);
	s->nodes[who].n_out++;
	is_carried = net_send_way(&s->net, who, &o->way, data, s->now_ms);
	if (!wire_is_krpc(data))
		sim_trace(s, "%c%u > %c%u  %zu bytes%s",
		    s->nodes[who].is_person ? 'p' : 'c', who,
		    to < s->cfg.n_people ? 'p' : '?', to, o->n,
		    is_carried ? "" : " (lost)");
}

static void
note_online(struct sim *s, uint32_t who, uint32_t peer, bool is_online)
{
	struct sim_node *n = &s->nodes[who];

	n->online[peer] = is_online;
	n->online_ms[peer] = s->now_ms;
	if (is_online && n->first_online_ms[peer] == NEVER)
		n->first_online_ms[peer] = s->now_ms;
}

/* With clocks that far apart a certificate is not valid yet, or any more. */
static bool
is_out_of_time(const struct sim *s, uint32_t a, uint32_t b, enum err err)
{
	uint64_t x = sim_now(s, a).wall_ms;
	uint64_t y = sim_now(s, b).wall_ms;

	return err == ERR_EXPIRED &&
	       (x > y + WRONG_CLOCK_MS || y > x + WRONG_CLOCK_MS);
}

/* Events of contacts. k: durable, or NULL. */
static void
contact_event(struct sim *s, uint32_t who, const struct sim_out *o,
    const struct disk_contact *k)
{
	uint32_t peer = k ? check_who(&s->check, &k->pk) : CHECK_NOBODY;

	if (peer == CHECK_NOBODY) {
		check_fail(&s->check, "p%u: event %d of an unknown contact",
		    who, (int)o->event);
		return;
	}
	sim_trace(s, "p%u: event %d of p%u %s", who, (int)o->event, peer,
	    err_name(o->err));
	if (o->event == NODE_ONLINE || o->event == NODE_OFFLINE)
		note_online(s, who, peer, o->event == NODE_ONLINE);
	if (check_is_spoiled(&s->check, who, peer))
		return;
	if (o->event == NODE_CONTACT_READY && k->state != CONTACT_READY)
		check_fail(&s->check, "p%u: ready before it is durable", who);
	if (o->event == NODE_FALLBACK && !s->check.parted[who][peer] &&
	    !s->check.parted[peer][who] && !s->check.restored[who] &&
	    !s->check.restored[peer])
		check_fail(&s->check, "p%u lost the ratchet of p%u", who, peer);
	if (o->event == NODE_DENIED)
		check_fail(&s->check, "p%u denies p%u", who, peer);
	if (o->event == NODE_REFUSED && !is_out_of_time(s, who, peer, o->err))
		check_fail(&s->check, "p%u refused p%u: %s", who, peer,
		    err_name(o->err));
}

static void
do_event(struct sim *s, uint32_t who, const struct sim_out *o)
{
	const struct disk *d = &s->nodes[who].disk;
	const struct disk_invite *v;

	switch (o->event) {
	case NODE_CONTACT_PAIRED:
		v = disk_invite(d, &o->invite);
		if (!v || !v->used)
			check_fail(
			    &s->check, "p%u: paired before it is durable", who);
		contact_event(s, who, o, disk_contact(d, &o->contact));
		break;
	case NODE_FALLBACK:
		s->nodes[who].n_fallbacks++;
		contact_event(s, who, o, disk_contact(d, &o->contact));
		break;
	case NODE_CONTACT_READY:
	case NODE_ONLINE:
	case NODE_OFFLINE:
	case NODE_DENIED:
	case NODE_REFUSED:
	case NODE_CLOCK:
	case NODE_TYPING:
	case NODE_TYPING_OVER:
	case NODE_PONG:
		contact_event(s, who, o, disk_contact(d, &o->contact));
		break;
	case NODE_DHT_READY:
		break;
	case NODE_CLOCK_SET:
		sim_trace(s, "p%u does not believe its clock", who);
		s->nodes[who].n_doubts++;
		break;
	case NODE_ADDRESS:
		sim_trace(s, "%c%u sees itself as %s",
		    s->nodes[who].is_person ? 'p' : 'c', who,
		    net_find(&s->net, &o->at) == who ? "others do"
		                                     : "nobody does");
		break;
	}
}

struct watcher {
	struct sim *s;
	uint32_t who;
};

static void
applied(void *ctx, const struct change *c, enum disk_result result)
{
	struct watcher *w = (struct watcher *)ctx;

	sim_trace(w->s, "%c%u: stored, kind %d state %d seq %llu%s",
	    w->s->nodes[w->who].is_person ? 'p' : 'c', w->who, (int)c->kind,
	    (int)c->message.state, (unsigned long long)c->message.seq,
	    result == DISK_DONE ? "" : " (not new)");
	if (w->s->nodes[w->who].is_person)
		check_applied(&w->s->check, w->who, c, result);
}

/* False: the node is gone. */
static bool
commit(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];
	struct watcher w = { s, who };
	struct disk_watch watch = { applied, &w };

	if (n->disk.n_pending == 0)
		return true;
	if (boundary(s, who))
		return false;
	if (s->now_ms < n->full_until_ms ||
	    (n->fail_commit_in > 0 && --n->fail_commit_in == 0)) {
		sim_trace(s, "p%u: commit fails", who);
		s->n_failed_commits++;
		sim_crash_for(s, who, RELOAD_MS);
		return false;
	}
	disk_commit(&n->disk, &watch);
	return !boundary(s, who);
}

static void
let_out(struct sim *s, uint32_t who, const struct sim_out *o)
{
	switch (o->kind) {
	case EFFECT_SEND:
		do_send(s, who, o);
		break;
	case EFFECT_SOCKET_OPEN:
		net_socket_open(&s->net, who, o->way.socket);
		break;
	case EFFECT_SOCKET_CLOSE:
		net_socket_close(&s->net, who, o->way.socket);
		break;
	case EFFECT_EVENT:
		do_event(s, who, o);
		break;
	case EFFECT_STORE:
	case EFFECT_LAN:
		check_fail(&s->check, "node %u: effect %d", who, (int)o->kind);
		break;
	}
}

/* Commits, then lets out what was popped. False: the node is gone. */
static bool
flush(struct sim *s, uint32_t who)
{
	size_t n_outs = s->n_outs;

	s->n_outs = 0;
	if (node_failed(s->nodes[who].node)) {
		sim_trace(s, "node %u: no memory", who);
		sim_crash_for(s, who, RELOAD_MS);
		return false;
	}
	if (!commit(s, who))
		return false;
	for (size_t i = 0; i < n_outs; i++) {
		let_out(s, who, &s->outs[i]);
		if (boundary(s, who))
			return false;
	}
	return true;
}

static void
keep(struct sim *s, uint32_t who, const struct effect *e)
{
	struct sim_out *o;

	if (s->n_outs == s->cap_outs) {
		s->cap_outs = s->cap_outs ? 2 * s->cap_outs : 32;
		s->outs = (struct sim_out *)realloc(
		    s->outs, s->cap_outs * sizeof(*s->outs));
		assert(s->outs);
	}
	o = &s->outs[s->n_outs++];
	o->kind = e->kind;
	o->event = e->event;
	o->contact = e->contact;
	o->invite = e->invite;
	o->err = e->err;
	o->way = (struct net_way){ e->to, e->hops, e->socket };
	o->at = e->endpoint;
	o->n = 0;
	if (e->kind != EFFECT_SEND)
		return;
	if (e->data.n > sizeof(o->b)) {
		check_fail(
		    &s->check, "node %u sends %zu bytes", who, e->data.n);
		return;
	}
	memcpy(o->b, e->data.p, e->data.n);
	o->n = e->data.n;
}

static bool
next_effect(struct sim *s, uint32_t who, struct effect *e)
{
	bool any = node_next_effect(sim_enter(s, who), e);

	sim_leave();
	return any;
}

/* False: the node is gone. */
static bool
drain(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];
	uint32_t popped = 0;
	struct effect e;

	assert(s->n_outs == 0);
	while (next_effect(s, who, &e)) {
		if (++popped > SIM_EFFECTS_MAX) {
			check_fail(&s->check, "node %u never rests", who);
			s->n_outs = 0;
			return true;
		}
		if (e.kind == EFFECT_STORE)
			disk_store(&n->disk, &e.change);
		else
			keep(s, who, &e);
		if (n->owner == OWNER_STEP && e.kind != EFFECT_STORE &&
		    !flush(s, who))
			return false;
	}
	return flush(s, who);
}

void
sim_settle(struct sim *s, uint32_t who)
{
	struct sim_node *n = &s->nodes[who];
	uint64_t mono_ms;
	uint64_t at_ms;

	sim_leave();
	if (!n->node || !drain(s, who))
		return;
	mono_ms = node_deadline_ms(n->node);
	if (mono_ms == NEVER)
		return;
	at_ms = mono_ms <= n->mono_base_ms ? 0 : mono_ms - n->mono_base_ms;
	if (at_ms < s->now_ms)
		at_ms = s->now_ms;
	if (at_ms >= n->tick_ms)
		return;
	n->tick_ms = at_ms;
	s->ticks[who].who = who;
	queue_push(&s->agenda, at_ms, &s->ticks[who]);
}
