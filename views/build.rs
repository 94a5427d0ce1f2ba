//! Tells cargo that a new migration changes the binary, which carries them all.

fn main() {
    println!("cargo:rerun-if-changed=../migrations");
}
