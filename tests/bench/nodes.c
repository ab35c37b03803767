/*
 * Whole participants (struct node) on the daemon's sockets, without a store:
 * what a STORE changes counts as durable at once.
 *
 *   nodes texts SECONDS    two processes: messages of 100 bytes, a thousand
 *                          under way
 *   nodes ping SECONDS     the same, one at a time until it is delivered
 *   nodes crowd PORT       a participant for each invitation of who is at
 *                          127.0.0.1:PORT, which come as lines on stdin,
 *                          until its end
 *
 * The first two print one JSON object. A crowd prints "online N" whenever more
 * of its members have met who invited them.
 */
#include "daemon/clock.h"
#include "daemon/udp.h"
#include "proto/node.h"
#include "tests/bench/shared.h"

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
	CROWD_MAX = 2000,
	TEXT = 100,
	UNDER_WAY = 1000, /* messages that wait to be delivered */
	WAIT_MAX_MS = 100,
	WARM_S = 3,
};

struct member {
	struct node *node;
	struct udp *udp;
	struct endpoint at;
	struct id_pk id;
	struct contact_id other;
	bool online;
	uint64_t at_ms;   /* wants to act */
	size_t under_way; /* own messages */
	uint64_t sent_ns;
	bool failed;
};

static struct shared *shared;

_Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "nodes: %s: %s\n", what, strerror(errno));
	exit(2);
}

uint64_t
clock_ns(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void
fill(void *ctx, void *buf, size_t n)
{
	(void)ctx;
	randombytes_buf(buf, n);
}

static const struct rng rng = { fill, NULL };

/* ---- one member ---- */

static void
open_udp(struct member *m, const uint8_t address[4])
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	char why[UDP_WHY_SIZE];
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	memcpy(&sin.sin_addr, address, 4);
	if (fd < 0 || bind(fd, (struct sockaddr *)&sin, sizeof(sin)) ||
	    udp_new(&m->udp) || udp_adopt(m->udp, fd, why))
		die("socket");
	(void)udp_bound(m->udp, FAMILY_V4, &m->at);
}

static void
member_init(struct member *m, const uint8_t address[4], enum node_policy policy)
{
	struct node_config cfg = {
		.rng = &rng, .loopback = true, .policy = policy
	};
	struct id_seed seed;
	struct id_sk sk;

	*m = (struct member){ 0 };
	open_udp(m, address);
	cfg.family[FAMILY_V4] = true;
	randombytes_buf(seed.b, sizeof(seed.b));
	identity_from_seed(&seed, &m->id, &sk);
	m->node = node_new(&cfg, clock_now());
	if (!m->node ||
	    node_set_identity(m->node, &seed, span_of(NULL, 0), clock_now()))
		die("node");
	node_set_local(m->node, &m->at, 1, clock_now());
}

static void
befriend(struct member *m, const struct id_pk *id, const struct endpoint *at)
{
	node_bootstrap(m->node, at, clock_now());
	if (node_contact_add(m->node, id, &m->other, clock_now()))
		die("contact");
}

static void
take(void *ctx, const struct endpoint *from, struct span data)
{
	struct member *m = ctx;

	node_receive(m->node, from, data, clock_now());
}

static void
delivered(struct member *m)
{
	shared->texts += TEXT;
	shared_sample(shared, clock_ns() - m->sent_ns);
	m->under_way--;
}

static void
carry_out(struct member *m, const struct effect *e)
{
	switch (e->kind) {
	case EFFECT_SEND:
		udp_queue(m->udp, &e->to, e->data);
		return;
	case EFFECT_STORE:
		if (e->change.kind == CHANGE_MESSAGE_STATE &&
		    e->change.message.state == MESSAGE_DELIVERED)
			delivered(m);
		return;
	case EFFECT_EVENT:
		if (e->event == NODE_ONLINE)
			m->online = true;
		else if (e->event == NODE_OFFLINE)
			m->online = false;
		return;
	case EFFECT_LAN:
	case EFFECT_SOCKET_OPEN: /* for NATs; there is none */
	case EFFECT_SOCKET_CLOSE:
		return;
	}
}

/* Everything after its socket was looked at. */
static void
act(struct member *m)
{
	enum family busy;
	struct effect e;

	if (node_deadline_ms(m->node) <= clock_now().mono_ms)
		node_tick(m->node, clock_now());
	while (node_next_effect(m->node, &e))
		carry_out(m, &e);
	m->at_ms = udp_flush(m->udp, &busy) ? node_deadline_ms(m->node) : 0;
}

/* Milliseconds until it wants to act again. */
static int
wait_ms(const struct member *m)
{
	uint64_t now_ms = clock_now().mono_ms;

	if (m->at_ms <= now_ms)
		return 0;
	return m->at_ms - now_ms < WAIT_MAX_MS ? (int)(m->at_ms - now_ms)
	                                       : WAIT_MAX_MS;
}

/* ---- a pair ---- */

static void
write_texts(struct member *m, size_t under_way)
{
	static uint8_t text[TEXT];
	const struct node_words words = { .kind = MESSAGE_TEXT,
		.text = span_of(text, sizeof(text)) };
	struct message_id id;

	memset(text, 'x', sizeof(text));
	while (m->online && m->under_way < under_way) {
		m->sent_ns = clock_ns();
		if (node_message_send(
		        m->node, &m->other, &words, &id, clock_now()))
			die("send");
		m->under_way++;
	}
}

static void
run_member(struct member *m, size_t under_way)
{
	while (!shared->stop) {
		struct pollfd fd = { udp_fd(m->udp, FAMILY_V4), POLLIN, 0 };

		(void)poll(&fd, 1, wait_ms(m));
		if (fd.revents)
			(void)udp_receive(m->udp, FAMILY_V4, take, m);
		do {
			write_texts(m, under_way);
			act(m);
		} while (m->online && m->under_way < under_way);
	}
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

static void
measure(const pid_t pid[2], unsigned seconds)
{
	uint64_t texts, ns;
	uint32_t first, n;
	double cpu_s, took_s;

	for (unsigned i = 0; i < 600 && shared->n == 0; i++)
		(void)usleep(100000);
	(void)sleep(WARM_S);
	texts = shared->texts;
	first = shared->n;
	cpu_s = processor_s(pid);
	ns = clock_ns();
	(void)sleep(seconds);
	texts = shared->texts - texts;
	cpu_s = processor_s(pid) - cpu_s;
	took_s = (double)(clock_ns() - ns) / 1e9;
	shared->stop = true;
	for (unsigned i = 0; i < 2; i++)
		(void)waitpid(pid[i], NULL, 0);
	n = shared->n - first;
	qsort(&shared->us[first], n, sizeof(shared->us[0]), by_size);
	printf("{\"texts_s\": %.0f, \"cpu_s\": %.6f, \"seconds\": %.6f, "
	       "\"n\": %" PRIu32 ", \"p50_us\": %" PRIu32
	       ", \"p99_us\": %" PRIu32 "}\n",
	    (double)texts / TEXT / took_s, cpu_s, took_s, n,
	    n ? shared->us[first + n / 2] : 0,
	    n ? shared->us[first + (n - 1) / 100 * 99] : 0);
}

static int
pair(size_t under_way, unsigned seconds)
{
	static const uint8_t address[2][4] = { { 127, 0, 1, 1 },
		{ 127, 0, 2, 1 } };
	static struct member m[2];
	pid_t pid[2];

	for (unsigned i = 0; i < 2; i++)
		member_init(&m[i], address[i], NODE_MIXED);
	for (unsigned i = 0; i < 2; i++) {
		befriend(&m[i], &m[!i].id, &m[!i].at);
		pid[i] = fork();
		if (pid[i] < 0)
			die("fork");
		if (pid[i] > 0)
			continue;
		run_member(&m[i], i == 0 ? under_way : 0);
		_exit(0);
	}
	measure(pid, seconds);
	return 0;
}

/* ---- a crowd ---- */

struct crowd {
	struct endpoint host;
	struct member m[CROWD_MAX];
	struct pollfd fd[CROWD_MAX + 1]; /* the last one: stdin */
	size_t n, online;                /* as it was said last */
	char line[NODE_INVITE_TEXT_SIZE + 1];
	size_t n_line;
};

static void
join(struct crowd *c, const char *invitation)
{
	/* A DHT node trusts one address of each /24. */
	uint8_t own[4] = { 127, (uint8_t)(1 + c->n / 250),
		(uint8_t)(c->n % 250), 1 };
	struct member *m = &c->m[c->n];

	if (c->n == CROWD_MAX)
		die("too many");
	member_init(m, own, NODE_MAINLINE);
	node_bootstrap(m->node, &c->host, clock_now());
	if (node_invite_accept(
	        m->node, span_str(invitation), &m->other, clock_now()))
		die("invitation");
	c->fd[c->n++] = (struct pollfd){ udp_fd(m->udp, FAMILY_V4), POLLIN, 0 };
}

/* False at the end of input. */
static bool
read_invitations(struct crowd *c)
{
	ssize_t n = read(
	    STDIN_FILENO, c->line + c->n_line, sizeof(c->line) - c->n_line);
	char *end;

	if (n <= 0)
		return false;
	c->n_line += (size_t)n;
	while ((end = memchr(c->line, '\n', c->n_line))) {
		*end = '\0';
		join(c, c->line);
		c->n_line -= (size_t)(end + 1 - c->line);
		memmove(c->line, end + 1, c->n_line);
	}
	return true;
}

/* Milliseconds until one of them wants to act. */
static int
act_all(struct crowd *c)
{
	uint64_t now_ms = clock_now().mono_ms;
	int wait = WAIT_MAX_MS;
	size_t online = 0;

	for (size_t i = 0; i < c->n; i++) {
		struct member *m = &c->m[i];

		if (c->fd[i].revents)
			(void)udp_receive(m->udp, FAMILY_V4, take, m);
		if (c->fd[i].revents || m->at_ms <= now_ms)
			act(m);
		c->fd[i].revents = 0;
		wait = m->at_ms < now_ms + (uint64_t)wait ? wait_ms(m) : wait;
		online += m->online;
	}
	if (online != c->online) {
		c->online = online;
		printf("online %zu\n", online);
		(void)fflush(stdout);
	}
	return wait;
}

static int
crowd(uint16_t port)
{
	static const uint8_t local[4] = { 127, 0, 0, 1 };
	static struct crowd c;
	struct pollfd in = { STDIN_FILENO, POLLIN, 0 };

	c.host = endpoint_v4(local, port);
	for (;;) {
		c.fd[c.n] = in;
		(void)poll(c.fd, c.n + 1, act_all(&c));
		if (c.fd[c.n].revents && !read_invitations(&c))
			return 0;
	}
}

int
main(int argc, char **argv)
{
	if (argc != 3 || sodium_init() < 0)
		die("usage: nodes texts|ping|crowd NUMBER");
	if (strcmp(argv[1], "crowd") == 0)
		return crowd((uint16_t)strtoul(argv[2], NULL, 10));
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
	    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		die("mmap");
	return pair(strcmp(argv[1], "ping") == 0 ? 1 : UNDER_WAY,
	    (unsigned)strtoul(argv[2], NULL, 10));
}
