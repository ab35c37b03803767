/*
 * Subscriptions. One is a cursor, not a queue: rows of the event log are read
 * when its connection can take them, so that a client that does not read
 * costs one buffer for ever and misses nothing. [btchat-rpc(7): events]
 */
#include "daemon/rpc_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void
rpc_sub_free(struct rpc_sub *s)
{
	free(s->filter.convs);
	free(s);
}

/* ---- filters ---- */

bool
rpc_filter_takes(const struct rpc_filter *f, const struct event_row *e)
{
	if (f->none || !(f->types & 1U << e->type))
		return false;
	if (f->n_convs == 0)
		return true;
	for (size_t i = 0; i < f->n_convs && e->has_conv; i++)
		if (memcmp(&f->convs[i], &e->conv, sizeof(e->conv)) == 0)
			return true;
	return false;
}

static bool
read_types(struct rpc_call *c, struct rpc_filter *ret)
{
	const cJSON *list = rpc_value(c, "types");
	const cJSON *v;

	_Static_assert(EVENT_TYPES <= 32, "a bit each");
	ret->types = list ? 0 : EVENTS_ALL;
	cJSON_ArrayForEach(v, list)
	{
		enum event_type type = events_type(v->valuestring);

		if (type == EVENT_NONE) {
			rpc_fail_param(c, "types", "no such type of event");
			return false;
		}
		ret->types |= 1U << type;
	}
	return true;
}

bool
rpc_filter_read(struct rpc_call *c, struct rpc_filter *ret)
{
	struct contact_id ids[RPC_STRS_MAX];
	size_t n;

	*ret = (struct rpc_filter){ 0 };
	if (!read_types(c, ret) || !rpc_ids(c, "convs", ids, &n))
		return false;
	if (n > 0)
		ret->convs = malloc(n * sizeof(*ids));
	if (ret->convs) {
		memcpy(ret->convs, ids, n * sizeof(*ids));
		ret->n_convs = n;
	}
	if (ret->n_convs == n && rpc_restrict_filter(c->conn, ret))
		return true;
	(void)rpc_fail(c, API_INTERNAL); /* no memory */
	return false;
}

/* ---- durable events ---- */

static void
write_event(struct rpc_sub *s, const struct event_row *e)
{
	struct json_out *o = rpc_conn_note(s->conn, "event");

	json_put_int(o, "sub", s->id);
	if (e->seq > 0)
		json_put_int(o, "seq", e->seq);
	json_put_uint(o, "ts_ms", e->ts_ms);
	json_put_word(o, "type", events_name(e->type));
	view_event(o, e);
	rpc_conn_note_end(s->conn);
}

static bool
on_row(void *ctx, const struct event_row *e)
{
	struct rpc_sub *s = ctx;

	if (rpc_filter_takes(&s->filter, e))
		write_event(s, e);
	return !rpc_conn_is_full(s->conn);
}

/* Once: it has told all that there was. */
static void
tell_live(struct rpc_sub *s)
{
	struct json_out *o;

	if (s->live)
		return;
	s->live = true;
	o = rpc_conn_note(s->conn, "sub.live");
	json_put_int(o, "sub", s->id);
	json_put_int(o, "seq", s->cursor);
	rpc_conn_note_end(s->conn);
}

bool
rpc_sub_pull(struct rpc_sub *s)
{
	struct daemon *d = s->conn->rpc->d;
	struct events_ask ask = { s->cursor, RPC_EVENT_ROWS, s->filter.types };
	int64_t last = s->cursor;
	enum err err;

	/* Its reply must be out first; sealed rows need the key. */
	if (s->fresh || s->conn->dead || rpc_conn_is_full(s->conn))
		return false;
	if (s->cursor < d->event_head) {
		if (!store_has_key(d->store))
			return false;
		err = events_read_types(d->store, &ask, on_row, s, &last);
		/* No row above the cursor: those up to the head are gone. */
		if (last > s->cursor)
			s->cursor = last;
		else if (!err)
			s->cursor = d->event_head;
		if (err) /* what was told is not told again */
			return false;
	}
	if (s->cursor < d->event_head)
		return true;
	if (!rpc_conn_is_full(s->conn))
		tell_live(s);
	return false;
}

bool
rpc_sub_has_more(const struct rpc_sub *s)
{
	const struct daemon *d = s->conn->rpc->d;

	if (s->cursor < d->event_head)
		return store_has_key(d->store);
	return !s->live;
}

/* ---- ephemeral events ---- */

void
rpc_state_put(struct rpc *r, const struct event_row *e)
{
	struct rpc_state *at = &r->states[0];
	size_t i;

	if (e->body.n > RPC_EPHEMERAL_BODY_MAX)
		return;
	for (i = 0; i < r->n_states; i++) {
		struct rpc_state *s = &r->states[i];

		if (s->version < at->version)
			at = s; /* the oldest gives way */
		if (s->type == e->type && s->has_conv == e->has_conv &&
		    memcmp(&s->conv, &e->conv, sizeof(e->conv)) == 0)
			break;
	}
	if (i < r->n_states)
		at = &r->states[i];
	else if (r->n_states < RPC_EPHEMERAL_MAX)
		at = &r->states[r->n_states++];
	*at = (struct rpc_state){ .type = e->type,
		.has_conv = e->has_conv,
		.conv = e->conv,
		.version = ++r->version,
		.ts_ms = e->ts_ms,
		.n = e->body.n };
	memcpy(at->body, e->body.p, e->body.n);
}

/* The oldest state that is newer than `version`, or NULL. */
static const struct rpc_state *
state_after(const struct rpc *r, uint64_t version)
{
	const struct rpc_state *best = NULL;

	for (size_t i = 0; i < r->n_states; i++) {
		const struct rpc_state *s = &r->states[i];

		if (s->version > version &&
		    (!best || s->version < best->version))
			best = s;
	}
	return best;
}

static void
tell_lag(struct rpc_sub *s, uint64_t dropped)
{
	struct json_out *o;

	if (!s->held || dropped == 0)
		return;
	o = rpc_conn_note(s->conn, "sub.lag");
	json_put_int(o, "sub", s->id);
	json_put_uint(o, "dropped", dropped);
	rpc_conn_note_end(s->conn);
}

void
rpc_sub_ephemeral(struct rpc_sub *s)
{
	struct rpc *r = s->conn->rpc;
	uint64_t dropped = r->version - s->told;
	const struct rpc_state *st;

	if (!s->ephemeral) {
		s->told = r->version;
		return;
	}
	if (s->told == r->version || s->fresh || s->conn->dead)
		return;
	if (s->conn->out.n > RPC_LAZY_MAX) {
		s->held = true;
		return;
	}
	while ((st = state_after(r, s->told))) {
		struct event_row e = { .ts_ms = st->ts_ms,
			.type = st->type,
			.has_conv = st->has_conv,
			.conv = st->conv,
			.body = span_of(st->body, st->n) };

		if (rpc_filter_takes(&s->filter, &e))
			write_event(s, &e);
		s->told = st->version;
		dropped--;
	}
	s->told = r->version;
	tell_lag(s, dropped);
	s->held = false;
}
