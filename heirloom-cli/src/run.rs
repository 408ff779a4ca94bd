//! `run` and `exec`: programs that inherit regions.

use std::ffi::OsString;
use std::process::{ExitCode, ExitStatus};

use heirloom::{AnyRegion, Command, InheritedState, RegionKind, Stdio};

use crate::assignment::Place;
use crate::environment::Environment;
use crate::failure::{self, Failure};
use crate::misspelt;
use crate::options::{Exec, Regions, Run};
use crate::placeholders::fill_in;
use crate::regions::{self, Named};
use crate::save::Saves;
use crate::sys::{self, Secrets, Waiting};
use crate::workers::{Outcome, Streams};

pub fn run(options: &Run) -> Result<ExitCode, Failure> {
    regions::check(&options.regions)?;
    let split = sys::split(&options.system, options.regions.max());
    if let Some(filled) = options.regions.filled().find(|filled| filled.value == Place::Standard) {
        if split.is_some() {
            let name = &filled.name;
            let why = format!("standard input is split into blocks, so it cannot fill region {name:?}");
            return Err(Failure::new(why));
        }
    }
    misspelt::warn(&options.program, &options.environment, &options.regions, &["job", "jobs"]);
    let saves = Saves::open(options)?;
    let mut family = Family::new(&options.regions)?;
    let mut waiting = Waiting::begin()?;
    let words = sys::wrap(&options.program.words, &options.system, &options.confinement);
    let jobs = options.jobs;
    let last = split.is_none().then_some(jobs as usize - 1);
    // Two numbers of 32 bits have a sum of 64.
    let number = |index: usize| u64::from(options.first_job) + index as u64;
    let mut start = |waiting: &mut Waiting, index: usize, streams: &Streams<'_>| {
        let own = [("job".to_owned(), number(index).to_string()), ("jobs".to_owned(), jobs.to_string())];
        family.launch(&words, &options.environment, &own, |command| {
            streams(command)?;
            sys::confine_worker(command, &options.system, &options.confinement)?;
            waiting.start(command)
        })?;
        if Some(index) == last {
            // Whoever may trace this process could take their descriptors.
            family.secrets.close();
        }
        Ok(())
    };
    let alone = split.is_none() && jobs == 1;
    let report = |index, status| report(number(index), alone, status);
    let ended = match split {
        Some(split) => split.run(jobs, &mut waiting, &mut start, report),
        None => start_all(jobs, &mut waiting, &mut start, report),
    };
    let outcome = ended.inspect_err(|_| waiting.kill())?;
    waiting.end(saves.unfinished())?;
    if let Some(signal) = outcome.interrupted {
        saves.give_up("a signal ended the work");
        return Ok(sys::end_by(signal));
    }
    if let Some(status) = outcome.failed {
        saves.give_up("a worker failed");
        return Ok(sys::end_like(status));
    }
    saves.write(&family.created)?;
    Ok(ExitCode::SUCCESS)
}

/// Starts `jobs` workers, and waits for them.
fn start_all(
    jobs: u32,
    waiting: &mut Waiting,
    mut start: impl FnMut(&mut Waiting, usize, &Streams<'_>) -> Result<(), Failure>,
    report: impl Fn(usize, ExitStatus),
) -> Result<Outcome, Failure> {
    let mut started = 0;
    let mut interrupted = None;
    while started < jobs && interrupted.is_none() {
        start(waiting, started as usize, &|command| {
            if jobs > 1 {
                command.stdin(Stdio::null());
            }
            Ok(())
        })?;
        started += 1;
        interrupted = waiting.interrupted();
    }
    let interrupted = interrupted.filter(|_| started < jobs);
    if let Some(signal) = interrupted {
        failure::print(format_args!("signal {signal} arrived when {started} of {jobs} workers were started"));
    }
    let failed = waiting.for_all(report)?;
    Ok(Outcome { failed, interrupted })
}

pub fn exec(options: &Exec) -> Result<ExitCode, Failure> {
    regions::check(&options.regions)?;
    misspelt::warn(&options.program, &options.environment, &options.regions, &[]);
    sys::apply(&options.system)?;
    let family = Family::new(&options.regions)?;
    family.launch(&options.program.words, &options.environment, &[], |command| {
        sys::confine(command, &options.confinement)?;
        sys::become_program(command)
    })
}

/// The regions of the programs that one call starts.
struct Family {
    created: Vec<Named>,
    /// What this process inherited itself: its programs get it as if this process were not there.
    inherited: Vec<Named>,
    secrets: Secrets,
}

impl Family {
    /// Creates the regions of a command line.
    fn new(wanted: &Regions) -> Result<Self, Failure> {
        let mut secrets = Secrets::create(&wanted.system)?;
        let inherited = inherited(wanted, &mut secrets)?;
        Ok(Self { created: regions::create(wanted)?, inherited, secrets })
    }

    /// Launches a program, given with its arguments; `own` are placeholders and their values besides the regions.
    fn launch<T>(
        &self,
        words: &[OsString],
        environment: &Environment,
        own: &[(String, String)],
        mut launch: impl FnMut(&mut Command) -> Result<heirloom::Result<T>, Failure>,
    ) -> Result<T, Failure> {
        let handed_down = |named: &Named| {
            let region = sys::hand_down(&named.region)?;
            Ok(Named { name: named.name.clone(), region })
        };
        let regions = self.created.iter().map(handed_down).collect::<Result<Vec<_>, Failure>>()?;
        let mut values = own.to_owned();
        values.extend(regions.iter().map(|named| (named.name.clone(), sys::reference(&named.region))));
        values.extend(self.secrets.references());
        let words: Vec<_> = words.iter().map(|word| fill_in(word, &values)).collect();
        let command = |words: &[OsString]| {
            let (program, args) = words.split_first().ok_or_else(|| Failure::new("no program given"))?;
            let mut command = Command::new(program);
            command.args(args);
            command.envs(environment.env.iter().map(|variable| (&variable.name, fill_in(&variable.value, &values))));
            for named in regions.iter().chain(&self.inherited) {
                command.inherit(&named.name, &named.region)?;
            }
            self.secrets.hand_down(&mut command)?;
            Ok::<_, Failure>(command)
        };
        let error = match launch(&mut command(&words)?)? {
            Ok(launched) => return Ok(launched),
            Err(error) => error,
        };
        let Some(words) = sys::interpreted(&words, &error) else { return Err(error.into()) };
        Ok(launch(&mut command(&words)?)??)
    }
}

/// Returns the regions that this process inherited, without those whose names the command line gives to others. Passes the
/// secret ones to `secrets`.
fn inherited(wanted: &Regions, secrets: &mut Secrets) -> Result<Vec<Named>, Failure> {
    let mut inherited = Vec::new();
    for listed in heirloom::inherited()? {
        if !matches!(listed.state, InheritedState::Available) {
            continue;
        }
        let is_replaced = wanted.names().any(|name| *name == listed.name);
        if listed.kind == RegionKind::Secret {
            secrets.take(listed.name, is_replaced)?;
            continue;
        }
        let region = AnyRegion::inherited(&listed.name)?;
        if is_replaced {
            // Its path may be among the arguments.
            sys::keep_open(region)?;
        } else {
            inherited.push(Named { name: listed.name, region });
        }
    }
    Ok(inherited)
}

/// SIGINT and SIGPIPE: the user's own interrupt, and the end of a pipeline. Shells don't report them either.
const EXPECTED_SIGNALS: [i32; 2] = [2, 13];

/// Reports a failed worker. One that is alone reports its own failures, unless a signal killed it.
fn report(job: u64, alone: bool, status: ExitStatus) {
    match (sys::killed_by(status), status.code()) {
        (Some(signal), _) if alone && EXPECTED_SIGNALS.contains(&signal) => {}
        (Some(signal), _) if alone => failure::print(format_args!("the program was killed by signal {signal}")),
        (Some(signal), _) => {
            failure::print(format_args!("worker {job} failed: killed by signal {signal}"));
        }
        (None, Some(code)) if !alone => {
            failure::print(format_args!("worker {job} failed: exit code {code}"));
        }
        _ => {}
    }
}
