/*
 * What a put and a get cost in a DHT of N nodes: real nodes on virtual time,
 * with churn, loss, NATs and dead nodes, as in tests/sim/dht/.
 *
 *   dhtscale [-s SEED] [-m MINUTES] [-r READS] N...     ascending
 *
 * One row for each N; hops are the answers that led from the own table to a
 * node, packets and bytes count both directions, times are virtual.
 */
#include "tests/sim/dht/world.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

enum {
	MINUTES = 20,
	MINUTES_MANY = 4, /* MANY nodes and more: the join alone is long */
	MANY = 50000,
	READS = 2000,
};

struct options {
	uint64_t seed, minutes; /* 0: by N */
	uint32_t reads;
};

static double
part(uint64_t sum, uint64_t n)
{
	return n ? (double)sum / (double)n : 0;
}

static void
print_heads(void)
{
	printf("%7s | %7s %5s %5s %6s %6s %7s %11s %11s | %6s %5s %6s %6s "
	       "%7s %11s | %6s %6s\n",
	    "", "get", "hops", "hops", "", "", "", "value", "end", "put", "",
	    "", "", "", "end", "", "");
	printf("%7s | %7s %5s %5s %6s %6s %7s %11s %11s | %6s %5s %6s %6s "
	       "%7s %11s | %6s %6s\n",
	    "nodes", "found %", "value", "all", "asked", "pkts", "bytes",
	    "ms 50/99 %", "ms 50/99 %", "copies", "hops", "asked", "pkts",
	    "bytes", "ms 50/99 %", "CPU s", "RSS MB");
}

static void
print_row(uint32_t n, struct world_figures *f, double cpu_s)
{
	struct world_sum *g = &f->get, *p = &f->put;
	struct rusage usage;
	char value[32], end[32], put[32];

	(void)getrusage(RUSAGE_SELF, &usage);
	(void)snprintf(value, sizeof(value), "%u/%u",
	    world_quantile(g->value_ms, g->good, 500),
	    world_quantile(g->value_ms, g->good, 990));
	(void)snprintf(end, sizeof(end), "%u/%u",
	    world_quantile(g->ms, g->n, 500), world_quantile(g->ms, g->n, 990));
	(void)snprintf(put, sizeof(put), "%u/%u",
	    world_quantile(p->ms, p->n, 500), world_quantile(p->ms, p->n, 990));
	printf("%7u | %7.2f %5.1f %5.1f %6.1f %6.1f %7.0f %11s %11s | %6.1f "
	       "%5.1f %6.1f %6.1f %7.0f %11s | %6.0f %6ld\n",
	    n, 100 * part(g->good, g->n), part(g->hops_value, g->good),
	    part(g->hops, g->n), part(g->asked, g->n), part(g->packets, g->n),
	    part(g->bytes, g->n), value, end, part(p->copies, p->n),
	    part(p->hops, p->n), part(p->asked, p->n), part(p->packets, p->n),
	    part(p->bytes, p->n), put, cpu_s, usage.ru_maxrss / 1024);
	if (f->why[0])
		printf("%7u | broken: %s\n", n, f->why);
	(void)fflush(stdout);
}

static void
run(uint32_t n, const struct options *o)
{
	struct world_config cfg;
	struct world_figures f;
	uint64_t minutes = n >= MANY ? MINUTES_MANY : MINUTES;
	clock_t began = clock();

	world_defaults(&cfg, o->seed, n);
	cfg.measure_ms = (o->minutes ? o->minutes : minutes) * 60 * 1000;
	cfg.n_reads = o->reads;
	world_run(&cfg, &f);
	print_row(n, &f, (double)(clock() - began) / CLOCKS_PER_SEC);
	world_figures_clear(&f);
}

int
main(int argc, char **argv)
{
	struct options o = { .seed = 1, .reads = READS };
	int c;

	while ((c = getopt(argc, argv, "s:m:r:")) != -1) {
		if (c == 's')
			o.seed = strtoull(optarg, NULL, 10);
		else if (c == 'm')
			o.minutes = strtoull(optarg, NULL, 10);
		else if (c == 'r')
			o.reads = (uint32_t)strtoul(optarg, NULL, 10);
		else
			return 2;
	}
	if (optind == argc || sodium_init() < 0)
		return 2;
	print_heads();
	for (int i = optind; i < argc; i++) {
		uint32_t n = (uint32_t)strtoul(argv[i], NULL, 10);

		if (n < 2 * WORLD_FIRST)
			return 2;
		run(n, &o);
	}
	return 0;
}
