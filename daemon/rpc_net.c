/* net.*: what the network looks like from here. */
#include "daemon/rpc_call.h"

#include "daemon/addr.h"
#include "daemon/loop.h"
#include "daemon/portmap.h"
#include "daemon/rpc_conn.h"

#include "proto/base/text.h"

#include <string.h>

static void
put_endpoint(struct json_out *o, const char *key, const struct endpoint *e)
{
	char text[ADDR_TEXT_SIZE];

	addr_format(e, text);
	if (key)
		json_put_str(o, key, text);
	else
		json_str(o, text);
}

static void
put_local(struct json_out *o, const struct daemon *d)
{
	struct endpoint local[NODE_LOCAL_MAX];
	size_t n = udp_local(d->udp, local, NODE_LOCAL_MAX);

	json_put_open(o, "local", '[');
	for (size_t i = 0; i < n; i++)
		put_endpoint(o, NULL, &local[i]);
	json_close(o, ']');
}

static void
put_seen(struct json_out *o, const struct node_stats *n)
{
	json_put_open(o, "endpoints", '[');
	for (int f = 0; f < FAMILY_COUNT; f++)
		if (n->dht[f].has_address || n->overlay[f].has_address)
			put_endpoint(o, NULL,
			    n->dht[f].has_address ? &n->dht[f].address
			                          : &n->overlay[f].address);
	json_close(o, ']');
}

/* What the gateways map for us. */
static void
put_mapped(struct json_out *o, const struct daemon *d)
{
	static const char *const states[MAPPING_STATES] = {
		[MAPPING_OFF] = "off",
		[MAPPING_ASKING] = "asking",
		[MAPPING_HELD] = "held",
		[MAPPING_REFUSED] = "refused",
	};

	json_put_open(o, "mapped", '[');
	for (int f = 0; f < FAMILY_COUNT; f++) {
		const struct mapping *m =
		    portmap_state(d, f ? FAMILY_V6 : FAMILY_V4);
		struct endpoint e;

		if (!m)
			continue;
		json_open(o, '{');
		json_put_str(o, "family", f ? "v6" : "v4");
		json_put_str(o, "protocol", portmap_protocol(m));
		json_put_str(o, "state", states[m->state]);
		if (mapping_endpoint(m, &e))
			put_endpoint(o, "endpoint", &e);
		else
			json_put_null(o, "endpoint");
		json_put_bool(o, "behind_nat", mapping_behind_nat(m));
		json_close(o, '}');
	}
	json_close(o, ']');
}

/* Contacts that pass whole sessions for us, and for whom we do. */
static void
put_relay(struct json_out *o, const struct node_stats *n)
{
	size_t handles = 0;
	uint64_t bytes = 0;

	for (int f = 0; f < FAMILY_COUNT; f++) {
		handles += n->introduces[f].contacts;
		bytes += n->introduces[f].bytes_contacts;
	}
	json_put_open(o, "relay", '{');
	json_put_bool(o, "used", n->has_relay);
	json_put_uint(o, "sessions", n->by_relay);
	json_put_bool(o, "on", n->relays);
	json_put_uint(o, "contacts", handles);
	json_put_uint(o, "bytes", bytes);
	json_close(o, '}');
}

/* Who passes to us, and what we pass for others. */
static void
put_introducers(struct json_out *o, const struct node_stats *n)
{
	size_t handles = 0;
	uint64_t bytes = 0, datagrams = 0;
	bool on = false;

	for (int f = 0; f < FAMILY_COUNT; f++) {
		on |= n->introduces[f].on;
		handles += n->introduces[f].handles;
		datagrams += n->introduces[f].n_passed;
		bytes += n->introduces[f].bytes_passed;
	}
	json_put_uint(o, "introducers", n->introducers);
	json_put_uint(o, "relayed", n->relayed);
	put_relay(o, n);
	json_put_open(o, "introduces", '{');
	json_put_bool(o, "on", on);
	json_put_uint(o, "nodes", handles);
	json_put_uint(o, "datagrams", datagrams);
	json_put_uint(o, "bytes", bytes);
	json_close(o, '}');
}

void
rpc_net_status(struct rpc_call *c)
{
	struct node_stats n = rpc_node_stats(c->d);
	struct json_out *o = rpc_result(c);
	struct udp_stats u;

	udp_get_stats(c->d->udp, &u);
	json_put_str(o, "nat", view_nat(view_nat_of(&n)));
	put_local(o, c->d);
	put_seen(o, &n);
	put_mapped(o, c->d);
	json_put_uint(o, "contacts", n.contacts);
	json_put_uint(o, "online", n.online);
	json_put_uint(o, "outbox", n.outbox);
	put_introducers(o, &n);
	json_put_open(o, "udp", '{');
	json_put_uint(o, "in", u.in);
	json_put_uint(o, "out", u.out);
	json_put_uint(o, "bytes_in", u.bytes_in);
	json_put_uint(o, "bytes_out", u.bytes_out);
	json_put_uint(o, "ignored", n.udp_dropped);
	json_put_uint(o, "too_long", u.too_long);
	json_put_uint(o, "send_failed", u.send_failed);
	json_put_uint(o, "queue_dropped", u.queue_dropped);
	json_put_uint(o, "extra_sockets", n.sockets);
	json_put_uint(o, "extra_sockets_max", n.sockets_max);
	json_close(o, '}');
}

static void
put_key(struct json_out *o, const struct daemon *d, int family)
{
	struct node_key key = { { 0 } };
	char hex[2 * sizeof(key.b) + 1];

	if (d->node)
		node_key(d->node, family ? FAMILY_V6 : FAMILY_V4, &key);
	hex_encode(span_of(key.b, sizeof(key.b)), hex);
	json_put_str(o, "key", hex);
}

static void
put_dht(struct json_out *o, int family, const struct node_dht_stats *s)
{
	json_put_str(o, "family", family == FAMILY_V4 ? "v4" : "v6");
	json_put_bool(o, "on", s->on);
	json_put_uint(o, "nodes", s->nodes);
	json_put_uint(o, "nodes_good", s->nodes_good);
	json_put_uint(o, "buckets", s->buckets);
	json_put_uint(o, "items", s->items);
	json_put_uint(o, "ops", s->ops);
	json_put_uint(o, "rtt_ms", s->rtt_ms);
	json_put_uint(o, "network_size", s->network_size);
	if (s->has_address)
		put_endpoint(o, "address", &s->address);
	else
		json_put_null(o, "address");
}

void
rpc_net_dht(struct rpc_call *c)
{
	struct node_stats n = rpc_node_stats(c->d);
	struct json_out *o = rpc_result(c);

	json_put_open(o, "families", '[');
	for (int f = 0; f < FAMILY_COUNT; f++) {
		json_open(o, '{');
		put_dht(o, f, &n.dht[f]);
		json_close(o, '}');
	}
	json_close(o, ']');
	json_put_open(o, "overlay", '[');
	for (int f = 0; f < FAMILY_COUNT; f++) {
		json_open(o, '{');
		put_dht(o, f, &n.overlay[f]);
		put_key(o, c->d, f);
		json_close(o, '}');
	}
	json_close(o, ']');
}

/* ---- net.nat ---- */

static void
put_ports(struct json_out *o, const struct node_nat *n)
{
	bool known = n->kind == NAT_SEQUENTIAL || n->kind == NAT_BLOCK;

	if (!known) {
		json_put_null(o, "ports");
		return;
	}
	json_put_open(o, "ports", '{');
	json_put_uint(o, "lo", n->lo);
	json_put_uint(o, "hi", n->hi);
	json_put_int(o, "step", n->step);
	json_close(o, '}');
}

static void
put_router(struct json_out *o, const struct daemon *d, enum family f)
{
	struct node_nat n = { .on = false };

	if (d->node)
		node_get_nat(d->node, f, &n);
	json_put_str(o, "family", f == FAMILY_V4 ? "v4" : "v6");
	json_put_bool(o, "on", n.on);
	json_put_str(o, "nat", view_nat(n.kind));
	json_put_uint(o, "votes", n.votes);
	json_put_uint(o, "votes_min", n.votes_min);
	json_put_open(o, "seen", '[');
	for (size_t i = 0; i < n.n_seen; i++) {
		json_open(o, '{');
		put_endpoint(o, "endpoint", &n.seen[i].at);
		json_put_uint(o, "votes", n.seen[i].votes);
		json_close(o, '}');
	}
	json_close(o, ']');
	put_ports(o, &n);
	if (n.has_unasked)
		json_put_uint(
		    o, "unasked_ago_ms", d->now.mono_ms - n.unasked_ms);
	else
		json_put_null(o, "unasked_ago_ms");
}

static void
put_candidates(struct json_out *o, const struct daemon *d)
{
	struct endpoint at[NODE_CANDIDATES_MAX];
	size_t n = d->node ? node_candidates(d->node, at) : 0;

	json_put_open(o, "candidates", '[');
	for (size_t i = 0; i < n; i++)
		put_endpoint(o, NULL, &at[i]);
	json_close(o, ']');
}

void
rpc_net_nat(struct rpc_call *c)
{
	struct node_stats n = rpc_node_stats(c->d);
	struct json_out *o = rpc_result(c);

	json_put_str(o, "nat", view_nat(view_nat_of(&n)));
	json_put_bool(o, "reachable", c->d->config.reachable);
	json_put_open(o, "families", '[');
	for (int f = 0; f < FAMILY_COUNT; f++) {
		json_open(o, '{');
		put_router(o, c->d, (enum family)f);
		json_close(o, '}');
	}
	json_close(o, ']');
	put_mapped(o, c->d);
	put_candidates(o, c->d);
}

/* ---- net.peers ---- */

struct listing {
	struct rpc_call *c;
	bool online_only;
};

static void
put_time_left(struct json_out *o, const char *key, uint64_t at, uint64_t now)
{
	if (at == 0 || at == NEVER)
		json_put_null(o, key);
	else
		json_put_uint(o, key, at > now ? at - now : 0);
}

static void
put_time_since(struct json_out *o, const char *key, uint64_t at, uint64_t now)
{
	if (at == 0)
		json_put_null(o, key);
	else
		json_put_uint(o, key, now > at ? now - at : 0);
}

static void
put_meeting(struct json_out *o, const struct node_contact_info *i, uint64_t now)
{
	json_put_open(o, "meeting", '{');
	put_time_since(o, "published_ago_ms", i->published_ms, now);
	json_put_uint(o, "published_nodes", i->published_nodes);
	put_time_left(o, "publish_in_ms", i->next_publish_ms, now);
	put_time_since(o, "looked_up_ago_ms", i->looked_up_ms, now);
	put_time_left(o, "look_up_in_ms", i->next_lookup_ms, now);
	json_put_bool(o, "cell_seen", i->cell_seen);
	json_close(o, '}');
}

static void
put_peer(struct json_out *o, const struct store_contact *k,
    const struct node_contact_info *i, uint64_t now)
{
	json_open(o, '{');
	json_put_id(o, "contact", k->id.b);
	json_put_str(o, "name", k->name);
	json_put_str(o, "state", view_contact_state(i->state));
	json_put_bool(o, "online", i->online);
	json_put_bool(o, "connecting", i->connecting);
	if (i->online) {
		put_endpoint(o, "path", &i->path);
		json_put_str(o, "way", view_way(i->way));
	} else {
		json_put_null(o, "path");
		json_put_null(o, "way");
	}
	json_put_uint(o, "rtt_ms", i->rtt_ms);
	json_put_uint(o, "bytes_in", i->bytes_in);
	json_put_uint(o, "bytes_out", i->bytes_out);
	json_put_uint(o, "rekeys", i->rekeys);
	json_put_uint(o, "outbox", i->outbox);
	put_meeting(o, i, now);
	json_close(o, '}');
}

static bool
on_contact(void *ctx, const struct store_contact *k)
{
	struct listing *l = ctx;
	struct node_contact_info info = { .state = k->state };
	const struct daemon *d = l->c->d;

	if (d->node)
		(void)node_contact_get(d->node, &k->id, &info);
	if (info.online || !l->online_only)
		put_peer(l->c->out, k, &info, d->now.mono_ms);
	return !rpc_page_full(l->c);
}

void
rpc_net_peers(struct rpc_call *c)
{
	struct listing l = { c, rpc_bool(c, "online_only", false) };
	struct store_place from, next = { 0 };
	struct json_out *o;
	enum err err;

	if (!rpc_get_place(c, &from))
		return;
	o = rpc_result(c);
	json_put_open(o, "items", '[');
	err = store_contacts(
	    c->d->store, from, rpc_limit(c), on_contact, &l, &next);
	json_close(o, ']');
	if (err)
		rpc_fail_store(c, err);
	else
		rpc_put_place(o, "next", &next);
}

void
rpc_net_bootstrap(struct rpc_call *c)
{
	struct span node = rpc_str(c, "node");
	enum api_error code = command_bootstrap(c->d, (const char *)node.p);

	if (code == API_INVALID_PARAMS)
		rpc_fail_param(c, "node", "must be [key@]host:port");
	else if (code)
		(void)rpc_fail(c, code);
	else
		json_put_text(rpc_result(c), "node", node);
}

/* ---- net.probe ---- */

/* With what is known of why. */
static void
fail_probe(struct rpc_call *c, const struct contact_id *id, enum api_error code)
{
	struct json_out *o = rpc_fail(c, code);
	struct node_why why;

	if ((code == API_PEER_UNREACHABLE || code == API_TIMEOUT) &&
	    node_contact_why(c->d->node, id, &why))
		json_put_str(o, "verdict", view_verdict(why.verdict));
}

static void
put_probe(struct json_out *o, const struct contact_id *id,
    const struct node_contact_info *i, uint64_t rtt_ms)
{
	json_put_id(o, "contact", id->b);
	put_endpoint(o, "path", &i->path);
	json_put_str(o, "way", view_way(i->way));
	json_put_uint(o, "rtt_ms", rtt_ms);
	json_put_uint(o, "usual_ms", i->rtt_ms);
}

bool
rpc_probe_reply(struct rpc_call *c, const struct contact_id *id,
    const uint64_t *rtt_ms, bool last_time)
{
	enum api_error code = daemon_ready(c->d);
	struct node_contact_info info;

	if (!code && !node_contact_get(c->d->node, id, &info))
		code = API_CONTACT_NOT_FOUND;
	if (!code && !info.online)
		code = API_PEER_UNREACHABLE;
	if (!code && rtt_ms)
		put_probe(rpc_result(c), id, &info, *rtt_ms);
	else if (code || last_time)
		fail_probe(c, id, code ? code : API_TIMEOUT);
	else
		return false;
	return true;
}

void
rpc_net_probe(struct rpc_call *c)
{
	struct contact_id id = { { 0 } };
	enum api_error code;
	struct rpc_wait *w;

	(void)rpc_id(c, "contact", id.b);
	if (c->batch) {
		(void)rpc_error(c, API_INVALID_REQUEST,
		    "net.probe does not go into a batch");
		return;
	}
	code = command_probe(c->d, &id);
	if (code) {
		fail_probe(c, &id, code);
		return;
	}
	w = rpc_wait_new(c, RPC_WAIT_PROBE);
	if (w)
		w->contact = id;
}

void
rpc_net_rebind(struct rpc_call *c)
{
	uint64_t wait_ms = 0;
	struct json_out *o;

	if (!loop_rebind(c->d, &wait_ms)) {
		json_put_uint(
		    rpc_fail(c, API_RATE_LIMITED), "retry_after_ms", wait_ms);
		return;
	}
	o = rpc_result(c);
	put_local(o, c->d);
}
