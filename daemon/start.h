/* From a configuration to a daemon that runs, and back. */
#ifndef DAEMON_START_H
#define DAEMON_START_H

#include "daemon/daemon.h"

/* Before anything else: no core files, no tracing, no new privileges. */
void start_harden(void);
/*
 * Directory and lock, keys, store, sockets, node, loop, in that order; every
 * trouble is logged with its repair. Returns an exit code; DAEMON_EX_OK: all
 * is there. d->config is set before. Call start_undo in any case.
 */
int start_all(struct daemon *d);
/* After it, and after the control socket: the sandbox, and what may only begin
 * within. An exit code, as above. */
int start_confined(struct daemon *d);
void start_undo(struct daemon *d);

#endif /* DAEMON_START_H */
