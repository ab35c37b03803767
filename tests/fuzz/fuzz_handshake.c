/* Any bytes as message 1, message 2, cookie reply and transport packet, also
 * with the macs made right: nothing opens that nobody sealed. */
#include "proto/link/handshake.h"

#include "proto/crypto/kdf.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static struct handshake_guard guard;
static struct handshake_static own, peer;
static struct handshake_attempt attempt;
static uint8_t message_1[PACKET_MESSAGE_1_SIZE];
static const struct id_pk id_i = { { 1 } }, id_r = { { 2 } };
static const struct ratchet_key rk = { { 3 } };
static bool ready;

static void
make_static(uint8_t n, struct handshake_static *ret)
{
	ret->sk.b[0] = n;
	assert(crypto_scalarmult_base(ret->pk.b, ret->sk.b) == 0);
}

static void
prepare(void)
{
	static const struct reach_key reach = { { 4 } };
	static const uint8_t mac2[HANDSHAKE_MAC_SIZE];
	uint8_t e[32] = { 0 };
	struct handshake_1 in = {
		.guard = &guard,
		.s = &peer,
		.rs = &own.pk,
		.e_sk = e,
		.mac2 = mac2,
		.payload = { .index = 0x01020304, .udp_max = 1200 },
	};

	if (ready)
		return;
	make_static(8, &own);
	make_static(9, &peer);
	handshake_guard_derive(&reach, &own.pk, 20788, &guard);
	do {
		e[0]++;
	} while (handshake_1_seal(&in, message_1, &attempt));
	ready = true;
}

static void
mac_right(uint8_t *m, size_t covered)
{
	const struct span part = span_of(m, covered);

	kdf_b2(span_of(guard.mac1, 32), &part, 1, m + covered, 16);
}

/* The input changes the honest message: XOR, so that zeros leave it. */
static void
as_message_1(const uint8_t *data, size_t size)
{
	struct handshake_request req;
	uint8_t m[PACKET_MESSAGE_1_SIZE];
	enum err err;

	memcpy(m, message_1, sizeof(m));
	for (size_t i = 0; i < size && i < sizeof(m); i++)
		m[i] ^= data[i];
	mac_right(m, 136);
	err = handshake_1_open(&guard, &own, span_of(m, sizeof(m)), &req);
	if (err)
		return;
	assert(memcmp(m, message_1, 136) == 0);
	assert(memcmp(req.s.b, peer.pk.b, 32) == 0);
	assert(req.payload.index == 0x01020304);
}

static void
as_message_2(const uint8_t *data, size_t size)
{
	static const struct handshake_try keys = {
		.rk = { &rk, &rk, &rk },
		.id_i = &id_i,
		.id_r = &id_r,
	};
	struct handshake_payload_2 payload;
	struct handshake_keys got;
	uint8_t m[PACKET_MESSAGE_2_SIZE] = { 4, 3, 2, 1 };

	for (size_t i = 0; i < size && i + 4 < sizeof(m); i++)
		m[i + 4] = data[i];
	mac_right(m, 72);
	assert(handshake_2_open(&attempt, &keys, span_of(m, sizeof(m)),
	           &payload, &got) != ERR_OK);
}

static void
as_packet(struct span in)
{
	static const struct packet_key key = { { 1 }, { 2 } };
	static uint8_t out[PACKET_PLAIN_MAX];
	uint64_t counter;

	if (packet_counter(&key, in, &counter))
		return;
	assert(packet_open(&key, in, counter, out) == ERR_AUTH);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct packet_known all = { true, true, true, true };
	struct span in = span_of(data, size);
	uint8_t cookie[HANDSHAKE_COOKIE_SIZE];

	prepare();
	assert((unsigned)packet_classify(in, &all) < PACKET_CLASSES);
	assert(size == sizeof(message_1) || !handshake_mac1_ok(&guard, in));
	assert(handshake_cookie_open(&attempt, in, cookie) != ERR_OK);
	as_message_1(data, size);
	as_message_2(data, size);
	as_packet(in);
	return 0;
}
