/*
 * Our own address as others see it: each answer's `ip` field is a vote, one
 * for each voter; the majority wins. [BEP 42]
 */
#ifndef PROTO_DHT_ADDRESS_H
#define PROTO_DHT_ADDRESS_H

#include "proto/base/endpoint.h"

enum {
	ADDRESS_VOTES_MAX = 50,
	ADDRESS_VOTES_MIN = 3, /* one or two may lie */
	/* To give up an address before the round ends: three liars who are the
	 * first ones of a round would else move us. */
	ADDRESS_VOTES_MOVE = 8,
	ADDRESS_ROUND_MS = 10 * 60 * 1000, /* then everybody votes anew */
};

struct address {
	bool loopback; /* local voters count, each port for itself */
	bool known;
	struct endpoint own; /* port 0: they see different ones */
	uint64_t since_ms;
	unsigned n;
	struct {
		struct endpoint voter, said;
	} vote[ADDRESS_VOTES_MAX];
};

void address_init(struct address *a, bool loopback, uint64_t now_ms);
/* True: a->own is new or has changed. */
bool address_vote(struct address *a, const struct endpoint *voter,
    const struct endpoint *said, uint64_t now_ms);

#endif /* PROTO_DHT_ADDRESS_H */
