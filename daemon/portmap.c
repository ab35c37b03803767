#include "daemon/portmap.h"

#include "daemon/addr.h"
#include "daemon/gateway.h"
#include "daemon/log.h"
#include "daemon/upnp.h"

#include <assert.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
	ANSWERS_MAX = 16, /* datagrams taken in one go */
	DEADLINE_MAX_MS = 3600 * 1000,
};

/* Towards one gateway. */
struct side {
	struct mapping mapping;
	int fd; /* connected to it: only its datagrams come in; -1: none */
	struct event *read;
	struct gateway gateway;
	struct endpoint internal;
	bool told; /* endpoint is with the node */
	struct endpoint endpoint;
};

struct portmap {
	struct daemon *d; /* borrowed */
	struct side side[FAMILY_COUNT];
	struct event *timer;
};

const char *
portmap_protocol(const struct mapping *m)
{
	static const char *const names[MAPPING_PROTOCOLS] = {
		[MAPPING_PCP] = "pcp",
		[MAPPING_NATPMP] = "nat-pmp",
		[MAPPING_UPNP] = "upnp",
	};

	return names[m->protocol];
}

/* ---- the node's view ---- */

void
portmap_tell(struct daemon *d)
{
	struct endpoint list[FAMILY_COUNT];
	size_t n = 0;

	if (!d->portmap || !d->node)
		return;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (d->portmap->side[f].told)
			list[n++] = d->portmap->side[f].endpoint;
	node_set_mapped(d->node, list, n, d->now);
}

static void
tell_change(struct portmap *p, struct side *s)
{
	struct endpoint e = { 0 };
	bool has = mapping_endpoint(&s->mapping, &e);

	if (has == s->told && (!has || endpoint_eq(&e, &s->endpoint)))
		return;
	if (has)
		log_event(LOG_INFO, "port-mapped", "address=%s protocol=%s",
		    log_addr(&e).s, portmap_protocol(&s->mapping));
	else
		log_event(LOG_INFO, "port-unmapped",
		    "others reach us by other ways, or not");
	s->told = has;
	s->endpoint = e;
	portmap_tell(p->d);
}

/* ---- driving ---- */

static void
set_timer(struct portmap *p)
{
	uint64_t now_ms = p->d->now.mono_ms;
	uint64_t at = NEVER;
	uint64_t in_ms;
	struct timeval tv;

	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		uint64_t due = mapping_deadline_ms(&p->side[f].mapping);

		at = due < at ? due : at;
	}
	in_ms = at > now_ms ? at - now_ms : 0;
	if (in_ms > DEADLINE_MAX_MS)
		in_ms = DEADLINE_MAX_MS;
	tv.tv_sec = (time_t)(in_ms / 1000);
	tv.tv_usec = (suseconds_t)(in_ms % 1000 * 1000);
	(void)event_add(p->timer, &tv);
}

static void
send_due(struct side *s)
{
	uint8_t buf[PCP_REQUEST_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));

	while (mapping_next(&s->mapping, &w)) {
		assert(!w.bad);
		/* A gateway without a server is silent, or says so by ICMP:
		 * the next try comes by itself. */
		if (s->fd >= 0)
			(void)send(s->fd, buf, w.n, MSG_DONTWAIT);
		w = wr_init(buf, sizeof(buf));
	}
}

/* Jobs for UPnP: one at a time. */
static void
send_jobs(struct daemon *d, struct side *s)
{
	struct mapping_job job;

	if (!upnp_is_busy(d) && mapping_next_job(&s->mapping, &job))
		upnp_ask(d, &s->gateway.at, &job);
}

static void
drive(struct portmap *p)
{
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		struct side *s = &p->side[f];

		mapping_tick(&s->mapping, p->d->now);
		send_due(s);
		send_jobs(p->d, s);
		tell_change(p, s);
	}
	set_timer(p);
}

/* UPnP's helper has answered, or has ended. */
static void
on_upnp(struct daemon *d)
{
	struct mapping *m;
	struct mapping_done done;

	if (!d->portmap)
		return;
	m = &d->portmap->side[FAMILY_V4].mapping;
	if (!upnp_is_there(d))
		mapping_set_upnp(m, false);
	else if (upnp_answer(d, &done))
		mapping_job_done(m, &done, d->now);
	drive(d->portmap);
}

static void
on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct portmap *p = ctx;

	(void)fd;
	(void)what;
	daemon_wake(p->d);
	drive(p);
}

static void
on_answer(evutil_socket_t fd, short what, void *ctx)
{
	struct portmap *p = ctx;
	uint8_t buf[PCP_REPLY_MAX + 1];

	(void)what;
	daemon_wake(p->d);
	for (int i = 0; i < ANSWERS_MAX; i++) {
		ssize_t n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);

		if (n < 0)
			break;
		for (unsigned f = 0; f < FAMILY_COUNT; f++)
			if (p->side[f].fd == fd)
				mapping_receive(&p->side[f].mapping,
				    span_of(buf, (size_t)n), p->d->now);
	}
	drive(p);
}

/* ---- sockets ---- */

static void
close_side(struct side *s)
{
	if (s->read)
		event_free(s->read);
	s->read = NULL;
	if (s->fd >= 0)
		(void)close(s->fd);
	s->fd = -1;
	mapping_stop(&s->mapping);
}

/* A socket of the address that the kernel would send from, or that we listen
 * on, if to is reached from there. */
static int
open_from(const struct endpoint *from, const struct endpoint *to,
    unsigned scope, struct endpoint *ret_local)
{
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(from, &ss);
	int fd =
	    socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0)
		return -1;
	if (bind(fd, (struct sockaddr *)&ss, n))
		goto fail;
	n = addr_to_sockaddr(to, &ss);
	if (ss.ss_family == AF_INET6) {
		struct sockaddr_in6 in6;

		memcpy(&in6, &ss, sizeof(in6));
		if (endpoint_scope(to) == SCOPE_LINK)
			in6.sin6_scope_id = scope;
		memcpy(&ss, &in6, sizeof(in6));
	}
	if (connect(fd, (struct sockaddr *)&ss, n))
		goto fail;
	if (addr_bound(fd, ret_local))
		goto fail;
	return fd;
fail:
	(void)close(fd);
	return -1;
}

/* Where our datagrams come from: what we are bound to, or what the kernel
 * chooses towards the world. Not a byte leaves. */
static bool
source_towards_world(
    const struct daemon *d, enum family f, struct endpoint *ret)
{
	struct endpoint world;
	struct endpoint bound;
	int fd;

	if (!udp_bound(d->udp, f, &bound) ||
	    addr_parse(
	        f == FAMILY_V4 ? "192.0.2.1:9" : "[2001:db8::1]:9", &world))
		return false;
	bound.port = 0;
	fd = open_from(&bound, &world, 0, ret);
	if (fd < 0)
		return false;
	(void)close(fd);
	/* A pinhole is for an address that the world can send to. */
	return endpoint_scope(ret) >=
	       (f == FAMILY_V4 ? SCOPE_PRIVATE : SCOPE_GLOBAL);
}

static void
open_side(struct portmap *p, enum family f, const struct endpoint *from,
    const struct gateway *g)
{
	struct side *s = &p->side[f];
	struct endpoint to = g->at;
	struct endpoint source = *from;

	to.port = PCP_PORT;
	source.port = 0;
	s->fd = open_from(&source, &to, g->scope, &source);
	if (s->fd < 0)
		return;
	s->read =
	    event_new(p->d->base, s->fd, EV_READ | EV_PERSIST, on_answer, p);
	if (!s->read || event_add(s->read, NULL)) {
		close_side(s);
		return;
	}
	s->gateway = *g;
	s->internal = *from;
	mapping_start(&s->mapping, from, p->d->now);
}

static void
look(struct portmap *p, enum family f)
{
	struct side *s = &p->side[f];
	struct gateway g = { .scope = 0 };
	struct endpoint from;
	struct endpoint bound;

	if (!gateway_find(f, &g) || !source_towards_world(p->d, f, &from) ||
	    !udp_bound(p->d->udp, f, &bound)) {
		close_side(s);
		return;
	}
	from.port = bound.port;
	if (s->fd >= 0 && g.scope == s->gateway.scope &&
	    endpoint_eq(&g.at, &s->gateway.at) &&
	    endpoint_eq(&from, &s->internal))
		return;
	close_side(s);
	open_side(p, f, &from, &g);
}

void
portmap_look(struct daemon *d)
{
	if (!d->portmap)
		return;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		look(d->portmap, (enum family)f);
	drive(d->portmap);
}

/* ---- life ---- */

enum err
portmap_new(struct daemon *d)
{
	struct portmap *p;

	if (!d->config.port_mapping || udp_is_loopback(d->udp)) {
		upnp_end(d);
		return ERR_OK;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return ERR_NOMEM;
	p->d = d;
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		mapping_init(&p->side[f].mapping, &d->rng);
		p->side[f].fd = -1;
	}
	d->portmap = p;
	p->timer = event_new(d->base, -1, 0, on_timer, p);
	if (!p->timer)
		return ERR_NOMEM;
	upnp_listen(d, on_upnp);
	mapping_set_upnp(&p->side[FAMILY_V4].mapping, upnp_is_there(d));
	portmap_look(d);
	return ERR_OK;
}

void
portmap_free(struct daemon *d)
{
	struct portmap *p = d->portmap;

	if (!p)
		return;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		close_side(&p->side[f]);
	if (p->timer)
		event_free(p->timer);
	free(p);
	d->portmap = NULL;
}

void
portmap_release(struct daemon *d)
{
	if (!d->portmap)
		return;
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		struct side *s = &d->portmap->side[f];
		struct mapping_job job;

		mapping_release(&s->mapping);
		send_due(s);
		if (mapping_next_job(&s->mapping, &job))
			upnp_ask(d, &s->gateway.at, &job);
	}
}

const struct mapping *
portmap_state(const struct daemon *d, enum family f)
{
	if (!d->portmap || d->portmap->side[f].mapping.state == MAPPING_OFF)
		return NULL;
	return &d->portmap->side[f].mapping;
}
