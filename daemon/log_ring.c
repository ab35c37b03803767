#include "daemon/log_ring.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Line seq stands at seq modulo LOG_RING_MAX. */
struct kept {
	uint64_t seq; /* 0: none, or it was not kept */
	uint64_t at_ms;
	int level;
	char *event; /* owned; text behind it */
};

static struct {
	uint64_t head;
	struct kept line[LOG_RING_MAX];
} ring;

static uint64_t
wall_ms(void)
{
	struct timespec t = { 0 };

	(void)clock_gettime(CLOCK_REALTIME, &t);
	return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
drop(struct kept *k)
{
	free(k->event);
	*k = (struct kept){ .seq = 0 };
}

void
log_ring_add(int level, const char *event, const char *text)
{
	struct kept *k = &ring.line[++ring.head % LOG_RING_MAX];
	size_t n = strlen(event) + 1, text_n = strlen(text) + 1;

	drop(k);
	k->event = malloc(n + text_n);
	if (!k->event)
		return;
	memcpy(k->event, event, n);
	memcpy(k->event + n, text, text_n);
	k->seq = ring.head;
	k->at_ms = wall_ms();
	k->level = level;
}

uint64_t
log_ring_head(void)
{
	return ring.head;
}

static uint64_t
first_behind(uint64_t since)
{
	uint64_t gone = ring.head > LOG_RING_MAX ? ring.head - LOG_RING_MAX : 0;

	return (since > gone ? since : gone) + 1;
}

static const struct kept *
line_of(uint64_t seq, int level)
{
	const struct kept *k = &ring.line[seq % LOG_RING_MAX];

	return k->event && k->seq == seq && k->level <= level ? k : NULL;
}

void
log_ring_each(uint64_t since, int level, size_t newest,
    bool (*row)(void *ctx, const struct log_line *line), void *ctx)
{
	uint64_t first = first_behind(since);
	size_t n = 0;

	for (uint64_t seq = first; seq <= ring.head; seq++)
		n += line_of(seq, level) != NULL;
	for (uint64_t seq = first; seq <= ring.head; seq++) {
		const struct kept *k = line_of(seq, level);
		struct log_line line;

		if (!k || n-- > newest)
			continue;
		line = (struct log_line){ k->seq, k->at_ms, k->level, k->event,
			k->event + strlen(k->event) + 1 };
		if (!row(ctx, &line))
			return;
	}
}

void
log_ring_clear(void)
{
	for (size_t i = 0; i < LOG_RING_MAX; i++)
		drop(&ring.line[i]);
	ring.head = 0;
}
