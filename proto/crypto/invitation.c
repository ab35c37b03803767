/* The written invitation: bech32m around a small record with its own check,
 * because BCH codes promise nothing beyond 90 characters. */
#include "proto/crypto/invitation.h"

#include "proto/base/text.h"
#include "proto/crypto/identity.h"
#include "proto/crypto/kdf.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

enum {
	INVITATION_VERSION = 1,
	CHECK_SIZE = 4,
	HINT_V4 = 4,
	HINT_V6 = 6,
	DATA_MAX = 1 + 1 + 4 + 32 + 32 + INVITATION_HINTS_MAX * 19 + CHECK_SIZE,
};

static const char invitation_hrp[] = "btinvite";

static void
make_check(struct span data, uint8_t ret[CHECK_SIZE])
{
	const struct span parts[] = { span_str("btchat/1 invite"), data };

	kdf_b2(span_of(NULL, 0), parts, 2, ret, CHECK_SIZE);
}

static void
write_hint(struct writer *w, const struct endpoint *e)
{
	struct span addr = endpoint_addr(e);

	wr_u8(w, endpoint_family(e) == FAMILY_V4 ? HINT_V4 : HINT_V6);
	wr_span(w, addr);
	wr_u16be(w, e->port);
}

enum err
invitation_encode(const struct invitation *in, char *out, size_t cap)
{
	uint8_t data[DATA_MAX];
	struct writer w = wr_init(data, sizeof(data));
	uint8_t check[CHECK_SIZE];
	enum err err;

	assert(in->n_hints <= INVITATION_HINTS_MAX);
	wr_u8(&w, INVITATION_VERSION);
	wr_u8(&w, in->flags);
	wr_u32le(&w, in->expiry_min);
	wr_bytes(&w, in->id.b, sizeof(in->id.b));
	wr_bytes(&w, in->inv.b, sizeof(in->inv.b));
	for (int i = 0; i < in->n_hints; i++)
		write_hint(&w, &in->hints[i]);
	make_check(wr_span_of(&w), check);
	wr_bytes(&w, check, sizeof(check));
	assert(!w.bad);
	err = bech32m_encode(invitation_hrp, wr_span_of(&w), out, cap);
	sodium_memzero(data, sizeof(data));
	return err;
}

static enum err
read_hint(struct reader *r, struct endpoint *ret)
{
	uint8_t kind = rd_u8(r);
	struct endpoint e = { 0 };
	uint8_t v4[4];

	if (kind == HINT_V4) {
		rd_bytes(r, v4, sizeof(v4));
		e = endpoint_v4(v4, 0);
	} else if (kind == HINT_V6) {
		rd_bytes(r, e.addr, sizeof(e.addr));
		if (endpoint_family(&e) != FAMILY_V6)
			return ERR_MALFORMED; /* has a shorter form */
	} else {
		return ERR_MALFORMED;
	}
	e.port = rd_u16be(r);
	if (r->bad)
		return ERR_MALFORMED;
	*ret = e;
	return ERR_OK;
}

/* The record without its check. */
static enum err
parse_record(struct span data, struct invitation *ret)
{
	struct reader r = rd_init(data);
	uint8_t version = rd_u8(&r);

	if (version != INVITATION_VERSION)
		return r.bad ? ERR_MALFORMED : ERR_UNSUPPORTED;
	ret->flags = rd_u8(&r);
	ret->expiry_min = rd_u32le(&r);
	rd_bytes(&r, ret->id.b, sizeof(ret->id.b));
	rd_bytes(&r, ret->inv.b, sizeof(ret->inv.b));
	while (!r.bad && r.n > 0) {
		enum err err;

		if (ret->n_hints >= INVITATION_HINTS_MAX)
			return ERR_MALFORMED;
		err = read_hint(&r, &ret->hints[ret->n_hints]);
		if (err)
			return err;
		ret->n_hints++;
	}
	if (!rd_done(&r))
		return ERR_MALFORMED;
	return identity_check(&ret->id);
}

static enum err
check_record(struct span *data)
{
	uint8_t check[CHECK_SIZE];

	if (data->n < CHECK_SIZE)
		return ERR_MALFORMED;
	data->n -= CHECK_SIZE;
	make_check(*data, check);
	if (sodium_memcmp(check, data->p + data->n, CHECK_SIZE) != 0)
		return ERR_MALFORMED;
	return ERR_OK;
}

/* "btchat:" before it, in the case of what follows, is taken away. */
static struct span
without_scheme(struct span text)
{
	static const char lower[] = "btchat:bt";
	static const char upper[] = "BTCHAT:BT";
	const size_t skip = 7;

	if (text.n < sizeof(lower) - 1)
		return text;
	if (memcmp(text.p, lower, sizeof(lower) - 1) == 0 ||
	    memcmp(text.p, upper, sizeof(upper) - 1) == 0)
		return span_of(text.p + skip, text.n - skip);
	return text;
}

enum err
invitation_decode(struct span text, struct invitation *ret)
{
	uint8_t data[DATA_MAX];
	struct writer w = wr_init(data, sizeof(data));
	struct invitation in = { 0 };
	struct span record;
	enum err err = ERR_MALFORMED;

	assert(text.p || text.n == 0);
	assert(ret);
	if (bech32m_decode(without_scheme(text), invitation_hrp, &w))
		goto out;
	record = wr_span_of(&w);
	err = check_record(&record);
	if (err)
		goto out;
	err = parse_record(record, &in);
	if (err)
		goto out;
	*ret = in;
out:
	sodium_memzero(data, sizeof(data));
	sodium_memzero(&in, sizeof(in));
	return err;
}
