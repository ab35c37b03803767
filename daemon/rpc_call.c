/* Dispatch and replies. [btchat-rpc(7)] */
#include "daemon/rpc_call.h"

#include "daemon/log.h"
#include "daemon/rpc_conn.h"
#include "proto/base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_SIZE = 200 }; /* of an error's message */

/* ---- parameters ---- */

const cJSON *
rpc_value(const struct rpc_call *c, const char *name)
{
	return c->params ? json_member(c->params, name) : NULL;
}

bool
rpc_has(const struct rpc_call *c, const char *name)
{
	return rpc_value(c, name) != NULL;
}

struct span
rpc_str(const struct rpc_call *c, const char *name)
{
	const cJSON *v = rpc_value(c, name);

	assert(!v || cJSON_IsString(v));
	return v ? span_str(v->valuestring) : span_of(NULL, 0);
}

int64_t
rpc_int(const struct rpc_call *c, const char *name, int64_t otherwise)
{
	const cJSON *v = rpc_value(c, name);
	int64_t n = otherwise;
	bool good = !v || json_to_int(v, &n);

	assert(good); /* checked before */
	return good ? n : otherwise;
}

void
rpc_forget(struct rpc_call *c, const char *name)
{
	const cJSON *v = rpc_value(c, name);

	if (v)
		sodium_memzero(v->valuestring, strlen(v->valuestring));
}

uint32_t
rpc_seconds(const struct rpc_call *c, const char *name)
{
	int64_t ms = rpc_int(c, name, 0);

	assert(ms >= 0 && ms / 1000 < UINT32_MAX);
	return (uint32_t)((ms + 999) / 1000);
}

bool
rpc_bool(const struct rpc_call *c, const char *name, bool otherwise)
{
	const cJSON *v = rpc_value(c, name);

	assert(!v || cJSON_IsBool(v));
	return v ? cJSON_IsTrue(v) : otherwise;
}

bool
rpc_id(const struct rpc_call *c, const char *name, uint8_t ret[16])
{
	struct span s = rpc_str(c, name);

	return s.n > 0 && !id_decode(s, ret);
}

bool
rpc_ids(struct rpc_call *c, const char *name,
    struct contact_id ret[RPC_STRS_MAX], size_t *ret_n)
{
	const cJSON *list = rpc_value(c, name);
	const cJSON *v;

	*ret_n = 0;
	cJSON_ArrayForEach(v, list)
	{
		assert(*ret_n < RPC_STRS_MAX); /* the list has no more */
		if (id_decode(span_str(v->valuestring), ret[*ret_n].b)) {
			rpc_fail_param(c, name, "must be ids of 26 characters");
			return false;
		}
		++*ret_n;
	}
	return true;
}

size_t
rpc_limit(const struct rpc_call *c)
{
	return (size_t)rpc_int(c, "limit", API_LIMIT_DEFAULT);
}

/* ---- replies ---- */

static void
reply_begin(struct rpc_call *c)
{
	struct json_out *b = c->out;

	b->n = c->start;
	b->bad = false;
	b->follow = c->follow;
	json_open(b, '{');
	json_put_word(b, "jsonrpc", "2.0");
	if (c->id.n > 0)
		json_put_raw(b, "id", c->id);
	else
		json_put_null(b, "id");
}

struct json_out *
rpc_result(struct rpc_call *c)
{
	reply_begin(c);
	json_put_open(c->out, "result", '{');
	c->reply = RPC_REPLY_RESULT;
	return c->out;
}

void
rpc_result_raw(struct rpc_call *c, struct span json)
{
	reply_begin(c);
	json_put_raw(c->out, "result", json);
	c->reply = RPC_REPLY_RAW;
}

/* Is it worth trying the same again? */
static bool
is_retryable(int code)
{
	static const int codes[] = { API_BUSY, API_SHUTTING_DOWN,
		API_RATE_LIMITED, API_OFFLINE, API_PEER_UNREACHABLE,
		API_TIMEOUT, API_DHT_NOT_READY, API_STORAGE_FULL,
		API_STORAGE_ERROR };

	for (size_t i = 0; i < sizeof(codes) / sizeof(*codes); i++)
		if (codes[i] == code)
			return true;
	return false;
}

struct json_out *
rpc_error(struct rpc_call *c, int code, const char *fmt, ...)
{
	char text[TEXT_SIZE];
	va_list ap;

	assert(code != API_OK);
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	reply_begin(c);
	json_put_open(c->out, "error", '{');
	json_put_int(c->out, "code", code);
	json_put_str(c->out, "message", text);
	json_put_open(c->out, "data", '{');
	json_put_str(c->out, "name", api_error_name(code));
	json_put_bool(c->out, "retryable", is_retryable(code));
	c->reply = RPC_REPLY_ERROR;
	return c->out;
}

/* The usual words, for codes that need no more. */
static const struct {
	int code;
	const char *text;
} words[] = {
	{ API_PARSE, "not JSON" },
	{ API_INVALID_REQUEST, "not a request" },
	{ API_METHOD_NOT_FOUND, "no such method" },
	{ API_INVALID_PARAMS, "bad parameters" },
	{ API_INTERNAL, "internal error" },
	{ API_REQUEST_TOO_LARGE, "the line is too long" },
	{ API_BUSY, "too many at once" },
	{ API_SHUTTING_DOWN, "the daemon is stopping" },
	{ API_RESPONSE_TOO_LARGE, "the result is too large; ask for less" },
	{ API_PERMISSION_DENIED, "not allowed on this socket" },
	{ API_LOCKED, "the identity is locked" },
	{ API_RESTRICTED, "this connection is restricted" },
	{ API_CONTACT_NOT_FOUND, "no such contact" },
	{ API_FINGERPRINT_MISMATCH, "that is not the safety number" },
	{ API_MESSAGE_NOT_FOUND, "no such message" },
	{ API_CONVERSATION_NOT_FOUND, "no such conversation" },
	{ API_INVITE_NOT_FOUND, "no such invitation" },
	{ API_IDENTITY_NOT_FOUND, "there is no identity yet" },
	{ API_SUBSCRIPTION_NOT_FOUND, "no such subscription" },
	{ API_ALREADY_EXISTS, "there is an identity already" },
	{ API_BLOCKED, "the contact is blocked" },
	{ API_INVALID_STATE, "not possible in the present state" },
	{ API_CLIENT_ID_REUSED, "client_id was used for something else" },
	{ API_MESSAGE_TOO_LONG, "the text is too long" },
	{ API_QUOTA, "a limit is reached" },
	{ API_RATE_LIMITED, "that was done just now; not so soon again" },
	{ API_OFFLINE, "no network" },
	{ API_PEER_UNREACHABLE, "the contact is not online" },
	{ API_TIMEOUT, "the time ran out" },
	{ API_BAD_ADDRESS, "not a valid address" },
	{ API_BAD_PASSPHRASE, "wrong passphrase" },
	{ API_CRYPTO, "a cryptographic operation failed" },
	{ API_STORAGE_FULL, "the disk is full" },
	{ API_STORAGE_ERROR, "the store cannot be read or written" },
	{ API_BACKUP_INVALID,
	    "not such a file, damaged, or of a newer version" },
	{ API_CURSOR_EXPIRED, "older events were dropped: sync.snapshot" },
	{ API_EPOCH_CHANGED, "the event log is another one: sync.snapshot" },
};

struct json_out *
rpc_fail(struct rpc_call *c, enum api_error code)
{
	char incident[20];
	struct json_out *b;

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++)
		if (words[i].code == (int)code && code != API_INTERNAL)
			return rpc_error(c, (int)code, "%s", words[i].text);
	(void)snprintf(
	    incident, sizeof(incident), "%016" PRIx64, rng_u64(&c->d->rng));
	log_event(LOG_ERR, "rpc-internal", "incident=%s code=%d", incident,
	    (int)code);
	b = rpc_error(c, API_INTERNAL, "internal error, see the log");
	json_put_str(b, "incident", incident);
	return b;
}

struct json_out *
rpc_fail_param(struct rpc_call *c, const char *param, const char *reason)
{
	struct json_out *b =
	    rpc_error(c, API_INVALID_PARAMS, "%s: %s", param, reason);

	json_put_str(b, "param", param);
	json_put_str(b, "reason", reason);
	return b;
}

void
rpc_fail_store(struct rpc_call *c, enum err err)
{
	assert(err);
	if (err == ERR_NOMEM)
		(void)rpc_fail(c, API_INTERNAL);
	else
		(void)rpc_fail(c, API_STORAGE_ERROR);
}

bool
rpc_found(struct rpc_call *c, enum err err, enum api_error absent)
{
	if (store_is_gone(err))
		(void)rpc_fail(c, absent);
	else if (err)
		rpc_fail_store(c, err);
	return !err;
}

struct node_stats
rpc_node_stats(const struct daemon *d)
{
	struct node_stats n = { 0 };

	if (d->node)
		node_get_stats(d->node, &n);
	return n;
}

/* ---- pages ---- */

bool
rpc_page_full(const struct rpc_call *c)
{
	return c->out->bad || c->out->n - c->start > API_OUTPUT_MAX / 4;
}

void
rpc_put_place(struct json_out *b, const char *key, const struct store_place *at)
{
	char id[ID_TEXT_SIZE], text[ID_TEXT_SIZE + 24];

	if (!at->set) {
		json_put_null(b, key);
		return;
	}
	id_encode(at->id.b, id);
	(void)snprintf(text, sizeof(text), "%" PRId64 "-%s", at->at, id);
	json_put_str(b, key, text);
}

bool
rpc_get_place(struct rpc_call *c, struct store_place *ret)
{
	struct span s = rpc_str(c, "after");
	uint64_t v = 0;
	size_t i;

	*ret = (struct store_place){ 0 };
	if (s.n == 0)
		return true;
	for (i = 0; i < s.n && i < 18 && s.p[i] >= '0' && s.p[i] <= '9'; i++)
		v = v * 10 + (uint64_t)(s.p[i] - '0');
	if (i > 0 && i < s.n && s.p[i] == '-' &&
	    !id_decode(span_of(s.p + i + 1, s.n - i - 1), ret->id.b)) {
		ret->at = (int64_t)v;
		ret->set = true;
		return true;
	}
	rpc_fail_param(c, "after", "not a cursor of this method");
	return false;
}

/* ---- dispatch ---- */

void
rpc_call_end(struct rpc_call *c)
{
	struct json_out *b = c->out;

	if (c->reply == RPC_REPLY_RESULT || c->reply == RPC_REPLY_ERROR)
		json_close(b, '}');
	if (c->reply == RPC_REPLY_ERROR)
		json_close(b, '}');
	json_close(b, '}');
}

static void
fault_reply(struct rpc_call *c, const struct rpc_fault *f)
{
	struct json_out *b;

	if (f->param[0])
		b = rpc_error(c, f->code, "%s: %s", f->param, f->reason);
	else
		b = rpc_error(c, f->code, "%s", f->reason);
	if (f->param[0])
		json_put_str(b, "param", f->param);
	json_put_str(b, "reason", f->reason);
	if (f->at >= 0)
		json_put_int(b, "at", f->at);
	if (f->meant[0])
		json_put_str(b, "did_you_mean", f->meant);
	if (f->code == API_REQUEST_TOO_LARGE)
		json_put_int(b, "max", API_LINE_MAX);
}

void
rpc_call_refuse(struct rpc_call *c, const struct rpc_fault *fault)
{
	c->id = span_of(NULL, 0);
	fault_reply(c, fault);
	rpc_call_end(c);
}

static void
fail_unknown(struct rpc_call *c, const char *name)
{
	const char *near =
	    rpc_nearest(name, rpc_methods, rpc_n_methods, sizeof(*rpc_methods));
	struct json_out *b =
	    rpc_error(c, API_METHOD_NOT_FOUND, "no method \"%.64s\"", name);

	if (near)
		json_put_str(b, "did_you_mean", near);
}

static void
fail_denied(struct rpc_call *c)
{
	enum rpc_tier needs = c->method->tier;
	struct json_out *b = rpc_error(c, API_PERMISSION_DENIED,
	    "%s needs the %s socket", c->method->name, rpc_tier_socket(needs));

	json_put_str(b, "needs", rpc_tier_name(needs));
	json_put_str(b, "have", rpc_tier_name(rpc_conn_tier(c->conn)));
	json_put_str(b, "socket", rpc_tier_socket(needs));
}

/* Why the daemon cannot serve a method that needs its identity. */
static enum api_error
trouble_of(const struct rpc_call *c)
{
	if (c->d->stopping)
		return API_SHUTTING_DOWN;
	if (c->method->need == RPC_ANY)
		return API_OK;
	if (keyring_state(c->d->keyring) == KEYRING_NONE)
		return API_IDENTITY_NOT_FOUND;
	if (keyring_state(c->d->keyring) == KEYRING_LOCKED)
		return API_LOCKED;
	return API_OK;
}

static void
run_method(struct rpc_call *c)
{
	enum api_error trouble = trouble_of(c);
	struct rpc_fault fault;

	if (c->method->tier > rpc_conn_tier(c->conn)) {
		fail_denied(c);
		return;
	}
	if (!rpc_may_call(c->conn, c->method)) {
		(void)rpc_fail(c, API_RESTRICTED);
		return;
	}
	rpc_params_check(c->method->params, c->params, &fault);
	if (fault.code) {
		fault_reply(c, &fault);
		return;
	}
	if (trouble) {
		(void)rpc_fail(c, trouble);
		return;
	}
	if (!rpc_may_run(c))
		return;
	/* A text takes its place behind those that wait, and looks at none. */
	if (c->method->handler != rpc_message_send)
		daemon_settle(c->d);
	c->method->handler(c);
	assert(c->reply != RPC_REPLY_NONE);
}

/* Only these mean something to a client that wants no answer; who restricts
 * himself must know that he is. */
static bool
may_be_silent(const char *method)
{
	return (strncmp(method, "session.", strlen("session.")) == 0 &&
	           strcmp(method, "session.restrict") != 0) ||
	       strcmp(method, "typing.set") == 0;
}

static void
run_request(struct rpc_call *c, const struct rpc_request *r)
{
	c->params = r->params;
	if (c->id.n == 0 && !may_be_silent(r->method)) {
		(void)rpc_error(c, API_INVALID_REQUEST,
		    "%.64s needs an id: only session.hello, session.info and "
		    "typing.set may go without",
		    r->method);
		return;
	}
	c->method = rpc_method_find(r->method);
	if (!c->method)
		fail_unknown(c, r->method);
	else
		run_method(c);
}

/* A reply that did not fit becomes an error. */
static void
bound_reply(struct rpc_call *c)
{
	if (c->reply == RPC_REPLY_LATER)
		return;
	rpc_call_end(c);
	if (!c->out->bad && c->out->n <= c->limit)
		return;
	(void)rpc_fail(c, API_RESPONSE_TOO_LARGE);
	rpc_call_end(c);
}

void
rpc_call_run(struct rpc_call *c, const struct json_scan *scan)
{
	struct rpc_request r;
	struct rpc_fault fault;

	c->follow = c->out->follow;
	rpc_request_parse(scan, &r, &fault);
	c->id = r.id;
	if (fault.code)
		fault_reply(c, &fault);
	else
		run_request(c, &r);
	bound_reply(c);
	/* A notification is served in silence, errors too; what is no
	 * request at all, or may not go without an id, is not. */
	if (c->id.n == 0 && !fault.code && may_be_silent(r.method)) {
		c->out->n = c->start;
		c->out->bad = false;
		c->out->follow = c->follow;
	}
	rpc_request_clear(&r);
}
