/*
 * Which packets are in flight, when they count as lost and how long a round
 * trip takes. [RFC 9002] [SPEC §7.4] How much may be under way is for bbr.h
 * to say, when it leaves for pacer.h.
 *
 * Packet numbers are the counters of one key. After a renewal two keys are in
 * use for a while, so every record carries the number of its key. Three later
 * numbers say that a packet is lost only within its key; time says it for all,
 * since every key uses the same path.
 */
#ifndef PROTO_LINK_RECOVERY_H
#define PROTO_LINK_RECOVERY_H

#include "proto/base/env.h"
#include "proto/base/err.h"
#include "proto/link/bbr.h"
#include "proto/link/ledbat.h"
#include "proto/link/pacer.h"
#include "proto/link/ranges.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	RECOVERY_PACKETS_MAX = 4096, /* records; more wait for an answer */
	RECOVERY_REORDER = 3,        /* packets [RFC 9002 §6.1.1] */
	RECOVERY_GRANULARITY_US = 1000,
	RECOVERY_INITIAL_RTT_US = 333000, /* [RFC 9002 §6.2.2] */
	RECOVERY_ACK_DELAY_US = 25000,    /* bound of the peer's, at most */
	RECOVERY_URGENT = 10,       /* datagrams that may pass the window */
	RECOVERY_PERSISTENT = 3,    /* PTOs without an ack [RFC 9002 §7.6.1] */
	RECOVERY_PTO_MAX_MS = 2000, /* the backoff ends here */
};

/* What a packet carried that is wanted again if it is lost. */
enum {
	SENT_HELLO = 1,
	SENT_MAX_DATA = 2,
	SENT_MAX_STREAM = 4,
	SENT_OBSERVED = 8,
	SENT_ACK = 16, /* acknowledged everything up to ack_hi - 1 */
	SENT_MAX_BULK = 64,
	SENT_MTU = 32, /* a probe: its loss is none of congestion */
	SENT_OFFER = 128,
};

struct sent {
	uint32_t key; /* the caller's number of the key */
	uint64_t number;
	uint64_t at_ms;
	uint64_t ack_hi;
	struct range stream, bulk; /* empty if none */
	uint16_t bytes;            /* of the datagram */
	uint8_t carried;           /* SENT_x */
	uint8_t state;             /* private */
	struct bbr_stamp stamp;    /* private */
};

struct recovery {
	struct sent *ring;  /* owned; cap records, grows with need */
	uint32_t cap;       /* a power of two, up to RECOVERY_PACKETS_MAX */
	uint32_t head, n;   /* in the order of sending */
	uint32_t results;   /* records that wait for recovery_result */
	uint32_t result_at; /* none of them stands before this one */
	uint32_t late_n;    /* those that were overtaken are among the first */
	uint32_t in_flight_n;
	/* Round trip, in us. */
	bool has_rtt;
	uint64_t latest_us, smoothed_us, var_us, min_us;
	uint64_t path_ms;   /* since when it is this path */
	uint64_t in_flight; /* bytes of datagrams */
	struct bbr bbr;
	struct pacer pacer;
	bool yields; /* what is not urgent is bounded by `yield`, too */
	struct ledbat yield;
	struct pacer yield_pacer;
	uint64_t acked_ms;      /* when something was acknowledged last */
	uint64_t acked_sent_ms; /* when the latest acknowledged one was sent */
	uint64_t last_sent_ms;  /* last record, for the PTO */
	uint64_t loss_ms;       /* when the time threshold runs out, or NEVER */
	uint32_t pto_count;
};

/* datagram: bytes of a full datagram. ERR_NOMEM. */
MUST_USE enum err recovery_init(struct recovery *r, uint32_t datagram);
void recovery_clear(struct recovery *r);
/* Forgets every packet and starts anew with what is known of the path. */
void recovery_reset(struct recovery *r);
/* Another path: round trip and window are not known there, and what left
 * before does not tell them. [RFC 9000 §9.4] */
void recovery_new_path(struct recovery *r, uint64_t now_ms);
/* The path is dead: all that is in flight counts as lost, without a congestion
 * event. */
void recovery_give_up(struct recovery *r);
/* Probing found another size for full datagrams. */
void recovery_set_datagram(struct recovery *r, uint32_t datagram);
/* From now on what is not urgent gives way to everything else on the path, or
 * does not any more. */
void recovery_set_yield(struct recovery *r, bool yields);
/* A round trip measured by the handshake. */
void recovery_sample(struct recovery *r, uint64_t rtt_ms, uint64_t now_ms);

/* True if window, pace and table have room for a full datagram. What is
 * urgent may be a little ahead of both, so that no word waits for a file. */
bool recovery_may_send(struct recovery *r, bool urgent, uint64_t now_ms);
/* It may not, for the pace alone: when to ask again. NEVER: an
 * acknowledgement has to come first. */
uint64_t recovery_pace_ms(const struct recovery *r, bool urgent);
/* Nothing waits to be sent although it might leave. */
void recovery_idle(struct recovery *r);
/* Room in the table alone: what a probe or an ACK of HELLO needs. */
bool recovery_has_room(struct recovery *r);
/* An ack-eliciting packet left; its record must fit (recovery_has_room). */
void recovery_sent(struct recovery *r, const struct sent *s);

/* An ACK of numbers of `key` came. delay_us: as the peer says. The caller has
 * checked that the numbers were sent. True: it tells of something new. */
bool recovery_on_ack(struct recovery *r, uint32_t key, const struct ranges *ack,
    uint64_t delay_us, uint64_t now_ms);
/* The loss timer ran out. */
void recovery_on_loss_timer(struct recovery *r, uint64_t now_ms);
/* The key is gone: its packets count as lost, without a congestion event. */
void recovery_drop_key(struct recovery *r, uint32_t key);
/* Takes the next record that was acknowledged (*acked) or lost. */
bool recovery_result(struct recovery *r, struct sent *ret, bool *acked);

/* When to call recovery_on_loss_timer (loss_ms) or to probe; NEVER. */
uint64_t recovery_pto_ms(const struct recovery *r);
uint64_t recovery_pto_base_ms(const struct recovery *r); /* no backoff */
/* How long an answer takes at most, as things go: smoothed and four times the
 * variance, also of the path before. */
uint64_t recovery_answer_ms(const struct recovery *r);
/* Since when something is in flight and nothing was acknowledged, or NEVER. */
uint64_t recovery_silent_ms(const struct recovery *r);
/* The PTO passed: the next one waits longer. */
void recovery_on_pto(struct recovery *r, uint64_t now_ms);
/* The oldest packet in flight but for so many, for its content to be sent again
 * while it still counts; NULL: none. */
const struct sent *recovery_oldest(const struct recovery *r, uint32_t skip);

#endif /* PROTO_LINK_RECOVERY_H */
