/*
 * The congestion controller that most of the Internet uses, for comparison:
 * RFC 9438 with slow start, without a pacer. Windows are bytes.
 */
#ifndef TESTS_SUPPORT_CUBIC_H
#define TESTS_SUPPORT_CUBIC_H

#include <stdbool.h>
#include <stdint.h>

struct cubic {
	uint32_t datagram;
	double window, threshold; /* of slow start */
	double w_max, w_est, k_s;
	uint64_t epoch_ms; /* congestion avoidance began, or 0 */
	uint64_t cut_ms;   /* the window was cut last */
};

void cubic_init(struct cubic *c, uint32_t datagram);
void
cubic_acked(struct cubic *c, uint32_t bytes, uint64_t rtt_us, uint64_t now_ms);
/* A packet that left at sent_ms was lost: one cut for each round. */
void cubic_lost(struct cubic *c, uint64_t sent_ms, uint64_t now_ms);

#endif /* TESTS_SUPPORT_CUBIC_H */
