/* pcap files of what passes a node: raw IP, times in nanoseconds. */
#include "tests/net/wan/wan.h"

#include <time.h>

enum { LINK_RAW = 101 };

static void
put(FILE *f, const uint32_t *words, size_t n)
{
	(void)fwrite(words, sizeof(words[0]), n, f);
}

bool
capture_begin(struct wan *w, const char *path, const struct node *n)
{
	const uint32_t head[] = { 0xa1b23c4d, 4U << 16 | 2, 0, 0, 65535,
		LINK_RAW };

	capture_end(w);
	w->capture = fopen(path, "we");
	if (!w->capture)
		return false;
	w->captured = n;
	put(w->capture, head, sizeof(head) / sizeof(head[0]));
	return true;
}

void
capture_end(struct wan *w)
{
	if (w->capture)
		(void)fclose(w->capture);
	w->capture = NULL;
}

void
capture(struct wan *w, const struct node *n, const struct packet *p)
{
	struct timespec ts = { 0 };

	if (!w->capture || w->captured != n)
		return;
	(void)clock_gettime(CLOCK_REALTIME, &ts);
	put(w->capture,
	    (const uint32_t[]){ (uint32_t)ts.tv_sec, (uint32_t)ts.tv_nsec,
	        (uint32_t)p->n, (uint32_t)p->n },
	    4);
	(void)fwrite(p->b, 1, p->n, w->capture);
}
