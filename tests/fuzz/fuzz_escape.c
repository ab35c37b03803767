/* Any text before it is shown: nothing that steers a terminal is left, TSV
 * stays one field, JSON reads back as the same text. */
#include "ctl/escape.h"
#include "proto/base/text.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>

enum { TEXT_MAX = 4096 };

/* Bidirectional controls, C1 and the line separators, in UTF-8. */
static const char *const never[] = { "\xc2\x80", "\xc2\x9b", "\xc2\x9d",
	"\xd8\x9c", "\xe2\x80\x8e", "\xe2\x80\x8f", "\xe2\x80\xa8",
	"\xe2\x80\xaa", "\xe2\x80\xae", "\xe2\x81\xa6", "\xe2\x81\xa9",
	"\xef\xbb\xbf" };

static void
check_shown(const char *shown, const char *breaks)
{
	for (const char *p = shown; *p != '\0'; p++)
		assert(((unsigned char)*p >= ' ' && *p != 0x7f) ||
		       strchr(breaks, *p) != NULL);
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++)
		assert(strstr(shown, never[i]) == NULL);
	assert(utf8_valid(span_str(shown)));
	assert(escape_width(shown) <= strlen(shown));
}

static void
check_json(const char *in, const char *escaped)
{
	char *quoted = malloc(strlen(escaped) + 3);
	cJSON *v = NULL;

	assert(quoted != NULL);
	quoted[0] = '"';
	memcpy(quoted + 1, escaped, strlen(escaped));
	memcpy(quoted + 1 + strlen(escaped), "\"", 2);
	v = cJSON_Parse(quoted);
	assert(cJSON_IsString(v));
	if (utf8_valid(span_str(in)))
		assert(strcmp(v->valuestring, in) == 0);
	cJSON_Delete(v);
	free(quoted);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char in[TEXT_MAX + 1];
	char *out[4];

	size = size < TEXT_MAX ? size : TEXT_MAX;
	if (size > 0)
		memcpy(in, data, size);
	in[size] = '\0';
	out[0] = escape_terminal(in, true);
	out[1] = escape_terminal(in, false);
	out[2] = escape_tsv(in, false);
	out[3] = escape_json(in);
	check_shown(out[0], "");
	check_shown(out[1], "\n");
	check_shown(out[2], "");
	check_shown(out[3], "");
	check_json(in, out[3]);
	for (size_t i = 0; i < 4; i++)
		free(out[i]);
	out[0] = escape_tsv(in, true);
	assert(strpbrk(out[0], "\t\n\r") == NULL);
	free(out[0]);
	return 0;
}
