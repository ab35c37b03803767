/* events.*: cursors into the event log. [btchat-rpc(7): events] */
#include "daemon/rpc_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { READ_TIER_CONSUMERS = 4 }; /* places that the read tier may fill */

/* ---- cursors ---- */

void
rpc_put_cursor(struct json_out *o, const char *key,
    const struct events_log *log, int64_t seq)
{
	json_put_open(o, key, '{');
	json_put_str(o, "epoch", log->epoch);
	json_put_int(o, "seq", seq);
	json_close(o, '}');
}

static void
fail_expired(struct rpc_call *c, const struct events_log *log)
{
	struct json_out *o = rpc_fail(c, API_CURSOR_EXPIRED);

	json_put_int(o, "oldest", log->oldest);
	json_put_int(o, "head", log->head);
	json_put_str(o, "epoch", log->epoch);
}

static void
fail_epoch(struct rpc_call *c, const struct events_log *log)
{
	struct json_out *o = rpc_fail(c, API_EPOCH_CHANGED);

	json_put_str(o, "epoch", log->epoch);
	json_put_int(o, "head", log->head);
}

/* `since` as an object. False and an error reply if it cannot be served. */
static bool
read_cursor(struct rpc_call *c, const cJSON *v, const struct events_log *log,
    int64_t *ret)
{
	const cJSON *epoch = json_member(v, "epoch");
	const cJSON *seq = json_member(v, "seq");

	if (!cJSON_IsString(epoch) || !seq || !json_to_int(seq, ret) ||
	    *ret < 0 || cJSON_GetArraySize(v) != 2) {
		rpc_fail_param(c, "since", "a cursor is {epoch, seq}");
		return false;
	}
	/* A seq beyond the head: the log was set back. */
	if (strcmp(epoch->valuestring, log->epoch) != 0 || *ret > log->head) {
		fail_epoch(c, log);
		return false;
	}
	if (*ret + 1 < log->oldest) {
		fail_expired(c, log);
		return false;
	}
	return true;
}

/* Param `since`, "now" if there is none. */
static bool
read_since(struct rpc_call *c, const struct events_log *log, int64_t *ret)
{
	const cJSON *v = rpc_value(c, "since");

	*ret = log->head;
	if (cJSON_IsObject(v))
		return read_cursor(c, v, log, ret);
	if (!v || (cJSON_IsString(v) && strcmp(v->valuestring, "now") == 0))
		return true;
	if (cJSON_IsString(v) && strcmp(v->valuestring, "oldest") == 0) {
		*ret = log->oldest > 0 ? log->oldest - 1 : 0;
		return true;
	}
	rpc_fail_param(c, "since", "must be a cursor, \"now\" or \"oldest\"");
	return false;
}

/* ---- consumers ---- */

static bool
is_consumer_name(struct span s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!memchr(
		        "abcdefghijklmnopqrstuvwxyz0123456789-", s.p[i], 37))
			return false;
	return s.n > 0 && s.n <= EVENT_CONSUMER_MAX;
}

/* Param `consumer` in ret, empty if there is none. */
static bool
read_consumer(struct rpc_call *c, char ret[EVENT_CONSUMER_MAX + 1])
{
	struct span s = rpc_str(c, "consumer");

	ret[0] = '\0';
	if (!rpc_has(c, "consumer"))
		return true;
	if (!is_consumer_name(s)) {
		rpc_fail_param(c, "consumer", "must be [a-z0-9-]{1,32}");
		return false;
	}
	memcpy(ret, s.p, s.n);
	ret[s.n] = '\0';
	return true;
}

static bool
count_consumer(void *ctx, const struct events_consumer *e)
{
	(void)e;
	++*(size_t *)ctx;
	return true;
}

/* A new name that begins at `seq`. */
static bool
make_consumer(struct rpc_call *c, const char *name, int64_t seq)
{
	size_t n = 0;
	enum err err = events_consumers(c->d->store, count_consumer, &n);

	if (!err && rpc_conn_tier(c->conn) == RPC_READ &&
	    n >= READ_TIER_CONSUMERS)
		err = ERR_LIMIT;
	if (!err)
		err = events_consumer_put(
		    c->d->store, name, seq, c->d->now.wall_ms);
	if (err == ERR_LIMIT)
		json_put_int(rpc_fail(c, API_QUOTA), "max", API_CONSUMERS_MAX);
	else if (err)
		rpc_fail_store(c, err);
	return !err;
}

/* Where a consumer goes on; *seq is what `since` said. */
static bool
resume_consumer(struct rpc_call *c, const char *name,
    const struct events_log *log, int64_t *seq)
{
	int64_t acked;
	bool lapsed = false;
	enum err err = events_consumer_get(c->d->store, name, &acked, &lapsed);

	if (err == ERR_NOT_FOUND)
		return make_consumer(c, name, *seq);
	if (err) {
		rpc_fail_store(c, err);
		return false;
	}
	if (rpc_has(c, "since"))
		return true;
	if (lapsed) {
		fail_expired(c, log);
		return false;
	}
	*seq = acked;
	return true;
}

/* ---- subscriptions ---- */

static void
drop_sub(struct rpc_conn *conn, struct rpc_sub **at)
{
	struct rpc_sub *s = *at;

	assert(conn->n_subs > 0);
	*at = s->next;
	conn->n_subs--;
	rpc_sub_free(s);
}

static void
replace_consumer_of(struct rpc_conn *c, const char *name)
{
	struct rpc_sub **at = &c->subs, *s;

	while ((s = *at)) {
		if (strcmp(s->consumer, name) != 0) {
			at = &s->next;
			continue;
		}
		json_put_int(rpc_conn_note(c, "sub.replaced"), "sub", s->id);
		rpc_conn_note_end(c);
		drop_sub(c, at);
	}
}

/* Of two subscribers under one name the newer one wins. */
static void
replace_consumer(struct rpc_call *call, const char *name)
{
	for (struct rpc_conn *c = call->rpc->conns; c; c = c->next)
		replace_consumer_of(c, name);
	call->start = call->out->n; /* it may have been our own */
}

static bool
add_sub(struct rpc_call *c, const struct rpc_sub *in)
{
	struct rpc_sub **at = &c->conn->subs;
	struct rpc_sub *s = malloc(sizeof(*s));

	if (!s) {
		(void)rpc_fail(c, API_INTERNAL);
		return false;
	}
	*s = *in;
	while (*at)
		at = &(*at)->next;
	*at = s;
	c->conn->n_subs++;
	return true;
}

static bool
may_subscribe(struct rpc_call *c)
{
	if (c->batch) {
		(void)rpc_error(c, API_INVALID_REQUEST,
		    "events.subscribe does not go into a batch");
		return false;
	}
	if (c->conn->n_subs >= API_SUBSCRIPTIONS_MAX) {
		json_put_int(
		    rpc_fail(c, API_QUOTA), "max", API_SUBSCRIPTIONS_MAX);
		return false;
	}
	return true;
}

static void
subscribed(
    struct rpc_call *c, const struct rpc_sub *s, const struct events_log *log)
{
	struct json_out *o = rpc_result(c);

	json_put_int(o, "sub", s->id);
	json_put_str(o, "epoch", log->epoch);
	json_put_int(o, "head", log->head);
	json_put_int(o, "from", s->cursor);
	json_put_int(o, "pending", log->head - s->cursor);
}

void
rpc_events_subscribe(struct rpc_call *c)
{
	struct rpc *r = c->rpc;
	struct rpc_sub s = { .conn = c->conn, .fresh = true };
	struct events_log log;
	enum err err = events_log(c->d->store, &log);

	if (err) {
		rpc_fail_store(c, err);
		return;
	}
	if (!may_subscribe(c) || !read_since(c, &log, &s.cursor) ||
	    !read_consumer(c, s.consumer))
		return;
	if (s.consumer[0] && !resume_consumer(c, s.consumer, &log, &s.cursor))
		return;
	if (!rpc_filter_read(c, &s.filter))
		return;
	if (s.consumer[0])
		replace_consumer(c, s.consumer);
	s.ephemeral = rpc_bool(c, "ephemeral", true);
	s.told = r->version;
	s.id = ++c->conn->sub_id;
	if (add_sub(c, &s))
		subscribed(c, &s, &log);
	else
		free(s.filter.convs);
}

void
rpc_events_unsubscribe(struct rpc_call *c)
{
	int64_t id = rpc_int(c, "sub", 0);
	struct rpc_sub **at = &c->conn->subs;

	while (*at && (*at)->id != id)
		at = &(*at)->next;
	if (!*at) {
		(void)rpc_fail(c, API_SUBSCRIPTION_NOT_FOUND);
		return;
	}
	drop_sub(c->conn, at);
	(void)rpc_result(c);
}

static void
no_consumer(struct rpc_call *c)
{
	(void)rpc_error(
	    c, API_SUBSCRIPTION_NOT_FOUND, "no consumer of that name");
}

void
rpc_events_ack(struct rpc_call *c)
{
	int64_t seq = rpc_int(c, "seq", 0);
	char name[EVENT_CONSUMER_MAX + 1];
	enum err err;

	if (!read_consumer(c, name))
		return;
	err = events_consumer_ack(c->d->store, name, seq, c->d->now.wall_ms);
	if (err == ERR_NOT_FOUND)
		no_consumer(c);
	else if (err == ERR_LIMIT)
		rpc_fail_param(c, "seq", "beyond the newest event");
	else if (err)
		rpc_fail_store(c, err);
	else
		json_put_int(rpc_result(c), "seq", seq);
}

void
rpc_events_forget(struct rpc_call *c)
{
	char name[EVENT_CONSUMER_MAX + 1];
	enum err err;

	if (!read_consumer(c, name))
		return;
	err = events_consumer_remove(c->d->store, name);
	if (err == ERR_NOT_FOUND)
		no_consumer(c);
	else if (err)
		rpc_fail_store(c, err);
	else
		(void)rpc_result(c);
}

static bool
write_consumer(void *ctx, const struct events_consumer *e)
{
	struct json_out *o = ctx;

	json_open(o, '{');
	json_put_str(o, "name", e->name);
	json_put_int(o, "seq", e->seq);
	json_put_uint(o, "acked_ms", e->acked_ms);
	json_put_bool(o, "lapsed", e->lapsed);
	json_close(o, '}');
	return true;
}

void
rpc_events_consumers(struct rpc_call *c)
{
	struct json_out *o = rpc_result(c);
	struct events_log log;
	enum err err = events_log(c->d->store, &log);

	json_put_open(o, "items", '[');
	if (!err)
		err = events_consumers(c->d->store, write_consumer, o);
	json_close(o, ']');
	if (err) {
		rpc_fail_store(c, err);
		return;
	}
	json_put_str(o, "epoch", log.epoch);
	json_put_int(o, "head", log.head);
}

/* ---- events.poll ---- */

struct page {
	struct rpc_call *c;
	const struct rpc_filter *filter;
	size_t left; /* events that still fit */
	size_t n;
};

static bool
on_row(void *ctx, const struct event_row *e)
{
	struct page *p = ctx;
	struct json_out *o = p->c->out;

	if (!rpc_filter_takes(p->filter, e))
		return true;
	json_open(o, '{');
	json_put_int(o, "seq", e->seq);
	json_put_uint(o, "ts_ms", e->ts_ms);
	json_put_word(o, "type", events_name(e->type));
	view_event(o, e);
	json_close(o, '}');
	p->n++;
	return --p->left > 0 && !rpc_page_full(p->c);
}

/* Reads until the page is full or the log ends. */
static enum err
read_page(struct page *p, const struct events_log *log, int64_t *since)
{
	struct store *s = p->c->d->store;
	int64_t last;
	enum err err = ERR_OK;

	while (
	    !err && *since < log->head && p->left > 0 && !rpc_page_full(p->c)) {
		struct events_ask ask = { *since, RPC_EVENT_ROWS,
			p->filter->types };

		err = events_read_types(s, &ask, on_row, p, &last);
		if (!err)
			*since = last > *since ? last : log->head;
	}
	return err;
}

bool
rpc_poll_reply(struct rpc_call *c, const struct rpc_filter *f, int64_t *since,
    size_t limit, bool last_time)
{
	struct page p = { .c = c, .filter = f, .left = limit };
	struct json_out *o = rpc_result(c);
	struct events_log log;
	enum err err = events_log(c->d->store, &log);

	json_put_open(o, "items", '[');
	if (!err && store_has_key(c->d->store))
		err = read_page(&p, &log, since);
	json_close(o, ']');
	if (err) {
		rpc_fail_store(c, err);
		return true;
	}
	if (p.n == 0 && !last_time) {
		json_out_cut(o, c->start);
		o->follow = c->follow;
		c->reply = RPC_REPLY_NONE;
		return false;
	}
	rpc_put_cursor(o, "cursor", &log, *since);
	json_put_bool(o, "more", *since < log.head);
	return true;
}

void
rpc_events_poll(struct rpc_call *c)
{
	struct rpc_filter filter;
	struct events_log log;
	struct rpc_wait *w;
	int64_t since;
	enum err err = events_log(c->d->store, &log);
	bool once = c->batch || rpc_int(c, "timeout_ms", 0) == 0;

	if (err) {
		rpc_fail_store(c, err);
		return;
	}
	if (!read_since(c, &log, &since) || !rpc_filter_read(c, &filter))
		return;
	if (rpc_poll_reply(c, &filter, &since, rpc_limit(c), once)) {
		free(filter.convs);
		return;
	}
	w = rpc_wait_new(c, RPC_WAIT_EVENTS);
	if (!w) {
		free(filter.convs);
		return;
	}
	w->filter = filter;
	w->since = since;
	w->limit = rpc_limit(c);
}
