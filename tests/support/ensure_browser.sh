#!/bin/sh
# Make sure that the tests of pages find a Chromium on this machine.
#
# If there is one, this changes nothing. Otherwise, as root on Debian or a derivative, it installs
# the distribution's package. Usage: sh tests/support/ensure_browser.sh
set -eu

fail() { printf 'browser: %s\n' "$*" >&2; exit 1; }

command -v chromium >/dev/null && exit 0
command -v apt-get >/dev/null || fail "there is no chromium: install it, and try again"
[ "$(id -u)" -eq 0 ] || fail "there is no chromium, and installing it needs root: run 'sudo sh $0'"
export DEBIAN_FRONTEND=noninteractive
printf 'browser: installing chromium from this machine'\''s Debian mirror\n' >&2
{ apt-get update -q && apt-get install -q -y --no-install-recommends chromium; } >&2 \
    || fail "apt-get could not install chromium; see above"
