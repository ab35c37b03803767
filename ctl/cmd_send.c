/* send: a message, and optionally the wait until it is there. */
#include "ctl/cmd.h"
#include "ctl/message.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/resolve.h"
#include "ctl/value.h"
#include "ctl/when.h"
#include "proto/api.h"
#include "proto/base/text.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	TEXT_MAX = 64 * 1024, /* bytes; more is refused by the daemon anyway */
	QUIET_WAIT_MS = 1000, /* before a wait is worth a word */
};

int
send_check_text(const struct ctl *ctl, const char *text, size_t n)
{
	if (n > TEXT_MAX) {
		cJSON *data = cJSON_CreateObject();

		value_add_u64(data, "max", TEXT_MAX);
		return report_api(ctl, API_MESSAGE_TOO_LONG,
		    "a message has at most 65536 bytes", data);
	}
	if (n == 0)
		return report_usage("the message is empty");
	if (!utf8_valid(span_of(text, n)) || memchr(text, 0, n) != NULL) {
		report("the message is not text (UTF-8 without NUL)");
		return CTL_FAILED;
	}
	return CTL_DONE;
}

/* All of stdin but one final line break; owned by the caller. */
static int
read_stdin(const struct ctl *ctl, char **ret)
{
	char *text = value_alloc(TEXT_MAX + 3);
	size_t n = fread(text, 1, TEXT_MAX + 2, stdin);
	int status = CTL_DONE;

	if (ferror(stdin)) {
		report("cannot read the message");
		status = CTL_FAILED;
	}
	if (n > 0 && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	if (status == CTL_DONE)
		status = send_check_text(ctl, text, n);
	if (status != CTL_DONE) {
		free(text);
		text = NULL;
	}
	*ret = text;
	return status;
}

int
send_get_text(const struct ctl *ctl, size_t n, char **ret)
{
	const char *word = args_word(&ctl->args, n);
	char *text;
	int status;

	if (word == NULL && isatty(STDIN_FILENO))
		return report_usage("what shall be sent? (- reads stdin)");
	if (word == NULL || strcmp(word, "-") == 0)
		return read_stdin(ctl, ret);
	text = args_join(&ctl->args, n);
	status = text != NULL ? send_check_text(ctl, text, strlen(text))
	                      : CTL_FAILED;
	if (status != CTL_DONE) {
		free(text);
		text = NULL;
	}
	*ret = text;
	return status;
}

static int
wait_state(const struct ctl *ctl, const char **ret)
{
	const char *state = args_value(&ctl->args, "wait");

	*ret = NULL;
	if (!args_has(&ctl->args, "wait"))
		return CTL_DONE;
	*ret = state != NULL ? state : "delivered";
	if (strcmp(*ret, "sent") != 0 && strcmp(*ret, "delivered") != 0 &&
	    strcmp(*ret, "read") != 0)
		return report_usage("--wait is for sent, delivered or read");
	return CTL_DONE;
}

/* What became of a message, in the form for stdout. */
struct fate {
	const char *id, *state, *name; /* borrowed */
	uint64_t at_ms;                /* 0: not told */
};

static void
print_fate(const struct ctl *ctl, const struct fate *f)
{
	char when[WHEN_SIZE];
	/* Queued is all that was asked for. */
	const char *mark =
	    message_sign(strcmp(f->state, "queued") == 0 ? "sent" : f->state);

	if (ctl->mode == MODE_HUMAN) {
		print_human("%s %s to %s (%s)", mark, f->state, f->name, f->id);
		return;
	}
	if (f->at_ms == 0) {
		print_fields(ctl, f->id, f->state, NULL);
		return;
	}
	when_utc(f->at_ms, when);
	print_fields(ctl, f->id, f->state, when, NULL);
}

static enum err
ask_wait(struct ctl *ctl, const struct fate *f, uint64_t ms, cJSON **ret)
{
	cJSON *params = cJSON_CreateObject();
	uint64_t id = 0;

	value_add_str(params, "id", f->id);
	value_add_str(params, "state", f->state);
	value_add_u64(params, "timeout_ms", ms);
	enum err err = client_send(&ctl->client, "message.wait", params, &id);

	if (err == ERR_OK)
		err = client_reply(&ctl->client, id,
		    client_now_ms() + ms + CTL_REPLY_TIMEOUT_MS, ret);
	return err;
}

/* The same over restarts of the daemon: the message is stored there. */
static enum err
ask_wait_again(struct ctl *ctl, const struct fate *f, uint64_t ms, cJSON **ret)
{
	uint64_t deadline_ms = client_now_ms() + ms;
	int pause_ms = 0;

	for (;;) {
		uint64_t now_ms = client_now_ms();
		enum err err = ask_wait(ctl, f,
		    deadline_ms > now_ms ? deadline_ms - now_ms : 0, ret);

		if (err != ERR_IO)
			return err;
		if (pause_ms == 0)
			report_note(ctl, "btchatd is gone; waiting for it to "
			                 "come back");
		/* One that is being killed takes connections still. */
		(void)poll(NULL, 0, pause_ms);
		pause_ms = pause_ms < 1000 ? pause_ms * 2 + 1 : pause_ms;
		err = client_await(&ctl->client, deadline_ms);
		if (err != ERR_OK)
			return err;
	}
}

/* One message.wait; *ret is the result, or the data of the time-out. */
static int
wait_once(struct ctl *ctl, const struct fate *f, uint64_t ms, cJSON **ret)
{
	cJSON *doc = NULL;
	int status = CTL_DONE;
	enum err err = ask_wait_again(ctl, f, ms, &doc);

	if (err == ERR_EXPIRED)
		return CTL_TIMED_OUT;
	if (err != ERR_OK) {
		report(
		    "the answer of btchatd makes no sense (%s)", err_name(err));
		return CTL_NO_DAEMON;
	}
	const cJSON *error = value_get(doc, "error");

	if (error != NULL && value_u64(error, "code") == API_TIMEOUT) {
		status = CTL_TIMED_OUT;
		*ret = cJSON_Duplicate(value_get(error, "data"), 1);
	} else if (error != NULL) {
		status = report_error(ctl, error);
	} else {
		*ret = cJSON_DetachItemFromObjectCaseSensitive(doc, "result");
	}
	cJSON_Delete(doc);
	return status;
}

/* Waits with a word on a terminal if it takes longer than a second. */
static int
wait_for(struct ctl *ctl, const struct fate *f, cJSON **ret)
{
	uint64_t ms = ctl->has_timeout ? ctl->timeout_ms : CTL_WAIT_TIMEOUT_MS;
	uint64_t first = ms < QUIET_WAIT_MS ? ms : QUIET_WAIT_MS;
	int status = wait_once(ctl, f, first, ret);

	if (status != CTL_TIMED_OUT || ms == first)
		return status;
	if (isatty(STDERR_FILENO))
		report_note(ctl,
		    "waiting until %s has it (Ctrl-C: it is "
		    "sent later anyway)",
		    f->name);
	cJSON_Delete(*ret);
	*ret = NULL;
	return wait_once(ctl, f, ms - first, ret);
}

/* When it got its state at its (only) recipient; now, if nobody says. */
static uint64_t
state_time(const cJSON *status)
{
	const cJSON *list = value_get(status, "recipients");
	uint64_t at_ms = value_u64(list != NULL ? list->child : NULL, "at_ms");

	return at_ms != 0 ? at_ms : when_now_ms();
}

/* Sent and stored; now what the user asked to wait for. */
static int
finish(struct ctl *ctl, const cJSON *sent, const char *want, const char *name)
{
	struct fate f = { value_str(sent, "id"), want, name, 0 };
	cJSON *now = NULL;
	int status = wait_for(ctl, &f, &now);

	if (status != CTL_DONE && status != CTL_TIMED_OUT)
		return status;
	f.state =
	    value_has_str(now, "state") ? value_str(now, "state") : "queued";
	f.at_ms = state_time(now);
	if (ctl->mode == MODE_JSON) {
		cJSON *line = cJSON_CreateObject();

		value_add_str(line, "id", f.id);
		value_add_str(line, "state", f.state);
		value_add_u64(line, "at_ms", f.at_ms);
		print_json(ctl, line);
		cJSON_Delete(line);
	} else {
		print_fate(ctl, &f);
	}
	if (strcmp(f.state, "failed") == 0)
		status = CTL_FAILED;
	cJSON_Delete(now);
	return status;
}

static int
send_text(struct ctl *ctl, const cJSON *contact, const char *text, cJSON **ret)
{
	const char *client_id = args_value(&ctl->args, "client-id");
	const char *reply = args_value(&ctl->args, "reply");
	const char *ttl = args_value(&ctl->args, "ttl");
	cJSON *params;
	uint64_t ttl_s = 0;

	if (ttl != NULL && args_span_s(ttl, &ttl_s) != ERR_OK)
		return report_usage("--ttl is like 90, 15m, 12h or 7d");
	params = cJSON_CreateObject();
	value_add_str(params, "conv", value_str(contact, "id"));
	value_add_str(params, "text", text);
	if (ttl != NULL)
		value_add_u64(params, "ttl_ms", ttl_s * 1000);
	if (reply != NULL)
		value_add_str(params, "reply_to", reply);
	if (client_id != NULL)
		value_add_str(params, "client_id", client_id);
	return ctl_call(ctl, "message.send", params, ret);
}

/* Everything but the text is known. */
static int
send_and_tell(
    struct ctl *ctl, const cJSON *contact, const char *text, const char *want)
{
	char buf[128];
	const char *name = resolve_name(contact, buf);
	cJSON *sent = NULL;
	int status = send_text(ctl, contact, text, &sent);

	if (status != CTL_DONE)
		return status;
	struct fate f = { value_str(sent, "id"), value_str(sent, "state"), name,
		0 };

	if (want != NULL)
		status = finish(ctl, sent, want, name);
	else if (!print_as_json(ctl, sent))
		print_fate(ctl, &f);
	cJSON_Delete(sent);
	return status;
}

int
cmd_send(struct ctl *ctl)
{
	const char *want = NULL;
	char *text = NULL;
	cJSON *contact = NULL;
	int status = wait_state(ctl, &want);

	if (status == CTL_DONE)
		status = send_get_text(ctl, 1, &text);
	if (status == CTL_DONE)
		status =
		    resolve_contact(ctl, args_word(&ctl->args, 0), &contact);
	if (status == CTL_DONE)
		status = send_and_tell(ctl, contact, text, want);
	cJSON_Delete(contact);
	free(text);
	return status;
}
