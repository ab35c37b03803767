#include "daemon/bootstrap.h"

#include "daemon/addr.h"
#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	NAMES_MAX = CONFIG_BOOTSTRAP_MAX + 32, /* those of front ends too */
	ANSWERS_MAX = 8,                       /* addresses of a name */
	CHECK_FIRST_MS = 5000,
	CHECK_MAX_MS = 10 * 60 * 1000,
	CHECK_WET_MS = 60 * 1000,
};

/* Only where nothing else is known; they are asked, never kept as nodes. */
static const char *const public_nodes[] = {
	"router.bittorrent.com:6881",
	"router.utorrent.com:6881",
	"dht.transmissionbt.com:6881",
	"dht.libtorrent.org:25401",
	"dht.aelitis.com:6881",
	"router.silotis.us:6881",
	"router.bt.ouinet.work:6881",
};
#define PUBLIC_NODES (sizeof(public_nodes) / sizeof(public_nodes[0]))

/* What the thread works on; it belongs to it from pthread_create until its
 * address comes back through the pipe. */
struct lookup {
	char host[ADDR_HOST_MAX + 1];
	char port[8];
	struct node_key key; /* of the overlay node there, or zero */
	bool is_public;
	int answer_fd;
	struct resolver resolver;
	struct endpoint answers[ANSWERS_MAX];
	size_t n;
	int error; /* of the resolver: EAI_... */
};

struct bootstrap {
	char names[NAMES_MAX][CONFIG_HOST_SIZE];
	size_t n_names;
	bool wanted[NAMES_MAX]; /* to be resolved */
	bool busy;              /* a thread is at it */
	int pipe[2];
	struct event *answer, *check;
	uint64_t check_ms;
	struct resolver resolver;
};

static void
set_check(struct bootstrap *b, uint64_t ms)
{
	struct timeval tv = { .tv_sec = (time_t)(ms / 1000),
		.tv_usec = (suseconds_t)(ms % 1000 * 1000) };

	(void)event_add(b->check, &tv);
}

/* ---- the thread ---- */

static void
resolve(struct lookup *l)
{
	struct addrinfo hints = { .ai_socktype = SOCK_DGRAM };
	struct addrinfo *list = NULL;

	hints.ai_family = AF_UNSPEC;
	hints.ai_flags = AI_NUMERICSERV;
	l->error = l->resolver.ask(l->host, l->port, &hints, &list);
	if (l->error)
		return;
	for (const struct addrinfo *a = list; a && l->n < ANSWERS_MAX;
	     a = a->ai_next)
		if (!addr_from_sockaddr(
		        a->ai_addr, a->ai_addrlen, &l->answers[l->n]))
			l->n++;
	freeaddrinfo(list);
}

static void *
thread_main(void *arg)
{
	struct lookup *l = arg;
	int fd = l->answer_fd;

	resolve(l);
	/* A pointer is written at once or not at all [pipe(7)]. */
	if (write(fd, (const void *)&l, sizeof(l)) != (ssize_t)sizeof(l))
		free(l);
	return NULL;
}

/* Signals are for the loop's thread. */
static enum err
start_thread(struct lookup *l)
{
	pthread_attr_t attr;
	pthread_t id;
	sigset_t all;
	sigset_t old;
	int r;

	(void)sigfillset(&all);
	if (pthread_attr_init(&attr))
		return ERR_NOMEM;
	(void)pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	(void)pthread_sigmask(SIG_SETMASK, &all, &old);
	r = pthread_create(&id, &attr, thread_main, l);
	(void)pthread_sigmask(SIG_SETMASK, &old, NULL);
	(void)pthread_attr_destroy(&attr);
	return r ? ERR_NOMEM : ERR_OK;
}

/* ---- names ---- */

/* Numbers need no thread. */
static bool
tell_numeric(struct daemon *d, const char *name)
{
	struct node_key key;
	struct endpoint e;

	if (addr_key(&name, &key) || addr_parse(name, &e))
		return false;
	if (d->node && e.port)
		node_bootstrap_key(d->node, &e, &key, d->now);
	return true;
}

static bool
is_public(const char *name)
{
	for (size_t i = 0; i < PUBLIC_NODES; i++)
		if (strcmp(public_nodes[i], name) == 0)
			return true;
	return false;
}

static void
start_next(struct daemon *d)
{
	struct bootstrap *b = d->bootstrap;
	struct lookup *l;
	const char *name;
	uint16_t port = 0;
	size_t i = 0;

	if (b->busy)
		return;
	while (i < b->n_names && !b->wanted[i])
		i++;
	if (i == b->n_names)
		return;
	b->wanted[i] = false;
	l = calloc(1, sizeof(*l));
	name = b->names[i];
	if (!l || addr_key(&name, &l->key) ||
	    addr_split(name, l->host, &port)) {
		free(l);
		return;
	}
	l->is_public = is_public(name);
	(void)snprintf(l->port, sizeof(l->port), "%u", port);
	l->answer_fd = b->pipe[1];
	l->resolver = b->resolver;
	if (start_thread(l)) {
		free(l);
		return; /* the next check tries again */
	}
	b->busy = true;
}

static void
on_answer(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	struct bootstrap *b = d->bootstrap;
	struct lookup *l = NULL;

	(void)what;
	daemon_wake(d);
	if (read(fd, (void *)&l, sizeof(l)) != (ssize_t)sizeof(l))
		return;
	b->busy = false;
	if (l->error)
		log_event(LOG_INFO, "bootstrap-name", "host=%s err=%s", l->host,
		    gai_strerror(l->error));
	for (size_t i = 0; i < l->n && d->node; i++) {
		if (l->is_public)
			node_bootstrap_public(d->node, &l->answers[i], d->now);
		else
			node_bootstrap_key(
			    d->node, &l->answers[i], &l->key, d->now);
	}
	free(l);
	start_next(d);
}

static enum err
add_name(struct bootstrap *b, const char *name)
{
	if (strlen(name) >= CONFIG_HOST_SIZE)
		return ERR_MALFORMED;
	for (size_t i = 0; i < b->n_names; i++)
		if (strcmp(b->names[i], name) == 0)
			return ERR_OK;
	if (b->n_names == NAMES_MAX)
		return ERR_LIMIT;
	memcpy(b->names[b->n_names++], name, strlen(name) + 1);
	return ERR_OK;
}

static void
ask_all(struct daemon *d)
{
	struct bootstrap *b = d->bootstrap;

	for (size_t i = 0; i < b->n_names; i++)
		b->wanted[i] = !tell_numeric(d, b->names[i]);
	start_next(d);
}

/* ---- dry or not ---- */

static bool
is_dry(const struct daemon *d)
{
	struct node_stats s = { 0 };

	node_get_stats(d->node, &s);
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		/* With Mainline the overlay is found through that. */
		const struct node_dht_stats *dht =
		    s.dht[f].on ? &s.dht[f] : &s.overlay[f];

		if (dht->on && dht->nodes_good == 0)
			return true;
	}
	return false;
}

static void
on_check(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	struct bootstrap *b = d->bootstrap;

	(void)fd;
	(void)what;
	daemon_wake(d);
	if (!d->node || !is_dry(d)) {
		b->check_ms = CHECK_FIRST_MS;
		set_check(b, CHECK_WET_MS);
		return;
	}
	/* What was saved and what was configured had their time. */
	if (d->config.bootstrap_defaults && d->config.dht != NODE_OVERLAY &&
	    !udp_is_loopback(d->udp))
		for (size_t i = 0; i < PUBLIC_NODES; i++)
			if (add_name(b, public_nodes[i]))
				break;
	ask_all(d);
	b->check_ms =
	    b->check_ms * 2 < CHECK_MAX_MS ? b->check_ms * 2 : CHECK_MAX_MS;
	set_check(b, b->check_ms);
}

/* ---- life ---- */

enum err
bootstrap_new(struct daemon *d)
{
	struct bootstrap *b = calloc(1, sizeof(*b));

	if (!b)
		return ERR_NOMEM;
	d->bootstrap = b;
	b->resolver.ask = getaddrinfo;
	b->check_ms = CHECK_FIRST_MS;
	b->pipe[0] = b->pipe[1] = -1;
	if (pipe2(b->pipe, O_CLOEXEC | O_NONBLOCK))
		return ERR_IO;
	b->answer =
	    event_new(d->base, b->pipe[0], EV_READ | EV_PERSIST, on_answer, d);
	b->check = event_new(d->base, -1, 0, on_check, d);
	if (!b->answer || !b->check || event_add(b->answer, NULL))
		return ERR_NOMEM;
	for (size_t i = 0; i < d->config.n_bootstrap; i++)
		if (add_name(b, d->config.bootstrap[i]))
			return ERR_NOMEM;
	bootstrap_again(d);
	return ERR_OK;
}

void
bootstrap_free(struct daemon *d)
{
	struct bootstrap *b = d->bootstrap;
	struct lookup *l = NULL;

	if (!b)
		return;
	if (b->answer)
		event_free(b->answer);
	/* An answer that nobody reads any more. */
	if (b->pipe[0] >= 0 &&
	    read(b->pipe[0], (void *)&l, sizeof(l)) == (ssize_t)sizeof(l)) {
		b->busy = false;
		free(l);
	}
	if (b->check)
		event_free(b->check);
	/* A thread may still hold the writing end: it stays open until the
	 * process ends. */
	if (b->pipe[0] >= 0)
		(void)close(b->pipe[0]);
	if (b->pipe[1] >= 0 && !b->busy)
		(void)close(b->pipe[1]);
	free(b);
	d->bootstrap = NULL;
}

void
bootstrap_set_resolver(struct daemon *d, struct resolver resolver)
{
	assert(d->bootstrap && resolver.ask);
	d->bootstrap->resolver = resolver;
}

void
bootstrap_again(struct daemon *d)
{
	if (!d->bootstrap || !d->node)
		return;
	ask_all(d);
	set_check(d->bootstrap, CHECK_FIRST_MS);
}

enum err
bootstrap_add(struct daemon *d, const char *host_port)
{
	struct bootstrap *b = d->bootstrap;
	const char *name = host_port;
	char host[ADDR_HOST_MAX + 1];
	struct node_key key;
	uint16_t port;
	enum err err;

	if (addr_key(&name, &key) || addr_split(name, host, &port))
		return ERR_MALFORMED;
	if (tell_numeric(d, host_port))
		return ERR_OK;
	err = add_name(b, host_port);
	if (err)
		return err;
	for (size_t i = 0; i < b->n_names; i++)
		if (strcmp(b->names[i], host_port) == 0)
			b->wanted[i] = true;
	start_next(d);
	return ERR_OK;
}
