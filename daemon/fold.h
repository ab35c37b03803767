/*
 * Text as a search sees it: code points without case, marks and forms that
 * look alike (compatibility decomposition, case folding, marks stripped, all by
 * libutf8proc), and where words begin. In scripts that do not part words each
 * character may begin one. Everything that is no letter, digit or mark parts
 * words.
 */
#ifndef DAEMON_FOLD_H
#define DAEMON_FOLD_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"

#include <stdint.h>

enum { FOLD_PREFIX = 4 }; /* code points of a word that an index knows */

struct fold_point {
	uint32_t point; /* 0: words are parted here */
	uint32_t at;    /* byte of the text that it comes from */
	bool begins;    /* a word may begin here */
};

struct fold {
	struct fold_point *p; /* owned */
	size_t n, cap;
};

/* Replaces what f held; text is valid UTF-8. ERR_NOMEM. */
MUST_USE enum err fold_text(struct fold *f, struct span text);
void fold_clear(struct fold *f); /* wipes and frees */

/* Does the word of n points stand at i of f? */
bool fold_matches(
    const struct fold *f, size_t i, const struct fold_point *word, size_t n);
/* Bits of 256 that the first 1, 2, .. FOLD_PREFIX points of a word stand for;
 * returns how many, fewer for shorter words. */
size_t
fold_bits(const struct fold_point *word, size_t n, uint8_t ret[FOLD_PREFIX]);

#endif /* DAEMON_FOLD_H */
