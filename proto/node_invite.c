/* Invitations of a node, both sides. [SPEC §4.1] */
#include "proto/node_int.h"

#include "proto/crypto/invitation.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

/* ---- ours ---- */

static uint32_t
host_number(const struct node *n, const struct host *h)
{
	return PEER_INVITES + (uint32_t)(h - n->hosts);
}

void
host_to_links(struct node *n, const struct host *h)
{
	struct link_peer l = { .role = LINK_INVITER };

	l.reach = h->invite.reach;
	l.rk0 = h->invite.rk0;
	l.callers = &h->invite.callers;
	if (h->invite.used) {
		l.s[0] = h->invite.s;
		l.n_s = 1;
	}
	if (links_set_peer(n->links, host_number(n, h), &l))
		n->failed = true;
	sodium_memzero(&l, sizeof(l));
}

static struct host *
free_host(struct node *n)
{
	for (size_t i = 0; i < NODE_INVITES_MAX; i++)
		if (!n->hosts[i].live)
			return &n->hosts[i];
	return NULL;
}

static struct host *
host_by_id(struct node *n, const struct message_id *id)
{
	for (size_t i = 0; i < NODE_INVITES_MAX; i++)
		if (n->hosts[i].live &&
		    memcmp(n->hosts[i].invite.id.b, id->b, sizeof(id->b)) == 0)
			return &n->hosts[i];
	return NULL;
}

static void
host_begin(struct node *n, struct host *h)
{
	h->live = true;
	h->put = (struct putting){ 0 };
	/* Another one's cell was there. */
	h->meet = (struct rendezvous){ .claimed_s = h->invite.put_s };
	rendezvous_start(&h->meet, &n->rng, 0, n->now);
	h->meet.look_at_ms = NEVER; /* the invited comes to us */
	host_to_links(n, h);
	n->unsettled = true;
	lan_forget(n);
}

/* used: by h->invite.contact, else revoked or expired. */
static void
host_end(struct node *n, struct host *h)
{
	struct change c = { .kind = CHANGE_INVITE_GONE };

	c.invite = h->invite.id;
	c.has_contact = h->invite.used;
	c.contact = h->invite.contact;
	effect_change(n, &c);
	links_remove_peer(n->links, host_number(n, h), n->now);
	meet_forget_host(n, h);
	invite_wipe(&h->invite);
	rendezvous_stop(&h->meet);
	h->live = false;
	n->unsettled = true;
	lan_forget(n);
}

enum err
node_load_invite(struct node *n, const struct message_id *id,
    struct span record, struct now now)
{
	struct host *h = free_host(n);
	enum err err;

	node_time(n, now);
	if (!n->has_self)
		return ERR_STATE;
	if (h == NULL)
		return ERR_LIMIT;
	if (host_by_id(n, id) != NULL)
		return ERR_EXISTS;
	err = invite_decode(record, id, &n->self.id, &h->invite);
	if (err)
		return err;
	host_begin(n, h);
	hosts_refresh(n);
	return ERR_OK;
}

void
hosts_refresh(struct node *n)
{
	uint64_t now_s = n->now.wall_ms / 1000;

	for (size_t i = 0; i < NODE_INVITES_MAX; i++) {
		struct host *h = &n->hosts[i];

		if (h->live && !h->invite.used && h->invite.expires_s <= now_s)
			host_end(n, h);
	}
}

void
hosts_met(struct node *n, const struct peer *p)
{
	for (size_t i = 0; i < NODE_INVITES_MAX; i++) {
		struct host *h = &n->hosts[i];

		if (h->live && h->invite.used &&
		    memcmp(h->invite.contact.b, p->c.id.b, 16) == 0)
			host_end(n, h);
	}
}

enum err
node_invite_create(
    struct node *n, uint64_t ttl_s, struct node_invite *ret, struct now now)
{
	struct endpoint own[CELL_CANDIDATES_MAX];
	struct invitation text = { 0 };
	struct message_id id;
	struct host *h;
	uint8_t n_own;
	enum err err;

	node_time(n, now);
	if (!n->has_self)
		return ERR_STATE;
	hosts_refresh(n);
	h = free_host(n);
	if (h == NULL || ttl_s == 0 || ttl_s > NODE_INVITE_TTL_MAX_S)
		return ERR_LIMIT;
	rng_fill(&n->rng, id.b, sizeof(id.b));
	rng_fill(&n->rng, text.inv.b, sizeof(text.inv.b));
	text.id = n->self.id;
	text.expiry_min = (uint32_t)((n->now.wall_ms / 1000 + ttl_s + 59) / 60);
	n_own = own_candidates(n, own);
	while (text.n_hints < n_own && text.n_hints < INVITATION_HINTS_MAX) {
		text.hints[text.n_hints] = own[text.n_hints];
		text.n_hints++;
	}
	ret->id = id;
	ret->expires_s = text.expiry_min * UINT64_C(60);
	err = invitation_encode(&text, ret->text, sizeof(ret->text));
	if (err)
		goto out;
	invite_init(&h->invite, &id, &text.inv, ret->expires_s, &n->self.id);
	host_begin(n, h);
	invite_store(n, h);
out:
	sodium_memzero(&text, sizeof(text));
	return err;
}

enum err
node_invite_revoke(struct node *n, const struct message_id *id, struct now now)
{
	struct host *h = host_by_id(n, id);

	node_time(n, now);
	if (h == NULL)
		return ERR_NOT_FOUND;
	if (h->invite.used)
		return ERR_STATE; /* the contact is there; delete that */
	host_end(n, h);
	return ERR_OK;
}

/* The contact that the invited becomes: a new one, or one we had already. */
static enum err
paired_peer(struct node *n, const struct link_hello *hello, struct peer **ret)
{
	struct contact_id cid;
	struct contact c;
	enum err err;

	*ret = map_get(&n->by_pk, hello->id.b);
	if (*ret != NULL)
		return (*ret)->c.blocked ? ERR_STATE : ERR_OK;
	rng_fill(&n->rng, cid.b, sizeof(cid.b));
	err = contact_init_mutual(&c, &cid, &n->self.sk, &hello->id);
	if (!err)
		err = peer_new(n, &c, ret);
	contact_wipe(&c);
	return err;
}

/* Root, S and R of the pair as the pairing session left them. */
static void
take_pairing(struct node *n, struct peer *p, const struct link_out *out)
{
	const struct link_hello *h = &out->hello;
	bool changed;

	/* What a lookup under the root before still finds is not theirs. */
	meet_forget(n, p);
	contact_set_root(&p->c, &out->root);
	/* Nothing was known, so nothing can be older. */
	if (contact_learn(&p->c, &h->says, &h->reach, &changed))
		n->failed = true;
	(void)contact_learn_path(&p->c, &out->endpoint);
	peer_store(n, p);
	peer_to_links(n, p);
	links_answered(n->links, p->slot, &out->endpoint, n->now);
	meet_start(n, p);
}

/*
 * The invited took our invitation. If we are taking theirs meanwhile, both
 * must end with one root: the one that the lower ID's invitation gives, if
 * that gives any. [SPEC §4.1]
 */
static void
take_as_inviter(struct node *n, struct peer *p, const struct link_out *out)
{
	bool lower = id_cmp(&n->self.id, &p->c.pk) < 0;

	if (!lower && p->pairing && !p->c.invited && !p->crossed)
		return; /* it has given it */
	if (lower && p->pairing) {
		links_remove_peer(n->links, PEER_PAIRING + p->slot, n->now);
		p->pairing = false;
	}
	p->crossed = p->pairing;
	take_pairing(n, p, out);
}

/* The invitation that links tell of; it may have ended meanwhile. */
static struct host *
host_by_number(struct node *n, uint32_t number)
{
	assert(number >= PEER_INVITES && number < PEER_PAIRING);
	return &n->hosts[number - PEER_INVITES];
}

void
invite_on_caller(struct node *n, const struct link_out *out)
{
	struct host *h = host_by_number(n, out->peer);

	if (!h->live)
		return;
	callers_take(&h->invite.callers, &out->s, out->last_ts_ms);
	invite_store(n, h);
}

void
invite_on_paired(struct node *n, const struct link_out *out)
{
	struct host *h = host_by_number(n, out->peer);
	bool first;
	struct peer *p;
	enum err err;

	if (!h->live ||
	    (!h->invite.used && h->invite.expires_s <= n->now.wall_ms / 1000))
		return;
	err = paired_peer(n, &out->hello, &p);
	if (err == ERR_NOMEM)
		n->failed = true; /* nobody is to blame, it comes again */
	else if (err && err != ERR_STATE) /* whom we block tries it in vain */
		effect_event(n, NODE_REFUSED, NULL, NULL, err);
	if (err)
		return;
	take_as_inviter(n, p, out);
	first = !h->invite.used;
	h->invite.used = true;
	h->invite.contact = p->c.id;
	h->invite.s = out->hello.says.s;
	invite_store(n, h);
	if (first)
		effect_paired(n, p, &h->invite.id);
}

/* ---- theirs ---- */

void
pairing_on_paired(struct node *n, const struct link_out *out)
{
	struct peer *p = peer_by_slot(n, out->peer - PEER_PAIRING);

	if (p == NULL || !(p->c.invited || p->crossed))
		return;
	assert(p->pairing);
	p->crossed = false;
	take_pairing(n, p, out);
	peer_connect(n, p);
}

enum err
node_invite_accept(
    struct node *n, struct span text, struct contact_id *ret, struct now now)
{
	struct invitation in;
	struct contact_id cid;
	struct contact c;
	struct peer *p;
	enum err err;

	node_time(n, now);
	if (!n->has_self)
		return ERR_STATE;
	err = invitation_decode(text, &in);
	if (err)
		return err;
	err = ERR_EXPIRED;
	if (in.expiry_min * UINT64_C(60) <= n->now.wall_ms / 1000)
		goto out;
	err = ERR_BAD_KEY;
	if (id_eq(&in.id, &n->self.id))
		goto out;
	err = ERR_EXISTS;
	if (node_contact_find(n, &in.id, ret))
		goto out;
	rng_fill(&n->rng, cid.b, sizeof(cid.b));
	err = contact_init_invited(&c, &cid, &in.id, &in.inv);
	if (err)
		goto out;
	for (uint8_t i = in.n_hints; i-- > 0;)
		(void)contact_learn_path(&c, &in.hints[i]);
	err = peer_new(n, &c, &p);
	contact_wipe(&c);
	if (err)
		goto out;
	peer_store(n, p);
	peer_to_links(n, p);
	meet_start(n, p);
	*ret = cid;
	n->unsettled = true;
out:
	sodium_memzero(&in, sizeof(in));
	return err;
}
