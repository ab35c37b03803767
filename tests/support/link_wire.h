/*
 * Peers of link/ in one process, joined by a wire that loses, copies, delays
 * and reorders on virtual time. Everything follows from one seed. A node has
 * what its owner would keep on disk, so it can crash and come back.
 *
 * The oracle is built in: byte o of every link is a function of o, of who sends
 * and of the number of his stream, so a byte that is lost, doubled, out of
 * order or of another link fails at once.
 */
#ifndef TESTS_SUPPORT_LINK_WIRE_H
#define TESTS_SUPPORT_LINK_WIRE_H

#include "proto/link/link.h"
#include "tests/support/rng.h"

enum {
	WIRE_NODES_MAX = 3,
	WIRE_ROUTES_MAX = 4,
	WIRE_QUEUE_MAX = 8192,
	WIRE_DATAGRAM_MAX = 1500,
};

/* What survives a crash: what was told by LINK_OUT_STATE, _CALLER, _TS. */
struct wire_disk {
	bool knows;
	struct link_peer peer;
	struct callers callers; /* of an inviter */
};

struct wire_node {
	struct links *links; /* NULL while it is down */
	struct id_pk id;
	struct id_sk sk;
	struct link_self self;
	struct endpoint at;    /* what is sent comes from here */
	struct endpoint at_v6; /* and what goes to IPv6; port 0: none */
	struct endpoint also;  /* heard there as well; port 0: nowhere */
	bool asleep;           /* hears nothing, does nothing; time goes on */
	struct wire_disk disk[WIRE_NODES_MAX]; /* by the number of the peer */
	uint64_t ts_floor_ms;
	int64_t clock_ms; /* how far its wall clock is off */
	/* By peer: counts of outputs, and the streams of the present link. */
	unsigned ups[WIRE_NODES_MAX], downs[WIRE_NODES_MAX];
	uint8_t earlies[WIRE_NODES_MAX];
	/* Which of the streams one after the other that is. */
	uint8_t stream_in[WIRE_NODES_MAX], stream_out[WIRE_NODES_MAX];
	unsigned paired[WIRE_NODES_MAX], fallbacks[WIRE_NODES_MAX];
	unsigned denied[WIRE_NODES_MAX], proven[WIRE_NODES_MAX];
	unsigned refused[WIRE_NODES_MAX], paths[WIRE_NODES_MAX];
	unsigned pongs[WIRE_NODES_MAX];
	uint64_t rtt_ms; /* of the last PONG */
	unsigned offers[WIRE_NODES_MAX];
	struct link_candidates offer; /* the last one */
	unsigned writables[WIRE_NODES_MAX], bulk_writables[WIRE_NODES_MAX];
	enum err last_err[WIRE_NODES_MAX];
	bool up[WIRE_NODES_MAX];
	uint64_t read[WIRE_NODES_MAX], written[WIRE_NODES_MAX];
	uint64_t bulk_read[WIRE_NODES_MAX], bulk_written[WIRE_NODES_MAX];
	uint64_t up_at_ms[WIRE_NODES_MAX];
	struct pair_root root; /* of the last PAIRED */
	struct link_hello hello;
	uint64_t sent, sent_bytes; /* datagrams */
	unsigned observed;         /* LINK_OUT_OBSERVED */
	uint8_t hops;              /* of the last datagram */
};

struct wire_datagram {
	uint64_t at_ms;
	uint64_t order;
	struct endpoint from, to;
	uint16_t n;
	uint8_t b[WIRE_DATAGRAM_MAX];
};

/* A way between two nodes that is no address: each end has its own name. */
struct wire_route {
	unsigned node[2];
	struct endpoint end[2];
	uint64_t delay_ms; /* more than the wire's */
	bool cut;
	uint64_t n, bytes; /* carried */
};

struct wire {
	struct test_rng rng;
	struct now now;
	struct wire_node node[WIRE_NODES_MAX];
	unsigned n_nodes;
	uint32_t loss, copy;    /* percent of datagrams */
	uint32_t late, late_ms; /* percent of them come up to so much later */
	uint64_t delay_ms, jitter_ms;
	uint64_t rate;      /* bytes a second each way; 0: any */
	uint64_t buffer_ms; /* that may wait for it */
	bool cut;           /* nothing passes */
	bool cut_direct;    /* only routes do */
	bool cut_family[FAMILY_COUNT];
	bool cut_from[WIRE_NODES_MAX]; /* nothing of theirs passes directly */
	size_t hole; /* a longer datagram does not pass a direct way; 0: any */
	struct wire_route route[WIRE_ROUTES_MAX];
	unsigned n_routes;
	bool any_data;  /* bytes of streams are not checked */
	uint32_t early; /* bytes that are written as soon as words may */
	/* NULL, or asked for every datagram: false swallows it. */
	bool (*tap)(struct wire *w, struct wire_datagram *d);
	void *tap_ctx;
	struct wire_datagram *queue; /* owned; unordered */
	size_t n_queue, cap_queue;
	uint64_t order;
	uint64_t delivered;
	uint64_t free_us[WIRE_NODES_MAX]; /* a sender's queue is empty then */
};

void wire_init(struct wire *w, uint64_t seed, unsigned n_nodes);
void wire_clear(struct wire *w);

/* The two know each other as contacts, with each other's S and R. */
void wire_befriend(struct wire *w, unsigned a, unsigned b);
/* Peer configuration of b as seen by a, for tests that change it. */
struct link_peer wire_contact(struct wire *w, unsigned a, unsigned b);
void wire_set_peer(
    struct wire *w, unsigned a, unsigned b, const struct link_peer *cfg);
void wire_connect(struct wire *w, unsigned a, unsigned b);
/* One more route between the two, named to both by links_set_routes. */
void wire_add_route(struct wire *w, unsigned a, unsigned b, uint64_t delay_ms);
/* The same with room for bulk. */
void wire_add_relay(struct wire *w, unsigned a, unsigned b, uint64_t delay_ms);
/* Another address; the old one is deaf from now on unless `also` says else.
 * `told`: links_set_local follows. */
void wire_move(struct wire *w, unsigned a, bool told);
/* Loses its memory; comes back with what is on its disk. */
void wire_crash(struct wire *w, unsigned a);
void wire_restart(struct wire *w, unsigned a);
/* Writes up to n bytes of the pattern to a's stream towards b. */
void wire_write(struct wire *w, unsigned a, unsigned b, size_t n);

/* The same with bulk, as far as there is room. */
void wire_write_bulk(struct wire *w, unsigned a, unsigned b, size_t n);
/* Puts a datagram on the wire, or straight into a node. */
void wire_send(struct wire *w, const struct endpoint *from,
    const struct endpoint *to, struct span b);
void wire_inject(
    struct wire *w, unsigned to, const struct endpoint *from, struct span b);
/* Pops the outputs of a node and carries them out. */
void wire_drain(struct wire *w, unsigned a);
/* Lets time pass, event by event. */
void wire_run(struct wire *w, uint64_t ms);
/* Until `done`, at most ms; false if it did not come. */
bool
wire_until(struct wire *w, bool (*done)(const struct wire *w), uint64_t ms);
struct now wire_now(const struct wire *w, unsigned a);
/* Links with a live session between the nodes 0 and 1. */
bool wire_both_up(const struct wire *w);
/* Both up, and each has read all that the other wrote. */
bool wire_all_read(const struct wire *w);

#endif /* TESTS_SUPPORT_LINK_WIRE_H */
