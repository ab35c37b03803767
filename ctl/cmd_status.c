/* status, version, help. */
#include "ctl/cmd.h"
#include "ctl/command.h"
#include "ctl/pager.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "ctl/when.h"
#include "proto/api.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The address of the identity, wherever status has it; "" without one. */
static const char *
own_address(const cJSON *s)
{
	if (value_has_str(s, "identity.address"))
		return value_str(s, "identity.address");
	return value_str(s, "identity");
}

static void
print_warnings(const cJSON *s)
{
	const cJSON *w = NULL;

	cJSON_ArrayForEach(w, value_get(s, "warnings"))
	{
		const char *text = cJSON_IsString(w) ? w->valuestring
		                                     : value_str(w, "message");

		print_human("warning  %s", text);
	}
}

static void
print_sandbox(const cJSON *s)
{
	static const char *const layers[] = { "files", "calls", "memory" };
	char text[64] = "none";
	size_t n = 0;

	for (size_t i = 0; i < sizeof(layers) / sizeof(layers[0]); i++) {
		const cJSON *box = value_get(s, "sandbox");

		if (value_true(box, layers[i]))
			n += (size_t)snprintf(text + n, sizeof(text) - n,
			    "%s%s", n > 0 ? ", " : "", layers[i]);
	}
	print_human("sandbox  %s (%s)", text, value_str(s, "sandbox.policy"));
}

static const char *
lock_word(const cJSON *s)
{
	if (own_address(s)[0] == '\0' && !value_true(s, "locked"))
		return "no identity yet: btchatctl id create";
	return value_true(s, "locked") ? "locked: btchatctl id unlock"
	                               : "unlocked";
}

static void
print_status_human(const cJSON *s)
{
	char up[WHEN_SIZE] = "", short_id[PRINT_ID_SIZE] = "";
	uint64_t since_ms = value_u64(s, "since_ms");
	uint64_t now_ms = when_now_ms();
	uint64_t nodes = value_u64(s, "dht.nodes");
	const cJSON *point = NULL;

	print_short(own_address(s), short_id);
	when_span(now_ms > since_ms ? now_ms - since_ms : 0, up);
	print_human("btchatd %s \xc2\xb7 %s%s%s \xc2\xb7 up %s",
	    value_str(s, "version"), short_id,
	    short_id[0] != '\0' ? " \xc2\xb7 " : "", lock_word(s), up);
	print_human("network  %s, NAT %s", value_str(s, "state"),
	    value_has_str(s, "net.nat") ? value_str(s, "net.nat") : "unknown");
	cJSON_ArrayForEach(point, value_get(s, "net.endpoints"))
	{
		print_human("         %s", cJSON_IsString(point)
		                               ? point->valuestring
		                               : value_str(point, "address"));
	}
	print_human("dht      %" PRIu64 " node%s, %s", nodes,
	    nodes == 1 ? "" : "s", value_str(s, "dht.state"));
	print_human("messages %" PRIu64 " unread, %" PRIu64
	            " waiting to be delivered",
	    value_u64(s, "unread"), value_u64(s, "waiting"));
	print_sandbox(s);
	print_warnings(s);
}

int
cmd_status(struct ctl *ctl)
{
	cJSON *s = NULL;
	int status = ctl_call(ctl, "status", NULL, &s);

	if (status != CTL_DONE)
		return status;
	if (ctl->mode == MODE_HUMAN)
		print_status_human(s);
	else
		print_object(ctl, s);
	cJSON_Delete(s);
	return CTL_DONE;
}

/* Works without a daemon too; then only our own version is told. */
int
cmd_version(struct ctl *ctl)
{
	cJSON *info = NULL, *both = cJSON_CreateObject();
	struct ctl_outcome out = { 0 };

	value_add_str(both, "btchatctl", BTCHAT_VERSION);
	value_add_str(both, "api", API_VERSION);
	if (ctl_connect_quietly(ctl) &&
	    ctl_try(ctl, CTL_REPLY_TIMEOUT_MS, "session.info", NULL, &out) ==
	        CTL_DONE)
		info = out.result;
	if (info != NULL) {
		value_add_str(both, "btchatd", value_str(info, "version"));
		value_add_str(both, "btchatd_api", value_str(info, "api"));
	}
	print_object(ctl, both);
	cJSON_Delete(out.result);
	cJSON_Delete(out.error);
	cJSON_Delete(both);
	return CTL_DONE;
}

int
cmd_help(struct ctl *ctl)
{
	const char *noun = args_word(&ctl->args, 0);
	const char *verb = args_word(&ctl->args, 1);
	bool any = false;

	if (noun == NULL) {
		pager_begin(ctl);
		command_print_all(stdout);
		return CTL_DONE;
	}
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *c = &command_table[i];

		if (strcmp(c->noun, noun) != 0 ||
		    (verb != NULL &&
		        (c->verb == NULL || strcmp(c->verb, verb) != 0)))
			continue;
		command_print_usage(c, stdout);
		(void)printf("       %s\n", c->summary);
		any = true;
	}
	if (any)
		return CTL_DONE;
	return report_usage("no command \"%s%s%s\"", noun,
	    verb != NULL ? " " : "", verb != NULL ? verb : "");
}
