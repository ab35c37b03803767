/*
 * The last lines of the log, for who cannot see where it goes: what it says and
 * not a word more. One list for the process, as there is one log.
 */
#ifndef DAEMON_LOG_RING_H
#define DAEMON_LOG_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LOG_RING_MAX = 512 }; /* lines; the oldest goes first */

struct log_line {
	uint64_t seq; /* 1 is the first since the start */
	uint64_t at_ms;
	int level;
	const char *event, *text; /* borrowed during the call */
};

/* Without memory the line is not kept. */
void log_ring_add(int level, const char *event, const char *text);
uint64_t log_ring_head(void); /* seq of the newest, 0: none */
/* Calls row for those behind since, up to that level, oldest first, but at most
 * for the newest of them, until it returns false. */
void log_ring_each(uint64_t since, int level, size_t newest,
    bool (*row)(void *ctx, const struct log_line *line), void *ctx);
void log_ring_clear(void);

#endif /* DAEMON_LOG_RING_H */
