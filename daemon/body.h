/*
 * Writes JSON objects on one line into memory that grows: bodies of events,
 * and results of RPC methods. A body that failed once (no memory, too long)
 * stays failed. Text is UTF-8 of any content; what is not well-formed comes
 * out as U+FFFD, controls and U+007F.. as escapes, so that a line is a line.
 */
#ifndef DAEMON_BODY_H
#define DAEMON_BODY_H

#include "proto/base/bytes.h"

#include <stdbool.h>

struct body {
	char *p; /* owned */
	size_t n, cap;
	size_t max;
	bool bad;
	bool comma; /* a value stands before */
};

void body_init(struct body *b, size_t max); /* takes no memory yet */
void body_clear(struct body *b);            /* wipes and frees */
struct span body_span(const struct body *b);

/* key NULL: in an array, or the root. */
void body_object(struct body *b, const char *key); /* { */
void body_array(struct body *b, const char *key);  /* [ */
void body_end_object(struct body *b);
void body_end_array(struct body *b);
void body_text(struct body *b, const char *key, struct span text);
void body_str(struct body *b, const char *key, const char *s);
void body_id(struct body *b, const char *key, const uint8_t id[16]);
void body_int(struct body *b, const char *key, int64_t v);
void body_bool(struct body *b, const char *key, bool v);
void body_null(struct body *b, const char *key);
void body_raw(struct body *b, const char *key, struct span json);

#endif /* DAEMON_BODY_H */
