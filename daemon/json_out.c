/* Writing JSON. */
#include "daemon/json_out.h"

#include "daemon/json.h"
#include "proto/base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OUT_FIRST = 1024 }; /* bytes of the first allocation */

void
json_out_clear(struct json_out *o)
{
	free(o->p);
	*o = (struct json_out){ .max = o->max };
}

void
json_out_cut(struct json_out *o, size_t n)
{
	assert(n <= o->n);
	o->n = n;
	o->bad = false;
	o->follow = false;
}

void
json_out_consume(struct json_out *o, size_t n)
{
	assert(n <= o->n);
	o->n -= n;
	if (o->n > 0)
		memmove(o->p, o->p + n, o->n);
}

/* Room for n more bytes, or NULL and bad. */
static char *
room(struct json_out *o, size_t n)
{
	size_t cap = o->cap;
	char *p;

	if (o->bad || n > o->max - o->n) {
		o->bad = true;
		return NULL;
	}
	while (cap < o->n + n)
		cap = cap ? 2 * cap : OUT_FIRST;
	if (cap > o->cap) {
		p = realloc(o->p, cap);
		if (!p) {
			o->bad = true;
			return NULL;
		}
		o->p = p;
		o->cap = cap;
	}
	return o->p + o->n;
}

static void
put(struct json_out *o, const void *bytes, size_t n)
{
	char *p = n > 0 ? room(o, n) : NULL;

	if (p) {
		memcpy(p, bytes, n);
		o->n += n;
	}
}

static void
put_char(struct json_out *o, char c)
{
	put(o, &c, 1);
}

/* Before a value or a key. */
static void
separate(struct json_out *o)
{
	if (o->follow)
		put_char(o, ',');
	o->follow = true;
}

void
json_open(struct json_out *o, char bracket)
{
	assert(bracket == '{' || bracket == '[');
	separate(o);
	put_char(o, bracket);
	o->follow = false;
}

void
json_close(struct json_out *o, char bracket)
{
	assert(bracket == '}' || bracket == ']');
	put_char(o, bracket);
	o->follow = true;
}

void
json_key(struct json_out *o, const char *key)
{
	separate(o);
	put_char(o, '"');
	put(o, key, strlen(key));
	put(o, "\":", 2);
	o->follow = false;
}

void
json_line(struct json_out *o)
{
	put_char(o, '\n');
	o->follow = false;
}

void
json_null(struct json_out *o)
{
	separate(o);
	put(o, "null", 4);
}

void
json_bool(struct json_out *o, bool v)
{
	separate(o);
	put(o, v ? "true" : "false", v ? 4 : 5);
}

void
json_int(struct json_out *o, int64_t v)
{
	char buf[24]; /* filled from its end */
	size_t at = sizeof(buf);
	uint64_t left;

	if (v > JSON_INT_MAX)
		v = JSON_INT_MAX;
	if (v < -JSON_INT_MAX)
		v = -JSON_INT_MAX;
	left = (uint64_t)(v < 0 ? -v : v);
	do {
		buf[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left > 0);
	if (v < 0)
		buf[--at] = '-';
	separate(o);
	put(o, buf + at, sizeof(buf) - at);
}

void
json_uint(struct json_out *o, uint64_t v)
{
	json_int(o, v > JSON_INT_MAX ? JSON_INT_MAX : (int64_t)v);
}

void
json_str(struct json_out *o, const char *s)
{
	json_text(o, span_str(s));
}

/* Length of the well-formed sequence at p and its code point; 0 if none. */
static size_t
sequence(const uint8_t *p, size_t n, uint32_t *ret)
{
	size_t want = *p >= 0xf0 ? 4 : *p >= 0xe0 ? 3 : 2;
	uint32_t code = *p & (0xffU >> (want + 1));

	if (want > n || !utf8_valid(span_of(p, want)))
		return 0;
	for (size_t i = 1; i < want; i++)
		code = code << 6 | (p[i] & 0x3f);
	*ret = code;
	return want;
}

/* Controls and what turns the direction of a line round. */
static bool
is_unfit(uint32_t code)
{
	return code < 0x20 || (code >= 0x7f && code < 0xa0) || code == 0x61c ||
	       code == 0x200e || code == 0x200f ||
	       (code >= 0x2028 && code <= 0x202e) ||
	       (code >= 0x2066 && code <= 0x2069) || code == 0xfeff;
}

static void
put_escape(struct json_out *o, uint32_t code)
{
	static const char from[] = "\b\f\n\r\t\"\\";
	static const char to[] = "bfnrt\"\\";
	const char *at = code && code < 0x80 ? strchr(from, (int)code) : NULL;
	char buf[8] = "\\";

	assert(code <= 0xffff);
	if (at) {
		buf[1] = to[at - from];
		put(o, buf, 2);
		return;
	}
	(void)snprintf(buf, sizeof(buf), "\\u%04x", (unsigned)code & 0xffffU);
	put(o, buf, 6);
}

/* Writes one character from p; says how many bytes it took. */
static size_t
put_one(struct json_out *o, const uint8_t *p, size_t n)
{
	uint32_t code = *p;
	size_t took = 1;

	if (code >= 0x80)
		took = sequence(p, n, &code);
	if (took == 0) {
		put(o, "\xef\xbf\xbd", 3);
		return 1;
	}
	if (is_unfit(code) || code == '"' || code == '\\')
		put_escape(o, code);
	else
		put(o, p, took);
	return took;
}

static bool
is_plain(uint8_t c)
{
	return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

void
json_text(struct json_out *o, struct span text)
{
	size_t i = 0, from;

	separate(o);
	put_char(o, '"');
	while (i < text.n && !o->bad) {
		for (from = i; i < text.n && is_plain(text.p[i]); i++)
			;
		put(o, text.p + from, i - from);
		if (i < text.n)
			i += put_one(o, text.p + i, text.n - i);
	}
	put_char(o, '"');
}

void
json_id(struct json_out *o, const uint8_t id[16])
{
	char text[ID_TEXT_SIZE];

	id_encode(id, text);
	json_str(o, text);
}

void
json_base64(struct json_out *o, struct span bytes)
{
	size_t n = bytes.n / 3 * 4 + 8; /* and the NUL */
	char *p;

	separate(o);
	put_char(o, '"');
	p = room(o, n);
	if (!p || base64url_encode(bytes, p, n)) {
		o->bad = true;
		return;
	}
	o->n += strlen(p);
	put_char(o, '"');
}

void
json_hex(struct json_out *o, struct span bytes)
{
	char *p;

	separate(o);
	put_char(o, '"');
	p = room(o, 2 * bytes.n + 1);
	if (!p)
		return;
	hex_encode(bytes, p);
	o->n += 2 * bytes.n;
	put_char(o, '"');
}

void
json_raw(struct json_out *o, struct span json)
{
	separate(o);
	put(o, json.p, json.n);
}

void
json_put_open(struct json_out *o, const char *key, char bracket)
{
	json_key(o, key);
	json_open(o, bracket);
}

void
json_put_raw(struct json_out *o, const char *key, struct span json)
{
	json_key(o, key);
	json_raw(o, json);
}

void
json_put_null(struct json_out *o, const char *key)
{
	json_key(o, key);
	json_null(o);
}

void
json_put_bool(struct json_out *o, const char *key, bool v)
{
	json_key(o, key);
	json_bool(o, v);
}

void
json_put_int(struct json_out *o, const char *key, int64_t v)
{
	json_key(o, key);
	json_int(o, v);
}

void
json_put_uint(struct json_out *o, const char *key, uint64_t v)
{
	json_key(o, key);
	json_uint(o, v);
}

void
json_put_str(struct json_out *o, const char *key, const char *s)
{
	json_key(o, key);
	json_str(o, s);
}

void
json_put_text(struct json_out *o, const char *key, struct span text)
{
	json_key(o, key);
	json_text(o, text);
}

void
json_put_id(struct json_out *o, const char *key, const uint8_t id[16])
{
	json_key(o, key);
	json_id(o, id);
}
