/*
 * The running link of a peer: its sessions, streams and timers.
 * [SPEC §6.5] [SPEC §7]
 */
#ifndef PROTO_LINK_CONN_H
#define PROTO_LINK_CONN_H

#include "proto/link/state.h"

/* ---- conn.c: life ---- */

/* A session of these keys, with its receiver indices; NULL: no memory. */
struct session *conn_session_new(struct links *l, struct peer *p,
    const struct handshake_keys *keys, struct now now);
/* Wipes and frees a session that belongs to no link (any more). */
void conn_session_free(struct links *l, struct session *s);
/* The half-open state is given up. */
void conn_half_free(struct links *l, struct peer *p);

/* Gives the session to the peer's link, which is made if there is none.
 * ERR_NOMEM: s is still the caller's. */
MUST_USE enum err
conn_adopt(struct links *l, struct peer *p, struct session *s, struct now now);
/* Takes a session out of the link and frees it. */
void conn_drop_session(struct links *l, struct peer *p, struct session *s);
/* The session that carries what is written: the current one; before there is
 * one, of a link that is early the newest of ours that was answered, for its
 * S is the contact's. NULL: none. */
struct session *conn_carrier(const struct conn *c);
/* s was answered, and its link is new: lets words leave with our HELLO. */
void conn_early(struct links *l, struct peer *p, const struct session *s);
/* The other process is not the one that we had the link with: what is new
 * begins with s alone. */
void conn_start_over(struct links *l, struct peer *p, struct session *s);
/* Ends it without a word to the peer; LINK_OUT_DOWN if it was up. */
void conn_down(struct links *l, struct peer *p, enum err err);
/* Tells the peer, then ends it. */
void conn_close(struct links *l, struct peer *p, struct session *s,
    enum frame_close code, enum err err, struct now now);
/* The path is another one, or the first. proven: it takes MTU_BASE. */
void conn_new_mtu(struct conn *c, bool proven);

/* What must hold between any two calls. */
void conn_check(const struct peer *p);
/* Takes what recovery decided over packets. */
void conn_settle(struct links *l, struct peer *p);
/* Nothing was acknowledged for so long that the oldest packets are sent again.
 */
void conn_probe(struct peer *p, struct now now);
/* Words leave under s before the link is up, or it comes up with s after some
 * did: notes whether that is one session. */
void conn_first_words(struct conn *c, const struct session *s);
/* Numbers of the chat streams, of the bulk streams. [SPEC §7.3] */
uint64_t conn_stream_out(const struct links *l, const struct peer *p);
uint64_t conn_stream_in(const struct links *l, const struct peer *p);
uint64_t conn_bulk_out(const struct links *l, const struct peer *p);
uint64_t conn_bulk_in(const struct links *l, const struct peer *p);
/* The peer's MAX_DATA is for both streams together: what is left of it for
 * chat (bulk), as an offset. */
uint64_t conn_chat_credit(const struct conn *c);
uint64_t conn_bulk_credit(const struct conn *c);
/* The reader took n bytes of it: perhaps the peer may send more. */
void conn_read(struct links *l, struct peer *p, size_t n, bool bulk);
/* From now on the peer may send bulk. */
void conn_bulk_open(struct links *l, struct peer *p);

/* ---- conn_time.c ---- */

/* After a flush: the memory of large streams goes back some time. */
void conn_rest_later(struct conn *c, struct now now);
void conn_tick(struct links *l, struct peer *p, struct now now);
uint64_t conn_deadline_ms(const struct links *l, const struct peer *p);

/* ---- conn_greet.c ---- */

/* The peer's HELLO under s is good; how the link goes on. ERR_NOMEM: nothing
 * happened, HELLO will come again; ERR_EXPIRED: it came too late to count;
 * ERR_CONFLICT: the link is to be closed. */
MUST_USE enum err conn_greeted(struct links *l, struct peer *p,
    struct session *s, const struct link_hello *hello,
    const uint8_t instance[HELLO_INSTANCE_SIZE], struct now now);

/* ---- conn_send.c ---- */

void conn_flush(struct links *l, struct peer *p, struct now now);
enum { CONN_PATH_SIZE = PACKET_OVERHEAD + PACKET_PLAIN_MIN };

/* One datagram of that size, the smallest, under the session in use; aside from
 * the path it acknowledges, too. With neither, it does that alone. */
struct conn_path {
	const struct endpoint *to;
	uint8_t hops;             /* 0: as usual */
	const uint8_t *challenge; /* FRAME_PATH_SIZE bytes, or NULL */
	const uint8_t *response;  /* likewise */
};
void conn_send_path(struct links *l, struct peer *p,
    const struct conn_path *say, struct now now);
void conn_send_close(struct links *l, struct peer *p, struct session *s,
    enum frame_close code, struct now now);

/* ---- conn_receive.c ---- */

/* A datagram with a receiver index of s. False: it is not of this session. */
bool conn_receive(struct links *l, struct session *s,
    const struct endpoint *from, struct span datagram, struct now now);

#endif /* PROTO_LINK_CONN_H */
