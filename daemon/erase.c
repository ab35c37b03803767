#include "daemon/erase.h"

#include "daemon/file.h"
#include "daemon/keyfile.h"
#include "daemon/keyring.h"
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

/* Keys first: without them the others are noise. */
static const char *const files[] = { KEYRING_FILE FILE_ASIDE,
	KEYRING_FILE FILE_OLD, KEYFILE_NAME, KEYFILE_NAME FILE_ASIDE,
	STORE_FILE "-wal", STORE_FILE "-shm", STORE_FILE "-journal",
	STORE_FILE };

static bool
is_there(int dir_fd, const char *name)
{
	return faccessat(dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

enum err
erase_begin(int dir_fd)
{
	/* Some bytes of it may have another name still. */
	file_tidy(dir_fd, KEYRING_FILE);
	if (renameat(dir_fd, KEYRING_FILE, dir_fd, ERASE_FILE)) {
		if (errno == ENOENT)
			return ERR_NOT_FOUND;
		return errno == ENOSPC || errno == EDQUOT ? ERR_LIMIT : ERR_IO;
	}
	if (fsync(dir_fd) == 0)
		return ERR_OK;
	(void)renameat(dir_fd, ERASE_FILE, dir_fd, KEYRING_FILE);
	return ERR_IO;
}

enum err
erase_finish(int dir_fd, bool *ret_done)
{
	*ret_done = is_there(dir_fd, ERASE_FILE);
	if (!*ret_done)
		return ERR_OK;
	file_overwrite(dir_fd, ERASE_FILE);
	/* A key that somebody has put there meanwhile is not ours to judge, nor
	 * is what it may open. */
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]) &&
	                   !is_there(dir_fd, KEYRING_FILE);
	     i++) {
		file_erase(dir_fd, files[i]);
		if (is_there(dir_fd, files[i]))
			return ERR_IO;
	}
	if (fsync(dir_fd) || unlinkat(dir_fd, ERASE_FILE, 0) || fsync(dir_fd))
		return ERR_IO;
	return ERR_OK;
}
