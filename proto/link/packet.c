/* Classification, indices, and the transport packet. [SPEC §5] [SPEC §6.4] */
#include "proto/link/packet.h"

#include "proto/crypto/noise.h"
#include "proto/crypto/replay.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	INDEX_SIZE = 4,
	COUNTER_SIZE = 8,
	SAMPLE_AT = PACKET_HEAD, /* the first 16 bytes of ciphertext */
	SAMPLE_SIZE = 16,
};

_Static_assert(PACKET_HEAD == INDEX_SIZE + COUNTER_SIZE, "head");
_Static_assert(PACKET_OVERHEAD == PACKET_HEAD + 16, "head and tag");
_Static_assert(PACKET_PLAIN_MIN + 16 >= SAMPLE_SIZE, "there is a sample");

/* ---- classes ---- */

static bool
is_query_size(size_t n)
{
	return n == 128 || n == 256 || n == 512 || n == 1024 || n == 1232;
}

enum packet_class
packet_classify(struct span datagram, const struct packet_known *known)
{
	size_t n = datagram.n;

	assert(known && (datagram.p || n == 0));
	if (n >= 2 && datagram.p[0] == 'd' && datagram.p[n - 1] == 'e')
		return PACKET_KRPC;
	if (n >= INDEX_SIZE && known->index_is_session)
		return PACKET_TRANSPORT;
	if (n == PACKET_MESSAGE_2_SIZE && known->index_is_attempt)
		return PACKET_MESSAGE_2;
	if (n == PACKET_MESSAGE_1_SIZE)
		return PACKET_MESSAGE_1;
	if (n == PACKET_COOKIE_REPLY_SIZE && known->attempt_pending)
		return PACKET_COOKIE_REPLY;
	if (is_query_size(n))
		return known->tag_is_own ? PACKET_ANSWER : PACKET_QUERY;
	return PACKET_DROP;
}

bool
packet_index(struct span datagram, uint32_t *ret)
{
	struct reader r = rd_init(datagram);

	*ret = rd_u32le(&r);
	return !r.bad;
}

bool
packet_tag(struct span datagram, uint8_t ret[PACKET_TAG_SIZE])
{
	struct reader r = rd_init(datagram);

	rd_bytes(&r, ret, PACKET_TAG_SIZE);
	return !r.bad;
}

bool
packet_begins_like_krpc(uint8_t first)
{
	return first == 'd';
}

bool
packet_index_usable(uint32_t index)
{
	return index != 0 && !packet_begins_like_krpc(index & 0xff);
}

uint32_t
packet_draw_index(const struct rng *rng)
{
	uint32_t index;

	do {
		index = rng_u32(rng);
	} while (!packet_index_usable(index));
	return index;
}

void
packet_draw_nonce(const struct rng *rng, uint8_t ret[PACKET_NONCE_SIZE])
{
	do {
		rng_fill(rng, ret, PACKET_NONCE_SIZE);
	} while (packet_begins_like_krpc(ret[0]));
}

/* ---- transport ---- */

/* Of the sample the first 4 bytes are the block counter, the rest the nonce.
 * [RFC 9001 §5.4.4] */
static void
mask_counter(const struct packet_key *key, const uint8_t sample[SAMPLE_SIZE],
    uint8_t counter[COUNTER_SIZE])
{
	struct reader r = rd_init(span_of(sample, SAMPLE_SIZE));
	uint32_t block = rd_u32le(&r);
	struct span nonce = rd_span(&r, 12);

	assert(rd_done(&r) && nonce.n == 12);
	crypto_stream_chacha20_ietf_xor_ic(
	    counter, counter, COUNTER_SIZE, nonce.p, block, key->hp);
}

/* AAD = index || counter in clear. */
static void
make_aad(struct span index, uint64_t counter, uint8_t ret[PACKET_HEAD])
{
	struct writer w = wr_init(ret, PACKET_HEAD);

	wr_span(&w, index);
	wr_u64le(&w, counter);
	assert(!w.bad && w.n == PACKET_HEAD);
}

void
packet_seal(const struct packet_key *key, uint32_t index, uint64_t counter,
    struct span plain, uint8_t *out)
{
	struct writer w = wr_init(out, PACKET_HEAD);
	uint8_t aad[PACKET_HEAD];

	assert(counter < REPLAY_COUNTER_END);
	assert(plain.n >= PACKET_PLAIN_MIN && plain.n <= PACKET_PLAIN_MAX);
	wr_u32le(&w, index);
	wr_u64le(&w, counter);
	assert(!w.bad && w.n == PACKET_HEAD);
	memcpy(aad, out, sizeof(aad));
	noise_seal(key->k, counter, span_of(aad, sizeof(aad)), plain,
	    out + PACKET_HEAD);
	mask_counter(key, out + SAMPLE_AT, out + INDEX_SIZE);
}

static bool
is_packet_size(size_t n)
{
	return n >= PACKET_OVERHEAD + PACKET_PLAIN_MIN &&
	       n <= PACKET_OVERHEAD + PACKET_PLAIN_MAX;
}

enum err
packet_counter(
    const struct packet_key *key, struct span datagram, uint64_t *ret)
{
	uint8_t counter[COUNTER_SIZE];
	struct reader r;

	if (!is_packet_size(datagram.n))
		return ERR_MALFORMED;
	memcpy(counter, datagram.p + INDEX_SIZE, sizeof(counter));
	mask_counter(key, datagram.p + SAMPLE_AT, counter);
	r = rd_init(span_of(counter, sizeof(counter)));
	*ret = rd_u64le(&r);
	assert(rd_done(&r));
	return ERR_OK;
}

enum err
packet_open(const struct packet_key *key, struct span datagram,
    uint64_t counter, uint8_t *out)
{
	uint8_t aad[PACKET_HEAD];

	assert(is_packet_size(datagram.n));
	make_aad(span_of(datagram.p, INDEX_SIZE), counter, aad);
	return noise_open(key->k, counter, span_of(aad, sizeof(aad)),
	    span_of(datagram.p + PACKET_HEAD, datagram.n - PACKET_HEAD), out);
}
