/*
 * What happens to a store, step by step. Each step ends with a commit; until it
 * has come, what the step did is there wholly or not at all.
 */
#ifndef TESTS_TORTURE_STORY_H
#define TESTS_TORTURE_STORY_H

#include "daemon/store.h"

struct story_step {
	const char *name;
	enum err (*run)(struct store *s);
	const char *erases; /* a text that nothing opens after it, or NULL */
};

struct story {
	const char *name;
	/* Makes what it begins with, in an empty directory; or NULL. */
	void (*begin)(const char *dir);
	struct story_step steps[28]; /* until one has no name */
};

/* The life of a store; that of one which an older version wrote. */
extern const struct story story_life, story_upgrade[2];

size_t story_steps(const struct story *t);

#endif /* TESTS_TORTURE_STORY_H */
