# btchat. The two commands of the README: make demo, make check.
#   make CC=clang SAN=asan check    another compiler, sanitizers on
#   make EXTRA=-Werror              what CI does
CC   := $(if $(filter default,$(origin CC)),gcc,$(CC))
SAN  ?= none
B    := build/$(notdir $(CC))-$(SAN)
PKGS := libsodium libevent_core libcjson libsystemd sqlite3

include tests/lint/flags.mk

# Sources by room. A program's main is kept out of what tests link.
src    = $(sort $(wildcard $(1)/*.c $(1)/*/*.c))
obj    = $(patsubst %.c,$(B)/%.o,$(1))
exe    = $(patsubst %.c,$(B)/%,$(sort $(wildcard $(1))))
PROTO  := $(call obj,$(call src,proto))
DAEMON := $(call obj,$(filter-out daemon/main.c,$(call src,daemon)))
CTL    := $(call obj,$(filter-out ctl/main.c,$(call src,ctl)))
HELP   := $(call obj,$(sort $(wildcard tests/support/*.c)))
SIMLIB := $(call obj,$(filter-out tests/sim/test_%,$(call src,tests/sim)))
UNIT   := $(call exe,tests/unit/*/test_*.c)
SIM    := $(call exe,tests/sim/test_*.c)
FUZZ   := $(call exe,tests/fuzz/fuzz_*.c)
BENCH  := $(call exe,tests/bench/bench_*.c)
TOOLS  := $(call exe,tests/tools/*.c)

pc = $(shell pkg-config --libs $(1))

.PHONY: all tests clean
all: $(B)/btchatd $(B)/btchatctl
tests: all $(UNIT) $(SIM)

$(B)/libproto.a: $(PROTO)
$(B)/libdaemon.a: $(DAEMON)
$(B)/libctl.a: $(CTL)
$(B)/libsim.a: $(SIMLIB)
$(B)/libtest.a: $(HELP)
%.a:
	@mkdir -p $(@D)
	@rm -f $@
	$(AR) rcsD $@ $^

$(B)/btchatd: $(B)/daemon/main.o $(B)/libdaemon.a $(B)/libproto.a
$(B)/btchatd: LIBS = $(call pc,$(PKGS))
$(B)/btchatctl: $(B)/ctl/main.o $(B)/libctl.a $(B)/libproto.a
$(B)/btchatctl: LIBS = $(call pc,libcjson libsodium)
$(UNIT): $(B)/%: $(B)/%.o $(B)/libtest.a $(B)/libctl.a $(B)/libdaemon.a \
  $(B)/libproto.a
$(UNIT): LIBS = $(call pc,$(PKGS) cmocka)
$(SIM): $(B)/%: $(B)/%.o $(B)/libsim.a $(B)/libtest.a $(B)/libproto.a
$(SIM): LIBS = $(call pc,libsodium cmocka)
$(B)/btchatd $(B)/btchatctl $(UNIT) $(SIM):
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ $(LIBS) -o $@

# The pure core sees no POSIX.
$(B)/proto/%.o: STD := -std=c11
$(B)/%.o: %.c Makefile tests/lint/flags.mk
	@mkdir -p $(@D)
	$(CC) $(STD) $(CFLAGS) -MMD -MP -c $< -o $@

clean:
	rm -rf build

-include $(shell find $(B) -name '*.d' 2>/dev/null)
