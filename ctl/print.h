/*
 * Results on stdout, in one of three forms: for people (aligned, colours),
 * plain (TSV: columns never move, new ones only at the end), JSON lines.
 * Text handed to these functions is untrusted and gets escaped here.
 */
#ifndef CTL_PRINT_H
#define CTL_PRINT_H

#include "ctl/ctl.h"

/* Mode and colour from the options and from what stdout is. */
MUST_USE int print_setup(struct ctl *ctl);

/* One JSON line, cut down to --json=F,..; the mode must be JSON. */
void print_json(const struct ctl *ctl, const cJSON *object);
/* Prints result as JSON and tells so, or does nothing and says false. */
bool print_as_json(const struct ctl *ctl, const cJSON *result);

/* "key<TAB>value", or aligned for people. */
void print_pair(const struct ctl *ctl, const char *key, const char *value);
void print_pair_u64(const struct ctl *ctl, const char *key, uint64_t value);
/* A time: UTC, or local for people; "-" for 0. */
void print_pair_ms(const struct ctl *ctl, const char *key, uint64_t ms);

/* Every value of an object as a pair, its key the path to it ("dht.nodes");
 * an element of a list has the path of the list. */
void print_flat(const struct ctl *ctl, const cJSON *object);
/* A result that is one object: so, or as JSON. */
void print_object(const struct ctl *ctl, const cJSON *object);

/* TSV fields of one line: any number of strings, ended by NULL. */
__attribute__((sentinel)) void print_fields(const struct ctl *ctl, ...);
/* A line for people from a format whose %s are escaped beforehand. */
__attribute__((format(printf, 1, 2))) void print_human(const char *format, ...);

/* Rows that are aligned for people under headings. */
struct table {
	const struct ctl *ctl; /* borrowed */
	const char *const *heads;
	size_t n_cols;
	char **cells; /* owned, each too */
	size_t n_cells, cap;
};
void table_init(struct table *t, const struct ctl *ctl,
    const char *const *heads, size_t n_cols);
void table_add(struct table *t, const char *text);
void table_print(struct table *t); /* and frees */

/* "" or the escape sequence for: bold, dim, green, yellow, red, reset. */
enum print_style {
	PRINT_RESET,
	PRINT_BOLD,
	PRINT_DIM,
	PRINT_GREEN,
	PRINT_YELLOW,
	PRINT_RED,
};
const char *print_style(const struct ctl *ctl, enum print_style style);

/* "01JF…8Q" for people; ret is whole otherwise. */
enum { PRINT_ID_SIZE = 128 };
void print_short(const char *id, char ret[PRINT_ID_SIZE]);

#endif /* CTL_PRINT_H */
