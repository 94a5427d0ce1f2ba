//! `cell-init`.

fn main() {}
