/*
 * The inside of the RPC server: sockets, connections, and what they wait for.
 * A connection's input is cut into lines; its output is one buffer, of which
 * the first `ready` bytes may leave: what stands after them answers calls of
 * the present turn, which is not durable yet.
 */
#ifndef DAEMON_RPC_CONN_H
#define DAEMON_RPC_CONN_H

#include "daemon/json.h"
#include "daemon/rpc.h"
#include "daemon/rpc_call.h"
#include "daemon/rpc_io.h"

enum {
	RPC_SOCKETS_MAX = 3,
	RPC_PENDING_MAX = 256 * 1024, /* output bytes; above it a connection's
	                                 requests and events have to wait */
	RPC_LAZY_MAX = 64 * 1024,     /* the same for ephemeral events */
	RPC_READ_BYTES = 64 * 1024,   /* taken from a socket at once */
	RPC_BUFFER_MAX = RPC_PENDING_MAX + 2 * API_OUTPUT_MAX, /* output */
	RPC_EVENT_ROWS = 256,    /* rows of the event log read at once */
	RPC_EPHEMERAL_MAX = 256, /* ephemeral states kept, oldest go first */
	RPC_EPHEMERAL_BODY_MAX = 512, /* bytes of such a state */
	RPC_SWEEP_MS = 1000, /* how often half-closed peers are looked at, and
	                        accepting is tried again */
	RPC_TIMEOUT_MS = 30000, /* of a wait that says none */
	RPC_ERROR_MAX = 2048,   /* bytes of an error reply with its id */
};

/* Which events: of some types, of some conversations. */
struct rpc_filter {
	uint32_t types;           /* bits by enum event_type */
	size_t n_convs;           /* 0: all */
	struct contact_id *convs; /* owned */
	bool none;                /* not even those: see rpc_restrict.c */
};

struct rpc_sub {
	struct rpc_sub *next;
	struct rpc_conn *conn;
	int64_t id;
	int64_t cursor; /* seq of the last event that was looked at */
	bool live;      /* sub.live was told */
	bool fresh;     /* made in this turn, not durable yet */
	bool ephemeral;
	bool held;     /* ephemeral states had to wait for slow output */
	uint64_t told; /* version of the last ephemeral state told */
	char consumer[EVENT_CONSUMER_MAX + 1]; /* or empty */
	struct rpc_filter filter;
};

enum rpc_wait_kind { RPC_WAIT_MESSAGE = 1, RPC_WAIT_EVENTS, RPC_WAIT_PROBE };

/* A call that is answered later. */
struct rpc_wait {
	struct rpc_wait *next;
	struct rpc_conn *conn;
	enum rpc_wait_kind kind;
	uint64_t deadline_ms;    /* monotonic */
	char id[API_ID_MAX + 3]; /* source text */
	size_t id_n;
	struct message_id message;
	enum message_state state;
	struct contact_id contact;
	bool answered; /* PROBE: in that time */
	uint64_t rtt_ms;
	int64_t since; /* seq */
	size_t limit;
	struct rpc_filter filter;
};

/* Where a reply stands in the output, until its turn is durable. */
struct rpc_mark {
	size_t start, end;
	size_t id_at, id_n; /* of the id's text; n = 0: null */
};

struct rpc_socket {
	struct rpc *rpc;
	int fd; /* owned; -1: none */
	enum rpc_tier tier;
	const char *name; /* "readonly", "control", "admin", "user" */
	bool own_uid_only;
	char *path; /* owned; removed at the end; NULL: inherited */
	size_t n_conns;
	struct rpc_io *io; /* owned: accept */
	bool paused;       /* no descriptors left */
};

struct rpc_conn {
	struct rpc *rpc;
	struct rpc_conn *next;
	struct rpc_socket *socket;
	int fd;            /* owned */
	struct rpc_io *io; /* owned */
	uint8_t *in;       /* owned; bytes not served yet */
	size_t in_n, in_cap;
	size_t seen; /* of them, known to hold no LF */
	/* Descriptors that came with a byte, and belong to the line it is in:
	 * owned; that line is being served. */
	int fds[API_FDS_MAX];
	size_t n_fds, fds_at; /* fds_at: how far the input went then */
	bool fds_served;
	bool begun;    /* its first byte was looked at */
	bool skipping; /* within a line that is too long */
	bool eof;      /* it will send no more */
	bool closing;  /* close once the output is out */
	bool dead;     /* close now */
	bool blocked;  /* the kernel's buffer is full */
	struct json_out out;
	size_t ready;
	struct rpc_mark *marks; /* owned */
	size_t n_marks, marks_cap;
	size_t n_waits;
	struct rpc_sub *subs; /* owned list, oldest first */
	size_t n_subs;
	int64_t sub_id;                     /* of the newest */
	struct rpc_restriction *restricted; /* owned, or NULL */
};

/* The newest state of one (type, key); a subscriber that was busy is told
 * only the newest. */
struct rpc_state {
	enum event_type type;
	bool has_conv;
	struct contact_id conv; /* the key */
	uint64_t version, ts_ms;
	size_t n;
	char body[RPC_EPHEMERAL_BODY_MAX];
};

struct rpc_status_cache {
	bool good;
	int64_t head;
	uint64_t at_ms;
	struct store_counts counts;
	uint64_t db_bytes;
};

struct rpc {
	struct daemon *d;
	struct rpc_socket sockets[RPC_SOCKETS_MAX];
	size_t n_sockets;
	struct rpc_conn *conns; /* owned list */
	struct rpc_wait *waits; /* owned list, oldest first */
	struct json_guard guard;
	struct rpc_io *work;  /* owned: the end of our part of the turn */
	struct rpc_io *timer; /* owned */
	bool undrained;       /* calls ran whose turn is not over */
	bool recheck;         /* a contact went, and its messages failed */
	bool working;         /* `work` will run in this pass */
	uint64_t timer_ms;    /* when the timer is due; NEVER */
	uint64_t version;     /* of the newest ephemeral state */
	struct rpc_state states[RPC_EPHEMERAL_MAX];
	size_t n_states;
	struct rpc_status_cache status;
};

/* ---- rpc.c ---- */

/* Our callbacks begin: time is now. */
void rpc_begin(struct rpc *r);
/* Output or closing is to be looked at in this pass. */
void rpc_work_soon(struct rpc *r);
/* A time at which something has to be looked at. */
void rpc_wake_at(struct rpc *r, uint64_t mono_ms);

/* ---- rpc_conn.c ---- */

/* Takes over fd. Closes it if there is no memory. */
void rpc_conn_new(struct rpc_socket *s, int fd);
void rpc_conn_free(struct rpc_conn *c);
/* Serves lines that stand in the input, until output is full. */
void rpc_conn_serve(struct rpc_conn *c);
/* Writes what may leave; says false once the connection is to be freed. */
MUST_USE bool rpc_conn_flush(struct rpc_conn *c);
/* Output that does not answer a call: a notification. */
struct json_out *rpc_conn_note(struct rpc_conn *c, const char *method);
void rpc_conn_note_end(struct rpc_conn *c);
/* True if its peer closed it while it has waits, with nothing to read. */
bool rpc_conn_is_gone(const struct rpc_conn *c);
/* Begins a late reply; rpc_conn_reply_end completes it. */
void rpc_conn_reply(struct rpc_conn *c, struct span id, struct rpc_call *ret);
void rpc_conn_reply_end(struct rpc_call *call);
/* The turn is over: all output may leave; or, with a code, its replies become
 * that error. */
void rpc_conn_settle(struct rpc_conn *c, enum api_error code);
bool rpc_conn_is_full(const struct rpc_conn *c);
/* Its output is no more: nothing that has left, nothing that has not. */
void rpc_conn_forget(struct rpc_conn *c);

/* ---- rpc_fds.c ---- */

struct msghdr;
/* Descriptors that came with the bytes that were just read; older ones were for
 * a line that did not take them. */
void rpc_fds_take(struct rpc_conn *c, struct msghdr *msg);
/* Those that nobody took. */
void rpc_fds_close(struct rpc_conn *c);
/* Number i of those that came with the line being served, the caller's from now
 * on. A regular file: others could keep the daemon waiting. -1 and an error
 * reply about `param` if it is none. */
int
rpc_take_file(struct rpc_call *c, const char *param, size_t i, bool to_write);

/* ---- rpc_restrict.c ---- */

/* What its socket gives it, unless it gave some of that away. */
enum rpc_tier rpc_conn_tier(const struct rpc_conn *c);
/* It did not give this away; nor, of what names conversations, all of them. */
bool rpc_may_call(const struct rpc_conn *c, const struct rpc_method *m);
bool rpc_may_see(const struct rpc_conn *c, const struct contact_id *conv);
/* The same of the conversations that a call's params name. False and an error
 * reply. */
MUST_USE bool rpc_may_run(struct rpc_call *c);
/* False: no memory. */
MUST_USE bool
rpc_restrict_filter(const struct rpc_conn *c, struct rpc_filter *f);
/* Its time is over; or it will be looked at again when it is. */
bool rpc_restrict_is_over(const struct rpc_conn *c);
/* Members of session.info. */
void rpc_restrict_put(struct json_out *o, const struct rpc_conn *c);

/* ---- rpc_sub.c ---- */

/* Pulls events; true if there are more for when output has left. */
bool rpc_sub_pull(struct rpc_sub *s);
/* It has not told all there is, and can. */
bool rpc_sub_has_more(const struct rpc_sub *s);
void rpc_sub_ephemeral(struct rpc_sub *s);
void rpc_sub_free(struct rpc_sub *s);
void rpc_state_put(struct rpc *r, const struct event_row *e);
bool rpc_filter_takes(const struct rpc_filter *f, const struct event_row *e);
/* Params types and convs; false and an error reply if they are bad. */
MUST_USE bool rpc_filter_read(struct rpc_call *c, struct rpc_filter *ret);

/* ---- rpc_events.c ---- */

/* {epoch, seq}, as read from param `since`. */
void rpc_put_cursor(struct json_out *o, const char *key,
    const struct events_log *log, int64_t seq);

/* ---- rpc_wait.c ---- */

/* Makes this call wait; BUSY if it has too many. NULL: refused. */
struct rpc_wait *rpc_wait_new(struct rpc_call *c, enum rpc_wait_kind kind);
void rpc_wait_free_all(struct rpc_conn *c); /* of a connection that ends */
/* One message moved, or (NULL) any may have. */
void rpc_wait_message(struct rpc *r, const struct message_id *id);
/* That, when this turn is durable. */
void rpc_wait_recheck(struct rpc *r);
void rpc_wait_events(struct rpc *r); /* there are new ones */
/* A contact (NULL: any) may have gone, or has answered in that time. */
void rpc_wait_probe(
    struct rpc *r, const struct contact_id *contact, const uint64_t *rtt_ms);
void rpc_wait_tick(struct rpc *r); /* answers what is due */
/* Writes the reply to a message.wait if its time has come. */
bool rpc_message_reply(struct rpc_call *c, const struct message_id *id,
    enum message_state want, bool last_time);
/* Writes the reply to a net.probe if there is one; rtt_ms NULL: no answer yet.
 */
bool rpc_probe_reply(struct rpc_call *c, const struct contact_id *id,
    const uint64_t *rtt_ms, bool last_time);
/* Writes the reply to an events.poll unless there is nothing yet. */
bool rpc_poll_reply(struct rpc_call *c, const struct rpc_filter *f,
    int64_t *since, size_t limit, bool last_time);

#endif /* DAEMON_RPC_CONN_H */
