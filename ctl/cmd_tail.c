/*
 * tail: follows the event log. Its place in the log is a cursor, so that it
 * goes on where it was when the daemon comes back after a restart.
 */
#include "ctl/cmd.h"
#include "ctl/hook.h"
#include "ctl/message.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/resolve.h"
#include "ctl/value.h"
#include "ctl/when.h"
#include "proto/api.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TAIL_TYPES_MAX = 32 };

struct tail {
	struct ctl *ctl;
	const char *consumer; /* borrowed; NULL: none */
	const char *programs; /* borrowed: their directory; NULL: print */
	cJSON *types, *convs; /* owned arrays; NULL: all */
	cJSON *since;         /* owned; NULL: the consumer's or now */
	cJSON *names;         /* owned object: contact id -> name to show */
	char epoch[64];       /* of the log that seq counts in */
	uint64_t seq;         /* last one printed, or where we began */
	bool has_place;       /* epoch and seq are known */
	bool to_ack;          /* seq was printed and not told the daemon */
	uint64_t left;        /* events until the end; NEVER: no end */
	uint64_t deadline_ms;
};

/* "EPOCH:SEQ", "oldest" or "now". */
static int
parse_since(const char *text, cJSON **ret)
{
	const char *colon = strchr(text, ':');
	uint64_t seq = 0;
	char epoch[64];

	if (strcmp(text, "oldest") == 0 || strcmp(text, "now") == 0) {
		*ret = cJSON_CreateString(text);
		return CTL_DONE;
	}
	if (colon == NULL || (size_t)(colon - text) >= sizeof(epoch) ||
	    args_number(colon + 1, UINT64_C(9007199254740991), &seq) != ERR_OK)
		return report_usage("--since is EPOCH:SEQ, oldest or now");
	memcpy(epoch, text, (size_t)(colon - text));
	epoch[colon - text] = '\0';
	*ret = cJSON_CreateObject();
	value_add_str(*ret, "epoch", epoch);
	value_add_u64(*ret, "seq", seq);
	return CTL_DONE;
}

static cJSON *
split_types(const char *list)
{
	cJSON *types = cJSON_CreateArray();
	char *copy = value_strdup(list), *rest = copy, *name = NULL;

	while ((name = strsep(&rest, ",")) != NULL)
		if (name[0] != '\0')
			(void)cJSON_AddItemToArray(
			    types, cJSON_CreateString(name));
	free(copy);
	return types;
}

static int
setup(struct tail *t)
{
	const struct args *a = &t->ctl->args;
	const char *since = args_value(a, "since");
	const char *types = args_value(a, "type");
	const char *in = args_value(a, "in");
	const char *lines = args_value(a, "lines");
	cJSON *contact = NULL;
	int status = CTL_DONE;

	t->consumer = args_value(a, "consumer");
	t->programs = args_value(a, "exec");
	t->left = NEVER;
	if (lines != NULL &&
	    (args_number(lines, UINT32_MAX, &t->left) != ERR_OK ||
	        t->left == 0))
		return report_usage("-n is a number of events");
	if (since != NULL)
		status = parse_since(since, &t->since);
	if (types != NULL)
		t->types = split_types(types);
	if (status == CTL_DONE && in != NULL)
		status = resolve_contact(t->ctl, in, &contact);
	if (contact != NULL) {
		t->convs = cJSON_CreateArray();
		(void)cJSON_AddItemToArray(
		    t->convs, cJSON_CreateString(value_str(contact, "id")));
	}
	cJSON_Delete(contact);
	return status;
}

static void
add_copy(cJSON *params, const char *key, const cJSON *value)
{
	if (value != NULL)
		(void)cJSON_AddItemToObject(
		    params, key, cJSON_Duplicate(value, 1));
}

/* Where to go on: behind what was printed, else where the user said. */
static cJSON *
subscribe_params(const struct tail *t)
{
	cJSON *params = cJSON_CreateObject();

	if (t->has_place) {
		cJSON *cursor = cJSON_AddObjectToObject(params, "since");

		value_add_str(cursor, "epoch", t->epoch);
		value_add_u64(cursor, "seq", t->seq);
	} else {
		add_copy(params, "since", t->since);
	}
	if (t->consumer != NULL)
		value_add_str(params, "consumer", t->consumer);
	add_copy(params, "types", t->types);
	add_copy(params, "convs", t->convs);
	return params;
}

static void
take_place(struct tail *t, const cJSON *sub)
{
	uint64_t from = value_u64(sub, "from");

	/* Also without a single event we know where we are, so that what
	 * happens while the daemon is away is not missed. */
	(void)snprintf(
	    t->epoch, sizeof(t->epoch), "%s", value_str(sub, "epoch"));
	t->seq = from > t->seq ? from : t->seq;
	t->has_place = true;
}

/* CTL_NO_DAEMON without a word: the connection was lost meanwhile. */
static int
subscribe(struct tail *t)
{
	struct client *c = &t->ctl->client;
	uint64_t deadline_ms = client_now_ms() + CTL_REPLY_TIMEOUT_MS;
	cJSON *doc = NULL;
	uint64_t id = 0;
	int status = CTL_NO_DAEMON;
	enum err err =
	    client_send(c, "events.subscribe", subscribe_params(t), &id);

	if (err == ERR_OK)
		err = client_reply(c, id, deadline_ms, &doc);
	if (err == ERR_EXPIRED)
		client_close(c);
	if (err != ERR_OK)
		return status;
	status = CTL_DONE;
	if (value_get(doc, "error") != NULL)
		status = report_error(t->ctl, value_get(doc, "error"));
	else
		take_place(t, value_get(doc, "result"));
	cJSON_Delete(doc);
	return status;
}

/* What an event is about, in a few words for people. */
static void
describe(const cJSON *data, char *buf, size_t size)
{
	static const char *const keys[] = { "text", "state", "name", "label",
		"reason", "message", "kind", "address", "endpoint" };
	const char *what = "";
	const char *state = value_str(data, "state");

	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		what = value_str(data, keys[i]);
		if (what[0] != '\0')
			break;
	}
	if (value_get(data, "online") != NULL)
		what = value_true(data, "online") ? "online" : "offline";
	(void)snprintf(buf, size, "%s%s%s", what,
	    what[0] != '\0' && state[0] != '\0' && what != state ? "  " : "",
	    what != state ? state : "");
}

/* The contact that it is about, or "". */
static const char *
event_contact(const cJSON *data)
{
	return value_has_str(data, "conv") ? value_str(data, "conv")
	                                   : value_str(data, "contact");
}

static const char *
event_conv(const cJSON *data)
{
	return event_contact(data)[0] != '\0' ? event_contact(data)
	                                      : value_str(data, "id");
}

/* Forgets a name that an event says may have changed. */
static void
note_name(struct tail *t, const cJSON *data)
{
	if (value_has_str(data, "name"))
		cJSON_DeleteItemFromObjectCaseSensitive(
		    t->names, value_str(data, "id"));
}

/* The name of a contact, asked for once; its short id if there is none. */
static const char *
name_of(struct tail *t, const char *id, char buf[PRINT_ID_SIZE])
{
	const char *name = value_str(t->names, id);
	cJSON *params = NULL;
	struct ctl_outcome out = { 0 };

	if (name[0] != '\0')
		return name;
	print_short(id, buf);
	if (id[0] == '\0' || t->ctl->client.fd < 0)
		return buf;
	params = cJSON_CreateObject();
	value_add_str(params, "contact", id);
	if (ctl_try(t->ctl, CTL_REPLY_TIMEOUT_MS, "contact.get", params,
	        &out) == CTL_DONE &&
	    value_str(out.result, "name")[0] != '\0')
		(void)snprintf(buf, PRINT_ID_SIZE, "%.100s",
		    value_str(out.result, "name"));
	value_add_str(t->names, id, buf);
	cJSON_Delete(out.result);
	cJSON_Delete(out.error);
	return buf;
}

static void
print_event_human(struct tail *t, const cJSON *e)
{
	char clock[WHEN_SIZE], what[1024], buf[PRINT_ID_SIZE];
	const cJSON *data = value_get(e, "data");
	const char *name = value_str(data, "name");
	bool ours = message_is_ours(data);

	note_name(t, data);
	when_clock(value_u64(e, "ts_ms"), clock);
	describe(data, what, sizeof(what));
	if (name[0] == '\0')
		name = name_of(t, event_contact(data), buf);
	print_human("%s  %-16s  %s%s  %s", clock, value_str(e, "type"),
	    ours ? "to " : "", name, what);
}

/* seq, time, type, conv, id, state, text, data: the whole as JSON last. */
static void
print_event_plain(const struct ctl *ctl, const cJSON *e)
{
	const cJSON *data = value_get(e, "data");
	char when[WHEN_SIZE], seq[24] = "-";
	char *json = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&json, &n);

	if (f == NULL)
		return;
	if (data != NULL)
		value_write(f, data);
	(void)fclose(f);
	if (value_u64(e, "seq") > 0)
		(void)snprintf(
		    seq, sizeof(seq), "%" PRIu64, value_u64(e, "seq"));
	when_utc(value_u64(e, "ts_ms"), when);
	print_fields(ctl, seq, when, value_str(e, "type"), event_conv(data),
	    value_str(data, "id"), value_str(data, "state"),
	    value_str(data, "text"), json, NULL);
	free(json);
}

static void
print_event(struct tail *t, cJSON *e)
{
	cJSON_DeleteItemFromObjectCaseSensitive(e, "sub");
	if (t->programs != NULL)
		hook_run(t->programs, e);
	else if (t->ctl->mode == MODE_JSON)
		print_json(t->ctl, e);
	else if (t->ctl->mode == MODE_HUMAN)
		print_event_human(t, e);
	else
		print_event_plain(t->ctl, e);
	if (value_u64(e, "seq") > 0) {
		t->seq = value_u64(e, "seq");
		t->to_ack = t->consumer != NULL;
	}
	if (t->left != NEVER)
		t->left--;
}

/* Everything printed so far is with the reader: say so. */
static int
flush_and_ack(struct tail *t)
{
	cJSON *params = NULL;
	uint64_t id = 0;

	if (fflush(stdout) != 0)
		return CTL_FAILED;
	if (!t->to_ack || t->ctl->client.fd < 0)
		return CTL_DONE;
	params = cJSON_CreateObject();
	value_add_str(params, "consumer", t->consumer);
	value_add_u64(params, "seq", t->seq);
	t->to_ack = false;
	/* A broken connection shows at the next read. */
	(void)!client_send(&t->ctl->client, "events.ack", params, &id);
	return CTL_DONE;
}

/* A notification, or an error about what was sent before. */
static int
handle(struct tail *t, cJSON *doc)
{
	const char *method = value_str(doc, "method");

	if (strcmp(method, "event") == 0) {
		print_event(t, cJSON_GetObjectItemCaseSensitive(doc, "params"));
		/* Of programs each one counts, of lines a page. */
		return t->programs != NULL ? flush_and_ack(t) : CTL_DONE;
	}
	if (value_get(doc, "error") != NULL)
		return report_error(t->ctl, value_get(doc, "error"));
	if (strcmp(method, "sub.replaced") == 0) {
		report("another client took over consumer %s", t->consumer);
		return CTL_FAILED;
	}
	if (strcmp(method, "sub.lag") == 0)
		report_note(t->ctl,
		    "too slow: %" PRIu64 " short-lived events were left out",
		    value_u64(doc, "params.dropped"));
	return CTL_DONE;
}

/* Until somebody is there who does not hang up: a daemon that is being
 * killed still takes a connection now and then. */
static int
reconnect(struct tail *t)
{
	int pause_ms = 1;

	report_note(t->ctl, "btchatd is gone; waiting for it to come back");
	for (;;) {
		enum err err = client_await(&t->ctl->client, t->deadline_ms);
		int status = CTL_NO_DAEMON;

		if (err == ERR_EXPIRED)
			return CTL_TIMED_OUT;
		if (err == ERR_OK)
			status = subscribe(t);
		if (status != CTL_NO_DAEMON)
			return status;
		if (err != ERR_OK) {
			report("cannot wait for %s", t->ctl->client.path);
			return CTL_NO_DAEMON;
		}
		(void)poll(NULL, 0, pause_ms);
		pause_ms = pause_ms < 1000 ? pause_ms * 2 : pause_ms;
	}
}

static int
follow(struct tail *t)
{
	struct client *c = &t->ctl->client;
	int status = CTL_DONE;

	while (status == CTL_DONE && t->left > 0) {
		cJSON *doc = NULL;

		if (!client_has_more(c))
			status = flush_and_ack(t);
		if (status != CTL_DONE)
			break;
		enum err err = client_event(c, t->deadline_ms, &doc);
		if (err == ERR_OK)
			status = handle(t, doc);
		else if (err == ERR_EXPIRED)
			status = CTL_TIMED_OUT;
		else
			status = reconnect(t);
		cJSON_Delete(doc);
	}
	if (flush_and_ack(t) != CTL_DONE && status == CTL_DONE)
		status = CTL_FAILED;
	return status;
}

/* The last ack must have arrived before the connection goes. */
static int
settle(struct tail *t, int status)
{
	cJSON *result = NULL;

	if (status != CTL_DONE || t->consumer == NULL || t->ctl->client.fd < 0)
		return status;
	status = ctl_call(t->ctl, "session.info", NULL, &result);
	cJSON_Delete(result);
	return status;
}

static int
begin(struct tail *t)
{
	int status = ctl_connect(t->ctl);

	if (status != CTL_DONE)
		return status;
	status = subscribe(t);
	if (status == CTL_NO_DAEMON)
		report(
		    "what listens at %s does not answer", t->ctl->client.path);
	return status;
}

int
cmd_tail(struct ctl *ctl)
{
	struct tail t = { .ctl = ctl,
		.deadline_ms = ctl->has_timeout
		                   ? client_now_ms() + ctl->timeout_ms
		                   : NEVER };
	int status = setup(&t);

	t.names = cJSON_CreateObject();
	if (status == CTL_DONE)
		status = begin(&t);
	if (status == CTL_DONE)
		status = settle(&t, follow(&t));
	cJSON_Delete(t.types);
	cJSON_Delete(t.convs);
	cJSON_Delete(t.since);
	cJSON_Delete(t.names);
	return status;
}
