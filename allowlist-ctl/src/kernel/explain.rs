//! How the kernel would judge a frame: asked of the judging program's twin, which works over the same maps.

use allowlist_common::abi::{BootSeconds, Explanation, maps};
use aya::maps::{Array, MapData, MapError};
use jiff::{SignedDuration, Timestamp};

use super::{Kernel, error::LoadError, load::Loaded, test_run::test_run};

type Words = [u32; Explanation::WORDS];

/// Where questions are put and answers found.
pub(super) struct Explainer(Array<MapData, Words>);

/// Why the kernel does not explain.
#[derive(Debug, thiserror::Error)]
pub enum ExplainError {
    /// The program that explains cannot be loaded.
    #[error("cannot load the program that explains: {0}")]
    Load(#[from] LoadError),
    /// It did not run.
    #[error("the kernel does not run a program over a made-up packet: {0}")]
    Run(#[source] std::io::Error),
    /// The map of questions and answers.
    #[error("the kernel does not take a question: {0}")]
    Map(#[from] MapError),
    /// It ran and left no answer.
    #[error("the program that explains left no answer")]
    NoAnswer,
}

impl Explainer {
    pub(super) fn new(loaded: &mut Loaded) -> Result<Self, LoadError> {
        Ok(Self(loaded.take_map(maps::EXPLANATION)?.try_into()?))
    }
}

impl Kernel {
    /// How a frame would be judged that comes in on an interface, by the maps as they are. Nothing is counted,
    /// reported, noted or sent.
    ///
    /// # Errors
    /// [`ExplainError`]
    pub fn explain(&mut self, frame: &[u8], ifindex: u32) -> Result<Explanation, ExplainError> {
        let program = self.loaded.explainer(&self.calls)?;
        let answers = &mut self.explainer.0;
        self.calls.patiently(|| answers.set(0, Explanation::ask(ifindex), 0))?;
        test_run(program, frame).map_err(ExplainError::Run)?;
        let answer = Explanation::from_words(answers.get(&0, 0)?);
        if answer.is_answered == 1 { Ok(answer) } else { Err(ExplainError::NoAnswer) }
    }

    /// A moment that the kernel named, by the clock that the ends of entries are written by.
    #[must_use]
    pub fn time_of(&self, now: BootSeconds) -> Timestamp {
        let since_boot = SignedDuration::from_secs(i64::from(now));
        self.enforced.booted_at().saturating_add(since_boot).unwrap_or(Timestamp::MAX)
    }
}
