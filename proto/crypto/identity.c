/* Identities, addresses, certificates and safety numbers over libsodium. */
#include "proto/crypto/identity.h"

#include "proto/base/text.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	ADDRESS_VERSION = 1,
	ADDRESS_DATA_SIZE = 33,
	ADDRESS_TEXT_MAX = 90, /* BIP 350's limit, kept here */
	CERT_BODY_SIZE = 80,
	CERT_SPARE_SIZE = 12,
	SAFETY_ROUNDS = 5200,
	SAFETY_GROUPS = 6, /* of each ID */
	SAFETY_GROUP_DIGITS = 5,
};

_Static_assert(CERT_SIZE == CERT_BODY_SIZE + crypto_sign_BYTES, "cert");
_Static_assert(
    SAFETY_DIGITS == 2 * SAFETY_GROUPS * SAFETY_GROUP_DIGITS, "60 digits");

static const char address_hrp[] = "btchat";
static const char cert_context[] = "btchat/1 static"; /* signed with its NUL */

void
identity_from_seed(
    const struct id_seed *seed, struct id_pk *pk, struct id_sk *sk)
{
	assert(seed && pk && sk);
	crypto_sign_seed_keypair(pk->b, sk->b, seed->b);
	assert(memcmp(sk->b + 32, pk->b, 32) == 0);
}

enum err
identity_check(const struct id_pk *pk)
{
	assert(pk);
	return crypto_core_ed25519_is_valid_point(pk->b) ? ERR_OK : ERR_BAD_KEY;
}

/* ---- addresses ---- */

void
address_encode(const struct id_pk *id, char ret[ADDRESS_SIZE])
{
	uint8_t data[ADDRESS_DATA_SIZE];
	struct writer w = wr_init(data, sizeof(data));
	enum err err;

	wr_u8(&w, ADDRESS_VERSION);
	wr_bytes(&w, id->b, sizeof(id->b));
	assert(!w.bad && w.n == sizeof(data));
	err = bech32m_encode(address_hrp, wr_span_of(&w), ret, ADDRESS_SIZE);
	assert(err == ERR_OK && ret[ADDRESS_SIZE - 1] == '\0');
	(void)err;
}

static enum err
decode_data(struct span text, struct id_pk *ret)
{
	uint8_t data[ADDRESS_TEXT_MAX];
	struct writer w = wr_init(data, sizeof(data));
	struct reader r;
	struct id_pk id;
	enum err err;

	if (text.n > ADDRESS_TEXT_MAX)
		return ERR_MALFORMED;
	err = bech32m_decode(text, address_hrp, &w);
	if (err)
		return ERR_MALFORMED;
	r = rd_init(wr_span_of(&w));
	if (rd_u8(&r) != ADDRESS_VERSION)
		return r.bad ? ERR_MALFORMED : ERR_UNSUPPORTED;
	rd_bytes(&r, id.b, sizeof(id.b));
	if (!rd_done(&r))
		return ERR_MALFORMED;
	err = identity_check(&id);
	if (err)
		return err;
	*ret = id;
	return ERR_OK;
}

/* One character of a percent-encoded value, which must be ASCII itself. */
static bool
take_name_char(struct reader *r, uint8_t *ret)
{
	uint8_t c = rd_u8(r);
	struct writer w = wr_init(ret, 1);

	if (c <= ' ' || c > '~' || c == '&' || c == '#')
		return false;
	if (c != '%') {
		*ret = c;
		return true;
	}
	return hex_decode(rd_span(r, 2), &w) == ERR_OK && w.n == 1;
}

/* A name that may be shown: UTF-8 without control characters. */
static enum err
decode_name(struct span text, char name[ADDRESS_NAME_MAX + 1])
{
	uint8_t buf[ADDRESS_NAME_MAX];
	struct writer w = wr_init(buf, sizeof(buf));
	struct reader r = rd_init(text);

	while (r.n > 0) {
		uint8_t c = 0;

		if (!take_name_char(&r, &c) || c < ' ' || c == 0x7f)
			return ERR_MALFORMED;
		wr_u8(&w, c);
	}
	if (w.bad || !utf8_valid(wr_span_of(&w)))
		return ERR_MALFORMED;
	memset(name, 0, ADDRESS_NAME_MAX + 1);
	memcpy(name, buf, w.n);
	return ERR_OK;
}

static bool
starts_with(struct span text, const char *with)
{
	struct span w = span_str(with);

	return text.n >= w.n && span_eq(span_of(text.p, w.n), w);
}

/* Splits "scheme:address?name=value"; the scheme is in the case of the
 * address. False: it is no such URI. */
static bool
split_uri(struct span *text, struct span *name)
{
	static const char scheme[] = "btchat:";
	static const char query[] = "?name=";
	size_t skip = sizeof(scheme) - 1;
	size_t at;

	if (starts_with(*text, "BTCHAT:")
	        ? !starts_with(*text, "BTCHAT:BTCHAT1")
	        : !starts_with(*text, "btchat:btchat1"))
		return false;
	*text = span_of(text->p + skip, text->n - skip);
	for (at = 0; at < text->n && text->p[at] != '?'; at++)
		;
	*name = span_of(text->p + at, text->n - at);
	text->n = at;
	if (name->n == 0)
		return true;
	if (!starts_with(*name, query))
		return false;
	*name =
	    span_of(name->p + sizeof(query) - 1, name->n - (sizeof(query) - 1));
	return true;
}

enum err
address_decode(
    struct span text, struct id_pk *ret, char name[ADDRESS_NAME_MAX + 1])
{
	struct span query = { NULL, 0 };
	char found[ADDRESS_NAME_MAX + 1] = { 0 };
	struct id_pk id;
	enum err err;

	assert(ret && name);
	if (starts_with(text, "btchat:") || starts_with(text, "BTCHAT:")) {
		if (!split_uri(&text, &query))
			return ERR_MALFORMED;
	}
	err = decode_data(text, &id);
	if (!err && query.n > 0)
		err = decode_name(query, found);
	if (err)
		return err;
	*ret = id;
	memcpy(name, found, sizeof(found));
	return ERR_OK;
}

/* ---- certificates ---- */

/* context || NUL || ID || body: what the signature covers. [SPEC §4.2] */
enum { CERT_SIGNED_SIZE = sizeof(cert_context) + 32 + CERT_BODY_SIZE };

static void
cert_signed(const struct id_pk *id, const uint8_t body[CERT_BODY_SIZE],
    uint8_t ret[CERT_SIGNED_SIZE])
{
	struct writer w = wr_init(ret, CERT_SIGNED_SIZE);

	wr_bytes(&w, cert_context, sizeof(cert_context));
	wr_bytes(&w, id->b, sizeof(id->b));
	wr_bytes(&w, body, CERT_BODY_SIZE);
	assert(!w.bad && w.n == CERT_SIGNED_SIZE);
}

void
cert_sign(const struct id_sk *sk, const struct cert *c, struct cert_bytes *ret)
{
	struct writer w = wr_init(ret->b, sizeof(ret->b));
	uint8_t text[CERT_SIGNED_SIZE];
	struct id_pk id;

	assert(c->not_before_s < c->not_after_s);
	memcpy(id.b, sk->b + 32, sizeof(id.b));
	wr_bytes(&w, c->s.b, sizeof(c->s.b));
	wr_u32le(&w, c->gen);
	wr_u64le(&w, c->not_before_s);
	wr_u64le(&w, c->not_after_s);
	wr_bytes(&w, c->device, sizeof(c->device));
	wr_zeros(&w, CERT_SPARE_SIZE);
	assert(!w.bad && w.n == CERT_BODY_SIZE);
	cert_signed(&id, ret->b, text);
	crypto_sign_detached(
	    ret->b + CERT_BODY_SIZE, NULL, text, sizeof(text), sk->b);
}

static enum err
cert_parse(const struct cert_bytes *in, struct cert *ret)
{
	struct reader r = rd_init(span_of(in->b, CERT_BODY_SIZE));
	uint8_t spare[CERT_SPARE_SIZE];

	rd_bytes(&r, ret->s.b, sizeof(ret->s.b));
	ret->gen = rd_u32le(&r);
	ret->not_before_s = rd_u64le(&r);
	ret->not_after_s = rd_u64le(&r);
	rd_bytes(&r, ret->device, sizeof(ret->device));
	rd_bytes(&r, spare, sizeof(spare));
	assert(rd_done(&r));
	return sodium_is_zero(spare, sizeof(spare)) ? ERR_OK : ERR_MALFORMED;
}

/* A low-order point gives zero with every scalar; the value does not matter. */
static enum err
check_x25519(const struct static_pk *s)
{
	static const uint8_t scalar[crypto_scalarmult_SCALARBYTES] = { 8 };
	uint8_t out[crypto_scalarmult_BYTES];

	return crypto_scalarmult(out, scalar, s->b) ? ERR_BAD_KEY : ERR_OK;
}

enum err
cert_open(const struct cert_bytes *in, const struct id_pk *id, uint64_t now_s,
    struct cert *ret)
{
	uint8_t text[CERT_SIGNED_SIZE];
	struct cert c;
	enum err err;

	assert(in && id && ret);
	cert_signed(id, in->b, text);
	if (crypto_sign_verify_detached(
	        in->b + CERT_BODY_SIZE, text, sizeof(text), id->b))
		return ERR_AUTH;
	err = cert_parse(in, &c);
	if (err)
		return err;
	err = check_x25519(&c.s);
	if (err)
		return err;
	if (now_s < c.not_before_s || now_s >= c.not_after_s)
		return ERR_EXPIRED;
	*ret = c;
	return ERR_OK;
}

/* ---- safety numbers ---- */

static void
safety_hash(const struct id_pk *id, uint8_t h[crypto_hash_sha512_BYTES])
{
	static const char label[] = "btchat/1 safety";
	crypto_hash_sha512_state st;

	crypto_hash_sha512_init(&st);
	crypto_hash_sha512_update(
	    &st, (const uint8_t *)label, sizeof(label) - 1);
	crypto_hash_sha512_update(&st, id->b, sizeof(id->b));
	crypto_hash_sha512_final(&st, h);
	for (int i = 1; i < SAFETY_ROUNDS; i++) {
		crypto_hash_sha512_init(&st);
		crypto_hash_sha512_update(&st, h, crypto_hash_sha512_BYTES);
		crypto_hash_sha512_update(&st, id->b, sizeof(id->b));
		crypto_hash_sha512_final(&st, h);
	}
}

/* Six groups of five digits, each from five bytes, big-endian. */
static void
safety_digits(const struct id_pk *id, struct writer *w)
{
	uint8_t h[crypto_hash_sha512_BYTES];
	struct reader r;

	safety_hash(id, h);
	r = rd_init(span_of(h, (size_t)SAFETY_GROUPS * 5));
	for (int i = 0; i < SAFETY_GROUPS; i++) {
		uint64_t v = (uint64_t)rd_u8(&r) << 32;
		uint32_t unit = 10000;

		v |= rd_u32be(&r);
		for (int j = 0; j < SAFETY_GROUP_DIGITS; j++) {
			wr_u8(w, (uint8_t)('0' + v / unit % 10));
			unit /= 10;
		}
	}
	assert(rd_done(&r) && !w->bad);
}

void
safety_number(
    const struct id_pk *a, const struct id_pk *b, char ret[SAFETY_DIGITS + 1])
{
	struct writer w = wr_init(ret, SAFETY_DIGITS + 1);
	bool a_first = id_cmp(a, b) <= 0;

	safety_digits(a_first ? a : b, &w);
	safety_digits(a_first ? b : a, &w);
	wr_u8(&w, 0);
	assert(!w.bad && w.n == SAFETY_DIGITS + 1);
}
