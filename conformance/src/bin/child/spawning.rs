//! The sub-commands that start children while signals arrive, on many threads, and with little.

#![allow(clippy::useless_conversion)] // Some results have other types on 32-bit targets.

use std::collections::BTreeMap;
use std::mem::zeroed;
use std::os::unix::process::ExitStatusExt;
use std::ptr;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};
use std::thread;

use heirloom::os::linux::CommandExt;
use heirloom::{Child, Command, Error, ErrorKind, Region};
use heirloom_conformance::descriptors;

use super::describe;

/// This process.
static OWNER: AtomicI32 = AtomicI32::new(0);
/// How many handlers ran in this process, and how many in others.
static HANDLED: AtomicU64 = AtomicU64::new(0);
static FOREIGN: AtomicU64 = AtomicU64::new(0);

extern "C" fn handler(_: libc::c_int) {
    // SAFETY: The call has no arguments. The C library might remember what it returned in the parent.
    let here = unsafe { libc::syscall(libc::SYS_getpid) };
    let counter = if here == OWNER.load(Ordering::Relaxed).into() { &HANDLED } else { &FOREIGN };
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Those that end no program that has no handler for them.
const HARMLESS: [i32; 3] = [libc::SIGWINCH, libc::SIGURG, libc::SIGCONT];
/// Those that do.
const DEADLY: [i32; 5] = [libc::SIGUSR1, libc::SIGUSR2, libc::SIGHUP, libc::SIGTERM, libc::SIGALRM];

pub(super) fn run(args: &[&str]) {
    match args {
        ["under-storm", storm, rounds] => under_storm(storm, rounds.parse().unwrap()),
        ["fail", rounds] => fail(rounds.parse().unwrap()),
        ["ignoring-sigchld"] => {
            // SAFETY: Sets an action that runs no code of this process.
            unsafe { libc::signal(libc::SIGCHLD, libc::SIG_IGN) };
            println!("{}", describe(start("/nonexistent/program", false).map(|_| String::new())));
            println!("{}", describe(start("/nonexistent/program", true).map(|_| String::new())));
            let mut command = Command::new("echo");
            let mut child = command.arg("heard").stdout(heirloom::Stdio::piped()).spawn().unwrap();
            print!("{}", std::io::read_to_string(child.stdout.take().unwrap()).unwrap());
            // It may still be about to end. The kernel reaps it itself.
            // SAFETY: A null status is allowed.
            unsafe { libc::waitpid(-1, ptr::null_mut(), 0) };
            println!("{}", zombies());
        }
        _ => panic!("unknown sub-command: {args:?}"),
    }
}

fn start(program: &str, confined: bool) -> Result<Child, Error> {
    let mut command = Command::new(program);
    // Not where it isn't supported.
    if confined {
        let _ = command.confine();
    }
    command.spawn()
}

/// Starts programs, and some that don't exist, on eight threads, while another process sends signals to this one's group.
fn under_storm(storm: &str, rounds: u32) {
    let signals = match storm {
        "harmless" => &HARMLESS[..],
        "deadly" => &DEADLY[..],
        _ => &[],
    };
    // SAFETY: Plain numbers; the handler makes a system call and adds to a number; zeroed masks and flags are valid.
    unsafe {
        assert_eq!(libc::setpgid(0, 0), 0);
        OWNER.store(libc::getpid(), Ordering::Relaxed);
        let mut action: libc::sigaction = zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_RESTART;
        for signal in HARMLESS.iter().chain(&DEADLY) {
            assert_eq!(libc::sigaction(*signal, &raw const action, ptr::null_mut()), 0);
        }
    }
    let storm = Storm::start(signals);
    let outcomes: BTreeMap<String, u32> = thread::scope(|scope| {
        let threads = (0..8).map(|thread| scope.spawn(move || outcomes(rounds / 8, thread % 2 == 0)));
        let threads: Vec<_> = threads.collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).fold(BTreeMap::new(), |mut all, outcome| {
            *all.entry(outcome).or_insert(0) += 1;
            all
        })
    });
    storm.end();
    println!("{}", HANDLED.load(Ordering::Relaxed));
    println!("{}", FOREIGN.load(Ordering::Relaxed));
    println!("{}", zombies());
    for (outcome, count) in outcomes {
        println!("{count} {outcome}");
    }
}

/// What became of each program.
fn outcomes(rounds: u32, confined: bool) -> Vec<String> {
    let ended = |mut child: Child| {
        let status = child.wait().unwrap();
        match status.signal() {
            Some(signal) if DEADLY.contains(&signal) => "killed by the storm".to_owned(),
            _ => status.to_string(),
        }
    };
    let of = |program: &str| match start(program, confined) {
        Ok(child) => format!("{program} {}", ended(child)),
        Err(error) => format!("{program} {:?}", error.kind()),
    };
    (0..rounds).flat_map(|_| [of("/bin/true"), of("/nonexistent/program")]).collect()
}

/// A process that sends signals to the group of this one.
struct Storm(i32);

impl Storm {
    fn start(signals: &[i32]) -> Self {
        // SAFETY: The child makes only system calls, until it is killed.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            let group = OWNER.load(Ordering::Relaxed);
            // SAFETY: All arguments are integers. It is in a group of its own, and ends with this process.
            unsafe {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0);
                libc::setpgid(0, 0);
                loop {
                    if signals.is_empty() {
                        libc::pause();
                    }
                    for signal in signals {
                        libc::kill(-group, *signal);
                    }
                }
            }
        }
        Self(pid)
    }

    fn end(self) {
        // SAFETY: A child that was not waited for.
        unsafe {
            libc::kill(self.0, libc::SIGKILL);
            libc::waitpid(self.0, ptr::null_mut(), 0);
        }
    }
}

/// Whether a child of this process has not been waited for.
fn zombies() -> &'static str {
    // SAFETY: A null status is allowed.
    match unsafe { libc::waitpid(-1, ptr::null_mut(), libc::WNOHANG) } {
        -1 => "no child is left",
        _ => "a child is left",
    }
}

/// Fails to start a program, in each step of the child, and prints what is left of it.
fn fail(rounds: u32) {
    let region = Region::create(4096).unwrap();
    let attempt = |confined: bool| -> Vec<ErrorKind> {
        let mut commands = [Command::new("/nonexistent/program"), Command::new("/"), Command::new("true")];
        commands[2].current_dir("/nonexistent");
        let kinds = commands.iter_mut().map(|command| {
            command.inherit("a", &region).unwrap().stdin(heirloom::Stdio::null()).stdout(heirloom::Stdio::piped());
            if confined {
                let _ = command.confine();
            }
            command.spawn().unwrap_err().kind()
        });
        kinds.collect()
    };
    // Opens what stays open.
    let expected = attempt(true);
    let before = descriptors();
    thread::scope(|scope| {
        for thread in 0..4 {
            let (attempt, expected) = (&attempt, &expected);
            scope.spawn(move || {
                for _ in 0..rounds {
                    assert_eq!(attempt(thread % 2 == 0), *expected);
                }
            });
        }
    });
    println!("{expected:?}");
    println!("{}", descriptors() == before);
    println!("{}", zombies());
}
