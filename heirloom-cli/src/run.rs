//! `run` and `exec`: programs that inherit regions.

use std::process::{ExitCode, ExitStatus};

use heirloom::{Child, Command, Stdio};

use crate::environment::Environment;
use crate::failure::{self, Failure};
use crate::misspelt;
use crate::options::{Exec, Place, Program, Run};
use crate::placeholders::fill_in;
use crate::regions::{self, Named};
use crate::sys::{self, Waiting};

pub fn run(options: &Run) -> Result<ExitCode, Failure> {
    check_saves(options)?;
    misspelt::warn(&options.program, &options.environment, &options.regions, &["job", "jobs"]);
    let regions = regions::create(&options.regions)?;
    let mut commands = Vec::new();
    for job in 0..options.jobs {
        let own = [("job".to_owned(), job.to_string()), ("jobs".to_owned(), options.jobs.to_string())];
        let mut command = command(&options.program, &options.environment, &regions, own)?;
        if options.jobs > 1 {
            command.stdin(Stdio::null());
        }
        commands.push(command);
    }
    let waiting = Waiting::begin()?;
    let mut workers = Vec::new();
    for mut command in commands {
        match command.spawn() {
            Ok(worker) => workers.push(worker),
            Err(error) => {
                end(workers);
                return Err(error.into());
            }
        }
    }
    if let Some(failed) = waiting.for_all(workers, |job, status| report(job, options.jobs, status))? {
        return Ok(failed);
    }
    for save in &options.save {
        if let Some(region) = regions.iter().find(|region| region.name == save.name) {
            region.save(&save.value)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

pub fn exec(options: &Exec) -> Result<ExitCode, Failure> {
    misspelt::warn(&options.program, &options.environment, &options.regions, &[]);
    let regions = regions::create(&options.regions)?;
    let mut command = command(&options.program, &options.environment, &regions, [])?;
    sys::become_program(&mut command)
}

/// Checks the destinations of `--save` before any worker starts.
fn check_saves(options: &Run) -> Result<(), Failure> {
    let names: Vec<_> = options.regions.names().collect();
    for save in &options.save {
        let name = &save.name;
        if !names.contains(&name) {
            let known = match &*names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ") {
                "" => "no region is created".to_owned(),
                names => format!("the regions are {names}"),
            };
            return Err(Failure::new(format_args!("cannot save {name:?}: no region has this name; {known}")));
        }
        if let Place::File(path) = &save.value {
            let shown = path.display();
            if path.is_dir() {
                return Err(Failure::new(format_args!("cannot save {name:?} to {shown}: it is a directory")));
            }
            if !regions::directory_of(path).is_dir() {
                return Err(Failure::new(format_args!(
                    "cannot save {name:?} to {shown}: its directory does not exist"
                )));
            }
        }
    }
    Ok(())
}

fn command<const N: usize>(
    program: &Program,
    environment: &Environment,
    regions: &[Named],
    own: [(String, String); N],
) -> Result<Command, Failure> {
    let mut values: Vec<_> = own.into();
    values.extend(regions.iter().map(|region| (region.name.clone(), sys::reference(&region.region))));
    let mut command = Command::new(&program.program);
    command.args(program.args.iter().map(|arg| fill_in(arg, &values)));
    command.envs(environment.env.iter().map(|variable| (&variable.name, fill_in(&variable.value, &values))));
    for region in regions {
        command.inherit(&region.name, &region.region)?;
    }
    Ok(command)
}

/// SIGINT and SIGPIPE: the user's own interrupt, and the end of a pipeline. Shells don't report them either.
const EXPECTED_SIGNALS: [i32; 2] = [2, 13];

/// Reports a failed worker. A single one reports its own failures, unless a signal killed it.
fn report(job: usize, jobs: u32, status: ExitStatus) {
    match (sys::killed_by(status), status.code()) {
        (Some(signal), _) if jobs == 1 && EXPECTED_SIGNALS.contains(&signal) => {}
        (Some(signal), _) if jobs == 1 => failure::print(format_args!("the program was killed by signal {signal}")),
        (Some(signal), _) => {
            failure::print(format_args!("worker {job} failed: killed by signal {signal}"));
        }
        (None, Some(code)) if jobs > 1 => {
            failure::print(format_args!("worker {job} failed: exit code {code}"));
        }
        _ => {}
    }
}

/// Kills the workers that were started before a failure.
fn end(workers: Vec<Child>) {
    for mut worker in workers {
        // The caller reports the first failure, not these.
        let _ = worker.kill();
        let _ = worker.wait();
    }
}
