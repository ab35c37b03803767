/* What is given back, to the heap or the stack, is zeros: seen as another
 * process would see it, for the compiler knows that it is gone. */
#include "daemon/wipe.h"

#include <fcntl.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static const char secret[] = "a secret of thirty-two bytes ..";

static size_t
count_at(uintptr_t at, size_t n)
{
	char buf[4096];
	int fd = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
	size_t found = 0;

	assert_true(fd >= 0 && n <= sizeof(buf));
	assert_int_equal(pread(fd, buf, n, (off_t)at), n);
	(void)close(fd);
	/* Its first bytes, the allocator writes over. */
	for (size_t i = 0; i + 8 <= n; i++)
		found += memcmp(buf + i, secret + 20, 8) == 0;
	explicit_bzero(buf, sizeof(buf));
	return found;
}

static void
freed_memory_is_zeros(void **state)
{
	uintptr_t at;
	char *p;

	(void)state;
	if (!wipe_frees())
		skip();
	p = malloc(sizeof(secret));
	memcpy(p, secret, sizeof(secret));
	at = (uintptr_t)p;
	assert_int_equal(count_at(at, sizeof(secret)), 1);
	free(p);
	assert_int_equal(count_at(at, sizeof(secret)), 0);
}

static void
a_block_that_moves_leaves_zeros(void **state)
{
	uintptr_t at;
	char *p, *q;

	(void)state;
	if (!wipe_frees())
		skip();
	p = malloc(sizeof(secret));
	memcpy(p, secret, sizeof(secret));
	at = (uintptr_t)p;
	q = realloc(p, 4000);
	assert_non_null(q);
	assert_memory_equal(q, secret, sizeof(secret));
	assert_int_not_equal((uintptr_t)q, at);
	assert_int_equal(count_at(at, sizeof(secret)), 0);
	memcpy(q + 3000, secret, sizeof(secret));
	at = (uintptr_t)q;
	p = realloc(q, 2500); /* stays where it is */
	assert_memory_equal(p, secret, sizeof(secret));
	assert_int_equal(count_at(at, 4000), 1);
	q = realloc(p, 8);
	assert_memory_equal(q, secret, 8);
	free(q);
	free(NULL);
}

static void __attribute__((noinline)) leave_on_the_stack(uintptr_t *ret_at)
{
	volatile char deep[8192];

	for (size_t i = 0; i < sizeof(secret); i++)
		deep[i] = secret[i];
	*ret_at = (uintptr_t)deep;
}

static void
the_stack_below_is_zeros(void **state)
{
	void (*volatile leave)(uintptr_t *) = leave_on_the_stack;
	uintptr_t at;

	(void)state;
	if (!wipe_frees()) /* a sanitizer keeps such frames elsewhere */
		skip();
	leave(&at);
	assert_int_equal(count_at(at, sizeof(secret)), 1);
	wipe_stack();
	assert_int_equal(count_at(at, sizeof(secret)), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(freed_memory_is_zeros),
		cmocka_unit_test(a_block_that_moves_leaves_zeros),
		cmocka_unit_test(the_stack_below_is_zeros),
	};

	if (sodium_init() < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
