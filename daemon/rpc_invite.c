/* invite.create, list, revoke. invite.accept is in rpc_contact.c: it makes a
 * contact. */
#include "daemon/rpc_call.h"

#include <string.h>

enum { TTL_DEFAULT_MS = 7 * 86400 * 1000 };

void
rpc_invite_create(struct rpc_call *c)
{
	uint64_t ttl_ms = (uint64_t)rpc_int(c, "ttl_ms", TTL_DEFAULT_MS);
	struct node_invite invite;
	char uri[NODE_INVITE_TEXT_SIZE + 8] = "btchat:";
	struct json_out *o;
	enum api_error code =
	    command_invite_create(c->d, rpc_str(c, "label"), ttl_ms, &invite);

	if (code == API_INVALID_PARAMS) {
		rpc_fail_param(c, "label", "not a label");
		return;
	}
	if (code) {
		(void)rpc_fail(c, code);
		return;
	}
	memcpy(uri + strlen(uri), invite.text, sizeof(invite.text));
	o = rpc_result(c);
	json_put_id(o, "id", invite.id.b);
	json_put_str(o, "uri", uri);
	json_put_uint(o, "expires_ms", invite.expires_s * 1000);
}

static bool
on_invite(void *ctx, const struct store_invite *i)
{
	struct rpc_call *c = ctx;

	json_open(c->out, '{');
	view_invite(c->out, i);
	json_close(c->out, '}');
	return !rpc_page_full(c);
}

void
rpc_invite_list(struct rpc_call *c)
{
	struct json_out *o = rpc_result(c);
	enum err err;

	json_put_open(o, "items", '[');
	err = store_invites(c->d->store, on_invite, c);
	json_close(o, ']');
	if (err)
		rpc_fail_store(c, err);
}

static void
fail_over(struct rpc_call *c, const struct message_id *id)
{
	struct store_invite i = { .state = STORE_INVITE_GONE };
	enum err err = store_invite_get(c->d->store, id, &i);

	if (err && err != ERR_NOT_FOUND)
		rpc_fail_store(c, err);
	else
		json_put_str(rpc_error(c, API_INVALID_STATE,
		                 "the invitation is not live any more"),
		    "state", i.state == STORE_INVITE_USED ? "used" : "gone");
}

void
rpc_invite_revoke(struct rpc_call *c)
{
	struct message_id id;
	enum api_error code;

	(void)rpc_id(c, "id", id.b);
	code = command_invite_revoke(c->d, &id);
	if (code == API_INVALID_STATE)
		fail_over(c, &id);
	else if (code)
		(void)rpc_fail(c, code);
	else
		json_put_id(rpc_result(c), "id", id.b);
}
