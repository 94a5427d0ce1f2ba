//! Lists of strings that end up in an argument vector.

use platform::json::{Faults, JsonPointer};

use crate::submission::bounds::{ARG_BYTES_MAX, ARGS_MAX, COMPILER_OPTIONS_MAX};
use crate::submission::draft::Words;

/// Takes the program's arguments.
pub(super) fn check_args(args: Option<Vec<String>>, faults: &mut Faults) -> Vec<String> {
    check_arguments(args.unwrap_or_default(), "args", ARGS_MAX, faults)
}

/// Takes the compiler's options.
pub(super) fn check_compiler_options(options: Option<Words>, faults: &mut Faults) -> Vec<String> {
    let options = options.unwrap_or_default().0;
    check_arguments(options, "compiler_options", COMPILER_OPTIONS_MAX, faults)
}

fn check_arguments(
    list: Vec<String>,
    key: &str,
    count_max: usize,
    faults: &mut Faults,
) -> Vec<String> {
    let at = JsonPointer::root().key(key);
    if list.len() > count_max {
        faults.push(&at, format!("has {} elements, more than {count_max}", list.len()));
    }
    for (index, text) in list.iter().enumerate() {
        if text.len() > ARG_BYTES_MAX {
            let detail = format!("has {} bytes, more than {ARG_BYTES_MAX}", text.len());
            faults.push(&at.index(index), detail);
        }
        // The kernel ends an argument at its first NUL, so the program would get less than was
        // sent.
        if text.contains('\0') {
            faults.push(&at.index(index), "must not contain a NUL character");
        }
    }
    list
}
