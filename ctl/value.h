/* JSON values: reading what may be absent, writing what cJSON writes wrong. */
#ifndef CTL_VALUE_H
#define CTL_VALUE_H

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Memory, or the end of the program: a command-line tool without memory has
 * nothing better to do. value_init makes cJSON do the same. */
void value_init(void);
#define VALUE_NEVER_NULL __attribute__((returns_nonnull))
VALUE_NEVER_NULL void *value_alloc(size_t n); /* zeroed */
VALUE_NEVER_NULL void *value_realloc(void *p, size_t n);
VALUE_NEVER_NULL char *value_strdup(const char *s);

/* A member by its exact name, or by a path "net.nat"; NULL if absent. All of
 * these take NULL for an object. */
const cJSON *value_get(const cJSON *o, const char *path);
const char *value_str(const cJSON *o, const char *path); /* "" if none */
bool value_has_str(const cJSON *o, const char *path);
bool value_true(const cJSON *o, const char *path);
/* A whole number; 0 if absent, negative or not a number. */
uint64_t value_u64(const cJSON *o, const char *path);
size_t value_count(const cJSON *o, const char *path); /* items of an array */

void value_add_u64(cJSON *o, const char *key, uint64_t v);
void value_add_str(cJSON *o, const char *key, const char *v);

/* Whole numbers up to 2^53 in full: cJSON turns them into 9.0e+15. */
enum { VALUE_NUMBER_SIZE = 32 };
void value_number(double d, char ret[VALUE_NUMBER_SIZE]);

/*
 * One line without its LF. Whatever could steer a terminal is escaped, which
 * JSON allows everywhere.
 */
void value_write(FILE *f, const cJSON *v);

#endif /* CTL_VALUE_H */
