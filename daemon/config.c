/* The table of keys: one row says all there is to know of a key. */
#include "daemon/config.h"

#include "daemon/addr.h"
#include "daemon/confine.h"
#include "daemon/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	NAME_MAX_BYTES = 32,
	DISK_MAX_MIB = 1000000000,
	EVENT_DAYS_MAX = 36500,
	EVENT_ROWS_MAX = 1000000000,
};

/* The first three are fields of struct config as they stand. */
enum kind { KEY_BOOL, KEY_INTEGER, KEY_PATH, KEY_ENUM, KEY_LIST };

struct key {
	const char *name, *fallback;
	enum kind kind;
	bool restart_needed;
	size_t at;    /* of the field */
	uint64_t max; /* KEY_INTEGER */
	/* The others have functions of their own. */
	bool (*set)(struct config *c, const char *value);
	void (*get)(const struct config *c, char *out, size_t cap);
};

/* Says what is wrong with a value; gives false, for `return refuse(...)`. */
static bool __attribute__((format(printf, 2, 3)))
refuse(struct config *c, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(c->error, sizeof(c->error), fmt, ap);
	va_end(ap);
	return false;
}

static bool
set_bool(struct config *c, const char *value, bool *ret)
{
	if (strcmp(value, "yes") == 0 || strcmp(value, "on") == 0 ||
	    strcmp(value, "true") == 0)
		*ret = true;
	else if (strcmp(value, "no") == 0 || strcmp(value, "off") == 0 ||
	         strcmp(value, "false") == 0)
		*ret = false;
	else
		return refuse(c, "\"%s\" is neither yes nor no", value);
	return true;
}

static bool
set_integer(struct config *c, const char *value, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (value[0] == '\0')
		return refuse(c, "a number is missing");
	for (const char *s = value; *s; s++) {
		unsigned digit = (unsigned)(*s - '0');

		if (digit > 9)
			return refuse(c, "\"%s\" is not a whole number", value);
		if (v > (max - digit) / 10)
			return refuse(c, "%s is too large, at most %llu", value,
			    (unsigned long long)max);
		v = v * 10 + digit;
	}
	*ret = v;
	return true;
}

static bool
set_path(struct config *c, const char *value, char to[CONFIG_VALUE_MAX])
{
	if (value[0] == '\0')
		return refuse(c, "a path is missing");
	if (strlen(value) >= CONFIG_VALUE_MAX)
		return refuse(c, "the path is too long");
	memcpy(to, value, strlen(value) + 1);
	return true;
}

/* ---- setters and getters of lists and enums ---- */

static bool
set_bootstrap(struct config *c, const char *value)
{
	const char *name = value;
	char host[ADDR_HOST_MAX + 1];
	struct node_key key;
	uint16_t port;

	if (addr_key(&name, &key) || addr_split(name, host, &port))
		return refuse(
		    c, "\"%s\" is not HOST:PORT or KEY@HOST:PORT", value);
	if (strlen(value) >= CONFIG_HOST_SIZE)
		return refuse(c, "\"%.64s...\" is too long", value);
	if (c->n_bootstrap == CONFIG_BOOTSTRAP_MAX)
		return refuse(
		    c, "more than %d of them", (int)CONFIG_BOOTSTRAP_MAX);
	(void)snprintf(
	    c->bootstrap[c->n_bootstrap++], CONFIG_HOST_SIZE, "%s", value);
	return true;
}

static void
append(char *out, size_t cap, const char *text)
{
	size_t n = strlen(out);

	(void)snprintf(out + n, cap - n, n ? "\n%s" : "%s", text);
}

static void
get_bootstrap(const struct config *c, char *out, size_t cap)
{
	for (size_t i = 0; i < c->n_bootstrap; i++)
		append(out, cap, c->bootstrap[i]);
}

static const char *const policies[] = {
	[NODE_MAINLINE] = "mainline",
	[NODE_MIXED] = "mixed",
	[NODE_OVERLAY] = "overlay",
};

static bool
set_dht(struct config *c, const char *value)
{
	for (int i = NODE_MAINLINE; i <= NODE_OVERLAY; i++) {
		if (strcmp(value, policies[i]) != 0)
			continue;
		c->dht = (enum node_policy)i;
		return true;
	}
	return refuse(c, "\"%s\" is not mixed, overlay or mainline", value);
}

static void
get_dht(const struct config *c, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%s", policies[c->dht]);
}

static bool
set_listen(struct config *c, const char *value)
{
	struct endpoint e;

	if (addr_parse(value, &e))
		return refuse(c,
		    "\"%s\" is not ADDRESS:PORT (numbers, IPv6 in brackets)",
		    value);
	for (size_t i = 0; i < c->n_listen; i++)
		if (endpoint_family(&c->listen[i]) == endpoint_family(&e))
			return refuse(
			    c, "one address a family; this is a second one");
	assert(c->n_listen < CONFIG_LISTEN_MAX);
	c->listen[c->n_listen++] = e;
	return true;
}

static void
get_listen(const struct config *c, char *out, size_t cap)
{
	char text[ADDR_TEXT_SIZE];

	for (size_t i = 0; i < c->n_listen; i++) {
		addr_format(&c->listen[i], text);
		append(out, cap, text);
	}
}

static bool
set_log_level(struct config *c, const char *value)
{
	int level = log_level_parse(value);

	if (level < 0)
		return refuse(c,
		    "\"%s\" is not err, warning, notice, info or debug", value);
	c->log_level = level;
	return true;
}

static void
get_log_level(const struct config *c, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%s", log_level_name(c->log_level));
}

static bool
set_ratchet_fallback(struct config *c, const char *value)
{
	if (strcmp(value, "allow") != 0 && strcmp(value, "deny") != 0)
		return refuse(c, "\"%s\" is not allow or deny", value);
	c->ratchet_fallback = value[0] == 'a';
	return true;
}

static void
get_ratchet_fallback(const struct config *c, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%s", c->ratchet_fallback ? "allow" : "deny");
}

static bool
set_reachable(struct config *c, const char *value)
{
	if (strcmp(value, "auto") != 0 && strcmp(value, "yes") != 0)
		return refuse(c, "\"%s\" is not auto or yes", value);
	c->reachable = value[0] == 'y';
	return true;
}

static void
get_reachable(const struct config *c, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%s", c->reachable ? "yes" : "auto");
}

static bool
set_sandbox(struct config *c, const char *value)
{
	for (int i = CONFINE_OFF; i <= CONFINE_STRICT; i++) {
		const char *name = confine_policy_name((enum confine_policy)i);

		if (strcmp(value, name) != 0)
			continue;
		c->sandbox = (enum confine_policy)i;
		return true;
	}
	return refuse(c, "\"%s\" is not strict, compat or off", value);
}

static void
get_sandbox(const struct config *c, char *out, size_t cap)
{
	(void)snprintf(out, cap, "%s", confine_policy_name(c->sandbox));
}

/* clang-format off */
#define FIELD(field) .at = offsetof(struct config, field)
#define OWN(name) .set = set_##name, .get = get_##name

static const struct key keys[CONFIG_KEYS] = {
	[CONFIG_KEY_BOOTSTRAP] = { "bootstrap", "",
	    KEY_LIST, true, OWN(bootstrap) },
	[CONFIG_KEY_BOOTSTRAP_DEFAULTS] = { "bootstrap-defaults", "yes",
	    KEY_BOOL, true, FIELD(bootstrap_defaults) },
	[CONFIG_KEY_CELLS_MIN] = { "cells-min", "0",
	    KEY_INTEGER, true, FIELD(cells_min), .max = NODE_CELLS_MIN_MAX },
	[CONFIG_KEY_DHT] = { "dht", "mixed",
	    KEY_ENUM, true, OWN(dht) },
	[CONFIG_KEY_DISK_RESERVE] = { "disk-reserve", "16",
	    KEY_INTEGER, true, FIELD(disk_reserve_mib), .max = DISK_MAX_MIB },
	[CONFIG_KEY_EVENT_DAYS] = { "event-days", "30",
	    KEY_INTEGER, false, FIELD(event_days), .max = EVENT_DAYS_MAX },
	[CONFIG_KEY_EVENT_ROWS] = { "event-rows", "200000",
	    KEY_INTEGER, false, FIELD(event_rows), .max = EVENT_ROWS_MAX },
	[CONFIG_KEY_LAN_DISCOVERY] = { "lan-discovery", "yes",
	    KEY_BOOL, true, FIELD(lan_discovery) },
	[CONFIG_KEY_LISTEN] = { "listen", "",
	    KEY_LIST, true, OWN(listen) },
	[CONFIG_KEY_LOG_ADDRESSES] = { "log-addresses", "no",
	    KEY_BOOL, false, FIELD(log_addresses) },
	[CONFIG_KEY_LOG_LEVEL] = { "log-level", "notice",
	    KEY_ENUM, false, OWN(log_level) },
	[CONFIG_KEY_OVERLAY_ANNOUNCE] = { "overlay-announce", "yes",
	    KEY_BOOL, true, FIELD(overlay_announce) },
	[CONFIG_KEY_PORT_MAPPING] = { "port-mapping", "yes",
	    KEY_BOOL, true, FIELD(port_mapping) },
	[CONFIG_KEY_RATCHET_FALLBACK] = { "ratchet-fallback", "allow",
	    KEY_ENUM, true, OWN(ratchet_fallback) },
	[CONFIG_KEY_REACHABLE] = { "reachable", "auto",
	    KEY_ENUM, true, OWN(reachable) },
	[CONFIG_KEY_READ_RECEIPTS] = { "read-receipts", "no",
	    KEY_BOOL, false, FIELD(read_receipts) },
	[CONFIG_KEY_RELAY_CONTACTS] = { "relay-contacts", "no",
	    KEY_BOOL, true, FIELD(relay_contacts) },
	[CONFIG_KEY_SANDBOX] = { "sandbox", "compat",
	    KEY_ENUM, true, OWN(sandbox) },
	[CONFIG_KEY_SOCKET] = { "socket", "",
	    KEY_PATH, true, FIELD(socket) },
	[CONFIG_KEY_STATE] = { "state", "",
	    KEY_PATH, true, FIELD(state) },
	[CONFIG_KEY_UPNP] = { "upnp", "yes",
	    KEY_BOOL, true, FIELD(upnp) },
};
/* clang-format on */

static bool
set_key(struct config *c, const struct key *k, const char *value)
{
	void *field = (char *)c + k->at;

	switch (k->kind) {
	case KEY_BOOL:
		return set_bool(c, value, field);
	case KEY_INTEGER:
		return set_integer(c, value, k->max, field);
	case KEY_PATH:
		return set_path(c, value, field);
	case KEY_ENUM:
	case KEY_LIST:
		break;
	}
	return k->set(c, value);
}

static void
get_key(const struct config *c, const struct key *k, char *out, size_t cap)
{
	const void *field = (const char *)c + k->at;

	switch (k->kind) {
	case KEY_BOOL:
		(void)snprintf(
		    out, cap, "%s", *(const bool *)field ? "yes" : "no");
		return;
	case KEY_INTEGER:
		(void)snprintf(out, cap, "%" PRIu64, *(const uint64_t *)field);
		return;
	case KEY_PATH:
		(void)snprintf(out, cap, "%s", (const char *)field);
		return;
	case KEY_ENUM:
	case KEY_LIST:
		break;
	}
	k->get(c, out, cap);
}

unsigned
config_find(const char *name)
{
	for (unsigned i = 0; i < CONFIG_KEYS; i++)
		if (strcmp(name, keys[i].name) == 0)
			return i;
	return CONFIG_KEYS;
}

bool
config_is_fixed(enum config_key key)
{
	return key == CONFIG_KEY_SANDBOX || key == CONFIG_KEY_SOCKET ||
	       key == CONFIG_KEY_STATE;
}

/* ---- did you mean ---- */

static unsigned
min3(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Edits from a to b [Levenshtein]; both at most NAME_MAX_BYTES long. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned row[NAME_MAX_BYTES + 1];
	size_t na = strlen(a);
	size_t nb = strlen(b);

	assert(na <= NAME_MAX_BYTES && nb <= NAME_MAX_BYTES);
	for (unsigned j = 0; j <= nb; j++)
		row[j] = j;
	for (unsigned i = 1; i <= na; i++) {
		unsigned diagonal = row[0];

		row[0] = i;
		for (unsigned j = 1; j <= nb; j++) {
			unsigned above = row[j];
			unsigned same = a[i - 1] == b[j - 1] ? 0 : 1;

			row[j] =
			    min3(above + 1, row[j - 1] + 1, diagonal + same);
			diagonal = above;
		}
	}
	return row[nb];
}

const char *
config_nearest(const char *name)
{
	const char *best = NULL;
	/* Farther is no typing mistake, least of all in a short name. */
	size_t half = 1 + strlen(name) / 2;
	unsigned best_d = half < 4 ? (unsigned)half : 4;

	for (unsigned i = 0; i < CONFIG_KEYS; i++) {
		unsigned d = strlen(name) > NAME_MAX_BYTES
		                 ? best_d
		                 : distance(name, keys[i].name);

		if (d < best_d) {
			best_d = d;
			best = keys[i].name;
		}
	}
	return best;
}

static bool
refuse_unknown(struct config *c, const char *name)
{
	const char *best = config_nearest(name);

	if (best)
		return refuse(
		    c, "unknown key \"%.64s\"; did you mean %s?", name, best);
	return refuse(c, "unknown key \"%.64s\"", name);
}

/* ---- setting and showing ---- */

static void
clear_list(struct config *c, unsigned key)
{
	if (key == CONFIG_KEY_BOOTSTRAP)
		c->n_bootstrap = 0;
	if (key == CONFIG_KEY_LISTEN)
		c->n_listen = 0;
}

enum err
config_set(struct config *c, const char *name, const char *value,
    enum config_source source)
{
	unsigned i = config_find(name);

	if (i == CONFIG_KEYS) {
		(void)refuse_unknown(c, name);
		return ERR_MALFORMED;
	}
	if (strlen(value) >= CONFIG_VALUE_MAX) {
		(void)refuse(c, "the value is longer than %d bytes",
		    (int)CONFIG_VALUE_MAX - 1);
		return ERR_MALFORMED;
	}
	if (keys[i].kind == KEY_LIST && c->source[i] != source)
		clear_list(c, i);
	if (!set_key(c, &keys[i], value))
		return ERR_MALFORMED;
	c->source[i] = source;
	return ERR_OK;
}

bool
config_take_key(
    struct config *c, const struct config *fresh, enum config_key key)
{
	const struct key *k = &keys[key];
	char value[CONFIG_VALUE_MAX];
	bool good;

	if (k->restart_needed)
		return false;
	assert(k->kind != KEY_LIST);
	get_key(fresh, k, value, sizeof(value));
	good = set_key(c, k, value);
	assert(good); /* it was taken before */
	c->source[key] = fresh->source[key];
	return good;
}

void
config_take_over(struct config *c, const struct config *fresh)
{
	for (unsigned i = 0; i < CONFIG_KEYS; i++)
		(void)config_take_key(c, fresh, (enum config_key)i);
}

void
config_item(
    const struct config *c, enum config_key key, struct config_item *ret)
{
	static const char *const sources[CONFIG_SOURCES] = {
		[CONFIG_DEFAULT] = "default",
		[CONFIG_FILE] = "file",
		[CONFIG_COMMAND_LINE] = "command-line",
		[CONFIG_SERVICE] = "service",
		[CONFIG_SETTING] = "setting",
	};
	static const char *const types[] = {
		[KEY_BOOL] = "bool",
		[KEY_INTEGER] = "integer",
		[KEY_PATH] = "string",
		[KEY_ENUM] = "enum",
		[KEY_LIST] = "list",
	};
	const struct key *k = &keys[key];

	*ret = (struct config_item){
		.name = k->name,
		.type = types[k->kind],
		.source = sources[c->source[key]],
		.fallback = k->fallback,
		.restart_needed = k->restart_needed,
	};
	get_key(c, k, ret->value, sizeof(ret->value));
}

static bool
same_lists(const struct config *a, const struct config *b, enum config_key key)
{
	bool listen = key == CONFIG_KEY_LISTEN;
	size_t n = listen ? a->n_listen : a->n_bootstrap;

	assert(listen || key == CONFIG_KEY_BOOTSTRAP);
	if (n != (listen ? b->n_listen : b->n_bootstrap))
		return false;
	for (size_t i = 0; i < n; i++)
		if (listen ? !endpoint_eq(&a->listen[i], &b->listen[i])
		           : strcmp(a->bootstrap[i], b->bootstrap[i]) != 0)
			return false;
	return true;
}

bool
config_agree(
    const struct config *a, const struct config *b, enum config_key key)
{
	char of_a[CONFIG_VALUE_MAX] = "";
	char of_b[CONFIG_VALUE_MAX] = "";

	if (keys[key].kind == KEY_LIST)
		return same_lists(a, b, key);
	get_key(a, &keys[key], of_a, sizeof(of_a));
	get_key(b, &keys[key], of_b, sizeof(of_b));
	return strcmp(of_a, of_b) == 0;
}

/* ---- defaults ---- */

static const char *
absolute(const char *env)
{
	const char *v = getenv(env);

	return v && v[0] == '/' ? v : NULL;
}

/* base ‖ tail; false if there is no base. */
static bool
join(char to[CONFIG_VALUE_MAX], const char *base, const char *tail)
{
	int n;

	if (!base)
		return false;
	n = snprintf(to, CONFIG_VALUE_MAX, "%s%s", base, tail);
	return n > 0 && n < CONFIG_VALUE_MAX;
}

/* A service manager names the directory; else the user's own. */
static void
default_paths(struct config *c)
{
	const char *service = absolute("STATE_DIRECTORY");
	const char *run = absolute("XDG_RUNTIME_DIR");

	if (join(c->state, service, "")) {
		c->state[strcspn(c->state, ":")] = '\0'; /* the first one */
		c->source[CONFIG_KEY_STATE] = CONFIG_SERVICE;
	} else if (!join(c->state, absolute("XDG_STATE_HOME"), "/btchat") &&
	           !join(c->state, absolute("HOME"), "/.local/state/btchat")) {
		c->state[0] = '\0';
	}
	if (join(c->socket, run, "/btchatd/control.sock"))
		return;
	if (service)
		(void)snprintf(
		    c->socket, sizeof(c->socket), "/run/btchatd/control.sock");
	else if (c->state[0] == '\0' ||
	         !join(c->socket, c->state, "/control.sock"))
		c->socket[0] = '\0';
}

enum err
config_defaults(struct config *c)
{
	for (unsigned i = 0; i < CONFIG_KEYS; i++) {
		if (keys[i].fallback[0] == '\0')
			continue;
		if (!set_key(c, &keys[i], keys[i].fallback))
			return ERR_MALFORMED;
	}
	default_paths(c);
	return ERR_OK;
}
