/* The sandbox: each layer is looked at from inside, by a child. */
#include "daemon/confine.h"
#include "daemon/landlock.h"
#include "daemon/sandbox.h"
#include "daemon/sanitizer.h"
#include "tests/support/kernel.h"
#include "tests/support/tempdir.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { REFUSED = 77 };

struct world {
	struct tempdir dir;
	struct daemon d;
	int web; /* somebody serves on loopback */
	struct sockaddr_in web_at;
};

/* What there is on this machine, asked of its kernel and not of our code. */
static long
landlock_abi(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0,
	    LANDLOCK_CREATE_RULESET_VERSION);
}

static bool
can_confine(void)
{
#ifdef UNDER_SANITIZER
	return false;
#else
	return landlock_abi() >= 2 && kernel_filters_calls();
#endif
}

static void
begin_web(struct world *w)
{
	socklen_t n = sizeof(w->web_at);

	w->web = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	w->web_at.sin_family = AF_INET;
	w->web_at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	assert_int_equal(
	    bind(w->web, (struct sockaddr *)&w->web_at, sizeof(w->web_at)), 0);
	assert_int_equal(listen(w->web, 1), 0);
	assert_int_equal(
	    getsockname(w->web, (struct sockaddr *)&w->web_at, &n), 0);
}

static int
begin(void **state)
{
	struct world *w = calloc(1, sizeof(*w));
	const char *path;

	w->dir = tempdir_new();
	path = tempdir_file(&w->dir, "state");
	assert_int_equal(mkdir(path, 0700), 0);
	(void)snprintf(
	    w->d.config.state, sizeof(w->d.config.state), "%s", path);
	path = tempdir_file(&w->dir, "btchatd.conf");
	(void)snprintf(w->d.config.file, sizeof(w->d.config.file), "%s", path);
	w->d.config.sandbox = CONFINE_STRICT;
	begin_web(w);
	/* What is not allowed fails here, as it does for users. */
	(void)unsetenv("BTCHAT_SANDBOX_TRAP");
	*state = w;
	return 0;
}

static int
end(void **state)
{
	struct world *w = *state;

	(void)close(w->web);
	tempdir_free(&w->dir);
	free(w);
	return 0;
}

/* Has a child do it in the sandbox; its status is what look returns, or 128
 * and the signal. Skips the test where there is no such sandbox. */
static int
inside(struct world *w, int (*look)(struct world *w))
{
	pid_t pid;
	int status = 0;

	if (!can_confine())
		skip();
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)signal(SIGSYS, SIG_DFL); /* not for cmocka */
		if (confine_daemon(&w->d) || !w->d.confined.files ||
		    !w->d.confined.calls)
			_exit(REFUSED);
		_exit(look(w));
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFSIGNALED(status))
		return 128 + WTERMSIG(status);
	assert_int_not_equal(WEXITSTATUS(status), REFUSED);
	return WEXITSTATUS(status);
}

#define FAILS(call, why) ((call) == -1 && errno == (why))

static int
use_files(struct world *w)
{
	char path[CONFIG_VALUE_MAX + 16];
	int fd;

	(void)snprintf(path, sizeof(path), "%s/new", w->d.config.state);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0 || write(fd, "x", 1) != 1 || ftruncate(fd, 0) ||
	    fdatasync(fd) || unlink(path))
		return 1;
	if (open("/etc/hosts", O_RDONLY | O_CLOEXEC) < 0 && errno != ENOENT)
		return 2;
	if (open("/dev/null", O_RDWR | O_CLOEXEC) < 0)
		return 3;
	return 0;
}

static void
its_own_files_can_be_used(void **state)
{
	assert_int_equal(inside(*state, use_files), 0);
}

static int
steal_files(struct world *w)
{
	char path[CONFIG_VALUE_MAX + 16];

	if (!FAILS(open("/bin/sh", O_RDONLY | O_CLOEXEC), EACCES))
		return 1;
	if (!FAILS(
	        open("/etc/new", O_RDWR | O_CREAT | O_CLOEXEC, 0600), EACCES))
		return 2;
	/* Beside the configuration one may read, not write. */
	(void)snprintf(path, sizeof(path), "%s.new", w->d.config.file);
	if (!FAILS(open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600), EACCES))
		return 3;
	return 0;
}

static void
others_files_cannot(void **state)
{
	assert_int_equal(inside(*state, steal_files), 0);
}

static int
use_net(struct world *w)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	long abi = landlock_abi();

	if (socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0) < 0)
		return 1;
	if (!FAILS(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP), EPERM))
		return 2;
	if (!FAILS(socket(AF_PACKET, SOCK_RAW, 0), EPERM))
		return 3;
	if (fd < 0)
		return 4;
	if (abi >= 4 && !FAILS(connect(fd, (struct sockaddr *)&w->web_at,
	                           sizeof(w->web_at)),
	                    EACCES))
		return 5;
	return 0;
}

static void
it_speaks_udp_and_no_raw_packets(void **state)
{
	assert_int_equal(inside(*state, use_net), 0);
}

static int
use_memory(struct world *w)
{
	void *p;

	(void)w;
	if (mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
	        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
		return 1;
	p = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		return 2;
	return mprotect(p, 4096, PROT_READ | PROT_EXEC) ? 0 : 3;
}

static void
no_memory_is_written_and_executed(void **state)
{
	assert_int_equal(inside(*state, use_memory), 0);
}

static int
run_program(struct world *w)
{
	char *argv[] = { NULL };

	(void)w;
	(void)execve("/bin/true", argv, argv);
	return 1;
}

static int
trace(struct world *w)
{
	(void)w;
	(void)syscall(SYS_ptrace, 0, 0, 0, 0);
	return 1;
}

static int
leave(struct world *w)
{
	(void)w;
	(void)syscall(SYS_unshare, 0x10000000);
	return 1;
}

/* To the shell of whoever started us in his terminal. */
static int
type_a_command(struct world *w)
{
	(void)w;
	(void)ioctl(STDIN_FILENO, TIOCSTI, "x");
	return 1;
}

static void
what_an_intruder_would_do_ends_it(void **state)
{
	assert_int_equal(inside(*state, run_program), 128 + SIGSYS);
	assert_int_equal(inside(*state, trace), 128 + SIGSYS);
	assert_int_equal(inside(*state, leave), 128 + SIGSYS);
	assert_int_equal(inside(*state, type_a_command), 128 + SIGSYS);
}

static int
make_child(struct world *w)
{
	(void)w;
	return FAILS(fork(), EPERM) ? 0 : 1;
}

static void *
resolve(void *arg)
{
	struct addrinfo *found = NULL;

	if (getaddrinfo("localhost", "1", NULL, &found) == 0)
		freeaddrinfo(found);
	return arg;
}

static int
make_thread(struct world *w)
{
	pthread_t id;
	void *back = NULL;

	if (pthread_create(&id, NULL, resolve, w) || pthread_join(id, &back))
		return 1;
	return back == w ? 0 : 2;
}

static void
it_makes_threads_and_no_processes(void **state)
{
	assert_int_equal(inside(*state, make_child), 0);
	assert_int_equal(inside(*state, make_thread), 0);
}

static int
ask_for_nothing(struct world *w)
{
	(void)w;
	return FAILS(syscall(SYS_acct, NULL), EPERM) ? 0 : 1;
}

static void
what_is_not_listed_fails_and_in_tests_ends_it(void **state)
{
	assert_int_equal(inside(*state, ask_for_nothing), 0);
	(void)setenv("BTCHAT_SANDBOX_TRAP", "1", 1);
	assert_int_equal(inside(*state, ask_for_nothing), 128 + SIGSYS);
}

static void
off_is_off(void **state)
{
	struct world *w = *state;

	w->d.config.sandbox = CONFINE_OFF;
	assert_int_equal(confine_daemon(&w->d), ERR_OK);
	assert_false(w->d.confined.files);
	assert_false(w->d.confined.calls);
	assert_false(w->d.confined.memory);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(its_own_files_can_be_used),
		TEST(others_files_cannot),
		TEST(it_speaks_udp_and_no_raw_packets),
		TEST(no_memory_is_written_and_executed),
		TEST(what_an_intruder_would_do_ends_it),
		TEST(it_makes_threads_and_no_processes),
		TEST(what_is_not_listed_fails_and_in_tests_ends_it),
		TEST(off_is_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
