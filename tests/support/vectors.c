/* Finds the files, asks each format, counts. */
#include "tests/support/vectors.h"

#include <fts.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
vectors_case(struct vectors *v, bool ok, const char *fmt, ...)
{
	va_list ap;

	if (ok) {
		v->passed++;
		return;
	}
	v->failed++;
	printf("FAIL %s: ", v->file);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

void
vectors_skip(struct vectors *v, const char *name, const char *why)
{
	v->skipped++;
	printf("skip %s: %s: %s\n", v->file, name, why);
}

static bool
run_formats(struct vectors *v, const cJSON *json)
{
	static bool (*const formats[])(struct vectors *, const cJSON *) = {
		vectors_noise, vectors_bech32m, vectors_bep, vectors_address,
		vectors_invitation, vectors_pair, vectors_safety, vectors_cell,
		vectors_handshake, vectors_classify, vectors_overlay
	};

	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		if (formats[i](v, json))
			return true;
	}
	return false;
}

static void
run_file(struct vectors *v, const char *path)
{
	cJSON *json = json_load(path);

	v->file = path;
	if (!json)
		vectors_case(v, false, "not readable as JSON");
	else if (run_formats(v, json))
		v->files++;
	else
		vectors_skip(v, "the whole file", "of no known format");
	cJSON_Delete(json);
}

static bool
is_json(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".json") == 0;
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
	return strcmp((*a)->fts_name, (*b)->fts_name);
}

void
vectors_run(struct vectors *v, const char *path)
{
	char *copy = strdup(path);
	char *const roots[] = { copy, NULL };
	FTS *walk = copy ? fts_open(roots, FTS_LOGICAL, by_name) : NULL;
	FTSENT *at;

	while (walk && (at = fts_read(walk))) {
		v->file = at->fts_path;
		if (at->fts_info == FTS_F &&
		    (at->fts_level == 0 || is_json(at->fts_name)))
			run_file(v, at->fts_path);
		else if (at->fts_info == FTS_NS || at->fts_info == FTS_DNR)
			vectors_case(v, false, "not readable");
	}
	if (walk)
		fts_close(walk);
	free(copy);
}

void
vectors_report(const struct vectors *v)
{
	printf("%u passed, %u failed", v->passed, v->failed);
	if (v->skipped > 0)
		printf(", %u skipped", v->skipped);
	putchar('\n');
}
