/* log: the history with one contact. */
#include "ctl/cmd.h"
#include "ctl/escape.h"
#include "ctl/pager.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/resolve.h"
#include "ctl/value.h"
#include "ctl/when.h"
#include "proto/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LOG_DEFAULT = 20, LOG_MAX = 1000000 };

/* Pages of message.history come newest first; people read the other way. */
struct history {
	cJSON **items; /* owned, newest first */
	size_t n, cap;
};

static void
history_clear(struct history *h)
{
	for (size_t i = 0; i < h->n; i++)
		cJSON_Delete(h->items[i]);
	free(h->items);
	*h = (struct history){ 0 };
}

static void
take_items(struct history *h, cJSON *page)
{
	cJSON *items = cJSON_GetObjectItemCaseSensitive(page, "items");

	while (cJSON_IsArray(items) && items->child != NULL) {
		if (h->n == h->cap) {
			h->cap = h->cap * 2 + 64;
			h->items = value_realloc(
			    h->items, h->cap * sizeof(h->items[0]));
		}
		h->items[h->n++] =
		    cJSON_DetachItemViaPointer(items, items->child);
	}
}

static int
read_history(struct ctl *ctl, const char *conv, size_t want, struct history *h)
{
	const char *first = args_value(&ctl->args, "before");
	char *before = first != NULL ? value_strdup(first) : NULL;
	int status = CTL_DONE;
	bool more = true;

	while (more && h->n < want && status == CTL_DONE) {
		size_t left = want - h->n;
		cJSON *params = cJSON_CreateObject(), *page = NULL;

		value_add_str(params, "conv", conv);
		value_add_u64(params, "limit",
		    left < API_LIMIT_MAX ? left : API_LIMIT_MAX);
		if (before != NULL)
			value_add_str(params, "before", before);
		status = ctl_call(ctl, "message.history", params, &page);
		take_items(h, page);
		more = value_has_str(page, "next");
		free(before);
		before = more ? value_strdup(value_str(page, "next")) : NULL;
		cJSON_Delete(page);
	}
	free(before);
	return status;
}

static bool
is_ours(const cJSON *m)
{
	return strcmp(value_str(m, "direction"), "out") == 0;
}

static const char *
state_mark(const cJSON *m)
{
	const char *state = value_str(m, "state");

	if (!is_ours(m))
		return "";
	if (strcmp(state, "delivered") == 0 || strcmp(state, "read") == 0)
		return "  \xe2\x9c\x93\xe2\x9c\x93";
	if (strcmp(state, "sent") == 0)
		return "  \xe2\x9c\x93";
	return strcmp(state, "failed") == 0 ? "  \xe2\x9c\x97 failed"
	                                    : "  \xe2\x80\xa6";
}

/* What is behind a text: that it was edited, reactions, how far it came. */
static char *
tail_of(const cJSON *m)
{
	const cJSON *r = value_get(m, "reactions");
	char *tail = NULL;
	size_t n = 0;
	FILE *f = open_memstream(&tail, &n);

	if (f == NULL)
		return value_strdup(state_mark(m));
	if (value_u64(m, "edited_ms") != 0)
		(void)fputs("  (edited)", f);
	for (r = r != NULL ? r->child : NULL; r != NULL; r = r->next) {
		char *safe = escape_terminal(value_str(r, "text"), true);

		(void)fprintf(f, "  [%s%s]", is_ours(r) ? "you: " : "", safe);
		free(safe);
	}
	(void)fputs(state_mark(m), f);
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
print_message_human(const struct ctl *ctl, const cJSON *m, const char *name)
{
	char clock[WHEN_SIZE];
	char *tail = tail_of(m);
	char *who = escape_terminal(is_ours(m) ? "you" : name, true);
	size_t width = escape_width(who);

	if (value_true(m, "gap"))
		(void)printf("%s       (something before this is missing)%s\n",
		    print_style(ctl, PRINT_YELLOW),
		    print_style(ctl, PRINT_RESET));
	when_clock(value_u64(m, "sent_ms"), clock);
	(void)printf("%s  %s%s%s%*s  ", clock,
	    print_style(ctl, is_ours(m) ? PRINT_DIM : PRINT_BOLD), who,
	    print_style(ctl, PRINT_RESET), width < 6 ? (int)(6 - width) : 0,
	    "");
	if (value_has_str(m, "reply_to"))
		(void)fputs("\xe2\x86\xaa ", stdout);
	print_text(text_of(m), 9 + (width < 6 ? 6 : width), tail);
	free(who);
	free(tail);
}

/* id, time, conv, from, state, text. */
static void
print_message_plain(const struct ctl *ctl, const cJSON *m)
{
	char when[WHEN_SIZE];

	when_utc(value_u64(m, "sent_ms"), when);
	print_fields(ctl, value_str(m, "id"), when, value_str(m, "conv"),
	    is_ours(m) ? "me" : value_str(m, "conv"), value_str(m, "state"),
	    value_str(m, "text"), NULL);
}

static void
print_history(const struct ctl *ctl, const struct history *h, const char *name)
{
	char last[WHEN_SIZE] = "", day[WHEN_SIZE];

	pager_begin(ctl);
	for (size_t i = h->n; i > 0; i--) {
		const cJSON *m = h->items[i - 1];

		if (print_as_json(ctl, m))
			continue;
		if (ctl->mode == MODE_PLAIN) {
			print_message_plain(ctl, m);
			continue;
		}
		when_day(value_u64(m, "sent_ms"), day);
		if (strcmp(day, last) != 0)
			(void)printf("%s%s%s\n", print_style(ctl, PRINT_DIM),
			    day, print_style(ctl, PRINT_RESET));
		memcpy(last, day, sizeof(last));
		print_message_human(ctl, m, name);
	}
}

int
cmd_log(struct ctl *ctl)
{
	const char *lines = args_value(&ctl->args, "lines");
	uint64_t want = LOG_DEFAULT;
	struct history h = { 0 };
	cJSON *contact = NULL;
	char buf[128];
	int status = CTL_DONE;

	if (lines != NULL && args_number(lines, LOG_MAX, &want) != ERR_OK)
		return report_usage("-n is a number, at most %d", LOG_MAX);
	status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);
	if (status == CTL_DONE)
		status = read_history(
		    ctl, value_str(contact, "id"), (size_t)want, &h);
	if (status == CTL_DONE)
		print_history(ctl, &h, resolve_name(contact, buf));
	history_clear(&h);
	cJSON_Delete(contact);
	return status;
}
