/*
 * What a process may do with files from now on, whatever its user may: the
 * Landlock of the kernel. [landlock(7)]
 */
#ifndef DAEMON_LANDLOCK_H
#define DAEMON_LANDLOCK_H

#include "proto/base/err.h"

#include <stddef.h>

enum landlock_may {
	LANDLOCK_READ,   /* files and directories */
	LANDLOCK_USE,    /* read and write what is there */
	LANDLOCK_KEEP,   /* make and remove, too: all but devices */
	LANDLOCK_REMOVE, /* nothing but remove files */
};

struct landlock_path {
	const char *path; /* absolute; NULL or not there: left out */
	enum landlock_may may;
};

/* Files below these paths, all else not at all; no TCP but to ask a name
 * server. For this thread and those it makes. ERR_UNSUPPORTED: this kernel has
 * none, or one too old; ERR_IO: it refused. */
MUST_USE enum err landlock_confine(const struct landlock_path *list, size_t n);

#endif /* DAEMON_LANDLOCK_H */
