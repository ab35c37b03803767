/*
 * A request as text: from a line to a checked method and its parameters, or
 * to the fault that the reply will name. Knows no socket and no daemon.
 * [btchat-rpc(7)]
 */
#ifndef DAEMON_RPC_REQUEST_H
#define DAEMON_RPC_REQUEST_H

#include "daemon/json.h"

enum {
	RPC_MEANT_MAX = 40, /* bytes of a name that may be suggested */
	RPC_REASON_SIZE = 120,
	RPC_PARAM_SIZE = 64, /* echoed name of a refused parameter */
	RPC_STRS_MAX = 64,   /* elements of a list of strings */
	RPC_STRS_BYTES = 64, /* of such a string */
	RPC_PARAMS_MAX = 16, /* of a method */
};

/* Why a request is refused before a handler saw it. */
struct rpc_fault {
	int code; /* enum api_error; API_OK: none */
	char reason[RPC_REASON_SIZE];
	char param[RPC_PARAM_SIZE]; /* INVALID_PARAMS; empty: none */
	char meant[RPC_MEANT_MAX];  /* the nearest name there is, or empty */
	long long at;               /* PARSE: offset in the line; or -1 */
};

struct rpc_request {
	struct span id;      /* source text, borrowed; n = 0: a notification */
	const char *method;  /* borrowed from json */
	const cJSON *params; /* borrowed; NULL: none */
	cJSON *json;         /* owned */
};

/*
 * Parses one request object that json_scan accepted as `scan`. On a fault
 * ret->id is set if it was good, and ret->json is NULL.
 */
void rpc_request_parse(const struct json_scan *scan, struct rpc_request *ret,
    struct rpc_fault *fault);
void rpc_request_clear(struct rpc_request *r);

/* A reason in words; code is never API_OK. */
void rpc_fault_set(struct rpc_fault *f, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/*
 * Checks params against a specification: `name:type` words with a blank
 * between them, `?` after what may be left out. Types: str(MAX bytes) or
 * str(MIN,MAX), id (26 characters), int(MIN,MAX), bool, strs (a list),
 * enum(a|b), any. A member that is null counts as left out. What is not in the
 * specification, or there twice, is a fault.
 */
void rpc_params_check(
    const char *spec, const cJSON *params, struct rpc_fault *fault);

/* One word of a specification. */
struct rpc_param {
	struct span name, type, arg;
	bool optional;
};
/* Takes the next word from *spec; false at the end. */
bool rpc_param_next(const char **spec, struct rpc_param *ret);

/* Of n names, each `stride` bytes after the other in a table that begins
 * with a const char *, the nearest to `name`, or NULL if none is near. */
const char *
rpc_nearest(const char *name, const void *table, size_t n, size_t stride);

#endif /* DAEMON_RPC_REQUEST_H */
