/* What each side tells the other of where it is: CANDIDATES, both ways.
 * [SPEC §7.1] */
#ifndef PROTO_LINK_OFFER_H
#define PROTO_LINK_OFFER_H

#include "proto/link/state.h"

/* Ours is to be told. The link is up. */
void
offer_set(struct links *l, struct peer *p, const struct link_candidates *offer);
/* Theirs came; the link is up. ERR_MALFORMED. */
MUST_USE enum err
offer_take(struct links *l, struct peer *p, struct span body, struct now now);
void offer_tick(struct links *l, struct peer *p, struct now now);

#endif /* PROTO_LINK_OFFER_H */
