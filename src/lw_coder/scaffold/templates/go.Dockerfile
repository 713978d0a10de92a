# The image that the agent works in: lw_coder's own, and what this project needs to build and run its tests.
# It is built in every run, from the files of this repository; what has not changed comes from the cache.

# The files that say what to download, without the rest: what is downloaded stays while these do not change.
FROM lw_coder_droid:latest AS go_manifests
RUN --mount=type=bind,target=/source \
    mkdir /manifests \
    && cd /source \
    && find . -name vendor -prune -o -type f \( -name go.mod -o -name go.sum -o -name go.work -o -name go.work.sum \) \
        -exec cp --parents -t /manifests {} +

FROM lw_coder_droid:latest

# With ca_bundle set, your certificates take the place of the system's in each step that mounts this secret.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt

# Go of Debian, which downloads the newer one that a go.mod asks for. gcc is for cgo and go test -race.
RUN apt-get update \
    && apt-get install -y --no-install-recommends golang-go gcc libc6-dev \
    && rm -rf /var/lib/apt/lists/*

# The modules are in /opt: the worktree is mounted over /workspace, and would hide them there.
ENV GOTOOLCHAIN=auto \
    GOPATH=/opt/go \
    PATH=/opt/go/bin:$PATH
COPY --from=go_manifests /manifests /workspace
RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    mkdir -p /opt/go/bin /opt/go/pkg \
    && if [ -f go.work ] || [ -f go.mod ]; then go mod download; fi \
    && find /opt/go "$HOME" ! -user "$(stat -c %u "$HOME")" -exec chown -h --reference="$HOME" {} +
