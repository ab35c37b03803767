#include "daemon/loop.h"

#include "daemon/apply.h"
#include "daemon/bootstrap.h"
#include "daemon/clock.h"
#include "daemon/lan.h"
#include "daemon/log.h"
#include "daemon/portmap.h"
#include "daemon/search.h"
#include "daemon/settings.h"
#include "daemon/turn.h"
#include "daemon/wipe.h"

#include <assert.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	SEND_AGAIN_MS = 2,          /* the interface's queue drains by then */
	ADDRESSES_MS = 15000,       /* own addresses are looked at */
	REBIND_AGAIN_MS = 10000,    /* not sooner */
	STATUS_MS = 5000,           /* line for the service manager */
	UPKEEP_MS = 10 * 60 * 1000, /* old rows are dropped */
	UPKEEP_FIRST_MS = 60000,
	GATHER_ROWS = 200, /* looked at for a search to come, */
	GATHER_MS = 25,    /* each so often, */
	GATHER_LATER_MS = 60000,
	DEADLINE_MAX_MS = 3600 * 1000,
};

struct loop {
	struct event *udp[FAMILY_COUNT];
	struct event *clock; /* or NULL */
	int clock_fd;        /* owned, or -1 */
	struct event *signals[3];
	struct event *tick, *recover, *send, *addresses, *status, *watchdog,
	    *upkeep, *gather;
	uint64_t watchdog_ms;
	uint64_t rebind_ms; /* not before */
	char status_text[160];
};

static struct timeval
timeval_of(uint64_t ms)
{
	return (struct timeval){
		.tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000),
	};
}

/* libevent copies the time; an event that cannot be added would be a silent
 * end of that job, so it is fatal. */
static void
set_timer(struct event *e, uint64_t ms)
{
	struct timeval tv = timeval_of(ms);

	if (event_add(e, &tv)) {
		log_event(LOG_ERR, "timer-failed", "stopping");
		exit(DAEMON_EX_TEMPFAIL);
	}
}

/* ---- what happens ---- */

static void
take_datagram(void *ctx, const struct endpoint *from, struct span data)
{
	struct daemon *d = ctx;

	if (d->node) /* without a store we are as good as off */
		node_receive(d->node, from, data, d->now);
}

static void
take_datagrams(struct daemon *d, enum family f)
{
	daemon_settle(d);
	/* Before they are looked at: what they may cost depends on it. */
	if (d->node && udp_is_behind(d->udp, f))
		node_behind(d->node, d->now);
	(void)udp_receive(d->udp, f, take_datagram, d);
}

static void
on_udp(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)what;
	daemon_wake(d);
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (udp_fd(d->udp, (enum family)f) == fd)
			take_datagrams(d, (enum family)f);
}

/* Tick and send: the turn that follows every pass does the work. */
static void
on_wake(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)fd;
	(void)what;
	daemon_wake(d);
}

static void
on_recover(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	turn_recover(ctx);
}

static void
look_round(struct daemon *d)
{
	struct endpoint local[NODE_LOCAL_MAX];

	daemon_wake(d);
	if (d->node)
		node_set_local(d->node, local,
		    udp_local(d->udp, local, NODE_LOCAL_MAX), d->now);
	portmap_look(d);
	lan_look(d);
	set_timer(d->loop->addresses, ADDRESSES_MS);
}

/* Who is asked for his help anew each time is not to be asked without end. */
bool
loop_rebind(struct daemon *d, uint64_t *ret_wait_ms)
{
	struct loop *l = d->loop;

	daemon_wake(d);
	if (d->now.mono_ms < l->rebind_ms) {
		*ret_wait_ms = l->rebind_ms - d->now.mono_ms;
		return false;
	}
	l->rebind_ms = d->now.mono_ms + REBIND_AGAIN_MS;
	look_round(d);
	if (d->node)
		node_rebind(d->node, d->now);
	bootstrap_again(d);
	log_event(LOG_NOTICE, "rebind", "looking round as in another network");
	return true;
}

static void
on_addresses(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd;
	(void)what;
	look_round(ctx);
}

/* The clock was set, or the machine woke up, in another network perhaps. */
static void
on_clock(evutil_socket_t fd, short what, void *ctx)
{
	(void)what;
	clock_rewatch(fd);
	look_round(ctx);
}

static void
write_status(struct daemon *d, char *text, size_t cap)
{
	struct store_counts c = { 0 };
	struct node_stats s = { 0 };
	size_t nodes = 0;

	if (!d->node) {
		(void)snprintf(text, cap, "storage trouble, trying again");
		return;
	}
	if (keyring_state(d->keyring) == KEYRING_LOCKED) {
		(void)snprintf(text, cap, "locked, waiting for a passphrase");
		return;
	}
	node_get_stats(d->node, &s);
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		nodes += s.dht[f].nodes_good + s.overlay[f].nodes_good;
	if (store_count(d->store, &c))
		memset(&c, 0, sizeof(c));
	(void)snprintf(text, cap,
	    "%s, %zu node%s, %zu of %zu contact%s online, %llu unread",
	    nodes ? "online" : "no DHT yet", nodes, nodes == 1 ? "" : "s",
	    s.online, s.contacts, s.contacts == 1 ? "" : "s",
	    (unsigned long long)c.unread);
}

static void
on_status(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	char text[sizeof(d->loop->status_text)];

	(void)fd;
	(void)what;
	write_status(d, text, sizeof(text));
	if (strcmp(text, d->loop->status_text) != 0) {
		memcpy(d->loop->status_text, text, sizeof(text));
		sd_status(text);
	}
	set_timer(d->loop->status, STATUS_MS);
}

/* A full disk is no reason to die of: what is there can be read then. */
static void
on_watchdog(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)fd;
	(void)what;
	if (d->store && store_answers(d->store))
		sd_watchdog();
	else
		log_event(LOG_ERR, "store-silent",
		    "the database cannot be read: leaving it to the watchdog");
	set_timer(d->loop->watchdog, d->loop->watchdog_ms);
}

static void
on_upkeep(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;

	(void)fd;
	(void)what;
	daemon_wake(d);
	if (d->node && !d->turn_failed &&
	    (store_expire(d->store, d->now.wall_ms) ||
	        events_expire(d->store, d->now.wall_ms, d->config.event_days,
	            d->config.event_rows)))
		d->turn_failed = true;
	set_timer(d->loop->upkeep, UPKEEP_MS);
}

/* So that a search need not open all that was ever said. */
static void
on_gather(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	bool more = false;

	(void)fd;
	(void)what;
	daemon_wake(d);
	if (d->node && !d->turn_failed && daemon_search(d))
		more = search_gather(d->search, GATHER_ROWS);
	set_timer(d->loop->gather, more ? GATHER_MS : GATHER_LATER_MS);
}

static void
on_stop(evutil_socket_t number, short what, void *ctx)
{
	(void)what;
	log_event(LOG_NOTICE, "stopping", "signal=%d", (int)number);
	daemon_stop(ctx, DAEMON_EX_OK);
}

bool
daemon_reload(struct daemon *d)
{
	bool good;

	daemon_wake(d);
	good = !settings_reload(d);

	if (!good) {
		log_event(LOG_ERR, "reload-failed",
		    "%s: going on with the old configuration", d->config.error);
	} else {
		log_init(d->config.log_level, d->config.log_addresses);
		log_event(LOG_NOTICE, "reloaded", "file=%s",
		    d->config.file[0] ? d->config.file : "none");
	}
	return good;
}

static void
on_reload(evutil_socket_t number, short what, void *ctx)
{
	(void)number;
	(void)what;
	sd_reloading(); /* who sent the signal waits for the end of it */
	(void)daemon_reload(ctx);
	sd_ready();
}

/* ---- life ---- */

static struct event *
new_timer(struct daemon *d, event_callback_fn fn)
{
	return event_new(d->base, -1, 0, fn, d);
}

static enum err
add_signals(struct daemon *d)
{
	static const int numbers[] = { SIGTERM, SIGINT, SIGHUP };
	struct loop *l = d->loop;

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		l->signals[i] =
		    event_new(d->base, numbers[i], EV_SIGNAL | EV_PERSIST,
		        numbers[i] == SIGHUP ? on_reload : on_stop, d);
		if (!l->signals[i] || event_add(l->signals[i], NULL))
			return ERR_NOMEM;
	}
	return ERR_OK;
}

static enum err
add_sockets(struct daemon *d)
{
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		int fd = udp_fd(d->udp, (enum family)f);
		struct event *e;

		if (fd < 0)
			continue;
		e = event_new(d->base, fd, EV_READ | EV_PERSIST, on_udp, d);
		d->loop->udp[f] = e;
		if (!e || event_add(e, NULL))
			return ERR_NOMEM;
	}
	return ERR_OK;
}

/* Without it the next timer or datagram notices. */
static enum err
add_clock(struct daemon *d)
{
	struct loop *l = d->loop;

	l->clock_fd = clock_watch();
	if (l->clock_fd < 0)
		return ERR_OK;
	l->clock =
	    event_new(d->base, l->clock_fd, EV_READ | EV_PERSIST, on_clock, d);
	return l->clock && !event_add(l->clock, NULL) ? ERR_OK : ERR_NOMEM;
}

enum err
loop_new(struct daemon *d)
{
	struct loop *l = calloc(1, sizeof(*l));

	if (!l)
		return ERR_NOMEM;
	l->clock_fd = -1;
	d->loop = l;
	d->base = event_base_new();
	if (!d->base)
		return ERR_NOMEM;
	l->tick = new_timer(d, on_wake);
	l->recover = new_timer(d, on_recover);
	l->send = new_timer(d, on_wake);
	l->addresses = new_timer(d, on_addresses);
	l->status = new_timer(d, on_status);
	l->watchdog = new_timer(d, on_watchdog);
	l->upkeep = new_timer(d, on_upkeep);
	l->gather = new_timer(d, on_gather);
	if (!l->tick || !l->recover || !l->send || !l->addresses ||
	    !l->status || !l->watchdog || !l->upkeep || !l->gather)
		return ERR_NOMEM;
	if (add_signals(d) || add_sockets(d) || add_clock(d))
		return ERR_NOMEM;
	set_timer(l->addresses, ADDRESSES_MS);
	set_timer(l->upkeep, UPKEEP_FIRST_MS);
	set_timer(l->gather, GATHER_LATER_MS / 20);
	if (sd_has_manager())
		set_timer(l->status, 0);
	l->watchdog_ms = sd_watchdog_ms();
	if (l->watchdog_ms)
		set_timer(l->watchdog, 0);
	return ERR_OK;
}

static void
free_event(struct event *e)
{
	if (e)
		event_free(e);
}

void
loop_free(struct daemon *d)
{
	struct loop *l = d->loop;

	if (!l)
		return;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		free_event(l->udp[f]);
	for (size_t i = 0; i < sizeof(l->signals) / sizeof(l->signals[0]); i++)
		free_event(l->signals[i]);
	free_event(l->clock);
	if (l->clock_fd >= 0)
		(void)close(l->clock_fd);
	free_event(l->tick);
	free_event(l->recover);
	free_event(l->send);
	free_event(l->addresses);
	free_event(l->status);
	free_event(l->watchdog);
	free_event(l->upkeep);
	free_event(l->gather);
	if (d->base)
		event_base_free(d->base);
	free(l);
	d->base = NULL;
	d->loop = NULL;
}

/* ---- turning ---- */

static void
set_tick(struct daemon *d)
{
	uint64_t at = d->node ? node_deadline_ms(d->node) : NEVER;
	uint64_t in_ms = at > d->now.mono_ms ? at - d->now.mono_ms : 0;
	uint64_t gone_ms = d->node ? store_timer_next(d->store) : NEVER;

	if (gone_ms <= d->now.wall_ms)
		in_ms = 0;
	else if (gone_ms - d->now.wall_ms < in_ms)
		in_ms = gone_ms - d->now.wall_ms;

	/* CLOCK_BOOTTIME goes on in a suspend, libevent's clock does not: an
	 * upper bound, so that no deadline is overslept for long. */
	set_timer(
	    d->loop->tick, in_ms < DEADLINE_MAX_MS ? in_ms : DEADLINE_MAX_MS);
}

void
loop_turn(struct daemon *d)
{
	set_tick(d);
	if (event_base_loop(d->base, EVLOOP_ONCE) < 0) {
		log_event(LOG_ERR, "loop-failed", "stopping");
		daemon_stop(d, DAEMON_EX_TEMPFAIL);
	}
	daemon_wake(d);
	if (d->node && !d->turn_failed &&
	    store_timer_next(d->store) <= d->now.wall_ms && apply_timers(d))
		d->turn_failed = true;
	if (daemon_has_work(d))
		daemon_drain(d);
	if (d->wipe_stack)
		wipe_stack();
	d->wipe_stack = false;
}

void
loop_run(struct daemon *d)
{
	while (!d->stopping)
		loop_turn(d);
}

void
loop_recover_in(struct daemon *d, uint64_t ms)
{
	if (d->loop)
		set_timer(d->loop->recover, ms);
}

void
loop_send_soon(struct daemon *d)
{
	if (d->loop)
		set_timer(d->loop->send, SEND_AGAIN_MS);
}
