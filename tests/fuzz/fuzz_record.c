/* Any bytes as the stream of a peer: cut, decoded, and what decodes encodes
 * to the very same bytes. */
#include "proto/chat/message.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

static uint8_t again[RECORD_HEAD + RECORD_MAX];

static void
check(struct span raw)
{
	struct writer w = wr_init(again, sizeof(again));
	uint8_t hash[MESSAGE_HASH_SIZE];
	struct record r;

	if (record_decode(raw, &r) || r.kind == RECORD_UNKNOWN)
		return;
	if (r.kind == RECORD_NOT_TAKEN) {
		assert(r.refusal != REFUSAL_NONE && r.seq >= 1);
		record_hash(&r, hash);
		return;
	}
	record_encode(&r, &w);
	assert(!w.bad);
	/* Fields that we do not know make it longer, never other. */
	assert(w.n - RECORD_HEAD <= raw.n);
	if (record_is_message(&r)) {
		assert(record_check(&r) == ERR_OK);
		assert(r.text.n <= MESSAGE_TEXT_MAX);
		assert(r.kind != RECORD_TEXT || r.text.n > 0);
		record_hash(&r, hash);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size), raw;
	struct record_reader r;
	bool got = true;

	check(in);
	record_reader_init(&r);
	while (got) {
		size_t piece = in.n > 7 ? in.n - in.n / 2 : in.n;
		struct span part = span_of(in.p, piece);

		if (record_reader_next(&r, &part, &got, &raw))
			break;
		in.p += piece - part.n;
		in.n -= piece - part.n;
		assert(r.n <= RECORD_HEAD + RECORD_MAX);
		if (got)
			check(raw);
		else if (in.n > 0)
			got = true;
	}
	record_reader_clear(&r);
	return 0;
}
