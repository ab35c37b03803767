/* Requests and parameters, before any handler sees them. */
#include "daemon/rpc_request.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct json_guard guard;
static struct rpc_request request;
static struct rpc_fault fault;

static int
setup(void **state)
{
	(void)state;
	json_guard_init(&guard, 1);
	return 0;
}

static void
parse(const char *text)
{
	struct json_scan scan;

	assert_int_equal(json_scan(&guard, span_str(text), &scan), ERR_OK);
	rpc_request_parse(&scan, &request, &fault);
}

static void
takes_a_request_apart(void **state)
{
	(void)state;
	parse("{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"status\","
	      "\"params\":{\"a\":1}}");
	assert_int_equal(fault.code, API_OK);
	assert_true(span_eq(request.id, span_str("7")));
	assert_string_equal(request.method, "status");
	assert_true(cJSON_IsObject(request.params));
	rpc_request_clear(&request);
	assert_true(span_eq(request.id, span_str("7")));

	parse("{\"method\":\"x\",\"jsonrpc\":\"2.0\",\"params\":null}");
	assert_int_equal(fault.code, API_OK);
	assert_int_equal(request.id.n, 0);
	assert_null(request.params);
	rpc_request_clear(&request);
}

static void
faulty(const char *text, int code, const char *id)
{
	parse(text);
	assert_int_equal(fault.code, code);
	assert_true(span_eq(request.id, span_str(id)));
	assert_null(request.json);
	assert_true(fault.reason[0] != '\0');
}

static void
refuses_what_is_no_request(void **state)
{
	(void)state;
	faulty("1", API_INVALID_REQUEST, "");
	faulty("\"x\"", API_INVALID_REQUEST, "");
	faulty("{}", API_INVALID_REQUEST, "");
	faulty("{\"id\":1,\"method\":\"a\"}", API_INVALID_REQUEST, "1");
	faulty("{\"id\":1,\"method\":\"a\",\"jsonrpc\":2.0}",
	    API_INVALID_REQUEST, "1");
	faulty("{\"id\":1,\"method\":\"a\",\"jsonrpc\":\"1.0\"}",
	    API_INVALID_REQUEST, "1");
	faulty("{\"id\":1,\"method\":1,\"jsonrpc\":\"2.0\"}",
	    API_INVALID_REQUEST, "1");
	faulty("{\"id\":1,\"Method\":\"a\",\"jsonrpc\":\"2.0\"}",
	    API_INVALID_REQUEST, "1");
	faulty("{\"id\":1,\"method\":\"a\",\"jsonrpc\":\"2.0\",\"parms\":{}}",
	    API_INVALID_REQUEST, "1");
	faulty("{\"id\":1,\"method\":\"a\",\"jsonrpc\":\"2.0\",\"params\":[]}",
	    API_INVALID_PARAMS, "1");
	faulty("{\"id\":1,\"method\":\"a\",\"jsonrpc\":\"2.0\",\"params\":7}",
	    API_INVALID_PARAMS, "1");
}

static void
refuses_ids_it_could_not_echo(void **state)
{
	static const char *const bad[] = { "null", "true", "1.5", "1e2", "{}",
		"[]", "9007199254740992", "-9007199254740992" };
	char text[400];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		(void)snprintf(text, sizeof(text),
		    "{\"jsonrpc\":\"2.0\",\"id\":%s,\"method\":\"a\"}", bad[i]);
		faulty(text, API_INVALID_REQUEST, "");
	}
	(void)snprintf(text, sizeof(text),
	    "{\"jsonrpc\":\"2.0\",\"id\":\"%0128d\",\"method\":\"a\"}", 0);
	parse(text);
	assert_int_equal(fault.code, API_OK);
	rpc_request_clear(&request);
	(void)snprintf(text, sizeof(text),
	    "{\"jsonrpc\":\"2.0\",\"id\":\"%0129d\",\"method\":\"a\"}", 0);
	faulty(text, API_INVALID_REQUEST, "");
}

static const char spec[] =
    "text:str(5) conv:id limit:int(1,500)? on:bool? types:strs? "
    "state:enum(sent|delivered)? since:any? key:str(1,3)?";

static void
params(const char *text)
{
	cJSON *v = cJSON_Parse(text);

	assert_non_null(v);
	rpc_params_check(spec, v, &fault);
	cJSON_Delete(v);
}

#define ID "aaaaaaaaaaaaaaaaaaaaaaaaaa"

static void
takes_params_that_fit(void **state)
{
	static const char *const good[] = { "{\"text\":\"12345\",\"conv\":\"" ID
		                            "\"}",
		"{\"text\":\"\",\"conv\":\"" ID "\",\"limit\":500}",
		"{\"text\":\"\",\"conv\":\"" ID "\",\"limit\":null}",
		"{\"text\":\"\",\"conv\":\"" ID "\",\"key\":\"1\"}",
		"{\"text\":\"\",\"conv\":\"" ID "\",\"key\":\"123\"}",
		"{\"text\":\"\",\"conv\":\"" ID "\",\"types\":[\"a\",\"b\"]}",
		"{\"text\":\"\",\"conv\":\"" ID "\",\"state\":\"sent\"}",
		"{\"text\":\"\",\"conv\":\"" ID "\",\"since\":{\"x\":[]},"
		"\"on\":false,\"types\":[]}" };

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
		params(good[i]);
		assert_int_equal(fault.code, API_OK);
	}
	rpc_params_check("", NULL, &fault);
	assert_int_equal(fault.code, API_OK);
	rpc_params_check("a:str(1)?", NULL, &fault);
	assert_int_equal(fault.code, API_OK);
}

static void
names_the_param_that_does_not_fit(void **state)
{
	static const struct {
		const char *text, *param, *meant;
	} bad[] = {
		{ "{\"conv\":\"" ID "\"}", "text", "" },
		{ "{\"text\":null,\"conv\":\"" ID "\"}", "text", "" },
		{ "{\"text\":\"123456\",\"conv\":\"" ID "\"}", "text", "" },
		{ "{\"text\":\"a\",\"conv\":\"" ID "\",\"key\":\"\"}", "key",
		    "" },
		{ "{\"text\":\"a\",\"conv\":\"" ID "\",\"key\":\"1234\"}",
		    "key", "" },
		{ "{\"text\":1,\"conv\":\"" ID "\"}", "text", "" },
		{ "{\"text\":\"a\",\"conv\":\"x\"}", "conv", "" },
		{ "{\"text\":\"a\",\"conv\":\"" ID "a\"}", "conv", "" },
		{ "{\"limit\":0}", "limit", "" },
		{ "{\"limit\":501}", "limit", "" },
		{ "{\"limit\":1.5}", "limit", "" },
		{ "{\"limit\":\"1\"}", "limit", "" },
		{ "{\"limit\":1e300}", "limit", "" },
		{ "{\"on\":1}", "on", "" },
		{ "{\"types\":\"a\"}", "types", "" },
		{ "{\"types\":[1]}", "types", "" },
		{ "{\"state\":\"read\"}", "state", "" },
		{ "{\"state\":\"sent|delivered\"}", "state", "" },
		{ "{\"state\":\"\"}", "state", "" },
		{ "{\"tex\":\"a\"}", "tex", "text" },
		{ "{\"Text\":\"a\"}", "Text", "text" },
		{ "{\"limits\":1}", "limits", "limit" },
		{ "{\"zzzzzz\":1}", "zzzzzz", "" },
		{ "{\"\":1}", "", "" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		params(bad[i].text);
		assert_int_equal(fault.code, API_INVALID_PARAMS);
		assert_string_equal(fault.param, bad[i].param);
		assert_string_equal(fault.meant, bad[i].meant);
	}
}

static void
a_long_name_is_cut_in_the_reply(void **state)
{
	char text[3000];

	(void)state;
	(void)snprintf(text, sizeof(text), "{\"%02500d\":1}", 0);
	params(text);
	assert_int_equal(fault.code, API_INVALID_PARAMS);
	assert_int_equal(strlen(fault.param), sizeof(fault.param) - 1);
	assert_string_equal(fault.meant, "");
}

static void
suggests_the_nearest_name(void **state)
{
	static const struct {
		const char *name;
		int other;
	} table[] = { { "contact.add", 0 }, { "contact.list", 0 },
		{ "message.send", 0 }, { "status", 0 } };
	size_t n = sizeof(table) / sizeof(*table);

	(void)state;
#define near(s) rpc_nearest(s, table, n, sizeof(*table))
	assert_string_equal(near("contact.ad"), "contact.add");
	assert_string_equal(near("contacts.list"), "contact.list");
	assert_string_equal(near("Message.send"), "message.send");
	assert_string_equal(near("stauts"), "status");
	assert_null(near("quux"));
	assert_null(near(""));
	assert_null(
	    near("a.very.long.name.that.is.not.any.method.at.all.ever"));
#undef near
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_a_request_apart),
		cmocka_unit_test(refuses_what_is_no_request),
		cmocka_unit_test(refuses_ids_it_could_not_echo),
		cmocka_unit_test(takes_params_that_fit),
		cmocka_unit_test(names_the_param_that_does_not_fit),
		cmocka_unit_test(a_long_name_is_cut_in_the_reply),
		cmocka_unit_test(suggests_the_nearest_name),
	};

	return cmocka_run_group_tests(tests, setup, NULL);
}
