#include "daemon/sockets.h"

#include "daemon/log.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

_Static_assert((int)UDP_EXTRA_MAX == (int)NODE_SOCKETS_MAX,
    "as many as the node asks for");

struct sockets {
	struct event *read[UDP_EXTRA_MAX + 1]; /* owned; NULL: not open */
	bool told; /* in the log, that one did not open */
};

struct reading {
	struct daemon *d;
	unsigned k;
};

static void
take_datagram(void *ctx, const struct endpoint *from, struct span data)
{
	const struct reading *r = ctx;

	if (r->d->node)
		node_receive_socket(r->d->node, r->k, from, data, r->d->now);
}

static void
on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct reading r = { ctx, 1 };

	(void)what;
	daemon_wake(r.d);
	daemon_settle(r.d);
	while (r.k <= UDP_EXTRA_MAX && udp_extra_fd(r.d->udp, r.k) != fd)
		r.k++;
	if (r.k <= UDP_EXTRA_MAX)
		(void)udp_extra_receive(r.d->udp, r.k, take_datagram, &r);
}

/* ---- life ---- */

enum err
sockets_new(struct daemon *d)
{
	d->sockets = calloc(1, sizeof(*d->sockets));
	return d->sockets ? ERR_OK : ERR_NOMEM;
}

void
sockets_free(struct daemon *d)
{
	sockets_close_all(d);
	free(d->sockets);
	d->sockets = NULL;
}

size_t
sockets_max(const struct daemon *d)
{
	char why[UDP_WHY_SIZE];

	if (!d->sockets)
		return 0;
	if (udp_extra_works(d->udp, why))
		return UDP_EXTRA_MAX;
	log_event(LOG_INFO, "extra-sockets",
	    "none can be opened (%s): behind the worst of NATs, contacts are "
	    "reached through others only",
	    why);
	return 0;
}

/* ---- as the node says ---- */

static enum err
watch(struct daemon *d, unsigned k)
{
	struct event *e = event_new(d->base, udp_extra_fd(d->udp, k),
	    EV_READ | EV_PERSIST, on_readable, d);

	if (!e)
		return ERR_NOMEM;
	d->sockets->read[k] = e;
	return event_add(e, NULL) ? ERR_NOMEM : ERR_OK;
}

void
sockets_open(struct daemon *d, unsigned k, enum family f)
{
	char why[UDP_WHY_SIZE] = "no memory";
	enum err err = d->sockets ? ERR_OK : ERR_STATE;

	assert(k > 0 && k <= UDP_EXTRA_MAX);
	if (!err)
		err = udp_extra_open(d->udp, k, f, why);
	if (!err)
		err = watch(d, k);
	if (!err)
		return;
	sockets_close(d, k);
	if (d->sockets && !d->sockets->told)
		log_event(LOG_WARNING, "extra-socket-failed",
		    "%s: fewer ways to contacts behind NATs", why);
	if (d->sockets)
		d->sockets->told = true;
	if (d->node)
		node_socket_lost(d->node, k, d->now);
}

void
sockets_close(struct daemon *d, unsigned k)
{
	assert(k > 0 && k <= UDP_EXTRA_MAX);
	if (!d->sockets)
		return;
	if (d->sockets->read[k])
		event_free(d->sockets->read[k]);
	d->sockets->read[k] = NULL;
	udp_extra_close(d->udp, k);
}

void
sockets_close_all(struct daemon *d)
{
	for (unsigned k = 1; d->sockets && k <= UDP_EXTRA_MAX; k++)
		sockets_close(d, k);
}
