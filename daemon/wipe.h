/*
 * What was used and is not wiped where it stood. Texts, names and keys pass
 * through buffers of the heap, ours and those of libraries, and through frames
 * of the stack. So free() and realloc() of this program are its own: what is
 * given back is zeros, by whoever gives it back. Under a sanitizer, which has
 * its own, and with another C library than glibc it is as it was.
 */
#ifndef DAEMON_WIPE_H
#define DAEMON_WIPE_H

#include <stdbool.h>

/* False: free() leaves what was there. */
bool wipe_frees(void);
/* Below the caller's frame, as deep as this program goes. */
void wipe_stack(void);
/* Keeps all memory of this process out of swap, if no limit stands against
 * that. False: only what locks itself (keys at rest) is kept. */
bool wipe_lock_memory(void);

#endif /* DAEMON_WIPE_H */
