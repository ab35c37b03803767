/*
 * The command that repeats what a test is doing, printed also when the core
 * aborts; and numbers that are given in the environment.
 */
#ifndef TESTS_SIM_AGAIN_H
#define TESTS_SIM_AGAIN_H

#include <stdint.h>

/* From now on an abort prints the command. `program` is argv[0]; borrowed. */
void again_begin(const char *program);
const char *again_program(void);
/* Sets the command: these words, then the program. */
__attribute__((format(printf, 1, 2))) void again_set(const char *format, ...);
const char *again_command(void); /* a line */
/* The variable as a number; `otherwise` if it is not set. */
uint64_t again_number(const char *name, uint64_t otherwise);

#endif /* TESTS_SIM_AGAIN_H */
