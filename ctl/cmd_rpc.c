/* rpc: any method of the API, as it is. */
#include "ctl/cmd.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int
list_methods(struct ctl *ctl)
{
	cJSON *info = NULL;
	const cJSON *m = NULL;
	int status = ctl_call(ctl, "session.info", NULL, &info);

	if (status == CTL_DONE &&
	    !print_as_json(ctl, value_get(info, "methods"))) {
		cJSON_ArrayForEach(m, value_get(info, "methods"))
		{
			const char *name = cJSON_IsString(m)
			                       ? m->valuestring
			                       : value_str(m, "name");

			if (ctl->mode == MODE_HUMAN)
				print_human("%s", name);
			else
				print_fields(ctl, name, NULL);
		}
	}
	cJSON_Delete(info);
	return status;
}

/* What rpc.discover says about one method, or the whole of it. */
static int
show_schema(struct ctl *ctl)
{
	const char *method = args_word(&ctl->args, 0);
	cJSON *doc = NULL;
	const cJSON *m = NULL;
	int status = ctl_call(ctl, "rpc.discover", NULL, &doc);

	ctl->mode = MODE_JSON;
	if (status == CTL_DONE && method == NULL) {
		print_json(ctl, doc);
	} else if (status == CTL_DONE) {
		cJSON_ArrayForEach(m, value_get(doc, "methods"))
		{
			if (strcmp(value_str(m, "name"), method) == 0)
				break;
		}
		if (m != NULL)
			print_json(ctl, m);
		else
			status = report_api(
			    ctl, API_METHOD_NOT_FOUND, "no such method", NULL);
	}
	cJSON_Delete(doc);
	return status;
}

/* An object from text; NULL if it is not one. */
static cJSON *
parse_object(const char *text)
{
	cJSON *v = cJSON_ParseWithLengthOpts(text, strlen(text) + 1, NULL, 1);

	if (cJSON_IsObject(v))
		return v;
	cJSON_Delete(v);
	return NULL;
}

/* key=value: what reads as JSON is JSON, everything else is a string. */
static int
add_pair(cJSON *params, const char *word)
{
	const char *eq = strchr(word, '=');
	char *key = NULL;
	cJSON *v = NULL;
	int status = CTL_DONE;

	if (eq == NULL || eq == word)
		return report_usage("\"%s\" is not KEY=VALUE", word);
	key = value_strdup(word);
	key[eq - word] = '\0';
	if (value_get(params, key) != NULL)
		status = report_usage("%s is there twice", key);
	v = cJSON_ParseWithLengthOpts(eq + 1, strlen(eq + 1) + 1, NULL, 1);
	if (v == NULL)
		v = cJSON_CreateString(eq + 1);
	if (status == CTL_DONE)
		(void)cJSON_AddItemToObject(params, key, v);
	else
		cJSON_Delete(v);
	free(key);
	return status;
}

static int
read_object(cJSON **ret)
{
	char *text = value_alloc(API_LINE_MAX + 1);
	size_t n = fread(text, 1, API_LINE_MAX, stdin);

	text[n] = '\0';
	*ret = parse_object(text);
	free(text);
	return *ret != NULL ? CTL_DONE
	                    : report_usage("stdin holds no JSON object");
}

static int
read_params(const struct ctl *ctl, cJSON **ret)
{
	const char *word = args_word(&ctl->args, 1);
	int status = CTL_DONE;

	*ret = NULL;
	if (word == NULL)
		return CTL_DONE;
	if (args_count(&ctl->args) == 2 && strcmp(word, "-") == 0)
		return read_object(ret);
	if (args_count(&ctl->args) == 2 && word[0] == '{') {
		*ret = parse_object(word);
		return *ret != NULL ? CTL_DONE
		                    : report_usage("that is not JSON");
	}
	*ret = cJSON_CreateObject();
	for (size_t i = 1; i < args_count(&ctl->args) && status == CTL_DONE;
	     i++)
		status = add_pair(*ret, args_word(&ctl->args, i));
	if (status != CTL_DONE) {
		cJSON_Delete(*ret);
		*ret = NULL;
	}
	return status;
}

/* Always JSON: that is what the method answers. */
int
cmd_rpc(struct ctl *ctl)
{
	const char *method = args_word(&ctl->args, 0);
	cJSON *params = NULL, *result = NULL;
	int status = CTL_DONE;

	if (args_has(&ctl->args, "list"))
		return list_methods(ctl);
	if (args_has(&ctl->args, "schema"))
		return show_schema(ctl);
	if (method == NULL)
		return report_usage("which method? (rpc --list names them)");
	status = read_params(ctl, &params);
	ctl->mode = MODE_JSON;
	if (status == CTL_DONE)
		status = ctl_call(ctl, method, params, &result);
	if (status == CTL_DONE)
		print_json(ctl, result);
	cJSON_Delete(result);
	return status;
}
