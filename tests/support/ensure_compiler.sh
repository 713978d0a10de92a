#!/bin/sh
# Make sure that there is a C compiler, which the torture makes a clock with that can be set back.
#
# What is there is left alone. Otherwise, as root on Debian or a derivative, it installs the
# distribution's packages. Usage: sh tests/support/ensure_compiler.sh
set -eu

fail() { printf 'compiler: %s\n' "$*" >&2; exit 1; }

command -v cc >/dev/null && exit 0
command -v apt-get >/dev/null || fail "there is no C compiler (cc): install one, and try again"
[ "$(id -u)" -eq 0 ] || fail "installing gcc needs root: run 'sudo sh $0'"
export DEBIAN_FRONTEND=noninteractive
printf 'compiler: installing gcc from this machine'\''s Debian mirror\n' >&2
{ apt-get update -q && apt-get install -q -y --no-install-recommends gcc libc6-dev; } >&2 \
    || fail "apt-get could not install them; see above"
