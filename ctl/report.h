/* What the user is told on stderr, and the exit status that goes with it. */
#ifndef CTL_REPORT_H
#define CTL_REPORT_H

#include "ctl/ctl.h"

#define REPORT_PRINTF __attribute__((format(printf, 1, 2)))

/* "btchatctl: ..."; whatever came from outside is escaped. */
REPORT_PRINTF void report(const char *format, ...);
/* The same, returning CTL_USAGE. */
REPORT_PRINTF int report_usage(const char *format, ...);
/* Talk that -q silences. */
__attribute__((format(printf, 2, 3))) void
report_note(const struct ctl *ctl, const char *format, ...);

/* An error object of JSON-RPC; with --json as it is. */
int report_error(const struct ctl *ctl, const cJSON *error);
/* An error of the same kind that was found on this side. data is owned by
 * the call, may be NULL. */
int
report_api(const struct ctl *ctl, int code, const char *message, cJSON *data);

#endif /* CTL_REPORT_H */
