/* What several commands do alike. */
#include "ctl/cmd.h"

#include "ctl/pager.h"
#include "ctl/print.h"
#include "ctl/resolve.h"
#include "ctl/secret.h"
#include "ctl/value.h"

#include <stdio.h>
#include <string.h>

bool
cmd_add_yes_no(const struct ctl *ctl, const char *option, cJSON *params)
{
	const char *value = args_value(&ctl->args, option);
	bool yes;

	if (value == NULL)
		return true;
	yes = strcmp(value, "yes") == 0;
	(void)cJSON_AddBoolToObject(params, option, yes);
	return yes || strcmp(value, "no") == 0;
}

int
cmd_show(struct ctl *ctl, const char *method, cJSON *params)
{
	cJSON *result = NULL;
	int status = ctl_call(ctl, method, params, &result);

	if (status == CTL_DONE)
		print_object(ctl, result);
	cJSON_Delete(result);
	return status;
}

int
cmd_do(struct ctl *ctl, const char *method, cJSON *params, const char *word)
{
	cJSON *result = NULL;
	int status = ctl_call(ctl, method, params, &result);

	if (status == CTL_DONE && ctl->mode == MODE_HUMAN)
		print_human("%s", word);
	else if (status == CTL_DONE)
		print_object(ctl, result);
	cJSON_Delete(result);
	return status;
}

int
cmd_change(struct ctl *ctl, const char *method, cJSON *params, const char *whom,
    const char *said)
{
	cJSON *result = NULL;
	int status = ctl_call(ctl, method, params, &result);

	if (status == CTL_DONE && !print_as_json(ctl, result)) {
		const char *id = value_str(result, "id");

		if (ctl->mode == MODE_HUMAN)
			print_human("%s: %s", whom != NULL ? whom : id, said);
		else
			print_fields(ctl, id, value_str(result, "state"), NULL);
	}
	cJSON_Delete(result);
	return status;
}

int
cmd_agree(struct ctl *ctl, const char *before, const char *after,
    int (*act)(struct ctl *ctl, const cJSON *contact))
{
	cJSON *contact = NULL;
	char buf[128], question[400];
	int status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);

	if (status != CTL_DONE)
		return status;
	(void)snprintf(question, sizeof(question), "%s %.256s%s?", before,
	    resolve_name(contact, buf), after);
	status = secret_agree(ctl, question) ? act(ctl, contact) : CTL_FAILED;
	cJSON_Delete(contact);
	return status;
}

/* A list while its pages are walked. */
struct rows {
	const struct cmd_list *list; /* borrowed */
	struct table table;
};

static bool
add_item(void *ctx, const cJSON *item)
{
	struct rows *r = ctx;

	if (!print_as_json(r->table.ctl, item))
		r->list->add(&r->table, item);
	return true;
}

int
cmd_list(struct ctl *ctl, const struct cmd_list *list, cJSON *params)
{
	struct rows r = { .list = list };
	int status;

	table_init(&r.table, ctl, list->heads,
	    ctl->mode == MODE_HUMAN ? list->n_human : list->n_plain);
	status = ctl_each(ctl, list->method, params, add_item, &r);
	if (status == CTL_DONE && list->paged)
		pager_begin(ctl);
	table_print(&r.table);
	return status;
}
