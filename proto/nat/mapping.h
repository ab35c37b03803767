/*
 * One port mapping on one gateway: asks for it, keeps it, notices that the
 * gateway lost it, gives it back. PCP, and NAT-PMP where the gateway of an
 * IPv4 network knows only that; where it answers neither, somebody else may
 * speak UPnP-IGD with it, for he needs HTTP and XML. Sans-I/O: datagrams and
 * time in, datagrams and jobs out; the owner sees to it that only the
 * gateway's come in. [RFC 6887] [RFC 6886]
 *
 *   OFF -> ASKING -> HELD -> ASKING (expired, or the gateway forgot it)
 *            |  ^     |
 *            v  |     v
 *          REFUSED  REFUSED         any -> OFF
 */
#ifndef PROTO_NAT_MAPPING_H
#define PROTO_NAT_MAPPING_H

#include "proto/base/env.h"
#include "proto/nat/pcp.h"

enum {
	/* Asked for. Short, since a daemon that was killed cannot give back
	 * what it holds. */
	MAPPING_LIFE_S = 3600,
	/* Less is a refusal: a gateway that grants seconds keeps nothing, and
	 * makes us a fountain of requests. */
	MAPPING_LIFE_MIN_S = 8,
	MAPPING_LIFE_MAX_S = 86400,   /* more is not believed [RFC 6887 §15] */
	MAPPING_REFUSED_MAX_S = 1800, /* likewise, of an error */
	MAPPING_REFUSED_MIN_S = 30,
	/* Renewed at half of its life, but not later: a gateway that was
	 * started anew shows only in its answers. */
	MAPPING_CHECK_MS = 10 * 60 * 1000,
	MAPPING_RENEW_MIN_MS = 4000, /* [RFC 6887 §11.2.1] */
	MAPPING_FIRST_MS = 3000,     /* IRT, MRT of [RFC 6887 §8.1.1] */
	MAPPING_LAST_MS = 1024 * 1000,
	MAPPING_JITTER_PERCENT = 10,
	/* Without an answer so often, NAT-PMP is asked for as well: there are
	 * gateways that drop what they do not know. */
	MAPPING_PCP_ALONE = 2,
	MAPPING_PMP_MAX = 9,    /* without an answer, then PCP once more */
	MAPPING_UPNP_AFTER = 3, /* tries without an answer: 21 s and more */
};

enum mapping_state {
	MAPPING_OFF = 0, /* no gateway */
	MAPPING_ASKING,
	MAPPING_HELD,
	MAPPING_REFUSED, /* asked again when the refusal has run out */
};
#define MAPPING_STATES 4

enum mapping_protocol { MAPPING_PCP = 0, MAPPING_NATPMP, MAPPING_UPNP };
#define MAPPING_PROTOCOLS 3

/* What who speaks UPnP is to do: map the port, or take the mapping back. */
struct mapping_job {
	struct endpoint internal;
	uint16_t external_port; /* wanted, or that of the mapping */
	uint32_t lifetime_s;    /* 0: take it back */
};
/* What came of it; lifetime_s 0: nothing. */
struct mapping_done {
	struct endpoint internal; /* as in the job */
	struct endpoint external; /* as the gateway says: believe nothing */
	uint32_t lifetime_s;
};

struct mapping {
	const struct rng *rng; /* borrowed for life */
	enum mapping_state state;
	enum mapping_protocol protocol;
	struct endpoint internal; /* ours, as the gateway sees it */
	struct endpoint external; /* HELD; address unset until it is known */
	bool has_address;         /* of external: NAT-PMP says it apart */
	uint8_t nonce[PCP_NONCE_SIZE];
	uint64_t send_ms;          /* the next request; NEVER */
	uint64_t sent_ms;          /* the last one */
	uint64_t expire_ms;        /* HELD: no longer ours from then on */
	uint64_t wait_ms;          /* between the last request and the next */
	uint32_t n_tries;          /* without an answer */
	bool due_map, due_address; /* datagrams to pop */
	bool releasing;            /* the map is to be deleted */
	bool has_upnp;             /* somebody does jobs */
	bool due_job, due_undo;    /* to pop: map, take back */
	bool job_out;              /* he has one */
	uint16_t undo_port;
	/* The gateway's clock: [RFC 6887 §8.5]. */
	bool has_epoch;
	uint32_t epoch_s;
	uint64_t epoch_at_ms;
	uint32_t n_reboots; /* that were noticed */
};

void mapping_init(struct mapping *m, const struct rng *rng);
/* There is a gateway, and this is our socket as it sees it. The same one
 * again changes nothing. */
void mapping_start(
    struct mapping *m, const struct endpoint *internal, struct now now);
/* The gateway is gone: forgets all. */
void mapping_stop(struct mapping *m);
/* A clean end: one datagram more that gives the mapping back. */
void mapping_release(struct mapping *m);

/* From the gateway. What is not an answer to us changes nothing. */
void mapping_receive(struct mapping *m, struct span datagram, struct now now);
void mapping_tick(struct mapping *m, struct now now);
uint64_t mapping_deadline_ms(const struct mapping *m);
/* Pops the next datagram for the gateway; false: none. */
bool mapping_next(struct mapping *m, struct writer *ret);

/* Is there somebody who speaks UPnP? False also when he is gone: what he had
 * to do is not done. IPv4 only. */
void mapping_set_upnp(struct mapping *m, bool has);
/* Pops the next job for him; false: none. A mapping_job_done follows. */
bool mapping_next_job(struct mapping *m, struct mapping_job *ret);
void mapping_job_done(
    struct mapping *m, const struct mapping_done *done, struct now now);

/* Where others reach us, if they do: false also where the outer address is
 * private or shared, i.e. behind a second NAT [RFC 6598]. */
bool mapping_endpoint(const struct mapping *m, struct endpoint *ret);
/* True if such a second NAT is why it has no endpoint. */
bool mapping_behind_nat(const struct mapping *m);

#endif /* PROTO_NAT_MAPPING_H */
