/* Locking the identity, and by what it is locked. */
#include "daemon/command_int.h"
#include "daemon/log.h"
#include "daemon/turn.h"

/* Contacts hear that we go, whoever reads the log why. */
static void
take_leave(struct daemon *d)
{
	if (!d->node || d->turn_failed)
		return;
	node_stop(d->node, d->now);
	if (!daemon_apply(d) ||
	    command_identity_event(d, EVENT_IDENTITY_LOCKED))
		d->turn_failed = true;
}

enum api_error
command_identity_lock(struct daemon *d)
{
	daemon_wake(d);
	if (keyring_state(d->keyring) == KEYRING_NONE)
		return API_IDENTITY_NOT_FOUND;
	if (keyring_state(d->keyring) == KEYRING_LOCKED)
		return API_OK;
	if (!keyring_sealed(d->keyring))
		return API_INVALID_STATE;
	/* A turn of its own: what others asked for is not lost with it. */
	daemon_drain(d);
	take_leave(d);
	turn_lock(d);
	log_event(LOG_NOTICE, "locked",
	    "keys are wiped; waiting for the passphrase (btchatctl id unlock)");
	return API_OK;
}

static enum api_error
passphrase_error(enum err err)
{
	switch (err) {
	case ERR_OK:
		return API_OK;
	case ERR_AUTH:
		return API_BAD_PASSPHRASE;
	case ERR_TOO_LONG:
		return API_INVALID_PARAMS;
	case ERR_NOMEM:
		return API_CRYPTO;
	case ERR_STATE:
		return API_LOCKED;
	case ERR_LIMIT:
		return API_STORAGE_FULL;
	case ERR_MALFORMED:
	case ERR_UNSUPPORTED:
	case ERR_REPLAY:
	case ERR_NOT_FOUND:
	case ERR_EXISTS:
	case ERR_EXPIRED:
	case ERR_BAD_KEY:
	case ERR_CONFLICT:
	case ERR_IO:
		break;
	}
	return API_STORAGE_ERROR;
}

/* Who has the daemon is not who has the key: the old one must be known. The
 * event is durable first, for it may be told once too often, but no answer may
 * say that nothing happened when the file is another one. */
enum api_error
command_identity_passphrase(
    struct daemon *d, struct span old, struct span fresh)
{
	enum api_error code = command_begin(d);
	enum err err;

	if (code)
		return code;
	err = keyring_check_passphrase(d->keyring, old);
	if (err)
		return passphrase_error(err);
	code = command_identity_event(d, EVENT_IDENTITY_CHANGED);
	if (!code && !daemon_commit(d))
		code = store_error(d->store);
	if (code)
		return code;
	err = keyring_set_passphrase(d->keyring, fresh);
	daemon_wake(d); /* it took its time */
	if (err) {
		log_event(LOG_ERR, "key-replace", "err=%s", err_name(err));
		return passphrase_error(err);
	}
	log_event(keyring_sealed(d->keyring) ? LOG_NOTICE : LOG_WARNING,
	    "key-replaced", "%s %s", KEYRING_FILE,
	    keyring_sealed(d->keyring)
	        ? "is sealed by another passphrase"
	        : "has no passphrase: who reads it is you");
	return API_OK;
}
