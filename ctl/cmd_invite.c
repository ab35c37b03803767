/* invite: invitations of ours. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/qr.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "ctl/when.h"

#include <stdio.h>

/* What invite.create takes, said here in the words of the option. */
#define TTL_MIN_S 60u
#define TTL_MAX_S (90u * 86400u)

static int
new_params(const struct ctl *ctl, cJSON **ret)
{
	const char *label = args_value(&ctl->args, "label");
	const char *ttl = args_value(&ctl->args, "ttl");
	uint64_t ttl_s = 0;

	if (ttl != NULL && args_span_s(ttl, &ttl_s) != ERR_OK)
		return report_usage("--ttl is like 90, 15m, 12h or 7d");
	if (ttl != NULL && (ttl_s < TTL_MIN_S || ttl_s > TTL_MAX_S))
		return report_usage("--ttl is between 1m and 90d");
	*ret = cJSON_CreateObject();
	if (label != NULL)
		value_add_str(*ret, "label", label);
	if (ttl != NULL)
		value_add_u64(*ret, "ttl_ms", ttl_s * 1000);
	return CTL_DONE;
}

int
cmd_invite_new(struct ctl *ctl)
{
	cJSON *params = NULL, *invite = NULL;
	char when[WHEN_SIZE];
	int status = new_params(ctl, &params);

	if (status == CTL_DONE)
		status = ctl_call(ctl, "invite.create", params, &invite);
	if (status != CTL_DONE || print_as_json(ctl, invite))
		goto out;
	if (ctl->mode == MODE_HUMAN) {
		when_local(value_u64(invite, "expires_ms"), when);
		(void)printf("%s\n", value_str(invite, "uri"));
		report_note(ctl,
		    "good for one person until %s; it is not shown again",
		    when);
	} else {
		when_utc(value_u64(invite, "expires_ms"), when);
		print_fields(ctl, value_str(invite, "id"),
		    value_str(invite, "uri"), when, NULL);
	}
	if (args_has(&ctl->args, "qr"))
		status = qr_print(ctl, value_str(invite, "uri"));
out:
	cJSON_Delete(invite);
	return status;
}

static void
add_invite(struct table *t, const cJSON *i)
{
	bool human = t->ctl->mode == MODE_HUMAN;
	char when[WHEN_SIZE];

	if (human)
		when_local(value_u64(i, "expires_ms"), when);
	else
		when_utc(value_u64(i, "expires_ms"), when);
	table_add(t, value_str(i, "id"));
	table_add(t, value_str(i, "state"));
	table_add(t, when);
	table_add(t, value_str(i, "label"));
	if (!human)
		table_add(t, value_str(i, "contact"));
}

int
cmd_invite_ls(struct ctl *ctl)
{
	static const char *const heads[] = { "ID", "STATE", "EXPIRES",
		"LABEL" };
	static const struct cmd_list list = { "invite.list", heads, 4, 5,
		add_invite, false };

	return cmd_list(ctl, &list, NULL);
}

int
cmd_invite_revoke(struct ctl *ctl)
{
	const char *id = args_word(&ctl->args, 0);
	cJSON *params = cJSON_CreateObject(), *result = NULL;

	value_add_str(params, "id", id);
	int status = ctl_call(ctl, "invite.revoke", params, &result);

	if (status == CTL_DONE && !print_as_json(ctl, result)) {
		if (ctl->mode == MODE_HUMAN)
			print_human("revoked");
		else
			print_fields(ctl, id, "revoked", NULL);
	}
	cJSON_Delete(result);
	return status;
}
