/* The end of a lab that cannot go on. */
#include "tests/net/wan/die.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Noreturn void
die(const char *what)
{
	(void)fprintf(stderr, "wan: %s: %s\n", what, strerror(errno));
	exit(EXIT_FAILURE);
}

void
die_unless(enum err err)
{
	if (err == ERR_OK)
		return;
	errno = 0;
	die(err_name(err));
}

void *
alloc(size_t n)
{
	void *p = calloc(1, n);

	if (!p)
		die("memory");
	return p;
}
