/* Backups of this daemon, and the identity alone. */
#include "daemon/backup.h"
#include "daemon/command_int.h"
#include "daemon/log.h"
#include "daemon/sd.h"
#include "daemon/turn.h"

#include <assert.h>
#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

static enum api_error
code_of(enum err err)
{
	switch (err) {
	case ERR_OK:
		return API_OK;
	case ERR_AUTH:
		return API_BAD_PASSPHRASE;
	case ERR_MALFORMED:
	case ERR_UNSUPPORTED:
		return API_BACKUP_INVALID;
	case ERR_LIMIT:
		return API_STORAGE_FULL;
	case ERR_NOMEM:
		return API_CRYPTO;
	case ERR_STATE:
	case ERR_REPLAY:
	case ERR_NOT_FOUND:
	case ERR_EXISTS:
	case ERR_EXPIRED:
	case ERR_TOO_LONG:
	case ERR_BAD_KEY:
	case ERR_CONFLICT:
	case ERR_IO:
		break;
	}
	return API_STORAGE_ERROR;
}

/* Everything is stored, and nothing waits for the end of the turn. */
static enum api_error
settle(struct daemon *d)
{
	daemon_wake(d);
	if (!d->node || d->turn_failed)
		return store_error(d->store);
	if (!daemon_apply(d) || !daemon_commit(d))
		return store_error(d->store);
	return API_OK;
}

/* ---- making ---- */

static enum api_error
write_to(struct daemon *d, struct span pass, int fd, bool whole,
    struct backup_about *ret)
{
	char name[STORE_NAME_MAX + 1] = "";
	struct backup_source from = { .dir = d->config.state, .name = name };
	uint64_t created_ms;
	enum err err;
	enum api_error code = settle(d);

	if (!code)
		code = daemon_ready(d);
	if (code)
		return code;
	err = store_profile_get(d->store, name, &created_ms);
	if (err && err != ERR_NOT_FOUND && err != ERR_AUTH)
		return code_of(err);
	from.store = whole ? d->store : NULL;
	from.seed = keyring_seed(d->keyring);
	from.key = keyring_store_key(d->keyring);
	from.now_ms = d->now.wall_ms;
	code = code_of(backup_write(fd, pass, &from, ret));
	daemon_wake(d); /* it took its time */
	return code;
}

enum api_error
command_backup_create(
    struct daemon *d, struct span pass, int fd, struct backup_about *ret)
{
	return write_to(d, pass, fd, true, ret);
}

enum api_error
command_identity_export(
    struct daemon *d, struct span pass, int fd, struct backup_about *ret)
{
	return write_to(d, pass, fd, false, ret);
}

enum api_error
command_backup_verify(
    struct daemon *d, struct span pass, int fd, struct backup_about *ret)
{
	enum api_error code = code_of(backup_verify(fd, pass, ret));

	daemon_wake(d);
	return code;
}

/* ---- taking back ---- */

static enum api_error
may_begin(struct daemon *d)
{
	enum api_error code = settle(d);

	if (!code && keyring_state(d->keyring) != KEYRING_NONE)
		return API_ALREADY_EXISTS;
	return code;
}

/* The store of a lost key is not overwritten; one that an earlier try to
 * restore this backup has put there is. */
static bool
may_replace(struct daemon *d, const struct store_key *key)
{
	bool same = true;

	if (!store_is_sealed(d->store))
		return true;
	if (store_set_key(d->store, key))
		same = false;
	store_rollback(d->store);
	return same;
}

/* There is no way back: what fails here ends the process, and what is in its
 * place then is whole. */
static void
replace_store(struct daemon *d)
{
	daemon_close_store(d);
	if (backup_install(d->config.state)) {
		log_event(
		    LOG_ERR, "store-broken", "not in its place; stopping");
		sd_failed(EIO);
		exit(DAEMON_EX_TEMPFAIL);
	}
	turn_open_store(d);
}

static enum api_error
take_keys(struct daemon *d, const struct id_seed *seed,
    const struct store_key *key, struct span pass)
{
	enum err err = keyring_import(d->keyring, seed, key, pass);

	if (err)
		return command_no_key(err);
	daemon_wake(d);
	return command_begin_identity(d, EVENT_IDENTITY_CHANGED);
}

enum api_error
command_backup_restore(
    struct daemon *d, struct span pass, int fd, struct backup_about *ret)
{
	struct backup_keys keys = { .seed = { { 0 } } };
	enum api_error code = may_begin(d);

	if (!code)
		code = code_of(
		    backup_stage(fd, pass, d->config.state, &keys, ret));
	if (!code && !may_replace(d, &keys.key)) {
		backup_discard(d->config.state);
		code = API_INVALID_STATE;
	}
	if (!code) {
		replace_store(d);
		code = take_keys(d, &keys.seed, &keys.key, pass);
	}
	sodium_memzero(&keys, sizeof(keys));
	if (!code)
		log_event(LOG_NOTICE, "restored", "contacts=%llu messages=%llu",
		    (unsigned long long)ret->contacts,
		    (unsigned long long)ret->messages);
	return code;
}

enum api_error
command_identity_import(
    struct daemon *d, struct span pass, int fd, struct backup_about *ret)
{
	struct id_seed seed = { { 0 } };
	enum api_error code = may_begin(d);

	if (!code && store_is_sealed(d->store))
		code = API_INVALID_STATE;
	if (!code)
		code = code_of(backup_identity(fd, pass, &seed, ret));
	if (!code)
		code = take_keys(d, &seed, NULL, pass);
	sodium_memzero(&seed, sizeof(seed));
	if (!code &&
	    store_profile_set(d->store, span_str(ret->name), d->now.wall_ms)) {
		d->turn_failed = true;
		code = store_error(d->store);
	}
	return code;
}
