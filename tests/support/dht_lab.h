/*
 * One DHT node alone on virtual time, for tests that play the whole network
 * around it. What it sends is checked to be KRPC of an allowed size.
 */
#ifndef TESTS_SUPPORT_DHT_LAB_H
#define TESTS_SUPPORT_DHT_LAB_H

#include "proto/dht/dht_state.h"
#include "tests/support/rng.h"

enum { LAB_SENT_MAX = 256 };

struct lab_sent {
	struct endpoint to;
	size_t n;
	uint8_t data[KRPC_SIZE_MAX];
};

struct lab {
	struct test_rng rng;
	struct dht *d;
	struct now now;
	struct lab_sent sent[LAB_SENT_MAX]; /* since the last clear */
	size_t n_sent, bytes_sent;
	struct bencode scratch;
	struct krpc got; /* of the last lab_sent; borrows sent[] */
	size_t n_values, n_done;
	struct dht_item value;
	struct dht_event done;
	size_t n_seen, n_strangers;
	struct dht_event seen, stranger; /* the last ones */
};

extern struct lab lab; /* large: not on the stack */

int lab_setup(void **state); /* cmocka's */
int lab_teardown(void **state);
/* Fetches what the node says. The law: only KRPC leaves, of the right size. */
void lab_drain(void);
void lab_clear(void); /* forgets what was sent */
void lab_inject(const struct endpoint *from, struct span data);
void lab_krpc(const struct endpoint *from, const struct krpc *m);
/* Lets time pass to `for_ms` from now, with all deadlines on the way. */
void lab_pass(uint64_t for_ms);
/* What was sent as the i-th, decoded to lab.got. */
const struct krpc *lab_sent(size_t i);
struct krpc lab_query(enum krpc_method method);
/* A peer at 20.n.1.1 with an id that fits. */
struct krpc_node lab_peer(unsigned n);
/* Answers the query that is sent[i] as node, with what m brings. */
void lab_reply(size_t i, const struct krpc_node *node, struct krpc *m);
/* Brings n peers into the table: each is pinged and answers. */
void lab_meet(struct krpc_node *nodes, unsigned n);
/* Which sent query went to `at`; LAB_SENT_MAX: none. */
size_t lab_sent_to(const struct endpoint *at);
/* How many datagrams went there. */
size_t lab_n_to(const struct endpoint *at);
/* The code that a put of m draws; 0 if it was stored. */
int64_t
lab_put_code(const struct endpoint *from, struct krpc *m, bool good_token);

#endif /* TESTS_SUPPORT_DHT_LAB_H */
