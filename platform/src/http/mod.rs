//! The frame around every service's router: request ids, one log line and two metrics per request,
//! problems made complete, panics caught, bodies drained; and the routes that operators ask. Knows
//! no route of any service.

mod drain;
pub mod health;
mod observe;
mod report;
mod request_id;
mod serve;
mod traceparent;

pub use self::observe::middleware;
pub(crate) use self::report::describe;
pub use self::request_id::{REQUEST_ID_HEADER, RequestId};
pub use self::serve::{bind, serve};
pub use self::traceparent::TraceParent;

#[cfg(test)]
mod tests;
