/*
 * libminiupnpc, called in a process that has nothing to lose: finds the gateway
 * and maps the port. It would follow any address that anybody in the network
 * names; here it is let to the gateway alone.
 */
#include "daemon/upnp.h"

#include <string.h>

bool
upnp_igd_is_of(const char *url, const char *gateway)
{
	static const char scheme[] = "http://";
	size_t n = strlen(gateway);

	if (!url || strncmp(url, scheme, sizeof(scheme) - 1) != 0)
		return false;
	url += sizeof(scheme) - 1;
	if (n == 0 || strncmp(url, gateway, n) != 0)
		return false;
	url += n;
	if (*url == ':')
		url += 1 + strspn(url + 1, "0123456789");
	return *url == '/';
}

#ifdef BTCHAT_UPNP

#include <arpa/inet.h>
#include <miniupnpc/miniupnpc.h>
#include <miniupnpc/upnpcommands.h>
#include <stdio.h>

enum {
	DISCOVER_MS = 2000,
	HOPS = 2,
	DEVICES_MAX = 16,
	PORTS_MAX = 3, /* tried, where the wanted one is taken */
	PORT_FIRST = 1024,
	PORT_STEP = 7919,
	TEXT_SIZE = 64,       /* the library writes 16 bytes of an address */
	ONLY_PERMANENT = 725, /* its error numbers [UPnP WANIPConnection] */
	CONFLICT = 718,
	CONFLICT_OTHER = 729,
};

struct ask {
	const struct upnp_job *j;
	char gateway[TEXT_SIZE], local[TEXT_SIZE];
	struct UPNPUrls urls;
	struct IGDdatas data;
};

static void
v4_text(const struct endpoint *e, char ret[TEXT_SIZE])
{
	struct span a = endpoint_addr(e);

	(void)snprintf(
	    ret, TEXT_SIZE, "%u.%u.%u.%u", a.p[0], a.p[1], a.p[2], a.p[3]);
}

/* A service that maps ports, on the gateway itself. */
static bool
is_usable(const struct ask *a)
{
	static const char *const types[] = {
		"urn:schemas-upnp-org:service:WANIPConnection:",
		"urn:schemas-upnp-org:service:WANPPPConnection:",
	};
	const char *type = a->data.first.servicetype;

	if (!upnp_igd_is_of(a->urls.controlURL, a->gateway))
		return false;
	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strncmp(type, types[i], strlen(types[i])) == 0)
			return true;
	return false;
}

static int
add_mapping(const struct ask *a, uint16_t port, uint32_t lifetime_s)
{
	char outer[8];
	char inner[8];
	char life[16];

	(void)snprintf(outer, sizeof(outer), "%u", port);
	(void)snprintf(inner, sizeof(inner), "%u", a->j->job.internal.port);
	(void)snprintf(life, sizeof(life), "%u", lifetime_s);
	/* Anybody may read the list of mappings: its name tells no more than
	 * the rest of it. */
	return UPNP_AddPortMapping(a->urls.controlURL,
	    a->data.first.servicetype, outer, inner, a->local, outer, "UDP",
	    NULL, life);
}

/* Its port outside; 0: none. */
static uint16_t
map(const struct ask *a)
{
	uint32_t port = a->j->job.external_port;
	uint32_t life = a->j->job.lifetime_s;

	for (int i = 0; i < PORTS_MAX; i++) {
		int r = add_mapping(a, (uint16_t)port, life);

		if (r == ONLY_PERMANENT) { /* it is taken back at the end */
			life = 0;
			r = add_mapping(a, (uint16_t)port, life);
		}
		if (r == UPNPCOMMAND_SUCCESS)
			return (uint16_t)port;
		if (r != CONFLICT && r != CONFLICT_OTHER)
			return 0;
		port = PORT_FIRST +
		       (port + PORT_STEP) % (UINT16_MAX + 1U - PORT_FIRST);
	}
	return 0;
}

static bool
do_map(const struct ask *a, struct mapping_done *ret)
{
	char text[TEXT_SIZE] = "";
	uint8_t v4[4] = { 0 };
	uint16_t port;

	if (UPNP_GetExternalIPAddress(a->urls.controlURL,
	        a->data.first.servicetype, text) != UPNPCOMMAND_SUCCESS ||
	    inet_pton(AF_INET, text, v4) != 1)
		return false;
	port = map(a);
	if (port == 0)
		return false;
	ret->external = endpoint_v4(v4, port);
	ret->lifetime_s = a->j->job.lifetime_s;
	return true;
}

static bool
do_unmap(const struct ask *a)
{
	char outer[8];

	(void)snprintf(outer, sizeof(outer), "%u", a->j->job.external_port);
	return UPNP_DeletePortMapping(a->urls.controlURL,
	           a->data.first.servicetype, outer, "UDP",
	           NULL) == UPNPCOMMAND_SUCCESS;
}

static bool
ask_service(const struct ask *a, struct mapping_done *ret)
{
	if (!is_usable(a))
		return false;
	return a->j->job.lifetime_s > 0 ? do_map(a, ret) : do_unmap(a);
}

/* A gateway may have two services, for two ways into the world. */
static bool
ask_device(struct ask *a, const char *url, struct mapping_done *ret)
{
	char local[TEXT_SIZE] = "";
	bool ok;

	if (!upnp_igd_is_of(url, a->gateway) ||
	    UPNP_GetIGDFromUrl(
	        url, &a->urls, &a->data, local, (int)sizeof(local) - 1) != 1)
		return false;
	ok = ask_service(a, ret);
	FreeUPNPUrls(&a->urls);
	if (ok || a->data.second.servicetype[0] == '\0')
		return ok;
	a->data.first = a->data.second;
	GetUPNPUrls(&a->urls, &a->data, url, 0);
	ok = ask_service(a, ret);
	FreeUPNPUrls(&a->urls);
	return ok;
}

bool
upnp_igd(const struct upnp_job *j, struct mapping_done *ret)
{
	struct ask a = { .j = j };
	struct UPNPDev *list;
	bool ok = false;
	int n = 0;

	v4_text(&j->gateway, a.gateway);
	v4_text(&j->job.internal, a.local);
	/* No daemon for it is asked, whose socket would be a file. */
	list = upnpDiscover(
	    DISCOVER_MS, a.local, "", UPNP_LOCAL_PORT_ANY, 0, HOPS, NULL);
	for (struct UPNPDev *dev = list; dev && !ok && n < DEVICES_MAX;
	     dev = dev->pNext, n++)
		ok = ask_device(&a, dev->descURL, ret);
	freeUPNPDevlist(list);
	return ok;
}

#else

bool
upnp_igd(const struct upnp_job *j, struct mapping_done *ret)
{
	(void)j;
	(void)ret;
	return false;
}

#endif
