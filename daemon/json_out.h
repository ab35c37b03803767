/*
 * The only writer of JSON in the daemon: a growing, bounded buffer that is
 * filled from left to right. It escapes what JSON demands and what a terminal
 * must not see raw (C1 controls, direction overrides), so a line may be shown.
 */
#ifndef DAEMON_JSON_OUT_H
#define DAEMON_JSON_OUT_H

#include "proto/base/bytes.h"

#include <string.h>

/* A writer that failed stays failed; its owner looks at `bad` at the end. */
struct json_out {
	char *p; /* owned */
	size_t n, cap;
	size_t max;  /* bytes; more sets bad */
	bool bad;    /* no memory, or over max */
	bool follow; /* a value stands before: the next one needs a comma */
};

void json_out_clear(struct json_out *o); /* frees; max stays */
/* Cuts back to n bytes, which were a complete value or nothing. */
void json_out_cut(struct json_out *o, size_t n);
/* Drops the first n bytes. */
void json_out_consume(struct json_out *o, size_t n);

void json_open(struct json_out *o, char bracket);  /* '{' or '[' */
void json_close(struct json_out *o, char bracket); /* '}' or ']' */
void json_key_n(struct json_out *o, const char *key, size_t n);
void json_line(struct json_out *o); /* the LF */

/* Values, in arrays or after json_key. */
void json_null(struct json_out *o);
void json_bool(struct json_out *o, bool v);
/* Within +-(2^53-1); what is beyond is written as the bound. */
void json_int(struct json_out *o, int64_t v);
void json_uint(struct json_out *o, uint64_t v);
void json_str(struct json_out *o, const char *s);
void json_word_n(struct json_out *o, const char *word, size_t n);
/* Bytes that are not UTF-8 become U+FFFD. */
void json_text(struct json_out *o, struct span text);
void json_id(struct json_out *o, const uint8_t id[16]);
void json_base64(struct json_out *o, struct span bytes);
void json_hex(struct json_out *o, struct span bytes);
void json_raw(struct json_out *o, struct span json); /* a complete value */

/* Keys and words are ours: nothing in them is escaped. Here, and the members
 * below, so that a compiler counts the letters. */
static inline void
json_key(struct json_out *o, const char *key)
{
	json_key_n(o, key, strlen(key));
}
static inline void
json_word(struct json_out *o, const char *word)
{
	json_word_n(o, word, strlen(word));
}

/* Members. */
static inline void
json_put_open(struct json_out *o, const char *key, char bracket)
{
	json_key(o, key);
	json_open(o, bracket);
}
static inline void
json_put_raw(struct json_out *o, const char *key, struct span json)
{
	json_key(o, key);
	json_raw(o, json);
}
static inline void
json_put_null(struct json_out *o, const char *key)
{
	json_key(o, key);
	json_null(o);
}
static inline void
json_put_bool(struct json_out *o, const char *key, bool v)
{
	json_key(o, key);
	json_bool(o, v);
}
static inline void
json_put_int(struct json_out *o, const char *key, int64_t v)
{
	json_key(o, key);
	json_int(o, v);
}
static inline void
json_put_uint(struct json_out *o, const char *key, uint64_t v)
{
	json_key(o, key);
	json_uint(o, v);
}
static inline void
json_put_str(struct json_out *o, const char *key, const char *s)
{
	json_key(o, key);
	json_str(o, s);
}
static inline void
json_put_word(struct json_out *o, const char *key, const char *word)
{
	json_key(o, key);
	json_word(o, word);
}
static inline void
json_put_text(struct json_out *o, const char *key, struct span text)
{
	json_key(o, key);
	json_text(o, text);
}
static inline void
json_put_id(struct json_out *o, const char *key, const uint8_t id[16])
{
	json_key(o, key);
	json_id(o, id);
}

#endif /* DAEMON_JSON_OUT_H */
