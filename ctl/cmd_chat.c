/* chat: lines are sent, and what comes is shown, until the user leaves. */
#include "ctl/chat.h"
#include "ctl/cmd.h"
#include "ctl/report.h"
#include "ctl/resolve.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* ---- draft, typing, reading ---- */

static void
keep_draft(struct chat *c, const char *text)
{
	cJSON *params;

	c->draft_at_ms = NEVER;
	if (strcmp(text, c->draft) == 0 || c->ctl->client.fd < 0)
		return;
	free(c->draft);
	c->draft = value_strdup(text);
	params = cJSON_CreateObject();
	value_add_str(params, "conv", c->conv);
	value_add_str(params, "draft", text);
	chat_tell(c, "conv.set", params);
}

static void
keep_typed(struct chat *c)
{
	char *text = edit_text(c->edit);

	keep_draft(c, text);
	free(text);
}

static void
tell_typing(struct chat *c, bool on)
{
	cJSON *params;

	if (on == c->told_typing && (!on || client_now_ms() < c->typing_at_ms))
		return;
	c->told_typing = on;
	c->typing_at_ms = client_now_ms() + CHAT_TYPING_MS;
	params = cJSON_CreateObject();
	value_add_str(params, "conv", c->conv);
	(void)cJSON_AddBoolToObject(params, "on", on);
	chat_tell(c, "typing.set", params);
}

static void
on_typed(void *ctx)
{
	struct chat *c = ctx;
	char *text = edit_text(c->edit);

	c->draft_at_ms = client_now_ms() + CHAT_DRAFT_MS;
	tell_typing(c, text[0] != '\0' && text[0] != '/');
	free(text);
}

/* All that is on the screen was read. Whether they hear of it is the user's
 * setting, which the daemon knows. */
static void
mark_read(struct chat *c)
{
	cJSON *params;

	if (c->read_up_to[0] == '\0' || c->ctl->client.fd < 0)
		return;
	params = cJSON_CreateObject();
	value_add_str(params, "conv", c->conv);
	value_add_str(params, "up_to", c->read_up_to);
	c->read_up_to[0] = '\0';
	chat_tell(c, "conv.read", params);
}

static int
on_fd(void *ctx)
{
	const struct chat *c = ctx;

	return c->ctl->client.fd;
}

static uint64_t
due_ms(void *ctx)
{
	const struct chat *c = ctx;

	if (client_has_more(&c->ctl->client))
		return 0;
	return c->retry_at_ms < c->draft_at_ms ? c->retry_at_ms
	                                       : c->draft_at_ms;
}

static bool
on_wake(void *ctx)
{
	struct chat *c = ctx;

	edit_hide(c->edit);
	if (c->ctl->client.fd >= 0 || client_has_more(&c->ctl->client))
		chat_take_events(c);
	if (client_now_ms() >= c->retry_at_ms)
		chat_reconnect(c);
	if (client_now_ms() >= c->draft_at_ms)
		keep_typed(c);
	if (!client_has_more(&c->ctl->client))
		mark_read(c);
	(void)fflush(stdout);
	chat_show_prompt(c);
	return !c->over;
}

static void
on_page(void *ctx)
{
	struct chat *c = ctx;

	edit_hide(c->edit);
	chat_older(c);
	chat_show_prompt(c);
}

/* ---- beginning and end ---- */

static void
take_contact(struct chat *c, const cJSON *contact)
{
	char buf[CHAT_NAME_SIZE];

	(void)snprintf(
	    c->conv, sizeof(c->conv), "%s", value_str(contact, "id"));
	(void)snprintf(
	    c->name, sizeof(c->name), "%s", resolve_name(contact, buf));
	c->online = value_true(contact, "online");
}

/* The text begun, from whatever front end; "" if this socket may not know. */
static enum err
fetch_draft(struct chat *c)
{
	cJSON *params = cJSON_CreateObject();
	struct ctl_outcome out = { 0 };
	enum err err;

	value_add_str(params, "conv", c->conv);
	err = chat_call(c, "conv.set", params, &out);
	free(c->draft);
	c->draft = value_strdup(value_str(out.result, "draft"));
	cJSON_Delete(out.error);
	cJSON_Delete(out.result);
	return err;
}

/* Subscribed first and looked at the history then: what comes in between is
 * in both, and known by its id. */
static int
begin(struct chat *c)
{
	struct ctl_outcome out = { 0 };
	int status = CTL_DONE;
	enum err err = chat_subscribe(c, false, &out);

	if (err == ERR_OK && out.error == NULL) {
		cJSON_Delete(out.result);
		err = chat_get_page(c, NULL, &out);
	}
	if (err == ERR_OK && out.error != NULL)
		status = report_error(c->ctl, out.error);
	if (err == ERR_OK && out.error == NULL) {
		chat_show_page(c, out.result, false);
		c->older = value_has_str(out.result, "next")
		               ? value_strdup(value_str(out.result, "next"))
		               : NULL;
		err = fetch_draft(c);
	}
	cJSON_Delete(out.result);
	cJSON_Delete(out.error);
	if (err == ERR_OK)
		return status;
	report("btchatd closed the connection");
	return CTL_NO_DAEMON;
}

/* Ctrl-C throws the line away; on an empty one it leaves. */
static void
interrupt(struct chat *c)
{
	char *text = edit_text(c->edit);

	if (text[0] == '\0' || !edit_is_fancy(c->edit)) {
		c->over = true;
		c->status = CTL_INTERRUPTED;
	}
	tell_typing(c, false);
	keep_draft(c, "");
	free(text);
}

static void
one_line(struct chat *c)
{
	char *line = NULL;

	switch (edit_read(c->edit, &line)) {
	case EDIT_LINE:
		c->told_typing = false; /* the message says it */
		chat_take_line(c, line);
		keep_draft(c, "");
		break;
	case EDIT_TOO_LONG:
		report("that line is too long");
		c->status = CTL_PARTLY;
		break;
	case EDIT_INTERRUPT:
		interrupt(c);
		break;
	case EDIT_SIGNAL:
		c->status = 128 + edit_signal(c->edit);
		c->over = true;
		break;
	case EDIT_EOF:
	case EDIT_STOPPED:
	case EDIT_NONE:
		c->over = true;
		break;
	}
	free(line);
	(void)fflush(stdout);
}

static void
run_lines(struct chat *c)
{
	if (c->draft[0] != '\0' && edit_is_fancy(c->edit)) {
		edit_preset(c->edit, c->draft);
	} else if (c->draft[0] != '\0') {
		chat_say(c, "     a draft: %s", c->draft);
	}
	if (edit_is_fancy(c->edit))
		chat_say(c, "/help lists commands, Ctrl-D leaves");
	mark_read(c);
	while (!c->over) {
		chat_show_prompt(c);
		one_line(c);
	}
}

static void
keep_last(struct chat *c)
{
	char *text = edit_text(c->edit);

	keep_draft(c, text);
	if (strcmp(text, c->draft) != 0)
		report("not kept as a draft, btchatd is gone: %s", text);
	free(text);
}

/* What was entered is handed over, and shown if somebody reads; Ctrl-C ends
 * the wait as it ends everything. */
static void
leave(struct chat *c)
{
	uint64_t end_ms =
	    client_now_ms() +
	    (c->ctl->has_timeout ? c->ctl->timeout_ms : CHAT_LEAVE_MS);

	if (edit_is_fancy(c->edit) && c->status != CTL_NOT_FOUND)
		keep_last(c);
	edit_free(c->edit);
	c->edit = NULL;
	while (client_now_ms() < end_ms &&
	       (c->outbox->child != NULL || c->awaited[0] != '\0')) {
		struct pollfd p = { .fd = c->ctl->client.fd, .events = POLLIN };

		if (client_now_ms() >= c->retry_at_ms)
			chat_reconnect(c);
		if (!client_has_more(&c->ctl->client))
			(void)poll(&p, 1, CHAT_RETRY_MIN_MS);
		chat_take_events(c);
	}
	for (const cJSON *w = c->outbox->child; w != NULL; w = w->next) {
		report("not handed over: %s %s", value_str(w, "method"),
		    value_str(w, "params.text"));
		c->status = CTL_PARTLY;
	}
}

/* The draft must have arrived before the connection goes. */
static void
settle(struct chat *c)
{
	struct ctl_outcome out = { 0 };

	if (c->ctl->client.fd < 0 ||
	    chat_call(c, "session.info", NULL, &out) != ERR_OK)
		return;
	cJSON_Delete(out.result);
	cJSON_Delete(out.error);
}

static void
talk(struct chat *c)
{
	const struct edit_hooks hooks = { c, on_fd, due_ms, on_wake, on_typed,
		on_page };

	c->edit = edit_new(&hooks, c->ctl->mode == MODE_HUMAN && edit_can());
	run_lines(c);
	leave(c);
	settle(c);
}

static int
check_input(const struct ctl *ctl)
{
	const char *lines = args_value(&ctl->args, "lines");
	uint64_t n = 0;

	if (lines != NULL &&
	    (args_number(lines, API_LIMIT_MAX, &n) != ERR_OK || n == 0))
		return report_usage(
		    "-n is a number of messages, at most %d", API_LIMIT_MAX);
	if (!isatty(STDIN_FILENO) && !args_has(&ctl->args, "plain") &&
	    !args_has(&ctl->args, "json"))
		return report_usage(
		    "chat is for a terminal: use send and tail, or --plain, "
		    "which sends every line");
	return CTL_DONE;
}

int
cmd_chat(struct ctl *ctl)
{
	struct chat c = {
		.ctl = ctl, .retry_at_ms = NEVER, .draft_at_ms = NEVER
	};
	cJSON *contact = NULL;
	int status = check_input(ctl);

	if (status == CTL_DONE)
		status =
		    resolve_contact(ctl, args_word(&ctl->args, 0), &contact);
	if (status != CTL_DONE)
		return status;
	take_contact(&c, contact);
	cJSON_Delete(contact);
	c.outbox = cJSON_CreateArray();
	c.draft = value_strdup("");
	status = begin(&c);
	if (status == CTL_DONE) {
		talk(&c);
		status = c.status;
	}
	chat_clear_shown(&c);
	free(c.older);
	free(c.draft);
	cJSON_Delete(c.outbox);
	return status;
}
