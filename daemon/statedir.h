/* The state directory: ours alone, one daemon at a time. */
#ifndef DAEMON_STATEDIR_H
#define DAEMON_STATEDIR_H

#include "proto/base/err.h"

enum { STATEDIR_WHY_SIZE = 512 };

/*
 * Makes it (0700, also the directories above it) if it is missing, and locks
 * it. *ret_fd holds the lock. why[] is for the operator: ERR_STATE: owned by
 * another, or open to others; ERR_EXISTS: a daemon runs on it; ERR_IO.
 */
MUST_USE enum err
statedir_open(const char *path, int *ret_fd, char why[STATEDIR_WHY_SIZE]);
void statedir_close(int fd); /* -1 is fine */

#endif /* DAEMON_STATEDIR_H */
