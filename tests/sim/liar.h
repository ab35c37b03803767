/*
 * A contact who lies: a node like any other, whose words are changed where
 * they go into the seal of a packet, so that others hear them under the right
 * key. The linker puts a seal that asks him in the place of noise_seal
 * (wrap.c).
 */
#ifndef TESTS_SIM_LIAR_H
#define TESTS_SIM_LIAR_H

#include "proto/base/endpoint.h"
#include "tests/sim/dice.h"

enum { LIAR_PLAIN_MAX = 1472, LIAR_PLACES = 16 };

struct liar {
	struct dice dice;
	uint32_t per_mille; /* of packets; 0: an honest one */
	uint64_t n_lies;
	/* Addresses of others, which he names. */
	struct endpoint place[LIAR_PLACES];
	uint32_t n_places;
	/* What he or others of him said before. */
	uint8_t before[LIAR_PLAIN_MAX];
	size_t n_before;
};

/* From now on, until the next call; NULL: nobody lies. Borrowed. */
void liar_use(struct liar *l);
/* Changes what is about to be sealed. */
void liar_speak(uint8_t *plain, size_t n);

#endif /* TESTS_SIM_LIAR_H */
