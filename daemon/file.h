/* A file's bytes, over signals and short counts; a new file, whole. */
#ifndef DAEMON_FILE_H
#define DAEMON_FILE_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"

#include <stddef.h>
#include <sys/types.h>

enum { FILE_HERE = -1 }; /* where the file stands, also where it cannot seek */

/* Up to cap bytes; *ret_n are fewer at the end of the file. ERR_IO. */
MUST_USE enum err
file_read(int fd, off_t at, void *buf, size_t cap, size_t *ret_n);
/* All n of them. ERR_LIMIT: the disk is full; ERR_IO. */
MUST_USE enum err file_write(int fd, off_t at, const void *bytes, size_t n);

/* dir/name.new while it is made; what a crash left of one is replaced. */
#define FILE_ASIDE ".new"

/* dir/name, for its owner alone: durable, or not at all. ERR_EXISTS, ERR_LIMIT:
 * the disk is full; ERR_IO. */
MUST_USE enum err file_create(int dir_fd, const char *name, struct span bytes);

#endif /* DAEMON_FILE_H */
