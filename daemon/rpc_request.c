/* From a scanned line to a request. [btchat-rpc(7)] */
#include "daemon/rpc_request.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
rpc_fault_set(struct rpc_fault *f, int code, const char *fmt, ...)
{
	va_list ap;

	assert(code != API_OK);
	*f = (struct rpc_fault){ .code = code, .at = -1 };
	va_start(ap, fmt);
	(void)vsnprintf(f->reason, sizeof(f->reason), fmt, ap);
	va_end(ap);
}

/* Why the id cannot be taken, or NULL. [btchat-rpc(7) REQUESTS] */
static const char *
id_trouble(const struct json_scan *scan)
{
	if (scan->id_type == JSON_INT || scan->id_type == JSON_NONE)
		return NULL;
	if (scan->id_type != JSON_STRING)
		return "id must be a string or an integer within +-(2^53-1)";
	if (scan->id.n > API_ID_MAX + 2) /* its quotes */
		return "id is longer than 128 bytes";
	return NULL;
}

/* A member that a request does not have, or NULL. */
static const cJSON *
stranger(const cJSON *request)
{
	static const char *const known[] = { "id", "jsonrpc", "method",
		"params" };
	const cJSON *v;
	size_t i;

	cJSON_ArrayForEach(v, request)
	{
		for (i = 0; i < sizeof(known) / sizeof(*known); i++)
			if (strcmp(v->string, known[i]) == 0)
				break;
		if (i == sizeof(known) / sizeof(*known))
			return v;
	}
	return NULL;
}

static void
check_members(struct rpc_request *r, struct rpc_fault *f)
{
	const cJSON *version = json_member(r->json, "jsonrpc");
	const cJSON *method = json_member(r->json, "method");
	const cJSON *odd = stranger(r->json);

	r->params = json_member(r->json, "params");
	if (!cJSON_IsString(version) ||
	    strcmp(version->valuestring, "2.0") != 0)
		rpc_fault_set(
		    f, API_INVALID_REQUEST, "jsonrpc must be \"2.0\"");
	else if (!cJSON_IsString(method))
		rpc_fault_set(
		    f, API_INVALID_REQUEST, "method must be a string");
	else if (odd)
		rpc_fault_set(f, API_INVALID_REQUEST,
		    "a request has no member \"%.60s\"", odd->string);
	else if (r->params && !cJSON_IsObject(r->params))
		rpc_fault_set(f, API_INVALID_PARAMS,
		    "params must be an object: parameters have names");
	else
		r->method = method->valuestring;
}

void
rpc_request_parse(const struct json_scan *scan, struct rpc_request *ret,
    struct rpc_fault *fault)
{
	const char *trouble = id_trouble(scan);

	*ret = (struct rpc_request){ 0 };
	*fault = (struct rpc_fault){ .at = -1 };
	if (scan->type != JSON_OBJECT) {
		rpc_fault_set(
		    fault, API_INVALID_REQUEST, "a request is an object");
		return;
	}
	if (trouble) {
		rpc_fault_set(fault, API_INVALID_REQUEST, "%s", trouble);
		return;
	}
	ret->id = scan->id;
	ret->json = json_parse(scan->text);
	if (!ret->json) {
		rpc_fault_set(fault, API_INTERNAL, "out of memory");
		return;
	}
	check_members(ret, fault);
	if (fault->code)
		rpc_request_clear(ret);
}

void
rpc_request_clear(struct rpc_request *r)
{
	struct span id = r->id;

	cJSON_Delete(r->json);
	*r = (struct rpc_request){ .id = id };
}
