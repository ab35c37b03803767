/* The queue of outputs. [proto/link/link.h] A datagram is written where it
 * stands in the queue, and its memory is used again for the next. */
#ifndef PROTO_LINK_OUT_H
#define PROTO_LINK_OUT_H

#include "proto/link/state.h"

/* An output, no SEND, to be filled and pushed; or NULL. */
struct out *out_new(enum link_out_kind kind, uint32_t peer);
void out_push(struct links *l, struct out *o);
/* False: no memory, nothing was queued. */
bool out_simple(struct links *l, enum link_out_kind kind, uint32_t peer);
bool
out_err(struct links *l, enum link_out_kind kind, uint32_t peer, enum err err);
bool out_pong(struct links *l, uint32_t peer, uint64_t rtt_ms);
bool out_denied(struct links *l, uint32_t peer, bool proven);
bool out_at(struct links *l, enum link_out_kind kind, uint32_t peer,
    const struct endpoint *e);
/* A datagram; hops: 0 is as usual. */
bool out_send(struct links *l, const struct endpoint *to, uint8_t hops,
    struct span datagram);
/* LINK_UDP_MAX bytes for the next datagram, which out_send_draft sends; the
 * same ones until then. NULL: no memory. */
uint8_t *out_draft(struct links *l);
void out_send_draft(
    struct links *l, const struct endpoint *to, uint8_t hops, size_t n);
/* The peer's ratchet and last_ts as they are now. */
bool out_state(struct links *l, const struct peer *p);
bool out_caller(struct links *l, const struct peer *p,
    const struct static_pk *s, uint64_t ts_ms);
bool out_pop(struct links *l, struct link_out *ret);
/* Frees what the last out_pop lent. */
void out_release(struct links *l);
void out_clear(struct links *l);

#endif /* PROTO_LINK_OUT_H */
