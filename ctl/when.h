/* Times as people and as programs read them. Unix milliseconds in. */
#ifndef CTL_WHEN_H
#define CTL_WHEN_H

#include "proto/base/err.h"

#include <stdint.h>

enum { WHEN_SIZE = 40 };

uint64_t when_now_ms(void);
void when_utc(uint64_t ms, char ret[WHEN_SIZE]);   /* RFC 3339, to the ms */
void when_clock(uint64_t ms, char ret[WHEN_SIZE]); /* local "12:01" */
void when_day(uint64_t ms, char ret[WHEN_SIZE]);   /* local "Fri 20 Nov" */
void when_local(uint64_t ms, char ret[WHEN_SIZE]); /* "20 Nov 12:01" */
/* "3 d 4 h": the two largest units. */
void when_span(uint64_t ms, char ret[WHEN_SIZE]);
/* "now", "5 min ago"; "never" for 0. */
void when_ago(uint64_t ms, uint64_t now_ms, char ret[WHEN_SIZE]);
/* "2026-11-20", the local midnight it begins with. ERR_MALFORMED. */
MUST_USE enum err when_parse_day(const char *text, uint64_t *ret_ms);

#endif /* CTL_WHEN_H */
