#include "tests/support/kernel.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>

bool
kernel_filters_calls(void)
{
#if defined(__x86_64__) || defined(__aarch64__) || defined(__riscv) || \
    defined(__powerpc64__)
	/* A filter that is none is looked at only where there are filters. */
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) == -1 &&
	       errno == EFAULT;
#else
	return false;
#endif
}
