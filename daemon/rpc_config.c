/* config.*: how the daemon is set. */
#include "daemon/rpc_call.h"

#include "daemon/log.h"
#include "daemon/settings.h"

#include <string.h>

static void
put_key(struct json_out *o, const struct daemon *d, enum config_key key)
{
	const struct config *next = settings_next(d);
	struct config_item item;

	config_item(&d->config, key, &item);
	json_put_str(o, "key", item.name);
	json_put_str(o, "type", item.type);
	json_put_str(o, "value", item.value);
	json_put_str(o, "default", item.fallback);
	json_put_str(o, "source", item.source);
	json_put_bool(o, "restart_needed", item.restart_needed);
	if (config_agree(&d->config, next, key)) {
		json_put_null(o, "next");
		return;
	}
	config_item(next, key, &item);
	json_put_str(o, "next", item.value);
}

static void
put_file(struct json_out *o, const struct config *config)
{
	if (config->file[0])
		json_put_str(o, "file", config->file);
	else
		json_put_null(o, "file");
}

void
rpc_config_list(struct rpc_call *c)
{
	struct json_out *o = rpc_result(c);

	put_file(o, &c->d->config);
	json_put_open(o, "items", '[');
	for (unsigned key = 0; key < CONFIG_KEYS; key++) {
		json_open(o, '{');
		put_key(o, c->d, (enum config_key)key);
		json_close(o, '}');
	}
	json_close(o, ']');
}

/* Param "key"; false and an error reply if there is none of that name. */
static bool
find_key(struct rpc_call *c, enum config_key *ret)
{
	const char *name = (const char *)rpc_str(c, "key").p;
	unsigned key = config_find(name);
	const char *near = config_nearest(name);
	struct json_out *o;

	if (key < CONFIG_KEYS) {
		*ret = (enum config_key)key;
		return true;
	}
	o = rpc_fail_param(c, "key", "no such key");
	if (near)
		json_put_str(o, "did_you_mean", near);
	return false;
}

void
rpc_config_get(struct rpc_call *c)
{
	enum config_key key;

	if (find_key(c, &key))
		put_key(rpc_result(c), c->d, key);
}

void
rpc_config_set(struct rpc_call *c)
{
	const char *value = NULL;
	char why[CONFIG_ERROR_SIZE];
	enum config_key key;
	enum api_error code;

	_Static_assert(CONFIG_ITEM_MAX == 8704, "as the table says");
	if (!find_key(c, &key))
		return;
	if (rpc_has(c, "value"))
		value = (const char *)rpc_str(c, "value").p;
	code = settings_set(c->d, key, value, why);
	if (code == API_OK)
		put_key(rpc_result(c), c->d, key);
	else if (code == API_INVALID_PARAMS)
		rpc_fail_param(c, config_is_fixed(key) ? "key" : "value", why);
	else if (code == API_INVALID_STATE)
		json_put_str(
		    rpc_error(c, code, "not set: %s", why), "reason", why);
	else
		(void)rpc_fail(c, code);
}

void
rpc_config_reload(struct rpc_call *c)
{
	struct config *config = &c->d->config;
	struct json_out *o;

	if (!daemon_reload(c->d)) {
		o = rpc_error(c, API_INVALID_STATE,
		    "the configuration is wrong, and stays as it was");
		json_put_str(o, "reason", config->error);
		return;
	}
	put_file(rpc_result(c), config);
}
