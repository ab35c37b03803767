/*
 * The configuration file: whatever it holds, it is taken whole or refused
 * with its place; and what was taken, written out again, is taken again to
 * the same values.
 */
#include "daemon/config.h"
#include "tests/fuzz/fuzz.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int file = -1;
static char path[64];

static enum err
load(struct config *c, const void *bytes, size_t n)
{
	static char name[] = "btchatd", option[] = "--config";
	static char state[] = "--state=/state";
	char *argv[] = { name, option, path, state, NULL };

	assert(ftruncate(file, 0) == 0);
	assert(pwrite(file, bytes, n, 0) == (ssize_t)n);
	return config_load(c, 4, argv);
}

/* The settings as a file would say them. */
static size_t
write_out(const struct config *c, char *text, size_t cap)
{
	size_t n = 0;

	for (unsigned i = 0; i < CONFIG_KEYS; i++) {
		struct config_item item;
		char *save = NULL;

		config_item(c, (enum config_key)i, &item);
		assert(strcmp(item.source, "default") != 0 || c->line[i] == 0);
		for (char *v = strtok_r(item.value, "\n", &save); v;
		     v = strtok_r(NULL, "\n", &save))
			n += (size_t)snprintf(
			    text + n, cap - n, "%s = %s\n", item.name, v);
		assert(n < cap);
	}
	return n;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct config a, b;
	static char text[CONFIG_KEYS * 2 * CONFIG_VALUE_MAX];
	size_t n;

	if (file < 0) {
		file = memfd_create("config", MFD_CLOEXEC);
		assert(file >= 0 && fchmod(file, 0600) == 0);
		(void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
		(void)setenv("XDG_RUNTIME_DIR", "/run/user/7", 1);
	}
	if (load(&a, data, size)) {
		assert(strncmp(a.error, path, strlen(path)) == 0);
		assert(strlen(a.error) > strlen(path) + 2);
		return 0;
	}
	assert(a.n_listen <= CONFIG_LISTEN_MAX);
	assert(a.n_bootstrap <= CONFIG_BOOTSTRAP_MAX);
	n = write_out(&a, text, sizeof(text));
	assert(load(&b, text, n) == ERR_OK);
	assert(a.n_listen == b.n_listen && a.n_bootstrap == b.n_bootstrap);
	assert(memcmp(a.bootstrap, b.bootstrap, sizeof(a.bootstrap)) == 0);
	assert(a.log_level == b.log_level);
	assert(a.log_addresses == b.log_addresses);
	assert(a.event_days == b.event_days && a.event_rows == b.event_rows);
	assert(strcmp(a.socket, b.socket) == 0);
	return 0;
}
