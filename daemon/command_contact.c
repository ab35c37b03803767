/* Contacts, and the invitations that make some. */
#include "daemon/command_int.h"

#include "daemon/view.h"

/* ---- contacts ---- */

static enum api_error
bad_address(enum err err, const char **ret_why)
{
	switch (err) {
	case ERR_MALFORMED:
		*ret_why = "mistyped or incomplete";
		return API_BAD_ADDRESS;
	case ERR_UNSUPPORTED:
		*ret_why = "of a newer version";
		return API_BAD_ADDRESS;
	case ERR_BAD_KEY:
		*ret_why = "not a valid key, or your own";
		return API_BAD_ADDRESS;
	case ERR_EXPIRED:
		*ret_why = "expired";
		return API_BAD_ADDRESS;
	case ERR_EXISTS:
		return API_ALREADY_EXISTS;
	case ERR_LIMIT:
		return API_QUOTA;
	case ERR_STATE:
		return API_INVALID_STATE;
	case ERR_OK:
	case ERR_AUTH:
	case ERR_REPLAY:
	case ERR_NOMEM:
	case ERR_NOT_FOUND:
	case ERR_TOO_LONG:
	case ERR_CONFLICT:
	case ERR_IO:
		break;
	}
	return API_INTERNAL;
}

/* What adding by address and by invitation have in common. */
static enum api_error
finish_add(struct daemon *d, const struct command_contact *in, struct span name,
    const uint8_t digest[32], const struct contact_id *id)
{
	struct command c = { .name = name };
	enum api_error code = command_apply(d, &c);

	return code ? code : command_remember(d, in->client_id, digest, id->b);
}

static enum api_error
begin_add(struct daemon *d, const char *method,
    const struct command_contact *in, uint8_t digest[32], bool *ret_done,
    struct contact_id *ret)
{
	enum api_error code = command_begin(d);

	*ret_done = false;
	if (code)
		return code;
	if (!command_is_line(in->name, STORE_NAME_MAX) ||
	    in->client_id.n > API_CLIENT_ID_MAX)
		return API_INVALID_PARAMS;
	command_digest(method, in->address, in->name, digest);
	return command_was_done(d, in->client_id, digest, ret->b, ret_done);
}

enum api_error
command_contact_add(struct daemon *d, const struct command_contact *in,
    struct contact_id *ret, const char **ret_why)
{
	char suggested[ADDRESS_NAME_MAX + 1];
	struct span name = in->name;
	uint8_t digest[32];
	struct id_pk id;
	bool done;
	enum err err;
	enum api_error code =
	    begin_add(d, "contact.add", in, digest, &done, ret);

	if (code || done)
		return code;
	err = address_decode(in->address, &id, suggested);
	if (!err)
		err = node_contact_add(d->node, &id, ret, d->now);
	if (err)
		return bad_address(err, ret_why);
	if (name.n == 0 && command_is_line(span_str(suggested), STORE_NAME_MAX))
		name = span_str(suggested);
	return finish_add(d, in, name, digest, ret);
}

enum api_error
command_invite_accept(struct daemon *d, const struct command_contact *in,
    struct contact_id *ret, const char **ret_why)
{
	uint8_t digest[32];
	bool done;
	enum err err;
	enum api_error code =
	    begin_add(d, "invite.accept", in, digest, &done, ret);

	if (code || done)
		return code;
	err = node_invite_accept(d->node, in->address, ret, d->now);
	if (err)
		return bad_address(err, ret_why);
	return finish_add(d, in, in->name, digest, ret);
}

enum api_error
command_contact_rename(
    struct daemon *d, const struct contact_id *id, struct span name)
{
	struct json_out o = { .max = EVENT_BODY_MAX };
	enum api_error code = command_begin(d);
	enum err err;

	if (code)
		return code;
	if (!command_is_line(name, STORE_NAME_MAX))
		return API_INVALID_PARAMS;
	err = store_contact_rename(d->store, id, name);
	if (store_is_gone(err))
		return API_CONTACT_NOT_FOUND;
	if (err)
		return command_lost(d);
	json_open(&o, '{');
	json_put_id(&o, "id", id->b);
	json_put_text(&o, "name", name);
	return command_log(d, EVENT_CONTACT_CHANGED, id, &o);
}

enum api_error
command_contact_decide(struct daemon *d, const struct contact_id *id,
    const struct node_decision *what)
{
	struct json_out o = { .max = EVENT_BODY_MAX };
	struct command c = { 0 };
	enum api_error code = command_begin(d);

	if (code)
		return code;
	if (node_contact_decide(d->node, id, what, d->now))
		return API_CONTACT_NOT_FOUND;
	code = command_apply(d, &c);
	if (code)
		return code;
	json_open(&o, '{');
	json_put_id(&o, "id", id->b);
	view_decision(&o, what);
	return command_log(d, EVENT_CONTACT_CHANGED, id, &o);
}

enum api_error
command_contact_block(
    struct daemon *d, const struct contact_id *id, bool blocked)
{
	struct json_out o = { .max = EVENT_BODY_MAX };
	struct node_contact_info info;
	struct command c = { 0 };
	enum api_error code = command_begin(d);

	if (code)
		return code;
	if (!node_contact_get(d->node, id, &info))
		return API_CONTACT_NOT_FOUND;
	if ((info.state == CONTACT_BLOCKED) == blocked)
		return API_OK;
	if (node_contact_block(d->node, id, blocked, d->now))
		return API_CONTACT_NOT_FOUND;
	code = command_apply(d, &c);
	if (code)
		return code;
	(void)node_contact_get(d->node, id, &info);
	json_open(&o, '{');
	json_put_id(&o, "id", id->b);
	json_put_str(&o, "state", view_contact_state(info.state));
	return command_log(
	    d, blocked ? EVENT_CONTACT_BLOCKED : EVENT_CONTACT_CHANGED, id, &o);
}

enum api_error
command_contact_delete(
    struct daemon *d, const struct contact_id *id, bool history)
{
	struct command c = { .history = history };
	enum api_error code = command_begin(d);
	enum err err;

	if (code)
		return code;
	err = node_contact_delete(d->node, id, d->now);
	if (err == ERR_NOT_FOUND)
		return API_CONTACT_NOT_FOUND;
	if (err)
		return API_INTERNAL;
	return command_apply(d, &c);
}

/* ---- invitations ---- */

enum api_error
command_invite_create(struct daemon *d, struct span label, uint64_t ttl_ms,
    struct node_invite *ret)
{
	struct command c = { .label = label };
	enum api_error code = command_begin(d);
	uint64_t ttl_s = ttl_ms / 1000;
	enum err err;

	if (code)
		return code;
	if (!command_is_line(label, STORE_LABEL_MAX) || ttl_s == 0 ||
	    ttl_s > NODE_INVITE_TTL_MAX_S)
		return API_INVALID_PARAMS;
	err = node_invite_create(d->node, ttl_s, ret, d->now);
	if (err)
		return err == ERR_LIMIT ? API_QUOTA : API_INTERNAL;
	return command_apply(d, &c);
}

enum api_error
command_invite_revoke(struct daemon *d, const struct message_id *id)
{
	struct command c = { .revoked = true };
	struct store_invite i;
	enum api_error code = command_begin(d);
	enum err err;

	if (code)
		return code;
	err = node_invite_revoke(d->node, id, d->now);
	if (err == ERR_NOT_FOUND) { /* used or gone already? */
		err = store_invite_get(d->store, id, &i);
		if (!err)
			return API_INVALID_STATE;
		return err == ERR_NOT_FOUND ? API_INVITE_NOT_FOUND
		                            : API_STORAGE_ERROR;
	}
	if (err)
		return err == ERR_STATE ? API_INVALID_STATE : API_INTERNAL;
	return command_apply(d, &c);
}
