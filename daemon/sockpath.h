/* Unix sockets by path: refuses what somebody else put in the way. */
#ifndef DAEMON_SOCKPATH_H
#define DAEMON_SOCKPATH_H

#include "proto/base/err.h"

enum { SOCKPATH_WHY_SIZE = 256 };

/*
 * Binds and listens on path with mode 0600, close-on-exec, non-blocking.
 * Makes the last directory (0700) if it is missing. A dead socket of our own
 * is replaced. why[] says what is wrong, in a sentence for the operator:
 * ERR_EXISTS: a live socket is there; ERR_STATE: a symlink, not a socket, or
 * owned by another, or in a directory that others may write; ERR_TOO_LONG;
 * ERR_IO.
 */
MUST_USE enum err
sockpath_listen(const char *path, int *ret_fd, char why[SOCKPATH_WHY_SIZE]);
/* Removes it at a clean stop, if it is still the one bound as fd. */
void sockpath_unlink(const char *path, int fd);

#endif /* DAEMON_SOCKPATH_H */
