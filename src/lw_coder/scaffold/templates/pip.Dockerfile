# The image that the agent works in: lw_coder's own, and what this project needs to build and run its tests.
# It is built in every run, from the files of this repository; what has not changed comes from the cache.

FROM lw_coder_droid:latest

# With ca_bundle set, your certificates take the place of the system's in each step that mounts this secret.
ENV SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt \
    PIP_CERT=/etc/ssl/certs/ca-certificates.crt \
    NODE_EXTRA_CA_CERTS=/etc/ssl/certs/ca-certificates.crt

# Add what your packages need to be compiled: build-essential, python3-dev, lib...-dev
RUN apt-get update \
    && apt-get install -y --no-install-recommends python3 python3-venv \
    && rm -rf /var/lib/apt/lists/*

# The environment is in /opt: the worktree is mounted over /workspace, and would hide it there.
ENV VIRTUAL_ENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH
RUN python3 -m venv /opt/venv

# Requirements, in a layer that stays while they do not change: those of files that name no other file or folder.
COPY *requirements*.txt* /opt/requirements/
RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/pip \
    mkdir -p /opt/requirements && cd /opt/requirements \
    && for file in *requirements*.txt; do \
        if [ -f "$file" ] \
            && ! grep -qE '^ *(-[erc] |--(editable|requirement|constraint)|[./])|file:|@ *[./]' "$file"; then \
            pip install --quiet --cache-dir /var/cache/pip --requirement "$file" || exit 1; \
        fi; \
    done \
    && find /opt/venv "$HOME" ! -user "$(stat -c %u "$HOME")" -exec chown -h --reference="$HOME" {} +

# Extras of the project that the tests need, in brackets.
ARG EXTRAS=""

# All requirements, and the project itself, if it is a package, as a link to /workspace. The version number stands in
# for git, which the build does not get.
RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/pip \
    --mount=type=bind,target=/workspace,rw \
    export SETUPTOOLS_SCM_PRETEND_VERSION=0.0.0 \
    && for file in *requirements*.txt; do \
        if [ -f "$file" ]; then \
            pip install --quiet --cache-dir /var/cache/pip --requirement "$file" || exit 1; \
        fi; \
    done \
    && if [ -f setup.py ] || grep -qsE '^\[(project|build-system)\]' pyproject.toml; then \
        pip install --quiet --cache-dir /var/cache/pip --editable ".$EXTRAS"; \
    fi \
    && find /opt/venv "$HOME" ! -user "$(stat -c %u "$HOME")" -exec chown -h --reference="$HOME" {} +

# Python leaves no bytecode in the worktree.
ENV PYTHONDONTWRITEBYTECODE=1
