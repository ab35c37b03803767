/* Any bytes as any message of any of several patterns. Nobody without the
 * keys writes one that opens, but those whose payload is still in clear; a
 * failed read leaves the state as it was. */
#include "proto/crypto/noise.h"

#include "tests/fuzz/fuzz.h"
#include "tests/support/noise_pattern.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static const char *const names[] = { "IKpsk2", "NK", "XX", "NNpsk0", "X", "IX",
	"XXfallback", "KK1" };
#define N_NAMES (sizeof(names) / sizeof(names[0]))

static struct noise_keypair
keypair(uint8_t n)
{
	struct noise_keypair k = { .sk = { n }, .set = true };
	int bad = crypto_scalarmult_base(k.pk, k.sk);

	assert(!bad);
	(void)bad;
	return k;
}

static enum err
start(const struct noise_pattern *p, bool initiator, struct noise *ret)
{
	struct noise_keypair own = keypair(initiator ? 1 : 2);
	struct noise_keypair peer = keypair(initiator ? 2 : 1);
	struct noise_keypair e = keypair(initiator ? 3 : 4);
	struct noise_keypair peer_e = keypair(initiator ? 4 : 3);
	static const uint8_t psk[32] = { 5 };
	bool fallback = strstr(p->name, "fallback") != NULL;
	struct noise_config cfg = { .pattern = p,
		.hash = &noise_sha256,
		.initiator = initiator,
		.s = own,
		.rs =
		    p->pre[initiator ? 1 : 0][0] == NOISE_S ? peer.pk : NULL };
	enum err err;

	if (fallback && !initiator)
		cfg.e = e;
	if (fallback && initiator)
		cfg.re = peer_e.pk;
	err = noise_init(ret, &cfg);
	if (err)
		return err;
	noise_set_psk(ret, psk);
	return cfg.e.set ? ERR_OK : noise_set_ephemeral(ret, e.sk);
}

/* Brings both to message `at` honestly. */
static void
advance(struct noise *a, struct noise *b, unsigned at)
{
	uint8_t wire[512];
	uint8_t plain[512];

	while (a->at < at) {
		bool from_a = a->at % 2 == 0;
		struct writer w = wr_init(wire, sizeof(wire));
		struct writer out = wr_init(plain, sizeof(plain));
		enum err err = noise_write(from_a ? a : b, span_str("x"), &w);

		assert(!err);
		err = noise_read(from_a ? b : a, wr_span_of(&w), &out);
		assert(!err);
		(void)err;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct noise_pattern p;
	struct noise a;
	struct noise b;
	struct noise before;
	struct noise *reader;
	uint8_t plain[4096];
	struct writer out = wr_init(plain, sizeof(plain));
	unsigned at;
	enum err err;

	if (size < 2 || size > sizeof(plain))
		return 0;
	if (!noise_pattern_build(names[data[0] % N_NAMES], &p) ||
	    start(&p, true, &a) || start(&p, false, &b))
		return 0;
	at = data[1] % p.n_messages;
	advance(&a, &b, at);
	reader = at % 2 == 0 ? &b : &a;
	before = *reader;
	err = noise_read(reader, span_of(data + 2, size - 2), &out);
	if (err) {
		assert(memcmp(reader->h, before.h, sizeof(before.h)) == 0);
		assert(memcmp(reader->ck, before.ck, 32) == 0);
		assert(
		    reader->at == before.at && reader->nonce == before.nonce);
		assert(out.n == 0);
		assert(err == ERR_AUTH || err == ERR_MALFORMED ||
		       err == ERR_BAD_KEY);
		return 0;
	}
	assert(!reader->has_key); /* else it was forged */
	assert(out.n <= size - 2 && reader->at == at + 1);
	return 0;
}
