/* Pair cells: epochs, keys, sealing and opening. [SPEC §4.2] */
#include "proto/crypto/cell.h"

#include "proto/crypto/kdf.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	CELL_VERSION = 1,
	CELL_FLAG_ID = 1,
	CELL_AAD_SIZE = 40,
	CANDIDATE_V4 = 4,
	CANDIDATE_V6 = 6,
	INTRODUCER_SIZE = 16 + 2 + 32 + CELL_HANDLE_SIZE,
};

_Static_assert(
    CELL_MINUTES == (CELL_EPOCH_S + 2 * CELL_EDGE_S) / 60, "minutes");
_Static_assert(CELL_VALUE_SIZE == CELL_NONCE_SIZE + CELL_PLAIN_SIZE +
                                      crypto_aead_xchacha20poly1305_ietf_ABYTES,
    "value");
_Static_assert(
    CELL_NONCE_SIZE == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "nonce");

/* ---- epochs ---- */

static uint32_t
first_u32(const uint8_t b[32])
{
	struct reader r = rd_init(span_of(b, 4));

	return rd_u32le(&r);
}

static uint32_t
day_offset_s(const struct disc_key *disc)
{
	uint8_t out[32];
	uint32_t v;

	kdf_label(disc->b, "btchat/1 epoch", span_of(NULL, 0), out);
	v = first_u32(out) % CELL_EPOCH_S;
	sodium_memzero(out, sizeof(out));
	return v;
}

/* Seconds of the pair's calendar. */
static uint64_t
pair_time(const struct disc_key *disc, uint64_t unix_s)
{
	assert(unix_s <= UINT64_MAX - CELL_EPOCH_S);
	return unix_s + day_offset_s(disc);
}

uint64_t
cell_epoch(const struct disc_key *disc, uint64_t unix_s)
{
	return pair_time(disc, unix_s) / CELL_EPOCH_S;
}

void
cell_epochs_read(const struct disc_key *disc, uint64_t unix_s, uint64_t ret[2])
{
	uint64_t t = pair_time(disc, unix_s);
	uint64_t e = t / CELL_EPOCH_S;
	bool early = t % CELL_EPOCH_S < CELL_EPOCH_S / 2;

	ret[0] = e;
	ret[1] = early && e > 0 ? e - 1 : e + 1;
}

unsigned
cell_epochs_write(const struct disc_key *disc, uint64_t unix_s, uint64_t ret[2])
{
	uint64_t t = pair_time(disc, unix_s);
	uint64_t e = t / CELL_EPOCH_S;
	uint64_t into = t % CELL_EPOCH_S;

	ret[0] = e;
	if (into < CELL_EDGE_S && e > 0) {
		ret[1] = e - 1;
		return 2;
	}
	if (into >= CELL_EPOCH_S - CELL_EDGE_S) {
		ret[1] = e + 1;
		return 2;
	}
	return 1;
}

/* ---- keys ---- */

/* HM(disc, label || d || LE64 e) */
static void
derive(const struct disc_key *disc, const char *label, enum cell_dir dir,
    uint64_t epoch, uint8_t ret[32])
{
	uint8_t x[9];
	struct writer w = wr_init(x, sizeof(x));

	wr_u8(&w, (uint8_t)dir);
	wr_u64le(&w, epoch);
	assert(!w.bad && w.n == sizeof(x));
	kdf_label(disc->b, label, wr_span_of(&w), ret);
}

void
cell_key_derive(const struct disc_key *disc, enum cell_dir dir, uint64_t epoch,
    struct cell_key *ret)
{
	uint8_t out[32];

	assert(dir == CELL_LOWER || dir == CELL_HIGHER);
	derive(disc, "btchat/1 cell", dir, epoch, out);
	crypto_sign_seed_keypair(ret->pk, ret->sk, out);
	derive(disc, "btchat/1 value", dir, epoch, ret->vkey);
	kdf_label(ret->vkey, "btchat/1 seq", span_of(NULL, 0), out);
	ret->seq_base = first_u32(out);
	ret->offset_s = day_offset_s(disc);
	ret->epoch = epoch;
	sodium_memzero(out, sizeof(out));
}

void
cell_key_wipe(struct cell_key *k)
{
	assert(k);
	sodium_memzero(k, sizeof(*k));
}

enum err
cell_seq(const struct cell_key *k, uint64_t unix_s, int64_t *ret)
{
	uint64_t t = unix_s;
	uint64_t start;

	assert(k->offset_s < CELL_EPOCH_S);
	if (unix_s > UINT64_MAX / 2 || k->epoch > UINT64_MAX / 2 / CELL_EPOCH_S)
		return ERR_LIMIT;
	t += k->offset_s + CELL_EDGE_S;
	start = k->epoch * CELL_EPOCH_S;
	if (t < start || (t - start) / 60 >= CELL_MINUTES)
		return ERR_LIMIT;
	*ret = (int64_t)k->seq_base + (int64_t)((t - start) / 60);
	return ERR_OK;
}

enum err
cell_seq_time(const struct cell_key *k, int64_t seq, uint64_t *ret)
{
	int64_t minute = seq - (int64_t)k->seq_base;
	uint64_t start = k->epoch * CELL_EPOCH_S;

	assert(k->epoch <= UINT64_MAX / 2 / CELL_EPOCH_S);
	if (seq < 0 || minute < 0 || minute >= CELL_MINUTES)
		return ERR_LIMIT;
	start += (uint64_t)minute * 60;
	if (start < k->offset_s + CELL_EDGE_S)
		return ERR_LIMIT;
	*ret = start - k->offset_s - CELL_EDGE_S;
	return ERR_OK;
}

/* ---- sealing ---- */

static void
make_aad(const struct cell_key *k, int64_t seq, uint8_t ret[CELL_AAD_SIZE])
{
	struct writer w = wr_init(ret, CELL_AAD_SIZE);

	wr_bytes(&w, k->pk, sizeof(k->pk));
	wr_u64le(&w, (uint64_t)seq);
	assert(!w.bad && w.n == CELL_AAD_SIZE);
}

static void
write_candidate(struct writer *w, const struct endpoint *e)
{
	bool v4 = endpoint_family(e) == FAMILY_V4;

	wr_u8(w, v4 ? CANDIDATE_V4 : CANDIDATE_V6);
	wr_bytes(w, e->addr, sizeof(e->addr));
	wr_u16be(w, e->port);
}

static void
write_introducer(struct writer *w, const struct cell_introducer *i)
{
	wr_bytes(w, i->at.addr, sizeof(i->at.addr));
	wr_u16be(w, i->at.port);
	wr_bytes(w, i->n.b, sizeof(i->n.b));
	wr_bytes(w, i->handle, sizeof(i->handle));
}

/* As many as there is room for. Their number is what was a zero before there
 * were any. */
static void
write_introducers(struct writer *w, const struct cell *in)
{
	size_t room = (CELL_PLAIN_SIZE - w->n - 1) / INTRODUCER_SIZE;
	uint8_t n = in->n_introducers;

	assert(n <= CELL_INTRODUCERS_MAX);
	if (n > room)
		n = (uint8_t)room;
	wr_u8(w, n);
	for (int i = 0; i < n; i++)
		write_introducer(w, &in->introducers[i]);
}

static void
write_plain(const struct cell *in, uint8_t ret[CELL_PLAIN_SIZE])
{
	struct writer w = wr_init(ret, CELL_PLAIN_SIZE);

	assert(in->n_candidates <= CELL_CANDIDATES_MAX);
	assert(in->unix_min <= UINT32_MAX);
	wr_u8(&w, CELL_VERSION);
	wr_u8(&w, in->has_id ? CELL_FLAG_ID : 0);
	wr_u32le(&w, (uint32_t)in->unix_min);
	wr_bytes(&w, in->cert.b, sizeof(in->cert.b));
	wr_bytes(&w, in->reach.b, sizeof(in->reach.b));
	if (in->has_id)
		wr_bytes(&w, in->id.b, sizeof(in->id.b));
	wr_u8(&w, (uint8_t)in->nat);
	wr_u8(&w, in->n_candidates);
	for (int i = 0; i < in->n_candidates; i++)
		write_candidate(&w, &in->candidates[i]);
	write_introducers(&w, in);
	wr_zeros(&w, CELL_PLAIN_SIZE - w.n);
	assert(!w.bad && w.n == CELL_PLAIN_SIZE);
}

void
cell_nonce(const struct cell_key *k, int64_t seq, const struct cell *in,
    uint8_t ret[CELL_NONCE_SIZE])
{
	uint8_t plain[CELL_PLAIN_SIZE];
	uint8_t key[32];
	uint8_t aad[CELL_AAD_SIZE];
	const struct span parts[] = {
		span_of(aad, sizeof(aad)),
		span_of(plain, sizeof(plain)),
	};

	write_plain(in, plain);
	make_aad(k, seq, aad);
	kdf_label(k->vkey, "btchat/1 cell nonce", span_of(NULL, 0), key);
	kdf_b2(span_of(key, sizeof(key)), parts, 2, ret, CELL_NONCE_SIZE);
	sodium_memzero(key, sizeof(key));
	sodium_memzero(plain, sizeof(plain));
}

uint64_t
cell_digest(const struct cell *in)
{
	uint8_t plain[CELL_PLAIN_SIZE];
	struct cell timeless = *in;
	const struct span part = span_of(plain, sizeof(plain));
	uint8_t hash[8];
	struct reader r = rd_init(span_of(hash, sizeof(hash)));

	timeless.unix_min = 0;
	write_plain(&timeless, plain);
	kdf_b2(span_of(NULL, 0), &part, 1, hash, sizeof(hash));
	sodium_memzero(plain, sizeof(plain));
	sodium_memzero(&timeless, sizeof(timeless));
	return rd_u64le(&r);
}

void
cell_seal(const struct cell_key *k, int64_t seq, const struct cell *in,
    const uint8_t nonce[CELL_NONCE_SIZE], uint8_t ret[CELL_VALUE_SIZE])
{
	uint8_t plain[CELL_PLAIN_SIZE];
	uint8_t aad[CELL_AAD_SIZE];

	write_plain(in, plain);
	make_aad(k, seq, aad);
	memcpy(ret, nonce, CELL_NONCE_SIZE);
	crypto_aead_xchacha20poly1305_ietf_encrypt(ret + CELL_NONCE_SIZE, NULL,
	    plain, sizeof(plain), aad, sizeof(aad), NULL, nonce, k->vkey);
	sodium_memzero(plain, sizeof(plain));
}

/* ---- opening ---- */

/* Kinds that came later, or say another family than they hold, are skipped. */
static void
read_candidate(struct reader *r, struct cell *c)
{
	uint8_t kind = rd_u8(r);
	struct endpoint e;
	bool v4;

	rd_bytes(r, e.addr, sizeof(e.addr));
	e.port = rd_u16be(r);
	if (r->bad)
		return;
	v4 = endpoint_family(&e) == FAMILY_V4;
	if (kind == (v4 ? CANDIDATE_V4 : CANDIDATE_V6))
		c->candidates[c->n_candidates++] = e;
}

/* One that nobody can send to is skipped. */
static void
read_introducer(struct reader *r, struct cell *c)
{
	struct cell_introducer i;

	rd_bytes(r, i.at.addr, sizeof(i.at.addr));
	i.at.port = rd_u16be(r);
	rd_bytes(r, i.n.b, sizeof(i.n.b));
	rd_bytes(r, i.handle, sizeof(i.handle));
	if (r->bad || i.at.port == 0 || endpoint_scope(&i.at) == SCOPE_UNUSABLE)
		return;
	assert(c->n_introducers < CELL_INTRODUCERS_MAX);
	c->introducers[c->n_introducers++] = i;
}

/* All that may be of different length. */
static enum err
read_lists(struct reader *r, struct cell *c)
{
	uint8_t n = rd_u8(r);
	uint8_t m;

	if (n > CELL_CANDIDATES_MAX)
		return ERR_MALFORMED;
	for (int i = 0; i < n; i++)
		read_candidate(r, c);
	m = rd_u8(r);
	if (m > CELL_INTRODUCERS_MAX)
		return ERR_MALFORMED;
	for (int i = 0; i < m; i++)
		read_introducer(r, c);
	return ERR_OK;
}

static enum err
read_plain(struct span plain, struct cell *c)
{
	struct reader r = rd_init(plain);
	uint8_t version = rd_u8(&r);
	uint8_t flags = rd_u8(&r);
	uint8_t nat;
	struct span rest;

	if (version != CELL_VERSION || (flags & ~CELL_FLAG_ID) != 0)
		return ERR_UNSUPPORTED;
	c->unix_min = rd_u32le(&r);
	rd_bytes(&r, c->cert.b, sizeof(c->cert.b));
	rd_bytes(&r, c->reach.b, sizeof(c->reach.b));
	c->has_id = flags & CELL_FLAG_ID;
	if (c->has_id)
		rd_bytes(&r, c->id.b, sizeof(c->id.b));
	nat = rd_u8(&r);
	c->nat = nat < NAT_CLASSES ? (enum nat_class)nat : NAT_UNKNOWN;
	if (read_lists(&r, c))
		return ERR_MALFORMED;
	rest = rd_span(&r, r.n);
	if (!rd_done(&r) || !sodium_is_zero(rest.p, rest.n))
		return ERR_MALFORMED;
	return ERR_OK;
}

/* The ID that must have signed: the one we know, or the one it brings. */
static enum err
find_writer(const struct cell *c, const struct id_pk **writer)
{
	if (!*writer) {
		if (!c->has_id)
			return ERR_MALFORMED;
		*writer = &c->id;
		return identity_check(&c->id);
	}
	if (c->has_id && !id_eq(&c->id, *writer))
		return ERR_AUTH;
	return ERR_OK;
}

enum err
cell_open(const struct cell_key *k, int64_t seq, struct span value,
    const struct id_pk *writer, uint64_t now_s, struct cell *ret)
{
	uint8_t plain[CELL_PLAIN_SIZE];
	uint8_t aad[CELL_AAD_SIZE];
	struct cell c = { 0 };
	enum err err;

	assert(value.p || value.n == 0);
	if (value.n != CELL_VALUE_SIZE)
		return ERR_MALFORMED;
	make_aad(k, seq, aad);
	err = ERR_AUTH;
	if (crypto_aead_xchacha20poly1305_ietf_decrypt(plain, NULL, NULL,
	        value.p + CELL_NONCE_SIZE, value.n - CELL_NONCE_SIZE, aad,
	        sizeof(aad), value.p, k->vkey))
		goto out;
	err = read_plain(span_of(plain, sizeof(plain)), &c);
	if (err)
		goto out;
	err = find_writer(&c, &writer);
	if (err)
		goto out;
	err = cert_open(&c.cert, writer, now_s, &c.says);
	if (err)
		goto out;
	*ret = c;
out:
	sodium_memzero(plain, sizeof(plain));
	sodium_memzero(&c, sizeof(c));
	return err;
}
