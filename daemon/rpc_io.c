/* Readiness and time by libevent. */
#include "daemon/rpc_io.h"

#include <event2/event.h>

#include <assert.h>
#include <stdlib.h>
#include <sys/time.h>

struct rpc_io {
	void (*run)(void *owner, bool readable);
	void *owner;                /* borrowed */
	struct event *read, *write; /* owned; NULL if there is no fd */
	struct event *hand;         /* owned; NULL if there is one */
	bool reading, writing;
};

static void
on_event(evutil_socket_t fd, short what, void *ctx)
{
	struct rpc_io *io = ctx;

	(void)fd;
	io->run(io->owner, what & EV_READ);
}

struct rpc_io *
rpc_io_new(struct event_base *base, int fd,
    void (*run)(void *owner, bool readable), void *owner)
{
	struct rpc_io *io = calloc(1, sizeof(*io));

	if (!io)
		return NULL;
	io->run = run;
	io->owner = owner;
	if (fd >= 0) {
		io->read =
		    event_new(base, fd, EV_READ | EV_PERSIST, on_event, io);
		io->write =
		    event_new(base, fd, EV_WRITE | EV_PERSIST, on_event, io);
	} else {
		io->hand = event_new(base, -1, 0, on_event, io);
	}
	if (fd >= 0 ? io->read && io->write : io->hand != NULL)
		return io;
	rpc_io_free(io);
	return NULL;
}

void
rpc_io_free(struct rpc_io *io)
{
	if (!io)
		return;
	if (io->read)
		event_free(io->read);
	if (io->write)
		event_free(io->write);
	if (io->hand)
		event_free(io->hand);
	free(io);
}

/* A failed event_add is tried again at the next call: it is not noted. */
static void
watch(struct event *ev, bool *is, bool want)
{
	if (want == *is)
		return;
	if (want ? event_add(ev, NULL) == 0 : event_del(ev) == 0)
		*is = want;
}

void
rpc_io_watch(struct rpc_io *io, bool read, bool write)
{
	assert(io->read && io->write);
	watch(io->read, &io->reading, read);
	watch(io->write, &io->writing, write);
}

void
rpc_io_soon(struct rpc_io *io)
{
	assert(io->hand);
	event_active(io->hand, EV_TIMEOUT, 1);
}

void
rpc_io_in(struct rpc_io *io, uint64_t in_ms)
{
	struct timeval tv = { .tv_sec = (time_t)(in_ms / 1000),
		.tv_usec = (suseconds_t)(in_ms % 1000 * 1000) };

	assert(io->hand);
	(void)event_add(io->hand, &tv);
}
