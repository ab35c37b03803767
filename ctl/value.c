/* JSON values. */
#include "ctl/value.h"

#include "ctl/escape.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_DEPTH_MAX = 1024 }; /* cJSON refuses more than 1000 */

static _Noreturn void
out_of_memory(void)
{
	(void)fputs("btchatctl: out of memory\n", stderr);
	exit(1);
}

void *
value_alloc(size_t n)
{
	void *p = calloc(1, n > 0 ? n : 1);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *
value_realloc(void *p, size_t n)
{
	void *q = realloc(p, n > 0 ? n : 1);

	if (q == NULL)
		out_of_memory();
	return q;
}

char *
value_strdup(const char *s)
{
	char *copy = strdup(s);

	if (copy == NULL)
		out_of_memory();
	return copy;
}

void
value_init(void)
{
	cJSON_Hooks hooks = { value_alloc, free };

	cJSON_InitHooks(&hooks);
}

static const cJSON *
member(const cJSON *o, const char *name, size_t n)
{
	const cJSON *m = NULL;

	if (!cJSON_IsObject(o))
		return NULL;
	cJSON_ArrayForEach(m, o)
	{
		if (m->string != NULL && strlen(m->string) == n &&
		    memcmp(m->string, name, n) == 0)
			return m;
	}
	return NULL;
}

const cJSON *
value_get(const cJSON *o, const char *path)
{
	assert(path != NULL);
	for (;;) {
		size_t n = strcspn(path, ".");

		o = member(o, path, n);
		if (o == NULL || path[n] == '\0')
			return o;
		path += n + 1;
	}
}

bool
value_has_str(const cJSON *o, const char *path)
{
	return cJSON_IsString(value_get(o, path));
}

const char *
value_str(const cJSON *o, const char *path)
{
	const cJSON *v = value_get(o, path);

	return cJSON_IsString(v) ? v->valuestring : "";
}

bool
value_true(const cJSON *o, const char *path)
{
	return cJSON_IsTrue(value_get(o, path));
}

uint64_t
value_u64(const cJSON *o, const char *path)
{
	const cJSON *v = value_get(o, path);

	if (!cJSON_IsNumber(v) || !(v->valuedouble > 0))
		return 0;
	if (v->valuedouble > 9007199254740992.0)
		return UINT64_C(9007199254740992);
	return (uint64_t)v->valuedouble;
}

size_t
value_count(const cJSON *o, const char *path)
{
	const cJSON *v = value_get(o, path);

	return cJSON_IsArray(v) ? (size_t)cJSON_GetArraySize(v) : 0;
}

void
value_add_u64(cJSON *o, const char *key, uint64_t v)
{
	(void)cJSON_AddNumberToObject(o, key, (double)v);
}

void
value_add_str(cJSON *o, const char *key, const char *v)
{
	(void)cJSON_AddStringToObject(o, key, v);
}

void
value_number(double d, char ret[VALUE_NUMBER_SIZE])
{
	static const double max = 9007199254740992.0; /* 2^53 */

	if (d >= -max && d <= max && (double)(int64_t)d == d)
		(void)snprintf(ret, VALUE_NUMBER_SIZE, "%" PRId64, (int64_t)d);
	else if (isfinite(d))
		(void)snprintf(ret, VALUE_NUMBER_SIZE, "%.17g", d);
	else
		(void)snprintf(ret, VALUE_NUMBER_SIZE, "null");
}

static void
write_number(FILE *f, double d)
{
	char text[VALUE_NUMBER_SIZE];

	value_number(d, text);
	(void)fputs(text, f);
}

static void
write_string(FILE *f, const char *s)
{
	char *text = escape_json(s);

	(void)fprintf(f, "\"%s\"", text);
	free(text);
}

/* A value without its children. */
static void
write_bare(FILE *f, const cJSON *v)
{
	if (cJSON_IsString(v))
		write_string(f, v->valuestring);
	else if (cJSON_IsNumber(v))
		write_number(f, v->valuedouble);
	else if (cJSON_IsTrue(v))
		(void)fputs("true", f);
	else if (cJSON_IsFalse(v))
		(void)fputs("false", f);
	else if (cJSON_IsArray(v))
		(void)fputc('[', f);
	else if (cJSON_IsObject(v))
		(void)fputc('{', f);
	else
		(void)fputs("null", f);
}

static void
write_close(FILE *f, const cJSON *v)
{
	if (cJSON_IsArray(v))
		(void)fputc(']', f);
	else if (cJSON_IsObject(v))
		(void)fputc('}', f);
}

void
value_write(FILE *f, const cJSON *v)
{
	const cJSON *open[VALUE_DEPTH_MAX];
	size_t depth = 0;

	for (;;) {
		if (depth > 0 && cJSON_IsObject(open[depth - 1])) {
			write_string(f, v->string != NULL ? v->string : "");
			(void)fputc(':', f);
		}
		write_bare(f, v);
		if (v->child != NULL) {
			assert(depth < VALUE_DEPTH_MAX);
			open[depth++] = v;
			v = v->child;
			continue;
		}
		write_close(f, v);
		while (depth > 0 && v->next == NULL) {
			v = open[--depth];
			write_close(f, v);
		}
		if (depth == 0)
			return;
		(void)fputc(',', f);
		v = v->next;
	}
}
