/* What the kernel here can do, for tests that else would skip whenever our own
 * code fails. */
#ifndef TESTS_SUPPORT_KERNEL_H
#define TESTS_SUPPORT_KERNEL_H

#include <stdbool.h>

/* System calls can be filtered, on a machine that daemon/sandbox.c knows. */
bool kernel_filters_calls(void);

#endif /* TESTS_SUPPORT_KERNEL_H */
