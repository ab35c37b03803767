/*
 * A little internet between the TUN devices that it inherits. Commands come
 * in on standard input, a line each, answers go out the same way; it ends
 * with its input. tests/net/lab.py drives it.
 */
#include "tests/net/wan/die.h"
#include "tests/net/wan/wan.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
	LINE_SIZE = 1 << 16, /* of a command */
	EVENTS = 64,
	WATCH_INPUT = WAN_NODES * 2, /* else a node, doubled; odd: its gate */
};

static const uint64_t sweep_ns = UINT64_C(5000000000);

struct input {
	char line[LINE_SIZE];
	size_t n;
	bool is_over;
};

static void
watch(int epoll, int fd, uint32_t what)
{
	struct epoll_event e = { .events = EPOLLIN, .data.u32 = what };

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e) != 0)
		die("epoll_ctl");
}

static void
answer(struct wan *w, char *line)
{
	char *text = NULL;
	size_t n = 0;
	FILE *out = open_memstream(&text, &n);

	if (out)
		command_run(w, line, out);
	if (!out || fclose(out) != 0)
		die("memory");
	/* An error rewinds the stream: its line ends before the memory does. */
	n = (size_t)(strchr(text, '\n') - text) + 1;
	if (fwrite(text, 1, n, stdout) != n || fflush(stdout) != 0)
		die("standard output");
	free(text);
}

static void
read_commands(struct wan *w, struct input *in)
{
	ssize_t got =
	    read(STDIN_FILENO, in->line + in->n, sizeof(in->line) - 1 - in->n);
	char *end;

	if (got <= 0) {
		in->is_over = true;
		return;
	}
	in->n += (size_t)got;
	in->line[in->n] = '\0';
	while ((end = strchr(in->line, '\n')) != NULL) {
		size_t used = (size_t)(end - in->line) + 1;

		*end = '\0';
		answer(w, in->line);
		in->n -= used;
		memmove(in->line, in->line + used, in->n + 1);
	}
	in->is_over = in->n == sizeof(in->line) - 1; /* too long */
}

/* New nodes have descriptors that nobody watches yet. */
static unsigned
watch_nodes(const struct wan *w, int epoll, unsigned from)
{
	for (; from < w->n_nodes; from++) {
		const struct node *n = w->node[from];

		if (n->tun >= 0)
			watch(epoll, n->tun, n->index * 2);
		if (n->gate >= 0)
			watch(epoll, n->gate, n->index * 2 + 1);
	}
	return from;
}

static void
handle(struct wan *w, uint32_t what)
{
	struct node *n = w->node[what / 2];

	if (what % 2 == 0)
		wan_read(w, n);
	else
		gate_read(w, n);
}

static void
loop(struct wan *w, struct input *in, int epoll)
{
	uint64_t sweep = wan_clock() + sweep_ns;
	unsigned watched = 0;

	while (!in->is_over) {
		struct epoll_event event[EVENTS];
		uint64_t wait = wan_run(w);
		struct timespec ts;
		int n;

		watched = watch_nodes(w, epoll, watched);
		wait = wait < sweep_ns ? wait : sweep_ns;
		ts.tv_sec = (time_t)(wait / 1000000000);
		ts.tv_nsec = (long)(wait % 1000000000);
		n = epoll_pwait2(epoll, event, EVENTS, &ts, NULL);
		if (n < 0 && errno != EINTR)
			die("epoll_pwait2");
		for (int i = 0; i < n; i++) {
			if (event[i].data.u32 == WATCH_INPUT)
				read_commands(w, in);
			else
				handle(w, event[i].data.u32);
			(void)wan_run(w);
		}
		if (wan_clock() > sweep) {
			wan_sweep(w);
			sweep = wan_clock() + sweep_ns;
		}
	}
}

int
main(void)
{
	static struct wan w;
	static struct input in;
	int epoll = epoll_create1(EPOLL_CLOEXEC);

	if (epoll < 0)
		die("epoll_create1");
	wan_init(&w);
	(void)prctl(PR_SET_TIMERSLACK, 1);
	(void)setpriority(PRIO_PROCESS, 0, -20); /* only if we may */
	watch(epoll, STDIN_FILENO, WATCH_INPUT);
	loop(&w, &in, epoll);
	capture_end(&w);
	return EXIT_SUCCESS;
}
