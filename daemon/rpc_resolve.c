/*
 * contact.resolve: from what a person typed to a contact, by the same rules for
 * all front ends. Names are not unique and chosen by people; ids and addresses
 * are, and so come before them.
 */
#include "daemon/rpc_conn.h"

#include "daemon/fold.h"
#include "proto/base/text.h"

#include <string.h>

enum { RESOLVE_MAX = 64 }; /* candidates; that there are more is told */

/* How well a contact fits, best last. */
enum fit { FIT_NONE, FIT_PREFIX, FIT_FOLDED, FIT_NAME, FIT_ADDRESS, FIT_ID };

struct resolving {
	struct span text;       /* without the URI around an address */
	struct fold want, name; /* owned; of the text, of a name */
	enum fit best;
	size_t n;
	bool more;
	struct contact_id found[RESOLVE_MAX]; /* all that fit best */
	enum err err;
};

/* btchat:<address>?name=... */
static struct span
bare(struct span text)
{
	static const char scheme[] = "btchat:";
	const size_t n = sizeof(scheme) - 1;
	const uint8_t *end;

	if (text.n < n || strncasecmp((const char *)text.p, scheme, n) != 0)
		return text;
	text = span_of(text.p + n, text.n - n);
	end = text.n > 0 ? memchr(text.p, '?', text.n) : NULL;
	return end ? span_of(text.p, (size_t)(end - text.p)) : text;
}

/* As a search sees it: "rene" is René. What parts words at its end is not
 * looked at. */
static enum err
fold_name(struct fold *f, struct span name)
{
	enum err err = fold_text(f, name);

	while (!err && f->n > 0 && f->p[f->n - 1].point == 0)
		f->n--;
	return err;
}

static enum fit
fit_of_folded(const struct fold *name, const struct fold *want)
{
	if (want->n == 0 || name->n < want->n)
		return FIT_NONE;
	for (size_t i = 0; i < want->n; i++)
		if (name->p[i].point != want->p[i].point)
			return FIT_NONE;
	return name->n == want->n ? FIT_FOLDED : FIT_PREFIX;
}

static enum fit
fit_of(struct resolving *r, const struct store_contact *k)
{
	char address[ADDRESS_SIZE], id[ID_TEXT_SIZE];
	struct span name = span_str(k->name);

	id_encode(k->id.b, id);
	if (span_eq(r->text, span_str(id)))
		return FIT_ID;
	address_encode(&k->id_pk, address);
	if (r->text.n == strlen(address) &&
	    strncasecmp((const char *)r->text.p, address, r->text.n) == 0)
		return FIT_ADDRESS;
	if (span_eq(r->text, name))
		return FIT_NAME;
	if (!utf8_valid(name)) /* no name of ours */
		return FIT_NONE;
	r->err = fold_name(&r->name, name);
	return r->err ? FIT_NONE : fit_of_folded(&r->name, &r->want);
}

static bool
look_at(void *ctx, const struct store_contact *k)
{
	struct resolving *r = ctx;
	enum fit fit = fit_of(r, k);

	if (fit == FIT_NONE || fit < r->best)
		return !r->err;
	if (fit > r->best) {
		r->n = 0;
		r->more = false;
	}
	r->best = fit;
	if (r->n < RESOLVE_MAX)
		r->found[r->n++] = k->id;
	else
		r->more = true;
	return true;
}

/* An id is found without looking at all. */
static enum err
look_for(struct rpc_call *c, struct resolving *r)
{
	struct store_place from = { .set = false }, next;
	struct store_contact k;
	struct contact_id id;
	enum err err = ERR_NOT_FOUND;

	if (r->text.n == 0)
		return ERR_OK;
	if (!id_decode(r->text, id.b))
		err = store_contact_get(c->d->store, &id, &k);
	if (!err)
		(void)look_at(r, &k);
	if (err != ERR_NOT_FOUND && err != ERR_AUTH)
		return err;
	err = fold_name(&r->want, r->text);
	if (!err)
		err = store_contacts(c->d->store, from, 0, look_at, r, &next);
	return err ? err : r->err;
}

/* A contact that is left out for want of memory would leave another one as the
 * only one that fits. */
static enum err
put_found(struct rpc_call *c, const struct resolving *r)
{
	static const char *const names[] = {
		[FIT_PREFIX] = "prefix",
		[FIT_FOLDED] = "folded",
		[FIT_NAME] = "name",
		[FIT_ADDRESS] = "address",
		[FIT_ID] = "id",
	};
	struct json_out *o = rpc_result(c);
	struct store_contact k;
	enum err err = ERR_OK;

	json_put_open(o, "items", '[');
	for (size_t i = 0; i < r->n; i++) {
		err = store_contact_get(c->d->store, &r->found[i], &k);
		if (err)
			break;
		json_open(o, '{');
		rpc_contact_put(o, c->d, &k);
		json_put_str(o, "match", names[r->best]);
		json_close(o, '}');
	}
	json_close(o, ']');
	json_put_bool(o, "more", r->more);
	return err;
}

void
rpc_contact_resolve(struct rpc_call *c)
{
	struct resolving r = { .text = bare(rpc_str(c, "text")) };
	enum err err = look_for(c, &r);

	if (!err)
		err = put_found(c, &r);
	if (err)
		rpc_fail_store(c, err);
	fold_clear(&r.want);
	fold_clear(&r.name);
}
