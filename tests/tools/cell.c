/*
 * Pair cells by hand, for tests that meet a daemon in the DHT. All keys hex.
 *
 *   cell key  SEED PEER_ID mine|theirs UNIX_S   where the cell of the pair is
 *   cell seal SEED PEER_ID SEQ PORT UNIX_S      our cell, naming 127.0.0.1
 *   cell open SEED PEER_ID SEQ VALUE UNIX_S     theirs, as the DHT gave it
 *
 * SEED is the Ed25519 seed of this side. Prints one JSON object. The secret
 * key of a cell is printed expanded, as libtorrent takes it.
 */
#include "proto/base/text.h"
#include "proto/chat/contact.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct side {
	struct id_pk id;
	struct id_sk sk;
	struct contact contact;
	bool lower;
};

static _Noreturn void
die(const char *what)
{
	fprintf(stderr, "cell: %s\n", what);
	exit(2);
}

static void
unhex(const char *text, void *ret, size_t n)
{
	struct writer w = wr_init(ret, n);

	if (hex_decode(span_str(text), &w) || w.n != n)
		die("bad hex");
}

static void
print_hex(const char *name, const void *p, size_t n)
{
	char text[2 * CELL_VALUE_SIZE + 1];

	if (n > CELL_VALUE_SIZE)
		die("too long");
	hex_encode(span_of(p, n), text);
	printf("\"%s\":\"%s\",", name, text);
}

static void
load(const char *seed_hex, const char *peer_hex, struct side *ret)
{
	static const struct contact_id none;
	struct id_seed seed;
	struct id_pk peer;

	unhex(seed_hex, seed.b, sizeof(seed.b));
	unhex(peer_hex, peer.b, sizeof(peer.b));
	identity_from_seed(&seed, &ret->id, &ret->sk);
	if (contact_init_mutual(&ret->contact, &none, &ret->sk, &peer))
		die("not an ID");
	ret->lower = id_cmp(&ret->id, &peer) < 0;
}

static void
key_of(const struct side *s, bool mine, uint64_t now_s, struct cell_key *ret)
{
	enum cell_dir dir = mine == s->lower ? CELL_LOWER : CELL_HIGHER;

	cell_key_derive(
	    &s->contact.disc, dir, cell_epoch(&s->contact.disc, now_s), ret);
}

static void
print_key(const struct cell_key *k)
{
	uint8_t expanded[64];

	crypto_hash_sha512(expanded, k->sk, 32);
	expanded[0] &= 248;
	expanded[31] &= 63;
	expanded[31] |= 64;
	print_hex("pk", k->pk, sizeof(k->pk));
	print_hex("sk", expanded, sizeof(expanded));
	print_hex("seed", k->sk, 32);
	printf("\"epoch\":%" PRIu64 "}\n", k->epoch);
}

static void
seal(struct side *s, int64_t seq, uint16_t port, uint64_t now_s)
{
	static const uint8_t local[4] = { 127, 0, 0, 1 };
	uint8_t nonce[CELL_NONCE_SIZE], value[CELL_VALUE_SIZE];
	struct cell cell = { .unix_min = now_s / 60, .n_candidates = 1 };
	struct cert cert = { .gen = 1 };
	struct static_sk sk;
	struct cell_key k;

	randombytes_buf(sk.b, sizeof(sk.b));
	randombytes_buf(nonce, sizeof(nonce));
	randombytes_buf(cell.reach.b, sizeof(cell.reach.b));
	crypto_scalarmult_base(cert.s.b, sk.b);
	cert.not_before_s = now_s - 86400;
	cert.not_after_s = now_s + 86400;
	cert_sign(&s->sk, &cert, &cell.cert);
	cell.candidates[0] = endpoint_v4(local, port);
	key_of(s, true, now_s, &k);
	cell_seal(&k, seq, &cell, nonce, value);
	printf("{");
	print_hex("value", value, sizeof(value));
	print_key(&k);
}

static void
open_theirs(struct side *s, int64_t seq, const char *hex, uint64_t now_s)
{
	uint8_t value[CELL_VALUE_SIZE];
	struct cell_key k;
	struct cell cell;

	unhex(hex, value, sizeof(value));
	key_of(s, false, now_s, &k);
	if (cell_open(&k, seq, span_of(value, sizeof(value)), &s->contact.pk,
	        now_s, &cell))
		die("does not open");
	printf("{");
	print_hex("static", cell.says.s.b, sizeof(cell.says.s.b));
	print_hex("reach", cell.reach.b, sizeof(cell.reach.b));
	printf("\"ports\":[");
	for (uint8_t i = 0; i < cell.n_candidates; i++)
		printf("%s%u", i ? "," : "", cell.candidates[i].port);
	printf("]}\n");
}

int
main(int argc, char **argv)
{
	struct side s;
	struct cell_key k;

	if (sodium_init() < 0 || argc < 6)
		die("see the top of tests/tools/cell.c");
	load(argv[2], argv[3], &s);
	if (strcmp(argv[1], "key") == 0 && argc == 6) {
		key_of(&s, strcmp(argv[4], "mine") == 0,
		    strtoull(argv[5], NULL, 10), &k);
		printf("{");
		print_key(&k);
	} else if (strcmp(argv[1], "seal") == 0 && argc == 7) {
		seal(&s, strtoll(argv[4], NULL, 10),
		    (uint16_t)strtoul(argv[5], NULL, 10),
		    strtoull(argv[6], NULL, 10));
	} else if (strcmp(argv[1], "open") == 0 && argc == 7) {
		open_theirs(&s, strtoll(argv[4], NULL, 10), argv[5],
		    strtoull(argv[6], NULL, 10));
	} else {
		die("see the top of tests/tools/cell.c");
	}
	return 0;
}
