/*
 * What the sessions carry, without a store: two processes on loopback, each
 * with the link layer and the daemon's sockets.
 *
 *   link bulk|words|bare SECONDS
 *
 *   bulk   one transfer, MB/s
 *   words  texts of 100 bytes as fast as they go, and processor time of each
 *   bare   the yardstick of bulk: the same AEAD over the same bytes in a
 *          loop of sendmmsg and one of recvmmsg, nothing else
 *
 * Prints one JSON object.
 */
#include "daemon/udp.h"
#include "proto/link/packet.h"
#include "tests/support/link_wire.h"

#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { TEXT = 100, BATCH = 64, FULL = 1472, WAIT_MAX_MS = 100 };

/* Of both processes. */
static struct shared {
	_Atomic uint64_t bytes; /* that came */
	_Atomic bool stop;
} * shared;

struct side {
	struct wire *w;
	unsigned me;
	struct links *links;
	struct udp *udp;
	struct endpoint at[2];
	uint64_t start_ms;
	bool bulk, up;
};

static _Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "link: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t
clock_ms(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static int
open_socket(struct endpoint *at)
{
	static const uint8_t local[4] = { 127, 0, 0, 1 };
	struct sockaddr_in sin = { .sin_family = AF_INET };
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, n) ||
	    getsockname(fd, (struct sockaddr *)&sin, &n))
		die("socket");
	*at = endpoint_v4(local, ntohs(sin.sin_port));
	return fd;
}

/* ---- links ---- */

static struct now
side_now(const struct side *s)
{
	struct now now = s->w->now;
	uint64_t ms = clock_ms() - s->start_ms;

	return (struct now){ now.mono_ms + ms, now.wall_ms + ms };
}

static void
take(void *ctx, const struct endpoint *from, struct span data)
{
	struct side *s = ctx;

	links_receive(s->links, from, data, side_now(s));
}

static void
carry_out(struct side *s, const struct link_out *o)
{
	if (o->kind == LINK_OUT_SEND)
		udp_queue(s->udp, &o->endpoint, o->data);
	else if (o->kind == LINK_OUT_DATA || o->kind == LINK_OUT_BULK)
		shared->bytes += o->data.n;
	else if (o->kind == LINK_OUT_DOWN)
		die("the link is down");
	else if (o->kind == LINK_OUT_UP)
		s->up = true;
	if (o->kind == LINK_OUT_UP && links_bulk_open(s->links, o->peer))
		die("bulk");
}

static void
write_more(struct side *s)
{
	static uint8_t chunk[16384];
	struct span all = span_of(chunk, s->bulk ? sizeof(chunk) : TEXT);
	unsigned peer = !s->me;

	while (s->bulk && links_bulk_room(s->links, peer) >= all.n)
		if (links_bulk_write(s->links, peer, all))
			die("write");
	while (!s->bulk && links_room(s->links, peer) >= all.n)
		if (links_write(s->links, peer, all))
			die("write");
}

static void
turn(struct side *s)
{
	struct pollfd fd = { udp_fd(s->udp, FAMILY_V4), POLLIN, 0 };
	struct now now = side_now(s);
	uint64_t at = links_deadline_ms(s->links);
	int wait = WAIT_MAX_MS;
	enum family busy;
	struct link_out o;

	if (at < now.mono_ms + WAIT_MAX_MS)
		wait = at > now.mono_ms ? (int)(at - now.mono_ms) : 0;
	if (udp_is_queued(s->udp)) {
		fd.events |= POLLOUT;
		wait = wait < 2 ? wait : 2;
	}
	(void)poll(&fd, 1, wait);
	(void)udp_receive(s->udp, FAMILY_V4, take, s);
	now = side_now(s);
	if (links_deadline_ms(s->links) <= now.mono_ms)
		links_tick(s->links, now);
	if (s->me == 0 && s->up)
		write_more(s);
	links_flush(s->links, now);
	while (links_next(s->links, &o))
		carry_out(s, &o);
	(void)udp_flush(s->udp, &busy);
}

static void
run_side(struct wire *w, unsigned me, const int fd[2],
    const struct endpoint at[2], bool bulk)
{
	struct side s = { .w = w, .me = me, .bulk = bulk };
	char why[UDP_WHY_SIZE];

	s.links = w->node[me].links;
	s.start_ms = clock_ms();
	if (udp_new(&s.udp) || udp_adopt(s.udp, fd[me], why))
		die("udp");
	(void)close(fd[!me]);
	links_set_local(s.links, &at[me], 1, true);
	if (me == 0)
		links_connect(s.links, 1, &at[1], 1, side_now(&s));
	while (!shared->stop)
		turn(&s);
	udp_free(s.udp);
}

/* ---- the yardstick ---- */

static void
bare_send(int fd, const struct endpoint *to)
{
	static uint8_t plain[FULL - PACKET_OVERHEAD], out[BATCH][FULL];
	struct mmsghdr msg[BATCH] = { 0 };
	struct iovec iov[BATCH];
	struct sockaddr_in sin = { .sin_family = AF_INET };
	uint8_t key[32] = { 1 }, nonce[12] = { 0 };

	sin.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	sin.sin_port = htons(to->port);
	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ out[i], FULL };
		msg[i].msg_hdr = (struct msghdr){ .msg_name = &sin,
			.msg_namelen = sizeof(sin),
			.msg_iov = &iov[i],
			.msg_iovlen = 1 };
	}
	while (!shared->stop) {
		for (unsigned i = 0; i < BATCH; i++)
			(void)crypto_aead_chacha20poly1305_ietf_encrypt(
			    out[i] + PACKET_HEAD, NULL, plain, sizeof(plain),
			    out[i], PACKET_HEAD, NULL, nonce, key);
		(void)sendmmsg(fd, msg, BATCH, 0);
	}
}

static void
bare_receive(int fd)
{
	static uint8_t in[BATCH][FULL], plain[FULL];
	struct mmsghdr msg[BATCH] = { 0 };
	struct iovec iov[BATCH];
	uint8_t key[32] = { 1 }, nonce[12] = { 0 };
	struct timeval wait = { 0, 100000 };
	int room = 4 << 20; /* as udp.c asks for */

	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	for (unsigned i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){ in[i], FULL };
		msg[i].msg_hdr =
		    (struct msghdr){ .msg_iov = &iov[i], .msg_iovlen = 1 };
	}
	while (!shared->stop) {
		int n = recvmmsg(fd, msg, BATCH, MSG_WAITFORONE, NULL);

		for (int i = 0; i < n; i++) {
			if (crypto_aead_chacha20poly1305_ietf_decrypt(plain,
			        NULL, NULL, in[i] + PACKET_HEAD,
			        FULL - PACKET_HEAD, in[i], PACKET_HEAD, nonce,
			        key))
				die("open");
			shared->bytes += FULL - PACKET_OVERHEAD;
		}
	}
}

/* ---- */

static double
processor_s(void)
{
	struct rusage us = { 0 };
	double all;

	(void)getrusage(RUSAGE_CHILDREN, &us);
	all = (double)(us.ru_utime.tv_sec + us.ru_stime.tv_sec);
	return all + (double)(us.ru_utime.tv_usec + us.ru_stime.tv_usec) / 1e6;
}

static void
child(const char *what, struct wire *w, unsigned me, const int fd[2],
    const struct endpoint at[2])
{
	uint8_t other[8];

	if (strcmp(what, "bare") == 0) {
		if (me == 0)
			bare_send(fd[0], &at[1]);
		else
			bare_receive(fd[1]);
		return;
	}
	/* Both came from one seed and must not draw the same keys. */
	for (unsigned i = 0; i < me; i++)
		rng_fill(&w->rng.rng, other, sizeof(other));
	run_side(w, me, fd, at, strcmp(what, "bulk") == 0);
}

int
main(int argc, char **argv)
{
	static struct wire w;
	struct endpoint at[2];
	int fd[2];
	pid_t pid[2];
	uint64_t bytes;
	unsigned s;

	s = argc == 3 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	if (s == 0)
		return 2;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	wire_init(&w, clock_ms(), 2);
	wire_befriend(&w, 0, 1);
	for (unsigned i = 0; i < 2; i++)
		fd[i] = open_socket(&at[i]);
	for (unsigned i = 0; i < 2; i++) {
		pid[i] = fork();
		if (pid[i] < 0)
			die("fork");
		if (pid[i] == 0) {
			child(argv[1], &w, i, fd, at);
			_exit(0);
		}
	}
	sleep(1); /* Startup */
	bytes = shared->bytes;
	sleep(s);
	bytes = shared->bytes - bytes;
	shared->stop = true;
	for (unsigned i = 0; i < 2; i++)
		(void)waitpid(pid[i], NULL, 0);
	printf("{\"mb_s\": %.1f, \"texts_s\": %.0f, \"cpu_us_text\": %.2f, "
	       "\"cpu_ms_mb\": %.2f}\n",
	    (double)bytes / s / 1e6, (double)bytes / TEXT / s,
	    1e6 * processor_s() / (s + 1) * s / ((double)bytes / TEXT),
	    1e3 * processor_s() / (s + 1) * s / ((double)bytes / 1e6));
	return 0;
}
