"""16: the state directory of one side is put back to an older copy, as by a
backup, a snapshot of a disk or of a virtual machine. The program cannot know;
the numbers that it gives from then on are used. Nothing that is written
afterwards may be lost or be there twice."""
import collections
import os
import shutil
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from check import check, finish  # noqa: E402
from net import Net, need_build  # noqa: E402


def named(name, first, count):
    return ["%s %d" % (name, i) for i in range(first, first + count)]


def times_received(daemon, conv):
    return collections.Counter(m["text"] for m in daemon.history(conv)
                               if m["direction"] == "in")


def once_each(name, daemon, conv, texts):
    times = times_received(daemon, conv)
    wrong = {t: times[t] for t in texts if times[t] != 1}
    check("16: %s" % name, not wrong, wrong)


def restored(alice, copy):
    alice.kill()
    shutil.rmtree(alice.state)
    shutil.copytree(copy, alice.state, symlinks=True)
    alice.start()


def story(alice, bob, to_bob, to_alice, lost, again):
    """`lost` texts each way after the copy, `again` after the return."""
    tag = "%d-%d" % (lost, again)
    copy = alice.state + ".copy-" + tag
    alice.stop()
    shutil.copytree(alice.state, copy, symlinks=True)
    alice.start()
    before = named("a lost " + tag, 0, lost), named("b lost " + tag, 0, lost)
    sent = alice.write(to_bob, before[0])
    back = bob.write(to_alice, before[1])
    check("16: %d texts each way arrive" % lost,
          alice.came(*sent) and bob.came(*back))
    restored(alice, copy)
    after = (named("a again " + tag, 0, again),
             named("b again " + tag, 0, again))
    sent = alice.write(to_bob, after[0])
    back = bob.write(to_alice, after[1])
    check("16: %d texts each way arrive after the return" % again,
          alice.came(*sent) and bob.came(*back))
    once_each("what the restored side writes is there once", bob, to_alice,
              before[0] + after[0])
    once_each("what is written to it is there once", alice, to_bob, after[1])


def main():
    need_build()
    with Net() as net:
        alice, bob, to_bob, to_alice = net.couple()
        sent = alice.write(to_bob, named("a before", 0, 3))
        check("16: texts arrive before", alice.came(*sent))
        for lost, again in ((3, 1), (3, 3), (3, 6), (1, 20)):
            story(alice, bob, to_bob, to_alice, lost, again)
        once_each("what was written before is there once", bob, to_alice,
                  named("a before", 0, 3))
    finish()


if __name__ == "__main__":
    main()
