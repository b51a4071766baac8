//! What is read when somebody asks.
//!
//! Every label is a name that an admin has given, or a word of this program: nobody else can make a new one.

mod policy;
mod running;
mod traffic;

use prometheus::proto::MetricFamily;

use crate::{api::Problem, daemon::shared::Shared};

/// All figures that are not observed as they happen.
///
/// # Errors
/// [`ErrorCode::Failed`](crate::api::ErrorCode::Failed) where the counters cannot be read.
pub(super) fn read(shared: &Shared) -> Result<Vec<MetricFamily>, Problem> {
    let policy = shared.policy();
    let mut families = traffic::figures(shared, &policy)?;
    families.extend(policy::figures(shared, &policy));
    families.extend(running::figures(shared));
    Ok(families.into_iter().filter_map(super::family::Family::finish).collect())
}
