# Our services, and the image that builds the image of the cells. The build context is the clone.
#   docker build --file deploy/images/services.Dockerfile --target command-api .

FROM rust:1.95-bookworm AS build
WORKDIR /src
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    set -eu; \
    cargo build --release --locked \
        --package command-api --bin command-api \
        --package query-api --bin query-api \
        --package executor --bin executor \
        --package projector --bin projector \
        --package provisioner --bin provisioner; \
    mkdir /out; \
    cp target/release/command-api target/release/query-api target/release/executor \
        target/release/projector target/release/provisioner /out/

# Static, because nothing in a cell may be needed to start it.
FROM build AS cell-init
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    set -eu; \
    target="$(rustc --version --verbose | sed -n 's/^host: //p')"; \
    RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --profile cell \
        --package sandbox --bin cell-init --target "$target"; \
    cp "target/$target/cell/cell-init" /out/

# Run once against the machine's engine: it builds the image of the cells there.
FROM docker:28-cli AS cells
COPY sandbox/images/core/Dockerfile sandbox/images/core/packages.txt /context/
COPY --from=cell-init /out/cell-init /context/
CMD ["docker", "build", "--tag", "runledger/core:dev", "/context"]

FROM debian:bookworm-slim AS service
COPY deploy/images/healthy /usr/local/bin/healthy
USER 10001:10001
HEALTHCHECK --interval=5s --timeout=3s --start-period=30s --retries=6 CMD ["/usr/local/bin/healthy"]

FROM service AS command-api
COPY --from=build /out/command-api /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/command-api"]

FROM service AS query-api
COPY --from=build /out/query-api /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/query-api"]

FROM service AS projector
COPY --from=build /out/projector /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/projector"]
CMD ["serve"]

FROM service AS provisioner
COPY --from=build /out/provisioner /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/provisioner"]
CMD ["--keep"]

FROM service AS executor
COPY --from=build /out/executor /usr/local/bin/
ENTRYPOINT ["/usr/local/bin/executor"]
