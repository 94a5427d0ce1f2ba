//! The executor on a real Docker engine (`DOCKER_HOST`, with the image `runledger/core:dev`) and a
//! real NATS server (`RUNLEDGER_TEST_NATS_SERVER`).
#![expect(clippy::unwrap_used, reason = "a helper that cannot do its part fails its test")]

mod cells;
mod service;
mod support;
