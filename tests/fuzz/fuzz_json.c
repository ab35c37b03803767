/* The guard and the reader behind it: what the guard takes, cJSON reads to
 * the same end and to the same values; one key counts once. */
#include "daemon/json.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

static struct json_guard guard;

/* Nodes of a tree, without recursion: children first, then siblings. */
static size_t
count_values(const cJSON *root)
{
	static const cJSON *stack[API_TOKENS_MAX];
	size_t n = 0, depth = 0;

	stack[depth++] = root;
	while (depth > 0) {
		const cJSON *v = stack[--depth], *child;

		n += v->string ? 2 : 1; /* a key is a token too */
		cJSON_ArrayForEach(child, v)
		{
			assert(depth < API_TOKENS_MAX);
			stack[depth++] = child;
		}
	}
	return n;
}

static void
check_spans(const struct json_scan *s, struct span in)
{
	size_t n = s->n_items < API_BATCH_MAX ? s->n_items : API_BATCH_MAX;

	assert(s->text.n > 0 && s->text.p >= in.p);
	assert(s->text.p + s->text.n <= in.p + in.n);
	assert((s->id_type == JSON_NONE) == (s->id.n == 0));
	if (s->id.n > 0)
		assert(s->id.p > s->text.p &&
		       s->id.p + s->id.n < s->text.p + s->text.n);
	for (size_t i = 0; i < n; i++) {
		struct json_scan item;
		/* An element of what was taken is taken. */
		enum err err = json_scan(&guard, s->items[i], &item);

		assert(!err && item.text.n == s->items[i].n);
		(void)err;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span in = span_of(data, size);
	struct json_scan scan;
	cJSON *v;

	if (guard.seed == 0)
		json_guard_init(&guard, 0x5eed);
	if (json_scan(&guard, in, &scan)) {
		assert(scan.why && scan.at <= size);
		return 0;
	}
	check_spans(&scan, in);
	assert(!memchr(scan.text.p, 0, scan.text.n));
	v = json_parse(scan.text);
	assert(v);
	assert(count_values(v) == scan.tokens);
	if (scan.type == JSON_OBJECT && scan.id_type != JSON_NULL)
		assert((json_member(v, "id") != NULL) == (scan.id.n > 0));
	cJSON_Delete(v);
	return 0;
}
