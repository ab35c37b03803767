#include "daemon/command_int.h"

#include "daemon/bootstrap.h"
#include "daemon/log.h"
#include "daemon/turn.h"
#include "daemon/view.h"
#include "proto/base/text.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum api_error
command_apply(struct daemon *d, const struct command *c)
{
	bool good;

	assert(!d->command);
	d->command = c;
	good = daemon_apply(d);
	d->command = NULL;
	return good ? API_OK : store_error(d->store);
}

enum api_error
command_begin(struct daemon *d)
{
	enum api_error code;

	daemon_wake(d);
	code = daemon_ready(d);
	if (!code && !daemon_apply(d))
		code = store_error(d->store);
	return code;
}

/* As that, but words that follow others leave them where they are: the node
 * keeps them until somebody else comes or the turn ends, and all are applied at
 * once. The datagrams that they leave in are fuller for it, too. */
static enum api_error
begin_words(struct daemon *d, const struct node_words *words)
{
	bool follows = d->words_wait && !words->ref;

	return follows ? daemon_ready(d) : command_begin(d);
}

enum api_error
command_lost(struct daemon *d)
{
	d->turn_failed = true;
	return store_error(d->store);
}

static bool
is_line(struct span s, size_t max)
{
	return s.n <= max && utf8_is_line(s);
}

enum api_error
command_log(struct daemon *d, enum event_type type,
    const struct contact_id *conv, struct json_out *o)
{
	struct event_row e = { .type = type, .has_conv = conv != NULL };
	bool good;

	json_close(o, '}');
	e.body = span_of(o->p, o->n);
	if (conv)
		e.conv = *conv;
	good = !o->bad && daemon_event(d, &e);
	json_out_clear(o);
	return good ? API_OK : command_lost(d);
}

/* ---- identity ---- */

enum api_error
command_identity_event(struct daemon *d, enum event_type type)
{
	struct json_out o = { .max = EVENT_BODY_MAX };
	char address[ADDRESS_SIZE];
	struct id_pk id;

	if (!node_id(d->node, &id))
		return API_INTERNAL;
	address_encode(&id, address);
	json_open(&o, '{');
	json_put_str(&o, "address", address);
	return command_log(d, type, NULL, &o);
}

enum api_error
command_begin_identity(struct daemon *d, enum event_type type)
{
	enum err err = store_set_key(d->store, keyring_store_key(d->keyring));

	if (err == ERR_AUTH) {
		log_event(LOG_ERR, "key-foreign",
		    "%s is not the key of this %s", KEYRING_FILE, STORE_FILE);
		keyring_lock(d->keyring);
		return API_CRYPTO;
	}
	if (!err)
		err = store_load_node(
		    d->store, d->node, keyring_seed(d->keyring), d->now);
	if (err)
		return command_lost(d);
	if (!daemon_apply(d))
		return store_error(d->store);
	return command_identity_event(d, type);
}

enum api_error
command_no_key(enum err err)
{
	log_event(LOG_ERR, "key-create", "err=%s", err_name(err));
	if (err == ERR_LIMIT)
		return API_STORAGE_FULL;
	return err == ERR_NOMEM ? API_CRYPTO : API_STORAGE_ERROR;
}

enum api_error
command_identity_create(struct daemon *d, struct span passphrase)
{
	enum err err;

	daemon_wake(d);
	if (keyring_state(d->keyring) != KEYRING_NONE)
		return API_ALREADY_EXISTS;
	if (!d->node || d->turn_failed)
		return store_error(d->store);
	if (store_is_sealed(d->store)) {
		log_event(LOG_ERR, "key-missing",
		    "%s is there, its %s is not; repair: put back a copy of it",
		    STORE_FILE, KEYRING_FILE);
		return API_INVALID_STATE;
	}
	err = keyring_create(d->keyring, passphrase);
	if (err == ERR_EXISTS)
		return API_ALREADY_EXISTS;
	if (err == ERR_TOO_LONG)
		return API_INVALID_PARAMS;
	if (err)
		return command_no_key(err);
	if (!keyring_sealed(d->keyring))
		log_event(LOG_WARNING, "key-plain",
		    "%s has no passphrase: who reads it is you", KEYRING_FILE);
	return command_begin_identity(d, EVENT_IDENTITY_CHANGED);
}

enum api_error
command_identity_unlock(struct daemon *d, struct span passphrase)
{
	enum err err;

	daemon_wake(d);
	if (keyring_state(d->keyring) == KEYRING_NONE)
		return API_IDENTITY_NOT_FOUND;
	if (keyring_state(d->keyring) != KEYRING_LOCKED)
		return API_INVALID_STATE;
	if (!d->node || d->turn_failed)
		return store_error(d->store);
	err = keyring_unlock(d->keyring, passphrase);
	if (err == ERR_AUTH)
		return API_BAD_PASSPHRASE;
	if (err)
		return API_CRYPTO;
	daemon_wake(d); /* the passphrase took its time */
	return command_begin_identity(d, EVENT_IDENTITY_UNLOCKED);
}

enum api_error
command_identity_name(struct daemon *d, struct span name)
{
	char old[STORE_NAME_MAX + 1];
	enum api_error code = command_begin(d);
	uint64_t created_ms = d->now.wall_ms;
	enum err err;

	if (code)
		return code;
	if (!is_line(name, STORE_NAME_MAX))
		return API_INVALID_PARAMS;
	err = store_profile_get(d->store, old, &created_ms);
	if (err && err != ERR_NOT_FOUND && err != ERR_AUTH)
		return API_STORAGE_ERROR;
	if (store_profile_set(d->store, name, created_ms))
		return command_lost(d);
	return command_identity_event(d, EVENT_IDENTITY_CHANGED);
}

struct telling {
	struct daemon *d;
	struct node_words words;
};

/* An outbox that is full hears of the next one. */
static bool
tell_contact(void *ctx, const struct store_contact *c)
{
	struct telling *t = ctx;
	struct message_id id;

	if (c->state == CONTACT_READY &&
	    node_message_send(t->d->node, &c->id, &t->words, &id, t->d->now))
		log_event(LOG_WARNING, "profile-not-told", "peer=%s",
		    log_id(c->id.b).s);
	return true;
}

enum api_error
command_identity_profile(struct daemon *d, struct span profile)
{
	const struct command none = { .history = false };
	struct telling t = { d, { .kind = MESSAGE_PROFILE, .text = profile } };
	struct store_place from = { .set = false }, next;
	enum api_error code = command_begin(d);

	if (code)
		return code;
	if (!is_line(profile, STORE_NAME_MAX))
		return API_INVALID_PARAMS;
	if (store_told_set(d->store, profile) ||
	    store_contacts(d->store, from, 0, tell_contact, &t, &next))
		return command_lost(d);
	code = command_apply(d, &none);
	return code ? code : command_identity_event(d, EVENT_IDENTITY_CHANGED);
}

/* ---- requests that may come twice ---- */

void
command_digest(
    const char *method, struct span a, struct span b, uint8_t ret[32])
{
	crypto_generichash_state h;
	uint8_t n[8];
	struct writer w = wr_init(n, sizeof(n));

	wr_u64le(&w, a.n);
	(void)crypto_generichash_init(&h, NULL, 0, 32);
	(void)crypto_generichash_update(
	    &h, (const uint8_t *)method, strlen(method) + 1);
	(void)crypto_generichash_update(&h, n, sizeof(n));
	(void)crypto_generichash_update(&h, a.p, a.n);
	(void)crypto_generichash_update(&h, b.p, b.n);
	(void)crypto_generichash_final(&h, ret, 32);
}

enum api_error
command_was_done(struct daemon *d, struct span client_id,
    const uint8_t digest[32], uint8_t ret[16], bool *ret_done)
{
	enum err err = ERR_NOT_FOUND;

	if (client_id.n > 0)
		err = store_client_get(d->store, client_id, digest, ret);
	*ret_done = err == ERR_OK;
	if (err == ERR_OK || err == ERR_NOT_FOUND)
		return API_OK;
	return err == ERR_CONFLICT ? API_CLIENT_ID_REUSED : API_STORAGE_ERROR;
}

enum api_error
command_remember(struct daemon *d, struct span client_id,
    const uint8_t digest[32], const uint8_t result[16])
{
	if (client_id.n == 0)
		return API_OK;
	if (store_client_put(
	        d->store, client_id, digest, result, d->now.wall_ms))
		return command_lost(d);
	return API_OK;
}

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
	if (!is_line(in->name, STORE_NAME_MAX) ||
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
	if (name.n == 0 && is_line(span_str(suggested), STORE_NAME_MAX))
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
	if (!is_line(name, STORE_NAME_MAX))
		return API_INVALID_PARAMS;
	err = store_contact_rename(d->store, id, name);
	if (err == ERR_NOT_FOUND)
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
	if (!is_line(label, STORE_LABEL_MAX) || ttl_s == 0 ||
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
	if (err == ERR_NOT_FOUND && !store_invite_get(d->store, id, &i))
		return API_INVALID_STATE; /* used or gone already */
	if (err == ERR_NOT_FOUND)
		return API_INVITE_NOT_FOUND;
	if (err)
		return err == ERR_STATE ? API_INVALID_STATE : API_INTERNAL;
	return command_apply(d, &c);
}

/* ---- messages ---- */

static enum api_error
send_error(enum err err)
{
	switch (err) {
	case ERR_NOT_FOUND:
		return API_CONTACT_NOT_FOUND;
	case ERR_TOO_LONG:
		return API_MESSAGE_TOO_LONG;
	case ERR_MALFORMED:
		return API_INVALID_PARAMS;
	case ERR_LIMIT:
		return API_QUOTA;
	case ERR_STATE:
		return API_INVALID_STATE;
	case ERR_OK:
	case ERR_UNSUPPORTED:
	case ERR_AUTH:
	case ERR_REPLAY:
	case ERR_NOMEM:
	case ERR_EXISTS:
	case ERR_EXPIRED:
	case ERR_BAD_KEY:
	case ERR_CONFLICT:
	case ERR_IO:
		break;
	}
	return API_INTERNAL;
}

/* What words are about must be there, and ours if they change it. */
static enum api_error
check_ref(
    struct daemon *d, const struct contact_id *conv, const struct node_words *w)
{
	struct store_message m;
	enum err err = store_message_get(d->store, conv, w->ref, &m);

	if (err && err != ERR_NOT_FOUND && err != ERR_AUTH)
		return API_STORAGE_ERROR;
	if (err || m.m.kind != MESSAGE_TEXT || m.deleted)
		return API_MESSAGE_NOT_FOUND;
	if ((w->kind == MESSAGE_EDIT || w->kind == MESSAGE_DELETE) &&
	    !store_message_is_ours(&m))
		return API_INVALID_STATE;
	return API_OK;
}

static void
send_digest(const struct command_send *in, uint8_t ret[32])
{
	static const struct message_id none;
	const struct message_id *ref = in->words.ref ? in->words.ref : &none;
	uint8_t what[1 + sizeof(in->to.b) + sizeof(ref->b)];
	struct writer w = wr_init(what, sizeof(what));

	wr_u8(&w, (uint8_t)in->words.kind);
	wr_bytes(&w, in->to.b, sizeof(in->to.b));
	wr_bytes(&w, ref->b, sizeof(ref->b));
	command_digest("message.send", wr_span_of(&w), in->words.text, ret);
}

enum api_error
command_message_send(struct daemon *d, const struct command_send *in,
    struct message_id *ret, bool *ret_duplicate)
{
	enum api_error code = begin_words(d, &in->words);
	struct node_words words;
	uint8_t digest[32] = { 0 };
	enum err err;

	*ret_duplicate = false;
	if (code)
		return code;
	if (!is_line(in->client_id, API_CLIENT_ID_MAX))
		return API_INVALID_PARAMS;
	if (in->client_id.n > 0)
		send_digest(in, digest);
	code =
	    command_was_done(d, in->client_id, digest, ret->b, ret_duplicate);
	if (code || *ret_duplicate)
		return code;
	if (in->words.ref)
		code = check_ref(d, &in->to, &in->words);
	if (code)
		return code;
	words = in->words;
	words.note = in->client_id;
	/* One that cannot be read may say that the text is to disappear. */
	if (words.kind == MESSAGE_TEXT && !in->has_ttl &&
	    store_conv_ttl(d->store, &in->to, &words.ttl_s))
		return API_STORAGE_ERROR;
	err = node_message_send(d->node, &in->to, &words, ret, d->now);
	if (err == ERR_STATE)
		return API_BLOCKED;
	if (err)
		return send_error(err);
	d->words_wait = true;
	return command_remember(d, in->client_id, digest, ret->b);
}

enum api_error
command_message_forget(struct daemon *d, const struct contact_id *conv,
    const struct message_id *id)
{
	struct event_row e = { .type = EVENT_MESSAGE_DELETED,
		.has_conv = true,
		.conv = *conv,
		.has_ref = true,
		.ref = *id };
	struct store_message m;
	enum api_error code = command_begin(d);
	enum err err;

	if (code)
		return code;
	err = store_message_get(d->store, conv, id, &m);
	if (!err)
		err = store_message_delete(d->store, conv, id);
	if (err)
		return err == ERR_NOT_FOUND || err == ERR_AUTH
		           ? API_MESSAGE_NOT_FOUND
		           : command_lost(d);
	e.ours = store_message_is_ours(&m);
	return daemon_event(d, &e) ? API_OK : command_lost(d);
}

/* ---- the network ---- */

enum api_error
command_bootstrap(struct daemon *d, const char *host_port)
{
	enum err err;

	daemon_wake(d);
	err = bootstrap_add(d, host_port);
	if (err == ERR_MALFORMED)
		return API_INVALID_PARAMS;
	return err ? API_QUOTA : API_OK;
}
