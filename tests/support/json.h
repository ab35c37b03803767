/* Test data from JSON files: whole files in, hex strings out. */
#ifndef TESTS_SUPPORT_JSON_H
#define TESTS_SUPPORT_JSON_H

#include "proto/base/bytes.h"

#include <cJSON.h>

enum { BLOB_MAX = 2048 };

/* Bytes of a hex string. */
struct blob {
	uint8_t b[BLOB_MAX];
	size_t n;
	bool there; /* the field is there and is good hex */
};

/* The parsed file, for cJSON_Delete; NULL if there is none or no JSON. */
cJSON *json_load(const char *path);
/* Fields of an object; all take NULL for an object that is not there. */
struct blob json_blob(const cJSON *o, const char *key);
struct blob json_blob_of(const cJSON *string);
const char *json_string(const cJSON *o, const char *key); /* or NULL */
uint64_t json_number(const cJSON *o, const char *key);    /* or 0 */
const cJSON *json_item(const cJSON *o, const char *key);
/* Copies n bytes; false if the field has another length. */
bool json_bytes(const cJSON *o, const char *key, void *ret, size_t n);
struct span blob_span(const struct blob *b); /* borrowed from b */
bool blob_is(const struct blob *b, const void *p, size_t n);

#endif /* TESTS_SUPPORT_JSON_H */
