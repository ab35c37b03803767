#include "daemon/start.h"

#include "daemon/addr.h"
#include "daemon/backup.h"
#include "daemon/bootstrap.h"
#include "daemon/clock.h"
#include "daemon/confine.h"
#include "daemon/erase.h"
#include "daemon/keyfile.h"
#include "daemon/lan.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/portmap.h"
#include "daemon/sanitizer.h"
#include "daemon/settings.h"
#include "daemon/sockets.h"
#include "daemon/statedir.h"
#include "daemon/turn.h"
#include "daemon/upnp.h"
#include "daemon/wipe.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	PORT_FIRST = 16384, /* above what services use, 1024 and more anyway */
	PORT_TRIES = 32,
};

void
start_harden(void)
{
	const struct rlimit none = { 0, 0 };

	(void)umask(077);
	(void)setrlimit(RLIMIT_CORE, &none);
#ifndef UNDER_SANITIZER
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
#endif
	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)signal(SIGPIPE, SIG_IGN);
}

static void
fill_random(void *ctx, void *buf, size_t n)
{
	(void)ctx;
	randombytes_buf(buf, n);
}

/* ---- keys and store ---- */

static int
check_not_cut(const struct daemon *d)
{
	if (!turn_store_is_cut(d))
		return DAEMON_EX_OK;
	log_event(LOG_ERR, "store-empty",
	    "%s/%s is empty, but there is a key; repair: put back a copy, or"
	    " remove it to begin without history",
	    d->config.state, STORE_FILE);
	return DAEMON_EX_FAILED;
}

/* A passphrase that the service manager keeps. A wrong one is no reason to
 * stop: the right one may still come over the socket. */
static void
unlock_by_credential(struct daemon *d)
{
	uint8_t pass[KEYRING_PASS_MAX + 1];
	size_t n = 0;
	enum err err = sd_credential("passphrase", pass, sizeof(pass), &n);

	if (err == ERR_NOT_FOUND) {
		log_event(LOG_NOTICE, "locked",
		    "waiting for the passphrase (btchatctl id unlock)");
		return;
	}
	while (n > 0 && (pass[n - 1] == '\n' || pass[n - 1] == '\r'))
		n--;
	if (!err)
		err = keyring_unlock(d->keyring, span_of(pass, n));
	sodium_memzero(pass, sizeof(pass));
	if (err)
		log_event(LOG_WARNING, "credential-refused",
		    "err=%s: staying locked", err_name(err));
}

/* An identity that was deleted in a life that was cut off. */
static int
finish_erasing(struct daemon *d)
{
	bool done;

	if (erase_finish(d->state_dir_fd, &done)) {
		log_event(LOG_ERR, "erase-failed",
		    "%s: what was deleted cannot be removed; repair: remove"
		    " %s, %s, %s and, last, %s",
		    d->config.state, STORE_FILE, STORE_FILE "-wal",
		    KEYFILE_NAME, ERASE_FILE);
		return DAEMON_EX_FAILED;
	}
	if (done)
		log_event(LOG_NOTICE, "identity-deleted",
		    "%s: what an earlier life began is done", d->config.state);
	return DAEMON_EX_OK;
}

static int
open_keys(struct daemon *d)
{
	char why[KEYRING_WHY_SIZE];

	if (finish_erasing(d))
		return DAEMON_EX_FAILED;
	if (keyring_open(d->state_dir_fd, &d->keyring, why)) {
		log_event(
		    LOG_ERR, "key-refused", "%s/%s", d->config.state, why);
		return DAEMON_EX_FAILED;
	}
	if (keyring_state(d->keyring) == KEYRING_LOCKED)
		unlock_by_credential(d);
	else if (keyring_state(d->keyring) == KEYRING_OPEN)
		log_event(LOG_WARNING, "key-plain",
		    "%s/%s has no passphrase: who reads it is you",
		    d->config.state, KEYRING_FILE);
	return check_not_cut(d);
}

static int
open_store(struct daemon *d)
{
	char why[STORE_WHY_SIZE];
	enum err err;

	backup_discard(d->config.state); /* of a life that was cut off */
	err = store_open(d->config.state, &d->store, why);

	if (err) {
		log_event(LOG_ERR, "store-refused", "%s", why);
		return DAEMON_EX_FAILED;
	}
	if (keyring_state(d->keyring) == KEYRING_NONE &&
	    store_is_sealed(d->store))
		log_event(LOG_WARNING, "key-missing",
		    "%s is there, its %s is not; repair: put back a copy of it",
		    STORE_FILE, KEYRING_FILE);
	if (keyring_state(d->keyring) != KEYRING_OPEN)
		return DAEMON_EX_OK;
	err = store_set_key(d->store, keyring_store_key(d->keyring));
	if (!err)
		err = store_commit(d->store);
	if (err == ERR_AUTH)
		log_event(LOG_ERR, "key-foreign",
		    "%s is not the key of this %s; repair: put back the one"
		    " that is",
		    KEYRING_FILE, STORE_FILE);
	else if (err)
		log_event(LOG_ERR, "store-refused", "err=%s", err_name(err));
	return err ? DAEMON_EX_FAILED : DAEMON_EX_OK;
}

/* ---- sockets ---- */

/* The port of earlier starts; 0: none yet. */
static enum err
kept_port(struct daemon *d, uint16_t *ret)
{
	uint8_t b[2];
	size_t n = 0;
	struct reader r;
	enum err err = store_meta_get(d->store, "port", b, sizeof(b), &n);

	*ret = 0;
	if (err == ERR_NOT_FOUND || err == ERR_TOO_LONG)
		return ERR_OK;
	if (err || n != sizeof(b))
		return err;
	r = rd_init(span_of(b, sizeof(b)));
	*ret = rd_u16be(&r);
	return ERR_OK;
}

static int
keep_port(struct daemon *d, uint16_t port)
{
	uint8_t b[2];
	struct writer w = wr_init(b, sizeof(b));

	wr_u16be(&w, port);
	if (store_meta_set(d->store, "port", span_of(b, sizeof(b))) ||
	    store_commit(d->store)) {
		log_event(LOG_ERR, "store-refused", "the port was not kept");
		return DAEMON_EX_FAILED;
	}
	return DAEMON_EX_OK;
}

/* Opens all of list on `port` where they name none. A family that the system
 * does not have is left out, if `optional`. */
static enum err
listen_all(struct daemon *d, const struct endpoint *list, size_t n,
    uint16_t port, char why[UDP_WHY_SIZE])
{
	bool optional = d->config.n_listen == 0;

	for (size_t i = 0; i < n; i++) {
		struct endpoint at = list[i];
		enum err err;

		if (at.port == 0)
			at.port = port;
		err = udp_listen(d->udp, &at, why);
		if (err == ERR_UNSUPPORTED && optional) {
			log_event(LOG_INFO, "family-missing", "%s", why);
			continue;
		}
		if (err)
			return err;
	}
	return ERR_OK;
}

static bool
wants_port(const struct endpoint *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (list[i].port == 0)
			return true;
	return false;
}

/* A new port is drawn until one is free; a kept one is the only one, for
 * contacts know it. Where it cannot be read, another does until the next start,
 * and does not take its place. */
static int
listen_somewhere(struct daemon *d, const struct endpoint *list, size_t n)
{
	bool wants = wants_port(list, n);
	uint16_t port = 0;
	char why[UDP_WHY_SIZE] = "";
	enum err err = ERR_EXISTS;
	enum err kept = wants ? kept_port(d, &port) : ERR_OK;
	bool fresh = wants && port == 0;

	if (kept)
		log_event(LOG_WARNING, "port-not-read",
		    "the port that contacts know cannot be read: another one"
		    " until the next start");
	for (int i = 0; i < PORT_TRIES && err == ERR_EXISTS; i++) {
		if (fresh)
			port = (uint16_t)(PORT_FIRST +
			                  randombytes_uniform(
			                      UINT16_MAX - PORT_FIRST));
		udp_free(d->udp);
		d->udp = NULL;
		if (udp_new(&d->udp))
			return DAEMON_EX_FAILED;
		err = listen_all(d, list, n, port, why);
		if (!fresh)
			break;
	}
	if (err) {
		log_event(LOG_ERR, "listen-failed",
		    "%s; repair: end who uses it, or choose another address"
		    " with --listen",
		    why);
		return DAEMON_EX_FAILED;
	}
	return fresh && !kept ? keep_port(d, port) : DAEMON_EX_OK;
}

static int
adopt_sockets(struct daemon *d, size_t *ret_n)
{
	char why[UDP_WHY_SIZE];
	int fd;

	*ret_n = 0;
	while ((fd = sd_fd_named(&d->fds, "udp")) >= 0) {
		if (udp_adopt(d->udp, fd, why)) {
			log_event(LOG_ERR, "listen-fds", "%s", why);
			(void)close(fd);
			return DAEMON_EX_FAILED;
		}
		(*ret_n)++;
	}
	return DAEMON_EX_OK;
}

static int
open_sockets(struct daemon *d)
{
	static const uint8_t any4[4];
	struct endpoint any[FAMILY_COUNT] = { { .port = 0 } };
	size_t adopted = 0;
	int code;

	if (udp_new(&d->udp))
		return DAEMON_EX_FAILED;
	code = adopt_sockets(d, &adopted);
	if (code || adopted)
		return code;
	any[FAMILY_V4] = endpoint_v4(any4, 0);
	if (d->config.n_listen)
		code =
		    listen_somewhere(d, d->config.listen, d->config.n_listen);
	else
		code = listen_somewhere(d, any, FAMILY_COUNT);
	if (!code && udp_fd(d->udp, FAMILY_V4) < 0 &&
	    udp_fd(d->udp, FAMILY_V6) < 0) {
		log_event(LOG_ERR, "listen-failed", "no UDP socket at all");
		code = DAEMON_EX_FAILED;
	}
	return code;
}

/* ---- all ---- */

static int
start_parts(struct daemon *d)
{
	int code = open_keys(d);

	if (!code)
		code = open_store(d);
	if (!code)
		code = open_sockets(d);
	if (code)
		return code;
	if (turn_new(d) || loop_new(d) || sockets_new(d) || turn_begin(d) ||
	    portmap_new(d) || lan_new(d)) {
		log_event(LOG_ERR, "start-failed", "no memory, or the store");
		return DAEMON_EX_FAILED;
	}
	return DAEMON_EX_OK;
}

static void
log_started(const struct daemon *d)
{
	char text[ADDR_TEXT_SIZE];
	char list[FAMILY_COUNT * (ADDR_TEXT_SIZE + 1) + 1] = "";
	size_t n = 0;

	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		struct endpoint at;

		if (!udp_bound(d->udp, (enum family)f, &at))
			continue;
		addr_format(&at, text);
		n += (size_t)snprintf(
		    list + n, sizeof(list) - n, "%s%s", n ? "," : "", text);
	}
	log_event(LOG_NOTICE, "started", "version=%s state=%s listen=%s",
	    BTCHAT_VERSION, d->config.state, list);
}

int
start_all(struct daemon *d)
{
	char why[STATEDIR_WHY_SIZE];
	int code;

	assert(!d->store && !d->node);
	if (sodium_init() < 0) {
		log_event(LOG_ERR, "start-failed", "no randomness");
		return DAEMON_EX_FAILED;
	}
	/* In the sandbox it cannot be asked for. */
	d->undumpable = prctl(PR_GET_DUMPABLE, 0, 0, 0, 0) == 0;
	d->all_locked = wipe_lock_memory();
	if (!d->all_locked)
		log_event(LOG_INFO, "memory",
		    "keys at rest are kept out of swap; all memory is, if the"
		    " limit memlock is unlimited");
	d->rng = (struct rng){ fill_random, NULL };
	daemon_wake(d);
	d->started_ms = d->now.wall_ms;
	d->state_dir_fd = -1;
	if (sd_take_fds(&d->fds))
		return DAEMON_EX_FAILED;
	if (statedir_open(d->config.state, &d->state_dir_fd, why)) {
		log_event(LOG_ERR, "state-refused", "%s", why);
		return DAEMON_EX_FAILED;
	}
	code = start_parts(d);
	if (!code)
		log_started(d);
	return code;
}

int
start_confined(struct daemon *d)
{
	if (confine_daemon(d))
		return DAEMON_EX_FAILED;
	/* Makes threads, which are confined as we are. */
	if (bootstrap_new(d)) {
		log_event(LOG_ERR, "start-failed", "no memory");
		return DAEMON_EX_FAILED;
	}
	return DAEMON_EX_OK;
}

void
start_undo(struct daemon *d)
{
	lan_free(d);
	portmap_free(d);
	upnp_end(d);
	bootstrap_free(d);
	sockets_free(d);
	node_free(d->node);
	d->node = NULL;
	turn_free(d);
	loop_free(d);
	udp_free(d->udp);
	d->udp = NULL;
	daemon_close_store(d);
	keyring_close(d->keyring);
	d->keyring = NULL;
	statedir_close(d->state_dir_fd);
	d->state_dir_fd = -1;
	settings_free(d);
}
