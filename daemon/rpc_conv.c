/* conv.* and sync.snapshot: conversations as a front end shows them. */
#include "daemon/rpc_conn.h"

#include "proto/base/text.h"

#include <string.h>

enum { PREVIEW_MAX = 256 }; /* bytes of the last message's text */

/* The longest beginning of at most PREVIEW_MAX bytes that is whole. */
static struct span
preview(struct span text)
{
	size_t n = text.n;

	if (n > PREVIEW_MAX) {
		n = PREVIEW_MAX;
		while (n > 0 && (text.p[n] & 0xc0) == 0x80)
			n--;
	}
	return span_of(text.p, n);
}

static bool
on_last(void *ctx, const struct store_message *m)
{
	struct json_out *o = ctx;
	struct span text = preview(m->m.text);

	json_put_open(o, "last", '{');
	json_put_id(o, "id", m->m.id.b);
	json_put_str(o, "direction", view_direction(m));
	json_put_str(o, "state", view_message_state(m->m.state));
	json_put_uint(o, "sent_ms", m->m.sent_ms);
	json_put_text(o, "text", text);
	json_put_bool(o, "cut", text.n < m->m.text.n);
	if (m->deleted)
		json_put_bool(o, "deleted", true);
	json_close(o, '}');
	return false;
}

struct listing {
	struct rpc_call *c;
	enum err err;
};

/* What a person has begun to write is nobody's who may only read. */
static enum err
put_draft(struct rpc_call *c, const struct store_contact *k)
{
	struct span text;
	enum err err;

	if (!k->conv.has_draft || rpc_conn_tier(c->conn) < RPC_CHAT)
		return ERR_OK;
	err = store_draft_get(c->d->store, &k->id, &text);
	if (!err)
		json_put_text(c->out, "draft", text);
	return err == ERR_AUTH ? ERR_OK : err;
}

/* What every listing of conversations tells; false: the page is full. */
static bool
put_rest(struct listing *l, const struct store_contact *k)
{
	struct store_history q = { .contact = k->id, .limit = 1 };
	struct json_out *o = l->c->out;

	json_put_uint(o, "unread", k->unread);
	view_conv(o, &k->conv);
	l->err = put_draft(l->c, k);
	if (!l->err && k->last_row > 0)
		l->err = store_history(l->c->d->store, &q, on_last, o);
	json_close(o, '}');
	return !l->err && !rpc_page_full(l->c);
}

static bool
on_conv(void *ctx, const struct store_contact *k)
{
	struct listing *l = ctx;
	struct json_out *o = l->c->out;

	json_open(o, '{');
	json_put_id(o, "conv", k->id.b);
	json_put_str(o, "name", k->name);
	json_put_str(o, "profile", k->profile);
	json_put_str(o, "state", view_contact_state(k->state));
	return put_rest(l, k);
}

void
rpc_conv_list(struct rpc_call *c)
{
	struct store_conv_query q = { .limit = rpc_limit(c),
		.unread_only = rpc_bool(c, "unread_only", false) };
	struct listing l = { .c = c };
	struct store_place next = { 0 };
	struct json_out *o;
	enum err err;

	if (!rpc_get_place(c, &q.from))
		return;
	o = rpc_result(c);
	json_put_open(o, "items", '[');
	err = store_convs(c->d->store, &q, on_conv, &l, &next);
	json_close(o, ']');
	if (err || l.err)
		rpc_fail_store(c, err ? err : l.err);
	else
		rpc_put_place(o, "next", &next);
}

void
rpc_conv_read(struct rpc_call *c)
{
	struct contact_id conv;
	struct message_id up_to;
	bool some = rpc_id(c, "up_to", up_to.b);
	uint64_t unread = 0;
	struct json_out *o;
	enum api_error code;

	(void)rpc_id(c, "conv", conv.b);
	code = command_conv_read(c->d, &conv, some ? &up_to : NULL, &unread);
	if (code) {
		(void)rpc_fail(c, code);
		return;
	}
	o = rpc_result(c);
	json_put_id(o, "conv", conv.b);
	json_put_uint(o, "unread", unread);
}

void
rpc_conv_clear(struct rpc_call *c)
{
	struct command_clear in = { .client_id = rpc_str(c, "client_id"),
		.drop = span_eq(rpc_str(c, "unsent"), span_str("drop")) };
	struct store_cleared what = { 0 };
	struct json_out *o;
	bool duplicate = false;
	enum api_error code;

	(void)rpc_id(c, "conv", in.conv.b);
	code = command_conv_clear(c->d, &in, &what, &duplicate);
	if (code == API_INVALID_PARAMS) {
		rpc_fail_param(c, "client_id", "not one line of UTF-8");
		return;
	}
	if (code) {
		(void)rpc_fail(c, code);
		return;
	}
	o = rpc_result(c);
	json_put_id(o, "conv", in.conv.b);
	json_put_uint(o, "messages", what.messages);
	json_put_uint(o, "unsent", what.unsent);
	if (in.client_id.n > 0)
		json_put_text(o, "client_id", in.client_id);
	json_put_bool(o, "duplicate", duplicate);
}

static void
fail_conv(struct rpc_call *c, enum api_error code)
{
	if (code == API_INVALID_PARAMS)
		rpc_fail_param(c, "draft", "not UTF-8");
	else if (code == API_MESSAGE_TOO_LONG)
		json_put_int(rpc_fail(c, code), "max", NODE_TEXT_MAX);
	else
		(void)rpc_fail(c, code);
}

static enum store_receipts
receipts_of(struct span name)
{
	if (span_eq(name, span_str("on")))
		return STORE_RECEIPTS_ON;
	if (span_eq(name, span_str("off")))
		return STORE_RECEIPTS_OFF;
	return STORE_RECEIPTS_DEFAULT;
}

/* Not found is CONVERSATION_NOT_FOUND; other errors are the store's. */
static bool
get_conv(struct rpc_call *c, const struct contact_id *conv,
    struct store_contact *ret)
{
	return rpc_found(c, store_contact_get(c->d->store, conv, ret),
	    API_CONVERSATION_NOT_FOUND);
}

/* The conversation as it is now. */
static void
show_conv(struct rpc_call *c, const struct contact_id *conv)
{
	struct store_contact k;
	struct json_out *o;
	enum err err;

	if (!get_conv(c, conv, &k))
		return;
	o = rpc_result(c);
	json_put_id(o, "conv", conv->b);
	view_conv(o, &k.conv);
	err = put_draft(c, &k);
	if (err)
		rpc_fail_store(c, err);
}

void
rpc_conv_set(struct rpc_call *c)
{
	struct command_conv what = { .has_draft = rpc_has(c, "draft"),
		.has_timer = rpc_has(c, "timer_ms"),
		.draft = rpc_str(c, "draft"),
		.ttl_s = rpc_seconds(c, "timer_ms") };
	struct contact_id conv;
	struct store_contact k;
	enum api_error code;

	(void)rpc_id(c, "conv", conv.b);
	if (!get_conv(c, &conv, &k))
		return;
	k.conv.muted = rpc_bool(c, "muted", k.conv.muted);
	k.conv.pinned = rpc_bool(c, "pinned", k.conv.pinned);
	if (rpc_has(c, "receipts"))
		k.conv.receipts = receipts_of(rpc_str(c, "receipts"));
	if (rpc_has(c, "muted") || rpc_has(c, "pinned") ||
	    rpc_has(c, "receipts"))
		what.kept = &k.conv;
	code = command_conv_set(c->d, &conv, &what);
	if (code)
		fail_conv(c, code);
	else
		show_conv(c, &conv);
}

void
rpc_typing_set(struct rpc_call *c)
{
	bool on = rpc_bool(c, "on", true);
	struct contact_id conv;
	struct json_out *o;
	enum api_error code;

	(void)rpc_id(c, "conv", conv.b);
	code = command_typing(c->d, &conv, on);
	if (code) {
		(void)rpc_fail(c, code);
		return;
	}
	o = rpc_result(c);
	json_put_id(o, "conv", conv.b);
	json_put_bool(o, "on", on);
}

/* ---- sync.snapshot ---- */

static bool
on_snapshot(void *ctx, const struct store_contact *k)
{
	struct listing *l = ctx;
	struct json_out *o = l->c->out;

	json_open(o, '{');
	view_contact(o, k);
	return put_rest(l, k);
}

static bool
on_invite(void *ctx, const struct store_invite *i)
{
	struct rpc_call *c = ctx;

	if (i->state != STORE_INVITE_LIVE)
		return true;
	json_open(c->out, '{');
	view_invite(c->out, i);
	json_close(c->out, '}');
	return true;
}

/* The head of the first page is what the whole snapshot is valid at: later
 * pages may show newer things, whose events come again after that cursor. */
void
rpc_sync_snapshot(struct rpc_call *c)
{
	struct listing l = { .c = c };
	struct store_place from, next = { 0 };
	struct store *s = c->d->store;
	struct events_log log;
	struct json_out *o;
	enum err err = events_log(s, &log);

	if (err) {
		rpc_fail_store(c, err);
		return;
	}
	if (!rpc_get_place(c, &from))
		return;
	o = rpc_result(c);
	rpc_put_cursor(o, "cursor", &log, log.head);
	if (!from.set) {
		json_put_open(o, "invites", '[');
		err = store_invites(s, on_invite, c);
		json_close(o, ']');
	}
	json_put_open(o, "contacts", '[');
	if (!err)
		err = store_contacts(
		    s, from, rpc_limit(c), on_snapshot, &l, &next);
	json_close(o, ']');
	if (err || l.err)
		rpc_fail_store(c, err ? err : l.err);
	else
		rpc_put_place(o, "next", &next);
}
