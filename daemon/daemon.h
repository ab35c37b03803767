/*
 * The daemon: what it owns, and its turn.
 *
 * A turn is one pass of the event loop: read sockets (UDP by recvmmsg, RPC
 * lines), call the node and the store, then daemon_drain: apply what is left
 * of effects, commit once (synced), send datagrams, let the RPC server write
 * the responses of this turn, let subscribers pull new events. Nothing that
 * depends on a change leaves the process before the change is durable.
 *
 * If the commit fails, the responses of the turn become errors, its datagrams
 * are dropped, the node is thrown away and loaded again from the store as
 * after a crash (at once or, on a full disk, when writing works again).
 */
#ifndef DAEMON_DAEMON_H
#define DAEMON_DAEMON_H

#include "daemon/config.h"
#include "daemon/events.h"
#include "daemon/keyring.h"
#include "daemon/sd.h"
#include "daemon/store.h"
#include "daemon/udp.h"
#include "proto/api.h"
#include "proto/node.h"

#include <stdbool.h>

struct event_base;
struct rpc;
struct command;   /* command.h */
struct turn;      /* turn.c */
struct loop;      /* loop.c: libevent's events */
struct bootstrap; /* bootstrap.c: names being resolved */
struct lan;       /* lan.c: sockets of the local group */
struct portmap;   /* portmap.c: what gateways map for us */
struct upnp;      /* upnp.c: the helper that speaks it */
struct sockets;   /* sockets.c: extra sockets of the node */
struct search;    /* search.c: words of the history */

enum {
	DAEMON_EX_OK = 0,
	DAEMON_EX_FAILED = 1,
	DAEMON_EX_USAGE = 2,
	DAEMON_EX_TEMPFAIL = 75,
};

struct daemon;

/* What the RPC server hangs in; any may be NULL. */
struct daemon_hooks {
	/* The turn is over. code API_OK: responses held back may be written;
	 * API_STORAGE_*: those of calls in this turn become that error. */
	void (*after_commit)(struct daemon *d, enum api_error code);
	/* After it: durable events up to d->event_head are there to pull. */
	void (*events_ready)(struct daemon *d);
	/* After it: ephemeral events, one call each. */
	void (*ephemeral)(struct daemon *d, const struct event_row *e);
	/* A message (NULL: some) got a new state, for message.wait; after the
	 * commit. */
	void (*message_moved)(struct daemon *d, const struct message_id *id,
	    enum message_state state);
	/* A contact has answered what command_probe asked; after the commit. */
	void (*pong)(struct daemon *d, const struct contact_id *contact,
	    uint64_t rtt_ms);
	/* The keys are about to go: tell what can be told at once, and keep
	 * nothing of what they opened. */
	void (*locking)(struct daemon *d);
	/* There is another log of events, and nothing in it. */
	void (*log_ended)(struct daemon *d);
	/* Shutting down: tell clients, write what can be written. */
	void (*stopping)(struct daemon *d);
};

/* Layers of the sandbox that hold. */
struct confined {
	bool files, calls, memory;
};

struct daemon {
	struct config config;
	struct config *next; /* owned; NULL: config; see settings_next */
	struct confined confined;
	struct event_base *base; /* owned */
	struct rng rng;
	struct now now;          /* of this turn */
	uint64_t asleep_ms;      /* suspended since the boot, as seen last */
	int state_dir_fd;        /* owned; holds the lock */
	struct sd_fds fds;       /* inherited, not taken yet */
	struct store *store;     /* owned */
	struct keyring *keyring; /* owned */
	/* Owned; NULL while the store cannot be written. Never keep it over
	 * a call that may drain. */
	struct node *node;
	struct udp *udp;             /* owned */
	struct loop *loop;           /* owned */
	struct bootstrap *bootstrap; /* owned */
	struct lan *lan;             /* owned; NULL: not wanted */
	struct portmap *portmap;     /* owned; NULL: not wanted */
	struct upnp *upnp;           /* owned; NULL: not wanted */
	struct sockets *sockets;     /* owned */
	struct search *search;       /* owned; NULL: nobody has searched */
	struct rpc *rpc;             /* owned by the RPC server */
	struct daemon_hooks hooks;
	int64_t event_head;  /* newest durable event committed */
	uint64_t started_ms; /* wall clock */
	bool turn_failed;    /* a write of this turn failed */
	bool words_wait;     /* what the node was told last are words of ours */
	bool stopping;
	bool wipe_stack; /* when this pass of the loop is over */
	bool all_locked; /* memory, out of swap; else keys at rest */
	bool undumpable; /* no core, nobody traces us */
	int exit_code;
	/* Whose effects are being applied, or NULL; borrowed. */
	const struct command *command;
	struct turn *turn; /* owned */
	struct waiting_list {
		struct waiting *first, **end; /* owned */
		size_t n;
	} waiting;           /* for the commit; waiting.h */
	uint64_t tampered;   /* rows that did not open, told of so far */
	uint64_t turns_lost; /* commits that failed */
};

/* Takes the time of now; every callback of the loop begins with it. */
void daemon_wake(struct daemon *d);
/* Applies all effects the node has now: changes and durable events go to the
 * open transaction, datagrams to the queue. False: a write failed; the turn
 * is lost and the caller answers with store_error(). */
MUST_USE bool daemon_apply(struct daemon *d);
/* daemon_apply, if words wait for it: before the store is looked at. */
void daemon_settle(struct daemon *d);
/* Makes durable what this turn has changed so far. False as above. */
MUST_USE bool daemon_commit(struct daemon *d);
/* Ends the turn, see above. */
void daemon_drain(struct daemon *d);
/* True if daemon_drain has something to do. The loop drains after each pass
 * then; the RPC server drains when it holds back responses. */
bool daemon_has_work(const struct daemon *d);
/* Adds a durable event to this turn; gives it seq and time. False as above. */
MUST_USE bool daemon_event(struct daemon *d, struct event_row *e);
/* Queues an ephemeral event for after the commit. */
void daemon_ephemeral(struct daemon *d, enum event_type type,
    const struct contact_id *conv, struct span body);
/* Made when it is first wanted. NULL: no memory. */
struct search *daemon_search(struct daemon *d);
/* With all that was made of it; d->store is NULL then. */
void daemon_close_store(struct daemon *d);
/* Reads the configuration again. False: it is as it was, and d->config.error
 * says why. */
bool daemon_reload(struct daemon *d);
/* Clean stop at the end of this turn. */
void daemon_stop(struct daemon *d, int exit_code);
/* Why a command cannot run now: API_OK, API_IDENTITY_NOT_FOUND, API_LOCKED,
 * API_STORAGE_FULL, API_STORAGE_ERROR. */
enum api_error daemon_ready(const struct daemon *d);

#endif /* DAEMON_DAEMON_H */
