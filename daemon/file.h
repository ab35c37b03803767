/* A file's bytes from where it stands, over signals and short counts. */
#ifndef DAEMON_FILE_H
#define DAEMON_FILE_H

#include "proto/base/err.h"

#include <stddef.h>

/* Up to cap bytes; *ret_n are fewer at the end of the file. ERR_IO. */
MUST_USE enum err file_read(int fd, void *buf, size_t cap, size_t *ret_n);
/* All n of them. ERR_LIMIT: the disk is full; ERR_IO. */
MUST_USE enum err file_write(int fd, const void *bytes, size_t n);

#endif /* DAEMON_FILE_H */
