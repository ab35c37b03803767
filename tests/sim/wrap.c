/* Allocations that may fail; the linker puts them in the place of malloc,
 * calloc and realloc. */
#include "tests/sim/memory.h"

#include <stddef.h>

void *real_malloc(size_t n) __asm__("__real_malloc");
void *real_calloc(size_t n, size_t size) __asm__("__real_calloc");
void *real_realloc(void *p, size_t n) __asm__("__real_realloc");
void *wrap_malloc(size_t n) __asm__("__wrap_malloc");
void *wrap_calloc(size_t n, size_t size) __asm__("__wrap_calloc");
void *wrap_realloc(void *p, size_t n) __asm__("__wrap_realloc");

void *
wrap_malloc(size_t n)
{
	return memory_fails() ? NULL : real_malloc(n);
}

void *
wrap_calloc(size_t n, size_t size)
{
	return memory_fails() ? NULL : real_calloc(n, size);
}

void *
wrap_realloc(void *p, size_t n)
{
	return memory_fails() ? NULL : real_realloc(p, n);
}
