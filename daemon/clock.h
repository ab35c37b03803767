/* The two clocks of the core, and what happens to them. */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

#include "proto/base/env.h"

enum { CLOCK_SLEPT_MS = 1000 }; /* a longer pause of the clock is a suspend */

/* CLOCK_BOOTTIME (goes on while suspended) and CLOCK_REALTIME. */
struct now clock_now(void);
/* How long the machine has been suspended since it was started. */
uint64_t clock_asleep_ms(void);

/* A descriptor that is readable once the wall clock was set, as it is at the
 * end of a suspend; -1: there is none. clock_rewatch makes it wait anew. */
int clock_watch(void);
void clock_rewatch(int fd);

#endif /* DAEMON_CLOCK_H */
