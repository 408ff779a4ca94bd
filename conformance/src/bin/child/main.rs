//! The program that the tests start as a child. The first argument is the sub-command, and the results go to standard
//! output.

#![allow(unsafe_code)]

mod channels;
#[cfg(target_os = "linux")]
mod channels_on_linux;
#[cfg(target_os = "linux")]
mod confined;
#[cfg(target_os = "linux")]
mod linux;
#[cfg(target_os = "linux")]
mod locks;
#[cfg(target_os = "linux")]
mod mappings;
#[cfg(target_os = "linux")]
mod secret;
#[cfg(target_os = "linux")]
mod spawning;
#[cfg(windows)]
mod windows;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use heirloom::{Command, Error, FrozenRegion, InheritedState, ReadOnlyRegion, Region};
use heirloom_conformance::{is_inheritable, number, open_regions, output, soundness, text};

#[cfg(target_os = "linux")]
use linux as system;
#[cfg(windows)]
use windows as system;

fn main() -> ExitCode {
    let args: Vec<String> = env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    run(&args)
}

#[allow(clippy::too_many_lines)] // One arm per sub-command.
fn run(args: &[&str]) -> ExitCode {
    match args {
        ["regions"] => print_regions(),
        ["claim-then-regions"] => {
            heirloom::claim().unwrap();
            print_regions();
        }
        ["claim"] => println!("{}", describe(heirloom::claim().map(|()| String::new()))),
        ["list"] => {
            for region in heirloom::inherited().unwrap() {
                let state = match region.state {
                    InheritedState::Taken => "taken".to_owned(),
                    InheritedState::Missing(error) => describe(Err(error)),
                    _ => "there".to_owned(),
                };
                println!("{:?} {} {} {state}", region.name, region.kind, region.size);
            }
        }
        ["take", wanted @ ..] => wanted.iter().for_each(|wanted| take(wanted)),
        ["import", variables @ ..] => variables.iter().for_each(|variable| import(variable)),
        ["import-owned", variable] => {
            let string = env::var(variable).unwrap();
            // SAFETY: The descriptor was inherited for this call, and nothing else in this program owns it.
            let wrong = unsafe { FrozenRegion::import_owned(&string) }.unwrap_err();
            // SAFETY: As above, and the failed call left it open.
            let shrunk = unsafe { Region::import_owned(&string.replace(":4096:", ":4095:")) }.unwrap_err();
            println!("{:?} {:?} {}", wrong.kind(), shrunk.kind(), open_regions().len());
            // SAFETY: As above.
            let region = unsafe { Region::import_owned(&string) }.unwrap();
            let number = number(&region);
            println!("{} {}", string.starts_with(&format!("{number}:")), is_inheritable(number));
            drop(region);
            println!("{}", open_regions().len());
        }
        ["write", name, text] => write(&Region::inherited(name).unwrap(), text),
        ["import-and-write", variable, text] => write(&Region::import(&env::var(variable).unwrap()).unwrap(), text),
        ["add", name, times] => {
            let view = Region::inherited(name).unwrap().map().unwrap();
            let number = view.atomic_u64(0).unwrap();
            (0..times.parse().unwrap()).for_each(|_: u32| _ = number.fetch_add(1));
        }
        ["soundness", workload, side, rounds] => {
            let view = Region::inherited("bytes").unwrap().map().unwrap();
            soundness::run(workload, side.parse().unwrap(), rounds.parse().unwrap(), &view);
        }
        ["print-frozen", name] => {
            let view = FrozenRegion::inherited(name).unwrap().map().unwrap();
            print!("{}", String::from_utf8_lossy(&view));
        }
        // Waits for each question, and answers it.
        ["answer", questions, rounds] => answer(questions, rounds.parse().unwrap()),
        ["watch-read-only", name] => watch_read_only(name),
        ["freeze", name] => {
            println!(
                "{}",
                describe(
                    Region::inherited(name)
                        .unwrap()
                        .freeze()
                        .map_err(Error::from)
                        .map(|frozen| frozen.size().to_string())
                )
            );
        }
        ["spawn-environment"] => print!("{}", output(Command::new(own_path()).arg("environment"))),
        // Starts a child before any claim, by heirloom's command or the standard library's.
        ["spawn", "heirloom"] => println!("{}", output(Command::new(own_path()).arg("regions"))),
        ["spawn", "std"] => {
            println!("{}", text(std::process::Command::new(own_path()).arg("regions").output().unwrap()));
        }
        ["pass-on", name, rest @ ..] => {
            let mut command = Command::new(own_path());
            command.args(rest).inherit(name, &FrozenRegion::inherited(name).unwrap()).unwrap();
            print!("{}", output(&mut command));
        }
        ["claim-and-spawn-std", rest @ ..] => {
            heirloom::claim().unwrap();
            print!("{}", text(std::process::Command::new(own_path()).args(rest).output().unwrap()));
        }
        // Removes the variable, beside another thread or alone, and starts a child by the standard library's command.
        ["unset-and-spawn-std", threads, rest @ ..] => {
            let (stop, stopped) = std::sync::mpsc::channel::<()>();
            let thread = (*threads == "two").then(|| std::thread::spawn(move || stopped.recv()));
            println!("{}", describe(heirloom::unset_variable().map(|()| String::new())));
            drop(stop);
            thread.map(|thread| thread.join().unwrap().unwrap_err());
            print!("{}", text(std::process::Command::new(own_path()).args(rest).output().unwrap()));
            // Nothing that this process inherited is lost.
            take("region:a");
        }
        ["drop-then-regions", name] => {
            let region = Region::inherited(name).unwrap();
            let view = region.map().unwrap();
            drop((region, view));
            print_regions();
        }
        ["hold", name] => {
            let view = Region::inherited(name).unwrap().map().unwrap();
            println!("held");
            std::io::read_to_string(std::io::stdin()).unwrap();
            drop(view);
        }
        ["add-one-to-all"] => {
            // Reads a number, and writes the next one to every inherited region.
            let mut line = String::new();
            std::io::stdin().read_line(&mut line).unwrap();
            let number: u64 = line.trim().parse().unwrap();
            let inherited = heirloom::inherited().unwrap();
            for region in &inherited {
                let view = Region::inherited(&region.name).unwrap().map().unwrap();
                view.atomic_u64(0).unwrap().store(number + 1);
            }
            println!("{}", inherited.len());
        }
        ["fill-and-hold", name, size] => {
            // Fills a region, starts a child that maps it, and waits to be killed.
            let region = Region::options().name(*name).create(size.parse().unwrap()).unwrap();
            let view = region.map().unwrap();
            view.write_at(0, &vec![1; view.len()]).unwrap();
            let child = Command::new(own_path()).args(["hold", "a"]).inherit("a", &region).unwrap().spawn().unwrap();
            println!("{}", child.id());
            std::io::read_to_string(std::io::stdin()).unwrap();
        }
        ["take-own-export"] => {
            // Names an own export in the variable, which must not count as inherited.
            let region = Region::create(4096).unwrap();
            let exported = region.export_inheritable().unwrap();
            // SAFETY: This process has one thread, so nothing reads the environment meanwhile.
            unsafe { env::set_var("HEIRLOOM_REGIONS", format!("own={exported}")) };
            take("region:own");
            println!("{}", is_inheritable(number(&exported)));
        }
        ["print", text] => println!("{text}"),
        ["environment"] => {
            for (key, value) in env::vars() {
                println!("{key}={value}");
            }
        }
        ["arguments", rest @ ..] => rest.iter().for_each(|arg| println!("{arg:?}")),
        ["directory"] => println!("{}", env::current_dir().unwrap().display()),
        ["exit", code] => return code.parse::<u8>().unwrap().into(),
        ["cat"] => _ = io::copy(&mut io::stdin(), &mut io::stdout()).unwrap(),
        ["both-streams"] => {
            println!("out");
            eprintln!("error");
            io::copy(&mut io::stdin(), &mut io::stdout()).unwrap();
        }
        ["flood", len] => {
            let bytes = vec![b'x'; len.parse().unwrap()];
            io::stderr().write_all(&bytes).unwrap();
            io::stdout().write_all(&bytes).unwrap();
            io::stderr().write_all(&bytes).unwrap();
        }
        ["channel", rest @ ..] => channels::run(rest),
        // Sub-commands of one system.
        _ => system::run(args),
    }
    ExitCode::SUCCESS
}

fn own_path() -> std::path::PathBuf {
    env::current_exe().unwrap()
}

fn describe(result: Result<String, Error>) -> String {
    match result {
        Ok(value) => format!("ok {value}"),
        Err(error) => format!("{error:?}"),
    }
}

fn print_regions() {
    for (number, inode) in open_regions() {
        println!("{number} {inode}");
    }
}

/// Prints the result of inheriting a region, given as `kind:name`.
fn take(wanted: &str) {
    let (kind, name) = wanted.split_once(':').unwrap();
    let size = match kind {
        "region" => Region::inherited(name).map(|region| region.size()),
        "read-only" => ReadOnlyRegion::inherited(name).map(|region| region.size()),
        "frozen" => FrozenRegion::inherited(name).map(|region| region.size()),
        _ => panic!("{wanted}"),
    };
    println!("{}", describe(size.map(|size| size.to_string())));
}

/// Prints the result of importing a region, given as `kind:variable`.
fn import(wanted: &str) {
    let (kind, variable) = wanted.split_once(':').unwrap();
    let string = env::var(variable).unwrap();
    let size = match kind {
        "region" => Region::import(&string).map(|region| region.size()),
        "read-only" => ReadOnlyRegion::import(&string).map(|region| region.size()),
        "frozen" => FrozenRegion::import(&string).map(|region| region.size()),
        _ => panic!("{wanted}"),
    };
    println!("{}", describe(size.map(|size| size.to_string())));
}

fn write(region: &Region, text: &str) {
    region.map().unwrap().write_at(0, text.as_bytes()).unwrap();
}

/// Waits for the numbers of a region of either kind, and stores each in the region `answers`.
fn answer(questions: &str, rounds: u32) {
    let answers = Region::inherited("answers").unwrap().map().unwrap();
    let wait: Box<dyn Fn(u32) -> u32> = match questions.split_once(':').unwrap() {
        ("region", name) => {
            let view = Region::inherited(name).unwrap().map().unwrap();
            Box::new(move |last| view.wait(0, last).unwrap())
        }
        (_, name) => {
            let view = ReadOnlyRegion::inherited(name).unwrap().map().unwrap();
            Box::new(move |last| view.wait(0, last).unwrap())
        }
    };
    for last in 0..rounds {
        let number = wait(last);
        answers.atomic_u32(0).unwrap().store(number);
        answers.wake_all(0).unwrap();
    }
}

/// Prints the number in the region once for each line of standard input.
fn watch_read_only(name: &str) {
    let view = ReadOnlyRegion::inherited(name).unwrap().map().unwrap();
    for line in std::io::stdin().lines() {
        line.unwrap();
        println!("{}", view.load_u64(8).unwrap());
    }
}
