/*
 * One DHT node on a real socket, driven by lines. AT is an IPv4 address and a
 * port, "45.1.2.3:6881", or a port of loopback alone.
 *
 *   dhtnode AT [overlay]    port 0 takes a free one; overlay: the encrypted
 *                           carrier, that tells its N to who asks
 *
 *   bootstrap AT [KEY]      a node to begin with; KEY: its N, in hex
 *   key                     our N
 *   put SEED SEQ TEXT [SALT]   TEXT as a bencoded string, signed by SEED (hex)
 *   get PK [SALT]           PK in hex
 *   announce HASH PORT      that we are a peer of a torrent, HASH in hex
 *   peers HASH
 *   stats
 *   nodes                   the good ones
 *   quit
 *
 * Prints one JSON object a line: {"port":...} first, then an event for what
 * the node says, named by the number of the command line that caused it.
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

struct tool {
	struct dht *dht;
	int fd;
	uint64_t line; /* number of the command at hand */
	char *rest;    /* of it */
	char in[8192];
	size_t n_in;
};

static _Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "dhtnode: %s: %s\n", what, strerror(errno));
	exit(2);
}

static void
fill(void *ctx, void *buf, size_t n)
{
	(void)ctx;
	randombytes_buf(buf, n);
}

static struct now
now(void)
{
	struct timespec mono, wall;

	(void)clock_gettime(CLOCK_MONOTONIC, &mono);
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	return (struct now){
		(uint64_t)mono.tv_sec * 1000 + (uint64_t)mono.tv_nsec / 1000000,
		(uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000,
	};
}

static struct endpoint
endpoint_of(const struct sockaddr_in *sin)
{
	uint8_t addr[4];

	memcpy(addr, &sin->sin_addr, sizeof(addr));
	return endpoint_v4(addr, ntohs(sin->sin_port));
}

static struct sockaddr_in
sockaddr_of(const struct endpoint *e)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_port = htons(e->port) };
	struct span addr = endpoint_addr(e);

	memcpy(&sin.sin_addr, addr.p, sizeof(sin.sin_addr));
	return sin;
}

static struct endpoint
parse_at(const char *text)
{
	struct sockaddr_in sin = { .sin_family = AF_INET };
	const char *port = strchr(text, ':');
	char addr[INET_ADDRSTRLEN] = "127.0.0.1";

	if (port && (size_t)(port - text) < sizeof(addr)) {
		memcpy(addr, text, (size_t)(port - text));
		addr[port - text] = '\0';
	}
	if (inet_pton(AF_INET, addr, &sin.sin_addr) != 1)
		die("address");
	sin.sin_port =
	    htons((uint16_t)strtoul(port ? port + 1 : text, NULL, 10));
	return endpoint_of(&sin);
}

static int
open_socket(const struct endpoint *at)
{
	struct sockaddr_in sin = sockaddr_of(at);
	socklen_t n = sizeof(sin);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd < 0 || bind(fd, (const struct sockaddr *)&sin, sizeof(sin)))
		die("socket");
	if (getsockname(fd, (struct sockaddr *)&sin, &n))
		die("getsockname");
	printf("{\"port\":%u}\n", ntohs(sin.sin_port));
	return fd;
}

static void
send_one(const struct tool *t, const struct dht_send *s)
{
	struct sockaddr_in sin = sockaddr_of(&s->to);

	(void)sendto(t->fd, s->data.p, s->data.n, 0,
	    (const struct sockaddr *)&sin, sizeof(sin));
}

static void
receive_all(struct tool *t)
{
	struct sockaddr_in sin = { 0 };
	socklen_t n_sin = sizeof(sin);
	uint8_t buf[2048];
	ssize_t n;

	while ((n = recvfrom(t->fd, buf, sizeof(buf), 0,
	            (struct sockaddr *)&sin, &n_sin)) > 0) {
		struct endpoint from = endpoint_of(&sin);

		dht_receive(t->dht, &from, span_of(buf, (size_t)n), now());
		n_sin = sizeof(sin);
	}
}

static void
print_hex(const char *name, const void *p, size_t n)
{
	char text[2 * DHT_VALUE_MAX + 1];

	hex_encode(span_of(p, n), text);
	printf(",\"%s\":\"%s\"", name, text);
}

static void
print_at(const struct endpoint *at, bool first)
{
	struct sockaddr_in sin = sockaddr_of(at);
	char addr[INET_ADDRSTRLEN];

	(void)inet_ntop(AF_INET, &sin.sin_addr, addr, sizeof(addr));
	printf("%s[\"%s\",%u]", first ? "" : ",", addr, at->port);
}

static void
print_peers(const struct dht_event *e)
{
	printf(",\"peers\":[");
	for (size_t i = 0; i < e->n; i++)
		print_at(&e->peers[i], i == 0);
	printf("]");
}

static void
print_event(const struct dht_event *e)
{
	static const char *const names[] = {
		[DHT_VALUE] = "value",
		[DHT_GET_DONE] = "get",
		[DHT_PUT_DONE] = "put",
		[DHT_ADDRESS] = "address",
		[DHT_READY] = "ready",
		[DHT_PEERS] = "peers",
	};

	if (e->kind > DHT_PEERS) /* of the place where we are */
		return;
	printf("{\"event\":\"%s\",\"line\":%" PRIu64
	       ",\"n\":%zu,\"found\":%s,\"port\":%u",
	    names[e->kind], e->op, e->n, e->found ? "true" : "false",
	    e->address.port);
	if (e->kind == DHT_PEERS)
		print_peers(e);
	if (e->item) {
		print_hex("pk", e->item->pk, sizeof(e->item->pk));
		print_hex("sig", e->item->sig, sizeof(e->item->sig));
		print_hex("v", e->item->v, e->item->v_n);
		printf(",\"seq\":%" PRId64, e->item->seq);
	}
	printf("}\n");
}

static void
drain(struct tool *t)
{
	struct dht_event e;
	struct dht_send s;

	while (dht_next_event(t->dht, &e))
		print_event(&e);
	while (dht_next_send(t->dht, &s))
		send_one(t, &s);
	(void)fflush(stdout);
}

static void
print_stats(const struct tool *t)
{
	struct dht_stats s;

	dht_get_stats(t->dht, &s);
	printf("{\"event\":\"stats\",\"line\":%" PRIu64
	       ",\"nodes\":%zu,\"good\":%zu,\"buckets\":%zu,\"items\":%zu,"
	       "\"in\":%" PRIu64 ",\"out\":%" PRIu64 ",\"dropped\":%" PRIu64
	       ",\"rtt_ms\":%" PRIu64,
	    t->line, s.nodes, s.nodes_good, s.buckets, s.items, s.n_in, s.n_out,
	    s.n_dropped, s.rtt_ms);
	print_hex("id", s.id.b, sizeof(s.id.b));
	printf("}\n");
}

static void
print_nodes(const struct tool *t)
{
	static struct dht_node node[128];
	size_t n = dht_nodes(t->dht, node, 128);

	printf(
	    "{\"event\":\"nodes\",\"line\":%" PRIu64 ",\"nodes\":[", t->line);
	for (size_t i = 0; i < n; i++)
		print_at(&node[i].at, i == 0);
	printf("]}\n");
}

static void
put(struct tool *t, const char *seed_hex, const char *seq, const char *text)
{
	const char *salt = strtok_r(NULL, " ", &t->rest);
	struct dht_item item = { .seq = strtoll(seq, NULL, 10) };
	struct writer v = wr_init(item.v, sizeof(item.v));
	uint8_t seed[32], sk[64];
	struct writer w = wr_init(seed, sizeof(seed));

	if (hex_decode(span_str(seed_hex), &w) || w.n != sizeof(seed) ||
	    item.seq < 1)
		die("put");
	(void)crypto_sign_seed_keypair(item.pk, sk, seed);
	be_str(&v, text, strlen(text));
	item.v_n = (uint16_t)v.n;
	if (salt) {
		item.salt_n = (uint8_t)strlen(salt);
		memcpy(item.salt, salt, item.salt_n);
	}
	dht_item_sign(&item, sk);
	if (v.bad || dht_put(t->dht, t->line, &item, now()))
		die("put");
}

static void
get(struct tool *t, const char *pk_hex)
{
	const char *salt = strtok_r(NULL, " ", &t->rest);
	uint8_t pk[32];
	struct writer w = wr_init(pk, sizeof(pk));

	if (hex_decode(span_str(pk_hex), &w) || w.n != sizeof(pk) ||
	    dht_get(t->dht, t->line, pk, span_str(salt ? salt : ""), now()))
		die("get");
}

/* announce, or peers where there is no port. */
static void
torrent(struct tool *t, const char *hash_hex, const char *port_text)
{
	uint16_t port = port_text ? (uint16_t)strtoul(port_text, NULL, 10) : 0;
	struct target hash;
	struct writer w = wr_init(hash.b, sizeof(hash.b));
	enum err err;

	if (hex_decode(span_str(hash_hex), &w) || w.n != sizeof(hash.b))
		die("hash");
	if (port_text && port == 0)
		die("port");
	err = port_text
	          ? dht_announce(t->dht, t->line, &hash, port, false, now())
	          : dht_get_peers(t->dht, t->line, &hash, now());
	if (err)
		die("torrent");
}

static void
bootstrap(struct tool *t, const char *where)
{
	const char *hex = strtok_r(NULL, " ", &t->rest);
	struct endpoint to = parse_at(where);
	struct node_key key = { { 0 } };
	struct writer w = wr_init(key.b, sizeof(key.b));

	if (hex && (hex_decode(span_str(hex), &w) || w.n != sizeof(key.b)))
		die("key");
	dht_bootstrap_key(t->dht, &to, &key, now());
}

static void
print_key(const struct tool *t)
{
	struct node_key key;

	dht_key(t->dht, &key);
	printf("{\"event\":\"key\",\"line\":%" PRIu64, t->line);
	print_hex("key", key.b, sizeof(key.b));
	printf("}\n");
}

static void
command(struct tool *t, char *line)
{
	const char *verb = strtok_r(line, " ", &t->rest);
	const char *a = strtok_r(NULL, " ", &t->rest);

	t->line++;
	if (!verb)
		return;
	if (strcmp(verb, "bootstrap") == 0 && a) {
		bootstrap(t, a);
	} else if (strcmp(verb, "put") == 0 && a) {
		const char *seq = strtok_r(NULL, " ", &t->rest);
		const char *text = strtok_r(NULL, " ", &t->rest);

		if (seq && text)
			put(t, a, seq, text);
	} else if (strcmp(verb, "get") == 0 && a) {
		get(t, a);
	} else if (strcmp(verb, "announce") == 0 && a) {
		const char *port = strtok_r(NULL, " ", &t->rest);

		torrent(t, a, port ? port : "0");
	} else if (strcmp(verb, "peers") == 0 && a) {
		torrent(t, a, NULL);
	} else if (strcmp(verb, "stats") == 0) {
		print_stats(t);
	} else if (strcmp(verb, "nodes") == 0) {
		print_nodes(t);
	} else if (strcmp(verb, "key") == 0) {
		print_key(t);
	} else {
		exit(strcmp(verb, "quit") == 0 ? 0 : 2);
	}
}

/* False at the end of input. */
static bool
read_commands(struct tool *t)
{
	ssize_t n = read(0, t->in + t->n_in, sizeof(t->in) - t->n_in - 1);
	char *at = t->in, *end;

	if (n <= 0)
		return false;
	t->n_in += (size_t)n;
	t->in[t->n_in] = '\0';
	while ((end = strchr(at, '\n'))) {
		*end = '\0';
		command(t, at);
		at = end + 1;
	}
	t->n_in -= (size_t)(at - t->in);
	memmove(t->in, at, t->n_in);
	return true;
}

static int
wait_ms(const struct tool *t)
{
	uint64_t at_ms = dht_deadline_ms(t->dht);
	uint64_t now_ms = now().mono_ms;

	if (at_ms <= now_ms)
		return 0;
	return at_ms - now_ms < 10000 ? (int)(at_ms - now_ms) : 10000;
}

int
main(int argc, char **argv)
{
	struct rng rng = { fill, NULL };
	struct dht_config cfg = { .family = FAMILY_V4, .rng = &rng };
	struct tool t = { .line = 0 };
	struct endpoint at;

	cfg.introduces = argc == 3 && strcmp(argv[2], "overlay") == 0;
	cfg.carrier = cfg.introduces ? DHT_OVERLAY : DHT_MAINLINE;
	if (argc < 2 || argc > 3 || (argc == 3 && !cfg.introduces) ||
	    sodium_init() < 0)
		die("usage: dhtnode AT [overlay]");
	at = parse_at(argv[1]);
	cfg.loopback = endpoint_scope(&at) == SCOPE_LOOPBACK;
	t.fd = open_socket(&at);
	t.dht = dht_new(&cfg, now());
	if (!t.dht)
		die("memory");
	for (;;) {
		struct pollfd p[2] = { { 0, POLLIN, 0 }, { t.fd, POLLIN, 0 } };

		drain(&t);
		(void)poll(p, 2, wait_ms(&t));
		if (p[1].revents)
			receive_all(&t);
		if (p[0].revents && !read_commands(&t))
			break;
		if (dht_deadline_ms(t.dht) <= now().mono_ms)
			dht_tick(t.dht, now());
	}
	dht_free(t.dht);
	return 0;
}
