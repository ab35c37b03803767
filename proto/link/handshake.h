/*
 * The bytes of a handshake: message 1, message 2, the cookie reply, and the
 * keys that come out of them. Pure functions over explicit inputs, also what
 * was drawn; no state of a contact, no clock. [SPEC §6.1] [SPEC §6.2]
 * [SPEC §6.3]
 *
 *   initiator                              responder
 *   handshake_1_seal      -- message 1 -->
 *                                          handshake_mac1_ok (which R, S, day)
 *                                          handshake_mac2_ok (under load)
 *   handshake_cookie_open <- cookie reply  handshake_cookie_seal
 *                                          handshake_1_open
 *                                          handshake_ts_check
 *   handshake_2_open      <-- message 2 -- handshake_2_seal
 */
#ifndef PROTO_LINK_HANDSHAKE_H
#define PROTO_LINK_HANDSHAKE_H

#include "proto/base/endpoint.h"
#include "proto/crypto/noise.h"
#include "proto/crypto/pair.h"
#include "proto/link/packet.h"

enum {
	HANDSHAKE_MAC_SIZE = 16,
	HANDSHAKE_COOKIE_SIZE = 16,
	HANDSHAKE_UDP_MIN = 1200,              /* everybody takes that much */
	HANDSHAKE_AHEAD_MAX_MS = 86400 * 1000, /* how far ts may be ahead */
};

/* Bits of payload 1; payload 2 says which are granted. Others are ignored. */
enum {
	HANDSHAKE_ADV = 1,    /* this handshake advances the ratchet */
	HANDSHAKE_INVITE = 2, /* ID_i is not known: psk2 with zeros */
};

/* What guards one (R, S, day) of a responder. Secret. */
struct handshake_guard {
	uint8_t mac1[32], cookie[32], mask[32];
};

struct handshake_static {
	struct static_sk sk;
	struct static_pk pk;
};

struct handshake_payload_1 {
	uint64_t ts_ms;
	struct rid rid_cur, rid_prev;
	uint32_t index; /* the initiator's: what message 2 begins with */
	uint16_t flags;
	uint16_t udp_max; /* largest UDP payload taken */
};

struct handshake_payload_2 {
	uint8_t key_used; /* enum key_used */
	uint8_t flags;    /* of message 1 that are granted */
	uint16_t udp_max;
	uint32_t index; /* the responder's */
	uint32_t initiator_index;
	uint64_t time_ms;
};

/* What a handshake gives to one of its two sides. Secret; wipe it. */
struct handshake_keys {
	struct packet_key send, receive;
	/* Receiver indices: to put into what is sent, to expect in what comes.
	 * [0] is the exchanged one. */
	uint32_t send_index[PACKET_INDICES];
	uint32_t receive_index[PACKET_INDICES];
	uint8_t n_send_index, n_receive_index;
	struct ratchet_key rk_next; /* rk', for a handshake with ADV */
	struct pair_root root_next; /* PR, for one with INVITE */
};

uint32_t handshake_day(uint64_t wall_ms);
/* day is the sender's; a receiver also tries the one before and after. */
void handshake_guard_derive(const struct reach_key *r,
    const struct static_pk *s, uint32_t day, struct handshake_guard *ret);

/* ---- initiator ---- */

/* All borrowed for the call. */
struct handshake_1 {
	const struct handshake_guard *guard; /* of the responder's R, S */
	const struct handshake_static *s;    /* own */
	const struct static_pk *rs;          /* the responder's */
	const uint8_t *e_sk;                 /* 32 bytes, drawn, used once */
	const uint8_t *cookie; /* 16 bytes from a cookie reply, or NULL */
	const uint8_t *mac2;   /* 16 bytes, drawn; used without a cookie */
	struct handshake_payload_1 payload; /* index: packet_draw_index */
};

/* What the initiator keeps until message 2. Secret; wipe it. */
struct handshake_attempt {
	struct noise noise;
	struct handshake_guard guard;
	uint32_t index;
	uint8_t mac1[HANDSHAKE_MAC_SIZE]; /* what a cookie reply must answer */
};

/* ERR_CONFLICT: the datagram would begin with 'd': draw e_sk again.
 * ERR_BAD_KEY: rs of low order. */
MUST_USE enum err handshake_1_seal(const struct handshake_1 *in,
    uint8_t out[PACKET_MESSAGE_1_SIZE], struct handshake_attempt *ret);
/* ERR_MALFORMED, ERR_AUTH. */
MUST_USE enum err handshake_cookie_open(const struct handshake_attempt *a,
    struct span datagram, uint8_t ret[HANDSHAKE_COOKIE_SIZE]);

/* Which keys may have been used, by enum key_used; NULL: not that one (no
 * fallback where the policy denies it). id_i: zeros in an INVITE handshake. */
struct handshake_try {
	const struct ratchet_key *rk[3];
	const struct id_pk *id_i, *id_r;
};
/* ERR_MALFORMED, ERR_AUTH, ERR_BAD_KEY; the attempt stands as it was, and a
 * later message 2 may still be right. payload->key_used says which key. */
MUST_USE enum err handshake_2_open(const struct handshake_attempt *a,
    const struct handshake_try *keys, struct span datagram,
    struct handshake_payload_2 *payload, struct handshake_keys *ret);
void handshake_attempt_wipe(struct handshake_attempt *a);

/* ---- responder ---- */

/* The cheap check that everything else waits for; any length is taken. */
bool handshake_mac1_ok(const struct handshake_guard *g, struct span message_1);
/* Under load: is mac2 that of this cookie? */
bool handshake_mac2_ok(
    const uint8_t cookie[HANDSHAKE_COOKIE_SIZE], struct span message_1);
/* The cookie of an address under a secret that is renewed every 120 s. */
void handshake_cookie(const uint8_t secret[32], const struct endpoint *from,
    uint8_t ret[HANDSHAKE_COOKIE_SIZE]);
/* nonce: packet_draw_nonce. message_1 passed handshake_mac1_ok. */
void handshake_cookie_seal(const struct handshake_guard *g,
    struct span message_1, const uint8_t cookie[HANDSHAKE_COOKIE_SIZE],
    const uint8_t nonce[PACKET_NONCE_SIZE],
    uint8_t out[PACKET_COOKIE_REPLY_SIZE]);

/* A message 1 that opened; nothing is proven yet but that its sender knows
 * its S and ours. Secret; wipe it. */
struct handshake_request {
	struct noise noise;
	struct handshake_guard guard;
	struct static_pk s; /* the initiator's */
	struct handshake_payload_1 payload;
};

/* Checks mac1 itself, then two DH and two AEAD. ERR_MALFORMED (length, spare
 * bytes, an unusable index), ERR_AUTH, ERR_BAD_KEY (zero DH, our own S). */
MUST_USE enum err handshake_1_open(const struct handshake_guard *g,
    const struct handshake_static *own, struct span datagram,
    struct handshake_request *ret);
/* Replay rule of message 1: ERR_EXPIRED (more than a day
 * ahead of us), ERR_REPLAY (not above the last one). */
MUST_USE enum err
handshake_ts_check(uint64_t ts_ms, uint64_t last_ts_ms, uint64_t wall_ms);

/* All borrowed for the call. */
struct handshake_2 {
	const struct ratchet_key *rk;       /* what payload.key_used names */
	const struct id_pk *id_i, *id_r;    /* id_i: zeros with INVITE */
	const uint8_t *e_sk;                /* 32 bytes, drawn, used once */
	const uint8_t *cookie;              /* or NULL */
	const uint8_t *mac2;                /* 16 bytes, drawn */
	struct handshake_payload_2 payload; /* initiator_index is filled in */
};
/* ERR_BAD_KEY: zero DH; nothing may leave then. */
MUST_USE enum err handshake_2_seal(const struct handshake_request *req,
    const struct handshake_2 *in, uint8_t out[PACKET_MESSAGE_2_SIZE],
    struct handshake_keys *ret);
void handshake_request_wipe(struct handshake_request *req);

void handshake_keys_wipe(struct handshake_keys *k);

#endif /* PROTO_LINK_HANDSHAKE_H */
