/* contact.* and invite.accept: who may talk to us. */
#include "daemon/rpc_conn.h"

#include "daemon/addr.h"
#include "proto/base/text.h"

#include <stdio.h>
#include <string.h>

/* What the node knows beyond the store. */
static void
put_live(
    struct json_out *o, const struct daemon *d, const struct contact_id *id)
{
	struct node_contact_info info = { 0 };
	bool known = d->node && node_contact_get(d->node, id, &info);

	json_put_bool(o, "online", known && info.online);
	json_put_uint(o, "waiting", known ? info.outbox : 0);
}

void
rpc_contact_put(
    struct json_out *o, const struct daemon *d, const struct store_contact *k)
{
	view_contact(o, k);
	put_live(o, d, &k->id);
}

struct listing {
	struct rpc_call *c;
	struct span query; /* folded to lower case by the caller of the row */
};

/* Is `part` within s, ASCII letters of either case alike? */
static bool
holds(const char *s, struct span part)
{
	size_t n = strlen(s);

	for (size_t at = 0; at + part.n <= n; at++)
		if (strncasecmp(s + at, (const char *)part.p, part.n) == 0)
			return true;
	return part.n == 0;
}

static bool
matches(const struct store_contact *k, struct span query)
{
	char address[ADDRESS_SIZE], id[ID_TEXT_SIZE];

	if (query.n == 0 || holds(k->name, query))
		return true;
	address_encode(&k->id_pk, address);
	id_encode(k->id.b, id);
	return (query.n < sizeof(address) &&
	           strncasecmp(address, (const char *)query.p, query.n) == 0) ||
	       (query.n < sizeof(id) &&
	           strncasecmp(id, (const char *)query.p, query.n) == 0);
}

static bool
on_contact(void *ctx, const struct store_contact *k)
{
	struct listing *l = ctx;
	struct json_out *o = l->c->out;

	if (!matches(k, l->query))
		return true;
	json_open(o, '{');
	rpc_contact_put(o, l->c->d, k);
	json_close(o, '}');
	return !rpc_page_full(l->c);
}

void
rpc_contact_list(struct rpc_call *c)
{
	struct listing l = { c, rpc_str(c, "query") };
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

/* Not found is CONTACT_NOT_FOUND; other errors are the store's. */
static bool
get_contact(
    struct rpc_call *c, const struct contact_id *id, struct store_contact *ret)
{
	return rpc_found(
	    c, store_contact_get(c->d->store, id, ret), API_CONTACT_NOT_FOUND);
}

static void
put_safety(struct json_out *o, const struct daemon *d, const struct id_pk *id)
{
	char digits[SAFETY_DIGITS + 1], groups[SAFETY_DIGITS + 12];
	struct id_pk own;
	size_t n = 0;

	if (!d->node || !node_id(d->node, &own))
		return;
	safety_number(&own, id, digits);
	for (size_t i = 0; i < SAFETY_DIGITS; i++) {
		if (i > 0 && i % 5 == 0)
			groups[n++] = ' ';
		groups[n++] = digits[i];
	}
	groups[n] = '\0';
	json_put_str(o, "fingerprint", groups);
}

static void
put_path(
    struct json_out *o, const struct daemon *d, const struct contact_id *id)
{
	struct node_contact_info info;
	char text[ADDR_TEXT_SIZE];

	if (!d->node || !node_contact_get(d->node, id, &info))
		return;
	view_decision(o, &info.decided);
	json_put_bool(o, "denied", info.denied);
	json_put_bool(o, "connecting", info.connecting);
	if (!info.online)
		return;
	addr_format(&info.path, text);
	json_put_str(o, "path", text);
	json_put_str(o, "way", view_way(info.way));
	if (info.way == NODE_WAY_RELAY)
		json_put_id(o, "relayed_by", info.relay.b);
	json_put_uint(o, "rtt_ms", info.rtt_ms);
}

static void
show(struct rpc_call *c, const struct contact_id *id)
{
	struct store_contact k;
	struct json_out *o;

	if (!get_contact(c, id, &k))
		return;
	o = rpc_result(c);
	rpc_contact_put(o, c->d, &k);
	put_path(o, c->d, id);
	json_put_uint(o, "unread", k.unread);
	put_safety(o, c->d, &k.id_pk);
}

void
rpc_contact_get(struct rpc_call *c)
{
	struct contact_id id;

	(void)rpc_id(c, "contact", id.b);
	show(c, &id);
}

/* The reply to a new contact, however it came. */
static void
added(struct rpc_call *c, enum api_error code, const struct contact_id *id,
    const char *why)
{
	struct store_contact k;
	struct json_out *o;

	if (code == API_BAD_ADDRESS && why) {
		json_put_str(rpc_error(c, API_BAD_ADDRESS,
		                 "not a valid address: %s", why),
		    "why", why);
	} else if (code == API_ALREADY_EXISTS) {
		json_put_id(
		    rpc_error(c, (int)code, "the contact is there already"),
		    "contact", id->b);
	} else if (code == API_INVALID_PARAMS) {
		rpc_fail_param(c, "name", why ? why : "not a name");
	} else if (code) {
		(void)rpc_fail(c, code);
	} else if (get_contact(c, id, &k)) {
		o = rpc_result(c);
		json_put_id(o, "contact", id->b);
		json_put_str(o, "state", view_contact_state(k.state));
	}
}

void
rpc_contact_add(struct rpc_call *c)
{
	struct command_contact in = { .address = rpc_str(c, "address"),
		.name = rpc_str(c, "name"),
		.client_id = rpc_str(c, "client_id") };
	struct contact_id id = { 0 };
	const char *why = NULL;
	enum api_error code = command_contact_add(c->d, &in, &id, &why);

	added(c, code, &id, why);
}

void
rpc_invite_accept(struct rpc_call *c)
{
	struct command_contact in = { .address = rpc_str(c, "uri"),
		.name = rpc_str(c, "name"),
		.client_id = rpc_str(c, "client_id") };
	struct contact_id id = { 0 };
	const char *why = NULL;
	enum api_error code = command_invite_accept(c->d, &in, &id, &why);

	added(c, code, &id, why);
}

/* What has been decided so far; false, and an error reply: no such contact. */
static bool
decided(
    struct rpc_call *c, const struct contact_id *id, struct node_decision *ret)
{
	struct node_contact_info info;

	if (!c->d->node || !node_contact_get(c->d->node, id, &info)) {
		(void)rpc_fail(c, API_CONTACT_NOT_FOUND);
		return false;
	}
	*ret = info.decided;
	return true;
}

static enum node_fallback
fallback_of(struct span name)
{
	if (span_eq(name, span_str("allow")))
		return NODE_FALLBACK_ALLOW;
	if (span_eq(name, span_str("deny")))
		return NODE_FALLBACK_DENY;
	return NODE_FALLBACK_AUTO;
}

void
rpc_contact_set(struct rpc_call *c)
{
	struct contact_id id;
	struct node_decision what;
	enum api_error code = API_OK;

	(void)rpc_id(c, "contact", id.b);
	if (!decided(c, &id, &what))
		return;
	if (rpc_has(c, "name"))
		code = command_contact_rename(c->d, &id, rpc_str(c, "name"));
	if (rpc_has(c, "fallback"))
		what.fallback = fallback_of(rpc_str(c, "fallback"));
	what.relay = rpc_bool(c, "relay", what.relay);
	what.hides = !rpc_bool(c, "presence", !what.hides);
	if (!code && (rpc_has(c, "fallback") || rpc_has(c, "relay") ||
	                 rpc_has(c, "presence")))
		code = command_contact_decide(c->d, &id, &what);
	if (code == API_INVALID_PARAMS)
		rpc_fail_param(c, "name", "not a name");
	else if (code)
		(void)rpc_fail(c, code);
	else
		show(c, &id);
}

/* Are these the digits, however they are grouped? */
static bool
is_safety(struct span text, const char digits[SAFETY_DIGITS + 1])
{
	size_t n = 0;

	for (size_t i = 0; i < text.n; i++) {
		char ch = (char)text.p[i];

		if (ch == ' ' || ch == '-' || ch == '\n')
			continue;
		if (n == SAFETY_DIGITS || ch != digits[n])
			return false;
		n++;
	}
	return n == SAFETY_DIGITS;
}

/* Without a number what was compared before counts no more. */
void
rpc_contact_verify(struct rpc_call *c)
{
	char digits[SAFETY_DIGITS + 1];
	struct node_contact_info info;
	struct node_decision what;
	struct contact_id id;
	struct id_pk own;
	enum api_error code;

	(void)rpc_id(c, "contact", id.b);
	if (!decided(c, &id, &what) ||
	    !node_contact_get(c->d->node, &id, &info) ||
	    !node_id(c->d->node, &own))
		return;
	what.verified = rpc_has(c, "fingerprint");
	safety_number(&own, &info.id, digits);
	if (what.verified && !is_safety(rpc_str(c, "fingerprint"), digits)) {
		(void)rpc_fail(c, API_FINGERPRINT_MISMATCH);
		return;
	}
	code = command_contact_decide(c->d, &id, &what);
	if (code)
		(void)rpc_fail(c, code);
	else
		show(c, &id);
}

static void
block(struct rpc_call *c, bool blocked)
{
	struct contact_id id;
	enum api_error code;

	(void)rpc_id(c, "contact", id.b);
	code = command_contact_block(c->d, &id, blocked);
	if (code) {
		(void)rpc_fail(c, code);
		return;
	}
	rpc_wait_recheck(c->rpc); /* what waited has failed */
	show(c, &id);
}

void
rpc_contact_block(struct rpc_call *c)
{
	block(c, true);
}

void
rpc_contact_unblock(struct rpc_call *c)
{
	block(c, false);
}

void
rpc_contact_delete(struct rpc_call *c)
{
	bool history = rpc_bool(c, "history", false);
	struct contact_id id;
	struct json_out *o;
	enum api_error code;

	(void)rpc_id(c, "contact", id.b);
	code = command_contact_delete(c->d, &id, history);
	if (code) {
		(void)rpc_fail(c, code);
		return;
	}
	rpc_wait_recheck(c->rpc);
	o = rpc_result(c);
	json_put_id(o, "contact", id.b);
	json_put_bool(o, "history", history);
}
