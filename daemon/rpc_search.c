/* message.search. */
#include "daemon/rpc_conn.h"

#include "daemon/search.h"
#include "proto/base/text.h"

#include <string.h>

enum { SNIPPET_MAX = 240, SNIPPET_BEFORE = 60 }; /* bytes */

/* The nearest place at or before `at` where a character begins. */
static size_t
begin_of(struct span text, size_t at)
{
	while (at > 0 && at < text.n && (text.p[at] & 0xc0) == 0x80)
		at--;
	return at;
}

/* What is shown of a text: around its first match. */
static struct span
snippet(const struct search_hit *h)
{
	struct span text = h->message->m.text;
	size_t at = h->match[0].at, end;

	at = begin_of(text, at > SNIPPET_BEFORE ? at - SNIPPET_BEFORE : 0);
	end = text.n - at > SNIPPET_MAX ? begin_of(text, at + SNIPPET_MAX)
	                                : text.n;
	return span_of(text.p + at, end - at);
}

struct listing {
	struct rpc_call *c;
	struct json_out *o;
};

static bool
on_hit(void *ctx, const struct search_hit *h)
{
	struct listing *l = ctx;
	struct json_out *o = l->o;
	struct span part = snippet(h);
	size_t from = (size_t)(part.p - h->message->m.text.p);

	json_open(o, '{');
	json_put_id(o, "id", h->message->m.id.b);
	json_put_id(o, "conv", h->message->m.contact.b);
	json_put_str(o, "direction", view_direction(h->message));
	json_put_int(o, "sent_ms", (int64_t)h->message->m.sent_ms);
	json_put_text(o, "snippet", part);
	json_put_bool(o, "cut", part.n < h->message->m.text.n);
	json_put_open(o, "matches", '[');
	for (size_t i = 0; i < h->n_matches; i++) {
		const struct search_match *m = &h->match[i];

		if (m->at < from || m->at + m->n > from + part.n)
			continue;
		json_open(o, '{');
		json_put_uint(o, "at", m->at - from);
		json_put_uint(o, "bytes", m->n);
		json_close(o, '}');
	}
	json_close(o, ']');
	json_close(o, '}');
	return !rpc_page_full(l->c);
}

void
rpc_message_search(struct rpc_call *c)
{
	struct search_query q = { .text = rpc_str(c, "query"),
		.limit = rpc_limit(c) };
	struct store_place from, next = { .set = false };
	struct listing l = { .c = c };
	int64_t at = 0;
	enum err err;

	if (!rpc_get_place(c, &from))
		return;
	q.before = from.set ? from.at : 0;
	q.has_conv = rpc_id(c, "conv", q.conv.b);
	q.has_ours = rpc_has(c, "direction");
	q.ours = span_eq(rpc_str(c, "direction"), span_str("out"));
	q.since_ms = (uint64_t)rpc_int(c, "since_ms", 0);
	q.until_ms = (uint64_t)rpc_int(c, "until_ms", 0);
	if (!daemon_search(c->d)) {
		(void)rpc_fail(c, API_INTERNAL);
		return;
	}
	l.o = rpc_result(c);
	json_put_open(l.o, "items", '[');
	err = search_run(c->d->search, &q, on_hit, &l, &at);
	json_close(l.o, ']');
	if (err == ERR_MALFORMED) {
		rpc_fail_param(c, "query", "no word to look for, or too many");
	} else if (err) {
		rpc_fail_store(c, err);
	} else {
		next.set = at > 0;
		next.at = at;
		rpc_put_place(l.o, "next", &next);
	}
}
