/* Test data from JSON files. */
#include "tests/support/json.h"

#include "proto/base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FILE_MAX = 64 * 1024 * 1024 };

static char *
read_all(FILE *f, size_t *n)
{
	size_t cap = 65536;
	char *buf = malloc(cap);

	*n = 0;
	while (buf) {
		size_t got = fread(buf + *n, 1, cap - *n - 1, f);
		char *more;

		*n += got;
		if (got == 0)
			return buf;
		if (*n + 1 < cap)
			continue;
		more = cap < FILE_MAX ? realloc(buf, cap * 2) : NULL;
		if (!more)
			break;
		buf = more;
		cap *= 2;
	}
	free(buf);
	return NULL;
}

cJSON *
json_load(const char *path)
{
	FILE *f = fopen(path, "rb");
	cJSON *json = NULL;
	char *text;
	size_t n;

	if (!f)
		return NULL;
	text = read_all(f, &n);
	if (text) {
		text[n] = '\0';
		json = cJSON_ParseWithLength(text, n + 1);
	}
	free(text);
	fclose(f);
	return json;
}

const cJSON *
json_item(const cJSON *o, const char *key)
{
	return cJSON_GetObjectItemCaseSensitive(o, key);
}

const char *
json_string(const cJSON *o, const char *key)
{
	return cJSON_GetStringValue(json_item(o, key));
}

uint64_t
json_number(const cJSON *o, const char *key)
{
	const cJSON *v = json_item(o, key);

	if (cJSON_IsString(v))
		return strtoull(v->valuestring, NULL, 10);
	return cJSON_IsNumber(v) ? (uint64_t)v->valuedouble : 0;
}

struct blob
json_blob_of(const cJSON *string)
{
	const char *text = cJSON_GetStringValue(string);
	struct blob b;
	struct writer w;

	b.n = 0;
	b.there = false;
	if (!text)
		return b;
	w = wr_init(b.b, sizeof(b.b));
	b.there = hex_decode(span_str(text), &w) == ERR_OK;
	b.n = w.n;
	return b;
}

struct blob
json_blob(const cJSON *o, const char *key)
{
	return json_blob_of(json_item(o, key));
}

bool
json_bytes(const cJSON *o, const char *key, void *ret, size_t n)
{
	struct blob b = json_blob(o, key);

	if (!b.there || b.n != n)
		return false;
	memcpy(ret, b.b, n);
	return true;
}

struct span
blob_span(const struct blob *b)
{
	return span_of(b->b, b->n);
}

bool
blob_is(const struct blob *b, const void *p, size_t n)
{
	return b->there && b->n == n && (n == 0 || memcmp(b->b, p, n) == 0);
}
