/* Messages on stderr. */
#include "ctl/report.h"

#include "ctl/escape.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 0))) static void
say(const char *prefix, const char *format, va_list ap)
{
	char *text = NULL;

	if (vasprintf(&text, format, ap) < 0)
		return;
	char *safe = escape_terminal(text, false);

	(void)fflush(stdout);
	(void)fprintf(stderr, "%s%s\n", prefix, safe);
	free(safe);
	free(text);
}

void
report(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("btchatctl: ", format, ap);
	va_end(ap);
}

int
report_usage(const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	say("btchatctl: ", format, ap);
	va_end(ap);
	return CTL_USAGE;
}

void
report_note(const struct ctl *ctl, const char *format, ...)
{
	va_list ap;

	if (ctl->quiet)
		return;
	va_start(ap, format);
	say("", format, ap);
	va_end(ap);
}

/* What the user can do about it, for the errors where that is known. */
static void
advise(const cJSON *error, int code)
{
	const char *socket = value_str(error, "data.socket");
	const char *contact = value_str(error, "data.contact");

	if (code == API_LOCKED)
		report("open it with: btchatctl id unlock");
	else if (code == API_IDENTITY_NOT_FOUND)
		report("make it with: btchatctl id create");
	else if (code == API_ALREADY_EXISTS && contact[0] != '\0')
		report("look at it: btchatctl contact show %s", contact);
	else if (code == API_PERMISSION_DENIED && socket[0] != '\0')
		report("that needs the socket %s; run with sudo", socket);
	else if (code == API_PERMISSION_DENIED)
		report("add yourself to group btchat, or use sudo");
}

static void
list_candidates(const cJSON *error)
{
	const cJSON *item = NULL;

	cJSON_ArrayForEach(item, value_get(error, "data.candidates"))
	{
		if (cJSON_IsString(item))
			report("  %s", item->valuestring);
		else
			report("  %s  %s", value_str(item, "id"),
			    value_str(item, "name"));
	}
}

int
report_error(const struct ctl *ctl, const cJSON *error)
{
	const cJSON *v = value_get(error, "code");
	int code = cJSON_IsNumber(v) ? v->valueint : API_INTERNAL;
	const char *why = value_str(error, "data.reason");

	if (ctl->mode == MODE_JSON) {
		(void)fflush(stdout);
		value_write(stderr, error);
		(void)fputc('\n', stderr);
		return api_error_exit(code);
	}
	if (why[0] == '\0')
		why = value_str(error, "data.why");
	if (why[0] != '\0' && strstr(value_str(error, "message"), why) == NULL)
		report("%s: %s", value_str(error, "message"), why);
	else
		report("%s", value_str(error, "message"));
	list_candidates(error);
	if (value_has_str(error, "data.did_you_mean"))
		report(
		    "did you mean %s?", value_str(error, "data.did_you_mean"));
	advise(error, code);
	return api_error_exit(code);
}

int
report_api(const struct ctl *ctl, int code, const char *message, cJSON *data)
{
	cJSON *error = cJSON_CreateObject();
	int status = 0;

	if (data == NULL)
		data = cJSON_CreateObject();
	(void)cJSON_AddNumberToObject(error, "code", code);
	value_add_str(error, "message", message);
	value_add_str(data, "name", api_error_name(code));
	(void)cJSON_AddItemToObject(error, "data", data);
	status = report_error(ctl, error);
	cJSON_Delete(error);
	return status;
}
