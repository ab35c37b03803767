#include "tests/torture/disk.h"

#include "tests/support/tempdir.h"
#include "tests/torture/memory.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { SECTOR = 512, INODES_MAX = 512, NAMES_MAX = 64, FDS_MAX = 1024 };

struct bytes {
	uint8_t *p; /* owned */
	size_t n, cap;
};

struct inode {
	bool is_dir;
	struct bytes synced;
	size_t size; /* as it is written */
};

struct names {
	struct {
		char name[DISK_NAME_MAX];
		int inode;
	} e[NAMES_MAX];
	size_t n;
};

/* What is not durable yet. */
struct change {
	enum { DONE = 0, WRITTEN, TRUNCATED, LINKED, UNLINKED, RENAMED } kind;
	bool doubtful; /* a sync of it failed: another does not help */
	int inode;
	size_t at;
	struct bytes b; /* TRUNCATED: n is the size */
	char name[DISK_NAME_MAX], to[DISK_NAME_MAX];
};

static struct {
	char root[DISK_NAME_MAX];
	struct inode inodes[INODES_MAX];
	int n_inodes;
	struct names live, synced;
	struct change *changes; /* owned */
	size_t n_changes, cap_changes;
	int fds[FDS_MAX]; /* inode + 1; 0: not ours */
	unsigned n_open;
	enum disk_fault how;
	unsigned calls, fail_at;
	int error;
	bool hit;
} d;

static void
die(const char *why)
{
	(void)fprintf(stderr, "disk: %s\n", why);
	abort();
}

/* Also where memory fails. */
static void *
grow(void *p, size_t n)
{
	memory_pause(true);
	p = realloc(p, n);
	memory_pause(false);
	if (!p)
		die("no memory");
	return p;
}

/* ---- names ---- */

static int
find(const struct names *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++)
		if (strcmp(t->e[i].name, name) == 0)
			return t->e[i].inode;
	return -1;
}

static void
remove_name(struct names *t, const char *name)
{
	for (size_t i = 0; i < t->n; i++) {
		if (strcmp(t->e[i].name, name) != 0)
			continue;
		t->e[i] = t->e[--t->n];
		return;
	}
}

static void
put_name(struct names *t, const char *name, int inode)
{
	remove_name(t, name);
	if (t->n == NAMES_MAX)
		die("too many names");
	(void)snprintf(t->e[t->n].name, DISK_NAME_MAX, "%s", name);
	t->e[t->n++].inode = inode;
}

static void
path_of(const char *name, char ret[2 * DISK_NAME_MAX])
{
	(void)snprintf(ret, (size_t)2 * DISK_NAME_MAX, "%s%s%s", d.root,
	    name[0] ? "/" : "", name);
}

/* "a/b" is in "a", "a" in "". */
static bool
is_in(const char *name, const char *dir)
{
	const char *slash = strrchr(name, '/');
	size_t n = slash ? (size_t)(slash - name) : 0;

	return name[0] && strlen(dir) == n && memcmp(name, dir, n) == 0;
}

static const char *
name_of(int inode)
{
	for (size_t i = 0; i < d.live.n; i++)
		if (d.live.e[i].inode == inode)
			return d.live.e[i].name;
	return NULL;
}

bool
disk_name(int dir_fd, const char *path, char ret[DISK_NAME_MAX])
{
	char whole[3 * DISK_NAME_MAX], link[64];
	size_t n = strlen(d.root);
	ssize_t at = 0;
	int len;

	if (!n)
		return false;
	if (path[0] != '/') {
		(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", dir_fd);
		at = dir_fd == AT_FDCWD
		         ? readlink("/proc/self/cwd", whole, DISK_NAME_MAX)
		         : readlink(link, whole, DISK_NAME_MAX);
		if (at < 0 || at == DISK_NAME_MAX)
			return false;
		whole[at++] = '/';
	}
	len = snprintf(whole + at, sizeof(whole) - (size_t)at, "%s", path);
	if (len < 0 || (size_t)(at + len) >= sizeof(whole) ||
	    strncmp(whole, d.root, n) != 0 || (whole[n] && whole[n] != '/'))
		return false;
	(void)snprintf(ret, DISK_NAME_MAX, "%s", whole[n] ? whole + n + 1 : "");
	return true;
}

/* ---- bytes ---- */

static void
put_bytes(struct bytes *b, size_t at, const uint8_t *p, size_t n)
{
	if (at + n > b->cap) {
		b->cap = at + n > 2 * b->cap ? at + n : 2 * b->cap;
		b->p = grow(b->p, b->cap);
	}
	if (at + n > b->n) {
		memset(b->p + b->n, 0, at + n - b->n);
		b->n = at + n;
	}
	if (n)
		memcpy(b->p + at, p, n);
}

static void
cut_bytes(struct bytes *b, size_t n)
{
	if (n > b->n)
		put_bytes(b, n, NULL, 0);
	b->n = n;
}

static int
new_inode(bool is_dir)
{
	if (d.n_inodes == INODES_MAX)
		die("too many files");
	d.inodes[d.n_inodes] = (struct inode){ .is_dir = is_dir };
	return d.n_inodes++;
}

static struct change *
add_change(int kind, int inode)
{
	struct change *c;

	if (d.n_changes == d.cap_changes) {
		d.cap_changes = d.cap_changes ? 2 * d.cap_changes : 1024;
		d.changes = grow(d.changes, d.cap_changes * sizeof(*d.changes));
	}
	c = &d.changes[d.n_changes++];
	memset(c, 0, sizeof(*c));
	c->kind = (unsigned)kind;
	c->inode = inode;
	return c;
}

/* ---- what was done ---- */

bool
disk_has(int fd)
{
	return d.root[0] && fd >= 0 && fd < FDS_MAX && d.fds[fd];
}

void
disk_opened(int fd, const char *name, bool made, bool cut)
{
	int inode = name[0] ? find(&d.live, name) : 0;

	if (fd >= FDS_MAX)
		die("too many descriptors");
	if (inode < 0) {
		if (!made)
			die("a file that nobody made");
		inode = new_inode(false);
		put_name(&d.live, name, inode);
		(void)snprintf(
		    add_change(LINKED, inode)->name, DISK_NAME_MAX, "%s", name);
	}
	d.fds[fd] = inode + 1;
	d.n_open++;
	if (cut)
		disk_truncated(fd, 0);
}

void
disk_closed(int fd)
{
	d.fds[fd] = 0;
	d.n_open--;
}

void
disk_wrote(int fd, const void *p, size_t n, size_t at)
{
	struct change *c = add_change(WRITTEN, d.fds[fd] - 1);
	struct inode *i = &d.inodes[c->inode];

	c->at = at;
	put_bytes(&c->b, 0, p, n);
	if (at + n > i->size)
		i->size = at + n;
}

void
disk_truncated(int fd, size_t n)
{
	struct change *c = add_change(TRUNCATED, d.fds[fd] - 1);

	c->b.n = n;
	d.inodes[c->inode].size = n;
}

bool
disk_grows(int fd, size_t end)
{
	return end > d.inodes[d.fds[fd] - 1].size;
}

void
disk_made_dir(const char *name)
{
	int inode = new_inode(true);

	put_name(&d.live, name, inode);
	(void)snprintf(
	    add_change(LINKED, inode)->name, DISK_NAME_MAX, "%s", name);
}

void
disk_unlinked(const char *name)
{
	struct change *c = add_change(UNLINKED, find(&d.live, name));

	(void)snprintf(c->name, DISK_NAME_MAX, "%s", name);
	remove_name(&d.live, name);
}

void
disk_linked(const char *from, const char *to)
{
	int inode = find(&d.live, from);

	if (inode < 0)
		die("a link to nothing");
	put_name(&d.live, to, inode);
	(void)snprintf(
	    add_change(LINKED, inode)->name, DISK_NAME_MAX, "%s", to);
}

void
disk_renamed(const char *from, const char *to)
{
	int inode = find(&d.live, from);
	struct change *c;

	if (inode < 0)
		die("a new name of nothing");
	remove_name(&d.live, from);
	put_name(&d.live, to, inode);
	c = add_change(RENAMED, inode);
	(void)snprintf(c->name, DISK_NAME_MAX, "%s", from);
	(void)snprintf(c->to, DISK_NAME_MAX, "%s", to);
}

/* ---- syncing ---- */

static void
apply_name(struct names *t, const struct change *c)
{
	if (c->kind != LINKED)
		remove_name(t, c->name);
	if (c->kind != UNLINKED)
		put_name(t, c->kind == RENAMED ? c->to : c->name, c->inode);
}

static bool
is_of_name(const struct change *c)
{
	return c->kind == LINKED || c->kind == UNLINKED || c->kind == RENAMED;
}

static void
settle(struct change *c)
{
	free(c->b.p);
	c->b.p = NULL;
	c->kind = DONE;
}

static void
forget_done(void)
{
	size_t n = 0;

	for (size_t i = 0; i < d.n_changes; i++)
		if (d.changes[i].kind != DONE)
			d.changes[n++] = d.changes[i];
	d.n_changes = n;
}

static void
sync_dir(const char *dir)
{
	for (size_t i = 0; i < d.n_changes; i++) {
		struct change *c = &d.changes[i];

		/* A move between two directories is one change. */
		if (!is_of_name(c) ||
		    (!is_in(c->name, dir) &&
		        (c->kind != RENAMED || !is_in(c->to, dir))))
			continue;
		apply_name(&d.synced, c);
		settle(c);
	}
}

/* What c makes durable is not in doubt any more. */
static void
overtake(const struct change *c)
{
	for (struct change *o = d.changes; o < c; o++) {
		if (o->inode != c->inode || !o->doubtful)
			continue;
		if (c->kind == TRUNCATED) {
			if (o->kind == TRUNCATED || o->at >= c->b.n)
				settle(o);
			continue;
		}
		for (size_t i = 0; o->kind == WRITTEN && i < o->b.n; i++)
			if (o->at + i >= c->at && o->at + i < c->at + c->b.n)
				o->b.p[i] = c->b.p[o->at + i - c->at];
	}
}

static void
sync_file(int inode)
{
	for (size_t i = 0; i < d.n_changes; i++) {
		struct change *c = &d.changes[i];

		if (c->inode != inode || is_of_name(c) || c->doubtful)
			continue;
		overtake(c);
		if (c->kind == WRITTEN)
			put_bytes(
			    &d.inodes[inode].synced, c->at, c->b.p, c->b.n);
		else if (c->kind == TRUNCATED)
			cut_bytes(&d.inodes[inode].synced, c->b.n);
		settle(c);
	}
}

void
disk_synced(int fd)
{
	int inode = d.fds[fd] - 1;

	if (!d.inodes[inode].is_dir) {
		sync_file(inode);
	} else {
		const char *name = inode == 0 ? "" : name_of(inode);

		if (name)
			sync_dir(name);
	}
	forget_done();
}

void
disk_sync_failed(int fd)
{
	for (size_t i = 0; i < d.n_changes; i++)
		if (d.changes[i].inode == d.fds[fd] - 1 &&
		    !is_of_name(&d.changes[i]))
			d.changes[i].doubtful = true;
}

/* ---- failing ---- */

void
disk_fail_at(enum disk_fault how, unsigned n, int error)
{
	d.how = how;
	d.fail_at = n;
	d.error = error;
	d.calls = 0;
	d.hit = false;
}

unsigned
disk_calls(void)
{
	return d.calls;
}

bool
disk_hit(void)
{
	return d.hit;
}

unsigned
disk_n_open(void)
{
	return d.n_open;
}

static bool
is_due(void)
{
	return d.how != DISK_WELL && d.fail_at > 0 && d.calls >= d.fail_at;
}

bool
disk_fails(void)
{
	d.calls++;
	if (!is_due() || d.how == DISK_FULL || d.how == DISK_LIES ||
	    (d.how == DISK_ONCE && d.calls > d.fail_at))
		return false;
	d.hit = true;
	errno = d.error;
	return true;
}

bool
disk_is_full(void)
{
	if (d.how != DISK_FULL || !is_due())
		return false;
	d.hit = true;
	errno = ENOSPC;
	return true;
}

bool
disk_lies(void)
{
	if (d.how != DISK_LIES || !is_due())
		return false;
	d.hit = true;
	return true;
}

/* ---- the cut ---- */

static bool
is_kept(enum disk_keeps keeps, const struct rng *rng)
{
	return keeps == DISK_KEEPS_SOME && rng_below(rng, 2) > 0;
}

static void
keep_bytes(const struct change *c, enum disk_keeps keeps, const struct rng *rng)
{
	struct bytes *b = &d.inodes[c->inode].synced;

	if (c->kind == TRUNCATED && is_kept(keeps, rng))
		cut_bytes(b, c->b.n);
	for (size_t i = 0; i < c->b.n && c->kind == WRITTEN;) {
		size_t n = SECTOR - (c->at + i) % SECTOR;

		if (n > c->b.n - i)
			n = c->b.n - i;
		if (is_kept(keeps, rng))
			put_bytes(b, c->at + i, c->b.p + i, n);
		i += n;
	}
}

static int
remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	return at->level > 0 ? remove(path) : 0;
}

static void
write_files(void)
{
	char path[2 * DISK_NAME_MAX];

	(void)nftw(d.root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	for (int dirs = 1; dirs >= 0; dirs--)
		for (size_t i = 0; i < d.synced.n; i++) {
			struct inode *n = &d.inodes[d.synced.e[i].inode];

			path_of(d.synced.e[i].name, path);
			if (n->is_dir != (dirs == 1))
				continue;
			if (n->is_dir && syscall(SYS_mkdir, path, 0700))
				die(path);
			if (!n->is_dir) {
				file_put(path, n->synced.p, n->synced.n);
				(void)chmod(path, 0600);
			}
		}
}

/* Of files whose directory is not there nothing is left. */
static void
drop_homeless(void)
{
	for (size_t i = 0; i < d.synced.n;) {
		char dir[DISK_NAME_MAX];
		char *slash;

		(void)snprintf(dir, sizeof(dir), "%s", d.synced.e[i].name);
		slash = strrchr(dir, '/');
		if (slash)
			*slash = '\0';
		if (slash && find(&d.synced, dir) < 0)
			d.synced.e[i] = d.synced.e[--d.synced.n];
		else
			i++;
	}
}

void
disk_cut(enum disk_keeps keeps, const struct rng *rng)
{
	char root[DISK_NAME_MAX];
	bool names = true;

	if (d.n_open)
		die("files are open");
	if (keeps == DISK_KEEPS_ALL) { /* until a cut comes after all */
		disk_fail_at(DISK_WELL, 0, 0);
		return;
	}
	for (size_t i = 0; i < d.n_changes; i++) {
		struct change *c = &d.changes[i];

		if (!is_of_name(c)) {
			keep_bytes(c, keeps, rng);
			continue;
		}
		/* File systems keep them in order. */
		names =
		    names && keeps == DISK_KEEPS_SOME && rng_below(rng, 4) > 0;
		if (names)
			apply_name(&d.synced, c);
	}
	drop_homeless();
	write_files();
	(void)snprintf(root, sizeof(root), "%s", d.root);
	disk_watch(root);
}

/* ---- looking ---- */

static int
note_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	const char *name = path + strlen(d.root) + (at->level > 0);
	int inode = new_inode(type == FTW_D);
	struct inode *i = &d.inodes[inode];

	(void)st;
	if (at->level > 0) {
		put_name(&d.live, name, inode);
		put_name(&d.synced, name, inode);
	}
	if (!i->is_dir)
		i->synced.p = file_get(path, &i->synced.n);
	i->synced.cap = i->synced.n;
	i->size = i->synced.n;
	return 0;
}

void
disk_watch(const char *root)
{
	for (size_t i = 0; i < d.n_changes; i++)
		free(d.changes[i].b.p);
	for (int i = 0; i < d.n_inodes; i++)
		free(d.inodes[i].synced.p);
	free(d.changes);
	memset(&d, 0, sizeof(d));
	if (!root)
		return;
	(void)snprintf(d.root, sizeof(d.root), "%s", root);
	if (nftw(root, note_one, 16, FTW_PHYS))
		die(root);
}
