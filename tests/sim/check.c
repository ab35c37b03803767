#include "tests/sim/check.h"

#include <assert.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void
check_clear(struct check *c)
{
	free(c->messages);
	ids_free(&c->ids);
	free(c->lanes);
	*c = (struct check){ 0 };
}

void
check_fail(struct check *c, const char *format, ...)
{
	va_list args;

	if (c->failed)
		return;
	c->failed = true;
	va_start(args, format);
	vsnprintf(c->why, sizeof(c->why), format, args);
	va_end(args);
}

void
check_person(struct check *c, uint32_t who, const struct id_pk *pk,
    const struct disk *disk)
{
	assert(who == c->n_people && who < CHECK_PEOPLE_MAX);
	c->pk[who] = *pk;
	c->disk[who] = disk;
	c->n_people++;
}

uint32_t
check_who(const struct check *c, const struct id_pk *pk)
{
	for (uint32_t i = 0; i < c->n_people; i++)
		if (memcmp(&c->pk[i], pk, sizeof(*pk)) == 0)
			return i;
	return CHECK_NOBODY;
}

bool
check_is_spoiled(const struct check *c, uint32_t a, uint32_t b)
{
	return c->lies[a] || c->lies[b];
}

/* The newest first: what is asked for was mostly written just now. */
struct check_message *
check_find(const struct check *c, const struct message_id *id)
{
	ptrdiff_t at = (ptrdiff_t)c->n_messages;

	while ((at = ids_find(&c->ids, (size_t)at, id->b)) != IDS_NONE)
		if (memcmp(&c->messages[at].id, id, sizeof(*id)) == 0)
			return &c->messages[at];
	return NULL;
}

static void
hash_text(struct span text, uint8_t ret[16])
{
	crypto_generichash(ret, 16, text.p, text.n, NULL, 0);
}

void
check_written(struct check *c, uint32_t from, uint32_t to,
    const struct contact_id *lane, const struct message_id *id,
    const struct node_words *words)
{
	struct check_message *m;

	if (check_find(c, id))
		check_fail(c, "p%u made a message id twice", from);
	if (c->n_messages == c->cap_messages) {
		c->cap_messages = c->cap_messages ? 2 * c->cap_messages : 64;
		c->messages = (struct check_message *)realloc(
		    c->messages, c->cap_messages * sizeof(*c->messages));
		assert(c->messages);
	}
	ids_set(&c->ids, c->n_messages, id->b);
	m = &c->messages[c->n_messages++];
	*m = (struct check_message){ .id = *id,
		.lane = *lane,
		.from = from,
		.to = to,
		.kind = words->kind,
		.has_ref = words->ref != NULL,
		.ttl_s = words->ttl_s,
		.text_bytes = words->text.n,
		.sent_ms = c->now_ms };
	if (words->ref)
		m->ref = *words->ref;
	hash_text(words->text, m->text);
}

static void
contact_applied(struct check *c, uint32_t who, const struct change *change)
{
	uint32_t peer = check_who(c, &change->id_pk);

	if (peer == CHECK_NOBODY || !c->wanted[who][peer]) {
		check_fail(c, "p%u has a contact that nobody asked for", who);
		return;
	}
	c->known[who][peer] = true;
	c->deleted[who][peer] = false;
	if (change->contact_state != CONTACT_READY || c->ready[who][peer])
		return;
	c->ready[who][peer] = true;
	c->ready_ms[who][peer] = c->now_ms;
	if (!c->known[peer][who] && !c->lies[peer])
		check_fail(c, "p%u is ready for p%u, who has no such contact",
		    who, peer);
}

static void
gone_applied(struct check *c, uint32_t who, const struct change *change)
{
	const struct disk_contact *k =
	    disk_contact(c->disk[who], &change->contact);
	uint32_t peer = check_who(c, &k->pk);

	if (!c->parted[who][peer])
		check_fail(c, "p%u lost a contact that nobody deleted", who);
	c->deleted[who][peer] = true;
}

static void
invite_applied(struct check *c, uint32_t who, const struct change *change)
{
	const struct disk_contact *k;
	uint32_t peer;

	if (!change->has_contact)
		return;
	k = disk_contact(c->disk[who], &change->contact);
	peer = k ? check_who(c, &k->pk) : CHECK_NOBODY;
	if (peer == CHECK_NOBODY || !c->wanted[peer][who])
		check_fail(
		    c, "an invitation of p%u was used by a stranger", who);
	for (size_t i = 0; i < c->disk[who]->n_invites; i++) {
		const struct disk_invite *v = &c->disk[who]->invites[i];

		if (v->used &&
		    memcmp(&v->id, &change->invite, sizeof(v->id)) != 0 &&
		    memcmp(&v->contact, &change->contact, 16) == 0)
			check_fail(
			    c, "two invitations of p%u made one contact", who);
	}
}

static bool
says_the_same(const struct check_message *m, const struct node_message *in)
{
	uint8_t text[16];

	hash_text(in->text, text);
	return m->kind == in->kind && m->has_ref == in->has_ref &&
	       m->ttl_s == in->ttl_s &&
	       (!m->has_ref ||
	           memcmp(&m->ref, &in->ref, sizeof(m->ref)) == 0) &&
	       memcmp(m->text, text, sizeof(text)) == 0;
}

static void
written_applied(struct check *c, uint32_t who, const struct node_message *in)
{
	struct check_message *m = check_find(c, &in->id);

	if (!m || m->from != who || !says_the_same(m, in)) {
		check_fail(c, "p%u stores a message that nobody wrote", who);
		return;
	}
	for (size_t i = 0; i < c->n_messages; i++)
		if (c->messages[i].seq >= in->seq &&
		    !c->messages[i].forgotten && !c->messages[i].cancelled &&
		    memcmp(&c->messages[i].lane, &m->lane, 16) == 0)
			check_fail(c, "p%u gives no rising seq", who);
	c->n_again += m->cancelled;
	m->durable = true;
	m->cancelled = m->unwanted = false;
	m->seq = in->seq;
}

/* What somebody said about a text goes with it. */
static bool
is_unwanted(const struct check *c, const struct check_message *m)
{
	const struct check_message *about = NULL;

	if (m->has_ref && m->kind != MESSAGE_TEXT)
		about = check_find(c, &m->ref);
	return m->unwanted || (about && about->unwanted);
}

static void
cancelled_applied(struct check *c, uint32_t who, struct check_message *m)
{
	if (!is_unwanted(c, m))
		check_fail(c, "p%u takes back what it wants to say", who);
	if (m->received && !c->restored[who])
		check_fail(c, "p%u takes back what p%u has", who, m->to);
	m->cancelled = true;
	c->n_cancelled++;
}

static void
number_applied(struct check *c, uint32_t who, const struct change *change)
{
	struct check_message *m = check_find(c, &change->message.id);

	if (!m || m->from != who || !m->durable || m->cancelled) {
		check_fail(c, "p%u numbers what it does not send", who);
		return;
	}
	if (m->received && !c->restored[who])
		check_fail(c, "p%u numbers anew what p%u has", who, m->to);
	if (change->message.seq >= m->seq)
		check_fail(c, "p%u leaves a gap where nothing was", who);
	m->seq = change->message.seq;
}

static struct check_lane *
lane_of(
    struct check *c, const struct check_message *m, const struct contact_id *at)
{
	struct check_lane *lane;

	for (size_t i = 0; i < c->n_lanes; i++) {
		lane = &c->lanes[i];
		if (memcmp(&lane->id, &m->lane, sizeof(lane->id)) == 0 &&
		    memcmp(&lane->at, at, sizeof(*at)) == 0)
			return lane;
	}
	c->lanes = (struct check_lane *)realloc(
	    c->lanes, (c->n_lanes + 1) * sizeof(*c->lanes));
	assert(c->lanes);
	lane = &c->lanes[c->n_lanes++];
	*lane = (struct check_lane){ m->lane, *at, 0, false };
	return lane;
}

static void
order_applied(struct check *c, uint32_t who, const struct check_message *m,
    const struct node_message *in)
{
	struct check_lane *lane = lane_of(c, m, &in->contact);
	bool gap = in->flags & MESSAGE_FLAG_GAP;

	if (m->seq <= lane->seq)
		check_fail(c, "p%u shows seq %llu of p%u after %llu", who,
		    (unsigned long long)m->seq, m->from,
		    (unsigned long long)lane->seq);
	if (gap != (m->seq != lane->seq + 1 && !lane->is_renewed))
		check_fail(c, "p%u marks a gap at seq %llu wrongly", who,
		    (unsigned long long)m->seq);
	lane->seq = m->seq;
	lane->is_renewed = false;
}

/* It is there already, and its number is used up all the same. */
static void
repeated_applied(struct check *c, const struct node_message *in)
{
	const struct check_message *m = check_find(c, &in->id);
	struct check_lane *lane;

	c->n_repeated++;
	if (!m || in->state != MESSAGE_RECEIVED)
		return;
	lane = lane_of(c, m, &in->contact);
	lane->seq = in->seq;
	lane->is_renewed = false;
}

static void
received_applied(struct check *c, uint32_t who, const struct node_message *in)
{
	const struct disk_contact *k = disk_contact(c->disk[who], &in->contact);
	struct check_message *m = check_find(c, &in->id);
	uint32_t peer = check_who(c, &k->pk);

	if (peer != CHECK_NOBODY && c->lies[peer])
		return; /* it says what it likes, but for itself alone */
	if (!m || !m->durable || m->to != who || peer != m->from ||
	    m->seq != in->seq || !says_the_same(m, in)) {
		check_fail(c, "p%u shows what was not written so", who);
		return;
	}
	if (m->received && !c->parted[who][m->from])
		check_fail(c, "p%u shows a message of p%u twice", who, m->from);
	if (m->cancelled)
		check_fail(c, "p%u hears what p%u took back", who, m->from);
	order_applied(c, who, m, in);
	m->received = true;
	m->received_ms = c->now_ms;
	c->n_received++;
}

static void
state_applied(struct check *c, uint32_t who, const struct change *change)
{
	struct check_message *m = check_find(c, &change->message.id);

	if (!m || m->from != who) {
		check_fail(c, "p%u changes a message that is not its own", who);
		return;
	}
	if (change->message.state == MESSAGE_FAILED &&
	    change->message.reason == REASON_CANCELLED) {
		cancelled_applied(c, who, m);
		return;
	}
	if (c->lies[m->to])
		return;
	if (change->message.state == MESSAGE_FAILED)
		check_fail(c, "p%u was refused a message by p%u", who, m->to);
	if (change->message.state != MESSAGE_DELIVERED)
		return;
	if (!m->received)
		check_fail(c, "acked but lost: p%u to p%u, seq %llu", who,
		    m->to, (unsigned long long)m->seq);
	if (!m->delivered)
		m->delivered_ms = c->now_ms;
	m->delivered = true;
}

/* They have read ours: only what they say so of. */
static void
read_applied(struct check *c, uint32_t who, const struct change *change)
{
	const struct disk_contact *k =
	    disk_contact(c->disk[who], &change->contact);
	uint32_t peer = k ? check_who(c, &k->pk) : CHECK_NOBODY;

	if (peer == CHECK_NOBODY || c->lies[peer] || c->restored[peer] ||
	    c->restored[who])
		return;
	c->n_reads++;
	if (change->message.seq > c->read_seq[peer][who])
		check_fail(c, "p%u has not read what p%u thinks", peer, who);
}

static bool
is_of_liar(const struct check *c, uint32_t who, const struct change *change)
{
	const struct disk_contact *k =
	    disk_contact(c->disk[who], &change->message.contact);
	uint32_t peer = k ? check_who(c, &k->pk) : CHECK_NOBODY;

	return peer != CHECK_NOBODY && c->lies[peer];
}

void
check_applied(struct check *c, uint32_t who, const struct change *change,
    enum disk_result result)
{
	assert(who < c->n_people);
	if (c->lies[who])
		return;
	if (result == DISK_BAD) {
		check_fail(c, "p%u: %s", who, c->disk[who]->why);
		return;
	}
	if (result == DISK_CONFLICT && !is_of_liar(c, who, change))
		check_fail(c, "p%u got two messages of one id", who);
	if (result == DISK_KNOWN)
		repeated_applied(c, &change->message);
	if (result != DISK_DONE)
		return;
	if (change->kind == CHANGE_CONTACT)
		contact_applied(c, who, change);
	else if (change->kind == CHANGE_CONTACT_GONE)
		gone_applied(c, who, change);
	else if (change->kind == CHANGE_INVITE)
		invite_applied(c, who, change);
	else if (change->kind == CHANGE_MESSAGE_STATE)
		state_applied(c, who, change);
	else if (change->kind == CHANGE_MESSAGE_NUMBER)
		number_applied(c, who, change);
	else if (change->kind == CHANGE_READ)
		read_applied(c, who, change);
	else if (change->kind == CHANGE_MESSAGE &&
	         change->message.state == MESSAGE_RECEIVED)
		received_applied(c, who, &change->message);
	else if (change->kind == CHANGE_MESSAGE)
		written_applied(c, who, &change->message);
}

bool
check_are_contacts(const struct check *c, uint32_t a, uint32_t b)
{
	return c->known[a][b] && c->known[b][a] && !c->deleted[a][b] &&
	       !c->deleted[b][a];
}

/* What was written to a contact that is gone went with it. */
bool
check_is_missing(const struct check *c, const struct check_message *m)
{
	return m->durable && !m->delivered && !m->forgotten && !m->cancelled &&
	       !check_is_spoiled(c, m->from, m->to) &&
	       check_are_contacts(c, m->from, m->to) &&
	       !disk_contact(c->disk[m->from], &m->lane)->gone;
}

/* NULL: it has none. */
static const struct node_message *
row_of(const struct disk *d, const struct check_message *m)
{
	ptrdiff_t at = (ptrdiff_t)d->n_messages;

	while ((at = ids_find(&d->ids, (size_t)at, m->id.b)) != IDS_NONE)
		if (memcmp(&d->messages[at].m.id, &m->id, 16) == 0)
			return &d->messages[at].m;
	return NULL;
}

/* Of the newest that it has from a contact. */
static uint64_t
newest_seq(const struct disk *d, const struct contact_id *contact)
{
	uint64_t seq = 0;

	for (size_t i = 0; i < d->n_messages; i++) {
		const struct node_message *m = &d->messages[i].m;

		if (m->state == MESSAGE_RECEIVED && m->seq > seq &&
		    memcmp(&m->contact, contact, sizeof(*contact)) == 0)
			seq = m->seq;
	}
	return seq;
}

static void
lane_restored(const struct disk *d, struct check_lane *lane)
{
	if (disk_contact(d, &lane->id)) { /* its own texts */
		lane->seq = 0;
		lane->is_renewed = true;
	} else if (disk_contact(d, &lane->at)) {
		lane->seq = newest_seq(d, &lane->at);
	}
}

void
check_restored(struct check *c, uint32_t who)
{
	const struct disk *d = c->disk[who];

	c->restored[who] = true;
	for (size_t i = 0; i < c->n_messages; i++) {
		struct check_message *m = &c->messages[i];
		const struct node_message *row = row_of(d, m);

		if (row && m->from == who) {
			m->cancelled = row->state == MESSAGE_FAILED;
			m->seq = row->seq;
		}
		if ((m->from != who && m->to != who) || row)
			continue;
		m->forgotten |= m->from == who || m->delivered;
		if (m->to == who)
			m->received = false;
	}
	for (size_t i = 0; i < c->n_lanes; i++)
		lane_restored(d, &c->lanes[i]);
}

size_t
check_missing(const struct check *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->n_messages; i++)
		n += check_is_missing(c, &c->messages[i]);
	return n;
}

/* Rows that the disk has must be those that the truth has, and back. */
void
check_history(struct check *c)
{
	for (size_t i = 0; i < c->n_messages; i++) {
		const struct check_message *m = &c->messages[i];
		const struct disk *to = c->disk[m->to];
		ptrdiff_t at;
		size_t rows = 0;

		if (check_is_spoiled(c, m->from, m->to))
			continue;
		at = (ptrdiff_t)to->n_messages;
		while (
		    (at = ids_find(&to->ids, (size_t)at, m->id.b)) != IDS_NONE)
			rows +=
			    memcmp(&to->messages[at].m.id, &m->id, 16) == 0 &&
			    to->messages[at].m.state == MESSAGE_RECEIVED;
		if (rows > 1 && !c->parted[m->to][m->from])
			check_fail(c, "p%u has a message twice", m->to);
		if (rows == 0 && m->delivered && !m->forgotten)
			check_fail(c, "p%u lost an acked message", m->to);
		if (rows > 0 && !m->durable)
			check_fail(c, "p%u has what p%u lost", m->to, m->from);
		if (rows > 0 && m->cancelled && !c->restored[m->from])
			check_fail(
			    c, "p%u has what p%u took back", m->to, m->from);
	}
}
