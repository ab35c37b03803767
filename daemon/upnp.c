#include "daemon/upnp.h"

#include "daemon/log.h"
#include "daemon/sanitizer.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct upnp {
	int fd; /* to the helper; -1: it is gone */
	pid_t pid;
	struct event *read;
	void (*tell)(struct daemon *d);
	uint32_t serial; /* of the last job */
	bool busy;
	bool has_answer;
	struct endpoint internal; /* of the last job */
	struct mapping_done answer;
};

/* ---- bytes ---- */

static void
put_v4(struct writer *w, const struct endpoint *e)
{
	assert(endpoint_family(e) == FAMILY_V4);
	wr_span(w, endpoint_addr(e));
}

static struct endpoint
get_v4(struct reader *r, uint16_t port)
{
	uint8_t v4[4] = { 0 };

	rd_bytes(r, v4, sizeof(v4));
	return endpoint_v4(v4, port);
}

void
upnp_job_encode(const struct upnp_job *j, struct writer *ret)
{
	wr_u32le(ret, j->serial);
	wr_u16be(ret, j->job.internal.port);
	wr_u16be(ret, j->job.external_port);
	wr_u32le(ret, j->job.lifetime_s);
	put_v4(ret, &j->gateway);
	put_v4(ret, &j->job.internal);
	assert(ret->bad || ret->n == UPNP_JOB_SIZE);
}

enum err
upnp_job_decode(struct span in, struct upnp_job *ret)
{
	struct reader r = rd_init(in);
	struct upnp_job j = { .serial = rd_u32le(&r) };
	uint16_t port = rd_u16be(&r);

	j.job.external_port = rd_u16be(&r);
	j.job.lifetime_s = rd_u32le(&r);
	j.gateway = get_v4(&r, 0);
	j.job.internal = get_v4(&r, port);
	if (!rd_done(&r) || port == 0 || j.job.external_port == 0)
		return ERR_MALFORMED;
	*ret = j;
	return ERR_OK;
}

void
upnp_done_encode(const struct upnp_done *d, struct writer *ret)
{
	wr_u32le(ret, d->serial);
	wr_u32le(ret, d->done.lifetime_s);
	wr_u16be(ret, d->done.external.port);
	wr_u16be(ret, 0);
	put_v4(ret, &d->done.external);
	assert(ret->bad || ret->n == UPNP_DONE_SIZE);
}

enum err
upnp_done_decode(struct span in, struct upnp_done *ret)
{
	struct reader r = rd_init(in);
	struct upnp_done d = { .serial = rd_u32le(&r) };
	uint16_t port;
	uint16_t zero;

	d.done.lifetime_s = rd_u32le(&r);
	port = rd_u16be(&r);
	zero = rd_u16be(&r);
	d.done.external = get_v4(&r, port);
	if (!rd_done(&r) || zero != 0)
		return ERR_MALFORMED;
	*ret = d;
	return ERR_OK;
}

/* ---- the helper ---- */

#ifdef BTCHAT_UPNP

/* In the child: our socket is its standard input, and all it has. */
static _Noreturn void
become_helper(int fd)
{
	static char name[] = "btchatd";
	static char arg[] = UPNP_HELPER_ARG;
	char *argv[] = { name, arg, NULL };
	char *env[] = { NULL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	/* dup2 takes the flag of its copy away. */
	if (null < 0 || dup2(fd, STDIN_FILENO) < 0 ||
	    dup2(null, STDOUT_FILENO) < 0)
		_exit(1);
#ifndef UNDER_SANITIZER
	if (dup2(null, STDERR_FILENO) < 0)
		_exit(1);
#endif
	for (int i = STDERR_FILENO + 1; i < 1024; i++)
		(void)close(i);
	(void)execve("/proc/self/exe", argv, env);
	_exit(127);
}

static bool
spawn(struct upnp *u)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair))
		return false;
	u->pid = fork();
	if (u->pid == 0)
		become_helper(pair[1]);
	(void)close(pair[1]);
	if (u->pid < 0 || fcntl(pair[0], F_SETFL, O_NONBLOCK)) {
		(void)close(pair[0]);
		return false;
	}
	u->fd = pair[0];
	return true;
}

/* Then there is no gateway. */
static bool
is_loopback(const struct config *c)
{
	for (size_t i = 0; i < c->n_listen; i++)
		if (endpoint_scope(&c->listen[i]) != SCOPE_LOOPBACK)
			return false;
	return c->n_listen > 0;
}

void
upnp_begin(struct daemon *d)
{
	struct upnp *u;

	if (!d->config.port_mapping || !d->config.upnp ||
	    is_loopback(&d->config))
		return;
	u = calloc(1, sizeof(*u));
	if (!u)
		return;
	u->fd = -1;
	if (spawn(u))
		d->upnp = u;
	else
		free(u);
}

#else

void
upnp_begin(struct daemon *d)
{
	(void)d;
}

#endif

static void
hang_up(struct upnp *u)
{
	if (u->read)
		event_free(u->read);
	u->read = NULL;
	if (u->fd >= 0)
		(void)close(u->fd);
	u->fd = -1;
	u->busy = false;
}

void
upnp_end(struct daemon *d)
{
	if (!d->upnp)
		return;
	hang_up(d->upnp);
	free(d->upnp);
	d->upnp = NULL;
}

/* ---- talking ---- */

static void
lose(struct daemon *d)
{
	log_event(LOG_NOTICE, "upnp-off",
	    "its helper has ended: no mappings by UPnP until the next start");
	hang_up(d->upnp);
	(void)kill(d->upnp->pid, SIGKILL);
	(void)waitpid(d->upnp->pid, NULL, 0);
	d->upnp->tell(d);
}

static void
on_answer(evutil_socket_t fd, short what, void *ctx)
{
	struct daemon *d = ctx;
	struct upnp *u = d->upnp;
	uint8_t buf[UPNP_DONE_SIZE + 1];
	struct upnp_done done;
	ssize_t n;

	(void)what;
	daemon_wake(d);
	n = recv(fd, buf, sizeof(buf), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0 || upnp_done_decode(span_of(buf, (size_t)n), &done)) {
		lose(d);
		return;
	}
	if (!u->busy || done.serial != u->serial)
		return;
	u->busy = false;
	u->has_answer = true;
	u->answer = done.done;
	u->answer.internal = u->internal;
	u->tell(d);
}

void
upnp_listen(struct daemon *d, void (*tell)(struct daemon *d))
{
	struct upnp *u = d->upnp;

	if (!upnp_is_there(d))
		return;
	u->tell = tell;
	u->read = event_new(d->base, u->fd, EV_READ | EV_PERSIST, on_answer, d);
	if (!u->read || event_add(u->read, NULL))
		hang_up(u);
}

bool
upnp_is_there(const struct daemon *d)
{
	return d->upnp && d->upnp->fd >= 0;
}

bool
upnp_is_busy(const struct daemon *d)
{
	return d->upnp && d->upnp->busy;
}

void
upnp_ask(struct daemon *d, const struct endpoint *gateway,
    const struct mapping_job *job)
{
	struct upnp *u = d->upnp;
	struct upnp_job j = { .gateway = *gateway, .job = *job };
	uint8_t buf[UPNP_JOB_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));

	if (!upnp_is_there(d))
		return;
	j.serial = ++u->serial;
	upnp_job_encode(&j, &w);
	assert(!w.bad);
	u->internal = job->internal;
	u->busy = true;
	if (send(u->fd, buf, w.n, MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)w.n)
		lose(d); /* it cannot be so far behind */
}

bool
upnp_answer(struct daemon *d, struct mapping_done *ret)
{
	if (!d->upnp || !d->upnp->has_answer)
		return false;
	d->upnp->has_answer = false;
	*ret = d->upnp->answer;
	return true;
}
