/* search: texts that hold words. */
#include "ctl/cmd.h"
#include "ctl/escape.h"
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

enum { SEARCH_DEFAULT = 20, SEARCH_MAX = 1000000 };

static const char *
from_of(const cJSON *hit)
{
	return message_is_ours(hit) ? "me" : value_str(hit, "conv");
}

static void
print_hit(struct ctl *ctl, const cJSON *hit)
{
	char when[WHEN_SIZE];
	uint64_t sent_ms = value_u64(hit, "sent_ms");
	char *safe;

	if (print_as_json(ctl, hit))
		return;
	if (ctl->mode == MODE_PLAIN) {
		when_utc(sent_ms, when);
		print_fields(ctl, value_str(hit, "id"), when,
		    value_str(hit, "conv"), from_of(hit),
		    value_str(hit, "snippet"), NULL);
		return;
	}
	when_day(sent_ms, when);
	safe = escape_terminal(value_str(hit, "snippet"), true);
	(void)printf("%s%s  %s%s  %s\n", print_style(ctl, PRINT_DIM), when,
	    value_str(hit, "id"), print_style(ctl, PRINT_RESET), safe);
	free(safe);
}

/* Prints the hits of a page, at most *left; *after is where the next one
 * begins, or NULL. */
static int
search_page(struct ctl *ctl, const char *query, const cJSON *contact,
    uint64_t *left, char **after)
{
	cJSON *params = cJSON_CreateObject(), *page = NULL;
	const cJSON *items, *hit;
	int status;

	value_add_str(params, "query", query);
	value_add_u64(
	    params, "limit", *left < API_LIMIT_MAX ? *left : API_LIMIT_MAX);
	if (contact != NULL)
		value_add_str(params, "conv", value_str(contact, "id"));
	if (*after != NULL)
		value_add_str(params, "after", *after);
	free(*after);
	*after = NULL;
	status = ctl_call(ctl, "message.search", params, &page);
	if (status != CTL_DONE)
		return status;
	items = value_get(page, "items");
	cJSON_ArrayForEach(hit, items)
	{
		print_hit(ctl, hit);
		--*left;
	}
	if (*left > 0 && value_has_str(page, "next"))
		*after = value_strdup(value_str(page, "next"));
	cJSON_Delete(page);
	return CTL_DONE;
}

int
cmd_search(struct ctl *ctl)
{
	const char *lines = args_value(&ctl->args, "lines");
	const char *in = args_value(&ctl->args, "in");
	char *query = args_join(&ctl->args, 0), *after = NULL;
	uint64_t left = SEARCH_DEFAULT;
	cJSON *contact = NULL;
	int status = CTL_DONE;

	if (lines != NULL && args_number(lines, SEARCH_MAX, &left) != ERR_OK)
		status = report_usage("-n is a number, at most %d", SEARCH_MAX);
	else if (in != NULL)
		status = resolve_contact(ctl, in, &contact);
	if (status == CTL_DONE)
		pager_begin(ctl);
	while (status == CTL_DONE && left > 0) {
		status = search_page(
		    ctl, query != NULL ? query : "", contact, &left, &after);
		if (after == NULL)
			break;
	}
	free(after);
	free(query);
	cJSON_Delete(contact);
	return status;
}
