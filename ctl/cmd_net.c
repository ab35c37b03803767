/* net, config: looking at the machinery. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/resolve.h"
#include "ctl/value.h"
#include "ctl/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROBE_MS = 10 * 1000, PROBE_MAX_MS = 3600 * 1000 };

int
cmd_net_status(struct ctl *ctl)
{
	return cmd_show(ctl, "net.status", NULL);
}

int
cmd_net_nat(struct ctl *ctl)
{
	return cmd_show(ctl, "net.nat", NULL);
}

/* A member as text, whatever it is. */
static void
add_member(struct table *t, const cJSON *o, const char *key)
{
	const cJSON *v = value_get(o, key);
	char number[24];

	if (cJSON_IsNumber(v)) {
		(void)snprintf(
		    number, sizeof(number), "%" PRIu64, value_u64(o, key));
		table_add(t, number);
	} else if (cJSON_IsBool(v)) {
		table_add(t, cJSON_IsTrue(v) ? "yes" : "no");
	} else {
		table_add(t, cJSON_IsString(v) ? v->valuestring : "-");
	}
}

int
cmd_net_dht(struct ctl *ctl)
{
	static const char *const lists[] = { "families", "overlay" };
	static const char *const heads[] = { "FAMILY", "ON", "NODES", "GOOD",
		"BUCKETS", "ITEMS", "BUSY", "RTT ms", "NETWORK", "ADDRESS",
		"CARRIER", "" };
	static const char *const keys[] = { "family", "on", "nodes",
		"nodes_good", "buckets", "items", "ops", "rtt_ms",
		"network_size", "address" };
	enum { COLUMNS = sizeof(keys) / sizeof(keys[0]) };
	const cJSON *family = NULL;
	cJSON *dht = NULL;
	struct table t;
	int status = ctl_call(ctl, "net.dht", NULL, &dht);

	if (status != CTL_DONE)
		return status;
	if (print_as_json(ctl, dht))
		goto out;
	table_init(&t, ctl, heads, COLUMNS + (ctl->mode == MODE_HUMAN ? 1 : 2));
	for (size_t k = 0; k < 2; k++) {
		cJSON_ArrayForEach(family, value_get(dht, lists[k]))
		{
			for (size_t i = 0; i < COLUMNS; i++)
				add_member(&t, family, keys[i]);
			table_add(&t, k ? "overlay" : "mainline");
			if (ctl->mode != MODE_HUMAN)
				add_member(&t, family, "key");
		}
	}
	table_print(&t);
out:
	cJSON_Delete(dht);
	return CTL_DONE;
}

static void
add_peer(struct table *t, const cJSON *p)
{
	static const char *const keys[] = { "path", "rtt_ms", "bytes_in",
		"bytes_out", "outbox" };
	bool human = t->ctl->mode == MODE_HUMAN;
	char id[PRINT_ID_SIZE];

	print_short(value_str(p, "contact"), id);
	if (human && value_str(p, "name")[0] != '\0')
		table_add(t, value_str(p, "name"));
	else
		table_add(t, human ? id : value_str(p, "contact"));
	table_add(t, value_true(p, "online")       ? "online"
	             : value_true(p, "connecting") ? "connecting"
	                                           : "offline");
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		add_member(t, p, keys[i]);
	if (!human)
		table_add(t, value_str(p, "name"));
}

int
cmd_net_peers(struct ctl *ctl)
{
	static const char *const heads[] = { "CONTACT", "STATE", "PATH",
		"RTT ms", "IN", "OUT", "WAITING" };
	static const struct cmd_list list = { "net.peers", heads, 7, 8,
		add_peer, false };

	return cmd_list(ctl, &list, NULL);
}

static void
print_probe(const struct ctl *ctl, const cJSON *contact, const cJSON *r)
{
	char name[128], rtt[24], usual[24];

	if (ctl->mode == MODE_HUMAN) {
		print_human("%s: %" PRIu64 " ms, %s, %s",
		    resolve_name(contact, name), value_u64(r, "rtt_ms"),
		    value_str(r, "way"), value_str(r, "path"));
		return;
	}
	(void)snprintf(rtt, sizeof(rtt), "%" PRIu64, value_u64(r, "rtt_ms"));
	(void)snprintf(
	    usual, sizeof(usual), "%" PRIu64, value_u64(r, "usual_ms"));
	print_fields(ctl, value_str(r, "contact"), rtt, usual,
	    value_str(r, "way"), value_str(r, "path"), NULL);
}

int
cmd_net_probe(struct ctl *ctl)
{
	uint64_t ms = ctl->has_timeout ? ctl->timeout_ms : PROBE_MS;
	cJSON *contact = NULL, *result = NULL, *params = NULL;
	int status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);

	if (status != CTL_DONE)
		return status;
	params = cJSON_CreateObject();
	value_add_str(params, "contact", value_str(contact, "id"));
	value_add_u64(
	    params, "timeout_ms", ms < PROBE_MAX_MS ? ms : PROBE_MAX_MS);
	status = ctl_call_for(
	    ctl, ms + CTL_REPLY_TIMEOUT_MS, "net.probe", params, &result);
	if (status == CTL_DONE && !print_as_json(ctl, result))
		print_probe(ctl, contact, result);
	cJSON_Delete(result);
	cJSON_Delete(contact);
	return status;
}

int
cmd_net_bootstrap(struct ctl *ctl)
{
	cJSON *params = cJSON_CreateObject();

	value_add_str(params, "node", args_word(&ctl->args, 0));
	return cmd_do(ctl, "net.bootstrap", params, "asking that node");
}

int
cmd_net_rebind(struct ctl *ctl)
{
	return cmd_do(ctl, "net.rebind", NULL, "looking round");
}

int
cmd_config_reload(struct ctl *ctl)
{
	return cmd_do(
	    ctl, "config.reload", NULL, "read the configuration again");
}

/* The words behind the key, a line each. */
static char *
values_of(const struct ctl *ctl)
{
	char *text = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (f == NULL)
		return value_strdup("");
	for (size_t i = 1; i < args_count(&ctl->args); i++)
		(void)fprintf(
		    f, "%s%s", i > 1 ? "\n" : "", args_word(&ctl->args, i));
	(void)fclose(f);
	return text;
}

/* A list's values are lines, or elements; one field for both. */
static char *
setting_text(const cJSON *v)
{
	char *text = NULL;
	const cJSON *item = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&text, &n);

	if (f == NULL)
		return value_strdup("");
	if (cJSON_IsString(v)) {
		(void)fputs(v->valuestring, f);
	} else if (cJSON_IsArray(v)) {
		cJSON_ArrayForEach(item, v)
		{
			(void)fprintf(f, "%s%s",
			    item->prev->next != NULL ? " " : "",
			    cJSON_IsString(item) ? item->valuestring : "");
		}
	} else if (v != NULL) {
		value_write(f, v);
	}
	(void)fclose(f);
	return text;
}

/* What it will be after a restart, or "". */
static char *
next_text(const cJSON *item)
{
	const cJSON *next = value_get(item, "next");

	return next == NULL || cJSON_IsNull(next) ? value_strdup("")
	                                          : setting_text(next);
}

static void
add_setting(struct table *t, const cJSON *item)
{
	char *value = setting_text(value_get(item, "value"));
	char *next = next_text(item);

	table_add(t, value_str(item, "key"));
	table_add(t, value);
	table_add(t, value_str(item, "source"));
	table_add(t, next);
	free(next);
	free(value);
}

int
cmd_config_ls(struct ctl *ctl)
{
	static const char *const heads[] = { "KEY", "VALUE", "SOURCE",
		"AFTER A RESTART" };
	static const struct cmd_list list = { "config.list", heads, 4, 4,
		add_setting, false };

	return cmd_list(ctl, &list, NULL);
}

int
cmd_config_get(struct ctl *ctl)
{
	cJSON *params = cJSON_CreateObject(), *result = NULL;

	value_add_str(params, "key", args_word(&ctl->args, 0));
	int status = ctl_call(ctl, "config.get", params, &result);

	if (status == CTL_DONE && !print_as_json(ctl, result)) {
		char *value = setting_text(value_get(result, "value"));
		char *next = next_text(result);

		if (ctl->mode != MODE_HUMAN)
			print_fields(ctl, value, NULL);
		else if (next[0] != '\0')
			print_human("%s, and %s after a restart", value, next);
		else
			print_human("%s", value);
		free(next);
		free(value);
	}
	cJSON_Delete(result);
	return status;
}

/* What it will be, if that is not what it is. */
static void
print_set(const struct ctl *ctl, const cJSON *item)
{
	bool later = value_has_str(item, "next");
	char *value = setting_text(value_get(item, later ? "next" : "value"));

	if (ctl->mode == MODE_HUMAN)
		print_human("%s: %s%s", value_str(item, "key"), value,
		    later ? ", after a restart of btchatd" : "");
	else
		print_fields(ctl, value_str(item, "key"), value,
		    later ? "restart" : "now", NULL);
	free(value);
}

int
cmd_config_set(struct ctl *ctl)
{
	bool unset = args_has(&ctl->args, "unset");
	cJSON *params = NULL, *result = NULL;
	char *values = NULL;
	int status;

	if (unset == (args_count(&ctl->args) > 1))
		return report_usage("either VALUE or --unset");
	params = cJSON_CreateObject();
	value_add_str(params, "key", args_word(&ctl->args, 0));
	values = values_of(ctl);
	if (!unset)
		value_add_str(params, "value", values);
	free(values);
	status = ctl_call(ctl, "config.set", params, &result);
	if (status == CTL_DONE && !print_as_json(ctl, result))
		print_set(ctl, result);
	cJSON_Delete(result);
	return status;
}
