/*
 * The durable event log: rows written in the transaction of the change they
 * tell of, read by cursor (epoch, seq). A subscriber is a cursor, not a
 * queue. (Plain event_* names belong to libevent.) [btchat-rpc(7): events]
 *
 * What a message says stands in its own row and nowhere else: events about
 * one name it, and are shown with what it says when they are read. So a text
 * that is deleted is in no event, and one that is edited is told as it is now,
 * by each event about it; who handles them in order ends where the store is.
 */
#ifndef DAEMON_EVENTS_H
#define DAEMON_EVENTS_H

#include "daemon/store.h"

enum {
	EVENT_EPOCH_SIZE = 17, /* 16 hex digits and NUL */
	EVENT_CONSUMER_MAX = 32,
	EVENT_BODY_MAX = 512 * 1024, /* a text of 64 KiB, all escaped */
};

/* Stored: never renumber. */
enum event_type {
	EVENT_NONE = 0,
	EVENT_MESSAGE_NEW = 1,
	EVENT_MESSAGE_STATE = 2,
	EVENT_MESSAGE_CONFLICT = 3,
	EVENT_CONTACT_ADDED = 4,
	EVENT_CONTACT_READY = 5,
	EVENT_CONTACT_CHANGED = 6,
	EVENT_CONTACT_REMOVED = 7,
	EVENT_INVITE_CREATED = 8,
	EVENT_INVITE_USED = 9,
	EVENT_INVITE_REVOKED = 10,
	EVENT_CONV_READ = 11,
	EVENT_IDENTITY_CHANGED = 12,
	EVENT_IDENTITY_UNLOCKED = 13,
	EVENT_SECURITY_WARNING = 14,
	EVENT_MESSAGE_EDITED = 15,
	EVENT_MESSAGE_DELETED = 16,
	EVENT_MESSAGE_REACTION = 17,
	EVENT_MESSAGE_READ = 18,
	EVENT_CONV_CHANGED = 19,
	EVENT_CONTACT_BLOCKED = 20,
	EVENT_IDENTITY_LOCKED = 21,
	EVENT_CONV_CLEARED = 22,
	EVENT_CONFIG_CHANGED = 23,
#define EVENT_DURABLE_MAX EVENT_CONFIG_CHANGED
	/* Ephemeral: never stored. */
	EVENT_PRESENCE,
	EVENT_NET_CHANGED,
	EVENT_DHT_CHANGED,
	EVENT_TYPING,
	EVENT_TYPES,
};

const char *events_name(enum event_type type); /* "message.new" */
/* EVENT_NONE: no such name. */
enum event_type events_type(const char *name);

struct event_row {
	int64_t seq; /* 0: ephemeral */
	uint64_t ts_ms;
	enum event_type type;
	bool has_conv;
	struct contact_id conv;
	/* About a message of conv, or a JSON object of one line (borrowed). */
	bool has_ref;
	bool ours; /* who did it */
	struct message_id ref;
	enum message_state state;   /* MESSAGE_STATE with has_ref; else 0 */
	enum message_reason reason; /* the same */
	struct span client_id;      /* the same; borrowed, or empty */
	struct span body;
	/* Read with has_ref, but for MESSAGE_STATE: what it says now; NULL: it
	 * is gone. Borrowed during the call. */
	const struct store_message *about;
	const char *reaction; /* of who did it; empty: none */
};

/* Appends in the current transaction; sets e->seq. */
MUST_USE enum err events_add(struct store *s, struct event_row *e);

struct events_log {
	char epoch[EVENT_EPOCH_SIZE];
	int64_t head;   /* newest committed seq, 0: none yet */
	int64_t oldest; /* a cursor below oldest - 1 has missed something */
};
MUST_USE enum err events_log(struct store *s, struct events_log *ret);
/* Calls row for committed events with seq > since, oldest first, at most limit,
 * until it returns false. Rows that do not open are skipped; *ret_last is the
 * last seq that was looked at (since, if there was none). */
MUST_USE enum err events_read(struct store *s, int64_t since, size_t limit,
    bool (*row)(void *ctx, const struct event_row *e), void *ctx,
    int64_t *ret_last);
#define EVENTS_ALL UINT32_MAX
struct events_ask {
	int64_t since;
	size_t limit;
	/* Bits: row is not called for others, nor is it read what they are
	 * about; they count towards limit. */
	uint32_t types;
};
/* The same for those of some types. */
MUST_USE enum err
events_read_types(struct store *s, const struct events_ask *ask,
    bool (*row)(void *ctx, const struct event_row *e), void *ctx,
    int64_t *ret_last);

/* Consumers: names that remember how far they came. A new one begins at
 * `seq`. ERR_LIMIT: API_CONSUMERS_MAX; ERR_MALFORMED: name. */
MUST_USE enum err events_consumer_put(
    struct store *s, const char *name, int64_t seq, uint64_t now_ms);
/* ERR_NOT_FOUND. *ret_lapsed: it lagged too far and events were dropped. */
MUST_USE enum err events_consumer_get(
    struct store *s, const char *name, int64_t *ret_seq, bool *ret_lapsed);
/* Never back, never past the head. ERR_NOT_FOUND, ERR_LIMIT (past it). */
MUST_USE enum err events_consumer_ack(
    struct store *s, const char *name, int64_t seq, uint64_t now_ms);

/* Nothing is kept for it any more. ERR_NOT_FOUND. */
MUST_USE enum err events_consumer_remove(struct store *s, const char *name);
struct events_consumer {
	char name[EVENT_CONSUMER_MAX + 1];
	int64_t seq; /* the last acknowledged */
	uint64_t acked_ms;
	bool lapsed;
};
/* Calls row for each, by name, until it returns false. */
MUST_USE enum err events_consumers(struct store *s,
    bool (*row)(void *ctx, const struct events_consumer *c), void *ctx);

/* Drops what is older than `days` and beyond `rows`, and acked by all. */
MUST_USE enum err
events_expire(struct store *s, uint64_t now_ms, uint64_t days, uint64_t rows);

#endif /* DAEMON_EVENTS_H */
