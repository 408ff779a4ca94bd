//! Decodes pictures from anywhere in a child that reaches nothing but the picture and the place for its answer.
//!
//!     cargo run -p heirloom-decoder -- picture.png
//!     cargo run -p heirloom-decoder -- --hostile
//!
//! `--hostile` shows what a decoder can do that an attacker has taken over, and `--hostile --unconfined` what it could do
//! without a confinement.
//!
//! - `parent.rs` starts the decoder, waits for it, and takes the answer.
//! - `answer.rs` is what both agree on. The parent's checks are there.
//! - `decoder.rs` is the child.
//! - `hostile.rs` is a child that does everything else.

#[cfg(target_os = "linux")]
mod answer;
#[cfg(target_os = "linux")]
mod decoder;
#[cfg(target_os = "linux")]
mod hostile;
#[cfg(target_os = "linux")]
mod parent;

#[cfg(target_os = "linux")]
use std::process::ExitCode;

#[cfg(target_os = "linux")]
fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(target_os = "linux")]
fn run() -> Result<(), Box<dyn std::error::Error>> {
    // Before anything else, also in the child.
    heirloom::claim()?;
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // The parent starts the child so.
        ["child", ref how @ ..] => decoder::child(how),
        ["--hostile"] => parent::show_hostile(true),
        ["--hostile", "--unconfined"] => parent::show_hostile(false),
        [file] => parent::show(file),
        _ => Err("usage: decoder FILE.png | --hostile [--unconfined]".into()),
    }
}

#[cfg(not(target_os = "linux"))]
fn main() {
    eprintln!("only Linux can confine a child");
}
