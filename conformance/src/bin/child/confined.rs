//! The sub-commands that start confined children, and try what they can't do.

use std::env;
use std::io::{self, BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use heirloom::os::linux::CommandExt;
use heirloom::os::unix::CommandExt as _;
use heirloom::{Command, FrozenRegion, Receiver, Region, Sender};
use heirloom_conformance::intruder::{CLOSED, OPEN, Target};
use heirloom_conformance::old_kernels::{self, Argument, Refusal};
use heirloom_conformance::sealed_off::{self, Place};
use heirloom_conformance::{output, text};

use super::own_path;

pub(super) fn run(args: &[&str]) {
    match args {
        ["intrude", means, target] => intrude(means, target),
        ["intruder"] => match env::var("TARGET") {
            Ok(target) => try_all(&target.parse().unwrap()),
            Err(_) => be_target(),
        },
        ["exec-intruder"] => {
            let mut command = intruder();
            println!("{}", command.confine().unwrap().exec());
        }
        // Runs another of these sub-commands in a confined child.
        ["confine", rest @ ..] => {
            let mut command = Command::new(own_path());
            print!("{}", output(command.arg("confined").args(rest).confine().unwrap()));
        }
        // Tries every way towards a child of this process.
        ["reach", means] => {
            let mut command = intruder();
            if *means == "confined" {
                command.confine().unwrap();
            }
            command.stdin(heirloom::Stdio::piped()).stdout(heirloom::Stdio::piped());
            let mut child = command.spawn().unwrap();
            try_all(&first_line(child.stdout.take().unwrap()).parse().unwrap());
            drop(child.stdin.take());
            assert!(child.wait().unwrap().success());
        }
        // Confines a child, or itself, once more, until that fails.
        ["nest", means, depth] => nest(means, depth.parse().unwrap()),
        ["set-death-signal"] => {
            // SAFETY: All arguments are integers.
            assert_eq!(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0) }, 0);
            println!("set");
            io::read_to_string(io::stdin()).unwrap();
            println!("alive");
        }
        ["exec-missing", means] => {
            let mut command = Command::new("/nonexistent/program");
            if *means == "confined" {
                command.confine().unwrap();
            }
            println!("{}", command.exec());
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            print!("{}", status.lines().find(|line| line.starts_with("NoNewPrivs")).unwrap());
        }
        // Confines a child while the number of standard input is free, and redirects the child's.
        ["with-stdin-closed"] => {
            // SAFETY: Nothing here uses standard input.
            unsafe { libc::close(0) };
            let mut commands = [Command::new("cat"), Command::new("cat")];
            commands[0].confine().unwrap();
            if commands[1].confine_to(system_files()).is_err() {
                commands[1].confine().unwrap();
            }
            for command in &mut commands {
                let input = FrozenRegion::from_bytes("of a region").unwrap();
                command.stdin(std::os::fd::OwnedFd::try_from(input).unwrap());
                println!("{}", output(command));
            }
        }
        ["refused", call, errno] => refused(call, errno.parse().unwrap()),
        ["use-library", means] => use_library_in_child(means),
        ["library"] => use_library(),
        ["seal-off", means, directory] => seal_off(means, Path::new(directory)),
        ["sealed-off"] => {
            let place = Place::parse(&env::var("PLACE").unwrap());
            for attempt in sealed_off::ATTEMPTS {
                println!("{}\t{}", attempt.name, code((attempt.act)(&place)));
            }
        }
        _ => panic!("unknown sub-command: {args:?}"),
    }
}

/// Starts an intruder by that means, towards this process or towards another child of the same command, and prints its table.
fn intrude(means: &str, target: &str) {
    let this = Target::this_process();
    if means == "std" {
        let mut command = std::process::Command::new(own_path());
        command.args(["confined", "intruder"]).confine().unwrap();
        if target == "parent" {
            return print!("{}", text(command.env("TARGET", this.to_string()).output().unwrap()));
        }
        let mut sibling = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let found = first_line(sibling.stdout.take().unwrap());
        print!("{}", text(command.env("TARGET", found).output().unwrap()));
        drop(sibling.stdin.take());
        assert!(sibling.wait().unwrap().success());
        return;
    }
    let mut command = intruder();
    match means {
        "confined" => _ = command.confine().unwrap(),
        "twice" => _ = command.confine().unwrap().confine().unwrap(),
        "exec" => {
            command = {
                let mut command = Command::new(own_path());
                command.args(["confined", "exec-intruder"]);
                command
            }
        }
        _ => {}
    }
    if target == "parent" {
        return print!("{}", output(command.env("TARGET", this.to_string())));
    }
    command.stdin(heirloom::Stdio::piped()).stdout(heirloom::Stdio::piped());
    let mut sibling = command.spawn().unwrap();
    let found = first_line(sibling.stdout.take().unwrap());
    command.env("TARGET", found).stdin(heirloom::Stdio::null());
    print!("{}", output(&mut command));
    drop(sibling.stdin.take());
    assert!(sibling.wait().unwrap().success());
}

fn intruder() -> Command {
    let mut command = Command::new(own_path());
    command.args(["confined", "intruder"]);
    command
}

fn first_line(from: impl io::Read) -> String {
    let mut line = String::new();
    BufReader::new(from).read_line(&mut line).unwrap();
    line
}

/// Prints what an intruder has to know of this process, and waits until standard input ends.
fn be_target() {
    println!("{}", Target::this_process());
    io::read_to_string(io::stdin()).unwrap();
}

fn try_all(target: &Target) {
    for way in CLOSED.iter().chain(OPEN) {
        println!("{}\t{}", way.name, code((way.act)(target)));
    }
}

fn code(answer: io::Result<()>) -> i32 {
    answer.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |()| 0)
}

/// What programs need to be executed.
fn system_files() -> impl Iterator<Item = &'static Path> {
    ["/usr", "/bin", "/lib", "/lib32", "/lib64", "/etc/ld.so.cache"]
        .into_iter()
        .map(Path::new)
        .filter(|path| path.exists())
}

/// Starts a child, sealed off or not, and prints its table.
fn seal_off(means: &str, directory: &Path) {
    let (listeners, place) = Place::create(directory);
    let readable = system_files().map(Path::to_owned).chain([directory.join("inside"), own_path()]);
    let terminal = sealed_off::terminal();
    let keyboard = || terminal.as_ref().map(|[_screen, keyboard]| keyboard.try_clone().unwrap());
    let mut command = Command::new(own_path());
    command.args(["confined", "sealed-off"]).env("PLACE", &place);
    match means {
        "sealed" => _ = command.confine_to(readable).unwrap(),
        "apart too" => _ = command.confine().unwrap().confine_to(readable).unwrap(),
        "std" => {
            let mut command = std::process::Command::new(own_path());
            command.args(["confined", "sealed-off"]).env("PLACE", &place).confine_to(readable).unwrap();
            if let Some(keyboard) = keyboard() {
                command.stdin(keyboard);
            }
            return print!("{}", text(command.output().unwrap()));
        }
        _ => {}
    }
    if let Some(keyboard) = keyboard() {
        command.stdin(keyboard);
    }
    print!("{}", output(&mut command));
    drop(listeners);
}

fn use_library_in_child(means: &str) {
    let region = Region::create(4096).unwrap();
    let exported = region.export_inheritable().unwrap();
    let (mut questions, theirs) = heirloom::channel(4096).unwrap();
    let (sender, mut answers) = heirloom::channel(4096).unwrap();
    let mut command = Command::new(own_path());
    command.args(["confined", "library"]).env("EXPORTED", exported.as_str()).inherit("a", &region).unwrap();
    command.inherit_end("questions", theirs).unwrap().inherit_end("answers", sender).unwrap();
    match means {
        "confined" => _ = command.confine().unwrap(),
        "sealed" => _ = command.confine_to(system_files().map(Path::to_owned).chain([own_path()])).unwrap(),
        _ => {}
    }
    let child = command.stdout(heirloom::Stdio::piped()).spawn().unwrap();
    questions.send(b"by the parent").unwrap();
    println!("{}", String::from_utf8_lossy(&answers.recv().unwrap().to_vec()));
    let printed = child.wait_with_output().unwrap();
    let mut bytes = [0; 12];
    region.map().unwrap().read_at(0, &mut bytes).unwrap();
    println!("{}", String::from_utf8_lossy(&bytes));
    print!("{}", text(printed));
}

/// Uses each part of the library.
fn use_library() {
    let mut questions = Receiver::inherited("questions").unwrap();
    let mut answers = Sender::inherited("answers").unwrap();
    let question = questions.recv().unwrap().to_vec();
    answers.send(&[&question[..], b" and the child"].concat()).unwrap();

    let region = Region::inherited("a").unwrap();
    region.map().unwrap().write_at(0, b"by the child").unwrap();
    println!("{}", Region::import(&env::var("EXPORTED").unwrap()).unwrap().size());
    let locks = Region::create(4096).unwrap().map_with_locks().unwrap();
    println!("{}", matches!(locks.lock(0).unwrap(), heirloom::Locked::Clean(_)));
    println!("{}", Region::create(4096).unwrap().into_read_only().unwrap().0.size());
    println!("{}", Region::options().populate(true).create(4096).unwrap().freeze().unwrap().size());
    println!("{}", FrozenRegion::from_bytes("frozen").unwrap().map().unwrap().len());
    let (mut sender, mut receiver) = heirloom::channel(4096).unwrap();
    sender.send(b"to itself").unwrap();
    println!("{}", receiver.recv().unwrap().to_vec().len());
    let mut child = Command::new(own_path());
    child.args(["take", "region:a"]).inherit("a", &region).unwrap().stdin(heirloom::Stdio::inherit());
    print!("{}", output(&mut child));
    println!("done");
}

fn nest(means: &str, depth: u32) {
    let next = (depth + 1).to_string();
    let args = ["confined", "nest", means, &next];
    let error = match means {
        "exec" => Command::new(own_path()).args(args).confine().unwrap().exec(),
        "std" => {
            let mut command = std::process::Command::new(own_path());
            match command.args(args).confine().unwrap().output() {
                Ok(output) => return print!("{}", text(output)),
                Err(error) => return println!("{depth} {:?} {error}", error.raw_os_error()),
            }
        }
        _ => match Command::new(own_path()).args(args).confine().unwrap().output() {
            Ok(output) => return print!("{}", text(output)),
            Err(error) => error,
        },
    };
    println!("{depth} {error:?}");
}

/// Makes the kernel answer a call with an error, or with a success that is none, and prints what becomes of confining a child.
fn refused(call: &str, errno: i32) {
    // PR_SET_SECCOMP.
    const OF_FILTERS: &[(u32, Argument)] = &[(0, Argument::Is(22))];
    let refuse = |call, arguments| old_kernels::refuse(&[Refusal { call, arguments, errno }]);
    match call {
        "landlock_create_ruleset" => refuse(libc::SYS_landlock_create_ruleset, &[]),
        "landlock_add_rule" => refuse(libc::SYS_landlock_add_rule, &[]),
        "landlock_restrict_self" => refuse(libc::SYS_landlock_restrict_self, &[]),
        "prctl" => refuse(libc::SYS_prctl, OF_FILTERS),
        _ => {}
    }
    let marker = env::var("MARKER").unwrap();
    let start = || {
        let mut command = Command::new("touch");
        command.arg(&marker);
        command
    };
    let started = |answer: Result<&mut Command, heirloom::Error>| {
        let answer = answer.and_then(Command::status).map(|status| status.to_string());
        let exists = std::fs::remove_file(&marker).is_ok();
        println!("{exists} {}", super::describe(answer));
    };
    started(start().confine());
    started(start().confine_to(["/"]));
    let mut command = std::process::Command::new("touch");
    let answer = command.arg(&marker).confine().map(|command| command.status().map(|status| status.to_string()));
    let answer = answer.map(|answer| answer.unwrap_or_else(|error| error.to_string()));
    println!("{} {}", std::fs::remove_file(&marker).is_ok(), super::describe(answer));
}
