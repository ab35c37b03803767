/*
 * KRPC: one bencoded dictionary a datagram. The same struct is read and
 * written, so what we send is what we would understand. [BEP 5] [BEP 32]
 * [BEP 42] [BEP 43] [BEP 44] [BEP 51]
 */
#ifndef PROTO_DHT_KRPC_H
#define PROTO_DHT_KRPC_H

#include "proto/base/bencode.h"
#include "proto/base/endpoint.h"
#include "proto/crypto/types.h"

enum {
	KRPC_T_MAX = 32,      /* bytes of a transaction id that we echo */
	KRPC_TOKEN_MAX = 64,  /* bytes of a token that we would return */
	KRPC_NODES_MAX = 16,  /* nodes taken from one answer; 8 is usual */
	KRPC_PEERS_MAX = 100, /* peers taken from one answer, or put in it */
	KRPC_SIZE_MAX = 1472, /* payload; 1500 less the headers of IPv4 */
};

enum krpc_kind { KRPC_QUERY = 1, KRPC_RESPONSE, KRPC_ERROR };

enum krpc_method {
	KRPC_OTHER = 0, /* any name that is not here */
	KRPC_PING,
	KRPC_FIND_NODE,
	KRPC_GET_PEERS,
	KRPC_ANNOUNCE_PEER,
	KRPC_GET,
	KRPC_PUT,
	KRPC_SAMPLE, /* sample_infohashes */
	/* Overlay only [SPEC §8.3]; on Mainline nobody knows them. The last two
	 * are answered by nothing, but the first of these by an error. */
	KRPC_REGISTER,
	KRPC_PASS,
	KRPC_HAND,
};
#define KRPC_METHODS 11

enum { KRPC_END_SIZE = 8 }; /* bytes of a handle, a circuit, a cookie */

enum krpc_code {
	KRPC_OK = 0,
	KRPC_GENERIC = 201,
	KRPC_SERVER = 202,
	KRPC_PROTOCOL = 203, /* bad packet, argument or token */
	KRPC_UNKNOWN = 204,  /* method */
	KRPC_V_TOO_BIG = 205,
	KRPC_BAD_SIG = 206,
	KRPC_SALT_TOO_BIG = 207,
	KRPC_CAS_MISMATCH = 301,
	KRPC_SEQ_TOO_LOW = 302,
};

/* Spans borrow the datagram; p is NULL where something is absent. */
struct krpc {
	enum krpc_kind kind;
	enum krpc_method method; /* QUERY */
	/* QUERY: why it gets a 203, or NULL if every argument is in order. */
	const char *fault;
	struct span t;
	bool read_only;
	bool has_id, has_target, has_want;
	struct target id;
	/* Overlay only [SPEC §8.2]. N is the asker's, or that of a node that
	 * is asked under another key; the minute is that of the query. */
	bool has_n, has_minute;
	struct node_key n;
	int64_t minute;       /* Unix s / 60 */
	struct target target; /* target, or info_hash */
	bool want[FAMILY_COUNT];
	struct span token;
	bool has_k, has_sig, has_seq, has_cas;
	bool keep; /* overlay, get: what has that seq goes on living */
	uint8_t k[32], sig[64];
	int64_t seq, cas;
	struct span salt;
	struct span v; /* raw bencoding */
	struct span nodes[FAMILY_COUNT];
	struct span values;      /* RESPONSE: raw list of peers */
	struct span samples;     /* RESPONSE: infohashes, 20 bytes each */
	int64_t num, interval;   /* beside samples; the latter in s */
	bool implied_port, seed; /* announce_peer */
	bool noseed;             /* get_peers [BEP 33] */
	bool has_ip;
	struct endpoint ip; /* how the answerer sees us; HAND: who sends it */
	/* REGISTER, PASS, HAND. */
	bool has_handle, has_circuit, has_cookie;
	uint8_t handle[KRPC_END_SIZE], circuit[KRPC_END_SIZE];
	uint8_t cookie[KRPC_END_SIZE];
	struct span datagram;
	int64_t life_s; /* RESPONSE to REGISTER; 0: none */
	/* announce_peer: of the peer; RESPONSE, written only: the asker's;
	 * 0 = none. */
	uint16_t port;
	int64_t code;     /* ERROR */
	struct span text; /* ERROR */
};

/* scratch: overwritten. ERR_MALFORMED: no KRPC, deserves no answer. */
MUST_USE enum err
krpc_decode(struct span in, struct bencode *scratch, struct krpc *ret);
/* What a message that came on Mainline means there: what belongs to the overlay
 * is as unknown as to anybody else. */
void krpc_plain(struct krpc *m);
/* m->method is not OTHER in a query. Sets w->bad if it does not fit. */
void krpc_encode(const struct krpc *m, struct writer *w);

struct krpc_node {
	struct target id;
	struct endpoint at;
	struct node_key n; /* zero on Mainline */
};

/* How lists of nodes are written: on Mainline id, address and port, in the
 * overlay followed by the node key N. [SPEC §8.2] */
struct krpc_form {
	enum family family;
	bool keyed;
};

size_t krpc_node_size(struct krpc_form form); /* 26 or 38, keyed 58 or 70 */
/* Reads at most max nodes; none if the length is no multiple. */
size_t krpc_nodes_read(
    struct span raw, struct krpc_form form, struct krpc_node *ret, size_t max);
void krpc_nodes_write(const struct krpc_node *nodes, size_t n,
    struct krpc_form form, struct writer *w);

/* The peers of that family in a raw list of values, at most max of them;
 * what is no peer is skipped. scratch: overwritten. */
size_t krpc_peers_read(struct span raw, enum family family,
    struct bencode *scratch, struct endpoint *ret, size_t max);
void krpc_peers_write(const struct endpoint *peers, size_t n, struct writer *w);

#endif /* PROTO_DHT_KRPC_H */
