/*
 * How things look in JSON: the same object in results of RPC methods and in
 * events. Each writes the fields of an object that the caller has opened and
 * will close, so that it can add to them. [btchat-rpc(7): objects]
 */
#ifndef DAEMON_VIEW_H
#define DAEMON_VIEW_H

#include "daemon/events.h"
#include "daemon/json_out.h"

/* id, conv, direction ("in"|"out"), kind, state, seq, sent_ms, received_ms,
 * state_ms, text; if there is one: client_id, gap, clock (sent_ms was
 * clamped), sent_ms_original (a string). */
void view_message(struct json_out *o, const struct store_message *m);
const char *view_direction(const struct store_message *m); /* "in", "out" */
const char *view_message_kind(enum message_kind k);        /* "text"... */
/* Beside it: what was thought of it. */
MUST_USE enum err view_reactions(
    struct json_out *o, struct store *s, const struct store_message *m);
/* Nothing for REASON_NONE. */
void view_reason(struct json_out *o, enum message_reason r);
/* Members: what people have decided about a contact. */
void view_decision(struct json_out *o, const struct node_decision *d);
const char *view_fallback(enum node_fallback f);
void view_conv(struct json_out *o, const struct store_conv *c);
/* id, address, name, profile, state ("waiting"|"ready"|"blocked"), created_ms,
 * ready_ms, last_seen_ms (null: never). */
void view_contact(struct json_out *o, const struct store_contact *c);
/* id, state ("live"|"used"|"gone"), label, created_ms, expires_ms,
 * contact (if used). */
void view_invite(struct json_out *o, const struct store_invite *i);

/* Member "data": what the event tells. [btchat-rpc(7): events] */
void view_event(struct json_out *o, const struct event_row *e);

const char *view_message_state(enum message_state s); /* "queued"... */
const char *view_contact_state(enum contact_state s);

/* "unknown", "open", "easy", ...: what a router does. */
const char *view_nat(enum nat_class c);
/* Of the family that routers translate, or the other one. */
enum nat_class view_nat_of(const struct node_stats *n);
/* "none", "direct", "introducer" or "relay". */
const char *view_way(enum node_way w);
/* "online", "no_answer"...: why there is a session, or none. */
const char *view_verdict(enum why_verdict v);

#endif /* DAEMON_VIEW_H */
