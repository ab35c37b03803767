/*
 * Throws datagrams at a UDP port of loopback and counts what comes back.
 *
 *   flood PORT RATE MS [HEX...]
 *
 * RATE in a second, for MS milliseconds, from 16 sockets of 16 addresses. A
 * HEX of 168 bytes or more is thrown as it is, in turn with the others; one
 * of 4 bytes begins every other junk datagram, as an index of a session does.
 * Without a whole HEX it throws junk: random bytes of the sizes that mean
 * something, or of any size, that never look like KRPC. Prints
 *
 *   sent N bytes N late N back N bytes N
 *
 * late: those whose millisecond was over; they are sent all the same.
 */
#include "proto/base/text.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

enum {
	SOCKETS = 16,
	BATCH = 64,
	DATAGRAM_MAX = 1500,
	WHOLE_MAX = 64,
	WHOLE_MIN = 168,
	JUNK = 1 << 16, /* bytes of randomness that junk is cut from */
	INDEX_SIZE = 4,
};

struct flood {
	int fd[SOCKETS];
	struct sockaddr_in to;
	uint8_t whole[WHOLE_MAX][DATAGRAM_MAX];
	size_t whole_n[WHOLE_MAX], n_whole;
	uint8_t index[INDEX_SIZE];
	bool has_index;
	uint8_t junk[JUNK + DATAGRAM_MAX];
	uint8_t out[BATCH][DATAGRAM_MAX];
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	uint64_t sent, bytes, late, back, back_bytes;
	uint32_t turn;
};

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
	exit(2);
}

static uint64_t
now_us(void)
{
	struct timespec ts;

	if (clock_gettime(CLOCK_MONOTONIC, &ts))
		die("clock");
	return (uint64_t)ts.tv_sec * 1000000 + (uint64_t)ts.tv_nsec / 1000;
}

static void
open_sockets(struct flood *f, uint16_t port)
{
	f->to = (struct sockaddr_in){ .sin_family = AF_INET,
		.sin_port = htons(port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	for (unsigned i = 0; i < SOCKETS; i++) {
		struct sockaddr_in at = { .sin_family = AF_INET };

		at.sin_addr.s_addr = htonl(INADDR_LOOPBACK + 1000 + 256 * i);
		f->fd[i] = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
		if (f->fd[i] < 0 ||
		    bind(f->fd[i], (struct sockaddr *)&at, sizeof(at)))
			die("socket");
	}
}

static void
read_hex(struct flood *f, const char *text)
{
	uint8_t *to = f->whole[f->n_whole];
	struct writer w = wr_init(to, DATAGRAM_MAX);

	if (f->n_whole == WHOLE_MAX || hex_decode(span_str(text), &w))
		die("bad hex");
	if (w.n == INDEX_SIZE) {
		memcpy(f->index, to, INDEX_SIZE);
		f->has_index = true;
	} else if (w.n >= WHOLE_MIN) {
		f->whole_n[f->n_whole++] = w.n;
	} else {
		die("hex of no such length");
	}
}

/* The next datagram into out[i]; its length. */
static size_t
make(struct flood *f, unsigned i)
{
	static const size_t sizes[] = { 0, 1, 56, 92, 104, 128, 156, 168, 168,
		256, 284, 512, 540, 1024, 1052, 1232 };
	uint32_t turn = f->turn++;
	uint32_t at = turn * 2654435761U % JUNK;
	size_t n = sizes[turn % (sizeof(sizes) / sizeof(sizes[0]))];

	if (f->n_whole > 0) {
		size_t which = turn % f->n_whole;

		memcpy(f->out[i], f->whole[which], f->whole_n[which]);
		return f->whole_n[which];
	}
	if (turn % 3 == 0)
		n = at % DATAGRAM_MAX;
	memcpy(f->out[i], f->junk + at, n);
	if (f->has_index && turn % 2 == 0 && n >= INDEX_SIZE)
		memcpy(f->out[i], f->index, INDEX_SIZE);
	if (n > 0 && f->out[i][0] == 'd')
		f->out[i][0]++;
	return n;
}

static void
throw_some(struct flood *f, unsigned n)
{
	unsigned done = 0;
	int fd = f->fd[f->turn / BATCH % SOCKETS];

	for (unsigned i = 0; i < n; i++) {
		f->iov[i] = (struct iovec){ f->out[i], make(f, i) };
		f->bytes += f->iov[i].iov_len;
		f->msg[i].msg_hdr = (struct msghdr){ .msg_name = &f->to,
			.msg_namelen = sizeof(f->to),
			.msg_iov = &f->iov[i],
			.msg_iovlen = 1 };
	}
	while (done < n) {
		int r = sendmmsg(fd, f->msg + done, n - done, 0);

		if (r < 0 && errno != EAGAIN && errno != ENOBUFS)
			die("send");
		done += r > 0 ? (unsigned)r : 0;
	}
	f->sent += n;
}

static void
listen_back(struct flood *f)
{
	uint8_t buf[2048];

	for (unsigned i = 0; i < SOCKETS; i++) {
		ssize_t r;

		while ((r = recv(f->fd[i], buf, sizeof(buf), 0)) >= 0) {
			f->back++;
			f->back_bytes += (uint64_t)r;
		}
	}
}

/* So many at each moment as the rate has allowed since the begin. */
static void
run(struct flood *f, uint64_t rate, uint64_t ms)
{
	const struct timespec pause = { 0, 500000 };
	uint64_t begin = now_us(), end = begin + ms * 1000, at;

	while ((at = now_us()) < end) {
		uint64_t due = rate * (at - begin) / 1000000;

		if (due > f->sent + rate / 100)
			f->late += due - f->sent - rate / 100;
		while (f->sent < due) {
			uint64_t n = due - f->sent;

			throw_some(f, n < BATCH ? (unsigned)n : BATCH);
		}
		listen_back(f);
		(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	}
}

int
main(int argc, char **argv)
{
	static struct flood f;
	const struct timespec rest = { 0, 200 * 1000000 };

	if (argc < 4 || sodium_init() < 0) {
		fprintf(stderr, "usage: flood PORT RATE MS [HEX...]\n");
		return 2;
	}
	open_sockets(&f, (uint16_t)strtoul(argv[1], NULL, 10));
	for (int i = 4; i < argc; i++)
		read_hex(&f, argv[i]);
	randombytes_buf(f.junk, sizeof(f.junk));
	run(&f, strtoul(argv[2], NULL, 10), strtoul(argv[3], NULL, 10));
	(void)clock_nanosleep(CLOCK_MONOTONIC, 0, &rest, NULL);
	listen_back(&f);
	printf("sent %" PRIu64 " bytes %" PRIu64 " late %" PRIu64
	       " back %" PRIu64 " bytes %" PRIu64 "\n",
	    f.sent, f.bytes, f.late, f.back, f.back_bytes);
	return 0;
}
