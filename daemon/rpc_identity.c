/* identity.*: who this daemon is. */
#include "daemon/rpc_call.h"

#include "proto/base/text.h"

#include <string.h>

static void
put_identity(struct json_out *o, struct daemon *d, const struct id_pk *id)
{
	char address[ADDRESS_SIZE], uri[ADDRESS_SIZE + 8] = "btchat:";
	char hex[2 * sizeof(id->b) + 1];
	char name[STORE_NAME_MAX + 1] = "", profile[STORE_NAME_MAX + 1] = "";
	uint64_t created_ms = 0;
	enum err err = store_profile_get(d->store, name, &created_ms);

	address_encode(id, address);
	memcpy(uri + strlen(uri), address, sizeof(address));
	hex_encode(span_of(id->b, sizeof(id->b)), hex);
	json_put_str(o, "address", address);
	json_put_str(o, "uri", uri);
	json_put_str(o, "fingerprint", hex);
	json_put_str(o, "name", err ? "" : name);
	if (store_told_get(d->store, profile))
		profile[0] = '\0';
	json_put_str(o, "profile", profile);
	json_put_uint(o, "created_ms", err ? 0 : created_ms);
	json_put_bool(o, "sealed", keyring_sealed(d->keyring));
}

static void
show(struct rpc_call *c)
{
	struct id_pk id;

	if (!c->d->node || !node_id(c->d->node, &id))
		(void)rpc_fail(c, store_error(c->d->store));
	else
		put_identity(rpc_result(c), c->d, &id);
}

void
rpc_identity_show(struct rpc_call *c)
{
	show(c);
}

void
rpc_identity_create(struct rpc_call *c)
{
	struct span name = rpc_str(c, "name");
	enum api_error code = API_OK;

	if (!utf8_is_line(name)) {
		rpc_fail_param(c, "name", "has control characters");
		return;
	}
	code = command_identity_create(c->d, rpc_str(c, "passphrase"));
	rpc_forget(c, "passphrase");
	if (!code && store_profile_set(c->d->store, name, c->d->now.wall_ms))
		code = store_error(c->d->store);
	if (code)
		(void)rpc_fail(c, code);
	else
		show(c);
}

void
rpc_identity_set(struct rpc_call *c)
{
	struct span name = rpc_str(c, "name"), profile = rpc_str(c, "profile");
	enum api_error code = API_OK;

	if (!utf8_is_line(name) || !utf8_is_line(profile)) {
		rpc_fail_param(c, utf8_is_line(name) ? "profile" : "name",
		    "has control characters");
		return;
	}
	if (rpc_has(c, "name"))
		code = command_identity_name(c->d, name);
	if (!code && rpc_has(c, "profile"))
		code = command_identity_profile(c->d, profile);
	if (code)
		(void)rpc_fail(c, code);
	else
		show(c);
}

void
rpc_identity_unlock(struct rpc_call *c)
{
	enum api_error code =
	    command_identity_unlock(c->d, rpc_str(c, "passphrase"));

	rpc_forget(c, "passphrase");
	if (code)
		(void)rpc_fail(c, code);
	else
		show(c);
}
