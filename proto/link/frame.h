/*
 * Frames of a session: the subset of RFC 9000 that applies, with its numbers,
 * and three of our own. A pure codec. [SPEC §7.1] [RFC 9000 §19]
 */
#ifndef PROTO_LINK_FRAME_H
#define PROTO_LINK_FRAME_H

#include "proto/base/bytes.h"
#include "proto/base/endpoint.h"
#include "proto/base/err.h"
#include "proto/link/ranges.h"

enum {
	FRAME_HELLO_MIN = 236,  /* of a body that is taken */
	FRAME_HELLO_SIZE = 300, /* of the body we know; longer ones are taken */
	FRAME_CANDIDATES_MIN = 10, /* of a body that is taken */
	/* Longest that we write: eight of 19, and two introducers of 58. */
	FRAME_CANDIDATES_SIZE = 278,
	FRAME_PACKET_MAX = 64, /* frames of a packet other than PADDING */
	FRAME_PATH_SIZE = 8,
	FRAME_STREAM_OVERHEAD = 1 + 1 + 8 + 2, /* before data < 16384 bytes */
	FRAME_BODY_OVERHEAD = 1 + 2,           /* before a body */
};

#define FRAME_VALUE_END (UINT64_C(1) << 62) /* [RFC 9000 §16] */
#define FRAME_STREAMS_MAX \
	(UINT64_C(1) << 60) /* bound of a MAX_STREAMS [RFC 9000 §19.11] */

/* Types as on the wire; the eight of STREAM are one here. */
enum frame_type {
	FRAME_PADDING = 0x00, /* a whole run of them */
	FRAME_PING = 0x01,
	FRAME_ACK = 0x02,
	FRAME_RESET_STREAM = 0x04,
	FRAME_STOP_SENDING = 0x05,
	FRAME_STREAM = 0x08,
	FRAME_MAX_DATA = 0x10,
	FRAME_MAX_STREAM_DATA = 0x11,
	FRAME_MAX_STREAMS = 0x12,
	FRAME_PATH_CHALLENGE = 0x1a,
	FRAME_PATH_RESPONSE = 0x1b,
	FRAME_CLOSE = 0x1c,
	FRAME_HELLO = 0x3a,
	FRAME_OBSERVED = 0x3b,
	FRAME_CANDIDATES = 0x3c,
};

/* Why a session is closed: RFC 9000 §20.1, and our own from 0x100 on. */
enum frame_close {
	CLOSE_NONE = 0x00, /* nothing is wrong: the peer was removed */
	CLOSE_INTERNAL = 0x01,
	CLOSE_FLOW_CONTROL = 0x03,
	CLOSE_STREAM_LIMIT = 0x04,
	CLOSE_STREAM_STATE = 0x05,
	CLOSE_FINAL_SIZE = 0x06,
	CLOSE_FRAME_ENCODING = 0x07,
	CLOSE_PROTOCOL = 0x0a,
	CLOSE_OPTIMISTIC_ACK = 0x100, /* acknowledged what was never sent */
	CLOSE_HELLO = 0x101,          /* certificate or ID do not fit */
};

struct frame {
	enum frame_type type;
	uint64_t
	    stream; /* RESET_STREAM, STOP_SENDING, STREAM, MAX_STREAM_DATA */
	uint64_t offset; /* STREAM; final size of a RESET_STREAM */
	bool fin;        /* STREAM */
	struct span
	    data; /* STREAM, HELLO, CANDIDATES: borrowed from the packet */
	uint64_t value;    /* the limit of a MAX_x; an error code */
	uint64_t delay;    /* ACK: as on the wire, 8 us each */
	struct ranges ack; /* ACK: packet numbers */
	uint8_t path[FRAME_PATH_SIZE];
	struct endpoint observed;
};

/*
 * Takes the next frame of a packet. ERR_MALFORMED: it ends too early, a
 * number is not in its shortest form or out of bounds; ERR_UNSUPPORTED: not
 * our type; ERR_LIMIT: an ACK of more than 32 ranges. The reader is to be
 * given up after an error.
 */
MUST_USE enum err frame_decode(struct reader *r, struct frame *ret);
/* True if it asks for an acknowledgement. [RFC 9002 §2] */
bool frame_eliciting(enum frame_type type);

/* Writers set w->bad where there is no room. */
void
frame_write_ack(struct writer *w, const struct ranges *ack, uint64_t delay);
size_t frame_ack_size(const struct ranges *ack, uint64_t delay);
void frame_write_stream(
    struct writer *w, uint64_t stream, uint64_t offset, size_t n);
void frame_write_max_data(struct writer *w, uint64_t limit);
void
frame_write_max_stream_data(struct writer *w, uint64_t stream, uint64_t limit);
/* type: PATH_CHALLENGE or PATH_RESPONSE. */
void frame_write_path(struct writer *w, enum frame_type type,
    const uint8_t data[FRAME_PATH_SIZE]);
void frame_write_close(struct writer *w, enum frame_close code);
void frame_write_hello(struct writer *w, const uint8_t body[FRAME_HELLO_SIZE]);
/* n: FRAME_CANDIDATES_SIZE at most. */
void frame_write_candidates(struct writer *w, struct span body);
void frame_write_observed(struct writer *w, const struct endpoint *e);

#endif /* PROTO_LINK_FRAME_H */
