/*
 * Log lines: `event-name: key=value ...`, one line each, names listed in
 * btchatd(8). Levels are those of <syslog.h>: err = cannot go on; warning =
 * degraded, says what follows; notice = the operator cares; info; debug.
 * Never message text or keys; peers by short id; addresses by log_addr().
 */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include "proto/base/endpoint.h"
#include "proto/crypto/types.h"

#include <stdbool.h>
#include <syslog.h>

/* Before the first line; level LOG_NOTICE and no addresses until then. */
void log_init(int level, bool addresses);
int log_level(void);
/* "err", "warning", "notice", "info", "debug" <-> LOG_*; -1: not a level. */
int log_level_parse(const char *word);
const char *log_level_name(int level);

void log_event(int level, const char *event, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The only forms in which peers and addresses appear in log lines. */
struct log_text {
	char s[64];
};
struct log_text log_id(const uint8_t id[16]); /* 8 characters of it */
/* "-" unless log-addresses is on or the level is debug. */
struct log_text log_addr(const struct endpoint *e);

#endif /* DAEMON_LOG_H */
