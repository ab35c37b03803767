/*
 * Messages that are not taken: who gets one refuses it by name, with a reason,
 * and takes nothing after it until its sender has said that he knows. So no
 * later ack counts for it, and what follows comes again. [SPEC §7.6]
 */
#include "proto/node_int.h"

#include <string.h>

/* ---- theirs ---- */

void
node_set_room(struct node *n, bool has_room, struct now now)
{
	node_time(n, now);
	n->no_room = !has_room;
}

bool
refuse_theirs(struct node *n, struct peer *p, const struct record *r)
{
	uint8_t hash[MESSAGE_HASH_SIZE];
	uint8_t why = r->kind == RECORD_NOT_TAKEN ? r->refusal
	              : n->no_room                ? REFUSAL_NO_ROOM
	                                          : REFUSAL_NONE;

	if (p->refused.seq != 0)
		return true;
	if (why == REFUSAL_NONE)
		return false;
	record_hash(r, hash);
	p->refused = (struct record){
		.kind = RECORD_REFUSED, .seq = r->seq, .refusal = why
	};
	memcpy(p->refused.epoch, p->c.epoch, sizeof(p->refused.epoch));
	memcpy(p->refused.head, hash, sizeof(p->refused.head));
	p->refused_due = true;
	chat_work(n, p);
	return true;
}

void
refuse_on_resumed(struct peer *p, const struct record *r)
{
	if (r->seq != p->refused.seq)
		return;
	p->refused.seq = 0;
	p->refused_due = false; /* he knew before he was told, or made it up */
}

void
refuse_up(struct peer *p)
{
	p->refused.seq = 0;
	p->refused_due = false;
	p->held_seq = 0;
	p->resumed_seq = 0;
}

/* ---- ours ---- */

static enum message_reason
reason_of(uint8_t refusal)
{
	switch ((enum refusal)refusal) {
	case REFUSAL_TOO_LONG:
		return REASON_TOO_LONG;
	case REFUSAL_MANY:
		return REASON_MANY;
	case REFUSAL_NO_ROOM:
		return REASON_NO_ROOM;
	case REFUSAL_NONE:
	case REFUSAL_UNKNOWN:
		break;
	}
	return REASON_UNKNOWN;
}

static void
hold(struct node *n, struct peer *p, struct outbox_entry *e,
    enum message_reason reason)
{
	uint64_t wait = NODE_HOLD_MS;

	for (uint32_t i = 0; i < p->holds && wait < NODE_HOLD_MAX_MS; i++)
		wait *= 2;
	if (wait > NODE_HOLD_MAX_MS)
		wait = NODE_HOLD_MAX_MS;
	if (p->holds == 0) /* told once, until it is taken */
		chat_tell_state(n, p, &e->record.id, MESSAGE_QUEUED, reason);
	if (p->holds < UINT32_MAX)
		p->holds++;
	outbox_rewind_to(&p->outbox, e);
	p->hold_ms = n->now.mono_ms +
	             rng_jitter(&n->rng, wait, NODE_HOLD_JITTER_PERCENT);
	p->held_seq = e->record.seq;
	p->resumed_seq = 0;
	meet_retime(n, p);
}

static void
give_up(struct node *n, struct peer *p, struct outbox_entry *e,
    enum message_reason reason)
{
	p->resumed_seq = e->record.seq;
	outbox_rewind_to(&p->outbox, e->next);
	outbox_take(&p->outbox, e);
	chat_end(n, p, e, MESSAGE_FAILED, reason);
	chat_work(n, p);
	presence_settle(n, p);
}

void
refuse_on_refused(struct node *n, struct peer *p, const struct record *r)
{
	struct outbox_entry *e = outbox_written(&p->outbox, r->seq);
	uint8_t epoch[DB_EPOCH_SIZE], hash[MESSAGE_HASH_SIZE];

	chat_epoch(n, p, epoch);
	if (e == NULL || memcmp(r->epoch, epoch, sizeof(epoch)) != 0)
		return;
	record_hash(&e->record, hash);
	if (memcmp(hash, r->head, sizeof(r->head)) != 0)
		return; /* it is not what we said */
	if (refusal_is_for_now(r->refusal))
		hold(n, p, e, reason_of(r->refusal));
	else
		give_up(n, p, e, reason_of(r->refusal));
}

void
refuse_over(struct node *n, struct peer *p)
{
	p->holds = 0;
	if (p->hold_ms == NEVER)
		return;
	p->hold_ms = NEVER;
	meet_retime(n, p);
}

void
refuse_run(struct node *n, struct peer *p)
{
	if (p->hold_ms > n->now.mono_ms)
		return;
	p->hold_ms = NEVER;
	/* Also if it was given up meanwhile: they wait for that number. */
	if (p->held_seq > 0)
		p->resumed_seq = p->held_seq;
	p->held_seq = 0;
	chat_work(n, p);
}

bool
refuse_write(struct node *n, struct peer *p)
{
	const struct record resumed = { .kind = RECORD_RESUMED,
		.seq = p->resumed_seq };

	if (p->refused_due && !chat_write(n, p, &p->refused))
		return false;
	p->refused_due = false;
	if (p->resumed_seq > 0 && !chat_write(n, p, &resumed))
		return false;
	p->resumed_seq = 0;
	return true;
}
