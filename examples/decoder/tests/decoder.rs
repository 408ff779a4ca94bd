//! Runs the example on pictures, and with a hostile decoder.

#![cfg(target_os = "linux")]

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use png::{BitDepth, ColorType, Encoder};

fn run(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_decoder")).args(args).output().unwrap()
}

/// Returns what it printed; `None` where the system can't confine a child.
fn printed(args: &[&str]) -> Option<String> {
    let output = run(args);
    let stderr = String::from_utf8(output.stderr).unwrap();
    if stderr.contains("cannot confine a child") {
        eprintln!("SKIPPED: {stderr}");
        return None;
    }
    assert!(output.status.success(), "{stderr}");
    Some(String::from_utf8(output.stdout).unwrap())
}

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Writes a picture of 7 by 5 pixels.
fn picture(name: &str, color: ColorType, depth: BitDepth, bytes: &[u8]) -> String {
    let path = file(name);
    let mut encoder = Encoder::new(File::create(&path).unwrap(), 7, 5);
    encoder.set_color(color);
    encoder.set_depth(depth);
    encoder.write_header().unwrap().write_image_data(bytes).unwrap();
    path.into_os_string().into_string().unwrap()
}

#[test]
fn pictures_are_decoded() {
    let rgb = picture("rgb.png", ColorType::Rgb, BitDepth::Eight, &[40; 7 * 5 * 3]);
    let Some(text) = printed(&[&rgb]) else { return };
    assert_eq!(text, "7 x 5 pixels of 3 bytes, on average 40\n");
    let gray = picture("gray.png", ColorType::Grayscale, BitDepth::Sixteen, &[9; 7 * 5 * 2]);
    assert_eq!(printed(&[&gray]).unwrap(), "7 x 5 pixels of 1 bytes, on average 9\n");
}

#[test]
fn broken_picture_is_an_error() {
    let whole = picture("whole.png", ColorType::Rgb, BitDepth::Eight, &[40; 7 * 5 * 3]);
    if printed(&[&whole]).is_none() {
        return;
    }
    let mut bytes = fs::read(&whole).unwrap();
    bytes.truncate(bytes.len() / 2);
    let broken = file("broken.png");
    fs::write(&broken, bytes).unwrap();
    let output = run(&[broken.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "error: the decoder failed: exit status: 1\n");
}

#[test]
fn hostile_decoder_reaches_nothing_and_is_found_out() {
    let Some(text) = printed(&["--hostile"]) else { return };
    assert_eq!(
        text,
        "\
It reaches for the user's files, the network and this process:
  read the list of users: Permission denied (os error 13)
  list the directory /: Permission denied (os error 13)
  create a file: Permission denied (os error 13)
  connect to a server: Operation not permitted (os error 1)
  open a socket for datagrams: Operation not permitted (os error 1)
  open the memory of its parent: Permission denied (os error 13)
  read the environment of its parent: Permission denied (os error 13)
  use 8 GiB of memory: out of memory
It lies about sizes: the decoder claims what can't be: Header { width: 4294967295, height: 4294967295, bytes_per_pixel: 4294967295 }
It lies about sizes: the decoder claims what can't be: Header { width: 4096, height: 4097, bytes_per_pixel: 4 }
It lies about sizes: the decoder claims what can't be: Header { width: 0, height: 1, bytes_per_pixel: 4 }
It lies about sizes: the decoder claims what can't be: Header { width: 1, height: 1, bytes_per_pixel: 5 }
It crashes: the decoder failed: signal: 6 (SIGABRT)
It never ends: the decoder was killed after 3s
It is no picture: the decoder failed: exit status: 1
It changes the header meanwhile: every picture has the size that its header says
"
    );
}

/// The control of the test above: it is the confinement that denies the attempts.
#[test]
fn unconfined_decoder_reaches_everything() {
    let text = printed(&["--hostile", "--unconfined"]).unwrap();
    for attempt in [
        "read the list of users",
        "list the directory /",
        "create a file",
        "open a socket for datagrams",
        "read the environment of its parent",
    ] {
        assert!(text.contains(&format!("  {attempt}: done\n")), "{text}");
    }
    // Nobody listens there, as a rule.
    assert!(!text.contains("connect to a server: Operation not permitted"), "{text}");
    // Yama keeps a process from the memory of its parent, where it is on.
    if fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").is_ok_and(|scope| scope.trim() != "0") {
        eprintln!("SKIPPED: the memory of its parent: Yama may deny it");
    } else {
        assert!(text.contains("  open the memory of its parent: done\n"), "{text}");
    }
}
