/*
 * What a long history costs: N messages of about 100 bytes in a store of its
 * own, then the time to open it, to show its newest page, to gather the words
 * of all, and to find some. Prints one line each; passes or fails nothing.
 *
 *   history DIR [N]    DIR is made, and stays
 */
#include "daemon/log.h"
#include "daemon/search.h"
#include "daemon/store.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>

enum {
	CONTACTS = 20,
	WORDS = 50000,
	TURN = 200, /* messages of one commit */
	TEXT = 100,
};

static uint64_t state = 1; /* splitmix64 */

static uint64_t
draw(void)
{
	uint64_t z = state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static double
now_ms(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return 1000.0 * (double)t.tv_sec + (double)t.tv_nsec / 1e6;
}

static void
must(enum err err, const char *what)
{
	if (!err)
		return;
	(void)fprintf(stderr, "%s: %s\n", what, err_name(err));
	exit(1);
}

/* The word of a rank: few are common, most are rare. */
static size_t
word(char *to, uint32_t rank)
{
	size_t n = 0;

	for (uint32_t v = rank * 2654435761u; n < 3 + rank % 6; v /= 26)
		to[n++] = (char)('a' + (v ^ rank) % 26);
	return n;
}

static struct span
make_text(char *buf)
{
	size_t n = 0;

	while (n < TEXT - 10) {
		double u = (double)(draw() >> 11) / 9007199254740992.0;

		n += word(buf + n, (uint32_t)(WORDS * u * u * u * u));
		buf[n++] = ' ';
	}
	return span_of(buf, n);
}

static struct store *
open_store(const char *dir)
{
	static const struct store_key key = { { 7 } };
	char why[STORE_WHY_SIZE];
	struct store *s = NULL;

	if (store_open(dir, &s, why)) {
		(void)fprintf(stderr, "%s\n", why);
		exit(1);
	}
	must(store_set_key(s, &key), "key");
	return s;
}

static void
add(struct store *s, uint64_t i)
{
	char buf[TEXT + 20];
	struct store_message m = { .m = { .kind = MESSAGE_TEXT,
		                       .state = MESSAGE_RECEIVED,
		                       .seq = i + 1,
		                       .sent_ms = 1795000000000 + i } };

	m.m.contact.b[0] = (uint8_t)(draw() % CONTACTS);
	memcpy(m.m.id.b, &i, sizeof(i));
	m.m.id.b[15] = 1;
	m.m.received_ms = m.state_ms = m.m.sent_ms;
	m.m.text = make_text(buf);
	must(store_message_add(s, &m), "add");
}

static void
fill(const char *dir, uint64_t n)
{
	struct store *s = open_store(dir);

	for (uint64_t i = 0; i < n; i++) {
		add(s, i);
		if (i % TURN == TURN - 1)
			must(store_commit(s), "commit");
	}
	must(store_commit(s), "commit");
	store_close(s);
}

static bool
take_message(void *ctx, const struct store_message *m)
{
	(void)m;
	++*(size_t *)ctx;
	return true;
}

static bool
take_hit(void *ctx, const struct search_hit *h)
{
	(void)h;
	++*(size_t *)ctx;
	return true;
}

/* Milliseconds until a page of 50 is full or all was looked at. */
static void
look(struct search *s, const char *what, const char *text)
{
	struct search_query q = { .text = span_str(text), .limit = 50 };
	double start = now_ms(), longest = 0;
	size_t n = 0, calls = 0;

	do {
		double began = now_ms();

		q.limit = 50 - n;
		must(search_run(s, &q, take_hit, &n, &q.before), "search");
		calls++;
		if (now_ms() - began > longest)
			longest = now_ms() - began;
	} while (q.before > 0 && n < 50);
	printf("search, %-28s %8.1f ms, %zu hits, %zu calls, %.1f ms the "
	       "longest\n",
	    what, now_ms() - start, n, calls, longest);
}

static void
searches(struct store *s, const char *when)
{
	struct search *all = search_new(s);
	char rare[16], common[16];
	double start;

	if (!all)
		exit(1);
	rare[word(rare, WORDS - 1)] = '\0';
	common[word(common, 3)] = '\0';
	printf("%s\n", when);
	look(all, "a common word", common);
	start = now_ms();
	while (search_gather(all, 400))
		;
	printf("all words gathered %28.1f ms\n", now_ms() - start);
	look(all, "a common word", common);
	look(all, "the rarest word", rare);
	look(all, "a word that is not there", "zzzzzzzzzz");
	look(all, "two letters of a rare word", (rare[2] = '\0', rare));
	search_free(all);
}

static void
newest_page(struct store *s)
{
	struct store_history h = { .limit = 50 };
	size_t n = 0;
	double start = now_ms();

	must(store_history(s, &h, take_message, &n), "history");
	printf("newest page, %zu messages %22.2f ms\n", n, now_ms() - start);
}

int
main(int argc, char **argv)
{
	uint64_t n = argc > 2 ? strtoull(argv[2], NULL, 10) : 1000000;
	struct rusage use;
	struct store *s;
	double start;

	if (argc < 2 || sodium_init() < 0)
		return 2;
	log_init(LOG_ERR, false);
	if (mkdir(argv[1], 0700) == 0) {
		start = now_ms();
		fill(argv[1], n);
		printf("%llu messages stored, %.0f in a second\n",
		    (unsigned long long)n,
		    1000.0 * (double)n / (now_ms() - start));
	}
	start = now_ms();
	s = open_store(argv[1]);
	printf("opened %40.1f ms\n", now_ms() - start);
	newest_page(s);
	searches(s, "nothing looked at yet:");
	store_close(s);
	(void)getrusage(RUSAGE_SELF, &use);
	printf("memory, at most %27ld MB\n", use.ru_maxrss / 1024);
	return 0;
}
