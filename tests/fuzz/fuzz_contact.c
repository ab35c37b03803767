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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct message_id id;
	static const struct id_seed seed;
	static const struct id_pk pk;
	struct span in = span_of(data, size);
	struct invite i;
	struct self s;

	check_contact(in);
	(void)!invite_decode(in, &id, &pk, &i);
	if (self_decode(in, &seed, &s) == ERR_OK)
		assert(s.n_s >= 1 && s.n_s <= SELF_STATICS_MAX);
	return 0;
}
