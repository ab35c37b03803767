/* A lab without memory or without its devices is of no use: it ends. */
#ifndef TESTS_NET_WAN_DIE_H
#define TESTS_NET_WAN_DIE_H

#include "proto/base/err.h"

#include <stddef.h>

_Noreturn void die(const char *what); /* says errno, too */
void die_unless(enum err err);        /* anything but ERR_OK */
void *alloc(size_t n);                /* zeros; never NULL */

#endif /* TESTS_NET_WAN_DIE_H */
