/* The methods. tests/lint/rpc.py holds this table, proto/openrpc.json and
 * btchat-rpc(7) to the same names, order, tiers and parameters. */
#include "daemon/rpc_call.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Sorted by name. */
/* clang-format off */
const struct rpc_method rpc_methods[] = {
	/* name            tier       needs     params */
	{ "backup.create", RPC_ADMIN, RPC_OPEN, "passphrase:str(1,1024)",
	  rpc_backup_create },
	{ "backup.restore", RPC_ADMIN, RPC_ANY, "passphrase:str(1,1024)",
	  rpc_backup_restore },
	{ "backup.verify", RPC_ADMIN, RPC_ANY,  "passphrase:str(1,1024)",
	  rpc_backup_verify },
	{ "config.get",    RPC_READ,  RPC_ANY,  "key:str(64)",
	  rpc_config_get },
	{ "config.list",   RPC_READ,  RPC_ANY,  "",
	  rpc_config_list },
	{ "config.reload", RPC_ADMIN, RPC_ANY,  "",
	  rpc_config_reload },
	{ "config.set",    RPC_ADMIN, RPC_ANY,  "key:str(64) value:str(8703)?",
	  rpc_config_set },
	{ "contact.add",   RPC_CHAT,  RPC_OPEN,
	  "address:str(512) name:str(256)? client_id:str(1,64)?",
	  rpc_contact_add },
	{ "contact.block", RPC_CHAT,  RPC_OPEN, "contact:id",
	  rpc_contact_block },
	{ "contact.delete", RPC_CHAT, RPC_OPEN, "contact:id history:bool?",
	  rpc_contact_delete },
	{ "contact.get",   RPC_READ,  RPC_OPEN, "contact:id",
	  rpc_contact_get },
	{ "contact.list",  RPC_READ,  RPC_OPEN,
	  "query:str(256)? limit:int(1,500)? after:str(64)?",
	  rpc_contact_list },
	{ "contact.resolve", RPC_READ, RPC_OPEN, "text:str(1,512)",
	  rpc_contact_resolve },
	{ "contact.set",   RPC_CHAT,  RPC_OPEN,
	  "contact:id name:str(256)? fallback:enum(auto|allow|deny)? "
	  "relay:bool? presence:bool?",
	  rpc_contact_set },
	{ "contact.unblock", RPC_CHAT, RPC_OPEN, "contact:id",
	  rpc_contact_unblock },
	{ "contact.verify", RPC_CHAT, RPC_OPEN,
	  "contact:id fingerprint:str(256)?",
	  rpc_contact_verify },
	{ "contact.why",   RPC_READ,  RPC_OPEN, "contact:id addresses:bool?",
	  rpc_contact_why },
	{ "conv.clear",    RPC_CHAT,  RPC_OPEN,
	  "conv:id unsent:enum(send|drop)? client_id:str(1,64)?",
	  rpc_conv_clear },
	{ "conv.list",     RPC_READ,  RPC_OPEN,
	  "unread_only:bool? limit:int(1,500)? after:str(64)?",
	  rpc_conv_list },
	{ "conv.read",     RPC_CHAT,  RPC_OPEN, "conv:id up_to:id?",
	  rpc_conv_read },
	{ "conv.set",      RPC_CHAT,  RPC_OPEN,
	  "conv:id muted:bool? pinned:bool? receipts:enum(default|on|off)? "
	  "draft:str(262144)? timer_ms:int(0,31622400000)?",
	  rpc_conv_set },
	{ "daemon.loglevel", RPC_ADMIN, RPC_ANY,
	  "level:enum(err|warning|notice|info|debug)?",
	  rpc_daemon_loglevel },
	{ "daemon.logs",   RPC_ADMIN, RPC_ANY,
	  "since:int(0,9007199254740991)? "
	  "level:enum(err|warning|notice|info|debug)? limit:int(1,512)?",
	  rpc_daemon_logs },
	{ "daemon.metrics", RPC_READ, RPC_ANY,  "",
	  rpc_daemon_metrics },
	{ "daemon.selftest", RPC_ADMIN, RPC_ANY, "",
	  rpc_daemon_selftest },
	{ "daemon.shutdown", RPC_ADMIN, RPC_ANY, "",
	  rpc_daemon_shutdown },
	{ "events.ack",    RPC_READ,  RPC_ANY,
	  "consumer:str(32) seq:int(0,9007199254740991)",
	  rpc_events_ack },
	{ "events.consumers", RPC_READ, RPC_ANY, "",
	  rpc_events_consumers },
	{ "events.forget", RPC_CHAT,  RPC_ANY,  "consumer:str(32)",
	  rpc_events_forget },
	{ "events.poll",   RPC_READ,  RPC_ANY,
	  "since:any? types:strs? convs:strs? limit:int(1,500)? "
	  "timeout_ms:int(0,3600000)?",
	  rpc_events_poll },
	{ "events.subscribe", RPC_READ, RPC_ANY,
	  "since:any? consumer:str(32)? types:strs? convs:strs? "
	  "ephemeral:bool?",
	  rpc_events_subscribe },
	{ "events.unsubscribe", RPC_READ, RPC_ANY,
	  "sub:int(1,9007199254740991)",
	  rpc_events_unsubscribe },
	{ "identity.create", RPC_CHAT, RPC_ANY,
	  "name:str(256)? passphrase:str(1024)? fd:int(0,7)?",
	  rpc_identity_create },
	{ "identity.delete", RPC_ADMIN, RPC_OPEN, "confirm:str(512)",
	  rpc_identity_delete },
	{ "identity.export", RPC_ADMIN, RPC_OPEN, "passphrase:str(1,1024)",
	  rpc_identity_export },
	{ "identity.import", RPC_ADMIN, RPC_ANY, "passphrase:str(1,1024)",
	  rpc_identity_import },
	{ "identity.list", RPC_READ,  RPC_ANY,  "",
	  rpc_identity_list },
	{ "identity.lock", RPC_CHAT,  RPC_ANY,  "",
	  rpc_identity_lock },
	{ "identity.passphrase", RPC_ADMIN, RPC_OPEN,
	  "old:str(1024)? old_fd:int(0,7)? passphrase:str(1,1024)? "
	  "fd:int(0,7)? remove:bool?",
	  rpc_identity_passphrase },
	{ "identity.set",  RPC_CHAT,  RPC_OPEN,
	  "name:str(256)? profile:str(256)?",
	  rpc_identity_set },
	{ "identity.show", RPC_READ,  RPC_OPEN, "",
	  rpc_identity_show },
	{ "identity.unlock", RPC_CHAT, RPC_ANY,
	  "passphrase:str(1024)? fd:int(0,7)?",
	  rpc_identity_unlock },
	{ "invite.accept", RPC_CHAT,  RPC_OPEN,
	  "uri:str(1024) name:str(256)? client_id:str(1,64)?",
	  rpc_invite_accept },
	{ "invite.create", RPC_CHAT,  RPC_OPEN,
	  "label:str(256)? ttl_ms:int(60000,7776000000)? uses:int(1,1)?",
	  rpc_invite_create },
	{ "invite.list",   RPC_READ,  RPC_OPEN, "",
	  rpc_invite_list },
	{ "invite.revoke", RPC_CHAT,  RPC_OPEN, "id:id",
	  rpc_invite_revoke },
	{ "message.cancel", RPC_CHAT, RPC_OPEN, "id:id conv:id?",
	  rpc_message_cancel },
	{ "message.delete", RPC_CHAT, RPC_OPEN,
	  "id:id conv:id? for:enum(all|me)? client_id:str(1,64)?",
	  rpc_message_delete },
	{ "message.edit",  RPC_CHAT,  RPC_OPEN,
	  "id:id conv:id? text:str(262144) client_id:str(1,64)?",
	  rpc_message_edit },
	{ "message.get",   RPC_READ,  RPC_OPEN, "id:id",
	  rpc_message_get },
	{ "message.history", RPC_READ, RPC_OPEN,
	  "conv:id before:id? after:id? around:id? limit:int(1,500)?",
	  rpc_message_history },
	{ "message.react", RPC_CHAT,  RPC_OPEN,
	  "id:id conv:id? reaction:str(256) client_id:str(1,64)?",
	  rpc_message_react },
	{ "message.retry", RPC_CHAT,  RPC_OPEN, "id:id conv:id?",
	  rpc_message_retry },
	{ "message.search", RPC_READ, RPC_OPEN,
	  "query:str(256) conv:id? direction:enum(in|out)? "
	  "since_ms:int(0,9007199254740991)? "
	  "until_ms:int(1,9007199254740991)? limit:int(1,500)? "
	  "after:str(64)?",
	  rpc_message_search },
	{ "message.send",  RPC_CHAT,  RPC_OPEN,
	  "conv:id text:str(262144) reply_to:id? "
	  "ttl_ms:int(0,31622400000)? client_id:str(1,64)?",
	  rpc_message_send },
	{ "message.status", RPC_READ, RPC_OPEN, "id:id",
	  rpc_message_status },
	{ "message.wait",  RPC_READ,  RPC_OPEN,
	  "id:id state:enum(sent|delivered|read)? timeout_ms:int(0,3600000)?",
	  rpc_message_wait },
	{ "net.bootstrap", RPC_ADMIN, RPC_ANY,  "node:str(260)",
	  rpc_net_bootstrap },
	{ "net.dht",       RPC_READ,  RPC_ANY,  "",
	  rpc_net_dht },
	{ "net.nat",       RPC_READ,  RPC_ANY,  "",
	  rpc_net_nat },
	{ "net.peers",     RPC_READ,  RPC_OPEN,
	  "online_only:bool? limit:int(1,500)? after:str(64)?",
	  rpc_net_peers },
	{ "net.probe",     RPC_CHAT,  RPC_OPEN,
	  "contact:id timeout_ms:int(0,3600000)?",
	  rpc_net_probe },
	{ "net.rebind",    RPC_ADMIN, RPC_ANY,  "",
	  rpc_net_rebind },
	{ "net.status",    RPC_READ,  RPC_ANY,  "",
	  rpc_net_status },
	{ "rpc.discover",  RPC_READ,  RPC_ANY,  "",
	  rpc_discover },
	{ "session.hello", RPC_READ,  RPC_ANY,  "strict:bool?",
	  rpc_session_hello },
	{ "session.info",  RPC_READ,  RPC_ANY,  "",
	  rpc_session_info },
	{ "session.restrict", RPC_READ, RPC_ANY,
	  "tier:enum(read|chat|admin)? methods:strs? convs:strs? "
	  "until_ms:int(0,9007199254740991)?",
	  rpc_session_restrict },
	{ "status",        RPC_READ,  RPC_ANY,  "",
	  rpc_status },
	{ "sync.snapshot", RPC_READ,  RPC_OPEN,
	  "limit:int(1,500)? after:str(64)?",
	  rpc_sync_snapshot },
	{ "typing.set",    RPC_CHAT,  RPC_OPEN, "conv:id on:bool",
	  rpc_typing_set },
};
/* clang-format on */

const size_t rpc_n_methods = sizeof(rpc_methods) / sizeof(*rpc_methods);

static int
by_name(const void *key, const void *row)
{
	return strcmp(key, ((const struct rpc_method *)row)->name);
}

const struct rpc_method *
rpc_method_find(const char *name)
{
	return bsearch(
	    name, rpc_methods, rpc_n_methods, sizeof(*rpc_methods), by_name);
}

static const char *const tier_names[] = {
	[RPC_READ] = "read",
	[RPC_CHAT] = "chat",
	[RPC_ADMIN] = "admin",
};

const char *
rpc_tier_name(enum rpc_tier tier)
{
	assert(tier >= RPC_READ && tier <= RPC_ADMIN);
	return tier_names[tier];
}

const char *
rpc_tier_socket(enum rpc_tier tier)
{
	assert(tier >= RPC_READ && tier <= RPC_ADMIN);
	return tier == RPC_READ   ? "readonly"
	       : tier == RPC_CHAT ? "control"
	                          : "admin";
}
