//! What release this is.

use std::sync::LazyLock;

use allowlist_common::abi::ABI_VERSION;

/// The version, such as `1.2.3`.
pub(crate) const SHORT: &str = env!("CARGO_PKG_VERSION");

/// The commit it was built from.
pub(crate) const COMMIT: &str = match option_env!("ALLOWLIST_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};

/// The version with the commit it was built from and the version of the kernel interface.
#[must_use]
pub(crate) fn long() -> &'static str {
    static LONG: LazyLock<String> =
        LazyLock::new(|| format!("{SHORT} (commit {COMMIT}, ABI {ABI_VERSION})"));
    &LONG
}
