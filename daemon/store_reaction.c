/* What was thought of messages: at most one of each side, sealed under the key
 * of the message's block. */
#include "daemon/store_keys.h"

#include <sodium.h>
#include <string.h>

static struct row_key
reaction_key(
    const struct contact_id *contact, const struct message_id *id, bool ours)
{
	struct row_key k = row_key("reaction", "body");

	row_key_add(&k, contact->b, sizeof(contact->b));
	row_key_add(&k, id->b, sizeof(id->b));
	row_key_add_u64(&k, ours);
	return k;
}

enum err
store_reactions_remove(struct store *s, const struct store_message *m)
{
	struct query q =
	    db_query(s, "DELETE FROM reaction WHERE contact = ?1 AND id = ?2");

	db_bind_blob(&q, m->m.contact.b, sizeof(m->m.contact.b));
	db_bind_blob(&q, m->m.id.b, sizeof(m->m.id.b));
	return db_write(&q);
}

static enum err
take_back(struct store *s, const struct store_message *m, bool ours)
{
	struct query q =
	    db_query(s, "DELETE FROM reaction WHERE contact = ?1 AND id = ?2"
	                " AND ours = ?3");
	enum err err;

	db_bind_blob(&q, m->m.contact.b, sizeof(m->m.contact.b));
	db_bind_blob(&q, m->m.id.b, sizeof(m->m.id.b));
	db_bind_int(&q, ours);
	err = db_write(&q);
	if (!err && db_changed(s) > 0)
		err = store_keys_renew(s, m->block);
	return err;
}

static enum err
put(struct store *s, const struct store_message *m, bool ours, struct span text)
{
	struct row_key key = reaction_key(&m->m.contact, &m->m.id, ours);
	struct query q = db_query(s,
	    "INSERT OR REPLACE INTO reaction(contact, id, ours, k, body)"
	    " VALUES(?1, ?2, ?3, ?4, ?5)");

	key.k = m->block;
	db_bind_blob(&q, m->m.contact.b, sizeof(m->m.contact.b));
	db_bind_blob(&q, m->m.id.b, sizeof(m->m.id.b));
	db_bind_int(&q, ours);
	db_bind_int(&q, m->block);
	db_bind_sealed(&q, &key, text);
	return db_write(&q);
}

enum err
store_react(
    struct store *s, const struct store_message *m, bool ours, struct span text)
{
	enum err err = take_back(s, m, ours);

	return err || text.n == 0 ? err : put(s, m, ours, text);
}

/* A row of ours, body, k of that message. ERR_AUTH: does not open. */
static enum err
read_reaction(const struct query *q, const struct store_message *m,
    struct store_buf *buf, struct store_reaction *ret)
{
	struct row_key key;
	struct span text = { 0 };
	enum err err;

	ret->ours = db_int(q, 0) != 0;
	key = reaction_key(&m->m.contact, &m->m.id, ret->ours);
	key.k = db_int(q, 2);
	err = db_open_sealed(q, 1, &key, buf, &text);
	if (!err && text.n >= sizeof(ret->text))
		err = ERR_AUTH;
	if (err)
		return err;
	if (text.n > 0)
		memcpy(ret->text, text.p, text.n);
	ret->text[text.n] = '\0';
	return ERR_OK;
}

enum err
store_reactions(struct store *s, const struct contact_id *contact,
    const struct message_id *id, struct store_reaction ret[2], size_t *ret_n)
{
	struct store_message m = { .m = { .contact = *contact, .id = *id } };
	struct query q = db_query(s,
	    "SELECT ours, body, k FROM reaction WHERE contact = ?1 AND id = ?2"
	    " ORDER BY ours DESC");
	struct store_buf buf = { 0 };
	enum err err = ERR_OK;

	*ret_n = 0;
	db_bind_blob(&q, contact->b, sizeof(contact->b));
	db_bind_blob(&q, id->b, sizeof(id->b));
	while (*ret_n < 2 && (err = db_row(&q)) == ERR_OK) {
		err = read_reaction(&q, &m, &buf, &ret[*ret_n]);
		if (err && err != ERR_AUTH)
			break;
		if (!err)
			++*ret_n;
	}
	db_end(&q);
	store_buf_clear(&buf);
	return store_is_gone(err) ? ERR_OK : err;
}

enum err
store_reactions_reseal(struct store *s, const struct store_message *m)
{
	struct store_reaction r[2];
	size_t n = 0;
	enum err err = store_reactions(s, &m->m.contact, &m->m.id, r, &n);

	for (size_t i = 0; i < n && !err; i++)
		err = put(s, m, r[i].ours, span_str(r[i].text));
	sodium_memzero(r, sizeof(r));
	return err;
}
