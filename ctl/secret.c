/* Passphrases and questions. */
#include "ctl/secret.h"

#include "ctl/escape.h"
#include "ctl/report.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

/* How the terminal was before echo went off; for the signal handler too. */
static struct termios saved_terminal;
static volatile sig_atomic_t echo_is_off;

void
secret_restore_terminal(void)
{
	if (echo_is_off)
		(void)tcsetattr(STDIN_FILENO, TCSANOW, &saved_terminal);
	echo_is_off = 0;
}

static void
turn_echo_off(void)
{
	struct termios quiet;

	if (tcgetattr(STDIN_FILENO, &saved_terminal) != 0)
		return;
	quiet = saved_terminal;
	quiet.c_lflag &= ~(tcflag_t)(ECHO | ECHOE | ECHOK | ECHONL);
	echo_is_off = 1;
	(void)tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
}

/*
 * The first line of fd, one byte at a time so that nothing of what follows
 * is swallowed. ERR_TOO_LONG, ERR_NOT_FOUND (no line at all), ERR_MALFORMED
 * (a NUL byte), ERR_IO.
 */
static enum err
read_line(int fd, char ret[SECRET_MAX + 1])
{
	size_t n = 0;
	char c = 0;

	for (;;) {
		ssize_t got = read(fd, &c, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return ERR_IO;
		if (got == 0 && n == 0)
			return ERR_NOT_FOUND;
		if (got == 0 || c == '\n')
			break;
		if (c == '\0')
			return ERR_MALFORMED;
		if (n == SECRET_MAX)
			return ERR_TOO_LONG;
		ret[n++] = c;
	}
	ret[n] = '\0';
	return ERR_OK;
}

static int
from_fd(int fd, const char *name, struct secret *ret)
{
	enum err err = read_line(fd, ret->text);

	if (err == ERR_OK && ret->text[0] == '\0')
		err = ERR_NOT_FOUND;
	if (err == ERR_OK) {
		ret->given = true;
		return CTL_DONE;
	}
	report("no passphrase in %s: %s", name,
	    err == ERR_IO          ? strerror(errno)
	    : err == ERR_TOO_LONG  ? "its first line is too long"
	    : err == ERR_MALFORMED ? "a NUL byte"
	                           : "it is empty");
	return CTL_FAILED;
}

static int
from_file(const char *path, struct secret *ret)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int status = CTL_FAILED;

	if (fd < 0) {
		report("cannot open %s: %s", path, strerror(errno));
		return CTL_FAILED;
	}
	status = from_fd(fd, path, ret);
	(void)close(fd);
	return status;
}

static int
ask(const char *prompt, struct secret *ret)
{
	enum err err = ERR_OK;

	(void)fprintf(stderr, "%s: ", prompt);
	(void)fflush(stderr);
	err = read_line(STDIN_FILENO, ret->text);
	(void)fputc('\n', stderr);
	if (err != ERR_OK) {
		report("no passphrase was typed");
		return CTL_FAILED;
	}
	ret->given = true;
	return CTL_DONE;
}

static int
ask_twice(const char *prompt, struct secret *ret)
{
	struct secret again = { 0 };
	int status = ask(prompt, ret);

	if (status == CTL_DONE && ret->text[0] != '\0')
		status = ask("Again", &again);
	if (status == CTL_DONE && again.given &&
	    strcmp(again.text, ret->text) != 0) {
		report("the two are not the same");
		status = CTL_FAILED;
	}
	secret_wipe(&again);
	return status;
}

static const char *
option_value(const struct ctl *ctl, const char *option, const char *suffix)
{
	char name[32];

	(void)snprintf(name, sizeof(name), "%s-%s", option, suffix);
	return args_value(&ctl->args, name);
}

int
secret_get(
    const struct ctl *ctl, const char *prompt, bool confirm, struct secret *ret)
{
	return secret_get_as(ctl, "passphrase", prompt, confirm, ret);
}

int
secret_get_as(const struct ctl *ctl, const char *option, const char *prompt,
    bool confirm, struct secret *ret)
{
	const char *fd = option_value(ctl, option, "fd");
	const char *file = option_value(ctl, option, "file");
	uint64_t n = 0;

	*ret = (struct secret){ 0 };
	if (fd != NULL && file != NULL)
		return report_usage(
		    "--%s-fd and --%s-file: choose one", option, option);
	if (fd != NULL && args_number(fd, 65535, &n) != ERR_OK)
		return report_usage("--%s-fd is a number", option);
	if (fd != NULL)
		return from_fd((int)n, "that descriptor", ret);
	if (file != NULL)
		return from_file(file, ret);
	if (!ctl_may_prompt(ctl))
		return CTL_DONE;
	/* Before the first question and until after the last: some people
	 * type ahead. */
	turn_echo_off();
	int status = confirm ? ask_twice(prompt, ret) : ask(prompt, ret);

	secret_restore_terminal();
	return status;
}

void
secret_wipe(struct secret *s)
{
	explicit_bzero(s, sizeof(*s));
}

bool
secret_agree(const struct ctl *ctl, const char *question)
{
	char answer[SECRET_MAX + 1] = "";

	if (ctl->yes)
		return true;
	if (!ctl_may_prompt(ctl)) {
		report("say --yes to do it without being asked");
		return false;
	}
	char *safe = escape_terminal(question, true);

	(void)fprintf(stderr, "%s [y/N] ", safe);
	(void)fflush(stderr);
	free(safe);
	if (read_line(STDIN_FILENO, answer) != ERR_OK)
		return false;
	return strcmp(answer, "y") == 0 || strcmp(answer, "yes") == 0;
}

bool
secret_type(
    const struct ctl *ctl, const char *question, char ret[SECRET_MAX + 1])
{
	if (!ctl_may_prompt(ctl))
		return false;
	(void)fprintf(stderr, "%s: ", question);
	(void)fflush(stderr);
	return read_line(STDIN_FILENO, ret) == ERR_OK && ret[0] != '\0';
}
