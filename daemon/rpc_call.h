/*
 * What a method's handler sees: a call with checked parameters, and the reply
 * that it writes. Handlers are rpc_<noun>.c, their table is rpc_table.c.
 */
#ifndef DAEMON_RPC_CALL_H
#define DAEMON_RPC_CALL_H

#include "daemon/command.h"
#include "daemon/daemon.h"
#include "daemon/json_out.h"
#include "daemon/rpc_request.h"
#include "daemon/view.h"

/* Which socket the client came by decides. Higher includes lower. */
enum rpc_tier { RPC_READ = 1, RPC_CHAT = 2, RPC_ADMIN = 3 };

/* What a method needs of the daemon. */
enum rpc_need {
	RPC_ANY = 0,
	RPC_OPEN, /* an identity, unlocked: else IDENTITY_NOT_FOUND, LOCKED */
};

struct rpc_call;
struct rpc_conn;

struct rpc_method {
	const char *name;
	enum rpc_tier tier;
	enum rpc_need need;
	const char *params; /* see rpc_params_check */
	void (*handler)(struct rpc_call *c);
};

enum rpc_reply {
	RPC_REPLY_NONE = 0, /* not begun */
	RPC_REPLY_RESULT,   /* an object is open */
	RPC_REPLY_RAW,      /* a complete result */
	RPC_REPLY_ERROR,    /* error.data is open */
	RPC_REPLY_LATER,    /* a wait will answer */
};

struct rpc_call {
	struct daemon *d;
	struct rpc *rpc;
	struct rpc_conn *conn;
	const struct rpc_method *method; /* NULL in a late reply */
	const cJSON *params;             /* checked; NULL: none given */
	struct span id;                  /* n = 0: a notification */
	struct json_out *out;
	size_t start; /* of the reply in out */
	size_t limit; /* where it must end */
	bool follow;  /* stood before the reply in out */
	bool batch;   /* it is one of several: may not answer late */
	enum rpc_reply reply;
};

/* ---- parameters ---- */

/* Checked by its type alone; NULL: left out. */
const cJSON *rpc_value(const struct rpc_call *c, const char *name);
bool rpc_has(const struct rpc_call *c, const char *name);
/* Borrowed from params; empty if it was left out. */
struct span rpc_str(const struct rpc_call *c, const char *name);
/* A secret that was copied out of the line: nobody needs it any more. */
void rpc_forget(struct rpc_call *c, const char *name);
int64_t rpc_int(const struct rpc_call *c, const char *name, int64_t otherwise);
/* A duration in ms as whole seconds, a part of one being one; 0 if absent. */
uint32_t rpc_seconds(const struct rpc_call *c, const char *name);
bool rpc_bool(const struct rpc_call *c, const char *name, bool otherwise);
/* False if it was left out. */
bool rpc_id(const struct rpc_call *c, const char *name, uint8_t ret[16]);
/* A list of ids, none if it was left out. False and an error reply. */
MUST_USE bool rpc_ids(struct rpc_call *c, const char *name,
    struct contact_id ret[RPC_STRS_MAX], size_t *ret_n);
size_t rpc_limit(const struct rpc_call *c); /* "limit" or its default */

/* ---- replies ---- */

/* Begins the result: an object that is closed after the handler. */
struct json_out *rpc_result(struct rpc_call *c);
/* A whole result. */
void rpc_result_raw(struct rpc_call *c, struct span json);
/* Drops what was written of the reply, begins an error; the handler may add
 * members to the data object that is open in what it returns. */
struct json_out *rpc_error(struct rpc_call *c, int code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* The same with the usual words for that code. */
struct json_out *rpc_fail(struct rpc_call *c, enum api_error code);
/* INVALID_PARAMS about one of them. */
struct json_out *
rpc_fail_param(struct rpc_call *c, const char *param, const char *reason);
/* For errors of the store in reading calls. */
void rpc_fail_store(struct rpc_call *c, enum err err);
/* True if what was looked for in the store is there; else an error reply:
 * absent if it is gone. */
bool rpc_found(struct rpc_call *c, enum err err, enum api_error absent);

/* The node's figures; zeros while there is no node. */
struct node_stats rpc_node_stats(const struct daemon *d);

/* What all lists say of a contact: as stored, and whether it is online. */
void rpc_contact_put(
    struct json_out *o, const struct daemon *d, const struct store_contact *k);

/* True once a page is full: the handler ends it with a cursor. */
bool rpc_page_full(const struct rpc_call *c);

/* Where a page of contacts goes on, as text: "AT-ID" or, at its end, null. */
void rpc_put_place(
    struct json_out *b, const char *key, const struct store_place *at);
/* Param "after"; false and an error reply if it is not such a text. */
MUST_USE bool rpc_get_place(struct rpc_call *c, struct store_place *ret);

/* ---- dispatch, for rpc_conn.c and rpc_wait.c ---- */

/* A call's whole life, from a scanned object to its reply in c->out. */
void rpc_call_run(struct rpc_call *c, const struct json_scan *scan);
/* The reply to something that is not even a request; id null. */
void rpc_call_refuse(struct rpc_call *c, const struct rpc_fault *fault);
/* Completes the reply that a wait began with rpc_result or rpc_error. */
void rpc_call_end(struct rpc_call *c);

/* ---- the table ---- */

extern const struct rpc_method rpc_methods[];
extern const size_t rpc_n_methods;
const struct rpc_method *rpc_method_find(const char *name); /* or NULL */
const char *rpc_tier_name(enum rpc_tier tier);
/* The socket that has this tier: "admin". */
const char *rpc_tier_socket(enum rpc_tier tier);

/* clang-format off */
void rpc_backup_create(struct rpc_call *c);
void rpc_backup_restore(struct rpc_call *c);
void rpc_backup_verify(struct rpc_call *c);
void rpc_config_get(struct rpc_call *c);
void rpc_config_list(struct rpc_call *c);
void rpc_config_reload(struct rpc_call *c);
void rpc_config_set(struct rpc_call *c);
void rpc_contact_add(struct rpc_call *c);
void rpc_contact_block(struct rpc_call *c);
void rpc_contact_delete(struct rpc_call *c);
void rpc_contact_get(struct rpc_call *c);
void rpc_contact_list(struct rpc_call *c);
void rpc_contact_resolve(struct rpc_call *c);
void rpc_contact_set(struct rpc_call *c);
void rpc_contact_unblock(struct rpc_call *c);
void rpc_contact_verify(struct rpc_call *c);
void rpc_contact_why(struct rpc_call *c);
void rpc_conv_clear(struct rpc_call *c);
void rpc_conv_list(struct rpc_call *c);
void rpc_conv_read(struct rpc_call *c);
void rpc_conv_set(struct rpc_call *c);
void rpc_daemon_loglevel(struct rpc_call *c);
void rpc_daemon_logs(struct rpc_call *c);
void rpc_daemon_metrics(struct rpc_call *c);
void rpc_daemon_selftest(struct rpc_call *c);
void rpc_daemon_shutdown(struct rpc_call *c);
void rpc_events_ack(struct rpc_call *c);
void rpc_events_consumers(struct rpc_call *c);
void rpc_events_forget(struct rpc_call *c);
void rpc_events_poll(struct rpc_call *c);
void rpc_events_subscribe(struct rpc_call *c);
void rpc_events_unsubscribe(struct rpc_call *c);
void rpc_identity_create(struct rpc_call *c);
void rpc_identity_delete(struct rpc_call *c);
void rpc_identity_export(struct rpc_call *c);
void rpc_identity_import(struct rpc_call *c);
void rpc_identity_list(struct rpc_call *c);
void rpc_identity_set(struct rpc_call *c);
void rpc_identity_show(struct rpc_call *c);
void rpc_identity_unlock(struct rpc_call *c);
void rpc_identity_lock(struct rpc_call *c);
void rpc_identity_passphrase(struct rpc_call *c);
void rpc_invite_accept(struct rpc_call *c);
void rpc_invite_create(struct rpc_call *c);
void rpc_invite_list(struct rpc_call *c);
void rpc_invite_revoke(struct rpc_call *c);
void rpc_message_cancel(struct rpc_call *c);
void rpc_message_delete(struct rpc_call *c);
void rpc_message_edit(struct rpc_call *c);
void rpc_message_get(struct rpc_call *c);
void rpc_message_history(struct rpc_call *c);
void rpc_message_react(struct rpc_call *c);
void rpc_message_retry(struct rpc_call *c);
void rpc_message_search(struct rpc_call *c);
void rpc_message_send(struct rpc_call *c);
void rpc_message_status(struct rpc_call *c);
void rpc_message_wait(struct rpc_call *c);
void rpc_net_bootstrap(struct rpc_call *c);
void rpc_net_dht(struct rpc_call *c);
void rpc_net_nat(struct rpc_call *c);
void rpc_net_peers(struct rpc_call *c);
void rpc_net_probe(struct rpc_call *c);
void rpc_net_rebind(struct rpc_call *c);
void rpc_net_status(struct rpc_call *c);
void rpc_discover(struct rpc_call *c);
void rpc_session_hello(struct rpc_call *c);
void rpc_session_info(struct rpc_call *c);
void rpc_session_restrict(struct rpc_call *c);
void rpc_status(struct rpc_call *c);
void rpc_sync_snapshot(struct rpc_call *c);
void rpc_typing_set(struct rpc_call *c);
/* clang-format on */

#endif /* DAEMON_RPC_CALL_H */
