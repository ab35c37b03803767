/* Known answers of what two contacts share: roots, safety numbers, cells. */
#include "proto/base/bencode.h"
#include "proto/crypto/cell.h"
#include "proto/crypto/identity.h"
#include "proto/crypto/pair.h"
#include "proto/dht/dht.h"
#include "tests/support/vectors.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static bool
is_field(const cJSON *o, const char *key, const void *p, size_t n)
{
	struct blob b = json_blob(o, key);

	return blob_is(&b, p, n);
}

/* ---- pair roots ---- */

static bool
root_gives(const cJSON *o, const struct pair_root *pr, const char *rk0,
    const char *disc)
{
	struct ratchet_key rk;
	struct disc_key d;

	pair_rk0(pr, &rk);
	pair_disc(pr, &d);
	return is_field(o, rk0, rk.b, 32) && is_field(o, disc, d.b, 32);
}

static bool
rids_are(const cJSON *o, const struct pair_root *pr)
{
	struct ratchet_key rk;
	struct ratchet_key fallback;
	struct rid rid;

	pair_rk0(pr, &rk);
	pair_rid(&rk, &rid);
	pair_fallback(&rk, &fallback);
	return is_field(o, "rid_rk0", rid.b, sizeof(rid.b)) &&
	       (!json_item(o, "fallback") ||
	           is_field(o, "fallback", fallback.b, 32));
}

/* As side 1 or 2 of a mutual pair. */
static bool
mutual_as(const cJSON *o, int side)
{
	char seed_key[8];
	char peer_key[8];
	struct id_seed seed;
	struct id_pk pk;
	struct id_pk peer;
	struct id_sk sk;
	struct pair_root pr;

	snprintf(seed_key, sizeof(seed_key), "seed_%d", side);
	snprintf(peer_key, sizeof(peer_key), "ID_%d", 3 - side);
	if (!json_bytes(o, seed_key, seed.b, sizeof(seed.b)) ||
	    !json_bytes(o, peer_key, peer.b, sizeof(peer.b)))
		return false;
	identity_from_seed(&seed, &pk, &sk);
	if (pair_root_mutual(&sk, &peer, &pr))
		return false;
	return is_field(o, "PR", pr.b, 32) &&
	       root_gives(o, &pr, "rk0", "disc") && rids_are(o, &pr);
}

static void
pair_invitation(struct vectors *v, const cJSON *o)
{
	struct invite_secret inv;
	struct id_pk inviter;
	struct pair_root pr;
	struct reach_key reach;
	struct blob ck = json_blob(o, "ck");
	struct blob h = json_blob(o, "h");

	if (!json_bytes(o, "inv", inv.b, 32) ||
	    !json_bytes(o, "ID_inviter", inviter.b, 32) || ck.n != 32 ||
	    h.n != 32) {
		vectors_case(v, false, "invitation: fields");
		return;
	}
	pair_invite_reach(&inv, &reach);
	pair_root_invite(&inv, &inviter, &pr);
	vectors_case(v, is_field(o, "R", reach.b, 32), "invitation: R");
	vectors_case(v,
	    is_field(o, "PR0", pr.b, 32) && root_gives(o, &pr, "rk0", "disc") &&
	        rids_are(o, &pr),
	    "invitation: PR0");
	pair_root_next(ck.b, h.b, &pr);
	vectors_case(v,
	    is_field(o, "PR", pr.b, 32) &&
	        root_gives(o, &pr, "rk0_after", "disc_after"),
	    "invitation: PR");
}

static bool
root_refused(const cJSON *o)
{
	const struct id_seed seed = { { 1 } };
	struct id_pk pk;
	struct id_pk peer;
	struct id_sk sk;
	struct pair_root pr;

	identity_from_seed(&seed, &pk, &sk);
	return json_bytes(o, "ID_2", peer.b, sizeof(peer.b)) &&
	       pair_root_mutual(&sk, &peer, &pr) == ERR_BAD_KEY;
}

bool
vectors_pair(struct vectors *v, const cJSON *json)
{
	const cJSON *o;
	int i = 0;

	if (!json_item(json, "mutual"))
		return false;
	cJSON_ArrayForEach(o, json_item(json, "mutual"))
	{
		vectors_case(v, mutual_as(o, 1), "mutual %d, side 1", i);
		vectors_case(v, mutual_as(o, 2), "mutual %d, side 2", i++);
	}
	if (json_item(json, "invitation"))
		pair_invitation(v, json_item(json, "invitation"));
	cJSON_ArrayForEach(o, json_item(json, "refused_ID")) vectors_case(
	    v, root_refused(o), "refused ID: %s", json_string(o, "reason"));
	return true;
}

/* ---- safety numbers ---- */

static bool
safety_is(const cJSON *o, const char *first, const char *second)
{
	const char *want = json_string(o, "digits");
	char got[SAFETY_DIGITS + 1];
	struct id_pk a;
	struct id_pk b;

	if (!json_bytes(o, first, a.b, 32) || !json_bytes(o, second, b.b, 32))
		return false;
	safety_number(&a, &b, got);
	return want && strcmp(got, want) == 0;
}

bool
vectors_safety(struct vectors *v, const cJSON *json)
{
	const cJSON *list = json_item(json, "vectors");
	const cJSON *o;

	if (!json_item(cJSON_GetArrayItem(list, 0), "digits"))
		return false;
	cJSON_ArrayForEach(o, list)
	{
		vectors_case(v, safety_is(o, "ID_1", "ID_2"), "safety %s",
		    json_string(o, "digits"));
		vectors_case(v, safety_is(o, "ID_2", "ID_1"),
		    "safety %s, exchanged", json_string(o, "digits"));
	}
	return true;
}

/* ---- cells ---- */

struct cell_file {
	const cJSON *json;
	struct disc_key disc;
};

static bool
reads_are(const cJSON *moment, const struct disc_key *disc, uint64_t unix_s)
{
	const cJSON *read = json_item(moment, "read");
	uint64_t got[2];

	cell_epochs_read(disc, unix_s, got);
	for (int i = 0; i < 2; i++) {
		const cJSON *e = cJSON_GetArrayItem(read, i);

		if (!cJSON_IsNumber(e) || (uint64_t)e->valuedouble != got[i])
			return false;
	}
	return cell_epoch(disc, unix_s) == json_number(moment, "e");
}

static bool
seq_is(const cJSON *put, const char *key, const struct disc_key *disc,
    enum cell_dir dir, uint64_t unix_s)
{
	struct cell_key k;
	int64_t seq;

	cell_key_derive(disc, dir, json_number(put, "e"), &k);
	return !cell_seq(&k, unix_s, &seq) && seq >= 0 &&
	       (uint64_t)seq == json_number(put, key);
}

static void
cell_moment(struct vectors *v, const struct cell_file *f, const cJSON *moment)
{
	uint64_t unix_s = json_number(moment, "unix_s");
	const cJSON *publish = json_item(moment, "publish");
	uint64_t got[2];
	unsigned n = cell_epochs_write(&f->disc, unix_s, got);
	const cJSON *put;
	unsigned found = 0;

	vectors_case(v, reads_are(moment, &f->disc, unix_s),
	    "epochs to read at %ju", (uintmax_t)unix_s);
	cJSON_ArrayForEach(put, publish)
	{
		for (unsigned i = 0; i < n; i++)
			found += got[i] == json_number(put, "e");
		vectors_case(v,
		    seq_is(put, "seq_d0", &f->disc, CELL_LOWER, unix_s) &&
		        seq_is(put, "seq_d1", &f->disc, CELL_HIGHER, unix_s),
		    "seq at %ju", (uintmax_t)unix_s);
	}
	vectors_case(v, found == n && (int)n == cJSON_GetArraySize(publish),
	    "epochs to publish to at %ju", (uintmax_t)unix_s);
}

static bool
read_candidate(const cJSON *o, struct endpoint *ret)
{
	const char *text = json_string(o, "address");
	uint8_t v4[4];
	unsigned a[4];

	*ret = (struct endpoint){ .port = (uint16_t)json_number(o, "port") };
	if (json_number(o, "kind") != 4)
		return false; /* compared by its bytes in `plain` instead */
	if (!text ||
	    sscanf(text, "%u.%u.%u.%u", &a[0], &a[1], &a[2], &a[3]) != 4)
		return false;
	for (int i = 0; i < 4; i++)
		v4[i] = (uint8_t)a[i];
	*ret = endpoint_v4(v4, ret->port);
	return true;
}

/* Every v4 candidate of the vector is the one at its place in the cell. */
static bool
candidates_are(const cJSON *o, const struct cell *c)
{
	const cJSON *list = json_item(o, "candidates");

	if (cJSON_GetArraySize(list) != c->n_candidates)
		return false;
	for (int i = 0; i < c->n_candidates; i++) {
		struct endpoint e;

		if (read_candidate(cJSON_GetArrayItem(list, i), &e) &&
		    !endpoint_eq(&e, &c->candidates[i]))
			return false;
	}
	return true;
}

static bool
is_introducer(const cJSON *o, const struct cell_introducer *i)
{
	struct endpoint e;
	const char *text = json_string(o, "address");

	if (!is_field(o, "N", i->n.b, sizeof(i->n.b)) ||
	    !is_field(o, "handle", i->handle, sizeof(i->handle)))
		return false;
	e = (struct endpoint){ .port = (uint16_t)json_number(o, "port") };
	if (!text || inet_pton(AF_INET6, text, e.addr) != 1) {
		uint8_t v4[4];

		if (!text || inet_pton(AF_INET, text, v4) != 1)
			return false;
		e = endpoint_v4(v4, e.port);
	}
	return endpoint_eq(&e, &i->at);
}

/* A cell without the list names none. */
static bool
introducers_are(const cJSON *o, const struct cell *c)
{
	const cJSON *list = json_item(o, "introducers");

	if ((list ? cJSON_GetArraySize(list) : 0) != c->n_introducers)
		return false;
	for (int i = 0; i < c->n_introducers; i++)
		if (!is_introducer(
		        cJSON_GetArrayItem(list, i), &c->introducers[i]))
			return false;
	return true;
}

static bool
cell_says(const cJSON *o, const struct cell *c)
{
	return is_field(o, "cert", c->cert.b, CERT_SIZE) &&
	       is_field(o, "R", c->reach.b, 32) &&
	       c->unix_min == json_number(o, "unix_minute") &&
	       (unsigned)c->has_id == (json_number(o, "flags") & 1) &&
	       (unsigned)c->nat == json_number(o, "nat_class") &&
	       c->says.gen == json_number(o, "gen") &&
	       c->says.not_before_s == json_number(o, "not_before") &&
	       c->says.not_after_s == json_number(o, "not_after") &&
	       candidates_are(o, c) && introducers_are(o, c);
}

static bool
writer_of(const struct cell_file *f, const cJSON *o, struct id_pk *ret)
{
	const char *who = json_string(o, "writer");

	return who && json_bytes(json_item(f->json, who), "ID", ret->b,
	                  sizeof(ret->b));
}

static void
derive_for(const struct cell_file *f, const cJSON *o, struct cell_key *ret)
{
	cell_key_derive(&f->disc,
	    json_number(o, "d") ? CELL_HIGHER : CELL_LOWER, json_number(o, "e"),
	    ret);
}

/* Opens it, compares what it says, seals it again. */
static bool
cell_round(const struct cell_file *f, const cJSON *o, const struct cell_key *k)
{
	struct blob value = json_blob(o, "value");
	struct blob nonce = json_blob(o, "nonce");
	uint8_t again[CELL_VALUE_SIZE];
	struct id_pk writer;
	struct cell c;
	int64_t seq = (int64_t)json_number(o, "seq");

	if (!writer_of(f, o, &writer) || nonce.n != CELL_NONCE_SIZE)
		return false;
	if (cell_open(k, seq, blob_span(&value), &writer,
	        json_number(o, "unix_s"), &c))
		return false;
	if (!cell_says(o, &c))
		return false;
	cell_seal(k, seq, &c, nonce.b, again);
	return blob_is(&value, again, sizeof(again));
}

/* The certificate as its writer signs it. */
static bool
cert_again(const struct cell_file *f, const cJSON *o)
{
	struct blob want = json_blob(o, "cert");
	struct cert_bytes in;
	struct cert_bytes got;
	struct id_seed seed;
	struct id_pk pk;
	struct id_sk sk;
	struct cert c;

	if (want.n != CERT_SIZE ||
	    !json_bytes(json_item(f->json, json_string(o, "writer")), "seed",
	        seed.b, sizeof(seed.b)))
		return false;
	memcpy(in.b, want.b, sizeof(in.b));
	identity_from_seed(&seed, &pk, &sk);
	if (cert_open(&in, &pk, json_number(o, "unix_s"), &c))
		return false;
	cert_sign(&sk, &c, &got);
	return blob_is(&want, got.b, sizeof(got.b));
}

/* Put as a BEP 44 item, with and without salt. */
static bool
put_is(const cJSON *put, const struct cell_key *k, const struct blob *value,
    uint64_t seq)
{
	const char *salt = json_string(put, "salt");
	struct span s = span_str(salt ? salt : "");
	struct dht_item item = { .seq = (int64_t)seq };
	struct writer w = wr_init(item.v, sizeof(item.v));
	struct target target;

	if (s.n > sizeof(item.salt))
		return false;
	memcpy(item.pk, k->pk, sizeof(item.pk));
	memcpy(item.salt, s.p, s.n);
	item.salt_n = (uint8_t)s.n;
	be_str(&w, value->b, value->n);
	item.v_n = (uint16_t)w.n;
	dht_item_sign(&item, k->sk);
	dht_item_target(k->pk, s, &target);
	return is_field(put, "sig", item.sig, sizeof(item.sig)) &&
	       is_field(put, "target", target.b, sizeof(target.b)) &&
	       dht_item_verify(&item) == ERR_OK;
}

static void
cell_case(struct vectors *v, const struct cell_file *f, const cJSON *o, int i)
{
	struct cell_key k;
	struct blob value = json_blob(o, "value");
	const cJSON *put;
	int64_t seq;

	derive_for(f, o, &k);
	vectors_case(v,
	    is_field(o, "k", k.pk, 32) && is_field(o, "vkey", k.vkey, 32),
	    "cell %d: keys", i);
	vectors_case(v,
	    !cell_seq(&k, json_number(o, "unix_s"), &seq) &&
	        (uint64_t)seq == json_number(o, "seq"),
	    "cell %d: seq", i);
	vectors_case(v, cell_round(f, o, &k), "cell %d: value", i);
	vectors_case(v, cert_again(f, o), "cell %d: certificate", i);
	cJSON_ArrayForEach(put, json_item(o, "put"))
	    vectors_case(v, put_is(put, &k, &value, json_number(o, "seq")),
	        "cell %d: put with salt \"%s\"", i, json_string(put, "salt"));
}

static bool
cell_refused(const struct cell_file *f, const cJSON *o)
{
	const cJSON *of = cJSON_GetArrayItem(
	    json_item(f->json, "cells"), (int)json_number(o, "cell"));
	struct blob value = json_blob(o, "value");
	struct id_pk writer;
	struct cell_key k;
	struct cell c;

	if (!of || !value.there || !writer_of(f, of, &writer))
		return false;
	derive_for(f, of, &k);
	return cell_open(&k, (int64_t)json_number(of, "seq"), blob_span(&value),
	           &writer, json_number(of, "unix_s"), &c) != ERR_OK;
}

bool
vectors_cell(struct vectors *v, const cJSON *json)
{
	struct cell_file f = { .json = json };
	const cJSON *o;
	int i = 0;

	if (!json_item(json, "cells") ||
	    !json_bytes(json, "disc", f.disc.b, sizeof(f.disc.b)))
		return false;
	cJSON_ArrayForEach(o, json_item(json, "times")) cell_moment(v, &f, o);
	cJSON_ArrayForEach(o, json_item(json, "cells"))
	    cell_case(v, &f, o, i++);
	cJSON_ArrayForEach(o, json_item(json, "refused")) vectors_case(
	    v, cell_refused(&f, o), "refused: %s", json_string(o, "reason"));
	return true;
}
