//! What release this is.

use std::sync::LazyLock;

use allowlist_common::abi::ABI_VERSION;

/// The version, such as `1.2.3`.
pub(crate) const SHORT: &str = env!("CARGO_PKG_VERSION");

/// The version with the commit it was built from and the version of the kernel interface.
#[must_use]
pub(crate) fn long() -> &'static str {
    static LONG: LazyLock<String> = LazyLock::new(|| {
        let commit = option_env!("ALLOWLIST_COMMIT").unwrap_or("unknown");
        format!("{SHORT} (commit {commit}, ABI {ABI_VERSION})")
    });
    &LONG
}
