/* Any bytes as bencoding: what parses is nested rightly, every value lies
 * inside its container, and there is no other way to write it. */
#include "proto/base/bencode.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

static struct bencode doc, again;

/* Writes a value that has no children. */
static void
write_leaf(const struct bencode *b, uint32_t at, struct writer *w)
{
	struct span s;
	int64_t num;

	if (bencode_int(b, at, &num))
		be_int(w, num);
	else if (bencode_str(b, at, &s))
		be_str(w, s.p, s.n);
	else if (bencode_type(b, at) == BENCODE_LIST)
		be_list(w);
	else
		be_dict(w);
}

static void
encode(const struct bencode *b, struct writer *w)
{
	uint32_t open[BENCODE_DEPTH_MAX];
	unsigned depth = 0;

	for (uint32_t at = 0; at < b->n || depth > 0;) {
		const struct bencode_token *t;

		if (depth > 0 && b->tok[open[depth - 1]].next == at) {
			be_end(w);
			depth--;
			continue;
		}
		assert(at < b->n);
		t = &b->tok[at];
		assert(t->start < t->end && t->end <= b->in.n);
		assert(t->next > at && t->next <= b->n);
		if (depth > 0)
			assert(t->end < b->tok[open[depth - 1]].end);
		write_leaf(b, at, w);
		if (t->type == BENCODE_LIST || t->type == BENCODE_DICT) {
			assert(depth < BENCODE_DEPTH_MAX);
			open[depth++] = at;
		}
		at++;
	}
}

/* Looking with any index is safe, and what is found is inside. */
static void
look(const struct bencode *b)
{
	for (uint32_t i = 0; i < b->n; i++) {
		uint32_t at = bencode_get(b, i, "id");
		uint32_t end = b->tok[i].next;

		assert(at == BENCODE_ABSENT || (at > i && at < end));
		for (at = bencode_first(b, i); at != BENCODE_ABSENT;
		     at = bencode_next(b, i, at))
			assert(at > i && at < end);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t out[1 << 16];
	struct writer w = wr_init(out, sizeof(out));
	enum err err = bencode_parse(span_of(data, size), &doc);

	assert(err == ERR_OK || err == ERR_MALFORMED || err == ERR_LIMIT);
	look(&doc);
	if (err) {
		assert(doc.n == 0);
		return 0;
	}
	if (size > sizeof(out))
		return 0;
	encode(&doc, &w);
	assert(!w.bad && w.n == size && memcmp(out, data, size) == 0);
	/* one byte less or more is never whole */
	assert(bencode_parse(span_of(data, size - 1), &again) != ERR_OK);
	return 0;
}
