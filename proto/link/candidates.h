/* The body of CANDIDATES: where its sender may be reached, and how its NAT
 * deals out ports. [SPEC §7.1] */
#ifndef PROTO_LINK_CANDIDATES_H
#define PROTO_LINK_CANDIDATES_H

#include "proto/link/frame.h"
#include "proto/link/link.h"

/* Addresses of another kind, or of another family than the kind says, are
 * skipped, an unknown class is 0, bytes behind are ignored. ERR_MALFORMED:
 * too short, or more than eight. */
MUST_USE enum err
candidates_decode(struct span body, struct link_candidates *ret);
/* Bytes written. */
size_t candidates_encode(
    const struct link_candidates *in, uint8_t ret[FRAME_CANDIDATES_SIZE]);

#endif /* PROTO_LINK_CANDIDATES_H */
