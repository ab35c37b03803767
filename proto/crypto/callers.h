/*
 * Who called under an invitation of ours, and when last: a replayed message 1
 * must draw nothing, for ever. Whoever holds the invitation may call, each S
 * with a clock of its own, so there is no end to them; CALLERS_MAX are
 * remembered one by one. When one more comes, the one with the lowest ts is
 * forgotten, and the floor rises to that ts: an S that is not remembered must
 * call with a ts above the floor. So nothing that was taken once is ever
 * taken again. Who floods the table can keep others out so until their clocks
 * pass the floor, by a day at most; but he could as well take the invitation.
 *
 * Durable state: part of the record of the invitation. [SPEC §6.5]
 */
#ifndef PROTO_CRYPTO_CALLERS_H
#define PROTO_CRYPTO_CALLERS_H

#include "proto/crypto/types.h"

#include <stdint.h>

enum { CALLERS_MAX = 8 }; /* remembered one by one; then see above */

struct caller {
	struct static_pk s;
	uint64_t ts_ms; /* of the last message 1 taken; 0: a free place */
};

struct callers {
	struct caller c[CALLERS_MAX]; /* free places are behind the others */
	uint64_t floor_ms;            /* highest ts of one that was forgotten */
};

/* What ts of the next message 1 of this S must exceed. */
uint64_t callers_last_ms(const struct callers *c, const struct static_pk *s);
/* A message 1 of this S is taken; ts_ms is not 0. To be durable before it is
 * answered. */
void callers_take(struct callers *c, const struct static_pk *s, uint64_t ts_ms);

#endif /* PROTO_CRYPTO_CALLERS_H */
