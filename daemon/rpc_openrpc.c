/* The OpenRPC document for rpc.discover. The file has lines for people; a
 * reply is one line, so blanks outside strings are dropped at first use. */
#include "daemon/rpc_openrpc.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

__asm__(".pushsection .rodata\n"
        ".global rpc_openrpc_start\n"
        ".global rpc_openrpc_n\n"
        "rpc_openrpc_start:\n"
        ".incbin \"proto/openrpc.json\"\n"
        "rpc_openrpc_end:\n"
        ".byte 0\n"
        ".balign 8\n"
        "rpc_openrpc_n:\n"
        ".quad rpc_openrpc_end - rpc_openrpc_start\n"
        ".popsection\n");

extern const char rpc_openrpc_start[];
extern const uint64_t rpc_openrpc_n;

/* Copies in to out without the blanks between tokens; says how much. */
static size_t
pack(const char *in, size_t n, char *out)
{
	bool inside = false;
	size_t at = 0;

	for (size_t i = 0; i < n; i++) {
		char c = in[i];

		if (inside && c == '\\') { /* and what it escapes */
			out[at++] = c;
			c = in[++i];
		} else if (c == '"') {
			inside = !inside;
		} else if (!inside && (c == ' ' || c == '\n' || c == '\t')) {
			continue;
		}
		out[at++] = c;
	}
	return at;
}

struct span
rpc_openrpc(void)
{
	static char *packed; /* owned, for ever */
	static size_t packed_n;
	size_t n = (size_t)rpc_openrpc_n;

	if (!packed) {
		packed = malloc(n);
		if (packed)
			packed_n = pack(rpc_openrpc_start, n, packed);
	}
	return span_of(packed, packed ? packed_n : 0);
}
