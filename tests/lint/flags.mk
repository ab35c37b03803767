# Compiler settings: every warning that holds on gcc 12 and clang 14.
# -Werror only through EXTRA=-Werror (ours and CI), so that a newer compiler
# does not break users.
WARN := -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion \
  -Wstrict-prototypes -Wold-style-definition -Wmissing-prototypes -Wundef \
  -Wpointer-arith -Wcast-align -Wcast-qual -Wwrite-strings -Wformat=2 -Wvla \
  -Wswitch-enum -Wimplicit-fallthrough -Wnull-dereference -Wredundant-decls \
  -Wnested-externs -Wdate-time -Wdouble-promotion -Wframe-larger-than=16384
WARN.gcc := -Wduplicated-cond -Wduplicated-branches -Wlogical-op \
  -Wjump-misses-init -Warith-conversion -Wcast-align=strict -Wtrampolines \
  -Wstringop-overflow=4 -Warray-bounds=2 -Wimplicit-fallthrough=5
WARN.clang := -Wcomma -Wassign-enum -Wmissing-variable-declarations \
  -Wunreachable-code-aggressive -Wconditional-uninitialized \
  -Wshorten-64-to-32
HARD := -fstack-protector-strong -fstack-clash-protection -fPIE -fno-common \
  -ffile-prefix-map=$(CURDIR)=.
SAN.none := -O2 -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3
SAN.asan := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined \
  -fno-sanitize-recover=all
SAN.fuzz := $(SAN.asan) -O2 -fsanitize=fuzzer-no-link
ifeq ($(SAN.$(SAN)),)
$(error SAN=$(SAN): choose none, asan or fuzz)
endif
kind := $(if $(findstring clang,$(CC)),clang,gcc)
STD     := -std=c11 -D_GNU_SOURCE
INCS    := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS)))
CFLAGS  := -g -I. $(INCS) $(WARN) $(WARN.$(kind)) $(HARD) $(SAN.$(SAN)) $(EXTRA)
LDFLAGS := -pie -Wl,-z,relro,-z,now -Wl,--as-needed $(SAN.$(SAN)) \
  $(MORE_LDFLAGS)
