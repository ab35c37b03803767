#include "ctl/hook.h"

#include "ctl/report.h"
#include "ctl/value.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* A type is a name of ours; nothing else becomes a path. */
static bool
is_type(const char *type)
{
	return type[0] != '\0' && type[0] != '.' &&
	       strspn(type, "abcdefghijklmnopqrstuvwxyz._") == strlen(type);
}

/* A file of no name that holds the event; -1: there is none. */
static int
event_file(const cJSON *event)
{
	int fd = memfd_create("event", MFD_CLOEXEC);
	FILE *f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;

	if (f == NULL) {
		if (fd >= 0)
			(void)close(fd);
		return -1;
	}
	value_write(f, event);
	(void)fputc('\n', f);
	if (fclose(f) == 0 && lseek(fd, 0, SEEK_SET) == 0)
		return fd;
	(void)close(fd);
	return -1;
}

static _Noreturn void
become(const char *path, const cJSON *event, int fd)
{
	char seq[24];

	(void)snprintf(seq, sizeof(seq), "%" PRIu64, value_u64(event, "seq"));
	(void)setenv("BTCHAT_EVENT", value_str(event, "type"), 1);
	(void)setenv("BTCHAT_SEQ", seq, 1);
	(void)signal(SIGPIPE, SIG_DFL);
	if (dup2(fd, STDIN_FILENO) < 0)
		_exit(126);
	(void)alarm(HOOK_MAX_S);
	(void)execl(path, path, (char *)NULL);
	_exit(127);
}

/* Its wait status; -1: it could not be started. */
static int
run_once(const char *path, const cJSON *event)
{
	int fd = event_file(event);
	int status = -1;
	pid_t pid;

	if (fd < 0)
		return -1;
	(void)fflush(stdout);
	pid = fork();
	if (pid == 0)
		become(path, event, fd);
	(void)close(fd);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		continue;
	return pid > 0 ? status : -1;
}

static bool
wants_again(int status)
{
	return status == -1 ||
	       (WIFEXITED(status) && WEXITSTATUS(status) == HOOK_AGAIN);
}

void
hook_run(const char *directory, const cJSON *event)
{
	const char *type = value_str(event, "type");
	unsigned pause_s = 1;
	char path[4096];
	int n = snprintf(path, sizeof(path), "%s/%s", directory, type);
	int status;

	if (!is_type(type) || n < 0 || (size_t)n >= sizeof(path) ||
	    access(path, X_OK) != 0)
		return;
	while (wants_again(status = run_once(path, event))) {
		report("%s: not now, again in %u s", path, pause_s);
		(void)sleep(pause_s);
		pause_s = pause_s * 2 < HOOK_AGAIN_MAX_S ? pause_s * 2
		                                         : HOOK_AGAIN_MAX_S;
	}
	if (WIFSIGNALED(status))
		report("%s: ended by signal %d", path, WTERMSIG(status));
	else if (WEXITSTATUS(status) != 0)
		report("%s: exit %d", path, WEXITSTATUS(status));
}
