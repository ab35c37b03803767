/* Any bytes as an invitation; and any record under a right checksum and a
 * right check, which a fuzzer would not find by itself. */
#include "proto/crypto/invitation.h"

#include "proto/base/text.h"
#include "proto/crypto/identity.h"
#include "proto/crypto/kdf.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

enum { RECORD_LONGEST = 160 };

/* What is taken, encodes to the same text. */
static void
check(struct span text)
{
	static const struct invitation kept = { .flags = 77 };
	struct invitation in = kept;
	char again[INVITATION_TEXT_SIZE];
	size_t skip;
	enum err err;

	if (invitation_decode(text, &in)) {
		assert(in.flags == kept.flags && in.n_hints == 0);
		return;
	}
	assert(in.n_hints <= INVITATION_HINTS_MAX);
	assert(identity_check(&in.id) == ERR_OK);
	err = invitation_encode(&in, again, sizeof(again));
	assert(err == ERR_OK && strlen(again) <= text.n);
	skip = text.n - strlen(again); /* "btchat:" or nothing */
	assert(skip == 0 || skip == 7);
	for (size_t i = skip; i < text.n; i++) {
		uint8_t c = text.p[i];

		c = c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
		assert(c == (uint8_t)again[i - skip]);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t record[RECORD_LONGEST];
	struct writer w = wr_init(record, sizeof(record));
	char text[INVITATION_TEXT_SIZE];
	const struct span parts[] = { span_str("btchat/1 invite"),
		span_of(data, size) };
	uint8_t sum[4];

	check(span_of(data, size));
	kdf_b2(span_of(NULL, 0), parts, 2, sum, sizeof(sum));
	wr_bytes(&w, data, size);
	wr_bytes(&w, sum, sizeof(sum));
	if (w.bad)
		return 0;
	if (!bech32m_encode("btinvite", wr_span_of(&w), text, sizeof(text)))
		check(span_str(text));
	return 0;
}
