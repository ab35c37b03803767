/* chat: messages and events on the screen, or as lines for programs. */
#include "ctl/chat.h"

#include "ctl/escape.h"
#include "ctl/message.h"
#include "ctl/print.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { LEAD_SIZE = 32, REPLY_SIZE = 48, PROMPT_NAME_COLUMNS = 24 };

#define REPLY_SIGN "\xe2\x86\xaa "

/* ---- what was shown ---- */

static struct chat_shown *
find(const struct chat *c, const char *id)
{
	for (size_t i = c->n; i > 0; i--)
		if (strcmp(c->list[i - 1].id, id) == 0)
			return &c->list[i - 1];
	return NULL;
}

bool
chat_has_shown(const struct chat *c, const char *id)
{
	return find(c, id) != NULL;
}

static size_t
number_of(const struct chat *c, const struct chat_shown *s)
{
	return (size_t)(s - c->list) + 1;
}

const struct chat_shown *
chat_by_number(const struct chat *c, const char *word)
{
	uint64_t n = 0;

	if (args_number(word, c->n, &n) != ERR_OK || n == 0)
		return NULL;
	return &c->list[n - 1];
}

static void
copy_id(char ret[CHAT_ID_SIZE], const char *id)
{
	(void)snprintf(ret, CHAT_ID_SIZE, "%s", id);
}

static void
set_reaction(struct chat_shown *s, bool ours, const char *text)
{
	free(s->reactions[ours]);
	s->reactions[ours] = value_strdup(text);
}

static void
remember(struct chat *c, const cJSON *m)
{
	struct chat_shown *s;
	const cJSON *r;

	if (c->n == c->cap) {
		c->cap = c->cap * 2 + 64;
		c->list = value_realloc(c->list, c->cap * sizeof(c->list[0]));
	}
	s = &c->list[c->n++];
	*s = (struct chat_shown){ .ours = message_is_ours(m),
		.deleted = value_true(m, "deleted"),
		.edited_ms = value_u64(m, "edited_ms") };
	copy_id(s->id, value_str(m, "id"));
	cJSON_ArrayForEach(r, value_get(m, "reactions"))
	{
		set_reaction(s, message_is_ours(r), value_str(r, "text"));
	}
}

void
chat_clear_shown(struct chat *c)
{
	for (size_t i = 0; i < c->n; i++) {
		free(c->list[i].reactions[0]);
		free(c->list[i].reactions[1]);
	}
	free(c->list);
	c->list = NULL;
	c->n = 0;
	c->cap = 0;
}

size_t
chat_page_size(const struct chat *c)
{
	const char *lines = args_value(&c->ctl->args, "lines");
	struct winsize size;
	uint64_t n = 0;

	if (lines != NULL && args_number(lines, API_LIMIT_MAX, &n) == ERR_OK &&
	    n > 0)
		return (size_t)n;
	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 ||
	    size.ws_row < CHAT_PAGE)
		return CHAT_PAGE;
	return (size_t)size.ws_row - 4;
}

/* ---- the prompt ---- */

/* So many columns of a text that is escaped; the rest is cut off. */
static void
cut(char *text, size_t columns)
{
	size_t n = strlen(text);

	while (n > 0 && escape_width(text) > columns) {
		do
			n--;
		while (n > 0 && ((unsigned char)text[n] & 0xc0) == 0x80);
		text[n] = '\0';
	}
}

static const char *
contact_word(const struct chat *c)
{
	if (c->ctl->client.fd < 0)
		return " (reconnecting)";
	if (c->typing)
		return " (typing)";
	return c->online ? "" : " (away)";
}

void
chat_show_prompt(struct chat *c)
{
	char *name = escape_terminal(c->name, true);
	const char *bold = print_style(c->ctl, PRINT_BOLD);
	const char *off = print_style(c->ctl, PRINT_RESET);
	char state[32] = "", prompt[512];

	cut(name, PROMPT_NAME_COLUMNS);
	if (c->state[0] != '\0')
		(void)snprintf(state, sizeof(state), " %s%s",
		    message_sign(c->state),
		    strcmp(c->state, "read") == 0 ? " read" : "");
	if (c->ctl->color)
		(void)snprintf(prompt, sizeof(prompt),
		    "\001%s\001%s\001%s\001%s%s> ", bold, name, off,
		    contact_word(c), state);
	else
		(void)snprintf(prompt, sizeof(prompt), "%s%s%s> ", name,
		    contact_word(c), state);
	free(name);
	edit_hide(c->edit);
	edit_prompt(c->edit, prompt);
	edit_show(c->edit);
}

/* ---- lines ---- */

void
chat_say(const struct chat *c, const char *format, ...)
{
	char *text = NULL;
	va_list ap;

	if (c->ctl->mode != MODE_HUMAN)
		return;
	va_start(ap, format);
	if (vasprintf(&text, format, ap) >= 0) {
		char *safe = escape_terminal(text, true);

		(void)printf("%s%s%s\n", print_style(c->ctl, PRINT_DIM), safe,
		    print_style(c->ctl, PRINT_RESET));
		free(safe);
		free(text);
	}
	va_end(ap);
}

/* For programs: what, id, time, from, state, text. */
static void
print_row(const struct chat *c, const char *what, const cJSON *data,
    uint64_t at_ms, const char *text)
{
	char when[WHEN_SIZE];
	const char *id = value_has_str(data, "up_to") ? value_str(data, "up_to")
	                                              : value_str(data, "id");
	bool told = value_has_str(data, "direction");

	when_utc(at_ms, when);
	print_fields(c->ctl, what, id[0] != '\0' ? id : "-", when,
	    !told                   ? "-"
	    : message_is_ours(data) ? "me"
	                            : c->conv,
	    value_has_str(data, "state") ? value_str(data, "state") : "-", text,
	    NULL);
}

/* As tail --json: what happened, and to what. */
static void
print_json_row(const struct chat *c, const char *type, const cJSON *data)
{
	cJSON *row = cJSON_CreateObject();

	value_add_str(row, "type", type);
	(void)cJSON_AddItemToObject(row, "data", cJSON_Duplicate(data, 1));
	print_json(c->ctl, row);
	cJSON_Delete(row);
}

static void
print_day(struct chat *c, const cJSON *m)
{
	char day[WHEN_SIZE];

	when_day(value_u64(m, "sent_ms"), day);
	if (strcmp(day, c->day) != 0)
		chat_say(c, "%s", day);
	memcpy(c->day, day, sizeof(day));
}

static void
print_message(struct chat *c, const cJSON *m, bool mark)
{
	const struct chat_shown *to = find(c, value_str(m, "reply_to"));
	char lead[LEAD_SIZE], reply[REPLY_SIZE] = REPLY_SIGN;
	const struct message_style style = { c->name, lead, reply, mark };

	if (c->ctl->mode == MODE_JSON) {
		print_json_row(c, "message.new", m);
		return;
	}
	if (c->ctl->mode == MODE_PLAIN) {
		print_row(c, "message", m, value_u64(m, "sent_ms"),
		    value_str(m, "text"));
		return;
	}
	print_day(c, m);
	(void)snprintf(lead, sizeof(lead), "%3zu  ", c->n);
	if (to != NULL)
		(void)snprintf(
		    reply, sizeof(reply), REPLY_SIGN "%zu  ", number_of(c, to));
	message_print_human(c->ctl, m, &style);
}

static void
show(struct chat *c, const cJSON *m, bool mark)
{
	const char *id = value_str(m, "id");

	if (find(c, id) != NULL)
		return;
	remember(c, m);
	print_message(c, m, mark);
	if (!message_is_ours(m))
		return;
	if (strcmp(id, c->awaited) == 0)
		c->awaited[0] = '\0';
}

/* What a message in order, so not of an older page, changes besides. */
static void
take_newest(struct chat *c, const cJSON *m)
{
	const char *id = value_str(m, "id");

	copy_id(c->newest, id);
	if (message_is_ours(m)) {
		copy_id(c->last_ours, id);
		(void)snprintf(
		    c->state, sizeof(c->state), "%s", value_str(m, "state"));
	} else if (c->ctl->mode == MODE_HUMAN) {
		copy_id(c->read_up_to, id);
		c->typing = false;
	}
}

void
chat_show_message(struct chat *c, const cJSON *m)
{
	bool known = find(c, value_str(m, "id")) != NULL;

	show(c, m, false);
	if (!known)
		take_newest(c, m);
}

void
chat_show_page(struct chat *c, const cJSON *page, bool old)
{
	const cJSON *items = value_get(page, "items");
	int n = cJSON_GetArraySize(items);
	char day[WHEN_SIZE];

	memcpy(day, c->day, sizeof(day));
	if (old)
		c->day[0] = '\0';
	while (n-- > 0) {
		const cJSON *m = cJSON_GetArrayItem(items, n);

		show(c, m, true);
		if (!old)
			take_newest(c, m);
	}
	if (old)
		memcpy(c->day, day, sizeof(day));
}

/* ---- events ---- */

static const char *
who(const struct chat *c, const cJSON *data)
{
	return message_is_ours(data) ? "you" : c->name;
}

/* Whether a program was told in its own form. */
static bool
told_program(const struct chat *c, const char *what, const cJSON *event)
{
	const cJSON *data = value_get(event, "data");

	if (c->ctl->mode == MODE_JSON)
		print_json_row(c, value_str(event, "type"), data);
	else if (c->ctl->mode == MODE_PLAIN)
		print_row(c, what, data, value_u64(event, "ts_ms"),
		    value_str(data, "text"));
	return c->ctl->mode != MODE_HUMAN;
}

static void
on_message(struct chat *c, const cJSON *event)
{
	const cJSON *data = value_get(event, "data");

	/* One that is no more, or no text: only its number in the log. */
	if (!value_true(data, "gone") &&
	    strcmp(value_str(data, "kind"), "text") == 0)
		chat_show_message(c, data);
}

static void
on_edited(struct chat *c, const cJSON *event)
{
	const cJSON *data = value_get(event, "data");
	struct chat_shown *s = find(c, value_str(data, "id"));

	if (s == NULL || s->edited_ms >= value_u64(data, "edited_ms"))
		return;
	s->edited_ms = value_u64(data, "edited_ms");
	if (!told_program(c, "edited", event))
		chat_say(c, "%3zu  %s edited: %s", number_of(c, s),
		    who(c, data), value_str(data, "text"));
}

static void
on_deleted(struct chat *c, const cJSON *event)
{
	const cJSON *data = value_get(event, "data");
	struct chat_shown *s = find(c, value_str(data, "id"));

	if (s == NULL || s->deleted)
		return;
	s->deleted = true;
	if (!told_program(c, "deleted", event))
		chat_say(c, "%3zu  (deleted)", number_of(c, s));
}

static void
on_reaction(struct chat *c, const cJSON *event)
{
	const cJSON *data = value_get(event, "data");
	struct chat_shown *s = find(c, value_str(data, "id"));
	const char *text = value_str(data, "text");
	bool ours = message_is_ours(data);
	const char *old;

	if (s == NULL)
		return;
	old = s->reactions[ours] != NULL ? s->reactions[ours] : "";
	if (strcmp(old, text) == 0)
		return;
	set_reaction(s, ours, text);
	if (told_program(c, "reaction", event))
		return;
	if (text[0] != '\0')
		chat_say(
		    c, "%3zu  %s: [%s]", number_of(c, s), who(c, data), text);
	else
		chat_say(c, "%3zu  %s: no reaction any more", number_of(c, s),
		    who(c, data));
}

/* How far a message of ours came: in the prompt, if that can change. */
static void
on_state(struct chat *c, const cJSON *event)
{
	const cJSON *data = value_get(event, "data");
	const char *state = value_str(data, "state");
	const struct chat_shown *s = find(c, value_str(data, "id"));

	if (s == NULL)
		return;
	if (strcmp(s->id, c->last_ours) == 0)
		(void)snprintf(c->state, sizeof(c->state), "%s", state);
	if (told_program(c, "state", event))
		return;
	if (strcmp(state, "failed") == 0 || value_has_str(data, "reason") ||
	    !edit_is_fancy(c->edit))
		chat_say(c, "%3zu  %s %s %s", number_of(c, s), state,
		    message_sign(state), value_str(data, "reason"));
}

static void
on_read(struct chat *c, const cJSON *event)
{
	const cJSON *data = value_get(event, "data");
	const struct chat_shown *s = find(c, value_str(data, "up_to"));

	if (told_program(c, "read", event) || s == NULL)
		return;
	if (strcmp(s->id, c->last_ours) == 0)
		(void)snprintf(c->state, sizeof(c->state), "read");
	if (!edit_is_fancy(c->edit))
		chat_say(c, "%3zu  read", number_of(c, s));
}

static void
on_typing(struct chat *c, const cJSON *event)
{
	c->typing = value_true(event, "data.on");
	if (!told_program(c, c->typing ? "typing" : "idle", event) &&
	    c->typing && !edit_is_fancy(c->edit))
		chat_say(c, "     %s is typing", c->name);
}

static void
on_presence(struct chat *c, const cJSON *event)
{
	bool online = value_true(event, "data.online");

	if (strcmp(value_str(event, "data.contact"), c->conv) != 0 ||
	    online == c->online)
		return;
	c->online = online;
	if (!online)
		c->typing = false;
	if (!told_program(c, online ? "online" : "away", event) &&
	    !edit_is_fancy(c->edit))
		chat_say(
		    c, "     %s is %s", c->name, online ? "online" : "away");
}

static void
on_contact(struct chat *c, const cJSON *event)
{
	const cJSON *data = value_get(event, "data");

	if (strcmp(value_str(data, "id"), c->conv) != 0)
		return;
	if (value_has_str(data, "name") && value_str(data, "name")[0] != '\0')
		(void)snprintf(
		    c->name, sizeof(c->name), "%s", value_str(data, "name"));
	(void)told_program(c, "contact", event);
}

static void
on_removed(struct chat *c, const cJSON *event)
{
	if (strcmp(value_str(event, "data.id"), c->conv) != 0)
		return;
	(void)told_program(c, "removed", event);
	chat_say(c, "this contact was removed");
	c->over = true;
	c->status = CTL_NOT_FOUND;
}

/* What is on the screen stays there, and nothing older can be fetched. */
static void
on_cleared(struct chat *c, const cJSON *event)
{
	for (size_t i = 0; i < c->n; i++)
		c->list[i].deleted = true;
	free(c->older);
	c->older = NULL;
	if (!told_program(c, "cleared", event))
		chat_say(c, "     all before this was forgotten here");
}

static void
on_warning(struct chat *c, const cJSON *event)
{
	const cJSON *data = value_get(event, "data");

	if (strcmp(value_str(data, "contact"), c->conv) == 0 &&
	    !told_program(c, "warning", event))
		chat_say(c, "     warning: %s %s", value_str(data, "kind"),
		    value_str(data, "reason"));
}

void
chat_show_event(struct chat *c, const cJSON *event)
{
	static const struct {
		const char *type;
		void (*show)(struct chat *c, const cJSON *event);
	} types[] = {
		{ "contact.changed", on_contact },
		{ "contact.removed", on_removed },
		{ "conv.cleared", on_cleared },
		{ "message.deleted", on_deleted },
		{ "message.edited", on_edited },
		{ "message.new", on_message },
		{ "message.reaction", on_reaction },
		{ "message.read", on_read },
		{ "message.state", on_state },
		{ "presence", on_presence },
		{ "security.warning", on_warning },
		{ "typing", on_typing },
	};
	const char *type = value_str(event, "type");

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(types[i].type, type) == 0)
			types[i].show(c, event);
}
