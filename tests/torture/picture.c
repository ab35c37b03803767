#include "tests/torture/picture.h"

#include "daemon/events.h"
#include "tests/support/store_world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct picture {
	struct store *s;
	char *text;
	size_t n;
	enum err err; /* of a call inside a walk */
};

static void __attribute__((format(printf, 2, 3)))
say(struct picture *p, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(p->text + p->n, PICTURE_MAX - p->n, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= PICTURE_MAX - p->n)
		abort();
	p->n += (size_t)n;
}

/* A text, or as much of it as tells it apart. */
static void
say_text(struct picture *p, const char *what, struct span t)
{
	uint32_t sum = 2166136261U;

	for (size_t i = 0; i < t.n; i++)
		sum = (sum ^ t.p[i]) * 16777619U;
	say(p, " %s=%zu:%08x:%.*s", what, t.n, sum, (int)(t.n < 24 ? t.n : 24),
	    t.n ? (const char *)t.p : "");
}

static unsigned
short_id(const uint8_t id[16])
{
	return (unsigned)id[0] << 8 | id[1];
}

/* Times as seconds since the begin of the story. */
static long long
since(uint64_t ms)
{
	return ms == 0 ? -1 : (long long)(ms - STORE_WORLD_MS);
}

/* ---- contacts ---- */

static bool
say_contact(void *ctx, const struct store_contact *c)
{
	struct picture *p = ctx;
	struct span draft = { NULL, 0 };

	say(p, "contact %u pk=%.20s name=%s profile=%s state=%d",
	    short_id(c->id.b), (const char *)c->id_pk.b + 8, c->name,
	    c->profile, (int)c->state);
	say(p, " times=%lld,%lld,%lld rows=%lld,%lld unread=%llu",
	    since(c->created_ms), since(c->ready_ms), since(c->last_seen_ms),
	    (long long)c->last_row, (long long)c->read_row,
	    (unsigned long long)c->unread);
	say(p, " conv=%d%d%d%d,%u", c->conv.muted, c->conv.pinned,
	    (int)c->conv.receipts, c->conv.has_draft, c->conv.ttl_s);
	p->err = store_draft_get(p->s, &c->id, &draft);
	if (p->err)
		return false;
	say_text(p, "draft", draft);
	say(p, "\n");
	return true;
}

static bool
say_record(void *ctx, const struct contact_id *id, struct span record)
{
	struct picture *p = ctx;

	say(p, "record %u", short_id(id->b));
	say_text(p, "is", record);
	say(p, "\n");
	return true;
}

/* ---- messages ---- */

static bool
say_message(void *ctx, const struct store_message *m)
{
	struct picture *p = ctx;
	struct store_reaction r[2];
	size_t n = 0;

	say(p, "message %u of %u row=%lld kind=%d state=%d seq=%llu",
	    short_id(m->m.id.b), short_id(m->m.contact.b), (long long)m->row,
	    (int)m->m.kind, (int)m->m.state, (unsigned long long)m->m.seq);
	say(p, " times=%lld,%lld,%lld,%lld,%lld ttl=%u del=%d client=%s",
	    since(m->m.sent_ms), since(m->m.received_ms), since(m->state_ms),
	    since(m->edited_ms), since(m->gone_ms), m->m.ttl_s, m->deleted,
	    m->client_id);
	say_text(p, "text", m->m.text);
	say_text(p, "unsent", m->unsent);
	p->err = store_reactions(p->s, &m->m.contact, &m->m.id, r, &n);
	for (size_t i = 0; i < n && !p->err; i++)
		say(p, " %s=%s", r[i].ours ? "we" : "they", r[i].text);
	say(p, "\n");
	return !p->err;
}

static enum err
say_messages(struct picture *p)
{
	enum err err = ERR_OK;

	for (unsigned i = 1; i <= PICTURE_CONTACTS && !err; i++) {
		struct store_history h = { .contact = store_world_contact(i),
			.limit = 10000 };

		err = store_history(p->s, &h, say_message, p);
		if (!err)
			err = p->err;
	}
	if (err)
		return err;
	say(p, "outbox\n");
	err = store_outbox(p->s, say_message, p);
	return err ? err : p->err;
}

/* ---- the rest ---- */

static bool
say_invite(void *ctx, const struct store_invite *i)
{
	struct picture *p = ctx;

	say(p, "invite %u state=%d label=%s times=%lld,%lld by=%u\n",
	    short_id(i->id.b), (int)i->state, i->label, since(i->created_ms),
	    since(i->expires_ms), short_id(i->used_by.b));
	return true;
}

static bool
say_event(void *ctx, const struct event_row *e)
{
	struct picture *p = ctx;

	say(p, "event %lld %s at=%lld conv=%u ref=%u,%d", (long long)e->seq,
	    events_name(e->type), since(e->ts_ms),
	    e->has_conv ? short_id(e->conv.b) : 0,
	    e->has_ref ? short_id(e->ref.b) : 0, e->ours);
	if (e->about)
		say_text(p, "about", e->about->m.text);
	if (e->reaction && e->reaction[0])
		say(p, " reaction=%s", e->reaction);
	if (!e->has_ref)
		say_text(p, "body", e->body);
	say(p, "\n");
	return true;
}

static bool
say_consumer(void *ctx, const struct events_consumer *c)
{
	say(ctx, "consumer %s seq=%lld at=%lld lapsed=%d\n", c->name,
	    (long long)c->seq, since(c->acked_ms), c->lapsed);
	return true;
}

static enum err
say_self(struct picture *p)
{
	char name[STORE_NAME_MAX + 1] = "";
	uint8_t buf[STORE_META_MAX];
	uint64_t made_ms = 0;
	size_t n = 0;
	enum err err = store_profile_get(p->s, name, &made_ms);

	if (err && err != ERR_NOT_FOUND)
		return err;
	say(p, "self %s at=%lld", name, since(made_ms));
	name[0] = '\0';
	err = store_told_get(p->s, name);
	if (err && err != ERR_NOT_FOUND)
		return err;
	say(p, " told=%s", name);
	err = store_meta_get(p->s, "note", buf, sizeof(buf), &n);
	if (err && err != ERR_NOT_FOUND)
		return err;
	say_text(p, "note", span_of(buf, n));
	say(p, "\n");
	return ERR_OK;
}

/* Idempotent requests "c1", "c2" and so on. */
static enum err
say_clients(struct picture *p)
{
	for (unsigned i = 1; i <= 8; i++) {
		uint8_t digest[32] = { (uint8_t)i }, result[16];
		char id[8];
		enum err err;

		(void)snprintf(id, sizeof(id), "c%u", i);
		err = store_client_get(p->s, span_str(id), digest, result);
		if (!err)
			say(p, "client %s=%u\n", id, short_id(result));
		else if (err != ERR_NOT_FOUND)
			return err;
	}
	return ERR_OK;
}

static enum err
say_counts(struct picture *p)
{
	struct store_counts c;
	uint64_t next_ms = 0;
	enum err err = store_count(p->s, &c);

	if (err)
		return err;
	say(p, "counts %llu %llu %llu %llu %llu\n",
	    (unsigned long long)c.contacts, (unsigned long long)c.unread,
	    (unsigned long long)c.unread_convs, (unsigned long long)c.messages,
	    (unsigned long long)c.waiting);
	next_ms = store_timer_next(p->s);
	say(p, "next %lld\n", next_ms == NEVER ? -1 : since(next_ms));
	return ERR_OK;
}

static enum err
say_events(struct picture *p)
{
	struct events_log log;
	int64_t last;
	enum err err = events_log(p->s, &log);

	if (err)
		return err;
	say(p, "log %lld..%lld\n", (long long)log.oldest, (long long)log.head);
	err = events_read(p->s, 0, 100000, say_event, p, &last);
	return err ? err : events_consumers(p->s, say_consumer, p);
}

enum err
picture_take(struct store *s, char *ret)
{
	struct picture p = { .s = s, .text = ret };
	struct store_place next;
	enum err err;

	ret[0] = '\0';
	err = say_self(&p);
	if (!err)
		err = store_contacts(s, (struct store_place){ .set = false }, 0,
		    say_contact, &p, &next);
	if (!err)
		err = p.err;
	if (!err)
		err = store_records(s, say_record, &p);
	if (!err)
		err = say_messages(&p);
	if (!err)
		err = store_invites(s, say_invite, &p);
	if (!err)
		err = say_events(&p);
	if (!err)
		err = say_clients(&p);
	return err ? err : say_counts(&p);
}

void
picture_compare(const char *want, const char *have)
{
	while (*want && *have) {
		const char *w = strchrnul(want, '\n');
		const char *h = strchrnul(have, '\n');

		if (w - want != h - have ||
		    memcmp(want, have, (size_t)(w - want)) != 0)
			break;
		want = *w ? w + 1 : w;
		have = *h ? h + 1 : h;
	}
	(void)fprintf(stderr, "want: %.*s\nhave: %.*s\n",
	    (int)(strchrnul(want, '\n') - want), want,
	    (int)(strchrnul(have, '\n') - have), have);
}
