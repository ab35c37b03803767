/* The calls to the system that disk.c decides about, in the place of those of
 * libc. Files below its directory are not really synced. */
#include "tests/torture/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

/* Names of libc, under which it must not be declared here again. */
#define PLACE_OF(name) __asm__(#name) __attribute__((visibility("default")))

int my_open(const char *path, int flags, ...) PLACE_OF(open);
int my_open64(const char *path, int flags, ...) PLACE_OF(open64);
int my_openat(int dir, const char *path, int flags, ...) PLACE_OF(openat);
int my_openat64(int dir, const char *path, int flags, ...) PLACE_OF(openat64);
int my_close(int fd) PLACE_OF(close);
ssize_t my_read(int fd, void *p, size_t n) PLACE_OF(read);
ssize_t my_pread(int fd, void *p, size_t n, off_t at) PLACE_OF(pread);
ssize_t my_pread64(int fd, void *p, size_t n, off_t at) PLACE_OF(pread64);
ssize_t my_write(int fd, const void *p, size_t n) PLACE_OF(write);
ssize_t my_pwrite(int fd, const void *p, size_t n, off_t at) PLACE_OF(pwrite);
ssize_t
my_pwrite64(int fd, const void *p, size_t n, off_t at) PLACE_OF(pwrite64);
int my_ftruncate(int fd, off_t n) PLACE_OF(ftruncate);
int my_ftruncate64(int fd, off_t n) PLACE_OF(ftruncate64);
int my_fsync(int fd) PLACE_OF(fsync);
int my_fdatasync(int fd) PLACE_OF(fdatasync);
int my_unlink(const char *path) PLACE_OF(unlink);
int my_unlinkat(int dir, const char *path, int flags) PLACE_OF(unlinkat);
int my_rename(const char *from, const char *to) PLACE_OF(rename);
int my_renameat(int dir, const char *from, int to_dir, const char *to)
    PLACE_OF(renameat);
int my_link(const char *from, const char *to) PLACE_OF(link);
int my_linkat(int dir, const char *from, int to_dir, const char *to, int flags)
    PLACE_OF(linkat);
int my_mkdir(const char *path, mode_t mode) PLACE_OF(mkdir);
int my_rmdir(const char *path) PLACE_OF(rmdir);

/* ---- opening ---- */

static int
open_it(int dir, const char *path, int flags, mode_t mode)
{
	char name[DISK_NAME_MAX];
	bool ours = disk_name(dir, path, name);
	bool made = false;
	int fd;

	if (ours && disk_fails())
		return -1;
	if (ours && (flags & O_CREAT)) {
		made = syscall(SYS_faccessat, dir, path, F_OK) != 0;
		if (made && disk_is_full())
			return -1;
	}
	fd = (int)syscall(SYS_openat, dir, path, flags, mode);
	if (fd >= 0 && ours)
		disk_opened(fd, name, made, (flags & O_TRUNC) != 0);
	return fd;
}

#define OPEN(dir) \
	mode_t mode = 0; \
	va_list ap; \
\
	va_start(ap, flags); \
	if (flags & O_CREAT) \
		mode = (mode_t)va_arg(ap, unsigned); \
	va_end(ap); \
	return open_it(dir, path, flags, mode)

int
my_open(const char *path, int flags, ...)
{
	OPEN(AT_FDCWD);
}

int
my_open64(const char *path, int flags, ...)
{
	OPEN(AT_FDCWD);
}

int
my_openat(int dir, const char *path, int flags, ...)
{
	OPEN(dir);
}

int
my_openat64(int dir, const char *path, int flags, ...)
{
	OPEN(dir);
}

int
my_close(int fd)
{
	if (disk_has(fd))
		disk_closed(fd);
	return (int)syscall(SYS_close, fd);
}

/* ---- bytes ---- */

ssize_t
my_read(int fd, void *p, size_t n)
{
	if (disk_has(fd) && disk_fails())
		return -1;
	return syscall(SYS_read, fd, p, n);
}

ssize_t
my_pread(int fd, void *p, size_t n, off_t at)
{
	if (disk_has(fd) && disk_fails())
		return -1;
	return syscall(SYS_pread64, fd, p, n, at);
}

ssize_t
my_pread64(int fd, void *p, size_t n, off_t at)
{
	return my_pread(fd, p, n, at);
}

ssize_t
my_pwrite(int fd, const void *p, size_t n, off_t at)
{
	ssize_t r;

	if (!disk_has(fd))
		return syscall(SYS_pwrite64, fd, p, n, at);
	if (disk_fails()) {
		int error = errno;

		/* Some of it may have come there all the same. */
		if (n / 2 > 0 &&
		    syscall(SYS_pwrite64, fd, p, n / 2, at) == (ssize_t)(n / 2))
			disk_wrote(fd, p, n / 2, (size_t)at);
		errno = error;
		return -1;
	}
	if (disk_grows(fd, (size_t)at + n) && disk_is_full())
		return -1;
	r = syscall(SYS_pwrite64, fd, p, n, at);
	if (r > 0)
		disk_wrote(fd, p, (size_t)r, (size_t)at);
	return r;
}

ssize_t
my_pwrite64(int fd, const void *p, size_t n, off_t at)
{
	return my_pwrite(fd, p, n, at);
}

ssize_t
my_write(int fd, const void *p, size_t n)
{
	off_t at;
	ssize_t r;

	if (!disk_has(fd))
		return syscall(SYS_write, fd, p, n);
	at = (off_t)syscall(SYS_lseek, fd, 0, SEEK_CUR);
	r = my_pwrite(fd, p, n, at);
	if (r > 0)
		(void)syscall(SYS_lseek, fd, at + r, SEEK_SET);
	return r;
}

int
my_ftruncate(int fd, off_t n)
{
	int r;

	if (!disk_has(fd))
		return (int)syscall(SYS_ftruncate, fd, n);
	if (disk_fails() || (disk_grows(fd, (size_t)n) && disk_is_full()))
		return -1;
	r = (int)syscall(SYS_ftruncate, fd, n);
	if (!r)
		disk_truncated(fd, (size_t)n);
	return r;
}

int
my_ftruncate64(int fd, off_t n)
{
	return my_ftruncate(fd, n);
}

int
my_fsync(int fd)
{
	if (!disk_has(fd))
		return (int)syscall(SYS_fsync, fd);
	if (disk_fails()) {
		disk_sync_failed(fd);
		return -1;
	}
	if (!disk_lies())
		disk_synced(fd);
	return 0;
}

int
my_fdatasync(int fd)
{
	return disk_has(fd) ? my_fsync(fd) : (int)syscall(SYS_fdatasync, fd);
}

/* ---- names ---- */

int
my_unlinkat(int dir, const char *path, int flags)
{
	char name[DISK_NAME_MAX];
	bool ours = disk_name(dir, path, name);
	int r;

	if (ours && disk_fails())
		return -1;
	r = (int)syscall(SYS_unlinkat, dir, path, flags);
	if (!r && ours)
		disk_unlinked(name);
	return r;
}

int
my_unlink(const char *path)
{
	return my_unlinkat(AT_FDCWD, path, 0);
}

int
my_rmdir(const char *path)
{
	return my_unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

int
my_renameat(int dir, const char *from, int to_dir, const char *to)
{
	char name[DISK_NAME_MAX], to_name[DISK_NAME_MAX];
	bool ours =
	    disk_name(dir, from, name) && disk_name(to_dir, to, to_name);
	int r;

	if (ours && disk_fails())
		return -1;
	r = (int)syscall(SYS_renameat, dir, from, to_dir, to);
	if (!r && ours)
		disk_renamed(name, to_name);
	return r;
}

int
my_rename(const char *from, const char *to)
{
	return my_renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int
my_linkat(int dir, const char *from, int to_dir, const char *to, int flags)
{
	char name[DISK_NAME_MAX], to_name[DISK_NAME_MAX];
	bool ours =
	    disk_name(dir, from, name) && disk_name(to_dir, to, to_name);
	int r;

	if (ours && (disk_fails() || disk_is_full()))
		return -1;
	r = (int)syscall(SYS_linkat, dir, from, to_dir, to, flags);
	if (!r && ours)
		disk_linked(name, to_name);
	return r;
}

int
my_link(const char *from, const char *to)
{
	return my_linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
my_mkdir(const char *path, mode_t mode)
{
	char name[DISK_NAME_MAX];
	bool ours = disk_name(AT_FDCWD, path, name);
	int r;

	if (ours && (disk_fails() || disk_is_full()))
		return -1;
	r = (int)syscall(SYS_mkdir, path, mode);
	if (!r && ours)
		disk_made_dir(name);
	return r;
}
