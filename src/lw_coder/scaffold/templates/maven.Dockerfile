# The image that the agent works in: lw_coder's own, and what this project needs to build and run its tests.
# It is built in every run, from the files of this repository; what has not changed comes from the cache.

FROM lw_coder_droid:latest

# Java 21 and Maven of Debian.
RUN apt-get update \
    && apt-get install -y --no-install-recommends default-jdk-headless maven \
    && rm -rf /var/lib/apt/lists/*

# Java reads certificates from a store of its own: if ca_bundle is set, they are added to it.
RUN --mount=type=secret,id=ca_bundle \
    if [ -s /run/secrets/ca_bundle ]; then \
        csplit --quiet --elide-empty-files --prefix /tmp/certificate- /run/secrets/ca_bundle \
            '/BEGIN CERTIFICATE/' '{*}' \
        && for file in /tmp/certificate-*; do \
            keytool -importcert -noprompt -cacerts -storepass changeit -alias "lw_coder-${file##*-}" -file "$file" \
                > /dev/null 2>&1 || true; \
        done \
        && rm /tmp/certificate-*; \
    fi
