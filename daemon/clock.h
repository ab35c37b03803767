/* The two clocks of the core, read in one place. */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

#include "proto/base/env.h"

/* CLOCK_BOOTTIME (goes on while suspended) and CLOCK_REALTIME. */
struct now clock_now(void);

#endif /* DAEMON_CLOCK_H */
