//! What could shut out or let in more than was meant is refused, unless it is forced or answered for.

use super::Owner;
use crate::{
    api::{ChangeOptions, CutConnection, ErrorCode, Problem},
    policy::{Name, Policy, change::hazards},
};

impl Owner {
    /// Checks a change, and names the connections that it cuts.
    pub(super) fn guard(
        &self,
        next: &Policy,
        options: ChangeOptions,
    ) -> Result<Vec<CutConnection>, Problem> {
        self.guard_opening(next, options)?;
        Ok(Vec::new())
    }

    /// Checks that a change neither opens nor closes a service to everyone.
    pub(super) fn guard_opening(
        &self,
        next: &Policy,
        options: ChangeOptions,
    ) -> Result<(), Problem> {
        let hazards = hazards(&self.policy, next);
        if let (Some(hazard), false) = (hazards.first(), options.force) {
            return Err(Problem {
                details: hazards.iter().skip(1).map(ToString::to_string).collect(),
                ..Problem::new(ErrorCode::Guarded, format!("{hazard}; nothing was changed"))
                    .hint("--force does it all the same")
            });
        }
        let opened = self.policy.opened_by(next);
        if !opened.is_empty() {
            let names: Vec<&str> = opened.iter().map(Name::as_str).collect();
            let names = names.join(", ");
            self.ask(format!("after this, {names} is accessible to everyone"), options)?;
        }
        Ok(())
    }

    /// Asks whether everyone is to be admitted.
    pub(super) fn ask(&self, what: String, options: ChangeOptions) -> Result<(), Problem> {
        if options.yes || options.dry_run {
            return Ok(());
        }
        Err(Problem {
            revision: Some(self.policy.revision),
            ..Problem::new(ErrorCode::Unconfirmed, what).hint("--yes does it without asking")
        })
    }
}
