/*
 * Text from peers is never shown raw: what could steer a terminal or turn
 * the reading direction is written out as \u{202e}. All functions return
 * memory that the caller frees; bytes that are not UTF-8 are escaped too.
 */
#ifndef CTL_ESCAPE_H
#define CTL_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

/* For a terminal. A line break stays, or becomes U+23CE with one_line. */
char *escape_terminal(const char *s, bool one_line);
/* For a TSV field: \t \n \r \\ and the dangerous ones; with raw only the
 * first four, which the format needs. */
char *escape_tsv(const char *s, bool raw);
/* For the inside of a JSON string. */
char *escape_json(const char *s);
/* Columns that a terminal needs for s, which is escaped already. */
size_t escape_width(const char *s);

#endif /* CTL_ESCAPE_H */
