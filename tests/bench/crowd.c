/*
 * Many DHT nodes of ours in one process, each on an address of its own.
 *
 *   crowd PORT ADDRESS...     IPv4 addresses of this machine
 *
 *   join I ADDRESS     node I begins with the node at ADDRESS, same port
 *   put I SEED SEQ     a string of 512 bytes, signed by SEED (hex)
 *   get I PK           PK in hex
 *   nodes              prints how many good nodes the poorest one knows
 *   kill I             it is silent from now on
 *
 * Prints a JSON object a line for what a node says, named by the number of
 * the command line that caused it, with the milliseconds since then.
 */
#include "proto/base/bencode.h"
#include "proto/base/text.h"
#include "proto/dht/dht.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { NODES_MAX = 256, LINES = 65536, VALUE = 512, WAIT_MAX_MS = 10000 };

struct crowd {
	struct dht *dht[NODES_MAX];      /* owned; NULL: killed */
	struct pollfd fd[NODES_MAX + 1]; /* the last one: commands */
	size_t n;
	uint16_t port;
	uint64_t line;
	double said_ms[LINES]; /* when, by line */
	char in[8192];
	size_t n_in;
};

static _Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "crowd: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void
fill(void *ctx, void *buf, size_t n)
{
	(void)ctx;
	randombytes_buf(buf, n);
}

static double
clock_ms(void)
{
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec * 1e3 + (double)ts.tv_nsec / 1e6;
}

static struct now
now(void)
{
	return (
	    struct now){ (uint64_t)clock_ms(), (uint64_t)time(NULL) * 1000 };
}

static struct sockaddr_in
address(const char *text, uint16_t port)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(port) };

	if (inet_pton(AF_INET, text, &sin.sin_addr) != 1)
		die(text);
	return sin;
}

static struct endpoint
endpoint_of(const struct sockaddr_in *sin)
{
	uint8_t addr[4];

	memcpy(addr, &sin->sin_addr, sizeof(addr));
	return endpoint_v4(addr, ntohs(sin->sin_port));
}

static void
open_node(struct crowd *c, const struct rng *rng, const char *at)
{
	struct dht_config cfg = { .family = FAMILY_V4, .rng = rng };
	struct sockaddr_in sin = address(at, c->port);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&sin, sizeof(sin)))
		die(at);
	c->fd[c->n] = (struct pollfd){ fd, POLLIN, 0 };
	c->dht[c->n] = dht_new(&cfg, now());
	if (!c->dht[c->n])
		die("memory");
	c->n++;
}

static void
receive(struct crowd *c, size_t i)
{
	struct sockaddr_in sin = { 0 };
	socklen_t n_sin = sizeof(sin);
	uint8_t buf[2048];
	ssize_t n;

	while ((n = recvfrom(c->fd[i].fd, buf, sizeof(buf), 0,
	            (struct sockaddr *)&sin, &n_sin)) > 0) {
		struct endpoint from = endpoint_of(&sin);

		dht_receive(c->dht[i], &from, span_of(buf, (size_t)n), now());
		n_sin = sizeof(sin);
	}
}

static void
print_event(const struct crowd *c, const struct dht_event *e)
{
	static const char *const names[] = {
		[DHT_VALUE] = "value",
		[DHT_GET_DONE] = "get",
		[DHT_PUT_DONE] = "put",
	};

	/* All else is said often, and who does not listen would stop us. */
	if (e->kind != DHT_VALUE && e->kind != DHT_GET_DONE &&
	    e->kind != DHT_PUT_DONE)
		return;
	printf("{\"event\":\"%s\",\"line\":%" PRIu64 ",\"n\":%zu,\"found\":%s,"
	       "\"seq\":%" PRId64 ",\"ms\":%.3f}\n",
	    names[e->kind], e->op, e->n, e->found ? "true" : "false",
	    e->item ? e->item->seq : 0, clock_ms() - c->said_ms[e->op % LINES]);
}

static void
drain(const struct crowd *c, size_t i)
{
	struct dht_event e;
	struct dht_send s;

	while (dht_next_event(c->dht[i], &e))
		print_event(c, &e);
	while (dht_next_send(c->dht[i], &s)) {
		struct sockaddr_in sin = { .sin_family = AF_INET,
			.sin_port = htons(s.to.port) };
		struct span addr = endpoint_addr(&s.to);

		memcpy(&sin.sin_addr, addr.p, sizeof(sin.sin_addr));
		(void)sendto(c->fd[i].fd, s.data.p, s.data.n, 0,
		    (const struct sockaddr *)&sin, sizeof(sin));
	}
}

static void
hex(const char *text, uint8_t ret[32])
{
	struct writer w = wr_init(ret, 32);

	if (!text || hex_decode(span_str(text), &w) || w.n != 32)
		die("hex");
}

static void
put(struct crowd *c, size_t i, const char *seed_hex, const char *seq)
{
	static const char text[VALUE] = { 0 };
	struct dht_item item = { 0 };
	struct writer v = wr_init(item.v, sizeof(item.v));
	uint8_t seed[32], sk[64];

	hex(seed_hex, seed);
	(void)crypto_sign_seed_keypair(item.pk, sk, seed);
	item.seq = seq ? strtoll(seq, NULL, 10) : 0;
	be_str(&v, text, sizeof(text));
	item.v_n = (uint16_t)v.n;
	dht_item_sign(&item, sk);
	if (v.bad || dht_put(c->dht[i], c->line, &item, now()))
		die("put");
}

static void
get(struct crowd *c, size_t i, const char *pk_hex)
{
	uint8_t pk[32];

	hex(pk_hex, pk);
	if (dht_get(c->dht[i], c->line, pk, span_of(NULL, 0), now()))
		die("get");
}

static void
kill_node(struct crowd *c, size_t i)
{
	dht_free(c->dht[i]);
	c->dht[i] = NULL;
	(void)close(c->fd[i].fd);
	c->fd[i].fd = -1;
}

static void
print_nodes(const struct crowd *c)
{
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < c->n; i++) {
		struct dht_stats s;

		if (!c->dht[i])
			continue;
		dht_get_stats(c->dht[i], &s);
		least = s.nodes_good < least ? s.nodes_good : least;
	}
	printf("{\"event\":\"nodes\",\"line\":%" PRIu64 ",\"n\":%zu}\n",
	    c->line, least);
}

static void
command(struct crowd *c, char *line)
{
	char *rest = NULL;
	const char *verb = strtok_r(line, " ", &rest);
	const char *which = strtok_r(NULL, " ", &rest);
	const char *a = strtok_r(NULL, " ", &rest);
	const char *b = strtok_r(NULL, " ", &rest);
	size_t i = which ? strtoul(which, NULL, 10) : 0;

	c->line++;
	c->said_ms[c->line % LINES] = clock_ms();
	if (!verb || i >= c->n || !c->dht[i])
		die("command");
	if (strcmp(verb, "join") == 0 && a) {
		struct sockaddr_in sin = address(a, c->port);
		struct endpoint to = endpoint_of(&sin);

		dht_bootstrap(c->dht[i], &to, now());
	} else if (strcmp(verb, "put") == 0) {
		put(c, i, a, b);
	} else if (strcmp(verb, "get") == 0) {
		get(c, i, a);
	} else if (strcmp(verb, "kill") == 0) {
		kill_node(c, i);
	} else {
		print_nodes(c);
	}
}

/* False at the end of input. */
static bool
read_commands(struct crowd *c)
{
	ssize_t n = read(0, c->in + c->n_in, sizeof(c->in) - c->n_in - 1);
	char *at = c->in, *end;

	if (n <= 0)
		return false;
	c->n_in += (size_t)n;
	c->in[c->n_in] = '\0';
	while ((end = strchr(at, '\n'))) {
		*end = '\0';
		command(c, at);
		at = end + 1;
	}
	c->n_in -= (size_t)(at - c->in);
	memmove(c->in, at, c->n_in);
	return true;
}

/* Lets every node act; milliseconds until the first wants to again. */
static int
run(struct crowd *c)
{
	uint64_t first_ms = now().mono_ms + WAIT_MAX_MS, now_ms;

	for (size_t i = 0; i < c->n; i++) {
		uint64_t at_ms;

		if (!c->dht[i])
			continue;
		if (c->fd[i].revents)
			receive(c, i);
		if (dht_deadline_ms(c->dht[i]) <= now().mono_ms)
			dht_tick(c->dht[i], now());
		drain(c, i);
		at_ms = dht_deadline_ms(c->dht[i]);
		first_ms = at_ms < first_ms ? at_ms : first_ms;
	}
	(void)fflush(stdout);
	now_ms = now().mono_ms;
	return first_ms <= now_ms ? 0 : (int)(first_ms - now_ms);
}

int
main(int argc, char **argv)
{
	static struct crowd c;
	struct rng rng = { fill, NULL };

	if (argc < 3 || argc - 2 > NODES_MAX || sodium_init() < 0)
		die("usage: crowd PORT ADDRESS...");
	c.port = (uint16_t)strtoul(argv[1], NULL, 10);
	for (int i = 2; i < argc; i++)
		open_node(&c, &rng, argv[i]);
	c.fd[c.n] = (struct pollfd){ 0, POLLIN, 0 };
	for (;;) {
		(void)poll(c.fd, c.n + 1, run(&c));
		if (c.fd[c.n].revents && !read_commands(&c))
			break;
	}
	for (size_t i = 0; i < c.n; i++)
		dht_free(c.dht[i]);
	return 0;
}
