/*
 * A wide area network between addresses of one network namespace: every IPv4
 * UDP packet that comes out of a TUN device goes back into it after a fixed
 * time, or is lost. (netem does the same where the kernel has it.)
 *
 *   wan DEVICE ONE_WAY_US LOSS_PERMILLE SEED [RATE BUFFER_MS]
 *
 * RATE, in bytes a second of IP, is what each address may send; what has to
 * wait for it longer than BUFFER_MS is dropped. Packets that are none of UDP
 * are dropped: who is gone is silent, without an ICMP error. Prints "up" when
 * the device is open; the routes are the caller's to set, see
 * tests/bench/wan.py. One seed loses the same n-th packets every time.
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
	READS_MAX = 64,    /* before what is due is delivered again */
	HOSTS = 256,
	IP_HEAD = 20,
	IP_PROTOCOL = 9, /* where it stands in the header */
	IP_HOST = 14,    /* the third byte of the source: one /24 each */
	IP_UDP = 17,
};

struct packet {
	uint64_t due_ns, order;
	size_t n;
	uint8_t b[PACKET_MAX];
};

struct wan {
	int fd;
	uint64_t delay_ns, random;
	uint32_t loss;            /* of 1000 packets */
	uint64_t rate, buffer_ns; /* 0: any */
	uint64_t free_ns[HOSTS];  /* when a host's queue is empty */
	uint64_t order;
	struct packet *pool;             /* owned */
	struct packet *spare[QUEUE_MAX]; /* of the pool; the last one is next */
	struct packet *heap[QUEUE_MAX];  /* by due_ns, then order */
	unsigned n;                      /* in the heap */
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

/* ---- packets by time ---- */

static bool
before(const struct packet *a, const struct packet *b)
{
	if (a->due_ns != b->due_ns)
		return a->due_ns < b->due_ns;
	return a->order < b->order;
}

static void
push(struct wan *w, struct packet *p)
{
	unsigned i = w->n++;

	while (i > 0 && before(p, w->heap[(i - 1) / 2])) {
		w->heap[i] = w->heap[(i - 1) / 2];
		i = (i - 1) / 2;
	}
	w->heap[i] = p;
}

static void
pop(struct wan *w)
{
	struct packet *last = w->heap[--w->n];
	unsigned i = 0, child;

	w->spare[QUEUE_MAX - w->n - 1] = w->heap[0];
	while ((child = 2 * i + 1) < w->n) {
		if (child + 1 < w->n &&
		    before(w->heap[child + 1], w->heap[child]))
			child++;
		if (!before(w->heap[child], last))
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
}

/* ---- on the way ---- */

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

/* When it has left its host; false: its queue is full. */
static bool
leaves(struct wan *w, const struct packet *p, uint64_t *at)
{
	uint64_t *free_ns = &w->free_ns[p->b[IP_HOST]];

	*at = now_ns();
	if (w->rate == 0)
		return true;
	if (*free_ns > *at + w->buffer_ns)
		return false;
	if (*free_ns < *at)
		*free_ns = *at;
	*free_ns += (uint64_t)p->n * 1000000000 / w->rate;
	*at = *free_ns;
	return true;
}

/* False: nothing more to read. */
static bool
take(struct wan *w)
{
	static struct packet over;
	bool is_full = w->n == QUEUE_MAX;
	struct packet *p = is_full ? &over : w->spare[QUEUE_MAX - w->n - 1];
	ssize_t n = read(w->fd, p->b, PACKET_MAX);
	uint64_t at;

	if (n <= 0)
		return false;
	p->n = (size_t)n;
	if (is_full || n < IP_HEAD || p->b[0] >> 4 != 4 ||
	    p->b[IP_PROTOCOL] != IP_UDP || !leaves(w, p, &at) || is_lost(w))
		return true;
	p->due_ns = at + w->delay_ns;
	p->order = w->order++;
	push(w, p);
	return true;
}

/* Delivers what is due; nanoseconds until the next, or a second. */
static uint64_t
deliver(struct wan *w)
{
	while (w->n > 0) {
		const struct packet *p = w->heap[0];
		uint64_t now = now_ns();

		if (p->due_ns > now)
			return p->due_ns - now;
		(void)!write(w->fd, p->b, p->n);
		pop(w);
	}
	return 1000000000;
}

int
main(int argc, char **argv)
{
	static struct wan w;

	if (argc != 5 && argc != 7) {
		(void)fprintf(stderr,
		    "usage: wan DEVICE US PERMILLE SEED [RATE BUFFER_MS]\n");
		return 2;
	}
	w.fd = open_tun(argv[1]);
	w.delay_ns = strtoull(argv[2], NULL, 10) * 1000;
	w.loss = (uint32_t)strtoul(argv[3], NULL, 10);
	w.random = strtoull(argv[4], NULL, 10) | UINT64_C(1) << 63;
	if (argc == 7) {
		w.rate = strtoull(argv[5], NULL, 10);
		w.buffer_ns = strtoull(argv[6], NULL, 10) * 1000000;
	}
	w.pool = calloc(QUEUE_MAX, sizeof(*w.pool));
	if (w.pool == NULL)
		die("memory");
	for (unsigned i = 0; i < QUEUE_MAX; i++)
		w.spare[i] = &w.pool[i];
	puts("up");
	(void)fflush(stdout);
	for (;;) {
		struct pollfd in = { w.fd, POLLIN, 0 };
		uint64_t wait_ns = deliver(&w);
		struct timespec ts = { (time_t)(wait_ns / 1000000000),
			(long)(wait_ns % 1000000000) };

		if (ppoll(&in, 1, &ts, NULL) < 0 && errno != EINTR)
			die("ppoll");
		for (int i = 0; in.revents && i < READS_MAX; i++)
			if (!take(&w))
				break;
	}
}
