/* daemon.metrics: figures as OpenMetrics text, for who scrapes them with
 * `btchatctl daemon metrics`. No ids, no addresses. */
#include "daemon/rpc_conn.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { METRICS_MAX_BYTES = 16 * 1024 };

struct metrics {
	char text[METRICS_MAX_BYTES];
	size_t n;
	bool bad;
};

static void __attribute__((format(printf, 2, 3)))
add(struct metrics *m, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(m->text + m->n, sizeof(m->text) - m->n, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n >= sizeof(m->text) - m->n)
		m->bad = true;
	else
		m->n += (size_t)n;
}

static void
head(struct metrics *m, const char *name, const char *type, const char *help)
{
	add(m, "# TYPE btchat_%s %s\n# HELP btchat_%s %s\n", name, type, name,
	    help);
}

static void
gauge(struct metrics *m, const char *name, const char *help, uint64_t v)
{
	head(m, name, "gauge", help);
	add(m, "btchat_%s %llu\n", name, (unsigned long long)v);
}

static void
counter(struct metrics *m, const char *name, const char *help, uint64_t v)
{
	head(m, name, "counter", help);
	add(m, "btchat_%s_total %llu\n", name, (unsigned long long)v);
}

/* One of a family of counters that a label tells apart. */
static void
labelled(struct metrics *m, const char *name, const char *label,
    const char *value, uint64_t v)
{
	add(m, "btchat_%s_total{%s=\"%s\"} %llu\n", name, label, value,
	    (unsigned long long)v);
}

static void
put_daemon(struct metrics *m, const struct daemon *d)
{
	head(m, "build", "info", "the daemon");
	add(m, "btchat_build_info{version=\"%s\"} 1\n", BTCHAT_VERSION);
	head(m, "start_time_seconds", "gauge", "when it was started");
	add(m, "btchat_start_time_seconds %llu.%03u\n",
	    (unsigned long long)(d->started_ms / 1000),
	    (unsigned)(d->started_ms % 1000));
	gauge(m, "locked", "a passphrase is needed",
	    keyring_state(d->keyring) == KEYRING_LOCKED);
	gauge(m, "store_writable", "the database can be written",
	    d->node != NULL);
	counter(m, "turns_lost", "commits that failed", d->turns_lost);
	gauge(m, "store_tampered_rows", "rows that did not open",
	    store_tampered(d->store));
}

static enum err
put_store(struct metrics *m, struct daemon *d)
{
	struct store_counts c = { 0 };
	enum err err = store_count(d->store, &c);

	gauge(m, "contacts", "contacts", c.contacts);
	gauge(m, "messages_unread", "messages not read yet", c.unread);
	gauge(
	    m, "messages_waiting", "own messages not delivered yet", c.waiting);
	counter(m, "messages", "messages ever stored", c.messages);
	gauge(m, "store_bytes", "size of the database", store_bytes(d->store));
	counter(m, "events", "durable events", (uint64_t)d->event_head);
	return err;
}

static void
put_udp(struct metrics *m, const struct daemon *d, const struct node_stats *n)
{
	struct udp_stats u;

	udp_get_stats(d->udp, &u);
	head(m, "udp_datagrams", "counter", "datagrams");
	labelled(m, "udp_datagrams", "direction", "in", u.in);
	labelled(m, "udp_datagrams", "direction", "out", u.out);
	head(m, "udp_bytes", "counter", "bytes in them");
	labelled(m, "udp_bytes", "direction", "in", u.bytes_in);
	labelled(m, "udp_bytes", "direction", "out", u.bytes_out);
	head(m, "udp_dropped", "counter", "datagrams that were dropped");
	labelled(m, "udp_dropped", "reason", "ignored", n->udp_dropped);
	labelled(m, "udp_dropped", "reason", "too_long", u.too_long);
	labelled(m, "udp_dropped", "reason", "send_failed", u.send_failed);
	labelled(m, "udp_dropped", "reason", "queue_full", u.queue_dropped);
	gauge(
	    m, "udp_extra_sockets", "sockets to get through a NAT", n->sockets);
}

static void
put_chat(struct metrics *m, const struct node_stats *n)
{
	uint64_t datagrams = 0;
	uint64_t bytes = 0;

	for (int f = 0; f < FAMILY_COUNT; f++) {
		datagrams += n->introduces[f].n_passed;
		bytes += n->introduces[f].bytes_passed;
	}
	gauge(m, "contacts_online", "contacts with a session", n->online);
	gauge(m, "outbox", "messages on their way", n->outbox);
	gauge(m, "introducers", "nodes that pass to us", n->introducers);
	gauge(m, "sessions_relayed", "sessions that one passes", n->relayed);
	counter(m, "introduced_datagrams", "datagrams passed for others",
	    datagrams);
	counter(m, "introduced_bytes", "bytes in them", bytes);
}

static void
put_nodes(struct metrics *m, const char *net, const char *family,
    const struct node_dht_stats *s)
{
	if (s->on)
		add(m, "btchat_dht_nodes{net=\"%s\",family=\"%s\"} %zu\n", net,
		    family, s->nodes_good);
}

static void
put_dht(struct metrics *m, const struct node_stats *n)
{
	static const char *const names[FAMILY_COUNT] = {
		[FAMILY_V4] = "v4",
		[FAMILY_V6] = "v6",
	};

	head(m, "dht_nodes", "gauge", "nodes that answered lately");
	for (int f = 0; f < FAMILY_COUNT; f++) {
		put_nodes(m, "mainline", names[f], &n->dht[f]);
		put_nodes(m, "overlay", names[f], &n->overlay[f]);
	}
}

void
rpc_daemon_metrics(struct rpc_call *c)
{
	static struct metrics m; /* large for a stack */
	struct node_stats n = rpc_node_stats(c->d);
	enum err err;

	m.n = 0;
	m.bad = false;
	put_daemon(&m, c->d);
	err = put_store(&m, c->d);
	put_udp(&m, c->d, &n);
	put_chat(&m, &n);
	put_dht(&m, &n);
	add(&m, "# EOF\n");
	if (err)
		rpc_fail_store(c, err);
	else if (m.bad)
		(void)rpc_fail(c, API_INTERNAL);
	else
		json_put_text(rpc_result(c), "text", span_of(m.text, m.n));
}
