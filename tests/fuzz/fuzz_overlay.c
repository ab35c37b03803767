/* Any bytes as an encrypted query, and any plain text that a node that knows
 * our key sealed: lengths and padding are checked to the last byte. */
#include "proto/dht/overlay.h"

#include "proto/crypto/kdf.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { BODY = 40, DATAGRAM = 128, PLAIN = DATAGRAM - BODY - 16 };

static struct overlay_static node;

/* tag || masked e || sealed plain text, as the sender makes it. */
static bool
seal_any(const uint8_t plain[PLAIN], uint8_t out[DATAGRAM])
{
	static const uint8_t e[32] = { 6 };
	uint8_t prologue[21] = "btchat/1 dht";
	struct noise_config cfg = {
		.pattern = &noise_nk,
		.hash = &noise_sha256,
		.initiator = true,
		.rs = node.pk,
	};
	struct writer w = wr_init(out, DATAGRAM);
	const struct span parts[] = { span_str("btchat/1 dht query"),
		span_of(out, 8), span_of(out + BODY, DATAGRAM - BODY) };
	struct noise n;
	uint8_t mask[32];

	memset(prologue + 13, 1, 8);
	cfg.prologue = span_of(prologue, sizeof(prologue));
	wr_bytes(&w, prologue + 13, 8);
	if (noise_init(&n, &cfg) || noise_set_ephemeral(&n, e) ||
	    noise_write(&n, span_of(plain, PLAIN), &w))
		return false;
	kdf_b2(span_of(node.pk, 32), parts, 3, mask, sizeof(mask));
	for (int i = 0; i < 32; i++)
		out[8 + i] ^= mask[i];
	return true;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t plain[PLAIN] = { 0 };
	uint8_t d[DATAGRAM];
	uint8_t krpc[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(krpc, sizeof(krpc));
	struct overlay_exchange x;
	size_t len;

	node.sk[0] = 5;
	if (crypto_scalarmult_base(node.pk, node.sk))
		return 0;
	assert(
	    overlay_query_open(&node, span_of(data, size), &x, &w) != ERR_OK);
	memcpy(plain, data, size < PLAIN ? size : PLAIN);
	if (!seal_any(plain, d))
		return 0;
	if (overlay_query_open(&node, span_of(d, sizeof(d)), &x, &w))
		return 0;
	len = plain[0] | (size_t)plain[1] << 8;
	assert(w.n == len && len > 0 && len <= PLAIN - 2);
	assert(memcmp(krpc, plain + 2, len) == 0);
	for (size_t i = 2 + len; i < PLAIN; i++)
		assert(plain[i] == 0);
	return 0;
}
