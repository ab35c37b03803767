/* From what a user types to a contact. */
#include "ctl/resolve.h"

#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <stdio.h>
#include <string.h>

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
	cJSON *params = cJSON_CreateObject(), *result = NULL, *items;
	char text[256];
	int status;

	value_add_str(params, "text", who);
	status = ctl_call(ctl, "contact.resolve", params, &result);
	if (status != CTL_DONE)
		return status;
	items = cJSON_GetObjectItemCaseSensitive(result, "items");
	if (!cJSON_IsArray(items) || items->child == NULL) {
		(void)snprintf(
		    text, sizeof(text), "no contact \"%.100s\"", who);
		status = report_api(ctl, API_CONTACT_NOT_FOUND, text, NULL);
	} else if (items->child->next != NULL) {
		status = say_ambiguous(ctl, who, items);
	} else {
		*ret = cJSON_DetachItemFromArray(items, 0);
	}
	cJSON_Delete(result);
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
