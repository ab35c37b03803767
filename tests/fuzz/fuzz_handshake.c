/*
 * Handshake messages under real keys. From outside: any bytes, and honest
 * messages changed with their macs made right; nothing opens that nobody
 * sealed. From inside: a peer who holds all keys seals what he likes as
 * payload; what opens is what he said, and within the rules. The first byte
 * says which, the rest changes something honest by XOR.
 */
#include "proto/link/handshake.h"

#include "proto/crypto/kdf.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { INDEX_I = 0x01020304, INDEX_R = 0x05060708, DAY = 20788 };
enum { PAYLOAD_1 = 40, PAYLOAD_2 = 20, BARE_1 = 136, BARE_2 = 68 };

static struct handshake_guard guard;
static struct handshake_static own, peer;
static struct handshake_attempt attempt; /* of the peer's honest message 1 */
static struct handshake_request request; /* the same, at our side */
static uint8_t message_1[PACKET_MESSAGE_1_SIZE];
static uint8_t message_2[PACKET_MESSAGE_2_SIZE];
static uint8_t cookie_reply[PACKET_COOKIE_REPLY_SIZE];
static const struct id_pk id_i = { { 1 } }, id_r = { { 2 } };
static const struct ratchet_key rk[4] = { { { 3 } }, { { 4 } }, { { 5 } },
	{ { 6 } } }; /* by enum key_used; the last one is nobody's */
static const struct handshake_try keys = {
	.rk = { &rk[0], &rk[1], &rk[2] },
	.id_i = &id_i,
	.id_r = &id_r,
};

/* ---- what is honest ---- */

static void
make_static(uint8_t n, struct handshake_static *ret)
{
	ret->sk.b[0] = n;
	assert(crypto_scalarmult_base(ret->pk.b, ret->sk.b) == 0);
}

static void
make_message_1(void)
{
	static const uint8_t mac2[HANDSHAKE_MAC_SIZE];
	uint8_t e[32] = { 0 };
	struct handshake_1 in = {
		.guard = &guard,
		.s = &peer,
		.rs = &own.pk,
		.e_sk = e,
		.mac2 = mac2,
		.payload = { .index = INDEX_I, .udp_max = 1200 },
	};
	enum err err;

	do {
		e[1]++;
	} while (handshake_1_seal(&in, message_1, &attempt));
	err = handshake_1_open(
	    &guard, &own, span_of(message_1, sizeof(message_1)), &request);
	assert(err == ERR_OK);
}

static void
make_message_2(void)
{
	static const uint8_t e[32] = { 24 }, mac2[HANDSHAKE_MAC_SIZE];
	struct handshake_keys ignored;
	const struct handshake_2 in = {
		.rk = &rk[KEY_CUR],
		.id_i = &id_i,
		.id_r = &id_r,
		.e_sk = e,
		.mac2 = mac2,
		.payload = { .key_used = KEY_CUR,
		    .index = INDEX_R,
		    .udp_max = 1200 },
	};
	enum err err = handshake_2_seal(&request, &in, message_2, &ignored);

	assert(err == ERR_OK);
}

static void
make_cookie_reply(void)
{
	static const uint8_t cookie[HANDSHAKE_COOKIE_SIZE] = { 1 };
	static const uint8_t nonce[PACKET_NONCE_SIZE] = { 2 };

	handshake_cookie_seal(&guard, span_of(message_1, sizeof(message_1)),
	    cookie, nonce, cookie_reply);
}

static void
prepare(void)
{
	static const struct reach_key reach = { { 4 } };
	static bool ready;

	if (ready)
		return;
	make_static(8, &own); /* the lowest bits do not count */
	make_static(16, &peer);
	handshake_guard_derive(&reach, &own.pk, DAY, &guard);
	make_message_1();
	make_message_2();
	make_cookie_reply();
	ready = true;
}

static void
change(uint8_t *what, size_t n, struct span by)
{
	for (size_t i = 0; i < n && i < by.n; i++)
		what[i] ^= by.p[i];
}

static void
mac_right(uint8_t *m, size_t covered)
{
	const struct span part = span_of(m, covered);

	kdf_b2(span_of(guard.mac1, 32), &part, 1, m + covered, 16);
}

/* ---- from outside ---- */

static void
as_anything(struct span in)
{
	static const struct packet_known all = { true, true, true, true };
	static const struct packet_key key = { { 1 }, { 2 } };
	static uint8_t out[PACKET_PLAIN_MAX];
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE];
	uint64_t counter;

	assert((unsigned)packet_classify(in, &all) < PACKET_CLASSES);
	assert(!handshake_mac1_ok(&guard, in) || in.n == sizeof(message_1));
	if (handshake_cookie_open(&attempt, in, cookie) == ERR_OK)
		assert(memcmp(in.p, cookie_reply, sizeof(cookie_reply)) == 0);
	if (packet_counter(&key, in, &counter) == ERR_OK)
		assert(packet_open(&key, in, counter, out) == ERR_AUTH);
}

static void
as_message_1(struct span in)
{
	struct handshake_request req;
	uint8_t m[PACKET_MESSAGE_1_SIZE];
	enum err err;
	bool same;

	memcpy(m, message_1, sizeof(m));
	change(m, sizeof(m), in);
	mac_right(m, BARE_1);
	same = memcmp(m, message_1, BARE_1) == 0;
	err = handshake_1_open(&guard, &own, span_of(m, sizeof(m)), &req);
	assert((err == ERR_OK) == same);
}

static void
as_message_2(struct span in)
{
	struct handshake_payload_2 payload;
	struct handshake_keys got;
	uint8_t m[PACKET_MESSAGE_2_SIZE];
	enum err err;
	bool same;

	memcpy(m, message_2, sizeof(m));
	change(m, sizeof(m), in);
	mac_right(m, 4 + BARE_2);
	same = memcmp(m, message_2, 4 + BARE_2) == 0;
	err = handshake_2_open(
	    &attempt, &keys, span_of(m, sizeof(m)), &payload, &got);
	assert((err == ERR_OK) == same);
}

static void
as_cookie(struct span in)
{
	uint8_t m[sizeof(cookie_reply)], got[HANDSHAKE_COOKIE_SIZE];
	enum err err;

	memcpy(m, cookie_reply, sizeof(m));
	change(m, sizeof(m), in);
	err = handshake_cookie_open(&attempt, span_of(m, sizeof(m)), got);
	assert((err == ERR_OK) == (memcmp(m, cookie_reply, sizeof(m)) == 0));
}

/* ---- from inside ---- */

/* Masks e and adds mac1, as an honest sender does. */
static void
wrap(const char *number, uint8_t *m, size_t at, size_t bare)
{
	const struct span parts[] = { span_str(number),
		span_of(m + at + 32, bare - 32) };
	uint8_t mask[32];

	kdf_b2(span_of(guard.mask, 32), parts, 2, mask, sizeof(mask));
	for (size_t i = 0; i < sizeof(mask); i++)
		m[at + i] ^= mask[i];
	mac_right(m, at + bare);
}

static void
payload_1_of_a_peer(struct span in)
{
	uint8_t m[PACKET_MESSAGE_1_SIZE] = { 0 }, p[PAYLOAD_1] = { 0 };
	struct writer w = wr_init(m, BARE_1);
	struct handshake_request req;
	struct noise_config cfg = {
		.pattern = &noise_ikpsk2,
		.hash = &noise_sha256,
		.initiator = true,
		.prologue = span_of("btchat/1 noise", 15),
		.rs = own.pk.b,
	};
	static const uint8_t e[32] = { 32 };
	struct noise n;
	struct reader r;
	bool good;

	memcpy(cfg.s.sk, peer.sk.b, 32);
	memcpy(cfg.s.pk, peer.pk.b, 32);
	cfg.s.set = true;
	change(p, sizeof(p), in);
	assert(noise_init(&n, &cfg) == ERR_OK);
	assert(noise_set_ephemeral(&n, e) == ERR_OK);
	assert(noise_write(&n, span_of(p, sizeof(p)), &w) == ERR_OK);
	wrap("1", m, 0, BARE_1);
	r = rd_init(span_of(p + 24, 8));
	good = packet_index_usable(rd_u32le(&r));
	(void)rd_u16le(&r);
	good &= rd_u16le(&r) >= HANDSHAKE_UDP_MIN;
	good &= sodium_is_zero(p + 32, 8);
	if (handshake_1_open(&guard, &own, span_of(m, sizeof(m)), &req)) {
		assert(!good);
		return;
	}
	assert(good);
	assert(memcmp(req.s.b, peer.pk.b, 32) == 0);
	assert(memcmp(req.payload.rid_cur.b, p + 8, 8) == 0);
}

/* in: which key, the payload. */
static void
payload_2_of_a_peer(struct span in)
{
	uint8_t m[PACKET_MESSAGE_2_SIZE] = { 4, 3, 2, 1 }, psk[32];
	uint8_t p[PAYLOAD_2] = { KEY_CUR, 0, 0xb0, 4, 8, 7, 6, 5, 4, 3, 2, 1 };
	struct writer w = wr_init(m + 4, BARE_2);
	uint8_t used = in.n > 0 ? in.p[0] % 4 : KEY_CUR;
	struct handshake_payload_2 payload;
	struct handshake_keys got;
	static const uint8_t e[32] = { 40 };
	struct noise n = request.noise;
	struct reader r;
	bool good;

	if (in.n > 0)
		change(p, sizeof(p), span_of(in.p + 1, in.n - 1));
	pair_psk2(&rk[used], &id_i, &id_r, psk);
	noise_set_psk(&n, psk);
	assert(noise_set_ephemeral(&n, e) == ERR_OK);
	assert(noise_write(&n, span_of(p, sizeof(p)), &w) == ERR_OK);
	wrap("2", m, 4, BARE_2);
	r = rd_init(span_of(p, sizeof(p)));
	good = rd_u8(&r) == used && used < 3;
	(void)rd_u8(&r);
	good &= rd_u16le(&r) >= HANDSHAKE_UDP_MIN;
	good &= packet_index_usable(rd_u32le(&r));
	good &= rd_u32le(&r) == INDEX_I;
	if (handshake_2_open(
	        &attempt, &keys, span_of(m, sizeof(m)), &payload, &got)) {
		assert(!good);
		return;
	}
	assert(good && payload.key_used == used);
	assert(got.send_index[0] == payload.index);
	assert(got.receive_index[0] == INDEX_I);
	assert(got.n_send_index <= PACKET_INDICES);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	prepare();
	if (size == 0)
		return 0;
	in.p++;
	in.n--;
	switch (data[0] % 6) {
	case 0:
		as_anything(in);
		break;
	case 1:
		as_message_1(in);
		break;
	case 2:
		as_message_2(in);
		break;
	case 3:
		as_cookie(in);
		break;
	case 4:
		payload_1_of_a_peer(in);
		break;
	default:
		payload_2_of_a_peer(in);
		break;
	}
	return 0;
}
