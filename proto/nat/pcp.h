/*
 * The bytes of a port mapping: PCP and, for older gateways, NAT-PMP. Requests
 * are written, answers are read; UDP mappings only. [RFC 6887] [RFC 6886]
 */
#ifndef PROTO_NAT_PCP_H
#define PROTO_NAT_PCP_H

#include "proto/base/bytes.h"
#include "proto/base/endpoint.h"
#include "proto/base/err.h"

enum {
	PCP_PORT = 5351, /* the gateway's, of both protocols */
	PCP_NONCE_SIZE = 12,
	PCP_REQUEST_SIZE = 60, /* a MAP request without options */
	PCP_REPLY_MAX = 1100,  /* longer ones are no PCP [RFC 6887 §7] */
};

enum pcp_result { /* those that are told apart [RFC 6887 §7.4] */
	PCP_SUCCESS = 0,
	PCP_UNSUPP_VERSION = 1,
	PCP_NOT_AUTHORIZED = 2,
	PCP_UNSUPP_OPCODE = 4,
};

enum pcp_reply_kind {
	PCP_REPLY_NONE = 0,
	PCP_REPLY_MAP,         /* result and all the rest */
	PCP_REPLY_REFUSED,     /* PCP's head alone: result, lifetime, epoch */
	PCP_REPLY_PMP_ADDRESS, /* result, epoch; external without a port */
	PCP_REPLY_PMP_MAP,     /* result, epoch, ports, lifetime */
	PCP_REPLY_PMP_REFUSED, /* a NAT-PMP gateway's no to what it knows not */
};

struct pcp_reply {
	enum pcp_reply_kind kind;
	uint16_t result;
	uint32_t lifetime_s; /* of an error: how long it will stand */
	uint32_t epoch_s;    /* since the gateway lost its mappings */
	uint8_t nonce[PCP_NONCE_SIZE];
	uint16_t internal_port;
	struct endpoint external; /* as the gateway says: believe nothing */
};

/* MAP of a UDP port; lifetime_s 0 deletes. `suggested` may be all zero. */
struct pcp_map {
	struct endpoint internal;
	struct endpoint suggested;
	uint32_t lifetime_s;
	uint8_t nonce[PCP_NONCE_SIZE];
};
void pcp_map_encode(const struct pcp_map *m, struct writer *ret);
/* NAT-PMP: what is the outer address; map a UDP port. */
void pcp_pmp_address_encode(struct writer *ret);
void pcp_pmp_map_encode(const struct pcp_map *m, struct writer *ret);

/* ERR_MALFORMED: no answer of either protocol. */
MUST_USE enum err pcp_reply_decode(struct span in, struct pcp_reply *ret);

#endif /* PROTO_NAT_PCP_H */
