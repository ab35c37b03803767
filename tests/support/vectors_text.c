/* bech32m of BIP 350, and the two written forms of ours. */
#include "proto/base/text.h"
#include "proto/crypto/identity.h"
#include "proto/crypto/invitation.h"
#include "tests/support/vectors.h"

#include <string.h>

/* ---- BIP 350 ---- */

/* A string, or an object that has it as hex because it is no text. */
static struct blob
text_of(const cJSON *item)
{
	const char *text = cJSON_GetStringValue(item);
	struct blob b;

	if (!text && json_item(item, "hex"))
		return json_blob(item, "hex");
	if (!text)
		text = json_string(item, "text");
	b.there = text && strlen(text) <= sizeof(b.b);
	b.n = b.there ? strlen(text) : 0;
	if (b.there)
		memcpy(b.b, text, b.n);
	return b;
}

static void
bech32m_list(struct vectors *v, const cJSON *list, bool valid)
{
	const cJSON *item;
	int i = 0;

	cJSON_ArrayForEach(item, list)
	{
		struct blob text = text_of(item);

		vectors_case(v,
		    text.there && bech32m_valid(blob_span(&text)) == valid,
		    "%s string %d", valid ? "valid" : "invalid", i++);
	}
}

bool
vectors_bech32m(struct vectors *v, const cJSON *json)
{
	const cJSON *valid = json_item(json, "valid_bech32m");
	const cJSON *invalid = json_item(json, "invalid_bech32m");

	if (!valid && !invalid)
		return false;
	bech32m_list(v, valid, true);
	bech32m_list(v, invalid, false);
	return true;
}

/* ---- addresses ---- */

static bool
address_accepts(const cJSON *item, const struct id_pk *want)
{
	const char *text = json_string(item, "text");
	const char *name = json_string(item, "name");
	char got[ADDRESS_NAME_MAX + 1];
	struct id_pk id;

	if (!text || address_decode(span_str(text), &id, got))
		return false;
	return id_eq(&id, want) && strcmp(got, name ? name : "") == 0;
}

static bool
address_writes(const cJSON *item, const struct id_pk *id)
{
	const char *want = json_string(item, "address");
	char got[ADDRESS_SIZE];

	address_encode(id, got);
	return want && strcmp(got, want) == 0;
}

static void
address_valid(struct vectors *v, const cJSON *item)
{
	const cJSON *text;
	struct id_pk id;

	if (!json_bytes(item, "ID", id.b, sizeof(id.b))) {
		vectors_case(v, false, "address without an ID");
		return;
	}
	vectors_case(v, address_writes(item, &id), "written: %s",
	    json_string(item, "address"));
	cJSON_ArrayForEach(text, json_item(item, "accepted"))
	    vectors_case(v, address_accepts(text, &id), "accepted: %s",
	        json_string(text, "text"));
}

static void
address_invalid(struct vectors *v, const cJSON *item)
{
	const char *text = json_string(item, "text");
	char name[ADDRESS_NAME_MAX + 1];
	struct id_pk id;

	vectors_case(v, text && address_decode(span_str(text), &id, name),
	    "refused: %s", json_string(item, "reason"));
}

/* Both written forms have lists of these names; their texts tell them apart. */
static bool
list_has(const cJSON *json, const char *list, const char *field)
{
	const cJSON *first = cJSON_GetArrayItem(json_item(json, list), 0);

	return json_item(first, field) != NULL;
}

bool
vectors_address(struct vectors *v, const cJSON *json)
{
	const cJSON *item;

	if (!list_has(json, "valid", "accepted"))
		return false;
	cJSON_ArrayForEach(item, json_item(json, "valid"))
	    address_valid(v, item);
	cJSON_ArrayForEach(item, json_item(json, "invalid"))
	    address_invalid(v, item);
	return true;
}

/* ---- invitations ---- */

static bool
hint_is(const cJSON *item, const struct endpoint *e)
{
	struct blob bytes = json_blob(item, "bytes");
	struct span addr = endpoint_addr(e);

	return bytes.n == addr.n + 3 && bytes.b[0] == (addr.n == 4 ? 4 : 6) &&
	       memcmp(bytes.b + 1, addr.p, addr.n) == 0 &&
	       json_number(item, "port") == e->port;
}

static bool
invitation_is(const cJSON *item, const struct invitation *in)
{
	const cJSON *hints = json_item(item, "hints");
	struct blob id = json_blob(item, "ID");
	struct blob inv = json_blob(item, "inv");

	if (cJSON_GetArraySize(hints) != in->n_hints)
		return false;
	for (int i = 0; i < in->n_hints; i++) {
		if (!hint_is(cJSON_GetArrayItem(hints, i), &in->hints[i]))
			return false;
	}
	return in->flags == json_number(item, "flags") &&
	       in->expiry_min == json_number(item, "expiry") &&
	       blob_is(&id, in->id.b, 32) && blob_is(&inv, in->inv.b, 32);
}

static void
invitation_valid(struct vectors *v, const cJSON *item)
{
	static const char *const forms[] = { "invitation", "uri", "qr" };
	const char *want = json_string(item, "invitation");
	char got[INVITATION_TEXT_SIZE];
	struct invitation in;
	bool ok = false;

	for (int i = 0; i < 3; i++) {
		const char *text = json_string(item, forms[i]);

		ok = text && !invitation_decode(span_str(text), &in) &&
		     invitation_is(item, &in);
		vectors_case(v, ok, "%s: %s", forms[i], text);
	}
	ok = ok && !invitation_encode(&in, got, sizeof(got));
	vectors_case(
	    v, ok && want && strcmp(got, want) == 0, "written: %s", want);
}

bool
vectors_invitation(struct vectors *v, const cJSON *json)
{
	const cJSON *item;
	struct invitation in;

	if (!list_has(json, "valid", "invitation"))
		return false;
	cJSON_ArrayForEach(item, json_item(json, "valid"))
	    invitation_valid(v, item);
	cJSON_ArrayForEach(item, json_item(json, "invalid"))
	{
		const char *text = json_string(item, "text");

		vectors_case(v, text && invitation_decode(span_str(text), &in),
		    "refused: %s", json_string(item, "reason"));
	}
	return true;
}
