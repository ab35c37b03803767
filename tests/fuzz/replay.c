/*
 * Runs a fuzz target over files and folders of inputs, with any compiler:
 * each input whole, then every prefix of it up to 4096 bytes. The last line
 * counts the inputs; the one that crashes is the last that was named.
 */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { INPUT_MAX = 1024 * 1024, PREFIX_MAX = 4096 };

/* A copy of exactly n bytes, so that a sanitizer sees a step too far. */
static void
run_one(const uint8_t *data, size_t n)
{
	uint8_t *copy = malloc(n > 0 ? n : 1);

	if (copy == NULL)
		abort();
	if (n > 0)
		memcpy(copy, data, n);
	(void)LLVMFuzzerTestOneInput(copy, n);
	free(copy);
}

static bool
run_file(const char *path)
{
	uint8_t *data = malloc(INPUT_MAX);
	FILE *f = fopen(path, "rb");
	bool ok = data != NULL && f != NULL;

	if (ok) {
		size_t n = fread(data, 1, INPUT_MAX, f);

		printf("%s\n", path);
		fflush(stdout);
		run_one(data, n);
		for (size_t i = 0; i < n && i <= PREFIX_MAX; i++)
			run_one(data, i);
	}
	if (f != NULL)
		(void)fclose(f);
	free(data);
	return ok;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* Adds to *n what was run; false if something could not be read. */
static bool
run_folder(const char *path, unsigned *n)
{
	struct dirent **names = NULL;
	int count = scandir(path, &names, NULL, by_name);
	bool ok = count >= 0;

	for (int i = 0; i < count; i++) {
		if (names[i]->d_name[0] != '.') {
			char file[PATH_MAX];

			(void)snprintf(file, sizeof(file), "%s/%s", path,
			    names[i]->d_name);
			ok = run_file(file) && ok;
			*n += 1;
		}
		free(names[i]);
	}
	free(names);
	return ok;
}

int
main(int argc, char **argv)
{
	unsigned n = 0;
	bool ok = argc > 1;

	for (int i = 1; i < argc; i++) {
		struct stat st;

		if (stat(argv[i], &st) != 0) {
			ok = false;
		} else if (S_ISDIR(st.st_mode)) {
			ok = run_folder(argv[i], &n) && ok;
		} else {
			ok = run_file(argv[i]) && ok;
			n++;
		}
		if (!ok)
			fprintf(stderr, "cannot read %s\n", argv[i]);
	}
	printf("replayed %u inputs\n", n);
	return ok && n > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
