/* Any bytes as a certificate, and any body that the ID itself signed. */
#include "proto/crypto/identity.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { NOW_S = 1796000000, BODY = 80 };

static struct id_pk id;
static struct id_sk sk;

static void
sign_body(struct cert_bytes *b)
{
	static const char context[] = "btchat/1 static";
	uint8_t text[sizeof(context) + 32 + BODY];

	memcpy(text, context, sizeof(context));
	memcpy(text + sizeof(context), id.b, 32);
	memcpy(text + sizeof(context) + 32, b->b, BODY);
	crypto_sign_detached(b->b + BODY, NULL, text, sizeof(text), sk.b);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct id_seed seed = { { 2 } };
	static const uint8_t zeros[12];
	struct cert_bytes b = { { 0 } };
	struct cert_bytes again;
	struct cert c = { .gen = 7 };
	enum err err;

	identity_from_seed(&seed, &id, &sk);
	memcpy(b.b, data, size < sizeof(b.b) ? size : sizeof(b.b));
	err = cert_open(&b, &id, NOW_S, &c);
	assert(err == ERR_AUTH && c.gen == 7);
	sign_body(&b);
	err = cert_open(&b, &id, NOW_S, &c);
	if (err) {
		assert(err == ERR_MALFORMED || err == ERR_BAD_KEY ||
		       err == ERR_EXPIRED);
		return 0;
	}
	assert(c.not_before_s <= NOW_S && NOW_S < c.not_after_s);
	assert(memcmp(b.b + 68, zeros, sizeof(zeros)) == 0);
	cert_sign(&sk, &c, &again);
	assert(memcmp(again.b, b.b, sizeof(b.b)) == 0);
	return 0;
}
