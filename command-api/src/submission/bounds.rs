//! How much a submission may hold. Limits of a run are the policy's business.

#![expect(missing_docs, reason = "plain numbers: the names say it")]

pub const FILES_MAX: usize = 64;
pub const CASES_MAX: usize = 256;
pub const ARGS_MAX: usize = 64;
pub const COMPILER_OPTIONS_MAX: usize = 64;
pub const ARG_BYTES_MAX: usize = 4 * 1024;
pub const CASE_NAME_BYTES_MAX: usize = 128;
pub const POINTS_MAX: u32 = 1_000_000;
/// The points of a case that names none.
pub const POINTS_DEFAULT: u32 = 1;
/// The tolerance of the checker `floats` if none is given.
pub const TOLERANCE_DEFAULT: &str = "1e-6";
pub const TOLERANCE_MAX: f64 = 1.0;
pub const REASON_BYTES_MAX: usize = 512;
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
