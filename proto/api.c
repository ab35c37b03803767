/* Names and exit codes of API errors. [btchat-rpc(7)] */
#include "proto/api.h"

#include <assert.h>
#include <stddef.h>

struct row {
	enum api_error code;
	const char *name;
	int exit;
};

/* clang-format off */
static const struct row rows[] = {
	{ API_OK,                     "OK",                     0 },
	{ API_PARSE,                  "PARSE",                  1 },
	{ API_INVALID_REQUEST,        "INVALID_REQUEST",        1 },
	{ API_METHOD_NOT_FOUND,       "METHOD_NOT_FOUND",       1 },
	{ API_INVALID_PARAMS,         "INVALID_PARAMS",         2 },
	{ API_INTERNAL,               "INTERNAL",               1 },
	{ API_REQUEST_TOO_LARGE,      "REQUEST_TOO_LARGE",      1 },
	{ API_BUSY,                   "BUSY",                   1 },
	{ API_SHUTTING_DOWN,          "SHUTTING_DOWN",          1 },
	{ API_RESPONSE_TOO_LARGE,     "RESPONSE_TOO_LARGE",     1 },
	{ API_PERMISSION_DENIED,      "PERMISSION_DENIED",      4 },
	{ API_LOCKED,                 "LOCKED",                 4 },
	{ API_RESTRICTED,             "RESTRICTED",             4 },
	{ API_CONTACT_NOT_FOUND,      "CONTACT_NOT_FOUND",      5 },
	{ API_MESSAGE_NOT_FOUND,      "MESSAGE_NOT_FOUND",      5 },
	{ API_CONVERSATION_NOT_FOUND, "CONVERSATION_NOT_FOUND", 5 },
	{ API_GROUP_NOT_FOUND,        "GROUP_NOT_FOUND",        5 },
	{ API_FILE_NOT_FOUND,         "FILE_NOT_FOUND",         5 },
	{ API_INVITE_NOT_FOUND,       "INVITE_NOT_FOUND",       5 },
	{ API_IDENTITY_NOT_FOUND,     "IDENTITY_NOT_FOUND",     5 },
	{ API_SUBSCRIPTION_NOT_FOUND, "SUBSCRIPTION_NOT_FOUND", 5 },
	{ API_ALREADY_EXISTS,         "ALREADY_EXISTS",         1 },
	{ API_AMBIGUOUS_NAME,         "AMBIGUOUS_NAME",         1 },
	{ API_INVALID_STATE,          "INVALID_STATE",          1 },
	{ API_BLOCKED,                "BLOCKED",                1 },
	{ API_NOT_MEMBER,             "NOT_MEMBER",             1 },
	{ API_KEY_CHANGED,            "KEY_CHANGED",            1 },
	{ API_NOT_ALLOWED_IN_GROUP,   "NOT_ALLOWED_IN_GROUP",   1 },
	{ API_CLIENT_ID_REUSED,       "CLIENT_ID_REUSED",       1 },
	{ API_MESSAGE_TOO_LONG,       "MESSAGE_TOO_LONG",       1 },
	{ API_FILE_TOO_LARGE,         "FILE_TOO_LARGE",         1 },
	{ API_QUOTA,                  "QUOTA",                  1 },
	{ API_RATE_LIMITED,           "RATE_LIMITED",           1 },
	{ API_OFFLINE,                "OFFLINE",                6 },
	{ API_PEER_UNREACHABLE,       "PEER_UNREACHABLE",       6 },
	{ API_TIMEOUT,                "TIMEOUT",                6 },
	{ API_DHT_NOT_READY,          "DHT_NOT_READY",          6 },
	{ API_BAD_ADDRESS,            "BAD_ADDRESS",            1 },
	{ API_BAD_PASSPHRASE,         "BAD_PASSPHRASE",         1 },
	{ API_FINGERPRINT_MISMATCH,   "FINGERPRINT_MISMATCH",   1 },
	{ API_CRYPTO,                 "CRYPTO",                 1 },
	{ API_STORAGE_FULL,           "STORAGE_FULL",           1 },
	{ API_STORAGE_ERROR,          "STORAGE_ERROR",          1 },
	{ API_BACKUP_INVALID,         "BACKUP_INVALID",         1 },
	{ API_CURSOR_EXPIRED,         "CURSOR_EXPIRED",         1 },
	{ API_EPOCH_CHANGED,          "EPOCH_CHANGED",          1 },
};
/* clang-format on */

static const struct row *
row_of(int code)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if ((int)rows[i].code == code)
			return &rows[i];
	return NULL;
}

const char *
api_error_name(int code)
{
	const struct row *r = row_of(code);

	return r != NULL ? r->name : "UNKNOWN";
}

int
api_error_exit(int code)
{
	const struct row *r = row_of(code);
	int status = r != NULL ? r->exit : 1;

	assert(status >= 0 && status <= 6);
	return status;
}
