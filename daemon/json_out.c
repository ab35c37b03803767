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

/* The buffer is full: a larger one. */
static char *
grow(struct json_out *o, size_t n)
{
	size_t cap = o->cap;
	char *p;

	if (o->bad || n > o->max - o->n) {
		o->bad = true;
		return NULL;
	}
	while (cap < o->n + n)
		cap = cap ? 2 * cap : OUT_FIRST;
	if (cap > o->max)
		cap = o->max;
	p = realloc(o->p, cap);
	if (!p) {
		o->bad = true;
		return NULL;
	}
	o->p = p;
	o->cap = cap;
	return o->p + o->n;
}

/* Room for n more bytes, or NULL and bad. A replay asks fifty times an event,
 * so the usual case is short. */
static inline char *
room(struct json_out *o, size_t n)
{
	assert(o->n <= o->cap && o->cap <= o->max);
	if (!o->bad && n <= o->cap - o->n)
		return o->p + o->n;
	return grow(o, n);
}

static inline void
put(struct json_out *o, const void *bytes, size_t n)
{
	char *p = n > 0 ? room(o, n) : NULL;

	if (p) {
		memcpy(p, bytes, n);
		o->n += n;
	}
}

static inline void
put_char(struct json_out *o, char c)
{
	put(o, &c, 1);
}

/* Before a value or a key. */
static inline void
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
json_key_n(struct json_out *o, const char *key, size_t n)
{
	char *p = room(o, n + 4);

	if (!p)
		return;
	if (o->follow)
		*p++ = ',';
	*p++ = '"';
	memcpy(p, key, n);
	p[n] = '"';
	p[n + 1] = ':';
	o->n = (size_t)(p + n + 2 - o->p);
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

static size_t
count_digits(uint64_t v)
{
	size_t n = 1;

	for (; v >= 10000; v /= 10000)
		n += 4;
	return n + (v >= 10) + (v >= 100) + (v >= 1000);
}

/* In place, from the end, two at once: most are times of thirteen digits. */
void
json_int(struct json_out *o, int64_t v)
{
	static const char pairs[] = "0001020304050607080910111213141516171819"
	                            "2021222324252627282930313233343536373839"
	                            "4041424344454647484950515253545556575859"
	                            "6061626364656667686970717273747576777879"
	                            "8081828384858687888990919293949596979899";
	uint64_t left = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	size_t n;
	char *p;

	if (left > JSON_INT_MAX)
		left = JSON_INT_MAX;
	n = count_digits(left) + (v < 0);
	separate(o);
	p = room(o, n);
	if (!p)
		return;
	o->n += n;
	if (v < 0)
		*p = '-';
	for (p += n; left >= 10; left /= 100) {
		p -= 2;
		memcpy(p, pairs + 2 * (left % 100), 2);
	}
	if (left > 0 || v == 0)
		*--p = (char)('0' + left);
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

void
json_word_n(struct json_out *o, const char *word, size_t n)
{
	char *p;

	separate(o);
	p = room(o, n + 2);
	if (!p)
		return;
	*p = '"';
	memcpy(p + 1, word, n);
	p[n + 1] = '"';
	o->n += n + 2;
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

/* The same for eight bytes at once: a high bit is set in each that is not; also
 * above one, perhaps, by what was borrowed. */
static bool
are_plain(const uint8_t *p)
{
	const uint64_t ones = UINT64_MAX / 0xff;
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	v |= (v - 0x20 * ones) | ((v ^ '"' * ones) - ones) |
	     ((v ^ '\\' * ones) - ones) | ((v ^ 0x7f * ones) - ones);
	return (v & ones << 7) == 0;
}

/* How many bytes at p stand for themselves. */
static size_t
plain_run(const uint8_t *p, size_t n)
{
	size_t i = 0;

	while (n - i >= 8 && are_plain(p + i))
		i += 8;
	if (i > 0 && n - i < 8 && are_plain(p + n - 8))
		return n;
	while (i < n && is_plain(p[i]))
		i++;
	return i;
}

void
json_text(struct json_out *o, struct span text)
{
	size_t i = 0, n;

	separate(o);
	put_char(o, '"');
	while (i < text.n && !o->bad) {
		n = plain_run(text.p + i, text.n - i);
		put(o, text.p + i, n);
		i += n;
		if (i < text.n)
			i += put_one(o, text.p + i, text.n - i);
	}
	put_char(o, '"');
}

void
json_id(struct json_out *o, const uint8_t id[16])
{
	char *p;

	separate(o);
	p = room(o, ID_TEXT_SIZE + 1);
	if (!p)
		return;
	*p = '"';
	id_encode(id, p + 1);
	p[ID_TEXT_SIZE] = '"'; /* in the place of its NUL */
	o->n += ID_TEXT_SIZE + 1;
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
