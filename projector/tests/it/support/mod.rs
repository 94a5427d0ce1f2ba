//! What the tests share: histories of submissions, legal and not, and servers.

pub(crate) mod history;
pub(crate) mod memory;
pub(crate) mod mongo;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod proxy;
pub(crate) mod scripted;
pub(crate) mod view;

/// Reads where a server for tests is. A test without its server fails: it has nothing to say.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told about their servers by the environment"
)]
pub(crate) fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; `cargo dev test` starts the servers and sets it")
    })
}

/// Makes a database's name that nobody has.
#[expect(clippy::disallowed_methods, reason = "databases of tests need names that differ")]
pub(crate) fn fresh_name() -> String {
    format!("projector_{}", uuid::Uuid::now_v7().simple())
}
