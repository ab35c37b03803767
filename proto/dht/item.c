/* A signed item on its own: target, signature, check. [BEP 44] */
#include "proto/crypto/sha1.h"
#include "proto/dht/dht.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* "4:salt" and "3:seq" with numbers, "1:v", and the two strings. */
enum { SIGNED_MAX = DHT_VALUE_MAX + DHT_SALT_MAX + 64 };

_Static_assert(crypto_sign_BYTES == 64, "sig is 64 bytes");

static void
write_int(struct writer *w, uint64_t v)
{
	uint8_t digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v);
	wr_bytes(w, digits + at, sizeof(digits) - at);
}

/* What is signed: bencoded pairs without the dictionary around them. */
static void
write_signed(const struct dht_item *item, struct writer *w)
{
	assert(item->seq >= 0);
	if (item->salt_n > 0) {
		wr_bytes(w, "4:salt", 6);
		write_int(w, item->salt_n);
		wr_bytes(w, ":", 1);
		wr_bytes(w, item->salt, item->salt_n);
	}
	wr_bytes(w, "3:seqi", 6);
	write_int(w, (uint64_t)item->seq);
	wr_bytes(w, "e1:v", 4);
	wr_bytes(w, item->v, item->v_n);
	assert(!w->bad);
}

void
dht_item_sign(struct dht_item *item, const uint8_t sk[64])
{
	uint8_t buf[SIGNED_MAX];
	struct writer w = wr_init(buf, sizeof(buf));

	assert(item->v_n > 0 && item->v_n <= DHT_VALUE_MAX);
	assert(item->salt_n <= DHT_SALT_MAX);
	write_signed(item, &w);
	(void)crypto_sign_detached(item->sig, NULL, w.p, w.n, sk);
}

enum err
dht_item_verify(const struct dht_item *item)
{
	uint8_t buf[SIGNED_MAX];
	struct writer w = wr_init(buf, sizeof(buf));

	assert(item);
	if (item->v_n > DHT_VALUE_MAX || item->salt_n > DHT_SALT_MAX)
		return ERR_TOO_LONG;
	if (item->v_n == 0 || item->seq < 0)
		return ERR_AUTH;
	write_signed(item, &w);
	if (crypto_sign_verify_detached(item->sig, w.p, w.n, item->pk))
		return ERR_AUTH;
	return ERR_OK;
}

void
dht_item_target(const uint8_t pk[32], struct span salt, struct target *ret)
{
	const struct span parts[2] = { span_of(pk, 32), salt };

	assert(pk && ret);

	sha1(parts, 2, ret->b);
}
