/*
 * The contract between btchatd and what drives it, as far as C needs it; the
 * methods themselves are in proto/openrpc.json. [btchat-rpc(7)]
 */
#ifndef PROTO_API_H
#define PROTO_API_H

#define API_VERSION "1.0" /* session.info.api: minor adds, major breaks */
#ifndef BTCHAT_VERSION
#define BTCHAT_VERSION "0.1.0"
#endif

enum {
	API_LINE_MAX = 256 * 1024,    /* a request line, with its LF */
	API_OUTPUT_MAX = 1024 * 1024, /* a line of ours */
	API_DEPTH_MAX = 32,
	API_TOKENS_MAX = 16384,
	API_ID_MAX = 128, /* bytes of a string id */
	API_BATCH_MAX = 32,
	API_CONNECTIONS_MAX = 64,  /* per socket */
	API_IN_FLIGHT_MAX = 64,    /* requests of a connection */
	API_SUBSCRIPTIONS_MAX = 8, /* per connection */
	API_FDS_MAX = 8,           /* per line */
	API_LIMIT_MAX = 500,       /* rows of a page */
	API_LIMIT_DEFAULT = 50,
	API_CONSUMERS_MAX = 16,
	API_CLIENT_ID_MAX = 64,
};

/* JSON-RPC error codes; names in proto/api.c order. */
enum api_error {
	API_OK = 0,
	API_PARSE = -32700,
	API_INVALID_REQUEST = -32600,
	API_METHOD_NOT_FOUND = -32601,
	API_INVALID_PARAMS = -32602,
	API_INTERNAL = -32603,
	API_REQUEST_TOO_LARGE = -32001,
	API_BUSY = -32002,
	API_SHUTTING_DOWN = -32003,
	API_RESPONSE_TOO_LARGE = -32004,
	API_PERMISSION_DENIED = 100,
	API_LOCKED = 101,
	API_RESTRICTED = 102,
	API_CONTACT_NOT_FOUND = 200,
	API_MESSAGE_NOT_FOUND = 201,
	API_CONVERSATION_NOT_FOUND = 202,
	API_GROUP_NOT_FOUND = 203,
	API_FILE_NOT_FOUND = 204,
	API_INVITE_NOT_FOUND = 205,
	API_IDENTITY_NOT_FOUND = 206,
	API_SUBSCRIPTION_NOT_FOUND = 207,
	API_ALREADY_EXISTS = 300,
	API_AMBIGUOUS_NAME = 301,
	API_INVALID_STATE = 302,
	API_BLOCKED = 303,
	API_NOT_MEMBER = 304,
	API_KEY_CHANGED = 305,
	API_NOT_ALLOWED_IN_GROUP = 306,
	API_CLIENT_ID_REUSED = 307,
	API_MESSAGE_TOO_LONG = 400,
	API_FILE_TOO_LARGE = 401,
	API_QUOTA = 402,
	API_RATE_LIMITED = 403,
	API_OFFLINE = 500,
	API_PEER_UNREACHABLE = 501,
	API_TIMEOUT = 502,
	API_DHT_NOT_READY = 503,
	API_BAD_ADDRESS = 600,
	API_BAD_PASSPHRASE = 601,
	API_FINGERPRINT_MISMATCH = 602,
	API_CRYPTO = 603,
	API_STORAGE_FULL = 700,
	API_STORAGE_ERROR = 701,
	API_BACKUP_INVALID = 702,
	API_CURSOR_EXPIRED = 800,
	API_EPOCH_CHANGED = 801,
};

/* "CONTACT_NOT_FOUND" for 200; "UNKNOWN" for what is not in the table. */
const char *api_error_name(int code);
/* Exit code of btchatctl for an error code: 1, 2, 4, 5 or 6. */
int api_error_exit(int code);

#endif /* PROTO_API_H */
