/* What went where and what was lost, as JSON. Names hold nothing to escape. */
#include "tests/net/wan/wan.h"

#include <inttypes.h>

static double
seconds(uint64_t ns)
{
	return (double)ns / 1e9;
}

static void
put_link(FILE *out, const struct node *n, const struct link *l, const char *dir)
{
	const char *comma = "";

	(void)fprintf(out,
	    "{\"node\":\"%s\",\"dir\":\"%s\",\"packets\":%" PRIu64
	    ",\"bytes\":%" PRIu64 ",\"doubled\":%" PRIu64
	    ",\"reordered\":%" PRIu64 ",\"drops\":{",
	    n->name, dir, l->packets, l->bytes, l->doubled, l->reordered);
	for (enum drop d = DROP_NONE; d < DROP_KINDS; d++) {
		if (l->drops[d] == 0)
			continue;
		(void)fprintf(
		    out, "%s\"%s\":%" PRIu64, comma, drop_name(d), l->drops[d]);
		comma = ",";
	}
	(void)fputs("}}", out);
}

static void
put_nats(const struct wan *w, FILE *out)
{
	const char *comma = "";

	for (unsigned i = 0; i < w->n_nodes; i++) {
		const struct nat *both[] = { &w->node[i]->nat,
			&w->node[i]->firewall };

		for (unsigned k = 0; k < 2; k++) {
			const struct nat *t = both[k];

			if (!t->is_on)
				continue;
			(void)fprintf(out,
			    "%s{\"node\":\"%s\",\"family\":%d,\"mappings\":%zu,"
			    "\"made\":%" PRIu64 ",\"expired\":%" PRIu64 "}",
			    comma, w->node[i]->name, k == 0 ? 4 : 6, t->n,
			    t->made, t->expired);
			comma = ",";
		}
	}
}

static void
put_hosts(const struct wan *w, FILE *out)
{
	for (const struct host *h = w->hosts; h; h = h->next)
		(void)fprintf(out,
		    "%s{\"host\":\"%s\",\"sent\":%" PRIu64
		    ",\"sent_bytes\":%" PRIu64 ",\"sent_payload\":%" PRIu64
		    ",\"got\":%" PRIu64 ",\"got_bytes\":%" PRIu64
		    ",\"got_payload\":%" PRIu64 "}",
		    h == w->hosts ? "" : ",", h->label, h->sent, h->sent_bytes,
		    h->sent_payload, h->got, h->got_bytes, h->got_payload);
}

void
report_stats(const struct wan *w, FILE *out)
{
	(void)fprintf(out,
	    "{\"seconds\":%.3f,\"in\":%" PRIu64 ",\"out\":%" PRIu64
	    ",\"in_flight\":%zu,\"late_ms\":%.3f,\"links\":[",
	    seconds(w->now - w->begin), w->in, w->out, w->due.n,
	    seconds(w->late) * 1000);
	for (unsigned i = 1; i < w->n_nodes; i++) {
		(void)fputs(i > 1 ? "," : "", out);
		put_link(out, w->node[i], &w->node[i]->up, "up");
		(void)fputc(',', out);
		put_link(out, w->node[i], &w->node[i]->down, "down");
	}
	(void)fputs("],\"nats\":[", out);
	put_nats(w, out);
	(void)fputs("],\"hosts\":[", out);
	put_hosts(w, out);
	(void)fputs("]}", out);
}

void
report_flows(const struct wan *w, FILE *out)
{
	const char *comma = "";

	(void)fputc('[', out);
	for (const struct flow *f = w->flows; f; f = f->next) {
		if (f->packets == 0)
			continue;
		(void)fprintf(out,
		    "%s{\"from\":\"%s\",\"to\":\"%s\",\"packets\":%" PRIu64
		    ",\"bytes\":%" PRIu64 "}",
		    comma, f->from->label, f->to->label, f->packets, f->bytes);
		comma = ",";
	}
	(void)fputc(']', out);
}

static void
put_endpoint(FILE *out, const char *key, const struct endpoint *e)
{
	const uint8_t *a = endpoint_addr(e).p;

	(void)fprintf(out, "\"%s\":\"", key);
	if (endpoint_family(e) == FAMILY_V4) {
		(void)fprintf(
		    out, "%u.%u.%u.%u:%u\"", a[0], a[1], a[2], a[3], e->port);
		return;
	}
	for (size_t i = 0; i < 16; i += 2)
		(void)fprintf(out, "%s%x", i == 0 ? "[" : ":", get16(a + i));
	(void)fprintf(out, "]:%u\"", e->port);
}

static void
put_mapping(const struct wan *w, const struct nat *t, const struct mapping *m,
    FILE *out)
{
	(void)fprintf(out, "{\"protocol\":%u,", m->protocol);
	put_endpoint(out, "inside", &m->inside);
	(void)fputc(',', out);
	put_endpoint(out, "outside", &m->outside);
	(void)fprintf(out,
	    ",\"asked_for\":%s,\"alive\":%s,\"idle_s\":%.3f,\"remotes\":[",
	    m->until > 0 ? "true" : "false",
	    nat_is_alive(t, m, w->now) ? "true" : "false",
	    seconds(w->now - m->last));
	for (const struct nat_remote *r = m->remotes; r; r = r->next) {
		(void)fputs(r == m->remotes ? "{" : ",{", out);
		put_endpoint(out, "at", &r->at);
		(void)fprintf(out, ",\"answered\":%s}",
		    r->is_answered ? "true" : "false");
	}
	(void)fputs("]}", out);
}

void
report_mappings(const struct wan *w, const struct node *n, FILE *out)
{
	const struct nat *both[] = { &n->nat, &n->firewall };
	const char *comma = "";

	(void)fputc('[', out);
	for (unsigned k = 0; k < 2; k++)
		for (const struct mapping *m = both[k]->all; m; m = m->next) {
			(void)fputs(comma, out);
			put_mapping(w, both[k], m, out);
			comma = ",";
		}
	(void)fputc(']', out);
}

void
report_reset(struct wan *w)
{
	w->in = w->out = w->late = 0;
	for (unsigned i = 0; i < w->n_nodes; i++) {
		link_reset(&w->node[i]->up);
		link_reset(&w->node[i]->down);
	}
	for (struct host *h = w->hosts; h; h = h->next) {
		h->sent = h->sent_bytes = h->sent_payload = 0;
		h->got = h->got_bytes = h->got_payload = 0;
	}
	for (struct flow *f = w->flows; f; f = f->next)
		f->packets = f->bytes = 0;
}
