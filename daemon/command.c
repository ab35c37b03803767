/* What all commands have in common, and the identity. */
#include "daemon/command_int.h"

#include "daemon/bootstrap.h"
#include "daemon/log.h"
#include "daemon/turn.h"
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

enum api_error
command_lost(struct daemon *d)
{
	d->turn_failed = true;
	return store_error(d->store);
}

bool
command_is_line(struct span s, size_t max)
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
	if (!command_is_line(name, STORE_NAME_MAX))
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
	if (!command_is_line(profile, STORE_NAME_MAX))
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

enum api_error
command_probe(struct daemon *d, const struct contact_id *id)
{
	enum api_error code = command_begin(d);
	struct node_contact_info info;
	struct node_why why;

	if (code)
		return code;
	if (!node_contact_get(d->node, id, &info) ||
	    !node_contact_why(d->node, id, &why))
		return API_CONTACT_NOT_FOUND;
	if (info.state == CONTACT_BLOCKED)
		return API_BLOCKED;
	if (node_ping(d->node, id, d->now))
		return why.verdict == WHY_NO_NETWORK ? API_OFFLINE
		                                     : API_PEER_UNREACHABLE;
	return API_OK;
}
