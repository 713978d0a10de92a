#!/bin/sh
# Make sure that a Docker engine answers on this machine, with Compose and BuildKit.
#
# If one answers already, it changes nothing. Otherwise, as root on Debian or a
# derivative, it installs the distribution's packages and starts the daemon, which
# keeps running after this script. Usage: sh docker/engine/ensure.sh
set -eu

readonly LOG=/var/log/lw_coder-dockerd.log
readonly MIN_COMPOSE_MINOR=30
readonly START_TIMEOUT=600  # seconds

say() { printf 'engine: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

engine_answers() { docker info >/dev/null 2>&1; }

compose_is_new_enough() {
    version=$(docker compose version --short 2>/dev/null) || return 1
    version=${version#v}
    major=${version%%.*}
    rest=${version#*.}
    [ "$major" -gt 2 ] || { [ "$major" -eq 2 ] && [ "${rest%%.*}" -ge "$MIN_COMPOSE_MINOR" ]; }
}

is_complete() { engine_answers && compose_is_new_enough && docker buildx version >/dev/null 2>&1; }

require_root_on_debian() {
    [ "$(id -u)" -eq 0 ] || fail "no Docker engine answers here, and installing one needs root:" \
        "run 'sudo sh docker/engine/ensure.sh', or start your own engine and try again"
    [ "$(os_release ID)" = debian ] || fail "no Docker engine answers here, and this is not Debian:" \
        "install Docker Engine with Compose 2.$MIN_COMPOSE_MINOR or later and BuildKit, and try again"
}

# Debian stable's docker.io has no Compose v2. Testing's packages run on stable's libc; the
# low priority keeps everything else as it is. The mirror is the one this machine uses, which
# apt knows by its release only after an update.
offer_testing_packages() {
    apt-get update -q || fail "apt-get update failed; see above"
    mirror=$(apt-get indextargets --format '$(SITE)' 'Created-By: Packages' "Codename: $(os_release VERSION_CODENAME)" | head -n 1)
    [ -n "$mirror" ] || fail "found no Debian mirror in this machine's apt sources"
    printf 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] %s forky main\n' "$mirror" \
        > /etc/apt/sources.list.d/lw_coder-forky.list
    printf 'Package: *\nPin: release n=forky\nPin-Priority: 90\n' \
        > /etc/apt/preferences.d/lw_coder-forky
}

os_release() { ( . /etc/os-release 2>/dev/null && eval "printf '%s' \"\${$1:-}\"" ); }

install_engine() {
    say "installing Docker from this machine's Debian mirror; this takes about a minute"
    export DEBIAN_FRONTEND=noninteractive
    offer_testing_packages
    apt-get update -q || fail "apt-get update failed; see above"
    apt-get install -q -y --no-install-recommends iptables \
        docker.io/forky docker-cli/forky containerd/forky docker-compose/forky docker-buildx/forky \
        || fail "apt-get could not install Docker; see above"
}

start_daemon() {
    say "starting dockerd; its log is $LOG"
    rm -f /var/run/docker.pid
    # In a new session and without this script's descriptors, since it outlives the script and its pipes.
    setsid dockerd >"$LOG" 2>&1 </dev/null &
    waited=0
    until engine_answers; do
        [ "$waited" -lt "$START_TIMEOUT" ] || fail "dockerd did not answer within ${START_TIMEOUT} s: see $LOG"
        sleep 1
        waited=$((waited + 1))
    done
}

is_complete && exit 0
require_root_on_debian
command -v dockerd >/dev/null && compose_is_new_enough && docker buildx version >/dev/null 2>&1 || install_engine >&2
engine_answers || start_daemon
is_complete || fail "an engine answers, but without Compose 2.$MIN_COMPOSE_MINOR or BuildKit: 'docker compose version' and 'docker buildx version' say more"
say "ready: $(docker version --format '{{.Server.Version}}'), Compose $(docker compose version --short)"
