/* A file's bytes, over signals and short counts; a new file, whole; another in
 * its place. */
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

/* dir/name.old while it is replaced. */
#define FILE_OLD ".old"

/*
 * Other bytes in the place of dir/name: durable, or the old ones stand there
 * as before. What was there is overwritten then, as far as the file system
 * writes in place; a crash leaves that to file_tidy. ERR_NOT_FOUND, ERR_LIMIT,
 * ERR_IO.
 */
MUST_USE enum err file_replace(int dir_fd, const char *name, struct span bytes);
/* Zeros where its bytes were, as far as that can be done. A file that has
 * another name, too, keeps them: under that one it may be what counts. */
void file_overwrite(int dir_fd, const char *name);
/* The same, and its name is gone. */
void file_erase(int dir_fd, const char *name);
/* What a crash left of either is overwritten and removed; dir/name.old only
 * beside a dir/name. */
void file_tidy(int dir_fd, const char *name);

#endif /* DAEMON_FILE_H */
