/*
 * To which addresses something was sent of late, in so many bits that the
 * answer may be wrongly yes now and then, and never wrongly no. A query from
 * an address to which nothing was sent shows that no router keeps such out.
 * On loopback each port is an address of its own.
 */
#ifndef PROTO_DHT_SENT_H
#define PROTO_DHT_SENT_H

#include "proto/base/endpoint.h"
#include "proto/base/env.h"

enum {
	SENT_MS = 10 * 60 * 1000, /* remembered so long, and up to twice that */
	/* After the start nobody knows whom a life before has sent to; routers
	 * remember it for two or three minutes. */
	SENT_BLIND_MS = 5 * 60 * 1000,
	/* Two for each address. Of 4,000 addresses in the time, 15 per cent of
	 * the others look like one of them. */
	SENT_BITS = 16384,
};

struct sent {
	uint8_t secret[16];
	uint64_t sees_ms;               /* from then on it is certain */
	uint64_t since_ms;              /* of the newer half */
	uint8_t bits[2][SENT_BITS / 8]; /* newer, older */
	struct endpoint last;           /* it is in there already */
};

/* local: of a net on loopback, where no router is. */
void
sent_init(struct sent *s, bool local, const struct rng *rng, uint64_t now_ms);
void sent_keep(struct sent *s, const struct endpoint *to, uint64_t now_ms);
/* Certain that nothing went to that address, whatever the port. */
bool sent_nothing(struct sent *s, const struct endpoint *to, uint64_t now_ms);

#endif /* PROTO_DHT_SENT_H */
