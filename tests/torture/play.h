/*
 * Plays a story on a store whose disk or memory fails, and checks the laws:
 *
 *   what a commit acknowledged is there, once, and readable;
 *   what failed is there wholly or not at all, and can be done then;
 *   what was seen after a start is as durable as if it were acknowledged;
 *   what was erased opens no more, also with a copy of the old database;
 *   the database is sound, no file stays open, no memory of SQLite is left.
 */
#ifndef TESTS_TORTURE_PLAY_H
#define TESTS_TORTURE_PLAY_H

#include "proto/base/env.h"
#include "tests/torture/disk.h"
#include "tests/torture/story.h"

struct play;

/* Plays it once without faults. */
struct play *play_new(const struct story *t);
void play_free(struct play *p);
/* How many calls and allocations it takes. */
unsigned play_disk_calls(const struct play *p);
unsigned play_memory_calls(const struct play *p);

struct play_fault {
	enum disk_fault disk;
	bool memory, for_ever; /* memory, for ever */
	unsigned at;           /* the call or allocation */
	int error;             /* an errno, for the disk */
	/* After a fault for ever: the process dies. Otherwise it goes on. */
	bool dies;
	enum disk_keeps keeps;
	bool reopens; /* else that of a full disk is kept, as the daemon does */
};
/* Fails the test if a law is broken. */
void
play_fault(struct play *p, const struct play_fault *f, const struct rng *rng);
/* A picture is taken while the disk (or memory) fails at that call: it is right
 * or an error. False: there are fewer calls. */
bool play_look(struct play *p, bool memory, bool for_ever, unsigned at);
/* The files of the end, to be damaged: they are put there anew each time.
 * killed: with the log of the last steps. Returns the directory. */
const char *play_put_end(struct play *p, bool killed);
/* Was it so after some step? After so many of them, the last such. */
bool play_was(const struct play *p, const char *picture, size_t *ret_step);

/* A store is opened as the daemon does it. */
MUST_USE enum err play_open(const char *dir, struct store **ret);

#endif /* TESTS_TORTURE_PLAY_H */
