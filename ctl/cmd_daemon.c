/* daemon: the process itself. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "ctl/when.h"

#include <inttypes.h>
#include <stdio.h>

enum { LOGS_MAX = 512 }; /* that the daemon keeps */

int
cmd_daemon_shutdown(struct ctl *ctl)
{
	return cmd_do(ctl, "daemon.shutdown", NULL, "stopping");
}

int
cmd_daemon_loglevel(struct ctl *ctl)
{
	const char *level = args_word(&ctl->args, 0);
	cJSON *params = cJSON_CreateObject();

	if (level != NULL)
		value_add_str(params, "level", level);
	return cmd_show(ctl, "daemon.loglevel", params);
}

/* A format of its own, however else we print. */
int
cmd_daemon_metrics(struct ctl *ctl)
{
	cJSON *result = NULL;
	int status = ctl_call(ctl, "daemon.metrics", NULL, &result);

	if (status == CTL_DONE && !print_as_json(ctl, result))
		(void)fputs(value_str(result, "text"), stdout);
	cJSON_Delete(result);
	return status;
}

/* ---- logs ---- */

static void
print_line(const struct ctl *ctl, const cJSON *line)
{
	char seq[24], at[WHEN_SIZE];

	if (ctl->mode == MODE_HUMAN) {
		when_local(value_u64(line, "at_ms"), at);
		print_human("%s  %-7s  %s: %s", at, value_str(line, "level"),
		    value_str(line, "event"), value_str(line, "text"));
		return;
	}
	(void)snprintf(seq, sizeof(seq), "%" PRIu64, value_u64(line, "seq"));
	when_utc(value_u64(line, "at_ms"), at);
	print_fields(ctl, seq, at, value_str(line, "level"),
	    value_str(line, "event"), value_str(line, "text"), NULL);
}

int
cmd_daemon_logs(struct ctl *ctl)
{
	const char *lines = args_value(&ctl->args, "lines");
	const char *level = args_value(&ctl->args, "level");
	cJSON *params = NULL, *result = NULL;
	const cJSON *line = NULL;
	uint64_t n = 0;
	int status;

	if (lines != NULL && (args_number(lines, LOGS_MAX, &n) || n == 0))
		return report_usage("-n takes a number from 1 to 512");
	params = cJSON_CreateObject();
	if (lines != NULL)
		value_add_u64(params, "limit", n);
	if (level != NULL)
		value_add_str(params, "level", level);
	status = ctl_call(ctl, "daemon.logs", params, &result);
	cJSON_ArrayForEach(line, value_get(result, "items"))
	{
		if (!print_as_json(ctl, line))
			print_line(ctl, line);
	}
	cJSON_Delete(result);
	return status;
}

/* ---- selftest ---- */

static void
add_item(struct table *t, const cJSON *item)
{
	table_add(t, value_str(item, "name"));
	table_add(t, value_true(item, "ok") ? "ok" : "failed");
	table_add(t, value_str(item, "detail"));
}

int
cmd_daemon_selftest(struct ctl *ctl)
{
	static const char *const heads[] = { "WHAT", "IS", "" };
	cJSON *result = NULL;
	const cJSON *item = NULL;
	struct table t;
	int status = ctl_call(ctl, "daemon.selftest", NULL, &result);

	if (status != CTL_DONE)
		return status;
	table_init(&t, ctl, heads, 3);
	cJSON_ArrayForEach(item, value_get(result, "items"))
	{
		if (!print_as_json(ctl, item))
			add_item(&t, item);
	}
	table_print(&t);
	status = value_true(result, "ok") ? CTL_DONE : CTL_FAILED;
	cJSON_Delete(result);
	return status;
}
