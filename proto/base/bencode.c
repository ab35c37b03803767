/* One pass over the bytes, with a small stack of open containers instead of
 * recursion; the tokens lie in the order of the document. [BEP 3] */
#include "proto/base/bencode.h"

#include <assert.h>
#include <string.h>

/* A container that is not closed yet. */
struct open {
	uint32_t at;     /* its token */
	uint32_t n;      /* children so far; in a dictionary keys count too */
	struct span key; /* the last key */
};

struct parser {
	struct bencode *b;
	struct span in; /* as in b: near at hand, for every byte is looked at */
	uint32_t pos;
	unsigned depth;
	struct open open[BENCODE_DEPTH_MAX];
};

static bool
at_end(const struct parser *p)
{
	return p->pos >= p->in.n;
}

static uint8_t
peek(const struct parser *p)
{
	return p->pos < p->in.n ? p->in.p[p->pos] : 0;
}

static bool
is_digit(uint8_t c)
{
	return c >= '0' && c <= '9';
}

/* Decimal digits without a leading zero, at most max. */
static bool
parse_number(struct parser *p, uint64_t max, uint64_t *ret)
{
	const uint8_t *digits = p->in.p + p->pos;
	size_t left = p->in.n - p->pos;
	size_t n = 0;
	uint64_t v = 0;

	assert(p->pos <= p->in.n);
	for (; n < left && is_digit(digits[n]); n++) {
		uint64_t digit = (uint64_t)(digits[n] - '0');

		if (n > 0 && v == 0)
			return false;
		if (v > max / 10 || digit > max - 10 * v)
			return false;
		v = 10 * v + digit;
	}
	p->pos += (uint32_t)n;
	*ret = v;
	return n > 0;
}

static bool
parse_int(struct parser *p, struct bencode_token *t)
{
	bool minus;
	uint64_t v;

	assert(peek(p) == 'i');
	p->pos++;
	minus = peek(p) == '-';
	if (minus)
		p->pos++;
	if (!parse_number(p, (uint64_t)INT64_MAX + (minus ? 1 : 0), &v))
		return false;
	if (minus && v == 0)
		return false;
	if (peek(p) != 'e')
		return false;
	p->pos++;
	/* -(v - 1) - 1 holds the smallest number too. */
	t->num = minus ? -(int64_t)(v - 1) - 1 : (int64_t)v;
	t->type = BENCODE_INT;
	return true;
}

static bool
parse_str(struct parser *p, struct bencode_token *t)
{
	uint64_t n;

	if (!parse_number(p, p->in.n, &n) || peek(p) != ':')
		return false;
	p->pos++;
	if (n > p->in.n - p->pos)
		return false;
	t->type = BENCODE_STR;
	t->body = p->pos;
	p->pos += (uint32_t)n;
	return true;
}

/* True if b sorts after a, as bytes. */
static bool
key_after(struct span a, struct span b)
{
	size_t n = a.n < b.n ? a.n : b.n;
	int cmp = n > 0 ? memcmp(a.p, b.p, n) : 0;

	return cmp < 0 || (cmp == 0 && a.n < b.n);
}

static struct span
body_of(const struct bencode *b, const struct bencode_token *t)
{
	assert(t->type == BENCODE_STR);
	assert(t->body <= t->end && t->end <= b->in.n);
	return span_of(b->in.p + t->body, t->end - t->body);
}

/* Tells the container that is open of its new child. */
static bool
accept_child(struct parser *p, const struct bencode_token *t)
{
	struct open *o;
	struct span key;

	if (p->depth == 0)
		return true;
	o = &p->open[p->depth - 1];
	o->n++;
	if (p->b->tok[o->at].type != BENCODE_DICT || o->n % 2 == 0)
		return true;
	if (t->type != BENCODE_STR)
		return false;
	key = body_of(p->b, t);
	if (o->n > 1 && !key_after(o->key, key))
		return false;
	o->key = key;
	return true;
}

static enum err
open_container(
    struct parser *p, struct bencode_token *t, enum bencode_type type)
{
	t->type = type;
	p->pos++;
	if (!accept_child(p, t))
		return ERR_MALFORMED;
	if (p->depth >= BENCODE_DEPTH_MAX)
		return ERR_LIMIT;
	p->open[p->depth++] = (struct open){ .at = p->b->n };
	p->b->n++;
	return ERR_OK;
}

static enum err
close_container(struct parser *p)
{
	struct open *o;
	struct bencode_token *t;

	assert(peek(p) == 'e');
	if (p->depth == 0)
		return ERR_MALFORMED;
	o = &p->open[p->depth - 1];
	t = &p->b->tok[o->at];
	if (t->type == BENCODE_DICT && o->n % 2 != 0)
		return ERR_MALFORMED;
	p->pos++;
	t->end = p->pos;
	t->next = p->b->n;
	p->depth--;
	return ERR_OK;
}

static enum err
parse_value(struct parser *p)
{
	struct bencode_token *t;
	uint8_t c = peek(p);

	if (p->b->n >= BENCODE_TOKENS_MAX)
		return ERR_LIMIT;
	t = &p->b->tok[p->b->n];
	*t = (struct bencode_token){ .start = p->pos };
	if (c == 'd')
		return open_container(p, t, BENCODE_DICT);
	if (c == 'l')
		return open_container(p, t, BENCODE_LIST);
	if (!(c == 'i' ? parse_int(p, t) : parse_str(p, t)))
		return ERR_MALFORMED;
	t->end = p->pos;
	t->next = p->b->n + 1;
	if (!accept_child(p, t))
		return ERR_MALFORMED;
	p->b->n++;
	return ERR_OK;
}

/* Every step takes at least one byte. */
static enum err
parse_all(struct parser *p)
{
	do {
		uint32_t before = p->pos;
		enum err err;

		if (at_end(p))
			return ERR_MALFORMED;
		err = peek(p) == 'e' ? close_container(p) : parse_value(p);
		if (err)
			return err;
		assert(p->pos > before);
	} while (p->depth > 0);
	return at_end(p) ? ERR_OK : ERR_MALFORMED;
}

enum err
bencode_parse(struct span in, struct bencode *ret)
{
	struct parser p = { .b = ret, .in = in };
	enum err err;

	assert(in.p || in.n == 0);
	ret->n = 0;
	if (in.n > UINT32_MAX / 2)
		return ERR_LIMIT;
	ret->in = in;
	err = parse_all(&p);
	if (err) {
		ret->n = 0; /* nothing of it can be looked up */
		return err;
	}
	assert(ret->n > 0 && ret->tok[0].next == ret->n);
	assert(ret->tok[0].start == 0 && ret->tok[0].end == in.n);
	return ERR_OK;
}

/* ---- looking ---- */

enum bencode_type
bencode_type(const struct bencode *b, uint32_t at)
{
	return at < b->n ? b->tok[at].type : BENCODE_NONE;
}

uint32_t
bencode_get(const struct bencode *b, uint32_t dict, const char *key)
{
	struct span want = span_str(key);
	uint32_t end;

	if (bencode_type(b, dict) != BENCODE_DICT)
		return BENCODE_ABSENT;
	end = b->tok[dict].next;
	assert(end <= b->n);
	for (uint32_t at = dict + 1; at < end; at = b->tok[at + 1].next) {
		assert(at + 1 < end);
		if (span_eq(body_of(b, &b->tok[at]), want))
			return at + 1;
	}
	return BENCODE_ABSENT;
}

uint32_t
bencode_first(const struct bencode *b, uint32_t list)
{
	if (bencode_type(b, list) != BENCODE_LIST)
		return BENCODE_ABSENT;
	return list + 1 < b->tok[list].next ? list + 1 : BENCODE_ABSENT;
}

uint32_t
bencode_next(const struct bencode *b, uint32_t list, uint32_t at)
{
	uint32_t end;

	if (bencode_type(b, list) != BENCODE_LIST)
		return BENCODE_ABSENT;
	end = b->tok[list].next;
	if (at <= list || at >= end)
		return BENCODE_ABSENT;
	return b->tok[at].next < end ? b->tok[at].next : BENCODE_ABSENT;
}

bool
bencode_str(const struct bencode *b, uint32_t at, struct span *ret)
{
	if (bencode_type(b, at) != BENCODE_STR)
		return false;
	*ret = body_of(b, &b->tok[at]);
	return true;
}

bool
bencode_int(const struct bencode *b, uint32_t at, int64_t *ret)
{
	if (bencode_type(b, at) != BENCODE_INT)
		return false;
	*ret = b->tok[at].num;
	return true;
}

bool
bencode_bytes(const struct bencode *b, uint32_t at, void *ret, size_t n)
{
	struct span s;

	if (!bencode_str(b, at, &s) || s.n != n)
		return false;
	if (n > 0)
		memcpy(ret, s.p, n);
	return true;
}

struct span
bencode_raw(const struct bencode *b, uint32_t at)
{
	const struct bencode_token *t;

	if (at >= b->n)
		return span_of(NULL, 0);
	t = &b->tok[at];
	assert(t->start < t->end && t->end <= b->in.n);
	return span_of(b->in.p + t->start, t->end - t->start);
}

/* ---- encoding ---- */

enum { DECIMAL_MAX = 20 }; /* digits of 2^64 */

static void
put_decimal(struct writer *w, uint64_t v)
{
	uint8_t digits[DECIMAL_MAX];
	size_t n = sizeof(digits);

	do {
		assert(n > 0);
		digits[--n] = (uint8_t)('0' + v % 10);
		v /= 10;
	} while (v > 0);
	wr_bytes(w, digits + n, sizeof(digits) - n);
}

void
be_dict(struct writer *w)
{
	wr_u8(w, 'd');
}

void
be_list(struct writer *w)
{
	wr_u8(w, 'l');
}

void
be_end(struct writer *w)
{
	wr_u8(w, 'e');
}

void
be_int(struct writer *w, int64_t v)
{
	wr_u8(w, 'i');
	if (v < 0)
		wr_u8(w, '-');
	put_decimal(w, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
	wr_u8(w, 'e');
}

void
be_str(struct writer *w, const void *p, size_t n)
{
	put_decimal(w, n);
	wr_u8(w, ':');
	wr_bytes(w, p, n);
}

void
be_key(struct writer *w, const char *key)
{
	struct span s = span_str(key);

	be_str(w, s.p, s.n);
}
