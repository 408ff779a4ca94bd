//! `run --split`: a worker for each block of standard input.

use std::os::fd::AsFd;
use std::process::ExitStatus;

use super::blocks::Blocks;
use super::options::RunOptions;
use super::outputs::Outputs;
use super::signals::Awaited;
use super::workers::Waiting;
use crate::failure::{self, Failure};
use crate::workers::{Outcome, Streams};

/// How many outputs are kept for each worker that may run: a slow worker holds up the others' output, but not at once them.
const OUTPUTS: usize = 4;

/// How to split standard input.
pub struct Split {
    /// The size of a block, in bytes.
    size: usize,
    unordered: bool,
}

/// Returns how to split standard input, if that is wanted.
pub fn split(options: &RunOptions) -> Option<Split> {
    options.split.map(|size| Split { size, unordered: options.unordered })
}

impl Split {
    /// Runs a worker for each block, at most `jobs` at a time. Calls `start` for each, and `report` with the index and status of
    /// each failed one.
    pub fn run(
        &self,
        jobs: u32,
        waiting: &mut Waiting,
        mut start: impl FnMut(&mut Waiting, usize, &Streams<'_>) -> Result<(), Failure>,
        report: impl Fn(usize, ExitStatus),
    ) -> Result<Outcome, Failure> {
        let jobs = usize::try_from(jobs).unwrap_or(usize::MAX);
        let (mut blocks, mut outputs) = (Blocks::of(self.size)?, Outputs::new(self.unordered)?);
        let mut outcome = Outcome::default();
        let mut started = 0;
        loop {
            let goes_on = outcome.interrupted.is_none();
            if goes_on && waiting.running() < jobs && outputs.len() < jobs.saturating_mul(OUTPUTS) {
                if let Some(block) = blocks.take()? {
                    let output = outputs.add(started)?;
                    start(waiting, started, &|command| {
                        let duplicate = || Ok((block.as_fd().try_clone_to_owned()?, output.try_clone()?));
                        let (input, output) = duplicate().map_err(|error| cannot_pass(&error))?;
                        command.stdin(input).stdout(output);
                        Ok(())
                    })?;
                    started += 1;
                    outcome.interrupted = waiting.interrupted().filter(|_| !blocks.exhausted());
                    continue;
                }
            }
            let input = blocks.wanted().filter(|_| goes_on).map(Awaited::reading);
            let mut files = [input, outputs.wanted().map(Awaited::writing)];
            if waiting.running() == 0 && files.iter().all(Option::is_none) {
                break;
            }
            let woken = waiting.wait(&mut files)?;
            let [readable, writable] = files.map(|file| file.is_some_and(|file| file.ready));
            if readable {
                blocks.read()?;
            }
            if writable {
                outputs.write()?;
            }
            for (worker, status) in woken.ended {
                outputs.finish(worker);
                if !status.success() {
                    report(worker, status);
                    outcome.failed = outcome.failed.or(Some(status));
                }
            }
            outcome.interrupted = outcome.interrupted.or(woken.interrupted.filter(|_| !blocks.exhausted()));
        }
        if let Some(signal) = outcome.interrupted {
            failure::print(format_args!("signal {signal} arrived before all of standard input was read"));
        }
        Ok(outcome)
    }
}

fn cannot_pass(error: &std::io::Error) -> Failure {
    Failure::new(format_args!("cannot pass streams to a worker: {error}"))
}
