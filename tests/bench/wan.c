/*
 * A wide area network between addresses of one network namespace: every IPv4
 * UDP packet that comes out of a TUN device goes back into it after a fixed
 * time, or is lost. (netem does the same where the kernel has it.)
 *
 *   wan DEVICE ONE_WAY_US LOSS_PERMILLE SEED
 *
 * Other packets are dropped: who is gone is silent, without an ICMP error.
 * Prints "up" when the device is open; the routes are the caller's to set,
 * see tests/bench/wan.py. One seed loses the same n-th packets every time.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

enum {
	PACKET_MAX = 1500,
	QUEUE_MAX = 16384, /* packets on their way; more are lost */
	IP_HEAD = 20,
	IP_PROTOCOL = 9, /* where it stands in the header */
	IP_UDP = 17,
};

struct packet {
	uint64_t due_ns;
	size_t n;
	uint8_t b[PACKET_MAX];
};

/* The time on the way is the same for all, so a ring is in order. */
struct wan {
	int fd;
	uint64_t delay_ns, random;
	uint32_t loss; /* of 1000 packets */
	struct packet *ring;
	unsigned first, n;
};

static _Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "wan: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

static uint64_t
now_ns(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static int
open_tun(const char *name)
{
	struct ifreq r = { 0 };
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		die("/dev/net/tun");
	(void)snprintf(r.ifr_name, sizeof(r.ifr_name), "%s", name);
	r.ifr_flags = IFF_TUN | IFF_NO_PI;
	if (ioctl(fd, TUNSETIFF, &r) != 0)
		die(name);
	return fd;
}

/* xorshift64* */
static bool
is_lost(struct wan *w)
{
	w->random ^= w->random >> 12;
	w->random ^= w->random << 25;
	w->random ^= w->random >> 27;
	return (w->random * UINT64_C(2685821657736338717) >> 32) % 1000 <
	       w->loss;
}

/* False: nothing more to read. */
static bool
take(struct wan *w)
{
	struct packet *p = &w->ring[(w->first + w->n) % QUEUE_MAX];
	uint8_t spare[PACKET_MAX];
	bool is_full = w->n == QUEUE_MAX;
	const uint8_t *b = is_full ? spare : p->b;
	ssize_t n = read(w->fd, is_full ? spare : p->b, PACKET_MAX);

	if (n <= 0)
		return false;
	if (is_full || n < IP_HEAD || b[0] >> 4 != 4 ||
	    b[IP_PROTOCOL] != IP_UDP || is_lost(w))
		return true;
	p->n = (size_t)n;
	p->due_ns = now_ns() + w->delay_ns;
	w->n++;
	return true;
}

/* Delivers what is due; nanoseconds until the next, or a second. */
static uint64_t
deliver(struct wan *w)
{
	while (w->n > 0) {
		const struct packet *p = &w->ring[w->first];
		uint64_t now = now_ns();

		if (p->due_ns > now)
			return p->due_ns - now;
		(void)!write(w->fd, p->b, p->n);
		w->first = (w->first + 1) % QUEUE_MAX;
		w->n--;
	}
	return 1000000000;
}

int
main(int argc, char **argv)
{
	struct wan w = { 0 };

	if (argc != 5) {
		(void)fprintf(stderr, "usage: wan DEVICE US PERMILLE SEED\n");
		return 2;
	}
	w.fd = open_tun(argv[1]);
	w.delay_ns = strtoull(argv[2], NULL, 10) * 1000;
	w.loss = (uint32_t)strtoul(argv[3], NULL, 10);
	w.random = strtoull(argv[4], NULL, 10) | UINT64_C(1) << 63;
	w.ring = calloc(QUEUE_MAX, sizeof(*w.ring));
	if (w.ring == NULL)
		die("memory");
	puts("up");
	(void)fflush(stdout);
	for (;;) {
		struct pollfd in = { w.fd, POLLIN, 0 };
		uint64_t wait_ns = deliver(&w);
		struct timespec ts = { (time_t)(wait_ns / 1000000000),
			(long)(wait_ns % 1000000000) };

		if (ppoll(&in, 1, &ts, NULL) < 0 && errno != EINTR)
			die("ppoll");
		while (in.revents && take(&w))
			;
	}
}
