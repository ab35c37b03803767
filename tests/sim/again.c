#include "tests/sim/again.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *program_name;
static char command[512];

/* An assertion of the core failed: say which seed it was. */
static void
on_abort(int number)
{
	ssize_t n = write(STDERR_FILENO, command, strlen(command));

	(void)number;
	(void)n;
}

void
again_begin(const char *program)
{
	program_name = program;
	signal(SIGABRT, on_abort);
}

const char *
again_program(void)
{
	return program_name;
}

void
again_set(const char *format, ...)
{
	char words[256];
	va_list ap;

	va_start(ap, format);
	(void)vsnprintf(words, sizeof(words), format, ap);
	va_end(ap);
	(void)snprintf(
	    command, sizeof(command), "  %s %s\n", words, program_name);
}

const char *
again_command(void)
{
	return command;
}

uint64_t
again_number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 10) : otherwise;
}
