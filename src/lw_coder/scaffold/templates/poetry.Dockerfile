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

# The environment is in /opt: the worktree is mounted over /workspace, and would hide it there. Poetry uses it as the
# active one, with poetry run and without.
ENV VIRTUAL_ENV=/opt/venv \
    PATH=/opt/venv/bin:$PATH

RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/pip \
    python3 -m venv /opt/venv \
    && python3 -m venv /opt/poetry \
    && /opt/poetry/bin/pip install --quiet --cache-dir /var/cache/pip poetry \
    && ln -s /opt/poetry/bin/poetry /usr/local/bin/

# Flags for all calls of poetry install, such as --all-extras.
ARG POETRY_FLAGS=""

# What the lock file names, in a layer that stays while it does not change.
COPY pyproject.toml poetry.lock* /workspace/
RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/pypoetry \
    export POETRY_CACHE_DIR=/var/cache/pypoetry REQUESTS_CA_BUNDLE="$SSL_CERT_FILE" \
    && poetry install --no-interaction --no-ansi --no-root --no-directory $POETRY_FLAGS \
    && find /opt/venv "$HOME" ! -user "$(stat -c %u "$HOME")" -exec chown -h --reference="$HOME" {} +

# The project itself, as a link to /workspace.
RUN --mount=type=secret,id=ca_bundle,target=/etc/ssl/certs/ca-certificates.crt \
    --mount=type=cache,target=/var/cache/pypoetry \
    --mount=type=bind,target=/workspace,rw \
    export POETRY_CACHE_DIR=/var/cache/pypoetry REQUESTS_CA_BUNDLE="$SSL_CERT_FILE" \
    && poetry install --no-interaction --no-ansi $POETRY_FLAGS \
    && find /opt/venv "$HOME" ! -user "$(stat -c %u "$HOME")" -exec chown -h --reference="$HOME" {} +

# Python leaves no bytecode in the worktree.
ENV PYTHONDONTWRITEBYTECODE=1
