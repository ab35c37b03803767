/* Any bytes as each written form: what decodes, encodes to the same text. */
#include "proto/base/text.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

enum { TEXT_MAX = 4096 };

static uint8_t data_out[TEXT_MAX];
static char text_out[2 * TEXT_MAX + 128];

static uint8_t
lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static void
same_but_case(struct span in)
{
	assert(strlen(text_out) == in.n);
	for (size_t i = 0; i < in.n; i++)
		assert(lower(in.p[i]) == lower((uint8_t)text_out[i]));
}

static void
hex(struct span in)
{
	struct writer w = wr_init(data_out, sizeof(data_out));

	if (hex_decode(in, &w))
		return;
	hex_encode(wr_span_of(&w), text_out);
	same_but_case(in);
}

static void
base64url(struct span in)
{
	struct writer w = wr_init(data_out, sizeof(data_out));
	enum err err;

	if (base64url_decode(in, &w))
		return;
	err = base64url_encode(wr_span_of(&w), text_out, sizeof(text_out));
	assert(err == ERR_OK && strlen(text_out) == in.n);
	assert(in.n == 0 || memcmp(text_out, in.p, in.n) == 0);
}

static void
id(struct span in)
{
	uint8_t b[16];

	if (id_decode(in, b))
		return;
	id_encode(b, text_out);
	same_but_case(in);
}

static void
bech32m(struct span in)
{
	struct writer w = wr_init(data_out, sizeof(data_out));
	enum err err;

	if (bech32m_decode(in, "btchat", &w))
		return;
	err = bech32m_encode(
	    "btchat", wr_span_of(&w), text_out, sizeof(text_out));
	assert(err == ERR_OK);
	same_but_case(in);
	assert(in.n > 90 || bech32m_valid(in));
}

/* A text cut anywhere is well-formed in both halves or in neither way. */
static void
utf8(struct span in)
{
	bool whole = utf8_valid(in);
	size_t cut = in.n / 2;
	bool front = utf8_valid(span_of(in.p, cut));
	bool back = utf8_valid(span_of(in.p + cut, in.n - cut));

	assert(!(front && back) || whole);
	assert(!(whole && front) || back);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);

	if (size == 0 || size > TEXT_MAX)
		return 0;
	hex(in);
	base64url(in);
	id(in);
	bech32m(in);
	utf8(in);
	return 0;
}
