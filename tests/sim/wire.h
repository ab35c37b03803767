/*
 * What an observer may see: every datagram is of an allowed size or proper
 * KRPC, and no secret or text stands in it in the clear. [SPEC §5.1]
 */
#ifndef TESTS_SIM_WIRE_H
#define TESTS_SIM_WIRE_H

#include "proto/base/bencode.h"

#include <stdbool.h>

enum {
	WIRE_PATTERN_MAX = 32,
	WIRE_PATTERNS_MAX = UINT16_MAX, /* more than any world has */
	WIRE_PATTERN_MIN = 12, /* shorter texts might stand there by chance */
	WIRE_FILTER = 1 << 20, /* bits */
	WIRE_CHAINS = 1 << 16,
};

struct wire_pattern {
	uint8_t n;
	uint8_t b[WIRE_PATTERN_MAX];
	uint16_t next; /* in its chain, as there */
};

struct wire {
	struct wire_pattern patterns[WIRE_PATTERNS_MAX];
	size_t n;
	uint8_t filter[WIRE_FILTER / 8]; /* of the first words */
	uint16_t chain[WIRE_CHAINS];     /* by first word: place + 1, or 0 */
	struct bencode doc;              /* scratch */
	bool sealed;   /* there is an overlay: its sizes are allowed */
	bool no_plain; /* and nothing else: no KRPC [SPEC §8.4] */
};

/* The bytes (of a longer string: the first) must never be seen. */
void wire_forbid(struct wire *w, struct span secret);
/* What is wrong with a datagram, or NULL. */
const char *wire_check(struct wire *w, struct span datagram);
bool wire_is_krpc(struct span datagram); /* by its first byte */

#endif /* TESTS_SIM_WIRE_H */
