/* Words for error values. */
#include "proto/base/err.h"

#include <assert.h>

static const char *const names[ERR_COUNT] = {
	[ERR_OK] = "ok",
	[ERR_MALFORMED] = "malformed",
	[ERR_UNSUPPORTED] = "unsupported",
	[ERR_AUTH] = "auth",
	[ERR_REPLAY] = "replay",
	[ERR_LIMIT] = "limit",
	[ERR_NOMEM] = "nomem",
	[ERR_NOT_FOUND] = "not-found",
	[ERR_EXISTS] = "exists",
	[ERR_STATE] = "state",
	[ERR_EXPIRED] = "expired",
	[ERR_BAD_KEY] = "bad-key",
	[ERR_TOO_LONG] = "too-long",
	[ERR_CONFLICT] = "conflict",
	[ERR_IO] = "io",
};

const char *
err_name(enum err err)
{
	assert((unsigned)err < ERR_COUNT);
	return names[err];
}
