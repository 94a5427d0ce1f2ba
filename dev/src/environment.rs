//! What the tool takes from the environment it was started in. The only file that reads variables.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

/// Variables that a started server or a helper program may see. Everything else is withheld, so
/// that a variable of the caller's shell never changes how a service is configured.
const PASSED_ON: &[&str] = &[
    "PATH",
    "HOME",
    "LANG",
    "TZ",
    "TMPDIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
];

/// The variables that name a proxy, for programs inside an image build.
pub(crate) const PROXIES: &[&str] = &["http_proxy", "https_proxy", "no_proxy"];

/// A variable's value, when it is set, not empty and readable as text.
pub(crate) fn text(name: &str) -> Option<String> {
    env::var_os(name).and_then(|value| value.into_string().ok()).filter(|value| !value.is_empty())
}

/// What a started program sees of our own environment.
pub(crate) fn passed_on() -> Vec<(&'static str, OsString)> {
    PASSED_ON.iter().filter_map(|name| Some((*name, env::var_os(name)?))).collect()
}

/// The caller's home directory.
pub(crate) fn home() -> PathBuf {
    env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from)
}

/// The directories of `PATH`.
pub(crate) fn search_path() -> Vec<PathBuf> {
    env::var_os("PATH").map(|path| env::split_paths(&path).collect()).unwrap_or_default()
}

/// The cargo that runs us, else the one on the path.
pub(crate) fn cargo() -> OsString {
    // Cargo sets the variable for what it runs, so the same toolchain builds the programs.
    env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}
