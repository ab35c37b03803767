/*
 * One direction of a stream: what is to be sent and sent again, and what came
 * and waits to be read in order. Offsets count bytes from the begin of the
 * link. [SPEC §7.3] [RFC 9000 §2.2] [RFC 9000 §4.1]
 */
#ifndef PROTO_LINK_STREAM_H
#define PROTO_LINK_STREAM_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/link/ranges.h"

enum {
	STREAM_WINDOW = 256 * 1024,       /* bytes of a chat stream in flight */
	STREAM_BULK_WINDOW = 2048 * 1024, /* of a bulk stream */
	/* Packets in a row that could not be kept because they would have
	 * opened one gap too many. An honest sender has not so many in flight
	 * without filling a gap. */
	STREAM_EXCESS_MAX = 4096,
};

/* A ring of bytes that grows with need and shrinks when the owner says that it
 * rests; offset o lives at o % cap. */
struct stream_ring {
	uint8_t *p; /* owned */
	size_t cap; /* a power of two up to the window, or 0 */
};

struct stream_send {
	struct stream_ring ring; /* una..end */
	size_t window;           /* bytes in flight, at most */
	uint64_t una, next, end; /* unacknowledged, never sent, written */
	uint64_t limit;          /* the peer's MAX_STREAM_DATA */
	struct ranges acked;     /* above una */
	struct ranges lost;      /* to be sent again, una..next */
};

/* window: a power of two. limit: what the peer allows before it says more. */
void stream_send_init(struct stream_send *s, size_t window, uint64_t limit);
void stream_send_clear(struct stream_send *s); /* stays fit for init only */
size_t stream_send_room(const struct stream_send *s);
/* Whole or not at all: ERR_LIMIT, ERR_NOMEM. */
MUST_USE enum err stream_send_write(struct stream_send *s, struct span data);
/* True if there is a byte that may leave; `credit` is the session's limit on
 * the highest offset. */
bool stream_send_due(const struct stream_send *s, uint64_t credit);
/* Takes the next piece of at most max bytes: lost ones first. The piece
 * counts as sent. */
struct range
stream_send_take(struct stream_send *s, uint64_t credit, size_t max);
/* Bytes of a piece that is not acknowledged yet. */
void
stream_send_copy(const struct stream_send *s, struct range piece, uint8_t *out);
void stream_send_acked(struct stream_send *s, struct range piece);
void stream_send_lost(struct stream_send *s, struct range piece);
/* True if it holds more memory than a stream at rest. */
bool stream_send_is_large(const struct stream_send *s);
/* Gives memory back if nothing waits. */
void stream_send_rest(struct stream_send *s);

struct stream_receive {
	struct stream_ring ring;
	size_t window;
	uint64_t read;     /* everything below was taken by the reader */
	uint64_t in_order; /* everything below is here */
	uint64_t highest;  /* one past the highest byte ever seen */
	uint64_t limit;    /* told to the peer */
	uint64_t final;    /* its size, or UINT64_MAX */
	struct ranges got; /* above in_order */
	uint32_t excess;   /* pieces refused since the last progress */
};

/* limit: told beforehand, 0 or window. */
void
stream_receive_init(struct stream_receive *s, size_t window, uint64_t limit);
void stream_receive_clear(struct stream_receive *s);
/*
 * Keeps a piece. ERR_LIMIT: beyond what we allowed; ERR_STATE: against the
 * final size; ERR_CONFLICT: other bytes than before at the same place, or
 * gaps without end; ERR_NOMEM: no memory, or one gap too many: nothing was
 * changed, the packet is to count as lost.
 */
MUST_USE enum err stream_receive_push(
    struct stream_receive *s, uint64_t offset, struct span data, bool fin);
/* ERR_STATE: against what was seen of the end. */
MUST_USE enum err
stream_receive_final(struct stream_receive *s, uint64_t final);
/* The next bytes in order, borrowed until they are read; may be less than all
 * there are. */
struct span stream_receive_peek(const struct stream_receive *s);
void stream_receive_read(struct stream_receive *s, size_t n);
bool stream_receive_is_large(const struct stream_receive *s);
void stream_receive_rest(struct stream_receive *s);
/* True if the peer should learn of a higher limit; then it is raised. */
bool stream_receive_widen(struct stream_receive *s);

#endif /* PROTO_LINK_STREAM_H */
