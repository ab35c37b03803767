/* Written forms. Nothing here is secret but invitations and hex of keys; hex
 * is therefore free of tables and branches on its input. */
#include "proto/base/text.h"

#include <assert.h>
#include <string.h>

enum {
	BECH32_CHECK = 6,     /* characters of the checksum */
	BECH32_TEXT_MAX = 90, /* [BIP 350], kept by bech32m_valid only */
	BECH32_HRP_MAX = 83,
	BECH32M_CONST = 0x2bc830a3,
	NO_DIGIT = 0xff,
};

static const char bech32_digits[] = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
static const char base32_digits[] = "abcdefghijklmnopqrstuvwxyz234567";
static const char base64_digits[] =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* ---- groups of bits ---- */

/* Regroups values of `from` bits into values of `to` bits, first bit first. */
struct regroup {
	uint32_t acc;
	unsigned bits; /* waiting in acc */
};

static void
regroup_add(struct regroup *g, uint32_t v, unsigned from)
{
	assert(g->bits < 8 && from <= 8 && v >> from == 0);
	g->acc = g->acc << from | v;
	g->bits += from;
}

static bool
regroup_take(struct regroup *g, unsigned to, uint8_t *ret)
{
	if (g->bits < to)
		return false;
	g->bits -= to;
	*ret = (uint8_t)(g->acc >> g->bits & ((1U << to) - 1));
	g->acc &= (1U << g->bits) - 1;
	return true;
}

/* Writes data as digits of `to` bits, the last one padded with zeros. */
static void
digits_put(struct writer *w, struct span data, const char *digits, unsigned to)
{
	struct regroup g = { 0 };
	uint8_t v;

	for (size_t i = 0; i < data.n; i++) {
		regroup_add(&g, data.p[i], 8);
		while (regroup_take(&g, to, &v))
			wr_u8(w, (uint8_t)digits[v]);
	}
	if (g.bits > 0) {
		v = (uint8_t)(g.acc << (to - g.bits));
		wr_u8(w, (uint8_t)digits[v]);
	}
}

static uint8_t
to_lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static uint8_t
digit_of(uint8_t c, const char *digits, size_t n)
{
	const char *at = memchr(digits, c, n);

	return at ? (uint8_t)(at - digits) : NO_DIGIT;
}

/* ---- bech32m ---- */

static uint32_t
polymod_step(uint32_t sum, uint8_t v)
{
	static const uint32_t gen[5] = {
		0x3b6a57b2,
		0x26508e6d,
		0x1ea119fa,
		0x3d4233dd,
		0x2a1462b3,
	};
	uint32_t top = sum >> 25;

	assert(v < 32 && top < 32);
	sum = (sum & 0x1ffffff) << 5 ^ v;
	for (unsigned i = 0; i < 5; i++)
		sum ^= (top >> i & 1) ? gen[i] : 0;
	return sum;
}

/* The human-readable part as the checksum sees it. */
static uint32_t
polymod_hrp(struct span hrp)
{
	uint32_t sum = 1;

	for (size_t i = 0; i < hrp.n; i++)
		sum = polymod_step(sum, to_lower(hrp.p[i]) >> 5);
	sum = polymod_step(sum, 0);
	for (size_t i = 0; i < hrp.n; i++)
		sum = polymod_step(sum, to_lower(hrp.p[i]) & 31);
	return sum;
}

static void
checksum_put(struct writer *w, uint32_t sum)
{
	for (int i = 0; i < BECH32_CHECK; i++)
		sum = polymod_step(sum, 0);
	sum ^= BECH32M_CONST;
	for (unsigned i = 0; i < BECH32_CHECK; i++)
		wr_u8(w, (uint8_t)bech32_digits[sum >> (25 - 5 * i) & 31]);
}

enum err
bech32m_encode(const char *hrp, struct span data, char *out, size_t cap)
{
	struct writer w = wr_init(out, cap);
	struct span part = span_str(hrp);
	uint32_t sum;
	size_t first;

	assert(part.n > 0 && part.n <= BECH32_HRP_MAX);
	assert(cap > 0);
	wr_span(&w, part);
	wr_u8(&w, '1');
	first = w.n;
	digits_put(&w, data, bech32_digits, 5);
	sum = polymod_hrp(part);
	for (size_t i = first; i < w.n; i++)
		sum = polymod_step(sum, digit_of(w.p[i], bech32_digits, 32));
	checksum_put(&w, sum);
	wr_u8(&w, 0);
	if (w.bad) {
		memset(out, 0, cap);
		return ERR_TOO_LONG;
	}
	return ERR_OK;
}

/* Only printable ASCII, and not both cases. */
static bool
one_case(struct span text)
{
	bool lower = false;
	bool upper = false;

	for (size_t i = 0; i < text.n; i++) {
		uint8_t c = text.p[i];

		if (c < 33 || c > 126)
			return false;
		lower = lower || (c >= 'a' && c <= 'z');
		upper = upper || (c >= 'A' && c <= 'Z');
	}
	return !(lower && upper);
}

/* Splits at the last '1' and checks digits and checksum; data is without the
 * checksum. */
static bool
bech32m_split(struct span text, struct span *hrp, struct span *data)
{
	size_t at = text.n;
	uint32_t sum;

	if (!one_case(text))
		return false;
	while (at > 0 && text.p[at - 1] != '1')
		at--;
	/* at: one past the separator */
	if (at < 2 || text.n - at < BECH32_CHECK)
		return false;
	*hrp = span_of(text.p, at - 1);
	sum = polymod_hrp(*hrp);
	for (size_t i = at; i < text.n; i++) {
		uint8_t v = digit_of(to_lower(text.p[i]), bech32_digits, 32);

		if (v == NO_DIGIT)
			return false;
		sum = polymod_step(sum, v);
	}
	*data = span_of(text.p + at, text.n - at - BECH32_CHECK);
	return sum == BECH32M_CONST;
}

bool
bech32m_valid(struct span text)
{
	struct span hrp;
	struct span data;

	if (text.n > BECH32_TEXT_MAX)
		return false;
	return bech32m_split(text, &hrp, &data) && hrp.n <= BECH32_HRP_MAX;
}

static bool
hrp_is(struct span got, const char *want)
{
	size_t n = strlen(want);

	if (got.n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (to_lower(got.p[i]) != (uint8_t)want[i])
			return false;
	}
	return true;
}

enum err
bech32m_decode(struct span text, const char *hrp, struct writer *ret)
{
	struct writer w = *ret;
	struct regroup g = { 0 };
	struct span part;
	struct span data;
	uint8_t v;

	assert(text.p || text.n == 0);
	if (!bech32m_split(text, &part, &data) || !hrp_is(part, hrp))
		return ERR_MALFORMED;
	for (size_t i = 0; i < data.n; i++) {
		v = digit_of(to_lower(data.p[i]), bech32_digits, 32);
		assert(v != NO_DIGIT);
		regroup_add(&g, v, 5);
		if (regroup_take(&g, 8, &v))
			wr_u8(&w, v);
	}
	if (g.bits >= 5 || g.acc != 0) /* [BIP 173] padding */
		return ERR_MALFORMED;
	if (w.bad)
		return ERR_TOO_LONG;
	*ret = w;
	return ERR_OK;
}

/* ---- base32 ids ---- */

/* Five bytes are eight digits. */
static void
put_five(const uint8_t b[5], char ret[8])
{
	uint64_t v = (uint64_t)b[0] << 32 | (uint64_t)b[1] << 24 |
	             (uint64_t)b[2] << 16 | (uint64_t)b[3] << 8 | b[4];

	for (unsigned i = 0; i < 8; i++)
		ret[i] = base32_digits[v >> (35 - 5 * i) & 31];
}

void
id_encode(const uint8_t id[16], char ret[ID_TEXT_SIZE])
{
	_Static_assert(ID_TEXT_SIZE == 3 * 8 + 2 + 1, "128 bits, and a NUL");
	for (unsigned i = 0; i < 3; i++)
		put_five(id + (size_t)5 * i, ret + (size_t)8 * i);
	ret[24] = base32_digits[id[15] >> 3];
	ret[25] = base32_digits[(id[15] & 7) << 2];
	ret[26] = '\0';
}

enum err
id_decode(struct span text, uint8_t ret[16])
{
	struct regroup g = { 0 };
	uint8_t id[16];
	struct writer w = wr_init(id, sizeof(id));
	uint8_t v;

	if (text.n != ID_TEXT_SIZE - 1)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.n; i++) {
		v = digit_of(to_lower(text.p[i]), base32_digits, 32);
		if (v == NO_DIGIT)
			return ERR_MALFORMED;
		regroup_add(&g, v, 5);
		if (regroup_take(&g, 8, &v))
			wr_u8(&w, v);
	}
	if (g.acc != 0)
		return ERR_MALFORMED;
	assert(!w.bad && w.n == sizeof(id));
	memcpy(ret, id, sizeof(id));
	return ERR_OK;
}

/* ---- base64url ---- */

enum err
base64url_encode(struct span in, char *out, size_t cap)
{
	struct writer w = wr_init(out, cap);

	digits_put(&w, in, base64_digits, 6);
	wr_u8(&w, 0);
	return w.bad ? ERR_TOO_LONG : ERR_OK;
}

enum err
base64url_decode(struct span text, struct writer *ret)
{
	struct writer w = *ret;
	struct regroup g = { 0 };
	uint8_t v;

	for (size_t i = 0; i < text.n; i++) {
		v = digit_of(text.p[i], base64_digits, 64);
		if (v == NO_DIGIT)
			return ERR_MALFORMED;
		regroup_add(&g, v, 6);
		if (regroup_take(&g, 8, &v))
			wr_u8(&w, v);
	}
	/* A lone last digit, or spare bits that say something. */
	if (g.bits >= 6 || g.acc != 0)
		return ERR_MALFORMED;
	if (w.bad)
		return ERR_TOO_LONG;
	*ret = w;
	return ERR_OK;
}

/* ---- hex ---- */

/* The bits of a mask where a < b, else zero; both below 2^16. */
static uint32_t
less_mask(uint32_t a, uint32_t b)
{
	return 0U - ((a - b) >> 31);
}

void
hex_encode(struct span in, char *out)
{
	assert(out);
	for (size_t i = 0; i < 2 * in.n; i++) {
		uint32_t b = in.p[i / 2];
		uint32_t v = i % 2 == 0 ? b >> 4 : b & 15;

		out[i] = (char)('0' + v + (less_mask(9, v) & ('a' - '0' - 10)));
	}
	out[2 * in.n] = '\0';
}

/* 0..15, or 16 for what is no hex digit. */
static uint32_t
hex_value(uint8_t c)
{
	uint32_t low = c | 0x20U;
	uint32_t digit = ~less_mask(c, '0') & less_mask(c, '9' + 1);
	uint32_t letter = ~less_mask(low, 'a') & less_mask(low, 'f' + 1);

	return (digit & (c - (uint32_t)'0')) |
	       (letter & (low - (uint32_t)'a' + 10)) | (~(digit | letter) & 16);
}

enum err
hex_decode(struct span text, struct writer *ret)
{
	struct writer w = *ret;
	uint32_t bad = 0;

	if (text.n % 2 != 0)
		return ERR_MALFORMED;
	for (size_t i = 0; i < text.n; i += 2) {
		uint32_t high = hex_value(text.p[i]);
		uint32_t low = hex_value(text.p[i + 1]);

		bad |= (high | low) & 16;
		wr_u8(&w, (uint8_t)((high << 4 | low) & 0xff));
	}
	if (bad)
		return ERR_MALFORMED;
	if (w.bad)
		return ERR_TOO_LONG;
	*ret = w;
	return ERR_OK;
}

/* ---- UTF-8 ---- */

/* Bytes of the sequence that a first byte begins, or 0; the range that the
 * second byte must have. [RFC 3629 §4] */
static size_t
utf8_lead(uint8_t c, uint8_t *low, uint8_t *high)
{
	*low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
	*high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
	if (c < 0x80)
		return 1;
	if (c >= 0xc2 && c <= 0xdf)
		return 2;
	if (c >= 0xe0 && c <= 0xef)
		return 3;
	return c >= 0xf0 && c <= 0xf4 ? 4 : 0;
}

/* Bytes of the first character, or 0 if it is not well-formed. */
static size_t
utf8_char(struct span s)
{
	uint8_t low;
	uint8_t high;
	size_t n = utf8_lead(s.p[0], &low, &high);

	if (n == 0 || n > s.n)
		return 0;
	if (n > 1 && (s.p[1] < low || s.p[1] > high))
		return 0;
	for (size_t i = 2; i < n; i++) {
		if ((s.p[i] & 0xc0) != 0x80)
			return 0;
	}
	return n;
}

/* Where ASCII ends, give or take a few bytes: most of what people write. */
static size_t
ascii_run(struct span s)
{
	const uint64_t high = UINT64_C(0x8080808080808080);
	size_t at = 0;
	uint64_t v;

	while (s.n - at >= sizeof(v)) {
		memcpy(&v, s.p + at, sizeof(v));
		if (v & high)
			break;
		at += sizeof(v);
	}
	return at;
}

bool
utf8_valid(struct span text)
{
	size_t at = ascii_run(text);

	while (at < text.n) {
		size_t n = utf8_char(span_of(text.p + at, text.n - at));

		if (n == 0)
			return false;
		at += n;
	}
	assert(at == text.n);
	return true;
}

bool
utf8_is_line(struct span text)
{
	for (size_t i = 0; i < text.n; i++)
		if (text.p[i] < 0x20 || text.p[i] == 0x7f)
			return false;
	return utf8_valid(text);
}
