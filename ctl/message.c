/* A message as log and chat show it. */
#include "ctl/message.h"

#include "ctl/escape.h"
#include "ctl/print.h"
#include "ctl/value.h"
#include "ctl/when.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool
message_is_ours(const cJSON *m)
{
	return strcmp(value_str(m, "direction"), "out") == 0;
}

const char *
message_sign(const char *state)
{
	if (strcmp(state, "delivered") == 0 || strcmp(state, "read") == 0)
		return "\xe2\x9c\x93\xe2\x9c\x93";
	if (strcmp(state, "sent") == 0)
		return "\xe2\x9c\x93";
	return strcmp(state, "failed") == 0 ? "\xe2\x9c\x97" : "\xe2\x80\xa6";
}

/* What is behind a text: that it was edited, reactions, how far it came. */
static char *
tail_of(const cJSON *m, bool mark)
{
	const cJSON *r = value_get(m, "reactions");
	const char *state = value_str(m, "state");
	char *tail = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&tail, &n);

	if (f == NULL)
		return value_strdup("");
	if (value_u64(m, "edited_ms") != 0)
		(void)fputs("  (edited)", f);
	for (r = r != NULL ? r->child : NULL; r != NULL; r = r->next) {
		char *safe = escape_terminal(value_str(r, "text"), true);

		(void)fprintf(
		    f, "  [%s%s]", message_is_ours(r) ? "you: " : "", safe);
		free(safe);
	}
	mark = mark && message_is_ours(m);
	if (mark)
		(void)fprintf(f, "  %s%s", message_sign(state),
		    strcmp(state, "failed") == 0 ? " failed" : "");
	if (mark && value_has_str(m, "reason")) {
		char *safe = escape_terminal(value_str(m, "reason"), true);

		(void)fprintf(f, " (%s)", safe);
		free(safe);
	}
	return fclose(f) == 0 ? tail : value_strdup("");
}

static const char *
text_of(const cJSON *m)
{
	return value_true(m, "deleted") ? "(deleted)" : value_str(m, "text");
}

/* Lines after the first stand under the text of the first. */
static void
print_text(const char *text, size_t indent, const char *tail)
{
	char *safe = escape_terminal(text, false);
	const char *p = safe;

	for (;;) {
		size_t n = strcspn(p, "\n");

		(void)printf("%.*s", (int)n, p);
		if (p[n] == '\0')
			break;
		(void)printf("\n%*s", (int)indent, "");
		p += n + 1;
	}
	(void)printf("%s\n", tail);
	free(safe);
}

static void
print_gap(const struct ctl *ctl)
{
	(void)printf("%s       (something before this is missing)%s\n",
	    print_style(ctl, PRINT_YELLOW), print_style(ctl, PRINT_RESET));
}

void
message_print_human(
    const struct ctl *ctl, const cJSON *m, const struct message_style *style)
{
	char clock[WHEN_SIZE];
	char *tail = tail_of(m, style->mark);
	bool ours = message_is_ours(m);
	char *who = escape_terminal(ours ? "you" : style->name, true);
	size_t width = escape_width(who);
	size_t lead = escape_width(style->lead);

	if (value_true(m, "gap"))
		print_gap(ctl);
	when_clock(value_u64(m, "sent_ms"), clock);
	if (lead > 0)
		(void)printf("%s%s%s", print_style(ctl, PRINT_DIM), style->lead,
		    print_style(ctl, PRINT_RESET));
	(void)printf("%s  %s%s%s%*s  ", clock,
	    print_style(ctl, ours ? PRINT_DIM : PRINT_BOLD), who,
	    print_style(ctl, PRINT_RESET), width < 6 ? (int)(6 - width) : 0,
	    "");
	if (value_has_str(m, "reply_to"))
		(void)fputs(style->reply, stdout);
	print_text(text_of(m), lead + 9 + (width < 6 ? 6 : width), tail);
	free(who);
	free(tail);
}

void
message_print_plain(const struct ctl *ctl, const cJSON *m)
{
	char when[WHEN_SIZE];

	when_utc(value_u64(m, "sent_ms"), when);
	print_fields(ctl, value_str(m, "id"), when, value_str(m, "conv"),
	    message_is_ours(m) ? "me" : value_str(m, "conv"),
	    value_str(m, "state"), value_str(m, "text"), NULL);
}
