/* session.*, rpc.discover and status. */
#include "daemon/rpc_conn.h"

#include "daemon/addr.h"
#include "daemon/confine.h"
#include "daemon/rpc_openrpc.h"

#include <string.h>

enum { STATUS_CACHE_MS = 1000 };

static void
put_limits(struct json_out *o)
{
	json_put_open(o, "limits", '{');
	json_put_int(o, "line_bytes", API_LINE_MAX);
	json_put_int(o, "output_bytes", API_OUTPUT_MAX);
	json_put_int(o, "depth", API_DEPTH_MAX);
	json_put_int(o, "tokens", API_TOKENS_MAX);
	json_put_int(o, "id_bytes", API_ID_MAX);
	json_put_int(o, "batch", API_BATCH_MAX);
	json_put_int(o, "connections", API_CONNECTIONS_MAX);
	json_put_int(o, "in_flight", API_IN_FLIGHT_MAX);
	json_put_int(o, "subscriptions", API_SUBSCRIPTIONS_MAX);
	json_put_int(o, "fds", API_FDS_MAX);
	json_put_int(o, "consumers", API_CONSUMERS_MAX);
	json_put_int(o, "page", API_LIMIT_MAX);
	json_put_int(o, "client_id_bytes", API_CLIENT_ID_MAX);
	json_put_int(o, "text_bytes", NODE_TEXT_MAX);
	json_put_int(o, "name_bytes", STORE_NAME_MAX);
	json_close(o, '}');
}

static void
put_methods(struct json_out *o, const struct rpc_conn *c)
{
	enum rpc_tier tier = rpc_conn_tier(c);

	json_put_open(o, "methods", '[');
	for (size_t i = 0; i < rpc_n_methods; i++)
		if (rpc_methods[i].tier <= tier &&
		    rpc_may_call(c, &rpc_methods[i]))
			json_str(o, rpc_methods[i].name);
	json_close(o, ']');
}

void
rpc_session_info(struct rpc_call *c)
{
	struct events_log log;
	enum err err = events_log(c->d->store, &log);
	struct json_out *o;

	if (err) {
		rpc_fail_store(c, err);
		return;
	}
	o = rpc_result(c);
	json_put_str(o, "version", BTCHAT_VERSION);
	json_put_str(o, "api", API_VERSION);
	json_put_str(o, "tier", rpc_tier_name(rpc_conn_tier(c->conn)));
	put_methods(o, c->conn);
	rpc_restrict_put(o, c->conn);
	put_limits(o);
	json_put_str(o, "epoch", log.epoch);
	json_put_int(o, "head", log.head);
}

void
rpc_session_hello(struct rpc_call *c)
{
	/* Nothing is deprecated yet that `strict` would hide. */
	rpc_session_info(c);
}

void
rpc_discover(struct rpc_call *c)
{
	struct span doc = rpc_openrpc();

	if (doc.n == 0)
		(void)rpc_fail(c, API_INTERNAL);
	else
		rpc_result_raw(c, doc);
}

/* ---- status ---- */

/* Counting takes queries; between events nothing countable changes. */
static enum err
count(struct rpc_call *c)
{
	struct rpc_status_cache *s = &c->rpc->status;
	struct daemon *d = c->d;
	enum err err;

	if (s->good && !store_dirty(d->store) && s->head == d->event_head &&
	    d->now.mono_ms < s->at_ms + STATUS_CACHE_MS)
		return ERR_OK;
	err = store_count(d->store, &s->counts);
	s->db_bytes = store_bytes(d->store);
	s->head = d->event_head;
	s->at_ms = d->now.mono_ms;
	s->good = !err && !store_dirty(d->store);
	return err;
}

static const char *
dht_state(const struct node_stats *n)
{
	bool on = false, good = false;

	for (int f = 0; f < FAMILY_COUNT; f++) {
		on = on || n->dht[f].on || n->overlay[f].on;
		good = good || n->dht[f].nodes_good > 0 ||
		       n->overlay[f].nodes_good > 0;
	}
	return !on ? "off" : good ? "ready" : "searching";
}

static void
put_dht(struct json_out *o, const struct node_stats *n)
{
	size_t nodes = 0;

	for (int f = 0; f < FAMILY_COUNT; f++)
		nodes += n->dht[f].nodes_good + n->overlay[f].nodes_good;
	json_put_open(o, "dht", '{');
	json_put_uint(o, "nodes", nodes);
	json_put_str(o, "state", dht_state(n));
	json_close(o, '}');
}

static void
put_endpoints(struct json_out *o, const struct node_stats *n)
{
	char text[ADDR_TEXT_SIZE];

	json_put_open(o, "net", '{');
	json_put_str(o, "nat", view_nat(view_nat_of(n)));
	json_put_open(o, "endpoints", '[');
	for (int f = 0; f < FAMILY_COUNT; f++) {
		if (!n->dht[f].has_address)
			continue;
		addr_format(&n->dht[f].address, text);
		json_str(o, text);
	}
	json_close(o, ']');
	json_close(o, '}');
}

static void
put_warnings(struct json_out *o, const struct daemon *d)
{
	json_put_open(o, "warnings", '[');
	if (!d->node)
		json_str(o, "the store cannot be written: nothing is sent or "
		            "taken until it can");
	if (store_tampered(d->store) > 0)
		json_str(o, "rows of the store do not open: see the log");
	if (keyring_state(d->keyring) == KEYRING_OPEN &&
	    !keyring_sealed(d->keyring))
		json_str(o, "the key file is not sealed by a passphrase");
	json_close(o, ']');
}

static void
put_sandbox(struct json_out *o, const struct daemon *d)
{
	json_put_open(o, "sandbox", '{');
	json_put_str(o, "policy", confine_policy_name(d->config.sandbox));
	json_put_bool(o, "files", d->confined.files);
	json_put_bool(o, "calls", d->confined.calls);
	json_put_bool(o, "memory", d->confined.memory);
	json_close(o, '}');
}

/* One word for a status bar. */
static const char *
state_of(const struct daemon *d, const struct node_stats *n)
{
	if (d->stopping)
		return "stopping";
	if (keyring_state(d->keyring) == KEYRING_NONE)
		return "no-identity";
	if (keyring_state(d->keyring) == KEYRING_LOCKED)
		return "locked";
	if (!d->node)
		return "read-only";
	if (n->online > 0 || strcmp(dht_state(n), "ready") == 0)
		return "online";
	return "offline";
}

static void
put_identity(struct json_out *o, const struct daemon *d)
{
	char address[ADDRESS_SIZE];
	struct id_pk id;

	if (!d->node || !node_id(d->node, &id)) {
		json_put_null(o, "identity");
		return;
	}
	address_encode(&id, address);
	json_put_str(o, "identity", address);
}

void
rpc_status(struct rpc_call *c)
{
	const struct rpc_status_cache *s = &c->rpc->status;
	struct daemon *d = c->d;
	struct node_stats n = rpc_node_stats(d);
	struct json_out *o;
	enum err err = count(c);

	if (err) {
		rpc_fail_store(c, err);
		return;
	}
	o = rpc_result(c);
	json_put_str(o, "version", BTCHAT_VERSION);
	put_identity(o, d);
	json_put_bool(o, "locked", keyring_state(d->keyring) == KEYRING_LOCKED);
	json_put_str(o, "state", state_of(d, &n));
	json_put_uint(o, "since_ms", d->started_ms);
	put_dht(o, &n);
	put_endpoints(o, &n);
	json_put_uint(o, "contacts", s->counts.contacts);
	json_put_uint(o, "online", n.online);
	json_put_uint(o, "unread", s->counts.unread);
	json_put_uint(o, "unread_convs", s->counts.unread_convs);
	json_put_uint(o, "waiting", s->counts.waiting);
	json_put_int(o, "transfers", 0);
	json_put_uint(o, "db_bytes", s->db_bytes);
	put_sandbox(o, d);
	put_warnings(o, d);
}
