//! Tells cargo that a new migration changes the binary, which carries them all.

#[expect(clippy::print_stdout, reason = "this is how a build script speaks to cargo")]
fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
