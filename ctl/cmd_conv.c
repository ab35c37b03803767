/* conv: conversations, and how they are kept; msg read. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/resolve.h"
#include "ctl/value.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- conv ls ---- */

static const char *
mark(const cJSON *conv, const char *key, const char *word)
{
	return value_true(conv, key) ? word : "-";
}

static void
add_row(struct table *t, const cJSON *c)
{
	bool human = t->ctl->mode == MODE_HUMAN;
	char unread[24], name[128] = "";

	(void)snprintf(unread, sizeof(unread), "%llu",
	    (unsigned long long)value_u64(c, "unread"));
	if (!human)
		table_add(t, value_str(c, "conv"));
	table_add(t, human ? resolve_name(c, name) : value_str(c, "name"));
	table_add(t, unread);
	table_add(t, mark(c, "muted", "muted"));
	table_add(t, mark(c, "pinned", "pinned"));
	table_add(t, mark(c, "has_draft", "draft"));
	if (human)
		table_add(t, value_str(c, "last.text"));
}

int
cmd_conv_ls(struct ctl *ctl)
{
	static const char *const heads[] = { "NAME", "UNREAD", "", "", "",
		"LAST" };
	static const struct cmd_list list = { "conv.list", heads, 6, 6, add_row,
		true };
	cJSON *params = cJSON_CreateObject();

	if (args_has(&ctl->args, "unread"))
		(void)cJSON_AddTrueToObject(params, "unread_only");
	return cmd_list(ctl, &list, params);
}

/* ---- conv set ---- */

/* False: it is no time. */
static bool
add_timer(const struct ctl *ctl, cJSON *params)
{
	const char *word = args_value(&ctl->args, "timer");
	uint64_t s = 0;

	if (word == NULL)
		return true;
	if (strcmp(word, "off") != 0 && args_span_s(word, &s) != ERR_OK)
		return false;
	value_add_u64(params, "timer_ms", s * 1000);
	return true;
}

static int
set_params(const struct ctl *ctl, cJSON *params)
{
	const char *receipts = args_value(&ctl->args, "receipts");

	if (!cmd_add_yes_no(ctl, "muted", params))
		return report_usage("--muted is yes or no");
	if (!cmd_add_yes_no(ctl, "pinned", params))
		return report_usage("--pinned is yes or no");
	if (receipts != NULL)
		value_add_str(params, "receipts", receipts);
	if (!add_timer(ctl, params))
		return report_usage("--timer is like 90, 15m, 12h, 7d or off");
	if (params->child == NULL)
		return report_usage("what is to be set?");
	return CTL_DONE;
}

static void
print_conv(struct ctl *ctl, const cJSON *contact, const cJSON *c)
{
	char buf[128], timer[24];

	if (print_as_json(ctl, c))
		return;
	(void)snprintf(timer, sizeof(timer), "%llu",
	    (unsigned long long)value_u64(c, "timer_ms") / 1000);
	if (ctl->mode == MODE_HUMAN)
		print_human("%s: %s, %s, receipts %s, timer %s%s",
		    resolve_name(contact, buf),
		    value_true(c, "muted") ? "muted" : "not muted",
		    value_true(c, "pinned") ? "pinned" : "not pinned",
		    value_str(c, "receipts"),
		    strcmp(timer, "0") == 0 ? "off" : timer,
		    strcmp(timer, "0") == 0 ? "" : " s");
	else
		print_fields(ctl, value_str(c, "conv"),
		    mark(c, "muted", "muted"), mark(c, "pinned", "pinned"),
		    value_str(c, "receipts"), timer, NULL);
}

int
cmd_conv_set(struct ctl *ctl)
{
	cJSON *params = cJSON_CreateObject(), *contact = NULL, *conv = NULL;
	int status = set_params(ctl, params);

	if (status == CTL_DONE)
		status =
		    resolve_contact(ctl, args_word(&ctl->args, 0), &contact);
	if (status != CTL_DONE) {
		cJSON_Delete(params);
		return status;
	}
	value_add_str(params, "conv", value_str(contact, "id"));
	status = ctl_call(ctl, "conv.set", params, &conv);
	if (status == CTL_DONE)
		print_conv(ctl, contact, conv);
	cJSON_Delete(conv);
	cJSON_Delete(contact);
	return status;
}

/* ---- conv clear ---- */

static void
print_cleared(struct ctl *ctl, const cJSON *contact, const cJSON *c)
{
	char buf[128], messages[24], unsent[24];

	if (print_as_json(ctl, c))
		return;
	(void)snprintf(messages, sizeof(messages), "%llu",
	    (unsigned long long)value_u64(c, "messages"));
	(void)snprintf(unsent, sizeof(unsent), "%llu",
	    (unsigned long long)value_u64(c, "unsent"));
	if (ctl->mode == MODE_HUMAN)
		print_human("%s: %s messages forgotten, %s still to be sent",
		    resolve_name(contact, buf), messages, unsent);
	else
		print_fields(ctl, value_str(c, "conv"), messages, unsent, NULL);
}

static int
clear(struct ctl *ctl, const cJSON *contact)
{
	const char *unsent = args_value(&ctl->args, "unsent");
	const char *client_id = args_value(&ctl->args, "client-id");
	cJSON *params = cJSON_CreateObject(), *result = NULL;
	int status;

	value_add_str(params, "conv", value_str(contact, "id"));
	if (unsent != NULL)
		value_add_str(params, "unsent", unsent);
	if (client_id != NULL)
		value_add_str(params, "client_id", client_id);
	status = ctl_call(ctl, "conv.clear", params, &result);
	if (status == CTL_DONE)
		print_cleared(ctl, contact, result);
	cJSON_Delete(result);
	return status;
}

int
cmd_conv_clear(struct ctl *ctl)
{
	return cmd_agree(ctl, "Forget all messages with", "", clear);
}

/* ---- msg read ---- */

int
cmd_msg_read(struct ctl *ctl)
{
	const char *up_to = args_word(&ctl->args, 1);
	cJSON *params, *contact = NULL, *result = NULL;
	char buf[128], unread[24];
	int status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);

	if (status != CTL_DONE)
		return status;
	params = cJSON_CreateObject();
	value_add_str(params, "conv", value_str(contact, "id"));
	if (up_to != NULL)
		value_add_str(params, "up_to", up_to);
	status = ctl_call(ctl, "conv.read", params, &result);
	if (status == CTL_DONE && !print_as_json(ctl, result)) {
		(void)snprintf(unread, sizeof(unread), "%llu",
		    (unsigned long long)value_u64(result, "unread"));
		if (ctl->mode == MODE_HUMAN)
			print_human("%s: %s unread", resolve_name(contact, buf),
			    unread);
		else
			print_fields(
			    ctl, value_str(result, "conv"), unread, NULL);
	}
	cJSON_Delete(result);
	cJSON_Delete(contact);
	return status;
}
