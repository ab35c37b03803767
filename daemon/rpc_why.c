/* contact.why: what was tried to reach somebody, and what came of it. */
#include "daemon/rpc_call.h"

#include "daemon/addr.h"

#include <assert.h>

static const char *
kind_name(enum why_kind kind)
{
	static const char *const names[WHY_KINDS] = {
		[WHY_LOOK] = "look",
		[WHY_PUT] = "put",
		[WHY_KNOCK] = "knock",
		[WHY_PASS] = "pass",
		[WHY_NOBODY] = "nobody",
		[WHY_CROSS] = "cross",
		[WHY_DOWN] = "down",
		[WHY_UP] = "up",
	};

	assert(kind < WHY_KINDS);
	return names[kind];
}

/* Where a look or a put went, and how it ended. */
static void
put_lookup(struct json_out *o, const struct why_step *s)
{
	json_put_str(
	    o, "carrier", s->carrier == WHY_OVERLAY ? "overlay" : "mainline");
	json_put_str(o, "family", s->family == FAMILY_V4 ? "v4" : "v6");
	json_put_uint(o, "asked", s->asked);
	json_put_uint(o, "answered", s->answered);
	json_put_uint(o, "took_ms", s->took_ms);
	json_put_bool(o, "alarm", s->alarm);
	json_put_bool(o, "rival", s->rival);
	if (s->kind == WHY_LOOK) {
		json_put_bool(o, "found", s->found);
		return;
	}
	json_put_uint(o, "stored", s->stored);
	json_put_uint(o, "networks", s->networks);
	if (s->read)
		json_put_bool(o, "read_back", s->found);
	else
		json_put_null(o, "read_back");
}

static void
put_cross(struct json_out *o, const struct why_step *s)
{
	static const char *const manies[WHY_MANIES] = {
		[WHY_MANY_NONE] = "none",
		[WHY_MANY_SENT] = "sent",
		[WHY_MANY_DECLINED] = "declined",
	};

	assert((unsigned)s->many < WHY_MANIES);
	json_put_uint(o, "addresses", s->n_tried);
	json_put_uint(o, "sent", s->sent);
	json_put_uint(o, "took_ms", s->took_ms);
	json_put_str(o, "own_nat", view_nat(s->own));
	json_put_str(o, "their_nat", view_nat(s->theirs));
	json_put_bool(o, "offered", s->offered);
	json_put_str(o, "many", manies[s->many]);
	json_put_bool(o, "found", s->found);
}

static void
put_step(struct json_out *o, const struct why_step *s, uint64_t now_ms)
{
	assert(s->at_ms <= now_ms && s->times > 0);
	json_open(o, '{');
	json_put_str(o, "what", kind_name(s->kind));
	json_put_uint(o, "ago_ms", now_ms - s->at_ms);
	json_put_uint(o, "times", s->times);
	if (s->kind == WHY_KNOCK)
		json_put_uint(o, "addresses", s->n_tried);
	else if (s->kind == WHY_LOOK || s->kind == WHY_PUT)
		put_lookup(o, s);
	else if (s->kind == WHY_CROSS)
		put_cross(o, s);
	if (s->kind == WHY_PASS) {
		json_put_uint(o, "introducers", s->n_tried);
		json_put_uint(o, "relays", s->n_relays);
	}
	json_close(o, '}');
}

static void
put_left(struct json_out *o, const char *key, uint64_t at, uint64_t now)
{
	if (at == 0 || at == NEVER)
		json_put_null(o, key);
	else
		json_put_uint(o, key, at > now ? at - now : 0);
}

static void
put_addresses(struct json_out *o, const struct node_why *w)
{
	char text[ADDR_TEXT_SIZE];

	json_put_open(o, "addresses", '[');
	for (size_t i = 0; i < w->n_addresses; i++) {
		addr_format(&w->address[i], text);
		json_str(o, text);
	}
	json_close(o, ']');
}

void
rpc_contact_why(struct rpc_call *c)
{
	struct contact_id id = { 0 };
	struct node_contact_info info;
	uint64_t now_ms = c->d->now.mono_ms;
	struct node_why why;
	struct json_out *o;

	rpc_id(c, "contact", id.b);
	if (!c->d->node || !node_contact_get(c->d->node, &id, &info) ||
	    !node_contact_why(c->d->node, &id, &why)) {
		(void)rpc_fail(c, API_CONTACT_NOT_FOUND);
		return;
	}
	o = rpc_result(c);
	json_put_id(o, "contact", id.b);
	json_put_str(o, "verdict", view_verdict(why.verdict));
	json_put_str(o, "own_nat", view_nat(why.own));
	json_put_str(o, "their_nat", view_nat(why.theirs));
	put_left(o, "look_up_in_ms", info.next_lookup_ms, now_ms);
	put_left(o, "publish_in_ms", info.next_publish_ms, now_ms);
	json_put_open(o, "steps", '[');
	for (size_t i = 0; i < why.n_steps; i++)
		put_step(o, &why.step[i], now_ms);
	json_close(o, ']');
	if (rpc_bool(c, "addresses", false))
		put_addresses(o, &why);
}
