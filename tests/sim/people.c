/* The commands of users, as they reach a node through its daemon: done means
 * durable; what a crash swallowed is asked for again. */
#include "tests/sim/sim.h"

#include <stdio.h>
#include <string.h>

static void
refused(struct sim *s, uint32_t who, const char *what, enum err err)
{
	sim_leave();
	if (err != ERR_NOMEM)
		check_fail(&s->check, "p%u: %s is refused: %s", who, what,
		    err_name(err));
}

/* The contact that `who` has of `whom`, durable and not gone; or NULL. */
static const struct disk_contact *
contact_of(const struct sim *s, uint32_t who, uint32_t whom)
{
	return disk_contact_of(&s->nodes[who].disk, &s->check.pk[whom]);
}

bool
sim_add(struct sim *s, uint32_t who, uint32_t whom)
{
	struct contact_id id;
	enum err err;

	if (!sim_is_awake(s, who))
		return false;
	s->check.wanted[who][whom] = true;
	err = node_contact_add(
	    sim_enter(s, who), &s->check.pk[whom], &id, sim_now(s, who));
	if (err != ERR_OK && err != ERR_EXISTS)
		refused(s, who, "an ID", err);
	sim_trace(s, "p%u adds p%u", who, whom);
	sim_settle(s, who);
	return contact_of(s, who, whom) != NULL;
}

bool
sim_delete(struct sim *s, uint32_t who, uint32_t whom)
{
	const struct disk_contact *k = contact_of(s, who, whom);
	enum err err;

	if (!sim_is_awake(s, who))
		return false;
	if (!k)
		return true;
	s->check.parted[who][whom] = true;
	err = node_contact_delete(sim_enter(s, who), &k->id, sim_now(s, who));
	if (err != ERR_OK)
		refused(s, who, "to delete a contact", err);
	sim_trace(s, "p%u deletes p%u", who, whom);
	sim_settle(s, who);
	return contact_of(s, who, whom) == NULL;
}

bool
sim_block(struct sim *s, uint32_t who, uint32_t whom, bool blocked)
{
	const struct disk_contact *k = contact_of(s, who, whom);
	enum err err;

	if (!sim_is_awake(s, who) || !k)
		return false;
	err = node_contact_block(
	    sim_enter(s, who), &k->id, blocked, sim_now(s, who));
	sim_leave();
	if (err != ERR_OK)
		refused(s, who, "to block a contact", err);
	sim_trace(s, "p%u blocks p%u: %d", who, whom, blocked);
	sim_settle(s, who);
	return true;
}

bool
sim_presence(struct sim *s, uint32_t who, uint32_t whom, bool seen)
{
	const struct disk_contact *k = contact_of(s, who, whom);
	struct node_decision what = { .hides = !seen };
	enum err err;

	if (!sim_is_awake(s, who) || !k)
		return false;
	err = node_contact_decide(
	    sim_enter(s, who), &k->id, &what, sim_now(s, who));
	sim_leave();
	if (err != ERR_OK)
		refused(s, who, "to decide about a contact", err);
	sim_trace(s, "p%u is seen by p%u: %d", who, whom, seen);
	sim_settle(s, who);
	return true;
}

bool
sim_room(struct sim *s, uint32_t who, bool has_room)
{
	if (!sim_is_awake(s, who))
		return false;
	node_set_room(sim_enter(s, who), has_room, sim_now(s, who));
	sim_leave();
	sim_trace(s, "p%u has room: %d", who, has_room);
	sim_settle(s, who);
	return true;
}

bool
sim_relay(struct sim *s, uint32_t who, uint32_t whom, bool may)
{
	const struct disk_contact *k = contact_of(s, who, whom);
	struct node_decision what = { .relay = may };
	enum err err;

	if (!sim_is_awake(s, who) || !k)
		return false;
	err = node_contact_decide(
	    sim_enter(s, who), &k->id, &what, sim_now(s, who));
	if (err != ERR_OK)
		refused(s, who, "to decide about a contact", err);
	sim_trace(s, "p%u lets p%u relay: %d", who, whom, may);
	sim_settle(s, who);
	return true;
}

/* Words that no other text and no chance contains. */
static struct span
make_text(struct sim *s, uint8_t *buf, uint32_t bytes)
{
	static const char letters[] = "abcdefghijklmnopqrstuvwxyz     ";
	char head[24];

	dice_fill(&s->dice, buf, bytes);
	for (uint32_t i = 0; i < bytes; i++)
		buf[i] = (uint8_t)letters[buf[i] % (sizeof(letters) - 1)];
	snprintf(head, sizeof(head), "message %07u ", s->n_texts++);
	memcpy(buf, head, bytes < 16 ? bytes : 16);
	return span_of(buf, bytes);
}

/* Who writes has read what there is, and types. */
static void
read_and_type(struct sim *s, uint32_t who, uint32_t whom)
{
	const struct sim_node *n = &s->nodes[who];
	const struct disk_contact *k = contact_of(s, who, whom);
	uint64_t *seq = &s->check.read_seq[who][whom];
	struct contact_id id = k->id;
	enum err err;

	for (size_t i = 0; i < n->disk.n_messages; i++) {
		const struct node_message *m = &n->disk.messages[i].m;

		if (m->state == MESSAGE_RECEIVED && m->seq > *seq &&
		    memcmp(&m->contact, &id, sizeof(id)) == 0)
			*seq = m->seq;
	}
	err = node_typing(sim_enter(s, who), &id, true, sim_now(s, who));
	if (err == ERR_OK)
		err = node_read(s->nodes[who].node, &id, *seq, sim_now(s, who));
	sim_leave();
	if (err != ERR_OK)
		refused(s, who, "to read and to type", err);
}

/* Some texts are to disappear; some words are about a text of before. */
static void
choose_kind(struct sim *s, uint32_t who, const struct contact_id *to,
    struct node_words *words, struct message_id *ref)
{
	const struct check *c = &s->check;
	uint32_t which = dice_below(&s->dice, 100);
	size_t at =
	    c->n_messages ? dice_below(&s->dice, (uint32_t)c->n_messages) : 0;

	if (which < 10)
		words->ttl_s = dice_range(&s->dice, 1, 3600);
	for (size_t i = at; which >= 85 && i-- > 0;) {
		const struct check_message *m = &c->messages[i];

		if (m->from != who || m->kind != MESSAGE_TEXT || !m->durable ||
		    memcmp(&m->lane, to, sizeof(*to)) != 0)
			continue;
		words->kind = MESSAGE_EDIT;
		*ref = m->id;
		words->ref = ref;
		break;
	}
}

bool
sim_write(struct sim *s, uint32_t who, uint32_t whom, uint32_t bytes)
{
	static uint8_t buf[NODE_TEXT_MAX + 1];
	const struct disk_contact *k = contact_of(s, who, whom);
	const struct check_message *m;
	struct contact_id to;
	struct message_id id, ref;
	struct node_words words;
	struct span text;
	enum err err;

	if (!sim_is_awake(s, who) || !k)
		return false;
	to = k->id;
	read_and_type(s, who, whom);
	text = make_text(s, buf, bytes);
	words = (struct node_words){ .kind = MESSAGE_TEXT, .text = text };
	choose_kind(s, who, &to, &words, &ref);
	err = node_message_send(
	    sim_enter(s, who), &to, &words, &id, sim_now(s, who));
	sim_leave();
	if (err != ERR_OK) {
		refused(s, who, "a text", err);
		sim_settle(s, who);
		return err != ERR_NOMEM;
	}
	wire_forbid(&s->wire, text);
	check_written(&s->check, who, whom, &to, &id, &words);
	sim_trace(s, "p%u writes %u bytes to p%u", who, bytes, whom);
	sim_settle(s, who);
	m = check_find(&s->check, &id);
	return m->durable;
}

/* One of the texts to `whom` that are or are not taken back; NULL: none is. */
static struct check_message *
any_undelivered(
    struct sim *s, uint32_t who, const struct contact_id *to, bool cancelled)
{
	const struct check *c = &s->check;
	size_t n = c->n_messages;
	size_t from = n ? dice_below(&s->dice, (uint32_t)n) : 0;

	for (size_t i = 0; i < n; i++) {
		struct check_message *m = &c->messages[(from + i) % n];
		const struct disk_message *row;

		if (m->from != who || m->kind != MESSAGE_TEXT || !m->durable ||
		    m->forgotten || memcmp(&m->lane, to, sizeof(*to)) != 0)
			continue;
		row = disk_message(&s->nodes[who].disk, to, &m->id);
		if (row && row->m.state ==
		               (cancelled ? MESSAGE_FAILED : MESSAGE_QUEUED))
			return m;
	}
	return NULL;
}

bool
sim_cancel(struct sim *s, uint32_t who, uint32_t whom)
{
	const struct disk_contact *k = contact_of(s, who, whom);
	struct check_message *m;
	enum err err;

	if (!sim_is_awake(s, who))
		return false;
	m = k ? any_undelivered(s, who, &k->id, false) : NULL;
	if (!m)
		return true;
	m->unwanted = true;
	err = node_message_cancel(
	    sim_enter(s, who), &k->id, &m->id, sim_now(s, who));
	sim_leave();
	if (err == ERR_STATE)
		m->unwanted = false;
	else if (err != ERR_OK)
		refused(s, who, "to take a text back", err);
	sim_trace(s, "p%u takes back seq %llu to p%u: %s", who,
	    (unsigned long long)m->seq, whom, err_name(err));
	sim_settle(s, who);
	return err == ERR_STATE || m->cancelled;
}

bool
sim_retry(struct sim *s, uint32_t who, uint32_t whom)
{
	const struct disk_contact *k = contact_of(s, who, whom);
	const struct check_message *m;
	const struct node_message *row;
	struct node_words words = { .kind = MESSAGE_TEXT };
	struct contact_id to;
	struct message_id id;
	enum err err;

	if (!sim_is_awake(s, who))
		return false;
	m = k ? any_undelivered(s, who, &k->id, true) : NULL;
	if (!m)
		return true;
	to = k->id;
	row = &disk_message(&s->nodes[who].disk, &to, &m->id)->m;
	words.ref = row->has_ref ? &row->ref : NULL;
	words.ttl_s = row->ttl_s;
	words.text = row->text;
	words.again = &m->id;
	err = node_message_send(
	    sim_enter(s, who), &to, &words, &id, sim_now(s, who));
	sim_leave();
	if (err != ERR_OK)
		refused(s, who, "to send a text again", err);
	sim_trace(s, "p%u sends again to p%u", who, whom);
	sim_settle(s, who);
	return err != ERR_OK ? err != ERR_NOMEM : !m->cancelled;
}

bool
sim_invite(struct sim *s, uint32_t who, uint64_t ttl_s)
{
	struct sim_invite *v = &s->invites[s->n_invites];
	struct sim_node *n = &s->nodes[who];
	enum err err;

	if (!sim_is_awake(s, who) || s->n_invites == SIM_INVITES_MAX)
		return false;
	err = node_invite_create(
	    sim_enter(s, who), ttl_s, &v->invite, sim_now(s, who));
	if (err != ERR_OK)
		refused(s, who, "an invitation", err);
	sim_settle(s, who);
	if (err != ERR_OK || !disk_invite(&n->disk, &v->invite.id))
		return false;
	sim_trace(s, "p%u invites", who);
	v->owner = who;
	s->n_invites++;
	return true;
}

bool
sim_accept(struct sim *s, uint32_t who, uint32_t invite)
{
	struct sim_invite *v = &s->invites[invite];
	struct contact_id id;
	enum err err;

	if (!sim_is_awake(s, who) || invite >= s->n_invites)
		return false;
	s->check.wanted[who][v->owner] = true;
	s->check.wanted[v->owner][who] = true;
	err = node_invite_accept(
	    sim_enter(s, who), span_str(v->invite.text), &id, sim_now(s, who));
	v->expired = err == ERR_EXPIRED;
	if (err != ERR_OK && err != ERR_EXISTS && err != ERR_EXPIRED)
		refused(s, who, "to accept an invitation", err);
	sim_trace(s, "p%u accepts the invitation of p%u", who, v->owner);
	sim_settle(s, who);
	return contact_of(s, who, v->owner) != NULL;
}

bool
sim_revoke(struct sim *s, uint32_t invite)
{
	struct sim_invite *v = &s->invites[invite];
	struct sim_node *n = &s->nodes[v->owner];
	enum err err;

	if (invite >= s->n_invites || !sim_is_awake(s, v->owner))
		return false;
	err = node_invite_revoke(
	    sim_enter(s, v->owner), &v->invite.id, sim_now(s, v->owner));
	if (err != ERR_OK && err != ERR_NOT_FOUND)
		refused(s, v->owner, "to revoke an invitation", err);
	sim_trace(s, "p%u revokes", v->owner);
	sim_settle(s, v->owner);
	v->revoked = disk_invite(&n->disk, &v->invite.id)->gone;
	return v->revoked;
}

bool
sim_is_online(const struct sim *s, uint32_t a, uint32_t b)
{
	return s->nodes[a].online[b] && s->nodes[b].online[a];
}

bool
sim_pair_online(struct sim *s)
{
	return sim_is_online(s, 0, 1);
}

bool
sim_pair_ready(struct sim *s)
{
	return sim_is_online(s, 0, 1) && s->check.ready[0][1] &&
	       s->check.ready[1][0];
}

bool
sim_all_delivered(struct sim *s)
{
	return check_missing(&s->check) == 0;
}
