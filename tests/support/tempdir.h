/* A fresh directory of our own for a test, removed with all that is in it. */
#ifndef TESTS_SUPPORT_TEMPDIR_H
#define TESTS_SUPPORT_TEMPDIR_H

#include <stddef.h>
#include <stdint.h>

struct tempdir {
	char path[256];
};

struct tempdir tempdir_new(void);
void tempdir_free(struct tempdir *t);
/* path/name; the result lives in a ring of a few. */
const char *tempdir_file(const struct tempdir *t, const char *name);
/* Writes or reads a whole file; both abort the test on failure. */
void file_put(const char *path, const void *bytes, size_t n);
uint8_t *file_get(const char *path, size_t *ret_n); /* the caller frees */

#endif /* TESTS_SUPPORT_TEMPDIR_H */
