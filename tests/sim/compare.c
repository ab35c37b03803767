#include "tests/sim/compare.h"

#include <assert.h>
#include <glob.h>
#include <sodium.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

enum { TEXT_MAX = 2048 };

static void
mix_file(crypto_generichash_state *h, const char *path)
{
	uint8_t buf[4096];
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		return;
	while ((n = fread(buf, 1, sizeof(buf), f)) > 0)
		crypto_generichash_update(h, buf, n);
	fclose(f);
}

/* What was compiled: digests of other sources are not compared. */
static void
sources(char ret[33])
{
	static const char *const where[] = { "proto/*.[ch]", "proto/*/*.[ch]",
		"tests/sim/*.[ch]", "tests/sim/*/*.[ch]" };
	crypto_generichash_state h;
	uint8_t hash[16];

	crypto_generichash_init(&h, NULL, 0, sizeof(hash));
	for (size_t i = 0; i < sizeof(where) / sizeof(where[0]); i++) {
		glob_t found;

		if (glob(where[i], 0, NULL, &found) == 0)
			for (size_t k = 0; k < found.gl_pathc; k++)
				mix_file(&h, found.gl_pathv[k]);
		globfree(&found);
	}
	crypto_generichash_final(&h, hash, sizeof(hash));
	sodium_bin2hex(ret, 33, hash, sizeof(hash));
}

static bool
read_text(const char *path, char *ret, size_t size)
{
	FILE *f = fopen(path, "rb");
	size_t n;

	if (!f)
		return false;
	n = fread(ret, 1, size - 1, f);
	ret[n] = '\0';
	fclose(f);
	return true;
}

/* Another build's text, if it is of the same sources: the first line. */
static bool
is_same(const char *path, const char *ours)
{
	size_t head = strcspn(ours, "\n");
	char theirs[TEXT_MAX];

	if (!read_text(path, theirs, sizeof(theirs)) ||
	    strncmp(ours, theirs, head) != 0)
		return true;
	printf("compared with %s\n", path);
	if (strcmp(ours, theirs) == 0)
		return true;
	printf("ours:\n%stheirs:\n%s", ours, theirs);
	return false;
}

bool
compare_keep(const char *program, const char *text)
{
	const char *name = strrchr(program, '/');
	char ours[TEXT_MAX], hash[33], path[512];
	bool same = true;
	FILE *f;
	glob_t found;

	sources(hash);
	(void)snprintf(ours, sizeof(ours), "%s\n%s", hash, text);
	(void)snprintf(path, sizeof(path), "%s.digest", program);
	f = fopen(path, "wb");
	assert(f);
	(void)fputs(ours, f);
	(void)fclose(f);
	(void)snprintf(path, sizeof(path), "build/*/tests/sim/%s.digest",
	    name ? name + 1 : program);
	if (glob(path, 0, NULL, &found) == 0)
		for (size_t i = 0; i < found.gl_pathc; i++)
			same &= is_same(found.gl_pathv[i], ours);
	globfree(&found);
	return same;
}
