/* Our own record, sealed; and the nodes of the DHT, which are not. */
#include "daemon/store_db.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum { ENDPOINT_SIZE = 18 };

static struct row_key
self_key(void)
{
	return row_key("self", "record");
}

enum err
store_self_set(struct store *s, struct span record)
{
	struct row_key key = self_key();
	struct query q;

	if (!store_has_key(s))
		return ERR_STATE;
	q = db_query(s, "INSERT OR REPLACE INTO meta VALUES('self', ?1)");
	db_bind_sealed(&q, &key, record);
	return db_write(&q);
}

/* ---- profile: created_ms[8] ‖ name, sealed ---- */

static struct row_key
profile_key(void)
{
	return row_key("self", "profile");
}

enum err
store_profile_set(struct store *s, struct span name, uint64_t created_ms)
{
	struct row_key key = profile_key();
	uint8_t buf[8 + STORE_NAME_MAX];
	struct writer w = wr_init(buf, sizeof(buf));
	struct query q;

	assert(name.n <= STORE_NAME_MAX);
	if (!store_has_key(s))
		return ERR_STATE;
	wr_u64le(&w, created_ms);
	wr_span(&w, name);
	q = db_query(s, "INSERT OR REPLACE INTO meta VALUES('profile', ?1)");
	db_bind_sealed(&q, &key, wr_span_of(&w));
	return db_write(&q);
}

enum err
store_profile_get(struct store *s, char ret_name[STORE_NAME_MAX + 1],
    uint64_t *ret_created_ms)
{
	struct query q =
	    db_query(s, "SELECT value FROM meta WHERE key = 'profile'");
	struct row_key key = profile_key();
	struct store_buf buf = { 0 };
	struct span plain = { NULL, 0 };
	enum err err = db_row(&q);

	if (!err)
		err = db_open_sealed(&q, 0, &key, &buf, &plain);
	if (!err && plain.n >= 8 && plain.n <= 8 + STORE_NAME_MAX) {
		struct reader r = rd_init(plain);

		*ret_created_ms = rd_u64le(&r);
		memcpy(ret_name, plain.p + 8, plain.n - 8);
		ret_name[plain.n - 8] = '\0';
	}
	db_end(&q);
	store_buf_clear(&buf);
	return err;
}

enum err
store_told_set(struct store *s, struct span name)
{
	struct row_key key = row_key("self", "told");
	struct query q;

	assert(name.n <= STORE_NAME_MAX);
	if (!store_has_key(s))
		return ERR_STATE;
	q = db_query(s, "INSERT OR REPLACE INTO meta VALUES('told', ?1)");
	db_bind_sealed(&q, &key, name);
	return db_write(&q);
}

enum err
store_told_get(struct store *s, char ret[STORE_NAME_MAX + 1])
{
	struct query q =
	    db_query(s, "SELECT value FROM meta WHERE key = 'told'");
	struct row_key key = row_key("self", "told");
	struct store_buf buf = { 0 };
	struct span plain = { NULL, 0 };
	enum err err = db_row(&q);

	if (!err)
		err = db_open_sealed(&q, 0, &key, &buf, &plain);
	if (!err && plain.n <= STORE_NAME_MAX) {
		if (plain.n > 0)
			memcpy(ret, plain.p, plain.n);
		ret[plain.n] = '\0';
	}
	db_end(&q);
	store_buf_clear(&buf);
	return err;
}

enum err
store_self_get(struct store *s, struct store_buf *buf, struct span *ret)
{
	struct query q =
	    db_query(s, "SELECT value FROM meta WHERE key = 'self'");
	struct row_key key = self_key();
	enum err err = db_row(&q);

	if (!err)
		err = db_open_sealed(&q, 0, &key, buf, ret);
	db_end(&q);
	return err;
}

/* ---- the DHTs' nodes: no secret, needed before the passphrase ---- */

enum { OVERLAY_NODE_SIZE = ENDPOINT_SIZE + sizeof(struct node_key) };

static bool
has_key(const struct node_saved *node)
{
	return !sodium_is_zero(node->n.b, sizeof(node->n.b));
}

/* Those of Mainline are rows of addresses, as from the first version on; those
 * of the overlay stand apart, with their keys. */
static enum err
put_nodes(
    struct store *s, const struct node_saved *nodes, size_t n, bool overlay)
{
	uint8_t buf[NODE_SAVED_NODES_MAX * OVERLAY_NODE_SIZE];
	struct writer w = wr_init(buf, sizeof(buf));
	struct query q;

	for (size_t i = 0; i < n && i < NODE_SAVED_NODES_MAX; i++) {
		if (has_key(&nodes[i]) != overlay)
			continue;
		wr_bytes(&w, nodes[i].at.addr, sizeof(nodes[i].at.addr));
		wr_u16be(&w, nodes[i].at.port);
		if (overlay)
			wr_bytes(&w, nodes[i].n.b, sizeof(nodes[i].n.b));
	}
	q = db_query(s, "INSERT OR REPLACE INTO meta VALUES(?1, ?2)");
	db_bind_text(&q, overlay ? "overlay" : "dht");
	db_bind_blob(&q, buf, w.n);
	return db_write(&q);
}

static enum err
get_nodes(struct store *s, bool overlay, struct node_saved *ret, size_t max,
    size_t *ret_n)
{
	uint8_t buf[NODE_SAVED_NODES_MAX * OVERLAY_NODE_SIZE];
	size_t size = overlay ? (size_t)OVERLAY_NODE_SIZE : ENDPOINT_SIZE;
	struct reader r;
	size_t n = 0;
	enum err err = store_meta_get(
	    s, overlay ? "overlay" : "dht", buf, sizeof(buf), &n);

	if (err)
		return err == ERR_NOT_FOUND ? ERR_OK : err;
	r = rd_init(span_of(buf, n));
	while (r.n >= size && *ret_n < max) {
		struct node_saved node = { .at = { .port = 0 } };

		rd_bytes(&r, node.at.addr, sizeof(node.at.addr));
		node.at.port = rd_u16be(&r);
		if (overlay)
			rd_bytes(&r, node.n.b, sizeof(node.n.b));
		ret[(*ret_n)++] = node;
	}
	return ERR_OK;
}

enum err
store_dht_set(struct store *s, const struct node_saved *nodes, size_t n)
{
	enum err err = put_nodes(s, nodes, n, false);

	return err ? err : put_nodes(s, nodes, n, true);
}

enum err
store_dht_get(
    struct store *s, struct node_saved *ret, size_t max, size_t *ret_n)
{
	enum err err;

	*ret_n = 0;
	err = get_nodes(s, true, ret, max, ret_n);
	return err ? err : get_nodes(s, false, ret, max, ret_n);
}
