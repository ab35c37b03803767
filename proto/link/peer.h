/* The tables of link/: peers by number, S and rid, receiver indices, own
 * guards, and how often an address may be knocked at. */
#ifndef PROTO_LINK_PEER_H
#define PROTO_LINK_PEER_H

#include "proto/link/state.h"

struct peer *peer_get(const struct links *l, uint32_t number);
/* A new peer, in all tables. ERR_LIMIT, ERR_NOMEM. */
MUST_USE enum err
peer_add(struct links *l, uint32_t number, const struct link_peer *cfg);
/* Takes the new configuration of the same peer; what we know better (ratchet,
 * last_ts, callers, a bound S) stays. ERR_NOMEM: nothing changed. */
MUST_USE enum err
peer_update(struct links *l, struct peer *p, const struct link_peer *cfg);
/* Out of all tables, and freed; link, attempt and half must be gone. */
void peer_drop(struct links *l, struct peer *p);

/* The contact that owns this S, or NULL. */
struct peer *peer_of_static(const struct links *l, const struct static_pk *s);
/* The contact without a known S whose rk0 this names, or NULL. */
struct peer *peer_of_rid(const struct links *l, const struct rid *rid);
/* S of a peer was learned from its HELLO. */
MUST_USE enum err
peer_bind(struct links *l, struct peer *p, const struct static_pk *s);

bool peer_we_are_lower(const struct links *l, const struct peer *p);
/* No running link: what both sides knew of each other is over. */
void peer_new_instance(struct links *l, struct peer *p);

/* To be flushed and timed anew. */
void peer_touch(struct links *l, struct peer *p);
/* Something for links_next: bytes to read, or writable. */
void peer_ready(struct links *l, struct peer *p);

/* Receiver indices. ERR_NOMEM. */
MUST_USE enum err index_add(struct links *l, struct index_entry *e);
void index_del(struct links *l, struct index_entry *e);
struct index_entry *index_get(const struct links *l, uint32_t index);
uint32_t index_draw(const struct links *l); /* one that is free */

/* Brings l->own up to date. */
void own_refresh(struct links *l, struct now now);
/* Own static key by its public half, or NULL. */
bool own_static(const struct links *l, const struct static_pk *pk,
    struct handshake_static *ret);

/* May this address be contacted at all? [SPEC §6.5] No route may. */
bool address_usable(const struct links *l, const struct endpoint *e);
/* It is one of the ways that the owner has named to this peer. */
bool peer_has_route(const struct peer *p, const struct endpoint *e);
/* The record of an address; a new one if there is room, else NULL. A route has
 * none. */
struct address *
address_of(struct peer *p, const struct endpoint *e, uint64_t now_ms);
bool address_may_send(const struct address *a, uint64_t now_ms);
void address_sent(struct address *a, uint64_t now_ms);
void
address_answered(struct peer *p, const struct endpoint *e, uint64_t now_ms);
/* It called from there: two messages 1 may follow. */
void address_called(struct peer *p, const struct endpoint *e, uint64_t now_ms);
/* What was sent since then does not count. */
void addresses_forgive(struct peer *p, uint64_t since_ms);

#endif /* PROTO_LINK_PEER_H */
