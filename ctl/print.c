/* Results on stdout. */
#include "ctl/print.h"

#include "ctl/escape.h"
#include "ctl/report.h"
#include "ctl/value.h"
#include "ctl/when.h"

#include <assert.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool
terminal_has_color(void)
{
	const char *term = getenv("TERM");
	const char *no_color = getenv("NO_COLOR");

	return isatty(STDOUT_FILENO) && term != NULL &&
	       strcmp(term, "dumb") != 0 &&
	       (no_color == NULL || no_color[0] == '\0');
}

static int
setup_color(struct ctl *ctl)
{
	const char *color = args_value(&ctl->args, "color");

	if (color == NULL || strcmp(color, "auto") == 0)
		ctl->color = terminal_has_color();
	else if (strcmp(color, "always") == 0)
		ctl->color = true;
	else if (strcmp(color, "never") == 0)
		ctl->color = false;
	else
		return report_usage("--color is auto, always or never");
	return CTL_DONE;
}

int
print_setup(struct ctl *ctl)
{
	const struct args *a = &ctl->args;
	bool tty = isatty(STDOUT_FILENO) != 0;

	if (args_has(a, "json") + args_has(a, "plain") + args_has(a, "human") >
	    1)
		return report_usage("--json, --plain and --human: choose one");
	ctl->mode = args_has(a, "json")    ? MODE_JSON
	            : args_has(a, "plain") ? MODE_PLAIN
	            : args_has(a, "human") ? MODE_HUMAN
	            : tty                  ? MODE_HUMAN
	                                   : MODE_PLAIN;
	ctl->fields = args_value(a, "json");
	ctl->raw = args_has(a, "raw");
	if (ctl->raw && tty)
		return report_usage("--raw is for pipes, not for a terminal");
	return setup_color(ctl);
}

/* The named members of object, in the order they are named. */
static cJSON *
pick(const cJSON *object, const char *fields)
{
	cJSON *some = cJSON_CreateObject();
	char *list = value_strdup(fields), *rest = list, *name = NULL;

	while ((name = strsep(&rest, ",")) != NULL) {
		const cJSON *v = value_get(object, name);

		if (v != NULL)
			(void)cJSON_AddItemToObject(
			    some, name, cJSON_Duplicate(v, 1));
		else
			(void)cJSON_AddNullToObject(some, name);
	}
	free(list);
	return some;
}

void
print_json(const struct ctl *ctl, const cJSON *object)
{
	cJSON *some = NULL;

	assert(ctl->mode == MODE_JSON);
	if (ctl->fields != NULL && cJSON_IsObject(object))
		some = pick(object, ctl->fields);
	value_write(stdout, some != NULL ? some : object);
	(void)fputc('\n', stdout);
	cJSON_Delete(some);
}

bool
print_as_json(const struct ctl *ctl, const cJSON *result)
{
	if (ctl->mode != MODE_JSON)
		return false;
	print_json(ctl, result);
	return true;
}

void
print_pair(const struct ctl *ctl, const char *key, const char *value)
{
	char *safe = ctl->mode == MODE_HUMAN ? escape_terminal(value, true)
	                                     : escape_tsv(value, ctl->raw);

	if (ctl->mode == MODE_HUMAN)
		(void)printf("%s%-18s%s %s\n", print_style(ctl, PRINT_DIM), key,
		    print_style(ctl, PRINT_RESET), safe);
	else
		(void)printf("%s\t%s\n", key, safe);
	free(safe);
}

void
print_pair_u64(const struct ctl *ctl, const char *key, uint64_t value)
{
	char text[24];

	(void)snprintf(text, sizeof(text), "%" PRIu64, value);
	print_pair(ctl, key, text);
}

void
print_pair_ms(const struct ctl *ctl, const char *key, uint64_t ms)
{
	char text[WHEN_SIZE] = "-";

	if (ms != 0 && ctl->mode == MODE_HUMAN)
		when_local(ms, text);
	else if (ms != 0)
		when_utc(ms, text);
	print_pair(ctl, key, text);
}

enum { FLAT_DEPTH_MAX = 16, FLAT_PATH_SIZE = 256 };

/* Numbers named *_ms this large are moments, not durations. */
static const uint64_t moment_ms = UINT64_C(1000000000000);

static void
print_leaf(const struct ctl *ctl, const char *path, const cJSON *v)
{
	size_t n = strlen(path);
	char text[VALUE_NUMBER_SIZE] = "";

	if (cJSON_IsString(v)) {
		print_pair(ctl, path, v->valuestring);
	} else if (cJSON_IsBool(v)) {
		print_pair(ctl, path, cJSON_IsTrue(v) ? "yes" : "no");
	} else if (!cJSON_IsNumber(v)) {
		print_pair(ctl, path, "-");
	} else if (ctl->mode == MODE_HUMAN && n > 3 &&
	           strcmp(path + n - 3, "_ms") == 0 &&
	           v->valuedouble >= (double)moment_ms) {
		print_pair_ms(ctl, path, (uint64_t)v->valuedouble);
	} else {
		value_number(v->valuedouble, text);
		print_pair(ctl, path, text);
	}
}

void
print_flat(const struct ctl *ctl, const cJSON *object)
{
	struct {
		const cJSON *next;
		size_t path_n;
		bool list;
	} open[FLAT_DEPTH_MAX] = { { object->child, 0, false } };
	char path[FLAT_PATH_SIZE] = "";
	size_t depth = 1;

	while (depth > 0) {
		const cJSON *v = open[depth - 1].next;
		size_t n = open[depth - 1].path_n;

		if (v == NULL) {
			depth--;
			continue;
		}
		open[depth - 1].next = v->next;
		path[n] = '\0';
		if (!open[depth - 1].list && v->string != NULL)
			(void)snprintf(path + n, sizeof(path) - n, "%s%s",
			    n > 0 ? "." : "", v->string);
		bool inner = cJSON_IsObject(v) || cJSON_IsArray(v);
		if (!inner)
			print_leaf(ctl, path, v);
		if (!inner || depth == FLAT_DEPTH_MAX)
			continue;
		open[depth].next = v->child;
		open[depth].path_n = strlen(path);
		open[depth++].list = cJSON_IsArray(v);
	}
}

void
print_object(const struct ctl *ctl, const cJSON *object)
{
	if (!print_as_json(ctl, object))
		print_flat(ctl, object);
}

void
print_fields(const struct ctl *ctl, ...)
{
	const char *text = NULL;
	const char *before = "";
	va_list ap;

	va_start(ap, ctl);
	while ((text = va_arg(ap, const char *)) != NULL) {
		char *safe = escape_tsv(text, ctl->raw);

		(void)printf("%s%s", before, safe);
		before = "\t";
		free(safe);
	}
	va_end(ap);
	(void)fputc('\n', stdout);
}

void
print_human(const char *format, ...)
{
	char *text = NULL;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) >= 0) {
		char *safe = escape_terminal(text, true);

		(void)puts(safe);
		free(safe);
		free(text);
	}
	va_end(ap);
}

void
table_init(struct table *t, const struct ctl *ctl, const char *const *heads,
    size_t n_cols)
{
	assert(n_cols > 0);
	*t = (struct table){ .ctl = ctl, .heads = heads, .n_cols = n_cols };
	for (size_t i = 0; ctl->mode == MODE_HUMAN && i < n_cols; i++)
		table_add(t, heads[i]);
}

void
table_add(struct table *t, const char *text)
{
	if (t->n_cells == t->cap) {
		t->cap = t->cap * 2 + 64;
		t->cells =
		    value_realloc(t->cells, t->cap * sizeof(t->cells[0]));
	}
	t->cells[t->n_cells++] = t->ctl->mode == MODE_HUMAN
	                             ? escape_terminal(text, true)
	                             : escape_tsv(text, t->ctl->raw);
}

static size_t
column_width(const struct table *t, size_t col)
{
	size_t width = 0;

	for (size_t i = col; i < t->n_cells; i += t->n_cols) {
		size_t w = escape_width(t->cells[i]);

		width = w > width ? w : width;
	}
	return width;
}

/* Row by row; the last column is not padded. */
static void
print_rows(const struct table *t, const size_t *width)
{
	for (size_t i = 0; i < t->n_cells; i++) {
		size_t col = i % t->n_cols;
		bool last = col + 1 == t->n_cols;
		const char *head = i < t->n_cols ? "" : NULL;

		if (t->ctl->mode != MODE_HUMAN) {
			(void)printf("%s%c", t->cells[i], last ? '\n' : '\t');
			continue;
		}
		size_t pad = last ? 0 : width[col] - escape_width(t->cells[i]);
		(void)printf("%s%s%s%*s%s",
		    head != NULL ? print_style(t->ctl, PRINT_DIM) : "",
		    t->cells[i],
		    head != NULL ? print_style(t->ctl, PRINT_RESET) : "",
		    (int)pad, "", last ? "\n" : "  ");
	}
}

enum { TABLE_COLUMNS_MAX = 16 };

void
table_print(struct table *t)
{
	size_t width[TABLE_COLUMNS_MAX] = { 0 };

	assert(t->n_cols <= TABLE_COLUMNS_MAX);
	assert(t->n_cells % t->n_cols == 0);
	for (size_t i = 0; i < t->n_cols; i++)
		width[i] = column_width(t, i);
	/* A heading without a row below tells nothing. */
	if (t->ctl->mode != MODE_HUMAN || t->n_cells > t->n_cols)
		print_rows(t, width);
	for (size_t i = 0; i < t->n_cells; i++)
		free(t->cells[i]);
	free(t->cells);
	*t = (struct table){ 0 };
}

const char *
print_style(const struct ctl *ctl, enum print_style style)
{
	static const char *const codes[] = {
		[PRINT_RESET] = "\033[0m",
		[PRINT_BOLD] = "\033[1m",
		[PRINT_DIM] = "\033[2m",
		[PRINT_GREEN] = "\033[32m",
		[PRINT_YELLOW] = "\033[33m",
		[PRINT_RED] = "\033[31m",
	};

	return ctl->color ? codes[style] : "";
}

void
print_short(const char *id, char ret[PRINT_ID_SIZE])
{
	size_t n = strlen(id);

	if (n <= 12)
		(void)snprintf(ret, PRINT_ID_SIZE, "%s", id);
	else if (strncmp(id, "btchat1", 7) == 0)
		(void)snprintf(
		    ret, PRINT_ID_SIZE, "%.12s\xe2\x80\xa6%s", id, id + n - 3);
	else
		(void)snprintf(
		    ret, PRINT_ID_SIZE, "%.4s\xe2\x80\xa6%s", id, id + n - 2);
}
