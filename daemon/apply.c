#include "daemon/apply.h"

#include "daemon/addr.h"
#include "daemon/command.h"
#include "daemon/json_out.h"
#include "daemon/log.h"
#include "daemon/view.h"
#include "daemon/waiting.h"
#include "proto/base/text.h"

#include <assert.h>
#include <string.h>

static struct json_out
new_body(void)
{
	struct json_out o = { .max = EVENT_BODY_MAX };

	json_open(&o, '{');
	return o;
}

/* Closes the body, adds it as a durable event, frees it. */
static enum err
add_event(struct daemon *d, enum event_type type, const struct contact_id *conv,
    struct json_out *o)
{
	struct event_row e = { .type = type, .has_conv = conv != NULL };
	enum err err = ERR_NOMEM;

	json_close(o, '}');
	e.body = span_of(o->p, o->n);
	if (conv)
		e.conv = *conv;
	if (!o->bad)
		err = daemon_event(d, &e) ? ERR_OK : ERR_IO;
	json_out_clear(o);
	return err;
}

static void
add_ephemeral(struct daemon *d, enum event_type type,
    const struct contact_id *conv, struct json_out *o)
{
	json_close(o, '}');
	if (!o->bad) /* no memory: lost, as ephemeral events may be */
		daemon_ephemeral(d, type, conv, span_of(o->p, o->n));
	json_out_clear(o);
}

/* ---- contacts ---- */

/* An event with the contact as it is stored now. */
static enum err
contact_event(
    struct daemon *d, enum event_type type, const struct contact_id *id)
{
	struct store_contact c;
	struct json_out o;
	enum err err = store_contact_get(d->store, id, &c);

	if (store_is_gone(err))
		return ERR_OK;
	if (err)
		return err;
	o = new_body();
	view_contact(&o, &c);
	return add_event(d, type, id, &o);
}

static enum err
apply_contact(struct daemon *d, const struct change *c)
{
	bool is_new = false;
	enum err err = store_contact_put(d->store, c, d->now.wall_ms, &is_new);

	if (err || !is_new)
		return err;
	if (d->command && d->command->name.n)
		err = store_contact_rename(
		    d->store, &c->contact, d->command->name);
	if (err)
		return err;
	return contact_event(d, EVENT_CONTACT_ADDED, &c->contact);
}

static enum err
apply_contact_gone(struct daemon *d, const struct change *c)
{
	bool history = d->command && d->command->history;
	struct json_out o;
	enum err err = store_contact_remove(
	    d->store, &c->contact, history, d->now.wall_ms);

	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	o = new_body();
	json_put_id(&o, "id", c->contact.b);
	json_put_bool(&o, "history", history);
	return add_event(d, EVENT_CONTACT_REMOVED, &c->contact, &o);
}

/* ---- invitations ---- */

static enum err
invite_event(struct daemon *d, enum event_type type,
    const struct message_id *id, const char *reason)
{
	struct store_invite i;
	struct json_out o;
	enum err err = store_invite_get(d->store, id, &i);

	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	o = new_body();
	view_invite(&o, &i);
	if (reason)
		json_put_str(&o, "reason", reason);
	return add_event(d, type, NULL, &o);
}

static enum err
apply_invite(struct daemon *d, const struct change *c)
{
	bool is_new = false;
	enum err err = store_invite_put(d->store, c, d->now.wall_ms, &is_new);

	if (err || !is_new)
		return err;
	if (d->command && d->command->label.n)
		err =
		    store_invite_label(d->store, &c->invite, d->command->label);
	if (err)
		return err;
	return invite_event(d, EVENT_INVITE_CREATED, &c->invite, NULL);
}

static enum err
apply_invite_gone(struct daemon *d, const struct change *c)
{
	bool revoked = d->command && d->command->revoked;
	enum err err = store_invite_gone(d->store, c, d->now.wall_ms);

	if (err || c->has_contact) /* told of when the contact came */
		return err;
	return invite_event(d, EVENT_INVITE_REVOKED, &c->invite,
	    revoked ? "revoked" : "expired");
}

static enum err
invite_used_event(struct daemon *d, const struct effect *e)
{
	struct store_invite i = { .id = e->invite };
	struct json_out o;
	enum err err = store_invite_get(d->store, &e->invite, &i);

	if (err && err != ERR_NOT_FOUND)
		return err;
	o = new_body();
	json_put_id(&o, "id", e->invite.b);
	json_put_str(&o, "label", i.label);
	json_put_id(&o, "contact", e->contact.b);
	return add_event(d, EVENT_INVITE_USED, &e->contact, &o);
}

/* ---- messages ---- */

/* `ours` or they did it to message id. */
static enum err
message_event(struct daemon *d, enum event_type type,
    const struct contact_id *conv, const struct message_id *id, bool ours)
{
	struct event_row e = { .type = type, .has_conv = true, .conv = *conv };

	e.has_ref = true;
	e.ref = *id;
	e.ours = ours;
	return daemon_event(d, &e) ? ERR_OK : ERR_IO;
}

/* What it does to another message. No event if that is not there. */
static enum err
apply_to_other(struct daemon *d, const struct store_message *m)
{
	static const enum event_type types[] = {
		[MESSAGE_EDIT] = EVENT_MESSAGE_EDITED,
		[MESSAGE_DELETE] = EVENT_MESSAGE_DELETED,
		[MESSAGE_REACTION] = EVENT_MESSAGE_REACTION,
	};
	enum err err = store_message_change(d->store, m, d->now.wall_ms);

	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	return message_event(d, types[m->m.kind], &m->m.contact, &m->m.ref,
	    store_message_is_ours(m));
}

/* Texts disappear from now on, or stay. */
static enum err
apply_timer(struct daemon *d, const struct store_message *m)
{
	struct store_contact c;
	struct json_out o;
	enum err err =
	    store_conv_timer(d->store, &m->m.contact, m->m.ttl_s, m->m.sent_ms);

	if (!err)
		err = store_contact_get(d->store, &m->m.contact, &c);
	if (err == ERR_EXISTS || store_is_gone(err))
		return ERR_OK; /* later words count; or it is gone */
	if (err)
		return err;
	o = new_body();
	json_put_id(&o, "conv", m->m.contact.b);
	view_conv(&o, &c.conv);
	json_put_str(&o, "direction", view_direction(m));
	return add_event(d, EVENT_CONV_CHANGED, &m->m.contact, &o);
}

/* How they want to be called. What could not be shown anywhere is nothing. */
static enum err
apply_profile(struct daemon *d, const struct store_message *m)
{
	struct span none = { NULL, 0 };
	enum err err = store_contact_profile(d->store, &m->m.contact,
	    utf8_is_line(m->m.text) ? m->m.text : none);

	if (err)
		return store_is_gone(err) ? ERR_OK : err;
	return contact_event(d, EVENT_CONTACT_CHANGED, &m->m.contact);
}

/* What a message does that is no text. */
static enum err
carry_out(struct daemon *d, const struct store_message *m)
{
	switch (m->m.kind) {
	case MESSAGE_TEXT:
		break;
	case MESSAGE_EDIT:
	case MESSAGE_DELETE:
	case MESSAGE_REACTION:
		return apply_to_other(d, m);
	case MESSAGE_TIMER:
		return apply_timer(d, m);
	case MESSAGE_PROFILE:
		return store_message_is_ours(m) ? ERR_OK : apply_profile(d, m);
	}
	return ERR_OK;
}

static enum err
conflict_event(struct daemon *d, const struct node_message *m)
{
	struct json_out o = new_body();

	log_event(LOG_INFO, "message-conflict",
	    "peer=%s: an id came twice with other content; the first is kept",
	    log_id(m->contact.b).s);
	json_put_id(&o, "id", m->id.b);
	json_put_id(&o, "conv", m->contact.b);
	return add_event(d, EVENT_MESSAGE_CONFLICT, &m->contact, &o);
}

/* It has come as far as its state says. */
static enum err
state_event(struct daemon *d, const struct store_message *m)
{
	struct event_row e = { .type = EVENT_MESSAGE_STATE,
		.has_conv = true,
		.conv = m->m.contact,
		.has_ref = true,
		.ref = m->m.id,
		.ours = true,
		.state = m->m.state,
		.reason = m->m.reason,
		.client_id = span_str(m->client_id) };

	waiting_message_moved(d, &m->m.id, m->m.state);
	return daemon_event(d, &e) ? ERR_OK : ERR_IO;
}

/* Who shows it knows it: it is queued again. */
static enum err
again_event(struct daemon *d, const struct store_message *m)
{
	struct store_message queued = *m;

	queued.m.state = MESSAGE_QUEUED;
	return state_event(d, &queued);
}

static enum err
apply_message(struct daemon *d, const struct change *c)
{
	struct store_message m = { .m = c->message };
	enum err err;

	m.state_ms = d->now.wall_ms;
	assert(c->note.n < sizeof(m.client_id));
	if (c->note.n)
		memcpy(m.client_id, c->note.p, c->note.n);
	/* Theirs need no row: the node takes each number once, and if their
	 * numbers begin anew, all that followed comes again, too. */
	if (m.m.kind != MESSAGE_TEXT && m.m.state == MESSAGE_RECEIVED)
		return carry_out(d, &m);
	err = c->again ? store_message_again(d->store, &m)
	               : store_message_add(d->store, &m);
	if (err == ERR_EXISTS)
		return ERR_OK;
	if (err == ERR_CONFLICT)
		return conflict_event(d, &c->message);
	if (err)
		return err;
	if (m.m.kind != MESSAGE_TEXT)
		err = carry_out(d, &m);
	else if (c->again)
		err = again_event(d, &m);
	else
		err = message_event(d, EVENT_MESSAGE_NEW, &m.m.contact, &m.m.id,
		    store_message_is_ours(&m));
	/* Nobody looked while it was queued; all the same it was. */
	if (!err && m.m.state == MESSAGE_SENT)
		err = state_event(d, &m);
	return err;
}

static enum err
apply_message_state(struct daemon *d, const struct change *c)
{
	const struct node_message *m = &c->message;
	struct store_message stored;
	enum err err = store_message_move(
	    d->store, &c->contact, &m->id, m->state, d->now.wall_ms, &stored);

	if (err == ERR_EXISTS || err == ERR_NOT_FOUND)
		return ERR_OK;
	if (!err && m->reason != REASON_NONE)
		err = store_message_reason(d->store, stored.row, m->reason);
	stored.m.reason = m->reason;
	return err ? err : state_event(d, &stored);
}

static enum err
apply_message_number(struct daemon *d, const struct change *c)
{
	const struct node_message *m = &c->message;
	enum err err = store_message_number(
	    d->store, &c->contact, &m->id, m->seq, m->prev);

	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* One event for all that they have read by now. */
static enum err
apply_read(struct daemon *d, const struct change *c)
{
	struct message_id up_to;
	struct json_out o;
	enum err err = store_conv_they_read(
	    d->store, &c->contact, c->message.seq, d->now.wall_ms, &up_to);

	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	waiting_message_moved(d, NULL, MESSAGE_READ);
	o = new_body();
	json_put_id(&o, "conv", c->contact.b);
	json_put_id(&o, "up_to", up_to.b);
	json_put_uint(&o, "at_ms", d->now.wall_ms);
	return add_event(d, EVENT_MESSAGE_READ, &c->contact, &o);
}

/* Does it neither add a text nor move one? */
static bool
looks_around(const struct change *c)
{
	return c->kind != CHANGE_MESSAGE_STATE && c->kind != CHANGE_CONTACT &&
	       (c->kind != CHANGE_MESSAGE || c->message.kind != MESSAGE_TEXT);
}

enum err
apply_change(struct daemon *d, const struct change *c)
{
	enum err err = looks_around(c) ? store_batch_flush(d->store) : ERR_OK;

	if (err)
		return err;
	switch (c->kind) {
	case CHANGE_SELF:
		return store_self_set(d->store, c->record);
	case CHANGE_CONTACT:
		return apply_contact(d, c);
	case CHANGE_CONTACT_GONE:
		return apply_contact_gone(d, c);
	case CHANGE_INVITE:
		return apply_invite(d, c);
	case CHANGE_INVITE_GONE:
		return apply_invite_gone(d, c);
	case CHANGE_MESSAGE:
		return apply_message(d, c);
	case CHANGE_MESSAGE_STATE:
		return apply_message_state(d, c);
	case CHANGE_MESSAGE_NUMBER:
		return apply_message_number(d, c);
	case CHANGE_READ:
		return apply_read(d, c);
	case CHANGE_DHT:
		return store_dht_set(d->store, c->nodes, c->n_nodes);
	}
	return ERR_OK;
}

/* Our own texts and theirs whose time is over; some at a time. */
enum err
apply_timers(struct daemon *d)
{
	enum { AT_ONCE = 256 };
	struct store_message m;
	enum err err = ERR_OK;

	for (size_t i = 0; i < AT_ONCE && !err; i++) {
		err = store_timer_due(d->store, d->now.wall_ms, &m);
		if (!err)
			err = message_event(d, EVENT_MESSAGE_DELETED,
			    &m.m.contact, &m.m.id, store_message_is_ours(&m));
	}
	return err == ERR_NOT_FOUND ? ERR_OK : err;
}

/* ---- events of the node ---- */

/* Who becomes a contact hears what we want to be called. */
static enum err
contact_ready(struct daemon *d, const struct contact_id *id)
{
	char name[STORE_NAME_MAX + 1] = "";
	struct node_words words = { .kind = MESSAGE_PROFILE };
	struct message_id sent;
	enum err err = store_told_get(d->store, name);

	words.text = span_str(name);
	if (!err && words.text.n > 0)
		err = node_message_send(d->node, id, &words, &sent, d->now);
	if (err == ERR_IO || err == ERR_NOMEM)
		return err;
	return contact_event(d, EVENT_CONTACT_READY, id);
}

static enum err
presence(struct daemon *d, const struct effect *e, bool online)
{
	struct json_out o = new_body();

	if (online)
		log_event(LOG_INFO, "session-up", "peer=%s at=%s",
		    log_id(e->contact.b).s, log_addr(&e->endpoint).s);
	else
		log_event(LOG_INFO, "session-down", "peer=%s",
		    log_id(e->contact.b).s);
	json_put_id(&o, "contact", e->contact.b);
	json_put_bool(&o, "online", online);
	add_ephemeral(d, EVENT_PRESENCE, &e->contact, &o);
	return store_contact_seen(d->store, &e->contact, d->now.wall_ms);
}

static enum err
warning(struct daemon *d, const struct effect *e, const char *kind,
    const char *reason)
{
	struct json_out o = new_body();

	log_event(LOG_WARNING, "security-warning", "kind=%s peer=%s reason=%s",
	    kind, log_id(e->contact.b).s, reason);
	json_put_str(&o, "kind", kind);
	json_put_id(&o, "contact", e->contact.b);
	json_put_str(&o, "reason", reason);
	return add_event(d, EVENT_SECURITY_WARNING, &e->contact, &o);
}

static void
peer_clock(struct daemon *d, const struct effect *e)
{
	struct json_out o = new_body();

	log_event(LOG_INFO, "peer-clock",
	    "peer=%s: its clock is off by more than a day",
	    log_id(e->contact.b).s);
	json_put_id(&o, "contact", e->contact.b);
	json_put_bool(&o, "online", true);
	json_put_bool(&o, "clock_wrong", true);
	add_ephemeral(d, EVENT_PRESENCE, &e->contact, &o);
}

static void
typing(struct daemon *d, const struct effect *e)
{
	struct json_out o = new_body();

	json_put_id(&o, "conv", e->contact.b);
	json_put_bool(&o, "on", e->event == NODE_TYPING);
	add_ephemeral(d, EVENT_TYPING, &e->contact, &o);
}

static enum err
own_clock(struct daemon *d)
{
	struct json_out o = new_body();

	log_event(LOG_WARNING, "clock-doubted",
	    "the clock was set by more than a day; contacts are online who "
	    "know better");
	json_put_str(&o, "kind", "clock.doubted");
	json_put_str(&o, "reason", "the clock was set by more than a day");
	return add_event(d, EVENT_SECURITY_WARNING, NULL, &o);
}

static void
dht_ready(struct daemon *d)
{
	struct json_out o = new_body();

	log_event(LOG_INFO, "dht-ready", "the DHT answers");
	json_put_bool(&o, "ready", true);
	add_ephemeral(d, EVENT_DHT_CHANGED, NULL, &o);
}

static void
own_address(struct daemon *d, const struct effect *e)
{
	struct json_out o = new_body();
	char text[ADDR_TEXT_SIZE];

	log_event(
	    LOG_INFO, "own-address", "seen_as=%s", log_addr(&e->endpoint).s);
	addr_format(&e->endpoint, text);
	json_put_str(&o, "address", text);
	add_ephemeral(d, EVENT_NET_CHANGED, NULL, &o);
}

enum err
apply_event(struct daemon *d, const struct effect *e)
{
	switch (e->event) {
	case NODE_CONTACT_READY:
		return contact_ready(d, &e->contact);
	case NODE_CONTACT_PAIRED:
		return invite_used_event(d, e);
	case NODE_ONLINE:
		return presence(d, e, true);
	case NODE_OFFLINE:
		return presence(d, e, false);
	case NODE_FALLBACK:
		return warning(d, e, "ratchet.fallback", "ratchet lost");
	case NODE_DENIED:
		return warning(
		    d, e, "ratchet.denied", "ratchet lost, and may not be");
	case NODE_REFUSED:
		return warning(d, e, "refused", err_name(e->err));
	case NODE_CLOCK:
		peer_clock(d, e);
		return ERR_OK;
	case NODE_CLOCK_SET:
		return own_clock(d);
	case NODE_DHT_READY:
		dht_ready(d);
		return ERR_OK;
	case NODE_ADDRESS:
		own_address(d, e);
		return ERR_OK;
	case NODE_TYPING:
	case NODE_TYPING_OVER:
		typing(d, e);
		return ERR_OK;
	case NODE_PONG:
		waiting_pong(d, &e->contact, e->rtt_ms);
		return ERR_OK;
	}
	return ERR_OK;
}
