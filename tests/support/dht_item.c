/* Shorthands for the tests of the DHT. */
#include "tests/support/dht_item.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

void
test_item(uint8_t key, struct span salt, struct span v, int64_t seq,
    struct dht_item *ret)
{
	uint8_t seed[32], sk[64];
	struct writer w = wr_init(ret->v, sizeof(ret->v));

	memset(seed, key, sizeof(seed));
	(void)crypto_sign_seed_keypair(ret->pk, sk, seed);
	ret->seq = seq;
	ret->salt_n = (uint8_t)salt.n;
	memset(ret->salt, 0, sizeof(ret->salt));
	if (salt.n > 0)
		memcpy(ret->salt, salt.p, salt.n);
	be_str(&w, v.p, v.n);
	assert(!w.bad);
	ret->v_n = (uint16_t)w.n;
	dht_item_sign(ret, sk);
}

struct krpc
test_put(const struct dht_item *item)
{
	struct krpc m = { .kind = KRPC_QUERY, .method = KRPC_PUT };

	m.t = span_str("tttt");
	m.has_id = m.has_k = m.has_sig = m.has_seq = true;
	memset(m.id.b, 'i', sizeof(m.id.b));
	memcpy(m.k, item->pk, sizeof(m.k));
	memcpy(m.sig, item->sig, sizeof(m.sig));
	m.seq = item->seq;
	if (item->salt_n > 0)
		m.salt = span_of(item->salt, item->salt_n);
	m.v = span_of(item->v, item->v_n);
	return m;
}

struct span
test_encode(const struct krpc *m, uint8_t *buf)
{
	struct writer w = wr_init(buf, TEST_BUF);

	krpc_encode(m, &w);
	assert(!w.bad);
	return wr_span_of(&w);
}

struct endpoint
test_addr(unsigned a, unsigned b, unsigned c, unsigned d)
{
	uint8_t addr[4] = { (uint8_t)a, (uint8_t)b, (uint8_t)c, (uint8_t)d };

	return endpoint_v4(addr, 6881);
}
