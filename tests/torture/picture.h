/* All that a store tells, as text: two that tell the same are the same. */
#ifndef TESTS_TORTURE_PICTURE_H
#define TESTS_TORTURE_PICTURE_H

#include "daemon/store.h"

enum {
	PICTURE_MAX = 256 * 1024,
	PICTURE_CONTACTS = 48, /* of store_world_contact, from 1 */
};

/* ret: PICTURE_MAX bytes. An error is the first one that a call gave. */
MUST_USE enum err picture_take(struct store *s, char *ret);
/* Prints where they differ. */
void picture_compare(const char *want, const char *have);

#endif /* TESTS_TORTURE_PICTURE_H */
