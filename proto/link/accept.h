/* Being reached: message 1 of a peer. [SPEC §6.2] [SPEC §6.5] */
#ifndef PROTO_LINK_ACCEPT_H
#define PROTO_LINK_ACCEPT_H

#include "proto/link/state.h"

/* Answers it, or drops it in silence. */
void accept_message_1(struct links *l, const struct endpoint *from,
    struct span datagram, struct now now);
/* The first valid transport packet came under the half-open session s, which
 * becomes part of the link. ERR_NOMEM: it stays half-open. */
MUST_USE enum err
accept_confirmed(struct links *l, struct session *s, struct now now);
/* Ratchet and event that follow from the first packet under s, either side. */
void accept_commit(
    struct links *l, struct peer *p, struct session *s, struct now now);

#endif /* PROTO_LINK_ACCEPT_H */
