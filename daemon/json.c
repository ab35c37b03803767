/* The guard before cJSON. What it refuses, and why, is in btchat-rpc(7). */
#include "daemon/json.h"

#include "proto/base/text.h"

#include <assert.h>
#include <math.h>
#include <string.h>

/* What may come next. */
enum expect {
	EXPECT_VALUE,
	EXPECT_VALUE_OR_END, /* after [ */
	EXPECT_KEY_OR_END,   /* after { */
	EXPECT_KEY,          /* after , in an object */
	EXPECT_NEXT,         /* , or the end of the container */
	EXPECT_NOTHING,      /* the root is complete */
};

struct level {
	bool object;
	uint32_t serial; /* number of this object, part of its keys' hash */
};

struct state {
	struct json_guard *g;
	struct json_scan *out;
	const uint8_t *start, *p, *end;
	struct level stack[API_DEPTH_MAX];
	uint32_t depth; /* open containers */
	uint32_t serials;
	enum expect expect;
	bool at_id; /* the value that comes is the root's `id` */
};

/* A string as the scanner sees it. */
struct text {
	uint64_t hash;
	size_t n;        /* decoded bytes */
	uint8_t head[2]; /* the first of them */
};

void
json_guard_init(struct json_guard *g, uint64_t seed)
{
	memset(g, 0, sizeof(*g));
	g->seed = seed;
}

static enum err
refuse(struct state *s, enum err err, const char *why)
{
	assert(s->p >= s->start);
	s->out->why = why;
	s->out->at = (size_t)(s->p - s->start);
	return err;
}

static uint64_t
mix(uint64_t h)
{
	h ^= h >> 33;
	h *= 0xff51afd7ed558ccdULL;
	h ^= h >> 33;
	h *= 0xc4ceb9fe1a85ec53ULL;
	return h ^ h >> 33;
}

/* False if the key was there before. Half of the slots stay free. */
static bool
key_is_new(struct state *s, uint64_t hash)
{
	struct json_guard *g = s->g;
	uint32_t serial = s->stack[s->depth - 1].serial;
	uint64_t h = mix(hash ^ (g->seed + serial * 0x9e3779b97f4a7c15ULL));
	uint64_t mine = (uint64_t)g->gen << 48 | h >> 16;
	size_t at = (size_t)h & (JSON_KEYS - 1);

	for (size_t i = 0; i < JSON_KEYS; i++) {
		if (g->seen[at] == mine)
			return false;
		if (g->seen[at] >> 48 != g->gen)
			break;
		at = (at + 1) & (JSON_KEYS - 1);
	}
	g->seen[at] = mine;
	return true;
}

static void
text_add(struct text *t, uint8_t byte)
{
	if (t->n < sizeof(t->head))
		t->head[t->n] = byte;
	t->n++;
	t->hash = (t->hash ^ byte) * 0x100000001b3ULL;
}

static void
text_add_code(struct text *t, uint32_t code)
{
	if (code < 0x80) {
		text_add(t, (uint8_t)code);
		return;
	}
	if (code >= 0x10000) {
		text_add(t, (uint8_t)(0xf0 | code >> 18));
		text_add(t, (uint8_t)(0x80 | (code >> 12 & 0x3f)));
	} else if (code >= 0x800) {
		text_add(t, (uint8_t)(0xe0 | code >> 12));
	}
	if (code >= 0x800)
		text_add(t, (uint8_t)(0x80 | (code >> 6 & 0x3f)));
	else
		text_add(t, (uint8_t)(0xc0 | code >> 6));
	text_add(t, (uint8_t)(0x80 | (code & 0x3f)));
}

static bool
hex4(struct state *s, uint32_t *ret)
{
	uint32_t v = 0;

	if (s->end - s->p < 4)
		return false;
	for (int i = 0; i < 4; i++) {
		uint8_t c = s->p[i];

		if (c >= '0' && c <= '9')
			v = v << 4 | (uint32_t)(c - '0');
		else if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
			v = v << 4 | (uint32_t)((c | 0x20) - 'a' + 10);
		else
			return false;
	}
	s->p += 4;
	*ret = v;
	return true;
}

/* After "\u". */
static enum err
scan_unicode(struct state *s, struct text *t)
{
	uint32_t code, low;

	if (!hex4(s, &code))
		return refuse(s, ERR_MALFORMED, "bad \\u escape");
	if (code == 0)
		return refuse(s, ERR_MALFORMED, "U+0000 in a string");
	if (code >= 0xdc00 && code <= 0xdfff)
		return refuse(s, ERR_MALFORMED, "lone surrogate");
	if (code >= 0xd800 && code <= 0xdbff) {
		if (s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u')
			return refuse(s, ERR_MALFORMED, "lone surrogate");
		s->p += 2;
		if (!hex4(s, &low) || low < 0xdc00 || low > 0xdfff)
			return refuse(s, ERR_MALFORMED, "lone surrogate");
		code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
	}
	text_add_code(t, code);
	return ERR_OK;
}

/* After a backslash. */
static enum err
scan_escape(struct state *s, struct text *t)
{
	static const char from[] = "\"\\/bfnrt";
	static const char to[] = "\"\\/\b\f\n\r\t";
	const char *at;

	if (s->p == s->end)
		return refuse(s, ERR_MALFORMED, "string does not end");
	if (*s->p == 'u') {
		s->p++;
		return scan_unicode(s, t);
	}
	at = *s->p ? strchr(from, *s->p) : NULL;
	if (!at)
		return refuse(s, ERR_MALFORMED, "bad escape");
	text_add(t, (uint8_t)to[at - from]);
	s->p++;
	return ERR_OK;
}

/* At the byte after the opening quote; leaves s->p after the closing one. */
static enum err
scan_string(struct state *s, struct text *t)
{
	const uint8_t *from = s->p;
	bool ascii = true;
	enum err err;

	*t = (struct text){ .hash = 0xcbf29ce484222325ULL ^ s->g->seed };
	while (s->p < s->end && *s->p != '"') {
		uint8_t c = *s->p;

		if (c < 0x20)
			return refuse(s, ERR_MALFORMED, "raw control byte");
		s->p++;
		if (c == '\\') {
			err = scan_escape(s, t);
			if (err)
				return err;
			continue;
		}
		ascii = ascii && c < 0x80;
		text_add(t, c);
	}
	if (s->p == s->end)
		return refuse(s, ERR_MALFORMED, "string does not end");
	if (!ascii && !utf8_valid(span_of(from, (size_t)(s->p - from))))
		return refuse(s, ERR_MALFORMED, "not UTF-8");
	s->p++;
	return ERR_OK;
}

static size_t
scan_digits(struct state *s)
{
	const uint8_t *from = s->p;

	while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
		s->p++;
	return (size_t)(s->p - from);
}

/* The exponent after e or E, cut at +-9999; false if there is none. */
static bool
scan_exponent(struct state *s, long *ret)
{
	bool minus = false;
	const uint8_t *from;
	long v = 0;

	if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
		minus = *s->p++ == '-';
	from = s->p;
	if (scan_digits(s) == 0)
		return false;
	for (; from < s->p; from++)
		v = v > 9999 ? v : v * 10 + (*from - '0');
	*ret = minus ? -v : v;
	return true;
}

/* Digits without sign, n of them: is it beyond 2^53 - 1? */
static bool
digits_are_big(const uint8_t *p, size_t n)
{
	uint64_t v = 0;

	if (n > 16)
		return true;
	for (size_t i = 0; i < n; i++)
		v = v * 10 + (uint64_t)(p[i] - '0');
	return v > JSON_INT_MAX;
}

/* number = [ "-" ] int [ frac ] [ exp ] [RFC 8259 §6] */
static enum err
scan_number(struct state *s, enum json_type *ret)
{
	const uint8_t *start = s->p, *digits;
	size_t n;
	long exponent = 0;

	if (*s->p == '-')
		s->p++;
	digits = s->p;
	n = scan_digits(s);
	if (n == 0 || (n > 1 && *digits == '0'))
		return refuse(s, ERR_MALFORMED, "bad number");
	*ret = JSON_INT;
	if (s->p < s->end && *s->p == '.') {
		s->p++;
		*ret = JSON_NUMBER;
		if (scan_digits(s) == 0)
			return refuse(s, ERR_MALFORMED, "bad number");
	}
	if (s->p < s->end && (*s->p | 0x20) == 'e') {
		s->p++;
		*ret = JSON_NUMBER;
		if (!scan_exponent(s, &exponent))
			return refuse(s, ERR_MALFORMED, "bad number");
	}
	if (s->p - start > JSON_NUMBER_MAX)
		return refuse(s, ERR_MALFORMED, "number too long");
	if ((long)n - 1 + exponent > JSON_EXPONENT_MAX)
		return refuse(s, ERR_MALFORMED, "number not finite");
	if (*ret == JSON_INT && digits_are_big(digits, n)) {
		*ret = JSON_NUMBER;
		s->out->big = true;
	}
	return ERR_OK;
}

static enum err
scan_word(struct state *s, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(s->end - s->p) < n || memcmp(s->p, word, n) != 0)
		return refuse(s, ERR_MALFORMED, "not a JSON value");
	s->p += n;
	return ERR_OK;
}

static enum err
count_token(struct state *s)
{
	if (++s->out->tokens > API_TOKENS_MAX)
		return refuse(s, ERR_LIMIT, "too many values");
	return ERR_OK;
}

/* A value of the root, or an element of it, starts here. */
static void
note_start(struct state *s)
{
	struct json_scan *o = s->out;

	if (s->depth == 0)
		o->text.p = s->p;
	if (s->depth == 1 && !s->stack[0].object) {
		if (o->n_items < API_BATCH_MAX)
			o->items[o->n_items].p = s->p;
		o->n_items++;
	}
	if (s->depth == 1 && s->at_id)
		o->id.p = s->p;
}

/* It ended before s->p. */
static void
note_end(struct state *s, enum json_type type)
{
	struct json_scan *o = s->out;

	s->expect = s->depth ? EXPECT_NEXT : EXPECT_NOTHING;
	if (s->depth == 0) {
		o->type = type;
		o->text.n = (size_t)(s->p - o->text.p);
		return;
	}
	if (s->depth > 1)
		return;
	if (!s->stack[0].object && o->n_items <= API_BATCH_MAX) {
		struct span *item = &o->items[o->n_items - 1];

		item->n = (size_t)(s->p - item->p);
	}
	if (s->at_id) {
		o->id.n = (size_t)(s->p - o->id.p);
		o->id_type = type;
		s->at_id = false;
	}
}

static enum err
open_container(struct state *s, bool object)
{
	if (s->depth == API_DEPTH_MAX)
		return refuse(s, ERR_LIMIT, "nested too deep");
	s->stack[s->depth++] = (struct level){ object, ++s->serials };
	s->expect = object ? EXPECT_KEY_OR_END : EXPECT_VALUE_OR_END;
	s->p++;
	return ERR_OK;
}

static enum err
close_container(struct state *s)
{
	bool object;

	assert(s->depth > 0);
	object = s->stack[s->depth - 1].object;
	if (*s->p != (object ? '}' : ']'))
		return refuse(s, ERR_MALFORMED, "wrong bracket");
	s->p++;
	s->depth--;
	note_end(s, object ? JSON_OBJECT : JSON_ARRAY);
	return ERR_OK;
}

static enum err
scan_value(struct state *s)
{
	enum json_type type = JSON_STRING;
	struct text text;
	enum err err = count_token(s);

	if (err)
		return err;
	note_start(s);
	switch (*s->p) {
	case '{':
	case '[':
		return open_container(s, *s->p == '{');
	case '"':
		s->p++;
		err = scan_string(s, &text);
		break;
	case 't':
	case 'f':
		type = JSON_BOOL;
		err = scan_word(s, *s->p == 't' ? "true" : "false");
		break;
	case 'n':
		type = JSON_NULL;
		err = scan_word(s, "null");
		break;
	default:
		err = scan_number(s, &type);
		break;
	}
	if (!err)
		note_end(s, type);
	return err;
}

static void
skip_blanks(struct state *s)
{
	while (s->p < s->end && (*s->p == ' ' || *s->p == '\t' ||
	                            *s->p == '\n' || *s->p == '\r'))
		s->p++;
}

static enum err
scan_key(struct state *s)
{
	struct text key;
	enum err err;

	if (*s->p != '"')
		return refuse(s, ERR_MALFORMED, "a key was expected");
	s->p++;
	err = count_token(s);
	if (!err)
		err = scan_string(s, &key);
	if (err)
		return err;
	if (!key_is_new(s, key.hash))
		return refuse(s, ERR_CONFLICT, "the same key twice");
	skip_blanks(s);
	if (s->p == s->end || *s->p != ':')
		return refuse(s, ERR_MALFORMED, "a colon was expected");
	s->p++;
	if (s->depth == 1)
		s->at_id = key.n == 2 && memcmp(key.head, "id", 2) == 0;
	s->expect = EXPECT_VALUE;
	return ERR_OK;
}

/* At a byte that is not blank. */
static enum err
scan_step(struct state *s)
{
	switch (s->expect) {
	case EXPECT_VALUE_OR_END:
		if (*s->p == ']')
			return close_container(s);
		return scan_value(s);
	case EXPECT_VALUE:
		return scan_value(s);
	case EXPECT_KEY_OR_END:
		if (*s->p == '}')
			return close_container(s);
		return scan_key(s);
	case EXPECT_KEY:
		return scan_key(s);
	case EXPECT_NEXT:
		if (*s->p != ',')
			return close_container(s);
		s->p++;
		s->expect =
		    s->stack[s->depth - 1].object ? EXPECT_KEY : EXPECT_VALUE;
		return ERR_OK;
	case EXPECT_NOTHING:
		break;
	}
	return refuse(s, ERR_MALFORMED, "something after the end");
}

/* Slots of older documents count as empty; once in 65,535 all are wiped. */
static void
next_document(struct json_guard *g)
{
	if (++g->gen == 0) {
		memset(g->seen, 0, sizeof(g->seen));
		g->gen = 1;
	}
}

enum err
json_scan(struct json_guard *g, struct span text, struct json_scan *ret)
{
	struct state s = { .g = g,
		.out = ret,
		.start = text.p,
		.p = text.p,
		.end = text.p + text.n,
		.expect = EXPECT_VALUE };
	enum err err = ERR_OK;

	memset(ret, 0, sizeof(*ret));
	if (text.n == 0)
		return refuse(&s, ERR_MALFORMED, "nothing there");
	next_document(g);
	skip_blanks(&s);
	while (!err && s.p < s.end) {
		err = scan_step(&s);
		skip_blanks(&s);
	}
	if (!err && s.expect != EXPECT_NOTHING)
		err = refuse(&s, ERR_MALFORMED, "it ends too early");
	assert(err || s.depth == 0);
	return err;
}

cJSON *
json_parse(struct span text)
{
	const char *end = NULL;
	cJSON *v = cJSON_ParseWithLengthOpts(
	    (const char *)text.p, text.n, &end, false);

	if (v && end != (const char *)text.p + text.n) {
		cJSON_Delete(v);
		v = NULL;
	}
	return v;
}

const cJSON *
json_member(const cJSON *object, const char *key)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(object, key);

	return v && !cJSON_IsNull(v) ? v : NULL;
}

bool
json_to_int(const cJSON *v, int64_t *ret)
{
	if (!cJSON_IsNumber(v) || !(fabs(v->valuedouble) <= JSON_INT_MAX))
		return false;
	if ((double)(int64_t)v->valuedouble != v->valuedouble)
		return false;
	*ret = (int64_t)v->valuedouble;
	return true;
}
