/* The pager. */
#include "ctl/pager.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static pid_t pager_pid; /* 0: none */

/* What to run; NULL: nothing. */
static const char *
pager_command(void)
{
	const char *own = getenv("BTCHATCTL_PAGER");
	const char *common = getenv("PAGER");
	const char *term = getenv("TERM");

	if (own == NULL)
		own = common;
	if (term == NULL || strcmp(term, "dumb") == 0)
		return NULL;
	if (own == NULL)
		return "command -v less >/dev/null || exec cat; "
		       "exec less -FRX";
	return own[0] == '\0' || strcmp(own, "cat") == 0 ? NULL : own;
}

static _Noreturn void
become_pager(const char *command, const int ends[2])
{
	(void)dup2(ends[0], STDIN_FILENO);
	(void)close(ends[0]);
	(void)close(ends[1]);
	(void)execl("/bin/sh", "sh", "-c", command, (char *)NULL);
	_exit(127);
}

void
pager_begin(const struct ctl *ctl)
{
	const char *command = pager_command();
	int ends[2];

	assert(pager_pid == 0);
	if (ctl->mode != MODE_HUMAN || command == NULL ||
	    !isatty(STDOUT_FILENO) || pipe(ends) != 0)
		return;
	(void)fflush(stdout);
	pager_pid = fork();
	if (pager_pid == 0)
		become_pager(command, ends);
	if (pager_pid > 0) {
		(void)dup2(ends[1], STDOUT_FILENO);
		/* Ctrl-C is the pager's business now, and a reader who has
		 * seen enough may leave. */
		(void)signal(SIGINT, SIG_IGN);
		(void)signal(SIGPIPE, SIG_IGN);
	} else {
		pager_pid = 0;
	}
	(void)close(ends[0]);
	(void)close(ends[1]);
}

void
pager_end(void)
{
	if (pager_pid <= 0)
		return;
	/* A reader who left early is no failure. */
	(void)fflush(stdout);
	clearerr(stdout);
	(void)dup2(STDERR_FILENO, STDOUT_FILENO);
	while (waitpid(pager_pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	pager_pid = 0;
}
