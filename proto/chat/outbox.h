/*
 * What a contact has not yet durably: own messages in the order of their
 * seq, in memory as they are on disk. [SPEC §7.6]
 */
#ifndef PROTO_CHAT_OUTBOX_H
#define PROTO_CHAT_OUTBOX_H

#include "proto/chat/message.h"

struct outbox_entry {
	struct outbox_entry *next; /* owned */
	struct record record;      /* text points behind this structure */
	bool sent;                 /* was handed to a session once; durable */
	size_t change; /* the node's: where its change waited, effect_sent */
};

struct outbox {
	struct outbox_entry *head, *tail; /* owned; ascending seq */
	struct outbox_entry *at; /* the first not yet written to this link */
	size_t n;                /* entries */
	size_t bytes;            /* of texts */
};

void outbox_init(struct outbox *o);
void outbox_clear(struct outbox *o);
/* Copies the record behind all others; its seq is the highest. ERR_NOMEM. */
MUST_USE enum err
outbox_add(struct outbox *o, const struct record *record, bool sent);
/* A new link: everything is to be written again. */
void outbox_rewind(struct outbox *o);
/* Takes the first entry if its seq is <= acked, or NULL; the caller frees it
 * with outbox_entry_free. */
struct outbox_entry *outbox_take_acked(struct outbox *o, uint64_t acked);
/* The entry of that number if it was written to this link, or NULL. */
struct outbox_entry *outbox_written(const struct outbox *o, uint64_t seq);
/* It and what follows is to be written again. */
void outbox_rewind_to(struct outbox *o, struct outbox_entry *e);
/* Takes it out, wherever it stands; the caller frees it. */
void outbox_take(struct outbox *o, struct outbox_entry *e);
/* The same of what stands behind `before`; NULL: of the first one. */
struct outbox_entry *
outbox_take_behind(struct outbox *o, struct outbox_entry *before);
void outbox_entry_free(struct outbox_entry *e);

#endif /* PROTO_CHAT_OUTBOX_H */
