/* Anti-replay window of one receiving key. [RFC 6479 §2] [SPEC §6.5] */
#ifndef PROTO_CRYPTO_REPLAY_H
#define PROTO_CRYPTO_REPLAY_H

#include "proto/base/err.h"

#include <stdint.h>

enum { REPLAY_WINDOW = 4096 }; /* how far a late packet may lag, in packets */
#define REPLAY_COUNTER_END (UINT64_C(1) << 60) /* refused from here on */

struct replay {
	uint64_t next; /* one past the highest counter accepted */
	uint64_t seen[REPLAY_WINDOW / 64]; /* bit c % REPLAY_WINDOW */
};

void replay_init(struct replay *r);
/* Checked before the packet is opened; ERR_REPLAY, ERR_LIMIT (2^60). */
MUST_USE enum err replay_check(const struct replay *r, uint64_t counter);
/* Set after it opened; the counter passed replay_check. */
void replay_set(struct replay *r, uint64_t counter);

#endif /* PROTO_CRYPTO_REPLAY_H */
