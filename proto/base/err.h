/* The one error type of the project. [CONTRIBUTING: errors] */
#ifndef PROTO_BASE_ERR_H
#define PROTO_BASE_ERR_H

/* A fallible function returns one of these; ERR_OK is the only success. */
enum err {
	ERR_OK = 0,
	ERR_MALFORMED,   /* the bytes do not parse */
	ERR_UNSUPPORTED, /* they parse, but name something we do not do */
	ERR_AUTH,        /* a tag, signature or mac does not verify */
	ERR_REPLAY,      /* seen before, or too old to tell */
	ERR_LIMIT,       /* a bound of limits.h is reached */
	ERR_NOMEM,       /* an allocation failed */
	ERR_NOT_FOUND,   /* no such contact, message, invitation, key */
	ERR_EXISTS,      /* it is there already */
	ERR_STATE,       /* not possible in the present state */
	ERR_EXPIRED,     /* its time is over, or has not begun */
	ERR_BAD_KEY,     /* a point of low order, off the curve or our own */
	ERR_TOO_LONG,    /* longer than the format or the limit allows */
	ERR_CONFLICT,    /* same name, other content */
	ERR_IO,          /* disk or system; daemon/ only */
};
#define ERR_COUNT 15

#define MUST_USE __attribute__((warn_unused_result))

/* A short fixed word for logs, e.g. "malformed"; never NULL. */
const char *err_name(enum err err);

#endif /* PROTO_BASE_ERR_H */
