# Onhand as a container. It needs a Postgres (15 or newer) in DATABASE_URL; see compose.yaml.

FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
# Migrations are read while compiling, and every member of the workspace has to be there for --locked.
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --package onhand --bin onhand \
    && install -D target/release/onhand /out/onhand

FROM debian:bookworm-slim
# Root certificates for calls to platforms.
RUN apt-get update \
    && apt-get install -y --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 onhand \
    && useradd --uid 10001 --gid onhand --no-create-home --home-dir /var/lib/onhand --shell /usr/sbin/nologin onhand \
    && install -d -o onhand -g onhand -m 0700 /var/lib/onhand
COPY --from=build /out/onhand /usr/local/bin/onhand
USER onhand
ENV ONHAND_LISTEN=0.0.0.0:7070 \
    ONHAND_DATA_DIR=/var/lib/onhand
# The key file that seals credentials lies here, unless ONHAND_MASTER_KEYS is set.
VOLUME /var/lib/onhand
EXPOSE 7070
# Whatever it does, `onhand relay` too: it says there how it is.
HEALTHCHECK --interval=5s --timeout=6s --start-period=20s --retries=6 \
    CMD ["onhand", "health"]
ENTRYPOINT ["onhand"]
CMD ["serve"]
