//! `run --split`: a worker for each block of standard input.

use std::os::fd::AsFd;
use std::process::ExitStatus;

use rustix::process::{Resource, getrlimit};

use super::blocks::Blocks;
use super::options::RunOptions;
use super::outputs::Outputs;
use super::signals::Awaited;
use super::workers::Waiting;
use crate::failure::{self, Failure};
use crate::workers::{Outcome, Streams};

/// How many outputs are kept for each worker that may run: a slow worker holds up the output of the others, and only later
/// the others themselves.
const OUTPUTS: usize = 4;

/// How to split standard input.
pub struct Split {
    /// The size of a block, in bytes.
    size: usize,
    /// The largest size of a block, also of one line, in bytes.
    max: u64,
    unordered: bool,
}

/// Returns how to split standard input, if that is wanted, into blocks of at most `max` bytes.
pub fn split(options: &RunOptions, max: u64) -> Option<Split> {
    options.split.map(|size| Split { size, max, unordered: options.unordered })
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
        let most = most_outputs(jobs);
        let (mut blocks, mut outputs) = (Blocks::of(self.size, self.max)?, Outputs::new(self.unordered)?);
        let mut outcome = Outcome::default();
        let mut signal = None;
        let mut started = 0;
        loop {
            let mut sleeps = true;
            if signal.is_none() && waiting.running() < jobs && outputs.len() < most {
                if let Some(block) = blocks.take()? {
                    let output = outputs.add(started)?;
                    start(waiting, started, &|command| {
                        let duplicate = || Ok((block.as_fd().try_clone_to_owned()?, output.try_clone()?));
                        let (input, output) = duplicate().map_err(|error| cannot_pass(&error))?;
                        command.stdin(input).stdout(output);
                        Ok(())
                    })?;
                    started += 1;
                    signal = waiting.interrupted();
                    // There may be another block.
                    sleeps = false;
                }
            }
            let input = blocks.wanted().filter(|_| signal.is_none()).map(Awaited::reading);
            let mut files = [input, outputs.wanted().map(Awaited::writing)];
            if waiting.running() == 0 && sleeps {
                if files.iter().all(Option::is_none) {
                    break;
                }
                // Who asks this process to end doesn't wait for who reads its output.
                sleeps = signal.is_none();
            }
            let woken = waiting.wait(&mut files, sleeps)?;
            let [readable, writable] = files.map(|file| file.is_some_and(|file| file.ready));
            if readable {
                blocks.read()?;
            }
            if writable {
                outputs.write()?;
            } else if signal.is_some() && waiting.running() == 0 && woken.ended.is_empty() {
                break;
            }
            for (worker, status) in woken.ended {
                outputs.finish(worker)?;
                if !status.success() {
                    report(worker, status);
                    outcome.failed = outcome.failed.or(Some(status));
                }
            }
            signal = signal.or(woken.interrupted);
        }
        let left = if blocks.exhausted() { "output was written" } else { "input was read" };
        if let Some(signal) = signal.filter(|_| !blocks.exhausted() || outputs.len() > 0) {
            failure::print(format_args!("signal {signal} arrived before all {left}"));
            outcome.interrupted = Some(signal);
        }
        Ok(outcome)
    }
}

/// Returns how many outputs may be kept. Each takes a descriptor; so may each worker, and other code.
fn most_outputs(jobs: usize) -> usize {
    let limit = getrlimit(Resource::Nofile).current.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(usize::MAX);
    jobs.saturating_mul(OUTPUTS).min(limit / 4).max(jobs)
}

fn cannot_pass(error: &std::io::Error) -> Failure {
    Failure::new(format_args!("cannot pass streams to a worker: {error}"))
}
