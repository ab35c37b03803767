/* Figures: what a run printed. */
#include "tests/sim/dht/world.h"

#include <assert.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static int
compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

uint32_t
world_quantile(uint32_t *ms, uint64_t n, uint32_t p)
{
	uint64_t at;

	assert(p <= 1000);
	if (n == 0)
		return 0;
	qsort(ms, n, sizeof(*ms), compare);
	at = n * p / 1000;
	return ms[at < n ? at : n - 1];
}

static void
sum_clear(struct world_sum *sum)
{
	free(sum->ms);
	free(sum->value_ms);
	sum->ms = sum->value_ms = NULL;
}

void
world_figures_clear(struct world_figures *f)
{
	sum_clear(&f->get);
	sum_clear(&f->put);
	sum_clear(&f->aimed);
}

static double
mean(uint64_t sum, uint64_t n)
{
	return n ? (double)sum / (double)n : 0;
}

static void
print_gets(const char *name, const struct world_sum *g)
{
	if (g->n == 0)
		return;
	printf("  %s: %llu of %llu read the newest (%.2f %%), %llu stale, "
	       "%llu nothing; %.1f hops to it, %.1f asked, %.1f packets, "
	       "%.0f bytes; %u/%u ms to the value, %u/%u ms in all "
	       "(median/p99)\n",
	    name, (unsigned long long)g->good, (unsigned long long)g->n,
	    100 * mean(g->good, g->n), (unsigned long long)g->stale,
	    (unsigned long long)g->missed, mean(g->hops_value, g->n),
	    mean(g->asked, g->n), mean(g->packets, g->n), mean(g->bytes, g->n),
	    world_quantile(g->value_ms, g->good, 500),
	    world_quantile(g->value_ms, g->good, 990),
	    world_quantile(g->ms, g->n, 500), world_quantile(g->ms, g->n, 990));
}

static void
print_puts(const struct world_sum *p)
{
	printf("  puts: %llu of %llu, %.1f copies; %.1f hops, %.1f asked, "
	       "%.1f packets, %.0f bytes; %u/%u ms\n",
	    (unsigned long long)p->good, (unsigned long long)p->n,
	    mean(p->copies, p->n), mean(p->hops, p->n), mean(p->asked, p->n),
	    mean(p->packets, p->n), mean(p->bytes, p->n),
	    world_quantile(p->ms, p->n, 500), world_quantile(p->ms, p->n, 990));
}

void
world_figures_print(
    const struct world_config *cfg, const struct world_figures *f)
{
	char hex[17];

	sodium_bin2hex(hex, sizeof(hex), f->digest, sizeof(f->digest));
	printf("%u nodes, seed %llu, against %s: %.1f h virtual, %llu joins, "
	       "%llu packets, digest %s\n",
	    cfg->n_nodes, (unsigned long long)cfg->seed,
	    world_attack_name(cfg->attack), (double)f->virtual_ms / 3600000,
	    (unsigned long long)f->n_joins, (unsigned long long)f->n_packets,
	    hex);
	printf("  tables: %.1f nodes, %.1f %% dead, %.1f %% hostile; "
	       "%.1f %% of packets went nowhere, %.1f %% stopped by a NAT\n",
	    mean(f->entries, cfg->n_nodes),
	    100 * mean(f->entries_dead, f->entries),
	    100 * mean(f->entries_hostile, f->entries),
	    100 * mean(f->n_nowhere, f->n_packets),
	    100 * mean(f->n_filtered, f->n_packets));
	print_puts(&f->put);
	print_gets("gets", &f->get);
	print_gets("gets of the cell under attack", &f->aimed);
	if (f->attack_out)
		printf("  reflected: %llu bytes for %llu, factor %.2f\n",
		    (unsigned long long)f->attack_out,
		    (unsigned long long)f->attack_in,
		    mean(f->attack_out, f->attack_in));
	if (f->replays)
		printf("  replays: %llu, taken %llu\n",
		    (unsigned long long)f->replays,
		    (unsigned long long)f->replays_taken);
	if (f->why[0])
		printf("  BROKEN: %s\n", f->why);
}
