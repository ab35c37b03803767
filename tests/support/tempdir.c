#include "tests/support/tempdir.h"

#include <assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct tempdir
tempdir_new(void)
{
	struct tempdir t;
	const char *base = getenv("TMPDIR");
	int n = snprintf(t.path, sizeof(t.path), "%s/btchat-test-XXXXXX",
	    base ? base : "/tmp");

	assert(n > 0 && (size_t)n < sizeof(t.path));
	if (!mkdtemp(t.path)) {
		perror(t.path);
		abort();
	}
	return t;
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	(void)at;
	return remove(path);
}

void
tempdir_free(struct tempdir *t)
{
	(void)chmod(t->path, 0700);
	(void)nftw(t->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

const char *
tempdir_file(const struct tempdir *t, const char *name)
{
	static char ring[8][512];
	static unsigned at;
	char *to = ring[at++ % 8];

	(void)snprintf(to, sizeof(ring[0]), "%s/%s", t->path, name);
	return to;
}

void
file_put(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "wbe");

	if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) {
		perror(path);
		abort();
	}
}

uint8_t *
file_get(const char *path, size_t *ret_n)
{
	FILE *f = fopen(path, "rbe");
	struct stat st;
	uint8_t *p;

	if (!f || fstat(fileno(f), &st)) {
		perror(path);
		abort();
	}
	p = malloc((size_t)st.st_size + 1);
	if (!p || fread(p, 1, (size_t)st.st_size, f) != (size_t)st.st_size)
		abort();
	(void)fclose(f);
	*ret_n = (size_t)st.st_size;
	return p;
}
