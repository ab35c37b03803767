/*
 * Datagrams at a DHT node that looks for something: whatever comes, only KRPC
 * of an allowed size leaves, and nobody enters the table without having
 * answered a query of the node.
 *
 * The input is records: two bytes of length and flags, then a datagram. A
 * fuzzer does not guess the 32 random bits of a transaction, nor a token, so
 * flags ask for those that the node has named last.
 */
#include "proto/dht/dht_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#include <assert.h>
#include <string.h>

enum {
	RECORD_SIZE = 0x07ff,     /* bytes of the datagram that follows */
	RECORD_STRANGER = 0x0800, /* from somebody whom the node does not ask */
	RECORD_PUT_T = 0x1000,    /* with the t of the node's last query */
	RECORD_PUT_TOKEN = 0x2000,
	RECORD_WAIT = 0x4000, /* five seconds later, else 100 ms */
	RECORD_SEED = 0x8000, /* from the bootstrap node, not the candidate */
	RECORDS_MAX = 64,
};

struct play {
	struct dht *d;
	struct now now;
	uint8_t t[4], token[TOKEN_SIZE]; /* the last ones */
	bool has_t, has_token;
};

enum { CANDIDATE = 20, SEED = 30, STRANGER = 40 };

static struct bencode scratch;

static struct endpoint
address(uint8_t net)
{
	uint8_t v4[4] = { net, 1, 1, 1 };

	return endpoint_v4(v4, 6881);
}

static void
drain(struct play *p)
{
	struct dht_send s;
	struct dht_event e;
	struct krpc m;

	while (dht_next_event(p->d, &e))
		assert(e.kind >= DHT_VALUE && e.kind <= DHT_PASS_FAILED);
	while (dht_next_send(p->d, &s)) {
		assert(krpc_decode(s.data, &scratch, &m) == ERR_OK);
		assert(s.data.n <= 1024 || m.v.p);
		if (m.kind == KRPC_QUERY && m.t.n == sizeof(p->t)) {
			assert(!m.fault);
			memcpy(p->t, m.t.p, sizeof(p->t));
			p->has_t = true;
		}
		if (m.kind == KRPC_RESPONSE && m.token.n == sizeof(p->token)) {
			memcpy(p->token, m.token.p, sizeof(p->token));
			p->has_token = true;
		}
	}
}

/* Writes value over what follows `key` in buf, if there is room. */
static void
put_in(uint8_t *buf, size_t n, const char *key, const uint8_t *value, size_t m)
{
	size_t n_key = strlen(key);

	for (size_t i = 0; i + n_key + m <= n; i++) {
		if (memcmp(buf + i, key, n_key) != 0)
			continue;
		memcpy(buf + i + n_key, value, m);
		return;
	}
}

static void
record(struct play *p, unsigned flags, struct span in)
{
	struct endpoint from =
	    flags & RECORD_SEED ? address(SEED) : address(CANDIDATE);
	uint8_t buf[RECORD_SIZE];

	if (flags & RECORD_STRANGER)
		from = address(STRANGER);
	assert(in.n <= sizeof(buf));
	memcpy(buf, in.p, in.n);
	if (flags & RECORD_PUT_T && p->has_t)
		put_in(buf, in.n, "1:t4:", p->t, sizeof(p->t));
	if (flags & RECORD_PUT_TOKEN && p->has_token)
		put_in(buf, in.n, "5:token8:", p->token, sizeof(p->token));
	dht_receive(p->d, &from, span_of(buf, in.n), p->now);
	drain(p);
	p->now.mono_ms += flags & RECORD_WAIT ? 5000 : 100;
	dht_tick(p->d, p->now);
	drain(p);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t pk[32];
	static const struct target hash;
	struct play p = { .now = { 1000, 1000 } };
	struct endpoint candidate = address(CANDIDATE), seed = address(SEED);
	struct reader r = rd_init(span_of(data, size));
	struct test_rng rng;
	struct dht_config cfg = { .rng = &rng.rng };

	test_rng_init(&rng, 1);
	p.d = dht_new(&cfg, p.now);
	assert(p.d);
	dht_bootstrap(p.d, &seed, p.now);
	dht_candidate(p.d, &candidate, p.now);
	assert(dht_get(p.d, 1, pk, span_of(NULL, 0), p.now) == ERR_OK);
	assert(dht_announce(p.d, 2, &hash, 1, false, p.now) == ERR_OK);
	drain(&p);
	for (unsigned i = 0; i < RECORDS_MAX && r.n > 2; i++) {
		unsigned flags = rd_u16be(&r);
		size_t n = flags & RECORD_SIZE;

		record(&p, flags, rd_span(&r, n < r.n ? n : r.n));
	}
	assert(p.has_t || table_count(&p.d->table) == 0);
	dht_free(p.d);
	return 0;
}
