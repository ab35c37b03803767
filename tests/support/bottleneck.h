/*
 * Senders with the recovery, congestion controller and pacer of link/, one
 * bottleneck with a queue that they share, random loss, and receivers that
 * acknowledge as ours do. Packets without content: what is looked at is when
 * they leave, what the queue does and what gets through. A flow may instead be
 * of a controller that others use (tests/support/cubic.h), with the same
 * recovery. Virtual time in us; senders see ms as they do in life. Everything
 * follows from the seed.
 */
#ifndef TESTS_SUPPORT_BOTTLENECK_H
#define TESTS_SUPPORT_BOTTLENECK_H

#include "proto/link/recovery.h"
#include "tests/support/cubic.h"
#include "tests/support/rng.h"

enum {
	BOTTLENECK_FULL = 1232,   /* bytes of a bulk packet */
	BOTTLENECK_WORD = 156,    /* of one with a word */
	BOTTLENECK_PATH = 16384,  /* packets of a flow on the way, at most */
	BOTTLENECK_ACKS = 4096,   /* and acknowledgements on the way back */
	BOTTLENECK_WORDS = 32768, /* whose delays are kept */
	BOTTLENECK_FLOWS = 3,
};

struct bottleneck_packet {
	uint64_t number, sent_us, at_us; /* at the receiver */
	uint32_t bytes;
	bool word;
};

struct bottleneck_ack {
	uint64_t at_us, delay_us;
	struct ranges ranges;
};

struct bottleneck_flow {
	/* To be set after init. */
	uint64_t word_ms;        /* a word each so often; 0: none */
	uint64_t from_ms, to_ms; /* bulk begins, ends; of the run */
	uint64_t rest_ms;        /* bulk pauses so long ... */
	uint64_t work_ms;        /* ... after so long; 0: it never does */
	struct cubic *cubic;     /* owned by the caller; or NULL */
	/* Seen. */
	uint64_t delivered, dropped, sent;  /* bulk and words, bytes */
	uint64_t in_flight_max;             /* bytes, since last looked at */
	uint64_t word_us[BOTTLENECK_WORDS]; /* one way, without rtt_us / 2 */
	uint32_t n_word;
	/* Private. */
	struct recovery r;
	struct bottleneck_packet path[BOTTLENECK_PATH];
	uint32_t head, n;
	struct bottleneck_ack acks[BOTTLENECK_ACKS];
	uint32_t ack_head, ack_n;
	uint64_t next, next_word_us;
	struct ranges got;
	uint32_t unacked;
	uint64_t ack_us, largest_us;
};

struct bottleneck {
	/* To be set after init. */
	uint64_t rate;      /* bytes a second */
	uint64_t rtt_us;    /* without a queue */
	uint64_t buffer;    /* bytes that may wait */
	uint32_t loss;      /* of 1000, each way */
	uint64_t jitter_us; /* of the way back: acks come in lumps */
	uint64_t rival;     /* bytes a second of somebody else's */
	/* Seen. */
	uint64_t queue_us_max;
	double queue_us_sum;
	uint64_t queue_n;
	/* Private. */
	struct test_rng rng;
	uint64_t now_us, free_us; /* the bottleneck's queue ends then */
	struct bottleneck_flow *flow[BOTTLENECK_FLOWS]; /* owned */
	unsigned n_flows;
};

/* With one flow of bulk, from the begin on. */
void bottleneck_init(struct bottleneck *b, uint64_t seed);
void bottleneck_clear(struct bottleneck *b);
/* One more, of bulk from the begin on. */
struct bottleneck_flow *bottleneck_add(struct bottleneck *b);
void bottleneck_run(struct bottleneck *b, uint64_t ms);
/* Begins to count anew. */
void bottleneck_mark(struct bottleneck *b);
/* Of the words of a flow since the mark, in us. */
uint64_t bottleneck_word_us(struct bottleneck_flow *f, unsigned percent);

#endif /* TESTS_SUPPORT_BOTTLENECK_H */
