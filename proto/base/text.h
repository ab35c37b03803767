/* Written forms: bech32m, base32 short ids, hex, UTF-8. */
#ifndef PROTO_BASE_TEXT_H
#define PROTO_BASE_TEXT_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"

enum { ID_TEXT_SIZE = 27 }; /* base32 of 16 bytes, 26 characters + NUL */

/*
 * bech32m [BIP 350], 8-bit data in and out, padding as BIP 173. The length
 * limit of 90 characters is the caller's (addresses keep it, invitations do
 * not). Encoding is lower case. out gets a NUL; ERR_TOO_LONG if it does not
 * fit. Decoding refuses mixed case, another hrp, a bad checksum, padding of
 * five bits or more or not zero: ERR_MALFORMED.
 */
MUST_USE enum err
bech32m_encode(const char *hrp, struct span data, char *out, size_t cap);
MUST_USE enum err
bech32m_decode(struct span text, const char *hrp, struct writer *ret);
/* The bare checksum rule of BIP 350 over any hrp, with its length limit. */
bool bech32m_valid(struct span text);

/* 16 bytes <-> 26 characters of RFC 4648 base32, lower case, no padding;
 * decoding takes either case and refuses nonzero spare bits. */
void id_encode(const uint8_t id[16], char ret[ID_TEXT_SIZE]);
MUST_USE enum err id_decode(struct span text, uint8_t ret[16]);

/* base64url without padding. */
MUST_USE enum err base64url_encode(struct span in, char *out, size_t cap);
MUST_USE enum err base64url_decode(struct span text, struct writer *ret);

void hex_encode(struct span in, char *out); /* 2n characters + NUL */
MUST_USE enum err hex_decode(struct span text, struct writer *ret);

/* Well-formed UTF-8 [RFC 3629]: no surrogates, no overlong forms. */
bool utf8_valid(struct span text);
/* The same, and no control characters of ASCII: fit for one line. */
bool utf8_is_line(struct span text);

#endif /* PROTO_BASE_TEXT_H */
