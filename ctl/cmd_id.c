/* id: the identity. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/qr.h"
#include "ctl/report.h"
#include "ctl/secret.h"
#include "ctl/value.h"

#include <stdio.h>
#include <string.h>

static void
note_plain(const struct ctl *ctl)
{
	report_note(ctl, "no passphrase: whoever can read the state "
	                 "directory can be you");
}

int
cmd_id_show(struct ctl *ctl)
{
	return cmd_show(ctl, "identity.show", NULL);
}

int
cmd_id_qr(struct ctl *ctl)
{
	cJSON *id = NULL;
	char uri[256];
	int status = ctl_call(ctl, "identity.show", NULL, &id);

	if (status != CTL_DONE)
		return status;
	(void)snprintf(uri, sizeof(uri), "btchat:%s", value_str(id, "address"));
	status = qr_print(ctl, uri);
	cJSON_Delete(id);
	return status;
}

int
cmd_id_set(struct ctl *ctl)
{
	const char *name = args_value(&ctl->args, "name");
	const char *profile = args_value(&ctl->args, "profile");
	cJSON *params;

	if (name == NULL && profile == NULL)
		return report_usage("what is to be set?");
	params = cJSON_CreateObject();
	if (name != NULL)
		value_add_str(params, "name", name);
	if (profile != NULL)
		value_add_str(params, "profile", profile);
	return cmd_show(ctl, "identity.set", params);
}

/* The passphrase for a new identity; not given means: none, and that somebody
 * has said so. */
static int
new_passphrase(const struct ctl *ctl, struct secret *ret)
{
	const struct args *a = &ctl->args;
	bool file =
	    args_has(a, "passphrase-fd") || args_has(a, "passphrase-file");
	int status;

	*ret = (struct secret){ 0 };
	if (args_has(a, "no-passphrase") && file)
		return report_usage(
		    "--no-passphrase and a passphrase: choose one");
	if (args_has(a, "no-passphrase"))
		return CTL_DONE;
	status = secret_get(ctl, "Passphrase (empty: none)", true, ret);
	if (status == CTL_DONE && !ret->given)
		return report_usage(
		    "no terminal to ask for a passphrase: use "
		    "--passphrase-fd, --passphrase-file or --no-passphrase");
	return status;
}

int
cmd_id_create(struct ctl *ctl)
{
	cJSON *params = cJSON_CreateObject(), *id = NULL;
	const char *name = args_value(&ctl->args, "name");
	struct secret secret;
	int status = new_passphrase(ctl, &secret);
	bool sealed;

	if (status != CTL_DONE) {
		cJSON_Delete(params);
		goto out;
	}
	if (name != NULL)
		value_add_str(params, "name", name);
	sealed = secret.text[0] != '\0';
	if (sealed)
		value_add_str(params, "passphrase", secret.text);
	status = ctl_call(ctl, "identity.create", params, &id);
	if (status == CTL_DONE && !sealed)
		note_plain(ctl);
	if (status == CTL_DONE)
		print_object(ctl, id);
	cJSON_Delete(id);
out:
	secret_wipe(&secret);
	return status;
}

int
cmd_id_unlock(struct ctl *ctl)
{
	cJSON *params;
	struct secret secret;
	int status = secret_get(ctl, "Passphrase", false, &secret);

	if (status == CTL_DONE && !secret.given)
		status = report_usage("no terminal to ask for the passphrase: "
		                      "use --passphrase-fd or "
		                      "--passphrase-file");
	if (status != CTL_DONE)
		goto out;
	params = cJSON_CreateObject();
	value_add_str(params, "passphrase", secret.text);
	status = cmd_do(ctl, "identity.unlock", params, "unlocked");
out:
	secret_wipe(&secret);
	return status;
}

int
cmd_id_lock(struct ctl *ctl)
{
	return cmd_do(ctl, "identity.lock", NULL, "locked");
}

/* ---- another passphrase ---- */

/* Asked for if there is one. */
static int
old_passphrase(struct ctl *ctl, struct secret *ret)
{
	bool said = args_has(&ctl->args, "old-passphrase-fd") ||
	            args_has(&ctl->args, "old-passphrase-file");
	cJSON *id = NULL;
	int status = ctl_call(ctl, "identity.show", NULL, &id);

	if (status == CTL_DONE && (said || value_true(id, "sealed")))
		status = secret_get_as(
		    ctl, "old-passphrase", "Old passphrase", false, ret);
	if (status == CTL_DONE && value_true(id, "sealed") && !ret->given)
		status = report_usage(
		    "no terminal to ask for the old passphrase: use "
		    "--old-passphrase-fd or --old-passphrase-file");
	cJSON_Delete(id);
	return status;
}

/* Not given: it is to be removed. */
static int
next_passphrase(const struct ctl *ctl, struct secret *ret)
{
	int status;

	if (args_has(&ctl->args, "remove"))
		return CTL_DONE;
	status = secret_get(ctl, "New passphrase", true, ret);
	if (status == CTL_DONE && !ret->given)
		return report_usage(
		    "no terminal to ask for the new passphrase: use "
		    "--passphrase-fd, --passphrase-file or --remove");
	if (status == CTL_DONE && ret->text[0] == '\0')
		return report_usage("an empty passphrase is none: "
		                    "say --remove to do without");
	return status;
}

static int
change_passphrase(
    struct ctl *ctl, const struct secret *old, const struct secret *fresh)
{
	cJSON *params = cJSON_CreateObject();
	int status;

	if (old->given)
		value_add_str(params, "old", old->text);
	if (fresh->given)
		value_add_str(params, "passphrase", fresh->text);
	else
		(void)cJSON_AddTrueToObject(params, "remove");
	status = cmd_do(ctl, "identity.passphrase", params,
	    fresh->given ? "sealed" : "removed");
	if (status == CTL_DONE && !fresh->given)
		note_plain(ctl);
	return status;
}

int
cmd_id_passphrase(struct ctl *ctl)
{
	const struct args *a = &ctl->args;
	struct secret old = { 0 }, fresh = { 0 };
	int status;

	if (args_has(a, "remove") &&
	    (args_has(a, "passphrase-fd") || args_has(a, "passphrase-file")))
		return report_usage("--remove and a passphrase: choose one");
	status = old_passphrase(ctl, &old);
	if (status == CTL_DONE)
		status = next_passphrase(ctl, &fresh);
	if (status == CTL_DONE)
		status = change_passphrase(ctl, &old, &fresh);
	secret_wipe(&old);
	secret_wipe(&fresh);
	return status;
}

/* ---- the end ---- */

/* Whoever says its address means this one. */
static int
typed_address(const struct ctl *ctl, char ret[SECRET_MAX + 1])
{
	if (ctl->yes || !ctl_may_prompt(ctl))
		return report_usage(
		    "which identity? Say --yes and --confirm ADDRESS");
	report_note(ctl, "keys, contacts and messages will be gone for good");
	if (secret_type(
	        ctl, "Type the address of this identity to erase it", ret))
		return CTL_DONE;
	report("nothing was erased");
	return CTL_FAILED;
}

int
cmd_id_rm(struct ctl *ctl)
{
	const char *confirm = args_value(&ctl->args, "confirm");
	char typed[SECRET_MAX + 1] = "";
	cJSON *params;
	int status = CTL_DONE;

	if (confirm == NULL)
		status = typed_address(ctl, typed);
	else if (!secret_agree(ctl, "Erase this identity for good?"))
		status = CTL_FAILED;
	if (status != CTL_DONE)
		return status;
	params = cJSON_CreateObject();
	value_add_str(params, "confirm", confirm != NULL ? confirm : typed);
	return cmd_do(ctl, "identity.delete", params, "erased");
}
