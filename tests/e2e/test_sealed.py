"""A copy of the state directory without the passphrase shows no name, no text,
no address and no ID, while the daemon runs, after a kill and after a stop."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, add_contact, need_build  # noqa: E402


def sealed_person(net, name):
    daemon = net.add(name, bootstrap=net.entry).start()
    shown = daemon.call("identity.create", name="NAME-OF-" + name,
                        passphrase="correct horse")
    daemon.address = shown["address"]
    return daemon, bytes.fromhex(shown["fingerprint"])


def files(folder):
    for base, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(base, name), "rb") as f:
                yield name, f.read()


def nothing_shows(when, daemon, secrets):
    seen = 0
    for name, data in files(daemon.state):
        seen += len(data)
        for what, secret in secrets.items():
            if secret in data:
                check("%s: no %s in %s" % (when, what, name), False)
    check("%s: nothing shows in %s" % (when, daemon.name), seen > 4096, seen)


def main():
    need_build()
    with Net() as net:
        net.dht(3)
        alice, id_a = sealed_person(net, "alice")
        bob, id_b = sealed_person(net, "bob")
        to_bob, to_alice = add_contact(alice, bob), add_contact(bob, alice)
        alice.wait_event("contact.ready", conv=to_bob)
        bob.wait_event("contact.ready", conv=to_alice)
        sent = alice.call("message.send", conv=to_bob,
                          text="A-TEXT-OF-ALICE", client_id="A-CLIENT-ID")
        with alice.rpc(timeout=130) as rpc:
            rpc.call("message.wait", rpc_timeout=130, id=sent["id"],
                     state="delivered", timeout_ms=120000)
        bob.call("message.react", id=sent["id"], reaction="A-REACTION")
        bob.call("message.send", conv=to_alice, text="A-TEXT-OF-BOB")
        alice.call("message.edit", id=sent["id"], text="ANOTHER-TEXT")
        alice.call("invite.create", label="A-LABEL")
        alice.call("conv.set", conv=to_bob, draft="A-DRAFT")
        alice.call("contact.set", contact=to_bob, name="NAME-FOR-THE-OTHER")
        secrets = {
            "own name": b"NAME-OF-", "name": b"NAME-FOR-", "texts": b"-TEXT",
            "client id": b"A-CLIENT", "reaction": b"A-REACTION",
            "label": b"A-LABEL", "draft": b"A-DRAFT",
            "passphrase": b"correct horse",
            "ID of alice": id_a, "ID of bob": id_b,
            "address of alice": alice.address.encode(),
            "address of bob": bob.address.encode()}
        for daemon in (alice, bob):
            nothing_shows("running", daemon, secrets)
            daemon.kill()
            nothing_shows("killed", daemon, secrets)
            daemon.start()
            daemon.stop()
            nothing_shows("stopped", daemon, secrets)
    finish()


if __name__ == "__main__":
    main()
