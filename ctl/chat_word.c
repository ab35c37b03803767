/* chat: what was entered, a message or a command. */
#include "ctl/chat.h"
#include "ctl/cmd.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void
show_help(struct chat *c, const char *rest)
{
	(void)rest;
	chat_say(c, "/older            the messages before (Page Up)");
	chat_say(c, "/reply N TEXT     answer message N");
	chat_say(c, "/edit N TEXT      say something else instead");
	chat_say(c, "/delete N         yours at both sides, theirs here");
	chat_say(c, "/react N [SIGN]   react; without SIGN no more");
	chat_say(c, "/read             all is read");
	chat_say(c, "/who              whom you talk to");
	chat_say(c, "/quit             leave (Ctrl-D)");
	chat_say(c, "//TEXT            a message that begins with /");
}

static void
quit(struct chat *c, const char *rest)
{
	(void)rest;
	c->over = true;
}

/* What follows the first word. */
static const char *
after_word(const char *text)
{
	text += strcspn(text, " ");
	return text + strspn(text, " ");
}

/* The message that rest begins with the number of; *text is what follows. */
static const struct chat_shown *
pick(const struct chat *c, const char *rest, const char **text)
{
	const struct chat_shown *s;
	char word[24];

	(void)snprintf(
	    word, sizeof(word), "%.*s", (int)strcspn(rest, " "), rest);
	*text = after_word(rest);
	s = chat_by_number(c, word);
	if (s == NULL)
		report("no message has the number \"%s\"", word);
	return s;
}

static bool
has_text(const struct chat *c, const char *text)
{
	return send_check_text(c->ctl, text, strlen(text)) == CTL_DONE;
}

static void
say(struct chat *c, const char *text, const char *reply_to)
{
	cJSON *params;

	if (!has_text(c, text))
		return;
	params = cJSON_CreateObject();
	value_add_str(params, "conv", c->conv);
	value_add_str(params, "text", text);
	if (reply_to != NULL)
		value_add_str(params, "reply_to", reply_to);
	chat_hand_over(c, "message.send", params);
}

static void
reply(struct chat *c, const char *rest)
{
	const char *text = NULL;
	const struct chat_shown *s = pick(c, rest, &text);

	if (s != NULL)
		say(c, text, s->id);
}

static cJSON *
about(const struct chat *c, const struct chat_shown *s)
{
	cJSON *params = cJSON_CreateObject();

	value_add_str(params, "id", s->id);
	value_add_str(params, "conv", c->conv);
	return params;
}

static void
edit(struct chat *c, const char *rest)
{
	const char *text = NULL;
	const struct chat_shown *s = pick(c, rest, &text);
	cJSON *params;

	if (s == NULL || !has_text(c, text))
		return;
	params = about(c, s);
	value_add_str(params, "text", text);
	chat_hand_over(c, "message.edit", params);
}

static void delete (struct chat *c, const char *rest)
{
	const char *text = NULL;
	const struct chat_shown *s = pick(c, rest, &text);
	cJSON *params;

	if (s == NULL)
		return;
	params = about(c, s);
	value_add_str(params, "for", s->ours ? "all" : "me");
	chat_hand_over(c, "message.delete", params);
}

static void
react(struct chat *c, const char *rest)
{
	const char *text = NULL;
	const struct chat_shown *s = pick(c, rest, &text);
	cJSON *params;

	if (s == NULL)
		return;
	params = about(c, s);
	value_add_str(params, "reaction", text);
	chat_hand_over(c, "message.react", params);
}

static void
mark_read(struct chat *c, const char *rest)
{
	cJSON *params = cJSON_CreateObject();

	(void)rest;
	value_add_str(params, "conv", c->conv);
	chat_hand_over(c, "conv.read", params);
}

/* A call whose error the user is told. NULL: none, or no daemon. */
static cJSON *
ask(struct chat *c, const char *method, cJSON *params)
{
	struct ctl_outcome out = { 0 };

	if (chat_call(c, method, params, &out) != ERR_OK) {
		report("btchatd is not there now");
		return NULL;
	}
	if (out.error != NULL)
		(void)report_error(c->ctl, out.error);
	cJSON_Delete(out.error);
	return out.result;
}

static void
show_who(struct chat *c, const char *rest)
{
	cJSON *params = cJSON_CreateObject(), *r;
	char seen[WHEN_SIZE];

	(void)rest;
	value_add_str(params, "contact", c->conv);
	r = ask(c, "contact.get", params);
	if (r == NULL)
		return;
	when_ago(value_u64(r, "last_seen_ms"), when_now_ms(), seen);
	chat_say(c, "%s  %s, %s, %s", c->name, value_str(r, "state"),
	    value_true(r, "online") ? "online" : seen,
	    value_true(r, "verified") ? "verified" : "not verified");
	chat_say(c, "%s", value_str(r, "address"));
	cJSON_Delete(r);
}

void
chat_older(struct chat *c)
{
	cJSON *params, *page;

	if (c->older == NULL) {
		chat_say(c, "there is nothing older");
		return;
	}
	params = cJSON_CreateObject();
	value_add_str(params, "conv", c->conv);
	value_add_str(params, "before", c->older);
	value_add_u64(params, "limit", chat_page_size(c));
	page = ask(c, "message.history", params);
	if (page == NULL)
		return;
	chat_say(c, "---- older ----");
	chat_show_page(c, page, true);
	chat_say(c, "---- now ----");
	free(c->older);
	c->older = value_has_str(page, "next")
	               ? value_strdup(value_str(page, "next"))
	               : NULL;
	cJSON_Delete(page);
}

static void
older(struct chat *c, const char *rest)
{
	(void)rest;
	chat_older(c);
}

static void
take_command(struct chat *c, const char *line)
{
	static const struct {
		const char *word;
		void (*run)(struct chat *c, const char *rest);
	} words[] = {
		{ "delete", delete },
		{ "edit", edit },
		{ "help", show_help },
		{ "older", older },
		{ "quit", quit },
		{ "react", react },
		{ "read", mark_read },
		{ "reply", reply },
		{ "who", show_who },
	};
	size_t n = strcspn(line, " ");

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i].word) != n ||
		    memcmp(words[i].word, line, n) != 0)
			continue;
		words[i].run(c, after_word(line));
		return;
	}
	report("no command \"/%.*s\": /help lists them", n < 20 ? (int)n : 20,
	    line);
}

void
chat_take_line(struct chat *c, const char *line)
{
	if (line[strspn(line, " \t")] == '\0')
		return;
	if (line[0] != '/')
		say(c, line, NULL);
	else if (line[1] == '/')
		say(c, line + 1, NULL);
	else
		take_command(c, line + 1);
}
