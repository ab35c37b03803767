/*
 * The daemon's own sandbox, from a shell as from a service manager: files by
 * Landlock, system calls by seccomp, no memory that is written and executed.
 * Each layer is enough alone. Sanitizers do not live in it.
 */
#ifndef DAEMON_CONFINE_H
#define DAEMON_CONFINE_H

#include "daemon/daemon.h"

/* Before the first datagram is read and before there is a second thread; the
 * control socket is there already. ERR_UNSUPPORTED: sandbox = strict, and a
 * layer does not hold; it was logged. */
MUST_USE enum err confine_daemon(struct daemon *d);
/* "strict", "compat", "off". */
const char *confine_policy_name(enum confine_policy policy);

#endif /* DAEMON_CONFINE_H */
