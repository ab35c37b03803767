/*
 * session.restrict: a connection may do less than its socket lets it, from now
 * on. Somebody opens it, restricts it, and hands the descriptor to a program
 * that is trusted less. There is no way back. [btchat-rpc(7)]
 */
#include "daemon/rpc_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { METHODS_MAX = 128 };

struct rpc_restriction {
	enum rpc_tier tier;        /* at most */
	bool without[METHODS_MAX]; /* by place in the table */
	bool confined;             /* to these conversations */
	size_t n_convs;
	struct contact_id convs[RPC_STRS_MAX];
	uint64_t until_ms; /* Unix time; 0: as long as it lasts */
	uint64_t over_ms;  /* the same, monotonic; NEVER */
};

/* Who is confined to conversations may call what names one; and these, which
 * look at the conversation of a message themselves, choose events by it, or
 * tell nothing of any. */
static const char *const of_any[] = { "config.get", "config.list",
	"daemon.loglevel", "daemon.metrics", "daemon.shutdown", "events.ack",
	"events.poll", "events.subscribe", "events.unsubscribe",
	"identity.show", "message.cancel", "message.delete", "message.edit",
	"message.get", "message.react", "message.retry", "message.status",
	"message.wait", "net.dht", "net.nat", "net.status", "rpc.discover",
	"status" };

static bool
is_of_any(const char *method)
{
	for (size_t i = 0; i < sizeof(of_any) / sizeof(*of_any); i++)
		if (strcmp(of_any[i], method) == 0)
			return true;
	return false;
}

static bool
is_of_session(const char *method)
{
	return strncmp(method, "session.", strlen("session.")) == 0;
}

/* ---- what it may ---- */

enum rpc_tier
rpc_conn_tier(const struct rpc_conn *c)
{
	enum rpc_tier tier = c->socket->tier;

	return c->restricted && c->restricted->tier < tier ? c->restricted->tier
	                                                   : tier;
}

bool
rpc_may_call(const struct rpc_conn *c, const struct rpc_method *m)
{
	const struct rpc_restriction *r = c->restricted;

	if (!r || is_of_session(m->name))
		return true;
	if (r->without[m - rpc_methods])
		return false;
	return !r->confined || is_of_any(m->name) ||
	       strstr(m->params, "conv:id") || strstr(m->params, "contact:id");
}

bool
rpc_may_see(const struct rpc_conn *c, const struct contact_id *conv)
{
	const struct rpc_restriction *r = c->restricted;

	if (!r || !r->confined)
		return true;
	for (size_t i = 0; i < r->n_convs; i++)
		if (memcmp(&r->convs[i], conv, sizeof(*conv)) == 0)
			return true;
	return false;
}

static bool
refuse(struct rpc_call *c, const char *param)
{
	json_put_str(rpc_fail(c, API_RESTRICTED), "param", param);
	return false;
}

/* A conversation that a param names, if it does. */
static bool
may_name(struct rpc_call *c, const char *param)
{
	struct contact_id id;

	if (!rpc_id(c, param, id.b) || rpc_may_see(c->conn, &id))
		return true;
	return refuse(c, param);
}

bool
rpc_may_run(struct rpc_call *c)
{
	const struct rpc_restriction *r = c->conn->restricted;
	bool named = rpc_has(c, "conv") || rpc_has(c, "contact");

	if (!r || !r->confined || is_of_session(c->method->name))
		return true;
	if (!named && !is_of_any(c->method->name))
		return refuse(c, "conv");
	return may_name(c, "conv") && may_name(c, "contact");
}

bool
rpc_restrict_filter(const struct rpc_conn *c, struct rpc_filter *f)
{
	const struct rpc_restriction *r = c->restricted;
	size_t n = 0;

	if (!r || !r->confined || f->none)
		return true;
	if (f->n_convs == 0 && r->n_convs > 0) {
		f->convs = calloc(r->n_convs, sizeof(*f->convs));
		if (!f->convs)
			return false;
		memcpy(f->convs, r->convs, r->n_convs * sizeof(*f->convs));
		f->n_convs = r->n_convs;
		return true;
	}
	for (size_t i = 0; i < f->n_convs; i++)
		if (rpc_may_see(c, &f->convs[i]))
			f->convs[n++] = f->convs[i];
	f->n_convs = n;
	f->none = n == 0;
	return true;
}

bool
rpc_restrict_is_over(const struct rpc_conn *c)
{
	if (!c->restricted || c->restricted->over_ms == NEVER)
		return false;
	rpc_wake_at(c->rpc, c->restricted->over_ms);
	return c->rpc->d->now.mono_ms >= c->restricted->over_ms;
}

void
rpc_restrict_put(struct json_out *o, const struct rpc_conn *c)
{
	const struct rpc_restriction *r = c->restricted;

	if (r && r->confined) {
		json_put_open(o, "convs", '[');
		for (size_t i = 0; i < r->n_convs; i++)
			json_id(o, r->convs[i].b);
		json_close(o, ']');
	}
	if (r && r->until_ms > 0)
		json_put_uint(o, "until_ms", r->until_ms);
}

/* ---- the call ---- */

static void
narrow_tier(struct rpc_call *c, struct rpc_restriction *r)
{
	struct span word = rpc_str(c, "tier");

	for (enum rpc_tier t = RPC_READ; t < r->tier; t++)
		if (span_eq(word, span_str(rpc_tier_name(t))))
			r->tier = t;
}

static bool
narrow_methods(struct rpc_call *c, struct rpc_restriction *r)
{
	const cJSON *list = rpc_value(c, "methods");
	bool named[METHODS_MAX] = { false };
	const struct rpc_method *m;
	const cJSON *v;

	if (!list)
		return true;
	cJSON_ArrayForEach(v, list)
	{
		m = rpc_method_find(v->valuestring);
		if (!m) {
			rpc_fail_param(c, "methods", "no such method");
			return false;
		}
		named[m - rpc_methods] = true;
	}
	for (size_t i = 0; i < rpc_n_methods; i++)
		r->without[i] = r->without[i] || !named[i];
	return true;
}

static bool
narrow_convs(struct rpc_call *c, struct rpc_restriction *r)
{
	struct contact_id ids[RPC_STRS_MAX];
	size_t n;

	if (!rpc_has(c, "convs"))
		return true;
	if (!rpc_ids(c, "convs", ids, &n))
		return false;
	r->n_convs = 0;
	r->confined = true;
	for (size_t i = 0; i < n; i++)
		if (rpc_may_see(c->conn, &ids[i]))
			r->convs[r->n_convs++] = ids[i];
	return true;
}

static void
narrow_time(struct rpc_call *c, struct rpc_restriction *r)
{
	uint64_t until = (uint64_t)rpc_int(c, "until_ms", 0);
	const struct now *now = &c->d->now;

	if (!rpc_has(c, "until_ms") ||
	    (r->over_ms != NEVER && until >= r->until_ms))
		return;
	r->until_ms = until > 0 ? until : 1;
	r->over_ms = now->mono_ms;
	if (until > now->wall_ms)
		r->over_ms += until - now->wall_ms;
	rpc_wake_at(c->rpc, r->over_ms);
}

/* What was asked for before sees no more than what is asked for now. */
static bool
narrow_filters(struct rpc_conn *c)
{
	bool good = true;

	for (struct rpc_sub *s = c->subs; s; s = s->next)
		good = rpc_restrict_filter(c, &s->filter) && good;
	for (struct rpc_wait *w = c->rpc->waits; w; w = w->next)
		if (w->conn == c)
			good = rpc_restrict_filter(c, &w->filter) && good;
	return good;
}

void
rpc_session_restrict(struct rpc_call *c)
{
	struct rpc_conn *conn = c->conn;
	struct rpc_restriction *r = calloc(1, sizeof(*r));

	assert(rpc_n_methods <= METHODS_MAX);
	if (!r) {
		(void)rpc_fail(c, API_INTERNAL);
		return;
	}
	r->tier = RPC_ADMIN;
	r->over_ms = NEVER;
	if (conn->restricted)
		*r = *conn->restricted;
	narrow_tier(c, r);
	if (!narrow_methods(c, r) || !narrow_convs(c, r)) {
		free(r);
		return;
	}
	narrow_time(c, r);
	free(conn->restricted);
	conn->restricted = r;
	conn->dead = conn->dead || !narrow_filters(conn);
	rpc_session_info(c);
}
