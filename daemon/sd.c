#include "daemon/sd.h"

#include "daemon/file.h"
#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <systemd/sd-daemon.h>
#include <time.h>
#include <unistd.h>

static void
free_names(char **names, int n)
{
	for (int i = 0; names && i < n; i++)
		free(names[i]);
	free(names);
}

enum err
sd_take_fds(struct sd_fds *ret)
{
	char **names = NULL;
	int n = sd_listen_fds_with_names(1, &names);

	memset(ret, 0, sizeof(*ret));
	if (n < 0) {
		log_event(LOG_ERR, "listen-fds", "err=%s", strerror(-n));
		return ERR_IO;
	}
	for (int i = 0; i < n; i++) {
		int fd = SD_LISTEN_FDS_START + i;
		const char *name = names ? names[i] : "unknown";
		struct sd_fd *to = &ret->fd[ret->n];

		if (ret->n == SD_FDS_MAX || strlen(name) > SD_NAME_MAX) {
			log_event(LOG_WARNING, "listen-fd-closed", "fd=%d", fd);
			(void)close(fd);
			continue;
		}
		to->fd = fd;
		memcpy(to->name, name, strlen(name) + 1);
		ret->n++;
	}
	free_names(names, n);
	return ERR_OK;
}

int
sd_fd_named(struct sd_fds *fds, const char *name)
{
	for (size_t i = 0; i < fds->n; i++) {
		int fd = fds->fd[i].fd;

		if (fd >= 0 && strcmp(fds->fd[i].name, name) == 0) {
			fds->fd[i].fd = -1;
			return fd;
		}
	}
	return -1;
}

void
sd_close_rest(struct sd_fds *fds)
{
	for (size_t i = 0; i < fds->n; i++) {
		if (fds->fd[i].fd < 0)
			continue;
		log_event(LOG_WARNING, "listen-fd-closed",
		    "fd=%d name=%s: no such socket is known", fds->fd[i].fd,
		    fds->fd[i].name);
		(void)close(fds->fd[i].fd);
		fds->fd[i].fd = -1;
	}
}

/* Where the service manager listens; false: nowhere. */
static bool
notify_address(struct sockaddr_un *to, socklen_t *n)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	if (len < 2 || len >= sizeof(to->sun_path) ||
	    (path[0] != '/' && path[0] != '@'))
		return false;
	*to = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(to->sun_path, path, len);
	if (path[0] == '@')
		to->sun_path[0] = '\0';
	*n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
	return true;
}

/* Like sd_notify(3), but never waits: a manager that does not read must not
 * stop the loop. What is lost is a status line or a sign of life. */
static void
notify_soon(const char *text)
{
	struct sockaddr_un to;
	socklen_t n;
	int fd;

	if (!notify_address(&to, &n))
		return;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	(void)sendto(fd, text, strlen(text), MSG_NOSIGNAL,
	    (const struct sockaddr *)&to, n);
	(void)close(fd);
}

/* A broken NOTIFY_SOCKET is the service manager's trouble: say so once. */
static void
notify(const char *text)
{
	static bool said;
	int r = sd_notify(0, text);

	if (r < 0 && !said) {
		said = true;
		log_event(LOG_WARNING, "notify-failed", "err=%s", strerror(-r));
	}
}

bool
sd_has_manager(void)
{
	return getenv("NOTIFY_SOCKET") != NULL;
}

void
sd_ready(void)
{
	notify("READY=1");
}

void
sd_reloading(void)
{
	char text[80];
	struct timespec ts = { 0 };

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	(void)snprintf(text, sizeof(text), "RELOADING=1\nMONOTONIC_USEC=%llu",
	    (unsigned long long)ts.tv_sec * 1000000 +
	        (unsigned long long)ts.tv_nsec / 1000);
	notify_soon(text);
}

void
sd_stopping(void)
{
	notify_soon("STOPPING=1");
}

void
sd_status(const char *text)
{
	char line[256];

	(void)snprintf(line, sizeof(line), "STATUS=%s", text);
	notify_soon(line);
}

void
sd_watchdog(void)
{
	notify_soon("WATCHDOG=1");
}

void
sd_failed(int errnum)
{
	char line[32];

	(void)snprintf(line, sizeof(line), "ERRNO=%d", errnum);
	notify_soon(line);
}

uint64_t
sd_watchdog_ms(void)
{
	uint64_t usec = 0;

	if (sd_watchdog_enabled(0, &usec) <= 0)
		return 0;
	return usec / 3000; /* a third of the interval */
}

enum err
sd_credential(const char *name, void *buf, size_t cap, size_t *ret_n)
{
	const char *dir = getenv("CREDENTIALS_DIRECTORY");
	char path[4096];
	enum err err;
	int fd;
	int n;

	if (!dir || dir[0] != '/')
		return ERR_NOT_FOUND;
	n = snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (n < 0 || (size_t)n >= sizeof(path))
		return ERR_TOO_LONG;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
	err = file_read(fd, FILE_HERE, buf, cap, ret_n);
	(void)close(fd);
	return !err && *ret_n == cap ? ERR_TOO_LONG : err;
}
