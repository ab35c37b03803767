#!/usr/bin/python3
"""A bot: says back what it is told. Python's standard library is all it needs.

    bot.py [SOCKET]

It answers each message once, also when it, or the daemon, is killed in between:
the daemon remembers how far the consumer "bot" came, so nothing is missed, and
the client_id of an answer is made of the message's id, so nothing is said twice.
"""
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from client import DEFAULT, Daemon  # noqa: E402


def serve(path):
    daemon = Daemon(path)
    daemon.call("events.subscribe", consumer="bot", types=["message.new"])
    print("listening", flush=True)
    while True:
        event = daemon.event()
        said = event["data"]
        if said["direction"] == "in" and "text" in said:  # else it is gone
            try:
                daemon.call("message.send", conv=said["conv"],
                            text="you said: " + said["text"],
                            client_id="bot-" + said["id"])
            except ValueError as error:  # a contact that was removed
                print(error, file=sys.stderr)
        daemon.call("events.ack", consumer="bot", seq=event["seq"])


def main():
    path = sys.argv[1] if len(sys.argv) > 1 else DEFAULT
    while True:
        try:
            serve(path)
        except OSError as error:
            print("%s; again in a second" % error, file=sys.stderr)
            time.sleep(1)


main()
