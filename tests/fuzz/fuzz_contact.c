/* Stored records of contacts, invitations and oneself: a damaged one is
 * refused, and one that is taken encodes to bytes that decode again. */
#include "proto/chat/contact.h"
#include "proto/chat/invite.h"
#include "proto/chat/self.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

static void
check_contact(struct span in)
{
	static const struct contact_id id;
	uint8_t buf[CONTACT_RECORD_MAX], buf2[CONTACT_RECORD_MAX];
	struct writer w = wr_init(buf, sizeof(buf));
	struct writer w2 = wr_init(buf2, sizeof(buf2));
	struct contact a, b;

	if (contact_decode(in, &id, &a))
		return;
	assert(a.n_s <= CONTACT_STATICS_MAX);
	assert(a.n_candidates <= CELL_CANDIDATES_MAX);
	contact_encode(&a, &w);
	assert(!w.bad);
	assert(contact_decode(wr_span_of(&w), &id, &b) == ERR_OK);
	contact_encode(&b, &w2);
	assert(span_eq(wr_span_of(&w), wr_span_of(&w2)));
}

static void
check_invite(struct span in)
{
	static const struct message_id id;
	static const struct id_pk pk;
	uint8_t buf[1024], buf2[1024];
	struct writer w = wr_init(buf, sizeof(buf));
	struct writer w2 = wr_init(buf2, sizeof(buf2));
	struct invite a, b;

	if (invite_decode(in, &id, &pk, &a))
		return;
	invite_encode(&a, &w);
	assert(!w.bad);
	assert(invite_decode(wr_span_of(&w), &id, &pk, &b) == ERR_OK);
	invite_encode(&b, &w2);
	assert(span_eq(wr_span_of(&w), wr_span_of(&w2)));
	for (size_t i = 0; i < CALLERS_MAX && a.callers.c[i].ts_ms != 0; i++)
		assert(callers_last_ms(&a.callers, &a.callers.c[i].s) != 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct id_seed seed;
	struct span in = span_of(data, size);
	struct self s;

	check_contact(in);
	check_invite(in);
	if (self_decode(in, &seed, &s) == ERR_OK)
		assert(s.n_s >= 1 && s.n_s <= SELF_STATICS_MAX);
	return 0;
}
