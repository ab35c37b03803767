/*
 * Two nodes that are contacts, on loopback, without a DHT between them: each
 * knows what the other's cell would say. Their insides are open.
 */
#ifndef TESTS_SUPPORT_NODE_PAIR_H
#define TESTS_SUPPORT_NODE_PAIR_H

#include "proto/node_int.h"

struct node_pair {
	struct node *n[2]; /* owned */
	struct endpoint at[2];
	struct now now;
	unsigned events[2][NODE_PONG + 1]; /* by kind */
	uint64_t rtt_ms[2];                /* of the last NODE_PONG */
	uint64_t read_seq[2];              /* of the last CHANGE_READ */
	unsigned n_reads[2];               /* of those */
	/* Texts of ours that changed their state, as it was told last, and how
	 * often it was; texts of theirs. */
	struct node_message moved[2];
	unsigned n_moved[2][MESSAGE_READ + 1], n_received[2], n_gaps[2];
	struct endpoint victim;
	unsigned n_victim; /* datagrams that node 0 sent there */
};

void node_pair_begin(struct node_pair *w);
void node_pair_begin_online(struct node_pair *w); /* with a session */
void node_pair_end(struct node_pair *w);
/* Time passes, in steps of 50 ms. */
void node_pair_run(struct node_pair *w, uint64_t ms);
/* Node 1 makes a session anew, whatever its budgets say. */
void node_pair_knock(struct node_pair *w);

#endif /* TESTS_SUPPORT_NODE_PAIR_H */
