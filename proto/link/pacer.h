/*
 * A bucket of bytes that fills with the sending rate, so that packets leave
 * evenly. The clock has milliseconds: what a rate is worth in one leaves
 * together. [RFC 9002 §7.7]
 */
#ifndef PROTO_LINK_PACER_H
#define PROTO_LINK_PACER_H

#include <stdbool.h>
#include <stdint.h>

enum {
	PACER_BURST = 10,   /* datagrams that leave together after a rest */
	PACER_BURST_MS = 4, /* or what the rate is worth in this time */
	PACER_DEBT = 10,    /* datagrams that what is urgent may be ahead */
};

struct pacer {
	int64_t credit; /* bytes; below 0 while ahead of the rate */
	uint64_t at_ms; /* when credit was counted */
};

void pacer_init(struct pacer *p, uint32_t datagram);
/* Fills it at `rate` bytes a second up to now. */
void
pacer_fill(struct pacer *p, uint64_t rate, uint32_t datagram, uint64_t now_ms);
bool pacer_ready(const struct pacer *p, uint32_t datagram, bool urgent);
void pacer_take(struct pacer *p, uint32_t bytes);
/* When it will be ready again at that rate; later than at_ms. */
uint64_t pacer_ready_ms(
    const struct pacer *p, uint64_t rate, uint32_t datagram, bool urgent);

#endif /* PROTO_LINK_PACER_H */
