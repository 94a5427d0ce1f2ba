//! What tests need of their stores: names, addresses, and the drivers for what a test does to a
//! store by hand.

pub use mongodb;
pub use sqlx;

/// Reads where a server for tests is. A test without its server fails: it has nothing to say.
#[expect(
    clippy::disallowed_methods,
    reason = "tests are told about their servers by the environment"
)]
pub fn variable(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| {
        panic!("{name} is not set; `cargo dev test` starts the servers and sets it")
    })
}

/// Makes a name that no other database has.
#[expect(clippy::disallowed_methods, reason = "databases of tests need names that differ")]
pub fn fresh_name() -> String {
    format!("views_{}", uuid::Uuid::now_v7().simple())
}
