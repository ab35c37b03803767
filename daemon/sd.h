/* The only file that talks to libsystemd. Everything is a no-op where there
 * is no service manager. */
#ifndef DAEMON_SD_H
#define DAEMON_SD_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { SD_FDS_MAX = 16, SD_NAME_MAX = 63 };

/* Inherited descriptors; close-on-exec is set, the environment is cleared. */
struct sd_fds {
	size_t n;
	struct sd_fd {
		int fd; /* owned by whoever takes it (sets it to -1) */
		char name[SD_NAME_MAX + 1]; /* whole FileDescriptorName */
	} fd[SD_FDS_MAX];
};

/* Closes what does not fit. ERR_IO: LISTEN_FDS is there but not usable. */
MUST_USE enum err sd_take_fds(struct sd_fds *ret);
/* The next descriptor called name, or -1; it is the caller's then. */
int sd_fd_named(struct sd_fds *fds, const char *name);
/* Closes those that nobody took, with a log line each. */
void sd_close_rest(struct sd_fds *fds);

bool sd_has_manager(void); /* somebody reads what sd_status says */
void sd_ready(void);
void sd_reloading(void);
void sd_stopping(void);
void sd_status(const char *text); /* one line for people */
void sd_watchdog(void);
void sd_failed(int errnum);
uint64_t sd_watchdog_ms(void); /* how often to call it; 0 = never */

/* Reads $CREDENTIALS_DIRECTORY/name into buf. ERR_NOT_FOUND, ERR_TOO_LONG,
 * ERR_IO. The caller wipes buf. */
MUST_USE enum err
sd_credential(const char *name, void *buf, size_t cap, size_t *ret_n);

#endif /* DAEMON_SD_H */
