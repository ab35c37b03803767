/* daemon.*: the process itself, looked at from inside. */
#include "daemon/rpc_call.h"

#include "daemon/log.h"
#include "daemon/log_ring.h"
#include "daemon/selftest.h"

void
rpc_daemon_loglevel(struct rpc_call *c)
{
	struct span level = rpc_str(c, "level");

	if (level.n > 0) {
		log_init(log_level_parse((const char *)level.p),
		    c->d->config.log_addresses);
		log_event(LOG_NOTICE, "log-level", "level=%s",
		    log_level_name(log_level()));
	}
	json_put_str(rpc_result(c), "level", log_level_name(log_level()));
}

void
rpc_daemon_shutdown(struct rpc_call *c)
{
	daemon_stop(c->d, DAEMON_EX_OK);
	(void)rpc_result(c);
}

/* ---- daemon.logs ---- */

struct lines {
	struct rpc_call *c;
	size_t left;
	uint64_t last; /* that was put */
	bool full;     /* there may be more behind it */
};

static bool
put_line(void *ctx, const struct log_line *line)
{
	struct lines *l = ctx;
	struct json_out *o = l->c->out;

	l->full = l->left == 0 || rpc_page_full(l->c);
	if (l->full)
		return false;
	l->left--;
	l->last = line->seq;
	json_open(o, '{');
	json_put_uint(o, "seq", line->seq);
	json_put_uint(o, "at_ms", line->at_ms);
	json_put_str(o, "level", log_level_name(line->level));
	json_put_str(o, "event", line->event);
	json_put_str(o, "text", line->text);
	json_close(o, '}');
	return true;
}

/* From a place on all, one page after the other; without one the newest. */
void
rpc_daemon_logs(struct rpc_call *c)
{
	uint64_t since = (uint64_t)rpc_int(c, "since", 0);
	struct span word = rpc_str(c, "level");
	int level =
	    word.n > 0 ? log_level_parse((const char *)word.p) : LOG_DEBUG;
	struct lines l = { .c = c, .left = rpc_limit(c) };
	struct json_out *o = rpc_result(c);

	if (since > log_ring_head())
		since = 0; /* of another life */
	json_put_open(o, "items", '[');
	log_ring_each(since, level, rpc_has(c, "since") ? SIZE_MAX : l.left,
	    put_line, &l);
	json_close(o, ']');
	json_put_uint(o, "next", l.full ? l.last : log_ring_head());
}

void
rpc_daemon_selftest(struct rpc_call *c)
{
	struct json_out *o = rpc_result(c);
	struct selftest_item item;
	bool all = true;

	json_put_open(o, "items", '[');
	for (unsigned i = 0; i < SELFTESTS; i++) {
		selftest(c->d, (enum selftest_what)i, &item);
		all = all && item.ok;
		json_open(o, '{');
		json_put_str(o, "name", item.name);
		json_put_bool(o, "ok", item.ok);
		json_put_str(o, "detail", item.detail);
		json_close(o, '}');
	}
	json_close(o, ']');
	json_put_bool(o, "ok", all);
}
