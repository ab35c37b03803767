/* consumer: who reads the event log by a name, and how far they came. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/value.h"
#include "ctl/when.h"

#include <inttypes.h>
#include <stdio.h>

static void
add_row(struct table *t, const cJSON *c)
{
	char seq[24], when[WHEN_SIZE];

	(void)snprintf(seq, sizeof(seq), "%" PRIu64, value_u64(c, "seq"));
	if (t->ctl->mode == MODE_HUMAN)
		when_ago(value_u64(c, "acked_ms"), when_now_ms(), when);
	else
		when_utc(value_u64(c, "acked_ms"), when);
	table_add(t, value_str(c, "name"));
	table_add(t, seq);
	table_add(t, when);
	table_add(t, value_true(c, "lapsed") ? "lapsed" : "-");
}

int
cmd_consumer_ls(struct ctl *ctl)
{
	static const char *const heads[] = { "NAME", "SEQ", "WHEN", "" };
	cJSON *list = NULL;
	const cJSON *c;
	struct table t;
	int status = ctl_call(ctl, "events.consumers", NULL, &list);

	if (status != CTL_DONE)
		return status;
	if (print_items_as_json(ctl, value_get(list, "items")))
		goto out;
	table_init(&t, ctl, heads, sizeof(heads) / sizeof(heads[0]));
	cJSON_ArrayForEach(c, value_get(list, "items"))
	{
		add_row(&t, c);
	}
	table_print(&t);
out:
	cJSON_Delete(list);
	return CTL_DONE;
}

int
cmd_consumer_rm(struct ctl *ctl)
{
	cJSON *params = cJSON_CreateObject(), *result = NULL;
	int status;

	value_add_str(params, "consumer", args_word(&ctl->args, 0));
	status = ctl_call(ctl, "events.forget", params, &result);
	if (status == CTL_DONE && !print_as_json(ctl, result) &&
	    ctl->mode == MODE_HUMAN)
		print_human("forgotten");
	cJSON_Delete(result);
	return status;
}
