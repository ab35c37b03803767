/*
 * A client of the control socket that costs little beside the daemon.
 *
 *   caller SOCKET calls N       N calls of status in one go, read meanwhile
 *   caller SOCKET fill CONV N   N texts of 100 bytes
 *   caller SOCKET replay TYPE   the event log, until sub.live; all: of any type
 *   caller SOCKET ask N US      one call of status at a time, then US of rest
 *
 * Prints "what N SECONDS" or, of `ask`, "asked N P50_US P99_US MAX_US". What
 * comes is held against what must: replies in order, seqs that rise, by one if
 * all types were asked for.
 */
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

enum {
	IN = 4 << 20, /* holds every line: they end at 1 MiB */
	OUT = 1 << 16,
	LINE = 512, /* of a request */
	PATIENCE_MS = 60000,
};

struct caller {
	int fd;
	long n, asked, got; /* requests */
	const char *conv;   /* of texts; NULL: calls of status */
	char out[OUT];
	size_t out_n;
	char in[IN];
	size_t in_n;
};

static struct caller caller;

static _Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "caller: %s: %s\n", what, strerror(errno));
	exit(1);
}

static _Noreturn void
wrong(const char *what, const char *line)
{
	(void)fprintf(stderr, "caller: %s: %.300s\n", what, line);
	exit(1);
}

static uint64_t
now_ns(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static long
number(const char *s)
{
	char *end;
	long n = strtol(s, &end, 10);

	if (n < 0 || *s == '\0' || *end != '\0')
		wrong("not a number", s);
	return n;
}

static int
join(const char *path)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	if (strlen(path) >= sizeof(sa.sun_path))
		wrong("too long", path);
	memcpy(sa.sun_path, path, strlen(path));
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, sizeof(sa)) != 0)
		die(path);
	return fd;
}

/* ---- requests ---- */

static size_t
request(const struct caller *c, char *to)
{
	static const char text[] =
	    "a text of one hundred bytes, or as near to that as it goes, as "
	    "in the other figures of this folder";
	int n;

	if (!c->conv)
		n = snprintf(to, LINE,
		    "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"method\":\"status\"}\n",
		    c->asked);
	else
		n = snprintf(to, LINE,
		    "{\"jsonrpc\":\"2.0\",\"id\":%ld,\"method\":"
		    "\"message.send\",\"params\":{\"conv\":\"%.26s\","
		    "\"text\":\"%s\"}}\n",
		    c->asked, c->conv, text);
	return (size_t)n;
}

static void
ask_more(struct caller *c)
{
	ssize_t n;

	while (c->asked < c->n && c->out_n + LINE < OUT) {
		c->out_n += request(c, c->out + c->out_n);
		c->asked++;
	}
	n = send(c->fd, c->out, c->out_n, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0 && errno != EAGAIN)
		die("send");
	if (n <= 0)
		return;
	c->out_n -= (size_t)n;
	memmove(c->out, c->out + n, c->out_n);
}

/* ---- what comes ---- */

/* The number behind `key` in a line, which must be there. */
static long
member(const char *line, const char *key)
{
	const char *at = strstr(line, key);

	if (!at)
		wrong("expected", line);
	return strtol(at + strlen(key), NULL, 10);
}

static void
take_reply(struct caller *c, const char *line)
{
	if (member(line, "\"id\":") != c->got || !strstr(line, "\"result\""))
		wrong("not the reply that was due", line);
	c->got++;
}

/* Reads once; the whole lines of it go to `take`. */
static void
read_lines(struct caller *c, void (*take)(struct caller *c, const char *line))
{
	char *line = c->in, *lf;
	ssize_t n = recv(c->fd, c->in + c->in_n, IN - 1 - c->in_n, 0);

	if (n <= 0)
		die("recv");
	c->in_n += (size_t)n;
	c->in[c->in_n] = '\0';
	while ((lf = memchr(line, '\n', c->in_n - (size_t)(line - c->in)))) {
		*lf = '\0';
		take(c, line);
		line = lf + 1;
	}
	c->in_n -= (size_t)(line - c->in);
	memmove(c->in, line, c->in_n);
}

static void
call_all(struct caller *c, const char *what)
{
	uint64_t start = now_ns();

	while (c->got < c->n) {
		struct pollfd p = { .fd = c->fd, .events = POLLIN };

		if (c->out_n > 0 || c->asked < c->n)
			p.events |= POLLOUT;
		if (poll(&p, 1, PATIENCE_MS) != 1)
			die("poll");
		if (p.revents & POLLOUT)
			ask_more(c);
		if (p.revents & ~POLLOUT)
			read_lines(c, take_reply);
	}
	(void)printf(
	    "%s %ld %.6f\n", what, c->n, (double)(now_ns() - start) / 1e9);
}

/* ---- the log ---- */

static bool live, all;
static long last_seq;

static void
take_event(struct caller *c, const char *line)
{
	/* As it begins: looking for members in each would be the measure. */
	static const char event[] = "{\"jsonrpc\":\"2.0\",\"method\":\"event\","
	                            "\"params\":{\"sub\":1,\"seq\":";
	long seq;

	if (strncmp(line, event, sizeof(event) - 1) != 0) {
		live = live || strstr(line, "\"sub.live\"") != NULL;
		return;
	}
	seq = strtol(line + sizeof(event) - 1, NULL, 10);
	if (seq <= last_seq || (all && last_seq > 0 && seq != last_seq + 1))
		wrong("not the seq that was due", line);
	last_seq = seq;
	c->got++;
}

static void
replay(struct caller *c, const char *type)
{
	char types[LINE] = "", line[LINE + 128];
	uint64_t start = now_ns();

	all = strcmp(type, "all") == 0;
	if (!all)
		(void)snprintf(
		    types, sizeof(types), ",\"types\":[\"%.64s\"]", type);
	(void)snprintf(line, sizeof(line),
	    "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"events.subscribe\","
	    "\"params\":{\"since\":\"oldest\",\"ephemeral\":false%s}}\n",
	    types);
	if (send(c->fd, line, strlen(line), MSG_NOSIGNAL) < 0)
		die("send");
	while (!live)
		read_lines(c, take_event);
	(void)printf(
	    "replay %ld %.6f\n", c->got, (double)(now_ns() - start) / 1e9);
}

/* ---- one at a time ---- */

static int
by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void
ask_each(struct caller *c, long n, long rest_us)
{
	uint32_t *us = calloc((size_t)n + 1, sizeof(*us));

	if (!us)
		die("calloc");
	for (long i = 0; i < n; i++) {
		uint64_t start = now_ns();

		c->n = i + 1;
		ask_more(c);
		while (c->got < c->n)
			read_lines(c, take_reply);
		us[i] = (uint32_t)((now_ns() - start) / 1000);
		(void)usleep((useconds_t)rest_us);
	}
	qsort(us, (size_t)n, sizeof(*us), by_size);
	(void)printf("asked %ld %u %u %u\n", n, us[n / 2], us[n * 99 / 100],
	    us[n > 0 ? n - 1 : 0]);
	free(us);
}

int
main(int argc, char **argv)
{
	struct caller *c = &caller;
	const char *what = argc > 2 ? argv[2] : "";

	if (argc > 2)
		c->fd = join(argv[1]);
	if (strcmp(what, "calls") == 0 && argc == 4) {
		c->n = number(argv[3]);
		call_all(c, "calls");
	} else if (strcmp(what, "fill") == 0 && argc == 5) {
		c->conv = argv[3];
		c->n = number(argv[4]);
		call_all(c, "fill");
	} else if (strcmp(what, "replay") == 0 && argc == 4) {
		replay(c, argv[3]);
	} else if (strcmp(what, "ask") == 0 && argc == 5) {
		ask_each(c, number(argv[3]), number(argv[4]));
	} else {
		(void)fprintf(stderr,
		    "usage: caller SOCKET calls N | fill CONV N | "
		    "replay TYPE | ask N US\n");
		return 64;
	}
	return 0;
}
