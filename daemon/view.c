#include "daemon/view.h"

#include "proto/base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

const char *
view_message_state(enum message_state s)
{
	switch (s) {
	case MESSAGE_QUEUED:
		return "queued";
	case MESSAGE_SENT:
		return "sent";
	case MESSAGE_DELIVERED:
		return "delivered";
	case MESSAGE_FAILED:
		return "failed";
	case MESSAGE_RECEIVED:
		return "received";
	case MESSAGE_READ:
		return "read";
	}
	return "unknown";
}

const char *
view_contact_state(enum contact_state s)
{
	switch (s) {
	case CONTACT_WAITING:
		return "waiting";
	case CONTACT_READY:
		return "ready";
	case CONTACT_BLOCKED:
		return "blocked";
	}
	return "unknown";
}

static void
time_or_null(struct json_out *o, const char *key, uint64_t ms)
{
	if (ms)
		json_put_int(o, key, (int64_t)ms);
	else
		json_put_null(o, key);
}

static const char *
direction_of(bool ours)
{
	return ours ? "out" : "in";
}

const char *
view_direction(const struct store_message *m)
{
	return direction_of(store_message_is_ours(m));
}

const char *
view_message_kind(enum message_kind k)
{
	switch (k) {
	case MESSAGE_TEXT:
		return "text";
	case MESSAGE_EDIT:
		return "edit";
	case MESSAGE_DELETE:
		return "delete";
	case MESSAGE_REACTION:
		return "reaction";
	case MESSAGE_TIMER:
		return "timer";
	case MESSAGE_PROFILE:
		return "profile";
	}
	return "unknown";
}

enum err
view_reactions(
    struct json_out *o, struct store *s, const struct store_message *m)
{
	struct store_reaction r[2];
	size_t n = 0;
	enum err err;

	if (m->m.kind != MESSAGE_TEXT || m->deleted)
		return ERR_OK;
	err = store_reactions(s, &m->m.contact, &m->m.id, r, &n);
	if (err || n == 0)
		return err;
	json_put_open(o, "reactions", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(o, '{');
		json_put_word(o, "direction", direction_of(r[i].ours));
		json_put_str(o, "text", r[i].text);
		json_close(o, '}');
	}
	json_close(o, ']');
	return ERR_OK;
}

void
view_reason(struct json_out *o, enum message_reason r)
{
	static const char *const names[] = {
		[REASON_TOO_LONG] = "too_long",
		[REASON_UNKNOWN] = "not_understood",
		[REASON_MANY] = "too_many",
		[REASON_NO_ROOM] = "no_room",
		[REASON_CANCELLED] = "cancelled",
	};

	if (names[r])
		json_put_word(o, "reason", names[r]);
}

/* In that state, since then. */
static void
message_in(struct json_out *o, const struct store_message *m,
    enum message_state state, uint64_t state_ms, enum message_reason reason)
{
	char original[24];

	json_put_id(o, "id", m->m.id.b);
	json_put_id(o, "conv", m->m.contact.b);
	json_put_word(o, "direction", view_direction(m));
	json_put_word(o, "kind", view_message_kind(m->m.kind));
	json_put_word(o, "state", view_message_state(state));
	json_put_int(o, "seq", (int64_t)m->m.seq);
	json_put_int(o, "sent_ms", (int64_t)m->m.sent_ms);
	if (!store_message_is_ours(m))
		json_put_int(o, "received_ms", (int64_t)m->m.received_ms);
	json_put_int(o, "state_ms", (int64_t)state_ms);
	view_reason(o, reason);
	json_put_text(o, "text", m->m.text);
	if (m->m.has_ref)
		json_put_id(o,
		    m->m.kind == MESSAGE_TEXT ? "reply_to" : "message",
		    m->m.ref.b);
	if (m->deleted)
		json_put_bool(o, "deleted", true);
	else if (m->edited_ms > 0)
		json_put_int(o, "edited_ms", (int64_t)m->edited_ms);
	if (m->m.ttl_s > 0)
		json_put_uint(o, "ttl_ms", UINT64_C(1000) * m->m.ttl_s);
	if (m->gone_ms > 0)
		json_put_uint(o, "gone_ms", m->gone_ms);
	if (m->client_id[0])
		json_put_str(o, "client_id", m->client_id);
	if (m->m.flags & MESSAGE_FLAG_GAP)
		json_put_bool(o, "gap", true);
	if (m->m.flags & MESSAGE_FLAG_CLOCK) {
		json_put_bool(o, "clock", true);
		(void)snprintf(original, sizeof(original), "%" PRId64,
		    m->m.sent_ms_original);
		json_put_str(o, "sent_ms_original", original);
	}
}

void
view_message(struct json_out *o, const struct store_message *m)
{
	message_in(o, m, m->m.state, m->state_ms, m->m.reason);
}

/* As it was when it came: how far it got since, other events tell. */
static void
new_message(struct json_out *o, const struct event_row *e)
{
	if (store_message_is_ours(e->about))
		message_in(o, e->about, MESSAGE_QUEUED, e->ts_ms, REASON_NONE);
	else
		view_message(o, e->about);
}

static void
changed_message(struct json_out *o, const struct event_row *e)
{
	json_put_id(o, "id", e->ref.b);
	json_put_id(o, "conv", e->conv.b);
	json_put_word(o, "direction", direction_of(e->ours));
	if (!e->about) {
		if (e->type != EVENT_MESSAGE_DELETED)
			json_put_bool(o, "gone", true);
	} else if (e->type == EVENT_MESSAGE_EDITED) {
		json_put_text(o, "text", e->about->m.text);
		json_put_uint(o, "edited_ms", e->about->edited_ms);
	} else if (e->type == EVENT_MESSAGE_REACTION) {
		json_put_str(o, "text", e->reaction);
	}
}

static void
message_state(struct json_out *o, const struct event_row *e)
{
	json_put_id(o, "id", e->ref.b);
	json_put_id(o, "conv", e->conv.b);
	json_put_word(o, "state", view_message_state(e->state));
	json_put_uint(o, "at_ms", e->ts_ms);
	view_reason(o, e->reason);
	if (e->client_id.n > 0)
		json_put_text(o, "client_id", e->client_id);
}

void
view_event(struct json_out *o, const struct event_row *e)
{
	if (!e->has_ref) {
		json_put_raw(o, "data", e->body);
		return;
	}
	json_put_open(o, "data", '{');
	if (e->type == EVENT_MESSAGE_STATE)
		message_state(o, e);
	else if (e->about && e->type == EVENT_MESSAGE_NEW)
		new_message(o, e);
	else
		changed_message(o, e);
	json_close(o, '}');
}

void
view_conv(struct json_out *o, const struct store_conv *c)
{
	static const char *const receipts[] = {
		[STORE_RECEIPTS_DEFAULT] = "default",
		[STORE_RECEIPTS_ON] = "on",
		[STORE_RECEIPTS_OFF] = "off",
	};

	json_put_bool(o, "muted", c->muted);
	json_put_bool(o, "pinned", c->pinned);
	json_put_str(o, "receipts", receipts[c->receipts]);
	json_put_bool(o, "has_draft", c->has_draft);
	json_put_uint(o, "timer_ms", UINT64_C(1000) * c->ttl_s);
}

void
view_contact(struct json_out *o, const struct store_contact *c)
{
	char address[ADDRESS_SIZE];

	address_encode(&c->id_pk, address);
	json_put_id(o, "id", c->id.b);
	json_put_str(o, "address", address);
	json_put_str(o, "name", c->name);
	json_put_str(o, "profile", c->profile);
	json_put_word(o, "state", view_contact_state(c->state));
	json_put_int(o, "created_ms", (int64_t)c->created_ms);
	time_or_null(o, "ready_ms", c->ready_ms);
	time_or_null(o, "last_seen_ms", c->last_seen_ms);
}

const char *
view_fallback(enum node_fallback f)
{
	static const char *const names[] = {
		[NODE_FALLBACK_AUTO] = "auto",
		[NODE_FALLBACK_ALLOW] = "allow",
		[NODE_FALLBACK_DENY] = "deny",
	};

	assert(f <= NODE_FALLBACK_DENY);
	return names[f];
}

void
view_decision(struct json_out *o, const struct node_decision *d)
{
	json_put_bool(o, "verified", d->verified);
	json_put_str(o, "fallback", view_fallback(d->fallback));
	json_put_bool(o, "relay", d->relay);
	json_put_bool(o, "presence", !d->hides);
}

void
view_invite(struct json_out *o, const struct store_invite *i)
{
	static const char *const states[] = { "unknown", "live", "used",
		"gone" };

	json_put_id(o, "id", i->id.b);
	json_put_word(o, "state", states[i->state]);
	json_put_str(o, "label", i->label);
	json_put_int(o, "created_ms", (int64_t)i->created_ms);
	json_put_int(o, "expires_ms", (int64_t)i->expires_ms);
	if (i->state == STORE_INVITE_USED)
		json_put_id(o, "contact", i->used_by.b);
}

const char *
view_nat(enum nat_class c)
{
	static const char *const names[NAT_CLASSES] = {
		[NAT_UNKNOWN] = "unknown",
		[NAT_OPEN] = "open",
		[NAT_EASY] = "easy",
		[NAT_HARD] = "hard",
		[NAT_SEQUENTIAL] = "sequential",
		[NAT_BLOCK] = "block",
		[NAT_RANDOM] = "random",
	};

	assert((unsigned)c < NAT_CLASSES);
	return names[c];
}

enum nat_class
view_nat_of(const struct node_stats *n)
{
	return n->nat[FAMILY_V4] != NAT_UNKNOWN ? n->nat[FAMILY_V4]
	                                        : n->nat[FAMILY_V6];
}

const char *
view_way(enum node_way w)
{
	static const char *const names[NODE_WAYS] = {
		[NODE_WAY_NONE] = "none",
		[NODE_WAY_DIRECT] = "direct",
		[NODE_WAY_INTRODUCER] = "introducer",
		[NODE_WAY_RELAY] = "relay",
	};

	assert((unsigned)w < NODE_WAYS);
	return names[w];
}

const char *
view_verdict(enum why_verdict v)
{
	static const char *const names[] = {
		[WHY_ONLINE] = "online",
		[WHY_CONNECTING] = "connecting",
		[WHY_REFUSED] = "refused",
		[WHY_NO_TRY] = "no_try",
		[WHY_NO_NETWORK] = "no_network",
		[WHY_NOT_ADDED] = "not_added",
		[WHY_AWAY] = "away",
		[WHY_NO_ANSWER] = "no_answer",
		[WHY_DENIED] = "denied",
	};

	assert(v >= WHY_ONLINE && v <= WHY_DENIED);
	return names[v];
}
