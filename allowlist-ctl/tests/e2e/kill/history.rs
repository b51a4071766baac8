//! What the policy was at each revision, as it follows from what the clients were told.

use std::{collections::BTreeMap, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use xtask::lab::{Client, until};

use super::{
    super::support::PATIENCE,
    clients::{Done, Story, beginning},
    get,
    model::{Change, Model},
};

/// So many revisions are remembered: nobody goes back further than over two.
const REMEMBERED: usize = 8;

/// The policies of the latest revisions.
pub(super) struct History(BTreeMap<u64, Model>);

impl History {
    /// Makes the policy that all begins with, twice, so that who goes back from it comes to the same.
    pub(super) fn begin(socket: &Path) -> Result<Self> {
        let mut client = Client::connect(socket)?;
        let mut policies = BTreeMap::new();
        for change in [Change::Apply(beginning()), Change::Group("group0".into())] {
            let (method, path, content_type, body) = change.request();
            let path = format!("{path}?yes=true&force=true");
            let answer = client.request(method, &path, content_type, body.as_bytes())?;
            let revision = answer.body["revision"].as_u64().context("no revision")?;
            policies.insert(revision, Model::read(&client.get("/v1/policy")?)?);
        }
        Ok(Self(policies))
    }

    /// The policy as it has to be now.
    pub(super) fn policy(&self) -> &Model {
        self.0.last_key_value().map_or_else(|| unreachable!("it has begun"), |(_, model)| model)
    }

    /// Goes on with what clients have done until the daemon died; returns how many changes were made that nobody was
    /// told of.
    pub(super) fn follow(&mut self, socket: &Path, stories: Vec<Story>) -> Result<usize> {
        let mut told: BTreeMap<u64, Change> = BTreeMap::new();
        let mut open = Vec::new();
        for Story { done, open: asked, .. } in stories {
            for Done { change, revision } in done {
                ensure!(told.insert(revision, change).is_none(), "two changes made {revision}");
            }
            open.extend(asked);
        }
        let mut last = self.0.last_key_value().map_or(0, |(number, _)| *number);
        // What waits to be confirmed is taken back by the daemon; nobody else changes anything then.
        until("the end of what was pending", PATIENCE, || {
            get(socket, "/v1/status").ok()?["pending"].is_null().then_some(())
        })?;
        let rows = rows_after(socket, last)?;
        let mut untold = 0;
        for (number, row) in &rows {
            ensure!(*number == last + 1, "revision {} has no row in the audit trail", last + 1);
            let change = told.remove(number);
            untold += usize::from(change.is_none());
            let change = change.map_or_else(|| find(&mut open, row), |change| Ok(Some(change)))?;
            let next = match change {
                None | Some(Change::Rollback) => self.back(*number, row)?,
                Some(change) => {
                    let (action, _) = change.deed();
                    ensure!(row["action"] == action, "{change:?} is {row} in the audit trail");
                    change.made(self.policy()).with_context(|| format!("{change:?}"))?
                }
            };
            self.0.insert(*number, next);
            last = *number;
        }
        ensure!(told.is_empty(), "acknowledged and lost: {told:?}");
        self.compare(socket, last)?;
        while self.0.len() > REMEMBERED {
            self.0.pop_first();
        }
        Ok(untold)
    }

    /// What a rollback or a revert has made.
    fn back(&self, number: u64, row: &Value) -> Result<Model> {
        // Both go back over the revision before: to the one before that, but for a rollback that names another.
        let to = match row["message"]
            .as_str()
            .and_then(|message| message.strip_prefix("rollback to "))
        {
            Some(to) => to.parse()?,
            None => number - 2,
        };
        self.0.get(&to).cloned().with_context(|| format!("{row} goes back to {to}"))
    }

    /// Compares with what the daemon says.
    fn compare(&self, socket: &Path, last: u64) -> Result<()> {
        let found = Model::read(&get(socket, "/v1/policy")?)?;
        self.policy().compare(&found)?;
        let revisions = get(socket, "/v1/revisions")?;
        ensure!(revisions["revision"] == last, "{} instead of {last}", revisions["revision"]);
        let kept = revisions["revisions"].as_array().context("no revisions")?;
        for (row, number) in kept.iter().zip((0..=last).rev()) {
            ensure!(row["revision"] == number, "revision {number} is missing");
        }
        let verification = get(socket, "/v1/audit/verify")?;
        ensure!(verification["broken"].is_null(), "the audit trail: {verification}");
        Ok(())
    }
}

/// The rows of the audit trail that have made a revision after this one.
fn rows_after(socket: &Path, last: u64) -> Result<BTreeMap<u64, Value>> {
    let mut rows = BTreeMap::new();
    let mut trail = get(socket, "/v1/audit?limit=3000")?;
    for row in trail["rows"].as_array_mut().context("no rows")? {
        let number = row["to_revision"].as_u64().context("no revision")?;
        let makes_one = row["result"] == "done" && row["from_revision"] != row["to_revision"];
        if makes_one && number > last {
            let row = row.take();
            if let Some(other) = rows.insert(number, row) {
                bail!("two rows made {number}: {other}");
            }
        }
    }
    Ok(rows)
}

/// The change that made a revision without anybody being told; `None` where that was the daemon itself.
fn find(open: &mut Vec<Change>, row: &Value) -> Result<Option<Change>> {
    if row["action"] == "revert" {
        return Ok(None);
    }
    let is_it = |change: &Change| {
        let (action, subject) = change.deed();
        let subjects = row["subjects"].as_array();
        row["action"] == action
            && subject.is_none_or(|name| {
                subjects.is_some_and(|subjects| subjects.iter().any(|subject| subject == name))
            })
    };
    let index = open.iter().position(is_it);
    let index = index.with_context(|| format!("nobody has asked for {row}, only for {open:?}"))?;
    Ok(Some(open.remove(index)))
}
