/* Escaping of untrusted text. */
#include "ctl/escape.h"

#include "ctl/value.h"
#include "proto/base/text.h"

#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

/* A string that grows. */
struct text {
	char *p;
	size_t n, cap;
};

static void
append(struct text *t, const char *s, size_t n)
{
	if (t->cap - t->n <= n) {
		t->cap = (t->cap + n) * 2 + 32;
		t->p = value_realloc(t->p, t->cap);
	}
	memcpy(t->p + t->n, s, n);
	t->n += n;
	t->p[t->n] = '\0';
}

static void
append_str(struct text *t, const char *s)
{
	append(t, s, strlen(s));
}

/* Bytes of the first character of s, or 0 if it is not UTF-8. */
static size_t
char_size(const char *s)
{
	uint8_t lead = (uint8_t)s[0];
	size_t n = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;

	if (strnlen(s, n) < n || !utf8_valid(span_of(s, n)))
		return 0;
	return n;
}

static uint32_t
char_code(const char *s, size_t n)
{
	static const uint8_t mask[] = { 0, 0x7f, 0x1f, 0x0f, 0x07 };
	uint32_t c;

	assert(n >= 1 && n <= 4);
	c = (uint8_t)s[0] & mask[n];
	for (size_t i = 1; i < n; i++)
		c = c << 6 | ((uint8_t)s[i] & 0x3f);
	return c;
}

/* C0, DEL, C1, the bidirectional controls, line and paragraph separator, and
 * the tags that no reader can see. */
static bool
steers(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x061c ||
	       (c >= 0x200e && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	       (c >= 0x2066 && c <= 0x2069) || c == 0xfeff ||
	       (c >= 0xe0000 && c <= 0xe007f);
}

enum style { STYLE_TERMINAL, STYLE_ONE_LINE, STYLE_TSV, STYLE_RAW, STYLE_JSON };

/* What stands for c by the rules of the format alone, or NULL. */
static const char *
replacement(enum style style, uint32_t c)
{
	bool tsv = style == STYLE_TSV || style == STYLE_RAW;
	bool backslash = tsv || style == STYLE_JSON;

	if (c == '\n')
		return backslash                 ? "\\n"
		       : style == STYLE_ONE_LINE ? "\xe2\x8f\x8e" /* U+23CE */
		                                 : "\n";
	if (c == '\t' && backslash)
		return "\\t";
	if (c == '\r' && backslash)
		return "\\r";
	if (c == '\\' && backslash)
		return "\\\\";
	return c == '"' && style == STYLE_JSON ? "\\\"" : NULL;
}

static void
append_escaped(struct text *t, enum style style, uint32_t c)
{
	char buf[24];

	if (style != STYLE_JSON)
		(void)snprintf(buf, sizeof(buf), "\\u{%02x}", c);
	else if (c < 0x10000)
		(void)snprintf(buf, sizeof(buf), "\\u%04x", c);
	else
		(void)snprintf(buf, sizeof(buf), "\\u%04x\\u%04x",
		    0xd7c0 + (c >> 10), 0xdc00 + (c & 0x3ff));
	append_str(t, buf);
}

/* A byte that is not UTF-8. */
static void
append_byte(struct text *t, enum style style, char c)
{
	char buf[16];

	if (style == STYLE_RAW) {
		append(t, &c, 1);
		return;
	}
	(void)snprintf(buf, sizeof(buf), "\\x{%02x}", (uint8_t)c);
	append_str(t, style == STYLE_JSON ? "\\ufffd" : buf);
}

static char *
escape(const char *s, enum style style)
{
	struct text t = { 0 };

	append(&t, "", 0);
	while (*s != '\0') {
		size_t n = char_size(s);

		if (n == 0) {
			append_byte(&t, style, *s++);
			continue;
		}
		uint32_t c = char_code(s, n);
		const char *instead = replacement(style, c);

		if (instead != NULL)
			append_str(&t, instead);
		else if (steers(c) && style != STYLE_RAW)
			append_escaped(&t, style, c);
		else
			append(&t, s, n);
		s += n;
	}
	return t.p;
}

char *
escape_terminal(const char *s, bool one_line)
{
	return escape(s, one_line ? STYLE_ONE_LINE : STYLE_TERMINAL);
}

char *
escape_tsv(const char *s, bool raw)
{
	return escape(s, raw ? STYLE_RAW : STYLE_TSV);
}

char *
escape_json(const char *s)
{
	return escape(s, STYLE_JSON);
}

size_t
escape_width(const char *s)
{
	size_t width = 0;

	while (*s != '\0') {
		size_t n = char_size(s);
		int w = n > 0 ? wcwidth((wchar_t)char_code(s, n)) : 1;

		width += w < 0 ? 1 : (size_t)w;
		s += n > 0 ? n : 1;
	}
	return width;
}
