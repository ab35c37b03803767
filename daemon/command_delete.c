/* The way out for good: an identity and all that is kept of it. */
#include "daemon/command_int.h"
#include "daemon/erase.h"
#include "daemon/log.h"
#include "daemon/sd.h"
#include "daemon/turn.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>

static bool
is_ours(const struct daemon *d, struct span address)
{
	char ours[ADDRESS_SIZE];
	struct id_pk id;
	struct id_sk sk;

	identity_from_seed(keyring_seed(d->keyring), &id, &sk);
	sodium_memzero(&sk, sizeof(sk));
	address_encode(&id, ours);
	return span_eq(address, span_str(ours));
}

/* Contacts see us go, who is subscribed hears that nobody is here any more.
 * Where the store cannot be written it is done without. */
static void
take_leave(struct daemon *d)
{
	static const char nobody[] = "{\"address\":null}";
	struct event_row e = { .type = EVENT_IDENTITY_CHANGED };

	if (!d->node || d->turn_failed)
		return;
	e.body = span_of(nobody, sizeof(nobody) - 1);
	node_stop(d->node, d->now);
	if (!daemon_apply(d) || !daemon_event(d, &e))
		d->turn_failed = true;
}

/* There is no way back: what fails here ends the process, and the next start
 * goes on with it. */
static void
erase(struct daemon *d)
{
	bool done;
	enum err err = erase_finish(d->state_dir_fd, &done);

	if (!err)
		return;
	log_event(LOG_ERR, "erase-failed",
	    "a file of %s stays; stopping, to try again", d->config.state);
	sd_failed(EIO);
	exit(DAEMON_EX_TEMPFAIL);
}

enum api_error
command_identity_delete(struct daemon *d, struct span address)
{
	enum err err;

	daemon_wake(d);
	if (keyring_state(d->keyring) == KEYRING_NONE)
		return API_IDENTITY_NOT_FOUND;
	if (keyring_state(d->keyring) == KEYRING_LOCKED)
		return API_LOCKED;
	if (!is_ours(d, address))
		return API_INVALID_PARAMS;
	daemon_drain(d); /* what was asked before it is answered */
	err = erase_begin(d->state_dir_fd);
	if (err) {
		log_event(LOG_ERR, "key-erase", "err=%s", err_name(err));
		return err == ERR_LIMIT ? API_STORAGE_FULL : API_STORAGE_ERROR;
	}
	take_leave(d);
	turn_forget(d);
	erase(d);
	turn_anew(d);
	log_event(LOG_NOTICE, "identity-deleted",
	    "its keys and all that was stored are erased");
	return API_OK;
}
