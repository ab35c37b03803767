/*
 * A hostile contact: shakes hands by hand and then says what it likes under
 * the session's key. It speaks as a node of the wire, whose own link is not
 * asked.
 */
#ifndef TESTS_SUPPORT_LINK_RAW_H
#define TESTS_SUPPORT_LINK_RAW_H

#include "proto/link/frame.h"
#include "proto/link/handshake.h"
#include "tests/support/link_wire.h"

struct raw {
	struct wire *w;
	unsigned as, to;
	struct endpoint at;
	struct handshake_keys keys;
	uint64_t next;    /* counter of what is sent */
	uint8_t at_index; /* of keys.send_index */
	/* What came back since the last raw_send. */
	unsigned n_in; /* datagrams */
	size_t bytes_in;
	struct span frames; /* of the last packet, opened */
	uint8_t plain[WIRE_DATAGRAM_MAX];
	uint64_t number; /* of the last packet */
	uint8_t instance[8];
	uint64_t ts_ms;
	struct endpoint last_to; /* where the last datagram went */
	/* The last message 1 of the other side, and where it went. */
	uint8_t call[PACKET_MESSAGE_1_SIZE];
	struct endpoint called;
	bool has_call;
	/* raw_answer uses a key that was not named, or tells the index of
	 * another message 1. */
	bool lie_psk, lie_index;
	/* NULL, or told of every datagram of the other side. */
	void (*seen)(struct raw *r, const struct endpoint *to, size_t n);
};

/* A message 1 of node `as` to node `to`; adjust may change what it says. */
struct raw_m1 {
	const struct id_pk *id_i; /* NULL: that of the node */
	struct handshake_static s;
	struct static_pk rs;
	struct reach_key reach;
	uint32_t day;
	struct ratchet_key cur, prev;
	uint64_t ts_ms;
	uint16_t flags;
	const uint8_t *cookie;
	uint8_t e_sk[32];
};
struct raw_m1 raw_m1_of(struct wire *w, unsigned as, unsigned to);
void raw_m1_seal(struct wire *w, const struct raw_m1 *m,
    uint8_t out[PACKET_MESSAGE_1_SIZE], struct handshake_attempt *a);

/* Everything that node `to` sends to `from` from now on comes here. */
void raw_init(struct raw *r, struct wire *w, unsigned as, unsigned to);
void raw_clear(struct raw *r);
/* Handshake; false: no message 2 came. */
bool raw_shake(struct raw *r);
/* The same with these flags. */
bool raw_shake_with(struct raw *r, uint16_t flags);
/* Answers the last call, as an honest responder; false: there was none. */
bool raw_answer(struct raw *r);
/* Seals the frames with the next counter and hands them over. */
void raw_send(struct raw *r, struct span frames);
void raw_send_as(struct raw *r, struct span frames, uint64_t counter,
    const struct endpoint *from);
/* n bytes that begin with a live index and do not open. */
void raw_send_junk(struct raw *r, size_t n, const struct endpoint *from);
void raw_hello(struct raw *r, struct writer *w);
/* Handshake and HELLO: the link is up on the other side. */
bool raw_up(struct raw *r);
/* True if the last packet closes the session; its code. */
bool raw_closed(const struct raw *r, uint64_t *code);

#endif /* TESTS_SUPPORT_LINK_RAW_H */
