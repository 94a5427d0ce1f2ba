//! The service's contract, over the router in one process: given a ledger in memory, when a request
//! comes, then what; and the binary on a real nats-server, which `RUNLEDGER_TEST_NATS_SERVER`
//! names.

// Each module says that it is a test, so that clippy lets its helpers unwrap.
#[cfg(test)]
mod accepting;
#[cfg(test)]
mod bad_input;
#[cfg(test)]
mod cancelling;
#[cfg(test)]
mod idempotency;
#[cfg(test)]
mod process;
#[cfg(test)]
mod support;
#[cfg(test)]
mod unauthorized;
#[cfg(test)]
mod unavailable;
