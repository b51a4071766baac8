//! Test runs: what the loaded programs make of a frame that nobody sent.

use std::io;

use aya::programs::{ProgramError, TestRun as _, TestRunOptions, Xdp};

use super::Kernel;

/// What the program does with a frame.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Action {
    /// It goes on to the network stack.
    Passed,
    /// It vanishes.
    Dropped,
    /// It goes back, turned into an answer.
    SentBack,
}

/// A loaded program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Program {
    /// Its name in the object.
    pub name: &'static str,
    /// Its id in the kernel.
    pub id: u32,
    /// How many instructions the verifier followed; the kernel says so since Linux 5.16.
    pub instructions: u32,
}

/// Of `enum xdp_action` in `linux/bpf.h`.
const DROP: u32 = 1;
const PASS: u32 = 2;
const TX: u32 = 3;

/// Runs a program over a frame, and returns what it answered.
///
/// # Errors
/// What the kernel answered.
pub(super) fn test_run(program: &Xdp, frame: &[u8]) -> io::Result<u32> {
    let options = TestRunOptions { data_in: Some(frame), ..TestRunOptions::default() };
    let result = program.test_run(options).map_err(|error| match error {
        ProgramError::SyscallError(error) => error.io_error,
        error => io::Error::other(error),
    })?;
    Ok(result.return_value)
}

impl Kernel {
    /// Runs the judging program over a frame, from its Ethernet header on, as if it came in on the loopback interface
    /// of this thread's network namespace. It counts and reports as ever; nothing is sent. For tests: a packet that comes in
    /// on the same CPU meanwhile may have one of the two miscounted.
    ///
    /// # Errors
    /// What the kernel answered: `InvalidInput` for a frame of less than 14 bytes or more than a page takes.
    pub fn judge(&mut self, frame: &[u8]) -> io::Result<Action> {
        let program = self.loaded.program().map_err(io::Error::other)?;
        match test_run(program, frame)? {
            PASS => Ok(Action::Passed),
            DROP => Ok(Action::Dropped),
            TX => Ok(Action::SentBack),
            action => Err(io::Error::other(format!("the program answered {action}"))),
        }
    }

    /// The programs that are loaded: the judging one and the one that follows a denial, and those that watch and explain
    /// once they were needed or [`Kernel::tidy`] had the time.
    #[must_use]
    pub fn programs(&self) -> Vec<Program> {
        let programs = self.loaded.programs();
        let about = |(name, program): (_, &Xdp)| {
            let info = program.info().ok()?;
            Some(Program { name, id: info.id(), instructions: info.verified_instruction_count()? })
        };
        programs.filter_map(about).collect()
    }
}
