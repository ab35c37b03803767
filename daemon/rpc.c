/* The server: sockets, the hooks of the daemon, our part of a turn. */
#include "daemon/rpc.h"

#include "daemon/log.h"
#include "daemon/rpc_conn.h"
#include "daemon/sockpath.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* ---- the turn ---- */

void
rpc_begin(struct rpc *r)
{
	daemon_wake(r->d);
}

void
rpc_work_soon(struct rpc *r)
{
	if (!r->working)
		rpc_io_soon(r->work);
	r->working = true;
}

/* A long replay lets the network have its turns in between. */
static void
work_later(struct rpc *r)
{
	rpc_io_in(r->work, 0);
}

void
rpc_wake_at(struct rpc *r, uint64_t mono_ms)
{
	uint64_t now = r->d->now.mono_ms;

	if (mono_ms >= r->timer_ms)
		return;
	r->timer_ms = mono_ms;
	rpc_io_in(r->timer, mono_ms > now ? mono_ms - now : 0);
}

/* Events and bytes of one connection; requests that had to wait for room. */
static void
work_conn(struct rpc_conn *c)
{
	bool good = rpc_conn_flush(c), more = false;

	/* With what there was out of the way, events have their room; if it
	 * is not, the socket will say when it is writable. */
	for (struct rpc_sub *s = c->subs; s && good; s = s->next) {
		rpc_sub_ephemeral(s);
		more = rpc_sub_pull(s) || more;
	}
	if (!good || (c->subs && !rpc_conn_flush(c))) {
		rpc_conn_free(c);
		return;
	}
	if ((c->in_n > c->seen || (c->eof && c->in_n > 0)) &&
	    !rpc_conn_is_full(c))
		rpc_conn_serve(c);
	if (c->rpc->undrained)
		rpc_work_soon(c->rpc);
	else if (more && !c->blocked)
		work_later(c->rpc);
}

/* The end of our part of a turn: what was asked becomes durable, then all
 * that may leave, leaves. */
static void
work(void *owner, bool readable)
{
	struct rpc *r = owner;
	struct rpc_conn *c, *next;

	(void)readable;
	r->working = false;
	if (r->undrained) {
		r->undrained = false;
		daemon_drain(r->d);
	}
	for (c = r->conns; c; c = next) {
		next = c->next;
		work_conn(c);
	}
	if (r->undrained)
		rpc_work_soon(r);
}

/* ---- hooks ---- */

static void
after_commit(struct daemon *d, enum api_error code)
{
	for (struct rpc_conn *c = d->rpc->conns; c; c = c->next)
		rpc_conn_settle(c, code);
	if (code != API_OK)
		d->rpc->status.good = false;
	if (d->rpc->recheck)
		rpc_wait_message(d->rpc, NULL);
	if (d->rpc->recheck || code != API_OK) /* that ends all sessions */
		rpc_wait_probe(d->rpc, NULL, NULL);
	d->rpc->recheck = false;
	if (d->rpc->conns)
		rpc_work_soon(d->rpc);
}

static void
events_ready(struct daemon *d)
{
	rpc_wait_events(d->rpc);
	rpc_work_soon(d->rpc);
}

static void
ephemeral(struct daemon *d, const struct event_row *e)
{
	rpc_state_put(d->rpc, e);
	if (e->type == EVENT_PRESENCE)
		rpc_wait_probe(d->rpc, &e->conv, NULL);
	rpc_work_soon(d->rpc);
}

static void
pong(struct daemon *d, const struct contact_id *contact, uint64_t rtt_ms)
{
	rpc_wait_probe(d->rpc, contact, &rtt_ms);
	rpc_work_soon(d->rpc);
}

static void
message_moved(
    struct daemon *d, const struct message_id *id, enum message_state state)
{
	(void)state;
	rpc_wait_message(d->rpc, id);
}

/* What was answered and what there is to tell, in as far as the peer takes it
 * now: text must not wait here for somebody who does not read. Who is far
 * behind goes on after the next unlock. */
static void
part(struct rpc_conn *c)
{
	int64_t head = c->rpc->d->event_head;
	bool good;

	rpc_conn_settle(c, API_OK); /* what was told last is durable, too */
	good = rpc_conn_flush(c);
	for (struct rpc_sub *s = c->subs; s && good && c->out.n == 0;
	     s = s->next) {
		if (head - s->cursor <= RPC_EVENT_ROWS)
			(void)rpc_sub_pull(s);
		good = rpc_conn_flush(c);
	}
	c->dead = c->dead || !good || c->out.n > 0;
	rpc_conn_forget(c);
}

static void
locking(struct daemon *d)
{
	struct rpc *r = d->rpc;

	for (struct rpc_conn *c = r->conns; c; c = c->next)
		part(c);
	sodium_memzero(r->states, sizeof(r->states));
	r->n_states = 0;
	r->status.good = false;
	r->recheck = true; /* who waits for a message waits in vain */
}

/* A cursor of the old log is none of the new one: who had one begins again. */
static void
log_ended(struct daemon *d)
{
	struct rpc *r = d->rpc;

	for (struct rpc_conn *c = r->conns; c; c = c->next)
		c->closing = c->closing || c->subs != NULL;
	for (struct rpc_wait *w = r->waits; w; w = w->next)
		w->conn->closing =
		    w->conn->closing || w->kind == RPC_WAIT_EVENTS;
	rpc_work_soon(r);
}

/* The last words: what the last turn answered, and that there will be no
 * more. What does not go out at once is lost with us. */
static void
say_goodbye(struct rpc *r)
{
	for (struct rpc_conn *c = r->conns; c; c = c->next) {
		if (c->subs) {
			(void)rpc_conn_note(c, "daemon.stopping");
			rpc_conn_note_end(c);
		}
		c->dead = !rpc_conn_flush(c);
	}
}

/* ---- sockets ---- */

static void
refuse_busy(int fd)
{
	static const char line[] =
	    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32002,"
	    "\"message\":\"too many connections\",\"data\":{\"name\":\"BUSY\","
	    "\"retryable\":true,\"max_connections\":64}}}\n";

	_Static_assert((int)API_CONNECTIONS_MAX == 64, "as the line says");
	(void)send(fd, line, sizeof(line) - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
	(void)close(fd);
}

/* Whoever is not us has no business at a socket of our own. */
static bool
is_own_uid(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) != 0)
		return false;
	return peer.uid == geteuid();
}

static void
admit(struct rpc_socket *s, int fd)
{
	if (s->own_uid_only && !is_own_uid(fd)) {
		log_event(
		    LOG_INFO, "rpc-refused", "socket=%s why=uid", s->name);
		(void)close(fd);
	} else if (s->n_conns >= API_CONNECTIONS_MAX) {
		refuse_busy(fd);
	} else {
		rpc_conn_new(s, fd);
	}
}

static void
on_accept(void *owner, bool readable)
{
	struct rpc_socket *s = owner;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)readable;
	rpc_begin(s->rpc);
	if (fd >= 0) {
		admit(s, fd);
		return;
	}
	if (errno != EMFILE && errno != ENFILE && errno != ENOMEM &&
	    errno != ENOBUFS)
		return;
	log_event(LOG_WARNING, "rpc-accept", "err=%s retry_ms=%d",
	    strerrorname_np(errno), RPC_SWEEP_MS);
	rpc_io_watch(s->io, false, false);
	s->paused = true;
	rpc_wake_at(s->rpc, s->rpc->d->now.mono_ms + RPC_SWEEP_MS);
}

static void
on_timer(void *owner, bool readable)
{
	struct rpc *r = owner;

	(void)readable;
	rpc_begin(r);
	r->timer_ms = NEVER;
	for (size_t i = 0; i < r->n_sockets; i++) {
		if (r->sockets[i].paused)
			rpc_io_watch(r->sockets[i].io, true, false);
		r->sockets[i].paused = false;
	}
	for (struct rpc_conn *c = r->conns; c; c = c->next)
		c->dead = c->dead || rpc_restrict_is_over(c) ||
		          (c->eof && rpc_conn_is_gone(c));
	rpc_wait_tick(r);
	rpc_work_soon(r);
}

/* ---- life ---- */

static bool
socket_watch(struct rpc_socket *s)
{
	s->io = rpc_io_new(s->rpc->d->base, s->fd, on_accept, s);
	if (!s->io)
		return false;
	rpc_io_watch(s->io, true, false);
	return true;
}

/* Is it what a .socket unit should hand over? */
static bool
is_unix_listener(int fd)
{
	int domain = 0, type = 0, listens = 0;
	socklen_t n = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &n) == 0 &&
	       domain == AF_UNIX && type == SOCK_STREAM && listens;
}

static enum err
adopt_socket(struct rpc *r, enum rpc_tier tier, char why[RPC_WHY_SIZE])
{
	const char *name = rpc_tier_socket(tier);
	int fd = sd_fd_named(&r->d->fds, name);
	struct rpc_socket *s;

	if (fd < 0)
		return ERR_OK;
	if (!is_unix_listener(fd)) {
		(void)close(fd);
		(void)snprintf(why, RPC_WHY_SIZE,
		    "the inherited descriptor \"%s\" is not a listening Unix "
		    "stream socket",
		    name);
		return ERR_STATE;
	}
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	s = &r->sockets[r->n_sockets++];
	*s = (struct rpc_socket){
		.rpc = r, .fd = fd, .tier = tier, .name = name
	};
	return ERR_OK;
}

static enum err
open_own(struct rpc *r, char why[RPC_WHY_SIZE])
{
	struct rpc_socket *s = &r->sockets[0];
	char said[SOCKPATH_WHY_SIZE] = "";
	enum err err;

	*s = (struct rpc_socket){ .rpc = r,
		.fd = -1,
		.tier = RPC_ADMIN,
		.name = "user",
		.own_uid_only = true };
	err = sockpath_listen(r->d->config.socket, &s->fd, said);
	if (err) {
		(void)snprintf(why, RPC_WHY_SIZE, "%s", said);
		return err;
	}
	r->n_sockets = 1;
	s->path = strdup(r->d->config.socket);
	return s->path ? ERR_OK : ERR_NOMEM;
}

static enum err
open_sockets(struct rpc *r, char why[RPC_WHY_SIZE])
{
	static const enum rpc_tier tiers[RPC_SOCKETS_MAX] = { RPC_READ,
		RPC_CHAT, RPC_ADMIN };
	enum err err = ERR_OK;

	for (size_t i = 0; i < RPC_SOCKETS_MAX && !err; i++)
		err = adopt_socket(r, tiers[i], why);
	if (!err && r->n_sockets == 0)
		err = open_own(r, why);
	for (size_t i = 0; i < r->n_sockets && !err; i++)
		if (!socket_watch(&r->sockets[i]))
			err = ERR_NOMEM;
	return err;
}

enum err
rpc_start(struct daemon *d, char why[RPC_WHY_SIZE])
{
	struct rpc *r = calloc(1, sizeof(*r));
	enum err err = ERR_NOMEM;

	assert(!d->rpc && d->base);
	(void)snprintf(why, RPC_WHY_SIZE, "out of memory");
	if (!r)
		return ERR_NOMEM;
	d->rpc = r;
	r->d = d;
	r->timer_ms = NEVER;
	json_guard_init(&r->guard, rng_u64(&d->rng));
	r->work = rpc_io_new(d->base, -1, work, r);
	r->timer = rpc_io_new(d->base, -1, on_timer, r);
	if (r->work && r->timer)
		err = open_sockets(r, why);
	if (err) {
		rpc_stop(d);
		return err;
	}
	d->hooks = (struct daemon_hooks){ .after_commit = after_commit,
		.events_ready = events_ready,
		.ephemeral = ephemeral,
		.message_moved = message_moved,
		.pong = pong,
		.locking = locking,
		.log_ended = log_ended };
	return ERR_OK;
}

void
rpc_stop(struct daemon *d)
{
	struct rpc *r = d->rpc;

	if (!r)
		return;
	say_goodbye(r);
	while (r->conns)
		rpc_conn_free(r->conns);
	for (size_t i = 0; i < r->n_sockets; i++) {
		struct rpc_socket *s = &r->sockets[i];

		rpc_io_free(s->io);
		if (s->path)
			sockpath_unlink(s->path, s->fd);
		(void)close(s->fd);
		free(s->path);
	}
	rpc_io_free(r->work);
	rpc_io_free(r->timer);
	free(r);
	d->rpc = NULL;
	d->hooks = (struct daemon_hooks){ 0 };
}
