/* Option parsing. */
#include "ctl/args.h"

#include "ctl/command.h"
#include "ctl/value.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* clang-format off */
static const struct arg_spec specs[] = {
	{ 'S', "socket",          ARG_VALUE, true },
	{ 0,   "json",            ARG_MAYBE, true },
	{ 0,   "plain",           ARG_FLAG,  true },
	{ 0,   "human",           ARG_FLAG,  true },
	{ 0,   "raw",             ARG_FLAG,  true },
	{ 0,   "color",           ARG_VALUE, true },
	{ 0,   "no-input",        ARG_FLAG,  true },
	{ 'q', "quiet",           ARG_FLAG,  true },
	{ 'y', "yes",             ARG_FLAG,  true },
	{ 0,   "timeout",         ARG_VALUE, true },
	{ 'h', "help",            ARG_FLAG,  true },
	{ 'V', "version",         ARG_FLAG,  true },
	{ 0,   "addresses",       ARG_FLAG,  false },
	{ 0,   "before",          ARG_VALUE, false },
	{ 0,   "client-id",       ARG_VALUE, false },
	{ 0,   "confirm",         ARG_VALUE, false },
	{ 0,   "consumer",        ARG_VALUE, false },
	{ 0,   "exec",            ARG_VALUE, false },
	{ 0,   "fallback",        ARG_VALUE, false },
	{ 0,   "here",            ARG_FLAG,  false },
	{ 0,   "in",              ARG_VALUE, false },
	{ 0,   "label",           ARG_VALUE, false },
	{ 0,   "level",           ARG_VALUE, false },
	{ 0,   "list",            ARG_FLAG,  false },
	{ 'n', "lines",           ARG_VALUE, false },
	{ 0,   "name",            ARG_VALUE, false },
	{ 0,   "muted",           ARG_VALUE, false },
	{ 0,   "no-passphrase",   ARG_FLAG,  false },
	{ 0,   "old-passphrase-fd", ARG_VALUE, false },
	{ 0,   "old-passphrase-file", ARG_VALUE, false },
	{ 0,   "output",          ARG_VALUE, false },
	{ 0,   "passphrase-fd",   ARG_VALUE, false },
	{ 0,   "passphrase-file", ARG_VALUE, false },
	{ 0,   "pinned",          ARG_VALUE, false },
	{ 0,   "presence",        ARG_VALUE, false },
	{ 0,   "profile",         ARG_VALUE, false },
	{ 0,   "qr",              ARG_FLAG,  false },
	{ 0,   "receipts",        ARG_VALUE, false },
	{ 0,   "relay",           ARG_VALUE, false },
	{ 0,   "remove",          ARG_FLAG,  false },
	{ 0,   "reply",           ARG_VALUE, false },
	{ 0,   "schema",          ARG_FLAG,  false },
	{ 0,   "since",           ARG_VALUE, false },
	{ 0,   "text",            ARG_FLAG,  false },
	{ 0,   "timer",           ARG_VALUE, false },
	{ 0,   "ttl",             ARG_VALUE, false },
	{ 0,   "type",            ARG_VALUE, false },
	{ 0,   "undo",            ARG_FLAG,  false },
	{ 0,   "unread",          ARG_FLAG,  false },
	{ 0,   "unsent",          ARG_VALUE, false },
	{ 0,   "unset",           ARG_FLAG,  false },
	{ 0,   "wait",            ARG_MAYBE, false },
};
/* clang-format on */

enum { N_SPECS = sizeof(specs) / sizeof(specs[0]) };

/* Where in argv the parser stands. */
struct cursor {
	int argc;
	char *const *argv;
	int at;
	char *why;
};

static const struct arg_spec *
spec_by_name(const char *name, size_t n)
{
	for (size_t i = 0; i < N_SPECS; i++)
		if (strlen(specs[i].name) == n &&
		    memcmp(specs[i].name, name, n) == 0)
			return &specs[i];
	return NULL;
}

static const struct arg_spec *
spec_by_letter(char letter)
{
	for (size_t i = 0; i < N_SPECS; i++)
		if (specs[i].letter != 0 && specs[i].letter == letter)
			return &specs[i];
	return NULL;
}

const struct arg_spec *
args_spec(const char *word)
{
	if (word[0] != '-' || word[1] == '\0')
		return NULL;
	if (word[1] != '-')
		return word[2] == '\0' ? spec_by_letter(word[1]) : NULL;
	return spec_by_name(word + 2, strcspn(word + 2, "="));
}

const struct arg_spec *
args_spec_at(size_t i)
{
	return i < N_SPECS ? &specs[i] : NULL;
}

static enum err
add_option(struct args *a, const struct arg_spec *spec, const char *value,
    struct cursor *c)
{
	if (a->n_options == ARGS_OPTIONS_MAX) {
		(void)snprintf(c->why, ARGS_WHY_SIZE, "too many options");
		return ERR_LIMIT;
	}
	a->options[a->n_options++] = (struct arg_option){ spec, value };
	return ERR_OK;
}

/* An option whose value may be the next word of argv. */
static enum err
take_option(struct args *a, const struct arg_spec *spec, const char *value,
    struct cursor *c)
{
	if (spec->kind == ARG_FLAG && value != NULL) {
		(void)snprintf(
		    c->why, ARGS_WHY_SIZE, "--%s takes no value", spec->name);
		return ERR_MALFORMED;
	}
	if (spec->kind == ARG_VALUE && value == NULL) {
		if (c->at + 1 >= c->argc) {
			(void)snprintf(c->why, ARGS_WHY_SIZE,
			    "--%s needs a value", spec->name);
			return ERR_MALFORMED;
		}
		value = c->argv[++c->at];
	}
	return add_option(a, spec, value, c);
}

/* With the nearest one there is. */
static enum err
say_unknown(const char *text, size_t n, char why[ARGS_WHY_SIZE])
{
	char word[32] = "";
	const char *near = NULL;
	size_t least = n > 4 ? 3 : 2; /* below this it is near */

	(void)snprintf(word, sizeof(word), "%.*s",
	    n < sizeof(word) ? (int)n : (int)sizeof(word) - 1, text);
	for (size_t i = 0; i < N_SPECS; i++) {
		size_t far = command_distance(word, specs[i].name);

		if (far >= least)
			continue;
		least = far;
		near = specs[i].name;
	}
	(void)snprintf(why, ARGS_WHY_SIZE, "unknown option --%s%s%s%s", word,
	    near != NULL ? "; did you mean --" : "", near != NULL ? near : "",
	    near != NULL ? "?" : "");
	return ERR_MALFORMED;
}

static enum err
take_long(struct args *a, const char *text, struct cursor *c)
{
	const char *eq = strchr(text, '=');
	size_t n = eq != NULL ? (size_t)(eq - text) : strlen(text);
	const struct arg_spec *spec = spec_by_name(text, n);

	if (spec == NULL)
		return say_unknown(text, n, c->why);
	return take_option(a, spec, eq != NULL ? eq + 1 : NULL, c);
}

/* Letters: flags may be bundled, a value ends the bundle. */
static enum err
take_short(struct args *a, const char *text, struct cursor *c)
{
	enum err err = ERR_OK;

	for (; *text != '\0' && err == ERR_OK; text++) {
		const struct arg_spec *spec = spec_by_letter(*text);

		if (spec == NULL) {
			(void)snprintf(
			    c->why, ARGS_WHY_SIZE, "unknown option -%c", *text);
			return ERR_MALFORMED;
		}
		if (spec->kind == ARG_VALUE)
			return take_option(
			    a, spec, text[1] != '\0' ? text + 1 : NULL, c);
		err = take_option(a, spec, NULL, c);
	}
	return err;
}

/* NOLINTBEGIN(readability-non-const-parameter): the cursor writes to why */
enum err
args_parse(struct args *a, int argc, char *const *argv, char why[ARGS_WHY_SIZE])
{
	struct cursor c = { argc, argv, 1, why };
	bool only_words = false;
	enum err err = ERR_OK;

	assert(argc >= 0);
	*a = (struct args){ 0 };
	a->words = value_alloc(((size_t)argc + 1) * sizeof(*a->words));
	for (; c.at < argc && err == ERR_OK; c.at++) {
		const char *text = argv[c.at];

		if (only_words || text[0] != '-' || text[1] == '\0')
			a->words[a->n_words++] = text;
		else if (strcmp(text, "--") == 0)
			only_words = true;
		else if (text[1] == '-')
			err = take_long(a, text + 2, &c);
		else
			err = take_short(a, text + 1, &c);
	}
	return err;
}
/* NOLINTEND(readability-non-const-parameter) */

void
args_clear(struct args *a)
{
	free(a->words);
	*a = (struct args){ 0 };
}

char *
args_join(const struct args *a, size_t n)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	for (size_t i = n; f != NULL && i < args_count(a); i++)
		(void)fprintf(f, "%s%s", i > n ? " " : "", args_word(a, i));
	if (f == NULL || fclose(f) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

const char *
args_word(const struct args *a, size_t i)
{
	return i < args_count(a) ? a->words[a->skip + i] : NULL;
}

size_t
args_count(const struct args *a)
{
	assert(a->skip <= a->n_words);
	return a->n_words - a->skip;
}

static const struct arg_option *
find_option(const struct args *a, const char *name)
{
	for (size_t i = a->n_options; i > 0; i--)
		if (strcmp(a->options[i - 1].spec->name, name) == 0)
			return &a->options[i - 1];
	return NULL;
}

bool
args_has(const struct args *a, const char *name)
{
	assert(spec_by_name(name, strlen(name)) != NULL);
	return find_option(a, name) != NULL;
}

const char *
args_value(const struct args *a, const char *name)
{
	const struct arg_option *o = find_option(a, name);

	assert(spec_by_name(name, strlen(name)) != NULL);
	return o != NULL ? o->value : NULL;
}

bool
args_lists(const char *list, const char *name)
{
	size_t n = strlen(name);

	while (list != NULL && *list != '\0') {
		size_t word = strcspn(list, " ");

		if (word == n && memcmp(list, name, n) == 0)
			return true;
		list += word;
		list += strspn(list, " ");
	}
	return false;
}

const char *
args_foreign(const struct args *a, const char *allowed)
{
	for (size_t i = 0; i < a->n_options; i++) {
		const struct arg_spec *spec = a->options[i].spec;

		if (!spec->global && !args_lists(allowed, spec->name))
			return spec->name;
	}
	return NULL;
}

enum err
args_number(const char *text, uint64_t max, uint64_t *ret)
{
	uint64_t v = 0;

	if (*text == '\0')
		return ERR_MALFORMED;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return ERR_MALFORMED;
		if (v > (max - (uint64_t)(*text - '0')) / 10)
			return ERR_LIMIT;
		v = v * 10 + (uint64_t)(*text - '0');
	}
	if (v > max)
		return ERR_LIMIT;
	*ret = v;
	return ERR_OK;
}

enum { SECONDS_MAX = 366 * 86400 }; /* nobody waits longer than a year */

enum err
args_seconds(const char *text, uint64_t *ret_ms)
{
	char whole[16] = "";
	size_t n = strcspn(text, ".");
	uint64_t s = 0, ms = 0;

	if (n >= sizeof(whole))
		return ERR_LIMIT;
	memcpy(whole, text, n);
	whole[n] = '\0';
	enum err err = args_number(whole, SECONDS_MAX, &s);
	if (err != ERR_OK)
		return err;
	if (text[n] == '.') {
		const char *part = text + n + 1;
		size_t digits = strlen(part);

		if (digits > 3)
			return ERR_MALFORMED;
		err = args_number(part, 999, &ms);
		if (err != ERR_OK)
			return err;
		for (; digits < 3; digits++)
			ms *= 10;
	}
	*ret_ms = s * 1000 + ms;
	return ERR_OK;
}

enum err
args_span_s(const char *text, uint64_t *ret_s)
{
	static const struct {
		char letter;
		uint64_t s;
	} units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
	char digits[16] = "";
	size_t n = strlen(text);
	uint64_t unit = 1, v = 0;

	for (size_t i = 0; n > 0 && i < sizeof(units) / sizeof(units[0]); i++)
		if (text[n - 1] == units[i].letter)
			unit = units[i].s;
	if (n > 0 && (text[n - 1] < '0' || text[n - 1] > '9'))
		n--;
	if (n >= sizeof(digits) ||
	    (text[n] != '\0' && unit == 1 && text[n] != 's'))
		return ERR_MALFORMED;
	memcpy(digits, text, n);
	digits[n] = '\0';
	enum err err = args_number(digits, SECONDS_MAX, &v);
	if (err != ERR_OK)
		return err;
	*ret_s = v * unit;
	return ERR_OK;
}
