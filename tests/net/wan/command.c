/* Commands, a line each, and their answers: "ok", with JSON where there is
 * something to tell, or "error" and why. */
#include "tests/net/wan/wan.h"

#include <errno.h>
#include <string.h>

enum { WORDS_MAX = 64 };

struct call {
	struct wan *w;
	char *word[WORDS_MAX]; /* borrowed; the first is the command */
	size_t n;
	struct node *node; /* of those commands that name one first */
	FILE *out;         /* JSON */
};

/* Each gives NULL, or what is wrong. */

static const char *
set_all(struct call *c, struct node *n, size_t from)
{
	for (size_t i = from; i < c->n; i++) {
		const char *why = settings_set(n, c->word[i]);

		if (why)
			return why;
	}
	return NULL;
}

/* node NAME PARENT TUN GATE key=value...: descriptors, or -1 */
static const char *
run_node(struct call *c)
{
	struct node *parent = wan_find(c->w, c->word[2]);
	int fd[2] = { -1, -1 };
	struct node *n;

	for (size_t i = 0; i < 2; i++) {
		uint64_t number = 0;

		if (strcmp(c->word[3 + i], "-1") == 0)
			continue;
		if (!parse_number(c->word[3 + i], 1 << 20, &number))
			return "not a descriptor";
		fd[i] = (int)number;
	}
	n = parent ? wan_add(c->w, c->word[1], parent) : NULL;
	if (!n)
		return "no such parent, or the name is taken";
	n->tun = fd[0];
	n->gate = fd[1];
	return set_all(c, n, 5);
}

static const char *
run_set(struct call *c)
{
	return set_all(c, c->node, 2);
}

static const char *
run_seed(struct call *c)
{
	uint64_t seed = 0;

	if (!parse_number(c->word[1], UINT64_MAX, &seed))
		return "not a number";
	wan_seed(c->w, seed);
	return NULL;
}

/* host NODE ADDRESS LABEL */
static const char *
run_host(struct call *c)
{
	struct endpoint e;

	if (!parse_address(c->word[2], &e))
		return "not an address";
	wan_label(c->w, c->node, &e, c->word[3]);
	return NULL;
}

static const char *
run_route(struct call *c)
{
	return wan_route(c->node, c->word[2]) ? NULL : "no such prefix";
}

static const char *
run_unroute(struct call *c)
{
	return wan_unroute(c->node, c->word[2]) ? NULL : "no such prefix";
}

/* readdress NODE OLD NEW: of a NAT, outside; its mappings are lost */
static const char *
run_readdress(struct call *c)
{
	struct nat *t = &c->node->nat;
	struct endpoint old, new;

	if (!parse_address(c->word[2], &old) ||
	    !parse_address(c->word[3], &new))
		return "not an address";
	(void)wan_unroute(c->node, c->word[2]);
	if (!wan_route(c->node, c->word[3]))
		return "cannot route it";
	nat_flush(t);
	for (size_t i = 0; i < t->n_addresses; i++)
		if (endpoint_same_addr(&t->address[i], &old))
			t->address[i] = new;
	return NULL;
}

static const char *
run_cut(struct call *c)
{
	c->node->is_cut = true;
	return NULL;
}

static const char *
run_heal(struct call *c)
{
	c->node->is_cut = false;
	return NULL;
}

/* flush NODE: mappings and firewall states, as a reboot does */
static const char *
run_flush(struct call *c)
{
	nat_flush(&c->node->nat);
	nat_flush(&c->node->firewall);
	return NULL;
}

static const char *
run_mappings(struct call *c)
{
	report_mappings(c->w, c->node, c->out);
	return NULL;
}

static const char *
run_stats(struct call *c)
{
	report_stats(c->w, c->out);
	return NULL;
}

static const char *
run_flows(struct call *c)
{
	report_flows(c->w, c->out);
	return NULL;
}

static const char *
run_reset(struct call *c)
{
	report_reset(c->w);
	return NULL;
}

/* capture NODE FILE; capture NODE off */
static const char *
run_capture(struct call *c)
{
	if (strcmp(c->word[2], "off") == 0) {
		capture_end(c->w);
		return NULL;
	}
	return capture_begin(c->w, c->word[2], c->node) ? NULL
	                                                : strerror(errno);
}

/* clang-format off */
static const struct command {
	const char *name;
	bool has_node; /* its first argument */
	size_t words_min, words_max;
	const char *(*run)(struct call *c);
} commands[] = {
	{ "capture", true, 3, 3, run_capture },
	{ "cut", true, 2, 2, run_cut },
	{ "flows", false, 1, 1, run_flows },
	{ "flush", true, 2, 2, run_flush },
	{ "heal", true, 2, 2, run_heal },
	{ "host", true, 4, 4, run_host },
	{ "mappings", true, 2, 2, run_mappings },
	{ "node", false, 5, WORDS_MAX, run_node },
	{ "readdress", true, 4, 4, run_readdress },
	{ "reset", false, 1, 1, run_reset },
	{ "route", true, 3, 3, run_route },
	{ "seed", false, 2, 2, run_seed },
	{ "set", true, 3, WORDS_MAX, run_set },
	{ "stats", false, 1, 1, run_stats },
	{ "unroute", true, 3, 3, run_unroute },
};
/* clang-format on */

static const char *
run(struct call *c)
{
	const size_t n = sizeof(commands) / sizeof(commands[0]);
	size_t i = 0;

	while (i < n && strcmp(commands[i].name, c->word[0]) != 0)
		i++;
	if (i == n)
		return "no such command";
	if (c->n < commands[i].words_min || c->n > commands[i].words_max)
		return "too few words, or too many";
	if (commands[i].has_node) {
		c->node = wan_find(c->w, c->word[1]);
		if (!c->node)
			return "no such node";
	}
	return commands[i].run(c);
}

void
command_run(struct wan *w, char *line, FILE *out)
{
	struct call c = { .w = w, .out = out };
	const char *why = "nothing is asked";
	char *save = NULL;
	long begin;

	for (char *s = strtok_r(line, " \t\r\n", &save); s && c.n < WORDS_MAX;
	     s = strtok_r(NULL, " \t\r\n", &save))
		c.word[c.n++] = s;
	w->now = wan_clock();
	(void)fputs("ok ", out);
	begin = ftell(out);
	if (c.n > 0)
		why = run(&c);
	if (why) {
		rewind(out);
		(void)fprintf(out, "error %s", why);
	} else if (ftell(out) == begin) {
		(void)fputs("null", out);
	}
	(void)fputc('\n', out);
}
