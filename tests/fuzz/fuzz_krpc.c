/*
 * The codec of KRPC alone: what is read and written again reads as the same,
 * and is then written as the same bytes. The node behind it is fuzz_dht.
 */
#include "proto/dht/krpc.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

enum { INPUT_MAX = 1500 }; /* what a link carries in one datagram */

static struct bencode scratch;

static void
check_lists(const struct krpc *m)
{
	struct endpoint peers[KRPC_PEERS_MAX];
	struct krpc_node nodes[KRPC_NODES_MAX];

	for (int f = 0; f < FAMILY_COUNT; f++) {
		struct krpc_form form = { (enum family)f, false };

		if (m->nodes[f].p)
			assert(krpc_nodes_read(m->nodes[f], form, nodes,
			           KRPC_NODES_MAX) <= KRPC_NODES_MAX);
		form.keyed = true;
		if (m->nodes[f].p)
			assert(krpc_nodes_read(m->nodes[f], form, nodes,
			           KRPC_NODES_MAX) <= KRPC_NODES_MAX);
		if (m->values.p)
			assert(krpc_peers_read(m->values, form.family, &scratch,
			           peers, KRPC_PEERS_MAX) <= KRPC_PEERS_MAX);
	}
}

static void
check_head(const struct krpc *a, const struct krpc *b)
{
	assert(a->kind == b->kind && a->method == b->method);
	assert(span_eq(a->t, b->t));
	assert(a->read_only == b->read_only);
	assert(a->has_ip == b->has_ip);
	assert(!a->has_ip || endpoint_eq(&a->ip, &b->ip));
	assert(a->code == b->code && span_eq(a->text, b->text));
}

static bool
has_no_id(const struct krpc *m)
{
	return m->method == KRPC_PASS || m->method == KRPC_HAND;
}

static void
check_passage(const struct krpc *a, const struct krpc *b)
{
	assert(a->has_handle == b->has_handle);
	assert(a->has_circuit == b->has_circuit);
	assert(a->has_cookie == b->has_cookie);
	assert(memcmp(a->handle, b->handle, sizeof(a->handle)) == 0);
	assert(memcmp(a->circuit, b->circuit, sizeof(a->circuit)) == 0);
	assert(memcmp(a->cookie, b->cookie, sizeof(a->cookie)) == 0);
	assert(span_eq(a->datagram, b->datagram));
	assert(a->method >= KRPC_REGISTER ||
	       (!a->has_handle && !a->has_ip && !a->has_circuit &&
	           !a->datagram.p));
}

static void
check_query(const struct krpc *a, const struct krpc *b)
{
	assert(!b->fault || has_no_id(b));
	check_passage(a, b);
	assert(a->has_id == b->has_id && a->has_target == b->has_target);
	assert(memcmp(&a->target, &b->target, sizeof(a->target)) == 0);
	assert(a->has_want == b->has_want);
	assert(a->want[FAMILY_V4] == b->want[FAMILY_V4]);
	assert(a->want[FAMILY_V6] == b->want[FAMILY_V6]);
	assert(a->implied_port == b->implied_port && a->seed == b->seed);
	assert(a->noseed == b->noseed && a->port == b->port);
	assert(a->has_cas == b->has_cas && a->cas == b->cas);
	assert(span_eq(a->salt, b->salt));
}

static void
check_item(const struct krpc *a, const struct krpc *b)
{
	assert(memcmp(&a->id, &b->id, sizeof(a->id)) == 0);
	assert(a->has_k == b->has_k && memcmp(a->k, b->k, sizeof(a->k)) == 0);
	assert(a->has_sig == b->has_sig);
	assert(memcmp(a->sig, b->sig, sizeof(a->sig)) == 0);
	assert(a->has_seq == b->has_seq && a->seq == b->seq);
	assert(a->keep == b->keep);
	assert(span_eq(a->token, b->token) && span_eq(a->v, b->v));
}

static void
check_answer(const struct krpc *a, const struct krpc *b)
{
	assert(span_eq(a->nodes[FAMILY_V4], b->nodes[FAMILY_V4]));
	assert(span_eq(a->nodes[FAMILY_V6], b->nodes[FAMILY_V6]));
	assert(span_eq(a->values, b->values));
	assert(span_eq(a->samples, b->samples));
	assert(a->life_s == b->life_s);
	assert(
	    !a->samples.p || (a->num == b->num && a->interval == b->interval));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t first[2 * INPUT_MAX], again[2 * INPUT_MAX];
	struct writer w = wr_init(first, sizeof(first));
	struct writer v = wr_init(again, sizeof(again));
	struct krpc a, b;

	if (size > INPUT_MAX || krpc_decode(span_of(data, size), &scratch, &a))
		return 0;
	check_lists(&a);
	if (a.kind == KRPC_QUERY &&
	    (a.method == KRPC_OTHER || (a.fault && !has_no_id(&a))))
		return 0;
	krpc_encode(&a, &w);
	assert(!w.bad);
	assert(krpc_decode(wr_span_of(&w), &scratch, &b) == ERR_OK);
	check_head(&a, &b);
	if (a.kind == KRPC_QUERY)
		check_query(&a, &b);
	if (a.kind == KRPC_RESPONSE)
		check_answer(&a, &b);
	if (a.kind != KRPC_ERROR)
		check_item(&a, &b);
	krpc_encode(&b, &v);
	assert(!v.bad && span_eq(wr_span_of(&w), wr_span_of(&v)));
	return 0;
}
