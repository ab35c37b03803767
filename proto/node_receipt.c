/* What was read, and who is typing: signs that are lost without harm, so they
 * have no place in the outbox. [SPEC §7.6] */
#include "proto/node_int.h"

#include <assert.h>
#include <string.h>

enum {
	READ_TICK_MS = 5000, /* a person's seconds are not told */
	TYPING_MS = 6000,    /* it is over, unless it is said again */
	TYPING_AGAIN_MS = 4000,
	TYPING_EVENT_MS = 1000, /* between two that we believe */
};

/* The clock of the signs goes off at `ms` at the latest. */
static void
wake_at(struct node *n, uint64_t ms)
{
	if (ms < n->receipt_ms)
		n->receipt_ms = ms;
}

/* ---- ours ---- */

static void
read_soon(struct node *n, struct peer *p)
{
	if (p->read_ms != 0)
		return;
	p->read_ms = (n->now.mono_ms / READ_TICK_MS + 1) * READ_TICK_MS;
	wake_at(n, p->read_ms);
}

enum err
node_read(struct node *n, const struct contact_id *contact, uint64_t seq,
    struct now now)
{
	struct peer *p = peer_by_id(n, contact);

	node_time(n, now);
	if (p == NULL)
		return ERR_NOT_FOUND;
	if (seq <= p->c.read_seq || seq > p->c.recv_seq)
		return ERR_OK; /* known; or of a numbering that is over */
	p->c.read_seq = seq;
	peer_dirty(n, p);
	if (p->online)
		read_soon(n, p);
	return ERR_OK;
}

enum err
node_typing(
    struct node *n, const struct contact_id *contact, bool on, struct now now)
{
	struct peer *p = peer_by_id(n, contact);
	uint64_t since;

	node_time(n, now);
	if (p == NULL)
		return ERR_NOT_FOUND;
	since = n->now.mono_ms - p->typed_ms;
	if (!p->online || (!on && p->typed_ms == 0) ||
	    (on && p->typed_ms != 0 && since < TYPING_AGAIN_MS))
		return ERR_OK;
	p->typed_ms = on ? n->now.mono_ms : 0;
	p->typing_due = true;
	chat_work(n, p);
	return ERR_OK;
}

bool
receipt_write(struct node *n, struct peer *p)
{
	struct record read = { .kind = RECORD_READ, .seq = p->c.read_seq };
	struct record typing = { .kind = RECORD_TYPING,
		.on = p->typed_ms != 0 };

	if (p->read_ms != 0 && p->read_ms <= n->now.mono_ms) {
		memcpy(read.epoch, p->c.epoch, sizeof(read.epoch));
		if (!chat_write(n, p, &read))
			return false;
		p->read_ms = 0;
	}
	if (p->typing_due && !chat_write(n, p, &typing))
		return false;
	p->typing_due = false;
	return true;
}

/* ---- theirs ---- */

void
receipt_typing_over(struct node *n, struct peer *p)
{
	if (p->typing_ms != 0)
		effect_event(n, NODE_TYPING_OVER, p, NULL, ERR_OK);
	p->typing_ms = 0;
}

void
receipt_on_read(struct node *n, struct peer *p, const struct record *r)
{
	struct change c = { .kind = CHANGE_READ, .has_contact = true };
	uint8_t epoch[DB_EPOCH_SIZE];

	chat_epoch(n, p, epoch);
	if (memcmp(r->epoch, epoch, sizeof(epoch)) != 0 ||
	    r->seq > p->c.sent_seq || r->seq <= p->seen_seq)
		return;
	p->seen_seq = r->seq;
	c.contact = c.message.contact = p->c.id;
	c.message.seq = r->seq;
	effect_change(n, &c);
}

void
receipt_on_typing(struct node *n, struct peer *p, const struct record *r)
{
	uint64_t now_ms = n->now.mono_ms;

	if (!r->on) {
		receipt_typing_over(n, p);
		return;
	}
	if (p->typing_ms == 0) {
		if (p->typing_told_ms != 0 &&
		    now_ms < p->typing_told_ms + TYPING_EVENT_MS)
			return;
		p->typing_told_ms = now_ms;
		effect_event(n, NODE_TYPING, p, NULL, ERR_OK);
	}
	p->typing_ms = now_ms + TYPING_MS;
	wake_at(n, p->typing_ms);
}

/* ---- the link ---- */

void
receipt_up(struct node *n, struct peer *p)
{
	if (p->c.read_seq > 0)
		read_soon(n, p); /* the link before may have lost it */
}

void
receipt_down(struct node *n, struct peer *p)
{
	receipt_typing_over(n, p);
	p->read_ms = 0;
	p->typed_ms = 0;
	p->typing_due = false;
}

void
receipt_tick(struct node *n)
{
	uint64_t now_ms = n->now.mono_ms;

	if (n->receipt_ms > now_ms)
		return;
	n->receipt_ms = NEVER;
	for (size_t i = 0; i < n->peers_cap; i++) {
		struct peer *p = n->peers[i];

		if (p == NULL)
			continue;
		if (p->typing_ms != 0 && p->typing_ms <= now_ms)
			receipt_typing_over(n, p);
		else if (p->typing_ms != 0)
			wake_at(n, p->typing_ms);
		if (p->read_ms != 0 && p->read_ms <= now_ms)
			chat_work(n, p);
		else if (p->read_ms != 0)
			wake_at(n, p->read_ms);
	}
}
