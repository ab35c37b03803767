/*
 * What sessions carry without a store: two processes, each with the link
 * layer and the daemon's sockets.
 *
 *   link WHAT SECONDS [ADDRESS ADDRESS]    IPv4, of this machine; loopback
 *
 *   bulk    one transfer
 *   texts   texts of 100 bytes as fast as they go
 *   ping    a text there and back, one at a time
 *   words   a text every 20 ms, and how long it is on its way
 *   busy    the same beside a transfer
 *   bare    the yardstick of bulk: the same AEAD over the same bytes in a
 *           loop of sendmmsg and one of recvmmsg, nothing else
 *   echo    that of ping: a datagram with the same AEAD there and back
 *
 * Prints one JSON object: bytes a second, processor time of both processes,
 * times in us.
 */
#include "daemon/udp.h"
#include "tests/bench/bare.h"
#include "tests/support/link_wire.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
	TEXT = 100,
	CHUNK = 16384,
	WAIT_MAX_MS = 100,
	WORD_NS = 20 * 1000000,
	WARM_S = 3, /* Startup, the search for the path's size */
};

enum what { BULK, TEXTS, PING, WORDS, BUSY, BARE, ECHO };
#define WHATS 7

static const char *const names[WHATS] = { "bulk", "texts", "ping", "words",
	"busy", "bare", "echo" };

static struct shared *shared;

struct side {
	struct wire *w;
	unsigned me;
	enum what what;
	struct links *links;
	struct udp *udp;
	uint64_t start_ns;
	bool up;
	/* Texts. */
	uint8_t text[TEXT]; /* one that is coming */
	size_t n_text;
	size_t owed;      /* bytes to be sent back */
	bool on_way;      /* PING */
	uint64_t sent_ns; /* PING */
	uint64_t next_ns; /* WORDS, BUSY */
};

_Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "link: %s: %s\n", what, strerror(errno));
	exit(2);
}

uint64_t
clock_ns(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int
open_socket(const char *address, struct endpoint *at)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint8_t b[4];

	if (inet_pton(AF_INET, address, &sin.sin_addr) != 1)
		die(address);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, n) ||
	    getsockname(fd, (struct sockaddr *)&sin, &n))
		die("socket");
	memcpy(b, &sin.sin_addr, sizeof(b));
	*at = endpoint_v4(b, ntohs(sin.sin_port));
	return fd;
}

/* ---- links ---- */

static struct now
side_now(const struct side *s)
{
	struct now now = s->w->now;
	uint64_t ms = (clock_ns() - s->start_ns) / 1000000;

	return (struct now){ now.mono_ms + ms, now.wall_ms + ms };
}

static void
take(void *ctx, const struct endpoint *from, struct span data)
{
	struct side *s = ctx;

	links_receive(s->links, from, data, side_now(s));
}

static void
send_text(struct side *s)
{
	uint8_t text[TEXT] = { 0 };
	uint64_t now_ns = clock_ns();

	memcpy(text, &now_ns, sizeof(now_ns));
	if (links_write(s->links, !s->me, span_of(text, sizeof(text))))
		die("write");
}

/* A whole text came; it begins with the time when it was written. */
static void
take_text(struct side *s)
{
	uint64_t sent_ns;

	memcpy(&sent_ns, s->text, sizeof(sent_ns));
	if (s->what == WORDS || s->what == BUSY)
		shared_sample(shared, clock_ns() - sent_ns);
	if (s->what != PING)
		return;
	if (s->me == 0)
		shared_sample(shared, clock_ns() - s->sent_ns);
	s->on_way = false;
	s->owed += s->me;
}

static void
take_texts(struct side *s, struct span data)
{
	shared->texts += data.n;
	if (s->what == TEXTS)
		return;
	for (size_t i = 0; i < data.n; i++) {
		s->text[s->n_text++] = data.p[i];
		if (s->n_text < TEXT)
			continue;
		s->n_text = 0;
		take_text(s);
	}
}

static void
carry_out(struct side *s, const struct link_out *o)
{
	if (o->kind == LINK_OUT_SEND)
		udp_queue(s->udp, &o->endpoint, o->data);
	else if (o->kind == LINK_OUT_DATA)
		take_texts(s, o->data);
	else if (o->kind == LINK_OUT_BULK)
		shared->bulk += o->data.n;
	else if (o->kind == LINK_OUT_DOWN)
		die("the link is down");
	else if (o->kind == LINK_OUT_UP)
		s->up = true;
	if (o->kind == LINK_OUT_UP && links_bulk_open(s->links, o->peer))
		die("bulk");
}

static void
write_bulk(struct side *s)
{
	static uint8_t chunk[CHUNK];

	while (links_bulk_room(s->links, !s->me) >= CHUNK)
		if (links_bulk_write(s->links, !s->me, span_of(chunk, CHUNK)))
			die("write");
}

static void
write_more(struct side *s)
{
	if (s->me == 1) {
		for (; s->owed > 0; s->owed--)
			send_text(s);
		return;
	}
	if (s->what == BULK || s->what == BUSY)
		write_bulk(s);
	while (s->what == TEXTS && links_room(s->links, !s->me) >= TEXT)
		send_text(s);
	if (s->what == PING && !s->on_way) {
		s->on_way = true;
		s->sent_ns = clock_ns();
		send_text(s);
	}
	if ((s->what == WORDS || s->what == BUSY) && clock_ns() >= s->next_ns) {
		send_text(s);
		s->next_ns += WORD_NS;
	}
}

/* Until the next deadline, in ms rounded up. */
static int
patience(const struct side *s)
{
	struct now now = side_now(s);
	uint64_t at = links_deadline_ms(s->links), left = WAIT_MAX_MS, ns;

	if (at < now.mono_ms + left)
		left = at > now.mono_ms ? at - now.mono_ms : 0;
	ns = clock_ns();
	if (s->me == 0 && s->up && (s->what == WORDS || s->what == BUSY)) {
		ns = s->next_ns > ns ? s->next_ns - ns + 999999 : 0;
		left = ns / 1000000 < left ? ns / 1000000 : left;
	}
	return (int)left;
}

static void
turn(struct side *s)
{
	struct pollfd fd = { udp_fd(s->udp, FAMILY_V4), POLLIN, 0 };
	int wait = patience(s);
	enum family busy;
	struct link_out o;
	struct now now;

	if (udp_is_queued(s->udp)) {
		fd.events |= POLLOUT;
		wait = wait < 2 ? wait : 2;
	}
	(void)poll(&fd, 1, wait);
	(void)udp_receive(s->udp, FAMILY_V4, take, s);
	now = side_now(s);
	if (links_deadline_ms(s->links) <= now.mono_ms)
		links_tick(s->links, now);
	do {
		if (s->up)
			write_more(s);
		links_flush(s->links, now);
		while (links_next(s->links, &o))
			carry_out(s, &o);
	} while (
	    s->owed > 0 || (s->what == PING && s->up && !s->me && !s->on_way));
	(void)udp_flush(s->udp, &busy);
}

static void
run_side(struct side *s, const int fd[2], const struct endpoint at[2])
{
	char why[UDP_WHY_SIZE];

	s->links = s->w->node[s->me].links;
	s->start_ns = s->next_ns = clock_ns();
	if (udp_new(&s->udp) || udp_adopt(s->udp, fd[s->me], why))
		die("udp");
	(void)close(fd[!s->me]);
	links_set_local(s->links, &at[s->me], 1, true);
	if (s->me == 0)
		links_connect(s->links, 1, &at[1], 1, 0, side_now(s));
	while (!shared->stop)
		turn(s);
	udp_free(s->udp);
}

/* ---- */

static void
child(struct side *s, const int fd[2], const struct endpoint at[2])
{
	uint8_t other[8];

	switch (s->what) {
	case BARE:
		if (s->me == 0)
			bare_send(shared, fd[0], &at[1]);
		else
			bare_receive(shared, fd[1]);
		return;
	case ECHO:
		if (s->me == 0)
			bare_ping(shared, fd[0], &at[1]);
		else
			bare_echo(shared, fd[1]);
		return;
	case BULK:
	case TEXTS:
	case PING:
	case WORDS:
	case BUSY:
		break;
	}
	/* Both came from one seed and must not draw the same keys. */
	for (unsigned i = 0; i < s->me; i++)
		rng_fill(&s->w->rng.rng, other, sizeof(other));
	run_side(s, fd, at);
}

static double
processor_s(const pid_t pid[2])
{
	double all = 0;

	for (unsigned i = 0; i < 2; i++) {
		struct timespec ts = { 0 };
		clockid_t id;

		if (clock_getcpuclockid(pid[i], &id) || clock_gettime(id, &ts))
			die("processor time");
		all += (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
	}
	return all;
}

static int
by_size(const void *x, const void *y)
{
	const uint32_t *a = x, *b = y;

	return *a < *b ? -1 : *a > *b;
}

static uint32_t
part(uint32_t first, unsigned percent)
{
	uint32_t n = shared->n - first;

	return n > 0 ? shared->us[first + (n - 1) / 100 * percent +
	                          (n - 1) % 100 * percent / 100]
	             : 0;
}

/* Measures between two moments, after a while to warm up. */
static void
measure(const pid_t pid[2], unsigned seconds)
{
	uint64_t texts, bulk, ns;
	uint32_t first;
	double cpu_s, took_s;

	(void)sleep(WARM_S);
	texts = shared->texts;
	bulk = shared->bulk;
	first = shared->n;
	cpu_s = processor_s(pid);
	ns = clock_ns();
	(void)sleep(seconds);
	texts = shared->texts - texts;
	bulk = shared->bulk - bulk;
	cpu_s = processor_s(pid) - cpu_s;
	took_s = (double)(clock_ns() - ns) / 1e9;
	shared->stop = true;
	for (unsigned i = 0; i < 2; i++)
		(void)waitpid(pid[i], NULL, 0);
	qsort(&shared->us[first], shared->n - first, sizeof(shared->us[0]),
	    by_size);
	printf("{\"bulk_mb_s\": %.3f, \"texts_s\": %.0f, \"cpu_s\": %.6f, "
	       "\"seconds\": %.6f, \"n\": %" PRIu32 ", \"p50_us\": %" PRIu32
	       ", \"p99_us\": %" PRIu32 "}\n",
	    (double)bulk / took_s / 1e6, (double)texts / TEXT / took_s, cpu_s,
	    took_s, shared->n - first, part(first, 50), part(first, 99));
}

static enum what
what_of(const char *name)
{
	unsigned i = 0;

	while (i < WHATS && strcmp(name, names[i]) != 0)
		i++;
	if (i == WHATS)
		die(name);
	return (enum what)i;
}

int
main(int argc, char **argv)
{
	static struct wire w;
	static struct side side;
	struct endpoint at[2];
	unsigned seconds;
	int fd[2];
	pid_t pid[2];

	if (argc != 3 && argc != 5)
		die("usage: link WHAT SECONDS [ADDRESS ADDRESS]");
	seconds = (unsigned)strtoul(argv[2], NULL, 10);
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	wire_init(&w, clock_ns(), 2);
	wire_befriend(&w, 0, 1);
	side = (struct side){ .w = &w, .what = what_of(argv[1]) };
	for (unsigned i = 0; i < 2; i++)
		fd[i] =
		    open_socket(argc == 5 ? argv[3 + i] : "127.0.0.1", &at[i]);
	for (; side.me < 2; side.me++) {
		pid[side.me] = fork();
		if (pid[side.me] < 0)
			die("fork");
		if (pid[side.me] == 0) {
			child(&side, fd, at);
			_exit(0);
		}
	}
	measure(pid, seconds);
	return 0;
}
