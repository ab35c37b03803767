/* wait-online: until the daemon has somebody to talk to. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <string.h>

enum { LOOK_AGAIN_MS = 1000 }; /* if no event says that something changed */

static int
subscribe(struct ctl *ctl)
{
	cJSON *params = cJSON_CreateObject(), *sub = NULL;
	int status = ctl_call(ctl, "events.subscribe", params, &sub);

	cJSON_Delete(sub);
	return status;
}

/* Waits for an event, whatever it is. */
static int
wait_event(struct ctl *ctl, uint64_t end_ms)
{
	uint64_t at_ms = client_now_ms() + LOOK_AGAIN_MS;
	cJSON *doc = NULL;
	enum err err =
	    client_event(&ctl->client, at_ms < end_ms ? at_ms : end_ms, &doc);

	cJSON_Delete(doc);
	if (err == ERR_OK || err == ERR_EXPIRED)
		return CTL_DONE;
	report("btchatd closed the connection");
	return CTL_NO_DAEMON;
}

int
cmd_wait_online(struct ctl *ctl)
{
	uint64_t end_ms =
	    client_now_ms() +
	    (ctl->has_timeout ? ctl->timeout_ms : CTL_WAIT_TIMEOUT_MS);
	int status = subscribe(ctl);

	while (status == CTL_DONE) {
		cJSON *s = NULL;
		bool online;

		status =
		    ctl_call_for(ctl, CTL_REPLY_TIMEOUT_MS, "status", NULL, &s);
		online = strcmp(value_str(s, "state"), "online") == 0;
		if (online && !print_as_json(ctl, s))
			print_pair(ctl, "state", value_str(s, "state"));
		cJSON_Delete(s);
		if (online)
			return CTL_DONE;
		if (status == CTL_DONE && client_now_ms() >= end_ms)
			return report_api(
			    ctl, API_TIMEOUT, "still not online", NULL);
		if (status == CTL_DONE)
			status = wait_event(ctl, end_ms);
	}
	return status;
}
