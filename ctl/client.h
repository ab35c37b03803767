/*
 * One connection to btchatd: lines of JSON-RPC 2.0 over a Unix socket.
 * Requests may be pipelined; events that arrive between a request and its
 * reply are kept in order. No printing here.
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include "proto/base/env.h"
#include "proto/base/err.h"

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client {
	int fd;     /* -1: not connected */
	char *path; /* owned: where it is or was connected; NULL: nowhere yet */
	char *buf;  /* owned; start..n is what was read and not used */
	size_t start, n, cap;
	size_t seen; /* start..seen holds no LF */
	uint64_t next_id;
	int pass_fd;   /* borrowed: goes with the next request; -1: none */
	cJSON *events; /* owned array: notifications not handed out yet */
};

void client_init(struct client *c);
void client_clear(struct client *c);
/* Drops the connection; path stays for client_await. */
void client_close(struct client *c);

/* ERR_IO: errno says why. ERR_TOO_LONG: the path does not fit a socket. */
MUST_USE enum err client_connect(struct client *c, const char *path);
/*
 * Waits until the socket at c->path can be connected to, and connects. Woken
 * by the directory that the socket lies in, not by polling, where the system
 * can watch it. ERR_EXPIRED: deadline_ms (client_now_ms) came first.
 */
MUST_USE enum err client_await(struct client *c, uint64_t deadline_ms);

/* Sends a request and gives its id. params is owned by the call, may be NULL.
 * ERR_IO: the connection is gone, and closed. */
MUST_USE enum err client_send(
    struct client *c, const char *method, cJSON *params, uint64_t *ret_id);
/*
 * The next line, reply or event, of whatever kind; owned by the caller.
 * ERR_EXPIRED: none until deadline_ms, still connected. ERR_IO: the daemon
 * closed, ERR_MALFORMED or ERR_TOO_LONG: it does not speak JSON-RPC; closed.
 */
MUST_USE enum err
client_next(struct client *c, uint64_t deadline_ms, cJSON **ret);
/* The reply to request id; events before it are kept for client_event. */
MUST_USE enum err
client_reply(struct client *c, uint64_t id, uint64_t deadline_ms, cJSON **ret);
/* The next notification, kept or new; replies are dropped unless they are
 * errors, which are handed out like a notification. */
MUST_USE enum err
client_event(struct client *c, uint64_t deadline_ms, cJSON **ret);
/* True if client_event would answer without waiting for the daemon. */
bool client_has_more(const struct client *c);

uint64_t client_now_ms(void); /* monotonic */

#endif /* CTL_CLIENT_H */
