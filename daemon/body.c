#include "daemon/body.h"

#include "proto/base/text.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FIRST_SIZE = 512 };

void
body_init(struct body *b, size_t max)
{
	*b = (struct body){ .max = max };
}

void
body_clear(struct body *b)
{
	if (b->p)
		sodium_memzero(b->p, b->cap);
	free(b->p);
	*b = (struct body){ .max = b->max };
}

struct span
body_span(const struct body *b)
{
	assert(!b->bad);
	return span_of(b->p, b->n);
}

/* Room for n more bytes. Grows by copy, so that old bytes can be wiped. */
static bool
reserve(struct body *b, size_t n)
{
	size_t cap = b->cap ? b->cap : FIRST_SIZE;
	char *p;

	if (b->bad || n > b->max || b->n > b->max - n) {
		b->bad = true;
		return false;
	}
	if (b->n + n <= b->cap)
		return true;
	while (cap < b->n + n)
		cap *= 2;
	p = malloc(cap);
	if (!p) {
		b->bad = true;
		return false;
	}
	if (b->p) {
		memcpy(p, b->p, b->n);
		sodium_memzero(b->p, b->cap);
		free(b->p);
	}
	b->p = p;
	b->cap = cap;
	return true;
}

static void
put(struct body *b, const char *s, size_t n)
{
	if (n > 0 && reserve(b, n)) {
		memcpy(b->p + b->n, s, n);
		b->n += n;
	}
}

static void
put_str(struct body *b, const char *s)
{
	put(b, s, strlen(s));
}

/* How many bytes of well-formed UTF-8 stand at the front: 0 if the first
 * character is not. */
static size_t
utf8_char(struct span s)
{
	uint8_t c = s.p[0];
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;

	if (n > s.n || !utf8_valid(span_of(s.p, n)))
		return 0;
	return n;
}

static void
put_char(struct body *b, const uint8_t *p, size_t n)
{
	char esc[8];

	if (n == 1 && (p[0] == '"' || p[0] == '\\')) {
		esc[0] = '\\';
		esc[1] = (char)p[0];
		put(b, esc, 2);
	} else if (n == 1 && p[0] == '\n') {
		put(b, "\\n", 2);
	} else if (n == 1 && (p[0] < 0x20 || p[0] == 0x7f)) {
		(void)snprintf(esc, sizeof(esc), "\\u%04x", p[0]);
		put(b, esc, 6);
	} else if (n == 2 && p[0] == 0xc2 && p[1] < 0xa0) { /* C1 controls */
		(void)snprintf(esc, sizeof(esc), "\\u%04x", p[1]);
		put(b, esc, 6);
	} else {
		put(b, (const char *)p, n);
	}
}

static void
put_quoted(struct body *b, struct span text)
{
	size_t at = 0;

	put(b, "\"", 1);
	while (at < text.n && !b->bad) {
		size_t n = utf8_char(span_of(text.p + at, text.n - at));

		if (n == 0)
			put_str(b, "\xef\xbf\xbd"); /* U+FFFD */
		else
			put_char(b, text.p + at, n);
		at += n ? n : 1;
	}
	put(b, "\"", 1);
}

static void
put_key(struct body *b, const char *key)
{
	if (b->comma)
		put(b, ",", 1);
	if (key) {
		put(b, "\"", 1); /* our own words: nothing to escape */
		put_str(b, key);
		put(b, "\":", 2);
	}
	b->comma = true;
}

void
body_object(struct body *b, const char *key)
{
	put_key(b, key);
	put(b, "{", 1);
	b->comma = false;
}

void
body_array(struct body *b, const char *key)
{
	put_key(b, key);
	put(b, "[", 1);
	b->comma = false;
}

void
body_end_object(struct body *b)
{
	put(b, "}", 1);
	b->comma = true;
}

void
body_end_array(struct body *b)
{
	put(b, "]", 1);
	b->comma = true;
}

void
body_text(struct body *b, const char *key, struct span text)
{
	put_key(b, key);
	put_quoted(b, text);
}

void
body_str(struct body *b, const char *key, const char *s)
{
	body_text(b, key, span_str(s));
}

void
body_id(struct body *b, const char *key, const uint8_t id[16])
{
	char text[ID_TEXT_SIZE];

	id_encode(id, text);
	body_str(b, key, text);
}

void
body_int(struct body *b, const char *key, int64_t v)
{
	char text[24];

	put_key(b, key);
	(void)snprintf(text, sizeof(text), "%" PRId64, v);
	put_str(b, text);
}

void
body_bool(struct body *b, const char *key, bool v)
{
	put_key(b, key);
	put_str(b, v ? "true" : "false");
}

void
body_null(struct body *b, const char *key)
{
	put_key(b, key);
	put_str(b, "null");
}

void
body_raw(struct body *b, const char *key, struct span json)
{
	put_key(b, key);
	put(b, (const char *)json.p, json.n);
}
