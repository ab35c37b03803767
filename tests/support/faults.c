#include "tests/support/faults.h"

#include "tests/support/tempdir.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SECTOR = 512, WRITES_MAX = 4096 };

struct written {
	size_t at, n;
	uint8_t *p; /* owned */
};

static struct {
	char path[512];
	dev_t dev;
	ino_t ino;
	uint8_t *synced; /* owned */
	size_t n_synced;
	struct written w[WRITES_MAX];
	size_t n_w;
	unsigned calls, fail_at;
	int error;
	bool for_ever, hit;
} f;

/* Names that a linker makes up, and C does not let us write. */
ssize_t
wrap_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("__wrap_pwrite");
ssize_t
real_pwrite(int fd, const void *p, size_t n, off_t at) __asm__("__real_pwrite");
int wrap_fdatasync(int fd) __asm__("__wrap_fdatasync");
int real_fdatasync(int fd) __asm__("__real_fdatasync");

static void
forget_written(void)
{
	for (size_t i = 0; i < f.n_w; i++)
		free(f.w[i].p);
	f.n_w = 0;
}

static void
note_synced(void)
{
	forget_written();
	free(f.synced);
	f.synced = file_get(f.path, &f.n_synced);
}

void
faults_watch(const char *path)
{
	struct stat st;

	forget_written();
	free(f.synced);
	f.synced = NULL;
	f.path[0] = '\0';
	f.calls = 0;
	faults_fail_at(0, 0, false);
	if (!path)
		return;
	(void)snprintf(f.path, sizeof(f.path), "%s", path);
	if (stat(path, &st))
		abort();
	f.dev = st.st_dev;
	f.ino = st.st_ino;
	note_synced();
}

void
faults_fail_at(unsigned n, int error, bool for_ever)
{
	f.calls = 0;
	f.fail_at = n;
	f.error = error;
	f.for_ever = for_ever;
	f.hit = false;
}

unsigned
faults_calls(void)
{
	return f.calls;
}

bool
faults_hit(void)
{
	return f.hit;
}

static bool
is_watched(int fd)
{
	struct stat st;

	return f.path[0] && !fstat(fd, &st) && st.st_dev == f.dev &&
	       st.st_ino == f.ino;
}

static bool
fails(void)
{
	f.calls++;
	if (f.fail_at == 0 || f.calls < f.fail_at ||
	    (f.calls > f.fail_at && !f.for_ever))
		return false;
	f.hit = true;
	errno = f.error;
	return true;
}

ssize_t
wrap_pwrite(int fd, const void *p, size_t n, off_t at)
{
	struct written *w = &f.w[f.n_w];

	if (!is_watched(fd))
		return real_pwrite(fd, p, n, at);
	if (f.n_w == WRITES_MAX)
		abort();
	/* Also one that fails may have come to the disk. */
	w->at = (size_t)at;
	w->n = n;
	w->p = malloc(n);
	memcpy(w->p, p, n);
	f.n_w++;
	return fails() ? -1 : real_pwrite(fd, p, n, at);
}

int
wrap_fdatasync(int fd)
{
	int rc;

	if (!is_watched(fd))
		return real_fdatasync(fd);
	if (fails())
		return -1;
	rc = real_fdatasync(fd);
	note_synced();
	return rc;
}

void
faults_power_cut(const struct rng *rng)
{
	size_t size = f.n_synced;
	uint8_t *image;

	for (size_t i = 0; i < f.n_w; i++)
		if (f.w[i].at + f.w[i].n > size)
			size = f.w[i].at + f.w[i].n;
	image = calloc(1, size + 1);
	memcpy(image, f.synced, f.n_synced);
	size = f.n_synced;
	for (size_t i = 0; i < f.n_w && rng; i++)
		for (size_t k = 0; k < f.w[i].n; k += SECTOR) {
			size_t n =
			    f.w[i].n - k < SECTOR ? f.w[i].n - k : SECTOR;

			if (rng_below(rng, 2))
				continue;
			memcpy(image + f.w[i].at + k, f.w[i].p + k, n);
			if (f.w[i].at + k + n > size)
				size = f.w[i].at + k + n;
		}
	file_put(f.path, image, size);
	free(image);
	note_synced();
}
