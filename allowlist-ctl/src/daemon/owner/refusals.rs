//! Which refusals go into the audit trail one by one.
//!
//! Whoever may open the socket could push everything else out of the trail by asking for what is refused. So each user
//! but root has a number of them a minute; the rest are counted, and the count is recorded when the minute is over.

use std::time::Instant;

use super::{Deed, ration::Ration};

/// So many refusals of a user are recorded one by one in a minute.
const REFUSALS: u32 = 60;

/// The refusals of the last minute, by user id.
#[derive(Debug)]
pub(super) struct Refusals(Ration<u32, Deed>);

impl Default for Refusals {
    fn default() -> Self {
        Self(Ration::new(REFUSALS))
    }
}

impl Refusals {
    /// Whether a refusal is to be recorded now; else it is counted.
    pub(super) fn records(&mut self, deed: &Deed, now: Instant) -> bool {
        deed.author.uid == 0 || self.0.takes(deed.author.uid, deed, now)
    }

    /// What was counted in the minutes that are over: the last of each user's, and how many they were.
    pub(super) fn over(&mut self, now: Instant) -> Vec<(Deed, u32)> {
        self.0.over(now)
    }

    /// What was counted, though the minutes are not over.
    pub(super) fn all(&mut self) -> Vec<(Deed, u32)> {
        self.0.all()
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::Arc, time::Duration};

    use super::*;
    use crate::policy::Author;

    fn deed(uid: u32, name: &str) -> Deed {
        Deed::about("add", name, &Arc::new(Author { uid, name: uid.to_string() }))
    }

    /// Makes refusals, and counts those that are to be recorded.
    fn make(refusals: &mut Refusals, uid: u32, count: u32, now: Instant) -> usize {
        (0..count).filter(|n| refusals.records(&deed(uid, &format!("list-{n}")), now)).count()
    }

    fn told(over: &[(Deed, u32)]) -> Vec<(u32, &str, u32)> {
        over.iter().map(|(deed, more)| (deed.author.uid, deed.what.as_str(), *more)).collect()
    }

    #[test]
    fn each_user_has_sixty_a_minute_and_the_rest_are_counted() {
        let start = Instant::now();
        let mut refusals = Refusals::default();
        assert_eq!(make(&mut refusals, 4001, 75, start), 60);
        assert_eq!(make(&mut refusals, 4002, 60, start), 60, "another user");
        assert_eq!(make(&mut refusals, 0, 200, start), 200, "root");
        assert!(refusals.over(start + Duration::from_secs(59)).is_empty());
        assert_eq!(make(&mut refusals, 4001, 2, start + Duration::from_secs(59)), 0);
        let over = refusals.over(start + Duration::from_mins(1));
        assert_eq!(told(&over), [(4001, "add list-1", 17)]);
        assert!(refusals.over(start + Duration::from_mins(2)).is_empty(), "told once");
        assert_eq!(make(&mut refusals, 4001, 61, start + Duration::from_mins(2)), 60, "afterwards");
        assert_eq!(told(&refusals.all()), [(4001, "add list-60", 1)]);
        assert!(refusals.all().is_empty());
    }
}
