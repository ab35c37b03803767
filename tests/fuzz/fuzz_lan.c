/*
 * A datagram to the group of the local network. The first byte says where
 * the true tokens of our contact go, which a fuzzer cannot guess: bit 0 his
 * beacon's, bit 1 his cell's at the begin; the rest are the bytes.
 */
#include "proto/chat/lan.h"
#include "proto/crypto/pair.h"
#include "proto/node.h"

#include "tests/fuzz/fuzz.h"
#include "tests/support/rng.h"

#include <assert.h>
#include <string.h>

enum { OUT_MAX = 3 * 1024 + 3 * 168 }; /* three answers at most */

static const struct now now = { 1000, UINT64_C(1796123323456) };
static struct node *node;
static struct test_rng dice;
static struct disc_key disc;
static enum cell_dir dir; /* theirs */

static void
drain(size_t *n_bytes)
{
	struct effect e;

	while (node_next_effect(node, &e))
		if (e.kind == EFFECT_SEND || e.kind == EFFECT_LAN)
			*n_bytes += e.data.n;
	assert(!node_failed(node));
}

static void
begin(void)
{
	struct node_config cfg = { .rng = &dice.rng, .lan = true };
	struct id_seed seed[2];
	struct id_pk pk[2];
	struct id_sk sk[2];
	struct pair_root root;
	struct contact_id contact;
	size_t n = 0;
	enum err err;

	for (int i = 0; i < 2; i++) {
		memset(seed[i].b, i + 1, sizeof(seed[i].b));
		identity_from_seed(&seed[i], &pk[i], &sk[i]);
	}
	test_rng_init(&dice, 1);
	cfg.family[FAMILY_V4] = true;
	node = node_new(&cfg, now);
	assert(node);
	err = node_set_identity(node, &seed[0], span_of(NULL, 0), now);
	assert(!err);
	err = node_contact_add(node, &pk[1], &contact, now);
	assert(!err);
	err = pair_root_mutual(&sk[0], &pk[1], &root);
	assert(!err);
	pair_disc(&root, &disc);
	dir = id_cmp(&pk[0], &pk[1]) < 0 ? CELL_HIGHER : CELL_LOWER;
	node_tick(node, now);
	drain(&n);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t v4[4] = { 192, 168, 7, 3 };
	struct endpoint from = endpoint_v4(v4, 4000);
	uint64_t slot = lan_slot(now.wall_ms / 1000);
	uint8_t b[LAN_SIZE + 8] = { 0 };
	struct lan_token t;
	static size_t n_bytes;

	if (!node)
		begin();
	if (size < 1 || size - 1 > sizeof(b))
		return 0;
	memcpy(b, data + 1, size - 1);
	if (data[0] & 1) {
		lan_token(&disc, LAN_BEACON, dir, slot, &t);
		memcpy(b + 8 * (data[0] >> 2), t.b, sizeof(t.b));
	}
	if (data[0] & 2) {
		lan_token(&disc, LAN_CELL, dir, slot, &t);
		memcpy(b, t.b, sizeof(t.b));
	}
	node_lan_receive(
	    node, &from, span_of(b, data[0] & 3 ? LAN_SIZE : size - 1), now);
	drain(&n_bytes);
	assert(n_bytes <= OUT_MAX); /* of all inputs: time stands still */
	return 0;
}
