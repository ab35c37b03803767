/* Names for lists of system calls; only the files that have one include it. */
#ifndef DAEMON_SANDBOX_CALLS_H
#define DAEMON_SANDBOX_CALLS_H

#include "daemon/sandbox.h"

#include <sys/syscall.h>

/* What is not on every machine, or not in every header. */
#define MISSING (-1)
#ifndef SYS_access
#define SYS_access     MISSING
#define SYS_chmod      MISSING
#define SYS_dup2       MISSING
#define SYS_link       MISSING
#define SYS_lstat      MISSING
#define SYS_mkdir      MISSING
#define SYS_open       MISSING
#define SYS_pipe       MISSING
#define SYS_poll       MISSING
#define SYS_readlink   MISSING
#define SYS_rename     MISSING
#define SYS_rmdir      MISSING
#define SYS_select     MISSING
#define SYS_stat       MISSING
#define SYS_unlink     MISSING
#define SYS_epoll_wait MISSING
#endif
#ifndef SYS_arch_prctl
#define SYS_arch_prctl MISSING
#endif
#ifndef SYS_time
#define SYS_time MISSING
#endif
#ifndef SYS_epoll_pwait2
#define SYS_epoll_pwait2 MISSING
#endif
#ifndef SYS_kexec_file_load
#define SYS_kexec_file_load MISSING
#endif
#ifndef SYS_newfstatat
#define SYS_newfstatat MISSING
#endif
#ifndef SYS_renameat
#define SYS_renameat MISSING
#endif

#define ALL       UINT32_MAX /* bits of an argument */
#define TYPE_BITS 0xfU       /* of a socket's type; the rest are flags */

#endif /* DAEMON_SANDBOX_CALLS_H */
