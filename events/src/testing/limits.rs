//! The policy of tests: the one that command-api comes with.

use crate::limits::{LimitPolicy, Limits};

impl Default for LimitPolicy {
    fn default() -> Self {
        Self {
            default: Limits {
                cpu_time_ms: 5_000,
                wall_time_ms: 10_000,
                memory_kib: 256 * 1024,
                stack_kib: 64_000,
                output_bytes: 1024 * 1024,
                file_size_kib: 4_096,
                processes: 60,
            },
            min: Limits {
                cpu_time_ms: 10,
                wall_time_ms: 10,
                memory_kib: 16 * 1024,
                stack_kib: 64,
                output_bytes: 1,
                file_size_kib: 0,
                processes: 1,
            },
            max: Limits {
                cpu_time_ms: 15_000,
                wall_time_ms: 30_000,
                memory_kib: 1024 * 1024,
                stack_kib: 512 * 1024,
                output_bytes: 4 * 1024 * 1024,
                file_size_kib: 64 * 1024,
                processes: 120,
            },
        }
    }
}
