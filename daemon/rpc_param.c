/* Parameters against their specification, and the nearest name. */
#include "daemon/rpc_request.h"

#include "proto/base/text.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct span
cut(const char *from, const char *to)
{
	assert(to >= from);
	return span_of(from, (size_t)(to - from));
}

bool
rpc_param_next(const char **spec, struct rpc_param *ret)
{
	const char *p = *spec + strspn(*spec, " ");
	const char *end = p + strcspn(p, " ");
	const char *colon = strchr(p, ':');
	const char *type_end;

	if (p == end)
		return false;
	assert(colon && colon < end);
	*ret = (struct rpc_param){ .name = cut(p, colon) };
	ret->optional = end[-1] == '?';
	type_end = end - (ret->optional ? 1 : 0);
	p = colon + 1 + strcspn(colon + 1, "(?");
	p = p < type_end ? p : type_end;
	ret->type = cut(colon + 1, p);
	if (p < type_end) {
		assert(*p == '(' && type_end[-1] == ')');
		ret->arg = cut(p + 1, type_end - 1);
	}
	*spec = end;
	return true;
}

static bool
span_is(struct span s, const char *word)
{
	return s.n == strlen(word) && memcmp(s.p, word, s.n) == 0;
}

/* Is v one of "a|b|c"? */
static bool
is_word_of(const cJSON *v, struct span words)
{
	size_t at = 0;

	if (!cJSON_IsString(v))
		return false;
	while (at < words.n) {
		const uint8_t *p = words.p + at;
		const uint8_t *bar = memchr(p, '|', words.n - at);
		size_t n = bar ? (size_t)(bar - p) : words.n - at;

		if (span_is(span_of(p, n), v->valuestring))
			return true;
		at += n + 1;
	}
	return false;
}

static bool
is_list_of_strings(const cJSON *v)
{
	const cJSON *e;
	size_t n = 0;

	if (!cJSON_IsArray(v))
		return false;
	cJSON_ArrayForEach(e, v)
	{
		if (!cJSON_IsString(e) || ++n > RPC_STRS_MAX ||
		    strlen(e->valuestring) > RPC_STRS_BYTES)
			return false;
	}
	return true;
}

static bool
is_id(const cJSON *v)
{
	uint8_t id[16];

	return cJSON_IsString(v) && !id_decode(span_str(v->valuestring), id);
}

static bool
is_int_of(const cJSON *v, struct span range)
{
	int64_t n;
	char *next;
	long long min, max;

	assert(range.p);
	min = strtoll((const char *)range.p, &next, 10);
	assert(*next == ',');
	max = strtoll(next + 1, NULL, 10);
	return json_to_int(v, &n) && n >= min && n <= max;
}

/* A string of MIN,MAX or, without a MIN, at most MAX bytes? */
static bool
is_str_of(const cJSON *v, struct span range, struct rpc_fault *f)
{
	char *next;
	unsigned long min = 0, max;

	assert(range.p);
	max = strtoul((const char *)range.p, &next, 10);
	if (*next == ',') {
		min = max;
		max = strtoul(next + 1, NULL, 10);
	}
	assert(min <= max && max > 0);
	if (cJSON_IsString(v) && strlen(v->valuestring) >= min &&
	    strlen(v->valuestring) <= max)
		return true;
	if (min)
		rpc_fault_set(f, API_INVALID_PARAMS,
		    "must be a string of %lu to %lu bytes", min, max);
	else
		rpc_fault_set(f, API_INVALID_PARAMS,
		    "must be a string of at most %lu bytes", max);
	return false;
}

/* What v should have been, if it is not: words for the reason. */
static bool
fits(const struct rpc_param *p, const cJSON *v, struct rpc_fault *f)
{
	int n = (int)p->arg.n;
	const char *arg = (const char *)p->arg.p;
	bool ok;

	if (span_is(p->type, "str")) {
		ok = is_str_of(v, p->arg, f);
	} else if (span_is(p->type, "id")) {
		ok = is_id(v);
		if (!ok)
			rpc_fault_set(f, API_INVALID_PARAMS,
			    "must be an id of 26 characters");
	} else if (span_is(p->type, "int")) {
		ok = is_int_of(v, p->arg);
		if (!ok)
			rpc_fault_set(f, API_INVALID_PARAMS,
			    "must be an integer in (%.*s)", n, arg);
	} else if (span_is(p->type, "bool")) {
		ok = cJSON_IsBool(v);
		if (!ok)
			rpc_fault_set(
			    f, API_INVALID_PARAMS, "must be true or false");
	} else if (span_is(p->type, "strs")) {
		ok = is_list_of_strings(v);
		if (!ok)
			rpc_fault_set(f, API_INVALID_PARAMS,
			    "must be a list of at most %d short strings",
			    RPC_STRS_MAX);
	} else if (span_is(p->type, "enum")) {
		ok = is_word_of(v, p->arg);
		if (!ok)
			rpc_fault_set(f, API_INVALID_PARAMS,
			    "must be one of %.*s", n, arg);
	} else {
		assert(span_is(p->type, "any"));
		ok = true;
	}
	return ok;
}

static void
name_param(struct rpc_fault *f, struct span name)
{
	int n = name.n < sizeof(f->param) - 1 ? (int)name.n
	                                      : (int)sizeof(f->param) - 1;

	(void)snprintf(f->param, sizeof(f->param), "%.*s", n, name.p);
}

/* The parameter called `name`; false if there is none. */
static bool
find_param(const char *spec, const char *name, struct rpc_param *ret)
{
	while (rpc_param_next(&spec, ret))
		if (span_is(ret->name, name))
			return true;
	return false;
}

static void
fault_unknown(const char *spec, const char *name, struct rpc_fault *f)
{
	char names[RPC_PARAMS_MAX][RPC_MEANT_MAX];
	struct {
		const char *name;
	} table[RPC_PARAMS_MAX];
	struct rpc_param p;
	const char *near;
	size_t n = 0;

	while (n < RPC_PARAMS_MAX && rpc_param_next(&spec, &p)) {
		(void)snprintf(names[n], sizeof(names[n]), "%.*s",
		    (int)p.name.n, p.name.p);
		table[n].name = names[n];
		n++;
	}
	rpc_fault_set(f, API_INVALID_PARAMS, "no such parameter");
	name_param(f, span_str(name));
	near = rpc_nearest(name, table, n, sizeof(*table));
	if (near)
		(void)snprintf(f->meant, sizeof(f->meant), "%s", near);
}

/* Every member of params is a parameter, once, and fits. */
static bool
check_given(const char *spec, const cJSON *params, struct rpc_fault *f)
{
	struct rpc_param p;
	const cJSON *v;

	cJSON_ArrayForEach(v, params)
	{
		if (!find_param(spec, v->string, &p)) {
			fault_unknown(spec, v->string, f);
			return false;
		}
		if (cJSON_IsNull(v) || fits(&p, v, f))
			continue;
		name_param(f, p.name);
		return false;
	}
	return true;
}

void
rpc_params_check(const char *spec, const cJSON *params, struct rpc_fault *fault)
{
	struct rpc_param p;
	const char *at = spec;
	char name[RPC_MEANT_MAX];

	*fault = (struct rpc_fault){ .at = -1 };
	if (params && !check_given(spec, params, fault))
		return;
	while (rpc_param_next(&at, &p)) {
		if (p.optional)
			continue;
		(void)snprintf(
		    name, sizeof(name), "%.*s", (int)p.name.n, p.name.p);
		if (params && json_member(params, name))
			continue;
		rpc_fault_set(fault, API_INVALID_PARAMS, "is missing");
		name_param(fault, p.name);
		return;
	}
}

/* Insertions, deletions and replacements from a to b; both are short. */
static size_t
distance(const char *a, const char *b)
{
	size_t row[RPC_MEANT_MAX + 1], n = strlen(b), above, best;

	assert(n <= RPC_MEANT_MAX);
	for (size_t j = 0; j <= n; j++)
		row[j] = j;
	for (size_t i = 0; a[i]; i++) {
		size_t diagonal = row[0];

		row[0] = i + 1;
		for (size_t j = 0; j < n; j++) {
			above = row[j + 1];
			best = diagonal + (a[i] != b[j]);
			best = above + 1 < best ? above + 1 : best;
			best = row[j] + 1 < best ? row[j] + 1 : best;
			row[j + 1] = best;
			diagonal = above;
		}
	}
	return row[n];
}

const char *
rpc_nearest(const char *name, const void *table, size_t n, size_t stride)
{
	const char *best = NULL;
	size_t least = strlen(name) / 3 + 2; /* more is another word */

	if (strlen(name) > RPC_MEANT_MAX)
		return NULL;
	for (size_t i = 0; i < n; i++) {
		const char *s;
		size_t d;

		memcpy(&s, (const char *)table + i * stride, sizeof(s));
		d = distance(name, s);
		if (d < least) {
			least = d;
			best = s;
		}
	}
	return best;
}
