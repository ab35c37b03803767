/*
 * Datagrams at the DHT. The codec: what is read and written again reads as the
 * same. The node: whatever comes, only KRPC leaves, and nobody enters the
 * table without having answered a query.
 */
#include "proto/dht/dht_state.h"
#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#include <assert.h>
#include <string.h>

static struct bencode scratch;

static void
check_same(const struct krpc *a, const struct krpc *b)
{
	assert(a->kind == b->kind && a->method == b->method);
	assert(span_eq(a->t, b->t));
	assert(a->has_id == b->has_id && a->has_seq == b->has_seq);
	assert(memcmp(&a->id, &b->id, sizeof(a->id)) == 0);
	assert(a->seq == b->seq && a->cas == b->cas);
	assert(span_eq(a->token, b->token));
	assert(a->kind == KRPC_ERROR || span_eq(a->v, b->v));
	assert(span_eq(a->nodes[0], b->nodes[0]));
	assert(span_eq(a->nodes[1], b->nodes[1]));
	assert(a->code == b->code);
}

static void
codec(struct span in)
{
	static uint8_t buf[1 << 17];
	struct krpc_node nodes[KRPC_NODES_MAX];
	struct writer w = wr_init(buf, sizeof(buf));
	struct krpc a, b;

	if (krpc_decode(in, &scratch, &a))
		return;
	for (int f = 0; f < 2 * FAMILY_COUNT; f++) {
		struct krpc_form form = { (enum family)(f / 2), f % 2 };

		assert(krpc_nodes_read(a.nodes[f / 2], form, nodes,
		           KRPC_NODES_MAX) <= KRPC_NODES_MAX);
	}
	if (a.kind == KRPC_QUERY && (a.method == KRPC_OTHER || a.fault))
		return;
	krpc_encode(&a, &w);
	if (w.bad)
		return;
	assert(krpc_decode(wr_span_of(&w), &scratch, &b) == ERR_OK);
	check_same(&a, &b);
}

static void
check_output(struct dht *d)
{
	struct dht_send s;
	struct dht_event e;
	struct krpc m;

	while (dht_next_event(d, &e))
		assert(e.kind >= DHT_VALUE && e.kind <= DHT_PEERS);
	while (dht_next_send(d, &s)) {
		assert(krpc_decode(s.data, &scratch, &m) == ERR_OK);
		assert(s.data.n <= 1024 || m.v.p);
	}
}

/* Records of two bytes length and a datagram, and time between them. */
static void
node(struct span in)
{
	static const uint8_t addr[4] = { 20, 1, 1, 1 };
	static const uint8_t pk[32];
	struct endpoint peer = endpoint_v4(addr, 6881);
	struct test_rng rng;
	struct dht_config cfg = { .rng = &rng.rng };
	struct now now = { 1000, 1000 };
	struct reader r = rd_init(in);
	struct dht *d;

	test_rng_init(&rng, 1);
	d = dht_new(&cfg, now);
	assert(d);
	dht_bootstrap(d, &peer, now);
	assert(dht_get(d, 1, pk, span_of(NULL, 0), now) == ERR_OK);
	while (r.n > 2) {
		size_t n = rd_u16be(&r);
		struct span datagram = rd_span(&r, n < r.n ? n : r.n);

		dht_receive(d, &peer, datagram, now);
		check_output(d);
		now.mono_ms += 100;
		dht_tick(d, now);
		check_output(d);
	}
	assert(table_count(&d->table) <= 1);
	dht_free(d);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	codec(in);
	if (size > 0 && data[0] != 'd')
		node(in);
	return 0;
}
