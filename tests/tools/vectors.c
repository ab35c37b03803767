/* Runs every known-answer file under the given paths: make vectors DIR=path */
#include "tests/support/vectors.h"

#include <sodium.h>
#include <stdio.h>

int
main(int argc, char **argv)
{
	struct vectors v = { 0 };

	if (argc < 2) {
		fprintf(stderr, "usage: vectors PATH...\n");
		return 2;
	}
	if (sodium_init() < 0)
		return 1;
	for (int i = 1; i < argc; i++)
		vectors_run(&v, argv[i]);
	if (v.passed + v.failed == 0)
		vectors_case(&v, false, "no case found");
	vectors_report(&v);
	return v.failed > 0;
}
