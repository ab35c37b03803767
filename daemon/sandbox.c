#include "daemon/sandbox.h"

#include <assert.h>
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/prctl.h>

/* The numbers of system calls are those of one architecture only. */
#if defined(__x86_64__) && defined(__LP64__)
#define SANDBOX_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__LP64__) && !defined(__AARCH64EB__)
#define SANDBOX_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define SANDBOX_ARCH AUDIT_ARCH_RISCV64
#elif defined(__powerpc64__) && defined(__LITTLE_ENDIAN__)
#define SANDBOX_ARCH AUDIT_ARCH_PPC64LE
#endif

#ifdef SANDBOX_ARCH
#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the low half of an argument is its first"
#endif

enum {
	/* Of a rule: two for the number, three for each check, its return. */
	CODE_MAX = 8 + SANDBOX_RULES_MAX * (3 + 3 * SANDBOX_CHECKS_MAX),
	X32_BIT = 0x40000000, /* other calls of the same architecture */
};

_Static_assert((int)CODE_MAX <= (int)BPF_MAXINSNS, "the kernel takes it");

struct code {
	struct sock_filter at[CODE_MAX];
	size_t n;
};

static void
add(struct code *c, uint16_t what, uint32_t k, uint8_t yes, uint8_t no)
{
	assert(c->n < CODE_MAX);
	c->at[c->n++] = (struct sock_filter){ what, yes, no, k };
}

static void
add_load(struct code *c, size_t offset)
{
	add(c, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void
add_return(struct code *c, uint32_t what)
{
	add(c, BPF_RET | BPF_K, what, 0, 0);
}

static uint32_t
verdict(enum sandbox_what what)
{
	switch (what) {
	case SANDBOX_ALLOW:
		return SECCOMP_RET_ALLOW;
	case SANDBOX_ENOSYS:
		return SECCOMP_RET_ERRNO | ENOSYS;
	case SANDBOX_KILL:
		return SECCOMP_RET_KILL_PROCESS;
	}
	return SECCOMP_RET_KILL_PROCESS;
}

/* Each test that fails jumps behind the rule. */
static void
add_rule(struct code *c, const struct sandbox_rule *r)
{
	unsigned left = 3U * r->n_checks + 1; /* instructions to its end */

	if (r->nr < 0)
		return;
	add_load(c, offsetof(struct seccomp_data, nr));
	add(c, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)r->nr, 0, (uint8_t)left);
	for (size_t i = 0; i < r->n_checks; i++) {
		assert(r->check[i].arg < 6);
		add_load(c, offsetof(struct seccomp_data, args) +
		                r->check[i].arg * sizeof(uint64_t));
		add(c, BPF_ALU | BPF_AND | BPF_K, r->check[i].mask, 0, 0);
		left -= 3;
		add(c, BPF_JMP | BPF_JEQ | BPF_K, r->check[i].value, 0,
		    (uint8_t)left);
	}
	assert(left == 1);
	add_return(c, verdict(r->what));
}

enum err
sandbox_filter(const struct sandbox_rule *rules, size_t n)
{
	struct code *c = calloc(1, sizeof(*c)); /* large for a stack */
	struct sock_fprog prog = { .len = 0 };
	enum err err = ERR_OK;

	assert(n <= SANDBOX_RULES_MAX);
	if (!c)
		return ERR_NOMEM;
	add_load(c, offsetof(struct seccomp_data, arch));
	add(c, BPF_JMP | BPF_JEQ | BPF_K, SANDBOX_ARCH, 1, 0);
	add_return(c, SECCOMP_RET_KILL_PROCESS);
	add_load(c, offsetof(struct seccomp_data, nr));
	add(c, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 1);
	add_return(c, SECCOMP_RET_KILL_PROCESS);
	for (size_t i = 0; i < n; i++)
		add_rule(c, &rules[i]);
	add_return(c, getenv("BTCHAT_SANDBOX_TRAP")
	                  ? SECCOMP_RET_TRAP
	                  : SECCOMP_RET_ERRNO | EPERM);
	prog.len = (unsigned short)c->n;
	prog.filter = c->at;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog, 0, 0))
		err = ERR_UNSUPPORTED;
	free(c);
	return err;
}

#else

enum err
sandbox_filter(const struct sandbox_rule *rules, size_t n)
{
	(void)rules;
	(void)n;
	return ERR_UNSUPPORTED;
}

#endif
