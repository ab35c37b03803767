/*
 * Reaching a peer: messages 1 to its addresses until one is answered.
 * [SPEC §6.2] [SPEC §6.5]
 */
#ifndef PROTO_LINK_ATTEMPT_H
#define PROTO_LINK_ATTEMPT_H

#include "proto/link/state.h"

/* Starts an attempt, or adds addresses to the one under way. */
void attempt_start(struct links *l, struct peer *p, const struct endpoint *to,
    size_t n, uint8_t hops, struct now now);
/* A handshake with who is (or was) at the other end of the running link: over
 * its path, and in doubt over every other way to it. */
void attempt_revive(struct links *l, struct peer *p, struct now now);
void attempt_free(struct links *l, struct peer *p); /* none is fine */
void attempt_tick(struct links *l, struct peer *p, struct now now);
uint64_t attempt_deadline_ms(const struct attempt *a); /* NULL is fine */
/* True if a message 1 went there within LINK_OPEN_MS, and none was answered. */
bool attempt_knocks_at(
    const struct attempt *a, const struct endpoint *e, uint64_t now_ms);

void attempt_on_message_2(struct links *l, struct try *t, struct peer *p,
    const struct endpoint *from, struct span datagram, struct now now);
/* False: it answers no message 1 of this attempt. */
bool attempt_on_cookie(struct links *l, struct attempt *a,
    const struct endpoint *from, struct span datagram, struct now now);

#endif /* PROTO_LINK_ATTEMPT_H */
