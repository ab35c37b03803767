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
	static const struct cmd_list list = { "events.consumers", heads, 4, 4,
		add_row, false };

	return cmd_list(ctl, &list, NULL);
}

int
cmd_consumer_rm(struct ctl *ctl)
{
	cJSON *params = cJSON_CreateObject();

	value_add_str(params, "consumer", args_word(&ctl->args, 0));
	return cmd_do(ctl, "events.forget", params, "forgotten");
}
