/*
 * stdio: for "ssh HOST btchatctl stdio". Copies bytes between the standard
 * streams and the control socket, both ways at once; what one side closes is
 * closed at the other, and who does not read holds the writer up.
 */
#include "ctl/cmd.h"
#include "ctl/report.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER_SIZE = 64 * 1024 };

/* One direction. Nothing is read while something is to be written. */
struct flow {
	int from, to;
	char buf[BUFFER_SIZE];
	size_t start, n; /* start..n is to be written */
	bool ended;      /* from gives no more */
	bool closed;     /* and `to` was told */
};

static bool
is_empty(const struct flow *f)
{
	return f->start == f->n;
}

/* False: errno says why. */
static bool
fill(struct flow *f)
{
	ssize_t n = read(f->from, f->buf, sizeof(f->buf));

	if (n < 0 && errno == ECONNRESET)
		n = 0;
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	f->start = 0;
	f->n = (size_t)n;
	f->ended = n == 0;
	return true;
}

/* As much as can be written without waiting: into a pipe that poll says is
 * writable that is PIPE_BUF. */
static bool
drain(struct flow *f)
{
	size_t left = f->n - f->start;
	ssize_t n =
	    send(f->to, f->buf + f->start, left, MSG_DONTWAIT | MSG_NOSIGNAL);

	if (n < 0 && errno == ENOTSOCK)
		n = write(f->to, f->buf + f->start,
		    left < PIPE_BUF ? left : PIPE_BUF);
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	f->start += (size_t)n;
	return true;
}

/* Waits, and moves what can be moved. False: one of them is broken. */
static bool
step(struct flow *in, struct flow *out)
{
	struct flow *flows[] = { in, out };
	struct pollfd p[4];

	for (int i = 0; i < 2; i++) {
		const struct flow *f = flows[i];
		bool read = is_empty(f) && !f->ended;

		p[2 * i] = (struct pollfd){ .fd = read ? f->from : -1,
			.events = POLLIN };
		/* Also for nothing to be written: it may break. */
		p[2 * i + 1] = (struct pollfd){ .fd = f->closed ? -1 : f->to,
			.events = is_empty(f) ? 0 : POLLOUT };
	}
	if (poll(p, 4, -1) < 0)
		return errno == EINTR;
	for (int i = 0; i < 2; i++) {
		if (p[2 * i].revents != 0 && !fill(flows[i]))
			return false;
		if (!is_empty(flows[i]) && p[2 * i + 1].revents != 0 &&
		    !drain(flows[i]))
			return false;
	}
	errno = EPIPE;
	return !(p[3].revents & POLLERR);
}

/* Until the daemon closes, and all it said was passed on. */
static int
copy(int fd)
{
	static struct flow in, out;

	in = (struct flow){ .from = STDIN_FILENO, .to = fd };
	out = (struct flow){ .from = fd, .to = STDOUT_FILENO };
	while (!out.ended || !is_empty(&out)) {
		if (!step(&in, &out)) {
			report("cannot copy: %s", strerror(errno));
			return CTL_FAILED;
		}
		if (in.ended && is_empty(&in) && !in.closed) {
			(void)shutdown(fd, SHUT_WR);
			in.closed = true;
		}
	}
	if (in.closed)
		return CTL_DONE;
	report("btchatd closed the connection");
	return CTL_NO_DAEMON;
}

int
cmd_stdio(struct ctl *ctl)
{
	int status = ctl_connect(ctl);

	(void)signal(SIGPIPE, SIG_IGN);
	return status == CTL_DONE ? copy(ctl->client.fd) : status;
}
