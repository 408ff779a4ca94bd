//! The parent: starts a decoder for each picture, and takes its answer.

use std::collections::BTreeSet;
use std::env;
use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use heirloom::os::linux::{ChildExt, CommandExt};
use heirloom::{Child, Command, FrozenRegion, Mapping, Region, Stdio};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::answer::{self, Header, Picture};
use crate::hostile::LIES;

/// How long a decoder may take.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where the loader finds the libraries of this program. One that is linked statically needs none of them.
const LIBRARIES: [&str; 4] = ["/lib", "/lib64", "/usr/lib", "/etc/ld.so.cache"];

/// Decodes a file, and prints what is in it.
pub fn show(file: &str) -> Result<(), Box<dyn Error>> {
    let picture = decode(&FrozenRegion::from_file(&File::open(file)?)?)?;
    let Header { width, height, bytes_per_pixel } = picture.header;
    let sum: u64 = picture.pixels.iter().map(|byte| u64::from(*byte)).sum();
    println!("{width} x {height} pixels of {bytes_per_pixel} bytes, on average {}", sum / picture.pixels.len() as u64);
    Ok(())
}

/// Decodes an untrusted picture.
fn decode(picture: &FrozenRegion) -> Result<Picture, Box<dyn Error>> {
    Decoder::start(picture, &["decode"], true)?.answer()
}

/// A decoder of one picture. The next picture gets another, which knows nothing of the first.
struct Decoder {
    process: Child,
    view: Mapping,
}

impl Decoder {
    fn start(picture: &FrozenRegion, how: &[&str], confined: bool) -> Result<Self, Box<dyn Error>> {
        let program = env::current_exe()?;
        let answer = Region::create(answer::SIZE)?;
        let mut command = Command::new(&program);
        // Only the two regions: no variables, and no stream, since a terminal or a file can do more than show text.
        command.arg("child").args(how).env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.inherit("picture", picture)?.inherit("answer", &answer)?;
        if confined {
            let libraries = LIBRARIES.map(Path::new).into_iter().filter(|path| path.exists());
            command.confine_to(libraries.chain([&*program]))?;
        }
        Ok(Self { process: command.spawn()?, view: answer.map()? })
    }

    /// Waits until it has ended, and takes its answer.
    fn answer(&mut self) -> Result<Picture, Box<dyn Error>> {
        self.end_in_time()?;
        let status = self.process.wait()?;
        if !status.success() {
            return Err(format!("the decoder failed: {status}").into());
        }
        answer::take(&self.view)
    }

    /// Waits until it has ended, and kills it if that takes too long.
    fn end_in_time(&mut self) -> Result<(), Box<dyn Error>> {
        let ended = self.process.pidfd()?;
        let timeout = Timespec::try_from(PATIENCE)?;
        if poll(&mut [PollFd::new(&ended, PollFlags::IN)], Some(&timeout))? == 0 {
            self.process.kill()?;
            return Err(format!("the decoder was killed after {PATIENCE:?}").into());
        }
        Ok(())
    }
}

/// No decoder is left behind, also after an error.
impl Drop for Decoder {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Starts decoders that an attacker has taken over, and prints what comes of it.
pub fn show_hostile(confined: bool) -> Result<(), Box<dyn Error>> {
    let picture = FrozenRegion::from_bytes("a picture that takes over the decoder")?;
    let ask = |how: &[&str]| Decoder::start(&picture, how, confined)?.answer();

    println!("It reaches for the user's files, the network and this process:");
    // Its report comes as the pixels, and may have any bytes.
    for line in String::from_utf8_lossy(&ask(&["reach"])?.pixels).lines() {
        println!("  {}", line.escape_default());
    }
    for number in 0..LIES.len() {
        println!("It lies about sizes: {}", outcome(ask(&["lie", &number.to_string()])));
    }
    println!("It crashes: {}", outcome(ask(&["crash"])));
    println!("It never ends: {}", outcome(ask(&["spin"])));
    println!("It is no picture: {}", outcome(ask(&["decode"])));

    // A child of its own outlives it, and changes the header while this process takes the answer.
    let mut scribbler = Decoder::start(&picture, &["scribble"], confined)?;
    let mut headers = BTreeSet::from([scribbler.answer()?.header]);
    let start = Instant::now();
    for round in 0.. {
        let Picture { header, pixels } = answer::take(&scribbler.view)?;
        if Some(pixels.len()) != header.bytes() {
            return Err(format!("{} bytes for {header:?}", pixels.len()).into());
        }
        headers.insert(header);
        // A parent that read the header twice would fail within a few rounds.
        if round > 1000 && headers.len() > 1 {
            break;
        }
        if start.elapsed() > PATIENCE {
            return Err("the header has not changed".into());
        }
    }
    println!("It changes the header meanwhile: every picture has the size that its header says");
    Ok(())
}

fn outcome(answer: Result<Picture, Box<dyn Error>>) -> String {
    answer.map_or_else(|error| error.to_string(), |picture| format!("a picture, {:?}", picture.header))
}
