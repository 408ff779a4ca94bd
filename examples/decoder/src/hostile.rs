//! A decoder that an attacker has taken over.

use std::env;
use std::error::Error;
use std::fs::{self, File};
use std::io;
use std::net::{TcpStream, UdpSocket};
use std::os::unix::process::parent_id;
use std::time::{Duration, Instant};

use heirloom::{Command, Region, SharedBytes};

use crate::answer::{Header, give};

/// Sizes that overflow, that exceed the region by a row, of nothing, and of impossible pixels.
pub const LIES: [Header; 4] = [
    Header { width: u32::MAX, height: u32::MAX, bytes_per_pixel: u32::MAX },
    Header { width: 4096, height: 4097, bytes_per_pixel: 4 },
    Header { width: 0, height: 1, bytes_per_pixel: 4 },
    Header { width: 1, height: 1, bytes_per_pixel: 5 },
];

pub fn run(how: &[&str], answer: &Region, view: &SharedBytes) -> Result<(), Box<dyn Error>> {
    match how {
        ["reach"] => {
            let report = reach();
            let width = u32::try_from(report.len())?;
            give(view, Header { width, height: 1, bytes_per_pixel: 1 }, report.as_bytes())?;
        }
        ["lie", number] => LIES[number.parse::<usize>()?].write(view)?,
        ["crash"] => std::process::abort(),
        ["spin"] => loop {
            std::hint::spin_loop();
        },
        ["scribble"] => {
            LARGE.write(view)?;
            Command::new(env::current_exe()?).args(["child", "go on"]).inherit("answer", answer)?.spawn()?;
        }
        ["go on"] => {
            let end = Instant::now() + Duration::from_secs(2);
            while Instant::now() < end {
                SMALL.write(view)?;
                LARGE.write(view)?;
            }
        }
        _ => return Err("an unknown attack".into()),
    }
    Ok(())
}

/// Each alone is true.
const SMALL: Header = Header { width: 1, height: 1, bytes_per_pixel: 1 };
const LARGE: Header = Header { width: 256, height: 256, bytes_per_pixel: 1 };

/// Returns a line for each attempt.
fn reach() -> String {
    let parent = parent_id();
    let attempts = [
        ("read the list of users", File::open("/etc/passwd").map(drop)),
        ("list the directory /", fs::read_dir("/").map(drop)),
        ("create a file", create_file()),
        ("connect to a server", TcpStream::connect("127.0.0.1:9").map(drop)),
        ("open a socket for datagrams", UdpSocket::bind("127.0.0.1:0").map(drop)),
        ("open the memory of its parent", File::open(format!("/proc/{parent}/mem")).map(drop)),
        ("read the environment of its parent", fs::read(format!("/proc/{parent}/environ")).map(drop)),
        ("use 8 GiB of memory", Vec::<u8>::new().try_reserve_exact(8 << 30).map_err(io::Error::from)),
    ];
    let line = |(what, result): (&str, io::Result<()>)| match result {
        Ok(()) => format!("{what}: done\n"),
        Err(error) => format!("{what}: {error}\n"),
    };
    attempts.map(line).concat()
}

fn create_file() -> io::Result<()> {
    let path = env::temp_dir().join(format!("heirloom-decoder-{}", std::process::id()));
    File::create_new(&path)?;
    fs::remove_file(path)
}
