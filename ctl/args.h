/*
 * Command line: options may stand anywhere, "--" ends them, "-" is a word.
 * An option means the same and takes the same kind of value in every command.
 */
#ifndef CTL_ARGS_H
#define CTL_ARGS_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { ARGS_OPTIONS_MAX = 32, ARGS_WHY_SIZE = 160 };

enum arg_kind {
	ARG_FLAG,  /* --name */
	ARG_VALUE, /* --name VALUE, --name=VALUE, -n VALUE, -nVALUE */
	ARG_MAYBE, /* --name, --name=VALUE */
};

struct arg_spec {
	char letter; /* 0: none */
	const char *name;
	enum arg_kind kind;
	bool global; /* taken by every command */
};

struct arg_option {
	const struct arg_spec *spec;
	const char *value; /* borrowed of argv; NULL if none was given */
};

struct args {
	const char **words; /* owned array, strings borrowed of argv */
	size_t n_words;
	size_t skip; /* words that named the command */
	struct arg_option options[ARGS_OPTIONS_MAX];
	size_t n_options;
};

/* ERR_MALFORMED or ERR_LIMIT with the reason in why. */
MUST_USE enum err args_parse(
    struct args *a, int argc, char *const *argv, char why[ARGS_WHY_SIZE]);
void args_clear(struct args *a);

/* The words from the n-th on, joined by blanks; owned by the caller. NULL: no
 * memory. */
char *args_join(const struct args *a, size_t n);
/* Word i behind the command's name, or NULL. */
const char *args_word(const struct args *a, size_t i);
size_t args_count(const struct args *a);
bool args_has(const struct args *a, const char *name);
/* The last value given, or NULL. */
const char *args_value(const struct args *a, const char *name);
/* The first option that is neither global nor in the space-separated list of
 * names `allowed`; NULL if there is none. */
const char *args_foreign(const struct args *a, const char *allowed);

/* Whether the space-separated list has the name. */
bool args_lists(const char *list, const char *name);
/* What "--name", "--name=VALUE" or "-n" is, or NULL. */
const struct arg_spec *args_spec(const char *word);
/* All of them, in the order of the table; NULL behind the last. */
const struct arg_spec *args_spec_at(size_t i);

/* A decimal number in 0..max, nothing around it. */
MUST_USE enum err args_number(const char *text, uint64_t max, uint64_t *ret);
/* Seconds with up to three decimals ("2", "0.5") as milliseconds. */
MUST_USE enum err args_seconds(const char *text, uint64_t *ret_ms);
/* "90", "15m", "12h", "7d" as seconds. */
MUST_USE enum err args_span_s(const char *text, uint64_t *ret_s);

#endif /* CTL_ARGS_H */
