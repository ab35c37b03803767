/*
 * The guard before cJSON: one pass over a line from a client, without memory
 * and without recursion, refuses everything that cJSON would take silently
 * wrong, and finds the bytes of `id`. [btchat-rpc(7)]
 */
#ifndef DAEMON_JSON_H
#define DAEMON_JSON_H

#include "proto/api.h"
#include "proto/base/bytes.h"
#include "proto/base/err.h"

#include <cJSON.h>

enum {
	JSON_NUMBER_MAX = 40,    /* characters; cJSON cuts numbers at 63 */
	JSON_EXPONENT_MAX = 307, /* of the first digit: finite as a double */
	JSON_KEYS = 16384, /* slots of the key table, a power of two; keys are
	                      tokens with a value each, so it is half empty */
};
#define JSON_INT_MAX 9007199254740991 /* 2^53 - 1 */

_Static_assert((int)JSON_KEYS >= (int)API_TOKENS_MAX, "table holds all keys");

enum json_type {
	JSON_NONE = 0, /* absent */
	JSON_NULL,
	JSON_BOOL,
	JSON_INT,    /* an integer within +-(2^53-1) */
	JSON_NUMBER, /* any other number */
	JSON_STRING,
	JSON_ARRAY,
	JSON_OBJECT,
};

/* Keys seen in the present document: the same key twice in one object is
 * refused, because readers disagree which one counts. */
struct json_guard {
	uint64_t seed; /* random, so that nobody can choose collisions */
	uint16_t gen;  /* of the document; older slots are empty */
	uint64_t seen[JSON_KEYS]; /* gen << 48 | hash of (object, key) */
};

struct json_scan {
	enum json_type type;
	struct span text; /* the value without blanks around it */
	struct span id;   /* source text of the member `id` of the root */
	enum json_type id_type;
	uint32_t tokens;
	bool big;       /* some integer is beyond +-(2^53-1) */
	size_t n_items; /* elements, if the root is an array */
	struct span items[API_BATCH_MAX]; /* the first of them */
	/* On failure: what and where, for the error reply. */
	const char *why;
	size_t at;
};

void json_guard_init(struct json_guard *g, uint64_t seed);

/* ERR_MALFORMED, ERR_LIMIT (depth, tokens), ERR_CONFLICT (a key twice);
 * ret->why and ret->at are set then. Spans borrow from text. */
MUST_USE enum err
json_scan(struct json_guard *g, struct span text, struct json_scan *ret);

/* Parses what json_scan accepted, to its very end; NULL: no memory. The
 * caller frees it with cJSON_Delete. */
cJSON *json_parse(struct span text);

/* Case-sensitive, and absent if the value is null. */
const cJSON *json_member(const cJSON *object, const char *key);
/* False unless v is an integer within +-(2^53-1). */
bool json_to_int(const cJSON *v, int64_t *ret);

#endif /* DAEMON_JSON_H */
