/* All commands, in one table. [btchatctl(1)] */
#ifndef CTL_COMMAND_H
#define CTL_COMMAND_H

#include "ctl/ctl.h"

#include <stdio.h>

enum command_tier {
	TIER_NONE,  /* needs no daemon */
	TIER_CHAT,  /* any socket; what it may do is the daemon's decision */
	TIER_ADMIN, /* the admin socket first */
};

struct command {
	const char *noun, *verb; /* verb NULL: the noun alone */
	const char *usage;       /* what follows, for people */
	const char *summary;
	const char *options; /* names that are taken beside the global ones */
	size_t min_words, max_words;
	enum command_tier tier;
	int (*run)(struct ctl *ctl);
};

#define COMMAND_WORDS_ANY SIZE_MAX

extern const struct command command_table[];
size_t command_count(void);

/* NULL: none. The verb is looked at only where the noun takes one. */
const struct command *command_named(const char *noun, const char *verb);
/*
 * Finds the command that the words name and says in *ret_words how many words
 * that took. NULL: none; with a reason and a suggestion reported.
 */
const struct command *command_find(const struct args *a, size_t *ret_words);
/* Number of edits between two words; a swap of neighbours is one. */
size_t command_distance(const char *a, const char *b);

/* "btchatctl send TO [TEXT|-] ..." on f. */
void command_print_usage(const struct command *c, FILE *f);
void command_print_all(FILE *f);

#endif /* CTL_COMMAND_H */
