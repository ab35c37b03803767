# btchat. The two commands of the README: make demo, make check.
#   make CC=clang SAN=asan check    another compiler, sanitizers on
#   make EXTRA=-Werror              what CI does
#   make V=1                        whole command lines
#   make help                       all targets
CC   := $(if $(filter default,$(origin CC)),gcc,$(CC))
SAN  ?= none
B    := build/$(notdir $(CC))-$(SAN)
PKGS := libsodium libevent_core libcjson libsystemd sqlite3 libutf8proc

# As many jobs as there are cores, unless -j says otherwise.
ifeq ($(MAKELEVEL)$(filter -j%,$(MAKEFLAGS)),0)
MAKEFLAGS += -j$(shell nproc 2>/dev/null || echo 2)
endif

# These goals bring what they need; a plain make only builds.
needs.tests := build test
needs.check := build test
needs.check-long := build test fuzz
needs.vectors := build test
needs.net-matrix := build test
needs.bench-moving := build test
needs.dht-scale := build test
needs.fuzz-replay := build test
needs.demo := build demo
needs.lint := build test lint
needs.tidy := build test lint
needs.tidy-product := build test lint
needs.fuzz := build test fuzz
needs.fuzz-run := build test fuzz
needs.bench := build test bench
needs.bench-dht := build test bench
needs.bench-idle := build test bench
needs.bench-flood := build test bench
needs.bench-history := build test
needs.bench-rpc := build test
NEEDS := $(sort $(foreach g,$(MAKECMDGOALS),$(needs.$(g))))
ifneq ($(NEEDS),)
$(shell packaging/install-deps.sh $(NEEDS) >&2)
ifneq ($(.SHELLSTATUS),0)
$(error packaging/install-deps.sh $(NEEDS) failed)
endif
else ifneq ($(shell pkg-config --exists $(PKGS) 2>&1 || echo no),)
$(warning something is missing: run packaging/install-deps.sh)
endif

# UPnP: with libminiupnpc, if it is there. UPNP= leaves it out.
UPNP := $(shell pkg-config --exists miniupnpc && echo yes)
ifneq ($(UPNP),)
PKGS += miniupnpc
endif

# chat edits lines with libedit, and codes are drawn with libqrencode, if they
# are there. EDIT= and QR= leave them out.
EDIT := $(shell pkg-config --exists libedit && echo yes)
QR   := $(shell pkg-config --exists libqrencode && echo yes)
CTLPKGS := libcjson libsodium $(if $(EDIT),libedit) $(if $(QR),libqrencode)

include tests/lint/flags.mk

# Sources by room. A program's main is kept out of what tests link.
src    = $(sort $(wildcard $(1)/*.c $(1)/*/*.c))
obj    = $(patsubst %.c,$(B)/%.o,$(1))
exe    = $(patsubst %.c,$(B)/%,$(sort $(wildcard $(1))))
PROTO  := $(call obj,$(call src,proto))
DAEMON := $(call obj,$(filter-out daemon/main.c,$(call src,daemon)))
CTL    := $(call obj,$(filter-out ctl/main.c,$(call src,ctl)))
HELP   := $(call obj,$(sort $(wildcard tests/support/*.c)))
WRAPPERS := $(call obj,tests/sim/memo.c tests/sim/wrap.c)
SIMLIB := $(filter-out $(B)/tests/sim/test_% $(WRAPPERS),$(call obj,$(call src,tests/sim)))
UNIT   := $(call exe,tests/unit/*/test_*.c)
SIM    := $(call exe,tests/sim/test_*.c)
TORTURE := $(call exe,tests/torture/test_*.c)
TORTURELIB := $(filter-out $(B)/tests/torture/test_%,$(call obj,$(call src,tests/torture)))
FUZZ   := $(call exe,tests/fuzz/fuzz_*.c)
REPLAY := $(patsubst $(B)/tests/fuzz/fuzz_%,$(B)/tests/fuzz/replay_%,$(FUZZ))
BENCH  := $(addprefix $(B)/tests/bench/,tox count.so wan crowd day link nodes \
  history rows caller)
TOOLS  := $(call exe,tests/tools/*.c)
WAN    := $(B)/tests/net/bin/wan
PROGS  := $(patsubst %/main.c,$(B)/btchat%,$(wildcard daemon/main.c \
  ctl/main.c))
PROGS  := $(PROGS:%daemon=%d)

pc = $(shell pkg-config --libs $(1))
# What is being made; V=1 shows the command instead.
say = $(if $(V),,@printf '%-5s %s\n' $(1) $@;)

.PHONY: all tests unit check check-long demo bench bench-dht bench-idle bench-flood bench-history bench-moving bench-rpc dht-scale vectors \
  net-matrix lint tidy tidy-product \
  format fuzz fuzz-run fuzz-replay install dist stats clean help
.DELETE_ON_ERROR:
all: $(PROGS)
unit: $(UNIT)
tests: all $(B)/libproto.a $(B)/libdaemon.a $(B)/libctl.a $(UNIT) $(SIM) $(TORTURE) \
  $(TOOLS) $(WAN) $(REPLAY)

$(B)/libproto.a: $(PROTO)
$(B)/libdaemon.a: $(DAEMON)
$(B)/libctl.a: $(CTL)
$(B)/libsim.a: $(SIMLIB)
$(B)/libtest.a: $(HELP)
%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(call say,AR)$(AR) rcsD $@ $^

# .incbin does not show in a .d file.
$(B)/daemon/rpc_openrpc.o: proto/openrpc.json
$(B)/btchatd: $(B)/daemon/main.o $(B)/libdaemon.a $(B)/libproto.a
$(B)/btchatd: LIBS = $(call pc,$(PKGS))
$(B)/btchatctl: $(B)/ctl/main.o $(B)/libctl.a $(B)/libproto.a
$(B)/btchatctl: LIBS = $(call pc,$(CTLPKGS))
ALLIBS := $(B)/libtest.a $(B)/libctl.a $(B)/libdaemon.a $(B)/libproto.a
# A test of the core links nothing of the programs.
UPROG  := $(filter $(B)/tests/unit/daemon/% $(B)/tests/unit/rpc/% \
  $(B)/tests/unit/ctl/%,$(UNIT))
$(UPROG): $(B)/%: $(B)/%.o $(ALLIBS)
$(filter-out $(UPROG),$(UNIT)): $(B)/%: $(B)/%.o $(B)/libtest.a $(B)/libproto.a
$(UNIT): LIBS = $(call pc,$(PKGS) $(CTLPKGS) cmocka)
# What fails where a test says so.
FAULTY := $(addprefix $(B)/tests/unit/daemon/test_,keyfile store_keys)
$(FAULTY): LDFLAGS += -Wl,--wrap=pwrite -Wl,--wrap=fdatasync
$(B)/tests/unit/daemon/test_file: LDFLAGS += -Wl,--wrap=pwrite \
  -Wl,--wrap=fsync -Wl,--wrap=linkat -Wl,--wrap=renameat -Wl,--wrap=unlinkat
$(B)/tests/unit/daemon/test_command: LDFLAGS += -Wl,--wrap=pwrite
# Its own open(2), pwrite(2) and so on come before those of libc, also for what
# libsqlite3 calls.
$(TORTURE): $(B)/%: $(B)/%.o $(TORTURELIB) $(ALLIBS)
$(TORTURE): LIBS = $(call pc,$(PKGS) cmocka)
LOST := malloc calloc realloc strdup sodium_malloc crypto_pwhash
$(TORTURE): LDFLAGS += $(LOST:%=-Wl,--wrap=%)
# What the simulator puts in the place of others' functions.
WRAP := crypto_sign_verify_detached crypto_sign_seed_keypair \
  crypto_scalarmult crypto_scalarmult_base noise_seal malloc calloc realloc
$(SIM): $(B)/%: $(B)/%.o $(WRAPPERS) $(B)/libsim.a $(B)/libtest.a \
  $(B)/libproto.a
$(SIM): LIBS = $(call pc,libsodium cmocka)
$(SIM): LDFLAGS += $(WRAP:%=-Wl,--wrap=%)
$(B)/tests/sim/test_unseen: LDFLAGS += -Wl,--wrap=dht_renew
$(FUZZ): $(B)/%: $(B)/%.o $(ALLIBS)
$(FUZZ): LIBS = $(call pc,$(PKGS) cmocka) -fsanitize=fuzzer
$(REPLAY): $(B)/tests/fuzz/replay_%: $(B)/tests/fuzz/fuzz_%.o \
  $(B)/tests/fuzz/replay.o $(ALLIBS)
$(REPLAY): LIBS = $(call pc,$(PKGS) cmocka)
# Targets that shake hands in every input.
$(foreach n,handshake link session,$(B)/tests/fuzz/fuzz_$(n) \
  $(B)/tests/fuzz/replay_$(n)): $(B)/tests/fuzz/memo.o
# What it remembers is no path through our code.
UNSEEN.fuzz := \
  -fno-sanitize-coverage=inline-8bit-counters,pc-table,trace-cmp,indirect-calls
$(B)/tests/fuzz/memo.o: CFLAGS += $(if $(UNSEEN.$(SAN)),-fno-sanitize=all \
  $(UNSEEN.$(SAN)))
$(TOOLS): $(B)/%: $(B)/%.o $(B)/libsim.a $(B)/libtest.a $(B)/libproto.a
$(TOOLS): LIBS = $(call pc,libsodium libcjson cmocka)
$(WAN): $(call obj,$(wildcard tests/net/wan/*.c)) $(B)/libproto.a
$(WAN): LIBS = $(call pc,libsodium)
$(B)/tests/bench/tox: $(B)/tests/bench/tox.o
$(B)/tests/bench/tox: LIBS = $(call pc,toxcore)
$(B)/tests/bench/wan: $(B)/tests/bench/wan.o
$(B)/tests/bench/caller: $(B)/tests/bench/caller.o
$(B)/tests/bench/crowd: $(B)/tests/bench/crowd.o $(B)/libproto.a
$(B)/tests/bench/day: $(B)/tests/bench/day.o $(B)/libsim.a $(B)/libtest.a \
  $(B)/libproto.a
$(B)/tests/bench/crowd $(B)/tests/bench/day: LIBS = $(call pc,libsodium)
$(B)/tests/bench/link: $(B)/tests/bench/link.o $(B)/tests/bench/bare.o $(ALLIBS)
$(B)/tests/bench/nodes: $(B)/tests/bench/nodes.o $(ALLIBS)
$(B)/tests/bench/history: $(B)/tests/bench/history.o $(ALLIBS)
$(B)/tests/bench/rows: $(B)/tests/bench/rows.o $(ALLIBS)
$(addprefix $(B)/tests/bench/,link nodes history rows): LIBS = $(call pc,$(PKGS) cmocka)
$(B)/tests/bench/count.so: $(B)/tests/bench/count.o
$(B)/tests/bench/count.so: LDFLAGS := -shared
$(B)/tests/bench/count.o: HARD += -fPIC
$(PROGS) $(UNIT) $(SIM) $(TORTURE) $(FUZZ) $(REPLAY) $(TOOLS) $(WAN) $(BENCH):
	@mkdir -p $(@D)
	$(call say,LINK)$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

# With or without UPnP: another answer makes them anew.
$(B)/daemon/upnp.o $(B)/daemon/upnp_igd.o $(B)/tidy/daemon/upnp.ok \
  $(B)/tidy/daemon/upnp_igd.ok: STD += $(if $(UPNP),-DBTCHAT_UPNP)
$(B)/daemon/upnp.o $(B)/daemon/upnp_igd.o: $(B)/upnp-$(or $(UPNP),no)
$(B)/upnp-%:
	@mkdir -p $(@D)
	@rm -f $(B)/upnp-*
	@touch $@

# The same for what the command line can do without.
$(B)/ctl/edit_line.o $(B)/tidy/ctl/edit_line.ok: \
  STD += $(if $(EDIT),-DBTCHAT_EDIT)
$(B)/ctl/qr.o $(B)/tidy/ctl/qr.ok: STD += $(if $(QR),-DBTCHAT_QR)
$(B)/ctl/edit_line.o: $(B)/edit-$(or $(EDIT),no)
$(B)/ctl/qr.o: $(B)/qr-$(or $(QR),no)
$(B)/edit-% $(B)/qr-%:
	@mkdir -p $(@D)
	@rm -f $(B)/$(firstword $(subst -, ,$(@F)))-*
	@touch $@

# The pure core sees no POSIX.
$(B)/proto/%.o: STD := -std=c11
$(B)/%.o: %.c Makefile tests/lint/flags.mk
	@mkdir -p $(@D)
	$(call say,CC)$(CC) $(STD) $(CFLAGS) -MMD -MP -c $< -o $@

# ---- tests ----

RUN = $(PYTHON) tests/run --build $(B)
PYTHON := $(firstword $(wildcard /usr/bin/python3) python3)

check: tests
	@$(RUN)

# More seeds, more kills, a minute of every fuzzer.
check-long: tests
	@BTCHAT_LONG=1 $(RUN)
	@$(MAKE) --no-print-directory net-matrix SEEDS=2
	@$(MAKE) --no-print-directory fuzz-run

# Every kind of NAT against every other, SEEDS times, in a clean net and in a
# noisy one; MATRIX_S seconds at most for each. PAIRS="open:random ..." chooses.
SEEDS ?= 20
MATRIX_S ?= 3600
net-matrix: tests
	@B=$(B) $(PYTHON) tests/net/matrix.py --seeds $(SEEDS) \
	  --time $(MATRIX_S) $(PAIRS)
	@B=$(B) $(PYTHON) tests/net/matrix.py --seeds $(SEEDS) \
	  --time $(MATRIX_S) --noise $(PAIRS)

# How long sessions are silent while networks change, SEEDS times.
bench-moving: tests
	@B=$(B) $(PYTHON) tests/net/moving.py --seeds $(SEEDS) --time $(MATRIX_S)

# DIR=path: every JSON file of the known formats found under it.
DIR ?= tests/vectors
vectors: $(B)/tests/tools/vectors
	@$(B)/tests/tools/vectors $(DIR)

fuzz-replay: $(REPLAY)
	@$(RUN) --kind fuzz

# What KRPC is made of stands in a dictionary, tests/fuzz/krpc.dict: with that,
# and without looking at each comparison, its fuzzer runs twice as often and
# comes further in the same time. What a session compares are times, numbers
# and macs, which no input hits by copying them; frames and packets it may. The
# paths of what only helps a test are none of ours.
ifeq ($(SAN),fuzz)
$(addprefix $(B)/,proto/base/bencode.o proto/base/bytes.o proto/dht/krpc.o) \
  $(filter-out %/frame.o %/packet.o %/hello.o %/candidates.o, \
  $(call obj,$(wildcard proto/link/*.c))) \
  $(addprefix $(B)/proto/,base/heap.o base/map.o crypto/kdf.o crypto/noise.o): \
  CFLAGS += -fno-sanitize-coverage=trace-cmp
$(HELP) $(B)/tests/fuzz/fuzz_krpc.o: CFLAGS += $(UNSEEN.fuzz)
endif

# libFuzzer needs clang; FUZZ_S seconds for each target, or each of FUZZ_NAMES.
FUZZ_S ?= 60
FUZZB  := build/clang-fuzz
ifeq ($(SAN),fuzz)
fuzz: $(FUZZ)
else
fuzz:
	@$(MAKE) --no-print-directory CC=clang SAN=fuzz fuzz
endif
fuzz-run: fuzz
	@tests/fuzz/run.sh $(FUZZB) $(FUZZ_S) $(FUZZ_NAMES)

demo: all
	@B=$(B) KEEP=$(KEEP) tests/demo/demo.sh

# Figures beside libtoxcore's, never a pass or fail.
bench: all $(BENCH)
	@$(PYTHON) tests/bench/bench.py --build $(B)

# A private DHT with distance, loss and dead nodes, beside libtorrent's.
bench-dht: $(BENCH)
	@$(PYTHON) tests/bench/dht.py --build $(B)

# What waiting for contacts who never come costs; takes half an hour.
bench-idle: all $(BENCH)
	@$(PYTHON) tests/bench/idle.py --build $(B)

# What floods cost, and those who talk meanwhile.
bench-flood: all $(B)/tests/tools/flood
	@$(PYTHON) tests/bench/siege.py --build $(B)

# What the control socket takes: calls, a replay, clients who do not read.
bench-rpc: all $(B)/tests/bench/caller
	@$(PYTHON) tests/bench/callers.py --build $(B)

# A history of N_MESSAGES: opened, shown, searched.
N_MESSAGES ?= 1000000
bench-history: $(B)/tests/bench/history
	@rm -rf $(B)/history
	@$(B)/tests/bench/history $(B)/history $(N_MESSAGES)
	@rm -rf $(B)/history

# What a get and a put cost in a DHT of N nodes: one row for each.
N ?= 100 1000 10000
dht-scale: $(B)/tests/tools/dhtscale
	@$(B)/tests/tools/dhtscale $(N)

# ---- lint ----

CFILES := $(sort $(foreach d,proto daemon ctl tests,$(shell \
  find $(d) -name '*.[ch]' 2>/dev/null)))
LINTS := layers pure banned cites labels style man shell places rpc hostile commands catalog deps
.PHONY: cppcheck $(LINTS:%=lint-%)
lint: cppcheck $(LINTS:%=lint-%)
lint-pure: $(B)/libproto.a
	@sh tests/lint/pure.sh $<
$(filter-out lint-pure,$(LINTS:%=lint-%)): lint-%:
	@sh tests/lint/$*.sh
cppcheck:
	@mkdir -p $(B)/cppcheck
	@cppcheck --cppcheck-build-dir=$(B)/cppcheck --std=c11 --enable=warning,style,performance,portability \
	  --inconclusive --inline-suppr --suppress=missingIncludeSystem \
	  --suppress=unusedFunction --error-exitcode=1 -q -I. $(subst -isystem ,-I,$(INCS)) \
	  --suppressions-list=tests/lint/cppcheck.txt \
	  -j$(shell nproc 2>/dev/null || echo 2) $(filter %.c,$(CFILES))

# One stamp a source; its object stands for the headers it includes.
NOTOX := $(shell pkg-config --exists toxcore || echo tests/bench/tox.c)
TIDY := $(patsubst %.c,$(B)/tidy/%.ok,$(filter-out $(NOTOX),$(filter \
  %.c,$(CFILES))))
# How far the analyzer follows each function: TIDY_DEPTH=50000 takes a third of
# the time of its own 225,000.
TIDY_DEPTH ?= 225000
ANALYZER := $(foreach w,-analyzer-config max-nodes=$(TIDY_DEPTH),-Xclang $(w))
tidy: $(TIDY)
tidy-product: $(filter-out $(B)/tidy/tests/%,$(TIDY))
$(B)/tidy/proto/%.ok: STD := -std=c11
$(TIDY): $(B)/tidy/%.ok: %.c $(B)/%.o .clang-tidy
	@mkdir -p $(@D)
	@clang-tidy --quiet $< -- $(STD) -I. $(INCS) $(ANALYZER) >$@.log 2>&1 || \
	  { grep -A2 'error:' $@.log; echo "whole story: $@.log"; exit 1; }
	@touch $@

format:
	@clang-format -i $(CFILES)

# Assertions for each thousand lines of the core. Goal: 30.
stats:
	@sh tests/lint/stats.sh

# ---- shipping ----

PREFIX ?= /usr/local
SBIN   := $(PREFIX)/sbin
SYSTEM_UNITS ?= $(PREFIX)/lib/systemd/system
USER_UNITS   ?= $(PREFIX)/lib/systemd/user
DOC    ?= $(PREFIX)/share/doc/btchat
ZSH    ?= zsh/site-functions
MAN    := $(PREFIX)/share/man
VERSION = $(shell sed -n 's/^.define BTCHAT_VERSION "\(.*\)"/\1/p' proto/api.h)
put    = install -d $(DESTDIR)$(2) && install -m $(or $(3),644) $(1) $(DESTDIR)$(2)
install: all
	$(call put,$(B)/btchatd,$(SBIN),755)
	$(call put,$(B)/btchatctl,$(PREFIX)/bin,755)
	for page in man/*.[1578]; do n=$${page##*.}; \
	  $(call put,$$page,$(MAN)/man$$n) || exit 1; done
	install -d $(DESTDIR)$(SYSTEM_UNITS) $(DESTDIR)$(USER_UNITS)
	for unit in packaging/systemd/*.service packaging/systemd/*.socket; do \
	  to=$(SYSTEM_UNITS); case $$unit in *.user.*) to=$(USER_UNITS);; esac; \
	  to=$(DESTDIR)$$to/$$(basename $$unit | sed 's/[.]user[.]/./'); \
	  sed 's,/usr/sbin/,$(SBIN)/,g; s,/usr/bin/,$(PREFIX)/bin/,g' $$unit >$$to && \
	  chmod 644 $$to || exit 1; done
	for kind in sysusers tmpfiles; do \
	  install -d $(DESTDIR)$(PREFIX)/lib/$$kind.d && \
	  install -m 644 packaging/systemd/btchatd.$$kind.conf \
	    $(DESTDIR)$(PREFIX)/lib/$$kind.d/btchatd.conf || exit 1; done
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/catalog
	install -m 644 packaging/systemd/btchatd.catalog \
	  $(DESTDIR)$(PREFIX)/lib/systemd/catalog/
	$(call put,packaging/examples/*,$(DOC)/examples,755)
	chmod 644 $(DESTDIR)$(DOC)/examples/client.py
	$(call put,packaging/systemd/examples/*,$(DOC)/examples)
	$(call put,README.md LICENSE,$(DOC))
	$(call put,proto/openrpc.json,$(PREFIX)/share/btchat)
	for at in bash:bash-completion/completions/btchatctl \
	  zsh:$(ZSH)/_btchatctl \
	  fish:fish/vendor_completions.d/btchatctl.fish; do \
	  to=$(DESTDIR)$(PREFIX)/share/$${at#*:}; install -d $${to%/*}; \
	  $(B)/btchatctl completion $${at%%:*} >$$to && \
	  chmod 644 $$to || exit 1; done

# What git knows, or what is here where there is no git: always the same bytes.
DIST ?= build/btchat-$(VERSION).tar.gz
dist:
	@mkdir -p $(dir $(DIST))
	@{ git ls-files -z 2>/dev/null || \
	  find . -path ./build -prune -o ! -type d -print0 | sed -z 's,^./,,'; } | \
	  LC_ALL=C sort -z | \
	  tar -cf $(DIST).tar --null --no-recursion --format=ustar \
	  --owner=0 --group=0 --numeric-owner --mode=a+rX,u+w,go-w \
	  --mtime=@$${SOURCE_DATE_EPOCH:-$$(git log -1 --format=%ct 2>/dev/null || \
	    stat -c %Y Makefile)} \
	  --transform='s,^,btchat-$(VERSION)/,' -T -
	@gzip -n9 <$(DIST).tar >$(DIST)
	@rm $(DIST).tar

clean:
	rm -rf build

help:
	@sed -n 's/^\([a-z][a-z-]*\):.*/\1/p' Makefile | sort -u | tr '\n' ' '
	@echo

-include $(shell find $(B) -name '*.d' 2>/dev/null)
