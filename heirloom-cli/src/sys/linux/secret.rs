//! `--secret`: regions whose bytes no other process can read.

#![allow(unsafe_code)]

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};

use heirloom::os::linux::{SecretMapping, SecretRegion};
use heirloom::{Command, Error, ErrorKind};

use super::options::{RegionOptions, secrets};
use super::path::{keep_open, raised};
use super::streams::Patient;
use crate::failure::Failure;
use crate::source;

/// The number of bytes that are read at once. They count as locked until all are read.
const PART: u64 = 16 << 10;

/// The secret regions of the programs that one call starts.
pub struct Secrets {
    created: Vec<Named>,
    inherited: Vec<Named>,
}

struct Named {
    name: String,
    region: SecretRegion,
}

impl Secrets {
    /// Creates and fills the regions of a command line.
    pub fn create(options: &RegionOptions) -> Result<Self, Failure> {
        let mut created = Vec::new();
        for secret in secrets(options) {
            let region = source::read(&secret.value, |file, _| fill(&secret.name, file))?;
            created.push(Named { name: secret.name.clone(), region });
        }
        Ok(Self { created, inherited: Vec::new() })
    }

    /// Takes a region that this process inherited, for its programs. If its name is another region's now, only the descriptor
    /// stays open for them, whose number may be among their arguments.
    pub fn take(&mut self, name: String, is_replaced: bool) -> Result<(), Failure> {
        let region = SecretRegion::inherited(&name)?;
        if is_replaced {
            return keep_open(region);
        }
        self.inherited.push(Named { name, region });
        Ok(())
    }

    /// Returns the names that the command line gave, each with the number of the descriptor in a child: no path opens it.
    pub fn references(&self) -> impl Iterator<Item = (String, String)> {
        self.created.iter().map(|named| (named.name.clone(), named.region.as_raw_fd().to_string()))
    }

    pub fn hand_down(&self, command: &mut Command) -> Result<(), Failure> {
        for Named { name, region } in self.created.iter().chain(&self.inherited) {
            command.inherit(name, region)?;
        }
        Ok(())
    }

    /// Closes the descriptors.
    pub fn close(&mut self) {
        self.created.clear();
        self.inherited.clear();
    }
}

/// Reads a file to its end, straight into secret memory: its bytes are never in an ordinary buffer of this process.
fn fill(name: &str, file: &File) -> Result<SecretRegion, Failure> {
    // The size is fixed before the first byte, so the parts come first.
    let (mut parts, mut size) = (Vec::new(), 0);
    loop {
        let part = create(PART)?.map().map_err(|error| failed(&error.into()))?;
        let len = fill_part(&part, file)
            .map_err(|error| Failure::new(format_args!("cannot fill the secret region {name:?}: {error}")))?;
        size += len;
        parts.push((part, len));
        if len < parts[0].0.len() {
            break;
        }
    }
    if size == 0 {
        return Err(Failure::new(format_args!("cannot fill the secret region {name:?}: there are no bytes")));
    }
    let region = create(size as u64)?;
    // Mapping closes the region's own descriptor.
    let kept = raised(&region).and_then(|raised| raised.map_or_else(|| region.as_fd().try_clone_to_owned(), Ok));
    let kept =
        kept.map_err(|error| Failure::new(format_args!("cannot hand down the secret region {name:?}: {error}")))?;
    let whole = region.map().map_err(|error| failed(&error.into()))?;
    let mut offset = 0;
    for (part, len) in parts {
        // SAFETY: The mapping lives for the statement, and nothing has the memory but this process, whose one thread doesn't
        // write it meanwhile.
        whole.write_at(offset, unsafe { &part.as_slice()[..len] })?;
        offset += len;
    }
    SecretRegion::try_from(kept).map_err(|error| failed(&error.into()))
}

/// Reads until the part is full, or the file is at its end.
fn fill_part(part: &SecretMapping, file: &File) -> io::Result<usize> {
    // SAFETY: As in `fill`: nothing else has the memory.
    let bytes = unsafe { part.as_mut_slice() };
    let mut filled = 0;
    while filled < bytes.len() {
        match Patient(file).read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn create(size: u64) -> Result<SecretRegion, Failure> {
    SecretRegion::create(size).map_err(|error| failed(&error))
}

/// Returns the failure of a call for secret memory, with advice for the command's users.
fn failed(error: &Error) -> Failure {
    let advice = match error.kind() {
        ErrorKind::Unsupported => {
            "secret regions need Linux 5.14 or later, booted with secretmem.enable=1 before 6.5 and without secretmem.enable=0 \
             since, and no sandbox that forbids memfd_secret; --frozen needs neither"
        }
        ErrorKind::OutOfMemory if error.raw_os_error() == Some(libc::EAGAIN) => {
            "raise the limit (ulimit -l, prlimit --memlock); filling takes twice the size"
        }
        _ => return Failure::new(error),
    };
    Failure::new(format_args!("{}; {advice}", error.message()))
}
