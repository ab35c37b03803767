/*
 * Preloaded under both sides of the comparison: counts the UDP datagrams that
 * a process sends, the same way for all. Counters of 8 bytes in the file named
 * by BENCH_COUNT: packets and bytes of all, then of those that nobody asked
 * for, then of received ones that somebody was asked for; and how often a file
 * was made durable. Which ones answer is
 * told from the bytes of KRPC, or with BENCH_TOX set from a Tox packet's first.
 */
#include <dlfcn.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

struct counters {
	uint64_t packets, bytes;
	uint64_t own_packets, own_bytes;
	uint64_t got_packets, got_bytes;
	uint64_t syncs;
};

static struct counters *
counters(void)
{
	static struct counters *map;
	static struct counters nowhere = { .packets = 0 };
	const char *path = getenv("BENCH_COUNT");

	if (map != NULL)
		return map;
	map = &nowhere;
	if (path != NULL) {
		int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		void *p = MAP_FAILED;

		if (fd >= 0 && ftruncate(fd, sizeof(*map)) == 0)
			p = mmap(NULL, sizeof(*map), PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd, 0);
		if (fd >= 0)
			(void)close(fd);
		if (p != MAP_FAILED)
			map = p;
	}
	return map;
}

static bool
is_udp(int fd)
{
	int type = 0, domain = 0;
	socklen_t n = sizeof(type);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &n) == 0 &&
	       getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &n) == 0 &&
	       type == SOCK_DGRAM && (domain == AF_INET || domain == AF_INET6);
}

/* Sent because somebody asked, or passed on for him? */
static bool
is_reply(const uint8_t *p, size_t n)
{
	if (n == 0)
		return false;
	if (getenv("BENCH_TOX") != NULL) /* a ping, a question, an onion */
		return p[0] != 0x00 && p[0] != 0x02 && p[0] != 0x80;
	return n > 7 && p[0] == 'd' &&
	       (memcmp(p + n - 7, "1:y1:re", 7) == 0 ||
	           memcmp(p + n - 7, "1:y1:ee", 7) == 0);
}

static bool
is_krpc(const uint8_t *p, size_t n)
{
	return n > 2 && p[0] == 'd' && p[n - 1] == 'e';
}

static void
count(int fd, const void *buf, ssize_t bytes)
{
	struct counters *c = counters();

	if (bytes < 0 || !is_udp(fd))
		return;
	c->packets++;
	c->bytes += (uint64_t)bytes;
	if (is_reply(buf, (size_t)bytes))
		return;
	c->own_packets++;
	c->own_bytes += (uint64_t)bytes;
}

static void
count_got(int fd, const void *buf, ssize_t bytes)
{
	struct counters *c = counters();

	if (bytes <= 0 || !is_udp(fd))
		return;
	if (is_krpc(buf, (size_t)bytes) && !is_reply(buf, (size_t)bytes))
		return; /* a query */
	c->got_packets++;
	c->got_bytes += (uint64_t)bytes;
}

/* A function pointer out of dlsym, without the cast that ISO C forbids. */
static void
real(const char *name, void *ret)
{
	void *p = dlsym(RTLD_NEXT, name);

	memcpy(ret, &p, sizeof(p));
}

/* The C library's own types and names are not ours to choose. */
/* NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */
ssize_t
sendto(int fd, const void *buf, size_t n, int flags, __CONST_SOCKADDR_ARG to,
    socklen_t n_to)
{
	static ssize_t (*next)(
	    int, const void *, size_t, int, const struct sockaddr *, socklen_t);
	ssize_t sent;

	if (next == NULL)
		real("sendto", &next);
	sent = next(fd, buf, n, flags, to.__sockaddr__, n_to);
	count(fd, buf, sent);
	return sent;
}

ssize_t
sendmsg(int fd, const struct msghdr *msg, int flags)
{
	static ssize_t (*next)(int, const struct msghdr *, int);
	ssize_t sent;

	if (next == NULL)
		real("sendmsg", &next);
	sent = next(fd, msg, flags);
	count(fd, msg->msg_iov[0].iov_base, sent);
	return sent;
}

int
sendmmsg(int fd, struct mmsghdr *msgs, unsigned n, int flags)
{
	static int (*next)(int, struct mmsghdr *, unsigned, int);
	int sent;

	if (next == NULL)
		real("sendmmsg", &next);
	sent = next(fd, msgs, n, flags);
	for (int i = 0; i < sent; i++)
		count(fd, msgs[i].msg_hdr.msg_iov[0].iov_base,
		    (ssize_t)msgs[i].msg_len);
	return sent;
}

int
recvmmsg(
    int fd, struct mmsghdr *msgs, unsigned n, int flags, struct timespec *tmo)
{
	static int (*next)(
	    int, struct mmsghdr *, unsigned, int, struct timespec *);
	int got;

	if (next == NULL)
		real("recvmmsg", &next);
	got = next(fd, msgs, n, flags, tmo);
	for (int i = 0; i < got; i++)
		count_got(fd, msgs[i].msg_hdr.msg_iov[0].iov_base,
		    (ssize_t)msgs[i].msg_len);
	return got;
}

int
fsync(int fd)
{
	static int (*next)(int);

	if (next == NULL)
		real("fsync", &next);
	counters()->syncs++;
	return next(fd);
}

int
fdatasync(int fd)
{
	static int (*next)(int);

	if (next == NULL)
		real("fdatasync", &next);
	counters()->syncs++;
	return next(fd);
}
/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
