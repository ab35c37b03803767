/* contact: who we talk to. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/resolve.h"
#include "ctl/value.h"
#include "ctl/when.h"
#include "proto/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *
state_word(const cJSON *contact)
{
	if (strcmp(value_str(contact, "state"), "ready") != 0)
		return value_str(contact, "state");
	return value_true(contact, "online") ? "online" : "offline";
}

static void
add_human(struct table *t, const cJSON *c)
{
	char seen[WHEN_SIZE] = "", id[PRINT_ID_SIZE] = "", name[128] = "";

	if (value_true(c, "online"))
		(void)snprintf(seen, sizeof(seen), "now");
	else
		when_ago(value_u64(c, "last_seen_ms"), when_now_ms(), seen);
	print_short(value_str(c, "address"), id);
	table_add(t, resolve_name(c, name));
	table_add(t, state_word(c));
	table_add(t, seen);
	table_add(t, id);
}

static void
add_row(struct table *t, const cJSON *c)
{
	char seen[WHEN_SIZE] = "-";
	uint64_t seen_ms = value_u64(c, "last_seen_ms");

	if (t->ctl->mode == MODE_HUMAN) {
		add_human(t, c);
		return;
	}
	if (seen_ms != 0)
		when_utc(seen_ms, seen);
	table_add(t, value_str(c, "id"));
	table_add(t, value_str(c, "name"));
	table_add(t, value_str(c, "state"));
	table_add(t, value_true(c, "online") ? "online" : "offline");
	table_add(t, seen);
	table_add(t, value_str(c, "address"));
}

int
cmd_contact_ls(struct ctl *ctl)
{
	static const char *const heads[] = { "NAME", "STATE", "LAST SEEN",
		"ADDRESS" };
	static const struct cmd_list list = { "contact.list", heads, 4, 6,
		add_row, true };
	const char *query = args_word(&ctl->args, 0);
	cJSON *params = cJSON_CreateObject();

	value_add_u64(params, "limit", API_LIMIT_MAX);
	if (query != NULL)
		value_add_str(params, "query", query);
	return cmd_list(ctl, &list, params);
}

int
cmd_contact_show(struct ctl *ctl)
{
	cJSON *contact = NULL, *params = NULL;
	int status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);

	if (status != CTL_DONE)
		return status;
	params = cJSON_CreateObject();
	value_add_str(params, "contact", value_str(contact, "id"));
	cJSON_Delete(contact);
	return cmd_show(ctl, "contact.get", params);
}

/* The contact in a result that has it as an object or as its id. */
static const char *
contact_id(const cJSON *result)
{
	if (value_has_str(result, "contact"))
		return value_str(result, "contact");
	return value_has_str(result, "contact.id")
	           ? value_str(result, "contact.id")
	           : value_str(result, "id");
}

/* Our own address, to be given to the new contact; NULL if it fails. */
static cJSON *
own_identity(struct ctl *ctl)
{
	struct ctl_outcome out;

	if (ctl_try(ctl, CTL_REPLY_TIMEOUT_MS, "identity.show", NULL, &out) !=
	    CTL_DONE)
		return NULL;
	cJSON_Delete(out.error);
	return out.result;
}

static void
print_added(struct ctl *ctl, const cJSON *result, const char *name)
{
	cJSON *own = NULL;

	if (print_as_json(ctl, result))
		return;
	if (ctl->mode == MODE_PLAIN) {
		print_fields(
		    ctl, contact_id(result), value_str(result, "state"), NULL);
		return;
	}
	own = own_identity(ctl);
	print_human(
	    "added %s; waiting for them to add you: give out  btchat:%s", name,
	    value_str(own, "address"));
	cJSON_Delete(own);
}

/* Options that contact add and invite accept have in common. */
static cJSON *
add_params(const struct ctl *ctl, const char *key, const char *what)
{
	cJSON *params = cJSON_CreateObject();
	const char *name = args_value(&ctl->args, "name");
	const char *client_id = args_value(&ctl->args, "client-id");

	value_add_str(params, key, what);
	if (name != NULL)
		value_add_str(params, "name", name);
	if (client_id != NULL)
		value_add_str(params, "client_id", client_id);
	return params;
}

int
cmd_contact_add(struct ctl *ctl)
{
	const char *address = args_word(&ctl->args, 0);
	const char *name = args_value(&ctl->args, "name");
	char short_address[PRINT_ID_SIZE];
	cJSON *result = NULL;
	int status = ctl_call(
	    ctl, "contact.add", add_params(ctl, "address", address), &result);

	if (status != CTL_DONE)
		return status;
	print_short(address, short_address);
	print_added(ctl, result, name != NULL ? name : short_address);
	cJSON_Delete(result);
	return CTL_DONE;
}

int
cmd_contact_rename(struct ctl *ctl)
{
	const char *name = args_word(&ctl->args, 1);
	cJSON *contact = NULL, *result = NULL, *params = NULL;
	char buf[128];
	int status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);

	if (status != CTL_DONE)
		return status;
	params = cJSON_CreateObject();
	value_add_str(params, "contact", value_str(contact, "id"));
	value_add_str(params, "name", name);
	status = ctl_call(ctl, "contact.set", params, &result);
	if (status == CTL_DONE && !print_as_json(ctl, result)) {
		if (ctl->mode == MODE_HUMAN)
			print_human(
			    "%s is now %s", resolve_name(contact, buf), name);
		else
			print_fields(ctl, value_str(contact, "id"), name, NULL);
	}
	cJSON_Delete(result);
	cJSON_Delete(contact);
	return status;
}

/* Calls a method that answers as contact.get does. */
static int
change_contact(struct ctl *ctl, const char *method, cJSON *params,
    const char *said, const cJSON *contact)
{
	cJSON *result = NULL;
	char buf[128];
	int status = ctl_call(ctl, method, params, &result);

	if (status == CTL_DONE && !print_as_json(ctl, result)) {
		if (ctl->mode == MODE_HUMAN)
			print_human("%s: %s", resolve_name(contact, buf), said);
		else
			print_fields(ctl, value_str(result, "id"),
			    value_true(result, "verified") ? "verified" : "-",
			    value_str(result, "fallback"),
			    value_true(result, "relay") ? "relay" : "-",
			    value_true(result, "presence") ? "presence" : "-",
			    NULL);
	}
	cJSON_Delete(result);
	return status;
}

int
cmd_contact_set(struct ctl *ctl)
{
	const char *fallback = args_value(&ctl->args, "fallback");
	cJSON *contact = NULL, *params = NULL;
	int status;

	if (fallback == NULL && !args_has(&ctl->args, "relay") &&
	    !args_has(&ctl->args, "presence"))
		return report_usage("what is to be set?");
	params = cJSON_CreateObject();
	if (!cmd_add_yes_no(ctl, "relay", params))
		status = report_usage("--relay is yes or no");
	else if (!cmd_add_yes_no(ctl, "presence", params))
		status = report_usage("--presence is yes or no");
	else
		status =
		    resolve_contact(ctl, args_word(&ctl->args, 0), &contact);
	if (status != CTL_DONE) {
		cJSON_Delete(params);
		return status;
	}
	value_add_str(params, "contact", value_str(contact, "id"));
	if (fallback != NULL)
		value_add_str(params, "fallback", fallback);
	status = change_contact(ctl, "contact.set", params, "decided", contact);
	cJSON_Delete(contact);
	return status;
}

/* Nothing to compare with: shows ours. */
static int
show_number(struct ctl *ctl, const cJSON *contact)
{
	cJSON *params = cJSON_CreateObject(), *whole = NULL;
	char buf[128];
	int status;

	value_add_str(params, "contact", value_str(contact, "id"));
	status = ctl_call(ctl, "contact.get", params, &whole);
	if (status == CTL_DONE && !print_as_json(ctl, whole)) {
		bool verified = value_true(whole, "verified");

		if (ctl->mode == MODE_HUMAN) {
			print_human("%s is%s verified; their btchat shows the "
			            "same number for you:",
			    resolve_name(contact, buf), verified ? "" : " not");
			print_human("%s", value_str(whole, "fingerprint"));
		} else {
			print_fields(ctl, value_str(whole, "id"),
			    verified ? "verified" : "-",
			    value_str(whole, "fingerprint"), NULL);
		}
	}
	cJSON_Delete(whole);
	return status;
}

int
cmd_contact_verify(struct ctl *ctl)
{
	bool undo = args_has(&ctl->args, "undo");
	char *number;
	cJSON *contact = NULL, *params = NULL;
	int status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);

	if (status != CTL_DONE)
		return status;
	if (args_count(&ctl->args) == 1 && !undo) {
		status = show_number(ctl, contact);
		cJSON_Delete(contact);
		return status;
	}
	params = cJSON_CreateObject();
	value_add_str(params, "contact", value_str(contact, "id"));
	if (!undo) {
		number = args_join(&ctl->args, 1);
		value_add_str(params, "fingerprint", number ? number : "");
		free(number);
	}
	status = change_contact(ctl, "contact.verify", params,
	    undo ? "no longer verified" : "verified", contact);
	cJSON_Delete(contact);
	return status;
}

static int
block(struct ctl *ctl, const char *method, const char *said)
{
	cJSON *contact = NULL, *params;
	char buf[128];
	int status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);

	if (status != CTL_DONE)
		return status;
	params = cJSON_CreateObject();
	value_add_str(params, "contact", value_str(contact, "id"));
	status =
	    cmd_change(ctl, method, params, resolve_name(contact, buf), said);
	cJSON_Delete(contact);
	return status;
}

int
cmd_contact_block(struct ctl *ctl)
{
	return block(ctl, "contact.block", "blocked");
}

int
cmd_contact_unblock(struct ctl *ctl)
{
	return block(ctl, "contact.unblock", "let in again");
}

static int
remove_contact(struct ctl *ctl, const cJSON *contact)
{
	cJSON *params = cJSON_CreateObject(), *result = NULL;
	char buf[128];

	value_add_str(params, "contact", value_str(contact, "id"));
	(void)cJSON_AddTrueToObject(params, "history");
	int status = ctl_call(ctl, "contact.delete", params, &result);

	if (status == CTL_DONE && !print_as_json(ctl, result)) {
		if (ctl->mode == MODE_HUMAN)
			print_human("removed %s", resolve_name(contact, buf));
		else
			print_fields(
			    ctl, value_str(contact, "id"), "removed", NULL);
	}
	cJSON_Delete(result);
	return status;
}

int
cmd_contact_rm(struct ctl *ctl)
{
	return cmd_agree(
	    ctl, "Remove", " and all messages with them", remove_contact);
}

/* An invitation from the command line, or the first word of stdin. */
static int
read_invitation(const struct ctl *ctl, char buf[1024], const char **ret)
{
	const char *word = args_word(&ctl->args, 0);

	*ret = word;
	if (strcmp(word, "-") != 0)
		return CTL_DONE;
	if (fgets(buf, 1024, stdin) == NULL) {
		report("no invitation on stdin");
		return CTL_FAILED;
	}
	buf[strcspn(buf, " \t\r\n")] = '\0';
	*ret = buf;
	return CTL_DONE;
}

int
cmd_invite_accept(struct ctl *ctl)
{
	char buf[1024];
	const char *uri = NULL;
	const char *name = args_value(&ctl->args, "name");
	cJSON *result = NULL;
	int status = read_invitation(ctl, buf, &uri);

	if (status == CTL_DONE)
		status = ctl_call(
		    ctl, "invite.accept", add_params(ctl, "uri", uri), &result);
	if (status == CTL_DONE && !print_as_json(ctl, result)) {
		if (ctl->mode == MODE_HUMAN)
			print_human("accepted; %s will be ready when they are "
			            "online",
			    name != NULL ? name : "the contact");
		else
			print_fields(ctl, contact_id(result),
			    value_has_str(result, "state")
			        ? value_str(result, "state")
			        : "waiting",
			    NULL);
	}
	cJSON_Delete(result);
	return status;
}
