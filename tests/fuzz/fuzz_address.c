/* Any bytes as an address: what is taken has a good ID, and its written form
 * is taken again and means the same. The checksum keeps a fuzzer out, so a
 * first byte of 1 makes the rest the data under a right checksum. */
#include "proto/base/text.h"
#include "proto/crypto/identity.h"

#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

static void
check(struct span text)
{
	struct id_pk id;
	struct id_pk again;
	char name[ADDRESS_NAME_MAX + 1] = "kept";
	char none[ADDRESS_NAME_MAX + 1];
	char written[ADDRESS_SIZE];
	enum err err = address_decode(text, &id, name);

	if (err) {
		assert(strcmp(name, "kept") == 0);
		return;
	}
	assert(identity_check(&id) == ERR_OK);
	assert(strlen(name) <= ADDRESS_NAME_MAX);
	assert(utf8_valid(span_str(name)));
	address_encode(&id, written);
	err = address_decode(span_str(written), &again, none);
	assert(err == ERR_OK && id_eq(&id, &again) && none[0] == '\0');
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[512];

	check(span_of(data, size));
	if (size < 1 || size > 64 || data[0] != 1)
		return 0;
	if (bech32m_encode(
	        "btchat", span_of(data + 1, size - 1), text, sizeof(text)))
		return 0;
	check(span_str(text));
	return 0;
}
