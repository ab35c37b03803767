/* Extra sockets: which are open. Who uses them for what is elsewhere. */
#include "proto/node_int.h"

#include <assert.h>

unsigned
socket_open(struct node *n, enum family f)
{
	unsigned at = 1;

	assert(n->n_sockets <= n->sockets_max);
	if (n->n_sockets == n->sockets_max)
		return 0;
	while (n->socket[at].open)
		at++;
	assert(at <= NODE_SOCKETS_MAX);
	effect_socket(n, EFFECT_SOCKET_OPEN, at, f);
	n->socket[at].open = true;
	n->socket[at].family = f;
	n->n_sockets++;
	n->unsettled = true;
	return at;
}

static void
forget(struct node *n, unsigned socket)
{
	assert(n->socket[socket].open && n->n_sockets > 0);
	n->socket[socket].open = false;
	n->n_sockets--;
}

void
socket_close(struct node *n, unsigned socket)
{
	assert(socket_is_open(n, socket));
	effect_socket(n, EFFECT_SOCKET_CLOSE, socket, n->socket[socket].family);
	forget(n, socket);
	n->unsettled = true;
}

bool
socket_is_open(const struct node *n, unsigned socket)
{
	return socket > 0 && socket <= NODE_SOCKETS_MAX &&
	       n->socket[socket].open;
}

void
node_socket_lost(struct node *n, unsigned socket, struct now now)
{
	node_time(n, now);
	if (!socket_is_open(n, socket))
		return;
	route_socket_closed(n, socket);
	forget(n, socket);
	n->unsettled = true;
}
