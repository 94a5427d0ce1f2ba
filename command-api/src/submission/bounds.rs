//! How much a submission may hold. Limits of a run are the policy's business.

pub use events::event::{CASE_NAME_BYTES_MAX, CASES_MAX};

/// The most files.
pub const FILES_MAX: usize = 64;
/// The most arguments of the program.
pub const ARGS_MAX: usize = 64;
/// The most options of the compiler.
pub const COMPILER_OPTIONS_MAX: usize = 64;
/// The longest argument of the program, and the longest option of the compiler, in bytes.
pub const ARG_BYTES_MAX: usize = 4 * 1024;
/// The most points of a case.
pub const POINTS_MAX: u32 = 1_000_000;
/// The points of a case that names none.
pub const POINTS_DEFAULT: u32 = 1;
/// The tolerance of the checker `floats` if none is given.
pub const TOLERANCE_DEFAULT: &str = "1e-6";
/// The largest tolerance of the checker `floats`.
pub const TOLERANCE_MAX: f64 = 1.0;
/// The longest reason of a cancellation, in bytes.
pub const REASON_BYTES_MAX: usize = 512;
/// The longest `Idempotency-Key`, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 255;
