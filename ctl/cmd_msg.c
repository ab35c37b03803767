/* msg: one message, and what is done to it. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/secret.h"
#include "ctl/value.h"
#include "ctl/when.h"

#include <stdlib.h>

static cJSON *
params_of(const struct ctl *ctl)
{
	const char *client_id = args_value(&ctl->args, "client-id");
	cJSON *params = cJSON_CreateObject();

	value_add_str(params, "id", args_word(&ctl->args, 0));
	if (client_id != NULL)
		value_add_str(params, "client_id", client_id);
	return params;
}

/* Calls, and tells which message, what is sent about it, and its state. */
static int
do_to_message(
    struct ctl *ctl, const char *method, cJSON *params, const char *what)
{
	cJSON *result = NULL;
	int status = ctl_call(ctl, method, params, &result);

	if (status != CTL_DONE || print_as_json(ctl, result)) {
		cJSON_Delete(result);
		return status;
	}
	if (ctl->mode == MODE_HUMAN) {
		print_human("%s %s", what, value_str(result, "message"));
	} else if (value_has_str(result, "id")) {
		print_fields(ctl, value_str(result, "message"),
		    value_str(result, "id"), value_str(result, "state"), NULL);
	} else {
		print_fields(ctl, value_str(result, "message"), NULL);
	}
	cJSON_Delete(result);
	return status;
}

int
cmd_msg_show(struct ctl *ctl)
{
	return cmd_show(ctl, "message.get", params_of(ctl));
}

/* id, state, contact, time: a line for each recipient. */
static void
print_recipients(const struct ctl *ctl, const cJSON *s)
{
	const cJSON *r;
	char when[WHEN_SIZE];

	cJSON_ArrayForEach(r, value_get(s, "recipients"))
	{
		when_utc(value_u64(r, "at_ms"), when);
		print_fields(ctl, args_word(&ctl->args, 0),
		    value_str(r, "state"), value_str(r, "contact"), when, NULL);
	}
	if (value_count(s, "recipients") == 0)
		print_fields(ctl, args_word(&ctl->args, 0),
		    value_str(s, "state"), "-", "-", NULL);
}

int
cmd_msg_status(struct ctl *ctl)
{
	cJSON *s = NULL;
	int status = ctl_call(ctl, "message.status", params_of(ctl), &s);

	if (status == CTL_DONE && !print_as_json(ctl, s)) {
		if (ctl->mode == MODE_HUMAN)
			print_flat(ctl, s);
		else
			print_recipients(ctl, s);
	}
	cJSON_Delete(s);
	return status;
}

int
cmd_msg_edit(struct ctl *ctl)
{
	char *text = NULL;
	cJSON *params;
	int status = send_get_text(ctl, 1, &text);

	if (status != CTL_DONE)
		return status;
	params = params_of(ctl);
	value_add_str(params, "text", text);
	free(text);
	return do_to_message(ctl, "message.edit", params, "edited");
}

int
cmd_msg_react(struct ctl *ctl)
{
	const char *word = args_word(&ctl->args, 1);
	cJSON *params = params_of(ctl);

	value_add_str(params, "reaction", word != NULL ? word : "");
	return do_to_message(ctl, "message.react", params,
	    word != NULL ? "reacted to" : "no reaction any more to");
}

int
cmd_msg_cancel(struct ctl *ctl)
{
	return cmd_change(
	    ctl, "message.cancel", params_of(ctl), NULL, "not sent");
}

int
cmd_msg_retry(struct ctl *ctl)
{
	return cmd_change(
	    ctl, "message.retry", params_of(ctl), NULL, "queued again");
}

int
cmd_msg_rm(struct ctl *ctl)
{
	bool here = args_has(&ctl->args, "here");
	cJSON *params;

	if (!secret_agree(ctl, here ? "Delete the message here?"
	                            : "Delete the message at both sides?"))
		return CTL_FAILED;
	params = params_of(ctl);
	value_add_str(params, "for", here ? "me" : "all");
	return do_to_message(ctl, "message.delete", params, "deleted");
}
