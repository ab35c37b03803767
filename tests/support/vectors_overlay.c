/* Known answers of the encrypted DHT carrier. */
#include "proto/dht/overlay.h"
#include "tests/support/vectors.h"

#include <arpa/inet.h>
#include <string.h>

struct exchange {
	struct overlay_static own; /* the responder's */
	struct blob query, answer, krpc_query, krpc_answer, tag;
	struct blob e_query, e_answer;
};

static bool
read_exchange(const cJSON *o, struct exchange *ret)
{
	ret->query = json_blob(o, "query");
	ret->answer = json_blob(o, "answer");
	ret->krpc_query = json_blob(o, "krpc_query");
	ret->krpc_answer = json_blob(o, "krpc_answer");
	ret->tag = json_blob(o, "tag");
	ret->e_query = json_blob(o, "e_query_secret");
	ret->e_answer = json_blob(o, "e_answer_secret");
	return json_bytes(o, "n", ret->own.sk, 32) &&
	       json_bytes(o, "N", ret->own.pk, 32) && ret->tag.n == 8 &&
	       ret->e_query.n == 32 && ret->e_answer.n == 32;
}

static bool
ask(const struct exchange *x, struct overlay_exchange *ret)
{
	uint8_t out[OVERLAY_SIZE_MAX];
	struct overlay_query in = {
		.n = x->own.pk,
		.tag = x->tag.b,
		.e_sk = x->e_query.b,
		.krpc = blob_span(&x->krpc_query),
		.size = x->query.n,
	};

	return !overlay_query_seal(&in, out, ret) &&
	       blob_is(&x->query, out, in.size);
}

static bool
hear(const struct exchange *x, struct span datagram,
    struct overlay_exchange *ret)
{
	uint8_t krpc[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(krpc, sizeof(krpc));

	return !overlay_query_open(&x->own, datagram, ret, &w) &&
	       blob_is(&x->krpc_query, krpc, w.n);
}

static bool
answer(const struct exchange *x, struct overlay_exchange *heard)
{
	uint8_t out[OVERLAY_SIZE_MAX];

	return !overlay_answer_seal(heard, x->e_answer.b,
	           blob_span(&x->krpc_answer), x->answer.n, out) &&
	       blob_is(&x->answer, out, x->answer.n);
}

static bool
take(const struct exchange *x, const struct overlay_exchange *asked,
    struct span datagram)
{
	uint8_t krpc[OVERLAY_KRPC_MAX];
	struct writer w = wr_init(krpc, sizeof(krpc));

	return !overlay_answer_open(asked, datagram, &w) &&
	       blob_is(&x->krpc_answer, krpc, w.n);
}

static void
run_exchange(struct vectors *v, const cJSON *o, int i)
{
	static struct exchange x; /* large */
	struct overlay_exchange asked;
	struct overlay_exchange heard;

	if (!read_exchange(o, &x)) {
		vectors_case(v, false, "exchange %d: fields", i);
		return;
	}
	vectors_case(v, ask(&x, &asked), "exchange %d: query", i);
	vectors_case(v, hear(&x, blob_span(&x.query), &heard),
	    "exchange %d: query opened", i);
	vectors_case(v, answer(&x, &heard), "exchange %d: answer", i);
	vectors_case(v, take(&x, &asked, blob_span(&x.answer)),
	    "exchange %d: answer opened", i);
}

static bool
dropped(const struct exchange *x, const cJSON *o)
{
	const char *kind = json_string(o, "kind");
	struct blob datagram = json_blob(o, "datagram");
	struct overlay_exchange asked;
	struct overlay_exchange heard;

	if (!kind || !datagram.there)
		return false;
	if (strcmp(kind, "query") == 0)
		return !hear(x, blob_span(&datagram), &heard);
	return ask(x, &asked) && !take(x, &asked, blob_span(&datagram));
}

static bool
id_ok(const cJSON *o)
{
	const char *address = json_string(o, "address");
	struct endpoint at = { 0 };
	struct blob id = json_blob(o, "id");
	struct target got;
	uint8_t n[OVERLAY_KEY_SIZE];
	uint8_t v4[4];

	if (!address || !json_bytes(o, "N", n, sizeof(n)))
		return false;
	if (inet_pton(AF_INET, address, v4) == 1)
		at = endpoint_v4(v4, 0);
	else if (inet_pton(AF_INET6, address, at.addr) != 1)
		return false;
	overlay_node_id(n, &at, (uint8_t)json_number(o, "r"), &got);
	return blob_is(&id, got.b, sizeof(got.b));
}

static bool
announce_ok(const cJSON *o)
{
	struct blob want = json_blob(o, "infohash");
	struct target got;

	overlay_meeting_point((uint32_t)json_number(o, "day"), &got);
	return blob_is(&want, got.b, sizeof(got.b));
}

bool
vectors_overlay(struct vectors *v, const cJSON *json)
{
	static struct exchange first; /* large */
	const cJSON *exchanges = json_item(json, "exchanges");
	const cJSON *o;
	int i = 0;

	if (!exchanges)
		return false;
	cJSON_ArrayForEach(o, exchanges) run_exchange(v, o, i++);
	if (!read_exchange(cJSON_GetArrayItem(exchanges, 0), &first)) {
		vectors_case(v, false, "exchange 0");
		return true;
	}
	cJSON_ArrayForEach(o, json_item(json, "must_drop"))
	    vectors_case(v, dropped(&first, o), "dropped: %s, %s",
	        json_string(o, "kind"), json_string(o, "reason"));
	cJSON_ArrayForEach(o, json_item(json, "ids"))
	    vectors_case(v, id_ok(o), "id at %s", json_string(o, "address"));
	if (json_item(json, "bep42"))
		vectors_bep(v, json_item(json, "bep42"));
	cJSON_ArrayForEach(o, json_item(json, "announce"))
	    vectors_case(v, announce_ok(o), "announce on day %ju",
	        (uintmax_t)json_number(o, "day"));
	return true;
}
