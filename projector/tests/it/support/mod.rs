//! What the tests share: histories of submissions, legal and not, and servers.

pub(crate) mod history;
pub(crate) mod memory;
pub(crate) mod mongo;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod scripted;
pub(crate) mod view;
