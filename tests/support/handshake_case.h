/* One handshake of the known answers, ready to be played: shared by the
 * vector runner and by tests that change it bit by bit. */
#ifndef TESTS_SUPPORT_HANDSHAKE_CASE_H
#define TESTS_SUPPORT_HANDSHAKE_CASE_H

#include "proto/link/handshake.h"
#include "tests/support/json.h"

struct handshake_case {
	const cJSON *json; /* borrowed */
	uint64_t now_ms;
	struct id_pk id_i, id_r;
	struct handshake_static s_i, s_r;
	struct reach_key reach; /* R_r */
	struct ratchet_key cur, prev, rk0, fallback;
	struct handshake_guard guard; /* of the day of now_ms */
	struct handshake_payload_1 payload_1;
	uint8_t e_i[32], mac2[16];
	bool is_invitation;
};

/* False: a field is missing. json stays borrowed. */
bool handshake_case_read(const cJSON *json, struct handshake_case *ret);
/* Writes message 1 of the case. */
enum err handshake_case_1(const struct handshake_case *c,
    uint8_t out[PACKET_MESSAGE_1_SIZE], struct handshake_attempt *ret);
/* All three keys that message 2 may have been made with. */
struct handshake_try handshake_case_try(const struct handshake_case *c);
/* Writes message 2 as entry m of the case says. */
enum err handshake_case_2(const struct handshake_case *c, const cJSON *m,
    const struct handshake_request *req, uint8_t out[PACKET_MESSAGE_2_SIZE],
    struct handshake_keys *ret);

/* The responder of the case, as far as it has no memory: guards of three
 * days, message 1, who that is, ts. */
enum err
handshake_case_respond(const struct handshake_case *c, struct span datagram,
    uint64_t now_ms, uint64_t last_ts_ms, struct handshake_request *ret);

#endif /* TESTS_SUPPORT_HANDSHAKE_CASE_H */
