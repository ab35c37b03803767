#include "daemon/wipe.h"

#include "daemon/sanitizer.h"

#include <linux/capability.h>
#include <malloc.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#if defined(__GLIBC__) && !defined(UNDER_SANITIZER)
#define WIPING
#endif

enum { STACK_BYTES = 512 * 1024 }; /* no frame is larger than 16 KiB */

void
wipe_stack(void)
{
	sodium_stackzero(STACK_BYTES);
}

/* Or may this process pass it? */
static bool
is_unlimited(void)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = { 0 };
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 &&
	    limit.rlim_cur == RLIM_INFINITY)
		return true;
	return syscall(SYS_capget, &head, data) == 0 &&
	       data[0].effective & 1U << CAP_IPC_LOCK;
}

bool
wipe_lock_memory(void)
{
	/* With a limit the next large allocation would fail instead, that of
	 * a passphrase (256 MiB) for one. */
	return is_unlimited() &&
	       mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) == 0;
}

#ifdef WIPING

bool
wipe_frees(void)
{
	return true;
}

/* glibc's own, under the name that it exports for this. */
void libc_free(void *p) __asm__("__libc_free");

/* glibc takes what a program defines in the place of its own, for libraries,
 * too. [glibc manual: Replacing malloc] */
void
free(void *ptr)
{
	if (!ptr)
		return;
	explicit_bzero(ptr, malloc_usable_size(ptr));
	libc_free(ptr);
}

/* Moves by copying, so that the old place is wiped; shrinks in place. */
void *
realloc(void *ptr, size_t size)
{
	size_t have = ptr ? malloc_usable_size(ptr) : 0;
	void *p;

	if (ptr && size == 0) {
		free(ptr);
		return NULL;
	}
	if (ptr && size <= have && size >= have / 2) {
		explicit_bzero((uint8_t *)ptr + size, have - size);
		return ptr;
	}
	p = malloc(size);
	if (p && ptr) {
		memcpy(p, ptr, have < size ? have : size);
		free(ptr);
	}
	return p;
}

#else

bool
wipe_frees(void)
{
	return false;
}

#endif
