/* Durable state of an invitation of ours. [SPEC §4.1] */
#include "proto/chat/invite.h"

#include "proto/base/bencode.h"

#include <sodium.h>

enum { INVITE_VERSION = 1 };

void
invite_init(struct invite *i, const struct message_id *id,
    const struct invite_secret *inv, uint64_t expires_s,
    const struct id_pk *inviter)
{
	*i = (struct invite){ .id = *id, .inv = *inv, .expires_s = expires_s };
	pair_root_invite(inv, inviter, &i->pr);
	pair_disc(&i->pr, &i->disc);
	pair_rk0(&i->pr, &i->rk0);
	pair_invite_reach(inv, &i->reach);
}

void
invite_wipe(struct invite *i)
{
	sodium_memzero(i, sizeof(*i));
}

void
invite_encode(const struct invite *i, struct writer *ret)
{
	be_dict(ret);
	if (i->used) {
		be_key(ret, "c");
		be_str(ret, i->contact.b, sizeof(i->contact.b));
	}
	be_key(ret, "i");
	be_str(ret, i->inv.b, sizeof(i->inv.b));
	if (i->used) {
		be_key(ret, "s");
		be_str(ret, i->s.b, sizeof(i->s.b));
	}
	be_key(ret, "t");
	be_int(ret, (int64_t)i->expires_s);
	be_key(ret, "v");
	be_int(ret, INVITE_VERSION);
	be_end(ret);
}

enum err
invite_decode(struct span in, const struct message_id *id,
    const struct id_pk *inviter, struct invite *ret)
{
	struct invite_secret inv;
	struct bencode b;
	int64_t version, expires;

	if (bencode_parse(in, &b) ||
	    !bencode_int(&b, bencode_get(&b, 0, "v"), &version))
		return ERR_MALFORMED;
	if (version != INVITE_VERSION)
		return ERR_UNSUPPORTED;
	if (!bencode_bytes(&b, bencode_get(&b, 0, "i"), inv.b, sizeof(inv.b)) ||
	    !bencode_int(&b, bencode_get(&b, 0, "t"), &expires) || expires < 0)
		return ERR_MALFORMED;
	invite_init(ret, id, &inv, (uint64_t)expires, inviter);
	sodium_memzero(&inv, sizeof(inv));
	ret->used = bencode_bytes(&b, bencode_get(&b, 0, "c"), ret->contact.b,
	                sizeof(ret->contact.b)) &&
	            bencode_bytes(&b, bencode_get(&b, 0, "s"), ret->s.b,
	                sizeof(ret->s.b));
	return ERR_OK;
}
