/* chat: what was entered, a message or a command. */
#include "ctl/chat.h"
#include "ctl/cmd.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What follows the first word. */
static const char *
after_word(const char *text)
{
	text += strcspn(text, " ");
	return text + strspn(text, " ");
}

/* The message that text begins with the number of; NULL: none, reported. */
static const struct chat_shown *
pick(const struct chat *c, const char *text)
{
	const struct chat_shown *s;
	char word[24];

	(void)snprintf(
	    word, sizeof(word), "%.*s", (int)strcspn(text, " "), text);
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
quit(struct chat *c)
{
	c->over = true;
}

static void
reply(struct chat *c, const struct chat_shown *s, const char *text)
{
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
edit(struct chat *c, const struct chat_shown *s, const char *text)
{
	cJSON *params;

	if (!s->ours)
		report("only what you sent can be edited");
	if (!s->ours || !has_text(c, text))
		return;
	params = about(c, s);
	value_add_str(params, "text", text);
	chat_hand_over(c, "message.edit", params);
}

static void delete (
    struct chat *c, const struct chat_shown *s, const char *text)
{
	cJSON *params = about(c, s);

	(void)text;
	value_add_str(params, "for", s->ours ? "all" : "me");
	chat_hand_over(c, "message.delete", params);
}

static void
react(struct chat *c, const struct chat_shown *s, const char *text)
{
	cJSON *params = about(c, s);

	value_add_str(params, "reaction", text);
	chat_hand_over(c, "message.react", params);
}

static void
mark_read(struct chat *c)
{
	cJSON *params = cJSON_CreateObject();

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
show_who(struct chat *c)
{
	cJSON *params = cJSON_CreateObject(), *r;
	char seen[WHEN_SIZE];

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

static void show_help(struct chat *c);

/* In the order of the help. */
static const struct word {
	const char *word, *args, *help;
	void (*run)(struct chat *c);
	/* The same for a word that takes a message's number: text follows. */
	void (*run_on)(
	    struct chat *c, const struct chat_shown *s, const char *text);
} words[] = {
	{ "older", "", "the messages before (Page Up)", chat_older, NULL },
	{ "reply", "N TEXT", "answer message N", NULL, reply },
	{ "edit", "N TEXT", "say something else instead", NULL, edit },
	{ "delete", "N", "yours at both sides, theirs here", NULL, delete },
	{ "react", "N [SIGN]", "react; without SIGN no more", NULL, react },
	{ "read", "", "all is read", mark_read, NULL },
	{ "who", "", "whom you talk to", show_who, NULL },
	{ "quit", "", "leave (Ctrl-D)", quit, NULL },
	{ "help", "", "this", show_help, NULL },
};
enum { N_WORDS = sizeof(words) / sizeof(words[0]) };

static void
show_help(struct chat *c)
{
	for (const struct word *w = words; w < words + N_WORDS; w++)
		chat_say(c, "/%-6s %-9s  %s", w->word, w->args, w->help);
	chat_say(c, "//TEXT            a message that begins with /");
}

static void
run_word(struct chat *c, const struct word *w, const char *text)
{
	const struct chat_shown *s;

	if (w->run != NULL) {
		w->run(c);
		return;
	}
	if (text[0] == '\0') {
		report("that is: /%s %s", w->word, w->args);
		return;
	}
	s = pick(c, text);
	if (s != NULL)
		w->run_on(c, s, after_word(text));
}

static void
take_command(struct chat *c, const char *line)
{
	size_t n = strcspn(line, " ");

	for (const struct word *w = words; w < words + N_WORDS; w++) {
		if (strlen(w->word) != n || memcmp(w->word, line, n) != 0)
			continue;
		run_word(c, w, after_word(line));
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
