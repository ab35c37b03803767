/* From argv to a command, and from a command to the daemon. */
#include "ctl/cmd.h"
#include "ctl/command.h"
#include "ctl/pager.h"
#include "ctl/print.h"
#include "ctl/report.h"
#include "ctl/secret.h"
#include "ctl/value.h"
#include "proto/api.h"

#include <assert.h>
#include <errno.h>
#include <locale.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SOCKET_PATHS_MAX = 4, SOCKET_PATH_SIZE = 256, TICK_MS = 1000 };

#define SYSTEM_SOCKETS "/run/btchatd/"

/* Sockets to try, in order. [btchatctl(1): FILES] */
struct candidates {
	char path[SOCKET_PATHS_MAX][SOCKET_PATH_SIZE];
	size_t n;
};

static void
add_path(struct candidates *c, const char *dir, const char *name)
{
	int n = snprintf(c->path[c->n], SOCKET_PATH_SIZE, "%s%s", dir, name);

	assert(c->n < SOCKET_PATHS_MAX);
	if (n > 0 && n < SOCKET_PATH_SIZE)
		c->n++;
}

/* Where the daemon of a user puts it who has no runtime directory. */
static void
add_state_path(struct candidates *c)
{
	const char *state = getenv("XDG_STATE_HOME");
	const char *home = getenv("HOME");

	if (state != NULL && state[0] == '/')
		add_path(c, state, "/btchat/control.sock");
	else if (home != NULL && home[0] == '/')
		add_path(c, home, "/.local/state/btchat/control.sock");
}

static void
find_candidates(const struct ctl *ctl, struct candidates *c)
{
	const char *given = args_value(&ctl->args, "socket");
	const char *env = getenv("BTCHATD_SOCKET");
	const char *runtime = getenv("XDG_RUNTIME_DIR");

	*c = (struct candidates){ 0 };
	if (given == NULL && env != NULL && env[0] != '\0')
		given = env;
	if (given != NULL) {
		add_path(c, given, "");
		return;
	}
	if (runtime != NULL && runtime[0] == '/')
		add_path(c, runtime, "/btchatd/control.sock");
	else
		add_state_path(c);
	if (ctl->cmd != NULL && ctl->cmd->tier == TIER_ADMIN)
		add_path(c, SYSTEM_SOCKETS, "admin.sock");
	add_path(c, SYSTEM_SOCKETS, "control.sock");
	add_path(c, SYSTEM_SOCKETS, "readonly.sock");
}

/* What came of trying all of them: ERR_OK, or why the first useful one
 * failed; *ret_denied is one that we may not use, or NULL. */
static enum err
try_candidates(
    struct ctl *ctl, const struct candidates *c, const char **ret_denied)
{
	for (size_t i = 0; i < c->n; i++) {
		enum err err = client_connect(&ctl->client, c->path[i]);

		if (err != ERR_IO)
			return err;
		if (errno == EACCES && *ret_denied == NULL)
			*ret_denied = c->path[i];
	}
	return ERR_NOT_FOUND;
}

int
ctl_connect(struct ctl *ctl)
{
	struct candidates c;
	const char *denied = NULL;

	if (ctl->client.fd >= 0)
		return CTL_DONE;
	find_candidates(ctl, &c);
	enum err err = try_candidates(ctl, &c, &denied);
	if (err == ERR_OK)
		return CTL_DONE;
	if (err == ERR_TOO_LONG || c.n == 0) {
		report("that path is too long for a socket");
		return CTL_NO_DAEMON;
	}
	if (denied != NULL) {
		report("not allowed to use %s: add yourself to group btchat, "
		       "or use sudo",
		    denied);
		return CTL_DENIED;
	}
	report("no daemon at %s%s: start btchatd", c.path[0],
	    c.n > 1 ? " or in " SYSTEM_SOCKETS : "");
	return CTL_NO_DAEMON;
}

bool
ctl_connect_quietly(struct ctl *ctl)
{
	struct candidates c;
	const char *denied = NULL;

	find_candidates(ctl, &c);
	return ctl->client.fd >= 0 ||
	       try_candidates(ctl, &c, &denied) == ERR_OK;
}

static int
say_broken(const struct ctl *ctl, const char *method, enum err err)
{
	if (err == ERR_EXPIRED) {
		cJSON *data = cJSON_CreateObject();

		value_add_str(data, "method", method);
		return report_api(
		    ctl, API_TIMEOUT, "no answer from btchatd in time", data);
	}
	if (err == ERR_IO)
		report("btchatd closed the connection during %s", method);
	else
		report("what listens at %s is not btchatd (%s)",
		    ctl->client.path, err_name(err));
	return CTL_NO_DAEMON;
}

/* The reply, with a tick each second of the wait. */
static enum err
await_reply(struct ctl *ctl, uint64_t id, uint64_t timeout_ms, cJSON **ret)
{
	uint64_t end_ms = client_now_ms() + timeout_ms;

	for (;;) {
		uint64_t at_ms = client_now_ms() + TICK_MS;
		bool last = ctl->tick == NULL || at_ms >= end_ms;
		enum err err =
		    client_reply(&ctl->client, id, last ? end_ms : at_ms, ret);

		if (err != ERR_EXPIRED || last)
			return err;
		ctl->tick(ctl->tick_ctx);
	}
}

int
ctl_try(struct ctl *ctl, uint64_t timeout_ms, const char *method, cJSON *params,
    struct ctl_outcome *ret)
{
	uint64_t id = 0;
	cJSON *doc = NULL;
	int status = ctl_connect(ctl);

	*ret = (struct ctl_outcome){ 0 };
	if (status != CTL_DONE) {
		cJSON_Delete(params);
		return status;
	}
	enum err err = client_send(&ctl->client, method, params, &id);
	if (err == ERR_OK)
		err = await_reply(ctl, id, timeout_ms, &doc);
	if (err == ERR_OK) {
		ret->error =
		    cJSON_DetachItemFromObjectCaseSensitive(doc, "error");
		ret->result =
		    cJSON_DetachItemFromObjectCaseSensitive(doc, "result");
		cJSON_Delete(doc);
		if (ret->error == NULL && ret->result == NULL)
			err = ERR_MALFORMED;
	}
	return err == ERR_OK ? CTL_DONE : say_broken(ctl, method, err);
}

int
ctl_call_for(struct ctl *ctl, uint64_t timeout_ms, const char *method,
    cJSON *params, cJSON **ret)
{
	struct ctl_outcome out;
	int status = ctl_try(ctl, timeout_ms, method, params, &out);

	if (status == CTL_DONE && out.error != NULL)
		status = report_error(ctl, out.error);
	cJSON_Delete(out.error);
	if (status == CTL_DONE)
		*ret = out.result;
	else
		cJSON_Delete(out.result);
	return status;
}

int
ctl_call(struct ctl *ctl, const char *method, cJSON *params, cJSON **ret)
{
	return ctl_call_for(ctl,
	    ctl->has_timeout ? ctl->timeout_ms : CTL_REPLY_TIMEOUT_MS, method,
	    params, ret);
}

int
ctl_each(struct ctl *ctl, const char *method, cJSON *params,
    bool (*row)(void *ctx, const cJSON *item), void *ctx)
{
	int status = CTL_DONE;
	bool more = true;

	if (params == NULL)
		params = cJSON_CreateObject();
	while (more && status == CTL_DONE) {
		cJSON *page = NULL;
		const cJSON *item = NULL;

		status =
		    ctl_call(ctl, method, cJSON_Duplicate(params, 1), &page);
		cJSON_ArrayForEach(item, value_get(page, "items"))
		{
			more = more && row(ctx, item);
		}
		more = more && value_has_str(page, "next");
		cJSON_DeleteItemFromObjectCaseSensitive(params, "after");
		if (more)
			value_add_str(params, "after", value_str(page, "next"));
		cJSON_Delete(page);
	}
	cJSON_Delete(params);
	return status;
}

bool
ctl_may_prompt(const struct ctl *ctl)
{
	return !ctl->no_input && isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
}

static void
interrupted(int signal_number)
{
	(void)signal_number;
	secret_restore_terminal();
	_exit(CTL_INTERRUPTED);
}

/* Ctrl-C ends at once with 130, with echo as it was. */
static void
setup_process(void)
{
	struct sigaction sa = { .sa_handler = interrupted };

	(void)sigaction(SIGINT, &sa, NULL);
	/* For character widths only; numbers and texts stay as they are. */
	if (setlocale(LC_CTYPE, "C.UTF-8") == NULL)
		(void)setlocale(LC_CTYPE, "");
	value_init();
}

static int
setup_options(struct ctl *ctl)
{
	const char *timeout = args_value(&ctl->args, "timeout");

	ctl->no_input = args_has(&ctl->args, "no-input");
	ctl->quiet = args_has(&ctl->args, "quiet");
	ctl->yes = args_has(&ctl->args, "yes");
	ctl->has_timeout = timeout != NULL;
	if (timeout != NULL &&
	    args_seconds(timeout, &ctl->timeout_ms) != ERR_OK)
		return report_usage("--timeout is a number of seconds");
	return print_setup(ctl);
}

static int
check_words(const struct ctl *ctl)
{
	const struct command *c = ctl->cmd;
	const char *foreign = args_foreign(&ctl->args, c->options);

	if (foreign != NULL)
		report("%s%s%s does not take --%s", c->noun,
		    c->verb != NULL ? " " : "", c->verb != NULL ? c->verb : "",
		    foreign);
	else if (args_count(&ctl->args) < c->min_words)
		report("something is missing");
	else if (args_count(&ctl->args) > c->max_words)
		report("too many words (quote what belongs together)");
	else
		return CTL_DONE;
	command_print_usage(c, stderr);
	return CTL_USAGE;
}

static int
run_command(struct ctl *ctl)
{
	struct args *a = &ctl->args;
	bool bare = args_count(a) == 0;
	int status = CTL_DONE;

	if (bare && args_has(a, "version"))
		return cmd_version(ctl);
	if (bare && args_has(a, "help")) {
		pager_begin(ctl);
		command_print_all(stdout);
		return CTL_DONE;
	}
	ctl->cmd = command_find(a, &a->skip);
	if (ctl->cmd == NULL)
		return CTL_USAGE;
	if (args_has(a, "help")) {
		command_print_usage(ctl->cmd, stdout);
		return CTL_DONE;
	}
	status = check_words(ctl);
	return status == CTL_DONE ? ctl->cmd->run(ctl) : status;
}

int
ctl_run(int argc, char **argv)
{
	struct ctl ctl = { 0 };
	char why[ARGS_WHY_SIZE] = "";
	int status = CTL_USAGE;

	setup_process();
	client_init(&ctl.client);
	if (args_parse(&ctl.args, argc, argv, why) != ERR_OK) {
		report("%s", why);
		goto out;
	}
	status = setup_options(&ctl);
	if (status == CTL_DONE)
		status = run_command(&ctl);
	pager_end();
	if (fflush(stdout) != 0 || ferror(stdout)) {
		report("cannot write the result: %s", strerror(errno));
		status = CTL_FAILED;
	}
out:
	client_clear(&ctl.client);
	args_clear(&ctl.args);
	return status;
}
