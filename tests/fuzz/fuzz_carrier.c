/*
 * The receive path of an overlay node: any bytes as a datagram draw nothing;
 * any message that somebody who knows its key seals is answered by the rules
 * or not at all; any answer of the node that it asked is survived.
 */
#include "proto/dht/dht_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#include <assert.h>
#include <string.h>

static const struct now now = { 100000, UINT64_C(1800000000000) };

/* Of the queries that it sent last: what is under way. */
static size_t
drain(struct dht *d, size_t size_max)
{
	struct dht_send s;
	struct dht_event e;
	size_t n = 0;

	while (dht_next_event(d, &e))
		assert(e.kind >= DHT_VALUE && e.kind <= DHT_PASS_FAILED);
	while (dht_next_send(d, &s)) {
		assert(overlay_is_size(s.data.n) && s.data.p[0] != 'd');
		assert(s.data.n <= size_max);
		n++;
	}
	return n;
}

static void
as_query(struct dht *d, struct carrier *peer, const struct endpoint *from,
    struct span krpc)
{
	static const uint8_t addr[4] = { 20, 1, 1, 2 };
	struct endpoint to = endpoint_v4(addr, 6881);
	uint8_t buf[OVERLAY_SIZE_MAX];
	struct writer out = wr_init(buf, sizeof(buf));
	struct carrier_query q = { .to = &to, .krpc = krpc };
	struct node_key n;
	uint16_t asked;

	dht_key(d, &n);
	q.n = &n;
	if (krpc.n == 0 || carrier_ask(peer, &q, now, &out, &asked))
		return;
	carrier_forget(peer, asked);
	dht_receive(d, from, wr_span_of(&out), now);
	/* At most the answer and a ping to who asked. */
	assert(drain(d, 3 * out.n) <= 2);
	dht_receive(d, from, wr_span_of(&out), now);
	assert(drain(d, 0) == 0);
}

/* The answer's transaction is the query's, as an honest peer's would be. */
static struct span
with_t(struct span query, struct span krpc, uint8_t *buf)
{
	static struct bencode scratch;
	static const char t[] = "1:t4:";
	struct krpc m;
	uint8_t *at;

	memcpy(buf, krpc.p, krpc.n);
	at = memmem(buf, krpc.n, t, sizeof(t) - 1);
	if (at && (size_t)(buf + krpc.n - at) >= sizeof(t) - 1 + 4 &&
	    !krpc_decode(query, &scratch, &m) && m.t.n == 4)
		memcpy(at + sizeof(t) - 1, m.t.p, 4);
	return span_of(buf, krpc.n);
}

/* The node asks a peer, and the peer answers with the bytes. */
static void
as_answer(struct dht *d, struct carrier *peer, const struct endpoint *at,
    struct span krpc)
{
	uint8_t plain[OVERLAY_KRPC_MAX], buf[OVERLAY_SIZE_MAX];
	uint8_t answer[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(plain, sizeof(plain));
	struct writer out = wr_init(buf, sizeof(buf));
	struct carrier_call call;
	struct node_key n;
	struct dht_send s;

	carrier_key(peer, &n);
	dht_candidate_key(d, at, &n, now);
	if (!dht_next_send(d, &s))
		return;
	if (carrier_open(peer, s.data, true, now, &w, &call))
		return;
	(void)drain(d, OVERLAY_SIZE_MAX);
	if (krpc.n > 0)
		krpc = with_t(wr_span_of(&w), krpc, answer);
	if (krpc.n > 0 && carrier_answer(peer, &call, krpc, &out) == ERR_OK)
		dht_receive(d, at, wr_span_of(&out), now);
	(void)drain(d, OVERLAY_SIZE_MAX);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const uint8_t addr[4] = { 20, 1, 1, 1 };
	struct endpoint from = endpoint_v4(addr, 6881);
	struct test_rng rng;
	struct dht_config cfg = {
		.carrier = DHT_OVERLAY, .rng = &rng.rng, .introduces = true
	};
	struct carrier *peer;
	struct dht *d;

	if (size > OVERLAY_KRPC_MAX)
		size = OVERLAY_KRPC_MAX;
	test_rng_init(&rng, 1);
	d = dht_new(&cfg, now);
	peer = carrier_new(&rng.rng, false);
	assert(d && peer);
	dht_receive(d, &from, span_of(data, size), now);
	assert(drain(d, 0) == 0);
	as_query(d, peer, &from, span_of(data, size));
	as_answer(d, peer, &from, span_of(data, size));
	assert(table_count(&d->table) == 0); /* no id of its own fits */
	carrier_free(peer);
	dht_free(d);
	return 0;
}
