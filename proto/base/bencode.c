/* One pass over the bytes, with a small stack of open containers instead of
 * recursion; the tokens lie in the order of the document. Every datagram of
 * the DHT passes here, so the functions that look at bytes are called from one
 * place each, and compilers put them there. [BEP 3] */
#include "proto/base/bencode.h"

#include <assert.h>
#include <string.h>

enum { DIGITS_MAX = 19 }; /* of 2^63; so many fit into 64 bits */

/* A container that is not closed yet. */
struct open {
	uint32_t at; /* its token */
	bool is_dict;
	bool has_key;    /* DICT: of the value that comes next */
	struct span key; /* DICT: the last one; p is NULL: there is none */
};

struct parser {
	struct bencode *b;
	struct span in; /* as in b: near at hand, for every byte is looked at */
	uint32_t pos;
	unsigned depth;
	struct open open[BENCODE_DEPTH_MAX];
};

/* Decimal digits without a leading zero, from pos on. Where they end; 0: there
 * are none. Of too many some are left, and so what should follow does not. */
static uint32_t
read_number(struct span in, uint32_t pos, uint64_t *ret)
{
	uint32_t end = pos;
	uint64_t v = 0;

	for (; end < in.n && end - pos < DIGITS_MAX; end++) {
		uint8_t digit = (uint8_t)(in.p[end] - '0');

		if (digit > 9)
			break;
		v = 10 * v + digit;
	}
	if (end == pos || (end > pos + 1 && in.p[pos] == '0'))
		return 0;
	*ret = v;
	return end;
}

/* An integer or a string at t->start. Where it ends; 0: it is none. */
static uint32_t
read_leaf(struct span in, struct bencode_token *t)
{
	bool is_int = in.p[t->start] == 'i';
	uint32_t pos = t->start + is_int;
	bool minus = is_int && pos < in.n && in.p[pos] == '-';
	uint32_t end;
	uint64_t v;

	end = read_number(in, pos + minus, &v);
	if (end == 0 || end >= in.n || in.p[end] != (is_int ? 'e' : ':'))
		return 0;
	end++;
	if (!is_int) {
		t->type = BENCODE_STR;
		t->body = end;
		return v > in.n - end ? 0 : end + (uint32_t)v;
	}
	if (v > (uint64_t)INT64_MAX + minus || (minus && v == 0))
		return 0;
	/* -(v - 1) - 1 holds the smallest number too. */
	t->num = minus ? -(int64_t)(v - 1) - 1 : (int64_t)v;
	t->type = BENCODE_INT;
	return end;
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

/* Tells the dictionary that is open of its new child. */
static bool
accept_child(struct parser *p, struct open *o, const struct bencode_token *t)
{
	struct span key;

	assert(o->is_dict);
	o->has_key = !o->has_key;
	if (!o->has_key) /* now it has its value */
		return true;
	if (t->type != BENCODE_STR)
		return false;
	key = body_of(p->b, t);
	if (o->key.p && !key_after(o->key, key))
		return false;
	o->key = key;
	return true;
}

static enum err
close_container(struct parser *p)
{
	struct bencode_token *t;
	struct open *o;

	if (p->depth == 0)
		return ERR_MALFORMED;
	o = &p->open[p->depth - 1];
	if (o->has_key)
		return ERR_MALFORMED;
	p->pos++;
	t = &p->b->tok[o->at];
	t->end = p->pos;
	t->next = p->b->n;
	p->depth--;
	return ERR_OK;
}

static enum err
parse_value(struct parser *p, uint8_t first)
{
	struct bencode_token *t = &p->b->tok[p->b->n];
	bool opens = first == 'd' || first == 'l';
	struct open *o;

	if (p->b->n >= BENCODE_TOKENS_MAX)
		return ERR_LIMIT;
	*t = (struct bencode_token){ .start = p->pos };
	if (opens) {
		t->type = first == 'd' ? BENCODE_DICT : BENCODE_LIST;
		p->pos++;
	} else {
		p->pos = t->end = read_leaf(p->in, t);
		t->next = p->b->n + 1;
		if (p->pos == 0)
			return ERR_MALFORMED;
	}
	o = p->depth > 0 ? &p->open[p->depth - 1] : NULL;
	if (o && o->is_dict && !accept_child(p, o, t))
		return ERR_MALFORMED;
	if (opens) {
		if (p->depth >= BENCODE_DEPTH_MAX)
			return ERR_LIMIT;
		p->open[p->depth++] =
		    (struct open){ .at = p->b->n, .is_dict = first == 'd' };
	}
	p->b->n++;
	return ERR_OK;
}

/* Every step takes at least one byte. */
static enum err
parse_all(struct parser *p)
{
	do {
		uint32_t before = p->pos;
		uint8_t first;
		enum err err;

		if (before >= p->in.n)
			return ERR_MALFORMED;
		first = p->in.p[before];
		err = first == 'e' ? close_container(p) : parse_value(p, first);
		if (err)
			return err;
		assert(p->pos > before);
	} while (p->depth > 0);
	return p->pos == p->in.n ? ERR_OK : ERR_MALFORMED;
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
		struct span k = body_of(b, &b->tok[at]);

		assert(at + 1 < end);
		if (k.n == want.n && memcmp(k.p, want.p, k.n) == 0)
			return at + 1;
		if (k.n > 0 && k.p[0] > (uint8_t)key[0]) /* sorted */
			break;
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
