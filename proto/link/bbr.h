/*
 * How much may be under way and how fast it leaves: a model of the path, its
 * bottleneck's rate and its shortest round trip, both measured. Random loss
 * of a last mile does not shrink it; a queue does. [draft-ietf-ccwg-bbr]
 * [SPEC §7.4]
 *
 * Kept from the draft: delivery rate samples, the max filter over two cycles,
 * Startup, Drain, ProbeBW with its four phases, ProbeRTT, the bounds learned
 * from loss. Different here, because words share the path with files:
 *
 *   - between probes at most BBR_CRUISE_MS of queue are let in flight, and a
 *     probe adds at most BBR_PROBE_MS, instead of a whole round trip each;
 *   - loss counts as congestion when it exceeds that of cruising, where
 *     there is no queue of ours, by BBR_LOSS; else 3 % of a radio would
 *     starve us. What may count as the path's own is bounded.
 *
 * Bytes are those of datagrams, rates bytes a second, gains percent.
 */
#ifndef PROTO_LINK_BBR_H
#define PROTO_LINK_BBR_H

#include <stdbool.h>
#include <stdint.h>

enum {
	BBR_WINDOW_INITIAL = 10,    /* datagrams [RFC 9002 §7.2] */
	BBR_WINDOW_MIN = 4,         /* datagrams */
	BBR_WINDOW_MAX = 8 << 20,   /* bytes; what buffers here ever need */
	BBR_CRUISE_MS = 3,          /* of queue between probes */
	BBR_PROBE_MS = 8,           /* of queue that a probe may add */
	BBR_RTT_VALID_MS = 10000,   /* the shortest round trip is believed */
	BBR_RTT_PROBE_MS = 200,     /* half a window for so long */
	BBR_CYCLE_MS = 2000,        /* between probes, and up to ... */
	BBR_CYCLE_JITTER_MS = 1000, /* ... this more */
	BBR_QUEUE_MS = 20,          /* a queue that says the rate fell */
	BBR_LOSS = 20,              /* of 1000: more than the path's own */
	BBR_LOSS_OWN_MAX = 100,     /* of 1000: what can be the path's own */
	BBR_LOSS_STARTUP = 150,     /* of 1000: ends Startup */
	BBR_LOSS_PACKETS = 6,       /* fewer say nothing */
};

enum bbr_state {
	BBR_STARTUP = 0, /* doubles each round until the rate grows no more */
	BBR_DRAIN,       /* the queue of that */
	BBR_DOWN,        /* the queue of a probe */
	BBR_CRUISE,
	BBR_REFILL, /* one round without the bounds from loss */
	BBR_UP,     /* is there more? */
	BBR_RTT,    /* is it nearer? */
};

/* What a packet remembers of the moment when it left. */
struct bbr_stamp {
	uint64_t delivered;    /* bytes acknowledged by then */
	uint64_t delivered_ms; /* when the last of them were */
	uint64_t first_ms;     /* begin of the sending that it is measured by */
	uint32_t in_flight;    /* with it */
	bool app_limited;
};

/* What came together since the last bbr_update. */
struct bbr_event {
	uint64_t acked, lost; /* bytes */
	bool any;             /* newest, newest_ms are set */
	struct bbr_stamp newest;
	uint64_t newest_ms; /* when it was sent */
};

struct bbr {
	enum bbr_state state;
	uint32_t datagram; /* bytes of a full one */
	uint64_t window;
	/* Delivery rate. */
	uint64_t delivered, delivered_ms, first_ms;
	uint64_t app_limited_until; /* of delivered; 0: the path limits */
	struct bbr_event event;
	/* Rounds: a packet sent in one is acknowledged in the next. */
	uint64_t round_end; /* of delivered */
	uint64_t round_rate, round_rtt_us;
	uint64_t round_acked, round_lost; /* since loss was judged last */
	uint64_t lost_in_flight;          /* the most that a lost one saw */
	/* The model. */
	uint64_t rate[2];  /* best of the last cycle and of this one */
	uint64_t rate_low; /* bounds until the next probe, or UINT64_MAX */
	uint64_t high;     /* in flight that lost too much, or UINT64_MAX */
	uint64_t rtt_us, rtt_ms; /* shortest, 0: unknown; and when */
	uint32_t loss_own;       /* of 1000 */
	bool has_loss_own;
	bool queue_seen; /* acted upon, in this cycle */
	/* Acknowledgements that come in lumps. */
	uint64_t lump_ms, lump_bytes, lump[2];
	uint32_t lump_rounds;
	/* Startup, phases. */
	bool full; /* Startup found the rate */
	uint64_t full_rate;
	uint32_t full_rounds;
	uint64_t cycle_ms, cycle_end_ms;
	uint32_t rounds; /* of this phase */
	uint64_t up_rate;
	uint64_t probe_end_ms, probe_rtt_us, probe_window;
};

void bbr_init(struct bbr *b, uint32_t datagram);
/* Another path: what was measured is not of it. Packets under way keep their
 * stamps. */
void bbr_restart(struct bbr *b);
/* Probing found that the path takes larger ones, or not so large. */
void bbr_set_datagram(struct bbr *b, uint32_t datagram);
/* A round trip measured before any packet. */
void bbr_guess(struct bbr *b, uint64_t rtt_us, uint64_t now_ms);

/* A packet leaves; in_flight is without it. */
void bbr_sent(struct bbr *b, uint64_t in_flight, uint32_t bytes,
    uint64_t now_ms, struct bbr_stamp *ret);
/* Nothing waits to be sent although it might be: what is measured until
 * in_flight is acknowledged says little of the path. */
void bbr_app_limited(struct bbr *b, uint64_t in_flight);
void bbr_acked(struct bbr *b, const struct bbr_stamp *s, uint64_t sent_ms,
    uint32_t bytes, uint64_t now_ms);
void bbr_lost(struct bbr *b, const struct bbr_stamp *s, uint32_t bytes);
/* After a batch of the two: in_flight without them; rtt_us 0: no sample. */
void
bbr_update(struct bbr *b, uint64_t in_flight, uint64_t rtt_us, uint64_t now_ms);
/* Nothing came through for long: from the smallest window again. */
void bbr_collapse(struct bbr *b);

/* Bytes a second to pace with. */
uint64_t bbr_rate(const struct bbr *b);

#endif /* PROTO_LINK_BBR_H */
