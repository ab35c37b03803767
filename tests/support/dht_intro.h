/*
 * Nodes of the overlay, the first of which introduces, and somebody who is no
 * node and may say anything.
 */
#ifndef TESTS_SUPPORT_DHT_INTRO_H
#define TESTS_SUPPORT_DHT_INTRO_H

#include "proto/dht/dht_state.h"
#include "tests/support/dht_net.h"

enum { I = 0, A, B, C, INTRO_NODES, INTRO_TAPE_MAX = 4096 };

/* What a node was told, since the last clear. */
struct heard {
	size_t n_registered, n_handed, n_failed;
	struct dht_event registered, handed, failed; /* the last ones */
	size_t n;
	uint8_t data[DHT_PASS_MAX];
};

extern struct dht_net net; /* large: not on the stack */
extern struct heard heard[INTRO_NODES];
extern struct dht_net_packet tape[INTRO_TAPE_MAX]; /* what was delivered */
extern size_t n_tape;
extern const uint8_t handle[DHT_HANDLE_SIZE];
extern struct dht_node introducer; /* I */

int intro_setup(void **state); /* cmocka's */
int intro_setup_v6(void **state);
int intro_teardown(void **state);
void clear(void); /* forgets tape and heard */
struct now now(void);
struct dht_stats stats(void); /* of I */

/* Registers, and waits for the end. */
void registers(size_t i, const uint8_t h[DHT_HANDLE_SIZE], bool took);
struct dht_way way_to(const uint8_t h[DHT_HANDLE_SIZE]);
/* A datagram of n bytes that begins with a; until the next one. */
struct span datagram(uint8_t a, size_t n);
void pass(size_t i, const struct dht_way *way, struct span d);
/* Once, just that; and forgets it. */
void is_handed(size_t i, uint8_t a, size_t n);
/* Datagrams and bytes on the tape that went there. */
size_t n_to(const struct endpoint *at);
size_t bytes_to(const struct endpoint *at);

struct raw {
	struct carrier *c; /* owned */
	struct endpoint at;
};

struct raw raw_new(uint8_t a, uint8_t b, uint8_t c, uint8_t d);
struct node_key raw_key(const struct raw *r);
/* Sends m to a node as if from there; returns its bytes. */
size_t raw_tell_node(
    struct raw *r, const struct endpoint *from, size_t to, struct krpc *m);
/* To I; time passes. */
size_t raw_tell(struct raw *r, const struct endpoint *from, struct krpc *m);
void raw_register(
    struct krpc *m, const struct node_key *n, const uint8_t h[DHT_HANDLE_SIZE]);
void raw_pass(const struct raw *r, struct krpc *m,
    const uint8_t h[DHT_HANDLE_SIZE], struct span d);
/* Opens the last datagram that went to r, if it is a query for him. */
bool raw_opens(struct raw *r, struct krpc *ret);
/* What a get for the bytes that prove this would draw from I. */
void raw_token_by_get(
    const struct raw *r, const struct krpc *m, uint8_t ret[TOKEN_SIZE]);

#endif /* TESTS_SUPPORT_DHT_INTRO_H */
