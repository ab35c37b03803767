/* Known answers of handshakes and transport packets, and what to drop. */
#include "proto/crypto/replay.h"
#include "tests/support/handshake_case.h"
#include "tests/support/vectors.h"

#include <stdio.h>
#include <string.h>

static bool
is_field(const cJSON *o, const char *key, const void *p, size_t n)
{
	struct blob b = json_blob(o, key);

	return blob_is(&b, p, n);
}

static const char *
name_of(const struct handshake_case *c)
{
	return json_string(c->json, "name");
}

/* ---- message 1 and the cookie ---- */

static void
guards(struct vectors *v, const struct handshake_case *c)
{
	vectors_case(v,
	    is_field(c->json, "K_mac1", c->guard.mac1, 32) &&
	        is_field(c->json, "K_cookie", c->guard.cookie, 32) &&
	        is_field(c->json, "K_mask", c->guard.mask, 32),
	    "%s: guard keys", name_of(c));
	vectors_case(v,
	    is_field(c->json, "rid_cur", c->payload_1.rid_cur.b, 8) &&
	        is_field(c->json, "rid_prev", c->payload_1.rid_prev.b, 8) &&
	        json_number(c->json, "day") == handshake_day(c->now_ms),
	    "%s: rids, day", name_of(c));
}

static bool
message_1(const struct handshake_case *c, struct handshake_attempt *ret)
{
	uint8_t out[PACKET_MESSAGE_1_SIZE];

	return !handshake_case_1(c, out, ret) &&
	       is_field(c->json, "message_1", out, sizeof(out)) &&
	       is_field(c->json, "mac1", ret->mac1, sizeof(ret->mac1)) &&
	       is_field(c->json, "ck_after_message_1", ret->noise.ck, 32) &&
	       is_field(c->json, "h_after_message_1", ret->noise.h, 32);
}

/* cookie_input holds the address and the port as they are hashed. */
static bool
cookie_made(const cJSON *o, uint8_t ret[HANDSHAKE_COOKIE_SIZE])
{
	struct blob in = json_blob(o, "cookie_input");
	struct reader r = rd_init(blob_span(&in));
	uint8_t secret[32];
	struct endpoint from;

	rd_bytes(&r, from.addr, sizeof(from.addr));
	from.port = rd_u16le(&r);
	if (!rd_done(&r) || !json_bytes(o, "cookie_secret", secret, 32))
		return false;
	handshake_cookie(secret, &from, ret);
	return is_field(o, "cookie", ret, HANDSHAKE_COOKIE_SIZE);
}

static bool
cookie_sent(const struct handshake_case *c, const uint8_t *cookie,
    const struct handshake_attempt *a)
{
	struct blob m = json_blob(c->json, "message_1");
	struct blob nonce = json_blob(c->json, "cookie_nonce");
	uint8_t out[PACKET_COOKIE_REPLY_SIZE];
	uint8_t got[HANDSHAKE_COOKIE_SIZE];

	if (nonce.n != PACKET_NONCE_SIZE)
		return false;
	handshake_cookie_seal(&c->guard, blob_span(&m), cookie, nonce.b, out);
	return is_field(c->json, "cookie_reply", out, sizeof(out)) &&
	       !handshake_cookie_open(a, span_of(out, sizeof(out)), got) &&
	       memcmp(got, cookie, sizeof(got)) == 0;
}

/* Message 1 again, with the cookie. */
static bool
with_cookie(const struct handshake_case *c, const uint8_t *cookie)
{
	const cJSON *o = json_item(c->json, "with_cookie");
	struct blob payload = json_blob(o, "payload_1");
	struct reader r = rd_init(blob_span(&payload));
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	uint8_t e[32];
	struct handshake_attempt a;
	struct handshake_1 in = {
		.guard = &c->guard,
		.s = &c->s_i,
		.rs = &c->s_r.pk,
		.e_sk = e,
		.cookie = cookie,
		.payload = c->payload_1,
	};

	in.payload.ts_ms = rd_u64le(&r);
	if (!json_bytes(o, "e_i_secret", e, 32) ||
	    handshake_1_seal(&in, out, &a))
		return false;
	return is_field(o, "message_1", out, sizeof(out)) &&
	       handshake_mac2_ok(cookie, span_of(out, sizeof(out)));
}

static void
cookies(struct vectors *v, const struct handshake_case *c,
    const struct handshake_attempt *a)
{
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE];
	struct blob m = json_blob(c->json, "message_1");

	vectors_case(v, cookie_made(c->json, cookie), "%s: cookie", name_of(c));
	vectors_case(
	    v, cookie_sent(c, cookie, a), "%s: cookie reply", name_of(c));
	vectors_case(
	    v, with_cookie(c, cookie), "%s: message 1 with cookie", name_of(c));
	vectors_case(v, !handshake_mac2_ok(cookie, blob_span(&m)),
	    "%s: random mac2 is no cookie's", name_of(c));
}

/* ---- message 2 ---- */

static bool
keys_are(const cJSON *m, const struct handshake_keys *k, bool initiator)
{
	const struct packet_key *ir = initiator ? &k->send : &k->receive;
	const struct packet_key *ri = initiator ? &k->receive : &k->send;

	return is_field(m, "k_ir", ir->k, 32) &&
	       is_field(m, "k_ri", ri->k, 32) &&
	       is_field(m, "hp_ir", ir->hp, 32) &&
	       is_field(m, "hp_ri", ri->hp, 32) &&
	       is_field(m, "rk_next", k->rk_next.b, 32) &&
	       (!json_item(m, "PR") || is_field(m, "PR", k->root_next.b, 32));
}

static bool
indices_meet(const struct handshake_keys *a, const struct handshake_keys *b)
{
	return a->n_send_index == b->n_receive_index &&
	       memcmp(a->send_index, b->receive_index,
	           a->n_send_index * sizeof(uint32_t)) == 0;
}

static bool
message_2(const struct handshake_case *c, const cJSON *m,
    const struct handshake_attempt *a, struct handshake_keys *i,
    struct handshake_keys *r)
{
	struct blob m1 = json_blob(c->json, "message_1");
	struct handshake_try keys = handshake_case_try(c);
	struct handshake_request req;
	struct handshake_payload_2 payload;
	uint8_t out[PACKET_MESSAGE_2_SIZE];

	if (handshake_case_respond(
	        c, blob_span(&m1), c->now_ms, c->now_ms - 1, &req))
		return false;
	if (handshake_case_2(c, m, &req, out, r) ||
	    !is_field(m, "message_2", out, sizeof(out)))
		return false;
	if (handshake_2_open(a, &keys, span_of(out, sizeof(out)), &payload, i))
		return false;
	return (payload.key_used == json_number(m, "key_used") ||
	           c->is_invitation) &&
	       keys_are(m, i, true) && keys_are(m, r, false) &&
	       indices_meet(i, r) && indices_meet(r, i);
}

/* ---- transport ---- */

static bool
packet_ok(
    const cJSON *o, const struct packet_key *from, const struct packet_key *to)
{
	struct blob plain = json_blob(o, "plaintext");
	struct blob want = json_blob(o, "datagram");
	uint8_t out[BLOB_MAX];
	uint64_t counter = json_number(o, "counter");
	uint64_t got;

	if (want.n != plain.n + PACKET_OVERHEAD)
		return false;
	packet_seal(from, (uint32_t)json_number(o, "receiver_index"), counter,
	    blob_span(&plain), out);
	if (!blob_is(&want, out, want.n))
		return false;
	if (packet_counter(to, blob_span(&want), &got) || got != counter)
		return false;
	return !packet_open(to, blob_span(&want), got, out) &&
	       blob_is(&plain, out, plain.n);
}

static bool
has_index(const struct handshake_keys *k, uint32_t index)
{
	for (int i = 0; i < k->n_receive_index; i++) {
		if (k->receive_index[i] == index)
			return true;
	}
	return false;
}

static void
transport(struct vectors *v, const struct handshake_case *c, const cJSON *m,
    const struct handshake_keys *i, const struct handshake_keys *r)
{
	const cJSON *o;

	cJSON_ArrayForEach(o, json_item(m, "transport"))
	{
		const char *way = json_string(o, "direction");
		bool ir = way && strcmp(way, "i to r") == 0;
		const struct handshake_keys *from = ir ? i : r;
		const struct handshake_keys *to = ir ? r : i;

		vectors_case(v,
		    packet_ok(o, &from->send, &to->receive) &&
		        has_index(
		            to, (uint32_t)json_number(o, "receiver_index")),
		    "%s, key %d: packet %s, counter %s", name_of(c),
		    (int)json_number(m, "key_used"), way,
		    json_string(o, "counter"));
	}
}

static void
run_handshake(struct vectors *v, const cJSON *o)
{
	struct handshake_case c;
	struct handshake_attempt a;
	const cJSON *m;

	if (!handshake_case_read(o, &c)) {
		vectors_case(v, false, "a field of a handshake");
		return;
	}
	guards(v, &c);
	vectors_case(v, message_1(&c, &a), "%s: message 1", name_of(&c));
	cookies(v, &c, &a);
	cJSON_ArrayForEach(m, json_item(o, "message_2"))
	{
		struct handshake_keys i;
		struct handshake_keys r;

		vectors_case(v, message_2(&c, m, &a, &i, &r),
		    "%s: message 2 with key %d", name_of(&c),
		    (int)json_number(m, "key_used"));
		transport(v, &c, m, &i, &r);
	}
}

/* ---- accept and must_drop ---- */

struct judged {
	struct handshake_case first, invitation;
	struct handshake_attempt attempt; /* of the first */
	struct handshake_keys keys;       /* of its initiator */
};

static bool
takes_1(const struct handshake_case *c, const cJSON *o)
{
	struct blob d = json_blob(o, "datagram");
	struct handshake_request req;
	uint64_t last =
	    json_item(o, "last_ts") ? json_number(o, "last_ts") : c->now_ms - 1;

	return handshake_case_respond(c, blob_span(&d),
	           json_number(o, "now_ms"), last, &req) == ERR_OK;
}

static bool
takes_2(const struct judged *j, const cJSON *o)
{
	struct blob d = json_blob(o, "datagram");
	struct handshake_try keys = handshake_case_try(&j->first);
	struct handshake_payload_2 payload;
	struct handshake_keys got;

	return handshake_2_open(
	           &j->attempt, &keys, blob_span(&d), &payload, &got) == ERR_OK;
}

static bool
takes_cookie(const struct judged *j, const cJSON *o)
{
	struct blob d = json_blob(o, "datagram");
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE];

	return handshake_cookie_open(&j->attempt, blob_span(&d), cookie) ==
	       ERR_OK;
}

static bool
takes_packet(const struct judged *j, const cJSON *o)
{
	struct blob d = json_blob(o, "datagram");
	uint8_t out[BLOB_MAX];
	struct replay window;
	uint64_t counter;
	uint32_t index;

	replay_init(&window);
	return packet_index(blob_span(&d), &index) &&
	       has_index(&j->keys, index) &&
	       !packet_counter(&j->keys.receive, blob_span(&d), &counter) &&
	       !replay_check(&window, counter) &&
	       !packet_open(&j->keys.receive, blob_span(&d), counter, out);
}

/* What is not about invitations is judged by the first handshake, made with
 * the current key. */
static bool
prepare(const cJSON *json, struct judged *ret)
{
	const cJSON *list = json_item(json, "handshakes");
	const cJSON *first = cJSON_GetArrayItem(list, 0);
	const cJSON *o;
	uint8_t out[PACKET_MESSAGE_1_SIZE];
	struct handshake_keys r;

	cJSON_ArrayForEach(o, list)
	{
		if (json_item(o, "inv") &&
		    !handshake_case_read(o, &ret->invitation))
			return false;
	}
	return handshake_case_read(first, &ret->first) &&
	       !handshake_case_1(&ret->first, out, &ret->attempt) &&
	       message_2(&ret->first,
	           cJSON_GetArrayItem(json_item(first, "message_2"), 0),
	           &ret->attempt, &ret->keys, &r);
}

static void
run_drops(struct vectors *v, const struct judged *j, const cJSON *drop)
{
	const cJSON *o;

	cJSON_ArrayForEach(o, json_item(drop, "message_1"))
	    vectors_case(v, !takes_1(&j->first, o), "message 1 dropped: %s",
	        json_string(o, "reason"));
	cJSON_ArrayForEach(
	    o, json_item(drop, "message_1_invitation")) vectors_case(v,
	    j->invitation.is_invitation && !takes_1(&j->invitation, o),
	    "message 1 to an inviter dropped: %s", json_string(o, "reason"));
	cJSON_ArrayForEach(o, json_item(drop, "message_2")) vectors_case(v,
	    !takes_2(j, o), "message 2 dropped: %s", json_string(o, "reason"));
	cJSON_ArrayForEach(o, json_item(drop, "cookie_reply"))
	    vectors_case(v, !takes_cookie(j, o), "cookie dropped: %s",
	        json_string(o, "reason"));
	cJSON_ArrayForEach(o, json_item(drop, "transport"))
	    vectors_case(v, !takes_packet(j, o), "packet dropped: %s",
	        json_string(o, "reason"));
}

/* The replay sentences that need no memory of a responder: the same message a
 * second time is not above last_ts, and without load mac2 is not looked at. */
static void
run_replay(struct vectors *v, const struct judged *j)
{
	const struct handshake_case *c = &j->first;
	struct blob m = json_blob(c->json, "message_1");
	struct handshake_request req;
	bool all = true;

	vectors_case(v,
	    handshake_case_respond(
	        c, blob_span(&m), c->now_ms, c->now_ms, &req) == ERR_REPLAY,
	    "message 1 a second time");
	for (size_t i = 152 * 8; i < 168 * (size_t)8; i++) {
		m.b[i / 8] ^= (uint8_t)(1U << i % 8);
		all = all && handshake_case_respond(c, blob_span(&m), c->now_ms,
		                 c->now_ms - 1, &req) == ERR_OK;
		m.b[i / 8] ^= (uint8_t)(1U << i % 8);
	}
	vectors_case(v, all, "mac2 is not looked at without load");
}

bool
vectors_handshake(struct vectors *v, const cJSON *json)
{
	static struct judged j; /* large */
	const cJSON *o;

	if (!json_item(json, "handshakes"))
		return false;
	cJSON_ArrayForEach(o, json_item(json, "handshakes"))
	    run_handshake(v, o);
	memset(&j, 0, sizeof(j));
	if (!prepare(json, &j)) {
		vectors_case(v, false, "the first handshake");
		return true;
	}
	cJSON_ArrayForEach(o, json_item(json_item(json, "accept"), "message_1"))
	    vectors_case(v, takes_1(&j.first, o), "message 1 taken: %s",
	        json_string(o, "reason"));
	run_drops(v, &j, json_item(json, "must_drop"));
	run_replay(v, &j);
	return true;
}
