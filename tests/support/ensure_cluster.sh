#!/bin/sh
# Make sure that the tests of clusters find a registry, a static busybox and iproute2 on this machine.
#
# What is there is left alone. Otherwise, as root on Debian or a derivative, it installs the
# distribution's packages. Usage: sh tests/support/ensure_cluster.sh
set -eu

fail() { printf 'cluster: %s\n' "$*" >&2; exit 1; }

is_complete() {
    command -v docker-registry >/dev/null && command -v ip >/dev/null && [ "$(dpkg-query -W -f '${Status}' busybox-static 2>/dev/null)" = "install ok installed" ]
}

is_complete && exit 0
command -v apt-get >/dev/null || fail "there is no docker-registry, busybox-static or iproute2: install them, and try again"
[ "$(id -u)" -eq 0 ] || fail "installing docker-registry, busybox-static and iproute2 needs root: run 'sudo sh $0'"
export DEBIAN_FRONTEND=noninteractive
printf 'cluster: installing docker-registry, busybox-static and iproute2 from this machine'\''s Debian mirror\n' >&2
{ apt-get update -q && apt-get install -q -y --no-install-recommends docker-registry busybox-static iproute2; } >&2 \
    || fail "apt-get could not install them; see above"
