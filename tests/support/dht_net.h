/*
 * A network of DHT nodes in one process, on virtual time: delay, loss and
 * dead nodes from a seed. Checks that every datagram is KRPC of a size that
 * is allowed.
 */
#ifndef TESTS_SUPPORT_DHT_NET_H
#define TESTS_SUPPORT_DHT_NET_H

#include "proto/dht/dht.h"
#include "tests/support/rng.h"

enum { DHT_NET_MAX = 256 };

struct dht_net_packet {
	uint64_t at_ms, order;
	struct endpoint from, to;
	size_t n;
	uint8_t data[1500];
};

struct dht_net {
	struct test_rng rng;
	uint64_t now_ms;   /* since the start; nodes see it as mono_ms */
	uint32_t delay_ms; /* one way */
	uint32_t loss;     /* of 1000 datagrams */
	bool v6;           /* else IPv4 */
	bool overlay;      /* else Mainline */
	bool loopback;     /* 127.0.0.1:1000+i, else one global /16 each */
	size_t n;          /* nodes that ever were */
	struct dht *node[DHT_NET_MAX]; /* owned; NULL: dead */
	struct endpoint at[DHT_NET_MAX];
	struct dht_net_packet *packet; /* owned, a heap */
	size_t n_packets, cap_packets;
	uint64_t n_sent, bytes_sent, order;
	uint64_t ticked_ms; /* the last tick, and how many at that time */
	size_t n_idle;
	/* Called for each event of each node, and each datagram; may be NULL.
	 */
	void (*on_event)(void *ctx, size_t i, const struct dht_event *e);
	void (*on_packet)(void *ctx, const struct dht_net_packet *p);
	void *ctx;
};

void dht_net_init(struct dht_net *net, uint64_t seed, bool loopback);
void dht_net_clear(struct dht_net *net);
struct now dht_net_now(const struct dht_net *net);
/* A new node that bootstraps from node `from`, if that is another one. */
size_t dht_net_join(struct dht_net *net, size_t from);
void dht_net_kill(struct dht_net *net, size_t i);
/* Carries out what nodes have to send and say, without time passing. */
void dht_net_drain(struct dht_net *net);
/* One step to the next packet or deadline; false: not before end_ms. */
bool dht_net_step(struct dht_net *net, uint64_t end_ms);
void dht_net_run(struct dht_net *net, uint64_t for_ms);
/* Injects a datagram from anywhere, delivered at once. */
void dht_net_inject(struct dht_net *net, const struct endpoint *from, size_t to,
    struct span data);

/* An item signed by a key from the seed; salt and value of the caller. */
void dht_net_item(struct dht_net *net, struct span salt, struct span v,
    int64_t seq, struct dht_item *ret);

#endif /* TESTS_SUPPORT_DHT_NET_H */
