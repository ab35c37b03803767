#include "daemon/udp.h"

#include "daemon/addr.h"
#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	KERNEL_BUFFER = 4 * 1024 * 1024, /* bytes asked for, each direction */
	RUN_READS = 8,                   /* of RUN_BYTES, with UDP_GRO */
	RUN_BYTES = 65535,
	RUN_SEND_BYTES = 65000, /* of one run out: below 65,507 */
	SELF_MS = 20, /* for the kernel to bring us what we sent to us */
};

/* A datagram that waits for the commit. */
struct queued {
	struct endpoint to;
	uint16_t n;
	uint8_t hops, socket; /* as of struct udp_way; GONE */
	uint8_t data[UDP_PAYLOAD_MAX];
};
enum { GONE = UINT8_MAX }; /* its socket is closed */
_Static_assert((int)UDP_EXTRA_MAX < (int)GONE, "numbers of extra sockets");

struct sock {
	int fd; /* -1: none */
	enum family family;
	struct endpoint bound;
	bool segments; /* UDP_SEGMENT works */
	bool runs;     /* UDP_GRO is on */
	bool more;     /* the last read may have left some */
};

struct udp {
	struct sock sock[FAMILY_COUNT];
	struct sock extra[UDP_EXTRA_MAX + 1]; /* [0] is not used */
	struct udp_stats stats;
	struct queued *queue; /* owned; grows up to UDP_QUEUE_MAX */
	size_t queue_n, queue_cap;
	size_t queue_at;     /* first one not sent yet */
	size_t plain_until;  /* sent one by one: a run of them failed */
	struct udp_in *in;   /* owned */
	struct udp_out *out; /* owned */
};

/* The size of the segments of a run, and the hops, beside a message. */
struct control {
	_Alignas(struct cmsghdr) char b[2 * CMSG_SPACE(sizeof(int))];
};

/* Room for one receive batch. */
struct udp_in {
	struct mmsghdr msg[UDP_RECEIVE_BATCH];
	struct iovec iov[UDP_RECEIVE_BATCH];
	struct sockaddr_storage from[UDP_RECEIVE_BATCH];
	struct control control[UDP_RECEIVE_BATCH];
	union {
		uint8_t one[UDP_RECEIVE_BATCH][UDP_PAYLOAD_MAX];
		uint8_t run[RUN_READS][RUN_BYTES];
	} data;
};

/* What goes to one sendmmsg. */
struct udp_out {
	struct mmsghdr msg[UDP_SEND_BATCH];
	struct iovec iov[UDP_SEND_BATCH];
	struct sockaddr_storage to[UDP_SEND_BATCH];
	struct control control[UDP_SEND_BATCH];
	unsigned n, n_iov;
};

static enum err __attribute__((format(printf, 3, 4)))
refuse(char why[UDP_WHY_SIZE], enum err err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, UDP_WHY_SIZE, fmt, ap);
	va_end(ap);
	return err;
}

enum err
udp_new(struct udp **ret)
{
	struct udp *u = calloc(1, sizeof(*u));

	if (!u)
		return ERR_NOMEM;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		u->sock[f] = (struct sock){ .fd = -1, .family = f };
	for (unsigned k = 0; k <= UDP_EXTRA_MAX; k++)
		u->extra[k].fd = -1;
	u->in = calloc(1, sizeof(*u->in));
	u->out = calloc(1, sizeof(*u->out));
	if (!u->in || !u->out) {
		udp_free(u);
		return ERR_NOMEM;
	}
	*ret = u;
	return ERR_OK;
}

void
udp_free(struct udp *u)
{
	if (!u)
		return;
	for (unsigned f = 0; f < FAMILY_COUNT; f++)
		if (u->sock[f].fd >= 0)
			(void)close(u->sock[f].fd);
	for (unsigned k = 1; k <= UDP_EXTRA_MAX; k++)
		udp_extra_close(u, k);
	free(u->queue);
	free(u->in);
	free(u->out);
	free(u);
}

/* ---- sockets ---- */

static void
set_option(int fd, int level, int name, int value)
{
	(void)setsockopt(fd, level, name, &value, sizeof(value));
}

/* Runs are an offer of the kernel: without it all goes one by one. */
static void
tune_runs(struct sock *s)
{
	int off = 0, on = 1;

	s->segments =
	    setsockopt(s->fd, IPPROTO_UDP, UDP_SEGMENT, &off, sizeof(off)) == 0;
	s->runs = setsockopt(s->fd, IPPROTO_UDP, UDP_GRO, &on, sizeof(on)) == 0;
}

static void
tune(int fd, enum family f)
{
	set_option(fd, SOL_SOCKET, SO_RCVBUF, KERNEL_BUFFER);
	set_option(fd, SOL_SOCKET, SO_SNDBUF, KERNEL_BUFFER);
	/* No fragments: sizes are chosen for the path. */
	if (f == FAMILY_V4)
		set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER, IP_PMTUDISC_PROBE);
	else
		set_option(
		    fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, IPV6_PMTUDISC_PROBE);
}

enum err
udp_listen(struct udp *u, const struct endpoint *at, char why[UDP_WHY_SIZE])
{
	enum family f = endpoint_family(at);
	int domain = f == FAMILY_V4 ? AF_INET : AF_INET6;
	char text[ADDR_TEXT_SIZE];
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(at, &ss);
	enum err err;
	int errnum;
	int fd;

	assert(at->port != 0);
	addr_format(at, text);
	if (u->sock[f].fd >= 0)
		return refuse(why, ERR_EXISTS, "%s: a second one", text);
	fd = socket(domain, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return refuse(
		    why, ERR_UNSUPPORTED, "%s: %s", text, strerror(errno));
	if (f == FAMILY_V6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (bind(fd, (struct sockaddr *)&ss, n)) {
		errnum = errno;
		err = errnum == EADDRINUSE ? ERR_EXISTS
		      : errnum == EADDRNOTAVAIL || errnum == EAFNOSUPPORT
		          ? ERR_UNSUPPORTED
		          : ERR_IO;
		(void)close(fd);
		return refuse(why, err, "%s: %s", text, strerror(errnum));
	}
	tune(fd, f);
	u->sock[f].fd = fd;
	u->sock[f].bound = *at;
	tune_runs(&u->sock[f]);
	return ERR_OK;
}

enum err
udp_adopt(struct udp *u, int fd, char why[UDP_WHY_SIZE])
{
	struct endpoint at;
	enum family f;
	int type = 0;
	int flags = fcntl(fd, F_GETFL);
	socklen_t n = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) ||
	    type != SOCK_DGRAM || flags < 0)
		return refuse(why, ERR_UNSUPPORTED,
		    "inherited descriptor %d is not a UDP socket", fd);
	if (addr_bound(fd, &at) || at.port == 0)
		return refuse(why, ERR_UNSUPPORTED,
		    "inherited descriptor %d is not bound to a port", fd);
	f = endpoint_family(&at);
	if (u->sock[f].fd >= 0)
		return refuse(why, ERR_EXISTS,
		    "inherited descriptor %d: a second one of its family", fd);
	if (fcntl(fd, F_SETFL, flags | O_NONBLOCK))
		return refuse(
		    why, ERR_IO, "descriptor %d: %s", fd, strerror(errno));
	tune(fd, f);
	u->sock[f].fd = fd;
	u->sock[f].bound = at;
	tune_runs(&u->sock[f]);
	return ERR_OK;
}

/* ---- extra sockets ---- */

/* At the address of the family's socket; -1: errno says why. */
static int
open_beside(const struct sock *s, struct endpoint *ret)
{
	struct endpoint at = s->bound;
	struct sockaddr_storage ss;
	socklen_t n;
	int errnum;
	int fd;

	at.port = 0;
	n = addr_to_sockaddr(&at, &ss);
	fd = socket(ss.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -1;
	if (s->family == FAMILY_V6)
		set_option(fd, IPPROTO_IPV6, IPV6_V6ONLY, 1);
	if (bind(fd, (struct sockaddr *)&ss, n) || addr_bound(fd, ret)) {
		errnum = errno;
		(void)close(fd);
		errno = errnum;
		return -1;
	}
	return fd;
}

static enum err
refuse_extra(char why[UDP_WHY_SIZE], int errnum)
{
	enum err err = ERR_IO;

	if (errnum == EMFILE || errnum == ENFILE || errnum == ENOBUFS ||
	    errnum == ENOMEM)
		err = ERR_LIMIT;
	else if (errnum == EPERM || errnum == EACCES || errnum == EAFNOSUPPORT)
		err = ERR_UNSUPPORTED;
	return refuse(why, err, "%s", strerror(errnum));
}

enum err
udp_extra_open(struct udp *u, unsigned k, enum family f, char why[UDP_WHY_SIZE])
{
	struct sock s = { .family = f };

	assert(k > 0 && k <= UDP_EXTRA_MAX);
	if (u->extra[k].fd >= 0)
		return refuse(why, ERR_EXISTS, "it is open");
	if (u->sock[f].fd < 0)
		return refuse(why, ERR_UNSUPPORTED, "no socket of its family");
	s.fd = open_beside(&u->sock[f], &s.bound);
	if (s.fd < 0)
		return refuse_extra(why, errno);
	tune(s.fd, f);
	tune_runs(&s);
	u->extra[k] = s;
	u->stats.extra++;
	return ERR_OK;
}

void
udp_extra_close(struct udp *u, unsigned k)
{
	assert(k > 0 && k <= UDP_EXTRA_MAX);
	if (u->extra[k].fd < 0)
		return;
	for (size_t i = u->queue_at; i < u->queue_n; i++)
		if (u->queue[i].socket == k)
			u->queue[i].socket = GONE;
	(void)close(u->extra[k].fd);
	u->extra[k].fd = -1;
	u->stats.extra--;
}

int
udp_extra_fd(const struct udp *u, unsigned k)
{
	return k > 0 && k <= UDP_EXTRA_MAX ? u->extra[k].fd : -1;
}

bool
udp_extra_bound(const struct udp *u, unsigned k, struct endpoint *ret)
{
	if (udp_extra_fd(u, k) < 0)
		return false;
	*ret = u->extra[k].bound;
	return true;
}

bool
udp_extra_works(const struct udp *u, char why[UDP_WHY_SIZE])
{
	(void)refuse(why, ERR_UNSUPPORTED, "no socket");
	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		struct endpoint at;
		int fd;

		if (u->sock[f].fd < 0)
			continue;
		fd = open_beside(&u->sock[f], &at);
		if (fd >= 0) {
			(void)close(fd);
			return true;
		}
		(void)refuse_extra(why, errno);
	}
	return false;
}

/* Where it hears itself. */
static struct endpoint
self_of(const struct sock *s)
{
	static const uint8_t any[16];
	struct endpoint at = s->bound;
	struct span b = endpoint_addr(&at);
	bool good;

	if (memcmp(b.p, any, b.n) != 0)
		return at;
	good = !addr_parse(
	    s->family == FAMILY_V4 ? "127.0.0.1:1" : "[::1]:1", &at);
	assert(good);
	(void)good;
	at.port = s->bound.port;
	return at;
}

/* On the way to ourselves there is no queue but that of the socket. */
enum err
udp_self(const struct udp *u, enum family f, char why[UDP_WHY_SIZE])
{
	static const uint8_t nothing[8]; /* neither KRPC nor a packet */
	const struct sock *s = &u->sock[f];
	struct pollfd p = { .fd = s->fd, .events = POLLIN };
	struct endpoint to = self_of(s);
	struct sockaddr_storage ss;
	socklen_t n = addr_to_sockaddr(&to, &ss);

	assert(s->fd >= 0);
	if (sendto(s->fd, nothing, sizeof(nothing), MSG_DONTWAIT,
	        (const struct sockaddr *)&ss, n) < 0)
		return refuse(
		    why, ERR_IO, "nothing can be sent: %s", strerror(errno));
	if (poll(&p, 1, SELF_MS) != 1 || !(p.revents & POLLIN))
		return refuse(why, ERR_IO, "what is sent does not come in");
	return ERR_OK;
}

int
udp_fd(const struct udp *u, enum family f)
{
	return u->sock[f].fd;
}

bool
udp_bound(const struct udp *u, enum family f, struct endpoint *ret)
{
	if (u->sock[f].fd < 0)
		return false;
	*ret = u->sock[f].bound;
	return true;
}

bool
udp_is_loopback(const struct udp *u)
{
	bool any = false;

	for (unsigned f = 0; f < FAMILY_COUNT; f++) {
		if (u->sock[f].fd < 0)
			continue;
		any = true;
		if (endpoint_scope(&u->sock[f].bound) != SCOPE_LOOPBACK)
			return false;
	}
	return any;
}

/* ---- receiving ---- */

/* Returns how many messages may be read. */
static unsigned
prepare_batch(struct udp_in *in, bool runs)
{
	unsigned n = runs ? RUN_READS : UDP_RECEIVE_BATCH;

	for (unsigned i = 0; i < n; i++) {
		in->iov[i] =
		    runs ? (struct iovec){ in->data.run[i], RUN_BYTES }
		         : (struct iovec){ in->data.one[i], UDP_PAYLOAD_MAX };
		in->msg[i].msg_hdr = (struct msghdr){
			.msg_name = &in->from[i],
			.msg_namelen = sizeof(in->from[i]),
			.msg_iov = &in->iov[i],
			.msg_iovlen = 1,
			.msg_control = in->control[i].b,
			.msg_controllen = sizeof(in->control[i].b),
		};
	}
	return n;
}

/* Bytes of each datagram in a run of n; n if it is one datagram. */
static size_t
segment_size(struct msghdr *h, size_t n)
{
	for (struct cmsghdr *c = CMSG_FIRSTHDR(h); c; c = CMSG_NXTHDR(h, c)) {
		int size;

		if (c->cmsg_level != IPPROTO_UDP || c->cmsg_type != UDP_GRO ||
		    c->cmsg_len < CMSG_LEN(sizeof(size)))
			continue;
		memcpy(&size, CMSG_DATA(c), sizeof(size));
		if (size > 0 && (size_t)size < n)
			return (size_t)size;
	}
	return n;
}

/* Hands over what one message carries; how many datagrams. */
static size_t
take_message(struct udp *u, const struct sock *s, struct mmsghdr *m,
    void (*take)(void *ctx, const struct endpoint *from, struct span data),
    void *ctx)
{
	struct msghdr *h = &m->msg_hdr;
	size_t left = m->msg_len, size = segment_size(h, left), n = 0;
	bool whole = !(h->msg_flags & MSG_TRUNC) && size <= UDP_PAYLOAD_MAX;
	const uint8_t *p = h->msg_iov[0].iov_base;
	struct endpoint from;

	whole =
	    whole && !addr_from_sockaddr(h->msg_name, h->msg_namelen, &from);
	u->stats.runs_in += size < left;
	do {
		size_t len = size < left ? size : left;

		u->stats.in++;
		u->stats.bytes_in += len;
		if (whole && endpoint_family(&from) == s->family)
			take(ctx, &from, span_of(p, len));
		else
			u->stats.too_long++;
		p += len;
		left -= len;
		n++;
	} while (left > 0);
	return n;
}

/* Where runs are taken few messages fit, and most are single datagrams: it
 * is read again until a turn has something to do. */
static size_t
receive(struct udp *u, struct sock *s,
    void (*take)(void *ctx, const struct endpoint *from, struct span data),
    void *ctx)
{
	size_t all = 0;
	int batch, n;

	do {
		batch = (int)prepare_batch(u->in, s->runs);
		/* An error here is an old ICMP's or a signal: nothing to do,
		 * the next read goes on. */
		n = recvmmsg(
		    s->fd, u->in->msg, (unsigned)batch, MSG_DONTWAIT, NULL);
		for (int i = 0; i < n; i++)
			all += take_message(u, s, &u->in->msg[i], take, ctx);
	} while (n == batch && all < UDP_RECEIVE_BATCH);
	s->more = n == batch;
	return all;
}

size_t
udp_receive(struct udp *u, enum family f,
    void (*take)(void *ctx, const struct endpoint *from, struct span data),
    void *ctx)
{
	return receive(u, &u->sock[f], take, ctx);
}

bool
udp_is_behind(const struct udp *u, enum family f)
{
	uint32_t mem[SK_MEMINFO_VARS] = { 0 };
	socklen_t n = sizeof(mem);

	/* Before Linux 4.12 nobody can tell. */
	if (!u->sock[f].more ||
	    getsockopt(u->sock[f].fd, SOL_SOCKET, SO_MEMINFO, mem, &n))
		return false;
	return mem[SK_MEMINFO_RMEM_ALLOC] > mem[SK_MEMINFO_RCVBUF] / 8;
}

size_t
udp_extra_receive(struct udp *u, unsigned k,
    void (*take)(void *ctx, const struct endpoint *from, struct span data),
    void *ctx)
{
	assert(k > 0 && k <= UDP_EXTRA_MAX);
	return receive(u, &u->extra[k], take, ctx);
}

/* ---- sending ---- */

static bool
grow(struct udp *u)
{
	size_t cap = u->queue_cap ? u->queue_cap * 2 : UDP_SEND_BATCH;
	struct queued *q;

	if (u->queue_n < u->queue_cap)
		return true;
	if (cap > UDP_QUEUE_MAX)
		return false;
	q = realloc(u->queue, cap * sizeof(*q));
	if (!q)
		return false;
	u->queue = q;
	u->queue_cap = cap;
	return true;
}

/* By which one it leaves; fd -1: by none. */
static struct sock *
sock_of(struct udp *u, const struct endpoint *to, unsigned socket)
{
	assert(socket <= UDP_EXTRA_MAX);
	return socket > 0 ? &u->extra[socket] : &u->sock[endpoint_family(to)];
}

void
udp_queue_way(struct udp *u, const struct udp_way *way, struct span data)
{
	const struct sock *s = sock_of(u, &way->to, way->socket);
	struct queued *q;

	assert(data.n <= UDP_PAYLOAD_MAX);
	if (s->fd < 0 || s->family != endpoint_family(&way->to) || !grow(u)) {
		u->stats.queue_dropped++;
		return;
	}
	q = &u->queue[u->queue_n++];
	q->to = way->to;
	q->hops = way->hops;
	q->socket = (uint8_t)way->socket;
	q->n = (uint16_t)data.n;
	if (data.n)
		memcpy(q->data, data.p, data.n);
}

void
udp_queue(struct udp *u, const struct endpoint *to, struct span data)
{
	const struct udp_way way = { .to = *to };

	udp_queue_way(u, &way, data);
}

/* True if q can be one more of the run that begins with first: all but the
 * last have one size. */
static bool
joins(const struct queued *first, const struct queued *before,
    const struct queued *q, size_t bytes)
{
	return endpoint_eq(&first->to, &q->to) && first->hops == q->hops &&
	       before->n == first->n && q->n > 0 && q->n <= first->n &&
	       bytes + q->n <= RUN_SEND_BYTES;
}

/* Adds a word for the kernel to what goes beside the message. */
static void
add_control(struct msghdr *h, struct control *c, int level, int type,
    const void *value, size_t n)
{
	struct cmsghdr head = { .cmsg_level = level, .cmsg_type = type };
	char *at = c->b + h->msg_controllen;

	assert(h->msg_controllen + CMSG_SPACE(n) <= sizeof(c->b));
	head.cmsg_len = CMSG_LEN(n);
	memset(at, 0, CMSG_SPACE(n));
	memcpy(at, &head, sizeof(head));
	memcpy(at + CMSG_LEN(0), value, n);
	h->msg_control = c->b;
	h->msg_controllen += CMSG_SPACE(n);
}

static void
add_hops(struct msghdr *h, struct control *c, const struct queued *q)
{
	int hops = q->hops;

	if (endpoint_family(&q->to) == FAMILY_V4)
		add_control(h, c, IPPROTO_IP, IP_TTL, &hops, sizeof(hops));
	else
		add_control(
		    h, c, IPPROTO_IPV6, IPV6_HOPLIMIT, &hops, sizeof(hops));
}

/* Adds the datagrams at..end-1 that can leave as one; how many. */
static unsigned
add_run(struct udp *u, struct udp_out *o, size_t at, size_t end, bool segments)
{
	const struct queued *first = &u->queue[at];
	struct msghdr *h = &o->msg[o->n].msg_hdr;
	unsigned n = 0;
	size_t bytes = 0;

	*h = (struct msghdr){
		.msg_name = &o->to[o->n],
		.msg_namelen = addr_to_sockaddr(&first->to, &o->to[o->n]),
		.msg_iov = &o->iov[o->n_iov],
	};
	do {
		struct queued *q = &u->queue[at + n++];

		o->iov[o->n_iov++] = (struct iovec){ q->data, q->n };
		bytes += q->n;
	} while (segments && at + n < end && n < UDP_RUN_MAX &&
	         joins(first, &u->queue[at + n - 1], &u->queue[at + n], bytes));
	h->msg_iovlen = n;
	if (n > 1)
		add_control(h, &o->control[o->n], IPPROTO_UDP, UDP_SEGMENT,
		    &first->n, sizeof(uint16_t));
	if (first->hops > 0)
		add_hops(h, &o->control[o->n], first);
	o->n++;
	return n;
}

/* The next datagrams of one socket. */
static void
prepare_out(struct udp *u, const struct sock *s, struct udp_out *o)
{
	size_t at = u->queue_at, end = at;
	bool segments = s->segments && at >= u->plain_until;
	unsigned socket = u->queue[at].socket;

	o->n = o->n_iov = 0;
	while (end < u->queue_n && end - at < UDP_SEND_BATCH &&
	       u->queue[end].socket == socket &&
	       endpoint_family(&u->queue[end].to) == s->family)
		end++;
	while (at < end)
		at += add_run(u, o, at, end, segments);
}

/* The kernel refused the first message for good. A run is tried again one by
 * one: perhaps only its size is too much for the interface. */
static size_t
refused(struct udp *u, struct sock *s, const struct udp_out *o, int errnum)
{
	size_t n = o->msg[0].msg_hdr.msg_iovlen;

	if (n == 1) { /* it is lost, as any */
		u->stats.send_failed++;
		return 1;
	}
	if (errnum == EIO) /* no checksums from this interface */
		s->segments = false;
	u->plain_until = u->queue_at + n;
	return 0;
}

/* Sends some datagrams of one socket. False: the kernel takes no more now. */
static bool
send_some(struct udp *u, struct sock *s)
{
	const struct udp_out *o = u->out;
	int r;

	prepare_out(u, s, u->out);
	assert(o->n > 0 && o->n_iov <= UDP_SEND_BATCH);
	do
		r = sendmmsg(s->fd, u->out->msg, o->n, MSG_DONTWAIT);
	while (r < 0 && errno == EINTR);
	if (r < 0 && (errno == EAGAIN || errno == ENOBUFS || errno == ENOMEM))
		return false;
	if (r <= 0)
		u->queue_at += refused(u, s, o, errno);
	for (int i = 0; i < r; i++) {
		size_t n = o->msg[i].msg_hdr.msg_iovlen;

		u->stats.bytes_out += o->msg[i].msg_len;
		u->stats.out += n;
		u->stats.runs_out += n > 1;
		u->queue_at += n;
	}
	return true;
}

bool
udp_flush(struct udp *u, enum family *ret_busy)
{
	while (u->queue_at < u->queue_n) {
		const struct queued *q = &u->queue[u->queue_at];
		struct sock *s;

		if (q->socket == GONE) {
			u->stats.queue_dropped++;
			u->queue_at++;
			continue;
		}
		s = sock_of(u, &q->to, q->socket);
		if (!send_some(u, s)) {
			*ret_busy = s->family;
			return false;
		}
	}
	udp_drop_queue(u);
	return true;
}

bool
udp_is_queued(const struct udp *u)
{
	return u->queue_at < u->queue_n;
}

void
udp_drop_queue(struct udp *u)
{
	u->queue_n = 0;
	u->queue_at = 0;
	u->plain_until = 0;
	if (u->queue_cap > 16 * (size_t)UDP_SEND_BATCH) {
		free(u->queue); /* a burst's memory goes back */
		u->queue = NULL;
		u->queue_cap = 0;
	}
}

void
udp_get_stats(const struct udp *u, struct udp_stats *ret)
{
	*ret = u->stats;
}
