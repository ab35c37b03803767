/* From what a user types to a contact. */
#include "ctl/resolve.h"

#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "proto/api.h"
#include "proto/base/text.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* How well a contact fits, best first. */
enum fit { FIT_NONE, FIT_PREFIX, FIT_ANY_CASE, FIT_EXACT };

struct search {
	const char *who;
	enum fit best;
	cJSON *found; /* owned array: all contacts that fit as well as best */
};

/* An address without the URI around it; anything else as it is. Owned by the
 * caller. */
static char *
bare(const char *who)
{
	char *text = NULL;

	if (strncasecmp(who, "btchat:", 7) != 0)
		return value_strdup(who);
	text = value_strdup(who + 7);
	text[strcspn(text, "?")] = '\0';
	return text;
}

static enum fit
fit_of(const char *who, const cJSON *contact)
{
	const char *name = value_str(contact, "name");

	assert(who != NULL);
	if (strcasecmp(value_str(contact, "address"), who) == 0 ||
	    strcmp(name, who) == 0)
		return FIT_EXACT;
	if (strcasecmp(name, who) == 0)
		return FIT_ANY_CASE;
	if (who[0] != '\0' && strncasecmp(name, who, strlen(who)) == 0)
		return FIT_PREFIX;
	return FIT_NONE;
}

static bool
look_at(void *ctx, const cJSON *contact)
{
	struct search *s = ctx;
	enum fit fit = fit_of(s->who, contact);

	if (fit == FIT_NONE || fit < s->best)
		return true;
	if (fit > s->best) {
		cJSON_Delete(s->found);
		s->found = cJSON_CreateArray();
		s->best = fit;
	}
	(void)cJSON_AddItemToArray(s->found, cJSON_Duplicate(contact, 1));
	return true;
}

static int
by_id(struct ctl *ctl, const char *id, cJSON **ret)
{
	cJSON *params = cJSON_CreateObject();

	value_add_str(params, "contact", id);
	return ctl_call(ctl, "contact.get", params, ret);
}

static int
say_ambiguous(const struct ctl *ctl, const char *who, const cJSON *found)
{
	cJSON *data = cJSON_CreateObject();
	cJSON *list = cJSON_AddArrayToObject(data, "candidates");
	const cJSON *item = NULL;
	char text[256];

	cJSON_ArrayForEach(item, found)
	{
		cJSON *one = cJSON_CreateObject();

		value_add_str(one, "id", value_str(item, "id"));
		value_add_str(one, "name", value_str(item, "name"));
		(void)cJSON_AddItemToArray(list, one);
	}
	(void)snprintf(
	    text, sizeof(text), "\"%.100s\" fits more than one contact", who);
	return report_api(ctl, API_AMBIGUOUS_NAME, text, data);
}

int
resolve_contact(struct ctl *ctl, const char *who, cJSON **ret)
{
	char *wanted = bare(who);
	struct search s = { .who = wanted };
	uint8_t id[16];
	char text[256];
	cJSON *params;

	if (strlen(who) == ID_TEXT_SIZE - 1 &&
	    id_decode(span_str(who), id) == ERR_OK) {
		free(wanted);
		return by_id(ctl, who, ret);
	}
	params = cJSON_CreateObject();
	value_add_u64(params, "limit", API_LIMIT_MAX);
	value_add_str(params, "query", s.who);
	int status = ctl_each(ctl, "contact.list", params, look_at, &s);
	if (status != CTL_DONE)
		goto out;
	if (s.best == FIT_NONE) {
		(void)snprintf(
		    text, sizeof(text), "no contact \"%.100s\"", who);
		status = report_api(ctl, API_CONTACT_NOT_FOUND, text, NULL);
		goto out;
	}
	assert(s.found->child != NULL);
	if (s.found->child->next != NULL) {
		status = say_ambiguous(ctl, who, s.found);
		goto out;
	}
	*ret = cJSON_DetachItemFromArray(s.found, 0);
out:
	free(wanted);
	cJSON_Delete(s.found);
	return status;
}

const char *
resolve_name(const cJSON *contact, char buf[128])
{
	const char *name = value_str(contact, "name");

	if (name[0] != '\0')
		return name;
	/* What it calls itself, and is not to be taken for a name of ours. */
	if (value_has_str(contact, "profile") &&
	    value_str(contact, "profile")[0] != '\0' &&
	    strlen(value_str(contact, "profile")) < 127) {
		(void)snprintf(buf, 128, "~%s", value_str(contact, "profile"));
		return buf;
	}
	print_short(value_has_str(contact, "address")
	                ? value_str(contact, "address")
	                : value_str(contact, "id"),
	    buf);
	return buf;
}
