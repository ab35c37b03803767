/*
 * One participant: its life, its network, its clock. What it does for
 * contacts, invitations, messages and meeting is in node_*.c.
 */
#include "proto/node_int.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

/* ---- life ---- */

struct node *
node_new(const struct node_config *cfg, struct now now)
{
	struct node *n = calloc(1, sizeof(*n));

	if (n == NULL)
		return NULL;
	n->rng = *cfg->rng;
	n->now = now;
	n->loopback = cfg->loopback;
	n->cells_min = cfg->cells_min;
	n->sockets_max = cfg->sockets_max;
	n->lan.on = cfg->lan;
	n->lan.beacon_ms = now.mono_ms;
	memcpy(n->has_family, cfg->family, sizeof(n->has_family));
	n->reachable = cfg->reachable;
	n->denies_fallback = cfg->deny_fallback;
	n->relays = cfg->relay_contacts;
	n->close_ms = NEVER;
	intro_init(n);
	if (n->lan.on)
		rng_fill(&n->rng, n->lan.key, sizeof(n->lan.key));
	assert(n->cells_min <= NODE_CELLS_MIN_MAX);
	assert(n->sockets_max <= NODE_SOCKETS_MAX);
	n->save_dht_ms = now.mono_ms + NODE_SAVE_DHT_MS / 10;
	n->refresh_ms = now.mono_ms + NODE_REFRESH_MS;
	n->receipt_ms = NEVER;
	n->clock_ms = now.wall_ms - now.mono_ms;
	n->clock_set_ms = now.mono_ms;
	n->doubt_end_ms = NEVER;
	map_init(&n->by_id, sizeof(struct contact_id), &n->rng);
	map_init(&n->by_pk, sizeof(struct id_pk), &n->rng);
	n->links = links_new(&n->rng, now);
	n->scratch = malloc(RECORD_HEAD + RECORD_MAX);
	if (n->links == NULL || n->scratch == NULL || !nets_new(n, cfg)) {
		node_free(n);
		return NULL;
	}
	return n;
}

void
node_free(struct node *n)
{
	if (n == NULL)
		return;
	for (size_t i = 0; i < n->peers_cap; i++)
		if (n->peers[i] != NULL)
			peer_del(n, n->peers[i]);
	free(n->peers);
	map_clear(&n->by_id);
	map_clear(&n->by_pk);
	heap_clear(&n->timers);
	links_free(n->links);
	nets_free(n);
	dummies_clear(n);
	lan_table_clear(&n->lan.table);
	effects_clear(n);
	free(n->scratch);
	sodium_memzero(n, sizeof(*n));
	free(n);
}

enum err
node_set_identity(struct node *n, const struct id_seed *seed, struct span self,
    struct now now)
{
	enum err err = ERR_OK;

	node_time(n, now);
	if (n->has_self)
		return ERR_STATE;
	if (self.n == 0) {
		self_init(&n->self, seed, &n->rng, n->now.wall_ms / 1000);
		n->self_dirty = true;
	} else {
		err = self_decode(self, seed, &n->self);
	}
	if (err)
		return err;
	n->has_self = true;
	if (self_refresh(&n->self, &n->rng, n->now.wall_ms / 1000))
		n->self_dirty = true;
	links_set_ts_floor(n->links, n->self.ts_floor_ms);
	self_to_links(n);
	intro_begin(n);
	n->unsettled = true;
	return dummies_init(n);
}

enum err
node_load_contact(struct node *n, const struct contact_id *id,
    struct span record, struct now now)
{
	struct contact c;
	struct peer *p;
	enum err err;

	node_time(n, now);
	if (!n->has_self)
		return ERR_STATE;
	err = contact_decode(record, id, &c);
	if (err)
		return err;
	err = peer_new(n, &c, &p);
	contact_wipe(&c);
	if (err)
		return err;
	p->meet.claimed_s = p->c.put_s;
	peer_to_links(n, p);
	if (!peer_is_shut(p))
		meet_start_with_others(n, p);
	else
		n->hides = true;
	presence_settle(n, p);
	n->unsettled = true;
	return ERR_OK;
}

enum err
node_backup_contact(struct span record, struct writer *ret)
{
	static const struct contact_id none;
	struct contact c;
	enum err err = contact_decode(record, &none, &c);

	if (err)
		return err;
	ratchet_init(&c.ratchet, &c.rk0);
	contact_encode(&c, ret);
	contact_wipe(&c);
	return ERR_OK;
}

enum err
node_load_outbox(struct node *n, const struct node_message *m, struct now now)
{
	struct peer *p = peer_by_id(n, &m->contact);
	struct record r = { .kind = (enum record_kind)m->kind,
		.seq = m->seq,
		.id = m->id,
		.sent_ms = m->sent_ms_original,
		.has_ref = m->has_ref,
		.ref = m->ref,
		.ttl_s = m->ttl_s,
		.text = m->text };
	enum err err;

	node_time(n, now);
	if (p == NULL)
		return ERR_NOT_FOUND;
	if (m->seq == 0 || m->seq > INT64_MAX || !chat_is_kind(m->kind) ||
	    record_check(&r) ||
	    (p->outbox.tail != NULL && p->outbox.tail->record.seq >= m->seq))
		return ERR_MALFORMED;
	memcpy(r.prev, m->prev, sizeof(r.prev));
	/* What they do not take for now is queued, and left all the same. */
	err = outbox_add(&p->outbox, &r,
	    m->state == MESSAGE_SENT || m->reason != REASON_NONE);
	if (err)
		return err;
	n->outbox_bytes += m->text.n;
	presence_settle(n, p);
	return ERR_OK;
}

/* ---- network ---- */

/* Another network: who was out of reach may not be. */
static void
moved(struct node *n)
{
	lan_changed(n);
	intro_moved(n, true);
	cross_changed(n);
	meet_all(n);
	n->unsettled = true;
}

void
node_rebind(struct node *n, struct now now)
{
	node_time(n, now);
	moved(n);
}

void
node_set_local(
    struct node *n, const struct endpoint *local, size_t count, struct now now)
{
	node_time(n, now);
	if (count > NODE_LOCAL_MAX)
		count = NODE_LOCAL_MAX;
	if (count == n->n_local &&
	    memcmp(n->local, local, count * sizeof(*local)) == 0)
		return;
	if (count > 0)
		memcpy(n->local, local, count * sizeof(*local));
	n->n_local = (uint8_t)count;
	links_set_local(n->links, n->local, n->n_local, n->loopback);
	moved(n);
}

void
node_set_mapped(
    struct node *n, const struct endpoint *mapped, size_t count, struct now now)
{
	assert(count <= FAMILY_COUNT);
	node_time(n, now);
	if (count == n->n_mapped &&
	    memcmp(n->mapped, mapped, count * sizeof(*mapped)) == 0)
		return;
	if (count > 0)
		memcpy(n->mapped, mapped, count * sizeof(*mapped));
	n->n_mapped = (uint8_t)count;
	meet_changed(n); /* contacts are told by the next cell */
	cross_changed(n);
	n->unsettled = true;
}

void
node_receive(struct node *n, const struct endpoint *from, struct span datagram,
    struct now now)
{
	node_time(n, now);
	node_clock_watch(n);
	n->udp_in++;
	n->udp_bytes_in += datagram.n;
	if (endpoint_is_route(from, NULL))
		return; /* a forged source: no datagram of the network has it */
	if (!nets_receive(n, from, datagram))
		links_receive(n->links, from, datagram, n->now);
	n->unsettled = true;
}

void
node_behind(struct node *n, struct now now)
{
	node_time(n, now);
	links_behind(n->links, n->now);
}

void
node_stop(struct node *n, struct now now)
{
	node_time(n, now);
	for (size_t i = 0; i < n->peers_cap; i++)
		if (n->peers[i] != NULL && n->peers[i]->online)
			links_remove_peer(n->links, n->peers[i]->slot, n->now);
	nets_save(n);
	n->unsettled = true;
}

void
node_tick(struct node *n, struct now now)
{
	node_time(n, now);
	node_clock_watch(n);
	nets_tick(n);
	discovery_tick(n);
	lan_tick(n);
	intro_tick(n);
	cross_tick(n);
	receipt_tick(n);
	if (links_deadline_ms(n->links) <= now.mono_ms)
		links_tick(n->links, n->now);
	if (n->save_dht_ms <= now.mono_ms) {
		n->save_dht_ms = now.mono_ms + NODE_SAVE_DHT_MS;
		nets_save(n);
	}
	if (n->refresh_ms <= now.mono_ms) {
		n->refresh_ms = now.mono_ms + NODE_REFRESH_MS;
		self_keep_fresh(n);
	}
	hosts_refresh(n); /* refused from the second of its expiry on */
	n->unsettled = true;
}

static uint64_t
min_ms(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

uint64_t
node_deadline_ms(const struct node *n)
{
	uint64_t at = min_ms(n->save_dht_ms, n->refresh_ms);

	if (n->unsettled)
		return n->now.mono_ms;
	at = min_ms(at, nets_deadline_ms(n));
	at = min_ms(at, discovery_deadline_ms(n));
	at = min_ms(at, lan_deadline_ms(n));
	at = min_ms(at, intro_deadline_ms(n));
	at = min_ms(at, cross_deadline_ms(n));
	at = min_ms(at, n->receipt_ms);
	at = min_ms(at, links_deadline_ms(n->links));
	return min_ms(at, meet_deadline_ms(n));
}

/* ---- settling ---- */

static void
send_on(struct node *n, const struct link_out *out)
{
	struct way way = { .to = out->endpoint, .hops = out->hops };

	if (endpoint_is_route(&out->endpoint, NULL))
		route_send(n, &out->endpoint, out->data, out->hops);
	else
		effect_send_way(n, &way, out->data);
}

static bool
settle_links(struct node *n)
{
	struct link_out out;
	bool any = false;

	while (links_next(n->links, &out)) {
		any = true;
		if (out.kind == LINK_OUT_SEND) {
			send_on(n, &out);
		} else if (out.kind == LINK_OUT_TS) {
			n->self.ts_floor_ms = out.ts_ms;
			n->self_dirty = true;
		} else if (out.kind == LINK_OUT_CALLER) {
			invite_on_caller(n, &out);
		} else if (out.kind == LINK_OUT_PAIRED) {
			if (out.peer < PEER_PAIRING)
				invite_on_paired(n, &out);
			else
				pairing_on_paired(n, &out);
		} else {
			contact_on_link(n, &out);
		}
		sodium_memzero(&out, sizeof(out));
	}
	return any;
}

/*
 * Until nothing more comes out: what is written in one round leaves the links
 * in the next.
 */
void
node_settle(struct node *n)
{
	bool more = true;

	if (!n->unsettled)
		return;
	for (int i = 0; more && i < NODE_SETTLE_ROUNDS; i++) {
		more = i == 0;
		more |= settle_links(n);
		more |= nets_settle(n);
		if (!more)
			break;
		meet_run(n);
		chat_run(n);
		links_flush(n->links, n->now);
	}
	n->unsettled = false;
}

bool
node_failed(const struct node *n)
{
	return n->failed;
}

/* ---- looking ---- */

void
node_get_stats(const struct node *n, struct node_stats *ret)
{
	struct link_stats l;

	*ret = (struct node_stats){ .contacts = n->n_peers };
	links_stats(n->links, &l);
	ret->udp_dropped = l.n_dropped;
	for (size_t i = 0; i < n->peers_cap; i++) {
		if (n->peers[i] == NULL)
			continue;
		ret->online += n->peers[i]->online;
		ret->outbox += n->peers[i]->outbox.n;
	}
	for (size_t i = 0; i < NODE_INVITES_MAX; i++)
		ret->invites += n->hosts[i].live && !n->hosts[i].invite.used;
	ret->clock_doubted = clock_is_doubted(n);
	ret->sockets = n->n_sockets;
	ret->sockets_max = n->sockets_max;
	ret->udp_in = n->udp_in;
	ret->udp_out = n->udp_out;
	ret->udp_bytes_in = n->udp_bytes_in;
	ret->udp_bytes_out = n->udp_bytes_out;
	nets_stats(n, ret);
	intro_stats(n, ret);
	for (size_t i = 0; n->n_routed > 0 && i < n->peers_cap; i++) {
		const struct peer *p = n->peers[i];

		if (p == NULL || !p->online || !endpoint_is_relayed(&p->path))
			continue;
		ret->relayed++;
		ret->by_relay += endpoint_rank(&p->path) == RANK_ROOMY;
	}
}

bool
node_id(const struct node *n, struct id_pk *ret)
{
	if (n->has_self)
		*ret = n->self.id;
	return n->has_self;
}
