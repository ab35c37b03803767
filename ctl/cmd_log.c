/* log: the history with one contact. */
#include "ctl/cmd.h"
#include "ctl/message.h"
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

/* Drops what is older than since_ms; false: something was. */
static bool
keep_since(struct history *h, uint64_t since_ms)
{
	size_t n = h->n;

	while (h->n > 0 && value_u64(h->items[h->n - 1], "sent_ms") < since_ms)
		cJSON_Delete(h->items[--h->n]);
	return h->n == n;
}

struct wanted {
	size_t n;
	uint64_t since_ms;
};

static int
read_history(struct ctl *ctl, const char *conv, const struct wanted *want,
    struct history *h)
{
	const char *first = args_value(&ctl->args, "before");
	char *before = first != NULL ? value_strdup(first) : NULL;
	int status = CTL_DONE;
	bool more = true;

	while (more && h->n < want->n && status == CTL_DONE) {
		size_t left = want->n - h->n;
		cJSON *params = cJSON_CreateObject(), *page = NULL;

		value_add_str(params, "conv", conv);
		value_add_u64(params, "limit",
		    left < API_LIMIT_MAX ? left : API_LIMIT_MAX);
		if (before != NULL)
			value_add_str(params, "before", before);
		status = ctl_call(ctl, "message.history", params, &page);
		take_items(h, page);
		more = keep_since(h, want->since_ms) &&
		       value_has_str(page, "next");
		free(before);
		before = more ? value_strdup(value_str(page, "next")) : NULL;
		cJSON_Delete(page);
	}
	free(before);
	return status;
}

static void
print_history(const struct ctl *ctl, const struct history *h, const char *name)
{
	const struct message_style style = { name, "", "\xe2\x86\xaa ", true };
	char last[WHEN_SIZE] = "", day[WHEN_SIZE];

	pager_begin(ctl);
	for (size_t i = h->n; i > 0; i--) {
		const cJSON *m = h->items[i - 1];

		if (print_as_json(ctl, m))
			continue;
		if (ctl->mode == MODE_PLAIN) {
			message_print_plain(ctl, m);
			continue;
		}
		when_day(value_u64(m, "sent_ms"), day);
		if (strcmp(day, last) != 0)
			(void)printf("%s%s%s\n", print_style(ctl, PRINT_DIM),
			    day, print_style(ctl, PRINT_RESET));
		memcpy(last, day, sizeof(last));
		message_print_human(ctl, m, &style);
	}
}

/* "2d" ago, or a local date. */
static int
since_option(const struct ctl *ctl, uint64_t *ret_ms)
{
	const char *word = args_value(&ctl->args, "since");
	uint64_t ago_s = 0, now_ms = when_now_ms();

	if (word == NULL || when_parse_day(word, ret_ms) == ERR_OK)
		return CTL_DONE;
	if (args_span_s(word, &ago_s) != ERR_OK)
		return report_usage("--since is like 15m, 12h, 7d, or a date "
		                    "like 2026-11-20");
	*ret_ms = ago_s * 1000 < now_ms ? now_ms - ago_s * 1000 : 0;
	return CTL_DONE;
}

int
cmd_log(struct ctl *ctl)
{
	const char *lines = args_value(&ctl->args, "lines");
	uint64_t n = LOG_DEFAULT;
	struct wanted want = { 0 };
	struct history h = { 0 };
	cJSON *contact = NULL;
	char buf[128];
	int status = CTL_DONE;

	if (lines != NULL && args_number(lines, LOG_MAX, &n) != ERR_OK)
		return report_usage("-n is a number, at most %d", LOG_MAX);
	if (lines == NULL && args_has(&ctl->args, "since"))
		n = LOG_MAX;
	want.n = (size_t)n;
	status = since_option(ctl, &want.since_ms);
	if (status != CTL_DONE)
		return status;
	status = resolve_contact(ctl, args_word(&ctl->args, 0), &contact);
	if (status == CTL_DONE)
		status = read_history(ctl, value_str(contact, "id"), &want, &h);
	if (status == CTL_DONE)
		print_history(ctl, &h, resolve_name(contact, buf));
	history_clear(&h);
	cJSON_Delete(contact);
	return status;
}
