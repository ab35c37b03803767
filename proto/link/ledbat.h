/*
 * A window for what nobody waits for: it takes what the path has left over
 * and gives way as soon as a queue begins to stand, whoever made it.
 * [RFC 6817] [SPEC §7.4]
 *
 * Kept from the RFC: the delay of the queue is the present one less the least
 * of ten minutes; the window follows its distance to a target; a loss halves
 * it. From draft-irtf-iccrg-ledbat-plus-plus: round trips stand for one-way
 * delays (no clock of the peer is needed, and a queue on the way back counts,
 * too), the decrease is multiplicative, and in every ten parts of the time one
 * is spent with the smallest window, so that a latecomer sees the path
 * without us and shares it.
 *
 * The target is far below that of either: words and our own transfers make a
 * queue of a few ms only, and have to be noticed in it.
 */
#ifndef PROTO_LINK_LEDBAT_H
#define PROTO_LINK_LEDBAT_H

#include <stdbool.h>
#include <stdint.h>

enum {
	LEDBAT_TARGET_US = 8000, /* of queue [RFC 6817 §2.5] wants <= 100 ms */
	LEDBAT_WINDOW_MIN = 2,   /* datagrams [RFC 6817 §2.5] */
	LEDBAT_HISTORY = 10,     /* minutes [RFC 6817 §2.5] */
	LEDBAT_SLOW_ROUNDS = 2,  /* with the smallest window */
	LEDBAT_SLOW_PARTS = 9,   /* times as long until the next time */
	LEDBAT_REST_MS = 1000,   /* without bulk: what was known is old */
	LEDBAT_WINDOW_MAX = 8 << 20, /* bytes */
};

enum ledbat_state {
	LEDBAT_START = 0, /* grows fast, up to the threshold or to a queue */
	LEDBAT_STEADY,
	LEDBAT_SLOW, /* the smallest window: is the path shorter without us? */
};

struct ledbat {
	enum ledbat_state state;
	uint32_t datagram;
	uint64_t window, threshold; /* bytes */
	/* Round trips: the least of each minute, of this round, of the last. */
	uint64_t base_us[LEDBAT_HISTORY];
	uint8_t base_at;
	uint64_t minute_ms; /* the newest of them began; 0: none has */
	uint64_t round_us, last_us;
	/* Rounds. */
	uint64_t round_end_ms;
	uint64_t round_acked;
	bool full;     /* the window was used, in this round */
	bool lost;     /* something was, in this round */
	bool cut;      /* the round before this one: its queue is still seen */
	uint8_t quiet; /* rounds with next to no queue */
	/* Slowing down. */
	bool slowed;      /* at least once: the threshold means something */
	uint8_t rounds;   /* of SLOW */
	uint64_t slow_ms; /* it began, or begins next */
	uint64_t sent_ms; /* bulk left last */
};

void ledbat_init(struct ledbat *y, uint32_t datagram);
void ledbat_set_datagram(struct ledbat *y, uint32_t datagram);
/* Bulk leaves. */
void ledbat_sent(struct ledbat *y, uint64_t now_ms);
/* The window kept bulk back. */
void ledbat_full(struct ledbat *y);
/* bytes were acknowledged; rtt_us without the peer's delay, 0: no sample; a
 * round takes round_ms. */
void ledbat_acked(struct ledbat *y, uint64_t bytes, uint64_t rtt_us,
    uint64_t round_ms, uint64_t now_ms);
/* Something was: it halves the window once a round. */
void ledbat_lost(struct ledbat *y);
/* Nothing came through for long. */
void ledbat_collapse(struct ledbat *y);

/* Bytes a second to pace with, when a round takes round_us. */
uint64_t ledbat_rate(const struct ledbat *y, uint64_t round_us);
/* The queue as it is seen now, in us. */
uint64_t ledbat_queue_us(const struct ledbat *y);
uint64_t ledbat_base_us(const struct ledbat *y); /* UINT64_MAX: unknown */

#endif /* PROTO_LINK_LEDBAT_H */
