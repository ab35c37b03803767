/*
 * What every command of btchatctl shares. A function that returns an int
 * returns an exit status (enum ctl_exit) and has already told the user why,
 * on stderr: only results go to stdout. [btchatctl(1)]
 */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include "ctl/args.h"
#include "ctl/client.h"
#include "proto/base/err.h"

#include <cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum ctl_exit {
	CTL_DONE = 0,
	CTL_FAILED = 1,
	CTL_USAGE = 2,
	CTL_NO_DAEMON = 3,
	CTL_DENIED = 4,
	CTL_NOT_FOUND = 5,
	CTL_TIMED_OUT = 6,
	CTL_PARTLY = 7,
	CTL_INTERRUPTED = 130,
};

enum ctl_mode { MODE_HUMAN, MODE_PLAIN, MODE_JSON };

enum {
	CTL_REPLY_TIMEOUT_MS = 30 * 1000, /* unless --timeout says otherwise */
	CTL_WAIT_TIMEOUT_MS = 60 * 1000,  /* send --wait likewise */
};

struct command;

struct ctl {
	const struct command *cmd;
	struct args args; /* what follows the command's words */
	struct client client;
	enum ctl_mode mode;
	const char *fields; /* of --json=F,..; NULL: all. Borrowed of argv */
	bool color;
	bool raw; /* untrusted text as it came; never to a terminal */
	bool no_input, quiet, yes;
	bool has_timeout;
	uint64_t timeout_ms; /* of --timeout, if has_timeout */
	/* Called about every second that an answer is waited for; NULL: not.
	 * ctx is borrowed. */
	void (*tick)(void *ctx);
	void *tick_ctx;
};

/* The whole program but for process start; ret is the exit status. */
int ctl_run(int argc, char **argv);

/* Connects to the daemon on the first socket of the order of btchatctl(1). */
MUST_USE int ctl_connect(struct ctl *ctl);
/* The same without a word if there is none. */
MUST_USE bool ctl_connect_quietly(struct ctl *ctl);
/*
 * One call: connects first if need be, reports what goes wrong.
 *   params  owned by the call; NULL for none
 *   ret     the result object, owned by the caller (cJSON_Delete); NULL on
 *           error
 */
MUST_USE int
ctl_call(struct ctl *ctl, const char *method, cJSON *params, cJSON **ret);
/* The same with an own time limit instead of --timeout's. */
MUST_USE int ctl_call_for(struct ctl *ctl, uint64_t timeout_ms,
    const char *method, cJSON *params, cJSON **ret);
/*
 * A call whose errors the caller looks at: CTL_DONE with either *ret or
 * *error set (both owned by the caller); else the connection failed, reported.
 */
struct ctl_outcome {
	cJSON *result, *error;
};
MUST_USE int ctl_try(struct ctl *ctl, uint64_t timeout_ms, const char *method,
    cJSON *params, struct ctl_outcome *ret);

/* Calls row for every item of a list, page after page, until it returns false.
 * params: owned by the call; NULL for none. */
MUST_USE int ctl_each(struct ctl *ctl, const char *method, cJSON *params,
    bool (*row)(void *ctx, const cJSON *item), void *ctx);

bool ctl_may_prompt(const struct ctl *ctl);

#endif /* CTL_CTL_H */
