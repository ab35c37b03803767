#include "tests/torture/memory.h"

#include <errno.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdlib.h>

/* Names that a linker makes up, and C does not let us write. */
void *wrap_malloc(size_t n) __asm__("__wrap_malloc");
void *wrap_calloc(size_t n, size_t size) __asm__("__wrap_calloc");
void *wrap_realloc(void *p, size_t n) __asm__("__wrap_realloc");
char *wrap_strdup(const char *s) __asm__("__wrap_strdup");
void *wrap_sodium_malloc(size_t n) __asm__("__wrap_sodium_malloc");
void *real_malloc(size_t n) __asm__("__real_malloc");
void *real_calloc(size_t n, size_t size) __asm__("__real_calloc");
void *real_realloc(void *p, size_t n) __asm__("__real_realloc");
char *real_strdup(const char *s) __asm__("__real_strdup");
void *real_sodium_malloc(size_t n) __asm__("__real_sodium_malloc");

static struct {
	unsigned calls, fail_at;
	bool for_ever, hit, pause;
	sqlite3_mem_methods sqlite;
} m;

void
memory_fail_at(unsigned n, bool for_ever)
{
	m.calls = 0;
	m.fail_at = n;
	m.for_ever = for_ever;
	m.hit = false;
}

void
memory_pause(bool on)
{
	m.pause = on;
}

unsigned
memory_calls(void)
{
	return m.calls;
}

bool
memory_hit(void)
{
	return m.hit;
}

static bool
fails(void)
{
	if (m.pause)
		return false;
	m.calls++;
	if (m.fail_at == 0 || m.calls < m.fail_at ||
	    (m.calls > m.fail_at && !m.for_ever))
		return false;
	m.hit = true;
	errno = ENOMEM;
	return true;
}

void *
wrap_malloc(size_t n)
{
	return fails() ? NULL : real_malloc(n);
}

void *
wrap_calloc(size_t n, size_t size)
{
	return fails() ? NULL : real_calloc(n, size);
}

void *
wrap_realloc(void *p, size_t n)
{
	return fails() ? NULL : real_realloc(p, n);
}

char *
wrap_strdup(const char *s)
{
	return fails() ? NULL : real_strdup(s);
}

void *
wrap_sodium_malloc(size_t n)
{
	return fails() ? NULL : real_sodium_malloc(n);
}

static void *
sqlite_malloc(int n)
{
	return fails() ? NULL : m.sqlite.xMalloc(n);
}

static void *
sqlite_realloc(void *p, int n)
{
	return fails() ? NULL : m.sqlite.xRealloc(p, n);
}

void
memory_begin(void)
{
	sqlite3_mem_methods ours;

	if (sodium_init() < 0 ||
	    sqlite3_config(SQLITE_CONFIG_GETMALLOC, &m.sqlite))
		abort();
	ours = m.sqlite;
	ours.xMalloc = sqlite_malloc;
	ours.xRealloc = sqlite_realloc;
	/* Without room set aside each allocation is one that may fail. */
	if (sqlite3_config(SQLITE_CONFIG_MALLOC, &ours) ||
	    sqlite3_config(SQLITE_CONFIG_LOOKASIDE, 0, 0))
		abort();
}
