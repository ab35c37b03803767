/*
 * Canonical bencoding: one codec for KRPC, for chat records and for stored
 * state. The decoder is strict (sorted, unique keys; no leading zeros, no
 * -0; no trailing bytes), takes no memory and does not recurse. [BEP 3]
 */
#ifndef PROTO_BASE_BENCODE_H
#define PROTO_BASE_BENCODE_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"

enum {
	BENCODE_DEPTH_MAX = 8, /* nesting; KRPC needs 4 */
	BENCODE_TOKENS_MAX =
	    384, /* values in one document: 100 peers and more */
};

enum bencode_type {
	BENCODE_NONE = 0,
	BENCODE_INT,
	BENCODE_STR,
	BENCODE_LIST,
	BENCODE_DICT,
};

struct bencode_token {
	enum bencode_type type;
	uint32_t start, end; /* offsets of the raw encoding in the document */
	uint32_t body;       /* STR: offset of the first byte of the content */
	uint32_t next;       /* index of the next sibling, or of the end */
	int64_t num;         /* INT */
};

/* A parsed document; borrows the bytes it was parsed from. */
struct bencode {
	struct span in;
	uint32_t n; /* tokens used; token 0 is the root */
	struct bencode_token tok[BENCODE_TOKENS_MAX];
};

#define BENCODE_ABSENT UINT32_MAX

/* ERR_MALFORMED: not canonical bencoding; ERR_LIMIT: too deep, too many. */
MUST_USE enum err bencode_parse(struct span in, struct bencode *ret);

/* All take any index, also BENCODE_ABSENT, and say "absent" for a wrong type.
 */
uint32_t bencode_get(const struct bencode *b, uint32_t dict, const char *key);
uint32_t bencode_first(const struct bencode *b, uint32_t list);
uint32_t bencode_next(const struct bencode *b, uint32_t list, uint32_t at);
enum bencode_type bencode_type(const struct bencode *b, uint32_t at);
/* False and *ret unchanged if `at` is absent or of another type. */
bool bencode_str(const struct bencode *b, uint32_t at, struct span *ret);
bool bencode_int(const struct bencode *b, uint32_t at, int64_t *ret);
/* A string of exactly n bytes, copied. */
bool bencode_bytes(const struct bencode *b, uint32_t at, void *ret, size_t n);
/* The raw encoding of a value, e.g. the `v` that a signature covers. */
struct span bencode_raw(const struct bencode *b, uint32_t at);

/* Encoding: the caller writes keys in sorted order. */
void be_dict(struct writer *w); /* 'd' */
void be_list(struct writer *w); /* 'l' */
void be_end(struct writer *w);  /* 'e' */
void be_int(struct writer *w, int64_t v);
void be_str(struct writer *w, const void *p, size_t n);
void be_key(struct writer *w, const char *key);

#endif /* PROTO_BASE_BENCODE_H */
