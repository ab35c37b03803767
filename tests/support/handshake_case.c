/* Plays one handshake of the known answers. */
#include "tests/support/handshake_case.h"

#include <string.h>

enum { DAY_MS = 86400 * 1000 };

static bool
read_static(const cJSON *o, const char *sk, const char *pk,
    struct handshake_static *ret)
{
	return json_bytes(o, sk, ret->sk.b, 32) &&
	       json_bytes(o, pk, ret->pk.b, 32);
}

static bool
read_keys(const cJSON *o, struct handshake_case *c)
{
	if (!json_bytes(o, "rk_cur", c->cur.b, 32) ||
	    !json_bytes(o, "rk_prev", c->prev.b, 32) ||
	    !json_bytes(o, "rk0", c->rk0.b, 32) ||
	    !json_bytes(o, "R_r", c->reach.b, 32))
		return false;
	pair_fallback(&c->rk0, &c->fallback);
	pair_rid(&c->cur, &c->payload_1.rid_cur);
	pair_rid(&c->prev, &c->payload_1.rid_prev);
	return true;
}

/* Only what stands nowhere else is taken from the payload's bytes. */
static bool
read_payload(const cJSON *o, const char *key, struct handshake_payload_1 *p)
{
	struct blob b = json_blob(o, key);
	struct reader r = rd_init(blob_span(&b));

	p->ts_ms = rd_u64le(&r);
	rd_span(&r, 16);
	p->index = rd_u32le(&r);
	p->flags = rd_u16le(&r);
	p->udp_max = rd_u16le(&r);
	return !r.bad;
}

bool
handshake_case_read(const cJSON *o, struct handshake_case *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->json = o;
	ret->now_ms = json_number(o, "now_ms");
	ret->is_invitation = json_item(o, "inv") != NULL;
	if (!json_bytes(o, "ID_i", ret->id_i.b, 32) ||
	    !json_bytes(o, "ID_r", ret->id_r.b, 32) ||
	    !json_bytes(o, "e_i_secret", ret->e_i, 32) ||
	    !json_bytes(o, "mac2", ret->mac2, 16) ||
	    !read_static(o, "s_i", "S_i", &ret->s_i) ||
	    !read_static(o, "s_r", "S_r", &ret->s_r) || !read_keys(o, ret) ||
	    !read_payload(o, "payload_1", &ret->payload_1))
		return false;
	handshake_guard_derive(
	    &ret->reach, &ret->s_r.pk, handshake_day(ret->now_ms), &ret->guard);
	return true;
}

enum err
handshake_case_1(const struct handshake_case *c,
    uint8_t out[PACKET_MESSAGE_1_SIZE], struct handshake_attempt *ret)
{
	const struct handshake_1 in = {
		.guard = &c->guard,
		.s = &c->s_i,
		.rs = &c->s_r.pk,
		.e_sk = c->e_i,
		.mac2 = c->mac2,
		.payload = c->payload_1,
	};

	return handshake_1_seal(&in, out, ret);
}

struct handshake_try
handshake_case_try(const struct handshake_case *c)
{
	return (struct handshake_try){
		.rk = { [KEY_FALLBACK] = &c->fallback,
		    [KEY_CUR] = &c->cur,
		    [KEY_PREV] = &c->prev },
		.id_i = &c->id_i,
		.id_r = &c->id_r,
	};
}

enum err
handshake_case_2(const struct handshake_case *c, const cJSON *m,
    const struct handshake_request *req, uint8_t out[PACKET_MESSAGE_2_SIZE],
    struct handshake_keys *ret)
{
	struct blob payload = json_blob(m, "payload_2");
	struct reader r = rd_init(blob_span(&payload));
	struct ratchet_key rk;
	uint8_t e[32];
	uint8_t mac2[16];
	struct handshake_2 in = {
		.rk = &rk,
		.id_i = &c->id_i,
		.id_r = &c->id_r,
		.e_sk = e,
		.mac2 = mac2,
	};

	in.payload.key_used = rd_u8(&r);
	in.payload.flags = rd_u8(&r);
	in.payload.udp_max = rd_u16le(&r);
	in.payload.index = rd_u32le(&r);
	rd_span(&r, 4); /* the initiator's index: filled in by the codec */
	in.payload.time_ms = rd_u64le(&r);
	if (!rd_done(&r) || !json_bytes(m, "rk", rk.b, 32) ||
	    !json_bytes(m, "e_r_secret", e, 32) ||
	    !json_bytes(m, "mac2", mac2, 16))
		return ERR_NOT_FOUND;
	return handshake_2_seal(req, &in, out, ret);
}

/* Whose message it is, and whether that one may start like this. */
static enum err
judge(const struct handshake_case *c, const struct handshake_request *req,
    uint64_t now_ms, uint64_t last_ts_ms)
{
	struct ratchet slots;
	struct ratchet_key base;
	bool invited = req->payload.flags & HANDSHAKE_INVITE;

	if (invited != c->is_invitation)
		return ERR_NOT_FOUND;
	if (!invited) {
		if (memcmp(req->s.b, c->s_i.pk.b, 32) != 0)
			return ERR_NOT_FOUND;
		return handshake_ts_check(
		    req->payload.ts_ms, last_ts_ms, now_ms);
	}
	ratchet_init(&slots, &c->rk0);
	if (ratchet_choose(&slots, &req->payload.rid_cur,
	        &req->payload.rid_prev, &base) == KEY_FALLBACK)
		return ERR_NOT_FOUND;
	return handshake_ts_check(req->payload.ts_ms, 0, now_ms);
}

enum err
handshake_case_respond(const struct handshake_case *c, struct span datagram,
    uint64_t now_ms, uint64_t last_ts_ms, struct handshake_request *ret)
{
	const struct packet_known nothing = { 0 };

	if (packet_classify(datagram, &nothing) != PACKET_MESSAGE_1)
		return ERR_MALFORMED;
	for (int i = -1; i <= 1; i++) {
		struct handshake_guard g;
		uint64_t ms = now_ms + DAY_MS;
		enum err err;

		ms = i < 0 ? ms - 2 * (uint64_t)DAY_MS
		           : ms - (i == 0 ? DAY_MS : 0);
		handshake_guard_derive(
		    &c->reach, &c->s_r.pk, handshake_day(ms), &g);
		if (!handshake_mac1_ok(&g, datagram))
			continue;
		err = handshake_1_open(&g, &c->s_r, datagram, ret);
		return err ? err : judge(c, ret, now_ms, last_ts_ms);
	}
	return ERR_AUTH;
}
