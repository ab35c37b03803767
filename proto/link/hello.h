/* The body of HELLO: who speaks under these keys. [SPEC §7.2] */
#ifndef PROTO_LINK_HELLO_H
#define PROTO_LINK_HELLO_H

#include "proto/link/frame.h"
#include "proto/link/link.h"

enum { HELLO_INSTANCE_SIZE = 8 };

/* `ret->says` stays zero: the caller verifies the certificate. Bytes behind
 * the known body are ignored. ERR_MALFORMED: too short. */
MUST_USE enum err hello_decode(struct span body, struct link_hello *ret,
    uint8_t instance[HELLO_INSTANCE_SIZE]);
void hello_encode(const struct link_hello *in,
    const uint8_t instance[HELLO_INSTANCE_SIZE], uint8_t ret[FRAME_HELLO_SIZE]);

#endif /* PROTO_LINK_HELLO_H */
