/*
 * A filter of system calls for a process that reads what a hostile network
 * says: what is not on its list fails with EPERM or, in tests, where
 * BTCHAT_SANDBOX_TRAP is set, ends it by SIGSYS. [seccomp(2)]
 */
#ifndef DAEMON_SANDBOX_H
#define DAEMON_SANDBOX_H

#include "proto/base/err.h"

#include <stddef.h>
#include <stdint.h>

enum {
	SANDBOX_CHECKS_MAX = 3,  /* arguments that one rule looks at */
	SANDBOX_RULES_MAX = 250, /* 4096 instructions are the kernel's limit */
};

enum sandbox_what {
	SANDBOX_ALLOW,
	SANDBOX_ENOSYS, /* as on a kernel that does not have it */
	SANDBOX_KILL,
};

/* The first rule of its number that holds decides about a call: of each
 * argument named, the bits of the mask have this value. Only the low 32 bits
 * are seen, which is enough for an int. */
struct sandbox_rule {
	long nr; /* SYS_...; negative: not on this machine */
	struct {
		uint8_t arg; /* 0..5 */
		uint32_t mask, value;
	} check[SANDBOX_CHECKS_MAX];
	uint8_t n_checks;
	enum sandbox_what what;
};

/* From now on, for this process and its children. ERR_UNSUPPORTED: neither this
 * machine nor this kernel can. */
MUST_USE enum err sandbox_filter(const struct sandbox_rule *rules, size_t n);

#endif /* DAEMON_SANDBOX_H */
