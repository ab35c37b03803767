#include "daemon/view.h"

#include "proto/base/text.h"

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
	}
	return "unknown";
}

static void
time_or_null(struct body *b, const char *key, uint64_t ms)
{
	if (ms)
		body_int(b, key, (int64_t)ms);
	else
		body_null(b, key);
}

void
view_message(struct body *b, const struct store_message *m)
{
	char original[24];

	body_id(b, "id", m->m.id.b);
	body_id(b, "conv", m->m.contact.b);
	body_str(b, "direction", store_message_is_ours(m) ? "out" : "in");
	body_str(b, "kind", "text");
	body_str(b, "state", view_message_state(m->m.state));
	body_int(b, "seq", (int64_t)m->m.seq);
	body_int(b, "sent_ms", (int64_t)m->m.sent_ms);
	if (!store_message_is_ours(m))
		body_int(b, "received_ms", (int64_t)m->m.received_ms);
	body_int(b, "state_ms", (int64_t)m->state_ms);
	body_text(b, "text", m->m.text);
	if (m->client_id[0])
		body_str(b, "client_id", m->client_id);
	if (m->m.flags & MESSAGE_FLAG_GAP)
		body_bool(b, "gap", true);
	if (m->m.flags & MESSAGE_FLAG_CLOCK) {
		body_bool(b, "clock", true);
		(void)snprintf(original, sizeof(original), "%" PRId64,
		    m->m.sent_ms_original);
		body_str(b, "sent_ms_original", original);
	}
}

void
view_contact(struct body *b, const struct store_contact *c)
{
	char address[ADDRESS_SIZE];

	address_encode(&c->id_pk, address);
	body_id(b, "id", c->id.b);
	body_str(b, "address", address);
	body_str(b, "name", c->name);
	body_str(b, "state", view_contact_state(c->state));
	body_int(b, "created_ms", (int64_t)c->created_ms);
	time_or_null(b, "ready_ms", c->ready_ms);
	time_or_null(b, "last_seen_ms", c->last_seen_ms);
}

void
view_invite(struct body *b, const struct store_invite *i)
{
	static const char *const states[] = { "unknown", "live", "used",
		"gone" };

	body_id(b, "id", i->id.b);
	body_str(b, "state", states[i->state]);
	body_str(b, "label", i->label);
	body_int(b, "created_ms", (int64_t)i->created_ms);
	body_int(b, "expires_ms", (int64_t)i->expires_ms);
	if (i->state == STORE_INVITE_USED)
		body_id(b, "contact", i->used_by.b);
}
