/* Calls that are answered later: message.wait and events.poll. */
#include "daemon/rpc_conn.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { POSTPONE_MS = 100 }; /* for a client that does not read */

static void
wait_free(struct rpc_wait *w)
{
	free(w->filter.convs);
	free(w);
}

struct rpc_wait *
rpc_wait_new(struct rpc_call *c, enum rpc_wait_kind kind)
{
	struct rpc_wait **at = &c->rpc->waits;
	struct rpc_wait *w;

	assert(!c->batch && c->id.n > 0 && c->id.n < sizeof(w->id));
	if (c->conn->n_waits >= API_IN_FLIGHT_MAX) {
		json_put_int(
		    rpc_fail(c, API_BUSY), "max_in_flight", API_IN_FLIGHT_MAX);
		return NULL;
	}
	w = calloc(1, sizeof(*w));
	if (!w) {
		(void)rpc_fail(c, API_INTERNAL);
		return NULL;
	}
	w->conn = c->conn;
	w->kind = kind;
	memcpy(w->id, c->id.p, c->id.n);
	w->id_n = c->id.n;
	w->deadline_ms = c->d->now.mono_ms +
	                 (uint64_t)rpc_int(c, "timeout_ms", RPC_TIMEOUT_MS);
	while (*at)
		at = &(*at)->next;
	*at = w;
	c->conn->n_waits++;
	c->reply = RPC_REPLY_LATER;
	rpc_wake_at(c->rpc, w->deadline_ms);
	return w;
}

void
rpc_wait_free_all(struct rpc_conn *c)
{
	struct rpc_wait **at = &c->rpc->waits, *w;

	while ((w = *at)) {
		if (w->conn != c) {
			at = &w->next;
			continue;
		}
		*at = w->next;
		wait_free(w);
	}
	c->n_waits = 0;
}

/* Answers w if it can be, or must. True: it is done with. */
static bool
answer(struct rpc_wait *w, bool last_time)
{
	struct rpc_call call;
	bool done = false;

	if (rpc_conn_is_full(w->conn)) {
		w->deadline_ms = w->conn->rpc->d->now.mono_ms + POSTPONE_MS;
		return false;
	}
	rpc_conn_reply(w->conn, span_of(w->id, w->id_n), &call);
	switch (w->kind) {
	case RPC_WAIT_MESSAGE:
		done =
		    rpc_message_reply(&call, &w->message, w->state, last_time);
		break;
	case RPC_WAIT_EVENTS:
		done = rpc_poll_reply(
		    &call, &w->filter, &w->since, w->limit, last_time);
		break;
	case RPC_WAIT_PROBE:
		done = rpc_probe_reply(&call, &w->contact,
		    w->answered ? &w->rtt_ms : NULL, last_time);
		break;
	}
	assert(done || !last_time);
	if (done)
		rpc_conn_reply_end(&call);
	return done;
}

/* Looks at the waits of a kind (and message); those that are due are
 * answered in any case. */
static void
look(struct rpc *r, bool (*concerns)(const struct rpc_wait *w, const void *key),
    const void *key)
{
	struct rpc_wait **at = &r->waits, *w;
	uint64_t now = r->d->now.mono_ms;

	while ((w = *at)) {
		bool due = now >= w->deadline_ms;

		if ((due || concerns(w, key)) && answer(w, due)) {
			*at = w->next;
			w->conn->n_waits--;
			wait_free(w);
			continue;
		}
		rpc_wake_at(r, w->deadline_ms);
		at = &w->next;
	}
}

static bool
is_for_message(const struct rpc_wait *w, const void *key)
{
	return w->kind == RPC_WAIT_MESSAGE &&
	       (!key || memcmp(&w->message, key, sizeof(w->message)) == 0);
}

static bool
is_for_events(const struct rpc_wait *w, const void *key)
{
	(void)key;
	return w->kind == RPC_WAIT_EVENTS;
}

static bool
is_for_probe(const struct rpc_wait *w, const void *key)
{
	return w->kind == RPC_WAIT_PROBE &&
	       (!key || memcmp(&w->contact, key, sizeof(w->contact)) == 0);
}

static bool
is_for_nothing(const struct rpc_wait *w, const void *key)
{
	(void)w;
	(void)key;
	return false;
}

void
rpc_wait_message(struct rpc *r, const struct message_id *id)
{
	look(r, is_for_message, id);
}

void
rpc_wait_recheck(struct rpc *r)
{
	r->recheck = true;
}

void
rpc_wait_events(struct rpc *r)
{
	look(r, is_for_events, NULL);
}

void
rpc_wait_probe(
    struct rpc *r, const struct contact_id *contact, const uint64_t *rtt_ms)
{
	for (struct rpc_wait *w = r->waits; w && rtt_ms; w = w->next) {
		if (!is_for_probe(w, contact))
			continue;
		w->answered = true;
		w->rtt_ms = *rtt_ms;
	}
	look(r, is_for_probe, contact);
}

void
rpc_wait_tick(struct rpc *r)
{
	look(r, is_for_nothing, NULL);
}
