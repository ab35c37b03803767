/* A line from a client up to the point where a handler would see it: every
 * fault has words and a code, what passes fits its specification. */
#include "daemon/json_out.h"
#include "daemon/rpc_request.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <string.h>

static const char *const specs[] = { "",
	"address:str(512) name:str(256)? client_id:str(64)?",
	"conv:id text:str(262144) client_id:str(64)?",
	"since:any? types:strs? limit:int(1,500)? timeout_ms:int(0,3600000)?",
	"id:id state:enum(sent|delivered)? on:bool?" };

static struct json_guard guard;

static void
check_fault(const struct rpc_fault *f)
{
	assert(f->code < 0 && f->reason[0]);
	assert(memchr(f->param, 0, sizeof(f->param)));
	assert(memchr(f->meant, 0, sizeof(f->meant)));
}

/* Typed reads of what passed are safe. */
static void
check_params(const char *spec, const cJSON *params)
{
	const cJSON *v;
	struct rpc_param p;
	int64_t n;

	cJSON_ArrayForEach(v, params)
	{
		const char *at = spec;
		bool known = false;

		while (rpc_param_next(&at, &p)) {
			if (strlen(v->string) != p.name.n ||
			    memcmp(v->string, p.name.p, p.name.n) != 0)
				continue;
			known = true;
			if (memcmp(p.type.p, "int", 3) == 0 &&
			    !cJSON_IsNull(v)) {
				bool good = json_to_int(v, &n);

				assert(good);
				(void)good;
			}
		}
		assert(known);
		(void)known;
	}
}

/* An id is echoed byte for byte, within a reply that is JSON again. */
static void
check_echo(struct span id)
{
	struct json_out o = { .max = 1024 };
	struct json_scan scan;
	enum err err;

	json_open(&o, '{');
	json_put_raw(&o, "id", id);
	json_close(&o, '}');
	assert(!o.bad);
	err = json_scan(&guard, span_of(o.p, o.n), &scan);
	assert(!err && span_eq(scan.id, id));
	(void)err;
	json_out_clear(&o);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct json_scan scan;
	struct rpc_request r;
	struct rpc_fault fault;

	if (guard.seed == 0)
		json_guard_init(&guard, 0x5eed);
	if (json_scan(&guard, span_of(data, size), &scan))
		return 0;
	rpc_request_parse(&scan, &r, &fault);
	if (r.id.n > 0)
		check_echo(r.id);
	if (fault.code) {
		check_fault(&fault);
		rpc_request_clear(&r);
		return 0;
	}
	for (size_t i = 0; i < sizeof(specs) / sizeof(*specs); i++) {
		rpc_params_check(specs[i], r.params, &fault);
		if (fault.code)
			check_fault(&fault);
		else
			check_params(specs[i], r.params);
	}
	rpc_request_clear(&r);
	return 0;
}
