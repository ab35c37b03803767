/* Known answers of the rules that say what a datagram is. */
#include "proto/link/packet.h"
#include "tests/support/vectors.h"

#include <string.h>

static const char *const class_names[PACKET_CLASSES] = {
	[PACKET_DROP] = "drop",
	[PACKET_KRPC] = "krpc",
	[PACKET_TRANSPORT] = "transport",
	[PACKET_MESSAGE_1] = "message 1",
	[PACKET_MESSAGE_2] = "message 2",
	[PACKET_COOKIE_REPLY] = "cookie reply",
	[PACKET_QUERY] = "overlay query",
	[PACKET_ANSWER] = "overlay answer",
};

static bool
begins_with(const struct blob *datagram, const cJSON *busy, const char *key)
{
	struct blob first = json_blob(busy, key);

	return first.there && datagram->n >= first.n &&
	       memcmp(datagram->b, first.b, first.n) == 0;
}

static bool
class_ok(const cJSON *o, const cJSON *busy)
{
	struct blob datagram = json_blob(o, "datagram");
	const char *state = json_string(o, "state");
	const char *want = json_string(o, "class");
	struct packet_known known = { 0 };
	enum packet_class got;

	if (!datagram.there || !state || !want)
		return false;
	if (strcmp(state, "busy") == 0) {
		known.index_is_session =
		    begins_with(&datagram, busy, "session_index");
		known.index_is_attempt =
		    begins_with(&datagram, busy, "attempt_index");
		known.attempt_pending = true;
		known.tag_is_own = begins_with(&datagram, busy, "overlay_tag");
	}
	got = packet_classify(blob_span(&datagram), &known);
	return strcmp(class_names[got], want) == 0;
}

bool
vectors_classify(struct vectors *v, const cJSON *json)
{
	const cJSON *busy = json_item(json, "busy");
	const cJSON *o;

	if (!busy || !json_item(json, "cases"))
		return false;
	cJSON_ArrayForEach(o, json_item(json, "cases")) vectors_case(v,
	    class_ok(o, busy), "%s, %s: %s", json_string(o, "class"),
	    json_string(o, "state"), json_string(o, "reason"));
	return true;
}
