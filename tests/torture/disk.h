/*
 * A disk that fails. A program that links disk.c and calls.c has its own
 * open(2), pwrite(2), fdatasync(2) and so on: those of libsqlite3, of the
 * daemon and of libsodium all come here. Of files below one directory it is
 * known what was synced and what was only written, calls can be made to fail,
 * and the power can be cut.
 *
 * What holds of a cut: bytes of a file are durable after a sync of it, its name
 * after a sync of its directory. Before, of each sector of 512 bytes the old or
 * the new content is there; of names, those of the first few changes. After a
 * sync that failed, what was written is durable only if it is written again: a
 * later sync does not help.
 */
#ifndef TESTS_TORTURE_DISK_H
#define TESTS_TORTURE_DISK_H

#include "proto/base/env.h"

#include <stdbool.h>

/* Looks at this directory, which is as it was synced; NULL: at none. */
void disk_watch(const char *root);

enum disk_fault {
	DISK_WELL = 0,
	DISK_ONCE,     /* that call fails */
	DISK_FOR_EVER, /* and all that follow: dead, or about to be cut off */
	DISK_FULL,     /* from then on nothing grows, nothing is made */
	DISK_LIES,     /* from then on syncs say that all is well */
};
/* The n-th call from now on, counted from 1. error: an errno. */
void disk_fail_at(enum disk_fault how, unsigned n, int error);
unsigned disk_calls(void);  /* since then */
bool disk_hit(void);        /* one was made to fail since then */
unsigned disk_n_open(void); /* files below root that are open now */

enum disk_keeps {
	DISK_KEEPS_NOTHING, /* of what was not synced */
	DISK_KEEPS_SOME,    /* by chance */
	DISK_KEEPS_ALL,     /* a kill; nothing more is synced by it */
};
/* It is well again, and what it holds is what is left. rng: for SOME. */
void disk_cut(enum disk_keeps keeps, const struct rng *rng);

/* ---- for calls.c ---- */

enum { DISK_NAME_MAX = 256 };

/* A name below root: false if it is none. */
bool disk_name(int dir_fd, const char *path, char ret[DISK_NAME_MAX]);
bool disk_has(int fd); /* open, and below root */
/* Counts a call. True: it fails, errno is set. */
bool disk_fails(void);
bool disk_is_full(void);
/* What was done, after it was. */
void disk_opened(int fd, const char *name, bool made, bool cut);
void disk_closed(int fd);
void disk_wrote(int fd, const void *p, size_t n, size_t at);
void disk_truncated(int fd, size_t n);
void disk_synced(int fd);
void disk_sync_failed(int fd);
bool disk_lies(void);
void disk_made_dir(const char *name);
void disk_unlinked(const char *name);
void disk_linked(const char *from, const char *to);
void disk_renamed(const char *from, const char *to);
bool disk_grows(int fd, size_t end);

#endif /* TESTS_TORTURE_DISK_H */
