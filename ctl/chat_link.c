/*
 * chat: the connection. The place in the event log is a cursor, as in tail:
 * after a restart of the daemon it goes on there, and what is sent has a
 * client_id, so that nothing is missed, and nothing comes twice at either side.
 */
#include "ctl/chat.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum {
	CLIENT_ID_BYTES = 16,
	BATCH = 64, /* events, then keys are looked at again */
};

/* ---- calls ---- */

static void
lose_daemon(struct chat *c)
{
	client_close(&c->ctl->client);
	if (c->retry_at_ms != NEVER)
		return;
	c->retry_ms = CHAT_RETRY_MIN_MS;
	c->retry_at_ms = client_now_ms();
	c->typing = false;
	chat_say(c, "     btchatd is gone; reconnecting");
}

enum err
chat_call(
    struct chat *c, const char *method, cJSON *params, struct ctl_outcome *ret)
{
	struct client *client = &c->ctl->client;
	cJSON *doc = NULL;
	uint64_t id = 0;
	enum err err;

	*ret = (struct ctl_outcome){ 0 };
	if (client->fd < 0) {
		cJSON_Delete(params);
		return ERR_IO;
	}
	err = client_send(client, method, params, &id);
	if (err == ERR_OK)
		err = client_reply(
		    client, id, client_now_ms() + CHAT_REPLY_MS, &doc);
	if (err != ERR_OK) {
		lose_daemon(c);
		return ERR_IO;
	}
	ret->error = cJSON_DetachItemFromObjectCaseSensitive(doc, "error");
	ret->result = cJSON_DetachItemFromObjectCaseSensitive(doc, "result");
	cJSON_Delete(doc);
	return ERR_OK;
}

void
chat_tell(struct chat *c, const char *method, cJSON *params)
{
	uint64_t id = 0;

	if (c->ctl->client.fd < 0)
		cJSON_Delete(params);
	else if (client_send(&c->ctl->client, method, params, &id) != ERR_OK)
		lose_daemon(c);
}

/* ---- what must not get lost ---- */

static void
take_answer(struct chat *c, const cJSON *what, const struct ctl_outcome *out)
{
	if (out->error != NULL) {
		(void)report_error(c->ctl, out->error);
		if (value_has_str(what, "params.text"))
			report("not sent: %s", value_str(what, "params.text"));
		c->status = CTL_PARTLY;
	} else if (strcmp(value_str(what, "method"), "message.send") == 0 &&
	           !chat_has_shown(c, value_str(out->result, "id"))) {
		(void)snprintf(c->awaited, sizeof(c->awaited), "%s",
		    value_str(out->result, "id"));
	}
}

static void
flush_outbox(struct chat *c)
{
	while (c->outbox->child != NULL) {
		const cJSON *what = c->outbox->child;
		struct ctl_outcome out;

		if (chat_call(c, value_str(what, "method"),
		        cJSON_Duplicate(value_get(what, "params"), 1),
		        &out) != ERR_OK)
			return;
		take_answer(c, what, &out);
		cJSON_Delete(out.error);
		cJSON_Delete(out.result);
		cJSON_DeleteItemFromArray(c->outbox, 0);
	}
}

void
chat_hand_over(struct chat *c, const char *method, cJSON *params)
{
	cJSON *what = cJSON_CreateObject();
	uint8_t random[CLIENT_ID_BYTES];
	char id[2 * CLIENT_ID_BYTES + 1];

	if (strncmp(method, "message.", 8) == 0) {
		randombytes_buf(random, sizeof(random));
		(void)sodium_bin2hex(id, sizeof(id), random, sizeof(random));
		value_add_str(params, "client_id", id);
	}
	value_add_str(what, "method", method);
	(void)cJSON_AddItemToObject(what, "params", params);
	(void)cJSON_AddItemToArray(c->outbox, what);
	flush_outbox(c);
	if (c->outbox->child != NULL)
		chat_say(c, "     waits until btchatd is back");
}

/* ---- the place in the log ---- */

static void
take_place(struct chat *c, const cJSON *sub)
{
	(void)snprintf(
	    c->epoch, sizeof(c->epoch), "%s", value_str(sub, "epoch"));
	c->seq = value_u64(sub, "from");
}

static cJSON *
subscribe_params(const struct chat *c, bool go_on)
{
	cJSON *params = cJSON_CreateObject();
	cJSON *convs = cJSON_AddArrayToObject(params, "convs");

	(void)cJSON_AddItemToArray(convs, cJSON_CreateString(c->conv));
	if (go_on) {
		cJSON *since = cJSON_AddObjectToObject(params, "since");

		value_add_str(since, "epoch", c->epoch);
		value_add_u64(since, "seq", c->seq);
	}
	return params;
}

enum err
chat_subscribe(struct chat *c, bool go_on, struct ctl_outcome *out)
{
	enum err err =
	    chat_call(c, "events.subscribe", subscribe_params(c, go_on), out);

	if (err == ERR_OK && out->error == NULL && !go_on)
		take_place(c, out->result);
	return err;
}

enum err
chat_get_page(struct chat *c, const char *after, struct ctl_outcome *out)
{
	cJSON *params = cJSON_CreateObject();

	value_add_str(params, "conv", c->conv);
	value_add_u64(
	    params, "limit", after != NULL ? API_LIMIT_MAX : chat_page_size(c));
	if (after != NULL)
		value_add_str(params, "after", after);
	return chat_call(c, "message.history", params, out);
}

/* The log begins anew, or no more where we were: what came meanwhile is in
 * the history, behind the newest that was shown. */
static void
catch_up(struct chat *c)
{
	struct ctl_outcome out = { 0 };
	bool more = true;

	if (chat_subscribe(c, false, &out) != ERR_OK)
		return;
	cJSON_Delete(out.result);
	cJSON_Delete(out.error);
	while (more) {
		char before[CHAT_ID_SIZE];

		memcpy(before, c->newest, sizeof(before));
		if (chat_get_page(c, before[0] != '\0' ? before : NULL, &out) !=
		    ERR_OK)
			return;
		chat_show_page(c, out.result, false);
		/* The newest may be no more: then the last page will do. */
		if (out.error != NULL)
			c->newest[0] = '\0';
		more = before[0] != '\0' && strcmp(before, c->newest) != 0;
		cJSON_Delete(out.result);
		cJSON_Delete(out.error);
	}
}

/* One try to be where we were. True: the daemon is there. */
static bool
go_on(struct chat *c)
{
	struct ctl_outcome out = { 0 };
	uint64_t code;

	if (client_connect(&c->ctl->client, c->ctl->client.path) != ERR_OK ||
	    chat_subscribe(c, true, &out) != ERR_OK)
		return false;
	code = value_u64(out.error, "code");
	cJSON_Delete(out.error);
	cJSON_Delete(out.result);
	if (code == API_CURSOR_EXPIRED || code == API_EPOCH_CHANGED)
		catch_up(c);
	else if (code != 0) /* locked, or busy: later */
		client_close(&c->ctl->client);
	return c->ctl->client.fd >= 0;
}

void
chat_reconnect(struct chat *c)
{
	if (!go_on(c)) {
		c->retry_ms = c->retry_ms * 2 < CHAT_RETRY_MAX_MS
		                  ? c->retry_ms * 2
		                  : CHAT_RETRY_MAX_MS;
		c->retry_at_ms = client_now_ms() + c->retry_ms;
		return;
	}
	c->retry_at_ms = NEVER;
	chat_say(c, "     btchatd is back");
	flush_outbox(c);
	/* What was typed meanwhile, it did not hear of. */
	c->draft_at_ms = client_now_ms();
}

/* ---- what comes ---- */

static void
handle(struct chat *c, const cJSON *doc)
{
	const cJSON *event = value_get(doc, "params");

	/* Errors are about what we told: a draft, typing, reading. A socket
	 * for readers alone allows none of them, and that is no news. */
	if (strcmp(value_str(doc, "method"), "event") != 0)
		return;
	chat_show_event(c, event);
	if (value_u64(event, "seq") > c->seq)
		c->seq = value_u64(event, "seq");
}

void
chat_take_events(struct chat *c)
{
	struct client *client = &c->ctl->client;

	for (int i = 0;
	     i < BATCH && (client->fd >= 0 || client_has_more(client)); i++) {
		cJSON *doc = NULL;
		enum err err = client_event(client, client_now_ms(), &doc);

		if (err == ERR_EXPIRED)
			return;
		if (err != ERR_OK) {
			lose_daemon(c);
			return;
		}
		handle(c, doc);
		cJSON_Delete(doc);
	}
}
