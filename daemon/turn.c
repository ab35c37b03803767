#include "daemon/turn.h"

#include "daemon/apply.h"
#include "daemon/bootstrap.h"
#include "daemon/clock.h"
#include "daemon/lan.h"
#include "daemon/log.h"
#include "daemon/loop.h"
#include "daemon/portmap.h"
#include "daemon/search.h"
#include "daemon/sockets.h"
#include "daemon/waiting.h"
#include "daemon/wipe.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum {
	RECOVER_FIRST_MS = 1000,
	RECOVER_MAX_MS = 30000,
	TAMPERED_AGAIN_MS = 3600 * 1000,
	ROOM_AGAIN_MS = 5000,
	ROOM_MARGIN = 8, /* of the reserve more makes a low disk good again */
};

struct turn {
	uint64_t retry_ms;         /* pause before the next turn_recover */
	uint64_t tell_tampered_ms; /* not again before */
	bool events_moved;         /* a commit may have brought events */
	uint64_t room_ms;          /* then the disk is looked at again */
	bool no_room;
};

enum err
turn_new(struct daemon *d)
{
	struct turn *t = calloc(1, sizeof(*t));

	if (!t)
		return ERR_NOMEM;
	t->retry_ms = RECOVER_FIRST_MS;
	t->events_moved = true;
	d->turn = t;
	waiting_init(&d->waiting);
	return ERR_OK;
}

void
turn_free(struct daemon *d)
{
	if (!d->turn)
		return;
	waiting_drop(&d->waiting);
	free(d->turn);
	d->turn = NULL;
}

/* ---- applying ---- */

void
daemon_wake(struct daemon *d)
{
	uint64_t asleep_ms = clock_asleep_ms();
	bool slept = asleep_ms > d->asleep_ms + CLOCK_SLEPT_MS;

	d->now = clock_now();
	if (!slept)
		return;
	d->asleep_ms = asleep_ms;
	if (!d->node)
		return;
	log_event(LOG_INFO, "woke", "keys are renewed, contacts looked for");
	node_woke(d->node, d->now);
}

bool
daemon_event(struct daemon *d, struct event_row *e)
{
	enum err err;

	e->ts_ms = d->now.wall_ms;
	err = events_add(d->store, e);
	if (err)
		d->turn_failed = true;
	return !err;
}

static void
apply_effect(struct daemon *d, const struct effect *e)
{
	enum err err = ERR_OK;

	switch (e->kind) {
	case EFFECT_STORE:
		err = apply_change(d, &e->change);
		break;
	case EFFECT_EVENT:
		err = apply_event(d, e);
		break;
	case EFFECT_LAN:
		lan_send(d, e->data);
		break;
	case EFFECT_SEND:
		udp_queue_way(d->udp,
		    &(struct udp_way){ e->to, e->hops, e->socket }, e->data);
		break;
	case EFFECT_SOCKET_OPEN:
		sockets_open(d, e->socket, e->family);
		break;
	case EFFECT_SOCKET_CLOSE:
		sockets_close(d, e->socket);
		break;
	}
	if (err) {
		log_event(LOG_DEBUG, "apply-failed", "err=%s", err_name(err));
		d->turn_failed = true;
	}
}

bool
daemon_apply(struct daemon *d)
{
	struct effect e;

	d->words_wait = false;
	if (!d->node)
		return !d->turn_failed;
	store_batch_begin(d->store);
	while (!d->turn_failed && node_next_effect(d->node, &e))
		apply_effect(d, &e);
	if (store_batch_end(d->store) || node_failed(d->node))
		d->turn_failed = true;
	return !d->turn_failed;
}

void
daemon_settle(struct daemon *d)
{
	if (d->words_wait && !daemon_apply(d))
		d->turn_failed = true; /* all answers of the turn say so */
}

enum api_error
daemon_ready(const struct daemon *d)
{
	if (keyring_state(d->keyring) == KEYRING_NONE)
		return API_IDENTITY_NOT_FOUND;
	if (keyring_state(d->keyring) == KEYRING_LOCKED)
		return API_LOCKED;
	if (!d->node || d->turn_failed)
		return store_error(d->store);
	return API_OK;
}

/* ---- the node ---- */

static void
load_saved_nodes(struct daemon *d, struct node *n)
{
	struct node_saved saved[NODE_SAVED_NODES_MAX];
	size_t count = 0;

	if (store_dht_get(d->store, saved, NODE_SAVED_NODES_MAX, &count))
		count = 0;
	node_load_dht(n, saved, count, d->now);
}

enum err
turn_start_node(struct daemon *d)
{
	struct endpoint local[NODE_LOCAL_MAX];
	struct node_config cfg = { .rng = &d->rng };
	struct node *n;
	enum err err = ERR_OK;

	assert(!d->node);
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		cfg.family[f] = udp_fd(d->udp, (enum family)f) >= 0;
	cfg.loopback = udp_is_loopback(d->udp);
	cfg.sockets_max = sockets_max(d);
	cfg.lan = d->config.lan_discovery && !cfg.loopback;
	cfg.policy = d->config.dht;
	cfg.overlay_announce = d->config.overlay_announce;
	cfg.cells_min = (size_t)d->config.cells_min;
	cfg.reachable = d->config.reachable;
	cfg.relay_contacts = d->config.relay_contacts;
	cfg.deny_fallback = !d->config.ratchet_fallback;
	n = node_new(&cfg, d->now);
	if (!n)
		return ERR_NOMEM;
	node_set_local(
	    n, local, udp_local(d->udp, local, NODE_LOCAL_MAX), d->now);
	load_saved_nodes(d, n);
	if (keyring_state(d->keyring) == KEYRING_OPEN)
		err = store_load_node(
		    d->store, n, keyring_seed(d->keyring), d->now);
	if (err) {
		node_free(n);
		return err;
	}
	d->node = n;
	d->turn->room_ms = 0;
	bootstrap_again(d);
	portmap_tell(d);
	return ERR_OK;
}

enum err
turn_begin(struct daemon *d)
{
	if (store_is_kept(d->store))
		return turn_start_node(d);
	loop_recover_in(d, d->turn->retry_ms);
	return ERR_OK;
}

/* ---- a lost turn ---- */

static void
stop_broken(struct daemon *d, const char *what)
{
	log_event(
	    LOG_ERR, "store-broken", "%s; stopping, to be started again", what);
	daemon_stop(d, DAEMON_EX_TEMPFAIL);
}

struct search *
daemon_search(struct daemon *d)
{
	if (!d->search)
		d->search = search_new(d->store);
	return d->search;
}

void
daemon_close_store(struct daemon *d)
{
	search_free(d->search);
	d->search = NULL;
	store_close(d->store);
	d->store = NULL;
}

bool
turn_store_is_cut(const struct daemon *d)
{
	struct stat st;

	return keyring_state(d->keyring) != KEYRING_NONE &&
	       !fstatat(
	           d->state_dir_fd, STORE_FILE, &st, AT_SYMLINK_NOFOLLOW) &&
	       st.st_size == 0;
}

void
turn_open_store(struct daemon *d)
{
	char why[STORE_WHY_SIZE] = STORE_FILE " is empty, but there is a key";

	assert(!d->store);
	if (turn_store_is_cut(d) ||
	    store_open(d->config.state, &d->store, why)) {
		/* Nothing works without it. A crash is what all of this is
		 * made for; whoever started us starts us again. */
		log_event(LOG_ERR, "store-broken", "%s; stopping", why);
		sd_failed(EIO);
		exit(DAEMON_EX_TEMPFAIL);
	}
	d->tampered = 0;
}

/* The store is opened anew, unless only room was missing. */
static enum err
reopen_store(struct daemon *d)
{
	if (store_error(d->store) != API_STORAGE_FULL) {
		daemon_close_store(d);
		turn_open_store(d);
	}
	/* The turn that was lost may have been the one that told it its key. */
	if (keyring_state(d->keyring) != KEYRING_OPEN)
		return ERR_OK;
	return store_set_key(d->store, keyring_store_key(d->keyring));
}

void
turn_recover(struct daemon *d)
{
	struct turn *t = d->turn;
	enum err err;

	if (d->node || d->stopping)
		return;
	daemon_wake(d);
	err = reopen_store(d);
	if (!err)
		err = store_commit(d->store);
	t->events_moved = true;
	if (!err)
		err = store_probe(d->store);
	if (!err)
		err = turn_start_node(d);
	if (!err) {
		log_event(LOG_NOTICE, "store-again", "writing works again");
		t->retry_ms = RECOVER_FIRST_MS;
		return;
	}
	if (store_is_broken(d->store)) {
		stop_broken(d, "the disk does not keep what is written");
		return;
	}
	loop_recover_in(d, t->retry_ms);
	t->retry_ms =
	    t->retry_ms * 2 < RECOVER_MAX_MS ? t->retry_ms * 2 : RECOVER_MAX_MS;
}

/* Without a node nothing is sent or taken. */
static void
drop_node(struct daemon *d)
{
	sockets_close_all(d);
	node_free(d->node);
	d->node = NULL;
	d->words_wait = false;
}

/* What memory holds is a lie from here on: forget it, as a crash would. */
static void
lose_turn(struct daemon *d, enum api_error code)
{
	log_event(LOG_ERR, "store-failed",
	    "code=%s: the turn is lost; starting again from what is stored",
	    api_error_name(code));
	d->turns_lost++;
	waiting_drop(&d->waiting);
	udp_drop_queue(d->udp);
	drop_node(d);
	d->turn_failed = false;
	if (store_is_broken(d->store))
		stop_broken(d, "a sync failed");
	else
		loop_recover_in(
		    d, code == API_STORAGE_FULL ? d->turn->retry_ms : 0);
}

/* ---- draining ---- */

/* Rows did not open: somebody was at the file. Told once an hour at most,
 * however often they are read. */
static void
tell_tampered(struct daemon *d)
{
	static const char body[] =
	    "{\"kind\":\"db.tampered\",\"reason\":\"rows do not open\"}";
	struct event_row e = { .type = EVENT_SECURITY_WARNING };
	struct turn *t = d->turn;
	uint64_t n = store_tampered(d->store);

	if (n == d->tampered)
		return;
	d->tampered = n;
	if (d->now.mono_ms < t->tell_tampered_ms || d->turn_failed)
		return;
	t->tell_tampered_ms = d->now.mono_ms + TAMPERED_AGAIN_MS;
	e.body = span_of(body, sizeof(body) - 1);
	if (!daemon_event(d, &e))
		d->turn_failed = true;
}

bool
turn_is_low(const struct statvfs *fs, uint64_t reserve_mib, bool was_low)
{
	uint64_t unit = fs->f_frsize ? fs->f_frsize : fs->f_bsize;
	uint64_t bytes = reserve_mib * 1024 * 1024;

	if (fs->f_blocks == 0 || unit == 0)
		return false; /* it does not say */
	if (was_low)
		bytes += bytes / ROOM_MARGIN;
	return fs->f_bavail < bytes / unit;
}

/* Is there room for what contacts send? Below the reserve they are told to
 * wait, who would otherwise find nobody when nothing can be written any more.
 */
static void
look_for_room(struct daemon *d)
{
	struct turn *t = d->turn;
	struct statvfs fs;
	bool no_room;

	if (!d->node || d->now.mono_ms < t->room_ms)
		return;
	t->room_ms = d->now.mono_ms + ROOM_AGAIN_MS;
	if (statvfs(d->config.state, &fs))
		return;
	no_room = turn_is_low(&fs, d->config.disk_reserve_mib, t->no_room);
	if (no_room != t->no_room)
		log_event(LOG_WARNING, no_room ? "disk-low" : "disk-again",
		    "messages of contacts are %s",
		    no_room ? "not taken: less is free than disk-reserve"
		            : "taken again");
	t->no_room = no_room;
	node_set_room(d->node, !no_room, d->now);
}

bool
daemon_commit(struct daemon *d)
{
	d->turn->events_moved |= store_dirty(d->store);
	if (!d->turn_failed && store_commit(d->store))
		d->turn_failed = true;
	return !d->turn_failed;
}

static enum api_error
commit(struct daemon *d)
{
	enum api_error code = API_OK;

	if (!daemon_commit(d)) {
		code = store_error(d->store);
		store_rollback(d->store);
	}
	return code;
}

static void
tell_events(struct daemon *d)
{
	struct events_log log;

	if (!d->turn->events_moved || events_log(d->store, &log))
		return;
	d->turn->events_moved = false;
	if (log.head == d->event_head)
		return;
	d->event_head = log.head;
	if (d->hooks.events_ready)
		d->hooks.events_ready(d);
}

static void
send_queued(struct daemon *d)
{
	enum family busy;

	if (!udp_flush(d->udp, &busy))
		loop_send_soon(d);
}

bool
daemon_has_work(const struct daemon *d)
{
	return d->turn_failed || d->waiting.first || store_dirty(d->store) ||
	       udp_is_queued(d->udp) ||
	       store_tampered(d->store) != d->tampered ||
	       (d->node && node_deadline_ms(d->node) <= d->now.mono_ms);
}

void
daemon_stop(struct daemon *d, int exit_code)
{
	if (d->stopping)
		return;
	d->stopping = true;
	d->exit_code = exit_code;
	if (d->hooks.stopping)
		d->hooks.stopping(d);
}

void
daemon_drain(struct daemon *d)
{
	enum api_error code;

	daemon_wake(d);
	look_for_room(d);
	if (d->node && node_deadline_ms(d->node) <= d->now.mono_ms)
		node_tick(d->node, d->now);
	if (!daemon_apply(d))
		d->turn_failed = true;
	tell_tampered(d);
	code = commit(d);
	if (code)
		lose_turn(d, code);
	else
		send_queued(d);
	if (d->hooks.after_commit)
		d->hooks.after_commit(d, code);
	if (!code) {
		waiting_tell(d);
		tell_events(d);
	}
}

/* ---- locking ---- */

static void
forget_keys(struct daemon *d, void (*forget)(struct keyring *k))
{
	drop_node(d);
	waiting_drop(&d->waiting);
	search_free(d->search);
	d->search = NULL;
	store_forget_key(d->store);
	forget(d->keyring);
	wipe_stack();
	d->wipe_stack = true; /* the frames that are in use now, too */
	assert(!d->node && !store_has_key(d->store));
}

/* True if a node ran. */
static bool
end_identity(struct daemon *d, void (*forget)(struct keyring *k))
{
	bool runs;

	daemon_drain(d);
	runs = d->node != NULL;
	if (d->hooks.locking)
		d->hooks.locking(d);
	forget_keys(d, forget);
	return runs;
}

void
turn_lock(struct daemon *d)
{
	bool runs = end_identity(d, keyring_lock);

	if (runs && turn_start_node(d))
		loop_recover_in(d, 0);
}

/* ---- another store ---- */

void
turn_forget(struct daemon *d)
{
	(void)end_identity(d, keyring_forget);
	daemon_close_store(d);
}

void
turn_anew(struct daemon *d)
{
	assert(!d->node && keyring_state(d->keyring) == KEYRING_NONE);
	turn_open_store(d);
	d->event_head = 0;
	if (d->hooks.log_ended)
		d->hooks.log_ended(d);
	if (turn_begin(d))
		loop_recover_in(d, 0);
}
